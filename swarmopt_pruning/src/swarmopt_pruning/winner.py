"""The winner of a search is fine-tuned; a checkpoint is kept until the artefacts are written."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from swarmopt.words import count_text
from swarmopt_pruning.data import Images
from swarmopt_pruning.errors import Diverged, NoMemory, PruningError
from swarmopt_pruning.files import part_of
from swarmopt_pruning.loading import PLAN, WEIGHTS
from swarmopt_pruning.plan import PruningPlan
from swarmopt_pruning.score import Scorer
from swarmopt_pruning.terminal import printable
from swarmopt_pruning.train import Recipe, accuracy, train

log = logging.getLogger(__name__)

LOWER = 10  # times lower is the rate that is advised where training did harm
CHECKPOINT = "finetuning.safetensors"
CHANNELS = "channels.png"
FRONT, FRONT_PICTURE = "front.csv", "front.png"
FINALISTS = "finalists.json"
FILES = (PLAN, WEIGHTS, CHANNELS, CHECKPOINT, FRONT, FRONT_PICTURE, FINALISTS)
ARTEFACTS = (*FILES, *(part_of(Path(name)).name for name in FILES))
"""Names of all files that a finished or a killed run of the plugin leaves in its folder."""


def fine_tuned(
    scorer: Scorer,
    counts: NDArray[np.int64],
    images: Images,
    unseen: Images,
    recipe: Recipe,
    *,
    seed: int,
    folder: Path | None,
) -> nn.Module:
    """Return the smaller network, fine-tuned with the original as its teacher.

    Where it is right less often then than the refitted network that was scored, or the training
    diverges or has no memory, that is returned, and a warning says so; without epochs as well.

    Args:
        scorer: of the search.
        counts: (groups,) channels that stay.
        images: to learn from.
        unseen: held-out images that tell whether it was of use.
        recipe: how.
        seed: of the training.
        folder: where the plan is written, and a checkpoint, from which a second call goes on and
            ends with the same bits. None: nothing is kept.
    """
    refitted = scorer.refitted(counts)
    file = None
    if folder is not None:
        scorer.plan(counts).save(folder / PLAN)  # what was found, whatever becomes of the rest
        file = folder / CHECKPOINT
    if recipe.epochs == 0:
        return refitted
    log.info("fine-tuning the winner for %s", count_text(recipe.epochs, "epoch"))
    small, before = scorer.inherit(counts), accuracy(refitted, unseen)
    try:
        train(small, images, recipe, seed=seed, teacher=scorer.model, checkpoint=file)
    except NoMemory as error:
        log.warning("%s; the network stays as it was refitted", error)
        return refitted
    except Diverged as error:
        wrong = str(error)
    else:
        after = accuracy(small, unseen)
        if after >= before:
            return small
        wrong = (
            f"fine-tuning made the network worse, from {before:.2%} to {after:.2%} right of the "
            f"held-out images that no score saw"
        )
    log.warning("%s; it stays as it was refitted; %s", wrong, advice(recipe))
    return refitted


def advice(recipe: Recipe) -> str:
    """Return what to do where training by a recipe did harm."""
    return f"a lower rate may do better: finetune_rate={recipe.rate / LOWER:g}"


def check_winner(plan: PruningPlan, model: nn.Module, x: Tensor) -> None:
    """Warn where the winner is not the original without some channels.

    It is scored, trained and tested as the network that it is, so nothing is lost.

    Args:
        plan: of the winner.
        model: the original.
        x: images to try it on.
    """
    try:
        plan.check(model, (x,))
    except PruningError as error:
        log.warning("%s", printable(str(error)))
