"""What workers bring, and what lookahead costs.

    python -m benchmarks.scaling [--cluster ADDRESS] [overhead] [utilisation] [simulation]
                                 [staleness] [kills]

Each part prints a table and writes `benchmarks/results/scaling-PART.csv`:

- overhead: what an evaluation costs beside itself, and 100 evaluations of 50 ms on two workers;
- utilisation: the share of workers that are busy, by the spread of evaluation times and lookahead;
- simulation: the same on a clock of its own, to 1,000 workers;
- staleness: what lookahead costs in quality, as an algorithm then asks before it is told;
- kills: workers killed with SIGKILL in mid-evaluation, and the digest of the run.

A cluster must have two workers of one thread. Timing is never asserted.
"""

import csv
import os
import signal
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from math import log10
from pathlib import Path
from statistics import median
from typing import Any, Self
from zlib import crc32

import click
import numpy as np

from benchmarks.simulated import Simulated
from swarmopt import FunctionProblem, Problem, Real, Seeds, Space, minimize, plugins, record
from swarmopt.algorithms import RandomSearch
from swarmopt.evaluate.evaluator import Evaluator, Work
from swarmopt.evaluate.pool import Pool
from swarmopt.evaluate.resources import Resources
from swarmopt.inputs import as_evaluator
from swarmopt.limits import Limits
from swarmopt.loop import iterate
from swarmopt.search import Search
from swarmopt.types import Vector

RESULTS = Path(__file__).parent / "results"
SPACE = Space([Real(-1, 1)] * 10)
SLEEP = 0.05  # seconds that a measured evaluation takes on average
SPREADS = (0.0, 0.5, 1.0)  # standard deviation of the logarithm of that time
LOOKAHEADS = (0, 1, 3)
ALGORITHMS = ("ssa", "pso", "ga", "de")
PROBLEMS = ("ellipsoid", "rastrigin", "tuning")
SEEDS = 7
BUDGET = 1000
KILLS = 100

Row = dict[str, Any]


def cheap(x: Vector) -> float:
    """Return the cost of a point of a bowl."""
    return float(x @ x)


def duration(x: Vector, spread: float) -> float:
    """Return the seconds that a point takes: drawn, but always the same for the same point."""
    draw = np.random.default_rng(crc32(x.tobytes())).lognormal(-(spread**2) / 2, spread)
    return float(SLEEP * draw)


def sleeping(x: Vector, spread: float = 0.0) -> float:
    """Return the cost after that time."""
    time.sleep(duration(x, spread))
    return cheap(x)


def seconds(evaluator: Evaluator, n: int, first: int = 0) -> float:
    """Return what n evaluations take."""
    x = np.random.default_rng(first).uniform(-1, 1, (n, 10))
    began = time.perf_counter()
    evaluator.submit(Work(1, np.arange(n), x, Seeds(0, range(first, first + n)), np.inf))
    while evaluator.busy:
        evaluator.wait()
    return time.perf_counter() - began


def overhead(cluster: str | None) -> list[Row]:
    """Measure what an evaluation costs beside itself."""
    where = {"in-process": Resources(), "pool": Resources(workers=2)}
    if cluster:
        where["cluster"] = Resources(cluster=cluster)
    rows = []
    for name, resources in where.items():
        n_workers = 1 if name == "in-process" else 2
        with as_evaluator(FunctionProblem(cheap, SPACE), resources) as evaluator:
            start = seconds(evaluator, n_workers)
            each = min(seconds(evaluator, 1000, i) for i in range(3)) / 1000
        with as_evaluator(FunctionProblem(sleeping, SPACE), resources) as evaluator:
            seconds(evaluator, n_workers)
            took = median(seconds(evaluator, 100, i) for i in range(3))
        over = took / (100 * SLEEP / n_workers) - 1
        rows.append(
            {
                "evaluator": name,
                "workers": n_workers,
                "first_results_s": round(start, 3),
                "overhead_us": round(each * 1e6, 1),
                "of_50ms_100_s": round(took, 3),
                "over_ideal": round(over, 4),
            }
        )
    return rows


def drawn(batch: int, n_batches: int) -> Search:
    """Return a search that draws batches of so many points and keeps them."""
    return Search(
        FunctionProblem(cheap, SPACE),
        RandomSearch(population=batch),
        seed=1,
        limits=Limits(budget=batch * n_batches),
        keep_points=True,
    )


def utilisation(_cluster: str | None) -> list[Row]:
    """Measure the share of workers that are busy, with as many points a batch as workers."""
    rows = []
    for workers in (1, 2, 4):
        for spread in SPREADS:
            problem = FunctionProblem(partial(sleeping, spread=spread), SPACE, name="sleeping")
            with Pool(problem, Resources(workers=workers)) as pool:
                seconds(pool, 2 * workers)
                for lookahead in LOOKAHEADS:
                    search = drawn(workers, 30)
                    began = time.perf_counter()
                    deque(iterate(search, pool, lookahead=lookahead), maxlen=0)
                    took = time.perf_counter() - began
                    used = sum(duration(x, spread) for x in search.result().history.x)
                    rows.append(share(workers, spread, lookahead, used / took))
    return rows


