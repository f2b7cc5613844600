"""What tests of the built-in problems share: how one is made, and points of its space."""

from typing import Any

import numpy as np

from swarmopt.algorithm import Seeds
from swarmopt.evaluation import Evaluation
from swarmopt.plugins import load
from swarmopt.problem import Problem
from swarmopt.problems.analytic import (
    Ackley,
    Analytic,
    Ellipsoid,
    Griewank,
    Rastrigin,
    Rosenbrock,
    Schwefel,
    Sphere,
)
from swarmopt.settings import build
from swarmopt.types import Matrix

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
