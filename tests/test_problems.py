"""The built-in problems: what they claim of their optimum is true."""

from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.optimize import check_grad, minimize

from swarmopt.algorithm import Seeds
from swarmopt.errors import SettingError
from swarmopt.evaluation import INFEASIBLE, Evaluation
from swarmopt.plugins import load
from swarmopt.problem import Problem
from swarmopt.problems.analytic import (
    Ackley,
    Analytic,
    ConstrainedSphere,
    Ellipsoid,
    Griewank,
    Rastrigin,
    Rosenbrock,
    Schwefel,
    Sphere,
)
from swarmopt.problems.combinatorial import Knapsack, MaxSat, NKLandscape, best_choice, best_ring
from swarmopt.problems.instance import instance_rng, off_centre, random_rotation, rotate
from swarmopt.problems.integer import IntegerQuadratic
from swarmopt.problems.mixed import PressureVessel, Tuning
from swarmopt.settings import build, settings_of
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Boolean, Categorical, Integer, Ordinal, Real

ENTRIES = load([]).entries["problem"]
NAMES = [name for name in ENTRIES if name != "coco"]  # it needs a package: test_coco.py
ANALYTIC: list[type[Analytic]] = [
    Sphere,
    Ellipsoid,
    Rosenbrock,
    Rastrigin,
    Ackley,
    Griewank,
    Schwefel,
]
WITH_INSTANCE = [name for name in NAMES if name != "pressure-vessel"]


def make(name: str, **values: Any) -> Any:
    return build(ENTRIES[name].load(), values, f"problem {name}")


def evaluate(problem: Problem, x: Matrix) -> Evaluation:
    return problem.evaluate(x, Seeds(0, range(len(x))), np.inf)


def random_points(problem: Problem, n: int, seed: int = 0) -> Matrix:
    return problem.space.decode(np.random.default_rng(seed).random((n, len(problem.space))))


def neighbours(problem: Any, scale: float) -> Matrix:
    """Return 5,000 points around the minimizer: a few of its columns moved a little."""
    rng = np.random.default_rng(1)
    unit = np.repeat(problem.space.encode(problem.minimizer[None]), 5_000, axis=0)
    levels = np.maximum(problem.space.domain.levels, 1)
    step = np.where(problem.space.domain.discrete, 1.2 / levels, scale)
    moved = rng.random(unit.shape) < rng.random((len(unit), 1))
    unit += np.where(moved, step * rng.standard_normal(unit.shape), 0.0)
    points: Matrix = problem.space.decode(np.clip(unit, 0.0, 1.0))
    return points


# Every problem.


@pytest.mark.parametrize("name", NAMES)
def test_it_builds_with_its_defaults_and_carries_its_registered_name(name: str) -> None:
    problem = make(name)
    assert isinstance(problem, Problem)
    assert problem.name == name
    assert problem.vectorized
    assert not problem.noisy
    assert problem.default_budget is not None
    assert problem.default_budget > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_a_type_and_a_default_and_is_explained(name: str) -> None:
    factory = ENTRIES[name].load()
    for setting in settings_of(factory).values():
        assert not setting.required
        assert setting.type in (int, bool)
        owner = next(c for c in factory.__mro__ if "__init__" in vars(c))
        assert f"{setting.name}: " in str(owner.__doc__)
    assert "Source" in str(factory.__doc__)


@pytest.mark.parametrize("name", NAMES)
def test_the_minimizer_is_a_feasible_point_of_the_space_at_the_optimum(name: str) -> None:
    problem = make(name)
    problem.space.encode(problem.minimizer[None])  # raises outside the box
    evaluation = evaluate(problem, problem.minimizer[None])
    assert evaluation.cost.tolist() == [problem.optimum]
    assert evaluation.key().tolist() == [problem.optimum]


@pytest.mark.parametrize("name", NAMES)
def test_no_point_is_better_than_the_optimum(name: str) -> None:
    problem = make(name)
    points = [random_points(problem, 20_000)]
    points += [neighbours(problem, scale) for scale in (0.1, 1e-3, 1e-6)]
    key = evaluate(problem, np.concatenate(points)).key()
    assert np.isfinite(key).all()
    assert (key < INFEASIBLE).sum() > 1_000
    assert key.min() >= problem.optimum


