"""Taylor importance: what the loss would lose with each channel, from gradients on some batches.

Molchanov et al., "Importance Estimation for Neural Network Pruning", 2019, equation 8: the squared
sum of weight times gradient over everything that makes a channel, averaged over batches. The square
is taken of each batch, since at a minimum of the loss the gradients of all images together vanish.
Unlike there, the network is in evaluation mode, as it is when the channel is gone.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.trace import first_names

Floats = NDArray[np.float64]
Loss = Callable[[Any, Any], Tensor]


def taylor_scores(
    graph: ChannelGraph,
    model: nn.Module,
    batches: Iterable[tuple[Any, Any]],
    *,
    loss: Loss = cross_entropy,
) -> dict[str, Floats]:
    """Score the channels of every group by what the loss loses without them.

    The model is not changed: no gradient is left in it, no statistic moves, and frozen parameters
    count like any other.

    Args:
        graph: of the model.
        model: the model that was traced.
        batches: images (n, channels, ...), or a tuple of the model's arguments, and what `loss`
            compares the output with, such as labels (n,); a few hundred images are enough.
        loss: takes the model's output and the second half of a batch, returns one number.

    Returns:
        for each group (width // block,) scores, higher is more important; to be given to
        `ChannelGraph.plan(choice, importance=scores)`.

    Raises:
        PruningError: There is no batch, one does not fit, or its loss is not finite.
    """
    tensors, _ = first_names(model)
    leaves = {name: tensor.detach() for name, tensor in tensors.items()}
    learned = {n: leaves[n].requires_grad_() for n, t in tensors.items() if _is_learned(t)}
    total: dict[str, Floats] = {}
    n_batches = 0
    training = [module for module in model.modules() if module.training]
    try:
        model.eval()
        for images, target in batches:
            arguments = images if isinstance(images, tuple) else (images,)
            try:
                with torch.enable_grad():
                    value = loss(functional_call(model, leaves, arguments), target)
            except (IndexError, RuntimeError, TypeError, ValueError) as error:
                raise PruningError(
                    f"taylor_scores: batch {n_batches} raises {type(error).__name__}: {error}; a "
                    f"batch is a pair of images and what the loss compares the output with"
                ) from error
            _check_loss(value, n_batches)
            slopes = torch.autograd.grad(
                value, list(learned.values()), allow_unused=True, materialize_grads=True
            )
            gradients = dict(zip(learned, slopes, strict=True))
            for group, found in graph.scores("taylor", gradients=gradients).items():
                total[group] = total.get(group, np.zeros(len(found))) + found
            n_batches += 1
    finally:
        for module in training:
            module.training = True
    if not n_batches:
        raise PruningError(
            "taylor_scores got no batch; pass pairs of images and labels, such as [(x, y)]"
        )
    return {group: found / n_batches for group, found in total.items()}


def _is_learned(tensor: Tensor) -> bool:
    """Return whether a tensor has a gradient to ask for; running statistics have none."""
    return isinstance(tensor, nn.Parameter) and tensor.is_floating_point()


def _check_loss(value: object, batch: int) -> None:
    right = isinstance(value, Tensor) and value.numel() == 1 and bool(value.isfinite().all())
    if not right:
        shown = value.detach() if isinstance(value, Tensor) else value
        raise PruningError(
            f"taylor_scores: the loss of batch {batch} is {shown!s:.60}, expected one finite "
            f"number; look at the images and labels, or pass loss=..."
        )
