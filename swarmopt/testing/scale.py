"""Checks at scale: many columns, many batches, keys of any size and sign."""

from collections.abc import Callable, Sequence

import numpy as np

from swarmopt.algorithm import AnyAlgorithm, Horizon
from swarmopt.domain import Domain
from swarmopt.space import Space
from swarmopt.testing.drive import drive, expect
from swarmopt.testing.learning import BATCH, expect_beats_random
from swarmopt.testing.objectives import REAL, REALS, WIDE, bowl, learns_nothing
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Real

SEEDS = range(5)

EARLY = 160  # batches

REALS_20 = Space([Real(-5, 5)] * 20).domain

# Of a bowl's keys, which are of the order of 1.
TRANSFORMS: dict[str, Callable[[Vector], Vector]] = {
    "k - 1e6": lambda k: k - 1e6,
    "1e6 * k": lambda k: 1e6 * k,
}


def every_column_is_searched(algorithm: AnyAlgorithm) -> None:
    """Of optima on two sides, candidates crowd at the one that is asked for, in each column."""
    if learns_nothing(algorithm):
        return
    for domain, budget, n_seeds, width, least in (
        (REAL, 600, 5, 1, 0.25),
        (REALS, 3_000, 3, 10, 0.3),
    ):
        shift = _shift(algorithm, domain, budget, SEEDS[:n_seeds])
        if width > 1:  # weak algorithms are slow in wide spaces, but alike in all columns
            shift = shift.reshape(-1, width).mean(axis=1) / max(shift.mean(), 1e-9)
        worst = int(shift.argmin())
        expect(
            bool(shift[worst] > least),
            f"columns {worst * width} to {worst * width + width - 1} of {domain.d} are not searched"
            f": candidates follow the optimum there {shift[worst]:.2f} times, expected {least}",
        )


def wide_spaces_are_searched(algorithm: AnyAlgorithm) -> None:
    """Better than random search on 50 real columns, and on 120 of all kinds."""
    expect_beats_random(algorithm, REALS, 0.8, budget=3_000, seeds=SEEDS)
    expect_beats_random(algorithm, WIDE, 0.95, budget=3_000, seeds=SEEDS)


def scale_and_sign_of_keys_do_no_harm(algorithm: AnyAlgorithm) -> None:
    """Better than random search whatever is added to keys and whatever they are multiplied by.

    Where `order_only` is declared, `only_the_order_of_keys_matters` asks for more.
    """
    if algorithm.order_only:
        return
    for name, change in TRANSFORMS.items():
        expect_beats_random(algorithm, REAL, 0.25, change=change, where=f"with keys {name}, ")


def long_runs_keep_improving(algorithm: AnyAlgorithm) -> None:
    """Twenty real variables: three times as many batches find clearly better, in some runs."""
    if learns_nothing(algorithm):
        return
    domain, share = REALS_20, []
    for seed in SEEDS[:3]:
        fun = bowl(domain, np.random.default_rng(seed).uniform(0.1, 0.9, domain.d))
        keys = drive(algorithm, domain, fun, 3 * EARLY, seed).keys
        best = np.minimum.accumulate([key.min() for key in keys])
        share.append(best[-1] / best[EARLY - 1])
    mean = np.exp(np.log(np.maximum(share, 1e-12)).mean())
    expect(
        bool(mean < 0.97),
        f"the best key of {3 * EARLY} batches is {mean:.3g} times that of the first {EARLY}, "
        f"expected below 0.97: in long runs nothing better is asked for",
    )


def _shift(algorithm: AnyAlgorithm, domain: Domain, budget: int, seeds: Sequence[int]) -> Vector:
    """Return (d,) how far late candidates follow the optimum from one side to the other, 0 to 1."""
    shift = np.zeros(domain.d)
    for seed in seeds:
        low = np.random.default_rng(seed).random(domain.d) < 0.5
        optima = np.where(np.array([low, ~low]), 0.17, 0.83)
        one, other = (_late(algorithm, domain, optimum, budget, seed) for optimum in optima)
        shift += (one - other) / (optima[0] - optima[1])
    return shift / len(seeds)


def _late(
    algorithm: AnyAlgorithm, domain: Domain, optimum: Vector, budget: int, seed: int
) -> Vector:
    """Return (d,) the mean of the last quarter of a run's candidates."""
    run = drive(
        algorithm, domain, bowl(domain, optimum), budget, seed, horizon=Horizon(budget, BATCH)
    )
    asked: Matrix = np.concatenate(run.told)[-(budget // 4) :]
    mean: Vector = asked.mean(axis=0)
    return mean
