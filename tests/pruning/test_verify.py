"""What is offered is right in every number of the output, for every width, and can be trained."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from swarmopt_pruning import compare
from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.trials import ROUNDS, between
from swarmopt_pruning.verify import subject


def images() -> Tensor:
    return torch.randn(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@dataclass
class Logits:
    logits: Tensor


torch.export.register_dataclass(Logits)

End = Callable[["Holds", Tensor, Tensor], object]


class Holds(nn.Module):
    """A network that divides by the width it had, and a sound branch; `end` makes the answer."""

    def __init__(self, end: End) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 32, 3)
        self.box, self.scores = nn.Conv2d(16, 4, 3), nn.Conv2d(32, 5, 1)
        self.end = end

    def forward(self, x: Tensor) -> object:
        x = self.first(x).relu()
        y = self.second(x).relu()
        return self.end(self, self.box(x), self.scores(y * 32 / y.shape[1]))


def beside_sentinels(_: Holds, box: Tensor, scores: Tensor) -> Tensor:
    outside = torch.ones_like(scores, dtype=torch.bool).tril()
    return torch.cat([box, scores.masked_fill(outside, -1e9)], 1)


ENDS: dict[str, End] = {
    "large boxes": lambda _, box, scores: torch.cat([box.exp() * 1e4, scores.sigmoid()], 1),
    "large boxes in the last dimension": lambda _, box, scores: torch.cat(
        [box.exp() * 1e4, scores.sigmoid()], 1
    ).permute(0, 2, 3, 1),
    "large boxes in one row": lambda _, box, scores: torch.cat(
        [box.exp().flatten() * 1e4, scores.sigmoid().flatten()]
    ),
    "sentinels": beside_sentinels,
    "whole numbers": lambda _, box, scores: (box, scores.argmax(1)),
    "a registered class": lambda _, box, scores: (box, Logits(scores)),
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_wrong_number_is_found_whatever_stands_beside_it(end: str, dtype: torch.dtype) -> None:
    graph = ChannelGraph.trace(Holds(ENDS[end]).to(dtype), (images().to(dtype),))
    assert graph.names == ("first",)
    assert graph.frozen[0].name == "second"


@pytest.mark.parametrize("factor", [1, 1e4, 1e-9])
def test_rounding_is_no_difference(factor: float) -> None:
    def end(_: Holds, box: Tensor, scores: Tensor) -> Tensor:
        return torch.cat([box * factor, scores], 1)

    model = Holds(end)
    model.second.register_forward_hook(lambda _, __, y: y * y.shape[1] / 32)  # undoes the holding
    assert ChannelGraph.trace(model, (images(),)).names == ("first", "second")


def test_half_precision_does_not_hide_an_error_of_a_few_percent() -> None:
    def end(_: Holds, box: Tensor, scores: Tensor) -> Tensor:
        return torch.cat([box, scores], 1)

    model = Holds(end)
    model.second.register_forward_hook(lambda _, __, y: y * (y.shape[1] / 32) ** 1.01)
    assert ChannelGraph.trace(model.bfloat16(), (images().bfloat16(),)).names == ("first",)


def test_doubles_decide_where_terms_cancel() -> None:
    class Cancels(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self[1](self[0](x))
            return (y + 1e4) - 1e4

    body, x = Cancels(nn.Conv2d(3, 96, 3), nn.Conv2d(96, 4, 3)), torch.randn(2, 3, 40, 40)
    assert ChannelGraph.trace(body, (x,)).names == ("0",)


def test_a_network_that_cannot_run_in_doubles_is_compared_as_it_is() -> None:
    class Single(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self[1](self[0](x.float()))
            return (y + 1e2) - 1e2

    body = Single(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3))
    assert subject(body, (images(),)).double is None
    assert ChannelGraph.trace(body, (images(),)).names == ("0",)


def test_one_large_number_does_not_hide_another() -> None:
    expected = torch.tensor([[1e6, 2.0], [1e6, 3.0]])
    found = torch.tensor([[1e6, 2.1], [1e6, 3.0]])
    assert compare.difference([found], [expected]) is not None
    assert compare.difference([found], [expected], loose=True) is not None
    assert compare.difference([expected], [expected]) is None


def test_rounding_beside_zero_is_let_pass_where_there_are_no_doubles() -> None:
    expected = torch.linspace(-1, 1, 999)[None]  # with 0 in the middle
    found = expected + 1e-6
    assert compare.difference([found], [expected], loose=True) is None
    assert compare.difference([expected + 1e-3], [expected], loose=True) is not None


def test_nan_and_infinity_are_equal_to_themselves_and_to_nothing_else() -> None:
    odd = torch.tensor([torch.nan, torch.inf, -torch.inf, 1.0])
    assert compare.difference([odd], [odd.clone()]) is None
    for place in range(4):
        other = odd.clone()
        other[place] = 7.0
        for loose in (False, True):
            assert compare.difference([other], [odd], loose=loose) is not None
            assert compare.difference([odd], [other], loose=loose) is not None


def test_a_model_without_a_tensor_in_its_answer_cannot_be_compared_and_says_so() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3))
    model.register_forward_hook(lambda *_: 3)
    with pytest.raises(PruningError, match=r"returns no tensor .*register_dataclass"):
        ChannelGraph.trace(model, (images(),))


class Branches(nn.Module):
    """Another path for some widths, which half of the channels and one of them do not take."""

    def __init__(self, wrong: Callable[[int], bool]) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 32, 3), nn.Conv2d(32, 16, 3)
        self.last = nn.Conv2d(16, 5, 1)
        self.wrong = wrong

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y: Tensor = self.last(self.second(x * 1.5 if self.wrong(x.shape[1]) else x))
        return y


@pytest.mark.parametrize("rest", [2, 3, 5, 6, 7])
def test_a_branch_between_half_the_channels_and_one_is_found(rest: int) -> None:
    graph = ChannelGraph.trace(Branches(lambda n: n % 8 == rest), (images(),))
    assert graph.names == ("second",)
    assert "differs" in graph.frozen[0].reason


def test_the_turns_leave_every_remainder_and_every_count_of_few() -> None:
    for number in range(3):
        many = {int(between(turn)(40, number).sum()) % ROUNDS for turn in range(ROUNDS)}
        few = {int(between(turn)(5, number).sum()) for turn in range(ROUNDS)}
        assert many == set(range(ROUNDS))
        assert few == {1, 2, 3, 4}


def test_a_plan_that_no_trial_resembled_is_checked_on_demand() -> None:
    model = Branches(lambda n: n == 25)
    graph = ChannelGraph.trace(model, (images(),))
    if "first" not in graph.names:
        pytest.fail("choose a width that no trial has")
    graph.plan({"first": 24}).check(model, (images(),))
    with pytest.raises(PruningError, match=r"is not the original .*differs .*another number"):
        graph.plan({"first": 25}).check(model, (images(),))


class Auxiliary(nn.Module):
    """A second head that only training reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 16, 3), nn.Conv2d(16, 8, 3)
        self.norm, self.drop = nn.BatchNorm2d(8), nn.Dropout(0.5)
        self.aux, self.head = nn.Conv2d(16, 5, 1), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.first(x)
        out: Tensor = self.head(self.drop(self.norm(self.second(x))).mean((2, 3)))
        return (out, self.aux(x).mean((2, 3))) if self.training else out