def simulation(_cluster: str | None) -> list[Row]:
    """Simulate the same, where an evaluation costs nothing but its time."""
    rows = []
    for workers in (1, 4, 10, 100, 1000):
        for spread in SPREADS:
            for lookahead in LOOKAHEADS:
                evaluator = Simulated(workers, spread, np.random.default_rng(1))
                deque(iterate(drawn(workers, 30), evaluator, lookahead=lookahead), maxlen=0)
                rows.append(share(workers, spread, lookahead, evaluator.used / evaluator.now))
    return rows


def share(workers: int, spread: float, lookahead: int, n_busy: float) -> Row:
    """Return a row of how many workers were busy on average, as a share."""
    return {
        "workers": workers,
        "spread": spread,
        "lookahead": lookahead,
        "busy": round(n_busy / workers, 4),
    }


def staleness(_cluster: str | None) -> list[Row]:
    """Measure how far from the optimum runs end by lookahead, as medians over seeds."""
    rows = []
    for name in PROBLEMS:
        problem: Problem = plugins.installed().get("problem", name)()
        for algorithm in ALGORITHMS:
            for lookahead in LOOKAHEADS:
                gaps = [gap(problem, algorithm, lookahead, seed) for seed in range(SEEDS)]
                rows.append(
                    {
                        "problem": name,
                        "algorithm": algorithm,
                        "lookahead": lookahead,
                        "log10_gap": round(median(gaps), 3),
                    }
                )
    return rows


def gap(problem: Problem, algorithm: str, lookahead: int, seed: int) -> float:
    """Return the decimal logarithm of the distance in cost to the optimum, at least -8."""
    result = minimize(problem, algorithm=algorithm, lookahead=lookahead, seed=seed, budget=BUDGET)
    return log10(max(result.fun - (problem.optimum or 0.0), 1e-8))


def kills(_cluster: str | None) -> list[Row]:
    """Kill workers in mid-evaluation, and compare the record with that of a quiet run."""
    with tempfile.TemporaryDirectory() as folder:
        notes = Path(folder) / "notes"
        notes.mkdir()
        quiet, shot = Path(folder) / "quiet", Path(folder) / "shot"
        minimize(FunctionProblem(cheap, SPACE), budget=BUDGET, seed=1, run_dir=quiet)
        with Killer(notes) as killer:
            problem = FunctionProblem(partial(noted, notes=notes), SPACE, name="cheap")
            minimize(problem, budget=BUDGET, seed=1, run_dir=shot, workers=2)
        records = record.read(quiet), record.read(shot)
    return [
        {
            "kills": killer.n,
            "evaluations": len(records[1].ids),
            "missing": len(set(records[0].ids) - set(records[1].ids)),
            "failed": int((records[1].status != 0).sum()),
            "same_digest": records[0].digest == records[1].digest,
        }
    ]


def noted(x: Vector, notes: Path) -> float:
    """Return the cost of a point, and leave a note of who evaluates it while that lasts."""
    note = notes / f"{os.getpid()}-{crc32(x.tobytes())}"
    note.touch()
    time.sleep(SLEEP / 2)
    note.unlink(missing_ok=True)
    return cheap(x)


class Killer(threading.Thread):
    """Kills workers that have left a note, each point twice at most, as the third time counts."""

    def __init__(self, notes: Path) -> None:
        super().__init__()
        self.n = 0
        self._notes = notes
        self._over = threading.Event()

    def run(self) -> None:
        """Kill until there were enough, or until the run is over."""
        rng = np.random.default_rng(1)
        hit: Counter[str] = Counter()
        while self.n < KILLS and not self._over.wait(rng.uniform(0.0, 0.3)):
            for note in list(self._notes.iterdir())[:1]:
                pid, point = note.name.split("-")
                note.unlink(missing_ok=True)
                if hit[point] < 2:
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                        hit[point] += 1
                        self.n += 1

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


PARTS: dict[str, Callable[[str | None], list[Row]]] = {
    "overhead": overhead,
    "utilisation": utilisation,
    "simulation": simulation,
    "staleness": staleness,
    "kills": kills,
}


@click.command()
@click.option("--cluster", help="Address of a Dask scheduler with two workers of one thread.")
@click.argument("parts", nargs=-1, type=click.Choice(list(PARTS)))
def main(*, cluster: str | None, parts: tuple[str, ...]) -> None:
    """Measure the parts, all of them by default."""
    for name in parts or PARTS:
        rows = PARTS[name](cluster)
        print(f"\n{name}\n")
        show(rows)
        with (RESULTS / f"scaling-{name}.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def show(rows: Sequence[Row]) -> None:
    """Print rows as a table."""
    names = list(rows[0])
    print("  ".join(f"{name:>17}" for name in names))
    for row in rows:
        print("  ".join(f"{row[name]:>17}" for name in names))


if __name__ == "__main__":
    main()
