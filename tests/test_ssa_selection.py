"""Who takes whose place in the flock of the default algorithm."""

import numpy as np
from flocks import MIXED, reals, run, sphere

from swarmopt.algorithms.ssa import SSA
from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.algorithms.ssa_flock import NEAREST, Flock, SuccessMemory, nearest
from swarmopt.algorithms.ssa_state import (
    SCROUNGER,
)


def test_the_nearest_bird_is_found_as_by_brute_force() -> None:
    rng = np.random.default_rng(3)
    birds, unit = (MIXED.centre(rng.random((n, MIXED.d))) for n in (9, 40))
    numeric = np.array([0, 1, 2])
    expected = [
        np.argmin([((u - b)[numeric] ** 2).sum() + (u[3] != b[3]) + (u[4] != b[4]) for b in birds])
        for u in unit
    ]
    flock = Flock(birds, np.arange(9.0), np.arange(9))
    np.testing.assert_array_equal(nearest(Columns(MIXED), flock, unit), expected)


def test_the_nearest_bird_is_found_in_a_flock_that_is_very_close() -> None:
    birds = 0.5 + 1e-12 * np.arange(5.0)[:, None]
    flock = Flock(birds, np.arange(5.0), np.arange(5))
    found = nearest(Columns(reals(1)), flock, 0.5 + 1e-12 * np.array([[3.1], [0.2]]))
    np.testing.assert_array_equal(found, [3, 0])


def test_better_or_equal_wins_and_the_best_of_several_stays() -> None:
    flock = Flock(np.zeros((2, 1)), np.array([5.0, 1.0]), np.array([1, 0]))
    unit = np.array([[0.1], [0.2], [0.3], [0.4]])
    key = np.array([4.0, 3.0, 1.0, 2.0])
    new = flock.challenged(np.array([0, 0, 1, 1]), unit, key, np.argsort(key))
    np.testing.assert_array_equal(new.unit[:, 0], [0.2, 0.3])
    np.testing.assert_array_equal(new.key, [3.0, 1.0])
    np.testing.assert_array_equal(new.order, [1, 0])


def test_scroungers_compete_with_their_own_slot_and_others_with_the_nearest() -> None:
    _, told = run(SSA(roles=("producers", "scroungers")), reals(3), sphere(0.6), 200)
    for birds in told:
        assert ((birds.slot == NEAREST) == (birds.role != SCROUNGER)).all()


def test_success_that_overtakes_more_birds_weighs_more() -> None:
    memory = SuccessMemory(np.full(5, 0.5), np.full(5, 0.7))
    settings = np.array([0.2, 0.8]), np.array([0.1, 0.9])
    low = memory.learnt(*settings, np.array([5, 0]))
    high = memory.learnt(*settings, np.array([0, 5]))
    assert low.weight[0] < high.weight[0]
    assert low.crossover[0] < high.crossover[0]
    np.testing.assert_array_equal(low.weight[1:], 0.5)
