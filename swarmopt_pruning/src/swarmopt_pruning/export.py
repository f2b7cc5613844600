"""A network for other programs: a torch.export program, or ONNX."""

import importlib.util
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from swarmopt_pruning.compare import tensors
from swarmopt_pruning.errors import NotExportable, PruningError, first_line
from swarmopt_pruning.exported import (
    Arguments,
    Exported,
    Outputs,
    program_of,
    quiet,
    tried,
)

ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def save_program(model: nn.Module, example: Arguments, path: str | Path) -> Exported:
    """Write a network as a torch.export program; `load_program` needs no code of the network.

    Args:
        model: any network; not changed, exported in evaluation mode.
        example: its arguments, for one batch of images `(images,)`.
        path: of the file, by custom ending in .pt2.

    Raises:
        NotExportable: The network has no static graph.
        PruningError: The file computes something else; nothing is written then.
        OSError: The file cannot be written.
    """
    program, any_batch = program_of(model, example)

    def written(part: Path) -> Callable[[Arguments], Outputs]:
        with quiet():
            torch.export.save(program, part)
        loaded = load_program(part)
        return lambda arguments: tensors(loaded(*arguments))

    return tried(model, example, Path(path), written, any_batch=any_batch)


def load_program(path: str | Path) -> nn.Module:
    """Return the network of a torch.export program that `save_program` wrote.

    Its class is not needed. A program whose archive holds pickled objects is refused, because
    unpickling can run code.

    Raises:
        PruningError: The file is no such program.
    """
    path = Path(path)
    try:
        _refuse_pickles(path)
        with quiet():
            return torch.export.load(path).module()
    except PruningError:
        raise
    except Exception as error:
        raise PruningError(
            f"{path} is no readable torch.export program ({type(error).__name__}: "
            f"{first_line(error)}); was it cut short, or written by a newer torch?"
        ) from error


def save_onnx(model: nn.Module, example: Arguments, path: str | Path) -> Exported:
    """Write a network as ONNX and compare it with onnxruntime.

    Args:
        model: any network; not changed, exported in evaluation mode.
        example: its arguments, for one batch of images `(images,)`.
        path: of the file.

    Raises:
        NotExportable: The network has no static graph, or an operator that ONNX has not.
        PruningError: A package is missing, or the file computes something else; nothing is written
            then.
        OSError: The file cannot be written.
    """
    missing = [name for name in ONNX_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise PruningError(
            f"ONNX needs {', '.join(ONNX_PACKAGES)}, and {', '.join(missing)} cannot be imported; "
            f"install them with: pip install 'swarmopt-pruning[onnx]'"
        )
    program, any_batch = program_of(model, example)

    def written(part: Path) -> Callable[[Arguments], Outputs]:
        try:
            with quiet():
                made = torch.onnx.export(program, dynamo=True, verbose=False)
        except Exception as error:
            raise NotExportable(
                f"{type(model).__name__} cannot be told in ONNX: {first_line(error)}"
            ) from error
        if made is None:
            raise NotExportable(f"torch made no ONNX program of {type(model).__name__}")
        made.save(part)
        return _onnx_call(part)

    return tried(model, example, Path(path), written, any_batch=any_batch)


def _onnx_call(path: Path) -> Callable[[Arguments], Outputs]:
    """Return a function that runs an ONNX file on the processor, like a network."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def call(arguments: Arguments) -> Outputs:
        arrays = [tensor.numpy() for tensor in tensors(arguments)]
        names = [wanted.name for wanted in session.get_inputs()]
        results = session.run(None, dict(zip(names, arrays, strict=True)))
        return [torch.from_numpy(np.asarray(result)) for result in results]

    return call


def _refuse_pickles(path: Path) -> None:
    """Raise PruningError where loading a program would unpickle more than plain tensors."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith("_config.json"):
                entries = json.loads(archive.read(name)).get("config", {}).values()
                if any(entry.get("use_pickle") for entry in entries):
                    raise PruningError(f"{path} holds pickled objects ({name}); not loaded")
            elif "/sample_inputs/" in name and archive.getinfo(name).file_size:
                try:
                    torch.load(io.BytesIO(archive.read(name)), weights_only=True)
                except Exception as error:
                    raise PruningError(
                        f"{path} holds pickled objects ({name}); not loaded"
                    ) from error
