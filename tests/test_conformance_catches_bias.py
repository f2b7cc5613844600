"""The conformance suite fails on algorithms that like some places and levels better than others."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from numpy.random import Generator

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.algorithms.de import DE, DEState
from swarmopt.algorithms.ga import GA, GAState
from swarmopt.algorithms.pso import PSO, Moves, PSOState
from swarmopt.algorithms.ssa_classic import SSAClassic
from swarmopt.domain import Domain
from swarmopt.testing import CHECKS


class LikesTheOriginOfTheBox(SSAClassic):
    unbiased: ClassVar[bool] = True


class LikesTheCornerOfTheCube(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return replace(moves, unit=moves.unit * rng.random((len(moves), 1)))


class LikesTheCentre(GA):
    def ask(self, state: GAState, rng: Generator) -> Candidates:
        candidates = super().ask(state, rng)
        return candidates.at(0.5 + 0.98 * (candidates.unit - 0.5))


class LikesTheCentreALittle(DE):
    def ask(self, state: DEState, rng: Generator) -> Candidates:
        candidates = super().ask(state, rng)
        return candidates.at(0.5 + 0.995 * (candidates.unit - 0.5))


class LikesTheFaces(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        return replace(moves, unit=moves.unit + 0.01 * (np.rint(moves.unit) - moves.unit))


class NeverAsksForEdges(GA):
    def ask(self, state: GAState, rng: Generator) -> Candidates:
        unit, levels = super().ask(state, rng).unit, np.maximum(state.domain.levels, 1)
        inner = np.clip(unit, 1.5 / levels, 1.0 - 1.5 / levels)
        return Candidates(np.where(state.domain.ordered & (levels > 2), inner, unit))


class NeverAsksForTheLastLevel(DE):
    def ask(self, state: DEState, rng: Generator) -> Candidates:
        unit, levels = super().ask(state, rng).unit, np.maximum(state.domain.levels, 1)
        return Candidates(np.where(levels > 1, np.minimum(unit, 1.0 - 1.5 / levels), unit))


class FreezesFewLevels(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        few = (state.domain.levels == 2) | (state.domain.levels == 3)
        frozen = np.where(few & state.started, state.position, moves.unit)
        return replace(moves, unit=frozen)


class InheritsFewLevels(GA):
    def ask(self, state: GAState, rng: Generator) -> Candidates:
        unit = super().ask(state, rng).unit
        if not len(state.key):
            return Candidates(unit)
        few = (state.domain.levels == 2) | (state.domain.levels == 3)
        parent = state.unit[np.arange(len(unit)) % len(state.unit)]
        return Candidates(np.where(few, parent, unit))


class AsksForTheBestAgain(PSO):
    def ask(self, state: PSOState, rng: Generator) -> Moves:
        moves = super().ask(state, rng)
        best = state.memory[state.memory_key.argmin()]
        return replace(moves, unit=np.tile(best, (len(moves), 1)) if state.started else moves.unit)


class AsksForParentsAgain(GA):
    def ask(self, state: GAState, rng: Generator) -> Candidates:
        candidates = super().ask(state, rng)
        if not len(state.key):
            return candidates
        return Candidates(state.unit[rng.integers(len(state.unit), size=len(candidates))])


class OrdersCategories(PSO):
    def init(self, domain: Domain, horizon: Horizon) -> PSOState:
        return super().init(replace(domain, nominal=np.zeros(domain.d, bool)), horizon)


class OrdersCategoriesInDifferences(DE):
    def init(self, domain: Domain, horizon: Horizon) -> DEState:
        return super().init(replace(domain, nominal=np.zeros(domain.d, bool)), horizon)


class LikesOneFace(DE):
    def ask(self, state: DEState, rng: Generator) -> Candidates:
        unit = super().ask(state, rng).unit
        unit[:, 0] *= 0.98
        return Candidates(unit)


FAULTS: list[tuple[type, str]] = [
    (LikesTheOriginOfTheBox, "the_place_of_the_optimum_does_not_matter"),
    (LikesTheCornerOfTheCube, "the_place_of_the_optimum_does_not_matter"),
    (LikesOneFace, "the_place_of_the_optimum_does_not_matter"),
    (LikesTheCentre, "neither_the_centre_nor_the_faces_attract"),
    (LikesTheCentreALittle, "neither_the_centre_nor_the_faces_attract"),
    (LikesTheFaces, "neither_the_centre_nor_the_faces_attract"),
    (NeverAsksForEdges, "every_level_is_asked_for"),
    (NeverAsksForTheLastLevel, "every_level_is_asked_for"),
    (FreezesFewLevels, "every_level_is_asked_for"),
    (FreezesFewLevels, "columns_of_few_levels_are_searched"),
    (InheritsFewLevels, "columns_of_few_levels_are_searched"),
    (AsksForTheBestAgain, "small_spaces_are_not_walked_in_circles"),
    (AsksForParentsAgain, "small_spaces_are_not_walked_in_circles"),
    (OrdersCategories, "labels_of_categories_have_no_order"),
    (OrdersCategoriesInDifferences, "labels_of_categories_have_no_order"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), FAULTS)
def test_a_planted_bias_is_caught_by_the_check_that_names_it(kind: type, name: str) -> None:
    (check,) = (check for check in CHECKS if check.__name__ == name)
    with pytest.raises(AssertionError, match=r"\w+ \w+"):
        check(kind())


def test_every_check_of_places_and_levels_has_a_fault_that_it_catches() -> None:
    rooms = {f"swarmopt.testing.{room}" for room in ("levels", "places")}
    checks = {check.__name__ for check in CHECKS if check.__module__ in rooms}
    assert checks == {name for _, name in FAULTS}