@pytest.mark.parametrize("name", WITH_INSTANCE)
def test_an_instance_is_reproducible_and_differs_from_the_next(name: str) -> None:
    one, again, other = make(name, instance=3), make(name, instance=3), make(name, instance=4)
    x = random_points(one, 200)
    assert one.optimum == again.optimum
    assert one.minimizer.tolist() == again.minimizer.tolist() != other.minimizer.tolist()
    assert evaluate(one, x).key().tolist() == evaluate(again, x).key().tolist()
    assert (evaluate(one, x).key() != evaluate(other, x).key()).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_point_costs_the_same_bits_alone_and_in_a_population(name: str) -> None:
    problem = make(name)
    x = random_points(problem, 37)
    together = evaluate(problem, x)
    alone = Evaluation.join([evaluate(problem, row[None]) for row in x])
    assert together.cost.tolist() == alone.cost.tolist()
    assert together.key().tolist() == alone.key().tolist()
    assert evaluate(problem, np.asfortranarray(x)).cost.tolist() == alone.cost.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_changes_no_point_and_takes_none_at_all(name: str) -> None:
    problem = make(name)
    x = random_points(problem, 5)
    before = x.copy()
    evaluate(problem, x)
    assert (x == before).all()
    assert len(evaluate(problem, x[:0])) == 0


@pytest.mark.parametrize("name", NAMES)
def test_building_touches_no_global_generator(name: str) -> None:
    before = np.random.get_state()  # noqa: NPY002 - the old global generator is the point
    evaluate(make(name), random_points(make(name), 3))
    np.testing.assert_equal(np.random.get_state(), before)  # noqa: NPY002 - as above


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        *(
            (name, {"instance": -1}, f"{name}: instance: expected at least 0, got -1")
            for name in WITH_INSTANCE
        ),
        ("sphere", {"dim": 0}, "sphere: dim: expected at least 1, got 0"),
        ("rosenbrock", {"dim": 1}, "rosenbrock: dim: expected at least 2, got 1"),
        ("constrained-sphere", {"dim": 1}, "constrained-sphere: dim: expected at least 2, got 1"),
        ("knapsack", {"items": 0}, "knapsack: items: expected at least 1, got 0"),
        ("knapsack", {"items": 1001}, "knapsack: items: expected at most 1000, got 1001"),
        ("integer-quadratic", {"dim": 0}, "integer-quadratic: dim: expected at least 1, got 0"),
        ("nk-landscape", {"bits": 0}, "nk-landscape: bits: expected at least 1, got 0"),
        ("nk-landscape", {"neighbours": 9}, "nk-landscape: neighbours: expected at most 8, got 9"),
        ("nk-landscape", {"bits": 4}, "nk-landscape: neighbours: expected at most 3, got 4"),
        ("max-sat", {"variables": 2}, "max-sat: variables: expected at least 3, got 2"),
        ("max-sat", {"clauses": 0}, "max-sat: clauses: expected at least 1, got 0"),
        ("tuning", {"instance": 2**64}, f"at most {2**64 - 1}, got {2**64}"),
        ("rastrigin", {"dim": 2.5}, "problem rastrigin: dim = 2.5: expected `int`"),
        ("sphere", {"rotated": True}, "unknown setting of problem sphere: 'rotated'"),
        ("pressure-vessel", {"instance": 1}, "'instance'; there are none"),
        ("ackley", {"rotatd": True}, "did you mean 'rotated'"),
    ],
)
def test_a_wrong_setting_is_refused(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make(name, **values)


@pytest.mark.parametrize("value", [2.5, "3", True, None])
def test_a_wrong_dimension_is_refused_in_the_library_too(value: Any) -> None:
    with pytest.raises(SettingError, match="rastrigin: dim: expected a whole number, got"):
        Rastrigin(dim=value)


# Functions of real numbers.


@pytest.mark.parametrize("problem_class", [*ANALYTIC, ConstrainedSphere])
@pytest.mark.parametrize("instance", range(5))
def test_the_optimum_is_at_no_special_point(problem_class: Any, instance: int) -> None:
    problem = problem_class(dim=30, instance=instance)
    unit = problem.space.encode(problem.minimizer[None])[0]
    distances = [np.abs(unit), np.abs(unit - 0.5), np.abs(unit - 1)]
    assert min(d.min() for d in distances) > 0.099
    assert np.abs(problem.minimizer).min() > 0.05 or problem_class is Rosenbrock
    assert np.ptp(problem.minimizer) > 1


def test_two_problems_of_one_instance_have_their_optima_elsewhere() -> None:
    units = [p.space.encode(p.minimizer[None])[0] for p in (c(instance=0) for c in ANALYTIC)]
    assert len({tuple(np.round(unit, 6)) for unit in units}) == len(ANALYTIC)


@pytest.mark.parametrize("d", [1, 2, 10, 40])
def test_rotations_are_orthogonal(d: int) -> None:
    rotation = random_rotation(d, instance_rng("test", 0))
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(d), atol=1e-12)
    x = np.random.default_rng(0).random((4, d))
    np.testing.assert_allclose(rotate(x, rotation), x @ rotation)
    if d > 1:
        assert np.abs(rotation).max() < 1 - 1e-6  # it mixes the variables


