"""The network to be pruned: built by name and trained once, or the user's own."""

import json
import logging
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from swarmopt.folder import umask
from swarmopt_pruning.data import Splits, call_user
from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.models import build
from swarmopt_pruning.train import Recipe, accuracy, seeded, train

log = logging.getLogger(__name__)

TRAINING_SEED = 0


@dataclass(frozen=True)
class ModelName:
    """How to build a network again: a name and options, or only the name where it is the user's.

    Attributes:
        name: of a built-in model, or "package.module:function".
        options: of a built-in model.
    """

    name: str
    options: Mapping[str, int]

    @property
    def built_in(self) -> bool:
        """Whether the package can build it."""
        return ":" not in self.name

    def make(self) -> nn.Module:
        """Return the network with fresh weights (the user's own: as its function returns it).

        Raises:
            UnknownName: There is no such model.
            SettingError: The user's function cannot be imported or fails.
            PruningError: The user's function returns no network.
        """
        if self.built_in:
            with seeded(TRAINING_SEED):
                return build(self.name, **self.options)
        found = call_user(self.name, "model")
        if not isinstance(found, nn.Module):
            raise PruningError(f"model={self.name}: expected a torch.nn.Module, got {found!r:.80}")
        return found


def name_model(name: str, data: Splits) -> ModelName:
    """Return how to build a model for these images."""
    if ":" in name:
        return ModelName(name, {})
    return ModelName(name, {"in_channels": data.train.x.shape[1], "n_classes": data.n_classes})


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a safetensors file into a network.

    Raises:
        PruningError: The file cannot be read, or does not fit; what differs is named.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise PruningError(f"weights={path}: not a readable safetensors file: {error}") from error
    expected = model.state_dict()
    problems = [f"{n} is missing" for n in expected if n not in tensors]
    problems += [f"{n} is not in the model" for n in tensors if n not in expected]
    problems += [
        f"{n} has shape {tuple(tensors[n].shape)}, the model's is {tuple(t.shape)}"
        for n, t in expected.items()
        if n in tensors and tensors[n].shape != t.shape
    ]
    if problems:
        more = f", and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise PruningError(
            f"weights={path} do not fit the model {type(model).__name__}: "
            f"{'; '.join(problems[:3])}{more}"
        )
    model.load_state_dict(tensors)


def trained(name: ModelName, model: nn.Module, data: Splits, recipe: Recipe) -> nn.Module:
    """Return a built-in model with trained weights: from the cache, or trained and put there.

    Args:
        name: of the model.
        model: as it was built; changed.
        data: whose training images are learnt.
        recipe: how.
    """
    path = cache_folder() / f"{name.name}-{_key(name, data, recipe)}.safetensors"
    if path.is_file():
        try:
            load_weights(model, path)
        except PruningError as error:
            log.warning("%s; it is trained again", error)
        else:
            model.eval()
            log.info("the trained original %s comes from %s", name.name, path)
            return model
    began = time.monotonic()
    log.info("training the original %s for %d epochs", name.name, recipe.epochs)
    train(model, data.train, recipe, seed=TRAINING_SEED)
    log.info(
        "trained in %.1f s, held-out accuracy %.2f %%",
        time.monotonic() - began,
        100 * accuracy(model, data.held_out),
    )
    try:
        save_tensors(model, path)
    except OSError as error:
        log.warning("the trained original cannot be cached at %s: %s", path, error)
    return model


def cache_folder() -> Path:
    """Return the folder of trained originals: $XDG_CACHE_HOME/swarmopt, or ~/.cache/swarmopt."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "swarmopt"


def save_tensors(model: nn.Module, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network's parameters and buffers as safetensors: whole, or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {n: t.detach().contiguous().clone() for n, t in model.state_dict().items()}
    with tempfile.TemporaryDirectory(prefix=".saving-", dir=path.parent) as folder:
        part = Path(folder) / path.name
        try:
            save_file(tensors, part, metadata=dict(metadata) if metadata else None)
        except SafetensorError as error:  # a full disk, for one
            raise OSError(str(error)) from error
        part.chmod(0o666 & ~umask())  # safetensors writes files that only their owner may read
        part.replace(path)


def _key(name: ModelName, data: Splits, recipe: Recipe) -> str:
    """Return a hash of everything that decides the trained weights."""
    about = {
        "model": name.name,
        "options": dict(name.options),
        "recipe": asdict(recipe),
        "data": data.digest(),
        "torch": torch.__version__,
        "seed": TRAINING_SEED,
    }
    return blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=8).hexdigest()
