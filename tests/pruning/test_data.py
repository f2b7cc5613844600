"""Images: splits that share nothing, and what is no data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from swarmopt import SettingError
from swarmopt_pruning import Images, PruningError, Splits, UnknownName, load_data, split

MODULE = """
import numpy as np
import torch
from swarmopt_pruning import split

def images(n):
    rng = np.random.default_rng(n)
    return rng.random((n, 2, 4, 4)), np.arange(n) % 3

def arrays():
    return (*images(40), *images(9))

def splits():
    return split(*images(40), *images(9), held_out=0.5)

def nothing():
    return 3

def three():
    return (*images(40), images(9)[0])

network = torch.nn.Identity()

def broken():
    raise RuntimeError("no disk")
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_data.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)


def rows(images: Images) -> set[bytes]:
    return {row.numpy().tobytes() for row in images.x}


def test_the_digits_are_split_into_three_sets_that_share_nothing() -> None:
    data = load_data("digits")
    sizes = [len(part) for part in (data.train, data.held_out, data.test)]
    assert sizes == [1078, 360, 359]
    parts = [rows(part) for part in (data.train, data.held_out, data.test)]
    assert sum(len(part) for part in parts) >= 1790  # a few digits are drawn twice in the set
    assert data.train.x.shape[1:] == (1, 8, 8)
    assert data.n_classes == 10
    assert 0 <= data.train.x.min() < data.train.x.max() <= 1
    for part in (data.train, data.held_out, data.test):
        assert len(torch.unique(part.y)) == 10


def test_tensors_and_whole_bytes_are_images_too() -> None:
    x = torch.rand(8, 1, 2, 2, requires_grad=True)
    data = split(x, torch.arange(8), np.zeros((2, 1, 2, 2), np.uint8), [0, 1])
    assert not data.train.x.requires_grad
    assert data.test.x.dtype == torch.float32
    assert data.test.y.tolist() == [0, 1]


def test_the_split_and_its_digest_are_the_same_every_time() -> None:
    one, other = load_data("digits"), load_data("digits")
    assert torch.equal(one.held_out.x, other.held_out.x)
    assert one.train.digest() == other.train.digest()
    assert Images(one.train.x + 1, one.train.y).digest() != one.train.digest()


@pytest.mark.usefixtures("module")
def test_data_of_the_users_own() -> None:
    data = load_data("own_data:arrays")
    assert [len(p) for p in (data.train, data.held_out, data.test)] == [30, 10, 9]
    assert data.train.x.dtype == torch.float32
    assert not rows(data.train) & rows(data.held_out)
    assert len(load_data("own_data:splits").held_out) == 20


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("digit", UnknownName, "did you mean 'digits'"),
        ("own_data.arrays", UnknownName, "did you mean 'own_data:arrays'"),
        ("own_data:array", SettingError, "did you mean 'arrays'"),
        ("own_data:nothing", PruningError, "expected Splits or .*, got a int"),
        ("own_data:three", PruningError, "expected Splits or .*, got a tuple of 3 values"),
        ("own_data:network", SettingError, "expected a function, got a network, Identity; write"),
        ("own_data", UnknownName, "one of your own is given as package.module:function"),
        ("", PruningError, "data is empty; expected digits, fashion-mnist, cifar10, ./folder"),
        ("own_data:broken", SettingError, "raised RuntimeError: no disk"),
        ("no_such_module:f", SettingError, "cannot be imported"),
    ],
)
def test_what_is_no_data_is_named(name: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        load_data(name)


def zeros(n: int, size: int = 2) -> Any:
    return np.zeros((n, 1, size, size))


TEST = (zeros(2), np.arange(2))


def with_one(values: Any, index: int, value: float) -> Any:
    """Return numbers with another one for one image."""
    changed = values.astype(float)
    changed[index] = value
    return changed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((zeros(4), np.arange(3), *TEST), "one label"),
        ((zeros(8), np.arange(8), zeros(2, 3), np.arange(2)), "different"),
        ((zeros(8), -np.arange(8), *TEST), "from 0"),
        ((zeros(8), np.zeros(8), *TEST), "train: expected images of two .* same label, 0, for 6"),
        ((zeros(8), np.arange(8), zeros(2), np.ones(2)), "test: expected .* same label, 1, for 2"),
        ((zeros(1), np.zeros(1), *TEST), "cannot be split"),
        (
            (with_one(zeros(8), 5, np.nan), np.arange(8), *TEST),
            r"training images: expected finite pixels, got nan for image 5 \(1 of 8",
        ),
        (
            (zeros(8), np.arange(8), with_one(zeros(2), 1, np.inf), np.arange(2)),
            r"test images: expected finite pixels, got inf for image 1 \(1 of 2",
        ),
        (
            (zeros(8) + 1e300, np.arange(8), *TEST),
            r"float32 can hold, up to 3\.4e\+38, got 1e\+300 for image 0 \(8 of 8",
        ),
        ((zeros(0), np.zeros(0), *TEST), "training images: expected at least one"),
        ((zeros(8), np.arange(8), zeros(0), np.zeros(0)), "test images: expected at least one"),
        ((zeros(8), np.arange(8) + 0.7, *TEST), r"whole numbers from 0, got 0\.7 for image 0"),
        ((zeros(8), with_one(np.arange(8), 3, np.nan), *TEST), r"got nan for image 3 \(1 of 8"),
        ((zeros(8), with_one(np.arange(8), 7, 1e30), *TEST), r"got 1e\+30 for image 7 \(1 of 8"),
        ((zeros(8), list("abcdefgh"), *TEST), "expected numbers as training labels"),
        (([np.zeros(2), np.zeros(3)], np.arange(2), *TEST), "the training images are no array"),
        ((np.array([object()] * 8), np.arange(8), *TEST), "expected numbers as training images"),
    ],
)
def test_images_that_do_not_fit_are_named(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(PruningError, match=message):
        split(*arguments)


def made(n: int = 8, n_classes: int = 2) -> Images:
    return Images(torch.zeros(n, 1, 2, 2), torch.arange(n) % n_classes)


@pytest.mark.parametrize(
    ("name", "part", "message"),
    [
        ("test", None, "Splits: expected Images as test, got NoneType"),
        ("held_out", (1, 2), "Splits: expected Images as held_out, got tuple"),
        ("train", Images(made().x.double(), made().y), r"train: .* torch.float32, got .*float64"),
        (
            "test",
            Images(made().x, made().y.float()),
            r"test: .*labels of torch.int64, got .*\.long",
        ),
        ("test", Images(made().x, made().y - 1), r"test: .* from 0, got -1 for image 0 \(4 of 8"),
    ],
)
def test_splits_of_the_users_own_are_checked_set_by_set(name: str, part: Any, message: str) -> None:
    whole = {"train": made(), "held_out": made(), "test": made(), name: part}
    with pytest.raises(PruningError, match=message):
        Splits(**whole)


def test_images_are_tensors_with_finite_pixels() -> None:
    arrays: Any = zeros(4), np.arange(4)
    with pytest.raises(
        PruningError, match=r"a tensor of images, got ndarray \(4, 1, 2, 2\); .*split"
    ):
        Images(*arrays)
    with pytest.raises(PruningError, match="a tensor of labels, got ndarray"):
        Images(made(4).x, arrays[1])
    x = made().x.clone()
    x[3, 0, 1, 1] = torch.inf
    with pytest.raises(PruningError, match=r"finite pixels, got inf for image 3 \(1 of 8 images"):
        Images(x, made().y)
