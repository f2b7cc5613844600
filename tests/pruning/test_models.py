"""Built-in networks have the sizes of their papers and cost what the closed forms say when cut."""

import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swarmopt_pruning.cost import count_macs, count_params
from swarmopt_pruning.errors import PruningError, UnknownName
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.models import MODELS, build

FULL = [name for name in MODELS if not name.startswith("tiny-")]


def images(channels: int = 3, size: int = 32, n: int = 1) -> Tensor:
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(1))


def on_meta(name: str, **options: Any) -> nn.Module:
    """Build a model without storage: enough to count."""
    with torch.device("meta"):
        return build(name, **options)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "params", "macs"),
    [
        ("resnet20", 0.270e6, 40.55e6),
        ("resnet32", 0.464e6, 68.86e6),
        ("resnet56", 0.853e6, 125.5e6),
        ("vgg16-bn", 14.73e6, 313.2e6),
        ("googlenet", 6.166e6, 1.522e9),
        ("densenet40", 1.02e6, 0.2648e9),
        ("mobilenet-v2", 2.237e6, 87.98e6),
        ("shufflenet-v1", 0.914e6, 42.59e6),
        ("shufflenet-v2", 1.264e6, 45.00e6),
    ],
)
def test_a_network_has_the_published_size(name: str, params: float, macs: float) -> None:
    model = on_meta(name)
    assert count_params(model) == pytest.approx(params, rel=2e-3)
    assert count_macs(model, (torch.zeros(1, 3, 32, 32, device="meta"),)) == pytest.approx(
        macs, rel=2e-3
    )


@pytest.mark.parametrize("name", ["resnet32", "resnet56"])
def test_deeper_residual_networks_have_both_shortcuts(name: str) -> None:
    padded, projected = on_meta(name, shortcut="A"), on_meta(name, shortcut="B")
    assert count_params(projected) - count_params(padded) == 16 * 32 + 32 * 64 + 2 * (32 + 64)


SMALL: dict[str, dict[str, Any]] = {
    "resnet32": {"widths": (4, 6, 8), "shortcut": "B"},
    "vgg16-bn": {"widths": (4, 5, 6, 7, 8)},
    "googlenet": {"scale": 0.05},
    "densenet40": {"growth": 3, "depth": 13},
    "mobilenet-v2": {"scale": 0.25},
    "shufflenet-v1": {"widths": (36, 72, 144)},
    "shufflenet-v2": {"widths": (16, 32, 64, 32)},
}


