"""Evaluations, the one key they compare by, and plain functions as problems."""

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmopt.algorithm import Seeds
from swarmopt.errors import ObjectiveError
from swarmopt.evaluate.evaluator import Work
from swarmopt.evaluate.in_process import InProcess
from swarmopt.evaluation import INFEASIBLE, Evaluation, Outcome
from swarmopt.problem import FunctionProblem, Problem
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Categorical, Integer, Real

NAMED = Space(x=Real(-5, 5), n=Integer(0, 9), kind=Categorical(["a", "b"]))
UNNAMED = Space([Real(-5, 5), Integer(0, 9)])
POINTS = np.array([[1.5, 2, 0], [-2.0, 3, 1], [0.0, 0, 1]])


def seeds(n: int) -> Seeds:
    return Seeds(7, range(n))


def evaluate(problem: Problem, x: Matrix) -> list[Evaluation]:
    evaluator = InProcess(problem)
    evaluator.submit(Work(0, np.arange(len(x)), x, seeds(len(x)), np.inf))
    parts = []
    while evaluator.busy:
        parts.append(evaluator.wait().evaluation)
    return parts


def run(problem: Problem, x: Matrix) -> Evaluation:
    return Evaluation.join(evaluate(problem, x))


def key(cost: list[float], violation: list[float] | None = None) -> Vector:
    return Evaluation(np.array(cost), None if violation is None else np.array(violation)).key()


# The key.


def test_the_key_of_a_feasible_point_is_its_cost() -> None:
    assert key([3.0, -2.0, 0.0]).tolist() == [3.0, -2.0, 0.0]
    assert key([3.0, -2.0], [0.0, 0.0]).tolist() == [3.0, -2.0]


def test_feasible_beats_infeasible_beats_failed() -> None:
    worst_feasible, least_violation, most_violation, failed = key(
        [9.9e299, -1e9, 0.0, np.nan], [0.0, 5e-324, np.inf, 0.0]
    )
    assert worst_feasible < INFEASIBLE <= least_violation < most_violation < failed == np.inf


@given(
    st.lists(st.floats(min_value=0, exclude_min=True), min_size=2, max_size=2),
    st.floats(allow_nan=True),
    st.floats(allow_nan=True),
)
def test_less_violation_never_ranks_behind_whatever_the_costs(
    violations: list[float], cost: float, other_cost: float
) -> None:
    less, more = key([cost, other_cost], sorted(violations))
    assert INFEASIBLE <= less <= more < np.inf


def test_violations_that_differ_visibly_have_keys_that_differ() -> None:
    keys = key([0.0] * 6, [1e-9, 1e-3, 1.0, 10.0, 1e6, 1e12])
    assert (np.diff(keys) > 0).all()


def test_no_violation_but_not_finite_is_failed() -> None:
    costs = [np.nan, np.inf, -np.inf, 1e300, -1e300, 1.7e308]
    assert (key(costs) == np.inf).all()
    assert (key(costs, [0.0] * 6) == np.inf).all()
    assert (Evaluation(np.array(costs)).outcome == Outcome.NONFINITE).all()


def test_costs_of_few_bits_count_as_float64() -> None:
    evaluation = Evaluation(np.array([1.0, 2.0, np.inf], np.float32))
    assert evaluation.cost.dtype == np.float64
    assert evaluation.key().tolist() == [1.0, 2.0, np.inf]
    assert Evaluation(np.array([3, 4])).key().dtype == np.float64


@pytest.mark.parametrize("outcome", [Outcome.RAISED, Outcome.LOST, Outcome.TIMEOUT])
def test_a_failed_status_is_failed_whatever_the_cost(outcome: Outcome) -> None:
    status = np.array([Outcome.OK, outcome], np.int8)
    evaluation = Evaluation(np.array([1.0, 1.0]), np.array([0.0, 2.0]), status)
    assert evaluation.key().tolist() == [1.0, np.inf]
    assert evaluation.outcome.tolist() == [Outcome.OK, outcome]


