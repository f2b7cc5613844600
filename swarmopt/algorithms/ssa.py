"""The default algorithm: a sparrow search whose roles are done by mechanisms known to work.

It is an adapted Gaussian model (producers), difference moves (scroungers) and discrete coordinate
search (scouts) under the role structure of the sparrow search. It is not the published algorithm
(Xue and Shen 2020, doi 10.1080/21642583.2019.1708830), which is `ssa-classic` and is drawn to the
origin: this one uses only differences, the flock's mean and uniform draws.

A small flock starts at the box's centre (a declared prior) and in a Latin hypercube. Every
generation is shared among the roles by credit: how often a role's candidates beat the leader. This
replaces the source's coin R2 < ST. The alarm is a flock that has collapsed, or whose cost is flat
or stagnates: all fly off to a new place, twice as many, and the best is kept outside.

Before the second restart, with up to 40 free variables, the flock surveys the landscape, a
quadratic fitted to what it remembers: in every generation a bird dives to its lowest point, and of
the others only those fly that look best from above. Here the values of costs count, not their
order alone.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import Horizon
from swarmopt.algorithms import flock_model, moves, ssa_roles
from swarmopt.algorithms.flock_model import FlockModel
from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.algorithms.ssa_credit import credited, cuts, shared, succeeded
from swarmopt.algorithms.ssa_flight import led, together
from swarmopt.algorithms.ssa_flock import NEAREST, Flock, SuccessMemory, Watch, nearest
from swarmopt.algorithms.ssa_state import (
    DIVER,
    PRODUCER,
    ROLES,
    SCOUT,
    SCROUNGER,
    SETTLER,
    Birds,
    Shares,
    SSAState,
)
from swarmopt.algorithms.ssa_survey import LEAST, SURVEYED, Survey, late
from swarmopt.domain import Domain
from swarmopt.errors import SettingError, UnknownNameError
from swarmopt.settings import check_fields
from swarmopt.types import Integers, Mask, Matrix, Vector

LARGEST = 1000.0  # growth of the flock
COLLAPSED = 1e-11  # standard deviation of a real variable, in units of the cube


@dataclass(frozen=True)
class SSA:
    """Sparrow search by an adapted Gaussian model, difference moves and discrete search.

    Attributes:
        population: candidates per batch before the first restart; the horizon's batch where that
            is more.
        memory: birds of the flock before the first restart.
        elite: share of the flock that counts as producers.
        shares: of a generation that producers, scroungers and scouts get at the start; None for
            (0.7, 0.15, 0.15), or (0.15, 0.7, 0.15) where no variable is real.
        floor: share that each role keeps whatever its credit.
        smoothing: of the credit, per generation.
        caution: weight of the first shares against the credit, which is a rate of success.
        roles: which roles there are; for ablations.
        sigma: first standard deviation of the model, in units of the cube.
        growth: factor on population and memory at each restart.
        max_growth: of the product of these factors.
        negative: share of the negative weights of the model's update, in [0, 1].
        diagonal_from: numeric variables from which on only variances are learnt.
        surrogate: whether to survey the landscape; without it only the order of costs counts.
    """

    population: int = 7
    memory: int = 6
    elite: float = 0.2
    shares: tuple[float, float, float] | None = None
    floor: float = 0.04
    smoothing: float = 0.9
    caution: float = 0.05
    roles: tuple[str, ...] = ROLES
    sigma: float = 0.3
    growth: float = 2.0
    max_growth: float = 16.0
    negative: float = 1.0
    diagonal_from: int = 100
    surrogate: bool = True

    name: ClassVar[str] = "ssa"
    label: ClassVar[str] = "ssa (adapted; the published algorithm is ssa-classic)"
    anytime: ClassVar[bool] = True
    order_only: ClassVar[bool] = False  # the landscape is fitted to costs
    unbiased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)
        for role in self.roles:
            if role not in ROLES:
                raise UnknownNameError("role", role, ROLES)
        for expected, holds in {
            "population >= 2": self.population >= 2,
            "memory >= 2": self.memory >= 2,
            "0 < elite <= 1": 0 < self.elite <= 1,
            "positive shares": self.shares is None
            or (min(self.shares) > 0 and math.isfinite(sum(self.shares))),
            "0 <= floor < 1/3": 0 <= self.floor < 1 / 3,
            "0 <= smoothing < 1": 0 <= self.smoothing < 1,
            "caution >= 0": self.caution >= 0,
            "at least one of the roles and none twice": 0 < len(self.roles) == len(set(self.roles)),
            "1e-9 <= sigma <= 1": 1e-9 <= self.sigma <= 1,
            "1 <= growth <= 1000": 1 <= self.growth <= LARGEST,
            "1 <= max_growth <= 1000": 1 <= self.max_growth <= LARGEST,
            "0 <= negative <= 1": 0 <= self.negative <= 1,
            "diagonal_from >= 1": self.diagonal_from >= 1,
        }.items():
            if not holds:
                got = next(f"{n}={v!r}" for n, v in vars(self).items() if n in expected.split())
                raise SettingError(f"ssa: expected {expected}, got {got}")

    def init(self, domain: Domain, horizon: Horizon) -> SSAState:
        """Return the state of a flock that has yet to settle."""
        return self._epoch(Columns(domain), horizon.batch)

    def ask(self, state: SSAState, rng: Generator) -> Birds:
        """Return the first birds of an epoch, or those of a generation that are to fly.

        A diver leads the generation wherever the landscape has a lowest point and does not rest.
        """
        flock, survey = state.flock, state.survey
        if flock is None or not len(state.columns.free):
            return self._settlers(state, rng)
        if survey is None:
            return self._offspring(state, flock, flock.unit, rng)
        lowest = survey.dive()
        dive = np.empty((0, state.columns.domain.d)) if lowest is None else lowest[None]
        known = survey.archive.unit
        if state.columns.purely_discrete:
            known = np.concatenate([known, dive])
        offspring = self._offspring(state, flock, known, rng)
        least = state.batch
        if late(state.columns.domain.d, state.n_told):
            least = max(least, math.ceil(LEAST * state.n))
        return led(survey, state.columns, least, dive, offspring)

    def _offspring(self, state: SSAState, flock: Flock, known: Matrix, rng: Generator) -> Birds:
        """Return a whole generation: each role's share.

        In a purely discrete space none of it is among the known points, (m, d).
        """
        columns, n = state.columns, state.n
        a, b = cuts(state.share, n, rng.random())
        role = np.zeros(n, np.int64)  # PRODUCER
        role[a:b], role[b:] = SCROUNGER, SCOUT
        slot = np.full(n, NEAREST)
        weight, crossover = np.zeros(n), np.zeros(n)
        n_elite = flock.elite(self.elite)
        parts: list[Matrix] = []
        scouted: Mask | None = None
        if a > 0:
            parts.append(ssa_roles.producers(columns, state.model, state.probability, a, rng))
        if b > a:
            slot[a:b] = (rng.permutation(b - a) + int(rng.random() * len(flock))) % len(flock)
            weight[a:b], crossover[a:b] = settings = state.success.draw(b - a, rng)
            parts.append(
                ssa_roles.scroungers(columns, flock, n_elite, slot[a:b], settings=settings, rng=rng)
            )
        if n > b:
            part, scouted = ssa_roles.scouts(columns, flock, n_elite, n - b, rng)
            parts.append(part)
        unit = np.concatenate(parts) if len(parts) > 1 else parts[0]
        if columns.n_discrete:
            chosen = ssa_roles.margin(columns, role == SCROUNGER, rng)
            if scouted is not None:
                chosen[b:] |= scouted
            unit = ssa_roles.explored(columns, flock, unit, chosen, rng)
        if unit.min() < 0.0 or unit.max() > 1.0:
            unit = moves.reflect(unit, rng)
        if columns.purely_discrete:
            unit = ssa_roles.renewed(columns, flock, known, unit, rng)
        return Birds(unit, role, slot, weight, crossover, state.epoch)

    def tell(self, state: SSAState, candidates: Birds, key: Vector) -> SSAState:
        """Return the state with a batch remembered and learnt from.

        Birds of an older epoch can only be the best of all. Settlers that come when others have
        settled already (with lookahead) compete for a place and no more.
        """
        if not len(key):
            return state
        order = key.argsort(kind="stable")
        first = int(order[0])
        if state.best is None or key[first] < state.best_key:
            best, best_key = candidates.unit[first].copy(), float(key[first])
            state = replace(state, best=best, best_key=best_key)
        if candidates.epoch != state.epoch:
            return state
        n_told = state.n_told + len(key)
        columns, flock = state.columns, state.flock
        unit, role = candidates.unit, candidates.role
        centred = columns.domain.centre(unit) if columns.n_discrete else unit
        if flock is None:
            return self._settled(replace(state, n_told=n_told), unit, centred, key, order)
        slot = candidates.slot
        target = np.where(slot == NEAREST, nearest(columns, flock, centred), slot)
        new_flock = flock.challenged(target, centred, key, order)
        survey = state.survey
        if survey is not None:
            survey = survey.told(centred, key)
            if role[0] == DIVER:
                won = bool(key[0] < flock.key[flock.order[0]])
                survey = survey.dived(won=won, n_told=n_told)
            if not survey.rest or candidates.spared is not None:
                survey = survey.fitted(columns, new_flock.leader, state.model)
        state = replace(state, n_told=n_told, flock=new_flock, survey=survey)
        if role[0] == SETTLER:
            return state
        return self._generation(state, flock, candidates, key)

    def _generation(
        self, state: SSAState, before: Flock, candidates: Birds, key: Vector
    ) -> SSAState:
        """Return the state after a generation has competed: with what it teaches.

        Args:
            state: with the flock and the survey after the generation.
            before: the flock that it met.
            candidates: those that flew, a diver perhaps among them.
            key: of these.
        """
        columns, survey = state.columns, state.survey
        credit = credited(
            state.credit, candidates.role, key < before.key[before.order[0]], self.smoothing
        )
        first = self._first_share(columns)
        unit, ranking, role = candidates.unit, key, candidates.role
        if survey is not None and candidates.spared is not None:
            unit, ranking, role = together(survey, columns, candidates, key)
        order = ranking.argsort(kind="stable")[: state.n]
        ranked = unit[order]
        centred = columns.domain.centre(ranked) if columns.n_discrete else ranked
        model, probability = self._learnt(state, ranked, centred, role[order] != PRODUCER)
        new = replace(
            state,
            model=model,
            probability=probability,
            success=succeeded(state.success, before, candidates, key),
            credit=credit,
            share=shared(credit, first, self.caution, self.floor) or state.share,
            watch=state.watch.seen(float(key.min())),
        )
        if self._alarmed(new):
            return self._restarted(new)
        return new

    def _restarted(self, state: SSAState) -> SSAState:
        """Return the state before the next epoch's first birds; the best of all stays outside."""
        new = self._epoch(state.columns, state.batch, state.epoch + 1)
        return replace(new, n_told=state.n_told, best=state.best, best_key=state.best_key)

    def report(self, state: SSAState) -> dict[str, float]:
        """Return what a run's history shows of the state: shares of the roles, size, restarts."""
        shares = dict(zip(ROLES, state.share, strict=True))
        return {**shares, "population": state.n, "restarts": state.epoch}

    def _epoch(self, columns: Columns, batch: int, epoch: int = 0) -> SSAState:
        """Return the state before an epoch's first birds have settled."""
        grown = min(self.max_growth, self.growth ** min(epoch, 64))
        n = int(max(self.population, batch) * grown)
        k = len(columns.numeric)
        diagonal = k >= self.diagonal_from
        model = None
        if k:
            rates = flock_model.rates(k, n, diagonal=diagonal, negative=self.negative)
            model = flock_model.start(np.full(k, 0.5), self.sigma, rates, diagonal=diagonal)
        return SSAState(
            columns=columns,
            batch=batch,
            n_told=0,
            n=n,
            n_memory=int(self.memory * grown),
            epoch=epoch,
            flock=None,
            model=model,
            probability=ssa_roles.uniform_probability(columns),
            success=SuccessMemory(np.full(5, 0.5), np.full(5, 0.7)),
            credit=(0.0, 0.0, 0.0),
            share=self._first_share(columns),
            watch=Watch.begun(10 + int(30 * columns.domain.d / n)),
            survey=None,
            best=None,
            best_key=np.inf,
        )

    def _first_share(self, columns: Columns) -> Shares:
        """Return the shares of the roles before any credit."""
        return self._first_shares[columns.purely_discrete]

    @cached_property
    def _first_shares(self) -> tuple[Shares, Shares]:
        """The first shares where some variable is real, and where none is."""
        here = [role in self.roles for role in ROLES]
        found = []
        for shares in ((0.7, 0.15, 0.15), (0.15, 0.7, 0.15)):
            some = [share * there for share, there in zip(self.shares or shares, here, strict=True)]
            found.append(tuple(share / sum(some) for share in some))
        return found[0], found[1]

    @staticmethod
    def _settlers(state: SSAState, rng: Generator) -> Birds:
        """Return a Latin hypercube; in the first epoch its first bird is the box's centre."""
        n, d = max(state.n_memory, state.batch), state.columns.domain.d
        unit = moves.latin_hypercube(n, d, rng)
        if state.epoch == 0:
            unit[0] = 0.5
        none = np.zeros(n)
        return Birds(unit, np.full(n, SETTLER), np.full(n, NEAREST), none, none, state.epoch)

    def _settled(
        self, state: SSAState, unit: Matrix, centred: Matrix, key: Vector, order: Integers
    ) -> SSAState:
        """Return the state with the best settlers as its flock.

        The first settler is the model's mean: the box's centre or the `x0` that took its place,
        after a restart a uniform point.
        """
        chosen = order[: state.n_memory]
        flock = Flock(centred[chosen], key[chosen], np.arange(len(chosen)))
        model, columns = state.model, state.columns
        if model is not None:
            model = replace(model, mean=unit[0, columns.numeric])
        surveyed = self.surrogate and state.epoch < SURVEYED and Survey.can(columns)
        survey = Survey.begun(centred, key) if surveyed else None
        return replace(state, flock=flock, model=model, survey=survey)

    def _learnt(
        self, state: SSAState, ranked: Matrix, centred: Matrix, foreign: Mask
    ) -> tuple[FlockModel | None, Matrix]:
        """Return the model and the probabilities after a batch, (n, d) best first."""
        columns, model, probability = state.columns, state.model, state.probability
        if "producers" not in self.roles:
            return model, probability
        if len(columns.nominal):
            rates = model.rates if model else flock_model.rates(1, state.n)
            weights = rates.weights[: min(rates.mu, len(ranked))]
            probability = ssa_roles.learnt_probability(
                columns, probability, centred[: rates.mu], weights
            )
        if model is None:
            return model, probability
        numeric = ranked if columns.only_numeric else ranked[:, columns.numeric]
        if len(columns.real) < len(columns.numeric):
            numeric = columns.centred_elsewhere(model.mean, numeric, centred)
        return flock_model.update(model, numeric, foreign), probability

    def _alarmed(self, state: SSAState) -> bool:
        """Return whether the flock has collapsed, or its cost is flat or stagnates."""
        real, model = state.columns.real, state.model
        if state.watch.flat or state.watch.stagnating:
            return True
        if model is None or not len(real) or model.sigma * model.axes.min() >= COLLAPSED:
            return False
        return bool((model.deviation[real] < COLLAPSED).all())