def test_rotations_have_no_preferred_sign() -> None:
    rng = instance_rng("test", 1)
    corner = [random_rotation(3, rng)[0, 0] for _ in range(400)]
    assert 140 < sum(c > 0 for c in corner) < 260  # 6 standard deviations


TEXTBOOK: dict[type[Analytic], Callable[[Vector], Any]] = {
    Sphere: lambda z: sum(v**2 for v in z),
    Ellipsoid: lambda z: sum(1e6 ** (i / (len(z) - 1)) * v**2 for i, v in enumerate(z)),
    Rosenbrock: lambda z: sum(100 * ((b + 1) - (a + 1) ** 2) ** 2 + a**2 for a, b in pairwise(z)),
    Rastrigin: lambda z: 10 * len(z) + sum(v**2 - 10 * np.cos(2 * np.pi * v) for v in z),
    Ackley: lambda z: (
        -20 * np.exp(-0.2 * np.sqrt(sum(v**2 for v in z) / len(z)))
        - np.exp(sum(np.cos(2 * np.pi * v) for v in z) / len(z))
        + 20
        + np.e
    ),
    Griewank: lambda z: (
        sum(v**2 for v in z) / 4000
        - np.prod([np.cos(v / np.sqrt(i)) for i, v in enumerate(z, 1)])
        + 1
    ),
    Schwefel: lambda z: sum(schwefel_term(v + 420.9687463599821) for v in z),
}


def schwefel_term(y: float) -> float:
    if abs(y) > 500:
        return schwefel_term(np.sign(y) * 500) + 0.01 * (abs(y) - 500) ** 2
    return float(418.9828872724337 - y * np.sin(np.sqrt(abs(y))))


def turned(problem: Analytic, z: Matrix) -> Matrix:
    """Return z with its axes turned inwards, where the problem does so."""
    return z * np.sign(problem.minimizer) if isinstance(problem, Schwefel) else z


@pytest.mark.parametrize("problem_class", ANALYTIC)
def test_costs_are_those_of_the_textbook(problem_class: type[Analytic]) -> None:
    problem = problem_class(dim=5)
    x = random_points(problem, 50)
    rotation = np.eye(5) if problem.rotation is None else problem.rotation
    rotated = turned(problem, (x - problem.minimizer) @ rotation)
    expected = [TEXTBOOK[problem_class](z) for z in rotated]
    np.testing.assert_allclose(evaluate(problem, x).cost, expected, rtol=1e-9)


@pytest.mark.parametrize("problem_class", ANALYTIC[1:])
def test_without_rotation_the_axes_stay(problem_class: type[Analytic]) -> None:
    problem = problem_class(dim=4, rotated=False)
    assert problem.rotation is None
    assert problem_class(dim=4).rotation is not None
    x = problem.minimizer + np.array([[0.3, 0, 0, 0], [0, 0, 0, 0.3]])
    expected = [TEXTBOOK[problem_class](z) for z in turned(problem, x - problem.minimizer)]
    np.testing.assert_allclose(evaluate(problem, x).cost, expected, rtol=1e-9)


def test_one_variable_is_enough_for_most() -> None:
    for problem_class in (Sphere, Ellipsoid, Rastrigin, Ackley, Griewank, Schwefel):
        problem = problem_class(dim=1)
        assert evaluate(problem, problem.minimizer[None]).cost.tolist() == [0.0]
        assert evaluate(problem, problem.minimizer[None] + 0.1).cost[0] > 0


