"""A genetic algorithm: binary tournament, SBX, polynomial mutation, (mu + lambda) truncation.

Sources: Deb and Agrawal, "Simulated binary crossover for continuous search space", 1995; Deb and
Goyal, "A combined genetic adaptive search (GeneAS) for engineering design", 1996 (polynomial
mutation); Li et al., "Mixed integer evolution strategies for parameter optimization", 2013
(geometric mutation of integers).

Integers cross over as real numbers, are rounded at random and mutate by geometric steps; categories
are exchanged and drawn anew.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.algorithms.moves import (
    first_of_each,
    kick,
    latin_hypercube,
    reflect,
    round_randomly,
    spread_in_levels,
)
from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.settings import check_fields
from swarmopt.types import Matrix, Vector

BLENDED = 0.5  # share of the genes of a pair that crosses over
PER_CANDIDATE = 150  # evaluations of the budget for each candidate of a generation


@dataclass(frozen=True, eq=False)
class GAState:
    """The parents, best first.

    Attributes:
        domain: d columns.
        population: n, how many candidates to ask and, at most, parents to keep.
        unit: (m, d) the parents, all distinct, discrete values in the middle of their bins.
        key: (m,) their keys, ascending.
    """

    domain: Domain
    population: int
    unit: Matrix
    key: Vector


@dataclass(frozen=True)
class GA:
    """A real-coded genetic algorithm with native integers and categories.

    Attributes:
        population: candidates per generation; None: a 150th of the budget, between 12 and 40.
            Never below the horizon's batch.
        crossover: probability that a pair of parents crosses over.
        crossover_eta: distribution index of SBX; the higher, the nearer to the parents.
        mutation: probability that a gene mutates; None: 1/d.
        mutation_eta: distribution index of polynomial mutation; the higher, the smaller the steps.
    """

    population: int | None = None
    crossover: float = 0.9
    crossover_eta: float = 2.0
    mutation: float | None = None
    mutation_eta: float = 20.0

    name: ClassVar[str] = "ga"
    label: ClassVar[str] = "genetic algorithm"
    anytime: ClassVar[bool] = False  # the automatic population follows the budget
    order_only: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.population is not None and self.population < 1:
            raise SettingError(f"ga: expected population >= 1, got {self.population!r}")
        for field in ("crossover", "mutation"):
            value = getattr(self, field)
            if value is not None and not 0.0 <= value <= 1.0:
                raise SettingError(f"ga: expected 0 <= {field} <= 1, got {value!r}")
        for field in ("crossover_eta", "mutation_eta"):
            value = getattr(self, field)
            if not 0.0 <= value < np.inf:
                raise SettingError(f"ga: expected a finite {field} >= 0, got {value!r}")

    def init(self, domain: Domain, horizon: Horizon) -> GAState:
        """Return a state without parents."""
        n = max(self.population or _automatic(horizon.budget), horizon.batch)
        return GAState(domain, n, np.empty((0, domain.d)), np.empty(0))

    def ask(self, state: GAState, rng: Generator) -> Candidates:
        """Return the children of the parents; a Latin hypercube where there are none."""
        domain, n = state.domain, state.population
        if not len(state.key):
            return Candidates(domain.centre(latin_hypercube(n, domain.d, rng)))
        n_pairs = (n + 1) // 2
        # Parents stand best first, so the winner of a tournament is the lower of two indices.
        drawn = rng.random((2, 2 * n_pairs)) * len(state.key)
        winner = np.minimum(drawn[0], drawn[1]).astype(np.int64)
        parents = state.unit.take(winner, axis=0)
        unit = self._crossed(domain, parents[:n_pairs], parents[n_pairs:], rng)[:n]
        return Candidates(self._mutated(state, unit, rng))

    def tell(self, state: GAState, candidates: Candidates, key: Vector) -> GAState:
        """Keep the best distinct of children and parents; among equals the younger."""
        domain, children = state.domain, candidates.unit
        if domain.n_discrete:
            children = domain.centre(children)
        keys = np.concatenate((key, state.key))
        order = keys.argsort(kind="stable")
        unit = np.concatenate((children, state.unit)).take(order, axis=0)
        keep = first_of_each(unit)[: state.population]
        return GAState(domain, state.population, unit.take(keep, axis=0), keys[order[keep]])

    def _crossed(self, domain: Domain, a: Matrix, b: Matrix, rng: Generator) -> Matrix:
        """Return (2m, d) children of m pairs: simulated binary crossover, not yet bounded."""
        m, d = a.shape
        # beta = (2u)^(1/(eta+1)) below one half, (1/(2(1-u)))^(1/(eta+1)) above, u uniform (Deb and
        # Agrawal 1995): so log(beta) is of Laplace's distribution, with the scale 1/(eta+1).
        widened = np.expm1(rng.laplace(0.0, 1.0 / (self.crossover_eta + 1.0), (m, d)))  # beta - 1
        u = rng.random((m, d)) + (rng.random((m, 1)) >= self.crossover)
        blends = u < BLENDED
        if domain.n_discrete and domain.nominal.any():
            blends &= ~domain.nominal
        exchanged = np.abs(u - 0.5) < 0.25  # a half of those that blend, and of the others
        first, second = np.where(exchanged, b, a), np.where(exchanged, a, b)
        # c1 = ((1 + beta) a + (1 - beta) b) / 2, c2 = ((1 - beta) a + (1 + beta) b) / 2
        shift = np.where(blends, 0.5 * widened * (first - second), 0.0)
        return np.concatenate((first + shift, second - shift))

    def _mutated(self, state: GAState, unit: Matrix, rng: Generator) -> Matrix:
        """Return the children mutated, rounded and inside the cube; may write to `unit`."""
        domain = state.domain
        rate = 1.0 / domain.d if self.mutation is None else self.mutation
        mutates = rng.random(unit.shape) < rate
        if domain.n_discrete:
            unit = round_randomly(domain, unit, rng)
        real = mutates & domain.continuous if domain.n_discrete else mutates
        unit[real] += self._polynomial(int(np.count_nonzero(real)), rng)
        if unit.min() < 0.0 or unit.max() > 1.0:
            unit = reflect(unit, rng)
        if not domain.n_discrete:
            return unit
        mean_step = 1.0 + np.maximum(spread_in_levels(domain, state.unit), 1.0)
        return kick(domain, domain.centre(unit), mutates, mean_step, rng)

    def _polynomial(self, m: int, rng: Generator) -> Vector:
        """Return (m,) steps of polynomial mutation."""
        # delta = (2u)^(1/(eta+1)) - 1 below one half, 1 - (2(1-u))^(1/(eta+1)) above, u uniform:
        # the logarithm of what is left of 1 is of Laplace's distribution, as in crossover.
        log = rng.laplace(0.0, 1.0 / (self.mutation_eta + 1.0), m)
        return np.copysign(np.expm1(-np.abs(log)), log)


def _automatic(budget: int | None) -> int:
    """Return the population for a budget."""
    return 40 if budget is None else int(np.clip(budget // PER_CANDIDATE, 12, 40))
