"""Structures that are known to be good: within the budget, and as good as said."""

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from swarmopt_pruning import Budget, ConstraintSet, Group, PruningError, constrain
from swarmopt_pruning.budget import Limit
from swarmopt_pruning.starts import BEST, LOST, additive, magnitude, near, sensitivity, threshold

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def groups(*widths: int, block: int = 1) -> tuple[Group, ...]:
    return tuple(Group(f"g{j}", width, block, ()) for j, width in enumerate(widths))


def chain(counts: Ints) -> Ints:
    """A made-up cost: products of neighbours, as in a chain of layers."""
    return np.asarray(3 * counts[:, 0] + (counts[:, :-1] * counts[:, 1:]).sum(axis=1))


def total(counts: Ints) -> Ints:
    """A separable cost that is linear in every count."""
    return np.asarray(counts.sum(axis=1))


def limit(constraints: ConstraintSet, cost: Callable[[Ints], Ints], share: float) -> Budget:
    whole = int(cost(constraints.counts(constraints.whole[None]))[0])
    return Budget((Limit("target_macs", "MACs", cost, int(share * whole), whole),))


def everything(constraints: ConstraintSet) -> Floats:
    axes = [range(len(code.counts)) for code in constraints.searched]
    return np.array(list(itertools.product(*axes)), float)


def curves_of(constraints: ConstraintSet, seed: int, *, convex: bool) -> Floats:
    """Make losses that fall with the width, to 0 at the whole."""
    rng = np.random.default_rng(seed)
    lengths = [len(code.counts) for code in constraints.searched]
    curves = np.full((len(lengths), max(lengths)), np.inf)
    for row, n in zip(curves, lengths, strict=True):
        steps = rng.exponential(size=n - 1)
        steps = np.sort(steps) if convex else steps  # the last channels to go cost most
        row[:n] = np.append(np.cumsum(steps)[::-1], 0.0)
    return curves


def summed(curves: Floats, points: Floats) -> Floats:
    found: Floats = curves[np.arange(len(curves)), points.astype(int)].sum(axis=1)
    return found


SETS = {
    "separate": constrain(groups(16, 7, 64)),
    "tied": constrain(groups(8, 8, 12), tie=[["g0", "g1"]]),
    "one code": constrain(groups(10, 20, 40), tie=[["g0", "g1", "g2"]]),
    "blocks": constrain(groups(16, 24, block=4)),
    "two levels": constrain(groups(8, 8), step=0.5, minimum=0.5),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.7, 1.0])
def test_every_start_is_a_point_within_the_budget(name: str, share: float) -> None:
    constraints = SETS[name]
    budget = limit(constraints, chain, share)
    curves = curves_of(constraints, 0, convex=False)
    scores = {g.name: np.linspace(0.1, 1, g.n_units) ** 2 for g in constraints.groups}
    points: tuple[Callable[[], Floats], ...] = (
        lambda: additive(constraints, budget, curves),
        lambda: threshold(constraints, budget, curves),
        lambda: magnitude(constraints, budget, scores),
    )
    if not budget.within(constraints.counts(np.zeros((1, len(constraints.searched)))))[0]:
        for point in points:
            with pytest.raises(PruningError, match="even the smallest candidate"):
                point()
        return
    for point in points:
        found = point()
        assert found.shape == (len(constraints.searched),)
        assert ((found >= 0) & (found <= constraints.whole) & (found == np.round(found))).all()
        assert budget.within(constraints.counts(found[None]))[0]
        if share == 1:
            assert found.tolist() == constraints.whole.tolist()


def test_the_additive_optimum_is_that_of_a_search_of_everything_where_steps_cost_the_same() -> None:
    constraints = constrain(groups(6, 6, 6, 6), step=1 / 6, minimum=1 / 6)
    points = everything(constraints)
    for seed, share in itertools.product(range(10), (0.3, 0.5, 0.8)):
        curves, budget = curves_of(constraints, seed, convex=True), limit(constraints, total, share)
        within = points[budget.within(constraints.counts(points))]
        best = summed(curves, within).min()
        found = additive(constraints, budget, curves)[None]
        assert summed(curves, found)[0] == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("convex", [True, False])
