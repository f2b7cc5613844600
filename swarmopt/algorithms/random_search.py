"""Random search: uniform points; in a finite space none is drawn twice while others are left.

Source: Bergstra and Bengio, "Random search for hyper-parameter optimization", 2012.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.settings import check_fields
from swarmopt.types import Integers, Matrix, Vector

MAX_RANKED = 2**53  # spaces up to here number their points exactly
REDRAWS = 8


@dataclass(frozen=True, eq=False)
class RandomState:
    """The domain, and the numbers of the points told, ascending (finite spaces only)."""

    domain: Domain
    population: int
    told: Integers


@dataclass(frozen=True)
class RandomSearch:
    """Uniform random search.

    Attributes:
        population: candidates per batch; None: 20, or the horizon's batch where that is more.
    """

    population: int | None = None

    name: ClassVar[str] = "random-search"
    label: ClassVar[str] = "random search"
    anytime: ClassVar[bool] = True
    order_only: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.population is not None and self.population < 1:
            raise SettingError(f"random-search: expected population >= 1, got {self.population}")

    def init(self, domain: Domain, horizon: Horizon) -> RandomState:
        """Return a state that has seen nothing."""
        population = max(self.population or 20, horizon.batch)
        return RandomState(domain, population, np.empty(0, np.int64))

    def ask(self, state: RandomState, rng: Generator) -> Candidates:
        """Return uniform points; redraw those already known."""
        domain = state.domain
        unit = rng.random((state.population, domain.d))
        if domain.size > MAX_RANKED:
            return Candidates(unit)
        for _ in range(REDRAWS):
            known = _known(_rank(domain, unit), state.told)
            if not known.any():
                break
            unit[known] = rng.random((int(known.sum()), domain.d))
        if domain.size <= 2 * len(state.told) + state.population:
            unit = _remaining(domain, state, unit, rng)
        return Candidates(unit)

    def tell(self, state: RandomState, candidates: Candidates, key: Vector) -> RandomState:  # noqa: ARG002 - costs teach it nothing
        """Remember which points were told."""
        if state.domain.size > MAX_RANKED:
            return state
        told = np.union1d(state.told, _rank(state.domain, candidates.unit))
        return replace(state, told=told)


def _rank(domain: Domain, unit: Matrix) -> Integers:
    """Return (n,) the number of each point in a count over all columns."""
    weight = np.cumprod(np.r_[1, domain.levels[:-1]])
    return domain.level(unit).astype(np.int64) @ weight


def _known(rank: Integers, told: Integers) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return (n,) whether a point was told or stands earlier in the batch."""
    known = np.ones(len(rank), bool)
    known[np.unique(rank, return_index=True)[1]] = False
    return known | np.isin(rank, told)


def _remaining(domain: Domain, state: RandomState, unit: Matrix, rng: Generator) -> Matrix:
    """Return points of a space that is nearly exhausted, from a list of what is left."""
    left = np.setdiff1d(np.arange(int(domain.size)), state.told)
    if not len(left):
        return unit
    rank = rng.permutation(left)[: state.population]
    weight = np.cumprod(np.r_[1, domain.levels[:-1]])
    level = rank[:, None] // weight % domain.levels
    return (level + 0.5) / domain.levels
