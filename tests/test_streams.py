"""Random streams: what a batch draws depends on the seed and its number alone."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.random import Generator, Philox

from swarmopt.algorithm import ASK, EVALUATION, Seeds, Streams
from swarmopt.errors import SettingError

SEEDS = st.integers(0, 2**128 - 1)
NUMBERS = st.integers(0, 2**62)
PURPOSES = st.sampled_from([ASK, EVALUATION])


def draws(rng: Generator) -> list[float]:
    """Draw of several kinds: whole words, half words, and what is kept in between."""
    return [
        *rng.random(5).tolist(),
        float(rng.integers(0, 10)),
        float(rng.random(dtype=np.float32)),
        *rng.standard_normal(3).tolist(),
        *rng.permutation(6).tolist(),
    ]


@given(SEEDS, NUMBERS, PURPOSES)
def test_a_stream_equals_a_philox_built_anew(seed: int, number: int, purpose: int) -> None:
    streams = Streams(seed)
    draws(streams.at(3))  # leaves half a word behind
    fresh = Generator(Philox(key=seed, counter=purpose << 192 | number << 128))
    assert draws(streams.at(number, purpose)) == draws(fresh)


def test_a_batch_draws_the_same_whatever_was_drawn_before() -> None:
    forward, backward = Streams(5), Streams(5)
    first = {g: draws(forward.at(g)) for g in range(6)}
    for g in reversed(range(6)):
        backward.at(g).random(g)
        backward.at(g).random(dtype=np.float32)
        assert draws(backward.at(g)) == first[g]


def test_streams_of_two_runs_do_not_disturb_each_other() -> None:
    alone = Streams(1).at(2).random(4).tolist()
    one, two = Streams(1), Streams(2)
    rng = one.at(2)
    two.at(9).random(3)
    assert rng.random(4).tolist() == alone


def test_batches_purposes_and_seeds_all_draw_something_else() -> None:
    seen = [
        tuple(Streams(seed).at(number, purpose).random(3))
        for seed in (0, 1, 2**64, 2**127)
        for number in (0, 1, 2, 2**32)
        for purpose in (ASK, EVALUATION)
    ]
    values = [v for row in seen for v in row]
    assert len(set(values)) == len(values)


def test_neighbouring_streams_do_not_overlap() -> None:
    streams = Streams(3)
    long = [streams.at(g).random(10_000) for g in range(3)]
    for a, b in pairwise(long):
        assert not np.isin(a, b).any()


@given(SEEDS)
def test_seeds_draw_the_same_in_any_order_and_from_any_slice(seed: int) -> None:
    seeds = Seeds(seed, range(10, 16))
    expected = [draws(seeds.rng(row)) for row in range(6)]
    assert [draws(seeds.rng(row)) for row in reversed(range(6))] == expected[::-1]
    assert draws(Seeds(seed, (15, 11)).rng(1)) == expected[1]
    assert draws(Seeds(seed, range(12, 13)).rng(0)) == expected[2]
    assert len({row[0] for row in expected}) == 6


def test_what_an_evaluation_draws_is_a_stream_of_its_own() -> None:
    evaluation = draws(Seeds(4, range(3, 4)).rng(0))
    streams = Streams(4)
    assert draws(streams.at(3, EVALUATION)) == evaluation
    assert draws(streams.at(3, ASK)) != evaluation


def test_generators_of_candidates_are_independent_objects() -> None:
    seeds = Seeds(0, range(2))
    one = seeds.rng(0)
    expected = seeds.rng(0).random(3).tolist()
    seeds.rng(1).random(5)
    assert one.random(3).tolist() == expected


@pytest.mark.parametrize(
    ("seed", "message"),
    [
        (-1, r"seed: expected 0 <= seed < 2\*\*128, got -1"),
        (2**128, r"seed: expected 0 <= seed < 2\*\*128"),
        (1.0, "seed: expected a whole number, got 1.0"),
        ("1", "seed: expected a whole number, got '1'"),
        (True, "seed: expected a whole number, got True"),
        (None, "seed: expected a whole number, got None"),
    ],
)
def test_a_wrong_seed_is_refused(seed: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Streams(seed)


def test_a_seed_may_be_any_kind_of_whole_number() -> None:
    assert draws(Streams(np.uint8(7)).at(0)) == draws(Streams(7).at(0))  # type: ignore[arg-type]
    Streams(2**128 - 1)
    Streams(0)


def test_no_global_generator_is_touched() -> None:
    before = np.random.get_state()  # noqa: NPY002 - the old global generator is the point
    draws(Streams(1).at(0))
    draws(Seeds(1, range(1)).rng(0))
    after = np.random.get_state()  # noqa: NPY002 - as above
    np.testing.assert_equal(after, before)
