"""What the birds of the default sparrow search do: producers, scroungers, scouts.

Producers sample the flock's Gaussian model, and categories from learnt probabilities. Scroungers
move by differences of positions. Scouts change few coordinates around a leader. Each role is a
mechanism known to work: CMA-ES (Hansen, arXiv 1604.00772), differential evolution with a success
memory (Tanabe and Fukunaga, "Success-history based parameter adaptation for differential
evolution", 2013), and discrete coordinate search (Li and others, "Mixed integer evolution
strategies for parameter optimization", 2013). The discrete margin follows CMA-ES with margin (Hamano
and others, 2022).

Only differences between positions, the model's mean and uniform draws are used, so it does not matter
where in the cube the optimum lies.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator

from swarmopt.algorithms import moves
from swarmopt.algorithms.flock_model import FlockModel, sample
from swarmopt.space import Domain
from swarmopt.types import Integers, Mask, Matrix, Vector

PRODUCER, SCROUNGER, SCOUT, SETTLER = 0, 1, 2, 3  # settlers are the first birds of a flock
RESAMPLES = 3  # of producers outside the cube, before they are mirrored
RENEWALS = 2  # of duplicates in purely discrete spaces
SCOUTED = 1.5  # coordinates that a scout changes, on average


@dataclass(frozen=True, eq=False)
class Columns:
    """Which columns of a domain each mechanism works on; columns of one level are left out."""

    domain: Domain

    @cached_property
    def free(self) -> Integers:
        """Indices of the columns with more than one value."""
        return np.flatnonzero(self.domain.levels != 1)

    @cached_property
    def numeric(self) -> Integers:
        """(k,) indices of the free columns with an order: the Gaussian model's variables."""
        return self.free[~self.domain.nominal[self.free]]

    @cached_property
    def nominal(self) -> Integers:
        """(c,) indices of the free columns without an order."""
        return self.free[self.domain.nominal[self.free]]

    @cached_property
    def real(self) -> Integers:
        """Indices, within the k numeric columns, of the continuous ones."""
        return np.flatnonzero(self.domain.levels[self.numeric] == 0)

    @cached_property
    def stepped(self) -> Integers:
        """Indices, within the k numeric columns, of the discrete ones."""
        return np.flatnonzero(self.domain.levels[self.numeric] > 0)

    @cached_property
    def n_discrete(self) -> int:
        """The number of free discrete columns."""
        return int((self.domain.levels > 1).sum())

    @cached_property
    def purely_discrete(self) -> bool:
        """Whether every free column is discrete."""
        return self.n_discrete == len(self.free)

    @cached_property
    def categories(self) -> Vector:
        """(c,) the number of levels of the nominal columns."""
        return self.domain.levels[self.nominal].astype(float)

    def uniform(self) -> Matrix:
        """Return (c, K) equal probabilities of the levels, 0 beyond a column's last one."""
        widest = int(self.categories.max(initial=0))
        inside = np.arange(widest) < self.categories[:, None]
        return inside / np.maximum(self.categories, 1.0)[:, None]


@dataclass(frozen=True, eq=False)
class Flock:
    """The birds remembered.

    Attributes:
        unit: (m, d) their positions, discrete values in the middle of their bins.
        key: (m,) what they cost; lower is better.
        order: (m,) their indices, best first.
    """

    unit: Matrix
    key: Vector
    order: Integers

    def __len__(self) -> int:
        return len(self.key)


