"""How a file of a network comes about: exported for any number of images, and tried first."""

import contextlib
import io
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from swarmopt_pruning import compare
from swarmopt_pruning.errors import NotExportable, PruningError, first_line
from swarmopt_pruning.trace import batch_size, evaluation_copy

TOLERANCE = 1e-4
"""Largest difference, as a share of the largest output, that counts as rounding."""

Arguments = tuple[Any, ...]
Outputs = Sequence[Tensor]


@dataclass(frozen=True)
class Exported:
    """A file that was written, read again, and computed the same.

    Attributes:
        path: of the file.
        difference: largest absolute difference of an output from the network's own.
        any_batch: whether it takes any number of images, or only as many as the example.
    """

    path: Path
    difference: float
    any_batch: bool


def program_of(model: nn.Module, example: Arguments) -> tuple[ExportedProgram, bool]:
    """Return the exported network, and whether it takes any number of images."""
    working = evaluation_copy(model)
    wide, shapes = _any_batch(example)
    if shapes is not None:
        # What fails here has its batch in its code; the second try says what is wrong if anything.
        with contextlib.suppress(Exception), quiet(), torch.no_grad():
            program = torch.export.export(working, wide, dynamic_shapes=shapes, strict=False)
            program.module()(*_three_times(wide, shapes))
            return _without_example(program), True
    try:
        with quiet():
            program = torch.export.export(working, example, strict=False)
    except Exception as error:
        name = type(model).__name__
        try:
            with torch.no_grad():
                working(*example)
        except Exception as cause:
            why = f"{name} does not run on the example: {first_line(cause)}"
            raise PruningError(why) from cause
        raise NotExportable(
            f"{name} runs, but has no static graph for torch.export ({type(error).__name__}: "
            f"{first_line(error)})"
        ) from error
    return _without_example(program), False


def _any_batch(example: Arguments) -> tuple[Arguments, tuple[dict[int, Any] | None, ...] | None]:
    """Return an example of at least two images, and which of its dimensions are the batch."""
    if not isinstance(example, tuple):
        raise PruningError(
            f"the example must be a tuple of the model's arguments, got "
            f"{type(example).__name__}; for one batch of images pass (images,)"
        )
    n = batch_size(example)
    if not all(isinstance(item, Tensor) for item in example):
        return example, None
    batched = [item.dim() > 0 and item.shape[0] == n for item in example]
    wide = tuple(
        torch.cat([item, item]) if mine and n == 1 else item  # torch takes 1 for a constant
        for item, mine in zip(example, batched, strict=True)
    )
    return wide, tuple({0: Dim.AUTO} if mine else None for mine in batched)


def _three_times(arguments: Arguments, batched: Sequence[object]) -> Arguments:
    """Return arguments with three times as many images."""
    return tuple(
        torch.cat([item, item, item]) if mine else item
        for item, mine in zip(arguments, batched, strict=True)
    )


def _without_example(program: ExportedProgram) -> ExportedProgram:
    """Return a program that does not hold the images it was made with."""
    program.example_inputs = None
    return program


def tried(
    model: nn.Module,
    example: Arguments,
    path: Path,
    written: Callable[[Path], Callable[[Arguments], Outputs]],
    *,
    any_batch: bool,
) -> Exported:
    """Write a file beside its place, compare what it computes, and put it there when it is right.

    Args:
        model: the network.
        example: its arguments.
        path: where the file belongs.
        written: writes the file, and returns a function that computes what it computes.
        any_batch: whether it takes any number of images.
    """
    working = evaluation_copy(model)
    examples = [example]
    if any_batch:
        _, shapes = _any_batch(example)
        examples.append(_three_times(example, shapes or ()))
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".exporting-", dir=path.parent) as folder:
        part = Path(folder) / path.name
        call = written(part)
        difference = 0.0
        for arguments in examples:
            with torch.no_grad():
                expected = compare.tensors(working(*arguments))
                again = compare.tensors(working(*arguments))
            _check_repeats(model, expected, again, path)
            difference = max(difference, _difference(expected, call(arguments), path))
        for made in Path(folder).iterdir():  # large ONNX files keep their weights beside them
            made.replace(path.parent / made.name)
    return Exported(path, difference, any_batch)


def _check_repeats(model: nn.Module, first: Outputs, again: Outputs, path: Path) -> None:
    """Refuse a network that does not answer the same twice: no file could be compared with it."""
    if compare.difference(again, first) is not None:
        raise PruningError(
            f"{path.name} was not written: {type(model).__name__} answers differently when it is "
            f"asked the same twice in evaluation mode, so nothing can be compared with it: are "
            f"there random numbers in its forward, or does it change its buffers? Take them out"
        )


def _difference(expected: Outputs, found: Outputs, path: Path) -> float:
    """Return the largest difference of two lists of outputs.

    Raises:
        PruningError: It is more than rounding.
    """
    if [one.shape for one in expected] != [other.shape for other in found]:
        raise PruningError(
            f"{path.name} was not written: its outputs have shapes "
            f"{[tuple(x.shape) for x in found]}, the network's "
            f"{[tuple(x.shape) for x in expected]}"
        )
    largest = 0.0
    for one, other in zip(expected, found, strict=True):
        gap = (one.double() - other.double()).abs().max().item() if one.numel() else 0.0
        size = one.double().abs().max().item() if one.numel() else 1.0
        if not gap <= TOLERANCE * max(size, 1e-9):
            raise PruningError(
                f"{path.name} was not written: an output differs by {gap:.2g} from the network's, "
                f"whose largest value is {size:.2g}. Report the network to the authors of the "
                f"exporter, or try another version of torch"
            )
        largest = max(largest, gap)
    return largest


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep torch from printing its progress and advice; errors are raised all the same."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
