"""The table and the pictures of a pruned network."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from swarmopt.words import count_text
from swarmopt_pruning.constraint import ConstraintSet
from swarmopt_pruning.files import write_whole
from swarmopt_pruning.finalists import Finalist
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.measure import sampling_error

Ints = NDArray[np.int64]

ROWS = (
    ("test accuracy", "test_accuracy"),
    ("held-out accuracy", "held_out_accuracy"),
    ("MACs", "macs"),
    ("parameters", "params"),
    ("channels", "channels"),
    ("latency, {} images (ms)", "latency_ms"),
    ("file size (bytes)", "bytes"),
)


def figures_table(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures before and after, ready for reading (`swarmopt.report.extras`).

    What follows an accuracy is its standard error, as far as the images are a sample.
    """
    rows = []
    for title, key in ROWS:
        old, new = before[key], after[key]
        if key.endswith("accuracy"):
            error = key.replace("accuracy", "error")
            shown = [f"{100 * x[key]:.2f} ± {100 * x[error]:.2f} %" for x in (before, after)]
            rows.append([title, *shown, f"{_signed(100 * (new - old), 2)} points"])
            continue
        text = "{:,.3f}" if isinstance(old, float) else "{:,}"
        change = f"{_signed(100 * (new / old - 1), 1)} %" if old else "-"
        if key == "latency_ms":
            change = "no difference shown" if _overlap(before, after) else change
        rows.append(
            [title.format(before["latency_batch"]), text.format(old), text.format(new), change]
        )
        if key == "latency_ms":
            n = before["latency_threads"]
            how = f"80 % of calls, {count_text(n, 'thread')}"
            rows.append([how, _spread(before), _spread(after), ""])
    return {
        "title": "Before and after",
        "columns": ["figure", "before", "after", "change"],
        "rows": rows,
        "instead_of": ["before", "after"],
    }


def table(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return the figures before and after as text for a terminal: `figures_table`."""
    read = figures_table(before, after)
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(read["columns"]):
        drawn.add_column(column if i else "", justify="right" if i else "left")
    for row in read["rows"]:
        drawn.add_row(*row)
    printed = io.StringIO()
    Console(file=printed, width=100, color_system=None).print(drawn)
    lines = printed.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip())


def choice(finalists: Sequence[Mapping[str, Any]]) -> str:
    """Return which of several finalists was chosen, as a line; "" for one alone.

    Args:
        finalists: from the report, the best first.
    """
    if len(finalists) < 2:
        return ""
    best, n = finalists[0], len(finalists)
    last = best["trials"][-1]
    if last["loss"] is None:
        return f"chosen of {n} finalists by its score, as the training of every one failed"
    return (
        f"chosen of {n} finalists: {best['origin']}, by its loss on unseen held-out images after "
        f"{count_text(last['epochs'], 'epoch')}: {last['loss']:.4f}, and "
        f"{100 * last['accuracy']:.2f} ± {100 * last['error']:.2f} % right"
    )


def finalists_report(finalists: Sequence[Finalist], images: int) -> dict[str, Any]:
    """Return what a report says of the finalists, and of the choice in a sentence for its page.

    Args:
        finalists: the best first.
        images: that their accuracies are of.
    """
    plain = [asdict(finalist) for finalist in finalists]
    for trial in (trial for each in plain for trial in each["trials"]):
        trial["error"] = sampling_error(trial["accuracy"], images)
    line = choice(plain)
    return {
        "finalists": [{"chosen": i == 0, **each} for i, each in enumerate(plain)],
        "sentences": [f"The network kept was {line}."] if line else [],
    }


def _signed(value: float, digits: int) -> str:
    """Return a change with its sign; none has no sign."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def _overlap(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Return whether the ranges of 80 % of the calls have a time in common."""
    low = max(before["latency_low_ms"], after["latency_low_ms"])
    high = min(before["latency_high_ms"], after["latency_high_ms"])
    return bool(low <= high)


def _spread(figures: Mapping[str, Any]) -> str:
    return f"{figures['latency_low_ms']:,.3f} to {figures['latency_high_ms']:,.3f}"


def draw_channels(
    names: Sequence[str], widths: Sequence[int], kept: Sequence[int], title: str, path: Path
) -> None:
    """Draw the channels kept of each group, the original behind.

    Args:
        names: of the groups.
        widths: channels of the original.
        kept: channels that stay.
        title: of the picture.
        path: where it is written.
    """
    from swarmopt.plots.parts import kept as draw  # half a second of matplotlib: no worker draws
    from swarmopt.plots.style import as_bytes

    parts = {name: (n, width) for name, n, width in zip(names, kept, widths, strict=True)}
    write_whole(path, as_bytes(draw(parts, unit="channels", title=title), "png"))


def structure_report(
    graph: ChannelGraph, constraint: ConstraintSet, counts: Ints
) -> dict[str, Any]:
    """Return what a report says of a structure, and the pictures of it (`swarmopt.report.extras`).

    Args:
        graph: of the network.
        constraint: what the search was allowed.
        counts: (groups,) channels that stay.
    """
    kept = dict(zip(graph.names, counts.tolist(), strict=True))
    widths = {group.name: group.width for group in graph.groups}
    front = {
        "kind": "front",
        "title": "Held-out accuracy against MACs",
        "x": "macs_share",
        "y": "held_out_accuracy",
        "more": ["held_out_accuracy"],
    }
    parts = {name: [n, widths[name]] for name, n in kept.items()}
    return {
        "combinations": {"before": constraint.n_before, "after": constraint.n_after},
        "groups": {name: {"kept": n, "width": widths[name]} for name, n in kept.items()},
        "not_pruned": [
            {"name": f.name, "channels": f.width, "reason": f.reason} for f in graph.frozen
        ],
        "pictures": [
            front,
            {"kind": "kept", "title": "Channels", "unit": "channels", "parts": parts},
        ],
    }
