"""Budgets are hard: on multiply-adds, on parameters, and on both together."""

from typing import Any

import numpy as np
import pytest
import torch

from swarmopt_pruning import Budget, ChannelGraph, PruningError, build, constrain
from swarmopt_pruning.cost import count_macs, count_params

EXAMPLE = (torch.zeros(1, 1, 8, 8),)


@pytest.fixture(scope="module")
def graph() -> ChannelGraph:
    return ChannelGraph.trace(build("digits-resnet"), EXAMPLE, verify=False)


@pytest.mark.parametrize("codes", ["group", "stage"])
@pytest.mark.parametrize(("macs", "params"), [(0.5, None), (None, 0.3), (0.5, 0.3), (0.2, 0.9)])
def test_no_repaired_candidate_exceeds_any_limit(
    graph: ChannelGraph, macs: float | None, params: float | None, codes: str
) -> None:
    constraints = constrain(graph.groups, codes=codes)
    unit = np.random.default_rng(0).random((300, len(constraints.space)))
    x = constraints.space.decode(unit)
    budget = Budget.of(graph, macs=macs, params=params)
    repaired = constraints.repair(x, budget)
    counts = constraints.counts(repaired)
    whole_macs, whole_params = graph.macs(graph.widths[None]), graph.params(graph.widths[None])
    assert (graph.macs(counts) <= (macs or 1) * whole_macs).all()
    assert (graph.params(counts) <= (params or 1) * whole_params).all()
    assert (repaired <= x).all()
    assert (repaired < x).any()
    assert np.array_equal(constraints.repair(repaired, budget), repaired)


def test_fitting_uses_what_the_tighter_limit_leaves(graph: ChannelGraph) -> None:
    constraints = constrain(graph.groups)
    for macs, params in ((0.5, 1.0), (1.0, 0.3)):
        widths = constraints.fit(Budget.of(graph, macs=macs, params=params))
        counts = np.array([list(widths.values())])
        used = graph.macs(counts) / graph.macs(graph.widths[None]) / macs
        used_params = graph.params(counts) / graph.params(graph.widths[None]) / params
        assert 0.8 < max(used[0], used_params[0]) <= 1
        assert min(used[0], used_params[0]) < 0.8


def test_the_fitted_network_really_costs_no_more(graph: ChannelGraph) -> None:
    model = build("digits-resnet")
    widths = constrain(graph.groups).fit(Budget.of(graph, macs=200_000, params=9_000))
    small = graph.plan(widths).apply(model)
    assert count_macs(small, EXAMPLE) <= 200_000
    assert count_params(small) <= 9_000


def test_a_whole_number_above_one_is_absolute_and_one_is_everything(graph: ChannelGraph) -> None:
    whole = int(graph.macs(graph.widths[None])[0])
    limits = Budget.of(graph, macs=0.5, params=5_000).limits
    assert [(limit.unit, limit.most) for limit in limits] == [
        ("MACs", whole // 2),
        ("parameters", 5_000),
    ]
    assert Budget.of(graph, macs=1).limits[0].most == whole
    half: Any = np.float32(0.5)
    few: Any = np.int64(5_000)
    assert [x.most for x in Budget.of(graph, macs=half, params=few).limits] == [whole // 2, 5_000]
    assert Budget.of(graph).limits == ()


@pytest.mark.parametrize("target", [0, -1, float("nan"), float("inf"), True, "half"])
def test_a_limit_is_a_number_above_nothing(graph: ChannelGraph, target: Any) -> None:
    with pytest.raises(PruningError, match="target_params: expected more than 0, and finite"):
        Budget.of(graph, params=target)


def test_a_budget_out_of_reach_says_what_the_smallest_reaches(graph: ChannelGraph) -> None:
    constraints = constrain(graph.groups, minimum=0.5)
    least = np.array([[group.width // 2 for group in graph.groups]])
    macs, params = int(graph.macs(least)[0]), int(graph.params(least)[0])
    with pytest.raises(PruningError) as caught:
        constraints.fit(Budget.of(graph, macs=0.01, params=0.9))
    assert f"target_macs: even the smallest candidate needs {macs:,} MACs (0.2" in str(caught.value)
    assert "target_params" not in str(caught.value)
    with pytest.raises(PruningError, match=f"needs {macs:,} MACs .*needs {params:,} parameters"):
        constraints.repair(np.full((2, len(graph.groups)), 3.0), Budget.of(graph, macs=2, params=2))


def test_the_share_that_the_message_names_can_be_reached(graph: ChannelGraph) -> None:
    constraints = constrain(graph.groups, minimum=0.3)
    with pytest.raises(PruningError) as caught:
        constraints.fit(Budget.of(graph, macs=0.01))
    share = float(str(caught.value).partition("MACs (")[2].partition(" of")[0])
    constraints.fit(Budget.of(graph, macs=share))
    with pytest.raises(PruningError):
        constraints.fit(Budget.of(graph, macs=share - 0.0001))


def test_where_nothing_is_searched_the_budget_still_holds(graph: ChannelGraph) -> None:
    constraints = constrain(graph.groups, exclude=["*"])
    assert list(constraints.fit(Budget.of(graph, macs=1)).values()) == graph.widths.tolist()
    with pytest.raises(PruningError, match="even the smallest"):
        constraints.fit(Budget.of(graph, macs=0.9))
