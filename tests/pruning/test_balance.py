"""Blocks stay equally wide whatever is cut, and as little as possible is tied for that."""

import itertools

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmopt_pruning.balance import settle
from swarmopt_pruning.labels import Labels


def settled(labels: Labels, n: int) -> tuple[list[list[int]], list[int]]:
    """Return the units of the labels 1..n that are free, and the frozen labels."""
    settle(labels, {})
    units: dict[int, list[int]] = {}
    for label in range(1, n + 1):
        units.setdefault(labels.root(label), []).append(label)
    frozen = [label for label in range(1, n + 1) if labels.reason(label)]
    return [unit for root, unit in units.items() if labels.reason(root) is None], frozen


def test_aligned_blocks_lose_the_same_places() -> None:
    labels = Labels()
    labels.balance(labels.new(12).view(3, 4), "why")
    units, frozen = settled(labels, 12)
    assert units == [[1, 5, 9], [2, 6, 10], [3, 7, 11], [4, 8, 12]]
    assert not frozen


def test_blocks_that_do_not_align_lose_equally_many() -> None:
    """24 channels beside 216 in 3 blocks, read in 3 blocks of 80 (stage 2 of ShuffleNet V1)."""
    labels = Labels()
    stem, made = labels.new(24), labels.new(216)
    labels.balance(made.view(3, 72), "made")
    labels.balance(torch.cat([stem, made]).view(3, 80), "read")
    units, frozen = settled(labels, 240)
    assert not frozen
    assert sorted({len(unit) for unit in units}) == [3, 9]
    assert len(units) == 56 + 8


def test_what_no_equal_cut_can_reach_is_frozen_with_the_reason() -> None:
    labels = Labels()
    blocks = labels.new(8).view(2, 4)
    labels.freeze(blocks[0, :2], "stays anyway")
    labels.balance(blocks, "conv needs 2 blocks")
    units, frozen = settled(labels, 8)
    assert units == [[3, 5], [4, 6]]
    assert frozen == [1, 2, 7, 8]
    assert {labels.reason(label) for label in (7, 8)} == {"conv needs 2 blocks"}


def test_a_unit_that_takes_equally_many_by_itself_is_left_alone() -> None:
    labels = Labels()
    blocks = labels.new(6).view(2, 3)
    labels.unite(blocks[0], blocks[1], "")
    labels.balance(blocks, "why")
    assert settled(labels, 6) == ([[1, 4], [2, 5], [3, 6]], [])


def test_balances_that_share_nothing_do_not_tie_each_other() -> None:
    labels = Labels()
    first, second = labels.new(4), labels.new(6)
    labels.balance(first.view(2, 2), "")
    labels.balance(second.view(3, 2), "")
    assert settled(labels, 10)[0] == [[1, 3], [2, 4], [5, 7, 9], [6, 8, 10]]


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_whatever_units_are_cut_all_blocks_stay_equally_wide(data: st.DataObject) -> None:
    labels = Labels()
    n = 12
    made = labels.new(n)
    for _ in range(data.draw(st.integers(0, 3))):
        pair = data.draw(st.lists(st.integers(0, n - 1), min_size=2, max_size=2))
        labels.unite(made[pair[:1]], made[pair[1:]], "")
    shuffled = made[torch.tensor(data.draw(st.permutations(range(n))))]
    balances = [(made, data.draw(st.sampled_from([2, 3, 4]))), (shuffled, 2)]
    for order, blocks in balances:
        labels.balance(order.view(blocks, -1), "")
    units, frozen = settled(labels, n)
    assert sorted(itertools.chain(frozen, *units)) == list(range(1, n + 1))
    for order, blocks in balances:
        for unit in units:
            counts = [sum(x in unit for x in row) for row in order.view(blocks, -1).tolist()]
            assert len(set(counts)) == 1
