"""PruningPlan: which channels stay, as plain data, and what to do with it.

A plan names parameters and buffers, dimensions and kept indices, so it is applied without tracing
the model again, and is saved as JSON. It belongs to one architecture, told by the names and shapes
of its tensors; weights and their type may change.
"""

import contextlib
import copy
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from swarmopt_pruning.errors import PlanMismatch
from swarmopt_pruning.resize import attributes_after
from swarmopt_pruning.trace import first_names


@dataclass(frozen=True)
class Cut:
    """One dimension of one parameter or buffer that loses indices.

    Args:
        tensor: name of the parameter or buffer.
        dim: the dimension.
        size: its size before.
        kept: kept indices, ascending.
        masked: whether the masked twin has zeros at the other indices.
    """

    tensor: str
    dim: int
    size: int
    kept: tuple[int, ...]
    masked: bool


@dataclass(frozen=True)
class PruningPlan:
    """A decision which channels stay; made by `ChannelGraph.plan` or `PruningPlan.load`.

    Args:
        model: class of the model that was traced.
        torch_version: version of torch that traced it.
        shapes: shape of every parameter and buffer of the model.
        kept: channels of each group that stay, ascending.
        cuts: the tensors that become smaller.
    """

    model: str
    torch_version: str
    shapes: Mapping[str, tuple[int, ...]]
    kept: Mapping[str, tuple[int, ...]]
    cuts: tuple[Cut, ...]

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the names and shapes of the model's tensors."""
        return fingerprint(self.shapes)

    def apply(self, model: nn.Module) -> nn.Module:
        """Return a new, smaller model; the given one is not touched.

        Args:
            model: the model that was traced, or one of the same architecture.

        Raises:
            PlanMismatch: The model has other tensors than the one that was traced.
        """
        self._check(model)
        tensors, _ = first_names(model)
        with torch.no_grad():
            copied = _copy_with(model, tensors, self.slice(tensors))
        for module, changes in self._attributes(copied):
            for name, value in changes.items():
                setattr(module, name, value)
        return copied

    def mask(self, model: nn.Module) -> nn.Module:
        """Return a new model of the original size that computes what the smaller one does.

        The cut channels are zero where they are made and where the next layer reads them. Equal
        holds in evaluation mode; training moves the zeros.

        Args:
            model: the model that was traced, or one of the same architecture.

        Raises:
            PlanMismatch: The model has other tensors than the one that was traced.
        """
        self._check(model)
        tensors, _ = first_names(model)
        masked: dict[str, Tensor] = {}
        for cut, (_, gone) in zip(self.cuts, self._indices, strict=True):
            if cut.masked:
                tensor = masked.get(cut.tensor, tensors[cut.tensor].detach())
                masked[cut.tensor] = tensor.index_fill(cut.dim, gone.to(tensor.device), 0)
        return _copy_with(model, tensors, masked)

    def slice(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors that become smaller, sliced, without copying anything else.

        Gradients flow back through the slices if the tensors require them.

        Args:
            tensors: parameters and buffers by name, such as `model.state_dict()`.

        Returns:
            sliced tensors by name, to be given to `torch.func.functional_call`; tensors that stay
            whole are left out.

        Raises:
            PlanMismatch: A tensor is missing or has another size.
        """
        smaller: dict[str, Tensor] = {}
        for cut, (stay, _) in zip(self.cuts, self._indices, strict=True):
            tensor = smaller.get(cut.tensor)
            if tensor is None:
                tensor = tensors.get(cut.tensor)
            if tensor is None or tensor.shape[cut.dim] != cut.size:
                raise PlanMismatch(
                    f"the plan cuts {cut.tensor} along dimension {cut.dim} of size {cut.size}, but "
                    f"{'there is no such tensor' if tensor is None else tuple(tensor.shape)}"
                )
            smaller[cut.tensor] = tensor.index_select(cut.dim, stay.to(tensor.device))
        return smaller

    def call(self, model: nn.Module, images: Tensor) -> Any:
        """Run the smaller network without building it; the mode is that of `model`.

        Running statistics are slices as well: in training mode their updates are lost. Not for use
        from several threads on one model: see `resized`.

        Args:
            model: the model that was traced.
            images: (n, channels, ...) input.

        Returns:
            what the smaller model returns.

        Raises:
            PlanMismatch: A tensor is missing or has another size.
        """
        tensors, _ = first_names(model)
        with self.resized(model):
            return functional_call(model, self.slice(tensors), (images,))

    @contextlib.contextmanager
    def resized(self, model: nn.Module) -> Iterator[None]:
        """Give the modules of a model the attributes of the smaller one for a while.

        Needed around `functional_call` with `slice`: depthwise convolutions read their number of
        groups from the module.
        """
        before: list[tuple[nn.Module, str, Any]] = []
        try:
            for module, changes in self._attributes(model):
                for name, value in changes.items():
                    before.append((module, name, getattr(module, name)))
                    setattr(module, name, value)
            yield
        finally:
            for module, name, value in reversed(before):
                setattr(module, name, value)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the plan as JSON; an old file is replaced only when the new one is complete."""
        from swarmopt_pruning.plan_file import encode

        path = Path(path)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with part.open("w", encoding="utf-8") as file:
                file.write(encode(self))
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "PruningPlan":
        """Read a plan.

        Raises:
            PlanCorrupted: The file is not JSON, of an unknown schema, incomplete or inconsistent.
        """
        from swarmopt_pruning.plan_file import decode

        path = Path(path)
        return decode(path.read_bytes(), str(path))

    @cached_property
    def _indices(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Kept and gone indices of every cut, made once for each set of indices."""
        made: dict[tuple[int, tuple[int, ...]], tuple[Tensor, Tensor]] = {}
        for cut in self.cuts:
            if (cut.size, cut.kept) not in made:
                stay = torch.tensor(cut.kept, dtype=torch.long)
                gone = torch.ones(cut.size, dtype=torch.bool)
                gone[stay] = False
                made[cut.size, cut.kept] = stay, gone.nonzero().flatten()
        return tuple(made[cut.size, cut.kept] for cut in self.cuts)

    @cached_property
    def _new_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors that become smaller."""
        shapes: dict[str, list[int]] = {}
        for cut in self.cuts:
            shapes.setdefault(cut.tensor, list(self.shapes[cut.tensor]))[cut.dim] = len(cut.kept)
        return {name: tuple(shape) for name, shape in shapes.items()}

    def _attributes(self, model: nn.Module) -> list[tuple[nn.Module, dict[str, Any]]]:
        """Return the modules with a smaller tensor and the attributes they will have."""
        _, aliases = first_names(model)
        found = []
        for alias, name in aliases.items():
            if name in self._new_shapes:
                path, _, leaf = alias.rpartition(".")
                module = model.get_submodule(path)
                found.append((module, attributes_after(module, leaf, self._new_shapes[name])))
        return found

    def _check(self, model: nn.Module) -> None:
        found = shapes_of(model)
        if found == self.shapes:
            return
        missing = [name for name in self.shapes if name not in found]
        extra = [name for name in found if name not in self.shapes]
        other = [n for n, s in found.items() if n in self.shapes and s != self.shapes[n]]
        says = [f"it has no {missing[0]} ({len(missing)} missing)"] if missing else []
        says += [f"it has {extra[0]} besides ({len(extra)} more)"] if extra else []
        says += [
            f"{name} is {found[name]} instead of {self.shapes[name]} ({len(other)} differ)"
            for name in other[:1]
        ]
        raise PlanMismatch(
            f"this plan was made for another model ({self.model}) than this "
            f"{type(model).__name__}: {'; '.join(says)}. A plan fits the architecture that was "
            f"traced, before it is pruned."
        )


def fingerprint(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return a hash of the names and shapes of a model's tensors.

    Types are left out on purpose: a plan fits the same model in half precision.
    """
    text = json.dumps(sorted((name, list(shape)) for name, shape in shapes.items()))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter and buffer of a model, shared ones once."""
    tensors, _ = first_names(model)
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _copy_with(
    model: nn.Module, tensors: Mapping[str, Tensor], replaced: Mapping[str, Tensor]
) -> nn.Module:
    """Return a deep copy of a model in which some tensors are replaced, by name."""
    memo: dict[int, Tensor] = {}
    for name, tensor in tensors.items():
        new = replaced[name].detach() if name in replaced else tensor.detach().clone()
        if isinstance(tensor, nn.Parameter):
            new = nn.Parameter(new, requires_grad=tensor.requires_grad)
        memo[id(tensor)] = new
    return copy.deepcopy(model, memo)
