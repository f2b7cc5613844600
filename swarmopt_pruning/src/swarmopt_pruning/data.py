"""Images for training, scoring and the final test, kept apart.

Scoring gets `train` and `held_out` only; the test images travel in a field of their own that
nothing but the final report reads.

Of `fashion-mnist`, `cifar10` and folders the pixels are shifted and scaled channel by channel so
that those of the training split have mean 0 and deviation 1; `digits` stay in [0, 1], and what a
function of the user's own returns stays as it is.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from swarmopt.words import count_text
from swarmopt_pruning.arrays import arrays, check_shapes, first_wrong
from swarmopt_pruning.errors import PruningError, UnknownName
from swarmopt_pruning.image_folder import RawImages, read_folder
from swarmopt_pruning.named_data import cifar10, fashion_mnist
from swarmopt_pruning.own import call_user

HELD_OUT = 0.25  # share of the training images that scores candidates


@dataclass(frozen=True, eq=False)
class Images:
    """Images and their labels.

    Attributes:
        x: (n, channels, height, width) float32.
        y: (n,) int64 labels from 0.
    """

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        for what, given in (("images", self.x), ("labels", self.y)):
            if not isinstance(given, Tensor):
                shape = getattr(given, "shape", "")
                raise PruningError(
                    f"Images: expected a tensor of {what}, got {type(given).__name__} {shape}; "
                    f"swarmopt_pruning.split(x, y, test_x, test_y) takes arrays and lists, too"
                )
        check_shapes(self.x.shape, self.y.shape)
        finite = torch.isfinite(self.x)
        if not finite.all():
            wrong = first_wrong(self.x.detach().cpu().numpy(), finite.cpu().numpy())
            raise PruningError(f"expected finite pixels, {wrong}")

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: slice) -> "Images":
        return Images(self.x[rows], self.y[rows])

    def to(self, device: torch.device) -> "Images":
        """Return the images on a device; these, where they are there."""
        return self if self.x.device == device else Images(self.x.to(device), self.y.to(device))

    def digest(self) -> str:
        """Return a hash of images and labels, by which what was learnt of them is found again."""
        hashed = blake2b(digest_size=16)
        for tensor in (self.x, self.y):
            hashed.update(repr((tensor.dtype, tuple(tensor.shape))).encode())
            hashed.update(tensor.cpu().contiguous().numpy().tobytes())
        return hashed.hexdigest()


@dataclass(frozen=True, eq=False)
class Splits:
    """Three sets of images that share none.

    Attributes:
        train: trains and recalibrates.
        held_out: scores candidates.
        test: is looked at once, at the end.
    """

    train: Images
    held_out: Images
    test: Images

    def __post_init__(self) -> None:
        parts = self.parts()
        for name, part in parts.items():
            _check_part(name, part)
        shapes = {name: tuple(part.x.shape[1:]) for name, part in parts.items()}
        if len(set(shapes.values())) > 1:
            raise PruningError(f"the splits have images of different shapes: {shapes}")
        for name, use in (("train", "nothing can be learnt"), ("test", "nothing can be tested")):
            label = int(parts[name].y[0])
            if (parts[name].y == label).all():
                raise PruningError(
                    f"{name}: expected images of two classes or more, got the same label, {label}, "
                    f"for {count_text(len(parts[name]), 'image')}; {use}"
                )

    def parts(self) -> dict[str, Images]:
        """Return the sets by name."""
        return {"train": self.train, "held_out": self.held_out, "test": self.test}

    def to(self, device: torch.device) -> "Splits":
        """Return the images on a device."""
        return Splits(*(part.to(device) for part in self.parts().values()))

    def digest(self) -> tuple[str, str]:
        """Return a hash of each set that scores come from; the test images are not looked at."""
        return self.train.digest(), self.held_out.digest()

    @property
    def nbytes(self) -> int:
        """Bytes of all images."""
        return sum(part.x.nbytes for part in self.parts().values())

    @property
    def n_classes(self) -> int:
        """One more than the greatest label."""
        return 1 + max(int(part.y.max()) for part in self.parts().values())


def _check_part(name: str, part: object) -> None:
    """Raise PruningError unless this is a set of float32 images with labels from 0."""
    if not isinstance(part, Images):
        raise PruningError(
            f"Splits: expected Images as {name}, got {type(part).__name__}; "
            f"swarmopt_pruning.split(x, y, test_x, test_y) makes all three"
        )
    for what, tensor, dtype, cure in (
        ("images", part.x, torch.float32, "float"),
        ("labels", part.y, torch.int64, "long"),
    ):
        if tensor.dtype != dtype:
            raise PruningError(
                f"{name}: expected {what} of {dtype}, got {tensor.dtype}; call .{cure}() on them"
            )
    right = part.y >= 0
    if not right.all():
        wrong = first_wrong(part.y.cpu().numpy(), right.cpu().numpy())
        raise PruningError(f"{name}: expected labels from 0, {wrong}")


def split(x: Any, y: Any, test_x: Any, test_y: Any, *, held_out: float = HELD_OUT) -> Splits:
    """Return splits of training and test images; the held-out ones are taken from the former.

    Args:
        x: (n, channels, height, width) training images, an array or tensor.
        y: (n,) labels from 0.
        test_x: (m, channels, height, width) test images.
        test_y: (m,) labels.
        held_out: share of the training images that scores candidates.

    Raises:
        PruningError: Shapes or labels do not fit.
    """
    training, test = _images(x, y, "training"), _images(test_x, test_y, "test")
    train, held = (torch.from_numpy(rows) for rows in _divided(len(training), held_out))
    return Splits(
        Images(training.x[train], training.y[train]),
        Images(training.x[held], training.y[held]),
        test,
    )


def _divided(n: int, held_out: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return which of n images train and which are held out: the same ones every time."""
    order = np.random.Generator(np.random.Philox(key=0)).permutation(n)
    n_held = round(held_out * n)
    if not 0 < n_held < n:
        raise PruningError(
            f"{n} training images cannot be split: {held_out:.0%} of them held out "
            f"leaves one side empty"
        )
    return order[n_held:], order[:n_held]


