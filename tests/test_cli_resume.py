"""swarmopt resume: what it goes on with, what it says, and how it exits."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from swarmopt import minimize, record
from swarmopt.cli import call
from swarmopt.problem import Problem

MODULE = """
import os
from swarmopt import FunctionProblem, Real, Space

stop_at = None
n = 0


def objective(p):
    global n
    if n == stop_at:
        raise KeyboardInterrupt
    n += 1
    return p["a"] ** 2 + p["b"]


def make(size: int = 2, helper: str = "none"):
    def bowl(x):
        global n
        if n == stop_at:
            raise KeyboardInterrupt
        n += 1
        return float(x @ x)

    return FunctionProblem(bowl, Space([Real(-1, 1)] * size), name="made")
"""
SPACE = (
    '[space]\na = {type = "real", low = -1, high = 1}\nb = {type = "integer", low = 0, high = 9}\n'
)


@pytest.fixture(autouse=True)
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmopt.cli.session._draw", lambda *_: None)  # it takes half a second


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user's, in a folder of its own, and where the command is called."""
    name = f"mine_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "space.toml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return __import__(name)


def interrupted(mine: Any, at: int, *arguments: str) -> None:
    mine.stop_at, mine.n = at, 0
    assert call(["run", "--budget", "60", "--algorithm", "pso", *arguments]) == 130
    mine.stop_at, mine.n = None, 0


def test_an_interrupted_run_goes_on_as_the_message_says(
    mine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ("--problem", f"{mine.__name__}:objective")
    interrupted(mine, 31, *own, "--config", "space.toml", "--out", "a", "--seed", "7")
    command = f"swarmopt resume a --problem {mine.__name__}:objective"
    assert f"the record of 31 evaluations is kept in a; go on with: {command}\n" in (
        capsys.readouterr().err
    )
    assert call(["resume", "a"]) == 2
    assert command in capsys.readouterr().err
    assert call(command.split()[1:]) == 0
    assert mine.n == 29
    assert "60 evaluations" in capsys.readouterr().out
    assert call(["run", "--budget", "60", "--algorithm", "pso", "--seed", "7", *own,
                 "--config", "space.toml", "--out", "b"]) == 0  # fmt: skip
    assert record.read(Path("a")).digest == record.read(Path("b")).digest
    assert (
        json.loads(Path("a/result.json").read_text())["x"]
        == (json.loads(Path("b/result.json").read_text())["x"])
    )


def test_settings_that_name_code_are_named_again(
    mine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    own = ("--problem", f"{mine.__name__}:make", "--set", "helper=os:getcwd")
    interrupted(mine, 31, *own, "--set", "size=3", "--out", "a")
    capsys.readouterr()
    assert call(["resume", "a", *own[:2]]) == 2
    command = f"swarmopt resume a --problem {mine.__name__}:make --set helper=os:getcwd"
    assert command in capsys.readouterr().err
    assert call(["resume", "a", *own[:2], "--set", "helper=os:listdir"]) == 2
    told = "another set.helper: recorded 'os:getcwd', given 'os:listdir'. Give"
    assert told in capsys.readouterr().err
    assert call(["resume", "a", *own, "--set", "other=2"]) == 2
    assert "another set.other: recorded nothing, given 2" in capsys.readouterr().err
    assert call(command.split()[1:]) == 0
    assert record.count(Path("a")) == 60


def test_a_run_of_a_built_in_needs_nothing_and_a_finished_one_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["run", "--problem", "tuning", "--budget", "60", "--out", "a"]) == 0
    before = json.loads(Path("a/result.json").read_text())
    capsys.readouterr()
    assert call(["resume", "a", "--json"]) == 0
    out = capsys.readouterr()
    assert json.loads(out.out) == before
    assert "the run is over" in out.err
    assert "60 evaluations are recorded" in out.err


def test_what_fails_after_the_search_names_the_command_that_does_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Problem, "finish", full)
        assert call(["run", "--problem", "tuning", "--budget", "60", "--out", "a"]) == 1
    said = capsys.readouterr().err
    assert "No space left on device; mend that; this step is done again by: " in said
    command = said.split("by: ")[1].split()
    assert call(command[1:]) == 0
    assert record.count(Path("a")) == 60


def test_a_run_from_python_is_gone_on_with_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    minimize(lambda x: float(x @ x), [(0, 1)], budget=30, run_dir=tmp_path / "run")
    assert call(["resume", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert "was begun from Python" in err
    assert f"minimize(..., run_dir='{tmp_path / 'run'}', resume=True)" in err


@pytest.mark.parametrize("name", ["none", "empty", "letters", "file"])
def test_what_is_no_run_is_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("aunt")
    (tmp_path / "file").write_text("")
    assert call(["resume", str(tmp_path / name)]) == 1
    err = capsys.readouterr().err
    assert "holds no run" in err or "is no run folder" in err
    assert "Traceback" not in err


def test_the_number_of_workers_may_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert call(["run", "--problem", "sphere", "--budget", "60", "--out", "a"]) == 0
    assert call(["resume", "a", "--workers", "0"]) == 0
    assert call(["resume", "a", "--workers", "-1"]) == 2
    assert "workers: expected at least 0" in capsys.readouterr().err
