"""Multiply-adds and parameters: closed forms for a whole population, and counters to check them.

A layer's weight has a size along each dimension that is a sum over groups (concatenation and
flattening make such sums), so multiply-adds and parameters are sums of products of two sums: one
quadratic form in the group counts, however many layers there are.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from swarmopt_pruning.structure import Structure
from swarmopt_pruning.trace import Layer, batch_size

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class QuadraticForm:
    """The sum of `matrix[i, j] * z[i] * z[j]` with `z = (1, x)`, exact up to 2**53.

    Args:
        matrix: (g + 1, g + 1) whole, non-negative coefficients.
        images: the sum is divided by this and rounded down.
    """

    matrix: Floats
    images: int = 1

    @classmethod
    def total(cls, n: int, terms: Iterable[tuple[int, Ints, Ints]]) -> "QuadraticForm":
        """Return the sum of terms `coefficient * (first @ z) * (second @ z)`.

        Args:
            n: number of variables, g.
            terms: coefficient and two linear forms (g + 1,) each; their first entry is constant.
        """
        matrix = np.zeros((n + 1, n + 1))
        for coefficient, first, second in terms:
            matrix += coefficient * np.outer(first, second)
        return cls(matrix)

    def __call__(self, x: Ints) -> Ints:
        """Evaluate the form for a whole population.

        Args:
            x: (n, g) whole numbers.

        Returns:
            (n,) values.
        """
        z = np.concatenate([np.ones((len(x), 1)), x], axis=1)
        value: Ints = np.einsum("ij,ij->i", z @ self.matrix, z).astype(np.int64)
        return value // self.images


def macs_form(
    structure: Structure,
    tensors: Mapping[str, Tensor],
    layers: Iterable[Layer],
    measured: int,
    images: int,
) -> QuadraticForm:
    """Return the multiply-adds of one image as a form of the kept units of each group.

    Args:
        structure: the groups.
        tensors: parameters and buffers of the unpruned model.
        layers: its convolutions and linear layers, once for each call.
        measured: its multiply-adds of the example as torch counts them; what is in no layer is
            constant.
        images: in the example. What a layer does once for all of them, such as with learned
            queries, is shared out only after summing up.
    """
    n = len(structure.groups)
    terms = [_term(structure, x.weight, tensors[x.weight], x.positions) for x in layers]
    form = QuadraticForm.total(n, terms)
    whole = np.array([[group.n_units for group in structure.groups]], dtype=np.int64)
    rest = np.zeros_like(form.matrix)
    rest[0, 0] = measured - int(form(whole)[0])
    return QuadraticForm(form.matrix + rest, images)


def params_form(structure: Structure, tensors: Mapping[str, Tensor]) -> QuadraticForm:
    """Return the number of parameters as a form of the kept units of each group.

    Args:
        structure: the groups.
        tensors: parameters and buffers of the unpruned model; only parameters count.
    """
    terms = [
        _term(structure, name, tensor, 1)
        for name, tensor in tensors.items()
        if isinstance(tensor, nn.Parameter)
    ]
    return QuadraticForm.total(len(structure.groups), terms)


def count_macs(model: nn.Module, example: tuple[Any, ...]) -> int:
    """Measure the multiply-adds of one image by torch's own counter.

    Torch counts a multiply-add as two operations; convolutions, linear layers and matrix products
    count, everything else does not. The model runs once, in evaluation mode and without gradients,
    and is then put back into the modes it had.

    Args:
        model: any network.
        example: its arguments; the first tensor's first dimension is the number of images.

    Returns:
        multiply-adds of the whole batch divided by the number of images.
    """
    return batch_macs(model, example) // batch_size(example)


def batch_macs(model: nn.Module, example: tuple[Any, ...]) -> int:
    """Measure the multiply-adds of all images together, as `count_macs` does."""
    training = [module for module in model.modules() if module.training]
    counter = FlopCounterMode(display=False)
    fast = torch.backends.mha.get_fastpath_enabled()  # fused attention is invisible to the counter
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        model.eval()
        with torch.no_grad(), counter:
            model(*example)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for module in training:
            module.training = True
    return counter.get_total_flops() // 2


def count_params(model: nn.Module) -> int:
    """Return the number of entries of all parameters, shared ones once, frozen ones included."""
    return sum(parameter.numel() for parameter in model.parameters())


def _term(
    structure: Structure, name: str, tensor: Tensor, coefficient: int
) -> tuple[int, Ints, Ints]:
    """Return a coefficient and two linear forms; their product is `coefficient` * numel."""
    one = np.zeros(len(structure.groups) + 1, dtype=np.int64)
    one[0] = 1
    forms = []
    for dim, size in enumerate(tensor.shape):
        if (name, dim) in structure.units:
            forms.append(structure.form(name, dim))
        else:
            coefficient *= size
    first, second, *_ = [*forms, one, one]
    if len(forms) > 2:
        raise ValueError(f"{name} carries channels along more than two dimensions")
    return coefficient, first, second
