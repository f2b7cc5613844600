"""What comes after a search: finalists, the winner fine-tuned, its figures and its files."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from swarmopt import Result
from swarmopt_pruning.budget import Budget
from swarmopt_pruning.checkpoint import remove
from swarmopt_pruning.constraint import ConstraintSet
from swarmopt_pruning.data import Images, Splits
from swarmopt_pruning.finalists import Finalist
from swarmopt_pruning.front import Evaluated, write_front
from swarmopt_pruning.loading import WEIGHTS, save_pruned
from swarmopt_pruning.measure import LATENCY_BATCH, Figures, figures, largest_difference
from swarmopt_pruning.original import ModelName
from swarmopt_pruning.report import draw_channels, figures_table, finalists_report, structure_report
from swarmopt_pruning.score import Scorer
from swarmopt_pruning.selection import chosen, evaluated
from swarmopt_pruning.train import Recipe
from swarmopt_pruning.winner import (
    CHANNELS,
    CHECKPOINT,
    FINALISTS,
    FRONT,
    FRONT_PICTURE,
    check_winner,
    fine_tuned,
)

Ints = NDArray[np.int64]
FEW = 2  # images that the winner is checked on
COMPARED = 64  # images that it is compared with its masked twin on


@dataclass(frozen=True, eq=False)
class Ending:
    """What comes after a search, from what the search was of.

    Attributes:
        scorer: of the search.
        constraints: of the search.
        budget: that its structures are within.
        original: how the network is called.
        data: whose test images are looked at once, at the end.
        data_name: how they are called; "": they have no name.
        unseen: held-out images that no score has seen.
        known: (groups,) counts that are finalists in any case, by name.
        most: finalists; 1: the best score wins.
        epochs: of training finalists in the first round.
        recipe: of fine-tuning the winner; finalists are trained alike.
    """

    scorer: Scorer
    constraints: ConstraintSet
    budget: Budget
    original: ModelName
    data: Splits
    data_name: str
    unseen: Images
    known: Mapping[str, Ints]
    most: int
    epochs: int
    recipe: Recipe

    def report(self, result: Result, folder: Path | None) -> dict[str, Any]:
        """Choose and fine-tune the winner, and return what there is to say of it.

        Args:
            result: of the search, with every point.
            folder: where artefacts are written; None: nowhere.
        """
        scorer, graph = self.scorer, self.scorer.graph
        found = evaluated(result.history, self.constraints, graph, images=len(scorer.images))
        if folder is not None and len(found.counts):
            write_front(found, graph.names, folder / FRONT, folder / FRONT_PICTURE)
        finalists = self._finalists(found, result, folder)
        counts = np.array(finalists[0].counts, dtype=np.int64)
        difference = self._checked(counts)
        small = fine_tuned(
            scorer,
            counts,
            self.data.train,
            self.unseen,
            self.recipe,
            seed=result.seed,
            folder=folder,
        )
        if folder is not None:
            save_pruned(small, self.original, folder / WEIGHTS)
        before = self._figures(scorer.model, graph.widths)
        after = self._figures(small, counts, before.latency_batch)
        if folder is not None:
            draw_channels(
                graph.names,
                graph.widths.tolist(),
                counts.tolist(),
                f"{self.original.name}: {after.macs / before.macs:.1%} of the MACs",
                folder / CHANNELS,
            )
            remove(folder / CHECKPOINT)
        return {
            "before": before.document(),
            "after": after.document(),
            "model": self.original.name,
            "data": self.data_name or "given as it is",
            **{limit.setting: limit.most for limit in self.budget.limits},
            **structure_report(graph, self.constraints, counts),
            "tables": [figures_table(before.document(), after.document())],
            **finalists_report(finalists, len(self.unseen)),
            "masked_difference": difference,
        }

    def _finalists(self, found: Evaluated, result: Result, folder: Path | None) -> list[Finalist]:
        """Return the finalists, the best first."""
        best = self.constraints.counts(result.x[None])
        return chosen(
            np.concatenate([best, found.counts]),
            self.known,
            self.scorer,
            images=self.data.train,
            unseen=self.unseen,
            recipe=replace(self.recipe, epochs=self.epochs),
            most=self.most,
            seed=result.seed,
            file=None if folder is None else folder / FINALISTS,
        )

    def _checked(self, counts: Ints) -> float:
        """Check the winner, and return how far its answers are from those of its masked twin."""
        plan, model, images = self.scorer.plan(counts), self.scorer.model, self.data.held_out.x
        check_winner(plan, model, images[:FEW])
        return largest_difference(plan.apply(model), plan.mask(model), images[:COMPARED])

    def _figures(self, model: nn.Module, counts: Ints, timed: int = LATENCY_BATCH) -> Figures:
        return figures(
            model,
            self.data,
            channels=int(counts.sum()),
            original=self.original,
            latency_batch=timed,
        )
