"""What an evaluation can do to its worker, and what is left of it then."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import faulty
import numpy as np
import pytest
from noisy import GUARD, SPACE, Noisy, collect, wait_until, work

from swarmopt import Evaluation, FunctionProblem, Outcome, Real, Seeds, Space, WorkerError, minimize
from swarmopt.evaluate.crew import Crew
from swarmopt.evaluate.evaluator import Work
from swarmopt.evaluate.pieces import Piece
from swarmopt.evaluate.pool import Pool
from swarmopt.evaluate.resources import Resources
from swarmopt.evaluate.sending import pack
from swarmopt.types import Matrix

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker can import this file


def alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def evaluating(crew: Crew) -> list[int]:
    """Return the processes that evaluate what has cost less than two workers so far."""
    at_work = [(r.pid, r.piece) for r in list(crew._residents)]
    return [pid for pid, piece in at_work if piece is not None and piece.n_lost < 2]


@pytest.fixture(scope="module")
def crew() -> Iterator[Crew]:
    """Two workers of a problem that hangs, dies, raises or answers, as its point says."""

    def act(x: Matrix) -> float:
        kind = {1: "dies", 2: "hangs-deaf", 3: "raises", 4: "segfault"}.get(int(x[0]))
        return float(faulty.FAULTS[kind]() if kind else os.getpid())

    cloudpickle.register_pickle_by_value(faulty)
    packed = pack(FunctionProblem(act, Space([Real(0, 9)] * 3)))
    cloudpickle.unregister_pickle_by_value(faulty)
    crew = Crew(packed, names=["a", "b"], timeout=0.6)
    yield crew
    crew.close()


def give(crew: Crew, *values: float) -> None:
    for i, value in enumerate(values):
        one = Work(1, np.array([i]), np.full((1, 3), value), Seeds(1, (i,)), np.inf)
        crew.submit([Piece(one)])


@pytest.mark.slow
def test_only_the_evaluation_that_kills_or_hangs_its_worker_is_lost(crew: Crew) -> None:
    give(crew, 0, 1, 0, 2, 0, 3, 4, 0)
    kinds: dict[int, str] = {}
    while crew.busy:
        piece, reply = crew.wait()
        kinds[int(piece.work.rows[0])] = type(reply).__name__
    assert [kinds[i] for i in range(8)] == [
        "Evaluation", "Lost", "Evaluation", "TimedOut", "Evaluation", "Evaluation", "Lost",
        "Evaluation",
    ]  # fmt: skip


def test_what_a_dead_worker_says_is_how_it_died(crew: Crew) -> None:
    give(crew, 1, 4)
    reasons = {crew.wait()[1].text for _ in range(2)}  # type: ignore[union-attr]
    assert reasons == {"exited with code 7", "was ended by SIGSEGV"}


def test_a_worker_that_is_killed_while_it_is_idle_costs_nothing(crew: Crew) -> None:
    give(crew, 0, 0, 0, 0)
    pids = set()
    while crew.busy:
        pids.update(evaluating(crew))
        crew.wait()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(r.dead for r in crew._residents if r.pid in pids))
    give(crew, 0, 0, 0)
    replies = [crew.wait()[1] for _ in range(3)]
    assert all(isinstance(reply, Evaluation) for reply in replies)


@pytest.mark.slow
def test_a_lost_evaluation_is_tried_again_and_only_its_third_loss_counts(tmp_path: Path) -> None:
    def fragile(x: Matrix) -> float:
        n = len(list(tmp_path.iterdir()))
        if x[0] == -1.0 and n < deaths:
            (tmp_path / str(n)).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return 1.0

    for deaths, outcome in ((2, Outcome.OK), (3, Outcome.LOST)):
        with Pool(FunctionProblem(fragile, SPACE), Resources(workers=1)) as pool:
            pool.submit(work(2))
            found = collect(pool)
        assert (found[0][1], found[1][1]) == (outcome, Outcome.OK)
        assert len(list(tmp_path.iterdir())) == deaths
        for path in tmp_path.iterdir():
            path.unlink()


DRIVER = """
import os, sys, time
from swarmopt import minimize
def slow(x):
    open(os.path.join(sys.argv[1], str(os.getpid())), "w").close()
    {body}
