"""Whole numbers on a rotated lattice."""

from itertools import product

import numpy as np
import pytest
from problem_points import evaluate, random_points

from swarmopt.problems.integer import IntegerQuadratic


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
