"""What the defaults of our algorithms were chosen on: twenty functions, of reals and with integers.

None of them judges: the tables are made on other functions. `tuning-real` is over [-5, 5]^d;
in `tuning-mixed` the variables have 2, 4, 8 and 16 whole values and real ones, in turn. The least
cost is 0 at a random place, on the lattice where there is one, and at the edge in function 13.
Coordinates are rotated by a random matrix but for functions 2, 8, 12 and 13, and bent from function
5 on where the name says so, so that a polynomial does not fit them exactly.
"""

from collections.abc import Callable
from zlib import crc32

import numpy as np
from numpy.random import Generator

from benchmarks.meter import Task
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Integer, Real

REAL, MIXED = "tuning-real", "tuning-mixed"
DIMENSIONS = (5, 10, 20)
EDGE = 5.0  # of the box
LEVELS = (2, 4, 8, 16, 0)

Cost = Callable[[Matrix], Vector]  # of (n, d) differences from the optimum, rotated


def real(function: int, dimension: int, instance: int) -> Task:
    """Return a task over the reals."""
    return _task(REAL, function, dimension, instance, (0,) * dimension)


def mixed(function: int, dimension: int, instance: int) -> Task:
    """Return a task over integers and reals."""
    return _task(MIXED, function, dimension, instance, np.resize(LEVELS, dimension).tolist())


def _task(
    suite: str, function: int, dimension: int, instance: int, levels: list[int] | tuple[int, ...]
) -> Task:
    rng = np.random.default_rng(crc32(f"{suite} {function} {dimension} {instance}".encode()))
    n_levels = np.array(levels)
    whole = n_levels > 0
    low = np.where(whole, 0.0, -EDGE)
    pitch = np.where(whole, 2 * EDGE / np.maximum(n_levels + 1, 1), 1.0)  # of the lattice
    best = np.where(whole, rng.integers(0, np.maximum(n_levels, 1)), rng.uniform(-4, 4, dimension))
    if function == AT_THE_EDGE:
        best = np.where(rng.random(dimension) < 0.5, low, np.where(whole, n_levels - 1, EDGE))
    rotated = function not in SEPARABLE
    normal = rng.standard_normal((dimension, dimension))
    rotation = np.linalg.qr(normal)[0] if rotated else np.eye(dimension)
    raw = BUILDERS[function - 1](dimension, rng)

    def cost(x: Matrix) -> Vector:
        return raw(((x - best) * pitch) @ rotation)

    space = Space([Integer(0, n - 1) if n else Real(-EDGE, EDGE) for n in levels])
    return Task(suite, function, dimension, instance, suite, space, cost, 0.0)


def _bent(z: Matrix) -> Matrix:
    """Return coordinates that swing by a tenth around themselves at every scale."""
    size = np.log(np.maximum(np.abs(z), 1e-300))
    return z * np.exp(0.1 * np.sin(3.0 * size + (z > 0)))


def _condition(d: int, condition: float) -> Vector:
    return condition ** np.linspace(0, 1, d)


def _sphere(d: int, rng: Generator) -> Cost:  # noqa: ARG001 - as all of them
    return lambda z: (z**2).sum(axis=1)