def split_bytes(training: RawImages, test: RawImages, *, held_out: float = HELD_OUT) -> Splits:
    """Return splits of images that are bytes, normalised per channel.

    Args:
        training: of which a share is held out.
        test: the test images.
        held_out: that share.
    """
    train, held = _divided(len(training.x), held_out)
    seen = training.x[train]
    mean = seen.mean(axis=(0, 2, 3), dtype=np.float64)
    squares = (np.arange(256) ** 2).astype(np.uint16)[seen]
    spread = np.sqrt(squares.mean(axis=(0, 2, 3), dtype=np.float64) - mean**2)
    spread = np.maximum(spread, 1.0)  # a channel that is the same everywhere stays near 0

    def images(x: NDArray[np.uint8], y: NDArray[np.uint8]) -> Images:
        pixels = x.astype(np.float32)
        pixels -= mean[:, None, None].astype(np.float32)
        pixels /= spread[:, None, None].astype(np.float32)
        return Images(torch.from_numpy(pixels), torch.from_numpy(y.astype(np.int64)))

    return Splits(
        images(seen, training.y[train]),
        images(training.x[held], training.y[held]),
        images(test.x, test.y),
    )


def _images(x: Any, y: Any, which: str) -> Images:
    pixels, labels = arrays(x, y, which)
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))


def digits() -> Splits:
    """Return scikit-learn's digits: 1,797 images of 8x8 pixels, a fifth of them for the test."""
    from sklearn.datasets import load_digits

    found = load_digits()
    x = (found.images[:, None] / 16.0).astype(np.float32)
    order = np.random.Generator(np.random.Philox(key=1)).permutation(len(x))
    n_test = len(x) // 5
    test, rest = order[:n_test], order[n_test:]
    return split(x[rest], found.target[rest], x[test], found.target[test])


DATA: dict[str, Callable[[], Splits]] = {
    "digits": digits,
    "fashion-mnist": lambda: split_bytes(*fashion_mnist()),
    "cifar10": lambda: split_bytes(*cifar10()),
}
"""Function that loads a data set, by its name."""


def load_data(name: str | Splits) -> Splits:
    """Return a named data set, that of a folder, or what a function of the user's own returns.

    Args:
        name: a key of `DATA`; a folder of IDX files or of CIFAR-10's binary batches, as a path with
            a separator in it, such as ./mnist; or "package.module:function". The function takes
            nothing and returns `Splits`, or (x, y, test_x, test_y) as `split` takes them. Splits
            are returned as is.

    Raises:
        UnknownName: There is no such data set.
        SettingError: The function cannot be imported or fails.
        PruningError: What it returns is no data, or files are missing or damaged.
    """
    if isinstance(name, Splits):
        return name
    if not isinstance(name, str):
        raise PruningError(
            f"data: expected a name or swarmopt_pruning.Splits, got {type(name).__name__}; make "
            f"some with swarmopt_pruning.split(x, y, test_x, test_y)"
        )
    if not name.strip():
        raise PruningError(
            f"data is empty; expected {', '.join(DATA)}, ./folder or package.module:function"
        )
    if name in DATA:
        return DATA[name]()
    path = Path(name).expanduser()
    if os.sep in name or path.is_dir():
        return split_bytes(*read_folder(path))
    if ":" not in name:
        raise UnknownName("data set", name, [*DATA, "./folder"], own=True)
    try:
        found = call_user(name, "data")
        if isinstance(found, Splits):
            return found
        if isinstance(found, tuple | list) and len(found) == 4:
            return split(*found)
    except PruningError as error:
        raise PruningError(f"data={name}: {error}") from error
    several = f" of {len(found)} values" if isinstance(found, tuple | list) else ""
    raise PruningError(
        f"data={name}: expected Splits or (x, y, test_x, test_y), got a {type(found).__name__}"
        f"{several}"
    )
