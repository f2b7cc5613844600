"""Latency, measured: after a warm-up, with its spread and the number of threads."""

import statistics
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from swarmopt_pruning.device import finish_work
from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.trace import batch_size
from swarmopt_pruning.train import pinned


@dataclass(frozen=True)
class Latency:
    """How long one call of a network takes.

    Attributes:
        median_ms: milliseconds of the median call.
        low_ms: a tenth of the calls is faster.
        high_ms: a tenth of the calls is slower.
        batch: images of a call.
        threads: that torch used.
        warm_up: calls before, which do not count.
        repeats: calls that count.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    batch: int
    threads: int
    warm_up: int
    repeats: int

    def __str__(self) -> str:
        return (
            f"{self.median_ms:.3f} ms (80 % of calls: {self.low_ms:.3f} to {self.high_ms:.3f}) for "
            f"{_counted(self.batch, 'image')} on {_counted(self.threads, 'thread')}, "
            f"{self.repeats} calls after {self.warm_up} to warm up"
        )


def measure_latency(
    model: nn.Module,
    example: tuple[Any, ...],
    *,
    threads: int = 1,
    warm_up: int = 5,
    repeats: int = 30,
) -> Latency:
    """Measure the time of a call in evaluation mode, without gradients, on this machine.

    Args:
        model: any network; the modes of its modules are put back.
        example: its arguments, for one batch of images `(images,)`.
        threads: that torch may use.
        warm_up: calls that do not count: the first ones allocate and choose kernels.
        repeats: calls that count.

    Raises:
        PruningError: A number is too small.
    """
    for name, value, least in (
        ("threads", threads, 1), ("warm_up", warm_up, 0), ("repeats", repeats, 2),
    ):  # fmt: skip
        if value < least:
            raise PruningError(f"{name}: expected at least {least}, got {value!r}")
    training = [module for module in model.modules() if module.training]
    taken = []
    device = next(
        (t.device for t in tree_leaves(example) if isinstance(t, Tensor)), torch.device("cpu")
    )
    try:
        for module in training:
            module.training = False
        with pinned(threads), torch.no_grad():
            for _ in range(warm_up + repeats):
                began = time.perf_counter()
                model(*example)
                finish_work(device)
                taken.append(1e3 * (time.perf_counter() - began))
    finally:
        for module in training:
            module.training = True
    counted = taken[warm_up:]
    tenths = statistics.quantiles(counted, n=10, method="inclusive")
    return Latency(
        median_ms=statistics.median(counted),
        low_ms=tenths[0],
        high_ms=tenths[-1],
        batch=batch_size(example),
        threads=threads,
        warm_up=warm_up,
        repeats=repeats,
    )


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
