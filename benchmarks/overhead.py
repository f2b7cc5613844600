"""What the optimizer itself costs: microseconds per candidate, without the objective.

First table: ask and tell of ours alone in batches of n, beside the floor: the bare random draws and
array passes that a population method hardly does without (one uniform and one normal matrix, a clip
and a sort). Then `ssa` as it is by default, in batches as small as it likes.
Second table: whole runs of other packages, less the time inside the objective, from the end of
their first population on; those that are not installed are named and skipped. Third: all of
`minimize` on a batch sphere, less the objective. Last: the peak memory of ours.

    python -m benchmarks.overhead [--repeats 5] [--batches 60]

Every figure is the median over repeats; long ones have fewer batches. Timing is never asserted.
"""

import tracemalloc
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from importlib.util import find_spec
from statistics import median
from time import perf_counter

import click
import numpy as np

from benchmarks.overhead_peers import PEERS, Peer, Stopwatch
from swarmopt import minimize, plugins
from swarmopt.algorithm import AnyAlgorithm, Horizon, Streams
from swarmopt.algorithms import SSA
from swarmopt.domain import Domain
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Categorical, Integer, Ordinal, Real

SIZES = ((20, 10), (50, 30), (100, 100), (1000, 100), (1000, 1000))
DEFAULTS_AT = (5, 10, 20, 40)
LONG = 20_000  # numbers in a population from which on there are fewer batches
FEW = 4  # batches then
LARGEST = SIZES[-1]


@click.command()
@click.option("--repeats", default=5, show_default=True, help="Runs of which to take the median.")
@click.option("--batches", default=60, show_default=True, help="Batches per run.")
@click.option("--peers/--no-peers", default=True, help="Whether to time other packages.")
def main(*, repeats: int, batches: int, peers: bool) -> None:
    """Print all tables."""
    kinds = found()
    print("ask and tell, microseconds per candidate (ratio to the floor)\n")
    heading(list(kinds))
    for n, d in SIZES:
        for space in (real(d), mixed(d)):
            some = batches_of(n, d, batches)
            floor = middle(partial(floor_time, n, d, some), repeats)
            costs: list[float | None] = [
                middle(partial(ask_tell_time, sized(make, n), space.domain, n, n * some), repeats)
                for make in kinds.values()
            ]
            row(n, d, space, floor, costs)
    print("\nssa by default, the first 100 d candidates, microseconds per candidate\n")
    print("| d | surrogate=True | surrogate=False |\n|---|---|---|", flush=True)
    for d in DEFAULTS_AT:
        pair = [middle(partial(default_time, on, d), repeats) for on in (True, False)]
        print(f"| {d} | {pair[0]:.0f} | {pair[1]:.0f} |", flush=True)
    if peers:
        time_peers(repeats, batches)
    n, d = 50, 20
    print(f"\nminimize less the objective, batch sphere, n = {n}, d = {d}, microseconds\n")
    for name, make in kinds.items():
        cost = middle(partial(loop_time, sized(make, n), n, d, n * batches), repeats)
        print(f"{name:>14} {cost:>6.2f}", flush=True)
    n, d = LARGEST
    print(f"\npeak memory of ask and tell at n = {n}, d = {d}, in matrices of n x d float64\n")
    for name, make in kinds.items():
        print(f"{name:>14} {peak_memory(sized(make, n), real(d).domain, n):>6.1f}", flush=True)


def time_peers(repeats: int, batches: int) -> None:
    """Print the table of other packages."""
    here = [peer for peer in PEERS if find_spec(peer.module) is not None]
    print("\nother packages, microseconds per candidate (ratio to the floor)\n")
    for peer in PEERS:
        if peer not in here:
            print(f"skipped: {peer.name} (pip install {peer.distribution})")
    heading([peer.name for peer in here])
    for n, d in SIZES:
        for space in (real(d), mixed(d)):
            some = batches_of(n, d, batches)
            floor = middle(partial(floor_time, n, d, some), repeats)
            times = 1 if n * d >= LONG else repeats
            native = [peer.mixed or not space.domain.n_discrete for peer in here]
            costs = [
                middle(partial(peer_time, peer, n, space, some), times)
                if can and n * d <= peer.most
                else None
                for peer, can in zip(here, native, strict=True)
            ]
            row(n, d, space, floor, costs)
    large = [peer.name for peer in here if peer.most < np.prod(LARGEST)]
    if large:
        print(f"\nleft out at {LARGEST}: {', '.join(large)} (more than 8 GB, or many minutes)")


