"""Differential evolution: rand-to-pbest/1/bin with a pool of parameters.

Sources: Storn and Price, "Differential evolution: a simple and efficient heuristic for global
optimization over continuous spaces", 1997; Zhang and Sanderson, "JADE: adaptive differential
evolution with optional external archive", 2009 (pbest); Wang, Cai, Zhang, "Differential evolution
with composite trial vector generation strategies and control parameters", 2011 (CoDE: the pool);
Tanabe, "Differential evolution algorithms on bbob-mixint", arXiv 2404.03303, 2024 (integers).

Integers keep their latent real position, which only decoding rounds. Categories have no differences
to add: they are copied from the vectors that the difference is made of.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.algorithms.moves import kick, latin_hypercube
from swarmopt.errors import SettingError
from swarmopt.space import Domain
from swarmopt.types import Integers, Matrix, Vector

LEAST = 4  # a base, two ends of a difference and another
POOL = np.array([[1.0, 0.1], [1.0, 0.9], [0.8, 0.2]])  # F, CR: Wang, Cai, Zhang 2011, section III
CATEGORY_SHARE = 0.5  # of the categories that come from the base; the rest is the pbest's


@dataclass(frozen=True, eq=False)
class DEState:
    """The population.

    Attributes:
        domain: d columns.
        started: whether a batch was told.
        unit: (n, d) the vectors.
        key: (n,) their keys.
    """

    domain: Domain
    started: bool
    unit: Matrix
    key: Vector


@dataclass(frozen=True)
class DE:
    """Differential evolution.

    Attributes:
        population: number of vectors, at least 4; None: 2 d, at least 20. Never below the
            horizon's batch.
        elite: p, the share of the population, at least two, that a vector is drawn towards.
    """

    population: int | None = None
    elite: float = 0.05

    name: ClassVar[str] = "de"
    label: ClassVar[str] = "differential evolution"
    anytime: ClassVar[bool] = True
    order_only: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.population is not None and self.population < LEAST:
            raise SettingError(f"de: expected population >= {LEAST}, got {self.population!r}")
        if not 0.0 <= self.elite <= 1.0:
            raise SettingError(f"de: expected 0 <= elite <= 1, got {self.elite!r}")

    def init(self, domain: Domain, horizon: Horizon) -> DEState:
        """Return a population that was nowhere yet."""
        n = max(self.population or max(20, 2 * domain.d), horizon.batch)
        return DEState(domain, False, np.full((n, domain.d), 0.5), np.full(n, np.inf))

    def ask(self, state: DEState, rng: Generator) -> Candidates:
        """Return a trial for every vector."""
        x = state.unit
        n, d = x.shape
        if not state.started:
            return Candidates(latin_hypercube(n, d, rng))
        for_pool, for_elite, for_order, for_column = rng.random((4, n))
        parameters = POOL.take(_index(for_pool, len(POOL)), axis=0)
        f, cr = parameters[:, :1], parameters[:, 1:]
        n_elite = min(n, max(2, int(self.elite * n)))
        pbest = x.take(state.key.argsort(kind="stable")[_index(for_elite, n_elite)], axis=0)
        # Three in a row of a shuffled ring: every vector is once a base and once either end.
        ring = for_order.argsort()
        ring = x.take(np.concatenate((ring, ring[:2])), axis=0)
        base, plus, minus = ring[:-2], ring[1:-1], ring[2:]
        # v = x_r1 + F (x_pbest - x_r1) + F (x_r2 - x_r3)
        aim = base + f * (pbest - base + plus - minus)
        inside = aim.clip(0.0, 1.0)
        mutant = np.where(aim == inside, aim, 0.5 * (x + inside))  # half the way to the wall
        if state.domain.n_discrete and state.domain.nominal.any():
            mutant = _categories(state.domain, mutant, base, pbest, plus, minus, f, rng)
        crosses = rng.random((n, d)) < cr
        crosses.reshape(-1)[_index(for_column, d) + np.arange(0, n * d, d)] = True
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
        return DEState(state.domain, True, unit, keys)


def _index(u: Vector, n: int) -> Integers:
    """Return (m,) indices below n from uniforms."""
    return (u * n).astype(np.int64)


VARIANT = "A"
RATE = 0.5


def _categories(domain, mutant, base, pbest, plus, minus, f, rng):
    n, d = mutant.shape
    u, u2 = rng.random((2, n, d))
    fresh = rng.random((n, d))
    if VARIANT[0] == "A":
        c = np.where(u < 0.5, base, pbest)
        c = np.where((domain.level(plus) != domain.level(minus)) & (u2 < 0.8), plus, c)
    elif VARIANT[0] == "G":
        c = np.where(u < f, pbest, base)
        c = np.where((domain.level(plus) != domain.level(minus)) & (u2 < f), plus, c)
    elif VARIANT[0] == "H":
        c = np.where(u < 0.5, pbest, base)
        c = np.where((domain.level(plus) != domain.level(minus)) & (u2 < f), plus, c)
    elif VARIANT[0] == "I":
        c = np.where(u < 0.5, pbest, base)
        c = np.where((domain.level(plus) != domain.level(minus)) & (u2 < 0.5), plus, c)
    elif VARIANT[0] == "B":
        c = np.where(u < 0.5, base, pbest)
        c = np.where((domain.level(plus) != domain.level(minus)) & (u2 < 0.8), fresh, c)
    elif VARIANT[0] == "C":
        c = np.where(u < 0.25, base, np.where(u < 0.75, pbest, plus))
    elif VARIANT[0] == "D":
        c = np.where(u < 0.5, base, plus)
    elif VARIANT[0] == "E":
        c = np.where(u < 0.75, pbest, base)
    elif VARIANT[0] == "F":
        c = pbest
        c = np.where((domain.level(plus) != domain.level(minus)) & (u2 < 0.25), plus, c)
    rate = RATE / domain.nominal.sum()
    if VARIANT[1:] == "k":
        c = np.where(rng.random((n, d)) < rate, fresh, c)
    return np.where(domain.nominal, c, mutant)