def test_channels_that_only_training_reads_elsewhere_stay_and_the_weight_is_named() -> None:
    model = Auxiliary()
    before = torch.random.get_rng_state()
    graph = ChannelGraph.trace(model, (images(),))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert graph.names == ("second",)
    assert graph.frozen[0].name == "first"
    assert "in training mode the model raises RuntimeError" in graph.frozen[0].reason
    assert "only training reads aux.weight" in graph.frozen[0].reason
    small = graph.plan({"second": 4}).apply(model).train()
    assert [tuple(y.shape) for y in small(images())] == [(2, 5), (2, 5)]


def test_a_model_that_wants_other_arguments_in_training_is_traced_all_the_same() -> None:
    class Detector(Auxiliary):
        def forward(self, x: Tensor, targets: Tensor | None = None) -> Tensor:
            if self.training and targets is None:
                raise ValueError("targets are needed")
            return self.head(self.second(self.first(x)).mean((2, 3)))  # type: ignore[no-any-return]

    assert ChannelGraph.trace(Detector(), (images(),)).names == ("first", "second")


def test_a_plan_for_another_wiring_of_the_same_layers_is_found_by_its_check() -> None:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1)
            self.head = nn.Conv2d(8, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.head(self.second(self.first(x).relu()).relu())
            return out

    class Residual(Plain):
        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x).relu()
            out: Tensor = self.head(self.second(x).relu() + x)
            return out

    plan = ChannelGraph.trace(Plain(), (images(),)).plan({"first": [0, 2, 5], "second": [1, 6, 7]})
    plan.check(Plain(), (images(),))
    with pytest.raises(PruningError, match=r"the pruned Residual is not the original"):
        plan.check(Residual(), (images(),))
