"""What tests of the loop share: objectives, spaces, the names of the algorithms."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swarmopt import (
    Categorical,
    Integer,
    Ordinal,
    Real,
    Space,
)
from swarmopt.plugins import installed

Array = NDArray[np.float64]
BOUNDS = [(-5.0, 5.0)] * 3
ALGORITHMS = sorted(installed().entries["algorithm"])
MIXED = Space(
    rate=Real(1e-4, 1, log=True),
    depth=Integer(1, 10),
    width=Ordinal([16, 32, 64]),
    act=Categorical(["relu", "tanh"]),
)


def sphere(x: Array) -> float:
    return float(((x - 1) ** 2).sum())


def spheres(x: Array) -> Array:
    return np.asarray(((x - 1) ** 2).sum(axis=1))


class Recorder:
    """An objective that remembers its points."""

    def __init__(self, fun: Callable[[Any], Any]) -> None:
        self.fun = fun
        self.points: list[Any] = []

    def __call__(self, point: Any) -> Any:
        self.points.append(point.copy())
        return self.fun(point)


def mixed(p: dict[str, Any]) -> float:
    off = abs(math.log(p["rate"] / 0.01)) + abs(p["depth"] - 7)
    return float(off + (p["act"] != "tanh") + 64 / p["width"])
