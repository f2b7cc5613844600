"""The default algorithm: a sparrow search whose roles are done by mechanisms known to work.

It is an adapted Gaussian model (producers), difference moves (scroungers) and discrete coordinate
search (scouts) under the role structure of the sparrow search. It is not the published algorithm
(Xue and Shen 2020), which is `ssa-classic` and is drawn to the origin; this one uses only
differences, the flock's mean and uniform draws, and works on integers and categories as they are.

A small flock starts at the box's centre (a declared prior) and in a Latin hypercube. Each batch
shares its candidates among the roles by their credit: how often a role's candidates entered the
elite of the flock. This replaces the coin R2 < ST of the source. The alarm rings when the flock
has collapsed, or its cost is flat or stagnates: then all fly off to a new place, twice as many,
and the best is kept outside.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.algorithms import flock_model as gaussian
from swarmopt.algorithms import moves
from swarmopt.algorithms import ssa_roles as roles
from swarmopt.algorithms.flock_model import FlockModel
from swarmopt.algorithms.ssa_roles import (
    PRODUCER,
    SCOUT,
    SCROUNGER,
    SETTLER,
    Columns,
    Flock,
    SuccessMemory,
)
from swarmopt.space import Domain
from swarmopt.types import Integers, Matrix, Vector

NEAREST = -1  # as a slot: the candidate competes with the nearest bird
STRETCHES = 8
COLLAPSED = 1e-11
ROLES = ("producers", "scroungers", "scouts")


@dataclass(frozen=True, eq=False)
class Birds(Candidates):
    """A batch, and what `tell` must know of each bird.

    Attributes:
        role: (n,) PRODUCER, SCROUNGER, SCOUT or SETTLER.
        slot: (n,) index of the bird it competes with, or NEAREST.
        weight: (n,) F of a scrounger, else 0.
        crossover: (n,) CR of a scrounger, else 0.
        epoch: how many restarts preceded.
    """

    role: Integers
    slot: Integers
    weight: Vector
    crossover: Vector
    epoch: int


@dataclass(frozen=True, eq=False)
class Watch:
    """What the alarm remembers of an epoch.

    Attributes:
        batches: how many were told.
        last: best key of the last batch.
        equal: for how many batches in a row that has not changed.
        stretches: (8,) best key in each of the last stretches, the newest last.
    """

    batches: int
    last: float
    equal: int
    stretches: Vector


@dataclass(frozen=True, eq=False)
class SSAState:
    columns: Columns
    n: int
    n_settlers: int
    n_memory: int
    epoch: int
    flock: Flock | None
    model: FlockModel | None
    probability: Matrix
    success: SuccessMemory
    credit: Vector
    share: Vector
    watch: Watch
    best: Vector | None
    best_key: float


@dataclass(frozen=True)
class SSA:
    population: int | None = None
    memory: int | None = None
    elite: float = 0.2
    floor: float = 0.04
    shares: tuple[float, float, float] = (0.7, 0.15, 0.15)
    smoothing: float = 0.9
    roles: tuple[str, ...] = ROLES
    sigma: float = 0.3
    growth: float = 2.0
    largest: float = 16.0
    diagonal_from: int = 100
    negative: float = 0.0
    grow_memory: bool = True
    clip_all: bool = False
    mean_uniform: bool = False
    prob_floor: float = 0.2

    name: ClassVar[str] = "ssa"
    label: ClassVar[str] = "ssa (adapted; the published algorithm is ssa-classic)"
    anytime: ClassVar[bool] = True
    order_only: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True

    def init(self, domain: Domain, horizon: Horizon) -> SSAState:
        columns = Columns(domain)
        n = self.population or max(7, horizon.batch)
        m = self.memory or 6
        return self._settled(
            SSAState(
                columns=columns,
                n=n,
                n_settlers=max(m, horizon.batch),
                n_memory=m,
                epoch=0,
                flock=None,
                model=None,
                probability=columns.uniform(),
                success=SuccessMemory(np.full(5, 0.5), np.full(5, 0.7), 0),
                credit=np.zeros(3),
                share=self._first_share(),
                watch=Watch(0, np.inf, 0, np.full(STRETCHES, np.inf)),
                best=None,
                best_key=np.inf,
            ),
            n,
            m,
            0,
        )

    def _on(self):
        return np.array([r in self.roles for r in ROLES], float)

    def _first_share(self):
        s = np.array(self.shares) * self._on()
        return s / s.sum()

    def _settled(self, state, n, m, epoch):
        columns = state.columns
        k = len(columns.numeric)
        model = None
        if k:
            diagonal = k >= self.diagonal_from
            model = gaussian.start(
                np.full(k, 0.5),
                self.sigma,
                gaussian.rates(k, n, diagonal=diagonal, negative=self.negative),
                diagonal=diagonal,
            )
        return replace(
            state,
            n=n,
            n_memory=m,
            n_settlers=max(m, state.n_settlers),
            epoch=epoch,
            flock=None,
            model=model,
            probability=columns.uniform(),
            success=SuccessMemory(np.full(5, 0.5), np.full(5, 0.7), 0),
            credit=np.zeros(3),
            share=self._first_share(),
            watch=Watch(0, np.inf, 0, np.full(STRETCHES, np.inf)),
        )

    def ask(self, state: SSAState, rng: Generator) -> Birds:
        if state.flock is None:
            return self._settlers(state, rng)
        columns, flock, n, d = state.columns, state.flock, state.n, state.columns.domain.d
        if not len(columns.free):
            z = np.zeros(n)
            return Birds(
                np.full((n, d), 0.5), np.full(n, PRODUCER), np.full(n, NEAREST), z, z, state.epoch
            )
        share = state.share.tolist()
        u = rng.random()
        total = share[0] + share[1] + share[2]
        a = int(share[0] / total * n + u)
        b = int((share[0] + share[1]) / total * n + u)
        role = np.zeros(n, np.int64)
        role[a:b] = SCROUNGER
        role[b:] = SCOUT
        slot = np.full(n, NEAREST)
        weight = np.zeros(n)
        crossover = np.zeros(n)
        n_elite = self._n_elite(len(flock))
        parts = []
        scouted = None
        if a:
            parts.append(roles.producers(columns, state.model, state.probability, a, rng))
        if b > a:
            slot[a:b] = np.resize(rng.permutation(len(flock)), b - a)
            weight[a:b], crossover[a:b] = state.success.draw(b - a, rng)
            parts.append(
                roles.scroungers(
                    columns, flock, n_elite, slot[a:b], weight[a:b], crossover[a:b], rng
                )
            )
        if n > b:
            part, scouted = roles.scouts(columns, flock, n_elite, n - b, rng)
            parts.append(part)
        unit = np.concatenate(parts) if len(parts) > 1 else parts[0]
        if columns.n_discrete:
            nd = columns.n_discrete
            chosen = (
                rng.random((n, d)) < np.where(role == SCROUNGER, 0.5 / nd, 1 / (nd * n))[:, None]
            )
            if scouted is not None:
                chosen[b:] |= scouted
            unit = roles.explored(columns, flock, unit, chosen, rng)
        if (unit < 0).any() or (unit > 1).any():
            unit = moves.reflect(unit, rng)
        if columns.purely_discrete:
            unit = roles.renewed(columns, flock, unit, rng)
        return Birds(unit, role, slot, weight, crossover, state.epoch)

    def _n_elite(self, m):
        return min(m, max(2, int(np.ceil(self.elite * m))))

    def _settlers(self, state, rng):
        n, d = state.n_settlers, state.columns.domain.d
        unit = moves.latin_hypercube(n, d, rng)
        if state.epoch == 0:
            unit[0] = 0.5
        z = np.zeros(n)
        return Birds(unit, np.full(n, SETTLER), np.full(n, NEAREST), z, z, state.epoch)

    def tell(self, state: SSAState, candidates: Birds, key: Vector) -> SSAState:
        if not len(key):
            return state
        i = int(np.argmin(key))
        if key[i] < state.best_key or state.best is None:
            state = replace(state, best=candidates.unit[i].copy(), best_key=float(key[i]))
        if candidates.epoch != state.epoch:
            return state
        columns = state.columns
        centred = columns.domain.centre(candidates.unit) if columns.n_discrete else candidates.unit
        if state.flock is None:
            o = np.argsort(key, kind="stable")[: state.n_memory]
            k = key[o]
            model = state.model
            if model is not None:
                if state.epoch == 0 or self.mean_uniform:
                    mean = candidates.unit[0, columns.numeric]
                else:
                    mean = centred[o[: max(2, len(key) // 4)]][:, columns.numeric].mean(0)
                model = replace(model, mean=mean)
            return replace(state, flock=Flock(centred[o], k, np.arange(len(o))), model=model)
        flock = state.flock
        role = candidates.role
        target = candidates.slot.copy()
        near = np.flatnonzero(target == NEAREST)
        if len(near):
            target[near] = roles.nearest(columns, flock, centred[near])
        order = np.argsort(key, kind="stable")
        accept = order[::-1]
        accept = accept[key[accept] <= flock.key[target[accept]]]
        credit = state.credit
        share = state.share
        threshold = flock.key[flock.order[self._n_elite(len(flock)) - 1]]
        hits = np.bincount(role, weights=key < threshold, minlength=4)[:3]
        counts = np.bincount(role, minlength=4)[:3]
        credit = self.smoothing * credit + (1 - self.smoothing) * hits / np.maximum(counts, 1)
        on = self._on()
        total = credit.sum()
        if total > 0:
            p = credit * on + 1e-12 * on
            share = self.floor * on + (1 - self.floor * on.sum()) * p / p.sum()
        success = state.success
        won = np.flatnonzero(role == SCROUNGER)
        if len(won):
            won = won[key[won] < flock.key[candidates.slot[won]]]
        if len(won):
            ranked = flock.key[flock.order]
            over = np.searchsorted(ranked, flock.key[candidates.slot[won]]) - np.searchsorted(
                ranked, key[won]
            )
            success = success.learnt(candidates.weight[won], candidates.crossover[won], over)
        if len(accept):
            u2, k2 = flock.unit.copy(), flock.key.copy()
            u2[target[accept]] = centred[accept]
            k2[target[accept]] = key[accept]
            flock = Flock(u2, k2, np.argsort(k2, kind="stable"))
        if role[0] == SETTLER:
            return replace(state, flock=flock)
        model = state.model
        if model is not None and on[0]:
            q = (
                candidates.unit
                if len(columns.numeric) == columns.domain.d
                else candidates.unit[:, columns.numeric]
            )
            if len(columns.stepped):
                K = columns.domain.levels[columns.numeric]
                m = np.floor(np.minimum(model.mean, 1 - 1e-12) * K)
                q = np.where((K > 0) & (np.floor(q * K) != m), centred[:, columns.numeric], q)
            foreign = np.ones(len(key), bool) if self.clip_all else role != PRODUCER
            model = gaussian.update(model, q[order], foreign[order])
        probability = state.probability
        if len(columns.nominal):
            w = np.maximum(
                model.rates.weights if model is not None else gaussian.rates(1, state.n).weights, 0
            )[: len(key)]
            probability = roles.learnt_probability(
                columns,
                probability,
                centred[order],
                w,
                self.prob_floor / max(1, columns.n_discrete),
            )
        state = replace(
            state,
            flock=flock,
            model=model,
            probability=probability,
            success=success,
            credit=credit,
            share=share,
        )
        return self._alarm(state, float(key[order[0]]))

    def _alarm(self, state, b):
        w = state.watch
        d = state.columns.domain.d
        patience = 10 + int(30 * d / state.n)
        length = max(1, patience // 2)
        equal = w.equal + 1 if b == w.last else 0
        if w.batches % length == 0:
            st = np.append(w.stretches[1:], b)
        else:
            st = w.stretches
            if b < st[-1]:
                st = st.copy()
                st[-1] = b
        w = Watch(w.batches + 1, b, equal, st)
        stag = (
            w.batches % length == 0
            and w.batches >= STRETCHES * length
            and st[4:].min() >= st[:4].min()
        )
        real = state.columns.real
        coll = len(real) and (state.model.deviation[real] < COLLAPSED).all()
        if not (stag or coll or equal >= patience):
            return replace(state, watch=w)
        big = min(self.largest, self.growth ** (state.epoch + 1))
        n0 = self.population or max(7, 0)
        n = int(n0 * big)
        m = self.memory or 6
        if self.grow_memory:
            m = int(m * big)
        return self._settled(state, n, m, state.epoch + 1)
