"""The flock's Gaussian model: where the good candidates were, as mean, step size and covariance.

Source: Hansen, "The CMA Evolution Strategy: A Tutorial", arXiv 1604.00772v2, 2023 (equations are
cited by its numbers). The diagonal model, for many variables: Ros and Hansen, "A simple
modification in CMA-ES achieving linear time and space complexity", 2008. Candidates from elsewhere:
Hansen, "Injecting external solutions into CMA-ES", arXiv 1110.4181, 2011.

Deviations: steps are clipped wherever they come from (a candidate may have been moved, or the model
have moved on since), foreign ones get no negative weight, the mean stays inside the unit cube and
the step size below `MAX_SIGMA`.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from swarmopt.types import Mask, Matrix, Vector

MAX_SIGMA = 1.0
MIN_SIGMA = 1e-16
MAX_CONDITION = 1e14  # of the covariance
TINY = 1e-300


@dataclass(frozen=True, eq=False)
class Rates:
    """Constants of the update for n candidates of k variables, named as in the tutorial.

    Attributes:
        weights: (n,) weight of each candidate, best first; positive ones sum to 1.
        mu: how many weights are positive.
        mu_eff: variance effective selection mass of the positive weights.
        c_sigma: learning rate of the step size's path.
        d_sigma: damping of the step size.
        c_c: learning rate of the covariance's path.
        c_1: learning rate of the rank-one update.
        c_mu: learning rate of the rank-mu update.
        chi: expected length of a standard normal vector.
        gap: generations from one eigendecomposition to the next: as in the tutorial (section B.2),
            and at least k candidates, so that each costs O(k^2) whatever n.
    """

    weights: Vector
    mu: int
    mu_eff: float
    c_sigma: float
    d_sigma: float
    c_c: float
    c_1: float
    c_mu: float
    chi: float
    gap: int


@dataclass(frozen=True, eq=False)
class FlockModel:
    """A Gaussian over k variables of the unit cube, and what adapts it.

    Attributes:
        rates: constants of the update.
        mean: (k,) centre.
        sigma: step size, in units of the cube.
        covariance: (k, k), or (k,) variances of the diagonal model.
        basis: (k, k) eigenvectors in columns; None in the diagonal model.
        axes: (k,) square roots of the eigenvalues (of the variances).
        sigma_path: (k,) evolution path of the step size.
        path: (k,) evolution path of the covariance.
        generation: how many updates it has seen.
    """

    rates: Rates
    mean: Vector
    sigma: float
    covariance: Matrix | Vector
    basis: Matrix | None
    axes: Vector
    sigma_path: Vector
    path: Vector
    generation: int = 0

    @property
    def deviation(self) -> Vector:
        """The standard deviation of each variable, (k,)."""
        variance = self.covariance if self.basis is None else self.covariance.diagonal()
        return self.sigma * np.sqrt(np.maximum(variance, 0.0))


def rates(k: int, n: int, *, diagonal: bool = False, negative: float = 1.0) -> Rates:
    """Return the tutorial's default constants (its table 1).

    Args:
        k: variables, at least 1.
        n: candidates of a generation, at least 2.
        diagonal: learn variances only, (k + 2) / 3 times as fast (Ros and Hansen 2008).
        negative: share of the tutorial's negative weights to use, in [0, 1].
    """
    mu = n // 2
    raw = math.log((n + 1) / 2) - np.log(np.arange(1, n + 1))  # eq. 49
    positive, rest = raw[:mu], np.minimum(raw[mu:], 0.0)
    mu_eff = float(positive.sum() ** 2 / (positive**2).sum())
    c_sigma = (mu_eff + 2) / (k + mu_eff + 5)  # eq. 55
    d_sigma = 1 + 2 * max(0.0, math.sqrt((mu_eff - 1) / (k + 1)) - 1) + c_sigma
    c_c = (4 + mu_eff / k) / (k + 4 + 2 * mu_eff / k)  # eq. 56
    c_1 = 2 / ((k + 1.3) ** 2 + mu_eff)  # eq. 57
    c_mu = 2 * (0.25 + mu_eff + 1 / mu_eff - 2) / ((k + 2) ** 2 + mu_eff)  # eq. 58
    if diagonal:
        c_1, c_mu = min(0.5, c_1 * (k + 2) / 3), c_mu * (k + 2) / 3
    c_mu = min(1 - c_1, c_mu)
    mu_eff_negative = float(rest.sum() ** 2 / max((rest**2).sum(), TINY))
    mass = min(  # eq. 50 to 53
        1 + c_1 / c_mu,
        1 + 2 * mu_eff_negative / (mu_eff + 2),
        (1 - c_1 - c_mu) / (k * c_mu),
    )
    weights = np.concatenate(
        [positive / positive.sum(), rest * (negative * mass / max(-rest.sum(), TINY))]
    )
    return Rates(
        weights=weights,
        mu=mu,
        mu_eff=mu_eff,
        c_sigma=c_sigma,
        d_sigma=d_sigma,
        c_c=c_c,
        c_1=c_1,
        c_mu=c_mu,
        chi=math.sqrt(k) * (1 - 1 / (4 * k) + 1 / (21 * k * k)),
        gap=1 if diagonal else max(1, int(1 / (10 * k * (c_1 + c_mu))), k // n),
    )


def start(mean: Vector, sigma: float, constants: Rates, *, diagonal: bool = False) -> FlockModel:
    """Return an isotropic model around the mean, (k,)."""
    k = len(mean)
    return FlockModel(
        rates=constants,
        mean=mean,
        sigma=sigma,
        covariance=np.ones(k) if diagonal else np.eye(k),
        basis=None if diagonal else np.eye(k),
        axes=np.ones(k),
        sigma_path=np.zeros(k),
        path=np.zeros(k),
    )


def sample(model: FlockModel, n: int, rng: Generator) -> Matrix:
    """Return (n, k) draws (eq. 38 to 40); some may lie outside the cube."""
    z = rng.standard_normal((n, len(model.mean))) * (model.axes * model.sigma)
    if model.basis is not None:
        z = z @ model.basis.T
    return model.mean + z


def whitened(model: FlockModel, steps: Matrix) -> Matrix:
    """Return steps, (n, k) in units of sigma, in the model's principal axes and their lengths."""
    if model.basis is None:
        return steps / model.axes
    return steps @ model.basis / model.axes


