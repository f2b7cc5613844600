"""swarmopt prune-inspect: which channels of a network can be pruned, before anything is pruned."""

import json
import shutil
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn

from swarmopt.cli.help import examples
from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.inspection import inspect_graph, inspection_table
from swarmopt_pruning.models.external import is_external
from swarmopt_pruning.original import ModelName, load_weights
from swarmopt_pruning.own import call_user

IMAGES = 2
EXAMPLE = "--input 2,3,224,224"


@click.command(
    "prune-inspect",
    epilog=examples("swarmopt prune-inspect mypackage.nets:make --input 2,3,224,224"),
)
@click.argument("model", metavar="MODEL")
@click.option(
    "--input",
    "shapes",
    multiple=True,
    metavar="SHAPE",
    help="Shape of an input with its batch dimension, such as 2,3,224,224; once for each input.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A safetensors file for the model.",
)
@click.option("--no-verify", is_flag=True, help="Do not try each group; faster, less certain.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def inspect(
    *,
    model: str,
    shapes: tuple[str, ...],
    weights: Path | None,
    no_verify: bool,
    as_json: bool,
) -> None:
    """Tell which channels of a network can be pruned, which are tied or frozen, and why.

    MODEL is a built-in network (resnet20, mobilenet-v2), one of torchvision/NAME or timm/NAME, or
    package.module:function that returns a torch.nn.Module, or the module and the tuple of its
    example inputs. Nothing is trained and nothing is written.
    """
    network, example = _network(model, tuple(_shape(text) for text in shapes))
    if weights is not None:
        load_weights(network, weights)
    graph = ChannelGraph.trace(network, example, verify=not no_verify)
    document = inspect_graph(graph, network)
    document["verified"] = not no_verify
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        click.echo(inspection_table(document, width=shutil.get_terminal_size((100, 24)).columns))


def _network(name: str, shapes: tuple[tuple[int, ...], ...]) -> tuple[nn.Module, tuple[Any, ...]]:
    """Return the network and its example inputs."""
    if ":" not in name:
        network = ModelName(name, {}).make()
        return network, _examples(shapes or (_usual_shape(name),))
    found = call_user(name, "MODEL")
    network, example = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
    if not isinstance(network, nn.Module):
        raise PruningError(
            f"{name}: expected a torch.nn.Module, or a module and the tuple of its example inputs, "
            f"got {type(found).__name__}"
        )
    if shapes:
        return network, _examples(shapes)
    if example is None:
        raise PruningError(
            f"{name} does not say what its input looks like; give the shape, batch first: {EXAMPLE}"
        )
    return network, example if isinstance(example, tuple) else (example,)


def _usual_shape(name: str) -> tuple[int, ...]:
    """Return the shape of images for a network by name: digits are grey and small."""
    if name.startswith(("digits", "tiny")):
        return (IMAGES, 1 if name.startswith("digits") else 3, 8, 8)
    size = 224 if is_external(name) else 32
    return (IMAGES, 3, size, size)


def _examples(shapes: tuple[tuple[int, ...], ...]) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(shape, generator=generator) for shape in shapes)


def _shape(text: str) -> tuple[int, ...]:
    try:
        shape = tuple(int(part) for part in text.replace("x", ",").split(","))
    except ValueError:
        shape = ()
    if len(shape) < 2 or min(shape) < 1:
        raise click.BadParameter(
            f"expected whole numbers of at least 1, the batch first, such as 2,3,224,224; "
            f"got {text!r}",
            param_hint="--input",
        )
    return shape
