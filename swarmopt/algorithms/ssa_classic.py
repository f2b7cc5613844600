"""The sparrow search algorithm as published, for reproduction.

Source: Xue and Shen, "A novel swarm intelligence optimization approach: sparrow search algorithm",
Systems Science & Control Engineering 8(1):22-34, 2020, doi 10.1080/21642583.2019.1708830.

Two of its rules pull to the origin of the box's own units: the producers' contraction, and the
starving scroungers' leap to Q*(1, ..., 1). Results are good where the optimum lies there and poor
elsewhere. `ssa` is the algorithm to use.

Public codes differ in the sign of the exponent, a scalar or a vector Q, an elementwise A+ and in
which birds are scouts. Here the equations of the paper hold, and where it leaves room:

- Q and a are one number per bird, R2 one per generation.
- X_P is the best position before the move: a generation is one batch, not two.
- Scouts replace the first move of their birds, so a generation costs n evaluations.
- On integers and categories the move is made on the decoded axis and rounded.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.errors import SettingError
from swarmopt.space import Domain
from swarmopt.types import Integers, Mask, Matrix, Vector

EPSILON = 1e-50  # against division by zero, equation (5)
LARGEST_KEY = 1e300  # infeasible and failed birds are all this bad where keys are calculated with
GENERATIONS = 1_000  # M where the budget is unbounded


@dataclass(frozen=True, eq=False)
class ClassicState:
    """The flock.

    Attributes:
        domain: d columns.
        generations: M, how many generations the run has.
        visited: (n,) whether a bird was anywhere yet.
        unit: (n, d) the best position of each bird.
        key: (n,) the key there.
    """

    domain: Domain
    generations: int
    visited: Mask
    unit: Matrix
    key: Vector


@dataclass(frozen=True)
class SSAClassic:
    """The sparrow search algorithm as published, biased to the origin.

    Attributes:
        population: number of birds; None: a 20th of the budget, between 20 and 100. Never below
            the horizon's batch.
        producers: PD, share of the flock that leads, at least one bird.
        scouts: SD, share of the flock aware of danger, at least one bird unless 0.
        safety: ST, the alarm value below which producers feel safe.
    """

    population: int | None = None
    producers: float = 0.2
    scouts: float = 0.1
    safety: float = 0.8

    name: ClassVar[str] = "ssa-classic"
    label: ClassVar[str] = "ssa-classic (as published)"
    anytime: ClassVar[bool] = False  # the contraction depends on M
    order_only: ClassVar[bool] = False  # equation (5) divides by a difference of keys
    unbiased: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.population is not None and self.population < 1:
            raise SettingError(f"ssa-classic: expected population >= 1, got {self.population!r}")
        for field in ("producers", "scouts", "safety"):
            value = getattr(self, field)
            if not 0.0 <= value <= 1.0:
                raise SettingError(f"ssa-classic: expected 0 <= {field} <= 1, got {value!r}")

    def init(self, domain: Domain, horizon: Horizon) -> ClassicState:
        """Return a flock that was nowhere yet."""
        budget = horizon.budget
        n = self.population or (100 if budget is None else int(np.clip(budget // 20, 20, 100)))
        n = max(n, horizon.batch)
        generations = GENERATIONS if budget is None else max(1, budget // n)
        middle = np.full((n, domain.d), 0.5)
        return ClassicState(domain, generations, np.zeros(n, bool), middle, np.full(n, np.inf))

    def ask(self, state: ClassicState, rng: Generator) -> Candidates:
        """Return the next position of every bird, row i that of bird i."""
        n, d = state.unit.shape
        if not state.visited.any():
            return Candidates(rng.random((n, d)))
        order = np.argsort(state.key, kind="stable")
        x = _boxed(state.domain, state.unit[order])
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows ends at a wall
            moved = self._first_move(x, state.generations, rng)
            if self.scouts > 0.0:
                aware = rng.permutation(n)[: _birds(self.scouts, n)]
                moved[aware] = _fled(x, state.key[order], aware, rng)
        unit = np.empty((n, d))
        unit[order] = _unboxed(state.domain, moved)
        return Candidates(unit)

    def tell(self, state: ClassicState, candidates: Candidates, key: Vector) -> ClassicState:
        """Keep what is better than the bird's best."""
        n = len(key)
        better = (key < state.key[:n]) | ~state.visited[:n]
        rows = np.flatnonzero(better)
        visited, unit, keys = state.visited.copy(), state.unit.copy(), state.key.copy()
        visited[:n] = True
        unit[rows] = candidates.unit[rows]
        keys[rows] = key[rows]
        return replace(state, visited=visited, unit=unit, key=keys)

    def _first_move(self, x: Matrix, generations: int, rng: Generator) -> Matrix:
        """Return (n, d) the moves of producers and scroungers; x (n, d) stands best first."""
        n, d = x.shape
        lead = _birds(self.producers, n)
        hungry = max(lead, n // 2)  # from here on i > n/2
        i = np.arange(1.0, n + 1.0)[:, None]
        alarm = rng.random()
        q = rng.standard_normal((n, 1))
        moved = np.empty((n, d))
        # (3): x exp(-i / (a M)) where R2 < ST, else x + Q L
        a = 1.0 - rng.random((lead, 1))  # in (0, 1]
        if alarm < self.safety:
            moved[:lead] = x[:lead] * np.exp(-i[:lead] / (a * generations))
        else:
            moved[:lead] = x[:lead] + q[:lead]
        # (4): Q exp((x_worst - x) / i^2) where i > n/2
        moved[hungry:] = q[hungry:] * np.exp((x[-1] - x[hungry:]) / i[hungry:] ** 2)
        # (4): x_P + |x - x_P| A+ L otherwise; A+ = A^T (A A^T)^-1 = A^T / d, as A A^T = d
        toss = rng.random((hungry - lead, d)) - 0.5  # the signs of A
        gap = np.copysign(x[lead:hungry] - x[0], toss)
        moved[lead:hungry] = x[0] + gap.sum(axis=1, keepdims=True) / d
        return moved


def _fled(x: Matrix, key: Vector, aware: Integers, rng: Generator) -> Matrix:
    """Return (m, d) the scouts' moves, equation (5).

    Args:
        x: (n, d) positions, best first.
        key: (n,) ascending.
        aware: (m,) rows of the scouts.
        rng: draws m * (d + 1) numbers.
    """
    beta = rng.standard_normal((len(aware), x.shape[1]))
    k = rng.uniform(-1.0, 1.0, (len(aware), 1))
    here = x[aware]
    toward = x[0] + beta * np.abs(here - x[0])
    # k / (f - f_worst + eps): k is symmetric, so the sign of the difference does not matter, and
    # taken as positive it cannot cancel eps.
    difference = min(key[-1], LARGEST_KEY) - min(key[0], LARGEST_KEY)
    away = here + k * np.abs(here - x[-1]) / (difference + EPSILON)
    fled: Matrix = np.where((key[aware] > key[0])[:, None], toward, away)
    return fled


def _birds(share: float, n: int) -> int:
    """Return how many of n birds a share is, at least one."""
    return max(1, int(share * n + 1e-9))  # 0.29 * 100 is just below 29


def _boxed(domain: Domain, unit: Matrix) -> Matrix:
    """Return (n, d) positions in the box's own units."""
    x: Matrix = domain.low + unit * (domain.high - domain.low)
    if not domain.n_discrete:
        return x
    return np.where(domain.discrete, domain.low + domain.level(unit), x)


def _unboxed(domain: Domain, x: Matrix) -> Matrix:
    """Return (n, d) positions in the unit cube of any (n, d); what is no number is at a wall."""
    x = np.fmax(np.fmin(x, domain.high), domain.low)
    if not domain.n_discrete:
        unit: Matrix = (x - domain.low) / (domain.high - domain.low)
        return unit
    level = np.rint(x - domain.low)
    span = np.where(domain.discrete, 1.0, domain.high - domain.low)
    bins = np.maximum(domain.levels, 1)
    return np.where(domain.discrete, (level + 0.5) / bins, (x - domain.low) / span)
