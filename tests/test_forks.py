"""Objectives that fork, start processes or raise what is no error: they change no cost."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from numpy.typing import NDArray

from swarmopt import Evaluation, FunctionProblem, Outcome, Real, Seeds, Space, minimize, record
from swarmopt.evaluate import cluster_worker
from swarmopt.evaluate.cluster_worker import Terms
from swarmopt.evaluate.crew import Crew
from swarmopt.evaluate.evaluator import Work
from swarmopt.evaluate.faults import Lost
from swarmopt.evaluate.pieces import Piece
from swarmopt.evaluate.sending import pack

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker can import this file
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
BOUNDS = [(-1.0, 1.0)] * 2
SPACE = Space([Real(-1, 1)] * 2)
GUARD = 20.0  # seconds that nothing here comes near
Array = NDArray[np.float64]


def bowl(x: Array) -> float:
    return float((x**2).sum())


def fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a worker has threads
        return os.fork()


def forking(x: Array) -> float:
    """Fork a child that comes out of here, as the point says."""
    if fork() == 0:
        match int(abs(x[0]) * 1e6) % 3:
            case 0:
                return -1.0
            case 1:
                sys.exit(0)
            case _:
                raise KeyboardInterrupt
    time.sleep(0.01)
    return bowl(x)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + GUARD
    while any(map(alive, pids)):
        assert time.monotonic() < end
        time.sleep(0.02)


def work() -> Work:
    return Work(1, np.array([0]), np.zeros((1, 2)), Seeds(1, (0,)), np.inf)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_a_child_that_an_objective_forks_answers_nothing(workers: int, tmp_path: Path) -> None:
    minimize(
        forking,
        BOUNDS,
        budget=12,
        seed=1,
        algorithm="random-search",
        workers=workers,
        run_dir=tmp_path / "run",
    )
    found = record.read(tmp_path / "run")
    assert found.ids.tolist() == list(range(12))
    assert np.array_equal(found.cost, [bowl(x) for x in found.x])


def test_an_answer_to_another_question_costs_the_worker_and_no_cost_is_wrong() -> None:
    crew = Crew(pack(FunctionProblem(bowl, SPACE)), names=["a"])
    try:
        crew.submit([Piece(work())])
        assert isinstance(crew.wait()[1], Evaluation)
        (resident,) = crew._residents
        resident._number += 7
        crew.submit([Piece(work())])
        resident._number += 1
        assert crew.wait()[1] == Lost(
            "answered what it was not asked; does the objective fork processes?"
        )
        wait_until_gone([resident.pid])
        crew.submit([Piece(work())])
        assert isinstance(crew.wait()[1], Evaluation)
    finally:
        crew.close()


class Own(BaseException):
    """Not an Exception."""


KINDS = (asyncio.CancelledError, GeneratorExit, Own)


@pytest.mark.parametrize("workers", [0, 1])
def test_whatever_an_objective_raises_is_a_failure_with_its_traceback(
    workers: int, tmp_path: Path
) -> None:
    def fun(x: Array) -> float:
        if x[0] > 0:
            raise KINDS[int(x[0] * 1e6) % len(KINDS)]("gone")
        return bowl(x)

    result = minimize(
        fun,
        BOUNDS,
        budget=40,
        seed=1,
        algorithm="random-search",
        workers=workers,
        run_dir=tmp_path / "run",
    )
    found = record.read(tmp_path / "run")
    with sqlite3.connect(tmp_path / "run" / record.FILE) as db:
        texts = [text for (text,) in db.execute("SELECT info FROM evaluation WHERE status = 2")]
    db.close()
    assert all(any(f"{kind.__name__}: gone" in text for text in texts) for kind in KINDS)
    assert result.nfev == 40
    assert 0 < result.n_failed == (found.status == Outcome.RAISED).sum()
    assert np.array_equal(found.status == Outcome.RAISED, found.x[:, 0] > 0)


def test_an_objective_that_raises_keyboard_interrupt_ends_no_run_of_workers(
    tmp_path: Path,
) -> None:
    def fun(x: Array) -> float:
        if x[0] > 0:
            raise KeyboardInterrupt
        return bowl(x)

    minimize(fun, BOUNDS, budget=12, seed=1, workers=1, run_dir=tmp_path / "run")
    found = record.read(tmp_path / "run")
    assert np.array_equal(found.status == Outcome.RAISED, found.x[:, 0] > 0)
    with pytest.raises(KeyboardInterrupt):
        minimize(fun, BOUNDS, budget=12, seed=1)


DRIVER = """
import os, subprocess, sys, time
from swarmopt import minimize
def slow(x):
    child = subprocess.Popen(["sleep", "1000"])
    seen = os.path.join(sys.argv[1], str(os.getpid()))
    open(seen + "-" + str(child.pid), "w").close()
    {body}
