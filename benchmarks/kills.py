"""A driver that is killed at random moments, again and again, and what its run lost by that.

    python -m benchmarks.kills [--kills 200] [--ms 10] [--budget 300]
                               [--workers 2 | --cluster tcp://host:8786]

The objective notes the id, the beginning and the end of every evaluation in a file. A run is begun,
killed with SIGKILL, gone on with by `swarmopt resume`, killed again, until it has ended; then
another begins, until there were enough kills.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click
import numpy as np

from swarmopt import Evaluation, Problem, Real, Seeds, Space, record
from swarmopt.types import Matrix

RECENT = 0.5  # seconds before a kill whose evaluations may be lost


class Noted(Problem):
    """A bowl that takes its time, and notes what it evaluates.

    Args:
        log: file to append to.
        ms: milliseconds of an evaluation.
        dim: variables.
    """

    name = "noted"

    def __init__(self, log: str, ms: float = 10.0, dim: int = 5) -> None:
        self.space = Space([Real(-5, 5)] * dim)
        self.log = log
        self.seconds = ms / 1000

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - the contract
        """Return the squared distances from the middle."""
        self._note("begin", seeds.ids[0])
        if self.seconds:
            time.sleep(self.seconds)
        self._note("end", seeds.ids[0])
        return Evaluation((x**2).sum(axis=1))

    def _note(self, what: str, number: int) -> None:
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{what} {number} {time.time()}\n".encode())
        os.close(descriptor)


@dataclass
class Tally:
    """What the kills did."""

    kills: int = 0
    runs: int = 0
    equal: int = 0
    again: list[int] = field(default_factory=list)  # evaluations lost by each kill
    early: int = 0  # of these, that had ended longer ago than is allowed
    doubled: int = 0  # ids twice in a record
    untouched: int = 0  # kills before anything was recorded


@click.command()
@click.option("--kills", default=200, show_default=True)
@click.option("--ms", default=10.0, show_default=True, help="Of an evaluation.")
@click.option("--budget", default=300, show_default=True, help="Of a run.")
@click.option("--algorithm", default="pso", show_default=True)
@click.option("--minutes", default=60.0, show_default=True, help="After which it ends early.")
@click.option("--workers", type=int, help="Processes that evaluate.")
@click.option("--cluster", help="Address of a Dask scheduler that evaluates.")
def main(
    *, kills: int, ms: float, budget: int, algorithm: str, minutes: float,
    workers: int | None, cluster: str | None,
) -> None:  # fmt: skip
    """Kill, go on, and print the figures."""
    where = [] if workers is None else ["--workers", str(workers)]
    where += [] if cluster is None else ["--cluster", cluster]
    rng = random.Random(0)  # noqa: S311 - not for secrets
    tally = Tally()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        first = [
            "run", "--algorithm", algorithm, "--budget", str(budget), "--seed", "1", *where,
            "--problem", "benchmarks.kills:Noted", "--set", f"ms={ms}",
        ]  # fmt: skip
        began = time.monotonic()
        whole = start(first, root / "whole")
        if whole.wait() != 0:
            sys.exit("the run without kills failed")
        took = time.monotonic() - began
        digest = record.read(root / "whole" / "run").digest
        end = time.monotonic() + 60 * minutes
        while tally.kills < kills and time.monotonic() < end:
            place = root / str(tally.runs)

            def over() -> bool:
                return tally.kills >= kills or time.monotonic() >= end

            again = ["resume", str(place / "run"), "--problem", first[-3], *where]
            one_run(first, again, place, took=took, over=over, rng=rng, tally=tally)
            tally.runs += 1
            found = record.read(place / "run")
            tally.equal += found.digest == digest
            tally.doubled += len(found.ids) - len(np.unique(found.ids))
    lost = tally.again
    print(
        f"{tally.kills} kills in {tally.runs} runs of {budget} evaluations of {ms} ms, "
        f"{took:.1f} s each; {' '.join(where) or 'serial'}\n"
        f"digests equal to the run without kills: {tally.equal} of {tally.runs}\n"
        f"evaluations done again a kill: mean {np.mean(lost):.2f}, most {max(lost)}; of these "
        f"ended more than {RECENT} s before the kill: {tally.early}; ids twice in a record: "
        f"{tally.doubled}; kills before the first was recorded: {tally.untouched}"
    )


def start(arguments: list[str], place: Path) -> subprocess.Popen[bytes]:
    """Return the process of a run in place/run, with its notes beside it."""
    place.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "swarmopt", *arguments, "--set", f"log={place / 'notes'}"]
    if arguments[0] == "run":
        command += ["--out", str(place / "run")]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - ours


def one_run(
    first: list[str],
    again: list[str],
    place: Path,
    *,
    took: float,
    over: Callable[[], bool],
    rng: random.Random,
    tally: Tally,
) -> None:
    """Bring one run to its end through kills."""
    while True:
        known = (place / "run" / record.FILE).exists()
        process = start(again if known else first, place)
        try:
            code = process.wait(None if over() else rng.uniform(0.2, 0.9) * took)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            killed_at = time.time()
            process.wait()
            count(place, killed_at, tally)
            continue
        if code != 0:
            sys.exit(f"the run ended with {code}: {' '.join(again)}")
        return


def count(place: Path, killed_at: float, tally: Tally) -> None:
    """Compare what was evaluated with what is in the record."""
    tally.kills += 1
    recorded: set[int] = set()
    if (place / "run" / record.FILE).exists():
        recorded = set(record.read(place / "run").ids.tolist())
    tally.untouched += not recorded
    notes = (place / "notes").read_text().splitlines() if (place / "notes").exists() else []
    begun: Counter[int] = Counter()
    ended: dict[int, float] = {}
    for what, number, at in map(str.split, notes):
        if what == "begin":
            begun[int(number)] += 1
        else:
            ended[int(number)] = float(at)
    missing = [number for number in begun if number not in recorded]
    tally.again.append(len(missing))
    tally.early += sum(ended.get(number, killed_at) < killed_at - RECENT for number in missing)
    repeated = sum(begun.values()) - len(begun)
    if repeated > sum(tally.again):
        sys.exit(f"{repeated} evaluations were done twice, more than the kills lost")


if __name__ == "__main__":
    main()