@dataclass(frozen=True, eq=False)
class SuccessMemory:
    """Centres from which scroungers draw their difference weight and crossover rate.

    Attributes:
        weight: (h,) means of successful difference weights F.
        crossover: (h,) means of successful crossover rates CR.
        oldest: the entry to be overwritten next.
    """

    weight: Vector
    crossover: Vector
    oldest: int

    def draw(self, n: int, rng: Generator) -> tuple[Vector, Vector]:
        """Return F and CR, (n,) each (Tanabe and Fukunaga 2013: Cauchy and normal)."""
        entry = rng.integers(len(self.weight), size=n)
        weight = self.weight[entry] + 0.1 * rng.standard_cauchy(n)
        crossover = self.crossover[entry] + 0.1 * rng.standard_normal(n)
        return np.clip(weight, 0.1, 1.0), np.clip(crossover, 0.0, 1.0)

    def learnt(self, weight: Vector, crossover: Vector, overtaken: Integers) -> "SuccessMemory":
        """Return the memory after some successes.

        Args:
            weight: (s,) F of the scroungers that improved their slot.
            crossover: (s,) their CR.
            overtaken: (s,) how many birds of the flock each of them overtook; the weight of its
                success (the source weights by the gain in cost).
        """
        share = (1.0 + overtaken) / (1.0 + overtaken).sum()
        new_weight, new_crossover = self.weight.copy(), self.crossover.copy()
        new_weight[self.oldest] = (share @ weight**2) / (share @ weight)  # Lehmer mean
        new_crossover[self.oldest] = share @ crossover
        return SuccessMemory(new_weight, new_crossover, (self.oldest + 1) % len(self.weight))


def producers(
    columns: Columns, model: FlockModel | None, probability: Matrix, n: int, rng: Generator
) -> Matrix:
    """Return (n, d) samples of the flock's model.

    Args:
        columns: of d columns; k numeric and c nominal.
        model: over the numeric columns; None where there are none.
        probability: (c, K) of the levels of the nominal columns.
        n: how many.
        rng: draws.
    """
    unit = np.full((n, columns.domain.d), 0.5)
    if model is not None:
        found = sample(model, n, rng)
        for _ in range(RESAMPLES):
            outside = ((found < 0.0) | (found > 1.0)).any(axis=1)
            n_outside = int(np.count_nonzero(outside))
            if not n_outside:
                break
            found[outside] = sample(model, n_outside, rng)
        if found.shape == unit.shape:
            unit = found
        else:
            unit[:, columns.numeric] = found
    if len(columns.nominal):
        u = rng.random((n, len(columns.nominal), 1))
        level = (u > np.cumsum(probability, axis=1)[None, :, :-1]).sum(axis=2)
        level = np.minimum(level, columns.categories - 1)
        unit[:, columns.nominal] = (level + 0.5) / columns.categories
    return unit


def scroungers(
    columns: Columns,
    flock: Flock,
    n_elite: int,
    slot: Integers,
    weight: Vector,
    crossover: Vector,
    rng: Generator,
) -> Matrix:
    """Return (n, d): birds drawn to a producer, with a difference of two others.

    `x + F (producer - x) + F (r1 - r2)` with binomial crossover; ordered columns are rounded at
    random, categories copied from the producer or a peer.

    Args:
        columns: of d columns.
        flock: m birds.
        n_elite: how many of the best count as producers.
        slot: (n,) indices of the birds x.
        weight: (n,) F.
        crossover: (n,) CR.
        rng: draws.
    """
    n, d = len(slot), columns.domain.d
    x = flock.unit[slot]
    producer = flock.unit[flock.order[rng.integers(n_elite, size=n)]]
    r1, r2 = flock.unit[rng.integers(len(flock), size=(2, n))]
    moved = x + weight[:, None] * (producer - x + r1 - r2)
    if columns.n_discrete:
        moved = moves.round_randomly(columns.domain, moved, rng)
    if len(columns.nominal):
        u = rng.random((n, d))
        copied = np.where(u < 0.5, producer, np.where(u < 0.75, r1, r2))
        moved = np.where(columns.domain.nominal, copied, moved)
    crossed = rng.random((n, d)) < crossover[:, None]
    crossed[np.arange(n), rng.integers(d, size=n)] = True
    return np.where(crossed, moved, x)


