"""A cheap and honest score: inherited weights, recalibrated statistics, held-out accuracy.

The statistics come from training images and the accuracy from held-out ones; the test images are
not reachable from here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from swarmopt_pruning.data import Images
from swarmopt_pruning.graph import ChannelGraph
from swarmopt_pruning.plan import PruningPlan
from swarmopt_pruning.train import accuracy, recalibrate


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores structures of one trained network.

    Attributes:
        graph: of the network.
        model: the network.
        channel_scores: importance of the channels of each group.
        calibration: training images that batch normalisation is measured on.
        held_out: images that the accuracy is measured on.
    """

    graph: ChannelGraph
    model: nn.Module
    channel_scores: Mapping[str, NDArray[np.float64]]
    calibration: Images
    held_out: Images

    def plan(self, counts: NDArray[np.int64]) -> PruningPlan:
        """Return the plan that keeps the most important channels, so many of each group.

        Args:
            counts: (groups,).
        """
        choice = dict(zip(self.graph.names, counts.tolist(), strict=True))
        return self.graph.plan(choice, importance=self.channel_scores)

    def inherit(self, counts: NDArray[np.int64]) -> nn.Module:
        """Return the smaller network with the original's weights and statistics of its own."""
        small = self.plan(counts).apply(self.model)
        recalibrate(small, self.calibration.x)
        return small

    def accuracy(self, counts: NDArray[np.int64]) -> float:
        """Return the held-out accuracy of a structure, before any training."""
        return accuracy(self.inherit(counts), self.held_out)