def update(model: FlockModel, ranked: Matrix, foreign: Mask) -> FlockModel:
    """Return the model after a generation.

    Args:
        model: as sampled from, or some generations later.
        ranked: (n, k) candidates, best first, n at most the number the rates were made for.
        foreign: (n,) which did not come from the model: their direction is not shunned.
    """
    r = model.rates
    k = len(model.mean)
    steps = (ranked - model.mean) / model.sigma
    white = whitened(model, steps)
    square = (white * white).sum(axis=1)
    longest = math.sqrt(k) + 2 * k / (k + 2)  # Hansen 2011, section 3
    too_long = square > longest**2
    if np.count_nonzero(too_long):
        shrink = np.where(too_long, longest / np.sqrt(np.maximum(square, TINY)), 1.0)
        steps *= shrink[:, None]
        white *= shrink[:, None]
    weights = _rank_mu_weights(r, foreign | too_long)
    kept = 1 - r.c_1 - r.c_mu * float(weights.sum())
    own = np.where(weights < 0.0, weights * k / np.maximum(square, TINY), weights)  # eq. 46

    parents = r.weights[: min(r.mu, len(ranked))]
    step = parents @ steps[: r.mu]  # eq. 41
    mean = np.minimum(np.maximum(model.mean + model.sigma * step, 0.0), 1.0)  # eq. 42
    white_step = parents @ white[: r.mu]
    if model.basis is not None:
        white_step = model.basis @ white_step  # C^(-1/2) <y>
    mass = math.sqrt(r.mu_eff)
    longest = math.sqrt(2 * k) + 2 * k / (k + 2)  # Hansen 2011: the mean's shift, alike
    damp = mass * min(1.0, longest / max(math.sqrt(white_step @ white_step) * mass, TINY))
    pull = math.sqrt(r.c_sigma * (2 - r.c_sigma)) * damp
    sigma_path = (1 - r.c_sigma) * model.sigma_path + pull * white_step  # eq. 43
    length = math.sqrt(sigma_path @ sigma_path)
    change = min(1.0, r.c_sigma / r.d_sigma * (length / r.chi - 1))
    sigma = min(max(model.sigma * math.exp(change), MIN_SIGMA), MAX_SIGMA)  # eq. 44

    generation = model.generation + 1
    settled = math.sqrt(1 - (1 - r.c_sigma) ** (2 * generation))
    stalled = length / settled >= (1.4 + 2 / (k + 1)) * r.chi  # h_sigma = 0
    pull = 0.0 if stalled else math.sqrt(r.c_c * (2 - r.c_c)) * damp
    path = (1 - r.c_c) * model.path + pull * step  # eq. 45
    if stalled:
        kept += r.c_1 * r.c_c * (2 - r.c_c)
    covariance = _adapted(model, kept, path, own, steps)
    new = FlockModel(
        r, mean, sigma, covariance, model.basis, model.axes, sigma_path, path, generation
    )
    return decomposed(new) if generation % r.gap == 0 else new


def _rank_mu_weights(r: Rates, spared: Mask) -> Vector:
    """Return (n,) weights of the steps in the rank-mu update, best first.

    Only steps that the model would draw get a negative weight, the worst the most negative one: a
    foreign step says nothing about the model's own axes, and shunning it ruins the covariance.
    """
    n = len(spared)
    weights = np.zeros(n)
    weights[: r.mu] = r.weights[: min(r.mu, n)]
    shunned = r.mu + (~spared[r.mu :]).nonzero()[0]
    weights[shunned] = r.weights[len(r.weights) - len(shunned) :]
    return weights


def _adapted(
    model: FlockModel, kept: float, path: Vector, own: Vector, steps: Matrix
) -> Matrix | Vector:
    """Return the covariance after the rank-one and the rank-mu update (eq. 47)."""
    r = model.rates
    if model.basis is None:
        return kept * model.covariance + r.c_1 * path**2 + (r.c_mu * own) @ steps**2
    adapted = kept * model.covariance
    adapted += (steps.T * (r.c_mu * own)) @ steps
    adapted += (r.c_1 * path)[:, None] * path
    return adapted


def decomposed(model: FlockModel) -> FlockModel:
    """Return the model with its principal axes brought up to date, and well conditioned."""
    if model.basis is None:
        variance = _conditioned(model.covariance)
        return replace(model, covariance=variance, axes=np.sqrt(variance))
    eigenvalues, basis = np.linalg.eigh(model.covariance)
    fixed = _conditioned(eigenvalues)
    covariance = model.covariance
    if fixed[0] > eigenvalues[0]:
        covariance = (basis * fixed) @ basis.T
    return replace(model, covariance=covariance, basis=basis, axes=np.sqrt(fixed))


def _conditioned(variance: Vector) -> Vector:
    """Return the variances, none below the largest over `MAX_CONDITION`."""
    least = max(float(variance.max()), TINY) / MAX_CONDITION
    conditioned: Vector = np.maximum(variance, least)
    return conditioned
