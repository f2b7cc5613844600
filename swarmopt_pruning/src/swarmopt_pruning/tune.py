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
        seconds: of one candidate, the median of some.
        accuracy: held-out accuracy of that candidate.
        rate: candidates a second of as many such processes as there are cores for, if they do not
            hinder each other.
    """

    dtype: str
    batch: int
    threads: int
    seconds: float
    accuracy: float
    rate: float

    @property
    def settings(self) -> str:
        """The settings as arguments of the command."""
        return (
            f"--set dtype={self.dtype} --set score_batch={self.batch} --set threads={self.threads}"
        )


def tune(
    problem: ChannelPruning,
    *,
    batches: Sequence[int] = BATCHES,
    repeats: int = 5,
) -> list[Measured]:
    """Score the uniform candidate of a problem with several settings, the fastest first.

    Args:
        problem: prepared if need be; not changed.
        batches: images at a time; the number of score images is the most.
        repeats: scores of each setting after a first one.

    Returns:
        a measurement for each.
    """
    scorer = problem.scorer
    point = uniform_point(problem.constraints, problem.budget)
    counts = problem.constraints.counts(point[None])[0]
    found = [
        _measured(each, counts, threads, repeats)
        for threads in sorted({1, cores()})
        for each in _variants(scorer, batches)
    ]
    return sorted(found, key=lambda m: -m.rate)


def _variants(scorer: Scorer, batches: Sequence[int]) -> Iterator[Scorer]:
    """Yield scorers of the same candidates with other settings."""
    for dtype in DTYPES.values():
        for batch in sorted({min(b, len(scorer.images)) for b in batches}):
            yield replace(scorer, dtype=dtype, batch=batch)


def _measured(scorer: Scorer, counts: NDArray[np.int64], threads: int, repeats: int) -> Measured:
    seconds = []
    with pinned(threads):
        accuracy = scorer.score(counts).accuracy
        for _ in range(repeats):
            began = time.perf_counter()
            scorer.score(counts)
            seconds.append(time.perf_counter() - began)
    each = float(np.median(seconds))
    return Measured(
        dtype=_name(scorer.dtype),
        batch=scorer.batch,
        threads=threads,
        seconds=each,
        accuracy=accuracy,
        rate=max(1, cores() // threads) / each,
    )


def advice(found: Sequence[Measured], scorer: Scorer, *, threads: int) -> str:
    """Return what to set, in words.

    Args:
        found: from `tune`, the fastest first.
        scorer: of the problem, as it is set.
        threads: of torch, as they are set.
    """
    best = found[0]
    batch, dtype = min(scorer.batch, len(scorer.images)), _name(scorer.dtype)
    now = [m.rate for m in found if (m.dtype, m.batch, m.threads) == (dtype, batch, threads)]
    if now and best.rate <= (1 + CLOSE) * now[0]:
        return "nothing is faster than the present settings by a twentieth: leave them"
    faster = f"{best.rate / now[0]:.2f} times as fast as the present settings" if now else "fastest"
    return f"{faster}: {best.settings}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def capability() -> str:
    """Return what torch knows of this processor, such as AVX2."""
    return str(torch.backends.cpu.get_cpu_capability())
