"""The folder of a comparison: what goes on, what is refused, what damage is seen."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swarmopt import FolderError, FunctionProblem, Real, SettingError, Space, lock
from swarmopt.cli import call
from swarmopt.compare import Comparison, cells, compare, driver, load
from swarmopt.compare.record import FILE, SETTINGS, TABLES
from swarmopt.compare.store import RESULT

GIVEN: dict[str, Any] = {
    "algorithms": ["pso", "de"],
    "problems": "sphere:dim=2",
    "budget": 40,
    "seeds": 2,
    "workers": 0,
}


def keys(comparison: Comparison) -> dict[tuple[str, str, int], float]:
    return {where: cell.key for where, cell in comparison.cells.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    compare(**GIVEN, out=tmp_path / "c")
    return tmp_path / "c"


@pytest.fixture
def n_runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The seeds of the runs that were carried out."""
    done: list[int] = []
    before = cells.run

    def counted(*arguments: Any, **named: Any) -> Any:
        done.append(named["seed"])
        return before(*arguments, **named)

    monkeypatch.setattr(cells, "run", counted)
    return done


def test_a_folder_holds_what_was_found(folder: Path) -> None:
    found, before = load(folder), compare(**GIVEN)
    assert keys(found) == keys(before)
    for where, cell in found.cells.items():
        assert cell.best.tolist() == before.cells[where].best.tolist()
        assert cell.evaluations.tolist() == before.cells[where].evaluations.tolist()
        assert cell.report.keys() == before.cells[where].report.keys()
    assert found.complete
    assert sorted(p.name for p in folder.iterdir()) == sorted([FILE, RESULT, SETTINGS])


def test_a_second_start_runs_nothing_again(folder: Path, n_runs: list[int]) -> None:
    assert keys(compare(**GIVEN, out=folder)) == keys(load(folder))
    assert n_runs == []


def test_more_seeds_are_added_and_only_they_run(folder: Path, n_runs: list[int]) -> None:
    found = compare(**{**GIVEN, "seeds": 4}, out=folder)
    assert n_runs == [2, 2, 3, 3]
    assert found.seeds == load(folder).seeds == (0, 1, 2, 3)
    assert found.complete
    assert compare(**{**GIVEN, "seeds": [9]}, out=folder).seeds == (0, 1, 2, 3, 9)


def test_an_interrupted_comparison_goes_on_with_what_is_missing(
    tmp_path: Path, n_runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = cells.run

    def interrupted(*arguments: Any, **named: Any) -> Any:
        if len(n_runs) == 3:
            raise KeyboardInterrupt
        return counted(*arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(cells, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compare(**GIVEN, out=tmp_path / "c")
    assert len(load(tmp_path / "c").missing) == 1
    n_runs.clear()
    assert keys(compare(**GIVEN, out=tmp_path / "c")) == keys(compare(**GIVEN))
    assert n_runs[0] == 1
    assert len(n_runs) == 1 + 4  # the missing one, and all of the comparison without a folder


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"budget": 41}, "another budget: recorded 40, given 41"),
        ({"problems": "sphere:dim=3"}, "another set of problems: recorded .*dim=2.* given .*dim=3"),
        ({"problems": {"sphere:dim=2": "sphere:dim=3"}}, "another problem.sphere:dim=2.space"),
        ({"algorithms": ["pso"]}, "another set of algorithms"),
        ({"algorithms": ["pso", "de", "ga"]}, "another set of algorithms"),
        ({"algorithms": {"pso": "pso:population=9", "de": "de"}}, "settings.population"),
        ({"algorithms": ["de", "pso"]}, "another order of problems or algorithms"),
        ({"x0": {"sphere:dim=2": [0.0, 0.0]}}, "another x0"),
    ],
)
def test_other_settings_are_refused_by_name_and_nothing_is_lost(
    folder: Path, change: dict[str, Any], says: str
) -> None:
    before = keys(load(folder))
    with pytest.raises(SettingError, match=says):
        compare(**{**GIVEN, **change}, out=folder)
    assert keys(load(folder)) == before


