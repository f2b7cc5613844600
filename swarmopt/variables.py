"""Variables of a search space, checked when they are made."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swarmopt.errors import SettingError

MAX_WHOLE = 2**50  # with bounds beyond, the middle of a bin of the unit interval is not exact


@dataclass(frozen=True)
class Real:
    """A real number in [low, high], searched on a logarithmic scale when `log`."""

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        _check_bounds(self)
        if self.log and self.low <= 0:
            raise SettingError(f"{self}: a logarithmic scale needs low > 0, got low={self.low!r}")


@dataclass(frozen=True)
class Integer:
    """A whole number in {low, ..., high}."""

    low: int
    high: int

    def __post_init__(self) -> None:
        _check_bounds(self)
        for name in ("low", "high"):
            bound = getattr(self, name)
            if int(bound) != bound:
                raise SettingError(f"{self}: expected whole numbers as bounds, got {bound!r}")
            object.__setattr__(self, name, int(bound))
        if max(abs(self.low), abs(self.high)) > MAX_WHOLE:
            raise SettingError(f"{self}: bounds beyond +-2**50 are not exact; rescale the variable")


@dataclass(frozen=True, init=False)
class Ordinal:
    """One of the choices, whose order has a meaning."""

    choices: tuple[Any, ...]

    def __init__(self, choices: Sequence[Any]) -> None:
        object.__setattr__(self, "choices", _checked_choices(self, choices))


@dataclass(frozen=True, init=False)
class Categorical:
    """One of the choices, whose order has no meaning."""

    choices: tuple[Any, ...]

    def __init__(self, choices: Sequence[Any]) -> None:
        object.__setattr__(self, "choices", _checked_choices(self, choices))


@dataclass(frozen=True)
class Boolean:
    """False or True."""

    @property
    def choices(self) -> tuple[bool, bool]:
        """The two values, in the order of their indices."""
        return (False, True)


Variable = Real | Integer | Ordinal | Categorical | Boolean


VARIABLES = (Real, Integer, Ordinal, Categorical, Boolean)


def _check_bounds(variable: Real | Integer) -> None:
    for name in ("low", "high"):
        value = getattr(variable, name)
        if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
            kind = type(variable).__name__
            raise SettingError(f"{kind}: expected a number as {name}, got {value!r}")
        if isinstance(value, np.generic):  # of 8 bits, say, where high - low overflows
            object.__setattr__(variable, name, value.item())
        if not _is_finite(value):
            raise SettingError(f"{variable}: expected a finite {name}, got {value!r}")
    if variable.low > variable.high:
        raise SettingError(
            f"{variable}: low is greater than high; give the smaller bound first "
            f"({variable.high!r}, {variable.low!r})"
        )
    if not np.isfinite(float(variable.high) - float(variable.low)):
        raise SettingError(f"{variable}: the range is too wide for float64; rescale the variable")


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the range of float64
        return False


def _checked_choices(variable: Ordinal | Categorical, choices: Sequence[Any]) -> tuple[Any, ...]:
    kind = type(variable).__name__
    if isinstance(choices, str) or not isinstance(choices, Sequence | np.ndarray):
        raise SettingError(f"{kind}: expected a list of choices, got {choices!r}")
    values = tuple(v.item() if isinstance(v, np.generic) else v for v in choices)
    if not values:
        raise SettingError(f"{kind}: expected at least one choice, got none")
    seen: list[tuple[bool, Any]] = []  # 1 and 1.0 are one choice, 1 and True are two
    for value in values:
        name = (isinstance(value, bool), value)
        try:
            known = name in seen
        except ValueError:  # arrays do not say whether they are equal
            raise SettingError(
                f"{kind}: the choice {value!r} cannot be compared with ==; use a string or a tuple"
            ) from None
        if known:
            raise SettingError(f"{kind}: the choice {value!r} is given twice")
        seen.append(name)
    return values
