"""What of a network can be pruned, what is tied or frozen, and why: as data and as a table."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text
from torch import nn

from swarmopt_pruning.fingerprint import shapes_of
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.structure import Group
from swarmopt_pruning.terminal import printable
from swarmopt_pruning.trace import Role

SCHEMA = 1
"""Version of the document."""


def inspect_graph(graph: ChannelGraph, model: nn.Module) -> dict[str, Any]:
    """Return what is prunable, tied and frozen, and why, as JSON values.

    Args:
        graph: of the model.
        model: the model that was traced.

    Returns:
        a document: "groups" and "frozen", one entry each, the costs of the whole network and of
        the smallest one that pruning reaches; "removed" of a group are the shares of the network's
        multiply-adds and parameters that go when this group alone is cut to its smallest.
    """
    shapes = shapes_of(model)
    counts = _each_smallest(graph)
    macs, params = graph.macs(counts), graph.params(counts)
    return {
        "schema": SCHEMA,
        "model": type(model).__qualname__,
        "macs": int(macs[0]),
        "params": int(params[0]),
        "smallest": {"macs": int(macs[-1]), "params": int(params[-1])},
        "groups": [
            {
                "name": group.name,
                "channels": group.width,
                "multiple_of": group.block,
                "tied": _tied(group, shapes),
                "read_by": _modules(group, Role.READ),
                "removed": {
                    "macs": _share(macs[0] - macs[row], macs[0]),
                    "params": _share(params[0] - params[row], params[0]),
                },
            }
            for row, group in enumerate(graph.groups, start=1)
        ],
        "frozen": [
            {"name": frozen.name, "channels": frozen.width, "reason": frozen.reason}
            for frozen in graph.frozen
        ],
        "fixed_operators": list(graph.fixed_operators),
    }


def inspection_table(document: Mapping[str, Any], *, width: int = 100) -> str:
    """Return the document of `inspect_graph` as text; names cannot steer the terminal.

    Args:
        document: what to show.
        width: columns of the terminal.
    """
    groups, frozen = document["groups"], document["frozen"]
    n_free, n_frozen = (sum(entry["channels"] for entry in part) for part in (groups, frozen))
    smallest = document["smallest"]
    name, macs, params = printable(document["model"]), document["macs"], document["params"]
    least = " and ".join(
        f"{smallest[key]:,} {unit} ({100 * _share(smallest[key], document[key]):.1f} %)"
        for key, unit in (("macs", "MACs"), ("params", "parameters"))
    )
    lines = [
        f"{name}: {macs:,} MACs, {params:,} parameters",
        f"{len(groups)} groups of {n_free:,} channels can be pruned, {n_frozen:,} channels cannot",
        f"at the least {least} remain",
    ]
    rows: list[tuple[str, ...]]
    if groups:
        rows = [
            (
                entry["name"],
                f"{entry['channels']}",
                f"{entry['multiple_of']}",
                f"{100 * entry['removed']['macs']:.1f} %",
                _told(entry["tied"]) or "-",
            )
            for entry in groups
        ]
        titles = ("prunable", "channels", "steps of", "MACs saved", "tied to, why")
        lines += ["", _drawn(titles, rows, width)]
        lines += ["MACs saved: at most, when this group alone is cut"]
        if any(entry["multiple_of"] > 1 for entry in groups):
            lines += [
                "steps of more than 1: a grouped layer, a shuffle or a split cuts channels together"
            ]
    if frozen:
        rows = [(entry["name"], f"{entry['channels']}", entry["reason"]) for entry in frozen]
        lines += ["", _drawn(("frozen", "channels", "why"), rows, width)]
    if document["fixed_operators"]:
        names = ", ".join(map(printable, document["fixed_operators"]))
        lines += ["", f"counted as constant, having no closed form: {names}"]
    return "\n".join(lines)


def _each_smallest(graph: ChannelGraph) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return counts: the whole network, each group alone at its smallest, all at their smallest."""
    n = len(graph.groups)
    least = np.array([group.block for group in graph.groups], dtype=np.int64)
    counts = np.tile(graph.widths, (n + 2, 1))
    counts[np.arange(n) + 1, np.arange(n)] = least
    counts[-1] = least
    return counts


def _tied(group: Group, shapes: Mapping[str, tuple[int, ...]]) -> list[dict[str, str]]:
    """Return the other layers whose outputs lose the same channels, each with the reason."""
    read = {place.tensor for place in group.where if place.role is Role.READ}
    tied: dict[str, str] = {}
    for place in group.where:
        module = _module(place.tensor)
        if place.role is Role.FILTER and module not in (group.name, *tied):
            shape = shapes[place.tensor]
            depthwise = len(shape) > 2 and shape[1] == 1 and place.dim == 0
            if depthwise and place.tensor not in read:
                tied[module] = "depthwise: works on each channel by itself"
            else:
                tied[module] = "combined with the same channels"
    return [{"name": name, "reason": reason} for name, reason in tied.items()]


def _told(tied: Sequence[Mapping[str, str]]) -> str:
    """Return ties as text, those of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for tie in tied:
        by_reason.setdefault(tie["reason"], []).append(tie["name"])
    return "; ".join(f"{', '.join(names)} ({reason})" for reason, names in by_reason.items())


def _modules(group: Group, role: Role) -> list[str]:
    """Return the modules that hold places of one role, each once."""
    named = [_module(place.tensor) for place in group.where if place.role is role]
    return list(dict.fromkeys(named))


def _module(tensor: str) -> str:
    """Return the module of a weight; a parameter of another name speaks for itself."""
    path, _, leaf = tensor.rpartition(".")
    return path if leaf == "weight" and path else tensor


def _share(part: int, whole: int) -> float:
    return round(float(part) / float(whole), 6) if whole else 0.0


def _drawn(titles: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> str:
    """Return a table as text; cells hold plain text, never markup."""
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column, title in enumerate(titles):
        number = 0 < column < len(titles) - 1
        drawn.add_column(title, justify="right" if number else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    printed = io.StringIO()
    Console(file=printed, width=max(width, 40), color_system=None).print(drawn)
    lines = printed.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip())