FAST = {"resnet32", "vgg16-bn", "densenet40"}
"""The others are larger; what is particular to them is in the tiny networks too."""


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in FAST else pytest.mark.slow) for n in SMALL]
)
def test_a_narrow_network_is_cut_exactly(name: str, check_candidates: Callable[..., None]) -> None:
    model, example = build(name, **SMALL[name]).eval(), (images(size=16),)
    graph = ChannelGraph.trace(model, example, verify=False)
    check_candidates(model, example, graph, 3)


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_every_network_is_cut_exactly(name: str, check_candidates: Callable[..., None]) -> None:
    model = build(name).eval()
    example = (images(1 if "digits" in name else 3),)
    graph = ChannelGraph.trace(model, example)
    check_candidates(model, example, graph, 20)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("vgg16-bn", {"widths": (4, 5)}, "five numbers, one a stage"),
        ("densenet40", {"depth": 41}, "depth must be 3 n \\+ 4"),
        ("shufflenet-v1", {"widths": (10, 20, 40)}, "multiples of 12"),
        ("shufflenet-v2", {"widths": (10, 20, 40)}, "must be 4 numbers"),
        ("shufflenet-v1", {"widths": (24, 48, 96)}, "wider than the one before, from 24 on"),
        ("resnet56", {"shortcut": "C"}, "'A' or 'B'"),
    ],
)
def test_impossible_sizes_are_refused(name: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(PruningError, match=message):
        build(name, **options)


class Library(nn.Sequential):
    """What the stand-ins build."""

    def __init__(self, n_in: int, n_out: int) -> None:
        body = nn.Conv2d(n_in, 6, 3, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        super().__init__(*body, nn.Linear(6, n_out))


@pytest.fixture
def torchvision(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put a stand-in in the place of torchvision; return what it is asked for."""
    asked: list[dict[str, Any]] = []

    def get_model(name: str, *, weights: str | None = None, num_classes: int = 1000) -> nn.Module:
        asked.append({"name": name, "weights": weights, "num_classes": num_classes})
        return Library(3, num_classes)

    models: Any = types.ModuleType("torchvision.models")
    models.get_model = get_model
    models.list_models = lambda module: ["resnet18", "resnet34"] if module is models else []
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.models", models)
    return asked


@pytest.fixture
def timm(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put a stand-in in the place of timm; return what it is asked for."""
    asked: list[dict[str, Any]] = []

    def create_model(name: str, **options: Any) -> nn.Module:
        asked.append({"name": name, **options})
        return Library(options["in_chans"], options.get("num_classes", 1000))

    module: Any = types.ModuleType("timm")
    module.create_model, module.list_models = create_model, lambda: ["ghostnet_100", "dla34"]
    monkeypatch.setitem(sys.modules, "timm", module)
    return asked


def test_a_model_of_torchvision_is_built_for_the_images_and_classes(
    torchvision: list[dict[str, Any]], check_candidates: Callable[..., None]
) -> None:
    model = build("torchvision/resnet18", in_channels=1, n_classes=7).eval()
    assert torchvision == [{"name": "resnet18", "weights": None, "num_classes": 7}]
    assert model(images(1)).shape == (1, 7)
    graph = ChannelGraph.trace(model, (images(1),))
    assert graph.names == ("0",)
    check_candidates(model, (images(1),), graph, 3)


def test_trained_weights_of_torchvision_come_as_they_are(
    torchvision: list[dict[str, Any]],
) -> None:
    assert build("torchvision/resnet18", pretrained=True)(images()).shape == (1, 1000)
    assert torchvision[0]["weights"] == "DEFAULT"
    with pytest.raises(PruningError, match="leave in_channels and n_classes out"):
        build("torchvision/resnet18", pretrained=True, n_classes=10)
    with pytest.raises(UnknownName, match="model of torchvision named 'resnet19'; did you mean"):
        build("torchvision/resnet19")
    with pytest.raises(UnknownName, match="option of model 'torchvision/resnet18' named 'width'"):
        build("torchvision/resnet18", width=3)


def test_a_model_of_timm_is_built_with_its_own_names(timm: list[dict[str, Any]]) -> None:
    model = build("timm/dla34.in1k", in_channels=2, n_classes=4, pretrained=True)
    expected = {"name": "dla34.in1k", "in_chans": 2, "num_classes": 4, "pretrained": True}
    assert timm == [expected]
    assert model(images(2)).shape == (1, 4)
    with pytest.raises(UnknownName, match="model of timm named 'dla3'; did you mean 'dla34'"):
        build("timm/dla3")


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_library_that_is_absent_or_broken_is_told(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    error: Exception = ModuleNotFoundError(f"No module named {library!r}", name=library)

    def fails(name: str) -> None:
        raise error

    monkeypatch.setattr("swarmopt_pruning.models.external.import_module", fails)
    with pytest.raises(PruningError, match=rf'pip install "swarmopt-pruning\[{library}\]"'):
        build(f"{library}/resnet18")
    error = RuntimeError("operator torchvision::nms does not exist")
    with pytest.raises(PruningError, match=r"does not load .*nms.*has to fit that of torch"):
        build(f"{library}/resnet18")
    with pytest.raises(UnknownName, match="library of models named 'keras'"):
        build("keras/resnet18")


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_a_real_library_gives_a_network_that_is_cut_exactly(
    library: str, check_candidates: Callable[..., None]
) -> None:
    try:
        importlib.import_module(library)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{library} cannot be imported: {error}")
    model = build(f"{library}/resnet18", n_classes=5).eval()
    graph = ChannelGraph.trace(model, (images(),))
    assert graph.groups
    check_candidates(model, (images(),), graph, 1)
