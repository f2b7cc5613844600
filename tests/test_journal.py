"""The record of a run."""

import json
import math
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from objectives import BOUNDS, Array, sphere

from swarmopt import (
    FolderError,
    FunctionProblem,
    Integer,
    Outcome,
    Real,
    Seeds,
    Space,
    Step,
    minimize,
    record,
)
from swarmopt.algorithms import PSO
from swarmopt.evaluation import Evaluation
from swarmopt.journal import Journal


def test_the_record_holds_every_evaluation_exactly(tmp_path: Path) -> None:
    result = minimize(sphere, BOUNDS, budget=120, seed=0, run_dir=tmp_path / "run", history="all")
    found = record.read(str(tmp_path / "run"))
    assert record.count(str(tmp_path / "run")) == 120
    assert np.array_equal(found.x, result.history.x)
    assert np.array_equal(found.cost, result.history.cost)
    assert found.ids.tolist() == list(range(120))
    assert found.names == ("x0", "x1", "x2")
    assert found.cost.min() == result.fun
    assert not found.status.any()


def test_failures_are_recorded_with_their_traceback(tmp_path: Path) -> None:
    def fun(x: Array) -> tuple[float, float]:
        if x[0] > 2:
            raise RuntimeError("too far")
        if x[0] < -2:
            return math.nan, 0.0
        return x[0], max(0.0, x[1])

    minimize(fun, BOUNDS, budget=100, seed=0, run_dir=tmp_path / "run", algorithm="random-search")
    found = record.read(tmp_path / "run")
    raised, lost = found.x[:, 0] > 2, found.x[:, 0] < -2
    assert (found.status[raised] == Outcome.RAISED).all()
    assert (found.status[lost] == Outcome.NONFINITE).all()
    assert (found.status[~raised & ~lost] == Outcome.OK).all()
    assert np.isnan(found.cost[raised | lost]).all()
    inside = ~raised & ~lost
    assert np.array_equal(found.violation[inside], np.maximum(0, found.x[inside, 1]))
    with sqlite3.connect(tmp_path / "run" / record.FILE) as db:
        texts = [row[0] for row in db.execute("SELECT info FROM evaluation WHERE status = 2")]
    assert len(texts) == raised.sum() > 0
    assert all("RuntimeError: too far" in json.loads(text)["error"] for text in texts)


def test_evaluations_are_written_before_the_algorithm_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    seen = []

    def look(intermediate_result: Any) -> None:
        seen.append((len(record.read(folder).ids), intermediate_result.nfev))

    minimize(sphere, BOUNDS, budget=60, seed=0, run_dir=folder, callback=look)
    assert len(seen) > 2
    assert all(recorded == told for recorded, told in seen)


