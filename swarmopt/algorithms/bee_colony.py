"""Artificial bee colony, set as in ABCPruner's search for the channels of a network.

Sources: Karaboga, "An idea based on honey bee swarm for numerical optimization", TR06, 2005;
Karaboga and Basturk, "A powerful and efficient algorithm for numerical function optimization:
artificial bee colony (ABC) algorithm", 2007; Lin et al., "Channel pruning
via automatic structure search", IJCAI 2020, arXiv 2001.08565 (ABCPruner: 10 sources, limit 5, two
variables changed at once, shares of 0.9 fitness + 0.1).

A cycle is two batches: in one every source has its employed bee, in the other the onlookers spread
over the sources by the keys found there. Where this leaves the sources:

- The onlookers of a batch start together, so the best of those at a source counts, and each of the
  others that is no better than the source is a failed trial.
- The scout that replaces an abandoned source flies in place of its employed bee. As published, one
  source a cycle is abandoned at most.
- A step of less than a level is not rounded away, and the last variable changes as others do, which
  ABCPruner's code forgoes. Categories are copied from the partner, or drawn anew if they agree.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.settings import check_fields
from swarmopt.types import Integers, Mask, Matrix, Vector

LEAST_SHARE = 0.1  # of the worst source's onlookers, relative to the best source's


@dataclass(frozen=True, eq=False)
class ABCState:
    """The food sources.

    Attributes:
        domain: d columns.
        onlooking: whether the next batch is of onlookers.
        visited: (n,) whether a bee was at the source yet.
        unit: (n, d) where the sources are.
        key: (n,) the keys there.
        trials: (n,) how often a source was not improved since it was.
    """

    domain: Domain
    onlooking: bool
    visited: Mask
    unit: Matrix
    key: Vector
    trials: Integers


@dataclass(frozen=True, eq=False)
class Bees(Candidates):
    """Row i is where bee i flies.

    Attributes:
        source: (n,) which source a bee belongs to.
        scouts: (n,) whether the bee looks for a new source in place of this one.
        onlookers: (n,) whether the bee is an onlooker; all are or none.
    """

    source: Integers
    scouts: Mask
    onlookers: Mask


@dataclass(frozen=True)
class ABC:
    """Artificial bee colony.

    Attributes:
        population: number of food sources, and of bees in a batch; None: 10. Never below the
            horizon's batch.
        limit: trials in vain after which a source may be abandoned.
        changes: variables that a bee changes at once, at most.
    """

    population: int | None = None
    limit: int = 5
    changes: int = 2

    name: ClassVar[str] = "abc"
    label: ClassVar[str] = "artificial bee colony"
    anytime: ClassVar[bool] = True
    order_only: ClassVar[bool] = False  # the roulette divides by keys
    unbiased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)
        for field in ("population", "limit", "changes"):
            value = getattr(self, field)
            if value is not None and value < 1:
                raise SettingError(f"abc: expected {field} >= 1, got {value!r}")

    def init(self, domain: Domain, horizon: Horizon) -> ABCState:
        """Return sources that nobody has visited."""
        n = max(self.population or 10, horizon.batch)
        middle = np.full((n, domain.d), 0.5)
        nowhere = np.zeros(n, bool)
        return ABCState(domain, False, nowhere, middle, np.full(n, np.inf), np.zeros(n, np.int64))

    def ask(self, state: ABCState, rng: Generator) -> Bees:
        """Return where the bees of the next half of a cycle fly."""
        n, d = state.unit.shape
        if state.onlooking:
            share = np.cumsum(_shares(state.key))
            source = np.searchsorted(share, rng.random(n) * share[-1], side="right")
            scouts = np.zeros(n, bool)
        else:
            source = np.arange(n)
            scouts = ~state.visited
            worst = int(state.trials.argmax())
            scouts[worst] |= state.trials[worst] >= self.limit
        unit = self._neighbours(state, source, rng)
        unit = np.where(scouts[:, None], rng.random((n, d)), unit)
        return Bees(unit, source, scouts, np.full(n, state.onlooking))

    def tell(self, state: ABCState, candidates: Bees, key: Vector) -> ABCState:
        """Move sources to where bees found better ones, and count the trials of the others."""
        n = len(state.key)
        source, scouts = candidates.source, candidates.scouts
        # A scout of an older batch finds its source taken by another's, and is a bee like others.
        left = scouts & (~state.visited[source] | (state.trials[source] >= self.limit))
        fails = ~left & ~(key < state.key[source])
        trials = state.trials + np.bincount(source[fails], minlength=n)
        order = np.argsort(key, kind="stable")[::-1]
        order = order[~fails[order]]  # of several at one source the best is written last
        unit, keys, visited = state.unit.copy(), state.key.copy(), state.visited.copy()
        unit[source[order]], keys[source[order]] = candidates.unit[order], key[order]
        trials[source[order]] = 0
        visited[source] = True
        onlooking = not candidates.onlookers[0]
        return ABCState(state.domain, onlooking, visited, unit, keys, trials)

    def _neighbours(self, state: ABCState, source: Integers, rng: Generator) -> Matrix:
        """Return (n, d) positions beside each bee's source, changed in a few columns."""
        n, d = state.unit.shape
        partner = (source + 1 + (rng.random(n) * (n - 1)).astype(np.int64)) % n  # another source
        column = (rng.random((n, self.changes)) * d).astype(np.int64)
        here, there = state.unit[source[:, None], column], state.unit[partner[:, None], column]
        draws = rng.random((2, n, self.changes))
        # v_ij = x_ij + phi (x_ij - x_kj), phi in [-1, 1] (Karaboga and Basturk 2007)
        phi = 2.0 * draws[0] - 1.0
        moved = np.clip(here + phi * (here - there), 0.0, 1.0)
        if state.domain.n_discrete:
            moved = _discrete(
                state.domain, column, here=here, there=there, phi=phi, u=draws[1], moved=moved
            )
        unit = state.unit[source]
        unit[np.arange(n)[:, None], column] = moved
        return unit


