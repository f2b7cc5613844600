"""Taylor importance: how the loss changes when a channel goes, by gradients on some batches."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from swarmopt_pruning import ChannelGraph, PruningError, build, taylor_scores


def batch(seed: int, n: int = 6) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(n, 1, 8, 8, generator=rng), torch.randint(0, 10, (n,), generator=rng)


class Residual(nn.Module):
    """Two layers make the channels of one sum."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 5, 3, padding=1)
        self.second = nn.Conv2d(1, 5, 1)
        self.fc = nn.Linear(5, 10)

    def forward(self, x: Tensor, gate: Tensor | None = None) -> Tensor:
        gate = torch.ones(5) if gate is None else gate
        y = self.first(x) * gate.view(1, -1, 1, 1) + self.second(x) * gate.view(1, -1, 1, 1)
        logits: Tensor = self.fc(torch.relu(y).mean((2, 3)))
        return logits


class Plain(Residual):
    """The same without the gate."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        logits: Tensor = self.fc(torch.relu(self.first(x) + self.second(x)).mean((2, 3)))
        return logits


def test_a_score_is_the_squared_slope_of_a_gate_on_the_channel_of_all_its_makers() -> None:
    model = Plain()
    graph = ChannelGraph.trace(model, (batch(0)[0],))
    batches = [batch(1), batch(2)]
    expected = torch.zeros(5)
    for x, y in batches:
        gate = torch.ones(5, requires_grad=True)
        (slope,) = torch.autograd.grad(cross_entropy(Residual()(x, gate), y), gate)
        expected += slope.square() / 2
    found = taylor_scores(graph, model, batches)
    np.testing.assert_allclose(found["first"], expected.numpy(), rtol=1e-4, atol=1e-10)
    plan = graph.plan({"first": 2}, importance=found)
    assert plan.kept["first"] == tuple(sorted(expected.argsort(descending=True)[:2].tolist()))


def test_the_model_is_left_as_it_was_even_where_it_is_frozen() -> None:
    model = build("digits-resnet").train().requires_grad_(requires_grad=False)
    graph = ChannelGraph.trace(model, (batch(0)[0],), verify=False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    scores = taylor_scores(graph, model, [batch(1)])
    assert all((found > 0).any() for found in scores.values())
    assert all(p.grad is None and not p.requires_grad for p in model.parameters())
    assert all(module.training for module in model.modules())
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, before[name], rtol=0, atol=0)


def test_a_channel_that_nothing_reads_scores_nothing() -> None:
    model = build("digits-cnn")
    graph = ChannelGraph.trace(model, (batch(0)[0],), verify=False)
    with torch.no_grad():
        model.get_parameter("fc.weight")[:, [3, 17]] = 0
    scores = taylor_scores(graph, model, [batch(1)])["conv3"]
    assert np.flatnonzero(scores == 0).tolist() == [3, 17]


def test_without_batches_or_a_number_the_cure_is_named() -> None:
    model = build("digits-cnn")
    graph = ChannelGraph.trace(model, (batch(0)[0],), verify=False)
    with pytest.raises(PruningError, match=r"'taylor' needs gradients .* taylor_scores"):
        graph.plan({"conv1": 2}, importance="taylor")
    with pytest.raises(PruningError, match="got no batch"):
        taylor_scores(graph, model, [])
    x, y = batch(1)
    with pytest.raises(PruningError, match=r"batch 0 raises IndexError: Target 40 .* a pair of"):
        taylor_scores(graph, model, [(x, torch.full_like(y, 40))])
    losses: list[Callable[[Tensor, Tensor], Tensor]] = [
        lambda out, _: out.sum() * float("nan"),
        lambda out, _: out,
    ]
    for loss in losses:
        with pytest.raises(PruningError, match=r"loss of batch 0 is .*expected one finite number"):
            taylor_scores(graph, model, [batch(1)], loss=loss)
