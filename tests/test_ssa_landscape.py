"""The default algorithm fits a landscape, dives into it, and leaves it where it does not pay."""

import numpy as np
import pytest
from flocks import LETTERS, MIXED, Keys, flat, reals, run, sphere

from swarmopt.algorithm import Horizon, Streams
from swarmopt.algorithms.landscape import Landscape, fitted
from swarmopt.algorithms.ssa import SSA
from swarmopt.algorithms.ssa_state import (
    DIVER,
    SETTLER,
)
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Integer


def bowl(d: int, seed: int) -> Keys:
    """Return a rotated quadratic of condition 100."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    at, curvature = rng.uniform(0.2, 0.8, d), np.logspace(0, 2, d)
    return lambda unit: ((unit - at) @ basis) ** 2 @ curvature


def test_a_bowl_is_solved_by_the_time_a_quadratic_has_enough_points() -> None:
    final = [run(SSA(), reals(5), bowl(5, seed), 60, seed)[0].best_key for seed in range(7)]
    blind = SSA(surrogate=False)
    without = [run(blind, reals(5), bowl(5, seed), 60, seed)[0].best_key for seed in range(7)]
    assert np.median(final) < 1e-5
    assert np.median(without) > 1e-3


def test_a_dive_leads_every_generation_once_there_is_a_landscape() -> None:
    fun, streams, algorithm = bowl(3, 0), Streams(2), SSA()
    state = algorithm.init(reals(3), Horizon())
    alone = 0
    for g in range(60):
        surveyed = state.survey is not None and state.survey.landscape is not None
        birds = algorithm.ask(state, streams.at(g))
        assert (birds.role[0] == DIVER) == surveyed
        assert (birds.role[1:] != DIVER).all()
        alone += len(birds) == 1
        state = algorithm.tell(state, birds, fun(birds.unit))
    assert alone > 5  # a bowl is trusted


def waves(unit: Matrix) -> Vector:
    """Return a rough bowl, which no quadratic fits near its bottom."""
    z = 10.0 * (unit - 0.43)
    total: Vector = (z**2 + 10.0 * (1.0 - np.cos(2 * np.pi * z))).sum(axis=1)
    return total


def test_late_in_a_run_a_landscape_that_does_not_pay_is_seldom_fitted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    n_fits = 0

    def counted(*args: object) -> Landscape | None:
        nonlocal n_fits
        n_fits += 1
        return fitted(*args)  # type: ignore[arg-type]

    monkeypatch.setattr("swarmopt.algorithms.ssa_survey.fitted", counted)
    early, last = 100 * 4, 1_000
    _, before = run(SSA(), reals(4), waves, early)
    fits_early = n_fits
    _, told = run(SSA(), reals(4), waves, last)
    surveyed = [birds for birds in told[len(before) :] if birds.epoch < 2]
    assert fits_early > 0.8 * len(before)
    assert n_fits - 2 * fits_early < 0.5 * len(surveyed)
    dives = sum(DIVER in birds.role for birds in surveyed)
    assert 0 < dives < 0.5 * len(surveyed)


def test_a_landscape_that_pays_is_used_to_the_end() -> None:
    def valley(unit: Matrix) -> Vector:
        z = 5.0 * (unit - 0.3)
        bend = z[:, 1:] - z[:, :-1] ** 2
        total: Vector = (100.0 * bend**2 + (1.0 - z[:, :-1]) ** 2).sum(axis=1)
        return total

    state, told = run(SSA(), reals(5), valley, 900)
    late = told[len(told) // 2 :]
    assert sum(DIVER in birds.role for birds in late) > 0.3 * len(late)
    assert state.n_told == 900


def test_the_dive_comes_first_and_batches_are_as_large_as_wanted() -> None:
    _, told = run(SSA(), reals(4), bowl(4, 1), 400, batch=8)
    dives = [birds for birds in told if DIVER in birds.role]
    assert len(dives) > 10
    for birds in dives:
        assert birds.role[0] == DIVER
        assert (birds.role[1:] != DIVER).all()
    assert min(len(birds) for birds in told[:-1]) >= 8


def test_a_trusted_landscape_spares_offspring_and_the_model_learns_from_them() -> None:
    state, told = run(SSA(population=12), reals(4), bowl(4, 3), 60)
    spared = [
        len(b.spared.unit) + np.count_nonzero(b.role != DIVER)
        for b in told[:-1]
        if b.spared is not None
    ]
    assert spared
    assert set(spared) == {12}
    assert state.model is not None
    n_generations = sum(b.role[0] != SETTLER for b in told)
    assert state.model.generation == n_generations


@pytest.mark.parametrize("factor", [2.0**20, 2.0**-9, 2.0**600, 2.0**-600])
def test_the_unit_of_cost_does_not_matter(factor: float) -> None:
    _, plain = run(SSA(), MIXED, sphere(0.63), 200)
    _, other = run(SSA(), MIXED, lambda unit: factor * sphere(0.63)(unit), 200)
    for one, two in zip(plain, other, strict=True):
        np.testing.assert_array_equal(one.unit, two.unit)


def test_after_two_epochs_and_in_wide_spaces_nothing_is_surveyed() -> None:
    state, told = run(SSA(), reals(2), flat, 3_000)
    assert state.epoch > 2
    assert state.survey is None
    assert all(b.spared is None and DIVER not in b.role for b in told if b.epoch >= 2)
    state, _ = run(SSA(), reals(41), sphere(0.6), 300)
    assert state.survey is None


def test_no_known_point_is_dived_to_in_a_discrete_space() -> None:
    domain = Space([Integer(0, 9), Integer(0, 9), LETTERS]).domain
    _, told = run(SSA(), domain, lambda u: ((domain.level(u) - 3.2) ** 2).sum(axis=1), 120)
    seen: set[bytes] = set()
    n_dives = 0
    for birds in told:
        level = domain.level(birds.unit)
        if birds.role[0] == DIVER:
            n_dives += 1
            assert level[0].tobytes() not in seen
        seen |= {row.tobytes() for row in level}
    assert n_dives > 5
