"""Which classes images have, and labels that a built-in network cannot be made for.

A built-in network has one output for each label from 0 to the greatest, and learns from the
training images alone.
"""

import torch

from swarmopt_pruning.data import Splits
from swarmopt_pruning.errors import PruningError

RENUMBER = "number the classes 0 to n-1, alike for training and test images"


def check_classes(data: Splits) -> None:
    """Raise PruningError unless a network can be made and trained for the labels.

    Every label of a test image must be one that a training image has (those that are held out
    count), and at least half of the labels from 0 to the greatest must be.
    """
    there = torch.unique(torch.cat([data.train.y, data.held_out.y]))
    foreign = (~torch.isin(data.test.y, there)).nonzero().flatten()
    if len(foreign):
        first = int(foreign[0])
        raise PruningError(
            f"data: image {first:,} of the test split has the label {int(data.test.y[first]):,}, "
            f"which no training image has ({len(foreign):,} of {len(data.test):,} test images have "
            f"such labels), so that no network can learn it; {RENUMBER}, or leave such images out"
        )
    if 2 * len(there) < data.n_classes:
        raise PruningError(
            f"data: {greatest_label(data)}, so a built-in network would have {data.n_classes:,} "
            f"outputs, and no training image has {data.n_classes - len(there):,} of these labels; "
            f"expected at least half of the labels 0 to the greatest; {RENUMBER}"
        )


def greatest_label(data: Splits) -> str:
    """Return which image has the greatest label, and how many of its split have it."""
    greatest = data.n_classes - 1
    name, labels = next(
        (name, part.y) for name, part in data.parts().items() if (part.y == greatest).any()
    )
    having = (labels == greatest).nonzero().flatten()
    return (
        f"image {int(having[0]):,} of the {name} split has the label {greatest:,} ({len(having):,} "
        f"of {len(labels):,} have it)"
    )
