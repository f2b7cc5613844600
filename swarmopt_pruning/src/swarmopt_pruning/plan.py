"""PruningPlan: which channels stay, as plain data, and what to do with it.

A plan names parameters and buffers, dimensions and kept indices, so it is applied without tracing
the model again, and is saved as JSON. It belongs to one architecture, told by the names and shapes
of its tensors; weights and their type may change.
"""

import contextlib
import copy
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from swarmopt_pruning.errors import PlanMismatch, PruningError
from swarmopt_pruning.files import write_whole
from swarmopt_pruning.fingerprint import differences, fingerprint, shapes_of
from swarmopt_pruning.resize import attributes_after, selected, zeroed
from swarmopt_pruning.trace import computed_copies, first_names


@dataclass(frozen=True)
class Cut:
    """One dimension of one parameter or buffer that loses indices.

    Args:
        tensor: name of the parameter or buffer.
        dim: the dimension.
        size: its size before.
        kept: kept indices, ascending.
        masked: whether the masked twin has zeros at the other indices.
        blocks: blocks of dimension 0 that keep indices of their own; `kept` then counts through
            all of them, as many in each, 0..blocks * size - 1.
    """

    tensor: str
    dim: int
    size: int
    kept: tuple[int, ...]
    masked: bool
    blocks: int = 1


@dataclass(frozen=True)
class PruningPlan:
    """A decision which channels stay; made by `ChannelGraph.plan` or `PruningPlan.load`.

    Args:
        model: class of the model that was traced.
        torch_version: version of torch that traced it.
        shapes: shape of every parameter and buffer of the model.
        widths: channels of each group before.
        kept: channels of each group that stay, ascending.
        cuts: the tensors that become smaller.
    """

    model: str
    torch_version: str
    shapes: Mapping[str, tuple[int, ...]]
    widths: Mapping[str, int]
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
        return _copy_with(model, tensors, self.masked(tensors))

    def masked(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors of the masked twin that differ from the original's.

        Args:
            tensors: parameters and buffers by name, such as `model.state_dict()`.
        """
        masked: dict[str, Tensor] = {}
        for cut, (_, gone) in zip(self.cuts, self._indices, strict=True):
            if cut.masked:
                tensor = masked.get(cut.tensor, tensors[cut.tensor].detach())
                masked[cut.tensor] = zeroed(tensor, cut.dim, gone.to(tensor.device), cut.blocks)
        return masked

    def slice(
        self, tensors: Mapping[str, Tensor], *, done: Collection[tuple[str, int]] = ()
    ) -> dict[str, Tensor]:
        """Return the tensors that become smaller, sliced, without copying anything else.

        Gradients flow back through the slices if the tensors require them.

        Args:
            tensors: parameters and buffers by name, such as `model.state_dict()`.
            done: tensors and dimensions that are cut already.

        Returns:
            sliced tensors by name, to be given to `torch.func.functional_call`; tensors that stay
            whole are left out.

        Raises:
            PlanMismatch: A tensor is missing or has another size.
        """
        smaller: dict[str, Tensor] = {}
        for cut, (stay, _) in zip(self.cuts, self._indices, strict=True):
            if (cut.tensor, cut.dim) in done:
                continue
            tensor = smaller.get(cut.tensor)
            if tensor is None:
                tensor = tensors.get(cut.tensor)
            if tensor is None or tensor.shape[cut.dim] != cut.size:
                raise PlanMismatch(
                    f"the plan cuts {cut.tensor} along dimension {cut.dim} of size {cut.size}, but "
                    f"{'there is no such tensor' if tensor is None else tuple(tensor.shape)}"
                )
            smaller[cut.tensor] = selected(tensor, cut.dim, stay.to(tensor.device), cut.blocks)
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

    def then(self, other: "PruningPlan") -> "PruningPlan":
        """Return one plan for this model that does what this plan does, and then another one.

        Args:
            other: made for the network that this plan makes.

        Raises:
            PlanMismatch: It was made for another one.
            PruningError: It is no plan.
        """
        from swarmopt_pruning.compose import composed

        if not isinstance(other, PruningPlan):
            raise PruningError(
                f"plan.then: expected a PruningPlan, got {type(other).__name__}; read a file with "
                f"PruningPlan.load(path)"
            )
        return composed(self, other)

    def check(self, model: nn.Module, example: tuple[Any, ...]) -> None:
        """Raise unless the network that this plan makes is its masked twin.

        Tracing tries many numbers of channels, and not all: a model whose code decides on a number
        that was not among them is found here.

        Args:
            model: the model that was traced, or one of the same architecture.
            example: its arguments, for one batch of images `(images,)`.

        Raises:
            PlanMismatch: The model has other tensors than the one that was traced.
            PruningError: The networks differ, or cannot be compared.
        """
        from swarmopt_pruning.verify import check_plan

        self._check(model)
        check_plan(self, model, example)

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
        """Write the plan as JSON; an old file is replaced only when the new one is complete.

        Args:
            path: of the file; its folder is made where there is none.

        Raises:
            OSError: The file cannot be written.
        """
        from swarmopt_pruning.plan_file import encode

        write_whole(Path(path), encode(self).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "PruningPlan":
        """Read a plan.

        Raises:
            PlanCorrupted: The file is not JSON, of an unknown schema, incomplete or inconsistent.
            PruningError: There is no such file, or it cannot be read.
        """
        from swarmopt_pruning.plan_file import decode

        path = Path(path)
        try:
            text = path.read_bytes()
        except OSError as error:
            raise PruningError(
                f"{path} cannot be read as a plan: {error.strerror or error}; expected the file "
                f"that plan.save wrote (plan.json in the folder of a run)"
            ) from error
        return decode(text, str(path))

    @cached_property
    def _indices(self) -> tuple[tuple[Tensor, Tensor], ...]:
        """Kept and gone indices of every cut, made once for each set of indices."""
        made: dict[tuple[int, tuple[int, ...]], tuple[Tensor, Tensor]] = {}
        for cut in self.cuts:
            key = cut.size * cut.blocks, cut.kept
            if key not in made:
                stay = torch.tensor(cut.kept, dtype=torch.long)
                gone = torch.ones(key[0], dtype=torch.bool)
                gone[stay] = False
                made[key] = stay, gone.nonzero().flatten()
        return tuple(made[cut.size * cut.blocks, cut.kept] for cut in self.cuts)

    @cached_property
    def shapes_after(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter and buffer of the network that the plan makes."""
        return {**self.shapes, **self._new_shapes}

    @cached_property
    def _new_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the tensors that become smaller."""
        shapes: dict[str, list[int]] = {}
        for cut in self.cuts:
            shape = shapes.setdefault(cut.tensor, list(self.shapes[cut.tensor]))
            shape[cut.dim] = len(cut.kept) // cut.blocks
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
        why = differences(self.shapes, shapes_of(model))
        if why:
            raise PlanMismatch(
                f"this plan was made for another model ({self.model}) than this "
                f"{type(model).__name__}: {why}. A plan fits the architecture that was traced, "
                f"before it is pruned."
            )


def _copy_with(
    model: nn.Module, tensors: Mapping[str, Tensor], replaced: Mapping[str, Tensor]
) -> nn.Module:
    """Return a deep copy of a model in which some tensors are replaced, by name."""
    memo: dict[int, Any] = computed_copies(model)
    for name, tensor in tensors.items():
        new = replaced[name].detach() if name in replaced else tensor.detach().clone()
        if isinstance(tensor, nn.Parameter):
            new = nn.Parameter(new, requires_grad=tensor.requires_grad)
        memo[id(tensor)] = new
    return copy.deepcopy(model, memo)
