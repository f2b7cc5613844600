"""Labels that no built-in network can be made for are told of before one is made."""

from typing import Any

import numpy as np
import pytest
import torch

from swarmopt_pruning import ChannelPruning, PruningError, Splits, split
from swarmopt_pruning.classes import check_classes, greatest_label

N, N_TEST = 80, 20


def data(labels: Any = (), test: Any = ()) -> Splits:
    """Return images of four classes, some of which have other labels: (index, label)."""
    y, test_y = np.arange(N) % 4, np.arange(N_TEST) % 4
    for changed, pairs in ((y, labels), (test_y, test)):
        for i, label in pairs:
            changed[i] = label
    return split(np.zeros((N, 1, 8, 8)), y, np.zeros((N_TEST, 1, 8, 8)), test_y)


def test_a_test_label_that_no_training_image_has_is_named_with_its_image() -> None:
    message = r"image 7 of the test split has the label 12, .* \(1 of 20 .*; number the classes"
    with pytest.raises(PruningError, match=message):
        check_classes(data(test=[(7, 12)]))
    check_classes(data(labels=[(0, 4)], test=[(7, 4)]))  # whichever part of them it fell to


def test_one_absurd_label_builds_no_network_of_so_many_outputs() -> None:
    absurd = data(labels=[(7, 10**7)])
    message = (
        r"has the label 10,000,000 \(1 of [26]0 have it\), so a built-in network would have "
        r"10,000,001 outputs, and no training image has 9,999,996 of"
    )
    with pytest.raises(PruningError, match=message):
        ChannelPruning(model="digits-cnn", data=absurd)


def test_half_of_the_labels_may_be_of_no_image() -> None:
    check_classes(data(labels=[(7, 9)]))  # 5 of 10
    with pytest.raises(PruningError, match="would have 11 outputs"):
        check_classes(data(labels=[(7, 10)]))


def test_a_network_of_the_users_own_may_know_more_classes_than_there_are_images() -> None:
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(1, 4, 3), torch.nn.Flatten(), torch.nn.Linear(144, 100)
    ChannelPruning(model=torch.nn.Sequential(*layers), data=data(test=[(7, 99)]))
    message = r"go up to 100: image 7 of the test split has the label 100 \(1 of 20 have it\)"
    with pytest.raises(PruningError, match=message):
        ChannelPruning(model=torch.nn.Sequential(*layers), data=data(test=[(7, 100)]))


def test_the_greatest_label_is_looked_for_in_all_splits() -> None:
    found = data()
    first = int((found.train.y == 3).nonzero()[0])
    assert greatest_label(found).startswith(f"image {first} of the train split has the label 3 (")
    assert greatest_label(data(test=[(2, 5), (4, 5)])).startswith(
        "image 2 of the test split has the label 5 (2 of 20"
    )
