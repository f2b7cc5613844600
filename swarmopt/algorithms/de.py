"""Differential evolution: pbest/1/bin in a small population.

Sources: Storn and Price, "Differential evolution: a simple and efficient heuristic for global
optimization over continuous spaces", 1997 (best/1/bin, F drawn anew for every vector); Zhang and
Sanderson, "JADE: adaptive differential evolution with optional external archive", 2009 (pbest in
the place of the best); Tanabe, "Benchmarking parameter control methods in differential evolution
for mixed-integer black-box optimization", arXiv 2404.03303, 2024 (integers rounded in evaluation).

Mutants start from one of the best two, not from any vector, and there are few vectors: on our
tuning suites that is better, from 100 to 1,000 evaluations per variable, than rand-to-pbest/1 with
2 d vectors and CoDE's pool of parameters.

Integers keep their latent real position, which only decoding rounds. Categories have nothing to
add: a mutant's is any vector's or the pbest's, either as likely; where the ends of the difference
are of two categories, it is the first end's with probability F; now and then it is drawn anew.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.algorithms.moves import latin_hypercube
from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.settings import check_fields
from swarmopt.types import Matrix, Vector

LEAST = 4  # two ends of a difference, a vector for categories and another
LEAST_F = 0.4  # F is uniform from here to 1
CROSSOVER = np.array([[0.9], [0.5], [0.7]])  # CR is one of these
REDRAWN = 0.5  # categories of a mutant that are drawn anew, on average


@dataclass(frozen=True, eq=False)
class DEState:
    """The population.

    Attributes:
        domain: d columns.
        choices: (3, 1) from how many rates CR, elite vectors and columns a trial may choose.
        started: whether a batch was told.
        unit: (n, d) the vectors.
        key: (n,) their keys.
    """

    domain: Domain
    choices: Matrix
    started: bool
    unit: Matrix
    key: Vector


@dataclass(frozen=True)
class DE:
    """Differential evolution.

    Attributes:
        population: number of vectors, at least 4; None: 10 + d/10, between 12 and 100. Never below
            the horizon's batch.
        elite: p, the share of the population, at least two, from which mutants start.
    """

    population: int | None = None
    elite: float = 0.05

    name: ClassVar[str] = "de"
    label: ClassVar[str] = "differential evolution"
    anytime: ClassVar[bool] = True
    order_only: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.population is not None and self.population < LEAST:
            raise SettingError(f"de: expected population >= {LEAST}, got {self.population!r}")
        if not 0.0 <= self.elite <= 1.0:
            raise SettingError(f"de: expected 0 <= elite <= 1, got {self.elite!r}")

    def init(self, domain: Domain, horizon: Horizon) -> DEState:
        """Return a population that was nowhere yet."""
        n = max(self.population or min(max(12, 10 + domain.d // 10), 100), horizon.batch)
        n_elite = min(n, max(2, int(self.elite * n)))
        choices = np.array([[len(CROSSOVER)], [n_elite], [domain.d]], float)
        return DEState(domain, choices, False, np.full((n, domain.d), 0.5), np.full(n, np.inf))

    def ask(self, state: DEState, rng: Generator) -> Candidates:
        """Return a trial for every vector."""
        x = state.unit
        n, d = x.shape
        if not state.started:
            return Candidates(latin_hypercube(n, d, rng))
        rate, elite, column = (rng.random((3, n)) * state.choices).astype(np.int64)
        f = LEAST_F + (1.0 - LEAST_F) * rng.random((n, 1))
        cr = CROSSOVER.take(rate, axis=0)
        pbest = x.take(state.key.argsort(kind="stable").take(elite), axis=0)
        # Three in a row of a shuffled ring: every vector is once either end of a difference.
        shuffled = rng.random((n,)).argsort()
        ring = x.take(np.concatenate((shuffled, shuffled[:2])), axis=0)
        any_one, plus, minus = ring[:-2], ring[1:-1], ring[2:]
        aim = pbest + f * (plus - minus)
        inside = aim.clip(0.0, 1.0)
        mutant = np.where(aim == inside, aim, 0.5 * (x + inside))  # half the way to the wall
        if state.domain.n_discrete and state.domain.nominal.any():
            differs = state.domain.level(plus) != state.domain.level(minus)
            near = np.where(rng.random((n, d)) < 0.5, pbest, any_one)
            copied = np.where(differs & (rng.random((n, d)) < f), plus, near)
            redrawn = rng.random((n, d)) < REDRAWN / state.domain.nominal.sum()
            category = np.where(redrawn, rng.random((n, d)), copied)
            mutant = np.where(state.domain.nominal, category, mutant)
        crosses = rng.random((n, d)) < cr
        crosses[np.arange(n), column] = True
        return Candidates(np.where(crosses, mutant, x))

    def tell(self, state: DEState, candidates: Candidates, key: Vector) -> DEState:
        """Replace the vectors whose trials are no worse."""
        n = len(key)
        accepted = key <= state.key[:n]
        unit = np.where(accepted[:, None], candidates.unit, state.unit[:n])
        keys = np.where(accepted, key, state.key[:n])
        if n < len(state.key):
            unit = np.concatenate((unit, state.unit[n:]))
            keys = np.concatenate((keys, state.key[n:]))
        return DEState(state.domain, state.choices, True, unit, keys)