def test_the_additive_optimum_is_within_a_few_per_cent_of_that_of_everything(convex: bool) -> None:
    constraints = constrain(groups(8, 12, 16, 6), step=0.2)
    points = everything(constraints)
    ratios = []
    for seed, share in itertools.product(range(8), (0.2, 0.4, 0.7)):
        curves, budget = (
            curves_of(constraints, seed, convex=convex),
            limit(constraints, chain, share),
        )
        within = points[budget.within(constraints.counts(points))]
        found = summed(curves, additive(constraints, budget, curves)[None])[0]
        ratios.append(found / summed(curves, within).min())
    assert min(ratios) >= 1 - 1e-9
    assert np.mean(ratios) < 1.01


def test_no_smaller_threshold_fits_the_budget() -> None:
    constraints = constrain(groups(8, 12, 16))
    for seed in range(10):
        curves, budget = curves_of(constraints, seed, convex=False), limit(constraints, chain, 0.4)
        found = threshold(constraints, budget, curves)
        lost = curves[np.arange(3), found.astype(int)].max()
        smaller = [level for level in np.unique(curves[np.isfinite(curves)]) if level < lost]
        for level in smaller:
            point = np.array([[int(np.flatnonzero(row <= level)[0]) for row in curves]], float)
            assert not budget.within(constraints.counts(point))[0]


def test_global_magnitude_keeps_the_channels_above_one_threshold() -> None:
    constraints = constrain(groups(10, 10), step=0.1, minimum=0.1)
    scores = {"g0": np.arange(1.0, 11.0), "g1": np.full(10, 5.5)}  # of the same mean
    budget = limit(constraints, total, 0.75)
    counts = constraints.counts(magnitude(constraints, budget, scores)[None])[0]
    assert counts.tolist() == [5, 10]  # 6 to 10 and all of the second: 15 channels
    scaled = {"g0": 100 * scores["g0"], "g1": scores["g1"] / 7}
    again = constraints.counts(magnitude(constraints, budget, scaled)[None])[0]
    assert again.tolist() == [5, 10], "only shares of a group's mean are compared"


def test_global_magnitude_of_blocks_counts_their_channels() -> None:
    constraints = constrain(groups(16, 16, block=4))
    scores = {"g0": np.array([4.0, 3.0, 2.0, 1.0]), "g1": np.array([2.5, 2.5, 2.5, 2.5])}
    budget = limit(constraints, total, 0.75)
    counts = constraints.counts(magnitude(constraints, budget, scores)[None])[0]
    assert counts.tolist() == [8, 16]


def test_channels_without_any_weight_are_cut_first_and_nothing_is_divided_by_zero() -> None:
    constraints = constrain(groups(10, 10))
    scores = {"g0": np.zeros(10), "g1": np.ones(10)}
    found = magnitude(constraints, limit(constraints, total, 0.6), scores)
    counts = constraints.counts(found[None])[0]
    assert counts[1] == 10


@pytest.mark.parametrize("samples", [1, 2, 3, 5, 50])
@pytest.mark.parametrize("name", SETS)
def test_sensitivity_falls_with_the_width_and_is_asked_for_little(name: str, samples: int) -> None:
    constraints, calls = SETS[name], []
    rng = np.random.default_rng(0)

    def loss(counts: Ints) -> float:
        calls.append(counts)
        return float(100 / counts.sum() + rng.normal(0, 0.5))

    curves = sensitivity(constraints, loss, samples=samples)
    codes = constraints.searched
    assert len(calls) <= samples * len(codes) + 1
    for row, code in zip(curves, codes, strict=True):
        n = len(code.counts)
        assert np.isfinite(row[:n]).all()
        assert np.isinf(row[n:]).all()
        assert (np.diff(row[:n]) <= 0).all()
        assert row[n - 1] == 0


