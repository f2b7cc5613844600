"""Workers on this machine: what they tell, and what an evaluation can do to them."""

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import faulty
import numpy as np
import pytest
from faulty import Faulty
from threadpoolctl import threadpool_info, threadpool_limits

from swarmopt import (
    AllFailedError,
    Evaluation,
    FunctionProblem,
    ObjectiveError,
    Outcome,
    Problem,
    Real,
    Recipe,
    Seeds,
    SettingError,
    Space,
    WorkerError,
    minimize,
)
from swarmopt.evaluate.crew import Crew
from swarmopt.evaluate.evaluator import Finished, Work
from swarmopt.evaluate.in_process import InProcess
from swarmopt.evaluate.pieces import Piece
from swarmopt.evaluate.pool import Pool
from swarmopt.evaluate.resources import Resources
from swarmopt.evaluate.sending import pack
from swarmopt.evaluate.threads import pinned
from swarmopt.types import Matrix

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker can import this file
BOUNDS = [(-1.0, 1.0)] * 3
SPACE = Space([Real(-1, 1)] * 3)
GUARD = 20.0  # seconds that nothing here comes near


def work(n: int, *, first: int = 0, batch: int = 1) -> Work:
    x = np.linspace(-1, 1, 3 * n).reshape(n, 3)
    return Work(batch, np.arange(n), x, Seeds(7, range(first, first + n)), np.inf)


def collect(evaluator: Any) -> dict[int, tuple[float, int]]:
    """Return the cost and outcome of everything that finishes, by row."""
    found: dict[int, tuple[float, int]] = {}
    while evaluator.busy:
        finished: Finished = evaluator.wait()
        rows = zip(finished.evaluation.cost, finished.evaluation.outcome, strict=True)
        found.update(zip(finished.rows.tolist(), rows, strict=True))
    return found


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


def wait_until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + GUARD
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.02)


class Noisy(Problem):
    """Draws from its seeds, and takes longer for some points than for others."""

    name = "noisy"

    def __init__(self, delay: float) -> None:
        self.space = Space([Real(-1, 1)] * 3)
        self.delay = delay

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
        draw = seeds.rng(0).random()
        time.sleep(self.delay * (hash(draw) % 7))
        if draw < 0.05:
            raise RuntimeError("unlucky")
        return Evaluation((x**2).sum(axis=1) + draw)


def trajectory(**where: Any) -> tuple[Any, ...]:
    result = minimize(Noisy(0.001), budget=60, seed=3, history="all", lookahead=1, **where)
    return result.history.x.tobytes(), result.history.cost.tobytes(), result.nfev, result.n_failed


def test_two_workers_tell_what_one_process_tells_bit_for_bit() -> None:
    assert trajectory(workers=2) == trajectory()


def test_each_point_of_a_batch_draws_by_its_own_number() -> None:
    problem = Noisy(0)
    whole = work(6, first=40)
    for evaluator in (InProcess(problem), Pool(problem, Resources(workers=1))):
        with evaluator:
            evaluator.submit(whole)
            found = collect(evaluator)
        for i in range(6):
            alone = problem.evaluate(whole.x[i : i + 1], Seeds(7, (40 + i,)), np.inf)
            assert found[i][0] == alone.cost[0]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3, 8])
def test_any_number_of_workers_tells_the_same(workers: int) -> None:
    assert trajectory(workers=workers) == trajectory()


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


@pytest.mark.slow
def test_no_more_workers_are_started_than_there_is_work_for() -> None:
    with Pool(Noisy(0), Resources(workers=5)) as pool:
        pool.submit(work(2))
        with pytest.warns(RuntimeWarning, match="5 workers, but 2 evaluations"):
            pool.wait()
        for batch in range(10):
            collect(pool)
            pool.submit(work(2, batch=batch))
        assert len(pool._crew._residents) <= 2