def test_a_censored_cost_compares_by_what_is_certain() -> None:
    evaluation = Evaluation(np.array([4.0]), status=np.array([Outcome.CENSORED], np.int8))
    assert evaluation.key().tolist() == [4.0]
    assert evaluation.outcome.tolist() == [Outcome.CENSORED]


def test_the_outcome_of_an_infeasible_point_without_a_cost_is_ok() -> None:
    evaluation = Evaluation(np.array([np.nan, np.nan]), np.array([1.0, 0.0]))
    assert evaluation.outcome.tolist() == [Outcome.OK, Outcome.NONFINITE]


def test_the_key_leaves_the_evaluation_alone() -> None:
    evaluation = Evaluation(np.array([1.0, np.nan]), np.array([1.0, 0.0]))
    evaluation.key()
    np.testing.assert_array_equal(evaluation.cost, [1.0, np.nan])
    np.testing.assert_array_equal(evaluation.violation, [1.0, 0.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cost": np.zeros((2, 1))}, r"costs of shape \(n,\), got \(2, 1\)"),
        ({"cost": np.array(1.0)}, r"costs of shape \(n,\), got \(\)"),
        ({"cost": np.zeros(2), "violation": np.zeros(3)}, r"one violation per cost, \(2,\); got"),
        ({"cost": np.zeros(2), "violation": np.array([0, -1.0])}, r"violations >= 0.*got .*-1"),
        ({"cost": np.zeros(2), "violation": np.array([0, np.nan])}, r"violations >= 0.*nan"),
        ({"cost": np.zeros(2), "status": np.zeros(1, np.int8)}, r"one status per cost"),
        ({"cost": np.zeros(2), "info": [{}]}, r"one info per cost, 2; got 1"),
    ],
)
def test_an_evaluation_that_does_not_fit_is_refused(
    arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ObjectiveError, match=message):
        Evaluation(**arguments)


def test_joined_parts_stand_one_after_the_other() -> None:
    parts = [
        Evaluation(np.array([1.0, 2.0])),
        Evaluation(np.array([3.0]), np.array([0.5])),
        Evaluation.failed(2, Outcome.LOST, "gone"),
    ]
    joined = Evaluation.join(parts)
    np.testing.assert_array_equal(joined.cost, [1, 2, 3, np.nan, np.nan])
    assert joined.violation is not None
    assert joined.violation.tolist() == [0, 0, 0.5, 0, 0]
    assert joined.outcome.tolist() == [0, 0, 0, Outcome.LOST, Outcome.LOST]
    assert list(joined.info) == [{}, {}, {}, {"error": "gone"}, {"error": "gone"}]
    np.testing.assert_array_equal(joined.key(), np.concatenate([p.key() for p in parts]))


def test_joining_adds_nothing_that_no_part_has() -> None:
    joined = Evaluation.join([Evaluation(np.zeros(1)), Evaluation(np.ones(1))])
    assert joined.violation is None
    assert joined.status is None
    assert joined.info == ()
    assert len(Evaluation.join([])) == 0


# Plain functions.


def dict_single(p: dict[str, Any]) -> float:
    return float(p["x"] ** 2 + p["n"] + (100 if p["kind"] == "b" else 0))


def dict_batch(p: dict[str, Any]) -> Vector:
    return np.asarray(p["x"] ** 2 + p["n"] + np.where(p["kind"] == "b", 100, 0))


def array_single(x: Vector) -> float:
    return float(x[0] ** 2 + x[1])


def array_batch(x: Matrix) -> Vector:
    return np.asarray(x[:, 0] ** 2 + x[:, 1])


