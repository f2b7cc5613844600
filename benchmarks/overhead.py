"""What the optimizer itself costs: microseconds per candidate.

First table: ask and tell alone, beside the floor: the bare random draws and array passes that a
population method hardly does without (one uniform and one normal matrix, a clip and a sort). Second
table: all of `minimize` on a batch sphere, less the time spent in the objective.

    python benchmarks/overhead.py [--repeats 7] [--batches 60]

Every figure is the median over repeats. Timing is never asserted.
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from statistics import median
from time import perf_counter

import click
import numpy as np

from swarmopt import minimize
from swarmopt.algorithm import AnyAlgorithm, Horizon, Streams
from swarmopt.space import Categorical, Domain, Integer, Ordinal, Real, Space
from swarmopt.types import Matrix, Vector

SIZES = ((20, 10), (50, 20), (100, 100))
ALGORITHMS = {
    "pso": "PSO",
    "ga": "GA",
    "ssa-classic": "SSAClassic",
    "random-search": "RandomSearch",
    "ssa": "SSA",
}


@click.command()
@click.option("--repeats", default=7, show_default=True, help="Runs of which to take the median.")
@click.option("--batches", default=60, show_default=True, help="Batches per run.")
def main(repeats: int, batches: int) -> None:
    """Print both tables."""
    kinds = found()
    print("ask and tell, microseconds per candidate (ratio to the floor)")
    print(f"{'n':>4} {'d':>4} {'space':<6} {'floor':>6}" + "".join(f"{k:>21}" for k in kinds))
    for n, d in SIZES:
        for space in ("real", "mixed"):
            domain = real(d) if space == "real" else mixed(d)
            floor = middle(partial(floor_time, n, d, batches), repeats)
            row = f"{n:>4} {d:>4} {space:<6} {floor:>6.2f}"
            for make in kinds.values():
                algorithm = make(population=n)
                cost = middle(partial(ask_tell_time, algorithm, domain, batches), repeats)
                row += f"{cost:>14.2f} ({cost / floor:4.1f})"
            print(row, flush=True)
    n, d = 50, 20
    print(f"\nminimize less the objective, batch sphere, n = {n}, d = {d}, microseconds")
    for name, make in kinds.items():
        algorithm = make(population=n)
        cost = middle(partial(loop_time, algorithm, d, n * batches), repeats)
        print(f"{name:>14} {cost:>6.2f}", flush=True)


def found() -> dict[str, Callable[..., AnyAlgorithm]]:
    """Return the algorithms that are there, by name."""
    room = import_module("swarmopt.algorithms")
    return {name: getattr(room, kind) for name, kind in ALGORITHMS.items() if kind in dir(room)}


def real(d: int) -> Domain:
    """Return d real columns."""
    return Space([Real(-5, 5)] * d).domain


def mixed(d: int) -> Domain:
    """Return d columns, a quarter each integers, ordinals and categories, the rest real."""
    k = d // 4
    discrete = (Integer(0, 9), Ordinal([1, 2, 4, 8]), Categorical(list("abcde")))
    return Space([*[Real(-5, 5)] * (d - 3 * k), *discrete * k]).domain


def middle(time: Callable[[int], float], repeats: int) -> float:
    """Return the median of a time over seeds."""
    return median(time(seed) for seed in range(repeats))


def floor_time(n: int, d: int, batches: int, seed: int) -> float:
    """Return microseconds per candidate of the draws and passes nothing does without."""
    streams = Streams(seed)
    start = perf_counter()
    for g in range(batches):
        rng = streams.at(g)
        unit = np.clip(rng.random((n, d)) + rng.standard_normal((n, d)), 0.0, 1.0)
        np.argsort(unit[:, 0])
    return 1e6 * (perf_counter() - start) / (n * batches)


def ask_tell_time(algorithm: AnyAlgorithm, domain: Domain, batches: int, seed: int) -> float:
    """Return microseconds per candidate of ask and tell, the streams included."""
    streams = Streams(seed)
    target = np.linspace(0.3, 0.7, domain.d)
    state = algorithm.init(domain, Horizon(budget=10**5))
    spent, n_told = 0.0, 0
    for g in range(batches):
        start = perf_counter()
        candidates = algorithm.ask(state, streams.at(g))
        spent += perf_counter() - start
        key = ((candidates.unit - target) ** 2).sum(axis=1)
        start = perf_counter()
        state = algorithm.tell(state, candidates, key)
        spent += perf_counter() - start
        n_told += len(key)
    return 1e6 * spent / n_told


def loop_time(algorithm: AnyAlgorithm, d: int, budget: int, seed: int) -> float:
    """Return microseconds per candidate of `minimize`, less the time inside the objective."""
    inside = 0.0

    def sphere(rows: Matrix) -> Vector:
        nonlocal inside
        start = perf_counter()
        cost: Vector = ((rows - 1.0) ** 2).sum(axis=1)
        inside += perf_counter() - start
        return cost

    start = perf_counter()
    result = minimize(
        sphere, [(-5, 5)] * d, batch=True, algorithm=algorithm, budget=budget, seed=seed
    )
    return 1e6 * (perf_counter() - start - inside) / result.nfev


if __name__ == "__main__":
    main()
