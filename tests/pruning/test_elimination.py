"""Channels go one after the other, those first that the others predict."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from swarmopt_pruning import ChannelGraph, build
from swarmopt_pruning.elimination import elimination_scores
from swarmopt_pruning.moments import measure_moments
from swarmopt_pruning.trace import first_names
from swarmopt_pruning.train import seeded


class Stack(nn.Module):
    """Two layers; the first one makes eight channels that the second one reads."""

    def __init__(self, groups: int = 1) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, padding=1)
        self.two = nn.Conv2d(8, 4, 3, padding=1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.two(self.one(x)).mean((2, 3))
        return found


def traced(model: nn.Module, images: Tensor) -> ChannelGraph:
    return ChannelGraph.trace(model.eval(), (images[:2],), verify=False)


def scores_of(
    model: nn.Module, images: Tensor, graph: ChannelGraph | None = None
) -> dict[str, np.ndarray]:
    graph = graph or traced(model, images)
    moments = measure_moments(model, set(graph.reads), images)
    return elimination_scores(graph, first_names(model)[0], moments)


@pytest.fixture
def stack() -> Stack:
    with seeded(0):
        return Stack()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def test_of_two_equal_channels_one_goes_first_and_the_other_stays_long(
    stack: Stack, images: Tensor
) -> None:
    with torch.no_grad():
        for tensor in stack.one.parameters():
            tensor[5] = tensor[2]
    order = scores_of(stack, images)["one"]
    assert sorted(order) == list(range(8))
    assert {2, 5} & set(np.argsort(order)[:2].tolist())


def test_a_channel_that_nobody_reads_goes_first(stack: Stack, images: Tensor) -> None:
    with torch.no_grad():
        stack.two.weight[:, 6] = 0
    assert scores_of(stack, images)["one"][6] == 0


def test_the_last_channel_is_the_one_that_alone_keeps_most(images: Tensor) -> None:
    """The sum of three channels is read; two of them hardly change."""
    with seeded(0):
        model = Stack()
    with torch.no_grad():
        model.one.weight *= torch.tensor([1e-3] * 7 + [1.0]).view(-1, 1, 1, 1)
    assert scores_of(model, images)["one"][7] == 7


@pytest.mark.slow
def test_each_group_of_a_network_has_scores_of_its_own_even_where_blocks_are_tied() -> None:
    images = torch.randn(32, 3, 8, 8, generator=torch.Generator().manual_seed(2))
    for name in ("tiny-grouped", "tiny-shuffle", "tiny-depthwise", "tiny-concat"):
        model = build(name)
        graph = traced(model, images)
        scores = scores_of(model, images, graph)
        for group, order in zip(graph.groups, scores.values(), strict=True):
            assert order.shape == (group.n_units,)
            assert np.isfinite(order).all()
