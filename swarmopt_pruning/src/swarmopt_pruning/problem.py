"""Channel pruning as a swarmopt problem: a point says how many channels each group keeps."""

import logging
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from swarmopt import Evaluation, Problem, Result, Seeds
from swarmopt_pruning.budget import Budget
from swarmopt_pruning.checkpoint import remove
from swarmopt_pruning.codes import constrain
from swarmopt_pruning.data import Images, Splits, load_data
from swarmopt_pruning.errors import PruningError, UnknownName
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.health import check_answers, check_output, parametrized_layers
from swarmopt_pruning.importance import IMPORTANCES
from swarmopt_pruning.loading import PLAN, WEIGHTS, save_pruned
from swarmopt_pruning.machine import workers_that_fit
from swarmopt_pruning.measure import Figures, figures, largest_difference
from swarmopt_pruning.original import load_weights, make_original, trained
from swarmopt_pruning.report import draw_channels, pictures, table
from swarmopt_pruning.score import Scorer
from swarmopt_pruning.taylor import taylor_scores
from swarmopt_pruning.terminal import printable
from swarmopt_pruning.train import Recipe, pinned
from swarmopt_pruning.winner import ARTEFACTS, CHANNELS, CHECKPOINT, check_winner, fine_tuned

log = logging.getLogger(__name__)

Matrix = NDArray[np.float64]
EXAMPLES = 2  # images that the network is traced with
MOST_THREADS = 256
CALIBRATION = 512  # training images that batch normalisation is measured on, and gradients
MOST_RATE = 10.0  # no training survives more, which would show only after the search
SLOPES = 64  # images of one gradient
SENT = 1 << 26  # bytes of images at most that are sent to a worker if it can load them itself