@pytest.mark.parametrize(
    ("fun", "space", "batch", "cost"),
    [
        (dict_single, NAMED, False, [4.25, 107, 100]),
        (dict_batch, NAMED, True, [4.25, 107, 100]),
        (array_single, UNNAMED, False, [4.25, 7, 0]),
        (array_batch, UNNAMED, True, [4.25, 7, 0]),
    ],
)
@pytest.mark.parametrize("constrained", [False, True])
def test_a_function_takes_dicts_or_arrays_one_or_all_at_once(
    fun: Any, space: Space, batch: bool, cost: list[float], constrained: bool
) -> None:
    calls: list[int] = []

    def counted(p: Any) -> Any:
        calls.append(1)
        value = fun(p)
        return (value, value * 0 + 0.5) if constrained else value

    problem = FunctionProblem(counted, space, batch=batch)
    evaluation = run(problem, POINTS[:, : len(space)])
    assert evaluation.cost.tolist() == cost
    assert len(calls) == (1 if batch else 3)
    if constrained:
        assert evaluation.violation is not None
        assert evaluation.violation.tolist() == [0.5] * 3
    else:
        assert evaluation.violation is None


def test_a_function_lends_its_name() -> None:
    assert FunctionProblem(array_single, UNNAMED).name == "array_single"
    assert FunctionProblem(array_single, UNNAMED, name="bowl").name == "bowl"

    class Objective:
        def __call__(self, x: Vector) -> float:
            return 0.0

    assert FunctionProblem(Objective(), UNNAMED).name == "Objective"


def test_a_function_may_return_a_pair_for_some_points_only() -> None:
    problem = FunctionProblem(lambda x: (1.0, 2.0) if x[0] > 0 else 1.0, UNNAMED)
    evaluation = problem.evaluate(POINTS[:, :2], seeds(3), np.inf)
    assert evaluation.violation is not None
    assert evaluation.violation.tolist() == [2.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "value",
    [
        3,
        3.0,
        np.float32(3),
        np.int64(3),
        np.array(3.0),
        np.float64(3.0),
        np.array([3.0]),
        np.array([[3]]),
    ],
)
def test_any_real_number_is_a_cost(value: Any) -> None:
    assert run(FunctionProblem(lambda x: value, UNNAMED), POINTS[:1, :2]).cost.tolist() == [3.0]


def test_a_tensor_with_a_gradient_is_a_cost() -> None:
    torch = pytest.importorskip("torch")
    three = torch.tensor(3.0, requires_grad=True)
    value = (three, three - 2)
    pair = run(FunctionProblem(lambda x: value, UNNAMED), POINTS[:1, :2])
    assert pair.cost.tolist() == [3.0]
    assert pair.violation is not None
    assert pair.violation.tolist() == [1.0]
    alone = FunctionProblem(lambda x: three * torch.ones(1, 1), UNNAMED)
    assert run(alone, POINTS[:1, :2]).cost.tolist() == [3.0]
    column = FunctionProblem(lambda x: three * torch.ones(2), UNNAMED, batch=True)
    assert run(column, POINTS[:2, :2]).cost.tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    "value", [[1, 2, 3], (1, 2, 3), np.array([1, 2, 3]), np.array([1, 2, 3], np.float32)]
)
def test_any_column_of_real_numbers_is_a_batch_of_costs(value: Any) -> None:
    problem = FunctionProblem(lambda x: value, UNNAMED, batch=True)
    evaluation = run(problem, POINTS[:, :2])
    assert evaluation.cost.tolist() == [1.0, 2.0, 3.0]
    assert evaluation.cost.dtype == np.float64


