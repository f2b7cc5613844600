"""Least-squares weights for what the layers of a cut network really read.

The refit of `reconstruct` lets every layer read what the original's layers put out. In a network
that is cut everywhere they put out something else, so here one layer after the other is refitted
while images run through the cut network: to the inputs it gets there, towards the outputs that it
had in the original. Errors of earlier layers are taken up by later ones, as training would do it,
so that a score sees what training cannot bring back. Luo, Wu, Lin, "ThiNet", 2017, section 3.3,
refits so from layer to layer.
"""

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from swarmopt_pruning.layer_calls import LayerCall, LayerCalls
from swarmopt_pruning.least_squares import nearest
from swarmopt_pruning.moments import as_matrices, as_weight, patches, values
from swarmopt_pruning.plan import PruningPlan
from swarmopt_pruning.reconstruct import normalised
from swarmopt_pruning.trace import first_names

ROWS = 4_000
"""Places of its output that a layer is refitted by."""


class OwnInputs:
    """Refits the layers of a cut network to the inputs they get there.

    Args:
        model: the original, in evaluation mode; not changed.
        x: (n, channels, ...) training images.
    """

    def __init__(self, model: nn.Module, x: Tensor) -> None:
        tensors, aliases = first_names(model)
        self._centred = normalised(tensors)
        self._wanted: dict[str, Tensor] = {}
        self._biases: dict[str, str] = {}
        several = {name for alias, name in aliases.items() if alias != name}

        def hear(call: LayerCall) -> None:
            weight = tensors[call.weight]
            if call.weight in self._wanted or (call.transposed and call.groups > 1):
                several.add(call.weight)
                return
            matrices = _matrices(call, weight).flatten(2)
            outputs = torch.bmm(_rows(call), matrices.transpose(1, 2)).transpose(0, 1).flatten(1)
            self._wanted[call.weight] = outputs + (tensors[call.bias].float() if call.bias else 0.0)
            self._biases[call.weight] = call.bias

        with torch.no_grad(), LayerCalls(tensors, hear):
            model(x)
        biases = list(self._biases.values())
        several |= {name for name in biases if name and biases.count(name) > 1}
        for weight, bias in self._biases.items():
            if weight in several or bias in several:
                del self._wanted[weight]

    @contextmanager
    def refitting(self, plan: PruningPlan, tensors: MutableMapping[str, Tensor]) -> Iterator[None]:
        """While it is entered, a call of the cut network refits each layer just before it answers.

        The call must be with the images of this object, in their order.

        Args:
            plan: that cuts the network.
            tensors: of the cut network, by name; those of the layers are replaced by copies, which
                the call must be given and which are then written to.
        """
        kept = {(cut.tensor, cut.dim): cut.kept for cut in plan.cuts}
        for name in (*self._wanted, *filter(None, self._biases.values())):
            tensors[name] = tensors[name].clone()

        def hear(call: LayerCall) -> None:
            wanted = self._wanted.get(call.weight)
            if wanted is None:
                return
            stays = kept.get((call.weight, 1 if call.transposed else 0))
            if stays is not None:
                wanted = wanted[:, torch.tensor(stays, device=wanted.device)]
            rows = _rows(call)
            if len(wanted) == rows.shape[1]:  # else a network whose sizes depend on its widths
                _refit(call, rows, wanted, tensors, centred=self._centred)

        with LayerCalls(tensors, hear):
            yield


def _refit(
    call: LayerCall, rows: Tensor, wanted: Tensor, tensors: Mapping[str, Tensor], *, centred: bool
) -> None:
    """Write the weight, and the bias, whose outputs for the rows come nearest to (n, outputs)."""
    weight = tensors[call.weight]
    matrices = _matrices(call, weight)
    goal = wanted.view(len(wanted), call.groups, -1).transpose(0, 1)
    takes_mean = bool(call.bias) or (centred and weight.dim() > 2)
    zero = torch.zeros((), device=weight.device)
    mean = rows.mean(dim=1, keepdim=True) if takes_mean else zero
    goal_mean = goal.mean(dim=1, keepdim=True) if takes_mean else zero
    found = nearest(rows - mean, goal - goal_mean, matrices.flatten(2))
    weight.copy_(as_weight(found.view_as(matrices), weight.shape[2:], transposed=call.transposed))
    if call.bias:
        missing = goal_mean - torch.bmm(mean, found.transpose(1, 2))
        tensors[call.bias].copy_(missing.flatten())


def _matrices(call: LayerCall, weight: Tensor) -> Tensor:
    """Return a weight as it multiplies rows: (groups, outputs, inputs, taps)."""
    return as_matrices(weight, call.groups, transposed=call.transposed).float()


def _rows(call: LayerCall) -> Tensor:
    """Return (groups, rows, inputs * taps) what a layer reads for some places of its output."""
    return (patches(call, ROWS) if call.kernel else values(call, ROWS)).float()
