"""The artificial bee colony: two batches of a cycle against plain loops, and the roulette."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import default_rng

from swarmopt.algorithm import Horizon
from swarmopt.algorithms.bee_colony import ABC, ABCState, Bees, _shares
from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.space import Space
from swarmopt.testing import drive
from swarmopt.testing.objectives import bowl
from swarmopt.types import Matrix
from swarmopt.variables import Boolean, Categorical, Integer, Real

REAL = Space([Real(-5, 5)] * 6).domain
MIXED = Space(
    [Real(0, 1), Integer(0, 9), Categorical(list("abcd")), Boolean(), Integer(3, 3)]
).domain


def flown(algorithm: ABC, domain: Domain, batches: int) -> ABCState:
    """Return the state after some batches; an even number ends with the onlookers."""
    state = algorithm.init(domain, Horizon())
    for g in range(batches):
        bees = algorithm.ask(state, default_rng(g))
        state = algorithm.tell(state, bees, bowl(domain)(bees.unit))
    return state


def plain_batch(algorithm: ABC, state: ABCState, seed: int) -> Matrix:
    """Return (n, d) positions of bees over real columns, by loops over bees and changes."""
    n, d = state.unit.shape
    rng = default_rng(seed)
    source = list(range(n))
    if state.onlooking:
        fitness = [1 / (1 + k) if k >= 0 else 1 - k for k in state.key]
        share = [0.9 * f / max(fitness) + 0.1 for f in fitness]
        for i, u in enumerate(rng.random((n,))):
            fallen = 0.0
            for j in range(n):
                fallen += share[j]
                if u * sum(share) < fallen:
                    source[i] = j
                    break
    partner = [(source[i] + 1 + int(u * (n - 1))) % n for i, u in enumerate(rng.random((n,)))]
    column = (rng.random((n, algorithm.changes)) * d).astype(int)
    phi = 2 * rng.random((2, n, algorithm.changes))[0] - 1
    fresh = rng.random((n, d))
    worst = max(range(n), key=lambda j: state.trials[j])
    unit = np.empty((n, d))
    for i in range(n):
        x, other = state.unit[source[i]], state.unit[partner[i]]
        unit[i] = x
        for c in range(algorithm.changes):
            j = column[i, c]
            unit[i, j] = min(max(x[j] + phi[i, c] * (x[j] - other[j]), 0.0), 1.0)
        if not state.onlooking and i == worst and state.trials[i] >= algorithm.limit:
            unit[i] = fresh[i]
    return unit


@pytest.mark.parametrize("batches", [1, 2, 9, 40, 41])
def test_a_batch_follows_the_equations_bee_by_bee(batches: int) -> None:
    algorithm = ABC()
    state = flown(algorithm, REAL, batches)
    assert state.onlooking == (batches % 2 == 1)
    for seed in range(5):
        unit = algorithm.ask(state, default_rng(seed)).unit
        np.testing.assert_allclose(unit, plain_batch(algorithm, state, seed), atol=1e-14)


def told_one_by_one(state: ABCState, bees: Bees, key: list[float]) -> tuple[list[float], list[int]]:
    """Return keys and trials after the bees of a batch of onlookers came home."""
    keys, trials = state.key.tolist(), state.trials.tolist()
    improved = set()
    for source, k in zip(bees.source.tolist(), key, strict=True):
        if k < state.key[source]:
            improved.add(source)
            keys[source] = min(keys[source], k)
        else:
            trials[source] += 1
    return keys, [0 if j in improved else t for j, t in enumerate(trials)]


def test_the_best_onlooker_moves_a_source_and_failures_are_counted() -> None:
    algorithm = ABC(population=5, limit=100)
    state = flown(algorithm, REAL, 7)
    for seed in range(20):
        bees = algorithm.ask(state, default_rng(seed))
        key = (np.median(state.key) * default_rng(seed).uniform(0.5, 1.5, 5)).tolist()
        after = algorithm.tell(state, bees, np.array(key))
        keys, trials = told_one_by_one(state, bees, key)
        assert after.key.tolist() == keys
        assert after.trials.tolist() == trials
        for source, k in enumerate(after.key.tolist()):
            if k in key:
                np.testing.assert_array_equal(after.unit[source], bees.unit[key.index(k)])
            else:
                np.testing.assert_array_equal(after.unit[source], state.unit[source])


def test_among_equal_onlookers_the_first_asked_moves_the_source() -> None:
    algorithm = ABC(population=3)
    state = flown(algorithm, REAL, 3)
    bees = replace(algorithm.ask(state, default_rng(0)), source=np.zeros(3, np.int64))
    after = algorithm.tell(state, bees, np.full(3, -1.0))
    np.testing.assert_array_equal(after.unit[0], bees.unit[0])


def test_employed_bees_and_onlookers_take_turns() -> None:
    algorithm = ABC()
    state = algorithm.init(REAL, Horizon())
    for g in range(6):
        bees = algorithm.ask(state, default_rng(g))
        assert bees.onlookers.all() == (g % 2 == 1)
        if g % 2 == 0:
            np.testing.assert_array_equal(bees.source, np.arange(10))
        state = algorithm.tell(state, bees, bowl(REAL)(bees.unit))


def test_the_first_batch_is_of_scouts_and_is_taken_whatever_its_keys() -> None:
    algorithm = ABC()
    state = algorithm.init(REAL, Horizon())
    bees = algorithm.ask(state, default_rng(0))
    assert bees.scouts.all()
    after = algorithm.tell(state, bees, np.full(10, np.inf))
    np.testing.assert_array_equal(after.unit, bees.unit)
    assert after.trials.tolist() == [0] * 10


def test_one_exhausted_source_a_cycle_is_replaced_even_by_a_worse_one() -> None:
    algorithm = ABC(limit=3)
    state = flown(algorithm, REAL, 4)
    state = replace(state, trials=np.array([0, 3, 5, 2, 1, 0, 4, 0, 0, 0]))
    bees = algorithm.ask(state, default_rng(0))
    assert np.flatnonzero(bees.scouts).tolist() == [2]
    after = algorithm.tell(state, bees, np.full(10, 1e6))
    np.testing.assert_array_equal(after.unit[2], bees.unit[2])
    assert after.key[2] == 1e6
    assert after.trials.tolist() == [1, 4, 0, 3, 2, 1, 5, 1, 1, 1]
    np.testing.assert_array_equal(np.delete(after.key, 2), np.delete(state.key, 2))


def test_a_source_below_its_limit_is_not_abandoned() -> None:
    algorithm = ABC(limit=3)
    state = replace(flown(algorithm, REAL, 4), trials=np.full(10, 2))
    assert not algorithm.ask(state, default_rng(0)).scouts.any()


def test_onlookers_prefer_good_sources_but_leave_none_out() -> None:
    np.testing.assert_allclose(_shares(np.array([0.0, 1.0, 3.0])), [1.0, 0.55, 0.325])
    np.testing.assert_allclose(_shares(np.array([-3.0, -1.0, 0.0])), [1.0, 0.55, 0.325])
    algorithm = ABC(population=4)
    state = replace(flown(algorithm, REAL, 3), key=np.array([0.0, 1e9, 1e300, np.inf]))
    sources = [algorithm.ask(state, default_rng(s)).source for s in range(2_000)]
    share = np.bincount(np.concatenate(sources), minlength=4) / 8_000
    np.testing.assert_allclose(share, np.array([1.0, 0.1, 0.1, 0.1]) / 1.3, atol=0.02)


@pytest.mark.parametrize(
    "keys", [[np.inf] * 4, [1e300, 2e300, np.inf, 1.5e300], [-1e299, 1e299, -1.0, 0.0]]
)
def test_shares_are_calculated_from_any_keys(keys: list[float]) -> None:
    share = _shares(np.array(keys))
    assert ((share >= 0.1) & (share <= 1.0)).all()
    assert (np.diff(share[np.argsort(keys)]) <= 0.0).all()


def test_among_infeasible_sources_less_violation_draws_more_onlookers() -> None:
    np.testing.assert_allclose(_shares(np.array([1e300, 2e300])), [1.0, 0.55])


def test_a_bee_changes_at_most_so_many_variables() -> None:
    for changes in (1, 2, 4):
        algorithm = ABC(changes=changes)
        state = flown(algorithm, REAL, 6)
        bees = algorithm.ask(state, default_rng(1))
        n_changed = (bees.unit != state.unit)[~bees.scouts].sum(axis=1)
        assert n_changed.max() == changes


def changed_levels(domain: Domain, source: Matrix, partner: Matrix) -> tuple[Matrix, Matrix]:
    """Return levels before and after of 4,000 bees, half at each of two sources."""
    algorithm = ABC(changes=1)
    state = flown(algorithm, domain, 2)
    unit = np.tile(np.stack([source, partner]), (5, 1))
    state = replace(state, unit=unit, trials=np.zeros(10, np.int64))
    after = [domain.level(algorithm.ask(state, default_rng(s)).unit) for s in range(400)]
    return np.tile(domain.level(unit), (400, 1)), np.concatenate(after)


@pytest.mark.parametrize("at", [[0.5, 0.5], [0.0, 1.0], [0.05, 0.95], [0.45, 0.55]])
def test_a_changed_discrete_value_always_goes_to_another_level(at: list[float]) -> None:
    domain = Space([Integer(0, 9)]).domain
    before, after = changed_levels(domain, np.array([at[0]]), np.array([at[1]]))
    assert (before != after).all()
    assert ((after >= 0) & (after <= 9)).all()


def test_integers_step_by_a_share_of_the_difference_to_the_partner() -> None:
    domain = Space([Integer(0, 999)]).domain
    before, after = changed_levels(domain, np.array([0.4]), np.array([0.6]))
    step = (after - before)[:, 0]  # at most the 200 levels between the sources
    assert np.abs(step).max() <= 200
    assert np.abs(step).mean() == pytest.approx(0.55 * 100, rel=0.05)  # half the partners are at 0


def test_categories_come_from_the_partner_or_are_drawn_from_the_others() -> None:
    domain = Space([Categorical(list("abcdefgh"))]).domain
    before, after = changed_levels(domain, np.array([0.3]), np.array([0.8]))
    here, there = before[:, 0], np.where(before[:, 0] == 2, 6, 2)
    copied = after[:, 0] == there
    assert copied.mean() == pytest.approx(5 / 9 + 4 / 9 / 7, abs=0.03)
    others = np.bincount(after[~copied, 0].astype(int), minlength=8) / (~copied).sum()
    np.testing.assert_allclose(np.delete(others, [2, 6]), 1 / 6, atol=0.03)
    assert (after[:, 0] != here).all()


def test_a_sliced_batch_changes_its_own_sources_only() -> None:
    algorithm = ABC(population=6)
    state = flown(algorithm, REAL, 4)
    bees = algorithm.ask(state, default_rng(7)).first(2)
    after = algorithm.tell(state, bees, np.array([-1.0, -2.0]))
    np.testing.assert_array_equal(after.unit[:2], bees.unit)
    np.testing.assert_array_equal(after.unit[2:], state.unit[2:])
    np.testing.assert_array_equal(after.trials[2:], state.trials[2:])


def test_a_batch_asked_before_the_first_was_told_undoes_nothing() -> None:
    algorithm = ABC()
    state = algorithm.init(REAL, Horizon())
    early, late = (algorithm.ask(state, default_rng(g)) for g in range(2))
    state = algorithm.tell(state, early, np.arange(10.0))
    after = algorithm.tell(state, late, np.full(10, 4.5))
    np.testing.assert_array_equal(after.key, [0, 1, 2, 3, 4, 4.5, 4.5, 4.5, 4.5, 4.5])


def test_batches_asked_at_once_are_of_one_kind_and_the_next_of_the_other() -> None:
    algorithm = ABC()
    state = flown(algorithm, REAL, 2)
    one, two = (algorithm.ask(state, default_rng(g)) for g in range(2))
    assert not (one.onlookers | two.onlookers).any()
    for bees in (one, two):
        state = algorithm.tell(state, bees, bowl(REAL)(bees.unit))
    assert algorithm.ask(state, default_rng(2)).onlookers.all()


def test_a_bee_that_finds_nothing_better_leaves_its_source() -> None:
    algorithm = ABC(limit=100)
    state = flown(algorithm, REAL, 2)
    after = algorithm.tell(state, algorithm.ask(state, default_rng(0)), state.key.copy())
    np.testing.assert_array_equal(after.unit, state.unit)
    np.testing.assert_array_equal(after.trials, state.trials + 1)


def test_sources_that_a_short_batch_left_out_are_visited_by_scouts() -> None:
    algorithm = ABC(population=6)
    state = algorithm.init(REAL, Horizon())
    state = algorithm.tell(state, algorithm.ask(state, default_rng(0)).first(2), np.ones(2))
    bees = replace(state, onlooking=False)
    assert algorithm.ask(bees, default_rng(1)).scouts.tolist() == [False] * 2 + [True] * 4


def test_one_source_alone_is_its_own_partner() -> None:
    algorithm = ABC(population=1, limit=10**6)
    state = flown(algorithm, MIXED, 6)
    unit = algorithm.ask(state, default_rng(0)).unit
    np.testing.assert_array_equal(unit[:, 0], state.unit[:, 0])


def test_mixed_variables_are_solved() -> None:
    run = drive(ABC(), MIXED, bowl(MIXED), 150, seed=1)
    assert run.best < 1e-3


def test_the_population_is_never_below_the_batch() -> None:
    assert len(ABC(population=5).init(REAL, Horizon(batch=9)).key) == 9
    assert len(ABC().init(REAL, Horizon()).key) == 10


@pytest.mark.parametrize(
    "make",
    [
        lambda: ABC(population=0),
        lambda: ABC(limit=0),
        lambda: ABC(changes=0),
    ],
)
def test_settings_out_of_range_are_refused(make: type[ABC]) -> None:
    with pytest.raises(SettingError, match=r"abc: (\w+: )?expected"):
        make()
