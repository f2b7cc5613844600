"""Images and labels as users give them, as arrays that fit, or an error that says where not."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from swarmopt_pruning.errors import PruningError

GREATEST = 2**31 - 1  # label: more are no classes, and some do not fit into int64


def arrays(x: Any, y: Any, which: str) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return images and labels as arrays.

    Args:
        x: (n, channels, height, width) numbers: an array, a tensor or lists.
        y: (n,) whole numbers from 0, alike.
        which: images they are, for messages: "training" or "test".

    Raises:
        PruningError: They are no such numbers; the first image that is wrong is named.
    """
    images, labels = _numbers(x, f"{which} images"), _numbers(y, f"{which} labels")
    check_shapes(images.shape, labels.shape, f"{which} images: ")
    return _pixels(images, which), _labels(labels, which)


def check_shapes(images: tuple[int, ...], labels: tuple[int, ...], begin: str = "") -> None:
    """Raise PruningError unless there are images, and one label for each.

    Args:
        images: shape of the images.
        labels: shape of the labels.
        begin: of the message.
    """
    if len(images) < 2 or labels != images[:1]:
        raise PruningError(
            f"{begin}expected images (n, channels, height, width) and one label each, got shapes "
            f"{tuple(images)} and {tuple(labels)}"
        )
    if not images[0]:
        raise PruningError(f"{begin}expected at least one image, got none")


def first_wrong(values: NDArray[Any], right: NDArray[np.bool_]) -> str:
    """Return what the first wrong image has, which it is, and how many are wrong.

    Args:
        values: (n, ...) pixels or labels.
        right: (n, ...) which of them are right.
    """
    wrong = np.flatnonzero(~right.reshape(len(right), -1).all(axis=1))
    i = int(wrong[0])
    value = values[i][~right[i]].flat[0] if values.ndim > 1 else values[i]
    return f"got {value} for image {i:,} ({len(wrong):,} of {len(right):,} images)"


def _pixels(images: NDArray[Any], which: str) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        found = images.astype(np.float32, order="C")
    right = np.isfinite(found)
    if right.all():
        return found
    finite = np.isfinite(images)
    if not finite.all():
        raise PruningError(f"{which} images: expected finite pixels, {first_wrong(images, finite)}")
    raise PruningError(
        f"{which} images: expected pixels that float32 can hold, up to "
        f"{np.finfo(np.float32).max:.1e}, {first_wrong(images, right)}; scale them"
    )


def _labels(labels: NDArray[Any], which: str) -> NDArray[np.int64]:
    right: NDArray[np.bool_] = (labels >= 0) & (labels <= GREATEST)
    if labels.dtype.kind == "f":
        right &= labels == np.floor(labels)
    if not right.all():
        raise PruningError(
            f"{which} labels: expected whole numbers from 0, {first_wrong(labels, right)}"
        )
    return labels.astype(np.int64, order="C")


def _numbers(values: Any, what: str) -> NDArray[Any]:
    """Return an array of real numbers from an array, a tensor or lists."""
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise PruningError(f"the {what} are no array: {error}") from error
    if array.dtype.kind not in "buif":
        raise PruningError(f"expected numbers as {what}, got an array of type {array.dtype}")
    return array