def test_schwefels_peak_is_where_the_slope_is_zero() -> None:
    root = np.sqrt(Schwefel.peak)
    assert np.sin(root) + root / 2 * np.cos(root) == pytest.approx(0.0, abs=1e-13)


def test_rounding_near_schwefels_peak_never_goes_below_the_optimum() -> None:
    problem = Schwefel(dim=1)
    x = problem.minimizer + np.linspace(-1e-5, 1e-5, 20_001)[:, None]
    assert evaluate(problem, x).cost.min() == 0.0


@pytest.mark.parametrize("instance", range(5))
def test_schwefels_other_valleys_lie_in_the_box_and_far_from_the_best(instance: int) -> None:
    problem = Schwefel(dim=10, instance=instance, rotated=False)
    axis = np.repeat(problem.minimizer[None], 1_001, axis=0)
    for j in range(10):
        x = axis.copy()
        x[:, j] = np.linspace(-500, 500, 1_001)
        cost = evaluate(problem, x).cost
        valleys = np.flatnonzero((cost[1:-1] < cost[:-2]) & (cost[1:-1] < cost[2:])) + 1
        assert len(valleys) >= 3
        away = x[valleys, j] - problem.minimizer[j]
        others = np.abs(away) > 1
        assert np.abs(away[others]).min() > 200
        assert (away[others] * problem.minimizer[j] < 0).all()  # towards the roomier side


def test_beyond_schwefels_domain_the_cost_only_rises() -> None:
    problem = Schwefel(dim=1, rotated=False)
    outward = np.sign(problem.minimizer[0])
    y = np.linspace(500.0, 900.0, 500)
    x = problem.minimizer[0] + outward * (y - Schwefel.peak)
    assert (np.diff(evaluate(problem, x[:, None]).cost) > 0).all()


def test_griewanks_dimples_are_minima_of_their_own() -> None:
    problem = Griewank(dim=2, rotated=False)
    z = np.zeros((2_001, 2))
    z[:, 0] = np.linspace(-20, 20, 2_001)
    cost = evaluate(problem, problem.minimizer + z).cost
    assert ((cost[1:-1] < cost[:-2]) & (cost[1:-1] < cost[2:])).sum() >= 5


# The sphere between two walls.


@pytest.mark.parametrize("dim", [2, 3, 10])
@pytest.mark.parametrize("instance", [0, 1])
def test_an_exact_solver_finds_the_same_constrained_optimum(dim: int, instance: int) -> None:
    problem = ConstrainedSphere(dim=dim, instance=instance)
    target = problem.minimizer + problem.normal + problem.outward

    def cost(x: Vector) -> float:
        return float(evaluate(problem, x[None]).cost[0])

    def gradient(x: Vector) -> Vector:
        return 2.0 * (x - target)

    walls = [
        {"type": "ineq", "fun": lambda x: problem.normal @ (problem.minimizer - x)},
        {"type": "ineq", "fun": lambda x: problem.radius**2 - x @ x},
    ]
    assert check_grad(cost, gradient, np.ones(dim)) < 1e-5
    found = minimize(
        cost,
        np.zeros(dim),
        jac=gradient,
        method="SLSQP",
        constraints=walls,
        options={"ftol": 1e-12},
    )
    assert found.fun == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(found.x, problem.minimizer, atol=1e-4)


def test_both_walls_hold_the_optimum_back() -> None:
    problem = ConstrainedSphere()
    step = 0.01 * problem.normal
    for x in (problem.minimizer + step, problem.minimizer + 0.01 * problem.outward):
        evaluation = evaluate(problem, x[None])
        assert evaluation.cost[0] < 0
        assert evaluation.violation is not None
        assert evaluation.violation[0] > 0.005


def test_the_violation_is_the_distance_to_both_walls() -> None:
    problem = ConstrainedSphere(dim=4)
    beyond = problem.minimizer + 0.5 * problem.outward
    plane = 0.5 * problem.outward @ problem.normal
    evaluation = evaluate(problem, beyond[None])
    np.testing.assert_allclose(evaluation.violation, [0.5 + plane])  # type: ignore[arg-type]
    inside = evaluate(problem, np.zeros((1, 4)))
    assert inside.violation is not None
    assert inside.violation.tolist() == [0.0]


