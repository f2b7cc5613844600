"""Bounded search spaces, and the unit cube through which every algorithm sees them.

Each variable is one column. A continuous column is the unit interval stretched to its bounds (or to
their logarithms). A discrete column with K levels is K equal-width bins of the unit interval.
Bounds, scales, names and categories live here alone.

A point is a row of float64: reals as they are, integers as whole numbers, ordinals, categories and
booleans as the index of their choice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.types import Mask, Matrix, Vector
from swarmopt.variables import VARIABLES, Boolean, Categorical, Integer, Real, Variable


@dataclass(frozen=True, eq=False)
class _Columns:
    """Per-column constants of decode and encode, each (d,)."""

    low: Vector
    span: Vector
    levels: Vector
    log: Mask
    hard_low: Vector
    hard_high: Vector


class Space:
    """Named or unnamed bounded variables, in order.

    `Space(lr=Real(1e-4, 1, log=True), depth=Integer(1, 10))` and `Space({"lr": Real(0, 1)})` are
    named: their points reach the objective as dicts. `Space([Real(-5, 5), Integer(0, 9)])` is not:
    its points are arrays.

    Raises:
        SettingError: no variables, a duplicate or empty name, or something that is no variable.
    """

    def __init__(
        self,
        variables: Mapping[str, Variable] | Sequence[Variable | tuple[str, Variable]] | None = None,
        /,
        **named: Variable,
    ) -> None:
        pairs = _named_pairs(variables, named)
        self.named: bool = pairs is not None
        if pairs is None:
            assert variables is not None and not isinstance(variables, Mapping)  # noqa: S101, PT018 - for the type checker
            pairs = [(f"x{j}", v) for j, v in enumerate(variables)]  # type: ignore[misc]
        if not pairs:
            raise SettingError("Space: expected at least one variable, got none")
        for name, variable in pairs:
            if not isinstance(variable, VARIABLES):
                raise SettingError(
                    f"Space: expected {name!r} to be Real, Integer, Ordinal, Categorical or "
                    f"Boolean, got {variable!r}"
                )
        self.names: tuple[str, ...] = tuple(name for name, _ in pairs)
        self.variables: tuple[Variable, ...] = tuple(variable for _, variable in pairs)
        for name in self.names:
            if not isinstance(name, str) or not name:  # type: ignore[redundant-expr] # a dict's key
                raise SettingError(f"Space: expected a name of at least one letter, got {name!r}")
            if self.names.count(name) > 1:
                raise SettingError(f"Space: the name {name!r} is given twice")

    def __len__(self) -> int:
        return len(self.variables)

    def __repr__(self) -> str:
        if self.named:
            inside = ", ".join(
                f"{n}={v!r}" for n, v in zip(self.names, self.variables, strict=True)
            )
            return f"Space({inside})"
        return f"Space([{', '.join(map(repr, self.variables))}])"

    @cached_property
    def domain(self) -> Domain:
        """The space as an algorithm sees it."""
        low = np.empty(len(self))
        high = np.empty(len(self))
        levels = np.zeros(len(self), np.int64)
        for j, v in enumerate(self.variables):
            if isinstance(v, Real):
                low[j], high[j] = (np.log(v.low), np.log(v.high)) if v.log else (v.low, v.high)
                levels[j] = 1 if v.low == v.high else 0
            elif isinstance(v, Integer):
                low[j], high[j], levels[j] = v.low, v.high, v.high - v.low + 1
            else:
                low[j], high[j], levels[j] = 0, len(v.choices) - 1, len(v.choices)
        nominal = np.array([isinstance(v, Categorical | Boolean) for v in self.variables])
        return Domain(levels, nominal, low, high)

    @cached_property
    def _columns(self) -> _Columns:
        domain = self.domain
        hard = [(v.low, v.high) for v in self.variables if isinstance(v, Real | Integer)]
        bounds = iter(hard)
        pairs = [
            next(bounds) if isinstance(v, Real | Integer) else (0, len(v.choices) - 1)
            for v in self.variables
        ]
        return _Columns(
            low=domain.low,
            span=domain.high - domain.low,
            levels=domain.levels.astype(float),
            log=np.array([isinstance(v, Real) and v.log for v in self.variables]),
            hard_low=np.array([p[0] for p in pairs], float),
            hard_high=np.array([p[1] for p in pairs], float),
        )

    def decode(self, unit: Matrix) -> Matrix:
        """Return the points of rows of the unit cube.

        Args:
            unit: (n, d) values in [0, 1].

        Returns:
            (n, d) points; a new array.
        """
        c = self._columns
        domain = self.domain
        points: Matrix = c.low + unit * c.span
        if domain.n_discrete:
            if domain.n_discrete == domain.d:
                points = c.low + domain.level(unit)
            else:
                points = np.where(domain.discrete, c.low + domain.level(unit), points)
        if c.log.any():
            points[:, c.log] = np.exp(points[:, c.log])
        return np.clip(points, c.hard_low, c.hard_high)

    def encode(self, points: Matrix) -> Matrix:
        """Return rows of the unit cube that decode to these points (discrete: middle of the bin).

        Args:
            points: (n, d) points inside the box.

        Raises:
            SettingError: wrong shape, outside the box, or a discrete value that is not whole.
        """
        points = np.asarray(points, float)
        if points.ndim != 2 or points.shape[1] != len(self):
            raise SettingError(
                f"expected points of shape (n, {len(self)}), one column per variable; "
                f"got {points.shape}"
            )
        self._check_inside(points)
        c = self._columns
        inner = points.copy()
        inner[:, c.log] = np.log(points[:, c.log])
        discrete = self.domain.discrete
        span = np.where(c.span > 0, c.span, 1.0)
        unit = np.where(
            discrete, (inner - c.low + 0.5) / np.maximum(c.levels, 1.0), (inner - c.low) / span
        )
        return np.clip(unit, 0.0, 1.0)

    def _check_inside(self, points: Matrix) -> None:
        c = self._columns
        outside = ~((points >= c.hard_low) & (points <= c.hard_high))
        if outside.any():
            i, j = np.argwhere(outside)[0]
            raise SettingError(
                f"point {i}: {self.names[j]} = {points[i, j]} lies outside "
                f"[{c.hard_low[j]}, {c.hard_high[j]}]"
            )
        rough = self.domain.discrete & (points != np.floor(points))
        for j in np.flatnonzero(rough.any(axis=0)):
            if not isinstance(self.variables[j], Real):
                i = int(np.argmax(rough[:, j]))
                raise SettingError(
                    f"point {i}: {self.names[j]} = {points[i, j]} is not a whole number; "
                    f"{self.variables[j]!r} takes whole numbers (the index of a choice)"
                )

    def params(self, points: Matrix) -> list[dict[str, Any]]:
        """Return one dict per point, with the user's own values (n of them)."""
        columns = [self._values(j, points[:, j]) for j in range(len(self))]
        return [dict(zip(self.names, row, strict=True)) for row in zip(*columns, strict=True)]

    def columns(self, points: Matrix) -> dict[str, Any]:
        """Return one array per variable, (n,) each, with the user's own values."""
        found: dict[str, Any] = {}
        for j, (name, v) in enumerate(zip(self.names, self.variables, strict=True)):
            if isinstance(v, Real):
                found[name] = points[:, j].copy()
            elif isinstance(v, Integer):
                found[name] = points[:, j].astype(np.int64)
            else:
                found[name] = _choice_array(v.choices)[points[:, j].astype(np.int64)]
        return found

    def points(self, rows: "Sequence[Mapping[str, Any] | Sequence[float]] | Matrix") -> Matrix:
        """Return (n, d) points from dicts of the user's values, or from rows of numbers.

        Raises:
            SettingError: a missing or unknown name, a value that is no choice, outside the box.
        """
        if isinstance(rows, Mapping):
            raise SettingError("expected a list of points, got one dict; put it in a list")
        if len(rows) and isinstance(rows[0], Mapping):
            found = np.array([self._point(i, row) for i, row in enumerate(rows)])
        else:
            try:
                found = np.atleast_2d(np.asarray(rows, float))
            except (TypeError, ValueError):
                raise SettingError(
                    f"expected points as rows of {len(self)} numbers"
                    f"{' or dicts of ' + ', '.join(self.names) if self.named else ''}, got {rows!r}"
                ) from None
        self.encode(found)  # checks
        return found

    def _point(self, i: int, row: Mapping[str, Any]) -> list[float]:
        wrong = sorted(set(row) ^ set(self.names))
        if wrong:
            problem = "unknown" if wrong[0] in row else "missing"
            raise SettingError(
                f"point {i}: {problem} name {wrong[0]!r}; expected {', '.join(self.names)}"
            )
        return [
            self._index(f"point {i}: {name}", v, row[name])
            for name, v in zip(self.names, self.variables, strict=True)
        ]

    @staticmethod
    def _index(where: str, variable: Variable, value: Any) -> float:
        if isinstance(variable, Real | Integer):
            try:
                return float(value)
            except (TypeError, ValueError):
                raise SettingError(f"{where}: expected a number, got {value!r}") from None
        for k, choice in enumerate(variable.choices):
            if choice == value and isinstance(choice, bool) == isinstance(value, bool | np.bool_):
                return float(k)
        raise SettingError(f"{where}: expected one of {variable.choices!r}, got {value!r}")

    def _values(self, j: int, column: Vector) -> list[Any]:
        v = self.variables[j]
        if isinstance(v, Real):
            return list(column.tolist())
        if isinstance(v, Integer):
            return list(column.astype(np.int64).tolist())
        return [v.choices[k] for k in column.astype(np.int64).tolist()]


