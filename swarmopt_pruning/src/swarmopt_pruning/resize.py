"""Which attributes of torch's own layers follow from the shape of their tensors."""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd


def attributes_after(module: nn.Module, tensor: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return the attributes of a module that change when one of its tensors gets a new shape.

    Args:
        module: the module as it is before.
        tensor: name of the tensor inside the module, such as "weight".
        shape: its new shape.

    Returns:
        new values by attribute; empty for modules that keep no sizes.
    """
    if isinstance(module, _ConvNd) and tensor == "weight":
        return _convolution(module, shape)
    if isinstance(module, nn.Linear) and tensor == "weight":
        return {"out_features": shape[0], "in_features": shape[1]}
    if isinstance(module, _NormBase):
        return {"num_features": shape[0]}
    if isinstance(module, nn.PReLU):
        return {"num_parameters": shape[0]}
    return {}


def _convolution(module: _ConvNd, shape: tuple[int, ...]) -> dict[str, Any]:
    if isinstance(module, _ConvTransposeNd):
        return {"in_channels": shape[0], "out_channels": shape[1] * module.groups}
    groups = module.groups
    if groups > 1 and groups == module.in_channels:  # depthwise: one group for each channel
        groups = shape[0] // (module.out_channels // module.in_channels)
    return {"in_channels": shape[1] * groups, "out_channels": shape[0], "groups": groups}
