"""Ask and tell."""

from typing import Any, ClassVar

import numpy as np
import pytest

from swarmopt import (
    AllFailedError,
    Categorical,
    Integer,
    ObjectiveError,
    Optimizer,
    Real,
    SettingError,
    Space,
    Stop,
    minimize,
)
from swarmopt.algorithm import Candidates
from swarmopt.algorithms import RandomSearch
from swarmopt.limits import STALLED_AFTER

BOUNDS = [(-5.0, 5.0)] * 3


def sphere(x: Any) -> float:
    return float(((np.asarray(x) - 1) ** 2).sum())


@pytest.mark.parametrize(
    "algorithm", ["ssa", "ssa-classic", "pso", "ga", "de", "abc", "random-search"]
)
def test_ask_and_tell_is_the_same_run_as_minimize(algorithm: str) -> None:
    optimizer = Optimizer(BOUNDS, algorithm=algorithm, seed=4, budget=150)
    while not optimizer.done:
        batch = optimizer.ask()
        optimizer.tell(batch, [sphere(x) for x in batch.x])
    result = minimize(sphere, BOUNDS, algorithm=algorithm, seed=4, budget=150)
    assert optimizer.result.fun == result.fun
    assert np.array_equal(optimizer.result.x, result.x)
    assert optimizer.result.nfev == 150


def test_params_and_ids_belong_to_the_points() -> None:
    space = Space(a=Real(0, 1), b=Categorical(["u", "v"]))
    optimizer = Optimizer(space, seed=0, budget=40)
    ids: list[int] = []
    while not optimizer.done:
        batch = optimizer.ask()
        assert len(batch) == len(batch.x) == len(batch.params) == len(batch.ids)
        assert [p["a"] for p in batch.params] == batch.x[:, 0].tolist()
        ids.extend(batch.ids)
        optimizer.tell(batch, [p["a"] + (p["b"] == "u") for p in batch.params])
    assert ids == list(range(40))
    assert optimizer.result.params["b"] == "v"
    assert optimizer.space is space


def test_constraints_come_as_pairs_or_apart() -> None:
    results = []
    for apart in (True, False):
        optimizer = Optimizer([(0, 10)], seed=1, budget=80)
        while not optimizer.done:
            batch = optimizer.ask()
            cost = -batch.x[:, 0]
            violation = np.maximum(0, batch.x[:, 0] - 2)
            if apart:
                optimizer.tell(batch, cost, violation)
            else:
                optimizer.tell(batch, list(zip(cost, violation, strict=True)))
        results.append(optimizer.result)
    assert results[0].fun == results[1].fun
    assert results[0].violation == 0
    assert 1.5 < results[0].x[0] <= 2


def test_batches_may_be_told_in_any_order_and_reach_the_algorithm_in_theirs() -> None:
    def run(order: list[int]) -> float:
        optimizer = Optimizer(BOUNDS, algorithm="pso", seed=2, budget=240)
        while not optimizer.done:
            asked = []
            for _ in order:
                try:
                    asked.append(optimizer.ask())
                except SettingError:
                    break
            for k in order:
                if k < len(asked):
                    optimizer.tell(asked[k], [sphere(x) for x in asked[k].x])
        return optimizer.result.fun

    assert run([0, 1, 2]) == run([2, 0, 1]) == run([1, 2, 0])


def test_a_finite_space_ends_by_itself() -> None:
    optimizer = Optimizer([Integer(0, 2), Integer(0, 2)], seed=0)
    told = 0
    while not optimizer.done:
        batch = optimizer.ask()
        told += len(batch)
        optimizer.tell(batch, batch.x.sum(axis=1))
    assert told == 9
    assert optimizer.result.status in (Stop.EXHAUSTED, Stop.STALLED)


class Still(RandomSearch):
    """Asks for the same points again and again."""

    n_asked: ClassVar[int] = 0

    def ask(self, state: Any, rng: np.random.Generator) -> Candidates:
        Still.n_asked += 1
        return Candidates(np.repeat(np.linspace(0.0, 1.0, 6)[:, None], 3, axis=1))


def test_a_run_that_stands_still_ends_with_an_empty_batch() -> None:
    Still.n_asked = 0
    optimizer = Optimizer([Integer(0, 9)] * 3, algorithm=Still(), seed=0)
    sizes = []
    while not optimizer.done:
        batch = optimizer.ask()
        sizes.append(len(batch))
        optimizer.tell(batch, batch.x.sum(axis=1))
    assert sizes == [6, 0]
    assert Still.n_asked == 1 + STALLED_AFTER
    assert optimizer.result.status is Stop.STALLED
    assert optimizer.result.nfev == 6
    optimizer.tell(batch, [])  # as often as one likes


def test_x0_is_asked_first() -> None:
    optimizer = Optimizer(BOUNDS, seed=0, x0=[[1, 1, 1]], budget=10)
    assert optimizer.ask().x[0].tolist() == [1, 1, 1]


def test_target_and_patience_end_the_run() -> None:
    optimizer = Optimizer(BOUNDS, seed=0, target=100.0)
    batch = optimizer.ask()
    optimizer.tell(batch, [sphere(x) for x in batch.x])
    assert optimizer.result.status is Stop.TARGET
    with pytest.raises(SettingError, match="the run is over: a cost of at most"):
        optimizer.ask()


def test_errors_say_what_came_and_what_to_do() -> None:
    optimizer = Optimizer(BOUNDS, seed=0, budget=12, algorithm="random-search")
    with pytest.raises(SettingError, match="no result yet"):
        _ = optimizer.result
    batch = optimizer.ask()
    with pytest.raises(SettingError, match="all 12 evaluations of the budget are asked for"):
        optimizer.ask()
    with pytest.raises(ObjectiveError, match=r"\[1.0, 2.0, 3.0\] for 12 points"):
        optimizer.tell(batch, [1.0, 2.0, 3.0])
    with pytest.raises(ObjectiveError, match=r"\(2,\) for 12 points"):
        optimizer.tell(batch, [(1.0, 0.0), (1.0, 0.0)])
    with pytest.raises(ObjectiveError, match="expected a list of 12 costs, got 3"):
        optimizer.tell(batch, 3)
    with pytest.raises(ObjectiveError, match="not all of it real numbers"):
        optimizer.tell(batch, [None] * 12)
    with pytest.raises(ObjectiveError, match="violations >= 0"):
        optimizer.tell(batch, np.ones(12), -np.ones(12))
    with pytest.raises(SettingError, match="tell: expected a batch from ask, got 3"):
        optimizer.tell(3, [1.0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="read-only"):
        batch.x[0] = 99
    other = Optimizer(BOUNDS, seed=0, budget=12).ask()
    with pytest.raises(SettingError, match="was not asked of this optimizer"):
        optimizer.tell(other, np.ones(len(other)))
    optimizer.tell(batch, np.ones(12))
    with pytest.raises(SettingError, match="was told already"):
        optimizer.tell(batch, np.ones(12))


def test_nan_marks_a_failed_evaluation() -> None:
    optimizer = Optimizer(BOUNDS, seed=0, budget=40, algorithm="random-search")
    batch = optimizer.ask()
    optimizer.tell(batch, [np.nan, *range(1, 20)])
    assert optimizer.result.n_failed == 1
    assert optimizer.result.fun == 1
    other = Optimizer(BOUNDS, seed=0, budget=40)
    asked = other.ask()
    with pytest.raises(AllFailedError, match="NaN"):
        other.tell(asked, [np.nan] * len(asked))
