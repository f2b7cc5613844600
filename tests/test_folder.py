"""The folder of a run: what is in it, whom it belongs to, and where it cannot be."""

import errno
import json
import math
import os
import shutil
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from objectives import BOUNDS, Array, sphere

from swarmopt import (
    FinishError,
    FolderError,
    FunctionProblem,
    Real,
    Result,
    Space,
    Step,
    lock,
    minimize,
    record,
)
from swarmopt.algorithms import PSO
from swarmopt.folder import create, enter, free_path, write_json
from swarmopt.journal import Journal


def test_the_folder_says_settings_versions_and_result(tmp_path: Path) -> None:
    result = minimize(sphere, BOUNDS, budget=60, seed=9, run_dir=tmp_path / "new" / "run")
    settings = tomllib.loads((tmp_path / "new" / "run" / "run.toml").read_text())
    assert settings["seed"] == 9
    assert settings["budget"] == 60
    assert settings["algorithm"] == "ssa"
    assert {"python", "numpy", "scipy", "swarmopt"} <= set(settings["versions"])
    summary = json.loads((tmp_path / "new" / "run" / "result.json").read_text())
    assert summary["fun"] == result.fun
    assert summary["nfev"] == 60
    assert summary["seed"] == 9
    assert summary["algorithm"] == "ssa"
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["run"]


def test_a_folder_that_cannot_be_made_is_refused_before_anything_is_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(FunctionProblem):
        def prepare(self) -> None:
            pytest.fail("prepared in vain")

    problem = Slow(sphere, Space([Real(0, 1)]))
    (tmp_path / "file").write_text("")
    with pytest.raises(
        FolderError, match=r"^no run folder can be made at [^:]*run: [^:]*file is a file$"
    ):
        minimize(problem, budget=30, run_dir=tmp_path / "file" / "deep" / "run")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(FolderError, match=r"may not be written to. Give a folder"):
        minimize(problem, budget=30, run_dir=tmp_path / "new" / "run")


def test_a_run_that_has_not_ended_is_said_to_be_resumable(tmp_path: Path) -> None:
    folder = tmp_path / "my run"

    def stop(intermediate_result: Step) -> None:
        raise KeyError("as if killed")

    with pytest.raises(KeyError):
        minimize(sphere, BOUNDS, budget=300, seed=0, run_dir=folder, callback=stop)
    with pytest.raises(FolderError, match=r"go on with it: swarmopt resume '.*/my run' \(resume"):
        minimize(sphere, BOUNDS, budget=300, seed=0, run_dir=folder)
    minimize(sphere, BOUNDS, budget=300, seed=0, run_dir=folder, resume=True)
    with pytest.raises(FolderError, match=r"as it is; give another folder"):
        minimize(sphere, BOUNDS, budget=300, seed=0, run_dir=folder)


def test_an_existing_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    minimize(sphere, BOUNDS, budget=30, seed=0, run_dir=folder)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(FolderError, match="exists already and is left as it is"):
        minimize(sphere, BOUNDS, budget=30, seed=1, run_dir=folder)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before


def test_overwrite_replaces_a_run_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    minimize(sphere, BOUNDS, budget=30, seed=0, run_dir=folder)
    minimize(sphere, BOUNDS, budget=40, seed=1, run_dir=folder, overwrite=True)
    assert len(record.read(folder).ids) == 40
    assert [p.name for p in tmp_path.iterdir()] == ["run"]
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "dear.txt").write_text("aunt")
    with pytest.raises(FolderError, match="is no run folder"):
        minimize(sphere, BOUNDS, budget=30, run_dir=letters, overwrite=True)
    assert (letters / "dear.txt").read_text() == "aunt"


