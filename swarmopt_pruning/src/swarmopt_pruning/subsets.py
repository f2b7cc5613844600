"""Fewer images, the same ones every time, with classes as even as can be."""

import numpy as np
import torch

from swarmopt_pruning.data import Images, Splits
from swarmopt_pruning.errors import PruningError


def subset(
    splits: Splits,
    *,
    train: int | None = None,
    held_out: int | None = None,
    test: int | None = None,
) -> Splits:
    """Return so many images of each split, in the order they had; a smaller subset is in a larger.

    Args:
        splits: to take from.
        train: images of the training split; None takes all.
        held_out: of the held-out split.
        test: of the test split.

    Raises:
        PruningError: A number is not between 1 and what there is.
    """
    return Splits(
        _taken(splits.train, train, "train"),
        _taken(splits.held_out, held_out, "held_out"),
        _taken(splits.test, test, "test"),
    )


def _taken(images: Images, n: int | None, name: str) -> Images:
    """Return n images, from all classes in turn."""
    if n is None:
        return images
    if type(n) is not int or not 1 <= n <= len(images):
        raise PruningError(f"{name}: expected 1 to {len(images):,} images, got {n!r}")
    order = np.random.Generator(np.random.Philox(key=2)).permutation(len(images))
    labels = images.y.cpu().numpy()[order]
    by_class = np.argsort(labels, kind="stable")
    begins = np.searchsorted(labels[by_class], labels[by_class])
    turn = np.empty_like(order)  # how many of the same class come before
    turn[by_class] = np.arange(len(order)) - begins
    chosen = torch.from_numpy(np.sort(order[np.lexsort((labels, turn))[:n]]))
    return Images(images.x[chosen], images.y[chosen])
