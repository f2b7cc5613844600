"""Functions of whole numbers."""

import numpy as np

from swarmopt.algorithm import Seeds
from swarmopt.evaluation import Evaluation
from swarmopt.problem import Problem
from swarmopt.problems.instance import (
    instance_rng,
    off_centre,
    random_rotation,
    rotate,
    whole_number,
)
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Integer

REACH = 50  # of every variable, to either side of 0
CONDITION = 1e4


class IntegerQuadratic(Problem):
    """f(x) = sum w_i (R (x - minimizer))_i^2 over whole numbers: a narrow bowl across a lattice.

    x in {-50, ..., 50}^dim, w_i = 10^(4 i / (dim - 1)), i = 0..dim-1, so the bowl is a hundred
    times as long as it is wide. With the rotation R its floor runs between the points of the
    lattice: rounding a good real point is of no use, and almost every neighbour of a good point is
    bad. It is positive definite, so the minimizer, of cost 0, is the only optimum.

    Source: the ellipsoid of Hansen et al. 2009 (RR-6829), f10, on integers as in Tusar, Brockhoff,
    Hansen, "Mixed-integer benchmark problems for single- and bi-objective optimization", 2019.

    Args:
        dim: number of variables.
        instance: seed of the minimizer and the rotation R.
        rotated: whether R is a random rotation, so that no variable can be searched alone;
            otherwise the identity.

    Attributes:
        minimizer: (dim,) where the cost is 0.
        rotation: (dim, dim) R transposed, or None where R is the identity.

    Raises:
        SettingError: dim or instance is no whole number, or out of range.
    """

    name = "integer-quadratic"
    vectorized = True
    optimum = 0.0

    def __init__(self, *, dim: int = 10, instance: int = 0, rotated: bool = True) -> None:
        dim = whole_number(f"{self.name}: dim", dim, 1)
        rng = instance_rng(self.name, instance)
        self.space = Space([Integer(-REACH, REACH)] * dim)
        self.default_budget = 1_000 * dim
        wall = np.full(dim, float(REACH))
        self.minimizer: Vector = np.rint(off_centre(-wall, wall, rng))
        self.rotation: Matrix | None = random_rotation(dim, rng) if rotated else None

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - exact and cheap
        """Return the cost of points; x: (n, dim) whole numbers."""
        z = np.ascontiguousarray(x) - self.minimizer  # sums in another order have other bits
        if self.rotation is not None:
            z = rotate(z, self.rotation)
        weight = CONDITION ** np.linspace(0.0, 1.0, z.shape[1])
        return Evaluation(np.sum(weight * z * z, axis=1))
