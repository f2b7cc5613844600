"""The front of what a search evaluated, against brute force."""

import csv
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmopt_pruning.front import Evaluated, write_front

ROWS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 5), st.integers(1, 5)), min_size=0, max_size=25
)


def evaluated(rows: list[tuple[int, int, int]]) -> Evaluated:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    counts = np.arange(2 * len(rows)).reshape(-1, 2)
    return Evaluated(counts, table[:, 0] / 4, table[:, 1], table[:, 2], images=97)


@given(rows=ROWS)
@settings(max_examples=150, deadline=None)
def test_the_front_is_that_of_brute_force(rows: list[tuple[int, int, int]]) -> None:
    def beats(a: tuple[int, int, int], b: tuple[int, int, int]) -> bool:
        return a != b and a[0] >= b[0] and a[1] <= b[1] and a[2] <= b[2]

    expected = {b for b in rows if not any(beats(a, b) for a in rows)}
    found = evaluated(rows).front().tolist()
    assert {rows[i] for i in found} == expected
    assert len(found) == len(expected), "of equal ones one is taken"
    assert all(i == rows.index(rows[i]) for i in found), "the first one"
    macs = [rows[i][1] for i in found]
    assert macs == sorted(macs)


def test_the_table_says_what_was_found_and_the_picture_is_there(tmp_path: Path) -> None:
    data = evaluated([(2, 3, 3), (4, 5, 5), (1, 4, 4), (1, 1, 2)])
    write_front(data, ["a", "b"], tmp_path / "front.csv", tmp_path / "front.png")
    rows = list(csv.reader((tmp_path / "front.csv").read_text("utf-8").splitlines()))
    assert rows[0] == ["held_out_accuracy", "held_out_error", "macs", "params", "a", "b"]
    assert [row[:1] + row[2:] for row in rows[1:]] == [
        ["0.25", "1", "2", "6", "7"], ["0.5", "3", "3", "0", "1"], ["1.0", "5", "5", "2", "3"]
    ]  # fmt: skip
    assert [row[1] for row in rows[1:]] == ["0.043589", "0.05", "0.009999"]
    assert (tmp_path / "front.png").read_bytes().startswith(b"\x89PNG")