class ChannelPruning(Problem):
    """Find how many channels each layer of a convolutional network should keep.

    A candidate inherits the most important channels of the trained original. Its cost is the error
    on held-out images plus `penalty` times its share of the original's multiply-adds (MACs).

    Args:
        model: a built-in model, `torchvision/NAME` or `timm/NAME` where these are installed, or
            package.module:function that returns a trained torch.nn.Module; in Python also the
            trained network itself.
        weights: a safetensors file for that model; a built-in model without it is trained once and
            cached.
        data: `digits`, or package.module:function that returns (x, y, test_x, test_y) or
            `swarmopt_pruning.Splits`, the same every time; in Python also such splits.
        target_macs: never exceeded: a share of the original's MACs up to 1, or a number above 1.
        target_params: the same for parameters; both hold together.
        penalty: cost of the original's MACs, in errors.
        step: distance of two allowed widths, as a share of the original width.
        minimum: least share of its width that a group keeps.
        alpha: largest share.
        multiple: widths are multiples of this where possible.
        exclude: patterns of groups that stay whole, such as layer1.*.
        allowed: pattern of groups and the widths they may have, instead of steps.
        codes: group, block or stage: what one number of the search decides about.
        tie: patterns; the groups that match one of them share one number.
        importance: l1, l2, bn-scale, taylor or random: which channels stay.
        epochs: of training a built-in original.
        finetune_epochs: of training the winner, with the original as its teacher.
        finetune_rate: peak learning rate of that.
        distill: weight of the teacher's answers against the labels.
        threads: of torch; part of what makes a run repeatable.

    A worker gets the traced graph, the weights and the importance of the channels from the driver,
    so all workers score one and the same network; large named data are loaded once there.
    """

    name = "channel-prune"
    default_budget = 150
    distributions = ("swarmopt-pruning", "torch", "scikit-learn")
    artefacts = ARTEFACTS

    def __init__(
        self,
        *,
        model: str | nn.Module = "digits-resnet",
        weights: str = "",
        data: str | Splits = "digits",
        target_macs: float = 0.5,
        target_params: float = 1.0,
        penalty: float = 0.05,
        step: float = 0.1,
        minimum: float = 0.1,
        alpha: float = 1.0,
        multiple: int = 1,
        exclude: list[str] | None = None,
        allowed: dict[str, list[int]] | None = None,
        codes: str = "group",
        tie: list[str | list[str]] | None = None,
        importance: str = "l1",
        epochs: int = 20,
        finetune_epochs: int = 20,
        finetune_rate: float = 0.05,
        distill: float = 0.7,
        threads: int = 1,
    ) -> None:
        _check(0 <= penalty < math.inf, "penalty", "at least 0", penalty)
        _check(0 <= distill <= 1, "distill", "a share in [0, 1]", distill)
        _check(0 < finetune_rate <= MOST_RATE, "finetune_rate", f"0 to {MOST_RATE}", finetune_rate)
        _check(epochs >= 0, "epochs", "at least 0", epochs)
        _check(finetune_epochs >= 0, "finetune_epochs", "at least 0", finetune_epochs)
        _check(1 <= threads <= MOST_THREADS, "threads", f"1 to {MOST_THREADS}", threads)
        if importance not in IMPORTANCES:
            raise UnknownName("importance", importance, IMPORTANCES)
        self._data = load_data(data)
        self._data_name = data if isinstance(data, str) else ""
        self._prepared = False
        self._importance = importance
        self._penalty = penalty
        self._threads = threads
        self._training = Recipe(epochs=epochs)
        self._finetuning = Recipe(epochs=finetune_epochs, rate=finetune_rate, distill=distill)
        with pinned(threads):
            self._model_name, self._model = make_original(model, self._data)
            self._has_weights = bool(weights) or not self._model_name.built_in
            if weights:
                load_weights(self._model, Path(weights))
            self._model.eval()
            examples = self._data.train.x[:EXAMPLES]
            check_output(self._model, examples, self._data.n_classes)
            self.graph = ChannelGraph.trace(self._model, (examples,))
        if not self.graph.groups:
            reasons = "; ".join(f"{f.name}: {f.reason}" for f in self.graph.frozen)
            raise PruningError(f"the model has no channels that can be pruned: {reasons}")
        self.constraints = constrain(
            self.graph.groups,
            step=step,
            minimum=minimum,
            alpha=alpha,
            multiple=multiple,
            exclude=exclude or (),
            allowed=allowed,
            codes=codes,
            tie=tie or (),
        )
        self.space = self.constraints.space
        self.budget = Budget.of(self.graph, macs=target_macs, params=target_params)
        self.budget.check_reachable(self.constraints.counts(np.zeros((1, len(self.space))))[0])
        self._full_macs = self.budget.limits[0].whole
        self._channel_scores: Mapping[str, Matrix] = {}
        if importance != "taylor":
            self.graph.scores(importance)  # it may say nothing about this network
        fit = 1 if parametrized_layers(self._model) else workers_that_fit(threads)
        self.default_workers = fit if fit > 1 else 0

    def prepare(self) -> None:
        """Train the original where that is needed, and score its channels."""
        if self._prepared:
            return
        with pinned(self._threads):
            if not self._has_weights:
                trained(self._model_name, self._model, self._data, self._training)
            check_answers(self._model_name.name, self._model, self._data.held_out, EXAMPLES)
            self._channel_scores = self._score_channels()
        log.info(
            "%d groups, %.3g combinations of widths, %.3g allowed; budget %s",
            len(self.graph.groups),
            self.constraints.n_before,
            self.constraints.n_after,
            " and ".join(f"{x.most:,} of {x.whole:,} {x.unit}" for x in self.budget.limits),
        )
        for frozen in self.graph.frozen:
            name, reason = printable(frozen.name), printable(frozen.reason)
            log.info("not pruned: %s (%d channels): %s", name, frozen.width, reason)
        self._prepared = True

    def _score_channels(self) -> Mapping[str, Matrix]:
        if self._importance != "taylor":
            return self.graph.scores(self._importance)
        x, y = self._data.train.x[:CALIBRATION], self._data.train.y[:CALIBRATION]
        batches = [(x[i : i + SLOPES], y[i : i + SLOPES]) for i in range(0, len(x), SLOPES)]
        return taylor_scores(self.graph, self._model, batches)

    @cached_property
    def scorer(self) -> Scorer:
        """What scores candidates; sees no test image."""
        self.prepare()
        train_images = self._data.train
        return Scorer(
            graph=self.graph,
            model=self._model,
            channel_scores=self._channel_scores,
            calibration=Images(train_images.x[:CALIBRATION], train_images.y[:CALIBRATION]),
            held_out=self._data.held_out,
        )

    def __getstate__(self) -> dict[str, Any]:
        """Return what a worker needs; of large images that have a name, only their digest.

        Raises:
            PruningError: The network is of a kind that torch does not send.
        """
        if layers := parametrized_layers(self._model):
            raise PruningError(
                f"torch sends no parametrized layer, such as {layers[0] or 'the network itself'}: "
                f"call torch.nn.utils.parametrize.remove_parametrizations, or set workers=0 "
                f"(--workers 0)"
            )
        state = {name: value for name, value in vars(self).items() if name != "scorer"}
        if self._data_name and self._data.nbytes > SENT:
            state["_data"] = self._data.digest()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Load the images that were not sent, once in each worker.

        Raises:
            PruningError: They are not the driver's.
        """
        vars(self).update(state)
        if isinstance(self._data, Splits):
            return
        self._data = load_data(self._data_name)
        if self._data.digest() != state["_data"]:
            raise PruningError(
                f"data={self._data_name}: a worker got other images than the run began with; the "
                f"function must return the same every time and everywhere: seed what it draws"
            )

    def canonical(self, x: Matrix) -> Matrix:
        """Return the points repaired down to the budget."""
        return self.constraints.repair(x, self.budget)

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - scoring draws nothing and is short
        """Return held-out error plus penalised MACs of candidates."""
        counts = self.constraints.counts(x)
        share = self.graph.macs(counts) / self._full_macs
        with pinned(self._threads):
            right = np.array([self.scorer.accuracy(row) for row in counts])
        info = [
            {"held_out_accuracy": a, "macs_share": s}
            for a, s in zip(right.tolist(), share.tolist(), strict=True)
        ]
        return Evaluation(1.0 - right + self._penalty * share, info=info)

    def finish(self, result: Result, folder: Path | None) -> Mapping[str, Any]:
        """Fine-tune the winner, look at the test images once, and write the artefacts."""
        counts = self.constraints.counts(self.canonical(result.x[None]))[0]
        scorer = self.scorer
        with pinned(self._threads):
            plan = scorer.plan(counts)
            check_winner(plan, self._model, self._data.held_out.x[:EXAMPLES])
            difference = largest_difference(
                plan.apply(self._model), plan.mask(self._model), self._data.held_out.x[:64]
            )
            small = fine_tuned(
                scorer,
                counts,
                self._data.train,
                self._finetuning,
                seed=result.seed,
                folder=folder,
            )
            before = self._figures(self._model, int(self.graph.widths.sum()))
            after = self._figures(small, int(counts.sum()))
        report = {
            "before": before.document(),
            "after": after.document(),
            "model": self._model_name.name,
            "data": self._data_name or "given as it is",
            **{limit.setting: limit.most for limit in self.budget.limits},
            "combinations": {
                "before": self.constraints.n_before,
                "after": self.constraints.n_after,
            },
            "groups": {
                group.name: {"kept": kept, "width": group.width}
                for group, kept in zip(self.graph.groups, counts.tolist(), strict=True)
            },
            "not_pruned": [
                {"name": f.name, "channels": f.width, "reason": f.reason} for f in self.graph.frozen
            ],
            "masked_difference": difference,
            "pictures": pictures(self.graph.names, self.graph.widths.tolist(), counts.tolist()),
        }
        if folder is not None:
            save_pruned(small, self._model_name, folder / WEIGHTS)
            draw_channels(
                self.graph.names,
                self.graph.widths.tolist(),
                counts.tolist(),
                f"{self._model_name.name}: {after.macs / before.macs:.1%} of the MACs",
                folder / CHANNELS,
            )
            remove(folder / CHECKPOINT)
        return report

    def _figures(self, model: nn.Module, channels: int) -> Figures:
        return figures(model, self._data, channels=channels, original=self._model_name)

    def describe(self, result: Result) -> str:
        """Return the table before / after / removed."""
        if "before" not in result.report:
            return ""
        return (
            table(result.report["before"], result.report["after"])
            + f"\nartefacts: {PLAN}, {WEIGHTS}, {CHANNELS}, convergence.png, result.json;"
            + "\nuse them with swarmopt_pruning.load(folder)"
        )


def _check(right: bool, name: str, expected: str, got: float) -> None:
    if not right:
        raise PruningError(f"{name}: expected {expected}, got {got!r}")
