"""Channel pruning of convolutional networks, as a problem for swarmopt.

    swarmopt run --problem channel-prune

    from swarmopt_pruning import load
    network = load("runs/channel-prune-ssa-1")

Public names are imported when they are first used, so that finding the plugin costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmopt_pruning.constraint import ConstraintSet, constrain
    from swarmopt_pruning.cost import count_macs, count_params
    from swarmopt_pruning.data import Images, Splits, load_data, split
    from swarmopt_pruning.errors import (
        NotExportable,
        PlanCorrupted,
        PlanMismatch,
        PruningError,
        UnknownName,
    )
    from swarmopt_pruning.graph import ChannelGraph
    from swarmopt_pruning.loading import load
    from swarmopt_pruning.models import build
    from swarmopt_pruning.plan import PruningPlan
    from swarmopt_pruning.problem import ChannelPruning
    from swarmopt_pruning.structure import Frozen, Group
    from swarmopt_pruning.train import Recipe, accuracy, recalibrate

_ROOMS = {
    "constraint": ("ConstraintSet", "constrain"),
    "cost": ("count_macs", "count_params"),
    "data": ("Images", "Splits", "load_data", "split"),
    "errors": ("NotExportable", "PlanCorrupted", "PlanMismatch", "PruningError", "UnknownName"),
    "graph": ("ChannelGraph",),
    "loading": ("load",),
    "models": ("build",),
    "plan": ("PruningPlan",),
    "problem": ("ChannelPruning",),
    "structure": ("Frozen", "Group"),
    "train": ("Recipe", "accuracy", "recalibrate"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "ChannelGraph", "ChannelPruning", "ConstraintSet", "Frozen", "Group", "Images",
    "NotExportable", "PlanCorrupted", "PlanMismatch", "PruningError", "PruningPlan", "Recipe",
    "Splits", "UnknownName", "accuracy", "build", "constrain", "count_macs", "count_params",
    "load", "load_data", "recalibrate", "split",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'swarmopt_pruning' has no attribute {name!r}")
    return getattr(import_module(f"swarmopt_pruning.{_ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