def test_two_costs_of_two_points_are_no_pair() -> None:
    problem = FunctionProblem(lambda x: (1.0, 2.0), UNNAMED, batch=True)
    evaluation = run(problem, POINTS[:2, :2])
    assert evaluation.cost.tolist() == [1.0, 2.0]
    assert evaluation.violation is None


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "returned None for one point; expected a number.*Is a `return` missing"),
        ("3", "returned '3' for one point"),
        (b"3", "returned b'3' for one point"),
        (1j, "returned 1j for one point"),
        (np.complex64(1), "for one point; expected a number"),
        (np.array(1j), "for one point; expected a number"),
        ({}, "returned {} for one point; expected a number"),
        ((1.0, None), r"returned .* for one point; expected a number, or a pair"),
        ((1.0, "2"), r"for one point; expected a number, or a pair"),
        ((1.0, None), r"returned \(1.0, None\) for one point"),
        ((1.0, 2.0, 3.0), r"returned \(1.0, 2.0, 3.0\) for one point"),
        (np.zeros(2), r"an array of shape \(2,\) for one point.*pass batch=True"),
        (np.zeros(0), r"an array of shape \(0,\) for one point"),
        (np.array(["3"]), "for one point; expected a number"),
        ([3.0], r"returned \[3.0\] for one point"),
        (np.zeros((3, 2)), r"an array of shape \(3, 2\) for one point"),
        ([[1.0], [2.0, 3.0]], "for one point"),
        ((1.0, -0.5), r"violations >= 0.*-0.5"),
        ((1.0, float("nan")), r"violations >= 0.*nan"),
    ],
)
def test_what_is_no_cost_of_one_point_breaks_the_contract(value: Any, message: str) -> None:
    with pytest.raises(ObjectiveError, match=message):
        run(FunctionProblem(lambda x: value, UNNAMED), POINTS[:, :2])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "returned None for 3 points"),
        (3.0, "returned 3.0 for 3 points"),
        ("abc", "returned 'abc' for 3 points"),
        (["1", "2", "3"], r"\['1', '2', '3'\] for 3 points, not all of it real"),
        (np.array([1, 2, 3j]), r"an array of shape \(3,\) for 3 points"),
        ([1.0, None, 2.0], r"\[1.0, None, 2.0\] for 3 points, not all of it real"),
        (np.zeros(2), r"an array of shape \(2,\) for 3 points; expected \(3,\)"),
        (np.zeros((3, 1)), r"an array of shape \(3, 1\) for 3 points"),
        ((np.zeros(3), 0.0), "for 3 points.*expected"),
        ((np.zeros(3), np.zeros(2)), r"shape \(2,\) for 3 points; expected \(3,\), one violation"),
        (([1.0, 2.0, 3.0], [[1], [2, 3]]), "for 3 points"),
        (iter([1.0, 2.0, 3.0]), "list_iterator"),
        ((np.zeros(3), -np.ones(3)), "violations >= 0"),
    ],
)
def test_what_is_no_batch_of_costs_breaks_the_contract(value: Any, message: str) -> None:
    with pytest.raises(ObjectiveError, match=message):
        run(FunctionProblem(lambda x: value, UNNAMED, batch=True), POINTS[:, :2])


# Evaluation in this process.


def test_a_point_that_raises_fails_alone_and_keeps_its_traceback() -> None:
    def fun(x: Vector) -> float:
        if x[0] < 0:
            raise RuntimeError("no such machine")
        return float(x[0])

    evaluation = run(FunctionProblem(fun, UNNAMED), POINTS[:, :2])
    np.testing.assert_array_equal(evaluation.cost, [1.5, np.nan, 0.0])
    assert evaluation.outcome.tolist() == [Outcome.OK, Outcome.RAISED, Outcome.OK]
    assert evaluation.key().tolist() == [1.5, np.inf, 0.0]
    assert "error" not in evaluation.info[0]
    assert "RuntimeError: no such machine" in evaluation.info[1]["error"]
    assert "in fun" in evaluation.info[1]["error"]


def test_a_batch_that_raises_fails_together() -> None:
    def fun(x: Matrix) -> Vector:
        raise ZeroDivisionError

    evaluation = run(FunctionProblem(fun, UNNAMED, batch=True), POINTS[:, :2])
    assert evaluation.outcome.tolist() == [Outcome.RAISED] * 3


