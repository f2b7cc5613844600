"""The constraint set: allowed counts, combinations, repair to a budget."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from swarmopt_pruning import Budget, ConstraintSet, Group, PruningError, UnknownName, constrain
from swarmopt_pruning.budget import Limit

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def group(name: str, width: int, block: int = 1) -> Group:
    return Group(name, width, block, ())


GROUPS = (group("stem", 16), group("layer1.conv1", 7), group("layer2.conv1", 64))


def cost(counts: Ints) -> Ints:
    """A made-up cost: products of neighbours, as in a chain of layers."""
    return np.asarray(3 * counts[:, 0] + (counts[:, :-1] * counts[:, 1:]).sum(axis=1))


def tight(most: float) -> Budget:
    whole = int(cost(np.array([[16, 7, 64]]))[0])
    return Budget((Limit("target_macs", "MACs", cost, int(most), whole),))


def everything(constraints: ConstraintSet) -> Floats:
    axes = [range(len(code.counts)) for code in constraints.searched]
    return np.array(list(itertools.product(*axes)), float)


def test_allowed_counts_are_tenths_of_the_width_and_at_least_one_channel() -> None:
    allowed = constrain(GROUPS).allowed
    assert allowed[0] == (2, 3, 5, 6, 8, 10, 11, 13, 14, 16)
    assert allowed[1] == (1, 2, 3, 4, 5, 6, 7)
    assert [counts[-1] for counts in allowed] == [group.width for group in GROUPS]


def test_step_minimum_and_alpha_bound_the_counts() -> None:
    allowed = constrain([group("a", 100)], step=0.25, minimum=0.25, alpha=0.75).allowed
    assert allowed == ((25, 50, 75),)
    assert constrain([group("a", 100)], step=0.4, minimum=0.2).allowed == ((20, 60, 100),)


def test_counts_are_multiples_where_the_width_allows() -> None:
    small, odd = constrain([group("a", 64), group("b", 6)], multiple=8).allowed
    assert all(count % 8 == 0 for count in small)
    assert odd[-1] == 6


def test_blocks_are_never_split() -> None:
    (allowed,) = constrain([group("a", 24, 4)], multiple=3).allowed
    assert all(count % 12 == 0 for count in allowed)
    (other,) = constrain([group("a", 20, 4)]).allowed
    assert all(count % 4 == 0 for count in other)


def test_excluded_groups_stay_whole_and_out_of_the_space() -> None:
    constraints = constrain(GROUPS, exclude=["layer*"])
    assert [code.name for code in constraints.searched] == ["stem"]
    assert constraints.space.names == ("stem",)
    assert constraints.counts(np.zeros((1, 1))).tolist() == [[2, 7, 64]]


def test_combinations_are_counted_before_and_after() -> None:
    constraints = constrain(GROUPS, step=0.5, minimum=0.5)
    assert constraints.n_before == 16 * 7 * 64
    assert constraints.n_after == len(everything(constraints)) == 8
    assert constraints.space.domain.size == 8


def test_points_are_indices_of_counts() -> None:
    constraints = constrain(GROUPS, step=0.5, minimum=0.5)
    assert constraints.counts(np.array([[0.0, 1, 1], [1, 0, 0]])).tolist() == [
        [8, 7, 64],
        [16, 4, 32],
    ]
    params = constraints.space.params(np.array([[0.0, 1, 1]]))
    assert params == [{"stem": 8, "layer1.conv1": 7, "layer2.conv1": 64}]


@given(share=st.floats(0.12, 1.0), seed=st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_repair_meets_the_budget_and_only_takes_away(share: float, seed: int) -> None:
    constraints = constrain(GROUPS)
    budget = share * cost(np.array([[16, 7, 64]]))[0]
    x = constraints.space.decode(np.random.default_rng(seed).random((50, 3)))
    before = x.copy()
    repaired = constraints.repair(x, tight(budget))
    assert (cost(constraints.counts(repaired)) <= budget).all()
    assert (repaired <= x).all()
    inside = cost(constraints.counts(x)) <= budget
    assert np.array_equal(repaired[inside], x[inside])
    assert np.array_equal(constraints.repair(repaired, tight(budget)), repaired)
    assert np.array_equal(x, before)


def test_repair_wastes_little_of_the_budget() -> None:
    constraints = constrain(GROUPS)
    budget = 0.5 * cost(np.array([[16, 7, 64]]))[0]
    x = everything(constraints)
    over = cost(constraints.counts(x)) > budget
    used = cost(constraints.counts(constraints.repair(x[over], tight(budget)))) / budget
    assert np.median(used) > 0.93
    assert used.min() > 0.6


def test_repair_does_not_depend_on_the_other_candidates() -> None:
    constraints = constrain(GROUPS)
    x = everything(constraints)[::7]
    whole = constraints.repair(x, tight(300))
    alone = np.concatenate([constraints.repair(row[None], tight(300)) for row in x])
    assert np.array_equal(whole, alone)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 0.0}, "step: expected a share"),
        ({"minimum": 1.5}, "minimum: expected a share"),
        ({"minimum": 0.8, "alpha": 0.5}, "greater than alpha"),
        ({"multiple": 0}, "multiple"),
    ],
)
def test_wrong_shares_are_named(settings: dict[str, float], message: str) -> None:
    with pytest.raises(PruningError, match=message):
        constrain(GROUPS, **settings)  # type: ignore[arg-type]


def test_a_pattern_that_matches_nothing_is_an_error() -> None:
    with pytest.raises(UnknownName, match=r"layer3\.\*"):
        constrain(GROUPS, exclude=["layer3.*"])


def test_nothing_left_to_search_is_an_error() -> None:
    with pytest.raises(PruningError, match="leaves nothing to search"):
        _ = constrain(GROUPS, exclude=["*"]).space
