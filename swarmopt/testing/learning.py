"""Checks of what an algorithm learns: over fixed seeds, with a wide margin."""

from collections.abc import Callable, Iterable

import numpy as np

from swarmopt.algorithm import AnyAlgorithm, Horizon
from swarmopt.domain import Domain
from swarmopt.testing.drive import Objective, drive, expect
from swarmopt.testing.objectives import (
    CATEGORIES,
    INTEGERS,
    LONG,
    MIXED,
    REAL,
    after,
    all_failing,
    bowl,
    constrained,
    learns_nothing,
    sometimes_failing,
    with_outages,
)
from swarmopt.types import Vector

BATCH = 16  # at least, in statistical checks: a small flock takes more calls


SEEDS = range(7)


def failed_candidates_do_no_harm(algorithm: AnyAlgorithm) -> None:
    """Keys of inf: all of them for ever, all of the first batches, those of a part of the cube."""
    drive(algorithm, REAL, all_failing, 30, seed=10)
    drive(algorithm, MIXED, all_failing, 30, seed=10)
    for domain in (REAL, MIXED):
        fun = sometimes_failing(bowl(domain, np.full(domain.d, 0.3)))
        drive(algorithm, domain, with_outages(fun), 30, seed=11)
    fun = sometimes_failing(bowl(REAL, np.full(REAL.d, 0.3)))
    expect_no_worse_than_random(algorithm, fun, "where half of the cube fails")


def infeasible_candidates_do_no_harm(algorithm: AnyAlgorithm) -> None:
    """Keys between 1e300 and 2e300, as the loop gives to infeasible candidates."""
    for domain in (REAL, MIXED):
        fun = constrained(bowl(domain, np.full(domain.d, 0.3)))
        drive(algorithm, domain, fun, 30, seed=11)
    fun = constrained(bowl(REAL, np.full(REAL.d, 0.3)))
    expect_no_worse_than_random(algorithm, fun, "where half of the cube is infeasible")


def x0_is_learnt_from(algorithm: AnyAlgorithm) -> None:
    """A first point near the optimum leads to better ones: positions count as told, not asked."""
    if learns_nothing(algorithm):
        return
    found = {}
    fun = bowl(REAL, np.full(5, 0.7))
    horizon = Horizon(200, BATCH)
    for x0 in (None, np.full((1, 5), 0.71)):
        runs = [drive(algorithm, REAL, fun, 200, s, horizon=horizon, x0=x0) for s in SEEDS]
        best = [min(float(r.keys[0][1:].min(initial=1.0)), *map(_lowest, r.keys[1:])) for r in runs]
        found[x0 is not None] = float(np.median(best))
    expect(
        found[True] < 0.5 * found[False],
        f"a first point near the optimum did not help: {found[True]:.3g} with it, "
        f"{found[False]:.3g} without; tell must use candidates.unit as told",
    )


def the_best_never_gets_worse(algorithm: AnyAlgorithm) -> None:
    """A longer run with the same seed and horizon ends at least as low."""
    for domain in (REAL, MIXED):
        lengths = (1, 4, 16, 32, LONG)
        best = [drive(algorithm, domain, bowl(domain), n, seed=18).best for n in lengths]
        expect(best == sorted(best, reverse=True), f"longer runs with one seed ended worse: {best}")


def beats_random_search_on_a_shifted_sphere(algorithm: AnyAlgorithm) -> None:
    """Five real variables."""
    expect_beats_random(algorithm, REAL, 0.25)


def beats_random_search_on_shifted_integers(algorithm: AnyAlgorithm) -> None:
    """Eight integers of 21 levels."""
    expect_beats_random(algorithm, INTEGERS, 0.5)


def beats_random_search_on_shifted_categories(algorithm: AnyAlgorithm) -> None:
    """Twelve categories of five levels; a biased algorithm need only be no worse there."""
    expect_beats_random(algorithm, CATEGORIES, 0.5 if algorithm.unbiased else 1.0)


def final(
    algorithm: AnyAlgorithm,
    domain: Domain,
    fun: Objective,
    budget: int,
    *,
    seeds: Iterable[int] = SEEDS,
    lookahead: int = 0,
) -> Vector:
    """Return the best key of each seed."""
    horizon = Horizon(budget, BATCH)
    runs = (
        drive(algorithm, domain, fun, budget, s, horizon=horizon, lookahead=lookahead)
        for s in seeds
    )
    return np.array([run.best for run in runs])


def expect_beats_random(
    algorithm: AnyAlgorithm,
    domain: Domain,
    share: float,
    *,
    budget: int = 1_000,
    seeds: Iterable[int] = SEEDS,
    change: Callable[[Vector], Vector] | None = None,
    where: str = "",
) -> None:
    """Expect at most this share of random search's median error, at optima off the centre.

    Args:
        algorithm: any.
        domain: d columns.
        share: of random search's error.
        budget: evaluations of each.
        seeds: of the runs and their optima.
        change: of the keys that are told; the error is that of the unchanged ones.
        where: begins the message.
    """
    if learns_nothing(algorithm):
        return
    ours, theirs = [], []
    horizon = Horizon(budget, BATCH)
    for seed in seeds:
        optimum = np.random.default_rng(seed).uniform(0.1, 0.9, domain.d)
        fun = bowl(domain, optimum)
        told = after(fun, change) if change else fun
        run = drive(algorithm, domain, told, budget, seed, horizon=horizon)
        ours.append(_lowest(fun(np.concatenate(run.told))))
        theirs.append(_lowest(fun(np.random.default_rng(seed + 100).random((budget, domain.d)))))
    a, b = np.median(ours), np.median(theirs)
    expect(
        bool(a <= share * b),
        f"{where}expected a median error of at most {share} times random search's {b:.3g}, "
        f"got {a:.3g}",
    )


def expect_no_worse_than_random(
    algorithm: AnyAlgorithm, fun: Objective, where: str, *, lookahead: int = 0
) -> None:
    """Expect at most random search's median error on five real variables."""
    if learns_nothing(algorithm):
        return
    ours = np.median(final(algorithm, REAL, fun, 400, lookahead=lookahead))
    draws = (np.random.default_rng(s).random((400, REAL.d)) for s in SEEDS)
    theirs = np.median([_lowest(fun(unit)) for unit in draws])
    expect(bool(ours <= theirs), f"{where} the median error is {ours:.3g}, random {theirs:.3g}")


def _lowest(key: Vector) -> float:
    return float(key.min())
