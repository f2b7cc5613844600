"""When a run is enough."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from swarmopt.errors import SettingError
from swarmopt.result import Stop
from swarmopt.words import plural

STALLED_AFTER = 100  # batches without a new point


@dataclass(frozen=True)
class Limits:
    """When a run is enough; None: no such limit.

    Attributes:
        budget: evaluations.
        max_time: seconds.
        target: a feasible cost as low as this ends the run.
        patience: evaluations without a better best.
    """

    budget: int | None = None
    max_time: float | None = None
    target: float | None = None
    patience: int | None = None

    def __post_init__(self) -> None:
        for name in ("budget", "patience"):
            check_count(name, getattr(self, name))
            if getattr(self, name) is not None:
                object.__setattr__(self, name, int(getattr(self, name)))
        for name in ("max_time", "target"):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise SettingError(f"{name}: expected a number, got {value!r}")
            if np.isnan(value):
                raise SettingError(f"{name}: expected a number, got NaN")
            object.__setattr__(self, name, float(value))
        if self.max_time is not None and self.max_time <= 0:
            raise SettingError(f"max_time: expected seconds > 0, got {self.max_time!r}")

    def why(self, stop: Stop) -> str:
        """Return why a run under these limits is over."""
        one = "evaluation"
        return {
            Stop.BUDGET: f"the budget of {self.budget} {plural(self.budget, one)} is spent",
            Stop.TARGET: f"a cost of at most {self.target} was found",
            Stop.PATIENCE: f"no better point in {self.patience} {plural(self.patience, one)}",
            Stop.TIME: f"{self.max_time} seconds have passed",
            Stop.CALLBACK: "the callback ended the run",
            Stop.EXHAUSTED: "every point of the space is evaluated",
            Stop.STALLED: f"no new point in {STALLED_AFTER} batches: all they asked for was known",
            Stop.RUNNING: "the run is not over",
        }[stop]


def check_count(name: str, value: Any, least: int = 1, *, optional: bool = True) -> None:
    """Raise SettingError unless the value is a whole number of at least `least`, or None."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise SettingError(f"{name}: expected a whole number, got {value!r}")
    if value < least:
        raise SettingError(f"{name}: expected at least {least}, got {value!r}")
