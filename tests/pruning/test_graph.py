"""Groups are right when cutting them gives the network that has zeros in their place."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning.cost import count_macs, count_params
from swarmopt_pruning.errors import NotExportable, PruningError, UnknownName
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.models import BasicBlock, build
from swarmopt_pruning.rules import RULES
from swarmopt_pruning.trace import Role
from swarmopt_pruning.verify import randomised

torch.set_num_threads(1)


def images(channels: int = 3, size: int = 8) -> Tensor:
    return torch.randn(2, channels, size, size, generator=torch.Generator().manual_seed(1))


def conv(n_in: int, n_out: int, kernel: int = 3, **options: int) -> nn.Sequential:
    options = {"padding": kernel // 2, **options}
    layer = nn.Conv2d(n_in, n_out, kernel, **options)  # type: ignore[arg-type]
    return nn.Sequential(layer, nn.BatchNorm2d(n_out), nn.ReLU())


class Head(nn.Module):
    """Body, global pooling, classifier."""

    def __init__(self, body: nn.Module, width: int) -> None:
        super().__init__()
        self.body, self.fc = body, nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(self.body(x).mean((2, 3)))
        return out


class TwoPaths(nn.Module):
    """Stem and two layers whose results are combined by a function."""

    def __init__(
        self, one: nn.Module, other: nn.Module, combine: Callable[[Tensor, Tensor, Tensor], Tensor]
    ) -> None:
        super().__init__()
        self.stem, self.one, self.other = conv(3, 8), one, other
        self.combine = combine

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.combine(x, self.one(x), self.other(x))


class Lambda(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Scaled(nn.Module):
    """A learnable scale, an offset kept as a buffer, and slopes, one for each channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.linspace(0.5, 1.5, width).view(width, 1, 1))
        self.offset: Tensor
        self.register_buffer("offset", torch.linspace(1, 2, width).view(1, width, 1, 1))
        self.slopes = nn.PReLU(width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.slopes(x * self.scale + self.offset)
        return out


def shuffle(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, 4, c // 4, h, w).transpose(1, 2).flatten(1, 2)


@functools.cache
def networks() -> dict[str, tuple[nn.Module, Tensor]]:
    grouped = nn.Sequential(conv(3, 8), conv(8, 12, groups=4), conv(12, 6, 1))
    shuffled = nn.Sequential(
        conv(3, 8), conv(8, 16, 1, groups=4), Lambda(shuffle), conv(16, 16, 1, groups=4)
    )
    concat = TwoPaths(conv(8, 6), conv(8, 7, 1), lambda x, a, b: torch.cat([a, x, b], 1))
    attention = TwoPaths(conv(8, 6), nn.Conv2d(8, 1, 1), lambda _, a, b: a * b.sigmoid())
    scaled = nn.Sequential(conv(3, 6), Scaled(6), conv(6, 5))
    plain_norm = nn.Sequential(
        nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, affine=False), nn.Sigmoid(), nn.Conv2d(6, 5, 3)
    )
    gated = nn.Sequential(conv(3, 8), nn.GLU(dim=1), conv(4, 5))
    stacked = TwoPaths(conv(8, 8), conv(8, 8), lambda *paths: torch.stack(paths, 1).sum(1))
    chosen = TwoPaths(conv(8, 8), conv(8, 8), lambda x, a, b: torch.where(x > 0.1, a, b))
    mlp = nn.Sequential(nn.Linear(12, 9), nn.GELU(), nn.Linear(9, 7, bias=False), nn.Linear(7, 3))
    return {
        "sequential": (build("digits-cnn"), images(1)),
        "residual identity": (
            Head(nn.Sequential(conv(3, 6), BasicBlock(6, 6, 1, "B")), 6),
            images(),
        ),
        "residual projection": (build("digits-resnet"), images(1)),
        "concat": (Head(concat, 21), images()),
        "spatial attention": (Head(attention, 6), images()),
        "parameter for each channel": (Head(scaled, 5), images()),
        "norm without weights": (Head(plain_norm, 5), images()),
        "grouped": (Head(grouped, 6), images()),
        "shuffle": (Head(shuffled, 16), images()),
        "gated": (Head(gated, 5), images()),
        "sum of a stack": (Head(stacked, 8), images()),
        "choice by a condition": (Head(chosen, 8), images()),
        "linear": (mlp, torch.randn(2, 12)),
        "linear over a sequence": (mlp, torch.randn(2, 4, 12)),
    }


def random_counts(graph: ChannelGraph, rng: np.random.Generator) -> dict[str, int]:
    return {g.name: int(rng.integers(1, g.n_units + 1)) * g.block for g in graph.groups}


@functools.cache
def traced(name: str) -> tuple[nn.Module, Tensor, ChannelGraph]:
    """Return a network with random weights and its graph as the rules alone see it."""
    model, x = networks()[name]
    model = randomised(model, (x,)).eval()
    return model, x, ChannelGraph.trace(model, (x,), verify=False)


@pytest.mark.parametrize("name", networks())
def test_the_pruned_network_equals_its_masked_twin_and_the_closed_forms(
    name: str, thorough: bool
) -> None:
    model, x, graph = traced(name)
    assert graph.groups
    whole = model(x)
    rng = np.random.default_rng(7)
    counted = 6 if thorough else 2
    for number in range(20 if thorough else 5):
        counts = random_counts(graph, rng)
        plan = graph.plan(counts, importance="random", seed=int(rng.integers(99)))
        small, masked = plan.apply(model), plan.mask(model)
        with torch.no_grad():
            expected = masked(x)
            scale = float(expected.abs().max())
            for found in (small(x), plan.call(model, x)):
                torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * max(1, scale))
        row = np.array([list(counts.values())])
        assert number >= counted or graph.macs(row).tolist() == [count_macs(small, (x,))]
        assert graph.params(row).tolist() == [count_params(small)]
        assert {n: len(kept) for n, kept in plan.kept.items()} == counts
    torch.testing.assert_close(model(x), whole, rtol=0, atol=0)


