"""Runs and comparisons as other programs read them."""

import csv
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import failed, made

from swarmopt import (
    AllFailedError,
    Categorical,
    Integer,
    Real,
    Result,
    SettingError,
    Space,
    minimize,
    record,
)
from swarmopt.cli import call
from swarmopt.compare.comparison import Cell, load
from swarmopt.evaluation import Outcome
from swarmopt.export import ioh, table
from swarmopt.export.table import harmless
from swarmopt.report.account import read_account


def late(p: dict[str, Any]) -> tuple[float, float]:
    return p["a"] ** 2 + p["n"], float(p["a"] > 2.0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("export") / "run"
    space = Space(a=Real(-5, 5), n=Integer(0, 9), k=Categorical(["=1+1", "-2", "plain"]))
    return folder, minimize(late, space, budget=150, seed=3, run_dir=folder, history="all")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "compared"
    words = ["compare", "--problem", "constrained-sphere", "--problem", "tuning", "--algorithms",
             "pso,random-search", "--seeds", "4", "--budget", "80", "--workers", "0"]  # fmt: skip
    assert call([*words, "--out", str(folder)]) == 0
    return folder


def test_the_table_of_a_run_reads_back_as_its_record(
    run: tuple[Path, Result], tmp_path: Path
) -> None:
    out = tmp_path / "run.csv"
    assert call(["export", str(run[0]), "--out", str(out)]) == 0
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = record.read(run[0])
    assert [int(r["evaluation"]) for r in rows] == (found.ids + 1).tolist()
    for name, column in (
        ("cost", found.cost),
        ("violation", found.violation),
        ("seconds", found.seconds),
    ):
        assert [float(r[name]) for r in rows] == column.tolist()
    assert [r["outcome"] for r in rows] == [Outcome(int(s)).name.lower() for s in found.status]
    assert [float(r["a"]) for r in rows] == found.x[:, 0].tolist()
    assert [int(r["n"]) for r in rows] == found.x[:, 1].tolist()
    choices = ["'=1+1", "'-2", "plain"]
    assert [r["k"] for r in rows] == [choices[int(i)] for i in found.x[:, 2]]


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@a", "\tx", "\rx"])
def test_no_text_is_a_formula(text: str) -> None:
    assert harmless(text) == f"'{text}"
    assert harmless(-1.5) == "-1.5"
    assert float(harmless(0.1 + 0.2)) == 0.1 + 0.2


def test_a_file_that_is_there_is_not_replaced(
    run: tuple[Path, Result], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.csv").write_text("mine")
    assert call(["export", str(run[0]), "--out", str(tmp_path / "a.csv")]) == 1
    assert "exists and is left as it is" in capsys.readouterr().err
    assert call(["export", str(run[0]), "--format", "ioh", "--out", str(tmp_path)]) == 1
    assert "is not empty and is left as it is" in capsys.readouterr().err
    assert call(["export", str(tmp_path), "--out", str(tmp_path / "b.csv")]) == 1
    assert "is no folder of a run or a comparison" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_without_out_the_table_goes_to_stdout(
    run: tuple[Path, Result], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["export", str(run[0])]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "evaluation,batch,seconds,outcome,cost,violation,a,n,k"
    assert len(lines) == 151


def test_a_reader_who_has_seen_enough_gets_no_word_of_a_damaged_record(
    run: tuple[Path, Result],
) -> None:
    words = [sys.executable, "-m", "swarmopt", "export", str(run[0])]
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        found = subprocess.run(words, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert found.returncode == 1
    assert "cannot be read" not in found.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("what", ["run", "compared"])
def test_a_full_disk_is_named_and_the_record_not_blamed(
    what: str, request: pytest.FixtureRequest, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    source = request.getfixturevalue(what)
    folder = source[0] if what == "run" else source
    out, opens = tmp_path / "a.csv", Path.open

    def full(path: Path, *args: Any, **more: Any) -> Any:
        if path != out:
            return opens(path, *args, **more)
        path.touch()
        return opens(Path("/dev/full"), "w", encoding="utf-8", newline="")

    monkeypatch.setattr(Path, "open", full)
    assert call(["export", str(folder), "--out", str(out)]) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"error: {out} cannot be written: No space left on device"
    assert not out.exists()


def test_a_terminal_is_not_moved_by_what_a_folder_holds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    space = Space(k=Categorical(["\x1b[2Jgone", "plain"]))
    minimize(lambda p: float(p["k"] == "plain"), space, budget=2, seed=0, run_dir=tmp_path / "run")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert call(["export", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out
    assert "\\x1b[2Jgone" in shown
    assert "\x1b" not in shown


def test_a_comparison_is_a_row_a_run(compared: Path, tmp_path: Path) -> None:
    assert call(["export", str(compared), "--out", str(tmp_path / "c.csv")]) == 0
    with (tmp_path / "c.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = load(compared).cells
    assert len(rows) == len(cells) == 16
    for row in rows:
        cell = cells[row["problem"], row["algorithm"], int(row["seed"])]
        assert (float(row["cost"]), float(row["key"]), int(row["evaluations"])) == (
            cell.fun,
            cell.key,
            cell.nfev,
        )


def loaded(folder: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        iohinspector = pytest.importorskip("iohinspector")  # takes seconds
        manager = iohinspector.DataManager()
        manager.add_folder(str(folder))
        return manager.overview.to_pandas(), manager.load(monotonic=False).to_pandas()


def costs_of(cell: Cell) -> list[tuple[int, float]]:
    return list(zip(cell.evaluations.tolist(), cell.best.tolist(), strict=True))


@pytest.mark.slow
def test_iohinspector_reads_a_comparison_back_number_by_number(
    compared: Path, tmp_path: Path
) -> None:
    assert call(["export", str(compared), "--format", "ioh", "--out", str(tmp_path / "ioh")]) == 0
    comparison = load(compared)
    overview, data = loaded(tmp_path / "ioh")
    assert len(overview) == 16
    assert set(overview["algorithm_name"]) == {"pso", "random-search"}
    for row in overview.itertuples():
        seed = comparison.seeds[row.instance - 1]
        cell = comparison.cells[row.function_name, row.algorithm_name, seed]
        assert row.evals == cell.nfev
        assert row.best_y == (cell.best[-1] if len(cell.best) else sys.float_info.max)
        assert row.dimension == (6 if row.function_name == "tuning" else 10)
        lines = data[data["data_id"] == row.data_id]
        found = [(int(e), y) for e, y in zip(lines["evaluations"], lines["raw_y"], strict=True)]
        assert set(costs_of(cell)) <= set(found)
        assert found[0][0] == 1
        assert found[-1][0] == cell.nfev
        assert {y for _, y in found} - {y for _, y in costs_of(cell)} <= {sys.float_info.max}


@pytest.mark.slow
def test_iohinspector_reads_a_run_back(run: tuple[Path, Result], tmp_path: Path) -> None:
    assert call(["export", str(run[0]), "--format", "ioh", "--out", str(tmp_path / "ioh")]) == 0
    overview, data = loaded(tmp_path / "ioh")
    assert overview["best_y"].tolist() == [run[1].fun]
    assert overview["evals"].tolist() == [150]
    found = record.read(run[0])
    feasible = np.where(found.violation == 0, found.cost, np.inf)
    least = np.minimum.accumulate(feasible)
    for evaluation, cost in zip(data["evaluations"], data["raw_y"], strict=True):
        assert min(least[int(evaluation) - 1], sys.float_info.max) == cost


def test_a_run_that_found_nothing_feasible_is_there_with_the_largest_number() -> None:
    trace = ioh.Trace(1, 50, np.empty(0, np.int64), np.empty(0))
    assert trace.lines() == [(1, sys.float_info.max), (50, sys.float_info.max)]
    json.dumps(ioh._about(trace), allow_nan=False)


@pytest.mark.slow
def test_iohinspector_reads_a_failed_run_as_one_evaluation_without_a_cost(tmp_path: Path) -> None:
    where = ("p", "bb", 2)
    ioh.write_comparison(made(seeds=4, instead={where: failed(*where)}), tmp_path / "ioh")
    overview, data = loaded(tmp_path / "ioh")
    assert len(overview) == 2 * 3 * 4
    for row in overview.itertuples():
        lost = (row.function_name, row.algorithm_name, row.instance - 1) == where
        lines = data[data["data_id"] == row.data_id]
        assert row.evals == lines["evaluations"].max() == (1 if lost else 100)
        assert row.best_y == lines["raw_y"].min()
        assert (row.best_y == sys.float_info.max) == lost


def test_a_run_in_which_every_evaluation_failed_is_there_without_a_cost(tmp_path: Path) -> None:
    with pytest.raises(AllFailedError):
        minimize(lambda x: 1 / 0, [(0, 1)], budget=30, seed=1, run_dir=tmp_path / "run")
    ioh.write_run(read_account(tmp_path / "run"), tmp_path / "ioh")
    (file,) = (tmp_path / "ioh").rglob("*.json")
    (about,) = json.loads(file.read_text())["scenarios"][0]["runs"]
    assert about["evals"] == record.count(tmp_path / "run")
    assert about["best"] == {"evals": 1, "y": sys.float_info.max, "x": []}


def test_what_is_said_of_a_run_fits_its_lines() -> None:
    trace = ioh.Trace(1, 0, np.empty(0, np.int64), np.empty(0))
    assert trace.lines() == [(1, sys.float_info.max)]
    about = ioh._about(trace)
    assert (about["evals"], about["best"]["evals"]) == (1, 1)


def test_variables_are_counted_in_the_description_of_a_space() -> None:
    space = Space(a=Real(0, 1), b=Categorical(["Real(", 'it\'s "Integer("']), c=Integer(0, 1))
    assert ioh.n_variables(repr(space)) == 3


def test_a_result_is_a_frame_of_batches_or_of_points(run: tuple[Path, Result]) -> None:
    pytest.importorskip("pandas")
    result = run[1]
    frame = result.to_frame()
    assert frame["nfev"].tolist() == result.history.nfev
    assert frame["best"].tolist() == result.history.best
    assert frame["producers"].tolist() == [r["producers"] for r in result.history.report]
    points = result.to_frame("points")
    assert points["cost"].tolist() == result.history.cost.tolist()
    assert points[["a", "n", "k"]].to_numpy().tolist() == result.history.x.tolist()


def test_a_comparison_is_a_frame_with_the_columns_and_rows_of_its_table(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    where, gone = ("p", "bb", 2), ("pp", "a", 0)
    comparison = made(without=(gone,), instead={where: failed(*where)})
    frame = comparison.to_frame()
    with (tmp_path / "c.csv").open("w+", newline="") as file:
        assert table.write_comparison(comparison, file) == len(frame) == 47
        file.seek(0)
        head, *rows = csv.reader(file)
    assert list(frame.columns) == head
    assert [list(map(harmless, row)) for row in frame.itertuples(index=False)] == rows
    assert frame["cost"].max() == np.inf
    nothing = made(without=tuple(comparison.planned)).to_frame()
    assert list(nothing.columns) == list(frame.columns)


def test_a_frame_that_cannot_be_made_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pandas")
    result = minimize(lambda x: float(x @ x), [(-1, 1)], budget=10, seed=1)
    with pytest.raises(SettingError, match='run with history="all"'):
        result.to_frame("points")
    with pytest.raises(SettingError, match="expected 'batches' or 'points', got 'rows'"):
        result.to_frame("rows")  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "pandas", None)
    for source in (result, made()):
        with pytest.raises(SettingError, match=r"pip install 'swarmopt\[pandas\]'"):
            source.to_frame()


def test_the_table_of_failed_runs_tells_their_error(tmp_path: Path) -> None:
    where = ("p", "bb", 2)
    with (tmp_path / "c.csv").open("w+", newline="") as file:
        assert table.write_comparison(made(instead={where: failed(*where)}), file) == 48
        file.seek(0)
        errors = [row["error"] for row in csv.DictReader(file) if row["error"]]
    assert len(errors) == 1
    assert errors[0].startswith("ValueError: ")