# The pressure vessel.


def test_the_vessel_costs_what_the_literature_says() -> None:
    problem = PressureVessel()
    assert problem.optimum == pytest.approx(6059.714335048436, abs=1e-9)
    assert problem.space.params(problem.minimizer[None])[0] == {
        "shell": 13,
        "head": 7,
        "radius": pytest.approx(42.0984455958549),
        "length": pytest.approx(176.6365958424394),
    }


def test_no_vessel_of_any_thickness_is_cheaper() -> None:
    problem = PressureVessel()
    for shell, head in product(range(1, 25), range(1, 25)):  # thicker ones cost more
        widest = min(shell / 16 / 0.0193, head / 16 / 0.00954, 200.0)
        radius = np.linspace(10, max(widest, 10), 4_000)
        length = (problem.volume - 4 / 3 * np.pi * radius**3) / (np.pi * radius**2)
        length = np.clip(length * (1 + 1e-14), 10, 200)
        x = np.column_stack([np.full(4_000, shell), np.full(4_000, head), radius, length])
        assert evaluate(problem, x).key().min() >= problem.optimum - 1e-9


def test_each_shortage_of_a_vessel_is_a_violation() -> None:
    problem = PressureVessel()
    x = np.repeat(problem.minimizer[None], 4, axis=0)
    x[1, 0] -= 1  # a thinner shell
    x[2, 1] -= 1  # a thinner head
    x[3, 3] -= 1  # a shorter vessel
    violation = evaluate(problem, x).violation
    assert violation is not None
    assert violation[0] == 0
    np.testing.assert_allclose(violation[1], 1 / 13)
    np.testing.assert_allclose(violation[2], 1 - 0.375 / (0.00954 * x[0, 2]))
    np.testing.assert_allclose(violation[3], np.pi * x[0, 2] ** 2 / problem.volume, rtol=1e-6)


# Made-up tuning.


def test_tuning_has_a_variable_of_every_kind() -> None:
    kinds = {type(v) for v in Tuning().space.variables}
    assert kinds == {Real, Integer, Ordinal, Categorical, Boolean}
    assert Tuning().space.named


@pytest.mark.parametrize("instance", range(4))
def test_of_all_discrete_choices_only_one_reaches_the_optimum(instance: int) -> None:
    problem = Tuning(instance=instance)
    choices = list(product(range(4), range(1, 13), range(7), range(2)))
    x = np.empty((len(choices), 6))
    x[:, [0, 3, 4, 5]] = choices
    kind = x[:, 0].astype(int)
    rate = problem.rate[kind] * 10 ** (-0.15 * (x[:, 4] - problem.width))
    x[:, 1] = np.clip(rate, 1e-5, 1)  # the best rate and momentum for these choices
    x[:, 2] = problem.momentum[kind]
    problem.space.encode(x)
    cost = evaluate(problem, x).cost
    assert np.isclose(cost, 0, atol=1e-12).sum() == 1
    best = x[np.argmin(cost)]
    np.testing.assert_allclose(best, problem.minimizer)
    assert np.sort(cost)[1] > 0.01


def test_the_best_learning_rate_depends_on_the_optimizer_and_the_width() -> None:
    problem = Tuning()
    rates = np.logspace(-5, 0, 2_001)

    def best_rate(kind: int, width: int) -> float:
        x = np.repeat(problem.minimizer[None], len(rates), axis=0)
        x[:, 0], x[:, 1], x[:, 4] = kind, rates, width
        return float(rates[np.argmin(evaluate(problem, x).cost)])

    assert len({best_rate(kind, problem.width) for kind in range(4)}) == 4
    kind = int(np.argmax(problem.rate))
    assert best_rate(kind, problem.width - 1) > best_rate(kind, problem.width)


def test_the_best_optimizer_has_the_narrowest_valley() -> None:
    problem = Tuning()
    best = int(problem.minimizer[0])
    assert problem.handicap[best] == 0
    assert np.delete(problem.handicap, best).min() > 0.1
    assert problem.steepness[best] > np.delete(problem.steepness, best).max()


# The knapsack.


def every_choice(n: int) -> Matrix:
    return np.array(list(product([0.0, 1.0], repeat=n)))


