"""Batch normalisation folded into convolutions: the same network, or left as it is."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from swarmopt_pruning import build
from swarmopt_pruning.folding import Pair, foldable, folded, folded_copy
from swarmopt_pruning.models import MODELS
from swarmopt_pruning.trace import first_names

WITHOUT = {"densenet40", "tiny-dense", "tiny-functional"}  # none has a norm right after a layer
LARGE = {"resnet32", "resnet56", "vgg16-bn", "googlenet", "mobilenet-v2", "shufflenet-v1"}
LARGE |= {"shufflenet-v2", "densenet40", "resnet20", "vgg9-bn", "resnet20-s2", "mobilenet-v2-s2"}


def network(name: str) -> tuple[nn.Module, Tensor]:
    """Build a network whose normalisations do something, and images."""
    torch.manual_seed(0)
    model = build(name)
    return trained(model), torch.randn(2, channels(model), 32 if name in LARGE else 8, 32)


def channels(model: nn.Module) -> int:
    weight = next(p for p in model.parameters() if p.dim() > 2)
    return int(weight.shape[1])


def trained(model: nn.Module) -> nn.Module:
    """Give normalisations statistics and scales as if they had been trained."""
    for module in model.modules():
        if isinstance(module, _BatchNorm) and module.running_mean is not None:
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.3)
    return model.eval()


def check(model: nn.Module, x: Tensor) -> list[Pair]:
    """Compare a network with its folded copy; return what was folded."""
    tensors = {name: tensor.detach() for name, tensor in first_names(model)[0].items()}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    pairs = foldable(model, (x,))
    eps: dict[str, Any] = {pair.norm: model.get_submodule(pair.norm).eps for pair in pairs}
    copied = folded_copy(model, pairs)
    with torch.no_grad():
        wanted = model(x)
        found = functional_call(copied, folded(tensors, pairs, eps), (x,))
    torch.testing.assert_close(found, wanted, rtol=0, atol=2e-5 * float(wanted.abs().max()))
    assert all(torch.equal(tensors[name], tensor) for name, tensor in before.items())
    assert all(isinstance(copied.get_submodule(pair.norm), nn.Identity) for pair in pairs)
    return pairs


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in LARGE else []) for n in MODELS]
)
def test_a_folded_network_answers_as_the_network_does(name: str) -> None:
    pairs = check(*network(name))
    assert bool(pairs) != (name in WITHOUT)


def test_every_norm_behind_a_convolution_of_a_residual_network_is_folded() -> None:
    model, x = network("digits-resnet")
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    assert len(check(model, x)) == len(norms)


class Net(nn.Module):
    """A convolution and a normalisation, put together in different ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.one, self.two = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.Conv2d(3, 3, 1)
        self.norm, self.other = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        if way == "other statistics":
            self.norm = nn.BatchNorm2d(3, track_running_stats=False)
        if way == "shared scale":
            self.other.weight = self.norm.weight
        if way == "shared weight":
            self.two = nn.Conv2d(3, 3, 3, padding=1)
            self.two.weight = self.one.weight
        if way == "transposed":
            self.one = nn.ConvTranspose2d(3, 3, 3, padding=1)  # type: ignore[assignment]
        if way == "own forward":
            self.one = Unbiased(3, 3, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.one(x)
        z: Tensor = self.norm(y)
        match self.way:
            case "norm on two convolutions":
                z = z + self.norm(self.two(x))
            case "norm on an image too":
                z = z + self.norm(x)
            case "convolution called twice":
                z = z + self.one(z)
            case "convolution read twice":
                z = z + y
            case "scale read elsewhere":
                z = z * self.norm.weight[:, None, None]
            case "mean read elsewhere" if self.norm.running_mean is not None:
                z = z - self.norm.running_mean[:, None, None]
            case "weight read elsewhere":
                z = z * self.one.weight.mean()
            case "features asked for":
                z = z * self.norm.num_features
            case "shared scale":
                z = z + self.other(self.two(x))
            case "shared weight":
                z = z + self.two(x)
        return z


class Unbiased(nn.Conv2d):
    """A convolution whose own code knows no bias."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.conv2d(x, self.weight, None, padding=1)


@pytest.mark.parametrize(
    "way",
    [
        "norm on two convolutions", "norm on an image too", "convolution called twice",
        "convolution read twice", "scale read elsewhere", "mean read elsewhere",
        "weight read elsewhere", "features asked for", "shared scale", "shared weight",
        "other statistics", "transposed", "own forward",
    ],
)  # fmt: skip
def test_what_is_used_in_another_way_too_is_not_folded(way: str) -> None:
    torch.manual_seed(0)
    assert check(trained(Net(way)), torch.randn(4, 3, 5, 5)) == []


@pytest.mark.parametrize(
    ("layer", "norm", "shape"),
    [
        (nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4), (3, 8)),
        (nn.Conv3d(3, 4, 2, bias=False), nn.BatchNorm3d(4, affine=False), (3, 4, 4, 4)),
        (nn.Conv2d(3, 6, 3, groups=3), nn.BatchNorm2d(6, eps=0.1), (3, 5, 5)),
    ],
)
def test_pairs_of_every_dimension_are_folded(
    layer: nn.Module, norm: nn.Module, shape: tuple[int, ...]
) -> None:
    model = trained(nn.Sequential(layer, norm, nn.ReLU()))
    assert check(model, torch.randn(3, *shape)) == [Pair("0", "1")]


def test_a_network_without_normalisation_stays_as_it_is() -> None:
    assert check(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval(), torch.randn(1, 3, 5, 5)) == []
