"""What the birds of the default sparrow search do: producers, scroungers, scouts.

Producers sample the flock's Gaussian model, and categories from learnt probabilities. Scroungers
move by differences of positions. Scouts change few coordinates around a leader. Each role is a
mechanism known to work: CMA-ES (Hansen, arXiv 1604.00772), differential evolution (Storn and Price
1997), discrete coordinate search (Li and others, "Mixed integer evolution strategies for parameter
optimization", 2013). The chance of every discrete value to move follows CMA-ES with margin (Hamano
and others, 2022).

Only differences between positions, the model's mean and uniform draws are used, so it does not
matter where in the cube the optimum lies.
"""

import numpy as np
from numpy.random import Generator

from swarmopt.algorithms import moves
from swarmopt.algorithms.flock_model import FlockModel, sample
from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.algorithms.ssa_flock import Flock
from swarmopt.types import Integers, Mask, Matrix, Vector

RESAMPLES = 3  # of producers outside the cube, before they are mirrored
RENEWALS = 2  # of duplicates in purely discrete spaces
SCOUTED = 1.5  # coordinates that a scout changes, on average


def producers(
    columns: Columns, model: FlockModel | None, probability: Matrix, n: int, rng: Generator
) -> Matrix:
    """Return (n, d) samples of the flock's model; some may lie outside the cube.

    Args:
        columns: of d columns; k numeric and c nominal.
        model: over the numeric columns; None where there are none.
        probability: (c, K) of the levels of the nominal columns.
        n: how many.
        rng: draws.
    """
    if model is not None and columns.only_numeric:
        return _sampled(model, n, rng)
    unit = np.full((n, columns.domain.d), 0.5)
    if model is not None:
        unit[:, columns.numeric] = _sampled(model, n, rng)
    if len(columns.nominal):
        u = rng.random((n, len(columns.nominal), 1))
        level = (u > np.cumsum(probability, axis=1)[None, :, :-1]).sum(axis=2)
        level = np.minimum(level, columns.categories - 1)
        unit[:, columns.nominal] = (level + 0.5) / columns.categories
    return unit


def _sampled(model: FlockModel, n: int, rng: Generator) -> Matrix:
    """Return (n, k) draws of the model, those outside the cube drawn again a few times."""
    unit = sample(model, n, rng)
    for _ in range(RESAMPLES):
        outside = np.abs(unit - 0.5) > 0.5
        if not np.count_nonzero(outside):
            break
        rows = outside.any(axis=1)
        unit[rows] = sample(model, int(np.count_nonzero(rows)), rng)
    return unit


def scroungers(
    columns: Columns,
    flock: Flock,
    n_elite: int,
    slot: Integers,
    *,
    settings: tuple[Vector, Vector],
    rng: Generator,
) -> Matrix:
    """Return (n, d): birds drawn to a producer, with a difference of two others.

    `x + F (producer - x) + F (r1 - r2)` with binomial crossover; ordered columns are rounded at
    random, categories copied from the producer or a peer. Some may lie outside the cube.

    Args:
        columns: of d columns.
        flock: m birds.
        n_elite: how many of the best count as producers.
        slot: (n,) indices of the birds x.
        settings: F and CR, (n,) each.
        rng: draws.
    """
    weight, crossover = settings
    n, d = len(slot), columns.domain.d
    x = flock.unit[slot]
    producer = flock.unit[flock.order[_below(n_elite, n, rng)]]
    r1, r2 = flock.unit[_below(len(flock), (2, n), rng)]
    moved = x + weight[:, None] * (producer - x + r1 - r2)
    if columns.n_discrete:
        moved = moves.round_randomly(columns.domain, moved, rng)
    if len(columns.nominal):
        u = rng.random((n, d))
        copied = np.where(u < 0.5, producer, np.where(u < 0.75, r1, r2))
        moved = np.where(columns.domain.nominal, copied, moved)
    return np.where(_some(columns, n, crossover[:, None], rng), moved, x)


