"""A problem that does what a problem should not do, at one evaluation of a run."""

import ctypes
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from swarmopt import Evaluation, Problem, Real, Seeds, Space
from swarmopt.types import Matrix


def _raise() -> Any:
    raise RuntimeError("broken on purpose")


def _hang() -> Any:
    while True:
        time.sleep(0.05)


def _hang_deaf() -> Any:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _hang()


def _print_much() -> Any:
    line = "x" * 999_999
    for _ in range(100):
        print(line)  # noqa: T201 - that is the fault
    return Evaluation(np.array([1.0]))


FAULTS: dict[str, Callable[[], Any]] = {
    "returns-nan": lambda: Evaluation(np.array([math.nan])),
    "returns-inf": lambda: Evaluation(np.array([math.inf])),
    "raises": _raise,
    "exits": lambda: sys.exit(7),
    "wrong-shape": lambda: Evaluation(np.zeros(3)),
    "no-evaluation": threading.Lock,
    "contract": lambda: Evaluation(np.array([1.0]), violation=np.array([-1.0])),
    "unpicklable": lambda: Evaluation(np.array([1.0]), info=[{"lock": threading.Lock()}]),
    "prints": _print_much,
    "dies": lambda: os._exit(7),
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: ctypes.string_at(0),
    "hangs": _hang,
    "hangs-deaf": _hang_deaf,
}
HARMLESS = {"unpicklable", "prints"}
BREACHES = {"wrong-shape", "no-evaluation", "contract"}
DEADLY = {"dies", "killed", "segfault", "hangs", "hangs-deaf"}  # for the process it happens in


class Faulty(Problem):
    """A bowl with one fault.

    Args:
        kind: of the fault; "": none.
        at: the evaluation that has it, by its number in the run.
    """

    name = "faulty"

    def __init__(self, *, kind: str = "", at: int = 45) -> None:
        self.space = Space([Real(-1, 1)] * 3)
        self.kind = kind
        self.at = at

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
        if self.kind and self.at in seeds.ids:
            found: Evaluation = FAULTS[self.kind]()
            return found
        return Evaluation((x**2).sum(axis=1) + 1e-3 * seeds.rng(0).random())
