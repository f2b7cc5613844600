"""The score of a structure: that of the network which `refitted` builds, and nothing else moves."""

import copy
import itertools
import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning import Images, build, load_data
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.models import MODELS
from swarmopt_pruning.moments import measure_moments
from swarmopt_pruning.score import Scorer
from swarmopt_pruning.train import accuracy_and_loss, recalibrate

Ints = NDArray[np.int64]
QUICK = {"tiny-grouped", "tiny-shared", "tiny-unet", "digits-cnn"}
SMALL = [
    pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow])
    for name in MODELS
    if name.startswith(("tiny-", "digits-"))
]


def images(model: nn.Module, n: int = 60) -> Images:
    """Make noisy images that the network itself labels, so that accuracies differ."""
    rng = torch.Generator().manual_seed(1)
    n_in = next(p for p in model.parameters() if p.dim() > 2).shape[1]
    x = torch.rand(n, n_in, 8, 8, generator=rng)
    with torch.no_grad():
        return Images(x, (model(x) - model(x).mean(0)).argmax(dim=1))


def scorer(model: nn.Module) -> Scorer:
    model.eval()
    data = images(model)
    graph = ChannelGraph.trace(model, (data.x[:2],))
    moments = measure_moments(model, set(graph.reads), data.x)
    return Scorer(graph, model, graph.scores("l1"), moments, data[:45], data, batch=20)


def network(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build(name).eval()


def structures(found: Scorer, n: int = 3) -> list[Ints]:
    rng = np.random.default_rng(0)
    units, blocks = (
        np.array([getattr(g, a) for g in found.graph.groups]) for a in ("n_units", "block")
    )
    return [units * blocks, *(rng.integers(1, units + 1) * blocks for _ in range(n - 1))]


@cache
def ready(name: str) -> Scorer:
    """Return a scorer of a network by name; scoring changes nothing, see below."""
    return scorer(network(name))


def anew(found: Scorer, **changes: Any) -> Scorer:
    """Return a scorer of the same network that has not scored anything."""
    return replace(found, **changes)


@pytest.mark.parametrize("name", SMALL)
def test_the_score_is_that_of_the_network_which_is_refitted(name: str) -> None:
    for found, counts in itertools.product(
        (ready(name), anew(ready(name), moments={})), structures(ready(name))
    ):
        score, small = found.score(counts), found.refitted(counts)
        assert not any(module.training for module in small.modules())
        accuracy, loss = accuracy_and_loss(small, found.images)
        assert score.accuracy == accuracy
        assert score.loss == pytest.approx(loss, rel=1e-4)
        assert score.complete


@pytest.mark.parametrize("name", SMALL)
def test_without_refitting_it_is_the_pruned_network_recalibrated(name: str) -> None:
    found = anew(ready(name), moments={})
    for counts in structures(found):
        small = found.plan(counts).apply(found.model)
        recalibrate(small, found.calibration.x, batch=found.batch)
        wanted, inherited = small.state_dict(), found.refitted(counts).state_dict()
        for tensor, expected in wanted.items():
            if tensor.endswith("num_batches_tracked"):
                continue
            torch.testing.assert_close(inherited[tensor], expected, rtol=1e-4, atol=1e-5)
        assert found.score(counts).loss == pytest.approx(
            accuracy_and_loss(small, found.images)[1], rel=1e-4
        )


@pytest.mark.parametrize(
    "name", [pytest.param("digits-resnet", marks=pytest.mark.slow), "tiny-depthwise", "tiny-shared"]
)
def test_scoring_changes_neither_the_network_nor_its_modes(name: str) -> None:
    model = network(name)
    next(iter(model.children())).train()
    found = scorer(model)
    next(iter(model.children())).train()
    before = copy.deepcopy(model.state_dict())
    shapes = {n: vars(m).get("groups") for n, m in model.named_modules()}
    modes = [module.training for module in model.modules()]
    assert any(modes)
    first = [found.score(counts) for counts in structures(found)]
    again = [found.score(counts) for counts in structures(found)]
    assert first == again
    assert modes == [module.training for module in model.modules()]
    assert shapes == {n: vars(m).get("groups") for n, m in model.named_modules()}
    after: dict[str, Tensor] = model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_a_score_does_not_depend_on_what_was_scored_before() -> None:
    fresh = [anew(ready("digits-cnn")) for _ in range(4)]
    found = structures(fresh[0], 4)
    alone = [each.score(counts) for each, counts in zip(fresh, found, strict=True)]
    one = anew(ready("digits-cnn"))
    assert [one.score(counts) for counts in found] == alone
    assert [one.score(counts) for counts in found[::-1]] == alone[::-1]


def test_half_precision_counts_nearly_the_same_images() -> None:
    full, half = ready("digits-cnn"), anew(ready("digits-cnn"), dtype=torch.bfloat16)
    for counts in structures(full):
        a, b = full.score(counts), half.score(counts)
        assert b.loss == pytest.approx(a.loss, rel=0.05)
        assert abs(a.right - b.right) <= a.of / 6


def test_what_is_certain_to_be_out_does_not_see_the_rest() -> None:
    found = ready("digits-cnn")
    for counts in structures(found, 5)[1:]:
        whole = found.score(counts)
        wrong = whole.of - whole.right
        assert found.score(counts, wrong) == whole
        for most in (-1.0, 0.0, wrong / 2, wrong - 1):
            part = found.score(counts, most)
            assert wrong > most
            assert part.complete or part.seen - part.right > most
            assert part.seen % found.batch == 0
        assert found.score(counts, -1.0).seen == found.batch
        assert found.score(counts, math.inf).complete


@pytest.mark.parametrize("n", [1, 2, 3])
def test_few_images_are_enough(n: int) -> None:
    found = ready("digits-cnn")
    few = anew(found, images=found.images[:n])
    for counts in structures(few):
        score = few.score(counts)
        assert (score.seen, score.of) == (n, n)
        assert math.isfinite(score.loss)


def plain() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 12, 3), nn.ReLU(), nn.Conv2d(12, 8, 3, bias=False), nn.ReLU()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 10))


