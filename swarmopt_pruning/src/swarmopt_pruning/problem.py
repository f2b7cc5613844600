"""Channel pruning as a swarmopt problem: a point says how many channels each group keeps."""

import logging
import math
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from swarmopt import Evaluation, Problem, Result, Seeds
from swarmopt.evaluation import Outcome
from swarmopt_pruning.allocator import keep_memory
from swarmopt_pruning.budget import Budget
from swarmopt_pruning.classes import greatest_label
from swarmopt_pruning.codes import constrain
from swarmopt_pruning.data import Images, Splits, load_data
from swarmopt_pruning.device import device_of
from swarmopt_pruning.elimination import elimination_scores
from swarmopt_pruning.ending import Ending
from swarmopt_pruning.errors import PruningError, UnknownName, check_setting
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.health import check_answers, check_output, parametrized_layers
from swarmopt_pruning.importance import IMPORTANCES
from swarmopt_pruning.loading import PLAN, WEIGHTS
from swarmopt_pruning.machine import workers_that_fit
from swarmopt_pruning.moments import Moments, measure_moments
from swarmopt_pruning.original import load_weights, make_original, trained
from swarmopt_pruning.raised import raised_by
from swarmopt_pruning.report import choice, table
from swarmopt_pruning.score import Scorer
from swarmopt_pruning.starts import known_points
from swarmopt_pruning.taylor import taylor_scores
from swarmopt_pruning.tensors import tensor_digest
from swarmopt_pruning.terminal import printable
from swarmopt_pruning.trace import first_names
from swarmopt_pruning.train import Recipe, pinned
from swarmopt_pruning.winner import ARTEFACTS, CHANNELS, FINALISTS, FRONT, FRONT_PICTURE

log = logging.getLogger(__name__)

Matrix = NDArray[np.float64]
EXAMPLES = 2  # images that the network is traced with
MOST_THREADS = 256
CALIBRATION = 250  # training images that a candidate is refitted by and its statistics are of
GRADIENTS = 512  # training images of importance by gradients
MOMENT_IMAGES = 1000  # training images that layers are refitted by
RECONSTRUCTION = "reconstruction"
FITNESSES = ("brier", "error")  # attributes of a score
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
SURE = ("additive", "uniform")  # known structures that are finalists in any case
OWN = {"scorer", "known"}  # what each process makes for itself
MOST_RATE = 10.0  # no training survives more, which would show only after the search
TIED = 1e-6  # images: what is level with the bound is not above it by rounding
SLOPES = 64  # images of one gradient
SENT = 1 << 26  # bytes of images at most that are sent to a worker if it can load them itself


