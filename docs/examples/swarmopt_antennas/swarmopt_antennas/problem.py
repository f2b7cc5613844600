"""Masts of whole heights that cover a line of houses at the least cost."""

import numpy as np

from swarmopt import Evaluation, Integer, Problem, Real, Seeds, Space
from swarmopt.types import Matrix


class Antennas(Problem):
    """A mast of height h covers h to both sides and costs h squared.

    Args:
        masts: how many there may be; one of height 0 is none.
        houses: at 0, 1, 2 and so on.
    """

    name = "antennas"
    vectorized = True

    def __init__(self, *, masts: int = 3, houses: int = 12) -> None:
        places = {f"place{j}": Real(0, houses - 1) for j in range(masts)}
        self.space = Space({**places, **{f"height{j}": Integer(0, 9) for j in range(masts)}})
        self.masts, self.houses = masts, houses

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - the contract
        """Return what the masts cost, violated by the houses that none covers."""
        place, height = x[:, : self.masts, None], x[:, self.masts :, None]
        covered = (np.abs(place - np.arange(self.houses)) <= height).any(axis=1)
        return Evaluation((height[..., 0] ** 2).sum(axis=1), (~covered).sum(axis=1).astype(float))