@pytest.mark.parametrize("items", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("instance", range(4))
def test_the_knapsack_optimum_is_that_of_brute_force(items: int, instance: int) -> None:
    problem = Knapsack(items=items, instance=instance)
    key = evaluate(problem, every_choice(items)).key()
    assert key.min() == problem.optimum < 0
    assert problem.weights @ problem.minimizer <= problem.capacity


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=9),
    st.integers(0, 40),
)
@hypothesis_settings(deadline=None)
def test_the_dynamic_program_is_exact(items: list[tuple[int, int]], capacity: int) -> None:
    weights, values = np.array(items).T
    x = every_choice(len(items))
    best = (x @ values)[x @ weights <= capacity].max()
    choice = best_choice(weights, values, capacity)
    assert set(choice) <= {0.0, 1.0}
    assert weights @ choice <= capacity
    assert values @ choice == best


def test_a_knapsack_that_is_too_heavy_is_infeasible_by_its_overweight() -> None:
    problem = Knapsack(items=20)
    evaluation = evaluate(problem, np.array([np.ones(20), np.zeros(20)]))
    assert evaluation.cost.tolist() == [-problem.values.sum(), 0]
    excess = (problem.weights.sum() - problem.capacity) / problem.capacity
    assert evaluation.violation is not None
    assert evaluation.violation.tolist() == [excess, 0.0]


def test_the_knapsack_does_not_hold_everything_and_is_no_greedy_task() -> None:
    problem = Knapsack(items=200)
    assert 0.4 < problem.capacity / problem.weights.sum() <= 0.5
    order = np.argsort(-problem.values / problem.weights)
    fits = np.cumsum(problem.weights[order]) <= problem.capacity
    assert -problem.values[order][fits].sum() > problem.optimum


# Whole numbers on a rotated lattice.


@pytest.mark.parametrize("rotated", [True, False])
def test_the_integer_quadratic_is_its_matrix(rotated: bool) -> None:
    problem = IntegerQuadratic(dim=6, rotated=rotated)
    rotation = np.eye(6) if problem.rotation is None else problem.rotation
    hessian = rotation @ np.diag(10.0 ** np.linspace(0, 4, 6)) @ rotation.T
    assert np.linalg.cond(hessian) == pytest.approx(1e4)
    z = random_points(problem, 200) - problem.minimizer
    expected = np.einsum("ni,ij,nj->n", z, hessian, z)
    np.testing.assert_allclose(evaluate(problem, z + problem.minimizer).cost, expected)


@pytest.mark.parametrize("instance", range(5))
def test_the_integer_optimum_is_whole_unique_and_at_no_special_point(instance: int) -> None:
    problem = IntegerQuadratic(dim=30, instance=instance)
    assert (problem.minimizer == np.rint(problem.minimizer)).all()
    assert ((np.abs(problem.minimizer) >= 10) & (np.abs(problem.minimizer) <= 40)).all()
    small = IntegerQuadratic(dim=2, instance=instance)
    everywhere = np.array(list(product(range(-50, 51), repeat=2)), float)
    cost = evaluate(small, everywhere).cost
    assert np.flatnonzero(cost == 0).tolist() == [
        int(np.flatnonzero((everywhere == small.minimizer).all(axis=1))[0])
    ]


def test_a_rotated_lattice_cannot_be_searched_one_variable_at_a_time() -> None:
    """A step along one variable from a good point is worse though the point is not the best."""
    problem = IntegerQuadratic(dim=10)
    x = problem.minimizer.copy()
    x += np.rint(5.0 * problem.rotation[:, 0])  # type: ignore[index]
    steps = np.concatenate([x + np.eye(10), x - np.eye(10)])
    assert evaluate(problem, steps).cost.min() > 100
    assert evaluate(problem, problem.minimizer[None]).cost[0] == 0


# The NK landscape.


@pytest.mark.parametrize(
    ("bits", "neighbours"), [(1, 0), (2, 1), (3, 2), (9, 0), (9, 1), (9, 4), (9, 8), (12, 3)]
)
@pytest.mark.parametrize("instance", range(3))
def test_the_nk_optimum_is_that_of_brute_force(bits: int, neighbours: int, instance: int) -> None:
    problem = NKLandscape(bits=bits, neighbours=neighbours, instance=instance)
    cost = evaluate(problem, every_choice(bits)).cost
    assert cost.min() == problem.optimum
    assert set(problem.minimizer) <= {0.0, 1.0}


