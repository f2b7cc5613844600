"""Least-squares weights for layers that lose inputs.

A layer that reads fewer channels gets the weights with which its output comes closest to what it
was, on average over images: those of the lost inputs are spread over the kept ones that predict
them. He, Zhang, Sun, "Channel pruning for accelerating very deep neural networks", 2017, equation
1, here from second moments that are measured once, so that no image is needed for a candidate.
"""

import logging
from collections import Counter, OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from swarmopt_pruning.least_squares import solved
from swarmopt_pruning.moments import Moments, as_matrices, as_weight
from swarmopt_pruning.plan import Cut, PruningPlan

log = logging.getLogger(__name__)

CACHED = 1 << 28  # bytes of refitted weights that are kept


@dataclass(eq=False)
class Reconstruction:
    """Refits the layers of one network to the inputs that they keep.

    What a layer becomes depends on its kept inputs alone, and a search asks for few of them, so
    each is solved once.

    Args:
        tensors: parameters and buffers of the network, by name.
        moments: of the layers that read channels, by weight.
        reads: the dimension of each of these weights along which channels are read.
    """

    tensors: Mapping[str, Tensor]
    moments: Mapping[str, Moments]
    reads: Mapping[str, int]
    _known: "OrderedDict[tuple[str, tuple[int, ...]], dict[str, Tensor]]" = field(
        default_factory=OrderedDict
    )
    _bytes: int = 0
    _said: set[str] = field(default_factory=set)

    @cached_property
    def _readers(self) -> Counter[str]:
        """How many layers have each bias: one of several cannot follow all of them."""
        return Counter(found.bias for found in self.moments.values())

    def sliced(self, plan: PruningPlan) -> dict[str, Tensor]:
        """Return the tensors that a plan makes smaller, as `plan.slice` does, refitted.

        Args:
            plan: of this network.
        """
        refitted: dict[str, Tensor] = {}
        done: list[tuple[str, int]] = []
        for cut in plan.cuts:
            if cut.tensor in self.moments and cut.dim == self.reads[cut.tensor]:
                refitted |= self._refitted(cut)
                done.append((cut.tensor, cut.dim))
        return refitted | plan.slice({**self.tensors, **refitted}, done=done)

    def _refitted(self, cut: Cut) -> dict[str, Tensor]:
        """Return the weight of a layer on the inputs it keeps, and its bias; all outputs."""
        key = cut.tensor, cut.kept
        known = self._known.get(key)
        if known is not None:
            self._known.move_to_end(key)
            return known
        made = self._refit(cut)
        self._known[key] = made
        self._bytes += _bytes(made)
        while self._bytes > CACHED and len(self._known) > 1:
            self._bytes -= _bytes(self._known.popitem(last=False)[1])
        return made

    def _refit(self, cut: Cut) -> dict[str, Tensor]:
        moments, weight = self.moments[cut.tensor], self.tensors[cut.tensor].detach()
        groups = moments.groups
        name = moments.bias if self._readers[moments.bias] == 1 else ""
        bias = self.tensors[name].detach() if name else None
        full = as_matrices(weight.cpu(), groups, transposed=moments.transposed).double()
        takes_mean = bias is not None or (weight.dim() > 2 and normalised(self.tensors))
        covariance = moments.covariance(centred=takes_mean)
        kept = _kept_inputs(cut, groups, full.shape[2])
        new, shift = [], []
        for group, inputs in enumerate(kept):
            columns, rows = moments.columns(inputs), moments.rows(full[group])
            n_out, _, taps = full[group].shape
            refit = self._solved(rows, covariance[group], columns, cut.tensor)
            mean = moments.mean[group]
            lost = rows @ mean - refit @ mean[columns]
            shift.append(lost.view(n_out, -1).sum(dim=1))
            if moments.taps == taps:
                new.append(refit.view(n_out, len(inputs), taps))
            else:
                new.append(refit.view(n_out, taps, len(inputs)).transpose(1, 2))
        matrices = torch.stack(new).to(weight)
        found = {cut.tensor: as_weight(matrices, weight.shape[2:], transposed=moments.transposed)}
        if bias is not None:
            found[name] = bias + torch.cat(shift).to(bias)
        return found

    def _solved(self, full: Tensor, covariance: Tensor, columns: Tensor, name: str) -> Tensor:
        """Return the (outputs, kept) weights whose output is nearest to that of all inputs.

        Args:
            full: (outputs, inputs) weights.
            covariance: (inputs, inputs) of the inputs.
            columns: inputs that stay.
            name: of the layer.
        """
        to_kept, inherited = covariance[:, columns], full[:, columns]
        found = solved(
            to_kept[columns][None], (full @ to_kept).T[None], inherited.T[None], len(columns)
        )
        if found.grew and name not in self._said:
            self._said.add(name)
            log.warning("the inputs of %s depend on each other: its ridge grows", name)
        return inherited if found.none else found.weights[0].T


def normalised(tensors: Mapping[str, Tensor]) -> bool:
    """Return whether batch normalisation, measured anew, takes up the mean of convolutions."""
    return any(name.endswith("running_mean") for name in tensors)


def _kept_inputs(cut: Cut, groups: int, size: int) -> Sequence[Tensor]:
    """Return the inputs that stay in each group of a layer, numbered within the group."""
    kept = torch.tensor(cut.kept, dtype=torch.long)
    if cut.blocks == groups:
        return list(kept.view(groups, -1) % size)
    if cut.size == size:  # the same places in every group
        return [kept] * groups
    return list(kept.view(groups, -1) % size)  # a transposed convolution counts through its groups


def _bytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())