def scouts(
    columns: Columns, flock: Flock, n_elite: int, n: int, rng: Generator
) -> tuple[Matrix, Mask]:
    """Return (n, d) birds near the leader or a producer, and (n, d) the coordinates they explore.

    The step is `N(0, 1) * |other - lead|`, other any bird of the flock; `explored` moves the
    discrete coordinates on. Some birds may lie outside the cube.
    """
    d = columns.domain.d
    rank = _below(n_elite, n, rng) * (rng.random(n) < 0.5)
    lead = flock.unit[flock.order[rank]]
    other = flock.unit[_below(len(flock), n, rng)]
    chosen = _some(columns, n, SCOUTED / len(columns.free), rng)
    step = rng.standard_normal((n, d)) * np.abs(other - lead)
    return np.where(chosen & ~columns.domain.nominal, lead + step, lead), chosen


def _some(columns: Columns, n: int, chance: float | Matrix, rng: Generator) -> Mask:
    """Return (n, d) coordinates chosen with a chance each; at least one free one in every row."""
    chosen = rng.random((n, columns.domain.d)) < chance
    one = columns.free[_below(len(columns.free), n, rng)]
    chosen[np.arange(n), one] = True
    return chosen


def _below(limit: int, shape: int | tuple[int, int], rng: Generator) -> Integers:
    """Return whole numbers in [0, limit), drawn ten times as fast as by `rng.integers`."""
    return (rng.random(shape) * limit).astype(np.int64)


def margin(columns: Columns, scrounging: Mask, rng: Generator) -> Mask:
    """Return (n, d) which discrete values move by the way, so that no coordinate freezes.

    One in a batch, on average; of a scrounger every other, since its own moves may all round to
    nothing.

    Args:
        columns: of d columns.
        scrounging: (n,) which candidates are scroungers.
        rng: draws.
    """
    n = len(scrounging)
    chance = np.where(scrounging, 0.5, 1.0 / n) / columns.n_discrete
    return rng.random((n, columns.domain.d)) < chance[:, None]


def explored(columns: Columns, flock: Flock, unit: Matrix, chosen: Mask, rng: Generator) -> Matrix:
    """Return (n, d) with the chosen discrete coordinates moved to other levels.

    Integers take geometric steps whose mean grows with the flock's spread in levels.
    """
    chosen = chosen & columns.domain.discrete
    if not chosen.any():
        return unit
    spread = moves.spread_in_levels(columns.domain, flock.unit)
    return moves.kick(columns.domain, unit, chosen, 1.0 + np.maximum(spread, 1.0), rng)


def renewed(columns: Columns, flock: Flock, known: Matrix, unit: Matrix, rng: Generator) -> Matrix:
    """Return (n, d) with duplicates of known points and within the batch moved to other levels.

    Args:
        columns: of the domain.
        flock: whose birds show the way.
        known: (m, d) points, discrete values centred.
        unit: (n, d) the batch.
        rng: to draw from.
    """
    m = len(known)
    for _ in range(RENEWALS):
        rows = np.concatenate([known, columns.domain.centre(unit)])
        repeated = np.ones(len(rows), bool)
        repeated[moves.first_of_each(rows)] = False
        again = repeated[m:].nonzero()[0]
        if not len(again):
            break
        unit = unit.copy()
        chosen = _some(columns, len(again), 1.0 / len(columns.free), rng)
        unit[again] = explored(columns, flock, unit[again], chosen, rng)
    return unit


def uniform_probability(columns: Columns) -> Matrix:
    """Return (c, K) equal probabilities of the levels, 0 beyond a column's last one."""
    widest = int(columns.categories.max(initial=0))
    inside = np.arange(widest) < columns.categories[:, None]
    probability: Matrix = inside / columns.categories[:, None]
    return probability


def learnt_probability(
    columns: Columns, probability: Matrix, parents: Matrix, weights: Vector
) -> Matrix:
    """Return (c, K) probabilities of the levels after a generation, none below a floor.

    Args:
        columns: c nominal columns.
        probability: (c, K) before.
        parents: (mu, d) the best candidates.
        weights: (mu,) weight of each.
    """
    c, widest = probability.shape
    level = columns.domain.level(parents)[:, columns.nominal].astype(np.int64)
    cell = (level + widest * np.arange(c)).ravel()
    seen = np.bincount(cell, np.repeat(weights, c), c * widest).reshape(c, widest)
    least = 0.2 / (columns.n_discrete * columns.categories[:, None])
    blend = np.maximum(0.9 * probability + 0.1 * seen, np.where(probability > 0.0, least, 0.0))
    blend /= blend.sum(axis=1, keepdims=True)
    return blend