minimize(slow, [(-1, 1)] * 3, workers=2, budget=100, seed=1)
"""
HANG = "while True: time.sleep(0.1)"
HOLD = "import re; re.match('(a+)+b', 'a' * 60)"  # for days, and holds the interpreter's lock


@pytest.mark.slow
@pytest.mark.parametrize("body", [HANG, HOLD], ids=["sleeps", "holds-the-interpreter"])
@pytest.mark.parametrize("ended_by", [signal.SIGKILL, signal.SIGINT])
def test_no_worker_outlives_its_driver(tmp_path: Path, ended_by: signal.Signals, body: str) -> None:
    script, seen = tmp_path / "driver.py", tmp_path / "seen"
    seen.mkdir()
    script.write_text(DRIVER.format(body=body))
    arguments = [sys.executable, str(script), str(seen)]
    with subprocess.Popen(arguments, stderr=subprocess.DEVNULL) as driver:
        wait_until(lambda: len(list(seen.iterdir())) == 2)
        pids = [int(path.name) for path in seen.iterdir()]
        driver.send_signal(ended_by)
        driver.wait(GUARD)
    wait_until(lambda: not any(map(alive, pids)))


@pytest.mark.slow
def test_what_an_evaluation_started_ends_with_it(tmp_path: Path) -> None:
    def starts(x: Matrix) -> float:
        child = subprocess.Popen(["sleep", "1000"])  # noqa: S607 - a test
        (tmp_path / str(child.pid)).touch()
        time.sleep(1000)
        return 1.0

    resources = Resources(workers=1, eval_timeout=0.5)
    with Pool(FunctionProblem(starts, SPACE), resources) as pool:
        pool.submit(work(1))
        assert collect(pool)[0][1] == Outcome.TIMEOUT
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == 2  # tried once more
    wait_until(lambda: not any(map(alive, pids)))


@pytest.mark.slow
def test_a_death_is_noticed_where_a_child_keeps_the_pipe_open() -> None:
    def forks(x: Matrix) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if os.fork() == 0:
                os.setsid()  # not killed with its parent
                time.sleep(20)
                os._exit(0)
        os._exit(5)

    with Pool(FunctionProblem(forks, SPACE), Resources(workers=1)) as pool:
        pool.submit(work(1))
        assert collect(pool)[0][1] == Outcome.LOST


@pytest.mark.slow
def test_a_hundred_megabytes_of_output_are_cut(tmp_path: Path) -> None:
    code = (
        "from faulty import Faulty; from swarmopt import minimize; "
        "print(minimize(Faulty(kind='prints'), workers=1, budget=60, seed=1).n_failed)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    assert done.stdout == "0\n"  # and nothing of what was printed
    assert 10_000 <= len(done.stderr) < 11_000
    assert "more than 10,000 bytes" in done.stderr


@pytest.mark.slow
def test_every_evaluation_is_accounted_for_when_workers_are_killed_at_random() -> None:
    kills = 20
    resources = Resources(workers=2)
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    with Pool(Noisy(0.005), resources) as pool:

        def kill() -> None:
            rng = np.random.default_rng(1)
            while ended.qsize() < kills:
                time.sleep(rng.uniform(0.05, 0.3))
                for pid in evaluating(pool._crew)[:1]:
                    os.kill(pid, signal.SIGKILL)
                    ended.put(pid)

        killer = threading.Thread(target=kill)
        killer.start()
        found = {}
        first = 0
        while killer.is_alive():
            pool.submit(work(20, first=first))
            found.update({first + row: value for row, value in collect(pool).items()})
            first += 20
        killer.join()
    assert sorted(found) == list(range(first))
    assert ended.qsize() == kills
    assert Outcome.LOST not in {outcome for _, outcome in found.values()}


def test_a_process_that_cannot_be_started_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(WorkerError, match=r"worker 0 cannot be started: .*/nowhere/python"):
        minimize(Noisy(0), budget=20, workers=1)
