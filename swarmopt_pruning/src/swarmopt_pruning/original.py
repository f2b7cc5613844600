"""The network to be pruned: built by name and trained once, or the user's own."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from swarmopt.words import count_text
from swarmopt_pruning.checkpoint import remove
from swarmopt_pruning.classes import check_classes
from swarmopt_pruning.data import Splits
from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.models import build
from swarmopt_pruning.own import call_user
from swarmopt_pruning.places import cache_folder
from swarmopt_pruning.tensors import write_tensors
from swarmopt_pruning.trace import evaluation_copy
from swarmopt_pruning.train import Recipe, accuracy, seeded, train

log = logging.getLogger(__name__)

TRAINING_SEED = 0


@dataclass(frozen=True)
class ModelName:
    """How to build a network again: a name and options, or only the name where it is the user's.

    Attributes:
        name: of a built-in model, "package.module:function", or "package.module:class" of a network
            that was given as it is.
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


def make_original(model: str | nn.Module, data: Splits) -> tuple[ModelName, nn.Module]:
    """Return a model for these images, and how it is built again.

    Args:
        model: a name, or a network, which is copied.
        data: the images.

    Raises:
        PruningError: It is neither, or cannot be copied, or the labels are none that a built-in
            network can be made for. And what `ModelName.make` raises.
    """
    if isinstance(model, nn.Module):
        kind = type(model)
        return ModelName(f"{kind.__module__}:{kind.__qualname__}", {}), evaluation_copy(model)
    if not isinstance(model, str):
        raise PruningError(f"model: expected a name or a torch.nn.Module, got {model!r:.80}")
    options = {"in_channels": data.train.x.shape[1], "n_classes": data.n_classes}
    name = ModelName(model, {} if ":" in model else options)
    if name.built_in:
        check_classes(data)
    return name, name.make()


def load_weights(model: nn.Module, path: Path) -> None:
    """Load a safetensors file into a network.

    Raises:
        PruningError: The file cannot be read, or does not fit; what differs is named.
    """
    if path.is_dir():
        raise PruningError(f"weights={path}: expected a safetensors file, got a folder")
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

    Of several processes that want the same weights at once one trains, and the others wait for it.
    A training that was killed goes on where it was.

    Args:
        name: of the model.
        model: as it was built; changed.
        data: whose training images are learnt.
        recipe: how.
    """
    path = cache_folder() / f"{name.name}-{_key(name, data, recipe)}.safetensors"
    if _load_cached(name, model, path, logging.DEBUG):
        return model
    with _locked(path) as held:
        if not _load_cached(name, model, path, logging.WARNING):
            _train(name, model, data, recipe, path if held else None)
    return model


def _load_cached(name: ModelName, model: nn.Module, path: Path, level: int) -> bool:
    """Load trained weights that are there, and return whether they are.

    Args:
        name: of the model.
        model: as it was built; changed.
        path: of the weights.
        level: at which it is logged that they are damaged.
    """
    if not path.is_file():
        return False
    try:
        load_weights(model, path)
    except PruningError as error:
        log.log(level, "%s; it is trained again", error)
        return False
    model.eval()
    log.info("the trained original %s comes from %s", name.name, path)
    return True


def _train(
    name: ModelName, model: nn.Module, data: Splits, recipe: Recipe, path: Path | None
) -> None:
    """Train a model, and put its weights where they are to be kept."""
    began = time.monotonic()
    checkpoint = None if path is None else path.with_suffix(".training.safetensors")
    log.info(
        "training the original %s first: %s on %s images; progress follows",
        name.name,
        count_text(recipe.epochs, "epoch"),
        f"{len(data.train):,}",
    )
    train(model, data.train, recipe, seed=TRAINING_SEED, checkpoint=checkpoint)
    log.info(
        "trained in %.1f s, held-out accuracy %.2f %%",
        time.monotonic() - began,
        100 * accuracy(model, data.held_out),
    )
    if path is None or checkpoint is None:
        return
    try:
        save_tensors(model, path)
        remove(checkpoint)
    except OSError as error:
        log.warning("the trained original cannot be cached at %s: %s", path, error)


@contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Hold the right to write a file of the cache; False where the cache cannot be written."""
    lock = FileLock(path.with_suffix(".lock"))  # let go by a kill
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.info("another process trains %s; waiting for it", path.stem)
            lock.acquire()
    except (OSError, NotImplementedError) as error:
        log.warning("the trained original cannot be cached at %s: %s", path, error)
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def save_tensors(model: nn.Module, path: Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network's parameters and buffers as safetensors: whole, or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    write_tensors(path, model.state_dict(), metadata)


def _key(name: ModelName, data: Splits, recipe: Recipe) -> str:
    """Return a hash of everything that decides the trained weights."""
    about = {
        "model": name.name,
        "options": dict(name.options),
        "recipe": asdict(recipe),
        "data": data.train.digest(),
        "torch": torch.__version__,
        "seed": TRAINING_SEED,
    }
    return blake2b(json.dumps(about, sort_keys=True).encode(), digest_size=8).hexdigest()
