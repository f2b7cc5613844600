"""Closed forms agree with counters on networks that were really pruned."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from swarmopt_pruning.cost import QuadraticForm, count_macs, count_params
from swarmopt_pruning.errors import PruningError, UnknownName
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.models import MODELS, build

torch.set_num_threads(1)


def images(n: int, channels: int, size: int) -> Tensor:
    return torch.zeros(n, channels, size, size)


def test_macs_of_known_layers_are_those_of_the_textbook() -> None:
    conv = nn.Conv2d(3, 16, 3, padding=1)
    assert count_macs(conv, (images(2, 3, 32),)) == 32 * 32 * 16 * 3 * 9
    assert count_macs(nn.Linear(64, 10), (torch.zeros(5, 64),)) == 640
    assert count_params(conv) == 16 * 3 * 9 + 16


def test_resnet20_has_the_published_size() -> None:
    model = build("resnet20")
    assert count_macs(model, (images(1, 3, 32),)) == pytest.approx(40.55e6, rel=1e-3)
    assert count_params(model) == pytest.approx(0.27e6, rel=0.01)


FAST = {"digits-cnn", "digits-resnet", "tiny-grouped", "tiny-split"}
"""Models that are tried in every run."""


@pytest.mark.parametrize(
    ("name", "example"),
    [
        pytest.param(
            name,
            images(1, channels, size),
            marks=[] if name in FAST else pytest.mark.slow,
            id=name,
        )
        for name in MODELS
        for channels in [1 if name.startswith("digits") else 3]
        for size in [8 if name.startswith(("digits", "tiny")) else 32]
    ],
)
def test_closed_forms_equal_the_counters_on_pruned_networks(
    name: str, example: Tensor, thorough: bool
) -> None:
    model = build(name)
    graph = ChannelGraph.trace(model, (example,), verify=False)
    blocks = np.array([group.block for group in graph.groups])
    n = 50 if thorough else 8
    units = np.random.default_rng(3).integers(1, graph.widths // blocks + 1, (n, len(blocks)))
    counts = units * blocks
    pruned = [graph.plan(dict(zip(graph.names, row, strict=True))).apply(model) for row in counts]
    assert graph.macs(counts).tolist() == [count_macs(small, (example,)) for small in pruned]
    assert graph.params(counts).tolist() == [count_params(small) for small in pruned]
    assert graph.channels(counts).tolist() == counts.sum(axis=1).tolist()


def test_the_whole_network_costs_what_it_costs() -> None:
    model, example = build("digits-resnet"), (images(3, 1, 8),)
    graph = ChannelGraph.trace(model, example)
    assert graph.macs(graph.widths[None]).tolist() == [count_macs(model, example)]
    assert graph.params(graph.widths[None]).tolist() == [count_params(model)]
    assert graph.fixed_operators == ()


def test_cost_does_not_depend_on_the_number_of_images_or_the_mode() -> None:
    model = build("digits-resnet").train()
    one = count_macs(model, (images(1, 1, 8),))
    assert count_macs(model, (images(7, 1, 8),)) == one
    assert model.training
    assert model.get_submodule("layer2").training


def test_a_quadratic_form_is_exact_where_floats_of_32_bits_are_not() -> None:
    one, two, last = np.array([1, 2, 0]), np.array([0, 1, 0]), np.array([0, 0, 5])
    form = QuadraticForm.total(2, [(3, one, last), (10**9 + 1, two, two)])
    assert form(np.array([[1000, 7], [1, 1]])).tolist() == [
        3 * 2001 * 35 + (10**9 + 1) * 10**6,
        3 * 3 * 5 + 10**9 + 1,
    ]


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([1, 2, 3], r"shape \(3,\), expected \(candidates, 3\)"),
        ([[1, 2]], r"shape \(1, 2\), expected \(candidates, 3\)"),
        ([[1.0, 2.0, 3.0]], "float64, expected whole numbers"),
        ([[1, 2, 3], [1, 0, 3]], r"'conv2' cannot keep 0 channels \(candidate 1\)"),
        ([[17, 2, 3]], "'conv1' cannot keep 17"),
    ],
)
def test_impossible_counts_are_refused(counts: list[list[int]], message: str) -> None:
    graph = ChannelGraph.trace(build("digits-cnn"), (images(1, 1, 8),), verify=False)
    for measure in (graph.macs, graph.params, graph.channels):
        with pytest.raises(PruningError, match=message):
            measure(counts)


@pytest.mark.parametrize("name", MODELS)
def test_a_built_model_classifies_images(name: str) -> None:
    model = build(name, in_channels=2, n_classes=4).eval()
    assert model(images(3, 2, 8)).shape == (3, 4)


def test_a_misspelt_model_or_option_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UnknownName, match="did you mean 'my:Net'"):
        build("my.Net")
    with pytest.raises(UnknownName, match="did you mean 'digits-resnet'"):
        build("digit-resnet")
    with pytest.raises(UnknownName, match="known: digits-resnet, digits-cnn, resnet20"):
        build("zzz")
    with pytest.raises(UnknownName, match="did you mean 'shortcut'"):
        build("resnet20", shortcuts="A")
    with pytest.raises(PruningError, match="'A' or 'B'"):
        build("resnet20", shortcut="C")
    for name in ("digits-cnn", "digits-resnet"):
        with pytest.raises(PruningError, match="three numbers"):
            build(name, widths=(3, 4))


def test_shortcuts_b_cost_more_than_shortcuts_a() -> None:
    a, b = build("resnet20", shortcut="A"), build("resnet20", shortcut="B")
    assert count_params(b) - count_params(a) == 16 * 32 + 32 * 64 + 2 * (32 + 64)


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_a_layer_that_runs_once_for_all_images_is_counted_exactly(n: int) -> None:
    class Queries(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.queries, self.read = nn.Parameter(torch.randn(5, 12)), nn.Linear(12, 16)
            self.body, self.head = nn.Conv2d(3, 16, 3), nn.Linear(16, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            asked = self.read(self.queries).mean(0)
            out: torch.Tensor = self.head(self.body(x).mean((2, 3)) + asked)
            return out

    model, example = Queries(), (images(n, 3, 8),)
    graph = ChannelGraph.trace(model, example)
    assert len(graph.groups) == 1
    counts = np.array([[16], [7], [1]])
    pruned = [graph.plan({graph.names[0]: int(k)}).apply(model) for k in counts[:, 0]]
    assert graph.macs(counts).tolist() == [count_macs(small, example) for small in pruned]
