"""After the search: what it scored to the end, and the choice among the best."""

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from swarmopt.evaluation import Outcome
from swarmopt.result import History
from swarmopt_pruning.constraint import ConstraintSet
from swarmopt_pruning.data import Images
from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.finalists import Finalist, Trial, contenders, halved
from swarmopt_pruning.front import Evaluated
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.score import Scorer
from swarmopt_pruning.train import Recipe, accuracy_and_loss, train
from swarmopt_pruning.winner import advice

log = logging.getLogger(__name__)

Ints = NDArray[np.int64]


def evaluated(
    history: History, constraints: ConstraintSet, graph: ChannelGraph, *, images: int
) -> Evaluated:
    """Return what a search scored to the end, the best first.

    Args:
        history: of the search, with every point.
        constraints: that its points are of.
        graph: of the network.
        images: that a score is made on.
    """
    whole = np.flatnonzero(history.outcome == Outcome.OK)
    whole = whole[np.argsort(history.cost[whole], kind="stable")]
    counts = constraints.counts(history.x[whole].reshape(len(whole), len(constraints.searched)))
    accuracy = np.array([history.info[place]["held_out_accuracy"] for place in whole])
    return Evaluated(counts, accuracy, graph.macs(counts), graph.params(counts), images)


def chosen(
    ordered: Ints,
    known: Mapping[str, Ints],
    scorer: Scorer,
    *,
    images: Images,
    unseen: Images,
    recipe: Recipe,
    most: int,
    seed: int,
    file: Path | None,
) -> list[Finalist]:
    """Return the finalists, the best first: trained a little, compared on unseen images.

    Args:
        ordered: (n, groups) counts that the search found, the best first.
        known: (groups,) counts that take part in any case, by name.
        scorer: of the search.
        images: to learn from.
        unseen: held-out images that no score has seen.
        recipe: of the first round.
        most: finalists.
        seed: of every training.
        file: where trials are kept; None: nowhere.
    """
    guess = math.log(len(np.unique(images.y.cpu())))  # cross-entropy where labels are alike
    racing = contenders(ordered, known, most)
    if len(racing) > 1:
        log.info("training %d finalists", len(racing))

    def trial(counts: tuple[int, ...], epochs: int) -> Trial:
        small = scorer.inherit(np.array(counts, dtype=np.int64))
        each = replace(recipe, epochs=epochs)
        try:
            train(small, images, each, seed=seed, teacher=scorer.model)
        except PruningError as error:  # the others may do better
            log.warning("a finalist is out: %s", error)
            return Trial(epochs, 0.0, None)
        right, loss = accuracy_and_loss(small, unseen)
        if loss < guess:  # not where it is NaN
            return Trial(epochs, right, loss)
        log.warning(
            "a finalist is out: training it made it worse than a guess (cross-entropy %.3g, that "
            "of a guess is %.3g); %s",
            loss,
            guess,
            advice(recipe),
        )
        return Trial(epochs, right, None)

    return halved(racing, trial, epochs=recipe.epochs, file=file)
