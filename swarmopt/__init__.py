"""Vectorized metaheuristic optimization over real, integer, ordinal and categorical spaces.

    from swarmopt import Integer, Real, Space, minimize

    space = Space(lr=Real(1e-4, 1, log=True), depth=Integer(1, 10))
    result = minimize(lambda p: loss(**p), space, budget=500, seed=1)

Public names are imported when they are first used, so that `import swarmopt` costs little.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmopt import algorithms, testing
    from swarmopt.algorithm import Algorithm, Candidates, Horizon, Seeds
    from swarmopt.batch import Batch
    from swarmopt.domain import Domain
    from swarmopt.errors import (
        AllFailedError,
        FactoryError,
        FinishError,
        FolderError,
        ObjectiveError,
        PluginError,
        SettingError,
        SwarmoptError,
        UnknownNameError,
        WorkerError,
    )
    from swarmopt.evaluation import Evaluation, Outcome
    from swarmopt.optimizer import Optimizer
    from swarmopt.problem import FunctionProblem, Problem, Recipe
    from swarmopt.result import History, Result, Step, Stop
    from swarmopt.run import minimize
    from swarmopt.space import Space
    from swarmopt.variables import Boolean, Categorical, Integer, Ordinal, Real

_ROOMS = {
    "algorithm": ("Algorithm", "Candidates", "Horizon", "Seeds"),
    "errors": (
        "AllFailedError", "FactoryError", "FinishError", "FolderError", "ObjectiveError",
        "PluginError", "SettingError", "SwarmoptError", "UnknownNameError", "WorkerError",
    ),
    "evaluation": ("Evaluation", "Outcome"),
    "problem": ("FunctionProblem", "Problem", "Recipe"),
    "result": ("History", "Result", "Step", "Stop"),
    "optimizer": ("Optimizer",),
    "run": ("minimize",),
    "batch": ("Batch",),
    "domain": ("Domain",),
    "space": ("Space",),
    "variables": ("Boolean", "Categorical", "Integer", "Ordinal", "Real"),
}  # fmt: skip
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
_MODULES = ("algorithms", "testing")

__all__ = [  # noqa: RUF022 - a test compares it with the imports above
    "AllFailedError", "Algorithm", "Batch", "Boolean", "Candidates", "Categorical", "Domain",
    "Evaluation", "FactoryError", "FinishError", "FolderError", "FunctionProblem", "History",
    "Horizon", "Integer", "ObjectiveError", "Optimizer", "Ordinal", "Outcome", "PluginError",
    "Problem", "Real", "Recipe", "Result", "Seeds", "SettingError", "Space", "Step", "Stop",
    "SwarmoptError", "UnknownNameError", "WorkerError", "algorithms", "minimize", "testing",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _ROOM_OF:
        return getattr(import_module(f"swarmopt.{_ROOM_OF[name]}"), name)
    if name in _MODULES:
        return import_module(f"swarmopt.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("swarmopt")
    raise AttributeError(f"module 'swarmopt' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
