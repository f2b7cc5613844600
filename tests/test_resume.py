"""A run that goes on: the same points from the same record, and nothing evaluated twice."""

import json
import math
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from swarmopt import (
    AllFailedError,
    Categorical,
    Evaluation,
    FinishError,
    FolderError,
    FunctionProblem,
    Integer,
    Real,
    Result,
    Seeds,
    SettingError,
    Space,
    Step,
    Stop,
    minimize,
    record,
    schema,
)
from swarmopt import space as space_room
from swarmopt.algorithms import PSO
from swarmopt.folder import create
from swarmopt.plugins import installed
from swarmopt.rows import meta_crc

Array = NDArray[np.float64]
BOUNDS = [(-5.0, 5.0)] * 3
FINITE = Space(a=Integer(0, 9), b=Categorical(["x", "y", "z"]), c=Integer(-3, 3))
ALGORITHMS = [
    name if name == "ga" else pytest.param(name, marks=pytest.mark.slow)
    for name in sorted(installed().entries["algorithm"])
]
OLD = Path(__file__).parent / "data" / "journal-schema-1.sqlite"


class Bowl:
    """An objective that fails now and then, counts its calls, and is interrupted after some."""

    __name__ = "bowl"

    def __init__(self, interrupt_at: int | None = None) -> None:
        self.points: list[tuple[Any, ...]] = []
        self.interrupt_at = interrupt_at

    def __call__(self, p: Any) -> tuple[float, float]:
        if len(self.points) == self.interrupt_at:
            raise KeyboardInterrupt
        self.points.append(tuple(p.values()) if isinstance(p, dict) else tuple(p))
        if isinstance(p, dict):
            return p["a"] + (p["b"] == "x") + abs(p["c"]), 0.0
        if p[0] > 4:
            raise RuntimeError("too far")
        return float(p @ p) if p[1] < 4 else math.nan, max(0.0, float(p[2]) - 2)


def start(folder: Path, at: int, space: Any = BOUNDS, **settings: Any) -> Bowl:
    """Leave a run that was interrupted in its evaluation number `at`."""
    fun = Bowl(at)
    with pytest.raises(KeyboardInterrupt):
        minimize(fun, space, run_dir=folder, seed=4, **settings)
    return fun


def resume(folder: Path, space: Any = BOUNDS, **settings: Any) -> tuple[Result, Bowl]:
    fun = Bowl()
    return minimize(fun, space, run_dir=folder, resume=True, **settings), fun


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("space", "settings"),
    [
        (BOUNDS, {"lookahead": 0}),
        (BOUNDS, {"lookahead": 2, "batch_size": 7, "x0": [[1.0, 1.0, 1.0]]}),
        (FINITE, {"lookahead": 1}),
    ],
    ids=["plain", "ahead", "cached"],
)
def test_an_interrupted_run_ends_as_if_it_had_not_been(
    algorithm: str, space: Any, settings: dict[str, Any], tmp_path: Path
) -> None:
    settings = {"algorithm": algorithm, "budget": 90, "history": "all", **settings}
    whole = minimize(Bowl(), space, run_dir=tmp_path / "a", seed=4, **settings)
    first = start(tmp_path / "b", 41, space, **settings)
    result, second = resume(tmp_path / "b", space, **settings)
    assert len(first.points) + len(second.points) == whole.nfev
    assert np.array_equal(result.history.x, whole.history.x)
    assert np.array_equal(result.history.cost, whole.history.cost, equal_nan=True)
    for name in ("fun", "violation", "nfev", "nit", "n_failed", "n_cached", "status", "message"):
        assert getattr(result, name) == getattr(whole, name)
    assert result.history.best == whole.history.best
    a, b = record.read(tmp_path / "a"), record.read(tmp_path / "b")
    assert a.digest == b.digest
    assert np.array_equal(a.x, b.x)


