"""Functions of real numbers in closed form, shifted and rotated by a random instance.

Sources: Hansen, Finck, Ros, Auger, "Real-parameter black-box optimization benchmarking 2009:
noiseless functions definitions" (RR-6829); Surjanovic and Bingham, "Virtual library of simulation
experiments" (sfu.ca/~ssurjano), for the domains.

Unlike their textbook forms none has its optimum at the origin or at the centre of the box, where a
biased algorithm finds it by accident. Every cost is 0 at the optimum and written so that float64
reaches exactly 0 there.
"""

from abc import abstractmethod
from typing import ClassVar

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
from swarmopt.variables import Real

EVALUATIONS_PER_VARIABLE = 1_000


class Analytic(Problem):
    """Base: f(R (x - minimizer)) over [low, high]^dim, where f is least at 0.

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

    vectorized = True
    optimum = 0.0
    low: ClassVar[float]
    high: ClassVar[float]
    least_dim: ClassVar[int] = 1

    def __init__(self, *, dim: int = 10, instance: int = 0, rotated: bool = True) -> None:
        dim = whole_number(f"{self.name}: dim", dim, self.least_dim)
        rng = instance_rng(self.name, instance)
        self.space = Space([Real(self.low, self.high)] * dim)
        self.default_budget = EVALUATIONS_PER_VARIABLE * dim
        self.minimizer: Vector = off_centre(np.full(dim, self.low), np.full(dim, self.high), rng)
        self.rotation: Matrix | None = random_rotation(dim, rng) if rotated else None

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - exact and cheap
        """Return the cost of points; x: (n, dim)."""
        z = np.ascontiguousarray(x) - self.minimizer  # sums in another order have other bits
        return Evaluation(self.cost(z if self.rotation is None else rotate(z, self.rotation)))

    @abstractmethod
    def cost(self, z: Matrix) -> Vector:
        """Return (n,) costs from (n, dim) rotated distances to the minimizer."""


class Sphere(Analytic):
    """f(z) = sum z_i^2 on [-5.12, 5.12]^dim: one bowl, the easiest there is.

    Source: De Jong, "An analysis of the behavior of a class of genetic adaptive systems", 1975, F1.

    Args:
        dim: number of variables.
        instance: seed of the minimizer.
    """

    name = "sphere"
    low, high = -5.12, 5.12

    def __init__(self, *, dim: int = 10, instance: int = 0) -> None:
        super().__init__(dim=dim, instance=instance, rotated=False)  # it would change nothing

    def cost(self, z: Matrix) -> Vector:
        """Return (n,) squared lengths."""
        cost: Vector = np.sum(z * z, axis=1)
        return cost


class Ellipsoid(Analytic):
    """f(z) = sum 10^(6 i / (dim - 1)) z_i^2, i = 0..dim-1, on [-5, 5]^dim: a bowl of condition 1e6.

    Source: Hansen et al. 2009, f2 and f10, without their oscillation.
    """

    name = "ellipsoid"
    low, high = -5.0, 5.0

    def cost(self, z: Matrix) -> Vector:
        """Return (n,) squared lengths, the last axis a million times as heavy as the first."""
        weight = 10.0 ** np.linspace(0.0, 6.0, z.shape[1])
        cost: Vector = np.sum(weight * z * z, axis=1)
        return cost


class Rosenbrock(Analytic):
    """f(z) = sum 100 (y_{i+1} - y_i^2)^2 + (1 - y_i)^2, y = z + 1, on [-5, 10]^dim: a bent valley.

    Needs dim >= 2. From dim 4 on there is a second, local minimum.

    Source: Rosenbrock, "An automatic method for finding the greatest or least value of a function",
    1960; here y = 1, where it is least, lies at the random minimizer.
    """

    name = "rosenbrock"
    low, high = -5.0, 10.0
    least_dim = 2

    def cost(self, z: Matrix) -> Vector:
        """Return (n,) costs: steep across the valley, flat along it."""
        y = z + 1.0
        across = y[:, 1:] - y[:, :-1] ** 2
        along = z[:, :-1]
        cost: Vector = np.sum(100.0 * across**2 + along**2, axis=1)
        return cost


class Rastrigin(Analytic):
    """f(z) = 10 dim + sum z_i^2 - 10 cos(2 pi z_i) on [-5.12, 5.12]^dim: about 10^dim local minima.

    Source: Rastrigin, "Systems of extremal control", 1974; for any dim by Mühlenbein, Schomisch and
    Born, "The parallel genetic algorithm as function optimizer", 1991.
    """

    name = "rastrigin"
    low, high = -5.12, 5.12

    def cost(self, z: Matrix) -> Vector:
        """Return (n,) costs; 1 - cos 2t is written as 2 sin^2 t."""
        cost: Vector = np.sum(z * z + 20.0 * np.sin(np.pi * z) ** 2, axis=1)
        return cost


class Ackley(Analytic):
    """A nearly flat outside full of dents, with one hole, on [-32.768, 32.768]^dim.

    f(z) = -20 exp(-0.2 sqrt(mean z_i^2)) - exp(mean cos(2 pi z_i)) + 20 + e.

    Source: Ackley, "A connectionist machine for genetic hillclimbing", 1987.
    """

    name = "ackley"
    low, high = -32.768, 32.768

    def cost(self, z: Matrix) -> Vector:
        """Return (n,) costs; 20 and e are taken into expm1."""
        distance = np.sqrt(np.mean(z * z, axis=1))
        dents = np.mean(np.cos(2.0 * np.pi * z), axis=1)
        cost: Vector = -20.0 * np.expm1(-0.2 * distance) - np.e * np.expm1(dents - 1.0)
        return cost


class Griewank(Analytic):
    """f(z) = 1 + sum z_i^2 / 4000 - prod cos(z_i / sqrt(i)) on [-600, 600]^dim: a dimpled bowl.

    The dimples are deep beside the bowl near the optimum only, and the deeper the fewer variables.

    Source: Griewank, "Generalized descent for global optimization", 1981.
    """

    name = "griewank"
    low, high = -600.0, 600.0

    def cost(self, z: Matrix) -> Vector:
        """Return (n,) costs; the product is at most 1, so none is negative."""
        waves = np.prod(np.cos(z / np.sqrt(np.arange(1.0, z.shape[1] + 1.0))), axis=1)
        cost: Vector = np.sum(z * z, axis=1) / 4000.0 + (1.0 - waves)
        return cost


class Schwefel(Analytic):
    """f = sum 418.98 - y_i sin sqrt|y_i|, best at y_i = 420.97 and next best far off, at -302.52.

    On [-500, 500]^dim, y = 420.97 + s z. The signs s turn the other valleys, which all lie below
    500, to the side of the minimizer where the box has more room. Beyond 500 to either side of 0
    the textbook's sum falls without end; there y_i counts as -500 or 500, and costs a hundredth of
    the square of what is beyond.

    Source: Schwefel, "Numerical optimization of computer models", 1981, problem 2.26; as in Hansen
    et al. 2009, f20, the outside is closed by a penalty.
    """

    name = "schwefel"
    low, high = -500.0, 500.0
    peak = 420.9687463599821  # where sin sqrt y + sqrt y / 2 cos sqrt y = 0

    def cost(self, z: Matrix) -> Vector:
        """Return (n,) costs; rounding near the peak is not allowed to go below 0."""
        y = self.peak + np.where(self.minimizer < 0.0, -z, z)
        inside = np.clip(y, self.low, self.high)
        height = self.peak * np.sin(np.sqrt(self.peak))
        below = np.maximum(height - inside * np.sin(np.sqrt(np.abs(inside))), 0.0)
        cost: Vector = np.sum(below + 0.01 * (y - inside) ** 2, axis=1)
        return cost


class ConstrainedSphere(Problem):
    """The nearest point to a target outside a cap: a ball cut by a plane; both walls are active.

    minimise   |x - target|^2 - |minimizer - target|^2   on [-5.12, 5.12]^dim
    subject to normal . (x - minimizer) <= 0             (linear)
               |x - centre| <= radius                    (quadratic)

    The target is minimizer + normal + outward, where outward is the ball's unit normal at the
    minimizer. So the gradient there is minus a positive sum of both constraints' gradients, and
    because all is convex, the minimizer is the only optimum. Its cost is 0; points that break a
    constraint may cost less. The violation is the sum of the distances to both constraints.

    Source: our own; optimal by the conditions of Karush, Kuhn and Tucker (Boyd and Vandenberghe,
    "Convex optimization", 2004, section 5.5.3).

    Args:
        dim: number of variables, at least 2.
        instance: seed of the minimizer and of both walls.

    Attributes:
        minimizer: (dim,) the optimum.
        normal: (dim,) unit vector out of the half-space.
        outward: (dim,) unit vector out of the ball at the minimizer.
        radius: of the ball, whose centre is the centre of the box.

    Raises:
        SettingError: dim or instance is no whole number, or out of range.
    """

    name = "constrained-sphere"
    vectorized = True
    optimum = 0.0

    def __init__(self, *, dim: int = 10, instance: int = 0) -> None:
        dim = whole_number(f"{self.name}: dim", dim, 2)
        rng = instance_rng(self.name, instance)
        self.space = Space([Real(-5.12, 5.12)] * dim)
        self.default_budget = EVALUATIONS_PER_VARIABLE * dim
        self.minimizer: Vector = off_centre(np.full(dim, -5.12), np.full(dim, 5.12), rng)
        self.radius = float(np.linalg.norm(self.minimizer))
        self.outward: Vector = self.minimizer / self.radius
        tilt = rng.standard_normal(dim)
        normal = self.outward + tilt / np.linalg.norm(tilt)  # the ball's centre stays feasible
        self.normal: Vector = normal / np.linalg.norm(normal)

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - exact and cheap
        """Return cost and violation of points; x: (n, dim)."""
        x = np.ascontiguousarray(x)  # sums in another order have other bits
        z = x - self.minimizer
        pull = self.normal + self.outward
        cost = np.sum(z * (z - 2.0 * pull), axis=1)
        beyond_plane = np.sum(z * self.normal, axis=1)
        beyond_ball = np.sqrt(np.sum(x * x, axis=1)) - self.radius
        violation = np.maximum(beyond_plane, 0.0) + np.maximum(beyond_ball, 0.0)
        return Evaluation(cost, violation)
