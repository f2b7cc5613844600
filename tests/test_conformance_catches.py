"""The conformance suite fails on planted faults, and each of its checks on at least one."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.random import Generator, default_rng

from swarmopt.algorithm import Horizon
from swarmopt.algorithms.ga import GA
from swarmopt.algorithms.pso import PSO, Moves, PSOState
from swarmopt.domain import Domain
from swarmopt.testing import CHECKS, check_algorithm
from swarmopt.types import Matrix, Vector


class NotClipped(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return replace(moves, unit=moves.unit + 0.5 * moves.velocity)


class TransposedShape(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return replace(moves, unit=np.concatenate((moves.unit, moves.unit), axis=1))


class OneVelocityForAll(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return replace(moves, velocity=moves.velocity.mean(axis=0, keepdims=True))


class UsesTheGlobalGenerator(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return replace(moves, unit=moves.unit * np.random.random())  # noqa: NPY002 - the fault


class IgnoresTheSeed(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        return super().ask(state, default_rng(0))


class SeedsItself(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        return super().ask(state, default_rng())


class SortsTheKeysInPlace(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        key.sort()
        return super().tell(state, candidates, key)


class MovesTheCandidatesInTell(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        candidates.unit[:] = 0.5
        return super().tell(state, candidates, key)


class WritesStateInAsk(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        state.velocity[:] = moves.velocity
        return moves


class WritesStateThroughAView(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        base: Any = state.velocity.base
        if base is not None:
            base[:] = 0.0
        return super().ask(state, rng)

    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        state = super().tell(state, candidates, key)
        return replace(state, velocity=state.velocity.copy()[:])


@dataclass(frozen=True)
class CountsItsAsks(PSO):
    n_asks: int = 0

    def ask(self, state: PSOState, rng: Generator) -> Moves:
        object.__setattr__(self, "n_asks", self.n_asks + 1)
        rng.random(self.n_asks % 3)
        return super().ask(state, rng)


@dataclass(frozen=True)
class WearsOut(PSO):
    n_runs: int = 0

    def init(self, domain: Domain, horizon: Horizon) -> PSOState:
        object.__setattr__(self, "n_runs", self.n_runs + 1)
        return super().init(domain, horizon)

    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return replace(moves, unit=moves.unit * 0.9**self.n_runs)


@dataclass(frozen=True, eq=False)
class MovesWithGenerator(Moves):
    rng: Generator


class DrawsInTell(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return MovesWithGenerator(moves.unit, moves.velocity, rng)

    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        assert isinstance(candidates, MovesWithGenerator)
        state = super().tell(state, candidates, key)
        return replace(state, velocity=state.velocity * candidates.rng.random())


class CalculatesWithKeys(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        rough = np.where(key < 1e3, np.floor(key), key)
        return super().tell(state, candidates, rough)


class AveragesTheKeys(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        state = super().tell(state, candidates, key)
        with np.errstate(all="ignore"):
            weight = (key.max() - key) / (key.max() - key.min() + 1e-9)
            middle = weight @ candidates.unit / weight.sum()
        return replace(state, memory=0.5 * (state.memory + middle))


class SquaresTheKeys(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        return super().tell(state, candidates, key**2)


class Maximises(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        return super().tell(replace(state, memory_key=-state.memory_key), candidates, -key)


class RemembersWhatItAsked(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return MovesWithPast(moves.unit, moves.velocity, moves.unit)

    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        assert isinstance(candidates, MovesWithPast)
        worse = np.where((candidates.unit != candidates.past).any(axis=1), np.inf, key)
        return super().tell(state, candidates.at(candidates.past), worse)


@dataclass(frozen=True, eq=False)
class MovesWithPast(Moves):
    past: Matrix


class NeedsTheWholeBatch(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        improved = key <= state.memory_key
        state = super().tell(state, candidates, key)
        return replace(state, velocity=state.velocity * np.where(improved, 1.0, 0.9)[:, None])


class RefusesCorners(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        if (candidates.unit == 1.0).all(axis=1).any():
            raise ValueError("a corner")
        return super().tell(state, candidates, key)


class TellsOnlyWhatItAskedLast(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return MovesWithPast(moves.unit, moves.velocity, state.position)

    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        assert isinstance(candidates, MovesWithPast)
        if not np.array_equal(candidates.past, state.position[: len(key)]):
            raise ValueError("out of turn")
        return super().tell(state, candidates, key)


class IgnoresTheBatch(PSO):
    def init(self, domain: Domain, horizon: Horizon) -> PSOState:
        return super().init(domain, Horizon(horizon.budget))


class FollowsTheBudget(GA):
    anytime: ClassVar[bool] = True


class DividesByTheOtherVariables(PSO):
    def init(self, domain: Domain, horizon: Horizon) -> PSOState:
        return PSO(population=12 + 12 // (domain.d - 1)).init(domain, horizon)


class DividesByTheOtherLevels(PSO):
    def init(self, domain: Domain, horizon: Horizon) -> PSOState:
        if domain.size == 1:
            raise ZeroDivisionError
        return super().init(domain, horizon)


class AveragesTheNumericColumns(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        candidates.unit[:, ~state.domain.nominal].mean()
        return super().tell(state, candidates, key)


class AveragesTheContinuousColumns(PSO):
    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        candidates.unit[:, state.domain.continuous].mean()
        return super().tell(state, candidates, key)


class AllowsOneKindOnly(PSO):
    def init(self, domain: Domain, horizon: Horizon) -> PSOState:
        if domain.continuous.any() and domain.discrete.any():
            raise NotImplementedError
        return super().init(domain, horizon)


class FreezesDiscreteColumns(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        if not state.started:
            return moves
        return replace(moves, unit=np.where(state.domain.discrete, state.position, moves.unit))


FAULTS: list[tuple[type[PSO | GA], str]] = [
    (NotClipped, "candidates_stay_in_the_cube"),
    (TransposedShape, "candidates_have_the_promised_shape"),
    (OneVelocityForAll, "candidates_have_the_promised_shape"),
    (UsesTheGlobalGenerator, "only_ask_draws"),
    (IgnoresTheSeed, "another_seed_another_run"),
    (SeedsItself, "same_seed_same_bits"),
    (SortsTheKeysInPlace, "arguments_are_not_changed"),
    (MovesTheCandidatesInTell, "arguments_are_not_changed"),
    (WritesStateInAsk, "arguments_are_not_changed"),
    (WritesStateInAsk, "only_tell_writes_state"),
    (WritesStateThroughAView, "arguments_are_not_changed"),
    (CountsItsAsks, "only_tell_writes_state"),
    (CountsItsAsks, "arguments_are_not_changed"),
    (WearsOut, "the_best_never_gets_worse"),
    (DrawsInTell, "only_ask_draws"),
    (CalculatesWithKeys, "only_the_order_of_keys_matters"),
    (AveragesTheKeys, "failed_candidates_do_no_harm"),
    (SquaresTheKeys, "infeasible_candidates_do_no_harm"),
    (Maximises, "beats_random_search_on_a_shifted_sphere"),
    (RemembersWhatItAsked, "x0_is_learnt_from"),
    (NeedsTheWholeBatch, "a_sliced_batch_can_be_told"),
    (RefusesCorners, "x0_can_take_the_place_of_candidates"),
    (TellsOnlyWhatItAskedLast, "lookahead_works_through_first_designs_and_restarts"),
    (IgnoresTheBatch, "the_batch_of_the_horizon_is_honoured"),
    (FollowsTheBudget, "a_larger_budget_repeats_the_prefix"),
    (DividesByTheOtherVariables, "one_variable_works"),
    (DividesByTheOtherLevels, "a_space_of_one_point_works"),
    (AveragesTheNumericColumns, "categories_alone_work"),
    (AveragesTheContinuousColumns, "integers_alone_work"),
    (AllowsOneKindOnly, "mixed_spaces_work"),
    (FreezesDiscreteColumns, "beats_random_search_on_shifted_integers"),
    (FreezesDiscreteColumns, "beats_random_search_on_shifted_categories"),
]


@pytest.mark.parametrize(("kind", "name"), FAULTS)
def test_a_planted_fault_is_caught_by_the_check_that_names_it(
    kind: type[PSO | GA], name: str
) -> None:
    (check,) = (check for check in CHECKS if check.__name__ == name)
    with pytest.raises(AssertionError, match=r"\w+ \w+"):
        check(kind())


def test_every_check_of_the_basics_has_a_fault_that_it_catches() -> None:
    rooms = {f"swarmopt.testing.{room}" for room in ("contract", "learning")}
    basics = {check.__name__ for check in CHECKS if check.__module__ in rooms}
    assert basics == {name for _, name in FAULTS}


@pytest.mark.slow
def test_all_failures_are_reported_together(monkeypatch: pytest.MonkeyPatch) -> None:
    some = [check for check in CHECKS if check.__module__ == "swarmopt.testing.learning"]
    monkeypatch.setattr("swarmopt.testing.CHECKS", some)
    with pytest.raises(AssertionError) as caught:
        check_algorithm(FreezesDiscreteColumns())
    assert "beats_random_search_on_shifted_integers: expected" in str(caught.value)
    assert "beats_random_search_on_shifted_categories: expected" in str(caught.value)
