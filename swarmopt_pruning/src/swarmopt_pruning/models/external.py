"""Networks of torchvision and timm by name, where these libraries are installed.

Both are optional extras: `pip install "swarmopt-pruning[torchvision]"`, `"swarmopt-pruning[timm]"`.
"""

from collections.abc import Iterable
from importlib import import_module
from typing import Any

from torch import nn

from swarmopt_pruning.errors import PruningError, UnknownName

LIBRARIES = ("torchvision", "timm")


def is_external(name: str) -> bool:
    """Return whether a name says library/model, such as "timm/resnet18"."""
    return "/" in name


def build_external(
    name: str, *, in_channels: int = 3, n_classes: int | None = None, pretrained: bool = False
) -> nn.Module:
    """Build a network of another library.

    Args:
        name: "torchvision/..." or "timm/...".
        in_channels: channels of the images.
        n_classes: length of the output; what the library gives, if None.
        pretrained: load the library's trained weights, which may download them.

    Raises:
        UnknownName: The library, or its model, does not exist.
        PruningError: The library is not installed, or refuses what was asked.
    """
    library, _, model = name.partition("/")
    if library not in LIBRARIES:
        raise UnknownName("library of models", library, LIBRARIES)
    make = _torchvision if library == "torchvision" else _timm
    return make(model, in_channels, n_classes, pretrained)


def _torchvision(name: str, in_channels: int, n_classes: int | None, pretrained: bool) -> nn.Module:
    models = _library("torchvision", "torchvision.models")
    _check_known("torchvision", name, models.list_models(module=models))
    options: dict[str, Any] = {} if n_classes is None else {"num_classes": n_classes}
    if pretrained and (options or in_channels != 3):
        raise PruningError(
            f"torchvision/{name}: trained weights are for images of 3 channels and the classes "
            f"that they were trained on; leave in_channels and n_classes out, or pretrained"
        )
    model: nn.Module = models.get_model(name, weights="DEFAULT" if pretrained else None, **options)
    if in_channels != 3:
        _replace_first(model, in_channels)
    return model


def _timm(name: str, in_channels: int, n_classes: int | None, pretrained: bool) -> nn.Module:
    timm = _library("timm", "timm")
    _check_known("timm", name.partition(".")[0], timm.list_models())  # behind the dot: its weights
    options: dict[str, Any] = {} if n_classes is None else {"num_classes": n_classes}
    model: nn.Module = timm.create_model(
        name, pretrained=pretrained, in_chans=in_channels, **options
    )
    return model


def _library(name: str, module: str) -> Any:
    """Import an optional library.

    Raises:
        PruningError: It is not there, or does not fit the installed torch.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise PruningError(
            f"models named {name}/... need {name}, and {error.name} is not installed: "
            f'pip install "swarmopt-pruning[{name}]"'
        ) from error
    except (ImportError, RuntimeError) as error:
        raise PruningError(
            f"models named {name}/... need {name}, which is installed but does not load "
            f"({error}): its version has to fit that of torch"
        ) from error


def _check_known(library: str, name: str, known: Iterable[str]) -> None:
    names = list(known)
    if name not in names:
        raise UnknownName(f"model of {library}", name, names)


def _replace_first(model: nn.Module, in_channels: int) -> None:
    """Give the first convolution of a model another number of input channels."""
    for path, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            new = nn.Conv2d(
                in_channels,
                module.out_channels,
                module.kernel_size,  # type: ignore[arg-type]
                stride=module.stride,  # type: ignore[arg-type]
                padding=module.padding,  # type: ignore[arg-type]
                dilation=module.dilation,  # type: ignore[arg-type]
                bias=module.bias is not None,
            )
            parent, _, leaf = path.rpartition(".")
            setattr(model.get_submodule(parent), leaf, new)
            return
    raise PruningError(f"{type(model).__name__} has no convolution to read {in_channels} channels")