def test_fewer_seeds_than_are_there_are_said_to_be_all_of_them(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    there = load(folder).seeds
    assert compare(**{**GIVEN, "seeds": 1}, out=folder).seeds == there
    assert f"it goes on with all {len(there)} of them" in caplog.text


def test_a_failed_run_keeps_its_traceback_and_is_not_tried_again(
    tmp_path: Path, n_runs: list[int]
) -> None:
    def broken(x: object) -> float:
        raise ValueError("broken on purpose")

    bad = FunctionProblem(broken, Space([Real(0, 1)]), name="bad")
    given = {**GIVEN, "problems": bad, "out": tmp_path / "c"}
    compare(**given)
    n_runs.clear()
    compare(**given)
    assert n_runs == []
    for cell in load(tmp_path / "c").cells.values():
        assert "broken on purpose" in (cell.error or "")
        assert (cell.key, cell.fun, cell.nfev) == (np.inf, np.inf, 0)


@pytest.mark.parametrize("column", ["key", "best", "report", "seed", "error", "evaluations"])
def test_a_changed_value_is_seen(folder: Path, column: str) -> None:
    value: Any = {
        "best": bytes(8),
        "evaluations": bytes(8),
        "report": '{"a": [[], []]}',
        "error": "x",
    }.get(column, 77)
    with sqlite3.connect(folder / FILE) as db:
        db.execute(f"UPDATE cell SET {column} = ? WHERE seed = 1 AND algorithm = 'pso'", (value,))  # noqa: S608
    db.close()
    with pytest.raises(FolderError, match="check sum of a run is wrong"):
        load(folder)
    with pytest.raises(FolderError, match="check sum of a run is wrong"):
        compare(**GIVEN, out=folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda file: file.unlink(), "cannot be read: No such file"),
        (lambda file: file.write_text("budget = "), "is not valid TOML"),
        (lambda file: file.write_bytes(b"\xff"), "is not valid TOML"),
        (lambda file: file.write_text("x = " + "[" * 9_000), "recursion"),
        (lambda file: file.write_text(f"more = 1\n{file.read_text()}"), "has another more than"),
        (lambda file: file.write_text(file.read_text().replace("dim = 2", "dim = 3")),
         "has another problem.sphere:dim=2.settings.dim than the record"),
    ],
)  # fmt: skip
def test_wrong_settings_beside_the_record_are_told_and_the_record_counts(
    folder: Path,
    change: Callable[[Path], Any],
    says: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = load(folder)
    assert not caplog.records
    change(folder / SETTINGS)
    assert load(folder).settings == before.settings
    assert says in caplog.text
    assert f"What counts is the record beside it, {FILE}" in caplog.text
    for command in ("report", "export"):
        assert call([command, str(folder)]) == 0
        shown = capsys.readouterr()
        assert says in shown.err
    assert "sphere:dim=2,pso,0" in shown.out


def test_missing_settings_beside_the_record_are_written_anew_and_damaged_ones_left(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = (folder / SETTINGS).read_text()
    (folder / SETTINGS).unlink()
    compare(**GIVEN, out=folder)
    assert (folder / SETTINGS).read_text() == whole
    assert not caplog.records
    (folder / SETTINGS).write_text("my own words")
    compare(**{**GIVEN, "seeds": 3}, out=folder)
    assert (folder / SETTINGS).read_text() == "my own words"
    assert "is not valid TOML" in caplog.text


def test_changed_settings_in_the_record_are_seen(folder: Path) -> None:
    with sqlite3.connect(folder / FILE) as db:
        db.execute("UPDATE meta SET value = replace(value, '40', '41')")
    db.close()
    with pytest.raises(FolderError, match="check sum of 'settings' is wrong"):
        load(folder)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON cell BEGIN DELETE FROM cell; END",
        "CREATE VIEW v AS SELECT 1",
    ],
)
def test_a_record_with_more_in_it_than_a_comparison_has_is_not_opened(
    folder: Path, statement: str
) -> None:
    with sqlite3.connect(folder / FILE) as db:
        db.execute(statement)
    db.close()
    with pytest.raises(FolderError, match="holds other tables"):
        load(folder)


