"""A training that diverges, and the way back to where it was still good."""

import logging
import math

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from swarmopt_pruning.checkpoint import TrainingState, state_of
from swarmopt_pruning.errors import Diverged

log = logging.getLogger(__name__)


def divergence(model: nn.Module, loss: float | None, *, ended: bool) -> str:
    """Return how a training has diverged; the weights are looked at where an epoch has ended."""
    if loss is not None and not math.isfinite(loss):
        return f"the loss is {loss}"
    if ended:
        norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
        tensors = [*model.parameters(), *(t for m in norms for t in m.buffers())]
        if not all(bool(torch.isfinite(t).all()) for t in tensors):
            return "the weights are not finite"
    return ""


def go_back(state: TrainingState, wrong: str, epoch: int, rate: float) -> None:
    """Put back the state after the last good epoch.

    Raises:
        Diverged: There is none.
    """
    cure = f"lower the learning rate (now {rate}), or scale images whose values are far above 1"
    if not state.best:
        raise Diverged(f"training diverged: {wrong}; {cure}")
    with torch.no_grad():
        for name, tensor in state_of(state.model).items():
            tensor.copy_(state.best[name])
    log.warning(
        "training diverged in epoch %d: %s; the network is kept as it was before that epoch; to "
        "train on, %s",
        epoch,
        wrong,
        cure,
    )
