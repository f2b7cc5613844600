"""Images: splits that share nothing, and what is no data."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from swarmopt import SettingError
from swarmopt_pruning import Images, PruningError, UnknownName, load_data, split

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
        ("own_data:nothing", PruningError, "expected Splits or"),
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((zeros(4), np.arange(3), *TEST), "one label"),
        ((zeros(8), np.arange(8), zeros(2, 3), np.arange(2)), "different"),
        ((zeros(8), -np.arange(8), *TEST), "from 0"),
        ((zeros(8), np.zeros(8), *TEST), "same label"),
        ((zeros(1), np.zeros(1), *TEST), "cannot be split"),
        ((zeros(8) + np.nan, np.arange(8), *TEST), "NaN"),
        ((zeros(0), np.zeros(0), *TEST), "at least one"),
        ((zeros(8), np.arange(8) + 0.7, *TEST), "whole numbers as labels"),
        ((zeros(8), list("abcdefgh"), *TEST), "expected numbers as labels"),
        (([np.zeros(2), np.zeros(3)], np.arange(2), *TEST), "the images are no array"),
        ((np.array([object()] * 8), np.arange(8), *TEST), "expected numbers as images"),
    ],
)
def test_images_that_do_not_fit_are_named(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(PruningError, match=message):
        split(*arguments)