@given(st.integers(1, 7), st.data())
@hypothesis_settings(deadline=None)
def test_the_ring_program_is_exact_with_ties_too(bits: int, data: st.DataObject) -> None:
    neighbours = data.draw(st.integers(0, bits - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    problem = NKLandscape(bits=bits, neighbours=neighbours)
    problem.worth = rng.integers(0, 3, (bits, 2 ** (neighbours + 1)))
    cost = evaluate(problem, every_choice(bits)).cost
    assert evaluate(problem, best_ring(problem.worth)[None]).cost[0] == cost.min()


def test_a_bits_worth_depends_on_the_bits_that_follow_round_the_ring() -> None:
    problem = NKLandscape(bits=6, neighbours=2)
    x = every_choice(6)
    expected = []
    for row in x.astype(int):
        words = [row[i] + 2 * row[(i + 1) % 6] + 4 * row[(i + 2) % 6] for i in range(6)]
        expected.append(sum(problem.worth[i, w] for i, w in enumerate(words)) / 6_000)
    np.testing.assert_allclose(evaluate(problem, x).cost, expected, rtol=1e-15)


def test_a_flip_changes_the_worth_of_a_bit_and_of_those_before_it() -> None:
    problem = NKLandscape(bits=30, neighbours=3)
    problem.worth[:26] = 0  # what is left belongs to the bits 26..29
    zeros, flipped = np.zeros((1, 30)), np.eye(30)
    changed = evaluate(problem, flipped).cost != evaluate(problem, zeros).cost
    assert np.flatnonzero(changed).tolist() == [0, 1, 2, 26, 27, 28, 29]


def test_without_neighbours_every_bit_is_set_alone() -> None:
    problem = NKLandscape(bits=200, neighbours=0)
    assert problem.minimizer.tolist() == np.argmin(problem.worth, axis=1).tolist()


# Satisfiability.


def test_the_hidden_solution_satisfies_every_clause() -> None:
    for instance in range(5):
        problem = MaxSat(variables=80, clauses=2_000, instance=instance)
        assert evaluate(problem, problem.minimizer[None]).cost.tolist() == [0]
        assert evaluate(problem, 1 - problem.minimizer[None]).cost[0] > 50


def test_unsatisfied_clauses_are_counted_one_by_one() -> None:
    problem = MaxSat(variables=7, clauses=40)
    x = every_choice(7)
    expected = [
        sum(
            all(row[v] != value for v, value in zip(variables, values, strict=True))
            for variables, values in zip(
                problem.clause_variables, problem.clause_values, strict=True
            )
        )
        for row in x
    ]
    assert evaluate(problem, x).cost.tolist() == expected


def test_the_variables_of_a_clause_are_distinct_and_uniform() -> None:
    problem = MaxSat(variables=5, clauses=20_000)
    clauses = np.sort(problem.clause_variables, axis=1)
    assert (np.diff(clauses, axis=1) > 0).all()
    share = np.unique(clauses, axis=0, return_counts=True)[1] / 20_000
    assert len(share) == 10  # 5 choose 3
    np.testing.assert_allclose(share, 0.1, atol=0.01)


def test_literals_do_not_give_the_hidden_solution_away() -> None:
    problem = MaxSat(variables=50, clauses=40_000)
    agrees = problem.clause_values == problem.minimizer[problem.clause_variables]
    assert agrees.mean() == pytest.approx(0.5, abs=0.01)
    share = np.bincount(agrees.sum(axis=1), minlength=4) / 40_000
    q = (np.sqrt(5) - 1) / 2
    odds = np.array([0, 3 * q, 3 * q**2, q**3])
    np.testing.assert_allclose(share, odds / odds.sum(), atol=0.01)


def test_points_off_the_centre_reach_every_allowed_distance() -> None:
    low, high = np.full(4_000, -1.0), np.full(4_000, 3.0)
    unit = (off_centre(low, high, instance_rng("test", 2)) + 1) / 4
    distance = np.abs(unit - 0.5)
    assert 0.1 <= distance.min() < 0.101
    assert 0.399 < distance.max() <= 0.4
    assert 0.45 < (unit > 0.5).mean() < 0.55
