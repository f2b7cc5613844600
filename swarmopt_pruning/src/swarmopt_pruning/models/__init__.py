"""Networks to try pruning on, by name; one file for each family."""

import inspect
from collections.abc import Callable

from torch import nn

from swarmopt_pruning.errors import UnknownName
from swarmopt_pruning.models.densenet import DenseNet, densenet40
from swarmopt_pruning.models.external import build_external, is_external
from swarmopt_pruning.models.googlenet import GoogLeNet, googlenet
from swarmopt_pruning.models.mobilenet import MobileNetV2, mobilenet_v2, mobilenet_v2_s2
from swarmopt_pruning.models.plain import VGG, PlainCNN, digits_cnn, vgg9_bn, vgg16_bn
from swarmopt_pruning.models.resnet import (
    BasicBlock,
    ResNet,
    digits_resnet,
    resnet20,
    resnet20_s2,
    resnet32,
    resnet56,
)
from swarmopt_pruning.models.shufflenet import ShuffleNet, shufflenet_v1, shufflenet_v2
from swarmopt_pruning.models.tiny import PATTERNS, tiny

__all__ = [
    "MODELS", "VGG", "BasicBlock", "DenseNet", "GoogLeNet", "MobileNetV2", "PlainCNN", "ResNet",
    "ShuffleNet", "build",
]  # fmt: skip

MODELS: dict[str, Callable[..., nn.Module]] = {
    "digits-resnet": digits_resnet,
    "digits-cnn": digits_cnn,
    "resnet20": resnet20,
    "resnet20-s2": resnet20_s2,
    "resnet32": resnet32,
    "resnet56": resnet56,
    "vgg9-bn": vgg9_bn,
    "vgg16-bn": vgg16_bn,
    "googlenet": googlenet,
    "densenet40": densenet40,
    "mobilenet-v2": mobilenet_v2,
    "mobilenet-v2-s2": mobilenet_v2_s2,
    "shufflenet-v1": shufflenet_v1,
    "shufflenet-v2": shufflenet_v2,
    **{f"tiny-{pattern}": tiny(pattern) for pattern in PATTERNS},
}
"""Function that builds a model, by its name."""


def build(name: str, **options: object) -> nn.Module:
    """Build a model by name, with torch's default initialisation.

    Args:
        name: a key of `MODELS`, or "torchvision/..." or "timm/..." with a name of theirs.
        options: arguments of its function, checked against its signature.

    Raises:
        UnknownName: There is no such model, or the model has no such option.
        PruningError: An option is impossible, or the other library is not installed.
    """
    if not is_external(name) and name not in MODELS:
        raise UnknownName("model", name, MODELS, own=True)
    make: Callable[..., nn.Module] = build_external if is_external(name) else MODELS[name]
    known = [option for option in inspect.signature(make).parameters if option != "name"]
    for option in options:
        if option not in known:
            raise UnknownName(f"option of model {name!r}", option, known)
    return build_external(name, **options) if is_external(name) else make(**options)  # type: ignore[arg-type]
