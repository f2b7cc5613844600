"""Instances put optima and axes where no search finds them by luck."""

from typing import Any

import numpy as np
import pytest
from problem_points import ANALYTIC

from swarmopt.problems.analytic import (
    ConstrainedSphere,
    Rosenbrock,
)
from swarmopt.problems.instance import instance_rng, off_centre, random_rotation, rotate


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


def test_points_off_the_centre_reach_every_allowed_distance() -> None:
    low, high = np.full(4_000, -1.0), np.full(4_000, 3.0)
    unit = (off_centre(low, high, instance_rng("test", 2)) + 1) / 4
    distance = np.abs(unit - 0.5)
    assert 0.1 <= distance.min() < 0.101
    assert 0.399 < distance.max() <= 0.4
    assert 0.45 < (unit > 0.5).mean() < 0.55