@pytest.mark.parametrize("name", [name for name in networks() if name != "residual projection"])
def test_verification_freezes_nothing_that_is_sound(name: str) -> None:
    model, x, loose = traced(name)
    strict = ChannelGraph.trace(model, (x,))
    assert strict.groups == loose.groups
    assert strict.frozen == loose.frozen


def test_channels_of_a_residual_stream_are_one_group_named_by_its_first_layer() -> None:
    graph = ChannelGraph.trace(build("digits-resnet", widths=(4, 6, 8)), (images(1),), verify=False)
    assert [(g.name, g.width, g.block) for g in graph.groups] == [
        ("stem", 4, 1),
        ("layer1.0.conv1", 4, 1),
        ("layer2.0.conv1", 6, 1),
        ("layer2.0.conv2", 6, 1),
        ("layer3.0.conv1", 8, 1),
        ("layer3.0.conv2", 8, 1),
    ]
    stream = {place.tensor for place in graph.groups[3].where if place.role is Role.FILTER}
    assert stream == {"layer2.0.conv2.weight", "layer2.0.shortcut.conv.weight"}
    assert [(f.name, f.width) for f in graph.frozen] == [("fc", 10)]
    assert "output" in graph.frozen[0].reason


def test_channels_beside_zero_padding_stay_and_the_padded_ones_are_one_stream() -> None:
    model = build("resnet20", widths=(4, 8, 12), shortcut="A")
    graph = ChannelGraph.trace(model, (images(),), verify=False)
    stem = graph.groups[0]
    assert (stem.name, stem.width) == ("stem", 4)
    written = {p.tensor for p in stem.where if p.role is Role.FILTER}
    assert {"layer1.2.conv2.weight", "layer2.0.conv2.weight", "layer3.2.conv2.weight"} <= written
    frozen = {f.name: (f.width, f.reason) for f in graph.frozen}
    assert frozen["layer2.0.conv2"][0] == 4
    assert "padding" in frozen["layer3.0.conv2"][1]


def test_a_depthwise_convolution_belongs_to_the_group_of_its_input() -> None:
    body = nn.Sequential(conv(3, 6), conv(6, 12, groups=6), conv(12, 5, 1))
    graph = ChannelGraph.trace(Head(body, 5), (images(),))
    assert [(g.name, g.width) for g in graph.groups] == [("body.0.0", 6), ("body.2.0", 5)]
    small = graph.plan({"body.0.0": 4}).apply(Head(body, 5))
    layer = small.get_submodule("body.1.0")
    assert isinstance(layer, nn.Conv2d)
    assert (layer.in_channels, layer.out_channels, layer.groups) == (4, 8, 4)


