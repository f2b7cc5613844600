"""Distributions of Optuna as the columns of a `Space`, and values there and back.

What lies on a grid (whole numbers, steps) is counted from its lower end. Whole numbers on a
logarithmic scale are rounded from reals, as Optuna does it.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from swarmopt.space import Space
from swarmopt.types import Vector
from swarmopt.variables import Categorical, Integer, Real, Variable


class OptunaSpace:
    """A search space of Optuna as one of ours.

    Args:
        distributions: by name, each with more than one value.

    Attributes:
        space: one column per distribution, in the same order.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self.distributions = dict(distributions)
        self.space = Space({name: _variable(d) for name, d in distributions.items()})

    def values(self, point: Vector) -> dict[str, Any]:
        """Return what Optuna calls the values of a point, (d,)."""
        return {
            name: _value(distribution, float(x))
            for (name, distribution), x in zip(self.distributions.items(), point, strict=True)
        }

    def unit(self, values: Mapping[str, Any]) -> Vector:
        """Return (d,) the row of the unit cube that decodes to these values."""
        point = [_number(d, values[name]) for name, d in self.distributions.items()]
        row: Vector = self.space.encode(np.array([point]))[0]
        return row

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Return whether there is a value inside its distribution for every name."""
        return all(
            name in values and d._contains(d.to_internal_repr(values[name]))  # noqa: SLF001 - as Optuna's own samplers
            for name, d in self.distributions.items()
        )


def _variable(d: BaseDistribution) -> Variable:
    if isinstance(d, CategoricalDistribution):
        return Categorical(range(len(d.choices)))
    assert isinstance(d, FloatDistribution | IntDistribution)  # noqa: S101 - Optuna has no other
    if isinstance(d, IntDistribution) and d.log:
        return Real(d.low - 0.5, d.high + 0.5, log=True)
    if d.step is not None:
        return Integer(0, round((d.high - d.low) / d.step))
    return Real(d.low, d.high, log=d.log)


def _value(d: BaseDistribution, x: float) -> Any:
    """Return Optuna's value of a column's number."""
    if isinstance(d, CategoricalDistribution):
        return d.choices[int(x)]
    if isinstance(d, IntDistribution):
        return int(np.clip(round(x), d.low, d.high)) if d.log else d.low + int(x) * d.step
    assert isinstance(d, FloatDistribution)  # noqa: S101 - Optuna has no other
    return x if d.step is None else min(d.low + x * d.step, d.high)


def _number(d: BaseDistribution, value: Any) -> float:
    """Return the number of a column that stands for Optuna's value."""
    internal = d.to_internal_repr(value)
    if isinstance(d, FloatDistribution | IntDistribution) and not d.log and d.step is not None:
        return float(round((internal - d.low) / d.step))
    return float(internal)
