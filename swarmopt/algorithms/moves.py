"""Operators on the unit cube that several algorithms share.

All of them take the whole population, and draw the same amount whatever they are given, so that a
batch's stream stays in step.
"""

from collections import deque

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from swarmopt.domain import Domain
from swarmopt.types import Integers, Mask, Matrix, Vector


def latin_hypercube(n: int, d: int, rng: Generator) -> Matrix:
    """Return (n, d) points, one in each of n equal slices of every column.

    Source: McKay, Beckman, Conover, "A comparison of three methods for selecting values of input
    variables", 1979.
    """
    slices = np.argsort(rng.random((n, d)), axis=0)
    unit: Matrix = (slices + rng.random((n, d))) / n
    return unit


def reflect(unit: Matrix, rng: Generator) -> Matrix:
    """Return (n, d) values mirrored once at the walls; what is still outside is drawn anew."""
    mirrored = np.where(unit > 1.0, 2.0 - unit, np.abs(unit))
    fresh = rng.random(unit.shape)
    return np.where((mirrored >= 0.0) & (mirrored <= 1.0), mirrored, fresh)


def spread_in_levels(domain: Domain, unit: Matrix) -> Vector:
    """Return the standard deviation of each column, (d,), counted in its levels."""
    away = unit - unit.sum(axis=0) / len(unit)  # np.std does this at thrice the cost
    spread: Vector = np.sqrt((away * away).sum(axis=0) / len(unit)) * domain.levels
    return spread


def kick(
    domain: Domain, unit: Matrix, chosen: Mask, mean_step: float | Vector, rng: Generator
) -> Matrix:
    """Move the chosen discrete values to another level's middle.

    Ordered columns take a step of +-geometric length, mirrored at the ends; nominal columns a
    level drawn uniformly from the others. A column of one level stays.

    Args:
        domain: d columns.
        unit: (n, d) values in [0, 1]; not changed.
        chosen: (n, d) which to move; continuous columns are left alone.
        mean_step: at least 1, or (d,) of these: mean length of a step in levels.
        rng: draws two numbers per value.

    Returns:
        (n, d) values.
    """
    u_length, u = rng.random(unit.shape), rng.random(unit.shape)
    rows, columns = np.nonzero(chosen & domain.discrete)  # few: the rest works on these alone
    u_length, u, nominal = u_length[rows, columns], u[rows, columns], domain.nominal[columns]
    levels = domain.levels[columns].astype(float)
    level = np.minimum(np.floor(unit[rows, columns] * levels), levels - 1.0)
    length = _geometric(1.0 / np.maximum(mean_step, 1.0), columns, u_length)
    stepped = level + np.where(u < 0.5, -length, length)
    outside = (stepped < 0) | (stepped > levels - 1)
    stepped = np.where(outside, 2 * level - stepped, stepped)
    outside = (stepped < 0) | (stepped > levels - 1)
    other = (level + 1 + np.floor(u * np.maximum(levels - 1, 1))) % levels
    moved = unit.copy()
    moved[rows, columns] = (np.where(nominal | outside, other, stepped) + 0.5) / levels
    return moved


def _geometric(p: float | Vector, columns: Integers, u: Vector) -> Vector:
    """Return (m,) geometric lengths 1, 2, ... from uniforms, by inversion.

    Args:
        p: success probability, or (d,) of these.
        columns: (m,) which of the d each length is of.
        u: (m,) in [0, 1).
    """
    with np.errstate(divide="ignore"):
        rate = np.log1p(-np.asarray(p))  # -inf at p = 1: every length is 1
    length: Vector = 1.0 + np.floor(np.log1p(-u) / (rate[columns] if rate.ndim else rate))
    return length


def round_randomly(domain: Domain, unit: Matrix, rng: Generator) -> Matrix:
    """Return values whose ordered columns are shaken by up to half a bin: stochastic rounding."""
    shake = rng.random(unit.shape) - 0.5
    return np.where(domain.ordered, unit + shake / domain.divisor, unit)


def row_keys(rows: NDArray[np.generic]) -> NDArray[np.void]:
    """Return (n,) one comparable value per row, equal exactly where all bytes of the rows are."""
    rows = np.ascontiguousarray(rows)
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1])))[:, 0]


def first_of_each(rows: NDArray[np.generic]) -> Integers:
    """Return the indices of the first occurrence of each distinct row, ascending."""
    first: dict[bytes, int] = {}
    keys = row_keys(rows).tolist()  # hashing is faster than sorting rows
    deque(map(first.setdefault, keys, range(len(keys))), maxlen=0)
    return np.fromiter(first.values(), np.int64, len(first))
