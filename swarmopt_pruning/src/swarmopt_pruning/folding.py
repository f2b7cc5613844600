"""Batch normalisation folded into the convolutions before it, for networks that only answer."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from swarmopt_pruning.trace import evaluation_copy, first_names

CLOSE = 1e-3  # share of the largest answer that rounding may come to
_CONVOLUTIONS = (functional.conv1d, functional.conv2d, functional.conv3d)


@dataclass(frozen=True)
class Pair:
    """A convolution and the batch normalisation that alone reads its output.

    Attributes:
        convolution: name of the module.
        norm: name of the module.
    """

    convolution: str
    norm: str


class _Adjacent(TorchFunctionMode):
    """Notes which tensors convolutions make, and what reads them.

    Attributes:
        readers: by weight of a convolution the running means of what read its output; "" for what
            is no batch normalisation.
        uses: how often each parameter and buffer was read.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self._names = {id(tensor): name for name, tensor in first_names(model)[0].items()}
        self._made: dict[int, str] = {}
        self._alive: list[Tensor] = []  # so that no id comes twice
        self.readers: dict[str, list[str]] = {}
        self.uses: Counter[str] = Counter()

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not any(isinstance(value, Tensor) for value in _flat([result])):
            return result  # a size, say, which reads no channel
        self.uses.update(
            self._names[id(value)]
            for value in _flat([*args, *kwargs.values()])
            if id(value) in self._names
        )
        norm = ""
        if func is functional.batch_norm and len(args) > 1:
            norm = self._names.get(id(args[1]), "")
        for value in _flat([*args, *kwargs.values()]):
            maker = self._made.get(id(value))
            if maker is not None:
                self.readers[maker].append(norm)
        if func in _CONVOLUTIONS and len(args) > 1:
            name = self._names.get(id(args[1]), "")
            if name in self.readers:  # called twice: two outputs cannot be told apart
                self.readers[name].append("")
            elif name:
                self.readers[name] = []
                self._made[id(result)] = name
                self._alive.append(result)
        return result


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    """Yield values, and those in lists and tuples among them."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from value
        else:
            yield value


def foldable(model: nn.Module, example: tuple[Any, ...]) -> list[Pair]:
    """Return the pairs of a network that can be folded, found by running it.

    None, where the folded copy does not answer as the network does: its code looks at more of a
    module than the call shows.

    Args:
        model: in evaluation mode.
        example: its arguments.
    """
    pairs = _adjacent(model, example)
    return pairs if pairs and _same_answers(model, example, pairs) else []


def _adjacent(model: nn.Module, example: tuple[Any, ...]) -> list[Pair]:
    """Return the convolutions that one normalisation reads, both with tensors of their own."""
    seen = _Adjacent(model)
    with torch.no_grad(), seen:
        model(*example)
    modules = dict(model.named_modules())
    names = first_names(model)[1]
    pairs = []
    for weight, readers in seen.readers.items():
        convolution, _, leaf = weight.rpartition(".")
        if leaf != "weight" or len(readers) != 1:
            continue
        name = readers[0].rpartition(".")[0]
        made, norm = modules.get(convolution), modules.get(name)
        if not isinstance(made, _ConvNd) or not isinstance(norm, _BatchNorm):
            continue
        own = (*_tensors(made, convolution), *_tensors(norm, name))
        if all(names[tensor] == tensor and seen.uses[tensor] == 1 for tensor in own):
            pairs.append(Pair(convolution, name))
    return pairs


def _tensors(module: nn.Module, name: str) -> list[str]:
    """Return the full names of what a module computes with."""
    held = [*module.named_parameters(), *module.named_buffers()]
    return [f"{name}.{leaf}" for leaf, _ in held if leaf != "num_batches_tracked"]


def _same_answers(model: nn.Module, example: tuple[Any, ...], pairs: Sequence[Pair]) -> bool:
    """Return whether the folded copy answers as the network does, within rounding."""
    tensors = {name: tensor.detach() for name, tensor in first_names(model)[0].items()}
    eps: dict[str, Any] = {pair.norm: model.get_submodule(pair.norm).eps for pair in pairs}
    try:
        copied = folded_copy(model, pairs)
        with torch.no_grad():
            found = functional_call(copied, folded(tensors, pairs, eps), example)
            wanted = model(*example)
    except (AttributeError, RuntimeError, TypeError):
        return False
    answers = zip(tree_leaves(found), tree_leaves(wanted), strict=True)
    return all(
        torch.allclose(one, other, rtol=0, atol=CLOSE * float(other.abs().max()))
        for one, other in answers
        if isinstance(one, Tensor) and one.is_floating_point()
    )


def folded_copy(model: nn.Module, pairs: Sequence[Pair]) -> nn.Module:
    """Return a copy whose folded normalisations do nothing and whose convolutions have a bias."""
    made = evaluation_copy(model)
    for pair in pairs:
        convolution = made.get_submodule(pair.convolution)
        if convolution.bias is None:
            convolution.bias = nn.Parameter(convolution.weight.new_zeros(len(convolution.weight)))
        path, _, leaf = pair.norm.rpartition(".")
        setattr(made.get_submodule(path), leaf, nn.Identity())
    return made


def folded(
    tensors: Mapping[str, Tensor], pairs: Sequence[Pair], eps: Mapping[str, float]
) -> dict[str, Tensor]:
    """Return the tensors of the folded copy for the tensors of the network.

    Args:
        tensors: by name, statistics among them.
        pairs: what is folded.
        eps: of each of the normalisations.
    """
    made = dict(tensors)
    for pair in pairs:
        name = f"{pair.convolution}.weight"
        mean, variance = (made.pop(f"{pair.norm}.running_{s}") for s in ("mean", "var"))
        made.pop(f"{pair.norm}.num_batches_tracked", None)
        weight = made[name]
        scale = torch.rsqrt(variance + eps[pair.norm])
        if f"{pair.norm}.weight" in made:
            scale = scale * made.pop(f"{pair.norm}.weight")
        bias = made.get(f"{pair.convolution}.bias")
        shift = -mean if bias is None else bias - mean
        shift = shift * scale
        if f"{pair.norm}.bias" in made:
            shift = shift + made.pop(f"{pair.norm}.bias")
        made[name] = weight * scale.view(-1, *[1] * (weight.dim() - 1))
        made[f"{pair.convolution}.bias"] = shift
    return made
