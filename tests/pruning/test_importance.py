"""Importance looks at everything that makes a channel, and decides the same way every time."""

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from swarmopt_pruning.errors import PruningError, UnknownName
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.importance import IMPORTANCES, keep_indices
from swarmopt_pruning.models import build

torch.set_num_threads(1)

EXAMPLE = (torch.zeros(1, 1, 8, 8),)


def filters(model: nn.Module, *layers: str) -> Tensor:
    """Return all filters of the layers side by side: (channels, elements)."""
    weights = [model.get_parameter(f"{layer}.weight").detach() for layer in layers]
    return torch.cat([weight.flatten(1) for weight in weights], dim=1).double()


def test_norms_are_taken_over_all_layers_that_make_the_channel() -> None:
    model = build("digits-resnet")
    graph = ChannelGraph.trace(model, EXAMPLE, verify=False)
    both = filters(model, "layer2.0.conv2", "layer2.0.shortcut.conv")
    found = graph.scores("l1")["layer2.0.conv2"]
    np.testing.assert_allclose(found, both.abs().sum(1).numpy(), rtol=1e-12)
    found = graph.scores("l2")["layer2.0.conv2"]
    np.testing.assert_allclose(found, both.norm(dim=1).numpy(), rtol=1e-12)


def test_scales_are_summed_over_all_normalisations_without_their_sign() -> None:
    model = build("digits-resnet")
    graph = ChannelGraph.trace(model, EXAMPLE, verify=False)
    with torch.no_grad():
        model.get_parameter("layer2.0.bn2.weight").copy_(-torch.arange(24.0))
        model.get_parameter("layer2.0.shortcut.bn.weight").fill_(2)
    assert graph.scores("bn-scale")["layer2.0.conv2"].tolist() == list(range(2, 26))


def test_importance_reads_the_weights_as_they_are_now() -> None:
    model = build("digits-cnn")
    graph = ChannelGraph.trace(model, EXAMPLE, verify=False)
    with torch.no_grad():
        model.get_parameter("conv1.weight")[[2, 11]] *= 100
    assert graph.plan({"conv1": 2}, importance="l1").kept["conv1"] == (2, 11)
    assert graph.plan({"conv1": 2}, importance="l2").kept["conv1"] == (2, 11)


def test_a_block_is_scored_as_a_whole() -> None:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.Conv2d(4, 8, 1, groups=2, bias=False), nn.Conv2d(8, 2, 1)
    )
    graph = ChannelGraph.trace(model, EXAMPLE, verify=False)
    with torch.no_grad():
        model.get_parameter("1.weight").copy_(torch.arange(8.0).view(8, 1, 1, 1).expand(8, 2, 1, 1))
    assert graph.scores()["1"].tolist() == [2 * (u + u + 4) for u in range(4)]
    assert graph.plan({"1": 4}).kept["1"] == (2, 3, 6, 7)


def test_random_scores_depend_on_seed_and_group_alone() -> None:
    model = build("digits-cnn")
    graph = ChannelGraph.trace(model, EXAMPLE, verify=False)
    first, again = graph.scores("random", seed=1), graph.scores("random", seed=1)
    assert all((first[name] == again[name]).all() for name in graph.names)
    assert not (first["conv2"] == graph.scores("random", seed=2)["conv2"]).any()
    assert not (first["conv2"] == first["conv3"]).any()
    plan = graph.plan({"conv2": 5}, importance="random", seed=1)
    assert plan.kept["conv2"] == tuple(keep_indices(first["conv2"], 5))


def test_scale_importance_without_a_scale_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 1))
    graph = ChannelGraph.trace(model, EXAMPLE, verify=False)
    with pytest.raises(PruningError, match="group '0' has no normalisation"):
        graph.plan({"0": 2}, importance="bn-scale")


def test_a_misspelt_importance_is_answered_with_the_nearest_name() -> None:
    graph = ChannelGraph.trace(build("digits-cnn"), EXAMPLE, verify=False)
    with pytest.raises(UnknownName, match="did you mean 'bn-scale'"):
        graph.plan({"conv1": 2}, importance="bnscale")


@pytest.mark.parametrize("name", sorted(set(IMPORTANCES) - {"taylor"}))
def test_more_channels_keep_all_that_fewer_keep(name: str) -> None:
    graph = ChannelGraph.trace(build("digits-cnn"), EXAMPLE, verify=False)
    kept = [set(graph.plan({"conv1": n}, importance=name).kept["conv1"]) for n in range(1, 17)]
    assert [len(k) for k in kept] == list(range(1, 17))
    assert all(less < more for less, more in itertools.pairwise(kept))


def test_kept_indices_ascend_ties_go_to_the_lower_index_and_nan_ranks_last() -> None:
    assert keep_indices(np.array([1.0, 3.0, 2.0, 3.0]), 3).tolist() == [1, 2, 3]
    assert keep_indices(np.zeros(5), 2).tolist() == [0, 1]
    assert keep_indices(np.array([np.nan, -1.0, np.nan]), 2).tolist() == [0, 1]
    for count in (0, 6):
        with pytest.raises(ValueError, match=f"cannot keep {count} of 5"):
            keep_indices(np.zeros(5), count)
