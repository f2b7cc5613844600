"""Our own suite: integers and categories, with the optimum known exactly.

Functions 1 to 4 have integers ("integer"), 5 to 8 unordered choices ("categorical"). Costs are
scaled so that the median error of 1,000 random points is 100, which puts all on the scale of the
targets; a point is optimal or a whole step away, so the small targets are reached together.

1  a rotated ellipsoid of condition 1e3 over {-10, ..., 10}^d, around a random lattice point
2  Rastrigin's function over {-10, ..., 10}^d, with a local minimum at every fourth integer
3  a weighted L1 distance over variables of 2, 4, 8, 16, 32 and 64 levels
4  Rosenbrock's function over {-10, ..., 10}^d, moved to a random lattice point
5  NK landscapes with K = 3 over bits: a table for each window of four neighbours (Kauffman and
   Weinberger 1989), the order of the variables hidden by a permutation
6  MAX-3-SAT with 4.2 d clauses and a hidden assignment that satisfies all
7  a chain of five-way choices with a random table for each pair of neighbours, order hidden
8  choices among 3 to 6: a random cost for each, and a random table for each of 2 d random pairs,
   all of which are 0 at a hidden assignment and positive elsewhere

The optima of 5 and 7 are found by dynamic programming along the hidden chain.
"""

from collections.abc import Callable
from zlib import crc32

import numpy as np
from numpy.random import Generator

from benchmarks.meter import Task
from swarmopt.space import Space
from swarmopt.types import Integers, Matrix, Vector
from swarmopt.variables import Categorical, Integer

SUITE = "own"
N_FUNCTIONS = 8
DIMENSIONS = (20, 40)
SCALE = 100.0  # median error of a random point

Built = tuple[Space, Callable[[Matrix], Vector], float]  # variables, cost, optimum


def make(function: int, dimension: int, instance: int) -> Task:
    """Return a task of this suite; the same one on every call."""
    rng = np.random.default_rng(crc32(f"{SUITE} {function} {dimension} {instance}".encode()))
    space, raw, optimum = BUILDERS[function - 1](dimension, rng)
    scale = SCALE / float(np.median(raw(space.decode(rng.random((1000, dimension)))) - optimum))

    def cost(x: Matrix) -> Vector:
        scaled: Vector = scale * (raw(x) - optimum)
        return scaled

    group = "integer" if function <= 4 else "categorical"
    return Task(SUITE, function, dimension, instance, group, space, cost, 0.0)


def ellipsoid(d: int, rng: Generator) -> Built:
    """Return function 1."""
    best = rng.integers(-8, 9, d)
    rotation = np.linalg.qr(rng.standard_normal((d, d)))[0]
    weight = 1e3 ** np.linspace(0, 1, d)
    return _lattice(d), lambda x: ((x - best) @ rotation) ** 2 @ weight, 0.0


def rastrigin(d: int, rng: Generator) -> Built:
    """Return function 2."""
    best = rng.integers(-8, 9, d)

    def cost(x: Matrix) -> Vector:
        z = x - best
        total: Vector = (z**2 + 10.0 * (1.0 - np.cos(0.5 * np.pi * z))).sum(axis=1)
        return total

    return _lattice(d), cost, 0.0


def distance(d: int, rng: Generator) -> Built:
    """Return function 3."""
    levels = np.resize([2, 4, 8, 16, 32, 64], d)
    best = rng.integers(0, levels)
    weight = 10.0 ** rng.uniform(-1, 1, d) / levels
    space = Space([Integer(0, int(n) - 1) for n in levels])
    return space, lambda x: np.abs(x - best) @ weight, 0.0


def rosenbrock(d: int, rng: Generator) -> Built:
    """Return function 4."""
    best = rng.integers(-8, 9, d)

    def cost(x: Matrix) -> Vector:
        z = (x - best) / 4.0 + 1.0
        bend = z[:, 1:] - z[:, :-1] ** 2
        total: Vector = (100.0 * bend**2 + (1.0 - z[:, :-1]) ** 2).sum(axis=1)
        return total

    return _lattice(d), cost, 0.0


def nk(d: int, rng: Generator) -> Built:
    """Return function 5."""
    return _chain(d, 2, 4, rng)


def max_sat(d: int, rng: Generator) -> Built:
    """Return function 6."""
    hidden = rng.integers(0, 2, d)
    n = round(4.2 * d)
    variables = np.array([rng.choice(d, 3, replace=False) for _ in range(n)])
    wanted = rng.integers(0, 2, (n, 3))
    broken = (wanted != hidden[variables]).all(axis=1)  # mended in one random literal each
    rows, columns = np.flatnonzero(broken), rng.integers(0, 3, int(broken.sum()))
    wanted[rows, columns] = hidden[variables[rows, columns]]

    def cost(x: Matrix) -> Vector:
        unmet: Vector = (x[:, variables] != wanted).all(axis=2).sum(axis=1).astype(float)
        return unmet

    return _choices(np.full(d, 2)), cost, 0.0


def chain(d: int, rng: Generator) -> Built:
    """Return function 7."""
    return _chain(d, 5, 2, rng)


def interactions(d: int, rng: Generator) -> Built:
    """Return function 8."""
    levels = rng.integers(3, 7, d)
    best = rng.integers(0, levels)
    each = np.arange(d)
    alone = rng.random((d, levels.max()))
    alone[each, best] = 0.0
    first, second = np.array([rng.choice(d, 2, replace=False) for _ in range(2 * d)]).T
    pairs = np.arange(2 * d)
    tables = 0.5 * rng.random((2 * d, levels.max(), levels.max()))
    tables[pairs, best[first], best[second]] = 0.0

    def cost(x: Matrix) -> Vector:
        chosen = x.astype(np.int64)
        total: Vector = alone[each, chosen].sum(axis=1)
        total += tables[pairs, chosen[:, first], chosen[:, second]].sum(axis=1)
        return total

    return _choices(levels), cost, 0.0


BUILDERS: tuple[Callable[[int, Generator], Built], ...] = (
    ellipsoid,
    rastrigin,
    distance,
    rosenbrock,
    nk,
    max_sat,
    chain,
    interactions,
)


def least_of_chain(tables: Matrix) -> float:
    """Return the least sum of tables over windows of a chain, by dynamic programming.

    Args:
        tables: (windows, levels, ..., levels); window i reads the choices i, i + 1, ...
    """
    least = np.zeros(tables.shape[1:-1])  # by the choices that the next window shares
    for table in tables:
        least = (least[..., None] + table).min(axis=0)
    return float(least.min())


def _chain(d: int, levels: int, width: int, rng: Generator) -> Built:
    tables = rng.random((d - width + 1, *[levels] * width))
    order = rng.permutation(d)
    windows = np.lib.stride_tricks.sliding_window_view(np.arange(d), width)

    def cost(x: Matrix) -> Vector:
        seen = x.astype(np.int64)[:, order][:, windows]  # (n, windows, width)
        index = (np.arange(len(tables)), *np.moveaxis(seen, 2, 0))
        total: Vector = tables[index].sum(axis=1)
        return total

    return _choices(np.full(d, levels)), cost, least_of_chain(tables)


def _lattice(d: int) -> Space:
    return Space([Integer(-10, 10)] * d)


def _choices(levels: Integers) -> Space:
    return Space([Categorical(range(int(n))) for n in levels])