def test_sensitivity_is_what_was_measured_at_the_levels_that_were() -> None:
    constraints = SETS["separate"]

    def loss(counts: Ints) -> float:
        return float((1 / counts).sum())

    curves = sensitivity(constraints, loss, samples=50)
    whole = constraints.counts(constraints.whole[None])[0]
    for j, code in enumerate(constraints.searched):
        for level, counts in enumerate(code.counts):
            assert curves[j, level] == pytest.approx(1 / counts[0] - 1 / whole[j])


def test_answers_that_are_not_finite_are_the_worst_of_all() -> None:
    constraints = SETS["separate"]
    least = min(constraints.allowed[0])
    curves = sensitivity(constraints, lambda c: np.nan if c[0] == least else 1.0)
    assert curves[0, 0] == LOST
    assert np.isfinite(curves[:, 0]).all()
    found = additive(constraints, limit(constraints, chain, 0.5), curves)
    assert found[0] > 0


FILLED = constrain(groups(16, 7, 12))
LEVELS = st.tuples(*(st.integers(0, len(code.counts) - 1) for code in FILLED.searched))


@pytest.mark.slow
@given(points=st.lists(LEVELS, min_size=1, max_size=4), share=st.floats(0.05, 1))
@settings(max_examples=60, deadline=None)
def test_a_filled_point_is_within_the_budget_stays_and_leaves_no_step(
    points: list[tuple[int, ...]], share: float
) -> None:
    budget = limit(FILLED, chain, share)
    x = np.array(points, float)
    filled = FILLED.repair(x, budget, fill=True)
    assert budget.within(FILLED.counts(filled)).all()
    assert np.array_equal(FILLED.repair(filled, budget, fill=True), filled)
    for j in range(x.shape[1]):
        up = filled.copy()
        up[:, j] += 1
        possible = up[:, j] <= FILLED.whole[j]
        up = np.minimum(up, FILLED.whole)
        assert not budget.within(FILLED.counts(up[possible])).any()
    alone = np.concatenate([FILLED.repair(row[None], budget, fill=True) for row in x])
    assert np.array_equal(alone, filled), "each point for itself"


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("share", [0.4, 0.7, 1.0])
def test_points_near_a_good_one_are_distinct_and_as_wide_as_the_budget_permits(
    name: str, share: float
) -> None:
    constraints = SETS[name]
    budget = limit(constraints, chain, share)
    curves = curves_of(constraints, 0, convex=False)
    begun = additive(constraints, budget, curves)
    found = near(constraints, budget, curves, begun, most=12)
    rows = np.array([begun, *found])
    assert len(np.unique(rows, axis=0)) == len(rows) <= 13
    assert budget.within(constraints.counts(rows)).all()
    np.testing.assert_array_equal(constraints.repair(rows, budget, fill=True), rows)


@pytest.mark.parametrize("seed", range(5))
def test_points_near_the_optimum_of_separate_costs_are_the_next_best(seed: int) -> None:
    constraints = constrain(groups(6, 6, 6))
    assert BEST > 2 * 2 * 3 * 2  # all neighbours are looked at
    budget = limit(constraints, total, 0.5)
    curves = curves_of(constraints, seed, convex=True)
    points = everything(constraints)
    points = points[constraints.counts(points).sum(axis=1) == budget.limits[0].most]
    order = np.sort(summed(curves, points))
    begun = points[np.argmin(summed(curves, points))]
    found = summed(curves, np.array(near(constraints, budget, curves, begun, most=5)))
    np.testing.assert_allclose(np.sort(found), order[1:6])


def test_there_may_be_fewer_points_near_a_good_one_than_asked_for() -> None:
    constraints = SETS["one code"]
    budget = limit(constraints, chain, 0.5)
    curves = curves_of(constraints, 0, convex=True)
    assert near(constraints, budget, curves, additive(constraints, budget, curves)) == []
