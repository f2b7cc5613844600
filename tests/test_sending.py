"""How a problem gets to its workers."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from noisy import BOUNDS

from swarmopt import Recipe, WorkerError, minimize
from swarmopt.types import Matrix

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker can import this file
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


@pytest.mark.slow
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