def _ellipsoid(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    weight = _condition(d, 1e6)
    return lambda z: _bent(z) ** 2 @ weight


def _cigar(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    return lambda z: z[:, 0] ** 2 + 1e6 * (z[:, 1:] ** 2).sum(axis=1)


def _rosenbrock(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    def cost(z: Matrix) -> Vector:
        z = z * max(1.0, np.sqrt(d) / 8) + 1.0
        bend = z[:, 1:] - z[:, :-1] ** 2
        total: Vector = (100.0 * bend**2 + (1.0 - z[:, :-1]) ** 2).sum(axis=1)
        return total

    return cost


def _powers(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    exponent = 2.0 + 4.0 * np.linspace(0, 1, d)
    return lambda z: (np.abs(z) ** exponent).sum(axis=1) ** 0.7


def _ridge(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    return lambda z: _bent(z)[:, 0] ** 2 + 100.0 * np.sqrt((z[:, 1:] ** 2).sum(axis=1))


def _sectors(d: int, rng: Generator) -> Cost:
    steep = rng.integers(0, 2, d) * 2 - 1

    def cost(z: Matrix) -> Vector:
        total: Vector = (np.where(z * steep > 0, 10.0 * z, z) ** 2).sum(axis=1)
        return total**0.8

    return cost


def _rastrigin(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    weight = np.sqrt(_condition(d, 10.0))

    def cost(z: Matrix) -> Vector:
        z = _bent(z) * weight
        total: Vector = (z**2 + 10.0 * (1.0 - np.cos(2 * np.pi * z))).sum(axis=1)
        return total

    return cost


def _ackley(d: int, rng: Generator) -> Cost:
    weight = np.sqrt(_condition(d, 100.0))[rng.permutation(d)]

    def cost(z: Matrix) -> Vector:
        z = 3.0 * z * weight
        far = -20.0 * np.expm1(-0.2 * np.sqrt((z**2).mean(axis=1)))
        total: Vector = far - np.exp(1.0) * np.expm1(np.cos(2 * np.pi * z).mean(axis=1) - 1.0)
        return total

    return cost


def _griewank(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    root = np.sqrt(np.arange(1, d + 1))

    def cost(z: Matrix) -> Vector:
        z = 20.0 * z
        total: Vector = (z**2).sum(axis=1) / 4000 + 1.0 - np.cos(z / root).prod(axis=1)
        return 10.0 * total

    return cost


def _schwefel(d: int, rng: Generator) -> Cost:
    """Return wells of uneven depth along every coordinate, the deepest at 0."""
    wells = rng.uniform(-8, 8, (d, 6))
    depth = rng.uniform(2, 9, (d, 6))

    def cost(z: Matrix) -> Vector:
        holes = depth * np.exp(-4.0 * (z[:, :, None] - wells) ** 2)
        holes = np.maximum(holes.max(axis=2), 10.0 * np.exp(-4.0 * z**2))
        total: Vector = (10.0 - holes + 0.1 * z**2).sum(axis=1)
        return total

    return cost


def _slope(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    weight = _condition(d, 10.0)
    return lambda z: np.abs(z) @ weight


def _steps(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    weight = _condition(d, 100.0)

    def cost(z: Matrix) -> Vector:
        coarse = np.where(np.abs(z) > 0.5, np.round(z), np.round(10 * z) / 10)
        total: Vector = 0.1 * np.maximum(coarse**2 @ weight, 1e-4 * np.abs(z[:, 0]))
        return total

    return cost


def _peaks(d: int, rng: Generator) -> Cost:
    centres = rng.uniform(-8, 8, (30, d))
    centres[0] = 0.0
    height = np.concatenate([[10.0], rng.uniform(1, 9, 29)])
    width = rng.uniform(0.5, 3.0, (30, d))

    def cost(z: Matrix) -> Vector:
        square = (((z[:, None, :] - centres) / width) ** 2).mean(axis=2)
        found: Vector = (10.0 - (height * np.exp(-0.5 * square)).max(axis=1)) ** 2
        return found

    return cost


def _funnels(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    def cost(z: Matrix) -> Vector:
        near, far = (z**2).sum(axis=1), 0.7 * ((z - 4.0) ** 2).sum(axis=1) + d
        rough: Vector = 10.0 * (1.0 - np.cos(2 * np.pi * z)).sum(axis=1)
        total: Vector = np.minimum(near, far) + rough
        return total

    return cost


def _rough(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    def cost(z: Matrix) -> Vector:
        z = np.abs(z)
        total: Vector = (z + 0.5 * np.sqrt(z) * np.sin(8.0 * z) ** 2).sum(axis=1)
        return total

    return cost


def _corners(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    weight = _condition(d, 1e2)
    return lambda z: np.abs(z) @ weight


def _levy(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    def cost(z: Matrix) -> Vector:
        w = 1.0 + z / 2.0
        inner = (w[:, :-1] - 1) ** 2 * (1 + 10 * np.sin(np.pi * w[:, :-1] + 1) ** 2)
        last = (w[:, -1] - 1) ** 2 * (1 + np.sin(2 * np.pi * w[:, -1]) ** 2)
        total: Vector = np.sin(np.pi * (w[:, 0] - 1)) ** 2 + inner.sum(axis=1) + last
        return total

    return cost


def _discus(d: int, rng: Generator) -> Cost:  # noqa: ARG001
    return lambda z: 1e5 * _bent(z)[:, 0] ** 2 + (_bent(z)[:, 1:] ** 2).sum(axis=1)


BUILDERS: tuple[Callable[[int, Generator], Cost], ...] = (
    _sphere,
    _ellipsoid,
    _ellipsoid,
    _rosenbrock,
    _powers,
    _ridge,
    _sectors,
    _rastrigin,
    _rastrigin,
    _ackley,
    _griewank,
    _schwefel,
    _slope,
    _steps,
    _peaks,
    _funnels,
    _rough,
    _corners,
    _levy,
    _discus,
)
N_FUNCTIONS = len(BUILDERS)
SEPARABLE = (2, 8, 12, 13)
AT_THE_EDGE = 13