class Signals(nn.Module):
    """A network of one-dimensional signals."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(2, 8, 3), nn.BatchNorm1d(8), nn.ReLU(), nn.Conv1d(8, 6, 3)
        )
        self.fc = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc(functional.relu(self.body(x)).mean(2))
        return out


def test_a_network_without_normalisation_is_scored_too() -> None:
    found = scorer(plain())
    inherited = anew(found, moments={})
    assert (found._norms, found._pairs) == ((), [])
    gains = []
    for counts in structures(found, 6)[1:]:
        score = found.score(counts)
        assert score.accuracy == accuracy_and_loss(found.refitted(counts), found.images)[0]
        gains.append(score.loss < inherited.score(counts).loss)
    assert sum(gains) >= 4, "refitting should help nearly always"


def test_signals_are_scored_as_images_are() -> None:
    torch.manual_seed(0)
    model = Signals().eval()
    x = torch.randn(50, 2, 20)
    data = Images(x, model(x).argmax(dim=1).detach())
    graph = ChannelGraph.trace(model, (x[:2],))
    moments = measure_moments(model, set(graph.reads), x)
    found = Scorer(graph, model, graph.scores("l1"), moments, data, data, batch=20)
    counts = np.array([4, 3])
    assert found.score(counts).accuracy == accuracy_and_loss(found.refitted(counts), data)[0]


def test_the_whole_network_scores_as_the_network_recalibrated() -> None:
    data = load_data("digits")
    model = network("digits-cnn")
    graph = ChannelGraph.trace(model, (data.train.x[:2],))
    found = Scorer(graph, model, graph.scores("l1"), {}, data.train[:100], data.held_out)
    recalibrate(model, data.train.x[:100])
    assert found.score(graph.widths).loss == pytest.approx(
        accuracy_and_loss(model, data.held_out)[1], rel=1e-4
    )