def scouts(
    columns: Columns, flock: Flock, n_elite: int, n: int, rng: Generator
) -> tuple[Matrix, Mask]:
    """Return (n, d) birds near the leader or a producer, and (n, d) the coordinates they explore.

    The step is `N(0, 1) * |other - leader|`, other any bird of the flock. Discrete coordinates
    are left for `explored`.
    """
    d = columns.domain.d
    rank = rng.integers(n_elite, size=n) * (rng.random(n) < 0.5)
    lead = flock.unit[flock.order[rank]]
    other = flock.unit[rng.integers(len(flock), size=n)]
    chosen = rng.random((n, d)) < SCOUTED / len(columns.free)
    chosen[np.arange(n), columns.free[rng.integers(len(columns.free), size=n)]] = True
    step = rng.standard_normal((n, d)) * np.abs(other - lead)
    return np.where(chosen & ~columns.domain.nominal, lead + step, lead), chosen


def explored(columns: Columns, flock: Flock, unit: Matrix, chosen: Mask, rng: Generator) -> Matrix:
    """Return (n, d) with the chosen discrete coordinates moved to other levels.

    Integers take geometric steps whose mean grows with the flock's spread in levels.
    """
    chosen = chosen & columns.domain.discrete
    if not chosen.any():
        return unit
    mean_step = 1.0 + np.maximum(moves.spread_in_levels(columns.domain, flock.unit), 1.0)
    return moves.kick(columns.domain, unit, chosen, mean_step, rng)


def renewed(columns: Columns, flock: Flock, unit: Matrix, rng: Generator) -> Matrix:
    """Return (n, d) with duplicates of the flock and within the batch moved again."""
    n, d = unit.shape
    m = len(flock)
    for _ in range(RENEWALS):
        rows = np.concatenate([flock.unit, columns.domain.centre(unit)])
        fresh = np.zeros(m + n, bool)
        fresh[moves.first_of_each(rows)] = True
        again = ~fresh[m:]
        if not again.any():
            break
        chosen = rng.random((n, d)) < 1.0 / len(columns.free)
        chosen[np.arange(n), columns.free[rng.integers(len(columns.free), size=n)]] = True
        unit = explored(columns, flock, unit, chosen & again[:, None], rng)
    return unit


def nearest(columns: Columns, flock: Flock, unit: Matrix) -> Integers:
    """Return (n,) the index of the bird nearest to each candidate.

    Distances are Euclidean in ordered columns; a different category counts 1.

    Args:
        columns: of d columns.
        flock: m birds.
        unit: (n, d) candidates, discrete values in the middle of their bins.
    """
    birds = flock.unit
    origin = birds[flock.order[0]]  # keeps the differences of a close flock exact
    if len(columns.nominal):
        numeric = columns.numeric
        here, there = (unit - origin)[:, numeric], (birds - origin)[:, numeric]
    else:
        here, there = unit - origin, birds - origin
    square = np.einsum("ij,ij->i", there, there) - 2.0 * (here @ there.T)  # + |here|^2
    if len(columns.nominal):
        nominal = columns.nominal
        square = square + (unit[:, None, nominal] != birds[None, :, nominal]).sum(axis=2)
    return np.argmin(square, axis=1)


def learnt_probability(
    columns: Columns, probability: Matrix, ranked: Matrix, weights: Vector, floor: float
) -> Matrix:
    """Return (c, K) probabilities of the levels after a generation, none below its floor.

    Args:
        columns: c nominal columns.
        probability: (c, K) before.
        ranked: (n, d) candidates, best first.
        weights: (n,) positive weight of each, 0 for those that are no parents.
        floor: of one level, as a multiple of 1 / K.
    """
    c, widest = probability.shape
    level = columns.domain.level(ranked)[:, columns.nominal].astype(np.int64)
    cell = level + widest * np.arange(c)
    seen = np.bincount(cell.ravel(), weights=np.repeat(weights, c), minlength=c * widest).reshape(
        c, widest
    )
    blend = 0.9 * probability + 0.1 * seen
    least = np.where(probability > 0.0, floor / columns.categories[:, None], 0.0)
    blend = np.maximum(blend, least)
    blend /= blend.sum(axis=1, keepdims=True)
    return blend
