"""Channel pruning of convolutional networks, as a problem for swarmopt.

    swarmopt run --problem channel-prune

    from swarmopt_pruning import load
    network = load("runs/channel-prune-ssa-1")

Public names are imported when they are first used, so that finding the plugin costs no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmopt_pruning.budget import Budget
    from swarmopt_pruning.codes import constrain, uniform
    from swarmopt_pruning.constraint import ConstraintSet
    from swarmopt_pruning.cost import count_macs, count_params
    from swarmopt_pruning.data import Images, Splits, load_data, split
    from swarmopt_pruning.errors import (
        NotExportable,
        PlanCorrupted,
        PlanMismatch,
        PruningError,
        UnknownName,
    )
    from swarmopt_pruning.export import load_program, save_onnx, save_program
    from swarmopt_pruning.graph import ChannelGraph
    from swarmopt_pruning.inspection import inspect_graph
    from swarmopt_pruning.latency import measure_latency
    from swarmopt_pruning.loading import load
    from swarmopt_pruning.models import build
    from swarmopt_pruning.plan import PruningPlan
    from swarmopt_pruning.problem import ChannelPruning
    from swarmopt_pruning.structure import Frozen, Group
    from swarmopt_pruning.subsets import subset
    from swarmopt_pruning.taylor import taylor_scores
    from swarmopt_pruning.train import Recipe, accuracy, recalibrate

_ROOMS = {
    "budget": ("Budget",),
    "codes": ("constrain", "uniform"),
    "constraint": ("ConstraintSet",),
    "cost": ("count_macs", "count_params"),
    "data": ("Images", "Splits", "load_data", "split"),
    "errors": ("NotExportable", "PlanCorrupted", "PlanMismatch", "PruningError", "UnknownName"),
    "export": ("load_program", "save_onnx", "save_program"),
    "graph": ("ChannelGraph",),
    "inspection": ("inspect_graph",),
    "latency": ("measure_latency",),
    "loading": ("load",),
    "models": ("build",),
    "plan": ("PruningPlan",),
    "problem": ("ChannelPruning",),
    "structure": ("Frozen", "Group"),
    "subsets": ("subset",),
    "taylor": ("taylor_scores",),
    "train": ("Recipe", "accuracy", "recalibrate"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "Budget", "ChannelGraph", "ChannelPruning", "ConstraintSet", "Frozen", "Group", "Images",
    "NotExportable", "PlanCorrupted", "PlanMismatch", "PruningError", "PruningPlan", "Recipe",
    "Splits", "UnknownName", "accuracy", "build", "constrain", "count_macs", "count_params",
    "inspect_graph", "load", "load_data", "load_program", "measure_latency", "recalibrate",
    "save_onnx", "save_program", "split", "subset", "taylor_scores", "uniform",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'swarmopt_pruning' has no attribute {name!r}")
    return getattr(import_module(f"swarmopt_pruning.{_ROOM_OF[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