def heading(names: list[str]) -> None:
    """Print the head of a table."""
    print("| n | d | space | floor | " + " | ".join(names) + " |")
    print("|---" * (4 + len(names)) + "|", flush=True)


def row(n: int, d: int, space: Space, floor: float, costs: list[float | None]) -> None:
    """Print a row of a table; None where a figure does not apply."""
    kind = "mixed" if space.domain.n_discrete else "real"
    texts = ["" if cost is None else f"{cost:.1f} ({cost / floor:.1f})" for cost in costs]
    print(f"| {n} | {d} | {kind} | {floor:.2f} | " + " | ".join(texts) + " |", flush=True)


def found() -> dict[str, Callable[..., AnyAlgorithm]]:
    """Return our registered algorithms, by name."""
    entries = plugins.installed().entries["algorithm"]
    return {name: entry.load() for name, entry in entries.items() if entry.owner == "swarmopt"}


def sized(make: Callable[..., AnyAlgorithm], n: int) -> AnyAlgorithm:
    """Return an instance with a population of n, where it has such a setting."""
    has_population = "population" in {f.name for f in fields(make)}  # type: ignore[arg-type]
    return make(population=n) if has_population else make()


def batches_of(n: int, d: int, batches: int) -> int:
    """Return how many batches to time."""
    return min(batches, FEW) if n * d >= LONG else batches


def real(d: int) -> Space:
    """Return d real columns."""
    return Space([Real(-5, 5)] * d)


def mixed(d: int) -> Space:
    """Return d columns, a quarter each integers, ordinals and categories, the rest real."""
    k = d // 4
    discrete = (Integer(0, 9), Ordinal([1, 2, 4, 8]), Categorical(list("abcde")))
    return Space([*[Real(-5, 5)] * (d - 3 * k), *discrete * k])


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


def ask_tell_time(
    algorithm: AnyAlgorithm, domain: Domain, batch: int, n_candidates: int, seed: int
) -> float:
    """Return microseconds per candidate of ask and tell, the streams included.

    Args:
        algorithm: to be timed.
        domain: of d columns.
        batch: candidates wanted at once, at least.
        n_candidates: how many to ask for in all, at least.
        seed: of the run.
    """
    streams = Streams(seed)
    target = np.linspace(0.3, 0.7, domain.d)
    state = algorithm.init(domain, Horizon(budget=10**5, batch=batch))
    spent, n_told, g = 0.0, 0, 0
    while n_told < n_candidates:
        start = perf_counter()
        candidates = algorithm.ask(state, streams.at(g))
        spent += perf_counter() - start
        key = ((candidates.unit - target) ** 2).sum(axis=1)
        start = perf_counter()
        state = algorithm.tell(state, candidates, key)
        spent += perf_counter() - start
        n_told += len(key)
        g += 1
    return 1e6 * spent / n_told


def default_time(surrogate: bool, d: int, seed: int) -> float:
    """Return microseconds per candidate of ssa on d reals, in batches of its own size."""
    return ask_tell_time(SSA(surrogate=surrogate), real(d).domain, 1, 100 * d, seed)


def peer_time(peer: Peer, n: int, space: Space, batches: int, seed: int) -> float:
    """Return microseconds per candidate of a peer after its first n, less the objective."""
    watch = Stopwatch(space, warm=n, until=n * (batches + 1))
    return peer.time(watch, n, seed)


def loop_time(algorithm: AnyAlgorithm, n: int, d: int, budget: int, seed: int) -> float:
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
        sphere,
        [(-5, 5)] * d,
        batch=True,
        batch_size=n,
        algorithm=algorithm,
        budget=budget,
        seed=seed,
    )
    return 1e6 * (perf_counter() - start - inside) / result.nfev


def peak_memory(algorithm: AnyAlgorithm, domain: Domain, n: int) -> float:
    """Return the most memory that a few batches take at once, the state included, in matrices."""
    streams = Streams(0)
    tracemalloc.start()
    state = algorithm.init(domain, Horizon(budget=10**5))
    for g in range(FEW):
        candidates = algorithm.ask(state, streams.at(g))
        state = algorithm.tell(state, candidates, ((candidates.unit - 0.4) ** 2).sum(axis=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return float(peak / (8.0 * n * domain.d))


if __name__ == "__main__":
    main()