def _shares(key: Vector) -> Vector:
    """Return (n,) the onlookers' interest in each source, from 0.1 to 1 for the best.

    The fitness is 1 / (1 + f) where f >= 0 and 1 + |f| elsewhere, as is usual for costs; what
    failed has none, and what is infeasible next to none.
    """
    size = np.abs(key)
    fitness = np.where(key < 0.0, 1.0 + size, 1.0 / (1.0 + size))
    best = float(fitness.max())
    if best > 0.0:
        fitness = fitness / best
    return (1.0 - LEAST_SHARE) * fitness + LEAST_SHARE


def _discrete(
    domain: Domain,
    column: Integers,
    *,
    here: Matrix,
    there: Matrix,
    phi: Matrix,
    u: Matrix,
    moved: Matrix,
) -> Matrix:
    """Return (n, c) changed values, discrete ones in the middle of another level.

    Args:
        domain: d columns.
        column: (n, c) the column of each value.
        here: (n, c) values at the source.
        there: (n, c) values at the partner.
        phi: (n, c) in [-1, 1], the length of the step.
        u: (n, c) uniforms.
        moved: (n, c) the changed values if all were continuous.
    """
    k = np.maximum(domain.levels, 1)[column]
    level = np.minimum(np.floor(here * k), k - 1)
    other = np.minimum(np.floor(there * k), k - 1)
    # Ordered: the step rounded at random, at least one level; back where it ends at the wall it
    # began at.
    step = np.floor(phi * (level - other) + u)
    step = np.where(step == 0.0, np.where(phi < 0.0, -1.0, 1.0), step)
    stepped = np.clip(level + step, 0.0, k - 1)
    stepped = np.where(stepped == level, np.clip(level - step, 0.0, k - 1), stepped)
    # Nominal: the partner's where it is another, otherwise uniform over the others.
    drawn = (level + 1.0 + np.floor(u * (k - 1))) % k
    copied = np.where(other != level, other, drawn)
    landed = np.where(domain.nominal[column], copied, stepped)
    return np.where(domain.discrete[column], (landed + 0.5) / k, moved)
