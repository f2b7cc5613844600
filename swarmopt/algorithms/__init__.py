"""The algorithms, each in a file of its own and imported when first asked for."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmopt.algorithms.bee_colony import ABC
    from swarmopt.algorithms.de import DE
    from swarmopt.algorithms.ga import GA
    from swarmopt.algorithms.pso import PSO
    from swarmopt.algorithms.random_search import RandomSearch
    from swarmopt.algorithms.ssa import SSA
    from swarmopt.algorithms.ssa_classic import SSAClassic

__all__ = ["ABC", "DE", "GA", "PSO", "SSA", "RandomSearch", "SSAClassic"]

_ROOMS = {
    "ABC": "bee_colony",
    "DE": "de",
    "GA": "ga",
    "PSO": "pso",
    "SSA": "ssa",
    "SSAClassic": "ssa_classic",
    "RandomSearch": "random_search",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
