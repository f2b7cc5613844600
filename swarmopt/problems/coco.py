"""The functions of the COCO platform, with real and with mixed-integer variables.

Sources: Hansen, Auger, Ros, Mersmann, Tusar, Brockhoff, "COCO: a platform for comparing continuous
optimizers in a black-box setting", 2021, doi 10.1080/10556788.2020.1808977 (the suite bbob); Tusar,
Brockhoff, Hansen, "Mixed-integer benchmark problems for single- and bi-objective optimization",
2019, doi 10.1145/3321707.3321868 (the suite bbob-mixint).
"""

import contextlib
import importlib
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np

from swarmopt.algorithm import Seeds
from swarmopt.errors import SettingError
from swarmopt.evaluation import Evaluation
from swarmopt.problem import Problem
from swarmopt.problems.instance import whole_number
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Integer, Real

DIMENSIONS = {"bbob": (2, 3, 5, 10, 20, 40), "bbob-mixint": (5, 10, 20, 40, 80, 160)}
N_FUNCTIONS = 24
MAX_INSTANCE = 10_000  # far below what COCO's seeds allow
BEST_PARAMETER = "._bbob_problem_best_parameter.txt"  # where COCO writes the minimizer


class Coco(Problem):
    """One function of a suite of COCO, of 24 that are shifted, rotated, ill-conditioned, rugged.

    bbob has real variables in [-5, 5]. In bbob-mixint four fifths of the variables are integers,
    with 2, 4, 8 and 16 levels in equal shares, scaled so that the minimizer is on the grid.

    The objects of COCO live in C and cannot be copied or pickled: build one in each process.

    Source: see the module.

    Args:
        suite: bbob or bbob-mixint.
        function: 1 to 24.
        dimension: number of variables, one of those the suite has.
        instance: which shift and rotation, from 1.

    Attributes:
        minimizer: (dimension,) the optimum; there may be others.

    Raises:
        SettingError: the package coco-experiment is missing, or a setting is out of range.
    """

    name = "coco"
    vectorized = True  # a call costs microseconds and does not fail
    optimum: float
    distributions = ("coco-experiment",)

    def __init__(
        self,
        *,
        suite: Literal["bbob", "bbob-mixint"] = "bbob-mixint",
        function: int = 1,
        dimension: int = 10,
        instance: int = 1,
    ) -> None:
        if suite not in DIMENSIONS:
            raise SettingError(f"coco: suite: expected bbob or bbob-mixint, got {suite!r}")
        function = whole_number("coco: function", function, 1, N_FUNCTIONS)
        instance = whole_number("coco: instance", instance, 1, MAX_INSTANCE)
        if isinstance(dimension, bool) or dimension not in DIMENSIONS[suite]:
            known = ", ".join(map(str, DIMENSIONS[suite]))
            raise SettingError(f"coco: dimension: {suite} has {known}, got {dimension!r}")
        chosen = f"dimensions:{dimension} function_indices:{function}"
        # The problem is freed with its suite, so both are kept.
        self._suite: Any = _cocoex().Suite(suite, f"instances: {instance}", chosen)
        self._problem: Any = self._suite[0]
        self.space = _space(self._problem)
        self.default_budget = 100 * dimension
        self.minimizer: Vector = _minimizer(self._problem)
        self.optimum = float(self._problem(self.minimizer))

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - exact and cheap
        """Return the cost of points; x: (n, dimension)."""
        return Evaluation(np.array([self._problem(row) for row in np.ascontiguousarray(x)], float))


def _cocoex() -> Any:
    try:
        return importlib.import_module("cocoex")
    except ImportError as error:
        raise SettingError(
            f"coco: needs the package coco-experiment, and importing cocoex failed ({error}); "
            f"pip install 'swarmopt[coco]'"
        ) from None


def _space(problem: Any) -> Space:
    """Return the variables: COCO puts the integers first."""
    n_integers = int(problem.number_of_integer_variables)
    bounds = zip(problem.lower_bounds.tolist(), problem.upper_bounds.tolist(), strict=True)
    return Space(
        [
            Integer(round(low), round(high)) if j < n_integers else Real(low, high)
            for j, (low, high) in enumerate(bounds)
        ]
    )


def _minimizer(problem: Any) -> Vector:
    """Return (dimension,) the point of least cost, which COCO writes into the current folder."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        problem._best_parameter("print")  # noqa: SLF001 - there is no public way
        return np.loadtxt(Path(BEST_PARAMETER), ndmin=1)