def test_a_run_may_be_interrupted_again_and_again(tmp_path: Path) -> None:
    whole = minimize(Bowl(), BOUNDS, run_dir=tmp_path / "a", seed=4, budget=60)
    start(tmp_path / "b", 7, budget=60)
    n = 7
    for more in (1, 11, 3, 20):
        fun = Bowl(more)
        with pytest.raises(KeyboardInterrupt):
            minimize(fun, BOUNDS, run_dir=tmp_path / "b", resume=True, budget=60)
        n += more
        assert record.count(tmp_path / "b") == n
    result, last = resume(tmp_path / "b", budget=60)
    assert len(last.points) == 60 - n
    assert result.fun == whole.fun
    assert record.read(tmp_path / "b").digest == record.read(tmp_path / "a").digest


class Drawn(FunctionProblem):
    """A noisy problem, whose draws belong to the id of a candidate."""

    def __init__(self, interrupt_at: int | None = None) -> None:
        super().__init__(Bowl(), Space([Real(-5, 5)] * 3), name="drawn", noisy=True)
        self.left = interrupt_at

    def evaluate(self, x: Array, seeds: Seeds, bound: float) -> Evaluation:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        return Evaluation((x**2).sum(axis=1) + seeds.rng(0).random())


def test_what_an_evaluation_draws_is_the_same_after_an_interruption(tmp_path: Path) -> None:
    whole = minimize(Drawn(), budget=60, seed=1, algorithm="pso", run_dir=tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        minimize(Drawn(29), budget=60, seed=1, algorithm="pso", run_dir=tmp_path / "b")
    result = minimize(Drawn(), budget=60, algorithm="pso", run_dir=tmp_path / "b", resume=True)
    assert result.fun == whole.fun
    assert record.read(tmp_path / "a").digest == record.read(tmp_path / "b").digest


def test_a_finished_run_is_answered_from_its_record(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    whole = minimize(Bowl(), BOUNDS, run_dir=folder, seed=4, budget=60)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    result, fun = resume(folder, budget=60)
    assert not fun.points
    assert repr(result) == repr(whole)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    (folder / "result.json").unlink()
    resume(folder, budget=60)
    assert (folder / "result.json").read_bytes() == before["result.json"]


class Ending(FunctionProblem):
    """A problem whose end fails at first, and counts."""

    def __init__(self, fails: int) -> None:
        super().__init__(Bowl(), Space([Real(-5, 5)] * 3), name="ending")
        self.fails = fails
        self.n = 0

    def finish(self, result: Result, folder: Path | None) -> Mapping[str, Any]:
        self.n += 1
        if self.n <= self.fails:
            raise RuntimeError("the disk is full")
        return {"size": np.float32(1.5), "best": result.fun}


def test_an_end_that_was_interrupted_is_done_again_and_one_that_was_not_is_not(
    tmp_path: Path,
) -> None:
    problem = Ending(fails=1)
    with pytest.raises(FinishError, match="the disk is full"):
        minimize(problem, budget=30, seed=0, run_dir=tmp_path / "run")
    result = minimize(problem, budget=30, run_dir=tmp_path / "run", resume=True)
    assert problem.n == 2
    assert result.report["best"] == result.fun
    kept = json.loads((tmp_path / "run" / "result.json").read_text())
    assert kept["size"] == 1.5
    again = minimize(Ending(9), budget=30, run_dir=tmp_path / "run", resume=True)
    assert again.report == {"size": 1.5, "best": result.fun}


def test_a_run_begins_where_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("none", "empty"):
        result, fun = resume(tmp_path / name, budget=30)
        assert len(fun.points) == result.nfev == 30


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


def test_where_evaluations_run_may_change(tmp_path: Path) -> None:
    start(tmp_path / "run", 31, budget=60, threads=1)
    result, _ = resume(tmp_path / "run", budget=60, threads=2)
    assert result.nfev == 60


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


def test_callbacks_see_the_steps_that_are_replayed(tmp_path: Path) -> None:
    steps: list[Step] = []

    def listen(intermediate_result: Step) -> None:
        steps.append(intermediate_result)

    whole = minimize(Bowl(), BOUNDS, run_dir=tmp_path / "a", seed=4, budget=60, callback=listen)
    first, steps = steps, []
    start(tmp_path / "b", 35, budget=60)
    resume(tmp_path / "b", budget=60, callback=listen)
    assert [step.nfev for step in steps] == [step.nfev for step in first]
    assert [step.fun for step in steps] == whole.history.best
    replayed = [step.replayed for step in steps]
    assert replayed == sorted(replayed, reverse=True)
    assert replayed[0]
    assert not replayed[-1]
    assert not any(step.replayed for step in first)


def test_a_callback_that_ended_the_run_ends_it_again(tmp_path: Path) -> None:
    def enough(intermediate_result: Step) -> None:
        if intermediate_result.nfev >= 30:
            raise StopIteration

    whole = minimize(Bowl(), BOUNDS, run_dir=tmp_path / "a", seed=4, budget=60, callback=enough)
    result, fun = resume(tmp_path / "a", budget=60, callback=enough)
    assert not fun.points
    assert result.status is whole.status is Stop.CALLBACK
    longer, fun = resume(tmp_path / "a", budget=60)
    assert len(fun.points) == 60 - whole.nfev
    assert longer.status is Stop.BUDGET


def test_a_callback_does_not_shorten_a_run_that_is_over(tmp_path: Path) -> None:
    def enough(intermediate_result: Step) -> None:
        if intermediate_result.nfev >= 30:
            raise StopIteration

    minimize(Bowl(), BOUNDS, run_dir=tmp_path / "run", seed=4, budget=60)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    result, fun = resume(tmp_path / "run", budget=60, callback=enough)
    assert not fun.points
    assert (result.nfev, result.status) == (60, Stop.BUDGET)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before
    start(tmp_path / "half", 45, budget=60)
    assert resume(tmp_path / "half", budget=60, callback=enough)[0].status is Stop.CALLBACK


def test_a_first_batch_that_failed_fails_again_with_the_same_words(tmp_path: Path) -> None:
    def broken(x: Array) -> float:
        raise RuntimeError("no such file")

    with pytest.raises(AllFailedError) as first:
        minimize(broken, BOUNDS, budget=60, seed=0, run_dir=tmp_path / "run")
    with pytest.raises(AllFailedError) as second:
        minimize(broken, BOUNDS, budget=60, run_dir=tmp_path / "run", resume=True)
    assert str(second.value) == str(first.value)


class Clock:
    """A clock that evaluations move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def timed(
    clock: Clock, interrupt_at: int | None = None
) -> tuple[Callable[[Array], float], list[Any]]:
    calls: list[Any] = []

    def ticking(x: Array) -> float:
        if len(calls) == interrupt_at:
            raise KeyboardInterrupt
        calls.append(x)
        clock.now += 1.0
        return float(x @ x)

    return ticking, calls


@pytest.mark.parametrize("at", [3, 10, 17])
def test_time_that_was_searched_before_counts(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    settings: dict[str, Any] = {"algorithm": PSO(population=5), "max_time": 24.0}
    fun, calls = timed(clock, at)
    with pytest.raises(KeyboardInterrupt):
        minimize(fun, BOUNDS, run_dir=tmp_path / "run", seed=0, **settings)
    clock.now += 1e6  # nobody searched
    fun, more = timed(clock)
    result = minimize(fun, BOUNDS, run_dir=tmp_path / "run", resume=True, **settings)
    assert len(calls) + len(more) == result.nfev == 24
    assert result.seconds == 24
    assert result.status is Stop.TIME
    assert result.nit == 5  # the last batch was cut
    clock.now += 1e6
    fun, none = timed(clock)
    again = minimize(fun, BOUNDS, run_dir=tmp_path / "run", resume=True, **settings)
    assert not none
    assert repr(again) == repr(result)


@pytest.fixture
def other_processor(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes points differ in the last bit from now on."""
    decode = space_room.Space.decode

    def other(self: Space, unit: Array) -> Array:
        points = decode(self, unit)
        real = self.domain.levels == 0
        points[:, real] = np.nextafter(points[:, real], 0)
        return points

    return lambda: monkeypatch.setattr(space_room.Space, "decode", other)


MIXED = Space(a=Integer(0, 9), b=Categorical(["x", "y", "z"]), c=Real(-3, 3))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("lookahead", [0, 2])
@pytest.mark.parametrize("space", [BOUNDS, MIXED], ids=["real", "mixed"])
def test_a_processor_that_rounds_otherwise_loses_nothing_and_says_so(
    algorithm: str, lookahead: int, *, space: Any, tmp_path: Path,
    other_processor: Callable[[], None], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    settings = {"algorithm": algorithm, "budget": 90, "lookahead": lookahead}
    folder = tmp_path / "run"
    first = start(folder, 41, space, **settings)
    before = record.read(folder)
    other_processor()
    result, second = resume(folder, space, **settings)
    after = record.read(folder)
    assert len(first.points) + len(second.points) == 90
    assert np.array_equal(after.x[:41], before.x)
    assert np.array_equal(after.cost[:41], before.cost, equal_nan=True)
    assert result.message.endswith("resumed, not bit-identical")
    assert "laid over" in caplog.text
    assert "not bit-identical" in json.loads((folder / "result.json").read_text())["message"]
    again, none = resume(folder, space, **settings)
    assert not none.points
    assert repr(again) == repr(result)
    assert record.read(folder).digest == after.digest


def test_a_cached_record_keeps_every_point_where_candidates_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"algorithm": "ga", "budget": 120}
    folder = tmp_path / "run"
    first = start(folder, 71, FINITE, **settings)
    before = record.read(folder)
    decode = space_room.Space.decode
    monkeypatch.setattr(space_room.Space, "decode", lambda self, unit: decode(self, 1 - unit))
    result, second = resume(folder, FINITE, **settings)
    after = record.read(folder)
    assert np.array_equal(after.x[:71], before.x)
    assert len(first.points) + len(second.points) == result.nfev == len(after.ids)
    assert len({*first.points, *second.points}) == len(after.ids)
    assert resume(folder, FINITE, **settings)[1].points == []


def test_a_record_of_the_first_schema_is_read_and_gone_on_with(tmp_path: Path) -> None:
    def bowl(x: Array) -> tuple[float, float]:
        return float((x**2).sum()), max(0.0, float(x[0]))

    settings: dict[str, Any] = {"algorithm": "random-search", "budget": 50, "batch_size": 10}
    bounds = [(-5.0, 5.0)] * 2
    whole = minimize(bowl, bounds, seed=7, **settings)
    folder = create(tmp_path / "run", {**settings, "seed": 7, "lookahead": 0,
                    "set": {"algorithm": {}}}, Space([Real(-5, 5)] * 2))  # fmt: skip
    folder.__exit__(None, None, None)
    shutil.copyfile(OLD, tmp_path / "run" / record.FILE)
    old = record.read(tmp_path / "run")
    assert len(old.ids) == 33
    assert (tmp_path / "run" / record.FILE).read_bytes() == OLD.read_bytes()
    result = minimize(bowl, bounds, run_dir=tmp_path / "run", resume=True, **settings)
    new = record.read(tmp_path / "run")
    assert np.array_equal(new.x[:33], old.x)
    assert np.array_equal(new.cost[:33], old.cost, equal_nan=True)
    assert np.array_equal(new.status[:33], old.status)
    assert result.n_failed == 4
    assert result.nfev == len(new.ids) == 50
    assert result.fun >= whole.fun
    with sqlite3.connect(tmp_path / "run" / record.FILE) as db:
        assert schema.of_file(db, Path("x")) is schema.LATEST
        texts = db.execute("SELECT info FROM evaluation WHERE status = 2").fetchall()
    assert texts == [('{"error": "RuntimeError: broken"}',)] * 4


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
