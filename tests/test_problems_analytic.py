"""Functions of real numbers are the textbook's; the sphere between two walls."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from problem_points import ANALYTIC, evaluate, random_points
from scipy.optimize import check_grad, minimize

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
from swarmopt.types import Matrix, Vector

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
    np.testing.assert_allclose(evaluation.violation, [0.5 + plane])
    inside = evaluate(problem, np.zeros((1, 4)))
    assert inside.violation is not None
    assert inside.violation.tolist() == [0.0]
