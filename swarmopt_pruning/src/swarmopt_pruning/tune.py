"""What to set on this machine: how fast candidates are scored with which settings.

Settings decide what a score is, to the last bit, so a run never derives them from a timing. This
measures, and says what to give to `--set`.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from swarmopt_pruning.errors import check_setting
from swarmopt_pruning.machine import cores
from swarmopt_pruning.problem import DTYPES, ChannelPruning
from swarmopt_pruning.score import Scorer
from swarmopt_pruning.starts import uniform_point
from swarmopt_pruning.train import pinned

BATCHES = (64, 125, 250, 500)
CLOSE = 0.05  # settings that are slower by less than this are not worth a change


@dataclass(frozen=True)
class Measured:
    """How fast one process scores with some settings.

    Attributes:
        dtype: what scores compute in.
        batch: images at a time.
        threads: of torch.
        rounds: seconds of one candidate, in each round.
        accuracy: held-out accuracy of that candidate.
        processes: that there are cores for.
    """

    dtype: str
    batch: int
    threads: int
    rounds: tuple[float, ...]
    accuracy: float
    processes: int

    @property
    def seconds(self) -> float:
        """The median of the rounds."""
        return float(np.median(self.rounds))

    @property
    def rate(self) -> float:
        """Candidates a second of all processes, if they do not hinder each other."""
        return self.processes / self.seconds

    @property
    def settings(self) -> str:
        """The settings as arguments of the command."""
        return (
            f"--set dtype={self.dtype} --set score_batch={self.batch} --set threads={self.threads}"
        )

    def times_as_fast(self, other: "Measured") -> NDArray[np.float64]:
        """Return (rounds,) by how much its rate is that of the other, in the same minute."""
        times: NDArray[np.float64] = np.array(other.rounds) / np.array(self.rounds)
        return times * self.processes / other.processes


def tune(
    problem: ChannelPruning,
    *,
    batches: Sequence[int] = BATCHES,
    repeats: int = 5,
) -> list[Measured]:
    """Score the uniform candidate of a problem with several settings, the fastest first.

    The settings take turns, so that what else the machine does meets all of them.

    Args:
        problem: prepared if need be; not changed.
        batches: images at a time; the number of score images is the most.
        repeats: rounds after a first score of each.

    Returns:
        a measurement for each.

    Raises:
        PruningError: There are no rounds.
    """
    check_setting(repeats >= 1, "repeats", "at least 1", repeats)
    scorer = problem.scorer
    point = uniform_point(problem.constraints, problem.budget)
    counts = problem.constraints.counts(point[None])[0]
    settings = [
        (each, threads) for threads in sorted({1, cores()}) for each in _variants(scorer, batches)
    ]
    accuracies = []
    for each, threads in settings:
        with pinned(threads):
            accuracies.append(each.score(counts).accuracy)
    rounds = [
        [_seconds(each, counts, threads) for each, threads in settings] for _ in range(repeats)
    ]
    found = [
        Measured(_name(each.dtype), each.batch, threads, taken, right, max(1, cores() // threads))
        for (each, threads), taken, right in zip(
            settings, zip(*rounds, strict=True), accuracies, strict=True
        )
    ]
    return sorted(found, key=lambda m: -m.rate)


def _variants(scorer: Scorer, batches: Sequence[int]) -> Iterator[Scorer]:
    """Yield scorers of the same candidates with other settings."""
    for dtype in DTYPES.values():
        for batch in sorted({min(b, len(scorer.images)) for b in batches}):
            yield replace(scorer, dtype=dtype, batch=batch)


def _seconds(scorer: Scorer, counts: NDArray[np.int64], threads: int) -> float:
    with pinned(threads):
        began = time.perf_counter()
        scorer.score(counts)
        return time.perf_counter() - began


def advice(found: Sequence[Measured], scorer: Scorer, *, threads: int) -> str:
    """Return what to set, in words: a change where it pays in three of four rounds.

    Args:
        found: from `tune`, the fastest first.
        scorer: of the problem, as it is set.
        threads: of torch, as they are set.
    """
    best = found[0]
    batch, dtype = min(scorer.batch, len(scorer.images)), _name(scorer.dtype)
    now = [m for m in found if (m.dtype, m.batch, m.threads) == (dtype, batch, threads)]
    if not now:
        return f"fastest: {best.settings}"
    if float(np.quantile(best.times_as_fast(now[0]), 0.25, method="lower")) <= 1 + CLOSE:
        return "nothing is reliably faster than the present settings by a twentieth: leave them"
    return f"{best.rate / now[0].rate:.2f} times as fast as the present settings: {best.settings}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def capability() -> str:
    """Return what torch knows of this processor, such as AVX2."""
    return str(torch.backends.cpu.get_cpu_capability())
