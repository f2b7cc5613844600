"""What a network's own code raises, told as such: which network, on what images, in which line."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from traceback import walk_tb
from types import FrameType

import torch
from torch import Tensor, nn

from swarmopt.words import count_text
from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.memory import is_out_of_memory

HERE = str(Path(__file__).parent) + os.sep
PASSING = (f"{HERE}models{os.sep}", f"{HERE}layer_calls.py")  # a network calls them, too
TORCH = str(Path(torch.__file__).parent) + os.sep

Step = tuple[FrameType, int]  # of a traceback: the frame, and its line


@contextmanager
def raised_by(name: str, advice: str = "") -> Iterator[None]:
    """Turn what a network raises into an error that names it.

    What is raised outside a call of a network passes as it is, as do errors of this package and
    those that say that memory ran out.

    Args:
        name: of the network.
        advice: the end of the message: what to do.

    Raises:
        PruningError: The network raised an error.
    """
    try:
        yield
    except Exception as error:
        steps = [] if isinstance(error, PruningError) or is_out_of_memory(error) else _called(error)
        if not steps:
            raise
        first_line = str(error).strip().partition("\n")[0]
        said = f"{type(error).__name__}{': ' if first_line else ''}{first_line}"
        raise PruningError(
            f"the model {name} raised {said}{_images(steps[0][0])}{_place(steps)}{advice}"
        ) from error


def _called(error: Exception) -> list[Step]:
    """Return the steps from the call of a network on; none where it is not at fault."""
    steps = list(walk_tb(error.__traceback__))
    calls = [i for i, (frame, _) in enumerate(steps) if frame.f_code.co_name == "_call_impl"]
    inside = steps[calls[0] :] if calls else []
    ours = [file for file in map(_file, inside) if file.startswith(HERE)]
    return inside if all(file.startswith(PASSING) for file in ours) else []


def _images(call: FrameType) -> str:
    """Return how many images of which shape a network was called with."""
    arguments = (*call.f_locals.get("args", ()), *call.f_locals.get("kwargs", {}).values())
    shape = next((tuple(x.shape) for x in arguments if isinstance(x, Tensor)), ())
    if not shape:
        return ""
    return f", for {count_text(shape[0], 'image')} of shape {shape[1:]}"


def _place(steps: list[Step]) -> str:
    """Return the innermost line in the files of the network's own modules, if it has any."""
    files = {_file(step) for step in steps if _is_method(step[0])}
    own = [step for step in steps if _file(step) in files and not _file(step).startswith(TORCH)]
    return f" ({Path(_file(own[-1])).name}, line {own[-1][1]})" if own else ""


def _is_method(frame: FrameType) -> bool:
    """Return whether a frame is of a method of a module, whatever it calls its first argument."""
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    return bool(names) and isinstance(frame.f_locals.get(names[0]), nn.Module)


def _file(step: Step) -> str:
    return step[0].f_code.co_filename
