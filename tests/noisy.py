"""A problem that draws and sleeps, work for its evaluators, and what comes back."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from swarmopt import Evaluation, Problem, Real, Seeds, Space
from swarmopt.evaluate.evaluator import Finished, Work
from swarmopt.types import Matrix

BOUNDS = [(-1.0, 1.0)] * 3
SPACE = Space([Real(-1, 1)] * 3)
GUARD = 20.0  # seconds that nothing here comes near


def work(n: int, *, first: int = 0, batch: int = 1) -> Work:
    x = np.linspace(-1, 1, 3 * n).reshape(n, 3)
    return Work(batch, np.arange(n), x, Seeds(7, range(first, first + n)), np.inf)


def collect(evaluator: Any) -> dict[int, tuple[float, int]]:
    """Return the cost and outcome of everything that finishes, by row."""
    found: dict[int, tuple[float, int]] = {}
    while evaluator.busy:
        finished: Finished = evaluator.wait()
        rows = zip(finished.evaluation.cost, finished.evaluation.outcome, strict=True)
        found.update(zip(finished.rows.tolist(), rows, strict=True))
    return found


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + GUARD
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


class Noisy(Problem):
    """Draws from its seeds, and takes longer for some points than for others."""

    name = "noisy"

    def __init__(self, delay: float) -> None:
        self.space = Space([Real(-1, 1)] * 3)
        self.delay = delay

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
        draw = seeds.rng(0).random()
        time.sleep(self.delay * (hash(draw) % 7))
        if draw < 0.05:
            raise RuntimeError("unlucky")
        return Evaluation((x**2).sum(axis=1) + draw)
