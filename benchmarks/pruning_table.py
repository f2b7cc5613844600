"""Tables of the pruning benchmark: what is in the records, and nothing else."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.originals import weights_of
from benchmarks.pruning_methods import METHODS
from benchmarks.pruning_protocol import Protocol

Record = Mapping[str, Any]

BEGIN, END = (
    "<!-- made by benchmarks.pruning: begin -->",
    "<!-- made by benchmarks.pruning: end -->",
)
COLUMNS = (
    "method", "seeds", "test accuracy", "default ahead by", "without reconstruction", "MACs, %",
    "scores", "choosing, s", "fine-tuning, s",
)  # fmt: skip
KINDS = {"pipeline": "", "ablation": "default, ", "known": "", "rival": ""}


@dataclass(frozen=True)
class Summary:
    """Figures of one method at one budget of one network, over seeds.

    Attributes:
        n: seeds.
        mean: test accuracy.
        error: its standard error; NaN for one seed.
    """

    n: int
    mean: float
    error: float

    def __str__(self) -> str:
        spread = "" if math.isnan(self.error) else f" ± {100 * self.error:.2f}"
        return f"{100 * self.mean:.2f}{spread}"


def summary(records: Sequence[Record], field: str = "test") -> Summary | None:
    """Return the mean and standard error of a field over records; None where none has it."""
    values = np.array([record[field] for record in records if record.get(field) is not None])
    if not len(values):
        return None
    error = values.std(ddof=1) / math.sqrt(len(values)) if len(values) > 1 else math.nan
    return Summary(len(values), float(values.mean()), float(error))


def of_column(records: Sequence[Record], network: str, budget: float) -> dict[str, list[Record]]:
    """Return the records of a network and a budget, by method, in the order of METHODS."""
    here = [r for r in records if r["network"] == network and r["budget"] == budget]
    return {m: found for m in METHODS if (found := [r for r in here if r["method"] == m])}


def tables(protocol: Protocol, records: Sequence[Record]) -> str:
    """Return a table for each network and budget, and how far the default is ahead."""
    parts = [_conditions(protocol)]
    for network, budget in protocol.columns:
        found = of_column(records, network, budget)
        if found:
            parts.append(_table(network, budget, found))
    return "\n\n".join(parts) + "\n"


def _conditions(protocol: Protocol) -> str:
    train = "all" if protocol.train is None else f"{protocol.train:,}"
    counts = ", ".join(f"{n} {k}" for k, n in protocol.evaluations.items())
    return (
        f"Data: {protocol.data}, {train} training images; scores on {protocol.score_images:,} "
        f"held-out images; at most so many scores a method: {counts}. Fine-tuning: "
        f"{protocol.epochs} epochs, peak rate {protocol.rate:g}, distillation "
        f"{protocol.distill:g}. Accuracies in per cent: mean ± standard error over seeds. Seconds "
        f"are of one core."
    )


def _table(network: str, budget: float, found: Mapping[str, Sequence[Record]]) -> str:
    about = original(network)
    whole = f"; the original has {100 * about['test_accuracy']:.2f} %" if about else ""
    lines = [
        f"### {network} at {100 * budget:g} % of the MACs{whole}",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    ours = summary(found.get("default", ()))
    for name, records in found.items():
        done = [record for record in records if "test" in record]
        label = KINDS[METHODS[name].kind] + METHODS[name].label
        accuracy = summary(done)
        if accuracy is None:
            said = f"fails: {records[0]['error']}".replace("|", "/").replace("\n", " ")
            lines.append(f"| {label} | | {said} " + "| " * (len(COLUMNS) - 3) + "|")
            continue
        values = [
            label,
            str(accuracy.n),
            str(accuracy),
            "" if name == "default" else ahead(ours, accuracy),
            str(summary(done, "test_without") or ""),
            f"{100 * _mean(done, 'macs_share'):.1f}",
            f"{_mean(done, 'evaluations'):.0f}",
            f"{_mean(done, 'choosing_seconds'):.0f}",
            f"{_mean(done, 'training_seconds'):.0f}",
        ]
        lines.append(f"| {' | '.join(values)} |")
    return "\n".join(lines)


def ahead(ours: Summary | None, other: Summary) -> str:
    """Return by how many points we are ahead, and how many standard errors of both that is."""
    if ours is None:
        return ""
    points = 100 * (ours.mean - other.mean)
    error = 100 * math.hypot(ours.error, other.error)
    if math.isnan(error) or error == 0:
        return f"{points:+.2f}"
    return f"{points:+.2f} ({points / error:+.1f} se)"


def original(network: str) -> Mapping[str, Any] | None:
    """Return what is known of a trained original; None where it is trained on the spot."""
    file = weights_of(network).with_suffix(".json")
    if not file.is_file():
        return None
    about: Mapping[str, Any] = json.loads(file.read_text("utf-8"))
    return about


def fill_page(page: Path, text: str) -> None:
    """Put the tables into a page of the documentation, between its two marks.

    Raises:
        ValueError: The marks are not there.
    """
    whole = page.read_text("utf-8")
    before, begin, rest = whole.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{page}: expected the lines {BEGIN!r} and {END!r} around the tables")
    page.write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", "utf-8")


def _mean(records: Sequence[Record], field: str) -> float:
    return float(np.mean([record[field] for record in records]))