def test_a_grouped_convolution_loses_equally_much_in_every_block() -> None:
    body = nn.Sequential(conv(3, 8), conv(8, 12, groups=4), conv(12, 6, 1))
    model = Head(body, 6)
    graph = ChannelGraph.trace(model, (images(),))
    assert [(g.width, g.block) for g in graph.groups] == [(8, 4), (12, 4), (6, 1)]
    small = graph.plan({"body.1.0": [0, 2, 3, 5, 6, 8, 9, 11]}).apply(model)
    layer = small.get_submodule("body.1.0")
    assert isinstance(layer, nn.Conv2d)
    assert (layer.in_channels, layer.out_channels, layer.groups) == (8, 8, 4)
    with pytest.raises(PruningError, match=r"\[1, 4, 7, 10\] are cut together"):
        graph.plan({"body.1.0": [0, 3, 6, 9, 1]})
    with pytest.raises(PruningError, match=r"cannot keep 6 channels; it has 12, and 4\.\.12 in st"):
        graph.plan({"body.1.0": 6})


def test_a_frozen_model_is_pruned_like_any_other() -> None:
    model = build("digits-resnet")
    free = ChannelGraph.trace(model, (images(1),))
    counts = random_counts(free, np.random.default_rng(0))
    expected = free.plan(counts)
    model.requires_grad_(requires_grad=False)
    frozen = ChannelGraph.trace(model, (images(1),))
    assert frozen.groups == free.groups
    assert frozen.plan(counts) == expected
    assert not any(p.requires_grad for p in frozen.plan(counts).apply(model).parameters())


def test_tracing_leaves_the_model_alone_whatever_mode_it_is_in() -> None:
    model = build("digits-resnet").train()
    model.get_submodule("layer1").eval()
    modes = [module.training for module in model.modules()]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ChannelGraph.trace(model, (images(1),))
    assert [module.training for module in model.modules()] == modes
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_an_operator_without_a_rule_freezes_what_it_reads_and_is_named() -> None:
    body = nn.Sequential(conv(3, 6), conv(6, 8), Lambda(lambda x: x.cumsum(1)), conv(8, 5))
    strange = Lambda(lambda x: (x + 1.5).lgamma())
    unknown = nn.Sequential(conv(3, 6), conv(6, 8), strange, conv(8, 5))
    graph = ChannelGraph.trace(Head(body, 5), (images(),))
    assert [g.name for g in graph.groups] == ["body.0.0", "body.3.0"]
    assert "cumsum" in {f.name: f.reason for f in graph.frozen}["body.1.0"]
    graph = ChannelGraph.trace(Head(unknown, 5), (images(),))
    assert [g.name for g in graph.groups] == ["body.0.0", "body.3.0"]
    assert "aten.lgamma.default, which has no rule" in graph.frozen[0].reason


@pytest.mark.parametrize(
    ("norm", "operator"), [(nn.GroupNorm(1, 8), "group_norm"), (nn.LayerNorm([8, 8, 8]), "layer_")]
)
def test_a_norm_over_several_channels_freezes_them(norm: nn.Module, operator: str) -> None:
    body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), norm, conv(8, 5), conv(5, 4))
    graph = ChannelGraph.trace(Head(body, 4), (images(),))
    assert [g.name for g in graph.groups] == ["body.2.0", "body.3.0"]
    assert operator in graph.frozen[0].reason


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda x: x.mean(1, keepdim=True) * x, "aten.mean.dim runs over the channels"),
        (lambda x: functional.pad(x, (0, 0, 0, 0, -1, 1)), "crops channels"),
        (lambda x: x[:, :, None].mul(x[:, None]).flatten(1, 2), "two sets of channels"),
        (lambda x: torch.cat(x.split([4, 2], 1)[::-1], 1), "unequal parts"),
        (lambda x: x.narrow(1, 0, 4).exp(), "apart at fixed indices"),
        (
            lambda x: functional.max_pool2d(x.transpose(1, 2), 2),
            "max_pool2d.default runs over the channels",
        ),
        (lambda x: x * torch.ones(6, 1, 1), "lines up in aten.mul.Tensor with an input"),
        (lambda x: torch.sigmoid(x.sum((1, 2, 3), keepdim=True)) * x, "aten.sum.dim_IntList"),
        (lambda x: x.std() * x, "aten.std.correction runs over"),
    ],
)
def test_what_cannot_be_followed_is_frozen_with_its_reason(
    function: Callable[[Tensor], Tensor], reason: str
) -> None:
    body = nn.Sequential(conv(3, 6), Lambda(function), conv(function(images(6)).shape[1], 5))
    graph = ChannelGraph.trace(Head(body, 5), (images(),), verify=False)
    assert graph.names == ("body.2.0",)
    assert reason in graph.frozen[0].reason