class ChannelPruning(Problem):
    """Find how many channels each layer of a convolutional network should keep.

    A candidate inherits the most important channels of the trained original. Its cost is the error
    on held-out images, in which doubt counts (see `fitness`), plus `penalty` times its share of the
    original's multiply-adds (MACs).

    Args:
        model: a built-in model, `torchvision/NAME` or `timm/NAME` where these are installed, or
            package.module:function that returns a trained torch.nn.Module; in Python also the
            trained network itself.
        weights: a safetensors file for that model; a built-in model without it is trained once and
            cached.
        data: `digits`, `fashion-mnist`, `cifar10`, a folder of IDX files or CIFAR-10's batches such
            as ./mnist, or package.module:function that returns (x, y, test_x, test_y) or
            `swarmopt_pruning.Splits`, the same every time; in Python also such splits.
        target_macs: never exceeded: a share of the original's MACs up to 1, or a number above 1.
        target_params: the same for parameters; both hold together.
        penalty: cost of the original's MACs, in errors.
        fitness: brier: half the Brier score, an error that an uncertain answer has a part of, which
            tells more structures apart; error: the share of wrong answers.
        step: distance of two allowed widths, as a share of the original width.
        minimum: least share of its width that a group keeps.
        alpha: largest share.
        multiple: widths are multiples of this where possible.
        exclude: patterns of groups that stay whole, such as layer1.*.
        allowed: pattern of groups and the widths they may have, instead of steps.
        codes: group, block or stage: what one number of the search decides about.
        tie: patterns; the groups that match one of them share one number.
        importance: which channels stay: those that the others predict least ("reconstruction"), or
            l1, l2, bn-scale, taylor, random.
        reconstruct: refit layers by least squares, before scoring and training.
        known: begin with uniform widths, global magnitude, and what one curve of accuracy per code
            says; two of them are among the finalists.
        fill: candidates below the budget are widened up to it, where there is a budget.
        score_images: held-out images that a score is made on; at most half of them.
        score_batch: of them at a time.
        dtype: float32 or bfloat16: what a score computes in; `swarmopt prune-tune` measures both.
        finalists: structures that are trained a little before one is chosen; 1: the best score.
        finalist_epochs: of training them in the first round; half of them go on for twice as long.
        device: cpu, cuda, cuda:1, mps; auto: a graphics card where there is one.
        force: go on with an original that guesses.
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
    races = True
    keeps_points = True

    def __init__(
        self,
        *,
        model: str | nn.Module = "digits-resnet",
        weights: str = "",
        data: str | Splits = "digits",
        target_macs: float = 0.5,
        target_params: float = 1.0,
        penalty: float = 0.05,
        fitness: str = "brier",
        step: float = 0.1,
        minimum: float = 0.1,
        alpha: float = 1.0,
        multiple: int = 1,
        exclude: list[str] | None = None,
        allowed: dict[str, list[int]] | None = None,
        codes: str = "group",
        tie: list[str | list[str]] | None = None,
        importance: str = "l1",
        reconstruct: bool = True,
        known: bool = True,
        fill: bool = True,
        score_images: int = 1000,
        score_batch: int = 250,
        dtype: str = "float32",
        finalists: int = 6,
        finalist_epochs: int = 1,
        device: str = "auto",
        force: bool = False,
        epochs: int = 20,
        finetune_epochs: int = 20,
        finetune_rate: float = 0.05,
        distill: float = 0.7,
        threads: int = 1,
    ) -> None:
        check_setting(0 <= penalty < math.inf, "penalty", "at least 0", penalty)
        rates = f"above 0, at most {MOST_RATE}"
        check_setting(0 < finetune_rate <= MOST_RATE, "finetune_rate", rates, finetune_rate)
        check_setting(1 <= threads <= MOST_THREADS, "threads", f"1 to {MOST_THREADS}", threads)
        for name, number, least in (
            ("finetune_epochs", finetune_epochs, 0),
            ("score_images", score_images, 1),
            ("score_batch", score_batch, 1),
            ("finalists", finalists, 1),
            ("finalist_epochs", finalist_epochs, 1),
        ):
            check_setting(number >= least, name, f"at least {least}", number)
        self._training = Recipe(epochs=epochs)
        self._finetuning = Recipe(epochs=finetune_epochs, rate=finetune_rate, distill=distill)
        for name, asked, there_are in (
            ("dtype", dtype, DTYPES),
            ("fitness", fitness, FITNESSES),
            ("importance", importance, (RECONSTRUCTION, *IMPORTANCES)),
        ):
            if asked not in there_are:
                raise UnknownName(name, asked, there_are)
        self._data = load_data(data)
        self._data_name = data if isinstance(data, str) else ""
        self._device = device_of(device)
        self._n_scored = max(1, min(score_images, len(self._data.held_out) // 2))
        self._prepared = False
        self._reconstruct, self._fill, self._begins_known = reconstruct, fill, known
        self._dtype, self._score_batch, self._force = dtype, score_batch, force
        self._n_finalists, self._finalist_epochs = finalists, finalist_epochs
        self._importance = importance
        self._penalty, self._fitness = penalty, fitness
        self.threads = threads
        with pinned(threads):
            self._model_name, self._model = make_original(model, self._data)
            self._has_weights = bool(weights) or not self._model_name.built_in
            if weights:
                load_weights(self._model, Path(weights))
            self._model.eval()
            examples = self._data.train.x[:EXAMPLES]
            check_output(
                self._model_name.name,
                self._model,
                examples,
                self._data.n_classes,
                greatest=greatest_label(self._data),
            )
            self.graph = ChannelGraph.trace(self._model, (examples,))
        self._data = self._data.to(self._device)
        self._model.to(self._device)
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
        self._fill &= any(limit.most < limit.whole for limit in self.budget.limits)
        self._channel_scores: Mapping[str, Matrix] = {}
        self._moments: Mapping[str, Moments] = {}
        if importance not in ("taylor", RECONSTRUCTION):
            self.graph.scores(importance)  # it may say nothing about this network
        alone = self._device.type != "cpu" or parametrized_layers(self._model)
        fit = 1 if alone else workers_that_fit(threads)
        self.default_workers = fit if fit > 1 else 0

    def prepare(self) -> None:
        """Train the original where that is needed, and score its channels."""
        if self._prepared:
            return
        any_number = "; it has to take any number of images"
        with pinned(self.threads), raised_by(self._model_name.name, any_number):
            if not self._has_weights:
                trained(self._model_name, self._model, self._data, self._training)
            check_answers(
                self._model_name.name, self._model, self._data.held_out, force=self._force
            )
            moments: Mapping[str, Moments] = {}
            if self._reconstruct or self._importance == RECONSTRUCTION:
                images = self._data.train.x[:MOMENT_IMAGES]
                moments = measure_moments(self._model, set(self.graph.reads), images)
            self._channel_scores = self._score_channels(moments)
            self._moments = moments if self._reconstruct else {}
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

    def fingerprint(self) -> Mapping[str, str]:
        """Return hashes of the original's weights and of the images that scores come from."""
        training, held_out = self._data.digest()
        return {
            "original network": tensor_digest(first_names(self._model)[0], ""),
            "training images": training,
            "held-out images": held_out,
        }

    def _score_channels(self, moments: Mapping[str, Moments]) -> Mapping[str, Matrix]:
        if self._importance == RECONSTRUCTION:
            return elimination_scores(self.graph, first_names(self._model)[0], moments)
        if self._importance != "taylor":
            return self.graph.scores(self._importance)
        x, y = self._data.train.x[:GRADIENTS], self._data.train.y[:GRADIENTS]
        batches = [(x[i : i + SLOPES], y[i : i + SLOPES]) for i in range(0, len(x), SLOPES)]
        return taylor_scores(self.graph, self._model, batches)

    @cached_property
    def scorer(self) -> Scorer:
        """What scores candidates; sees no test image."""
        self.prepare()
        keep_memory()
        return Scorer(
            graph=self.graph,
            model=self._model,
            channel_scores=self._channel_scores,
            moments=self._moments,
            calibration=self._data.train[:CALIBRATION],
            images=self._data.held_out[: self._n_scored],
            batch=self._score_batch,
            dtype=DTYPES[self._dtype],
            fitness=self._fitness,
        )

    @property
    def _unseen(self) -> Images:
        """Held-out images that no score sees; all, where there is only one."""
        held_out = self._data.held_out
        return held_out[self._n_scored :] if len(held_out) > self._n_scored else held_out

    @cached_property
    def known(self) -> Mapping[str, Matrix]:
        """(d,) points within the budget that are worth trying first, by name.

        "additive" and "threshold" come from how the loss rises where one code alone is narrow.
        """
        scorer = self.scorer
        advice = (
            f"; a score takes score_batch={self._score_batch} images at a time: let forward take "
            f"any number, or give another (--set score_batch=N)"
        )
        with pinned(self.threads), raised_by(self._model_name.name, advice):
            return known_points(
                self.constraints,
                self.budget,
                loss=lambda counts: scorer.score(counts).loss,
                scores=self.graph.scores("l1"),
            )

    def starts(self) -> Matrix:
        """Return the known structures."""
        return np.array(list(self.known.values())) if self._begins_known else super().starts()

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
        state = {name: value for name, value in vars(self).items() if name not in OWN}
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
        self._data = load_data(self._data_name).to(self._device)
        if self._data.digest() != state["_data"]:
            raise PruningError(
                f"data={self._data_name}: a worker got other images than the run began with; the "
                f"function must return the same every time and everywhere: seed what it draws"
            )

    def canonical(self, x: Matrix) -> Matrix:
        """Return the points repaired down to the budget."""
        return self.constraints.repair(x, self.budget, fill=self._fill)

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - scoring draws nothing
        """Return held-out fitness plus penalised MACs; candidates above the bound stop early."""
        counts = self.constraints.counts(x)
        share = self.graph.macs(counts) / self._full_macs
        most = (bound - self._penalty * share) * self._n_scored + TIED
        with pinned(self.threads):
            scores = [self.scorer.score(*each) for each in zip(counts, most, strict=True)]
        fitness = np.array([getattr(score, self._fitness) for score in scores])
        status = np.array(
            [Outcome.OK if score.complete else Outcome.CENSORED for score in scores], np.int8
        )
        info = [
            {"held_out_accuracy": score.accuracy, "macs_share": s}
            for score, s in zip(scores, share.tolist(), strict=True)
        ]
        return Evaluation(fitness + self._penalty * share, status=status, info=info)

    def finish(self, result: Result, folder: Path | None) -> Mapping[str, Any]:
        """Choose among the best, fine-tune the winner, and look at the test images once."""
        known = {}
        if self._begins_known and self._n_finalists > 1:
            known = {name: self.constraints.counts(self.known[name][None])[0] for name in SURE}
        ending = Ending(
            scorer=self.scorer,
            constraints=self.constraints,
            budget=self.budget,
            original=self._model_name,
            data=self._data,
            data_name=self._data_name,
            unseen=self._unseen,
            known=known,
            most=self._n_finalists,
            epochs=self._finalist_epochs,
            recipe=self._finetuning,
        )
        with pinned(self.threads):
            return ending.report(result, folder)

    @property
    def _loaded_by(self) -> str:
        """Arguments of `load`, as a user may type them."""
        return "folder" if self._model_name.built_in else "folder, model=the original network"

    def describe(self, result: Result) -> str:
        """Return the table before / after / change."""
        if "before" not in result.report:
            return ""
        finalists = result.report.get("finalists", ())
        files = (PLAN, WEIGHTS, CHANNELS, FRONT, FRONT_PICTURE)
        trials = (FINALISTS,) if len(finalists) > 1 else ()  # one alone is not tried
        return (
            table(result.report["before"], result.report["after"])
            + f"\n{choice(finalists)}".rstrip()
            + f"\nartefacts: {', '.join((*files, *trials))}"
            + f"\nuse them with swarmopt_pruning.load({self._loaded_by})"
        )
