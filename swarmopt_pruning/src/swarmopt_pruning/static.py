"""A model as a static graph by torch.export, or an error that names the line in the way."""

import contextlib
import copy
import io
import logging
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import config

from swarmopt_pruning.dynamic import Frames, dynamic_frames
from swarmopt_pruning.errors import NotExportable, first_line

_ADVICE = (
    "Channels are traced through torch.export, which follows neither Python decisions on the "
    "values of tensors nor operators without a fake implementation (torch.library.register_fake); "
    "write that line with torch.where, or move it out of the part to prune."
)
_FAKE = (
    "torch.export runs a model without values and needs to know what the operator returns: "
    "decorate a function of the same arguments with @torch.library.register_fake('NAME') that "
    "returns an empty tensor of the right shape, such as torch.empty_like(x). Then only what goes "
    "into the operator stays whole."
)


def static_graph(model: nn.Module, example: tuple[Any, ...]) -> torch.export.ExportedProgram:
    """Return the graph of a model that runs on the example.

    Raises:
        NotExportable: Python code decides on values, or an operator has no fake implementation.
    """
    try:
        with warnings.catch_warnings(), _quiet(), _unannotated():
            # Recurrent layers cache views of their weights, which is nothing the user can change.
            warnings.filterwarnings("ignore", message="The tensor attribute", category=UserWarning)
            program = torch.export.export(model, example, strict=False)
    except Exception as error:
        frames: Frames = traceback.extract_tb(error.__traceback__)
        if "Size-like symbols: u" in str(error):  # raised by whoever reads the tensor first
            frames = dynamic_frames(model, example) or frames
        raise NotExportable(
            f"{type(model).__name__} has no static graph: {_place(frames, model)} stands in the "
            f"way ({type(error).__name__}: {first_line(error)}). "
            f"{_FAKE if 'fake impl' in str(error) else _ADVICE}"
        ) from error
    for node in program.graph.nodes:
        shown = node.meta.get("val")
        if isinstance(shown, Tensor) and not all(type(size) is int for size in shown.shape):
            place = _place(dynamic_frames(model, example), model)
            raise NotExportable(
                f"{type(model).__name__} has no static graph: the shape of a tensor in {place} "
                f"depends on the values of tensors. {_ADVICE}"
            )
    return program


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch from printing the graph of a failure, which the error says better."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def _unannotated() -> Iterator[None]:
    """Keep torch from noting the lines that called each operator: nothing here reads them."""
    name = "do_not_emit_stack_traces"  # older versions of torch take no notice of it
    before = getattr(config, name, False)
    setattr(config, name, True)
    try:
        yield
    finally:
        setattr(config, name, before)


def _place(frames: Frames, model: nn.Module) -> str:
    """Return the innermost line outside torch and this package."""
    here = (str(Path(__file__).parent / name) for name in ("static.py", "dynamic.py"))
    elsewhere = (str(Path(torch.__file__).parent), str(Path(copy.__file__).parent), *here, "<")
    frames = [frame for frame in frames if not frame.filename.startswith(elsewhere)]
    if not frames:
        return f"something in {type(model).__name__}.forward"
    frame = frames[-1]
    return f"`{frame.line}` (line {frame.lineno} of {Path(frame.filename).name}, in {frame.name})"
