"""A pruned network on disk: plan, weights, and how to build the original again. No pickle."""

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import nn

from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.original import ModelName, load_weights, save_tensors
from swarmopt_pruning.plan import PruningPlan

PLAN = "plan.json"
WEIGHTS = "pruned.safetensors"
ORIGINAL = "original"  # the one key of its metadata: safetensors shuffles several


def save_pruned(model: nn.Module, original: ModelName, path: Path) -> None:
    """Write a pruned network's weights, with the name of the original beside them.

    Raises:
        OSError: The file cannot be written.
    """
    about = {"name": original.name, "options": dict(original.options)}
    save_tensors(model, path, {ORIGINAL: json.dumps(about, sort_keys=True)})


def load(folder: str | Path, model: nn.Module | None = None) -> nn.Module:
    """Return the pruned network of a run folder, in evaluation mode.

    Args:
        folder: of a finished run of `channel-prune`.
        model: the original network, where it was not a built-in one; its weights do not matter, and
            it is not changed.

    Raises:
        PruningError: A file is missing or does not fit, or the original is needed.
    """
    folder = Path(folder)
    for name in (PLAN, WEIGHTS):
        if not (folder / name).is_file():
            raise PruningError(
                f"{folder} holds no pruned network: {name} is missing. Was its run finished?"
            )
    plan = PruningPlan.load(folder / PLAN)
    if model is None:
        model = _original(folder / WEIGHTS).make()
    if not isinstance(model, nn.Module):
        raise PruningError(
            f"model: expected the original network, a torch.nn.Module, got {type(model).__name__}; "
            f"call the function that makes it"
        )
    small = plan.apply(model)
    load_weights(small, folder / WEIGHTS)
    return small.eval()


def _original(path: Path) -> ModelName:
    """Return the name of the built-in original in a weights file.

    A file from a stranger must not run code: a model of the user's own is never imported from here.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})[ORIGINAL])
        name = ModelName(str(about["name"]), dict(about["options"]))
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise PruningError(
            f"{path} does not say which network was pruned ({error!r}); give it: "
            f"load(folder, model)"
        ) from error
    if not name.built_in:
        raise PruningError(
            f"the pruned network was {name.name}, which is not built in; give it: "
            f"load(folder, model={name.name.partition(':')[2]}())"
        )
    return name
