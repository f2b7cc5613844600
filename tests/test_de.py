"""Differential evolution: one generation against a plain loop, and degenerate cases."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import default_rng

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.algorithms.de import DE, DEState
from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.space import Space
from swarmopt.testing import drive
from swarmopt.testing.objectives import bowl
from swarmopt.types import Matrix
from swarmopt.variables import Boolean, Categorical, Integer, Real

REAL = Space([Real(-5, 5)] * 6).domain
LATENT = Space([Real(0, 1), Integer(0, 9), Integer(0, 1)]).domain
MIXED = Space([Real(0, 1), Integer(0, 9), Categorical(list("abcd")), Boolean()]).domain
RATES = [0.9, 0.5, 0.7]
LABELS = Space([Categorical([str(i) for i in range(400)])] * 6).domain


def evolved(algorithm: DE, domain: Domain, generations: int = 4) -> DEState:
    """Return the state after some generations."""
    state = algorithm.init(domain, Horizon())
    for g in range(generations):
        trials = algorithm.ask(state, default_rng(g))
        state = algorithm.tell(state, trials, bowl(domain)(trials.unit))
    return state


def at_rest(state: DEState) -> DEState:
    """Return a state all of whose vectors are the first one."""
    return replace(state, unit=np.tile(state.unit[0], (len(state.key), 1)))


def plain_generation(algorithm: DE, state: DEState, seed: int) -> Matrix:
    """Return (n, d) trials of real and integer columns by loops over vectors and columns."""
    n, d = state.unit.shape
    rng = default_rng(seed)
    for_rate, for_elite, for_column, for_f = rng.random((4, n))
    shuffled = list(np.argsort(rng.random(n)))
    for_crossing = rng.random((n, d))
    best_first = sorted(range(n), key=lambda i: state.key[i])
    n_elite = max(2, int(algorithm.elite * n))
    trials = state.unit.copy()
    for i in range(n):
        f, cr = 0.4 + 0.6 * for_f[i], RATES[int(for_rate[i] * 3)]
        pbest = state.unit[best_first[int(for_elite[i] * n_elite)]]
        r2, r3 = (state.unit[shuffled[(i + k) % n]] for k in (1, 2))
        for j in range(d):
            if for_crossing[i, j] >= cr and j != int(for_column[i] * d):
                continue
            v = pbest[j] + f * (r2[j] - r3[j])
            if v < 0.0:
                v = state.unit[i, j] / 2
            elif v > 1.0:
                v = (1 + state.unit[i, j]) / 2
            trials[i, j] = v
    return trials


@pytest.mark.parametrize("domain", [REAL, LATENT], ids=["real", "latent integers"])
@pytest.mark.parametrize("elite", [0.0, 0.3, 1.0])
def test_one_generation_follows_the_equations_vector_by_vector(
    domain: Domain, elite: float
) -> None:
    algorithm = DE(population=15, elite=elite)
    state = evolved(algorithm, domain, 2)
    for seed in range(5):
        unit = algorithm.ask(state, default_rng(seed)).unit
        np.testing.assert_allclose(unit, plain_generation(algorithm, state, seed), atol=1e-14)


def test_mutants_beyond_a_wall_land_halfway_between_it_and_their_parent() -> None:
    algorithm = DE(population=8)
    state = evolved(algorithm, REAL, 1)
    rng = default_rng(0)
    corners = replace(state, unit=np.where(rng.random((8, 6)) < 0.5, 0.1, 0.9))
    unit = np.concatenate([algorithm.ask(corners, default_rng(s)).unit for s in range(20)])
    values = {round(v, 12) for v in unit.ravel()}
    assert {0.05, 0.55, 0.45, 0.95} <= values  # half of 0.1 and 0.9 to either wall


def test_of_a_population_at_one_point_every_real_and_integer_stays() -> None:
    algorithm = DE()
    state = at_rest(evolved(algorithm, LATENT))
    np.testing.assert_allclose(algorithm.ask(state, default_rng(1)).unit, state.unit, atol=1e-15)


def test_every_trial_takes_at_least_one_value_of_its_mutant() -> None:
    algorithm = DE(population=200)
    state = evolved(algorithm, REAL, 1)
    n_changed = (algorithm.ask(state, default_rng(1)).unit != state.unit).sum(axis=1)
    assert n_changed.min() == 1
    # 1 + (d - 1) CR of six columns, CR 0.7 on average
    assert n_changed.mean() == pytest.approx(1 + 5 * 0.7, abs=0.4)


def test_trials_replace_vectors_that_are_no_better() -> None:
    algorithm = DE(population=4)
    state = algorithm.init(REAL, Horizon())
    first = algorithm.ask(state, default_rng(0))
    state = algorithm.tell(state, first, np.array([1.0, 2.0, np.inf, 3.0]))
    then = algorithm.ask(state, default_rng(1))
    state = algorithm.tell(state, then, np.array([1.5, 2.0, np.inf, np.inf]))
    np.testing.assert_array_equal(state.key, [1.0, 2.0, np.inf, 3.0])
    np.testing.assert_array_equal(state.unit[[0, 3]], first.unit[[0, 3]])
    np.testing.assert_array_equal(state.unit[[1, 2]], then.unit[[1, 2]])


def test_a_sliced_batch_changes_its_own_vectors_only() -> None:
    algorithm = DE(population=6)
    state = evolved(algorithm, REAL)
    trials = algorithm.ask(state, default_rng(7)).first(2)
    after = algorithm.tell(state, trials, np.array([-1.0, -2.0]))
    np.testing.assert_array_equal(after.unit[:2], trials.unit)
    np.testing.assert_array_equal(after.unit[2:], state.unit[2:])
    np.testing.assert_array_equal(after.key[:2], [-1.0, -2.0])
    np.testing.assert_array_equal(after.key[2:], state.key[2:])


def test_integers_keep_a_latent_position_between_the_levels() -> None:
    domain = Space([Integer(0, 9)] * 10).domain
    unit = DE().ask(evolved(DE(), domain), default_rng(3)).unit
    assert (np.abs(unit - domain.centre(unit)) < 1e-12).mean() < 0.01


def test_categories_come_from_the_population_or_are_drawn_anew_now_and_then() -> None:
    algorithm = DE(population=30)
    state = evolved(algorithm, LABELS, 1)
    n_new, n_crossed = 0, 0
    for seed in range(40):
        unit = algorithm.ask(state, default_rng(seed)).unit
        changed = unit != state.unit
        known = np.stack([np.isin(unit[:, j], state.unit[:, j]) for j in range(6)], axis=1)
        n_new += int((~known).sum())
        n_crossed += int(changed.sum())
    assert n_new / n_crossed == pytest.approx(0.5 / 6, abs=0.02)


def test_categories_follow_the_base_the_pbest_and_the_difference_vector_by_vector() -> None:
    algorithm = DE(population=12, elite=0.3)
    state = evolved(algorithm, LABELS, 1)
    state = replace(state, unit=LABELS.centre(state.unit.round(1) * 0.9))  # many pairs agree
    n, d = state.unit.shape
    for seed in range(10):
        rng = default_rng(seed)
        for_rate, for_elite, for_column, for_f = rng.random((4, n))
        shuffled = list(np.argsort(rng.random(n)))
        near, far, anew, fresh, crossing = (rng.random((n, d)) for _ in range(5))
        best_first = sorted(range(n), key=lambda i: state.key[i])
        unit = algorithm.ask(state, default_rng(seed)).unit
        for i in range(n):
            f, cr = 0.4 + 0.6 * for_f[i], RATES[int(for_rate[i] * 3)]
            pbest = state.unit[best_first[int(for_elite[i] * 3)]]
            r1, r2, r3 = (state.unit[shuffled[(i + k) % n]] for k in range(3))
            for j in range(d):
                expected = pbest[j] if near[i, j] < 0.5 else r1[j]
                if r2[j] != r3[j] and far[i, j] < f:
                    expected = r2[j]
                if anew[i, j] < 0.5 / d:
                    expected = fresh[i, j]
                if crossing[i, j] >= cr and j != int(for_column[i] * d):
                    expected = state.unit[i, j]
                assert unit[i, j] == expected


def test_no_order_of_categories_is_invented() -> None:
    """Renaming the categories renames those of the trials, save the ones drawn anew."""
    domain = Space([Categorical(list("abcdefgh"))] * 5).domain
    algorithm = DE(population=20)
    state = evolved(algorithm, domain, 1)
    state = replace(state, unit=domain.centre(state.unit))
    new_name = default_rng(3).permutation(8)
    renamed = replace(state, unit=(new_name[domain.level(state.unit).astype(int)] + 0.5) / 8)
    for seed in range(10):
        level = domain.level(algorithm.ask(state, default_rng(seed)).unit).astype(int)
        other = domain.level(algorithm.ask(renamed, default_rng(seed)).unit).astype(int)
        assert (new_name[level] == other).mean() > 0.8
        assert (level == other).mean() < 0.6


def test_a_lost_category_comes_back() -> None:
    algorithm = DE(population=20)
    state = at_rest(evolved(algorithm, MIXED))
    level = [MIXED.level(algorithm.ask(state, default_rng(s)).unit) for s in range(200)]
    share = (np.concatenate(level)[:, 2:] != MIXED.level(state.unit[:1])[:, 2:]).mean(axis=0)
    assert (share > 0.02).all()


def test_a_population_that_failed_moves_on() -> None:
    algorithm = DE(population=5)
    state = algorithm.init(REAL, Horizon())
    state = algorithm.tell(state, algorithm.ask(state, default_rng(0)), np.full(5, np.inf))
    trials = algorithm.ask(state, default_rng(1))
    after = algorithm.tell(state, trials, np.full(5, np.inf))
    np.testing.assert_array_equal(after.unit, trials.unit)


def test_positions_count_as_told() -> None:
    algorithm = DE(population=4)
    state = algorithm.init(REAL, Horizon())
    asked = algorithm.ask(state, default_rng(0))
    elsewhere = Candidates(np.full((4, 6), 0.25))
    after = algorithm.tell(state, asked.at(elsewhere.unit), np.arange(4.0))
    np.testing.assert_array_equal(after.unit, 0.25)


def test_the_sphere_is_solved_to_many_digits() -> None:
    run = drive(DE(population=20), REAL, bowl(REAL), 400, seed=1)
    assert run.best < 1e-12


@pytest.mark.parametrize(("d", "n"), [(1, 12), (30, 13), (400, 50), (3_000, 100)])
def test_the_automatic_population_grows_with_the_dimension(d: int, n: int) -> None:
    assert len(DE().init(Space([Real(0, 1)] * d).domain, Horizon()).key) == n


def test_the_population_is_never_below_the_batch() -> None:
    assert len(DE(population=5).init(REAL, Horizon(batch=9)).key) == 9


@pytest.mark.parametrize(
    "make",
    [
        lambda: DE(population=3),
        lambda: DE(elite=-0.1),
        lambda: DE(elite=1.5),
        lambda: DE(elite=float("nan")),
    ],
)
def test_settings_out_of_range_are_refused(make: type[DE]) -> None:
    with pytest.raises(SettingError, match=r"de: (\w+: )?expected"):
        make()