@pytest.mark.parametrize("batch", [False, True])
def test_a_broken_contract_is_never_taken_for_a_failed_point(batch: bool) -> None:
    def fun(x: Any) -> float:
        raise ObjectiveError("mine")

    with pytest.raises(ObjectiveError, match="mine"):
        run(FunctionProblem(fun, UNNAMED, batch=batch), POINTS[:, :2])


def test_an_interrupt_ends_the_evaluation() -> None:
    def fun(x: Any) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(FunctionProblem(fun, UNNAMED), POINTS[:, :2])


@pytest.mark.parametrize("batch", [False, True])
def test_an_objective_that_exits_is_a_failed_evaluation(batch: bool) -> None:
    def fun(x: Any) -> float:
        sys.exit(0)

    evaluation = run(FunctionProblem(fun, UNNAMED, batch=batch), POINTS[:, :2])
    assert (evaluation.outcome == Outcome.RAISED).all()


@pytest.mark.parametrize("batch", [False, True])
def test_an_objective_that_writes_into_its_argument_changes_nothing_else(batch: bool) -> None:
    def fun(x: Any) -> Any:
        x += 100
        return x.sum(axis=-1)

    points = POINTS[:, :2].copy()
    run(FunctionProblem(fun, UNNAMED, batch=batch), points)
    assert np.array_equal(points, POINTS[:, :2])


def test_an_evaluation_of_the_wrong_type_is_named() -> None:
    class Wrong(FunctionProblem):
        def evaluate(self, x: Any, seeds: Any, bound: float) -> Any:
            return np.zeros(len(x))

    with pytest.raises(ObjectiveError, match="evaluate returned ndarray; expected"):
        run(Wrong(sum, UNNAMED), POINTS[:, :2])


def test_violations_of_any_size_keep_their_order() -> None:
    sizes = np.array([5e-324, 1e-300, 1e-20, 1e-17, 1e-16, 1.0, 1e16, 1e17, 1e300, np.inf])
    key = Evaluation(np.zeros(10), sizes).key()
    assert (np.diff(key[:-1]) > 0).all()
    assert key[-1] >= key[-2]
    assert (key > INFEASIBLE).all()
    assert (key <= 2 * INFEASIBLE).all()


class Noise(Problem):
    """Costs are what the seeds draw."""

    name = "noise"
    space = UNNAMED

    def __init__(self, vectorized: bool, lost: int = 0) -> None:
        self.vectorized = vectorized
        self.lost = lost

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
        return Evaluation(
            np.array([seeds.rng(i).random() for i in range(len(x) - self.lost)]),
            info=[{"bound": bound}] * (len(x) - self.lost),
        )


def test_points_draw_the_same_numbers_alone_and_together() -> None:
    x = POINTS[:, :2]
    together, alone = run(Noise(True), x), run(Noise(False), x)
    assert together.cost.tolist() == alone.cost.tolist()
    assert len(set(alone.cost)) == 3
    assert list(alone.info) == [{"bound": np.inf}] * 3


def test_parts_come_one_by_one_where_points_are_evaluated_one_by_one() -> None:
    parts = evaluate(Noise(False), POINTS[:, :2])
    assert [len(part) for part in parts] == [1, 1, 1]
    parts = evaluate(Noise(True), POINTS[:, :2])
    assert [len(part) for part in parts] == [3]


def test_a_problem_that_loses_points_breaks_the_contract() -> None:
    with pytest.raises(ObjectiveError, match="noise: evaluate returned 2 costs for 3 points"):
        run(Noise(True, lost=1), POINTS[:, :2])


def test_by_default_points_are_canonical_and_nothing_comes_before_or_after() -> None:
    problem = Noise(True)
    problem.prepare()
    assert problem.canonical(POINTS) is POINTS
    assert problem.finish(None, None) == {}  # type: ignore[arg-type]
    assert problem.optimum is None
