"""Second moments of what the layers of a network read: what its cut layers are refitted by.

A convolution is a linear map of patches of its input: for every output position the values under
the kernel, channel by channel. The covariance of these patches says how well the patches of some
channels predict those of the others.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from swarmopt_pruning.layer_calls import LayerCall, LayerCalls
from swarmopt_pruning.memory import Fitting
from swarmopt_pruning.trace import first_names

MOST_ROWS = 200_000
"""Patches of one layer that are looked at; more are thinned out evenly."""
MOST_COLUMNS = 2_500
"""Values of a patch; of wider ones only the value at each place, whatever the kernel's size."""


@dataclass(eq=False)
class Moments:
    """What one layer reads.

    Attributes:
        bias: name of the layer's bias; "" for none, and where its calls have different ones.
        transposed: whether it is a transposed convolution.
        taps: values of each input in a patch: positions of the kernel, or 1.
        pivot: (groups, inputs of a group * taps) a patch near the mean; the sums are of deviations
            from it, so that the variance of what hardly varies is not lost in rounding.
        n: patches seen.
        total: (groups, inputs * taps) sum of the deviations.
        square: (groups, inputs * taps, inputs * taps) sum of their outer products.

    Sums are float64, and on the processor.
    """

    bias: str
    transposed: bool
    taps: int
    pivot: Tensor
    n: int = 0
    total: Tensor | float = 0.0
    square: Tensor | float = 0.0

    @property
    def groups(self) -> int:
        """Groups of the layer."""
        return len(self.pivot)

    @property
    def mean(self) -> Tensor:
        """(groups, inputs * taps) average of the patches."""
        return self.pivot.cpu().double() + self.total / self.n

    def columns(self, inputs: Tensor) -> Tensor:
        """Return the columns of some inputs of a group: (len(inputs) * taps,)."""
        return (inputs[:, None] * self.taps + torch.arange(self.taps)).flatten()

    def rows(self, matrix: Tensor) -> Tensor:
        """Return one group's (outputs, inputs, taps) weights as rows over the columns.

        Where a patch is known place by place only, each tap of an output is a row of its own.
        """
        if self.taps == matrix.shape[2]:
            return matrix.flatten(1)
        return matrix.transpose(1, 2).flatten(0, 1)

    def add(self, rows: Tensor) -> None:
        """Take (groups, n, inputs * taps) patches into account."""
        rows = rows - self.pivot[:, None, :]
        self.n += rows.shape[1]
        self.total = self.total + rows.sum(dim=1).cpu().double()
        self.square = self.square + torch.bmm(rows.transpose(1, 2), rows).cpu().double()

    def covariance(self, *, centred: bool) -> Tensor:
        """Return (groups, inputs * taps, inputs * taps) averages of the products.

        Args:
            centred: of deviations from the mean, which a bias takes up.
        """
        off, mean = torch.as_tensor(self.total / self.n), self.mean
        centre = self.square / self.n - off[:, :, None] * off[:, None, :]
        return centre if centred else centre + mean[:, :, None] * mean[:, None, :]


def measure_moments(
    model: nn.Module, weights: Collection[str], x: Tensor, *, batch: int = 50
) -> dict[str, Moments]:
    """Run images through a network, and return the moments of what some layers read.

    Args:
        model: in evaluation mode; not changed.
        weights: names of the layers' weights.
        x: (n, channels, ...) images.
        batch: images at a time; fewer where memory runs out.

    Returns:
        the moments by weight; weights that no layer read as they are have none, nor have those
        that different kinds of layers share.
    """
    fitting = Fitting("measuring what layers read", batch)
    return fitting.run(lambda batch: _moments(model, weights, x, batch))


def _moments(
    model: nn.Module, weights: Collection[str], x: Tensor, batch: int
) -> dict[str, Moments]:
    """Return the moments of what some layers read, so many images at a time."""
    found: dict[str, Moments] = {}
    mixed: set[str] = set()
    most = math.ceil(MOST_ROWS / math.ceil(len(x) / batch))

    def hear(call: LayerCall) -> None:
        if call.weight not in weights:
            return
        taps = math.prod(call.kernel)
        if call.x.shape[1] // call.groups * taps > MOST_COLUMNS:
            taps = 1
        whole = call.kernel and taps == math.prod(call.kernel)
        rows = (patches(call, most) if whole else values(call, most)).to(torch.float32)
        known = found.get(call.weight)
        if known is None:
            known = Moments(call.bias, call.transposed, taps, rows.mean(dim=1))
            found[call.weight] = known
        same = rows[:, 0].shape == known.pivot.shape and call.transposed == known.transposed
        if not same:
            mixed.add(call.weight)
            return
        if call.bias != known.bias:
            known.bias = ""
        known.add(rows)

    with torch.no_grad(), LayerCalls(first_names(model)[0], hear):
        for part in torch.split(x, batch):
            model(part)
    return {weight: moments for weight, moments in found.items() if weight not in mixed}