def _named_pairs(
    variables: Any, named: Mapping[str, Variable]
) -> list[tuple[str, Variable]] | None:
    """Return (name, variable) pairs, or None where the variables have no names."""
    if variables is None:
        return list(named.items())
    if isinstance(variables, Mapping):
        return [*variables.items(), *named.items()]
    if isinstance(variables, str) or not isinstance(variables, Sequence):
        raise SettingError(f"Space: expected a list or a dict of variables, got {variables!r}")
    if named:
        raise SettingError("Space: give variables with names or in a list, not both")
    if variables and all(
        isinstance(v, tuple) and len(v) == 2 and isinstance(v[0], str) for v in variables
    ):
        return list(variables)
    return None


def _choice_array(choices: Sequence[Any]) -> Any:
    """Return the choices as one array; of objects where numpy would merge their types."""
    if len({type(c) for c in choices}) == 1 and isinstance(choices[0], bool | int | float | str):
        return np.array(choices)
    array = np.empty(len(choices), object)
    array[:] = choices
    return array


def as_space(space: Any) -> Space:
    """Return a Space from a Space, a dict or list of variables, or scipy-style bounds.

    Args:
        space: what `Space` takes, a sequence of (low, high) pairs, or a `scipy.optimize.Bounds`.

    Raises:
        SettingError: none of these, or empty.
    """
    if isinstance(space, Space):
        return space
    if isinstance(space, Mapping):
        return Space(space)
    if hasattr(space, "lb") and hasattr(space, "ub"):
        space = list(zip(np.atleast_1d(space.lb), np.atleast_1d(space.ub), strict=True))
    if isinstance(space, np.ndarray):
        space = space.tolist()
    if isinstance(space, str) or not isinstance(space, Sequence):
        raise SettingError(f"expected a Space or a list of (low, high) bounds, got {space!r}")
    if _named_pairs(space, {}) is not None:
        return Space(space)
    return Space([_from_bounds(j, v) for j, v in enumerate(space)])


def _from_bounds(j: int, bounds: Any) -> Variable:
    if isinstance(bounds, VARIABLES):
        return bounds
    if isinstance(bounds, tuple | list) and len(bounds) == 2:
        try:
            return Real(float(bounds[0]), float(bounds[1]))
        except (TypeError, ValueError) as error:
            raise SettingError(f"bounds[{j}]: {error}") from None
    raise SettingError(f"bounds[{j}]: expected a pair (low, high) or a variable, got {bounds!r}")
