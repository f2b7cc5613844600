"""A folder of images as four IDX files (MNIST's names), or as CIFAR-10's binary batches."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from swarmopt_pruning.arrays import first_wrong
from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.idx import read_idx

Bytes = NDArray[np.uint8]

IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte",
       "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")  # fmt: skip
CIFAR = ("data_batch_*.bin", "test_batch.bin")
RECORD = 1 + 3 * 32 * 32  # a label and the three planes of an image
CIFAR_CLASSES = 10
_EXPECTED = (
    f"the four IDX files {', '.join(IDX)} (each with or without .gz)",
    f"CIFAR-10's binary version ({', '.join(CIFAR)})",
)


@dataclass(frozen=True, eq=False)
class RawImages:
    """Images as the files have them.

    Attributes:
        x: (n, channels, height, width) bytes.
        y: (n,) labels.
        origin: files that they come from, for messages.
    """

    x: Bytes
    y: Bytes
    origin: str

    def check(self, n: int, shape: tuple[int, ...], n_classes: int) -> None:
        """Raise PruningError unless these are n images of a shape with labels below n_classes."""
        if self.x.shape != (n, *shape):
            raise PruningError(
                f"{self.origin}: expected {n:,} images of shape {shape}, got {len(self.x):,} of "
                f"{self.x.shape[1:]}"
            )
        check_labels(self.y, n_classes, self.origin)


def read_folder(folder: Path) -> tuple[RawImages, RawImages]:
    """Return the training and the test images of a folder.

    Args:
        folder: with `train-images-idx3-ubyte` and its three companions, each with or without
            `.gz`, or with `data_batch_*.bin` and `test_batch.bin`.

    Raises:
        PruningError: Files are missing or damaged, or do not fit one another.
    """
    if any(path for pattern in CIFAR for path in folder.glob(pattern)):
        return read_cifar(folder)
    if folder.is_dir():
        return read_idx_folder(folder)
    raise PruningError(f"{folder} is no folder; expected one with {' or '.join(_EXPECTED)}")


def read_idx_folder(folder: Path) -> tuple[RawImages, RawImages]:
    """Return training and test images of four IDX files.

    Raises:
        PruningError: As `read_folder`.
    """
    files = [_idx_file(folder, name) for name in IDX]
    train, test = (_pair(*files[i : i + 2]) for i in (0, 2))
    if train.x.shape[1:] != test.x.shape[1:]:
        raise PruningError(
            f"{folder}: the training images are of {train.x.shape[2:]} pixels, the test images of "
            f"{test.x.shape[2:]}"
        )
    known = np.isin(test.y, train.y)
    if not known.all():
        raise PruningError(
            f"{files[3]}: expected labels that the training images have, {train.y.min()} to "
            f"{train.y.max()}, {first_wrong(test.y, known)}"
        )
    return train, test


def _idx_file(folder: Path, name: str) -> Path:
    """Return the file of a name, or the gzipped one."""
    paths = (folder / name, folder / f"{name}.gz")
    there = [path for path in paths if path.is_file()] or [p for p in paths if p.is_dir()]
    if there:
        return there[0]
    raise PruningError(
        f"{folder / name} is missing, and so is {name}.gz; expected {' or '.join(_EXPECTED)}"
    )


def _pair(images: Path, labels: Path) -> RawImages:
    x, y = read_idx(images, 3), read_idx(labels, 1)
    if len(x) != len(y):
        raise PruningError(
            f"{images} has {len(x):,} images, {labels} has {len(y):,} labels; expected as many"
        )
    if len(np.unique(y)) < 2:
        raise PruningError(f"{labels}: all labels are {y[0]}; expected two classes or more")
    return RawImages(x[:, None], y, f"{images} and {labels}")


def read_cifar(folder: Path) -> tuple[RawImages, RawImages]:
    """Return training and test images of CIFAR-10's binary version.

    Raises:
        PruningError: As `read_folder`.
    """
    batches = sorted(folder.glob(CIFAR[0]))
    test = folder / CIFAR[1]
    if not batches or not test.exists():
        missing = CIFAR[0] if not batches else CIFAR[1]
        raise PruningError(f"{folder / missing} is missing; expected {_EXPECTED[1]}")
    parts = [_batch(path) for path in batches]
    train = RawImages(
        np.concatenate([p.x for p in parts]),
        np.concatenate([p.y for p in parts]),
        f"{folder / CIFAR[0]}",
    )
    if len(np.unique(train.y)) < 2:
        raise PruningError(f"{train.origin}: all labels are {train.y[0]}; expected two or more")
    return train, _batch(test)


def _batch(path: Path) -> RawImages:
    if path.is_dir():
        raise PruningError(f"{path}: expected a file of CIFAR-10's binary version, got a folder")
    try:
        size = path.stat().st_size
        if size == 0:
            raise PruningError(f"{path}: the file is empty; get the file anew")
        if size % RECORD:
            raise PruningError(
                f"{path}: expected a multiple of {RECORD:,} bytes, a label and an image of 3 x 32 "
                f"x 32 each, got {size:,}; get the file anew"
            )
        records = np.fromfile(path, np.uint8).reshape(-1, RECORD)
    except OSError as error:
        raise PruningError(f"{path} cannot be read: {error}") from error
    check_labels(records[:, 0], CIFAR_CLASSES, str(path))
    return RawImages(records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0], str(path))


def check_labels(y: Bytes, n_classes: int, origin: str) -> None:
    """Raise PruningError unless all labels are below n_classes; the first that is not is named."""
    wrong = np.flatnonzero(y >= n_classes)
    if len(wrong):
        raise PruningError(
            f"{origin}: expected labels 0 to {n_classes - 1}, got {y[wrong[0]]} for image "
            f"{wrong[0]:,}; get the file anew"
        )