def test_what_has_finished_is_on_disk_soon_though_the_next_evaluation_takes_long(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    seen = []

    def fun(x: Array) -> float:
        seen.append(record.count(folder))
        if len(seen) == 5:
            deadline = time.monotonic() + 60
            while record.count(folder) < 4 and time.monotonic() < deadline:
                time.sleep(0.05)
            seen.append(record.count(folder))
            raise KeyboardInterrupt
        return float(sphere(x))

    with pytest.raises(KeyboardInterrupt):
        minimize(fun, BOUNDS, algorithm=PSO(population=9), budget=60, seed=0, run_dir=folder)
    assert seen[-1] == 4


def test_an_interrupted_run_keeps_what_was_evaluated(tmp_path: Path) -> None:
    calls = []

    def fun(x: Array) -> float:
        calls.append(x)
        if len(calls) == 33:
            raise KeyboardInterrupt
        return float(sphere(x))

    with pytest.raises(KeyboardInterrupt):
        minimize(fun, BOUNDS, budget=100, run_dir=tmp_path / "run", seed=0)
    found = record.read(tmp_path / "run")
    assert np.array_equal(found.x, np.array(calls[:32]))


def test_an_objective_error_keeps_what_was_evaluated(tmp_path: Path) -> None:
    calls = []

    def fun(x: Array) -> Any:
        calls.append(x)
        return sphere(x) if len(calls) < 3 else (1.0, -1.0)

    with pytest.raises(ValueError, match="violations >= 0"):
        minimize(fun, BOUNDS, budget=100, run_dir=tmp_path / "run", seed=0)
    assert len(record.read(tmp_path / "run").ids) == 2


def made(folder: Path, space: Space) -> Journal:
    Journal.create(folder, space, "test", {})
    return Journal.open(folder, {})


def digests(folder: Path) -> list[bytes]:
    with sqlite3.connect(folder / record.FILE) as db:
        return [row[0] for row in db.execute("SELECT digest FROM batch ORDER BY number")]


def test_equal_runs_have_equal_digests_and_others_differ_from_the_first_batch(
    tmp_path: Path,
) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        minimize(sphere, BOUNDS, budget=60, seed=seed, run_dir=tmp_path / name)
    a, b, c = (digests(tmp_path / name) for name in "abc")
    assert a == b
    assert len(set(a)) == len(a)
    assert not set(a) & set(c)


def test_the_digest_is_the_same_in_parts_as_at_once(tmp_path: Path) -> None:
    space = Space([Real(0, 1), Integer(0, 3)])
    x = np.array([[0.5, 1.0], [0.25, 3.0]])
    cost = np.array([1.0, 2.0])
    for name, parts in (("whole", [slice(0, 2)]), ("parts", [slice(0, 1), slice(1, 2)])):
        (tmp_path / name).mkdir()
        with made(tmp_path / name, space) as journal:
            for rows in parts:
                journal.add(0, np.arange(2)[rows], x[rows], Evaluation(cost[rows]))
            journal.close_batch(0, range(2), 0.0)
    assert digests(tmp_path / "whole") == digests(tmp_path / "parts")


def test_a_full_disk_is_one_clear_error_and_what_was_written_stays(tmp_path: Path) -> None:
    def write(journal: Journal, number: int) -> None:
        ids = range(number, number + 1)
        journal.add(number, np.array(ids), np.zeros((1, 1)), Evaluation(np.full(1, float(number))))
        journal.close_batch(number, ids, 0.0)

    def write_until_full(journal: Journal) -> None:
        journal._db.execute("PRAGMA max_page_count = 1")
        for number in range(1, 2000):
            write(journal, number)

    with made(tmp_path, Space([Real(0, 1)])) as journal:
        write(journal, 0)
        with pytest.raises(FolderError, match="before is kept; free some space, then go on"):
            write_until_full(journal)
    assert record.read(tmp_path).cost[0] == 0


def test_only_a_full_disk_is_told_to_get_more_space(tmp_path: Path) -> None:
    def write(journal: Journal) -> None:
        journal.add(0, np.array([0]), np.zeros((1, 1)), Evaluation(np.zeros(1)))

    def forbid(journal: Journal) -> None:
        journal._db.execute("PRAGMA query_only = 1")
        write(journal)

    def twice(journal: Journal) -> None:
        write(journal)
        write(journal)

    for spoil, advice in (
        (twice, "another process has written to it, end that one and go on with"),
        (forbid, "make it writable, then go on with"),
    ):
        folder = tmp_path / spoil.__name__
        folder.mkdir()
        with (
            pytest.raises(FolderError, match=f"is kept; {advice}") as caught,
            made(folder, Space([Real(0, 1)])) as journal,
        ):
            spoil(journal)
        assert "space" not in str(caught.value)


def test_reading_what_is_no_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="holds no record of a run"):
        record.read(tmp_path)
    (tmp_path / record.FILE).write_text("not a database, just text that is long enough " * 9)
    with pytest.raises(FolderError, match="cannot be read"):
        record.read(tmp_path)


class Telling(FunctionProblem):
    """Says of each point what it was, and nothing of some batches."""

    def evaluate(self, x: Array, seeds: Seeds, bound: float) -> Evaluation:
        found = super().evaluate(x, seeds, bound)
        info = [{"first": float(row[0])} for row in x] if x[0, 0] > 0 else ()
        return Evaluation(found.cost, info=info)


def test_what_a_problem_says_of_a_point_is_in_the_history_also_of_a_resumed_run(
    tmp_path: Path,
) -> None:
    problem = Telling(sphere, Space([Real(*each) for each in BOUNDS]))
    folder = tmp_path / "run"
    settings: dict[str, Any] = {"budget": 90, "seed": 0, "workers": 0, "run_dir": folder}

    def stop(intermediate_result: Step) -> None:
        if intermediate_result.nfev >= 40:
            raise StopIteration

    assert minimize(problem, **settings, callback=stop).nfev < 90
    whole = minimize(problem, **settings, history="all", resume=True).history
    assert len(whole.info) == len(whole.x) == 90
    told = [row for row in whole.info if row]
    assert 0 < len(told) < 90
    assert all(
        not said or said == {"first": x[0]} for said, x in zip(whole.info, whole.x, strict=True)
    )
    assert minimize(problem, budget=40, seed=0).history.info == []