@pytest.mark.parametrize(
    "function",
    [
        lambda x: functional.pad(
            functional.interpolate(x, scale_factor=2), (1, 1, 1, 1), "reflect"
        ),
        lambda x: x.unsqueeze(2).expand(-1, -1, 3, -1, -1).mean(2),
        lambda x: x[:, :, 1:-1, ::2].contiguous().clamp(0, 1) ** 2,
        lambda x: torch.cat([x, x.flip(1)], 1).unbind(2)[0].unsqueeze(-1),
        lambda x: x * (x > 0.1) - x.softmax(-1) + x.view(2, -1, 64).mean(-1)[..., None, None],
        lambda x: torch.cat([x.flatten(2), x.new_ones(2, 2, 64)], 1).view(2, -1, 8, 8),
        lambda x: x.chunk(1, 1)[0] + torch.ones(()) * x.chunk(2, 2)[0].mean(2, keepdim=True),
    ],
)
def test_what_only_moves_or_maps_channels_leaves_them_free(
    function: Callable[[Tensor], Tensor],
) -> None:
    body = nn.Sequential(conv(3, 6), Lambda(function), conv(function(images(6)).shape[1], 5))
    graph = ChannelGraph.trace(Head(body, 5), (images(),))
    assert graph.names == ("body.0.0", "body.2.0")


def test_products_of_activations_are_measured_and_named() -> None:
    def gram(x: Tensor) -> Tensor:
        flat = x.flatten(2)
        return (flat @ flat.transpose(1, 2)).unsqueeze(1)

    model = nn.Sequential(conv(3, 6), conv(6, 8), Lambda(gram), nn.Flatten(), nn.Linear(64, 5))
    graph = ChannelGraph.trace(model, (images(),))
    assert graph.names == ("0.0",)
    assert graph.fixed_operators == ("aten.matmul.default",)
    counts = np.array([[4], [6]])
    measured = [count_macs(graph.plan({"0.0": n}).apply(model), (images(),)) for n in (4, 6)]
    assert graph.macs(counts).tolist() == measured


def test_a_width_written_into_the_code_is_found_by_verification_and_frozen() -> None:
    model = Head(nn.Sequential(conv(3, 6), Lambda(lambda x: x.view(-1, 6, 8, 8)), conv(6, 5)), 5)
    loose = ChannelGraph.trace(model, (images(),), verify=False)
    strict = ChannelGraph.trace(model, (images(),))
    assert loose.names == ("body.0.0", "body.2.0")
    assert strict.names == ("body.2.0",)
    assert "raises RuntimeError when it is cut" in strict.frozen[0].reason


def test_channels_taken_by_fixed_indices_are_frozen() -> None:
    model = Head(nn.Sequential(conv(3, 6), Lambda(lambda x: x[:, 1:5]), conv(4, 5)), 5)
    graph = ChannelGraph.trace(model, (images(),), verify=False)
    assert graph.names == ("body.2.0",)
    assert "fixed indices" in graph.frozen[0].reason


def test_a_wrong_rule_is_caught_by_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "roll", RULES["relu"])  # as if nothing moved
    body = nn.Sequential(conv(3, 6), Lambda(lambda x: x.roll(1, 1)), conv(6, 5))
    loose = ChannelGraph.trace(Head(body, 5), (images(),), verify=False)
    strict = ChannelGraph.trace(Head(body, 5), (images(),))
    assert loose.names == ("body.0.0", "body.2.0")
    assert strict.names == ("body.2.0",)
    assert strict.frozen[0].reason.startswith("the output differs by")


def test_a_group_that_only_fails_without_another_is_found() -> None:
    class Dislikes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.fc = conv(3, 6), conv(6, 5), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            y = self.second(x)
            if x.shape[1] < 6 and y.shape[1] == 5:
                y = y.neg()
            out: Tensor = self.fc(y.mean((2, 3)))
            return out

    graph = ChannelGraph.trace(Dislikes(), (images(),))
    assert graph.names == ("second.0",)
    assert graph.frozen[0].reason.startswith("the output differs")


