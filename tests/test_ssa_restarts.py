"""The first birds of the default algorithm, and its restarts."""

from dataclasses import replace

import numpy as np
import pytest
from flocks import MIXED, flat, reals, run, sphere, warm

from swarmopt.algorithm import Horizon, Streams
from swarmopt.algorithms.ssa import SSA
from swarmopt.algorithms.ssa_flock import Watch
from swarmopt.algorithms.ssa_state import (
    SETTLER,
)


def test_the_first_bird_is_the_centre_and_the_first_mean_is_where_it_was_told() -> None:
    algorithm, domain = SSA(), reals(3)
    state = algorithm.init(domain, Horizon())
    birds = algorithm.ask(state, Streams(0).at(0))
    np.testing.assert_array_equal(birds.unit[0], 0.5)
    moved = birds.unit.copy()
    moved[0] = [0.1, 0.2, 0.3]
    told = algorithm.tell(state, birds.at(moved), sphere(0.6)(moved))
    assert told.model is not None
    np.testing.assert_array_equal(told.model.mean, [0.1, 0.2, 0.3])


def test_a_flat_function_restarts_a_flock_of_twice_the_size_up_to_the_cap() -> None:
    algorithm = SSA(max_growth=4.0)
    _, told = run(algorithm, reals(2), flat, 6_000)
    size = {b.epoch: len(b) for b in told[:-1] if b.role[0] != SETTLER}
    settlers = {b.epoch: len(b) for b in told[:-1] if b.role[0] == SETTLER}
    assert [size[e] for e in range(5)] == [7, 14, 28, 28, 28]
    assert [settlers[e] for e in range(5)] == [6, 12, 24, 24, 24]


def test_a_restart_settles_elsewhere_and_keeps_the_best_outside() -> None:
    state, told = run(SSA(), reals(2), sphere(0.5), 4_000)
    assert state.epoch > 0
    assert state.best_key == 0.0  # the centre, asked first
    assert state.best is not None
    np.testing.assert_array_equal(state.best, 0.5)
    starts = [b.unit[0] for b in told if b.role[0] == SETTLER]
    assert np.abs(starts[1] - 0.5).max() > 0.01


def test_a_flock_that_has_collapsed_restarts() -> None:
    state = warm(reals(3))
    assert state.model is not None
    tiny = replace(state, model=replace(state.model, sigma=1e-13))
    birds = SSA(surrogate=False).ask(replace(tiny, survey=None), Streams(0).at(0))
    after = SSA().tell(tiny, birds, np.arange(len(birds), dtype=float) - 9.0)
    assert after.epoch == 1
    assert after.flock is None


def test_a_watch_tells_progress_from_stagnation() -> None:
    steady, stuck = Watch.begun(6), Watch.begun(6)
    noise = np.random.default_rng(0).random(200)
    for g in range(200):
        steady = steady.seen(-float(g))
        assert not steady.flat
        assert not steady.stagnating
        if not stuck.stagnating:
            stuck = stuck.seen(noise[g])
    assert stuck.stagnating
    assert not stuck.flat


def test_birds_of_an_older_epoch_can_only_be_the_best_of_all() -> None:
    algorithm, state = SSA(), warm(MIXED)
    birds = replace(algorithm.ask(state, Streams(0).at(0)), epoch=7)
    key = np.arange(len(birds), dtype=float) - 3.0
    after = algorithm.tell(state, birds, key)
    np.testing.assert_array_equal(after.best, birds.unit[0])
    assert after.best_key == -3.0
    for name in vars(state):
        if not name.startswith("best"):
            assert getattr(after, name) is getattr(state, name)


def test_settlers_that_come_late_compete_for_a_place_and_no_more() -> None:
    algorithm, domain = SSA(), reals(3)
    state = algorithm.init(domain, Horizon())
    first, second = (algorithm.ask(state, Streams(0).at(g)) for g in range(2))
    once = algorithm.tell(state, first, np.ones(6))
    twice = algorithm.tell(once, second, np.zeros(6))
    assert once.flock is not None
    assert twice.flock is not None
    assert len(twice.flock) == len(once.flock)
    assert twice.flock.key.min() == 0.0
    assert twice.model is once.model
    assert twice.watch is once.watch


def test_a_flock_of_one_bird_goes_on() -> None:
    algorithm, domain = SSA(), MIXED
    state = algorithm.init(domain, Horizon())
    birds = algorithm.ask(state, Streams(0).at(0)).first(1)
    state = algorithm.tell(state, birds, np.ones(1))
    for g in range(1, 30):
        birds = algorithm.ask(state, Streams(0).at(g))
        state = algorithm.tell(state, birds, sphere(0.2)(birds.unit))
    assert state.flock is not None
    assert len(state.flock) == 1


def test_telling_nothing_changes_nothing() -> None:
    state = warm(MIXED)
    birds = SSA().ask(state, Streams(0).at(0)).first(0)
    assert SSA().tell(state, birds, np.empty(0)) is state


@pytest.mark.parametrize("batch", [1, 40])
def test_a_batch_is_never_smaller_than_wanted(batch: int) -> None:
    _, told = run(SSA(), MIXED, flat, 5_000, batch=batch)
    assert min(len(b) for b in told[:-1]) >= batch
