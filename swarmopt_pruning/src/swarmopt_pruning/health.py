"""Whether an original is fit for pruning: what it returns, knows, and is made of."""

import logging
import math

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrize import is_parametrized

from swarmopt_pruning.data import Images
from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.raised import raised_by
from swarmopt_pruning.train import EVALUATION_BATCH, accuracy_and_loss

log = logging.getLogger(__name__)


def check_output(
    name: str, model: nn.Module, x: torch.Tensor, n_classes: int, *, greatest: str = ""
) -> None:
    """Raise PruningError unless the network gives one logit per class for images x.

    Args:
        name: of the network.
        model: the network.
        x: (n, ...) images.
        n_classes: one more than the greatest label.
        greatest: which image has that label.
    """
    hint = _shape_hint(x)
    with torch.no_grad(), raised_by(name, _type_hint(model) + hint):
        found = model(x)
    fits = isinstance(found, torch.Tensor) and found.ndim == 2 and len(found) == len(x)
    if not fits or found.shape[1] < n_classes:
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        whose = f": {greatest}" if fits and greatest else ""
        raise PruningError(
            f"the model {name} returns {shape} for {len(x)} images; expected logits "
            f"({len(x)}, {n_classes}), one per class of the data, whose labels go up to "
            f"{n_classes - 1}{whose}{hint}"
        )
    if not found.is_floating_point():
        raise PruningError(
            f"the model {name} returns numbers of {found.dtype} for {len(x)} images; expected "
            f"logits ({len(x)}, {n_classes}), which are floating-point numbers"
        )


def _shape_hint(x: torch.Tensor) -> str:
    """Return what may be wrong with the shape of images, as the end of a message."""
    last = x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[3] < x.shape[1]
    if x.ndim == 4 and not last:
        return ""
    rest = ", ".join(map(str, x.shape[1:]))
    asked = ": are the channels the last of these?" if last else ""
    return f"; expected images (n, channels, height, width), got (n, {rest}){asked}"


def _type_hint(model: nn.Module) -> str:
    """Return which parameter is of another type than the images, as the end of a message."""
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and parameter.dtype is not torch.float32:
            return (
                f"; images are torch.float32, and the parameter {name} is {parameter.dtype}: call "
                f".float() on the network"
            )
    return ""


def check_answers(name: str, model: nn.Module, held_out: Images, *, force: bool = False) -> None:
    """Refuse an original whose answers are no numbers, and one that guesses.

    Args:
        name: of the original.
        model: the original.
        held_out: images that it should know.
        force: only warn of one that guesses.

    Raises:
        PruningError: It answers with NaN or inf, or its accuracy is that of chance.
    """
    (found, loss), guessed = accuracy_and_loss(model, held_out), chance(held_out)
    if not math.isfinite(loss):
        raise PruningError(
            f"the original {name} answers with NaN or inf for {_no_numbers(model, held_out):,} of "
            f"the {len(held_out):,} held-out images: look at its weights, and at what it divides by"
        )
    if found >= guessed + margin(guessed, len(held_out)):
        return
    said = (
        f"the original {name} is right on {found:.1%} of the {len(held_out):,} held-out images, "
        f"always guessing the commonest label on {guessed:.1%}: it seems not to be trained, or to "
        f"be for other images"
    )
    if not force:
        raise PruningError(
            f"{said}; give weights=FILE, or a function that returns a trained network, or train a "
            f"built-in one for longer (--set epochs=N), or go on all the same with force=True "
            f"(--set force=true)"
        )
    log.warning("%s; force=True goes on", said)


def _no_numbers(model: nn.Module, images: Images) -> int:
    """Return for how many images the answer makes no finite loss."""
    pairs = zip(*(torch.split(t, EVALUATION_BATCH) for t in (images.x, images.y)), strict=True)
    with torch.no_grad():
        losses = [functional.cross_entropy(model(x), y, reduction="none") for x, y in pairs]
    return int((~torch.cat(losses).isfinite()).sum())


def chance(images: Images) -> float:
    """Return the accuracy of always answering the commonest label."""
    return float(torch.bincount(images.y).max()) / len(images)


def margin(guessed: float, n: int) -> float:
    """Return by how much an accuracy must exceed that of guessing.

    A twentieth of what is left to know, at least three standard errors of n images, and at most
    half of what is left, so that a handful of images is enough for a good network.
    """
    error = math.sqrt(guessed * (1 - guessed) / n)
    return min(max(0.05 * (1 - guessed), 3 * error), 0.5 * (1 - guessed))


def parametrized_layers(model: nn.Module) -> list[str]:
    """Return the names of layers whose weights are computed by torch's parametrizations."""
    return [name for name, module in model.named_modules() if is_parametrized(module)]
