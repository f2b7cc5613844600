"""The default algorithm: reductions, discrete failure modes, restarts, quality over fixed seeds."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from swarmopt.algorithm import Horizon, Streams
from swarmopt.algorithms import flock_model
from swarmopt.algorithms.landscape import Landscape, fitted
from swarmopt.algorithms.ssa import SSA
from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.algorithms.ssa_flock import NEAREST, Flock, SuccessMemory, Watch, nearest
from swarmopt.algorithms.ssa_roles import producers, renewed, uniform_probability
from swarmopt.algorithms.ssa_state import (
    DIVER,
    PRODUCER,
    ROLES,
    SCOUT,
    SCROUNGER,
    SETTLER,
    Birds,
    SSAState,
)
from swarmopt.domain import Domain
from swarmopt.errors import SettingError, UnknownNameError
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Categorical, Integer, Real

Keys = Callable[[Matrix], Vector]
LETTERS = Categorical(["a", "b", "c", "d", "e"])
MIXED = Space([Real(0, 1), Real(0, 1), Integer(0, 9), LETTERS, LETTERS, Integer(3, 3)]).domain


def reals(d: int) -> Domain:
    return Space([Real(-5, 5)] * d).domain


def run(
    algorithm: SSA, domain: Domain, fun: Keys, budget: int, seed: int = 0, *, batch: int = 1
) -> tuple[SSAState, list[Birds]]:
    streams, left = Streams(seed), budget
    state = algorithm.init(domain, Horizon(None, batch))
    told: list[Birds] = []
    while left > 0:
        birds = algorithm.ask(state, streams.at(len(told)))
        birds = birds.first(min(left, len(birds)))
        left -= len(birds)
        told.append(birds)
        state = algorithm.tell(state, birds, fun(birds.unit))
    return state, told


def sphere(at: float | Vector) -> Keys:
    return lambda unit: ((unit - at) ** 2).sum(axis=1)


def total_of_levels(domain: Domain) -> Keys:
    return lambda unit: domain.level(unit).sum(axis=1)


def flat(unit: Matrix) -> Vector:
    return np.zeros(len(unit))


def warm(domain: Domain, *, seed: int = 1, batches: int = 6) -> SSAState:
    return run(SSA(), domain, sphere(0.7), 6 + 7 * batches, seed)[0]


# Reductions


def test_producers_alone_on_reals_are_a_plain_gaussian_model() -> None:
    domain, algorithm, streams = reals(4), SSA(roles=("producers",), surrogate=False), Streams(5)
    state = algorithm.init(domain, Horizon())
    first = algorithm.ask(state, streams.at(0))
    state = algorithm.tell(state, first, sphere(0.45)(first.unit))
    model = flock_model.start(np.full(4, 0.5), 0.3, flock_model.rates(4, 7))
    for g in range(1, 40):
        birds = algorithm.ask(state, streams.at(g))
        rng = streams.at(g)
        rng.random()  # the split among roles
        alone = producers(Columns(domain), model, np.empty((0, 0)), 7, rng)
        if ((alone >= 0) & (alone <= 1)).all():
            np.testing.assert_array_equal(birds.unit, alone)
        key = sphere(0.45)(birds.unit)
        ranked = birds.unit[np.argsort(key, kind="stable")]
        model = flock_model.update(model, ranked, np.zeros(7, bool))
        state = algorithm.tell(state, birds, key)
        assert state.model is not None
        np.testing.assert_array_equal(state.model.mean, model.mean)
        assert state.model.sigma == model.sigma


@pytest.mark.parametrize("roles", [(r,) for r in ROLES] + [ROLES[:2], ROLES[1:], ROLES[::2]])
def test_a_role_that_is_left_out_asks_for_nothing(roles: tuple[str, ...]) -> None:
    _, told = run(SSA(roles=roles), MIXED, sphere(0.6), 300)
    found = set(np.concatenate([birds.role for birds in told]).tolist()) - {SETTLER, DIVER}
    assert found == {ROLES.index(role) for role in roles}


def test_every_role_keeps_its_floor() -> None:
    state, _ = run(SSA(floor=0.1), reals(3), sphere(0.6), 700)
    assert min(state.share) >= 0.1 - 1e-12
    assert sum(state.share) == pytest.approx(1.0)


def test_the_model_is_diagonal_where_there_are_many_variables() -> None:
    for d, n_axes in ((99, 2), (100, 1)):
        model = SSA().init(reals(d), Horizon()).model
        assert model is not None
        assert model.covariance.ndim == n_axes


def test_a_thousand_variables_run_and_improve() -> None:
    state, told = run(SSA(), reals(1_000), sphere(0.7), 6_000)
    assert state.best_key < 0.8 * sphere(0.7)(told[0].unit).min()


# First birds and restarts


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


# Selection


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


# Discrete failure modes


def test_a_step_size_below_the_level_pitch_freezes_no_coordinate() -> None:
    domain = Space([*[Integer(0, 20)] * 5, Real(0, 1)]).domain  # the real one: no duplicates
    state = warm(domain)
    assert state.model is not None
    stuck = replace(
        state,
        model=replace(state.model, sigma=1e-12, mean=np.full(6, 0.5)),
        flock=Flock(np.full((6, 6), 0.5), np.ones(6), np.arange(6)),
    )
    asked = [SSA(roles=("producers",)).ask(stuck, Streams(1).at(g)) for g in range(200)]
    level = domain.level(np.concatenate([b.unit for b in asked]))
    assert ((level[:, :5] != 10).sum(axis=0) > 20).all()


def test_no_generation_of_duplicates_in_a_purely_discrete_space(thorough: bool) -> None:
    for variable in (Integer(0, 9), LETTERS):
        domain = Space([variable] * 8).domain
        _, told = run(SSA(), domain, total_of_levels(domain), 700 if thorough else 350)
        distinct = [len({r.tobytes() for r in domain.level(b.unit)}) / len(b) for b in told]
        assert min(distinct) >= 0.5
        assert np.mean(distinct) > 0.98


def test_known_points_are_moved_on() -> None:
    domain = Space([LETTERS] * 6).domain
    flock = Flock(np.full((1, 6), 0.5), np.ones(1), np.zeros(1, int))
    known = np.concatenate([flock.unit, np.full((1, 6), 0.1)])
    batch = np.concatenate([np.full((5, 6), 0.5), np.full((1, 6), 0.1)])
    unit = renewed(Columns(domain), flock, known, batch, np.random.default_rng(0))
    rows = {row.tobytes() for row in domain.level(unit)}
    assert len(rows) == 6
    assert not rows & {row.tobytes() for row in domain.level(known)}


@pytest.mark.parametrize("surrogate", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_relabelling_categories_changes_nothing_in_distribution(surrogate: bool) -> None:
    domain = Space([Categorical(list(range(8)))] * 6).domain
    orders = np.array([np.arange(8), [3, 7, 0, 5, 1, 6, 2, 4]])
    final = []
    for labels in orders:

        def keys(unit: Matrix, labels: Vector = labels) -> Vector:
            level = labels[domain.level(unit).astype(int)]
            pairs = (level[:, 1:] != level[:, :-1]).sum(axis=1)
            total: Vector = (level % 3 + level / 8).sum(axis=1) + 0.5 * pairs
            return total

        algorithm = SSA(surrogate=surrogate)
        runs = [run(algorithm, domain, keys, 200, seed)[0].best_key for seed in range(25)]
        final.append(np.array(runs))
    pooled = np.sqrt((final[0].var() + final[1].var()) / 25)
    assert abs(final[0].mean() - final[1].mean()) < 4 * pooled + 1e-9


def test_distances_between_categories_know_no_order() -> None:
    domain = Space([Categorical(list(range(100)))] * 3).domain
    birds = (np.array([[0, 0, 0], [99, 99, 5]]) + 0.5) / 100
    flock = Flock(birds, np.arange(2.0), np.arange(2))
    candidate = (np.array([[1, 1, 5]]) + 0.5) / 100
    np.testing.assert_array_equal(nearest(Columns(domain), flock, candidate), [1])


def test_every_level_of_a_category_keeps_a_chance() -> None:
    domain = Space([LETTERS] * 4).domain
    state, _ = run(SSA(), domain, total_of_levels(domain), 400)
    assert state.probability.min() > 0
    np.testing.assert_allclose(state.probability.sum(axis=1), 1.0)


def test_first_probabilities_are_equal_over_each_columns_levels() -> None:
    columns = Columns(Space([LETTERS, Categorical(["x", "y"])]).domain)
    expected = [[0.2] * 5, [0.5, 0.5, 0, 0, 0]]
    np.testing.assert_allclose(uniform_probability(columns), expected)
    none = np.concatenate(
        [producers(columns, None, np.array(expected), 4_000, np.random.default_rng(0))]
    )
    level = columns.domain.level(none)
    np.testing.assert_allclose(np.bincount(level[:, 0].astype(int)) / 4_000, 0.2, atol=0.03)
    np.testing.assert_allclose(np.bincount(level[:, 1].astype(int)) / 4_000, 0.5, atol=0.04)


# Keys


@pytest.mark.parametrize("change", [np.arctan, lambda k: k**3, lambda k: 1e300 * (2 - 1 / (1 + k))])
def test_without_a_landscape_a_monotone_transform_of_keys_gives_the_identical_run(
    change: Keys,
) -> None:
    def keys(unit: Matrix) -> Vector:
        return np.rint(1e4 * sphere(0.63)(unit))

    def changed(unit: Matrix) -> Vector:
        return change(keys(unit) / 1e4)

    _, plain = run(SSA(surrogate=False), MIXED, keys, 1_500)
    _, other = run(SSA(surrogate=False), MIXED, changed, 1_500)
    for one, two in zip(plain, other, strict=True):
        np.testing.assert_array_equal(one.unit, two.unit)


def test_failed_candidates_do_not_stop_progress() -> None:
    def keys(unit: Matrix) -> Vector:
        return np.where(unit.sum(axis=1) > 2.0, np.inf, sphere(0.3)(unit))

    state, _ = run(SSA(), reals(4), keys, 1_500)
    assert state.best_key < 1e-4


# Small and odd spaces


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


def test_an_optimum_in_a_corner_is_reached() -> None:
    best = [run(SSA(), reals(5), sphere(1.0), 600, seed)[0].best_key for seed in range(3)]
    assert np.median(best) < 1e-6


# Quality, over fixed seeds with a wide margin


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


def test_a_mixed_problem_is_solved() -> None:
    at = np.array([0.3, 0.8, 0.25, 0.5, 0.1, 0.5])

    def keys(unit: Matrix) -> Vector:
        away = MIXED.centre(unit) - MIXED.centre(at[None, :])
        wrong = np.abs(away[:, 3:5]) > 1e-9
        total: Vector = (away[:, :3] ** 2).sum(axis=1) + 0.1 * wrong.sum(axis=1)
        return total

    best = [run(SSA(), MIXED, keys, 400, seed)[0].best_key for seed in range(5)]
    assert np.median(best) < 1e-8


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"population": 1},
        {"memory": 1},
        {"elite": 0.0},
        {"shares": (1.0, 0.0, 0.0)},
        {"floor": 0.4},
        {"smoothing": 1.0},
        {"shares": (1e308, 1e308, 1e308)},
        {"roles": ()},
        {"roles": ("scouts", "scouts")},
        {"sigma": 0.0},
        {"sigma": 1e-300},
        {"growth": 0.5},
        {"growth": 1e10},
        {"caution": -1.0},
        {"max_growth": 0.0},
        {"max_growth": float("inf")},
        {"negative": 2.0},
        {"diagonal_from": 0},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(
        SettingError,
        match=next(iter(wrong)).replace("shares", "positive shares").replace("roles", "role"),
    ):
        SSA(**wrong)  # type: ignore[arg-type]


def test_an_unknown_role_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="scouts"):
        SSA(roles=("scout",))


def test_the_report_shows_shares_size_and_restarts() -> None:
    report = SSA().report(warm(reals(3)))
    assert sum(report[role] for role in ROLES) == pytest.approx(1.0)
    assert report["population"] == 7
    assert report["restarts"] == 0


def test_roles_are_numbered_as_they_are_named() -> None:
    assert ROLES[PRODUCER] == "producers"
    assert ROLES[SCROUNGER] == "scroungers"
    assert ROLES[SCOUT] == "scouts"


# The landscape


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


def test_discrete_spaces_start_with_more_scroungers() -> None:
    some_real, none_real = Space([Real(0, 1), LETTERS]), Space([Integer(0, 9), LETTERS])
    shares = [SSA().init(s.domain, Horizon()).share for s in (some_real, none_real)]
    assert shares[0] == pytest.approx((0.7, 0.15, 0.15))
    assert shares[1] == pytest.approx((0.15, 0.7, 0.15))
    given = SSA(shares=(1.0, 1.0, 2.0)).init(reals(2), Horizon()).share
    assert given == pytest.approx((0.25, 0.25, 0.5))