def test_groups_that_only_fail_together_are_found() -> None:
    class Dislikes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.fc = conv(3, 6), conv(6, 5), nn.Linear(5, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            y = self.second(x)
            if x.shape[1] < 6 and y.shape[1] < 5:
                y = y.neg()
            out: Tensor = self.fc(y.mean((2, 3)))
            return out

    graph = ChannelGraph.trace(Dislikes(), (images(),))
    assert graph.names == ("first.0",)
    assert graph.frozen[0].reason.startswith("together with other groups the output differs")


def test_channels_behind_a_layer_over_the_pixels_are_not_taken_apart() -> None:
    tokens = nn.Sequential(conv(3, 6), nn.Flatten(2), nn.Linear(64, 10), nn.ReLU())
    model = nn.Sequential(tokens, nn.Linear(10, 4), nn.Flatten(), nn.Linear(24, 3))
    graph = ChannelGraph.trace(model, (images(),), verify=False)
    assert [(g.name, g.width) for g in graph.groups] == [("0.2", 10), ("1", 4)]
    assert graph.frozen[0].reason == "it can only be cut as a whole"


def test_a_branch_that_is_silent_before_training_is_verified_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RULES, "roll", RULES["relu"])
    block = BasicBlock(6, 6, 1, "B")
    nn.init.zeros_(block.bn2.weight)
    block.bn1 = nn.Sequential(block.bn1, Lambda(lambda x: x.roll(1, 1)))  # type: ignore[assignment]
    graph = ChannelGraph.trace(Head(nn.Sequential(conv(3, 6), block), 6), (images(),))
    assert graph.names == ("body.0.0",)


