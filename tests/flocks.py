"""What tests of the default algorithm share: spaces, functions, a run without the loop."""

from collections.abc import Callable

import numpy as np

from swarmopt.algorithm import Horizon, Streams
from swarmopt.algorithms.ssa import SSA
from swarmopt.algorithms.ssa_state import (
    Birds,
    SSAState,
)
from swarmopt.domain import Domain
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Categorical, Integer, Real

Keys = Callable[[Matrix], Vector]
LETTERS = Categorical(["a", "b", "c", "d", "e"])
MIXED = Space([Real(0, 1), Real(0, 1), Integer(0, 9), LETTERS, LETTERS, Integer(3, 3)]).domain


def reals(d: int) -> Domain:
    return Space([Real(-5, 5)] * d).domain


def run(
    algorithm: SSA, domain: Domain, fun: Keys, budget: int, seed: int = 0, *, batch: int = 1
) -> tuple[SSAState, list[Birds]]:
    streams, left = Streams(seed), budget
    state = algorithm.init(domain, Horizon(None, batch))
    told: list[Birds] = []
    while left > 0:
        birds = algorithm.ask(state, streams.at(len(told)))
        birds = birds.first(min(left, len(birds)))
        left -= len(birds)
        told.append(birds)
        state = algorithm.tell(state, birds, fun(birds.unit))
    return state, told


def sphere(at: float | Vector) -> Keys:
    return lambda unit: ((unit - at) ** 2).sum(axis=1)


def total_of_levels(domain: Domain) -> Keys:
    return lambda unit: domain.level(unit).sum(axis=1)


def flat(unit: Matrix) -> Vector:
    return np.zeros(len(unit))


def warm(domain: Domain, *, seed: int = 1, batches: int = 6) -> SSAState:
    return run(SSA(), domain, sphere(0.7), 6 + 7 * batches, seed)[0]
