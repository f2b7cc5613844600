"""The table before and after: the same rows in the terminal and on the page."""

from typing import Any

import pytest

from swarmopt.report.extras import tables
from swarmopt.report.page import Table
from swarmopt_pruning.finalists import Finalist, Trial
from swarmopt_pruning.report import choice, figures_table, finalists_report, table

BEFORE: dict[str, Any] = {
    "test_accuracy": 0.754, "test_error": 0.0136, "held_out_accuracy": 0.8, "held_out_error": 0.01,
    "macs": 1200, "params": 500, "channels": 40, "latency_ms": 2.0, "latency_low_ms": 1.9,
    "latency_high_ms": 2.1, "latency_batch": 64, "latency_threads": 1, "bytes": 4000,
}  # fmt: skip
AFTER = {**BEFORE, "test_accuracy": 0.847, "held_out_accuracy": 0.79, "macs": 600}


def changes(after: dict[str, Any]) -> dict[str, str]:
    return {row[0]: row[3] for row in figures_table(BEFORE, after)["rows"]}


def test_a_change_has_the_sign_of_what_became_of_the_figure() -> None:
    found = changes(AFTER)
    assert found["test accuracy"] == "+9.30 points"
    assert found["held-out accuracy"] == "-1.00 points"
    assert found["MACs"] == "-50.0 %"
    assert found["parameters"] == "0.0 %"


@pytest.mark.parametrize(
    ("low", "median", "high", "change"),
    [
        (1.0, 1.5, 1.89, "-25.0 %"),
        (1.0, 1.5, 1.9, "no difference shown"),
        (2.1, 2.5, 3.0, "no difference shown"),
        (2.2, 2.5, 3.0, "+25.0 %"),
    ],
)
def test_a_latency_differs_only_where_most_calls_do(
    low: float, median: float, high: float, change: str
) -> None:
    after = {**AFTER, "latency_low_ms": low, "latency_ms": median, "latency_high_ms": high}
    assert changes(after)["latency, 64 images (ms)"] == change


def test_the_terminal_and_the_page_show_the_same_rows() -> None:
    report = {"before": BEFORE, "after": AFTER, "tables": [figures_table(BEFORE, AFTER)]}
    (shown,) = tables(report)
    assert isinstance(shown, Table)
    printed = table(BEFORE, AFTER)
    assert printed.splitlines()[0].split() == list(shown.head[1:])
    for row, line in zip(shown.rows, printed.splitlines()[2:], strict=True):
        assert line.split() == " ".join(row).split()
    assert list(shown.rows[0][1:3]) == ["75.40 ± 1.36 %", "84.70 ± 1.36 %"]


def test_a_report_says_which_finalist_was_kept() -> None:
    trials = (Trial(1, 0.875, 0.5),)
    two = [Finalist((3,), name, trials) for name in ("additive", "search")]
    found = finalists_report(two, images=97)
    assert [each["chosen"] for each in found["finalists"]] == [True, False]
    assert found["sentences"] == [f"The network kept was {choice(found['finalists'])}."]
    assert "and 87.50 ± 3.39 % right" in found["sentences"][0]
    assert "chosen of 2 finalists: additive, by its loss" in found["sentences"][0]
    assert "after 1 epoch: 0.5000" in found["sentences"][0]
    assert finalists_report(two[:1], images=97)["sentences"] == []
