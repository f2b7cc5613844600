"""What a second worker is worth to the search for a pruned network, and what it costs to start.

    python -m benchmarks.pruning_workers
    python -m benchmarks.pruning_workers --model digits-cnn --workers 4

The same candidates are scored by one worker and by several, in turn, so that what else the machine
does falls on both alike; threads are pinned to one in each. Printed is the ratio of their times:
that of the fastest rounds, which others disturbed least, and the median of all rounds with its
spread. Every score has to be the same, bit by bit.
"""

import time
from contextlib import ExitStack

import click
import numpy as np

from swarmopt import Seeds
from swarmopt.evaluate.evaluator import Work
from swarmopt.evaluate.pool import Pool
from swarmopt.evaluate.resources import Resources
from swarmopt.types import Matrix, Vector
from swarmopt_pruning import ChannelPruning


def score(pool: Pool, x: Matrix) -> Vector:
    """Return (n,) the costs of candidates."""
    rows = np.arange(len(x))
    pool.submit(Work(0, rows, x, Seeds(0, range(len(x))), np.inf))
    cost = np.empty(len(x))
    while pool.busy:
        finished = pool.wait()
        cost[finished.rows] = finished.evaluation.cost
    return cost


@click.command()
@click.option("--model", default="digits-resnet", show_default=True)
@click.option("--workers", default=2, show_default=True, help="Compared with one.")
@click.option("--candidates", default=40, show_default=True, help="Of a round.")
@click.option("--rounds", default=15, show_default=True)
def main(model: str, workers: int, candidates: int, rounds: int) -> None:
    """Print the ratio of the times of one worker and of several."""
    problem = ChannelPruning(model=model)
    problem.prepare()
    unit = np.random.default_rng(0).random((candidates, len(problem.space)))
    x = problem.canonical(problem.space.decode(unit))
    own = problem.evaluate(x, Seeds(0, range(candidates)), np.inf).cost
    seconds: dict[int, list[float]] = {1: [], workers: []}
    with ExitStack() as stack:
        pools = {n: stack.enter_context(Pool(problem, Resources(workers=n))) for n in seconds}
        for n, pool in pools.items():
            began = time.perf_counter()
            score(pool, x[:n])
            took = time.perf_counter() - began
            print(f"{n} worker(s): the first scores after {took:.1f} s")
            score(pool, x)
        for _ in range(rounds):
            for n, pool in pools.items():
                began = time.perf_counter()
                cost = score(pool, x)
                seconds[n].append(time.perf_counter() - began)
                if not np.array_equal(cost, own):
                    raise SystemExit(f"{n} worker(s) scored otherwise than this process")
    ratio = np.sort(np.array(seconds[1]) / np.array(seconds[workers]))
    each = 1000 * min(seconds[1]) / candidates
    print(f"{model}: {each:.1f} ms a candidate on one worker; all scores equal")
    print(f"{workers} workers against one: fastest {min(seconds[1]) / min(seconds[workers]):.2f}, "
          f"median {np.median(ratio):.2f} ({ratio[0]:.2f} to {ratio[-1]:.2f})")  # fmt: skip


if __name__ == "__main__":
    main()
