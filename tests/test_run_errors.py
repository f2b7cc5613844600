"""The loop: what fails, and what is wrong from the beginning."""

import math
import pickle
from typing import Any, cast

import pytest
from objectives import BOUNDS, Array, sphere

from swarmopt import (
    AllFailedError,
    FinishError,
    FolderError,
    FunctionProblem,
    ObjectiveError,
    Real,
    SettingError,
    Space,
    SwarmoptError,
    UnknownNameError,
    minimize,
)


def test_a_cost_beyond_float64_is_a_failed_evaluation() -> None:
    result = minimize(lambda x: 10**400 if x[0] > 0 else 1.0, BOUNDS, budget=60, seed=0)
    assert result.n_failed > 0
    assert result.fun == 1.0


@pytest.mark.parametrize(
    ("x0", "message"),
    [
        ([[9.0, 0, 0]], "outside"),
        ([[0.0, 0]], r"\(n, 3\)"),
        ([{"x0": 1.0}], "missing name 'x1'"),
        ("abc", "expected points"),
        (5, "x0: expected points as dicts or rows of numbers, got 5"),
    ],
)
def test_a_wrong_x0_is_an_error(x0: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        minimize(sphere, BOUNDS, x0=x0, budget=10)


def test_failures_count_against_the_budget_and_rank_last() -> None:
    def fun(x: Array) -> float:
        if x[0] < 0:
            raise ZeroDivisionError("negative")
        return float(x[0])

    result = minimize(fun, [(-1, 1)], budget=100, seed=0, algorithm="random-search")
    assert result.nfev == 100
    assert 20 < result.n_failed < 80
    assert result.fun >= 0
    assert f"{result.n_failed} evaluations failed" in result.message


def test_one_failure_is_one_evaluation() -> None:
    seen: list[float] = []

    def fun(x: Array) -> float:
        seen.append(float(x[0]))
        return float("nan") if len(seen) == 1 else 0.0

    result = minimize(fun, [(-1, 1)], budget=2, seed=0, algorithm="random-search")
    assert result.message == "the budget of 2 evaluations is spent; 1 evaluation failed"
    result = minimize(sphere, BOUNDS, budget=1, seed=0, algorithm="random-search")
    assert result.message == "the budget of 1 evaluation is spent"


def failing(x: Array) -> float:
    raise KeyError("no such thing")


def test_a_first_batch_that_fails_whole_stops_with_the_first_traceback() -> None:
    with pytest.raises(AllFailedError, match=r"(?s)all 20 evaluations.*no such") as caught:
        minimize(failing, BOUNDS, algorithm="random-search", budget=100)
    assert "Traceback" in str(caught.value)
    with pytest.raises(AllFailedError, match="NaN"):
        minimize(lambda x: math.nan, BOUNDS, budget=100)
    with pytest.raises(AllFailedError, match="1e300"):
        minimize(lambda x: 1e301, BOUNDS, budget=100)


@pytest.mark.parametrize(
    ("fun", "message"),
    [
        (lambda x: x, r"array of shape \(3,\)"),
        (lambda x: None, "return"),
        (lambda x: "1", "expected a number"),
        (lambda x: (1.0, -0.5), "max"),
        (lambda x: (1.0, math.nan), "violations >= 0"),
        (lambda x: (1.0, 2.0, 3.0), r"returned \(1.0, 2.0, 3.0\) for one point"),
    ],
)
def test_an_objective_that_breaks_its_contract_is_an_error_at_once(fun: Any, message: str) -> None:
    with pytest.raises(ObjectiveError, match=message):
        minimize(fun, BOUNDS, budget=10)


def test_a_batch_objective_of_the_wrong_shape_is_told_so() -> None:
    with pytest.raises(ObjectiveError, match=r"shape \(20, 1\) for 20 points; expected \(20,\)"):
        minimize(lambda x: x[:, :1], BOUNDS, batch=True, algorithm="random-search", budget=40)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"budget": 0}, "budget: expected at least 1, got 0"),
        ({"budget": 2.5}, "budget: expected a whole number, got 2.5"),
        ({"budget": True}, "whole number, got True"),
        ({"patience": -1}, "patience: expected at least 1"),
        ({"max_time": 0}, "max_time: expected seconds > 0"),
        ({"target": math.nan}, "target: expected a number, got NaN"),
        ({"seed": -1}, "seed: expected 0 <= seed"),
        ({"seed": "x"}, "seed: expected a whole number"),
        ({"batch_size": 0}, "batch_size: expected at least 1"),
        ({"lookahead": -1}, "lookahead: expected at least 0"),
        ({"lookahead": None}, "lookahead: expected a whole number, got None"),
        ({"callback": 3}, "callback: expected a function, got 3"),
        ({"run_dir": 3}, "run_dir: expected a path, got 3"),
        ({"cache": "yes"}, "cache: expected True, False or None, got 'yes'"),
        ({"history": "some"}, "history: expected 'batches' or 'all'"),
        ({"algorithm": 7}, "expected the name or an instance of an algorithm"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        minimize(sphere, BOUNDS, **{"budget": 10, **settings})


def test_an_unknown_algorithm_lists_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'pso'"):
        minimize(sphere, BOUNDS, algorithm="psoo")


@pytest.mark.parametrize(
    ("fun", "space", "message"),
    [
        (sphere, None, "a function needs a space"),
        (3, BOUNDS, "expected a function"),
        (sphere, [], "at least one variable"),
        (sphere, [(1, 0)], "low is greater than high"),
        (sphere, 5, "expected a Space"),
        (FunctionProblem(sphere, Space([Real(0, 1)])), BOUNDS, "has a space of its own"),
    ],
)
def test_wrong_problems_are_named(fun: Any, space: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        minimize(fun, space, budget=10)


@pytest.mark.parametrize(
    "error",
    [
        UnknownNameError("problem", "shere", ["sphere"]),
        FinishError("no space left", cast("Any", {"fun": 1.0})),
        FolderError("there is none"),
        AllFailedError("all failed"),
    ],
)
def test_an_error_comes_out_of_another_process_as_it_was(error: SwarmoptError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - as a pool of processes does
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
