"""What the default algorithm solves: over fixed seeds with a wide margin."""

import numpy as np
import pytest
from flocks import LETTERS, MIXED, reals, run, sphere

from swarmopt.algorithms.ssa import SSA
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Categorical, Integer, Real


@pytest.mark.slow
def test_a_thousand_variables_run_and_improve() -> None:
    state, told = run(SSA(), reals(1_000), sphere(0.7), 6_000)
    assert state.best_key < 0.8 * sphere(0.7)(told[0].unit).min()


def test_failed_candidates_do_not_stop_progress() -> None:
    def keys(unit: Matrix) -> Vector:
        return np.where(unit.sum(axis=1) > 2.0, np.inf, sphere(0.3)(unit))

    state, _ = run(SSA(), reals(4), keys, 1_500)
    assert state.best_key < 1e-4


@pytest.mark.parametrize(
    "variables",
    [
        pytest.param([Real(0, 1)], id="one real"),
        pytest.param([Integer(0, 1)], id="one bit"),
        pytest.param([LETTERS], id="one category"),
        pytest.param([Integer(2, 2)] * 3, id="one point"),
        pytest.param([LETTERS] * 4, id="all categories"),
        pytest.param([LETTERS] * 30, id="many categories", marks=pytest.mark.slow),
    ],
)
def test_any_space_runs_through_restarts(variables: list[Real | Integer | Categorical]) -> None:
    state, told = run(SSA(), Space(variables).domain, sphere(0.8), 1_500)
    for birds in told:
        assert ((birds.unit >= 0) & (birds.unit <= 1)).all()
    assert state.best is not None


@pytest.mark.slow
def test_an_optimum_in_a_corner_is_reached() -> None:
    best = [run(SSA(), reals(5), sphere(1.0), 200, seed)[0].best_key for seed in range(3)]
    assert np.median(best) < 1e-6


@pytest.mark.slow
def test_a_shifted_ellipsoid_in_ten_variables_is_solved() -> None:
    scale = 10.0 ** (6 * np.arange(10) / 9)
    solved = 0
    for seed in range(5):
        at = np.random.default_rng(seed).uniform(0.1, 0.9, 10)

        def keys(unit: Matrix, at: Vector = at) -> Vector:
            total: Vector = (scale * (10 * (unit - at)) ** 2).sum(axis=1)
            return total

        solved += run(SSA(), reals(10), keys, 10_000, seed)[0].best_key < 1e-6
    assert solved >= 4


@pytest.mark.slow
def test_an_integer_quadratic_is_solved_exactly() -> None:
    domain = Space([Integer(0, 20)] * 8).domain
    solved = 0
    for seed in range(5):
        rng = np.random.default_rng(seed)
        at = rng.integers(1, 20, 8).astype(float)
        turn = np.linalg.qr(rng.standard_normal((8, 8)))[0] * 10.0 ** (np.arange(8) / 7)

        def keys(unit: Matrix, at: Vector = at, turn: Matrix = turn) -> Vector:
            total: Vector = (((domain.level(unit) - at) @ turn) ** 2).sum(axis=1)
            return total

        solved += run(SSA(), domain, keys, 4_000, seed)[0].best_key < 1e-9
    assert solved >= 4


@pytest.mark.slow
def test_a_mixed_problem_is_solved() -> None:
    at = np.array([0.3, 0.8, 0.25, 0.5, 0.1, 0.5])

    def keys(unit: Matrix) -> Vector:
        away = MIXED.centre(unit) - MIXED.centre(at[None, :])
        wrong = np.abs(away[:, 3:5]) > 1e-9
        total: Vector = (away[:, :3] ** 2).sum(axis=1) + 0.1 * wrong.sum(axis=1)
        return total

    best = [run(SSA(), MIXED, keys, 200, seed)[0].best_key for seed in range(5)]
    assert np.median(best) < 1e-8
