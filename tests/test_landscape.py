"""The landscape of the default sparrow search: what is fitted, and how far one may go down."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from swarmopt import Optimizer
from swarmopt.algorithms import flock_model, landscape
from swarmopt.algorithms.descent import _walked, lowest, trust_region_step
from swarmopt.algorithms.flock_model import FlockModel
from swarmopt.algorithms.landscape import Archive, Landscape, fitted, kendall
from swarmopt.algorithms.ssa import SSA
from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.algorithms.ssa_survey import EARLY, FURTHEST, LEAST, NEAREST_REACH, Survey
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Categorical, Integer, Real, Variable

LETTERS = Categorical(["a", "b", "c", "d"])


def columns_of(variables: Sequence[Variable]) -> Columns:
    return Columns(Space(variables).domain)


def model_of(columns: Columns, seed: int = 0) -> FlockModel | None:
    """Return a model that is turned and stretched."""
    k = len(columns.numeric)
    if not k:
        return None
    model = flock_model.start(np.full(k, 0.5), 0.2, flock_model.rates(k, 7))
    rng = np.random.default_rng(seed)
    for _ in range(10):
        model = flock_model.update(model, rng.random((7, k)), np.zeros(7, bool))
    return model


def points(columns: Columns, n: int, seed: int = 0) -> Matrix:
    rng = np.random.default_rng(seed)
    return columns.domain.centre(rng.random((n, columns.domain.d)))


def around_best(
    columns: Columns, unit: Matrix, key: Vector, model: FlockModel | None = None
) -> Landscape:
    found = fitted(Archive(unit, key), columns, unit[key.argmin()], model or model_of(columns))
    assert found is not None
    return found


def quadratic(d: int, seed: int = 1) -> tuple[Matrix, Vector]:
    """Return a well conditioned curvature, (d, d), and where its bowl is lowest."""
    rng = np.random.default_rng(seed)
    basis = np.linalg.qr(rng.standard_normal((d, d)))[0]
    return (basis * np.linspace(1, 20, d)) @ basis.T, rng.uniform(0.3, 0.7, d)


# Fitting


def test_a_quadratic_is_found_exactly_from_as_many_points_as_it_has_terms() -> None:
    columns = columns_of([Real(0, 1)] * 4)
    curved, at = quadratic(4)
    unit = points(columns, 20)
    key = ((unit - at) @ curved * (unit - at)).sum(axis=1)
    found = around_best(columns, unit, key)
    assert found.trust > 0.9
    dive = lowest(found, Archive(unit, key), 5.0)
    assert dive is not None
    np.testing.assert_allclose(dive, at, atol=1e-3)


@pytest.mark.parametrize(
    "variables",
    [[Real(0, 1)] * 3, [LETTERS] * 4, [Real(0, 1), Integer(0, 5), LETTERS, LETTERS]],
    ids=["reals", "choices", "mixed"],
)
def test_the_dual_form_is_ridge_regression_on_all_products(variables: list[Variable]) -> None:
    columns = columns_of(variables)
    k = len(columns.numeric)
    unit = points(columns, 26, seed=3)
    key = np.random.default_rng(4).random(26)
    found = around_best(columns, unit, key)
    v = found.rows
    seen = found.coordinates.of(columns.domain.centre(unit))
    chosen = [int(np.abs(seen - row).sum(axis=1).argmin()) for row in v]
    i, j = np.triu_indices(v.shape[1])

    def terms(rows: Matrix) -> Matrix:
        products = rows[:, i] * rows[:, j] * np.where(i == j, 1.0, np.sqrt(2.0))
        return np.concatenate([products, rows[:, k:]], axis=1)  # the penalised ones

    def free(rows: Matrix) -> Matrix:
        if not k:
            return np.ones((len(rows), 1))
        square = (rows[:, :k] ** 2).sum(axis=1, keepdims=True)
        return np.concatenate([np.ones((len(rows), 1)), rows[:, :k], square], axis=1)

    cost = (key[chosen] - key[chosen].min()) / key[chosen].std()
    weight = np.empty(len(cost))
    weight[cost.argsort()] = np.linspace(landscape.HEAVIEST, 1.0, len(cost))
    ridge = landscape.RIDGE if not len(columns.nominal) else landscape.RIDGE_OF_CHOICES
    design = np.concatenate([terms(v), free(v)], axis=1)
    held = np.concatenate(
        [np.full(design.shape[1] - free(v).shape[1], ridge), np.full(free(v).shape[1], 1e-12)]
    )
    solved = np.linalg.lstsq(
        np.concatenate([np.sqrt(weight)[:, None] * design, np.diag(np.sqrt(held))]),
        np.concatenate([np.sqrt(weight) * cost, np.zeros(len(held))]),
        rcond=None,
    )[0]
    new = points(columns, 9, seed=5)
    rows = found.coordinates.of(new)
    expected = np.concatenate([terms(rows), free(rows)], axis=1) @ solved
    np.testing.assert_allclose(found.predict(new), expected, rtol=1e-3, atol=1e-3)


def test_derivatives_are_those_of_the_prediction() -> None:
    columns = columns_of([Real(0, 1), LETTERS, Real(0, 1), Real(0, 1)])
    unit = points(columns, 30)
    key = np.sin(5 * unit).sum(axis=1)
    found = around_best(columns, unit, key)
    leader = found.coordinates.origin
    other = leader.copy()
    other[1] = (np.floor(leader[1] * 4) + 1) % 4 / 4 + 0.125
    z = 1e-3 * np.random.default_rng(0).standard_normal(3)
    for choice in (leader, other, unit[4]):
        moved = [choice.copy() for _ in range(2)]
        moved[0][columns.numeric] += z @ found.coordinates.back
        moved[1][columns.numeric] -= z @ found.coordinates.back
        up, down, here = found.predict(np.array([*moved, choice]))
        assert up - down == pytest.approx(2 * found.gradient(choice)[:3] @ z, rel=1e-6)
        assert up + down - 2 * here == pytest.approx(z @ found.hessian[:3, :3] @ z, rel=1e-4)


def test_where_a_walk_ends_every_single_step_adds_what_is_predicted() -> None:
    columns = columns_of([Integer(0, 6), LETTERS, Real(0, 1), Integer(0, 1), LETTERS])
    unit = points(columns, 60, seed=3)
    found = around_best(columns, unit, np.sin(7 * unit).sum(axis=1) + unit[:, 0] * unit[:, 4])
    for start in unit[:20]:
        end, adds = _walked(found, start)
        around = columns.neighbours(end)
        here = found.predict(end[None])[0]
        np.testing.assert_allclose(found.predict(around) - here, adds, rtol=1e-6, atol=1e-9)
        assert adds.min() >= -1e-9
        assert end[2] == start[2]
        assert here <= found.predict(start[None])[0] + 1e-9


def test_trust_is_taken_from_points_that_the_fit_did_not_see(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(landscape, "HEAVIEST", 1.0)  # equal weights stay equal without a point
    columns = columns_of([Real(0, 1)] * 2)
    unit = points(columns, 20, seed=7)
    key = np.random.default_rng(7).random(20)
    archive = Archive(unit, key)
    leader, model = unit[key.argmin()], model_of(columns)
    found = fitted(archive, columns, leader, model)
    assert found is not None
    predicted = []
    for i in range(20 - landscape.JUDGED, 20):
        rest = np.arange(20) != i
        v, cost = found.rows[rest], (key - key.min())[rest] / key.std()
        alone = landscape._solved(found.coordinates, v, cost, np.ones(19))
        assert alone is not None
        predicted.append(alone.predict(unit[i : i + 1])[0])
    assert found.trust == pytest.approx(kendall(np.array(predicted), key[-landscape.JUDGED :]))


def test_noise_is_not_trusted_and_a_bowl_is() -> None:
    columns = columns_of([Real(0, 1)] * 3)
    unit = points(columns, 40)
    noise = around_best(columns, unit, np.random.default_rng(1).random(40))
    bowl = around_best(columns, unit, ((unit - 0.4) ** 2).sum(axis=1))
    assert noise.trust < 0.6
    assert bowl.trust > 0.95


def test_failed_and_infeasible_points_count_as_the_worst() -> None:
    columns = columns_of([Real(0, 1)] * 2)
    unit = points(columns, 28)
    key = ((unit - 0.3) ** 2).sum(axis=1)
    key[unit[:, 0] > 0.7] = np.inf
    key[unit[:, 1] > 0.7] = 1.3e300
    found = around_best(columns, unit, key)
    good = key < 1.0
    worst = (key[good].max() - key.min()) / np.minimum(key, key[good].max()).std()
    predicted = found.predict(unit)
    assert 0.4 * worst < predicted[~good].mean() < 1.6 * worst
    assert predicted[good].mean() < predicted[~good].mean()


@pytest.mark.parametrize("key", [np.ones(30), np.full(30, np.inf), np.full(30, 1.5e300)])
def test_flat_and_hopeless_ground_has_no_landscape(key: Vector) -> None:
    columns = columns_of([Real(0, 1)] * 2)
    assert (
        fitted(Archive(points(columns, 30), key), columns, np.full(2, 0.5), model_of(columns))
        is None
    )


def test_few_points_and_equal_points_have_no_landscape() -> None:
    columns = columns_of([Real(0, 1)] * 4)
    unit = points(columns, 6)
    assert fitted(Archive(unit, np.arange(6.0)), columns, unit[0], model_of(columns)) is None
    same = np.full((30, 4), 0.3)
    assert fitted(Archive(same, np.arange(30.0)), columns, same[0], model_of(columns)) is None


def test_the_archive_forgets_the_oldest() -> None:
    archive = Archive(np.zeros((1, 2)), np.zeros(1))
    for i in range(1, 500):
        archive = archive.seen(np.full((1, 2), i), np.array([float(i)]))
    assert len(archive.key) == landscape.REMEMBERED
    np.testing.assert_array_equal(archive.key, np.arange(100.0, 500.0))
    np.testing.assert_array_equal(archive.unit[:, 0], archive.key)


def test_relabelling_choices_changes_no_prediction() -> None:
    columns = columns_of([LETTERS] * 3)
    unit = points(columns, 30)
    key = np.random.default_rng(2).random(30)
    swapped = (np.array([2, 0, 3, 1])[np.floor(unit * 4).astype(int)] + 0.5) / 4
    one, two = around_best(columns, unit, key), around_best(columns, swapped, key)
    np.testing.assert_allclose(one.predict(unit), two.predict(swapped), rtol=1e-6, atol=1e-8)


# Going down


@pytest.mark.parametrize("seed", range(20))
def test_no_point_within_reach_is_lower_than_the_step(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 8))
    basis = np.linalg.qr(rng.standard_normal((k, k)))[0]
    curvature = rng.uniform(-1, 3, k) if seed % 2 else rng.uniform(0.01, 3, k)
    hessian, gradient = (basis * curvature) @ basis.T, rng.standard_normal(k)
    radius = float(10 ** rng.uniform(-2, 1))
    step = trust_region_step(gradient, hessian, radius)
    assert np.linalg.norm(step) <= radius * (1 + 1e-9)
    others = rng.standard_normal((20_000, k))
    others *= radius / np.linalg.norm(others, axis=1, keepdims=True)
    others *= rng.random((len(others), 1)) ** rng.choice([0.0, 1.0 / k], (len(others), 1))

    def value(s: Matrix) -> Vector:
        total: Vector = s @ gradient + 0.5 * ((s @ hessian) * s).sum(axis=1)
        return total

    lowest_other = float(value(others).min())
    assert value(step[None])[0] <= lowest_other + 0.02 * abs(lowest_other)


@pytest.mark.parametrize("gradient", [np.zeros(3), np.array([0.0, 0.0, 1.0])])
def test_a_step_from_a_saddle_is_finite_and_within_reach(gradient: Vector) -> None:
    step = trust_region_step(gradient, np.diag([-1.0, 1.0, 2.0]), 0.5)
    assert np.isfinite(step).all()
    assert np.linalg.norm(step) <= 0.5 + 1e-9


def test_neighbours_are_all_single_steps() -> None:
    columns = columns_of([Integer(0, 4), Real(0, 1), LETTERS, Integer(0, 1), Integer(3, 3)])
    at = columns.domain.centre(np.array([[0.0, 0.37, 0.4, 0.9, 0.5]]))[0]
    levels = columns.domain.level(columns.neighbours(at))
    expected = {(1, 1, 1), (0, 0, 1), (0, 2, 1), (0, 3, 1), (0, 1, 0)}
    assert {(row[0], row[2], row[3]) for row in levels.tolist()} == expected
    assert len(levels) == len(expected)
    np.testing.assert_array_equal(columns.neighbours(at)[:, 1], 0.37)


def test_the_lowest_choices_are_found_as_by_brute_force() -> None:
    columns = columns_of([LETTERS] * 3)
    rng = np.random.default_rng(5)
    effect = rng.random((3, 4))
    unit = points(columns, 45, seed=2)
    level = columns.domain.level(unit).astype(int)
    key = effect[np.arange(3), level].sum(axis=1)
    archive = Archive(unit, key)
    found = lowest(around_best(columns, unit, key), archive, 1.0)
    known = {row.tobytes() for row in unit}
    grid = columns.domain.centre(
        np.stack(np.meshgrid(*[np.arange(4) / 4 + 0.1] * 3), -1).reshape(-1, 3)
    )
    new = np.array([row for row in grid if row.tobytes() not in known])
    assert found is not None
    assert found.tobytes() not in known
    total = effect[np.arange(3), columns.domain.level(new).astype(int)].sum(axis=1)
    best = effect.min(axis=1).sum()
    ours = effect[np.arange(3), columns.domain.level(found[None])[0].astype(int)].sum()
    reached = any(
        row.tobytes() in known
        for row in grid[
            effect[np.arange(3), columns.domain.level(grid).astype(int)].sum(axis=1) == best
        ]
    )
    assert ours == pytest.approx(total.min()) if not reached else ours <= np.sort(total)[5]


def test_where_all_points_are_known_there_is_no_dive() -> None:
    columns = columns_of([Integer(0, 3), Integer(0, 3)])
    grid = np.stack(np.meshgrid(np.arange(4), np.arange(4)), -1).reshape(-1, 2)
    unit = (grid + 0.5) / 4
    key = ((grid - 1.3) ** 2).sum(axis=1)
    found = around_best(columns, unit, key)
    assert lowest(found, Archive(unit, key), 1.0) is None


def test_real_values_follow_the_discrete_ones() -> None:
    columns = columns_of([Real(0, 1), Integer(0, 9)])
    unit = points(columns, 40)
    real, whole = unit[:, 0], unit[:, 1]

    def cost(real: Vector, whole: Vector) -> Vector:
        total: Vector = (real - 0.2 - 0.5 * whole) ** 2 + 0.05 * (whole - 0.52) ** 2
        return total

    key = cost(real, whole)
    found = lowest(around_best(columns, unit, key), Archive(unit, key), 3.0)
    assert found is not None
    assert found[1] == pytest.approx(0.55)
    assert found[0] == pytest.approx(0.2 + 0.5 * found[1], abs=1e-3)


# Survey


def survey_of(trust: float, n: int = 30) -> tuple[Survey, Columns]:
    columns = columns_of([Real(0, 1)] * 2)
    unit = points(columns, n)
    key = ((unit - 0.4) ** 2).sum(axis=1)
    survey = Survey.begun(unit, key).fitted(columns, unit[key.argmin()], model_of(columns))
    ground = survey.landscape
    assert ground is not None
    return Survey(survey.archive, replace(ground, trust=trust), 1.0), columns


@pytest.mark.parametrize(
    ("trust", "least", "n_flying"),
    [(1.0, 0, 0), (1.0, 3, 3), (0.6, 1, 1), (0.4, 1, 5), (0.2, 1, 10), (-1.0, 1, 10)],
)
def test_the_less_the_landscape_is_trusted_the_more_fly(
    trust: float, least: int, n_flying: int
) -> None:
    survey, columns = survey_of(trust)
    unit = points(columns, 10, seed=8)
    flying = survey.flying(unit, least)
    assert len(flying) == n_flying
    cost = ((unit - 0.4) ** 2).sum(axis=1)
    np.testing.assert_allclose(np.sort(cost[flying]), np.sort(cost)[:n_flying])


def test_reach_follows_success() -> None:
    survey, _ = survey_of(1.0)
    far, near = survey, survey
    for _ in range(20):
        far = far.dived(won=True, n_told=0)
        near = near.dived(won=False, n_told=0)
    assert FURTHEST == far.reach > survey.reach > near.reach == NEAREST_REACH


@pytest.mark.parametrize("trust", [0.5, 1.0])
def test_each_dive_lost_in_a_row_makes_a_longer_rest_and_one_won_ends_it(trust: float) -> None:
    survey, columns = survey_of(trust)
    late = EARLY * columns.domain.d
    rests = []
    for _ in range(6):
        survey = survey.dived(won=False, n_told=late)
        rests.append(survey.rest)
    assert rests == [0, 1, 3, 7, 7, 7]
    won = survey.dived(won=True, n_told=late)
    assert (won.rest, won.dived(won=False, n_told=late).rest) == (0, 0)
    assert survey.dived(won=False, n_told=late - 1).rest == 0


def test_early_the_diver_may_fly_alone_and_later_half_of_a_generation_does() -> None:
    d = 2
    optimizer = Optimizer(Space([Real(-3.0, 5.0)] * d), algorithm="ssa", seed=0)
    early: set[int] = set()
    late: set[int] = set()
    n = 0
    while n < 2 * EARLY * d:
        asked = optimizer.ask()
        (late if n >= EARLY * d else early).add(len(asked.x))
        optimizer.tell(asked, (asked.x**2).sum(axis=1) + np.abs(asked.x).sum(axis=1))
        n += len(asked.x)
    assert min(early) == 1
    assert min(late) == math.ceil(LEAST * SSA().population)


def test_at_rest_all_fly_none_dives_and_points_are_remembered() -> None:
    survey, columns = survey_of(1.0)
    unit = points(columns, 10, seed=8)
    assert survey.dive() is not None
    assert len(survey.flying(unit, 1)) == 1
    for left in (3, 2, 1):
        survey = Survey(survey.archive, survey.landscape, 1.0, 2, left)
        assert survey.dive() is None
        np.testing.assert_array_equal(survey.flying(unit, 1), np.arange(10))
        n = len(survey.archive.key)
        survey = survey.told(unit, unit.sum(axis=1))
        assert survey.rest == left - 1
        assert len(survey.archive.key) == n + 10
    assert survey.dive() is not None


@pytest.mark.parametrize("variables", [[Real(0, 1)] * 41, [Categorical(range(300))] * 2])
def test_wide_spaces_are_not_surveyed(variables: list[Variable]) -> None:
    assert not Survey.can(columns_of(variables))
    assert Survey.can(columns_of(variables[:1]))
