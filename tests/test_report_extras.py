"""What a problem adds to the page of its run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import Read

from swarmopt import Evaluation, Problem, Real, Result, Seeds, Space, minimize, record
from swarmopt.report import page_of_folder
from swarmopt.report.extras import pictures, sentences, tables
from swarmopt.report.page import Facts, Page, Picture, Prose, Section, Table
from swarmopt.types import Matrix

REPORT: dict[str, Any] = {
    "model": "<b>tiny",
    "before": {"accuracy": 0.9, "macs": 1200},
    "after": {"accuracy": 0.8, "macs": 600},
    "groups": {"conv1": {"kept": 3, "width": 8}, "conv2": {"kept": 5, "width": 8}},
    "frozen": [{"name": "fc", "reason": "the output"}],
    "pictures": [
        {"kind": "front", "title": "Two figures", "x": "size", "y": "share", "more": ["share"]},
        {"kind": "kept", "title": "Kept", "unit": "channels", "parts": {"$a$": [3, 8]}},
        {"kind": "pie", "title": "no such"},
        {"kind": "front", "title": "of nothing", "x": "size", "y": "unknown"},
    ],
}


class Sized(Problem):
    name = "sized"
    space = Space([Real(0, 1), Real(0, 1)])

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
        info = [{"size": float(a), "share": float(b), "word": "text"} for a, b in x]
        return Evaluation(x.sum(axis=1), info=info)

    def finish(self, result: Result, folder: Path | None) -> Mapping[str, Any]:
        return REPORT


def test_a_front_is_of_the_numbers_in_the_record(tmp_path: Path) -> None:
    minimize(Sized(), budget=60, seed=1, algorithm="random-search", run_dir=tmp_path / "run")
    page = Read(page_of_folder(tmp_path / "run").html())
    x = record.read(tmp_path / "run").x
    caption = "Two figures: the points that none beats in both"
    rows = page.tables[caption][1:]
    assert rows
    for number, size, share in rows:
        assert [size, share] == x[int(number) - 1].tolist()
        assert not ((x[:, 0] < size) & (x[:, 1] > share)).any()
    assert f"Two figures: 60 evaluations, {len(rows)} of them on the front." in page.text
    assert page.tables["before and after"] == [
        ["figure", "before", "after"], ["accuracy", 0.9, 0.8], ["macs", 1200, 600],
    ]  # fmt: skip
    assert page.facts["model"][0] == "<b>tiny"


def test_mappings_with_the_same_keys_stand_side_by_side_and_lists_are_tables() -> None:
    blocks = list(tables(REPORT))
    assert [b.kind for b in blocks] == ["facts", "table", "table", "table"]
    assert isinstance(blocks[0], Facts)
    groups, frozen = blocks[2], blocks[3]
    assert isinstance(groups, Table)
    assert isinstance(frozen, Table)
    assert groups.rows == [["conv1", 3, 8], ["conv2", 5, 8]]
    assert frozen.rows == [["fc", "the output"]]


def test_a_picture_that_is_not_understood_is_told_of_and_the_others_are_drawn() -> None:
    said = {"size": np.array([1.0, 2.0, np.nan]), "share": np.array([0.5, 0.7, 0.1])}
    found = list(pictures(REPORT, said))
    assert sum(isinstance(block, Picture) for block in found) == 2
    (prose,) = (block for block in found if isinstance(block, Prose))
    assert prose.sentences[0].startswith(
        "Picture 3 of the report is not drawn: Invalid value 'pie'"
    )


def test_sentences_of_the_problem_stand_with_what_came_of_the_search(tmp_path: Path) -> None:
    class Saying(Sized):
        def finish(self, result: Result, folder: Path | None) -> Mapping[str, Any]:
            return {"sentences": ["The <b>third was kept.", 3, "x" * 999], "kept": 3}

    minimize(Saying(), budget=20, seed=1, algorithm="random-search", run_dir=tmp_path / "run")
    page = page_of_folder(tmp_path / "run")
    assert page.verdict[0].startswith("The best cost is")
    assert page.verdict[1] == "The <b>third was kept."
    assert page.verdict[2].startswith("xxx")
    assert len(page.verdict[2]) < 300
    read = Read(page.html())
    assert "The <b>third was kept." in read.text
    assert "sentences" not in read.facts


def test_a_table_ready_for_reading_stands_in_place_of_what_it_names() -> None:
    table = {"title": "<i>Both", "columns": ["figure", "<b>"], "rows": [["MACs", "<script>"]],
             "instead_of": ["before", "after"]}  # fmt: skip
    blocks = list(tables({**REPORT, "tables": [table]}))
    html = Page("t", [], "good", [Section("problem", "What came of it", blocks)]).html()
    assert "<script>" not in html
    page = Read(html)
    assert page.tables["<i>Both"] == [["figure", "<b>"], ["MACs", "<script>"]]
    assert "before and after" not in page.tables
    assert "tables" not in page.facts


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"columns": []}, "length >= 1"),
        ({"columns": ["a"] * 21}, "length <= 20"),
        ({"rows": [["a", "b"], ["c"]]}, "row 2 has 1 of 2 cells"),
        ({"rows": [["a", 2]]}, "Expected `str`, got `int`"),
        ({"rows": [["a", "b"]] * 501}, "length <= 500"),
        ({"title": None}, "Expected `str`, got `null`"),
        ({"instead_of": "before"}, "Expected `array`, got `str`"),
    ],
)
def test_a_table_that_is_not_understood_is_told_of_and_hides_nothing(
    wrong: dict[str, Any], told: str
) -> None:
    right = {"title": "t", "columns": ["a", "b"], "rows": [["a", "b"]], "instead_of": ["before"]}
    first, *others = tables({**REPORT, "tables": [{**right, **wrong}]})
    assert isinstance(first, Prose)
    assert first.sentences[0].startswith("Table 1 of the report is not shown: ")
    assert told in first.sentences[0]
    assert others == list(tables(REPORT))


def test_mappings_within_a_cell_are_text_to_read() -> None:
    trials = [{"epochs": 1, "loss": 0.84714013671875}, {"epochs": 2, "loss": 0.5, "ok": True}]
    (table,) = tables({"finalists": [{"counts": [3, 4], "origin": "search", "trials": trials}]})
    assert isinstance(table, Table)
    text = "epochs 1, loss 0.8471; epochs 2, loss 0.5, ok yes"
    assert table.rows == [[[3, 4], "search", text]]
    html = Page("t", [], "good", [Section("problem", "What came of it", [table])]).html()
    assert f'<td class="long">{text}' in html
    assert html.count('class="long"') == 1
    (deep,) = tables({"a": [{"b": {"c": {"d": {"e": {"f": {}}}}}}]})
    assert isinstance(deep, Table)
    assert deep.rows == [["c d e f …"]]


@pytest.mark.parametrize(
    "report",
    [
        {"pictures": "none"},
        {"tables": {"a": 1}},
        {"sentences": {"a": 1}},
        {"tables": [None, 3, [], {}]},
        {"pictures": [None, 3, {"kind": "kept", "title": "a", "unit": "b", "parts": {"a": "x"}}]},
        {"a": {}, "b": [], "c": [{}], "d": {"e": {}}},
        {"deep": {"e": {"f": {"g": [1, {"h": 2}]}}}},
    ],
)
def test_a_strange_report_still_makes_a_page(report: dict[str, Any]) -> None:
    assert not any(isinstance(block, Picture) for block in pictures(report, {}))
    list(tables(report))
    assert sentences(report) == []