def test_a_weight_that_is_computed_or_read_elsewhere_is_frozen() -> None:
    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
            return functional.conv2d(x, weight, self.bias, padding=1)

    class Penalised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(8, 6, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.conv(x) * self.conv.weight.abs().sum()
            return out

    body = nn.Sequential(conv(3, 6), Standardised(6, 7, 3, padding=1), conv(7, 8), Penalised())
    graph = ChannelGraph.trace(Head(body, 6), (images(),))
    assert graph.names == ()
    assert {f.name: f.width for f in graph.frozen}["body.3.conv"] == 6
    assert (
        graph.macs(np.zeros((3, 0), dtype=int)).tolist()
        == [count_macs(Head(body, 6), (images(),))] * 3
    )


def test_layers_of_another_kind_freeze_only_what_they_touch() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = conv(3, 6), conv(6, 5)
            self.lstm = nn.LSTM(5, 4, batch_first=True)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            x = self.second(self.first(x))
            return {"last": self.lstm(x.flatten(2).transpose(1, 2))[0][:, -1]}

    graph = ChannelGraph.trace(Reads(), (images(),))
    assert graph.names == ("first.0",)
    frozen = {f.name: (f.width, f.reason) for f in graph.frozen}
    assert list(frozen) == ["second.0", "lstm.weight_ih_l0", "lstm.weight_hh_l0"]
    assert frozen["second.0"][0] == 5
    assert all("aten.lstm" in reason for _, reason in frozen.values())


def test_a_model_of_half_precision_is_verified_with_its_own_rounding() -> None:
    model, x = build("digits-resnet").bfloat16(), images(1).bfloat16()
    graph = ChannelGraph.trace(model, (x,))
    assert len(graph.groups) == 6
    small = graph.plan({"stem": 5}).apply(model)
    assert small.get_parameter("stem.weight").dtype == torch.bfloat16


def test_layers_that_do_not_fit_their_rule_are_frozen_and_their_cost_is_measured() -> None:
    class Halved(nn.Module):
        """Layers whose weights are computed from parameters."""

        def __init__(self) -> None:
            super().__init__()
            self.up = nn.Parameter(torch.randn(6, 5, 2, 2))
            self.out = nn.Parameter(torch.randn(4, 5))

        def forward(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
            x = functional.conv_transpose2d(x, self.up / 2)
            return functional.linear(x.mean((2, 3)), self.out / 2), [x]

    model = nn.Sequential(conv(3, 4), conv(4, 6), Halved())
    graph = ChannelGraph.trace(model, (images(),))
    assert graph.names == ("0.0",)
    assert "aten.conv_transpose2d.input has a computed weight" in graph.frozen[0].reason
    assert set(graph.fixed_operators) == {
        "aten.conv_transpose2d.input",
        "aten.linear.default",
    }
    small = graph.plan({"0.0": 3}).apply(model)
    assert graph.macs(np.array([[3]])).tolist() == [count_macs(small, (images(),))]


def test_one_image_without_a_batch_dimension_freezes_its_convolution() -> None:
    class Unbatched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.second(self.first(x)[0])
            return out

    graph = ChannelGraph.trace(Unbatched(), (images(),))
    assert graph.groups == ()
    assert "without a batch dimension" in graph.frozen[0].reason


def test_an_example_without_a_tensor_is_refused() -> None:
    with pytest.raises(PruningError, match="no tensor with a batch dimension"):
        ChannelGraph.trace(Lambda(lambda x: images() * x), (2,))


def test_a_model_that_looks_at_values_is_not_exportable_and_the_line_is_named() -> None:
    class Decides(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            if x.sum() > 0:
                return x
            return -x

    with pytest.raises(NotExportable, match=r"`if x\.sum\(\) > 0:` \(line \d+ of test_graph"):
        ChannelGraph.trace(nn.Sequential(conv(3, 6), Decides()), (images(),))


def test_an_example_that_does_not_fit_is_told_from_a_model_that_does_not_export() -> None:
    with pytest.raises(PruningError, match="does not run on the example") as caught:
        ChannelGraph.trace(build("digits-cnn"), (images(2),))
    assert not isinstance(caught.value, NotExportable)
    with pytest.raises(TypeError, match=r"pass \(images,\)"):
        ChannelGraph.trace(build("digits-cnn"), images(1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"conv1": 0}, r"cannot keep 0 channels; it has 16, and 1\.\.16 are possible"),
        ({"conv1": 17}, "cannot keep 17 channels"),
        ({"conv1": []}, "at least one index"),
        ({"conv1": [0, 16]}, r"has channels 0\.\.15, so there is no 16"),
        ({"conv1": [-1]}, "there is no -1"),
        ({"conv1": [3, 3]}, "listed twice"),
        ({"conv1": 2.5}, "expected a number of channels or a list"),
        ({"conv1": True}, "expected a number of channels or a list"),
        ([1, 2], r"expected a dictionary from groups .*got \[1, 2\]"),
        ({"conv11": 3}, "no group named 'conv11'; did you mean 'conv1'"),
    ],
)
def test_an_impossible_choice_is_refused_with_what_is_possible(choice: Any, message: str) -> None:
    graph = ChannelGraph.trace(build("digits-cnn"), (images(1),), verify=False)
    with pytest.raises(PruningError, match=message):
        graph.plan(choice)


def test_listed_channels_stay_and_groups_that_are_not_named_are_whole() -> None:
    model = build("digits-cnn")
    graph = ChannelGraph.trace(model, (images(1),), verify=False)
    plan = graph.plan({"conv2": [9, 0, 4]})
    assert plan.kept["conv2"] == (0, 4, 9)
    assert plan.kept["conv1"] == tuple(range(16))
    small = plan.apply(model)
    torch.testing.assert_close(
        small.get_parameter("conv2.weight"), model.get_parameter("conv2.weight")[[0, 4, 9]]
    )


def test_scores_of_ones_own_decide_and_have_to_fit() -> None:
    graph = ChannelGraph.trace(build("digits-cnn"), (images(1),), verify=False)
    scores = {"conv1": np.arange(16.0)}
    assert graph.plan({"conv1": 3}, importance=scores).kept["conv1"] == (13, 14, 15)
    with pytest.raises(PruningError, match=r"shape \(15,\), expected \(16,\)"):
        graph.plan({"conv1": 3}, importance={"conv1": np.arange(15.0)})
    with pytest.raises(UnknownName, match="given scores"):
        graph.plan({"conv2": 3}, importance=scores)
    with pytest.raises(PruningError, match=r"have 1 NaN of 16.*-inf"):
        graph.plan({"conv1": 3}, importance={"conv1": np.array([np.nan] + [1.0] * 15)})
    with pytest.raises(PruningError, match=r"expected a name, one of l1.* got None"):
        graph.plan({"conv1": 3}, importance=None)  # type: ignore[arg-type]
