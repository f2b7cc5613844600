"""Checks of discrete columns: edges, few levels, small spaces, and labels that have no order."""

import numpy as np

from swarmopt.algorithm import AnyAlgorithm, Horizon
from swarmopt.domain import Domain
from swarmopt.space import Space
from swarmopt.testing.drive import Objective, drive, expect
from swarmopt.testing.learning import BATCH, SEEDS, expect_beats_random
from swarmopt.testing.objectives import LETTERS, bowl, flat
from swarmopt.types import Integers, Matrix, Vector
from swarmopt.variables import Boolean, Categorical, Integer, Ordinal, Real

LEVELS = Space(
    [
        Integer(-10, 10),
        Integer(0, 9),
        Ordinal([1, 2, 3, 5, 8]),
        LETTERS,
        Integer(0, 2),
        Ordinal([1, 2, 4]),
        Categorical(["a", "b", "c"]),
        Boolean(),
        Integer(0, 1),
        Real(0, 1),
    ]
).domain

FEW_ORDERED = Space([Integer(0, 1), Integer(0, 2), Ordinal([1, 2, 4])] * 8).domain
FEW_NOMINAL = Space([Boolean(), Categorical(["a", "b"]), Categorical(["a", "b", "c"])] * 8).domain

# 240 points
SMALL = Space([Integer(0, 7), Boolean(), LETTERS, Integer(0, 2)]).domain

MANY_LABELS = Space([Categorical([f"label {i}" for i in range(32)])] * 8).domain


def every_level_is_asked_for(algorithm: AnyAlgorithm) -> None:
    """The optimum is at an edge or between; the first 100 points told are at other levels."""
    domain = LEVELS
    for target in (0.0, 0.25, 0.5, 0.75, 1.0):
        optimum = np.full(domain.d, target)
        hits = np.zeros(domain.d)
        for seed in SEEDS[:4]:
            x0 = _elsewhere(domain, optimum, 100, seed)
            run = drive(
                algorithm,
                domain,
                bowl(domain, optimum),
                500,
                seed,
                horizon=Horizon(500, BATCH),
                x0=x0,
            )
            asked = np.concatenate(run.told)[len(x0) :]
            hits += (domain.level(asked) == domain.level(optimum[None, :])).sum(axis=0)
        never = np.flatnonzero(domain.discrete & (hits == 0))
        expect(
            not len(never),
            f"of {domain.levels[never]} levels in columns {never}, those at {target} of the unit "
            f"interval were best and never asked for in 4 runs of 400 candidates",
        )


def columns_of_few_levels_are_searched(algorithm: AnyAlgorithm) -> None:
    """Columns of two and three levels: better than random search, or not far behind if biased."""
    for domain in (FEW_ORDERED, FEW_NOMINAL):
        expect_beats_random(algorithm, domain, 0.9 if algorithm.unbiased else 1.6, budget=600)


def small_spaces_are_not_walked_in_circles(algorithm: AnyAlgorithm) -> None:
    """Of 240 points with one cost, 480 candidates visit more than those of the first batch."""
    weight = np.cumprod(np.r_[1, SMALL.levels[:-1]])
    visited = []
    for seed in SEEDS:
        run = drive(algorithm, SMALL, flat, 480, seed, horizon=Horizon(480, BATCH))
        points = [SMALL.level(unit) @ weight for unit in run.told]
        visited.append(len(np.setdiff1d(np.concatenate(points[1:]), points[0])))
    least = 40 if algorithm.unbiased else 12
    n = float(np.median(visited))
    expect(
        n >= least,
        f"a space of {SMALL.size:.0f} points, all with one cost: after the first batch 480 "
        f"candidates visited {n:.0f} others (median of {len(visited)} runs), expected {least}; the "
        f"same points are asked again and again",
    )


def labels_of_categories_have_no_order(algorithm: AnyAlgorithm) -> None:
    """Results agree where costs follow the order of the labels and where labels are shuffled.

    Where the algorithm declares `unbiased`.
    """
    if not algorithm.unbiased:
        return
    domain, error = MANY_LABELS, np.empty((len(SEEDS), 2))
    for row, seed in enumerate(SEEDS):
        rng = np.random.default_rng(seed)
        optimum = rng.random(domain.d)
        shuffled = np.array([rng.permutation(k) for k in domain.levels])
        for column, labels in enumerate((np.sort(shuffled, axis=1), shuffled)):
            fun = _slope(domain, labels, optimum)
            run = drive(algorithm, domain, fun, 600, seed, horizon=Horizon(600, BATCH))
            error[row, column] = np.log10(run.best + 1e-3)
    ordered, unordered = error.mean(axis=0)
    expect(
        abs(ordered - unordered) < 0.6,
        f"mean log10 error {ordered:.2f} where costs follow the order of categories, "
        f"{unordered:.2f} where their labels are shuffled; the levels of a nominal column have no "
        f"order",
    )


def _elsewhere(domain: Domain, optimum: Vector, n: int, seed: int) -> Matrix:
    """Return (n, d) points, uniform over the levels at which the optimum is not."""
    u, levels = np.random.default_rng(seed).random((2, n, domain.d)), np.maximum(domain.levels, 1)
    other = domain.level(optimum[None, :]) + 1 + np.floor(u[0] * (levels - 1))
    unit: Matrix = np.where(domain.discrete, (other % levels + u[1]) / levels, u[0])
    return unit


def _slope(domain: Domain, labels: Integers, optimum: Vector) -> Objective:
    """Return squared differences to the optimum, counted along (d, k) labels, as shares of k."""
    column = np.arange(domain.d)

    def place(unit: Matrix) -> Matrix:
        label: Integers = labels[column, domain.level(unit).astype(np.int64)]
        return label / (domain.levels - 1)

    at = place(optimum[None, :])

    def keys(unit: Matrix) -> Vector:
        total: Vector = ((place(unit) - at) ** 2).sum(axis=1)
        return total

    return keys