minimize(slow, [(-1, 1)] * 3, workers=2, budget=100, seed=1)
"""
WAIT = "child.wait()"
HOLD = "import re; re.match('(a+)+b', 'a' * 60)"  # for days, and holds the interpreter's lock


@pytest.mark.slow
@pytest.mark.parametrize("body", [WAIT, HOLD], ids=["waits", "holds-the-interpreter"])
@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGTERM])
def test_what_an_evaluation_started_ends_with_its_driver(
    tmp_path: Path, body: str, ended_by: signal.Signals
) -> None:
    script, seen = tmp_path / "driver.py", tmp_path / "seen"
    seen.mkdir()
    script.write_text(DRIVER.format(body=body))
    command = [sys.executable, str(script), str(seen)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as driver:
        end = time.monotonic() + GUARD
        while len(list(seen.iterdir())) < 2:
            assert time.monotonic() < end
            time.sleep(0.02)
        driver.send_signal(ended_by)
        said = driver.communicate(timeout=GUARD)[1]
    wait_until_gone([int(pid) for path in seen.iterdir() for pid in path.name.split("-")])
    assert not said


@pytest.mark.slow
def test_a_worker_without_a_guardian_takes_what_it_started_along(
    tmp_path: Path,
) -> None:
    def starts(x: Array) -> float:
        child = subprocess.Popen(["sleep", "1000"])  # noqa: S607 - a test
        (tmp_path / str(child.pid)).touch()
        child.wait()
        return 1.0

    crew = Crew(pack(FunctionProblem(starts, SPACE)), names=["a"])
    crew.submit([Piece(work())])
    (resident,) = crew._residents
    end = time.monotonic() + GUARD
    while not list(tmp_path.iterdir()):
        crew._hand_out()
        if not crew._inbox.empty():
            crew._read(*crew._inbox.get())
        assert time.monotonic() < end
        time.sleep(0.02)
    resident._guardian.dismiss()
    resident.ask_to_leave()  # what it sees when the driver is gone
    wait_until_gone([int(path.name) for path in tmp_path.iterdir()])
    crew.close()


@pytest.mark.slow
def test_a_dask_worker_clears_away_the_run_of_a_driver_that_was_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    distributed = pytest.importorskip("distributed")

    class Here:
        name = "here"

    monkeypatch.setattr(distributed, "get_worker", Here)
    monkeypatch.setattr(cluster_worker, "PATIENCE", 0.5)
    packed = pack(FunctionProblem(bowl, SPACE))
    for run in ("one", "two"):
        reply = cluster_worker.evaluate(packed, Terms(run, None, 1, {}), 0, work())
        assert isinstance(reply, Evaluation)
    crews = [crew for run in cluster_worker._runs.values() for crew in run.idle]
    pids = [resident.pid for crew in crews for resident in crew._residents]
    assert len(pids) == 2
    end = time.monotonic() + GUARD
    while cluster_worker._runs or any(Path(f"/proc/{pid}").exists() for pid in pids):  # no zombies
        assert time.monotonic() < end
        time.sleep(0.05)
    reply = cluster_worker.evaluate(packed, Terms("one", None, 1, {}), 1, work())
    assert isinstance(reply, Evaluation)
    cluster_worker.release("one")
