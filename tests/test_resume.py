"""A run that goes on: the same points from the same record, and nothing evaluated twice."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interrupted import ALGORITHMS, BOUNDS, FINITE, Array, Bowl, resume, start

from swarmopt import (
    AllFailedError,
    Evaluation,
    FinishError,
    FunctionProblem,
    Real,
    Result,
    Seeds,
    Space,
    Step,
    Stop,
    minimize,
    record,
)
from swarmopt.algorithms import PSO


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


def test_where_evaluations_run_may_change(tmp_path: Path) -> None:
    start(tmp_path / "run", 31, budget=60, threads=1)
    result, _ = resume(tmp_path / "run", budget=60, threads=2)
    assert result.nfev == 60


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
