"""Which channels stay: those that the rest can predict least.

Channels go one after the other, each time the one without which the layers that read it, refitted
to what is left, change their outputs least. That is the optimal brain surgeon (Hassibi and Stork,
"Second order derivatives for network pruning", 1993) on whole channels, with the second moments of
a layer's input as its Hessian (Frantar and Alistarh, "Optimal brain compression", 2022).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.least_squares import RIDGE
from swarmopt_pruning.moments import Moments, as_matrices

Floats = NDArray[np.float64]


@dataclass(eq=False)
class _Reader:
    """A layer that reads the channels of a group, while they go.

    Attributes:
        weight: (outputs, columns) refitted to the columns that are left; rows are divided by the
            deviation of their output.
        inverse: (columns, columns) of the covariance of the columns that are left.
        columns: (units, columns of a unit) which columns each unit of the group has.
    """

    weight: Tensor
    inverse: Tensor
    columns: Tensor

    def losses(self, left: Tensor) -> Tensor:
        """Return what it costs to lose each of the units that are left, as a share."""
        columns = self.columns[left]
        inside = self.inverse[columns[:, :, None], columns[:, None, :]]
        lost = self.weight[:, columns].transpose(0, 1)  # (left, outputs, columns of a unit)
        spread = torch.linalg.solve(inside, lost.transpose(1, 2))
        total: Tensor = (lost.transpose(1, 2) * spread).sum(dim=(1, 2))
        return total / len(self.weight)

    def lose(self, unit: int) -> None:
        """Refit it to the columns that stay when a unit goes."""
        columns = self.columns[unit]
        rows = self.inverse[columns]
        share = torch.linalg.solve(rows[:, columns], rows)
        self.weight = self.weight - self.weight[:, columns] @ share
        self.inverse = self.inverse - rows.T @ share


def elimination_scores(
    graph: ChannelGraph, tensors: Mapping[str, Tensor], moments: Mapping[str, Moments]
) -> dict[str, Floats]:
    """Score the channels of every group by when they would go.

    Args:
        graph: of the network.
        tensors: its parameters by name.
        moments: of what its layers read.

    Returns:
        for each group (width // block,) scores as `ChannelGraph.scores` gives them: 0 for the
        channel that goes first. A group that no layer with moments reads has the scores of "l1".
    """
    found: dict[str, Floats] = {}
    fallback: dict[str, Floats] = {}
    for number, group in enumerate(graph.groups):
        readers = [
            reader
            for place in group.where
            if graph.reads.get(place.tensor) == place.dim and place.tensor in moments
            for reader in _readers(
                tensors[place.tensor],
                moments[place.tensor],
                torch.from_numpy(graph.units_of(place.tensor, place.dim, number)),
                group.n_units,
            )
        ]
        if not readers:
            fallback = fallback or graph.scores("l1")
            found[group.name] = fallback[group.name]
            continue
        order = np.zeros(group.n_units)
        left = torch.arange(group.n_units)
        for step in range(group.n_units - 1):
            losses = torch.stack([reader.losses(left) for reader in readers]).sum(dim=0)
            gone = int(left[int(losses.argmin())])
            order[gone] = step
            left = left[left != gone]
            for reader in readers:
                reader.lose(gone)
        order[int(left[0])] = group.n_units - 1
        found[group.name] = order
    return found


def _readers(weight: Tensor, moments: Moments, units: Tensor, n_units: int) -> list[_Reader]:
    """Return the groups of a layer that read units of a group of channels.

    Args:
        weight: of the layer.
        moments: of what it reads.
        units: (blocks * inputs of a block,) the unit of each input, -1 for inputs of other groups.
        n_units: of the group of channels.
    """
    groups = moments.groups
    matrices = as_matrices(weight.detach().cpu(), groups, transposed=moments.transposed).double()
    covariance = moments.covariance(centred=True)
    n_in = matrices.shape[2]
    of_group = units.view(-1, n_in) if len(units) >= groups * n_in else units[None]
    readers = []
    for number in range(groups):
        mine = of_group[number % len(of_group)]
        columns = [moments.columns((mine == unit).nonzero().flatten()) for unit in range(n_units)]
        if len({len(each) for each in columns}) > 1 or not len(columns[0]):
            continue  # it reads some of them only
        rows = moments.rows(matrices[number])
        inside = covariance[number]
        ridge = RIDGE * float(inside.diagonal().mean())
        if ridge <= 0:
            continue
        eye = torch.eye(len(inside), dtype=inside.dtype)
        deviation = (rows @ inside * rows).sum(dim=1, keepdim=True).clamp_min(1e-30).sqrt()
        readers.append(
            _Reader(rows / deviation, torch.linalg.inv(inside + ridge * eye), torch.stack(columns))
        )
    return readers
