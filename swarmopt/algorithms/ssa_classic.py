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

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.settings import check_fields
from swarmopt.types import Integers, Matrix, Vector

EPSILON = 1e-50  # against division by zero, equation (5)
LARGEST_KEY = 1e300  # infeasible and failed birds are all this bad where keys are calculated with
GENERATIONS = 1_000  # M where the budget is unbounded


@dataclass(frozen=True, eq=False)
class Fixed:
    """What stays the same throughout a run.

    Attributes:
        domain: d columns.
        generations: M, how many generations the run has.
        n_lead: PD n, how many producers.
        first_hungry: the first row, best first, where i > n/2.
        n_aware: SD n, how many scouts.
        rank: (n, 1) i = 1..n.
        low: (n, d) lower bounds of the box, the same in every row: numpy is twice as fast at small
            matrices of one shape as at a matrix and a row.
        span: (n, d) widths of the box, alike.
        share: (d,) 1/d each: A+ without its signs.
    """

    domain: Domain
    generations: int
    n_lead: int
    first_hungry: int
    n_aware: int
    rank: Matrix
    low: Matrix
    span: Matrix
    share: Vector


@dataclass(frozen=True, eq=False)
class ClassicState:
    """The flock.

    Attributes:
        fixed: constants.
        n_visited: how many birds, the first ones, were anywhere yet.
        unit: (n, d) the best position of each bird.
        key: (n,) the key there.
    """

    fixed: Fixed
    n_visited: int
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
        check_fields(self)
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
        n_lead = _birds(self.producers, n)
        low, high = (np.tile(bound, (n, 1)) for bound in (domain.low, domain.high))
        fixed = Fixed(
            domain=domain,
            generations=generations,
            n_lead=n_lead,
            first_hungry=max(n_lead, n // 2),
            n_aware=_birds(self.scouts, n) if self.scouts else 0,
            rank=np.arange(1.0, n + 1.0)[:, None],
            low=low,
            span=high - low,
            share=np.full(domain.d, 1.0 / domain.d),
        )
        return ClassicState(fixed, 0, np.full((n, domain.d), 0.5), np.full(n, np.inf))

    def ask(self, state: ClassicState, rng: Generator) -> Candidates:
        """Return the next position of every bird, row i that of bird i."""
        n, d = state.unit.shape
        if not state.n_visited:
            return Candidates(rng.random((n, d)))
        fixed, order = state.fixed, state.key.argsort(kind="stable")
        x = _boxed(fixed, state.unit.take(order, axis=0))
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows ends at a wall
            moved = self._first_move(fixed, x, rng)
            if fixed.n_aware:
                aware = rng.random((n,)).argsort()[: fixed.n_aware]
                moved[aware] = _fled(x, state.key.take(order), aware, rng)
            unit = np.empty((n, d))
            unit[order] = _unboxed(fixed, moved)
        return Candidates(unit)

    def tell(self, state: ClassicState, candidates: Candidates, key: Vector) -> ClassicState:
        """Keep what is better than the bird's best."""
        n = len(key)
        better = key < state.key[:n]
        if n > state.n_visited:
            better[state.n_visited :] = True
        unit = np.where(better[:, None], candidates.unit, state.unit[:n])
        keys = np.where(better, key, state.key[:n])
        if n < len(state.key):
            unit = np.concatenate((unit, state.unit[n:]))
            keys = np.concatenate((keys, state.key[n:]))
        return ClassicState(state.fixed, max(n, state.n_visited), unit, keys)

    def _first_move(self, fixed: Fixed, x: Matrix, rng: Generator) -> Matrix:
        """Return (n, d) the moves of producers and scroungers; x (n, d) stands best first."""
        n, d = x.shape
        lead, hungry = fixed.n_lead, fixed.first_hungry
        i, best, worst = fixed.rank, x[0], x[-1]
        alarm = rng.random()
        q = rng.standard_normal((n, 1))
        moved = np.empty((n, d))
        # (3): x exp(-i / (a M)) where R2 < ST, else x + Q L
        if alarm < self.safety:
            a = 1.0 - rng.random((lead, 1))  # in (0, 1]
            shrunk = np.exp(i[:lead] / (-fixed.generations * a))
            np.multiply(x[:lead], shrunk, out=moved[:lead])
        else:
            np.add(x[:lead], q[:lead], out=moved[:lead])
        # (4): Q exp((x_worst - x) / i^2) where i > n/2
        far = (worst - x[hungry:]) / i[hungry:] ** 2
        np.multiply(q[hungry:], np.exp(far, out=far), out=moved[hungry:])
        # (4): x_P + |x - x_P| A+ L otherwise; A+ = A^T (A A^T)^-1 = A^T / d, as A A^T = d
        signs = rng.standard_normal((hungry - lead, d))  # of A: -1 and 1 are equally likely
        gap = np.copysign(x[lead:hungry] - best, signs)
        np.add(best, gap.dot(fixed.share)[:, None], out=moved[lead:hungry])
        return moved


def _fled(x: Matrix, key: Vector, aware: Integers, rng: Generator) -> Matrix:
    """Return (m, d) the scouts' moves, equation (5).

    Args:
        x: (n, d) positions, best first.
        key: (n,) ascending.
        aware: (m,) rows of the scouts.
        rng: draws m * d numbers, and one more for each scout that stands at the best.
    """
    best = x[0]
    here = x.take(aware, axis=0)
    fled: Matrix = best + rng.standard_normal(here.shape) * np.abs(here - best)
    ties = (key.take(aware) == key[0]).nonzero()[0]
    if len(ties):
        # k / (f - f_worst + eps): k is symmetric, so the sign of the difference does not matter,
        # and taken as positive it cannot cancel eps.
        k = 2.0 * rng.random((len(ties), 1)) - 1.0
        difference = min(key[-1], LARGEST_KEY) - min(key[0], LARGEST_KEY)
        here = here[ties]
        fled[ties] = here + k * np.abs(here - x[-1]) / (difference + EPSILON)
    return fled


def _birds(share: float, n: int) -> int:
    """Return how many of n birds a share is, at least one."""
    return max(1, int(share * n + 1e-9))  # 0.29 * 100 is just below 29


def _boxed(fixed: Fixed, unit: Matrix) -> Matrix:
    """Return (n, d) positions in the box's own units."""
    domain = fixed.domain
    x: Matrix = fixed.low + unit * fixed.span
    if not domain.n_discrete:
        return x
    return np.where(domain.discrete, domain.low + domain.level(unit), x)


def _unboxed(fixed: Fixed, x: Matrix) -> Matrix:
    """Return (n, d) positions in the unit cube of any (n, d); what is no number is at a wall."""
    domain, away = fixed.domain, x - fixed.low
    if not domain.n_discrete:
        away /= fixed.span
        return np.fmax(np.fmin(away, 1.0), 0.0)
    away = np.fmax(np.fmin(away, fixed.span), 0.0)
    span = np.where(domain.discrete, 1.0, fixed.span)
    level = (np.rint(away) + 0.5) / np.maximum(domain.levels, 1)
    return np.where(domain.discrete, level, away / span)
