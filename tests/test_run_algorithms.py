"""Every registered algorithm runs in the loop."""

import math
import time

import numpy as np
import pytest
from objectives import ALGORITHMS, BOUNDS, MIXED, Array, Recorder, mixed, sphere

from swarmopt import (
    Integer,
    Space,
    Stop,
    minimize,
)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_spends_the_budget_exactly(algorithm: str) -> None:
    fun = Recorder(sphere)
    result = minimize(fun, BOUNDS, algorithm=algorithm, budget=137, seed=0)
    assert len(fun.points) == result.nfev == 137
    assert result.status is Stop.BUDGET
    assert result.success
    assert result.fun == min(map(sphere, fun.points)) == sphere(result.x)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_repeats_a_run_bit_by_bit(algorithm: str) -> None:
    first, second = (
        minimize(mixed, MIXED, algorithm=algorithm, budget=200, seed=5, history="all")
        for _ in range(2)
    )
    assert np.array_equal(first.history.x, second.history.x)
    assert first.fun == second.fun
    other = minimize(mixed, MIXED, algorithm=algorithm, budget=200, seed=6, history="all")
    assert not np.array_equal(first.history.x, other.history.x)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_survives_failures_and_constraints(algorithm: str) -> None:
    def fun(x: Array) -> tuple[float, float]:
        if x[0] > 3:
            raise RuntimeError("broken region")
        if x[1] > 3:
            return math.nan, 0.0
        return sphere(x), max(0.0, 1.5 - x[2])

    result = minimize(fun, BOUNDS, algorithm=algorithm, budget=600, seed=1)
    assert result.success
    assert result.x[2] >= 1.5
    assert result.violation == 0
    assert result.nfev == 600
    assert result.n_failed > 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_takes_a_batch_that_the_time_limit_cut(algorithm: str) -> None:
    def slow(x: Array) -> float:
        time.sleep(0.002)
        cost: float = sphere(x)
        return cost

    result = minimize(slow, BOUNDS, max_time=0.05, seed=0, algorithm=algorithm)
    assert result.status is Stop.TIME
    assert result.success


@pytest.mark.parametrize("lookahead", [1, 3])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_lookahead_keeps_budget_and_order(algorithm: str, lookahead: int) -> None:
    first, second = (
        minimize(mixed, MIXED, algorithm=algorithm, budget=150, seed=5, lookahead=lookahead,
                 history="all")
        for _ in range(2)
    )  # fmt: skip
    assert first.nfev == 150
    assert np.array_equal(first.history.x, second.history.x)
    tiny = Space([Integer(0, 3), Integer(0, 2)])
    ended = minimize(lambda x: float(x.sum()), tiny, budget=500, seed=0, lookahead=lookahead,
                     algorithm=algorithm)  # fmt: skip
    assert ended.status in (Stop.EXHAUSTED, Stop.STALLED)
