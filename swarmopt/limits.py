"""When a run is enough."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from swarmopt.errors import SettingError


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


def check_count(name: str, value: Any, least: int = 1, *, optional: bool = True) -> None:
    """Raise SettingError unless the value is a whole number of at least `least`, or None."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise SettingError(f"{name}: expected a whole number, got {value!r}")
    if value < least:
        raise SettingError(f"{name}: expected at least {least}, got {value!r}")
