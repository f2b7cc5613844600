"""The Pareto front of everything a search evaluated: accuracy, MACs, parameters."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from swarmopt_pruning.files import write_whole
from swarmopt_pruning.measure import sampling_error

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What a search has scored to the end.

    Attributes:
        counts: (n, groups) channels kept.
        accuracy: (n,) held-out accuracy before any training.
        macs: (n,) multiply-adds.
        params: (n,) parameters.
        images: that the accuracies are of.
    """

    counts: Ints
    accuracy: Floats
    macs: Ints
    params: Ints
    images: int

    def front(self) -> Ints:
        """Return the candidates that no other one beats: the cheapest first.

        One beats another where it is no worse in accuracy, MACs and parameters, and better in one
        of them. Of equal ones the first is taken.
        """
        figures = np.stack([-self.accuracy, self.macs, self.params], axis=1).astype(float)
        found: list[int] = []
        for row in np.lexsort(figures.T[::-1]):  # what beats a candidate comes before it
            if not any((figures[other] <= figures[row]).all() for other in found):
                found.append(int(row))
        best = np.array(found, dtype=np.int64)
        return best[np.argsort(self.macs[best], kind="stable")]


def write_front(evaluated: Evaluated, names: Sequence[str], file: Path, picture: Path) -> None:
    """Write the front as CSV, and a picture of all candidates.

    Args:
        evaluated: at least one candidate.
        names: of the groups.
        file: of the table.
        picture: PNG.
    """
    from swarmopt.plots.parts import front as draw  # half a second of matplotlib: no worker draws
    from swarmopt.plots.style import as_bytes

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["held_out_accuracy", "held_out_error", "macs", "params", *names])
    for row in evaluated.front().tolist():
        accuracy = evaluated.accuracy[row].item()
        error = round(sampling_error(accuracy, evaluated.images), 6)
        costs = evaluated.macs[row].item(), evaluated.params[row].item()
        writer.writerow([accuracy, error, *costs, *evaluated.counts[row].tolist()])
    write_whole(file, text.getvalue().encode())
    drawn = draw(
        evaluated.macs.astype(float),
        100 * evaluated.accuracy,
        x_label="MACs",
        y_label="held-out accuracy, %",
        more_y=True,
        title="Scored before any training",
    )
    write_whole(picture, as_bytes(drawn, "png"))
