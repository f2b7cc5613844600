"""A cheap and honest score of a structure: how right the original's weights are, refitted.

A candidate's tensors are slices of the original's, so nothing is copied or built: layers that lose
inputs are refitted by least squares, then all layers, one after the other, to what they read in the
smaller network; batch normalisation is measured anew on the same training images and folded into
the convolutions, and held-out images are counted. The test images are not reachable from here.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from swarmopt_pruning.data import Images
from swarmopt_pruning.folding import Pair, foldable, folded, folded_copy
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.layout import as_images
from swarmopt_pruning.memory import Fitting
from swarmopt_pruning.moments import Moments
from swarmopt_pruning.own_inputs import OwnInputs
from swarmopt_pruning.plan import PruningPlan
from swarmopt_pruning.reconstruct import Reconstruction
from swarmopt_pruning.trace import evaluation_copy, first_names


@dataclass(frozen=True)
class Score:
    """How a candidate did.

    Attributes:
        right: images it was right on.
        seen: images it was shown.
        of: images there are; fewer were seen where it was certain to be out.
        loss: mean cross-entropy of the images seen.
        brier: half their mean Brier score: the squared distance between the probabilities it gives
            the classes and those of the truth, 1 and 0. Where it is certain of its answers, that
            is the share of wrong ones; where it is not, doubt counts too, so that it tells
            structures apart that are right equally often (Brier, "Verification of forecasts
            expressed in terms of probability", 1950).
    """

    right: int
    seen: int
    of: int
    loss: float
    brier: float

    @property
    def accuracy(self) -> float:
        """Share of the images seen that it was right on."""
        return self.right / self.seen

    @property
    def error(self) -> float:
        """Share of the images seen that it was wrong on."""
        return 1.0 - self.accuracy

    @property
    def complete(self) -> bool:
        """Whether it was shown all images."""
        return self.seen == self.of


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores structures of one trained network.

    Attributes:
        graph: of the network.
        model: the network.
        channel_scores: importance of the channels of each group.
        moments: of what its layers read; without any, the weights are inherited as they are.
        calibration: training images that batch normalisation is measured on, and the first `batch`
            of which layers are refitted by.
        images: held-out images that the accuracy is measured on.
        batch: images at a time; fewer where memory runs out, and from then on.
        dtype: of the network that is counted; statistics are measured in float32.
        fitness: what scores are compared by, "brier" or "error".
    """

    graph: ChannelGraph
    model: nn.Module
    channel_scores: Mapping[str, NDArray[np.float64]]
    moments: Mapping[str, Moments]
    calibration: Images
    images: Images
    batch: int = 250
    dtype: torch.dtype = torch.float32
    fitness: str = "brier"

    def plan(self, counts: NDArray[np.int64]) -> PruningPlan:
        """Return the plan that keeps the most important channels, so many of each group.

        Args:
            counts: (groups,).
        """
        choice = dict(zip(self.graph.names, counts.tolist(), strict=True))
        return self.graph.plan(choice, importance=self.channel_scores)

    def inherit(self, counts: NDArray[np.int64]) -> nn.Module:
        """Return the smaller network that a training begins with.

        Its layers are refitted to the inputs they keep, not to what they read in the smaller
        network: that makes it right more often before a training, and less often after one.
        """
        return self._built(counts, own=False)

    def refitted(self, counts: NDArray[np.int64]) -> nn.Module:
        """Return the smaller network that is scored, for use without a training."""
        return self._built(counts, own=True)

    def _built(self, counts: NDArray[np.int64], *, own: bool) -> nn.Module:
        plan = self.plan(counts)
        small = plan.apply(self.model)
        tensors = self._measured(plan, own=own)
        with torch.no_grad():
            for name, tensor in first_names(small)[0].items():
                if name in tensors:
                    tensor.copy_(tensors[name])
        return small

    def score(self, counts: NDArray[np.int64], most: float = math.inf) -> Score:
        """Return the score of a structure on held-out images, before any training.

        Args:
            counts: (groups,) channels that stay.
            most: with a greater sum of the fitness over images it is out, and need not see the
                rest.
        """
        plan = self.plan(counts)
        tensors = folded(self._measured(plan, own=True), self._pairs, self._eps)
        if self.dtype is not torch.float32:
            tensors = {
                name: tensor.to(self.dtype) if tensor.is_floating_point() else tensor
                for name, tensor in tensors.items()
            }
        with torch.inference_mode(), plan.resized(self._answering):
            return self._counting.run(lambda batch: self._counted(tensors, batch, most))

    def _counted(self, tensors: Mapping[str, Tensor], batch: int, most: float) -> Score:
        """Return how a candidate's tensors answer, so many images at a time."""
        right, seen, loss, brier = 0, 0, 0.0, 0.0
        batches = torch.split(self._images, batch), torch.split(self.images.y, batch)
        for x, y in zip(*batches, strict=True):
            logits = functional_call(
                self._answering, dict(tensors), (x,), tie_weights=self._shares
            ).float()
            right += int((logits.argmax(dim=1) == y).sum())
            loss += float(functional.cross_entropy(logits, y, reduction="sum"))
            distance = logits.softmax(dim=1) - functional.one_hot(y, logits.shape[1])
            brier += float(distance.square().sum()) / 2
            seen += len(y)
            if (brier if self.fitness == "brier" else seen - right) > most:
                break
        return Score(right, seen, len(self.images), loss / seen, brier / seen)

    def _measured(self, plan: PruningPlan, *, own: bool) -> dict[str, Tensor]:
        """Return the tensors of a candidate: sliced, refitted, with statistics of its own.

        Args:
            plan: of it.
            own: whether layers are refitted to what they read there, too.
        """
        return self._calibrating.run(lambda batch: self._calibrated(plan, batch, own=own))

    def _calibrated(self, plan: PruningPlan, batch: int, *, own: bool) -> dict[str, Tensor]:
        """Return the same, of so many training images at a time."""
        with torch.no_grad():
            tensors = self._tensors | self._reconstruction.sliced(plan)
            refits = self._own(batch) if own and plan.cuts else None  # before a layer is resized
            if not self._norms and refits is None:
                return tensors
            for name in self._norms:
                mean = tensors[f"{name}.running_mean"]
                tensors[f"{name}.running_mean"] = torch.zeros_like(mean)
                tensors[f"{name}.running_var"] = torch.ones_like(mean)
                tensors[f"{name}.num_batches_tracked"] = torch.zeros(
                    (), dtype=torch.long, device=mean.device
                )
            first, *others = torch.split(self._calibration, batch)
            with plan.resized(self._measuring), _measuring(self._measuring, self._norms):
                with refits.refitting(plan, tensors) if refits else nullcontext():
                    self._run(tensors, first)
                for x in others if self._norms else ():
                    if len(x) > 1:
                        self._run(tensors, x)
        return tensors

    def _run(self, tensors: dict[str, Tensor], x: Tensor) -> None:
        """Run images through a candidate, so that its statistics are measured."""
        functional_call(self._measuring, tensors, (x,), tie_weights=self._shares)

    @cached_property
    def _tensors(self) -> dict[str, Tensor]:
        """Parameters and buffers of the original."""
        return {name: tensor.detach() for name, tensor in first_names(self.model)[0].items()}

    @cached_property
    def _shares(self) -> bool:
        """Whether a tensor has several names, which takes time to look for in every call."""
        return any(name != first for name, first in first_names(self.model)[1].items())

    @cached_property
    def _reconstruction(self) -> Reconstruction:
        return Reconstruction(self._tensors, self.moments, self.graph.reads)

    def _own(self, batch: int) -> OwnInputs | None:
        """Return what refits layers by the first images; nothing where none are refitted."""
        if not self.moments:
            return None
        if batch not in self._owns:
            self._owns.clear()
            self._owns[batch] = OwnInputs(self._measuring, self._calibration[:batch])
        return self._owns[batch]

    @cached_property
    def _owns(self) -> dict[int, OwnInputs]:
        """What refits layers to what they read in a candidate, by the number of its images."""
        return {}

    @cached_property
    def _measuring(self) -> nn.Module:
        """A copy whose tensors are never read; statistics are measured with it."""
        return evaluation_copy(self.model)

    @cached_property
    def _pairs(self) -> list[Pair]:
        return foldable(self._measuring, (self.calibration.x[:2],))

    @cached_property
    def _answering(self) -> nn.Module:
        """A copy without folded normalisation, whose tensors are never read either."""
        return folded_copy(self.model, self._pairs)

    @cached_property
    def _norms(self) -> tuple[str, ...]:
        """Names of the normalisations with running statistics."""
        return tuple(
            name
            for name, module in self._measuring.named_modules()
            if isinstance(module, _BatchNorm) and module.track_running_stats
        )

    @cached_property
    def _eps(self) -> dict[str, float]:
        norms = {p.norm: self._measuring.get_submodule(p.norm) for p in self._pairs}
        return {name: norm.eps for name, norm in norms.items() if isinstance(norm, _BatchNorm)}

    @cached_property
    def _calibration(self) -> Tensor:
        return as_images(self.calibration.x)

    @cached_property
    def _images(self) -> Tensor:
        return as_images(self.images.x).to(self.dtype)

    @cached_property
    def _calibrating(self) -> Fitting:
        return Fitting(
            "measuring batch normalisation and refitting",
            min(self.batch, len(self.calibration)),
            least=2 if self._norms else 1,
            effect="which changes scores a little",
            setting="score_batch",
        )

    @cached_property
    def _counting(self) -> Fitting:
        return Fitting("scoring", min(self.batch, len(self.images)), setting="score_batch")


@contextmanager
def _measuring(model: nn.Module, norms: tuple[str, ...]) -> Iterator[None]:
    """Let normalisations average the statistics of batches for a while."""
    modules = [m for name, m in model.named_modules() if name in norms]
    momenta = [module.momentum for module in modules]
    for module in modules:
        module.momentum = None
        module.train()
    try:
        yield
    finally:
        for module, momentum in zip(modules, momenta, strict=True):
            module.momentum = momentum
            module.eval()
