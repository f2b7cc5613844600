"""The conformance suite fails on faults that hide: in wide spaces, late, in a row, between runs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.random import Generator

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.algorithms.ga import GA, GAState
from swarmopt.algorithms.pso import PSO, Moves, PSOState
from swarmopt.domain import Domain
from swarmopt.testing import CHECKS, Check
from swarmopt.testing.objectives import LONG
from swarmopt.types import Mask, Vector

BEYOND = 12  # columns


class TakesKeysAsSizes(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        return super().tell(state, candidates, np.abs(key))


class ByValue(PSO):
    order_only: ClassVar[bool] = False


class TakesValuesAsSizes(ByValue):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        return super().tell(state, candidates, np.abs(key))


class TakesNegativeKeysForFailures(ByValue):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        return super().tell(state, candidates, np.where(key < 0.0, np.inf, key))


class TakesLargeKeysForFailures(ByValue):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        return super().tell(state, candidates, np.where(np.abs(key) > 1e3, np.inf, key))


class SearchesTwelveColumns(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        if state.started:
            moves.unit[:, BEYOND:] = state.position[:, BEYOND:]
        return moves


class DrawsColumnsBeyondTwelve(GA):
    def ask(self, state: GAState, rng: Generator) -> Candidates:
        unit = super().ask(state, rng).unit.copy()
        unit[:, BEYOND:] = rng.random(unit[:, BEYOND:].shape)
        return Candidates(unit)


class ClipsTwelveColumns(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        moves.unit[:, BEYOND:] += 0.5 * moves.velocity[:, BEYOND:]
        return moves


class DrawsGloballyInWideSpaces(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        if state.domain.d > BEYOND:
            np.random.random()  # noqa: NPY002 - the fault
        return super().ask(state, rng)


@dataclass(frozen=True, eq=False)
class Aged(PSOState):
    age: int = 0


class Ages(PSO):
    """Counts the batches told."""

    def init(self, domain: Domain, horizon: Horizon) -> PSOState:
        return Aged(**vars(super().init(domain, horizon)))

    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        told = self.learn(state, candidates, key)
        return Aged(**{**vars(told), "age": getattr(state, "age", 0) + 1})

    def learn(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        return super().tell(state, candidates, key)

    def old(self, state: PSOState) -> bool:
        return getattr(state, "age", 0) >= LONG - 10


class StopsLearning(Ages):
    def learn(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        return state if self.old(state) else super().learn(state, candidates, key)


class AsksForTheBestWhenOld(Ages):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        best = state.memory[state.memory_key.argmin()]
        return replace(moves, unit=np.where(self.old(state), best, moves.unit))


class DrawsWhenOld(Ages):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return replace(moves, unit=rng.random(moves.unit.shape)) if self.old(state) else moves


class StopsClipping(Ages):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return replace(moves, unit=moves.unit + self.old(state) * moves.velocity)


class WritesStateWhenOld(Ages):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        if self.old(state):
            state.velocity[:] = moves.velocity
        return moves


class CalculatesWithKeysWhenOld(Ages):
    def learn(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        rough = np.where(key < 1e3, np.floor(key / 100.0), key) if self.old(state) else key
        return super().learn(state, candidates, rough)


class IgnoresTheLastRow(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        n = max(1, len(key) - 1)
        return super().tell(state, candidates.first(n), key[:n])


class IgnoresTheLastRowOfLateBatches(Ages):
    def learn(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        n = max(1, len(key) - self.old(state))
        return super().learn(state, candidates.first(n), key[:n])


class IgnoresTheLastColumn(GA):
    def tell(self, state: GAState, candidates: Candidates, key: Vector) -> GAState:
        unit = candidates.unit.copy()
        unit[:, -1] = 0.5
        return super().tell(state, candidates.at(unit), key)


class FreezesTheLastColumn(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        if state.started:
            moves.unit[:, -1] = state.position[:, -1]
        return moves


class ForgetsTheLastColumnOfItsMemory(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        told = super().tell(state, candidates, key)
        told.memory[:, -1] = 0.5
        return told


class SharesItsDomain(PSO):
    """Keeps that of the last run that began."""

    def init(self, domain: Domain, horizon: Horizon) -> PSOState:
        object.__setattr__(self, "last", domain.discrete)
        return super().init(domain, horizon)

    def ask(self, state: PSOState, rng: Generator) -> Moves:
        last: Mask = getattr(self, "last", state.domain.discrete)
        moves = super().ask(state, rng)
        return replace(moves, unit=np.where(last.any(), moves.unit, 0.99 * moves.unit))


@dataclass(frozen=True, eq=False)
class MovesFromState(Moves):
    origin: Any


class TellsTheStateItAskedFrom(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return MovesFromState(moves.unit, moves.velocity, state)

    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        assert isinstance(candidates, MovesFromState)
        return super().tell(candidates.origin, candidates, key)


class DropsBatchesToldLate(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return MovesFromState(moves.unit, moves.velocity, state.memory_key)

    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        assert isinstance(candidates, MovesFromState)
        late = not np.array_equal(candidates.origin, state.memory_key)
        return state if late else super().tell(state, candidates, key)


FAULTS: list[tuple[type, str]] = [
    (TakesKeysAsSizes, "only_the_order_of_keys_matters"),
    (TakesValuesAsSizes, "scale_and_sign_of_keys_do_no_harm"),
    (TakesNegativeKeysForFailures, "scale_and_sign_of_keys_do_no_harm"),
    (TakesLargeKeysForFailures, "scale_and_sign_of_keys_do_no_harm"),
    (SearchesTwelveColumns, "wide_spaces_are_searched"),
    (SearchesTwelveColumns, "every_column_is_searched"),
    (DrawsColumnsBeyondTwelve, "every_column_is_searched"),
    (ClipsTwelveColumns, "candidates_stay_in_the_cube"),
    (DrawsGloballyInWideSpaces, "only_ask_draws"),
    (StopsLearning, "every_row_told_counts"),
    (AsksForTheBestWhenOld, "long_runs_keep_improving"),
    (DrawsWhenOld, "long_runs_keep_improving"),
    (StopsClipping, "candidates_stay_in_the_cube"),
    (WritesStateWhenOld, "arguments_are_not_changed"),
    (CalculatesWithKeysWhenOld, "only_the_order_of_keys_matters"),
    (IgnoresTheLastRow, "every_row_told_counts"),
    (IgnoresTheLastRowOfLateBatches, "every_row_told_counts"),
    (IgnoresTheLastColumn, "every_column_told_counts"),
    (FreezesTheLastColumn, "every_column_is_searched"),
    (ForgetsTheLastColumnOfItsMemory, "every_column_is_searched"),
    (SharesItsDomain, "interleaved_runs_do_not_mix"),
    (TellsTheStateItAskedFrom, "batches_told_late_all_count"),
    (DropsBatchesToldLate, "batches_told_late_all_count"),
]


SLOW = "swarmopt.testing.scale"
BY_NAME = {check.__name__: check for check in CHECKS}


def cases() -> Iterator[Any]:
    for kind, name in FAULTS:
        marks = pytest.mark.slow if BY_NAME[name].__module__ == SLOW else ()
        yield pytest.param(kind, BY_NAME[name], marks=marks, id=f"{kind.__name__}-{name}")


@pytest.mark.parametrize(("kind", "check"), list(cases()))
def test_a_hidden_fault_is_caught_by_the_check_that_names_it(kind: type, check: Check) -> None:
    with pytest.raises(AssertionError, match=r"\w+ \w+"):
        check(kind())


def test_every_check_of_what_hides_has_a_fault_that_it_catches() -> None:
    rooms = {SLOW, "swarmopt.testing.told"}
    hidden = {check.__name__ for check in CHECKS if check.__module__ in rooms}
    assert hidden <= {name for _, name in FAULTS}