def test_drop_forgets_what_nobody_has_begun() -> None:
    with Pool(Noisy(0.01), Resources(workers=1)) as pool:
        pool.submit(work(30))
        pool.wait()
        pool.drop()
        assert len(collect(pool)) <= 1
        pool.submit(work(3))
        assert len(collect(pool)) == 3


@pytest.mark.slow
def test_the_time_limit_of_a_run_ends_it_with_the_first_rows_of_a_batch() -> None:
    result = minimize(Noisy(0.01), budget=10_000, max_time=0.3, seed=1, workers=2)
    assert 0 < result.nfev < 10_000


@pytest.mark.slow
def test_a_script_needs_no_guard_and_its_functions_no_module(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from swarmopt import minimize\n"
        "scale = 2\n"
        "class Point:\n    pass\n"
        "def fun(x):\n    Point()\n    return scale * float((x ** 2).sum())\n"
        "print(minimize(fun, [(-1, 1)] * 3, workers=2, budget=40, seed=1).nfev)\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout == "40\n"


RECIPE = """
import os, threading, time
from pathlib import Path
from swarmopt import Evaluation, FunctionProblem, Problem, Real, Recipe, Space

class Resident(Problem):
    name = "resident"
    def __init__(self, *, log, scale=1.0):
        self.space = Space([Real(-1, 1)] * 3)
        self.lock = threading.Lock()  # cannot be sent
        self.log, self.scale = Path(log), scale
        self.recipe = Recipe("resident_problem:Resident", {"log": log, "scale": scale})
    def prepare(self):
        with self.log.open("a") as log:
            log.write(f"{os.getpid()} {os.environ.get('SWARMOPT_WORKER')} {type(self.scale)}\\n")
    def evaluate(self, x, seeds, bound):
        time.sleep(0.01)
        return Evaluation(self.scale * (x ** 2).sum(axis=1))

def nothing():
    return 5

def deadly():
    os._exit(3)

class Broken(Problem):
    name = "broken"
    space = Space([Real(-1, 1)] * 3)
    def __init__(self, recipe):
        self.recipe = recipe
    def evaluate(self, x, seeds, bound):
        return Evaluation(x[:, 0])
"""


@pytest.fixture
def resident(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "resident_problem.py").write_text(RECIPE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "resident_problem", raising=False)
    import resident_problem  # type: ignore[import-not-found]

    return resident_problem


def test_a_recipe_is_made_and_prepared_once_in_each_worker(resident: Any, tmp_path: Path) -> None:
    problem = resident.Resident(log=str(tmp_path / "log"), scale=2)
    result = minimize(problem, workers=2, budget=50, seed=1)
    assert result.nfev == 50
    lines = [line.split(maxsplit=2) for line in (tmp_path / "log").read_text().splitlines()]
    assert [name for _, name, _ in lines if name != "None"] in (["0", "1"], ["1", "0"])
    assert lines[0][:2] == [str(os.getpid()), "None"]  # the driver, and first


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("resident_problem:nothing", "returned int; expected a swarmopt.Problem"),
        ("resident_problem:nobody", "unknown attribute of resident_problem 'nobody'"),
        ("no_such_module:at_all", "No module named 'no_such_module'"),
        ("resident_problem:deadly", "3 workers in a row ended .* exited with code 3"),
    ],
)
def test_a_problem_that_a_worker_cannot_make_is_one_error(
    resident: Any, factory: str, message: str
) -> None:
    with pytest.raises(WorkerError, match=message):
        minimize(resident.Broken(Recipe(factory)), workers=1, budget=50)


def test_an_objective_that_cannot_be_sent_is_named() -> None:
    lock = threading.Lock()

    def locked(x: Matrix) -> float:
        with lock:
            return 1.0

    with pytest.raises(WorkerError, match=r"^locked cannot be sent to a worker: .*lock"):
        minimize(locked, BOUNDS, workers=2, budget=50)


