"""Whether an original is fit for pruning: what it returns, knows, and is made of."""

import logging

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from swarmopt_pruning.data import Images
from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.train import accuracy

log = logging.getLogger(__name__)


def check_output(model: nn.Module, x: torch.Tensor, n_classes: int) -> None:
    """Raise PruningError unless the network gives one logit per class for images x."""
    try:
        with torch.no_grad():
            found = model(x)
    except (RuntimeError, TypeError, ValueError) as error:
        raise PruningError(
            f"the model {type(model).__name__} does not take images of shape "
            f"{tuple(x.shape[1:])}: {error}"
        ) from error
    if not isinstance(found, torch.Tensor) or found.ndim != 2 or found.shape[1] < n_classes:
        shape = tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
        raise PruningError(
            f"the model {type(model).__name__} returns {shape} for {len(x)} images; expected "
            f"logits ({len(x)}, {n_classes}), one per class of the data"
        )


def check_answers(name: str, model: nn.Module, held_out: Images, n: int) -> None:
    """Refuse an original whose answers are no numbers; warn of one that guesses.

    Args:
        name: of the original.
        model: the original.
        held_out: images that it should know.
        n: how many of them are looked at for NaN.

    Raises:
        PruningError: It answers with NaN or inf.
    """
    with torch.no_grad():
        if not torch.isfinite(model(held_out.x[:n])).all():
            raise PruningError(f"the original {name} answers with NaN or inf: look at its weights")
    found = accuracy(model, held_out)
    chance = float(torch.bincount(held_out.y).max()) / len(held_out)
    if found <= 1.5 * chance:
        log.warning(
            "the original is right on %.1f %% of the held-out images, guessing on %.1f %%: it "
            "seems not to be trained; give weights=FILE, or a function that returns a trained "
            "network",
            100 * found,
            100 * chance,
        )


def parametrized_layers(model: nn.Module) -> list[str]:
    """Return the names of layers whose weights are computed by torch's parametrizations."""
    return [name for name, module in model.named_modules() if is_parametrized(module)]