def test_what_a_user_put_into_a_run_folder_is_never_removed(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    minimize(sphere, BOUNDS, budget=30, seed=0, run_dir=folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(FolderError, match=r"holds 'notes\.txt', which no such run leaves"):
        minimize(sphere, BOUNDS, budget=30, seed=1, run_dir=folder, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"
    assert len(record.read(folder).ids) == 30


def test_an_overwritten_run_is_kept_until_the_new_one_has_ended_well(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "run"
    minimize(sphere, BOUNDS, budget=30, seed=0, run_dir=folder)

    def interrupted(x: Array) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimize(interrupted, BOUNDS, budget=30, seed=1, run_dir=folder, overwrite=True)
    (kept,) = [path for path in tmp_path.iterdir() if path.name != "run"]
    assert f"the earlier run run is kept in {kept}" in caplog.text
    assert len(record.read(kept).ids) == 30
    minimize(sphere, BOUNDS, budget=40, seed=1, run_dir=folder, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([kept.name, "run"])


def test_a_folder_that_appears_in_between_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    monkeypatch.setattr("swarmopt.folder.check_free", lambda *_, **__: None)
    minimize(sphere, BOUNDS, budget=30, seed=0, run_dir=folder)
    with pytest.raises(FolderError, match="exists already"):
        minimize(sphere, BOUNDS, budget=40, seed=0, run_dir=folder)
    assert len(record.read(folder).ids) == 30
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    caught = []

    def intrude(intermediate_result: Any) -> None:
        try:
            minimize(sphere, BOUNDS, budget=10, seed=9, run_dir=folder, overwrite=True)
        except FolderError as error:
            caught.append(str(error))

    minimize(sphere, BOUNDS, budget=30, seed=0, run_dir=folder, callback=intrude)
    assert caught
    assert all("is in use by a run that goes on" in message for message in caught)
    assert len(record.read(folder).ids) == 30
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["journal.sqlite", "result.json", "run.toml"]
    )
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_folder_that_is_gone_at_the_end_does_not_take_the_result_along(tmp_path: Path) -> None:
    folder = tmp_path / "run"

    def remove(intermediate_result: Any) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    with pytest.raises(FinishError, match="is its folder gone, or the disk full") as caught:
        minimize(sphere, BOUNDS, budget=30, seed=0, run_dir=folder, callback=remove)
    assert caught.value.result.nfev == 30


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    minimize(sphere, BOUNDS, budget=30, seed=0, run_dir=tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert len(record.read(tmp_path / "disk").ids) == 30


def test_a_name_that_is_too_long_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no run folder can be made") as caught:
        minimize(sphere, BOUNDS, budget=30, run_dir=tmp_path / ("a" * 300))
    assert str(caught.value).count("a" * 300) == 1


def test_run_toml_holds_all_that_repeats_the_run(tmp_path: Path) -> None:
    minimize(
        sphere, BOUNDS, algorithm=PSO(population=3), batch_size=4, lookahead=2, x0=[1, 1, 1],
        budget=np.int64(40), seed=np.int64(0),  # type: ignore[arg-type] # numpy's numbers pass too
        target=0.0, run_dir=tmp_path / "run",
    )  # fmt: skip
    settings = tomllib.loads((tmp_path / "run" / "run.toml").read_text())
    assert settings["set"]["algorithm"]["population"] == 3
    assert (settings["batch_size"], settings["lookahead"], settings["x0"]) == (4, 2, [[1, 1, 1]])
    assert (settings["budget"], settings["seed"], settings["target"]) == (40, 0, 0.0)


class Ending(FunctionProblem):
    """A problem whose end is given."""

    def __init__(self, end: Callable[[], Any]) -> None:
        super().__init__(sphere, Space([Real(-5, 5)] * 3), name="ending")
        self.end = end

    def finish(self, result: Result, folder: Path | None) -> dict[str, Any]:
        found: dict[str, Any] = self.end()
        return found


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: {"fun": 7}, "finish returned 'fun', which the result says already"),
    ],
)
def test_a_failing_end_loses_nothing_of_the_search(
    end: Callable[[], Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(FinishError, match=message) as caught:
        minimize(Ending(end), budget=30, seed=0, run_dir=tmp_path / "run")
    assert caught.value.result.nfev == 30
    kept = json.loads((tmp_path / "run" / "result.json").read_text())
    assert kept["fun"] == caught.value.result.fun


def test_an_end_may_say_anything_that_json_can_or_cannot(tmp_path: Path) -> None:
    end = {"loss": math.nan, "size": np.float32(1.5), "shape": (1, 2)}
    minimize(Ending(lambda: end), budget=30, seed=0, run_dir=tmp_path / "run")
    kept = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (kept["loss"], kept["size"], kept["shape"]) == (None, 1.5, [1, 2])


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    minimize(sphere, BOUNDS, budget=30, seed=0, run_dir=tmp_path / "run")
    assert len(record.read(tmp_path / "run").ids) == 30


def test_a_place_where_no_folder_can_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="no run folder can be made at"):
        minimize(sphere, BOUNDS, budget=30, run_dir=tmp_path / "file" / "run")


def test_a_folder_without_write_permission_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(prefix: str, dir: Path) -> str:  # noqa: A002 - the name in tempfile
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(dir / prefix))

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)  # permissions do not bind root
    with pytest.raises(FolderError, match="you may write to"):
        minimize(sphere, BOUNDS, budget=30, run_dir=tmp_path / "run")


def test_a_folder_whose_lock_cannot_be_taken_asks_for_another(tmp_path: Path) -> None:
    (tmp_path / lock.LOCK).mkdir()  # as good as no permission, which does not bind root
    says = f"{tmp_path} cannot be used: its lock run.lock cannot be taken: .*folder that you may wr"
    for take in (lock.acquire, enter):
        with pytest.raises(FolderError, match=says):
            take(tmp_path)


def test_where_the_system_has_no_locks_every_folder_may_be_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    minimize(sphere, BOUNDS, budget=30, seed=0, run_dir=folder)
    held = lock.acquire(folder)
    assert lock.in_use(folder)
    with pytest.raises(FolderError, match="is in use by a run that goes on"):
        lock.check_unused(folder)
    with pytest.raises(FolderError, match="is in use by a run that goes on"):
        lock.acquire(folder)
    lock.release(folder, held)
    assert not lock.in_use(folder)
    monkeypatch.setattr(lock, "fcntl", None)  # as on Windows
    monkeypatch.delattr(os, "O_NONBLOCK")
    assert lock.in_use(folder)
    lock.check_unused(folder)
    assert len(record.read(folder).ids) == 30
    minimize(sphere, BOUNDS, budget=40, seed=1, run_dir=folder, overwrite=True)
    assert len(record.read(folder).ids) == 40
    assert not (folder / lock.LOCK).exists()


class Plain:
    """An algorithm that is no dataclass."""

    name = "plain"

    def __init__(self) -> None:
        self._of = PSO(population=5)
        self.init, self.ask, self.tell = self._of.init, self._of.ask, self._of.tell


def test_an_algorithm_that_shows_no_settings_has_none_written_down(tmp_path: Path) -> None:
    minimize(sphere, BOUNDS, budget=10, seed=0, run_dir=tmp_path / "a", algorithm=PSO(population=5))
    own: Any = Plain()
    result = minimize(sphere, BOUNDS, budget=10, seed=0, run_dir=tmp_path / "b", algorithm=own)
    of, plain = (tomllib.loads((tmp_path / n / "run.toml").read_text()) for n in "ab")
    assert (of["algorithm"], of["set"]["algorithm"]["population"]) == ("pso", 5)
    assert (plain["algorithm"], plain["set"]) == ("plain", {"algorithm": {}})
    assert (result.algorithm, result.nit) == ("plain", 2)


def test_a_folder_that_cannot_be_finished_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise FolderError("disk full")

    monkeypatch.setattr(Journal, "create", refuse)
    with pytest.raises(FolderError, match="disk full"):
        create(tmp_path / "run", {}, Space([Real(0, 1)]))
    assert not list(tmp_path.iterdir())


def test_free_path_takes_the_next_number(tmp_path: Path) -> None:
    (tmp_path / "a-1").mkdir()
    (tmp_path / "a-2").mkdir()
    assert free_path(tmp_path, "a").name == "a-3"
    assert free_path(tmp_path / "none", "b").name == "b-1"


def test_json_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"a": 1})
    with pytest.raises(FolderError, match="cannot be written"):
        write_json(tmp_path / "none" / "a.json", {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    write_json(path, {"a": [math.nan, np.float32(1), np.arange(2)], "b": (1, {2})})
    assert json.loads(path.read_text()) == {"a": [None, 1.0, [0, 1]], "b": [1, "{2}"]}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]
