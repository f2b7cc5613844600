"""A Dask cluster of real processes: the same results, and what is said where it is not right."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
from dask_processes import free_port, start_dask, wait_for_scheduler

from swarmopt import Evaluation, FunctionProblem, Problem, Real, Seeds, Space, WorkerError, minimize
from swarmopt.evaluate.cluster import Cluster
from swarmopt.evaluate.cluster_worker import differences
from swarmopt.evaluate.evaluator import Work
from swarmopt.evaluate.resources import Resources
from swarmopt.types import Matrix

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker can import this file
SPACE = Space([Real(-1, 1)] * 3)


class Noisy(Problem):
    """Draws from its seeds, fails by chance, and takes longer for some points than for others."""

    name = "noisy"
    space = SPACE

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
        draw = seeds.rng(0).random()
        time.sleep(0.001 * (hash(draw) % 7))
        if draw < 0.05:
            raise RuntimeError("unlucky")
        return Evaluation((x**2).sum(axis=1) + draw)


def trajectory(problem: Problem, **where: Any) -> tuple[Any, ...]:
    result = minimize(problem, budget=60, seed=3, history="all", lookahead=1, **where)
    return result.history.x.tobytes(), result.history.cost.tobytes(), result.nfev, result.n_failed


def work(n: int) -> Work:
    x = np.linspace(-1, 1, 3 * n).reshape(n, 3)
    return Work(1, np.arange(n), x, Seeds(7, range(n)), np.inf)


@pytest.mark.slow
def test_a_cluster_tells_what_one_process_tells_bit_for_bit(dask_cluster: str) -> None:
    assert trajectory(Noisy(), cluster=dask_cluster) == trajectory(Noisy())


@pytest.mark.slow
def test_a_killed_dask_worker_loses_no_evaluation(dask_cluster: str, tmp_path: Path) -> None:
    def fragile(x: Matrix) -> float:
        flag = tmp_path / "killed"
        if abs(x[0]) > 0.5 and not flag.exists():
            flag.touch()
            os.kill(os.getppid(), signal.SIGKILL)  # the Dask worker that this process serves
            time.sleep(30)
        return float(x @ x)

    problem = FunctionProblem(fragile, SPACE)
    assert trajectory(problem, cluster=dask_cluster) == trajectory(problem)
    assert (tmp_path / "killed").exists()


@pytest.mark.slow
def test_drop_forgets_what_no_dask_worker_has_begun(dask_cluster: str) -> None:
    def slow(x: Matrix) -> float:
        time.sleep(0.2)
        return 1.0

    with Cluster(FunctionProblem(slow, SPACE), Resources(cluster=dask_cluster)) as cluster:
        cluster.submit(work(40))
        cluster.wait()
        cluster.drop()
        n = 0
        while cluster.busy:
            n += len(cluster.wait().rows)
    assert n <= 4


@pytest.mark.slow
def test_our_processes_leave_the_cluster_with_the_driver(dask_cluster: str, tmp_path: Path) -> None:
    def seen(x: Matrix) -> float:
        (tmp_path / str(os.getpid())).touch()
        return 1.0

    minimize(seen, [(-1, 1)] * 3, cluster=dask_cluster, budget=20)
    end = time.monotonic() + 20
    while any(Path(f"/proc/{path.name}").exists() for path in tmp_path.iterdir()):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
def test_what_a_worker_cannot_import_is_named(
    dask_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_here.py").write_text("def fun(x):\n    return 1.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    with pytest.raises(WorkerError, match=r"(?s)No module named 'only_here'.*must be installed"):
        minimize(only_here.fun, [(-1, 1)] * 3, cluster=dask_cluster, budget=20)


@pytest.mark.slow
@pytest.mark.parametrize("there", ["", "1.0"])
def test_packages_that_differ_on_a_worker_are_named(
    dask_cluster: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str
) -> None:
    """The driver has a package that the workers lack; numpy stands for one they have otherwise."""
    name = "numpy" if there else "swarmopt-imagined"
    about = tmp_path / f"{name.replace('-', '_')}-2.5.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 2.5\n")
    monkeypatch.syspath_prepend(tmp_path)
    problem = Noisy()
    problem.distributions = (name,)
    expected = "and [0-9.]+ on the worker" if there else "and not installed on the worker"
    with pytest.raises(WorkerError, match=f"{name} is 2.5 here, {expected}"):
        minimize(problem, cluster=dask_cluster, budget=20)


def test_a_package_that_the_driver_lacks_is_not_asked_of_workers() -> None:
    here = {"a": "1", "b": "2", "c": ""}
    assert differences(here, {"a": "1", "b": "2", "c": None}) == []
    assert differences(here, {"a": "1", "b": "3"}) == ["b is 2 here, and 3 on the worker"]


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(WorkerError, match=r"pip install 'swarmopt\[dask\]'"):
        minimize(Noisy(), cluster="tcp://127.0.0.1:1", budget=20)


@pytest.mark.slow
def test_a_cluster_without_workers_is_told_of_and_a_lost_scheduler_is_an_error() -> None:
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = start_dask("scheduler", "--host", "127.0.0.1", "--port", str(port))
    try:
        wait_for_scheduler(port)
        with pytest.warns(RuntimeWarning, match="has no workers yet"):
            cluster = Cluster(Noisy(), Resources(cluster=address))
        with cluster:
            cluster.submit(work(3))
            scheduler.kill()
            with pytest.raises(WorkerError, match=r"connection .* is lost, with 3 evaluations"):
                cluster.wait()
    finally:
        scheduler.kill()
        scheduler.wait()
