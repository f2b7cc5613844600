"""What methods of the pruning benchmark choose with: the pruning problem, without test images."""

import time
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.originals import weights_of
from benchmarks.pruning_protocol import Protocol, images
from swarmopt_pruning import ChannelPruning, Splits
from swarmopt_pruning.score import Scorer
from swarmopt_pruning.starts import SAMPLES
from swarmopt_pruning.train import pinned

Ints = NDArray[np.int64]
Matrix = NDArray[np.float64]

NO_TEST = 64  # held-out images in place of the test images


class Bench:
    """A network and a budget.

    Args:
        protocol: the conditions.
        network: to be pruned.
        budget: share of its MACs.
    """

    def __init__(self, protocol: Protocol, network: str, budget: float) -> None:
        self.protocol, self.network, self.budget = protocol, network, budget
        everything = images(protocol)
        held_out = everything.held_out
        self.data = Splits(everything.train, held_out, held_out[:NO_TEST])
        self.unseen = held_out[protocol.score_images :]
        self.problem = self.variant()
        self.problem.prepare()
        self.known_seconds = 0.0

    def variant(self, **settings: Any) -> ChannelPruning:
        """Return the problem with other settings; what it is tested on are held-out images."""
        weights = weights_of(self.network)
        return ChannelPruning(
            **{
                "model": self.network,
                "weights": str(weights) if weights.is_file() else "",
                "data": self.data,
                "target_macs": self.budget,
                "score_images": self.protocol.score_images,
                "finalists": self.protocol.finalists,
                "finetune_epochs": 0,  # all are fine-tuned alike, by `pruning_cells`
                "finetune_rate": self.protocol.rate,
                "distill": self.protocol.distill,
                **settings,
            }
        )

    @property
    def evaluations(self) -> int:
        """Scores that a method may ask for."""
        return self.protocol.evaluations[self.network]

    @property
    def curve_evaluations(self) -> int:
        """Scores that the sensitivity curves take."""
        codes = self.problem.constraints.searched
        return 1 + sum(min(SAMPLES, len(code.counts) - 1) for code in codes)

    def known(self, name: str) -> Ints:
        """Return the (groups,) counts of a structure that is known without a search.

        It is filled up to the budget, as what the searches propose is.
        """
        if "known" not in vars(self.problem):
            began = time.process_time()
            _ = self.problem.known
            self.known_seconds = time.process_time() - began
        return self.counts(self.problem.canonical(self.problem.known[name][None])[0])

    def counts(self, x: Matrix) -> Ints:
        """Return the (groups,) counts of a (d,) point."""
        found: Ints = self.problem.constraints.counts(x[None])[0]
        return found

    @property
    def model(self) -> torch.nn.Module:
        """The original; not to be changed."""
        return self.problem.scorer.model

    def scorer(self, *, reconstruct: bool) -> Scorer:
        """Return the scorer, with or without least-squares reconstruction."""
        scorer = self.problem.scorer
        return scorer if reconstruct else replace(scorer, moments={})

    def share(self, counts: Ints) -> float:
        """Return the share of the original's MACs that a structure has."""
        graph = self.problem.graph
        macs = graph.macs(np.stack([counts, graph.widths]))
        return float(macs[0] / macs[1])


@lru_cache(maxsize=2)
def bench(protocol: Protocol, network: str, budget: float) -> Bench:
    """Return a bench; a process keeps the last ones."""
    with pinned(1):
        return Bench(protocol, network, budget)
