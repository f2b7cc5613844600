"""Runs that are interrupted, and go on."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from swarmopt import Categorical, Integer, Result, Space, minimize
from swarmopt.plugins import installed

Array = NDArray[np.float64]
BOUNDS = [(-5.0, 5.0)] * 3
FINITE = Space(a=Integer(0, 9), b=Categorical(["x", "y", "z"]), c=Integer(-3, 3))
ALGORITHMS = [
    name if name == "ga" else pytest.param(name, marks=pytest.mark.slow)
    for name in sorted(installed().entries["algorithm"])
]


class Bowl:
    """An objective that fails now and then, counts its calls, and is interrupted after some."""

    __name__ = "bowl"

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.points: list[tuple[Any, ...]] = []
        self.interrupt_at = interrupt_at

    def __call__(self, p: Any) -> tuple[float, float]:
        if len(self.points) == self.interrupt_at:
            raise KeyboardInterrupt
        self.points.append(tuple(p.values()) if isinstance(p, dict) else tuple(p))
        if isinstance(p, dict):
            return p["a"] + (p["b"] == "x") + abs(p["c"]), 0.0
        if p[0] > 4:
            raise RuntimeError("too far")
        return float(p @ p) if p[1] < 4 else math.nan, max(0.0, float(p[2]) - 2)


def start(folder: Path, at: int, space: Any = BOUNDS, **settings: Any) -> Bowl:
    """Leave a run that was interrupted in its evaluation number `at`."""
    fun = Bowl(at)
    with pytest.raises(KeyboardInterrupt):
        minimize(fun, space, run_dir=folder, seed=4, **settings)
    return fun


def resume(folder: Path, space: Any = BOUNDS, **settings: Any) -> tuple[Result, Bowl]:
    fun = Bowl()
    return minimize(fun, space, run_dir=folder, resume=True, **settings), fun
