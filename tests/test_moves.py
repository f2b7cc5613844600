"""Operators on the unit cube: properties of each, over many domains."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.random import default_rng

from swarmopt.algorithms import moves
from swarmopt.domain import Domain
from swarmopt.space import Space
from swarmopt.types import Mask, Matrix
from swarmopt.variables import Categorical, Integer, Real, Variable

FEW = settings(max_examples=60, deadline=None)

variables = st.one_of(
    st.just(Real(-1, 1)),
    st.integers(1, 12).map(lambda k: Integer(0, k - 1)),
    st.integers(1, 6).map(lambda k: Categorical([str(i) for i in range(k)])),
)
domains = st.lists(variables, min_size=1, max_size=6).map(lambda v: Space(v).domain)
seeds = st.integers(0, 2**32)


def population(domain: Domain, n: int, seed: int) -> tuple[Matrix, Mask]:
    """Return (n, d) positions, walls among them, and which to choose."""
    rng = default_rng(seed)
    unit = rng.random((n, domain.d))
    unit[0], unit[-1] = 0.0, 1.0
    return unit, rng.random(unit.shape) < 0.5


@FEW
@given(domains, seeds, st.floats(1.0, 50.0))
def test_a_kick_leaves_the_level_wherever_there_is_another(
    domain: Domain, seed: int, mean_step: float
) -> None:
    unit, chosen = population(domain, 20, seed)
    before, after = unit.copy(), moves.kick(domain, unit, chosen, mean_step, default_rng(seed))
    moved = chosen & (domain.levels > 1)
    assert (domain.level(after) != domain.level(before))[moved].all()
    np.testing.assert_array_equal(unit, before)


@FEW
@given(domains, seeds, st.floats(1.0, 50.0))
def test_a_kick_ends_in_the_middle_of_a_level(domain: Domain, seed: int, mean_step: float) -> None:
    unit, chosen = population(domain, 20, seed)
    after = moves.kick(domain, unit, chosen, mean_step, default_rng(seed))
    kicked = chosen & domain.discrete
    assert ((after > 0.0) & (after < 1.0))[kicked].all()
    np.testing.assert_allclose(after[kicked], domain.centre(after)[kicked], rtol=1e-15)


@FEW
@given(domains, seeds)
def test_a_kick_leaves_alone_what_is_not_chosen_and_what_is_continuous(
    domain: Domain, seed: int
) -> None:
    unit, chosen = population(domain, 20, seed)
    after = moves.kick(domain, unit, chosen, 2.0, default_rng(seed))
    untouched = ~chosen | domain.continuous
    np.testing.assert_array_equal(after[untouched], unit[untouched])


def counts(variable: Variable, at: float, mean_step: float = 2.0, n: int = 20_000) -> Matrix:
    """Return how often each level comes out of kicks from one position, as shares."""
    domain = Space([variable]).domain
    unit = np.full((n, 1), at)
    after = moves.kick(domain, unit, np.ones((n, 1), bool), mean_step, default_rng(1))
    level = domain.level(after)[:, 0].astype(int)
    return np.bincount(level, minlength=int(domain.levels[0])) / n


def test_a_kicked_category_is_uniform_over_the_others() -> None:
    share = counts(Categorical(list("abcde")), at=0.5)
    assert share[2] == 0.0
    np.testing.assert_allclose(share[[0, 1, 3, 4]], 0.25, atol=0.02)


def test_a_kicked_integer_steps_by_a_geometric_length_to_either_side() -> None:
    share = counts(Integer(0, 100), at=0.5)  # level 50
    np.testing.assert_allclose(share[[49, 51]], 0.25, atol=0.02)
    np.testing.assert_allclose(share[[48, 52]], 0.125, atol=0.02)
    length = np.abs(np.arange(101) - 50)
    assert share @ length == pytest.approx(2.0, abs=0.1)


def test_a_mean_step_of_one_level_always_goes_to_a_neighbour() -> None:
    share = counts(Integer(0, 100), at=0.5, mean_step=1.0)
    assert share[49] + share[51] == pytest.approx(1.0)


def test_each_column_has_its_own_mean_step() -> None:
    domain = Space([Integer(0, 10**6), Integer(0, 10**6)]).domain
    unit = np.full((5_000, 2), 0.5)
    chosen = np.ones(unit.shape, bool)
    after = moves.kick(domain, unit, chosen, np.array([1.0, 40.0]), default_rng(2))
    length = np.abs(domain.level(after) - domain.level(unit)).mean(axis=0)
    np.testing.assert_allclose(length, [1.0, 40.0], rtol=0.1)


@FEW
@given(st.integers(1, 8), seeds, st.floats(0.01, 100.0))
def test_reflected_values_lie_in_the_cube(d: int, seed: int, scale: float) -> None:
    unit = 0.5 + scale * default_rng(seed).standard_normal((30, d))
    after = moves.reflect(unit, default_rng(seed))
    assert ((after >= 0.0) & (after <= 1.0)).all()


def test_reflection_mirrors_what_is_near_and_keeps_what_is_inside() -> None:
    unit = np.array([[-0.25, 0.0, 0.3, 1.0, 1.25]])
    np.testing.assert_allclose(moves.reflect(unit, default_rng(0)), [[0.25, 0.0, 0.3, 1.0, 0.75]])


@FEW
@given(st.integers(1, 40), st.integers(1, 6), seeds)
def test_a_latin_hypercube_has_one_point_in_each_slice_of_each_column(
    n: int, d: int, seed: int
) -> None:
    unit = moves.latin_hypercube(n, d, default_rng(seed))
    slices = np.sort(np.floor(unit * n), axis=0)
    np.testing.assert_array_equal(slices, np.tile(np.arange(n)[:, None], (1, d)))


@FEW
@given(domains, seeds)
def test_random_rounding_shakes_ordered_columns_by_up_to_half_a_bin(
    domain: Domain, seed: int
) -> None:
    unit, _ = population(domain, 20, seed)
    shaken = moves.round_randomly(domain, unit, default_rng(seed)) - unit
    assert (np.abs(shaken) <= 0.5 / np.maximum(domain.levels, 1) + 1e-12).all()
    assert not shaken[:, ~domain.ordered].any()


def test_random_rounding_keeps_the_mean() -> None:
    domain = Space([Integer(0, 4)]).domain
    unit = np.full((20_000, 1), 0.55)  # a quarter of a bin above the middle of level 2
    level = domain.level(moves.round_randomly(domain, unit, default_rng(3)))
    assert level.mean() == pytest.approx(2.25, abs=0.02)


def test_spread_is_counted_in_levels() -> None:
    domain = Space([Real(0, 1), Integer(0, 9)]).domain
    unit = np.array([[0.0, 0.25], [1.0, 0.45]])
    np.testing.assert_allclose(moves.spread_in_levels(domain, unit), [0.0, 1.0])


@FEW
@given(st.lists(st.lists(st.integers(0, 2), min_size=2, max_size=2), min_size=1, max_size=12))
def test_the_first_of_each_row_is_found_as_by_looking_at_every_row(rows: list[list[int]]) -> None:
    oracle = [i for i, row in enumerate(rows) if row not in rows[:i]]
    assert moves.first_of_each(np.array(rows, float)).tolist() == oracle


@FEW
@given(st.lists(st.lists(st.integers(0, 2), min_size=3, max_size=3), min_size=1, max_size=12))
def test_row_keys_are_equal_exactly_where_rows_are(rows: list[list[int]]) -> None:
    keys = moves.row_keys(np.array(rows))
    for i, row in enumerate(rows):
        assert (keys == keys[i]).tolist() == [other == row for other in rows]
