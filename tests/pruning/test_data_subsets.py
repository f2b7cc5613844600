"""Subsets: so many images, evenly of all classes, the same ones every time."""

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from swarmopt_pruning import Images, PruningError, Splits, load_data, subset


def numbered(labels: list[int]) -> Images:
    """Return images that are their own number."""
    return Images(torch.arange(len(labels), dtype=torch.float32)[:, None], torch.tensor(labels))


def splits(labels: list[int]) -> Splits:
    return Splits(numbered(labels), numbered([0, 1]), numbered([0, 1]))


@given(rest=st.lists(st.integers(0, 4), max_size=60), data=st.data())
def test_classes_are_as_even_as_can_be(rest: list[int], data: st.DataObject) -> None:
    labels = [0, 1, *rest]
    n = data.draw(st.integers(2, len(labels)))
    train = subset(splits(labels), train=n).train
    assert len(train) == n
    there, taken = torch.bincount(torch.tensor(labels)), torch.bincount(train.y, minlength=5)
    left = [int(taken[c]) for c in range(len(there)) if taken[c] < there[c]]
    assert not left or int(taken.max()) <= min(left) + 1  # who has more to give has given as much
    ids = [int(i) for i in train.x[:, 0]]
    assert ids == sorted(set(ids))  # none twice, in the order they had
    assert train.y.tolist() == [labels[i] for i in ids]


def test_a_smaller_subset_is_part_of_a_larger_and_both_are_repeated() -> None:
    whole = splits([0, 1, 2, 0, 1, 0] * 20)
    small, large = subset(whole, train=30).train, subset(whole, train=70).train
    assert set(small.x[:, 0].tolist()) < set(large.x[:, 0].tolist())
    assert subset(whole, train=30).train.digest() == small.digest()


def test_what_is_not_named_stays_whole_and_sets_stay_apart() -> None:
    digits = load_data("digits")
    some = subset(digits, train=100, held_out=50, test=20)
    assert [len(p) for p in (some.train, some.held_out, some.test)] == [100, 50, 20]
    for name, part in (("train", some.train), ("held_out", some.held_out), ("test", some.test)):
        rows = {x.numpy().tobytes() for x in getattr(digits, name).x}
        assert {x.numpy().tobytes() for x in part.x} <= rows
        assert part.x.is_contiguous()
    assert subset(digits, train=100).test is digits.test


@pytest.mark.parametrize("n", [0, -1, 7, 2.0, True, "3"])
def test_an_impossible_number_is_named(n: Any) -> None:
    with pytest.raises(PruningError, match="train: expected 1 to 6 images"):
        subset(splits([0, 1] * 3), train=n)


def test_a_subset_of_one_class_is_refused() -> None:
    with pytest.raises(PruningError, match="same label"):
        subset(splits([0, 1] * 3), train=1)