def test_a_population_is_cut_into_chunks_and_never_by_workers() -> None:
    def sizes(x: Matrix) -> Any:
        return np.full(len(x), float(len(x)))

    with pytest.raises(SettingError, match=r"sizes takes a whole population .* set chunk"):
        minimize(sizes, BOUNDS, batch=True, workers=2)
    where: list[dict[str, Any]] = [{}, {"workers": 2}]
    for resources in where:
        result = minimize(
            sizes, BOUNDS, batch=True, budget=20, chunk=8, history="all",
            algorithm="random-search", seed=1, **resources,
        )  # fmt: skip
        assert result.history.cost.tolist() == [8.0] * 16 + [4.0] * 4


def test_a_wrong_shape_ends_the_run_in_the_first_batch_and_is_a_failure_later() -> None:
    with pytest.raises(ObjectiveError, match="faulty: evaluate returned 3 costs for 1 points"):
        minimize(Faulty(kind="wrong-shape", at=0), budget=60, seed=1)
    result = minimize(Faulty(kind="wrong-shape"), budget=60, seed=1)
    assert (result.nfev, result.n_failed, result.success) == (60, 1, True)


def test_a_first_batch_that_fails_on_workers_ends_with_the_first_traceback() -> None:
    def unlucky(x: Matrix) -> float:
        raise RuntimeError("no luck at all")

    with pytest.raises(AllFailedError, match="no luck at all"):
        minimize(unlucky, BOUNDS, workers=1, budget=50)


def test_more_workers_than_points_are_told_of_once() -> None:
    with Pool(Noisy(0), Resources(workers=3)) as pool:
        pool.submit(work(2))
        with pytest.warns(RuntimeWarning, match=r"3 workers, but 2 evaluations at once: 1 stay"):
            pool.wait()
        collect(pool)  # warnings are errors
        pool.submit(work(1))
        collect(pool)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": -1}, "workers: expected at least 0, got -1"),
        ({"workers": 1.5}, "workers: expected a whole number, got 1.5"),
        ({"workers": 2, "cluster": "tcp://a:1"}, "give one of the two"),
        ({"cluster": ""}, "cluster: expected the address"),
        ({"eval_timeout": 0}, "eval_timeout: expected seconds > 0, got 0"),
        ({"eval_timeout": "1"}, "eval_timeout: expected seconds, got '1'"),
        ({"eval_timeout": float("nan")}, "eval_timeout: expected seconds > 0, got nan"),
        ({"eval_timeout": 1.0}, "in this process cannot be ended; set workers=1"),
        ({"threads": 0}, "threads: expected at least 1, got 0"),
        ({"threads": None}, "threads: expected a whole number, got None"),
        ({"chunk": 0}, "chunk: expected at least 1, got 0"),
    ],
)
def test_resources_that_make_no_sense_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=re.escape(message)):
        minimize(Noisy(0), budget=20, **settings)


def test_a_problem_may_want_workers_of_its_own_accord() -> None:
    problem = Noisy(0)
    problem.default_workers = 2
    seen = Seen(problem)
    assert minimize(seen, budget=20, seed=1).nfev == 20
    assert not seen.here
    assert minimize(seen, budget=20, seed=1, workers=0).nfev == 20
    assert seen.here


class Seen(Noisy):
    """Notes that it evaluates in the process that made it."""

    default_workers = 1

    def __init__(self, problem: Noisy) -> None:
        super().__init__(problem.delay)
        self.here = False

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
        self.here = True
        return super().evaluate(x, seeds, bound)


def n_threads() -> float:
    return max((pool["num_threads"] for pool in threadpool_info()), default=1)


def test_threads_are_pinned_here_and_in_workers() -> None:
    def seen(x: Matrix) -> float:
        np.linalg.inv(np.eye(3))
        return float(max(pool["num_threads"] for pool in threadpool_info()))

    for workers, threads in ((0, 1), (0, 2), (1, 1)):
        result = minimize(
            seen, BOUNDS, budget=5, algorithm="random-search", seed=1, workers=workers,
            threads=threads,
        )  # fmt: skip
        assert result.fun == threads
    with threadpool_limits(2):
        with pinned(1):
            assert n_threads() == 1
        assert n_threads() == 2


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
