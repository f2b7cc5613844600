"""Workers on this machine tell what one process tells, with the resources they are given."""

import re
import sys
from typing import Any

import cloudpickle
import numpy as np
import pytest
from faulty import Faulty
from noisy import BOUNDS, SPACE, Noisy, collect, work
from threadpoolctl import threadpool_info, threadpool_limits

from swarmopt import (
    AllFailedError,
    Evaluation,
    ObjectiveError,
    Problem,
    Seeds,
    SettingError,
    minimize,
)
from swarmopt.evaluate.in_process import InProcess
from swarmopt.evaluate.pool import Pool
from swarmopt.evaluate.resources import Resources
from swarmopt.evaluate.threads import pinned
from swarmopt.types import Matrix

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker can import this file


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
        with pytest.warns(RuntimeWarning, match=r"3 workers, but 2 evaluations at once: 1 stays"):
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
    seen = Seen()
    assert minimize(seen, budget=20, seed=1).nfev == 20
    assert not seen.here
    assert minimize(seen, budget=20, seed=1, workers=0).nfev == 20
    assert seen.here


class Seen(Problem):
    """Notes that it evaluates in the process that made it."""

    name = "seen"
    default_workers = 1

    def __init__(self) -> None:
        self.space = SPACE
        self.here = False

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
        self.here = True
        return Evaluation((x**2).sum(axis=1))


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
