"""What scikit-learn's users write for a parameter, as one of our variables.

A list is an `Ordinal` where it is numbers in order, else a `Categorical`. A frozen distribution of
scipy is searched through its quantiles.
"""

import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from swarmopt.errors import SettingError
from swarmopt.space import Space
from swarmopt.variables import VARIABLES, Boolean, Categorical, Ordinal, Real, Variable

FEATURE = "feature:"  # begins the name of the variable of a column of X
TAIL = 1e-9  # of a distribution, left out at both ends


class SearchSpace:
    """The parameters of an estimator, and which features it sees, as one space.

    Args:
        params: by name, each a variable, a list of values, or a frozen distribution of scipy.
        n_features: how many features may be left out; 0: none.

    Raises:
        SettingError: no parameters, or one that is none of these.
    """

    def __init__(self, params: Any, n_features: int = 0) -> None:
        if not isinstance(params, Mapping) or not (params or n_features):
            raise SettingError(
                f"params: expected a dict with at least one parameter, got {params!r:.80}"
            )
        self._distributions = {k: v for k, v in params.items() if hasattr(v, "ppf")}
        self._params = tuple(params)
        self._features = [f"{FEATURE}{j}" for j in range(n_features)]
        variables = {name: _variable(name, value) for name, value in params.items()}
        self.space = Space(variables | {name: Boolean() for name in self._features})

    def params(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters at a point of the space."""
        return {
            name: _quantile(self._distributions[name], point[name])
            if name in self._distributions
            else point[name]
            for name in self._params
        }

    def features(self, point: Mapping[str, Any]) -> tuple[bool, ...]:
        """Return which features are seen at a point; empty where all always are."""
        return tuple(point[name] for name in self._features)


def _variable(name: str, value: Any) -> Variable:
    if isinstance(value, VARIABLES):
        return value
    if hasattr(value, "ppf"):
        return Real(TAIL, 1 - TAIL)
    if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
        choices = list(value)
        if not choices:
            raise SettingError(f"params: {name}: expected at least one choice, got none")
        _warn_of_a_pair(name, value)
        numbers = all(isinstance(c, int | float | np.number) for c in choices)
        flags = any(isinstance(c, bool | np.bool_) for c in choices)
        in_order = numbers and not flags and all(a < b for a, b in pairwise(choices))
        return Ordinal(choices) if in_order else Categorical(choices)
    raise SettingError(
        f"params: expected a variable (Real, Integer, ...), a list of values or a frozen "
        f"distribution of scipy.stats for {name!r}, got {value!r:.80}"
    )


def _warn_of_a_pair(name: str, value: Any) -> None:
    """Warn of a tuple of two numbers, which looks like bounds and is two choices."""
    if not isinstance(value, tuple) or len(value) != 2:
        return
    if all(isinstance(v, int | float | np.number) and not isinstance(v, bool) for v in value):
        kind = "Integer" if all(isinstance(v, int | np.integer) for v in value) else "Real"
        low, high = value
        warnings.warn(
            f"params: {name}: {value!r} is a choice of two values, as everywhere in scikit-learn. "
            f"For a range give swarmopt.{kind}({low!r}, {high!r}); for the choice the list "
            f"[{low!r}, {high!r}]",
            UserWarning,
            stacklevel=5,
        )


def _quantile(distribution: Any, share: float) -> Any:
    value = distribution.ppf(share)
    whole = hasattr(getattr(distribution, "dist", distribution), "pmf")
    return int(value) if whole else float(value)
