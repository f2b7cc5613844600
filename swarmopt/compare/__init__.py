"""Comparing algorithms: the runs, their statistics, and what they show.

    from swarmopt.compare import compare, judge

    comparison = compare(["ssa", "pso"], ["rastrigin", "knapsack"], budget=5_000, seeds=30)
    for sentence in judge(comparison).sentences:
        print(sentence)

Names are imported when they are first used: what reads a comparison needs no statistics.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmopt.compare.comparison import Cell, Comparison, load
    from swarmopt.compare.driver import compare
    from swarmopt.compare.merging import merged
    from swarmopt.compare.verdict import Judgement, judge

_ROOM_OF = {
    "Cell": "comparison",
    "Comparison": "comparison",
    "Judgement": "verdict",
    "compare": "driver",
    "judge": "verdict",
    "load": "comparison",
    "merged": "merging",
}
__all__ = ["Cell", "Comparison", "Judgement", "compare", "judge", "load", "merged"]


def __getattr__(name: str) -> Any:
    if name in _ROOM_OF:
        return getattr(import_module(f"swarmopt.compare.{_ROOM_OF[name]}"), name)
    raise AttributeError(f"module 'swarmopt.compare' has no attribute {name!r}")
