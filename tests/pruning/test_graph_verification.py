"""Verification finds what the rules alone believe to be sound."""

import operator
from collections.abc import Callable

import pytest
import torch
from layers import Head, Lambda, conv, images
from torch import Tensor, nn

from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.models import BasicBlock, build
from swarmopt_pruning.rules import RULES


def test_a_width_written_into_the_code_is_found_by_verification_and_frozen() -> None:
    model = Head(nn.Sequential(conv(3, 6), Lambda(lambda x: x.view(-1, 6, 8, 8)), conv(6, 5)), 5)
    loose = ChannelGraph.trace(model, (images(),), verify=False)
    strict = ChannelGraph.trace(model, (images(),))
    assert loose.names == ("body.0.0", "body.2.0")
    assert strict.names == ("body.2.0",)
    assert "raises RuntimeError when it is cut" in strict.frozen[0].reason


def test_a_wrong_rule_is_caught_by_verification(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "roll", RULES["relu"])  # as if nothing moved
    body = nn.Sequential(conv(3, 6), Lambda(lambda x: x.roll(1, 1)), conv(6, 5))
    loose = ChannelGraph.trace(Head(body, 5), (images(),), verify=False)
    strict = ChannelGraph.trace(Head(body, 5), (images(),))
    assert loose.names == ("body.0.0", "body.2.0")
    assert strict.names == ("body.2.0",)
    assert strict.frozen[0].reason.startswith("the output differs by")


class Dislikes(nn.Module):
    """Answers otherwise where the first width is cut and the second compares so with 5."""

    def __init__(self, compares: Callable[[int, int], bool]) -> None:
        super().__init__()
        self.first, self.second, self.fc = conv(3, 6), conv(6, 5), nn.Linear(5, 2)
        self.compares = compares

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        y = self.second(x)
        if x.shape[1] < 6 and self.compares(y.shape[1], 5):
            y = y.neg()
        out: Tensor = self.fc(y.mean((2, 3)))
        return out


def test_a_group_that_only_fails_without_another_is_found() -> None:
    graph = ChannelGraph.trace(Dislikes(operator.eq), (images(),))
    assert graph.names == ("second.0",)
    assert graph.frozen[0].reason.startswith("the output differs")


def test_groups_that_only_fail_together_are_found() -> None:
    graph = ChannelGraph.trace(Dislikes(operator.lt), (images(),))
    assert graph.names == ("first.0",)
    assert graph.frozen[0].reason.startswith("together with other groups the output differs")


def test_a_branch_that_is_silent_before_training_is_verified_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RULES, "roll", RULES["relu"])
    block = BasicBlock(6, 6, 1, "B")
    nn.init.zeros_(block.bn2.weight)
    block.bn1 = nn.Sequential(block.bn1, Lambda(lambda x: x.roll(1, 1)))  # type: ignore[assignment]
    graph = ChannelGraph.trace(Head(nn.Sequential(conv(3, 6), block), 6), (images(),))
    assert graph.names == ("body.0.0",)


def test_a_model_of_half_precision_is_verified_with_its_own_rounding() -> None:
    model, x = build("digits-resnet").bfloat16(), images(1).bfloat16()
    graph = ChannelGraph.trace(model, (x,))
    assert len(graph.groups) == 6
    small = graph.plan({"stem": 5}).apply(model)
    assert small.get_parameter("stem.weight").dtype == torch.bfloat16
