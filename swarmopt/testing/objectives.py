"""Spaces and functions on the unit cube that the checks run on."""

from collections.abc import Callable
from itertools import count

import numpy as np

from swarmopt.algorithm import AnyAlgorithm
from swarmopt.domain import Domain
from swarmopt.space import Space
from swarmopt.testing.drive import Objective
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Boolean, Categorical, Integer, Ordinal, Real

LETTERS = Categorical(["a", "b", "c", "d", "e"])


REAL = Space([Real(-5, 5)] * 5).domain


INTEGERS = Space([Integer(-10, 10)] * 8).domain


CATEGORIES = Space([LETTERS] * 12).domain


MIXED = Space(
    [
        Real(-1, 3),
        Real(1e-3, 10, log=True),
        Integer(0, 9),
        Integer(4, 4),
        Ordinal([1, 2, 4]),
        LETTERS,
        Boolean(),
        Categorical(["only"]),
    ]
).domain


REALS = Space([Real(-5, 5)] * 50).domain


WIDE = Space(
    [Real(0, 1), Integer(0, 20), LETTERS, Ordinal([1, 2, 4]), Boolean(), Integer(0, 5)] * 20
).domain


LONG = 160  # batches


# What holds in small spaces for some batches must hold in wide ones and after many batches.
CASES = ((REAL, 15), (MIXED, LONG), (REALS, 8), (WIDE, 8))


def learns_nothing(algorithm: AnyAlgorithm) -> bool:
    """Return whether the keys do not matter to it: nothing is asked of what it learns."""
    return algorithm.name == "random-search"


def bowl(domain: Domain, optimum: Vector | None = None) -> Objective:
    """Return squared distances to a point of the unit cube; a wrong category counts 1/4.

    Args:
        domain: d columns.
        optimum: (d,) in the unit cube; None: 0.62 everywhere.
    """
    at = domain.centre(np.full((1, domain.d), 0.62) if optimum is None else optimum[None, :])
    level = domain.level(at)

    def keys(unit: Matrix) -> Vector:
        away = domain.centre(unit) - at
        if domain.nominal.any():
            away = np.where(domain.nominal, 0.5 * (domain.level(unit) != level), away)
        total: Vector = (away**2).sum(axis=1)
        return total

    return keys


def flat(unit: Matrix) -> Vector:
    """Return the same key for every row."""
    return np.zeros(len(unit))


def all_failing(unit: Matrix) -> Vector:
    """Return the key of a failure for every row."""
    return np.full(len(unit), np.inf)


def sometimes_failing(fun: Objective) -> Objective:
    """Return an objective that fails in half of the cube."""
    return lambda unit: np.where(unit[:, 0] > 0.5, np.inf, fun(unit))


def constrained(fun: Objective) -> Objective:
    """Return an objective whose points beyond 0.5 in the first column are infeasible."""

    def keys(unit: Matrix) -> Vector:
        violation = np.maximum(unit[:, 0] - 0.5, 0.0)
        return np.where(violation > 0.0, 1e300 * (1.0 + violation / (1.0 + violation)), fun(unit))

    return keys


def with_outages(fun: Objective) -> Objective:
    """Return an objective whose first three batches fail, and every seventh."""
    batch = count()

    def keys(unit: Matrix) -> Vector:
        b = next(batch)
        return all_failing(unit) if b < 3 or b % 7 == 0 else fun(unit)

    return keys


def after(fun: Objective, change: Callable[[Vector], Vector]) -> Objective:
    """Return an objective whose keys are changed."""
    return lambda unit: change(fun(unit))


def squashed(v: Vector) -> Vector:
    """Return keys of infeasible candidates in the order of v, whole numbers up to 1e6."""
    return np.where(np.isinf(v), np.inf, 1e300 * (2.0 - 1.0 / (1.0 + v)))
