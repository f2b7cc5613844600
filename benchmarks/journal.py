"""What the record of a run costs: writing, opening, replaying.

    python -m benchmarks.journal [--evaluations 1000000]

Timing is never asserted.
"""

import tempfile
import time
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import click
import numpy as np

from swarmopt import Evaluation, Problem, Real, Seeds, Space, plugins, record
from swarmopt.evaluate.in_process import InProcess
from swarmopt.journal import Journal
from swarmopt.limits import Limits
from swarmopt.loop import iterate
from swarmopt.run import minimize
from swarmopt.search import Search
from swarmopt.types import Matrix, Vector

BATCHES = (10, 100, 1000)
ALGORITHMS = ("random-search", "pso", "de", "ga", "ssa")
SLOW = 0.01  # seconds of an evaluation


class Bowl(Problem):
    """A cost that takes no time to speak of."""

    name = "bowl"
    vectorized = True

    def __init__(self, d: int) -> None:
        self.space = Space([Real(-5, 5)] * d)

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - the contract
        """Return the squared distances from the middle."""
        return Evaluation((x**2).sum(axis=1))


def slow_bowl(x: Vector) -> float:
    """Return a cost after 10 ms."""
    time.sleep(SLOW)
    return float(x @ x)


@click.command()
@click.option("--evaluations", default=1_000_000, show_default=True, help="In the large record.")
@click.option("--dim", default=10, show_default=True, help="Variables.")
@click.option("--budget", default=20_000, show_default=True, help="Of the runs that are replayed.")
def main(*, evaluations: int, dim: int, budget: int) -> None:
    """Print all figures."""
    with tempfile.TemporaryDirectory() as place:
        print("writing, microseconds a candidate\n")
        for n in BATCHES:
            print(f"  batches of {n:>4}  {writing(Path(place) / str(n), n, dim):6.2f}")
        share = slow_share(Path(place))
        print(f"\nshare of a run whose evaluations take {1000 * SLOW:.0f} ms: {share:.2%}\n")
        size(Path(place) / "large", evaluations, dim)
        print("\nreplay\n\n| algorithm | ask and tell, s | replay, s | ratio |\n|---|---|---|---|")
        for name in ALGORITHMS:
            replaying(Path(place) / name, name, dim, budget)


def fill(folder: Path, n: int, total: int, dim: int) -> float:
    """Write a record in batches of n, and return the seconds that took."""
    folder.mkdir()
    Journal.create(folder, Space([Real(0, 1)] * dim), "filled", {})
    rng = np.random.default_rng(0)
    x, cost = rng.random((n, dim)), rng.random(n)
    began = time.process_time()
    with Journal.open(folder, {}) as journal:
        for number in range(total // n):
            ids = range(number * n, number * n + n)
            journal.add(number, np.array(ids), x, Evaluation(cost), 1.0)
            journal.close_batch(number, ids, 1.0)
    return time.process_time() - began


def writing(folder: Path, n: int, dim: int) -> float:
    """Return what one candidate costs in batches of n, in microseconds."""
    total = 100_000
    return 1e6 * fill(folder, n, total, dim) / total


def slow_share(place: Path) -> float:
    """Return the share of time that a record costs where evaluations take 10 ms."""
    took = []
    for run_dir in (None, place / "slow"):
        began = time.process_time()
        minimize(slow_bowl, [(-5, 5)] * 10, budget=300, seed=1, algorithm="pso", run_dir=run_dir)
        took.append(time.process_time() - began)
    return (took[1] - took[0]) / (300 * SLOW)


def size(folder: Path, total: int, dim: int) -> None:
    """Print what it takes to open and check a large record."""
    fill(folder, 100, total, dim)
    file = folder / record.FILE
    began = time.process_time()
    Journal.open(folder, {}).__exit__(None, None, None)
    took = time.process_time() - began
    memory = getrusage(RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{total:,} evaluations of {dim} variables, {file.stat().st_size / 2**20:,.0f} MiB: opened "
        f"and checked in {took:.2f} s; most memory of this process so far {memory:,.0f} MiB"
    )


def searched(name: str, dim: int, budget: int, journal: Journal | None) -> float:
    """Return the seconds of a search, or of its replay."""
    problem = Bowl(dim)
    algorithm = plugins.installed().get("algorithm", name)()
    search = Search(problem, algorithm, seed=1, limits=Limits(budget), batch_size=100)
    began = time.process_time()
    with InProcess(problem) as evaluator:
        for _ in iterate(search, evaluator, journal=journal):
            pass
    return time.process_time() - began


def replaying(folder: Path, name: str, dim: int, budget: int) -> None:
    """Print a row: the search without a record, and the replay of its record."""
    folder.mkdir()
    if name == "ssa":
        budget //= 10
    Journal.create(folder, Bowl(dim).space, "bowl", {})
    with Journal.open(folder, {}) as journal:
        searched(name, dim, budget, journal)
    alone = min(searched(name, dim, budget, None) for _ in range(3))
    again = []
    for _ in range(3):
        with Journal.open(folder, {}) as journal:
            again.append(searched(name, dim, budget, journal))
    print(f"| {name} | {alone:.3f} | {min(again):.3f} | {alone / min(again):.2f} |", flush=True)


if __name__ == "__main__":
    main()
