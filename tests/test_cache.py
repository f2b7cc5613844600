"""The memory of what points cost."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from swarmopt.evaluate.cache import Cache

X = np.array([[0.0, 1.0], [2.0, 3.0], [0.0, 1.0], [4.0, 5.0]])


def test_a_new_cache_knows_nothing() -> None:
    cache = Cache()
    assert len(cache) == 0
    assert np.isnan(cache.get(X)).all()


def test_each_point_is_new_once() -> None:
    cache = Cache()
    covered, new = cache.reserve(X, 10)
    assert covered == 4
    assert new.tolist() == [0, 1, 3]
    assert len(cache) == 3


def test_a_point_that_was_handed_out_is_not_new_again() -> None:
    cache = Cache()
    cache.reserve(X[:2], 10)
    assert np.isnan(cache.get(X)).all()
    covered, new = cache.reserve(X, 10)
    assert covered == 4
    assert new.tolist() == [3]


def test_what_was_put_is_found_wherever_the_point_recurs() -> None:
    cache = Cache()
    _, new = cache.reserve(X, 10)
    cache.put(X[new], np.array([7.0, 8.0, np.inf]))
    assert cache.get(X).tolist() == [7.0, 8.0, 7.0, np.inf]
    assert cache.get(X[[3, 0]]).tolist() == [np.inf, 7.0]


def test_only_rows_before_the_first_new_point_too_many_are_covered() -> None:
    cache = Cache()
    covered, new = cache.reserve(X, 2)
    assert covered == 3  # the third is known by then
    assert new.tolist() == [0, 1]
    covered, new = cache.reserve(X, 0)
    assert covered == 3
    assert new.tolist() == []
    assert new.dtype == np.int64
    covered, new = cache.reserve(X, 1)
    assert new.tolist() == [3]


def test_a_point_left_out_for_lack_of_room_stays_unknown() -> None:
    cache = Cache()
    cache.reserve(X, 2)
    assert len(cache) == 2
    assert cache.reserve(X[3:], 1)[1].tolist() == [0]


def test_minus_zero_is_zero() -> None:
    cache = Cache()
    cache.reserve(np.array([[-0.0, 1.0]]), 1)
    cache.put(np.array([[-0.0, 1.0]]), np.array([5.0]))
    assert cache.get(np.array([[0.0, 1.0]])).tolist() == [5.0]
    assert len(cache) == 1


def test_slices_and_transposes_are_compared_by_value() -> None:
    cache = Cache()
    cache.put(np.asfortranarray(X), np.arange(4.0))
    wide = np.zeros((4, 4))
    wide[:, ::2] = X
    assert cache.get(wide[:, ::2]).tolist() == cache.get(X).tolist() == [2.0, 1.0, 2.0, 3.0]


def test_no_points_are_no_trouble() -> None:
    cache = Cache()
    covered, new = cache.reserve(X[:0], 5)
    assert covered == 0
    assert len(new) == 0
    assert len(cache.get(X[:0])) == 0


@given(
    st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=6), max_size=6),
    st.integers(0, 9),
)
def test_it_hands_out_what_a_set_would(batches: list[list[tuple[int, int]]], most: int) -> None:
    cache = Cache()
    known: set[tuple[int, int]] = set()
    for batch in batches:
        expected: list[int] = []
        covered = len(batch)
        for i, point in enumerate(batch):
            if point not in known and len(expected) == most:
                covered = i
                break
            if point not in known:
                expected.append(i)
                known.add(point)
        found, new = cache.reserve(np.array(batch, float).reshape(-1, 2), most)
        assert (found, new.tolist()) == (covered, expected)
        assert len(cache) == len(known)