def patches(call: LayerCall, most: int = MOST_ROWS) -> Tensor:
    """Return (groups, positions, inputs * taps) what a layer reads for its output's positions.

    The layer's output is the product with its weight as a matrix, see `as_matrices`.

    Args:
        call: of a convolution.
        most: rows; of more positions some are left out, evenly.
    """
    x, stride, padding = call.x, call.stride, call.padding
    if call.transposed:  # a convolution of the input with zeros between its values
        x, padding = _spread(call), _mirrored(call)
        stride = (1,) * len(stride)
    x = functional.pad(x, [p for pair in reversed(padding) for p in pair])
    n, channels, *sizes = x.shape
    outputs = [
        (size - d * (k - 1) - 1) // s + 1
        for size, k, s, d in zip(sizes, call.kernel, stride, call.dilation, strict=True)
    ]
    positions = (n, *outputs)
    image, *corner = torch.unravel_index(_spread_out(math.prod(positions), most), positions)
    corners, taps = image, torch.zeros(1, dtype=torch.long)
    for at, size, k, s, d in zip(corner, sizes, call.kernel, stride, call.dilation, strict=True):
        corners = corners * size + at * s
        taps = (taps[:, None] * size + torch.arange(0, k * d, d)).flatten()
    places = x.movedim(1, -1).reshape(-1, channels)
    chosen = (corners[:, None] + taps).flatten().to(x.device)
    windows = places.index_select(0, chosen).view(len(corners), len(taps), channels)
    return (
        windows.transpose(1, 2)
        .reshape(len(corners), call.groups, channels // call.groups * len(taps))
        .transpose(0, 1)
    )


def values(call: LayerCall, most: int = MOST_ROWS) -> Tensor:
    """Return what a layer reads at each place of its input: (groups, places, inputs).

    Args:
        call: of any layer.
        most: rows; of more places some are left out, evenly.
    """
    x = call.x if not call.kernel else call.x.movedim(1, -1)
    x = x.reshape(-1, call.groups, x.shape[-1] // call.groups)
    return x[_spread_out(len(x), most).to(x.device)].transpose(0, 1)


def _spread_out(n: int, most: int) -> Tensor:
    """Return the numbers of at most so many of n places, in order, spread out evenly.

    The places are divided into stretches, and one of each is drawn, the same in every call: a fixed
    distance could keep step with the rows and columns of images.
    """
    if n <= most:
        return torch.arange(n)
    borders = torch.arange(most + 1) * n // most
    drawn = torch.rand(most, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return borders[:-1] + (drawn * borders.diff()).long()


def as_matrices(weight: Tensor, groups: int, *, transposed: bool) -> Tensor:
    """Return a weight as it multiplies patches: (groups, outputs of a group, inputs, taps).

    Args:
        weight: (outputs, inputs of a group, ...), transposed (inputs, outputs of a group, ...).
        groups: of the layer.
        transposed: whether it is a transposed convolution.
    """
    if not transposed:
        return weight.reshape(groups, -1, weight.shape[1], math.prod(weight.shape[2:]))
    n_in, n_out = weight.shape[:2]
    flipped = weight.flatten(2).flip(2)
    return flipped.view(groups, n_in // groups, n_out, -1).transpose(1, 2)


def as_weight(matrices: Tensor, kernel: torch.Size, *, transposed: bool) -> Tensor:
    """Return the weight that `as_matrices` made into matrices; the numbers may have changed.

    Args:
        matrices: (groups, outputs of a group, inputs, taps).
        kernel: sizes of the kernel.
        transposed: whether it is a transposed convolution.
    """
    groups, n_out, n_in, _ = matrices.shape
    if not transposed:
        return matrices.reshape(groups * n_out, n_in, *kernel)
    return matrices.transpose(1, 2).flip(3).reshape(groups * n_in, n_out, *kernel)


def _spread(call: LayerCall) -> Tensor:
    """Return the input of a transposed convolution with stride - 1 zeros between its values."""
    n, channels, *sizes = call.x.shape
    wide = [(size - 1) * s + 1 for size, s in zip(sizes, call.stride, strict=True)]
    spread = call.x.new_zeros(n, channels, *wide)
    spread[(slice(None), slice(None), *(slice(None, None, s) for s in call.stride))] = call.x
    return spread


def _mirrored(call: LayerCall) -> tuple[tuple[int, int], ...]:
    """Return the padding by which a transposed convolution is a convolution."""
    return tuple(
        (d * (k - 1) - before, d * (k - 1) - after + more)
        for k, d, (before, after), more in zip(
            call.kernel, call.dilation, call.padding, call.output_padding, strict=True
        )
    )
