"""How many channels stay, or which: what can be asked of a graph."""

from typing import Any

import numpy as np
import pytest
import torch
from layers import images

from swarmopt_pruning.errors import PruningError, UnknownName
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.models import build


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"conv1": 0}, r"cannot keep 0 channels; it has 16, and 1\.\.16 are possible"),
        ({"conv1": 17}, "cannot keep 17 channels"),
        ({"conv1": []}, "at least one index"),
        ({"conv1": [0, 16]}, r"has channels 0\.\.15, so there is no 16"),
        ({"conv1": [-1]}, "there is no -1"),
        ({"conv1": [3, 3]}, "listed twice"),
        ({"conv1": 2.5}, "expected a number of channels or a list"),
        ({"conv1": True}, "expected a number of channels or a list"),
        ([1, 2], r"expected a dictionary from groups .*got \[1, 2\]"),
        ({"conv11": 3}, "no group named 'conv11'; did you mean 'conv1'"),
    ],
)
def test_an_impossible_choice_is_refused_with_what_is_possible(choice: Any, message: str) -> None:
    graph = ChannelGraph.trace(build("digits-cnn"), (images(1),), verify=False)
    with pytest.raises(PruningError, match=message):
        graph.plan(choice)


def test_listed_channels_stay_and_groups_that_are_not_named_are_whole() -> None:
    model = build("digits-cnn")
    graph = ChannelGraph.trace(model, (images(1),), verify=False)
    plan = graph.plan({"conv2": [9, 0, 4]})
    assert plan.kept["conv2"] == (0, 4, 9)
    assert plan.kept["conv1"] == tuple(range(16))
    small = plan.apply(model)
    torch.testing.assert_close(
        small.get_parameter("conv2.weight"), model.get_parameter("conv2.weight")[[0, 4, 9]]
    )


def test_scores_of_ones_own_decide_and_have_to_fit() -> None:
    graph = ChannelGraph.trace(build("digits-cnn"), (images(1),), verify=False)
    scores = {"conv1": np.arange(16.0)}
    assert graph.plan({"conv1": 3}, importance=scores).kept["conv1"] == (13, 14, 15)
    with pytest.raises(PruningError, match=r"shape \(15,\), expected \(16,\)"):
        graph.plan({"conv1": 3}, importance={"conv1": np.arange(15.0)})
    with pytest.raises(UnknownName, match="given scores"):
        graph.plan({"conv2": 3}, importance=scores)
    with pytest.raises(PruningError, match=r"have 1 NaN of 16.*-inf"):
        graph.plan({"conv1": 3}, importance={"conv1": np.array([np.nan] + [1.0] * 15)})
    with pytest.raises(PruningError, match=r"expected a name, one of l1.* got None"):
        graph.plan({"conv1": 3}, importance=None)  # type: ignore[arg-type]
