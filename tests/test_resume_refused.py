"""A run does not go on with other settings, or from a record that is not understood."""

import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from interrupted import BOUNDS, Bowl, resume, start

from swarmopt import FolderError, Real, Result, SettingError, Space, minimize, record
from swarmopt.algorithms import PSO
from swarmopt.problem import FunctionProblem
from swarmopt.rows import meta_crc


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"budget": 61}, "another budget: recorded 60, given 61"),
        ({"budget": 60, "target": 0.5}, "another target: recorded nothing, given 0.5"),
        ({"budget": 60, "seed": 5}, "another seed: recorded 4, given 5"),
        ({"budget": 60, "algorithm": "ga"}, "another algorithm: recorded 'ssa', given 'ga'"),
        ({"budget": 60, "lookahead": 1}, "another lookahead: recorded 0, given 1"),
        ({"budget": 60, "cache": False}, "another cache: recorded nothing, given False"),
        ({"budget": 60, "x0": [1, 1, 1]}, "another x0: recorded nothing"),
        ({"budget": 60, "space": [(-5, 5)] * 2}, "another space"),
        ({"budget": 60, "space": [(-5, 5)] * 2 + [(-5, 6)]}, "high=6.0"),
    ],
)
def test_other_settings_are_refused_by_name(
    given: dict[str, Any], message: str, tmp_path: Path
) -> None:
    start(tmp_path / "run", 31, budget=60)
    with pytest.raises(SettingError, match=message):
        resume(tmp_path / "run", given.pop("space", BOUNDS), **given)
    result, fun = resume(tmp_path / "run", budget=60)
    assert result.nfev == 60
    assert len(fun.points) == 29


def test_another_hyper_parameter_or_objective_is_refused_by_name(tmp_path: Path) -> None:
    start(tmp_path / "run", 31, budget=60, algorithm=PSO(population=6))
    with pytest.raises(SettingError, match=r"set\.algorithm\.population: recorded 6, given 7"):
        resume(tmp_path / "run", budget=60, algorithm=PSO(population=7))
    with pytest.raises(SettingError, match="another problem: recorded 'bowl', given 'sqrt'"):
        minimize(math.sqrt, BOUNDS, budget=60, algorithm=PSO(population=6),
                 run_dir=tmp_path / "run", resume=True)  # fmt: skip


class Weighted(FunctionProblem):
    """What it costs depends on weights that a file, say, holds."""

    def __init__(self, of: dict[str, str], interrupt_at: int | None = None) -> None:
        super().__init__(Bowl(interrupt_at), Space([Real(-5, 5)] * 3))
        self.of = of

    def fingerprint(self) -> dict[str, str]:
        return self.of


def go_on(folder: Path, **of: str) -> Result:
    return minimize(Weighted(of), budget=60, seed=4, run_dir=folder, resume=True)


def test_a_run_whose_costs_come_from_something_else_now_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    begun = Weighted({"weights": "1", "images": "2"}, 31)
    with pytest.raises(KeyboardInterrupt):
        minimize(begun, budget=60, seed=4, run_dir=folder)
    before = record.count(folder)
    for of, changed in (
        ({"weights": "3", "images": "2"}, "the weights changed"),
        ({"weights": "3", "images": "4"}, "the weights and the images changed"),
        ({"weights": "1"}, "the images changed"),
    ):
        with pytest.raises(SettingError, match=f"since the run began, {changed}"):
            go_on(folder, **of)
    assert record.count(folder) == before
    assert go_on(folder, weights="1", images="2", more="5").nfev == 60
    assert go_on(folder, weights="3", images="2").nfev == 60, "it is over: nothing is done again"


def test_a_record_from_before_there_were_fingerprints_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        minimize(Weighted({"weights": "1"}, 31), budget=60, seed=4, run_dir=folder)
    with sqlite3.connect(folder / record.FILE) as db:
        db.execute("DELETE FROM meta WHERE key = 'fingerprint'")
    db.close()
    assert go_on(folder, weights="3").nfev == 60


def test_a_resume_needs_a_folder_and_does_not_overwrite(tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [{}, {"run_dir": tmp_path / "a", "overwrite": True}]
    for settings in wrong:
        with pytest.raises(SettingError, match="give the run_dir of the run that goes on"):
            minimize(Bowl(), BOUNDS, budget=30, resume=True, **settings)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("aunt")
    with pytest.raises(FolderError, match="is no run folder"):
        resume(tmp_path / "letters", budget=30)
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError):
        resume(tmp_path / "file", budget=30)


def test_settings_that_were_edited_are_refused(tmp_path: Path) -> None:
    start(tmp_path / "run", 31, budget=60)
    path = tmp_path / "run" / "run.toml"
    text = path.read_text()
    for edited in (text.replace("budget = 60", "budget = 90"), "target = 0.0\n" + text):
        path.write_text(edited)
        with pytest.raises(FolderError, match="was changed since the run began"):
            resume(tmp_path / "run", budget=90)
    path.write_text(text)
    assert resume(tmp_path / "run", budget=60)[0].nfev == 60


VERSION_9 = (
    "UPDATE meta SET value = '9', crc = ? WHERE key = 'schema'", (meta_crc("schema", "9"),)
)  # fmt: skip
MORE_TABLES = ("ALTER TABLE batch ADD COLUMN colour TEXT", ())
MORE_META = ("INSERT INTO meta VALUES ('colour', '1', ?)", (meta_crc("colour", "1"),))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([VERSION_9], "of version 9; this swarmopt reads versions up to 2"),
        ([VERSION_9, MORE_TABLES], "of version 9; this swarmopt reads versions up to 2"),
        ([VERSION_9, MORE_META], "of version 9; this swarmopt reads versions up to 2"),
        ([MORE_META], "of a newer version: its table meta holds 'colour'"),
    ],
    ids=["version", "tables", "meta", "meta-alone"],
)
def test_a_newer_schema_is_refused_and_left_alone(
    changes: list[tuple[str, tuple[int, ...]]], message: str, tmp_path: Path
) -> None:
    start(tmp_path / "run", 31, budget=60)
    path = tmp_path / "run" / record.FILE
    with sqlite3.connect(path) as db:
        for statement, values in changes:
            db.execute(statement, values)
    db.close()
    before = path.read_bytes()
    for read in (lambda: resume(tmp_path / "run", budget=60), lambda: record.read(path.parent)):
        with pytest.raises(FolderError, match=message) as caught:
            read()
        assert "put back" not in str(caught.value)
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == [record.FILE, "run.toml"]