def test_a_file_that_is_no_database_is_one_error(folder: Path) -> None:
    (folder / FILE).write_bytes(b"no database" * 1000)
    with pytest.raises(FolderError, match="cannot be read"):
        load(folder)


def test_a_truncated_record_is_one_error(folder: Path) -> None:
    whole = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FolderError, match="cannot be read"):
        load(folder)


def test_damage_that_no_check_sum_covers_is_seen(folder: Path) -> None:
    damaged = bytearray((folder / FILE).read_bytes())
    damaged[2 * 4096 + 7] ^= 1  # of the third page, how many bytes lie between its cells
    (folder / FILE).write_bytes(damaged)
    with pytest.raises(FolderError, match="cannot be read: it is damaged"):
        load(folder)


def test_a_record_that_is_a_link_is_named_once(folder: Path, tmp_path: Path) -> None:
    (folder / FILE).rename(tmp_path / "elsewhere")
    (folder / FILE).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FolderError, match=f"^{folder / FILE} is a link; the files of a run lie in"):
        load(folder)


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(FolderError, match="is no comparison folder"):
        compare(**GIVEN, out=tmp_path)
    with pytest.raises(FolderError, match="is no comparison folder"):
        load(tmp_path / "nothing")
    assert [p.name for p in tmp_path.iterdir()] == ["note.txt"]


def test_a_second_driver_is_refused(folder: Path) -> None:
    held = lock.acquire(folder)
    try:
        with pytest.raises(FolderError, match="in use by"):
            compare(**GIVEN, out=folder)
    finally:
        os.close(held)


def test_a_folder_that_cannot_be_written_asks_for_another(folder: Path) -> None:
    (folder / lock.LOCK).mkdir()  # as good as no permission, which does not bind root
    with pytest.raises(FolderError, match=r"lock cannot be taken: .*Give a folder that you may"):
        compare(**GIVEN, out=folder)


def test_other_versions_are_named_and_the_comparison_goes_on(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(**GIVEN, out=folder)
    assert not caplog.records
    monkeypatch.setattr(driver, "versions", lambda _: {"python": "2.7"})
    compare(**{**GIVEN, "seeds": 3}, out=folder)
    assert "and goes on with 2.7" in caplog.text


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    assert compare(**GIVEN, out=tmp_path / "c").complete


@pytest.mark.slow
def test_a_killed_comparison_goes_on_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    command = ["compare", "--problem", "rastrigin:dim=5", "--algorithms", "pso,de", "--budget"]
    command += ["4000", "--seeds", "8", "--workers", "2", "--out"]
    start = [sys.executable, "-m", "swarmopt", *command, str(tmp_path / "killed")]
    process = subprocess.Popen(start, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    patience = time.monotonic() + 60
    while time.monotonic() < patience and process.poll() is None and _n_cells(tmp_path) < 3:
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = load(tmp_path / "killed")
    assert 3 <= len(before.cells) < 16
    assert call([*command, str(tmp_path / "killed")]) == 0
    assert call([*command, str(tmp_path / "whole")]) == 0
    found, whole = load(tmp_path / "killed"), load(tmp_path / "whole")
    assert keys(found) == keys(whole)
    for where, cell in before.cells.items():
        assert found.cells[where].seconds == cell.seconds  # kept, not done again


def _n_cells(folder: Path) -> int:
    try:
        return len(load(folder / "killed").cells)
    except FolderError:
        return 0


def test_the_tables_of_a_new_record_are_those_that_are_checked(folder: Path) -> None:
    with sqlite3.connect(folder / FILE) as db:
        found = dict(db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"))
    db.close()
    assert found == TABLES
