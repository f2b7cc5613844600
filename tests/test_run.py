"""The loop: budget, limits, constraints, order, what is called when."""

import math
import random
import warnings
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from objectives import ALGORITHMS, BOUNDS, MIXED, Array, Recorder, mixed, sphere, spheres

from swarmopt import (
    Categorical,
    Evaluation,
    FunctionProblem,
    Integer,
    ObjectiveError,
    Real,
    SettingError,
    Space,
    Stop,
    algorithms,
    minimize,
)
from swarmopt.algorithms.random_search import RandomSearch
from swarmopt.limits import Limits
from swarmopt.search import Search


def test_a_dict_reaches_the_objective_of_a_named_space_and_comes_back_in_params() -> None:
    fun = Recorder(mixed)
    seen = fun.points
    result = minimize(fun, MIXED, budget=300, seed=0)
    assert set(seen[0]) == {"rate", "depth", "width", "act"}
    assert all(isinstance(p["depth"], int) and p["width"] in (16, 32, 64) for p in seen)
    assert result.params in seen
    assert mixed(result.params) == result.fun


def test_a_batch_objective_sees_the_same_points_as_a_plain_one() -> None:
    plain = minimize(sphere, BOUNDS, budget=100, seed=3, history="all")
    batch = minimize(spheres, BOUNDS, budget=100, seed=3, history="all", batch=True)
    assert np.array_equal(plain.history.x, batch.history.x)
    columns = minimize(
        lambda p: np.abs(p["depth"] - 7) + (p["act"] == "relu") + p["rate"] + p["width"],
        MIXED,
        budget=50,
        batch=True,
        seed=0,
    )
    assert columns.nfev == 50


def test_feasible_beats_infeasible_and_less_violation_beats_more() -> None:
    result = minimize(lambda x: (-1e9 * x[0], max(0.0, x[0] - 1)), [(0, 10)], budget=60, seed=2)
    assert result.violation == 0
    assert result.x[0] <= 1
    never = minimize(lambda x: (0.0, 1.0 + x[0]), [(0, 10)], budget=60, seed=2, history="all")
    assert not never.success
    assert never.violation == 1.0 + never.history.x.min()
    assert "no feasible point" in never.message
    assert never.history.best[-1] == math.inf


def test_the_target_ends_the_run() -> None:
    result = minimize(sphere, BOUNDS, target=1.0, budget=5000, seed=0)
    assert result.status is Stop.TARGET
    assert result.fun <= 1.0
    assert result.nfev < 5000


def test_an_infeasible_point_does_not_reach_the_target() -> None:
    result = minimize(lambda x: (-1.0, 1.0), BOUNDS, target=0.0, budget=50, seed=0)
    assert result.status is Stop.BUDGET


def test_patience_counts_evaluations_since_the_best() -> None:
    result = minimize(lambda x: 1.0, BOUNDS, patience=40, seed=0, algorithm="random-search")
    assert result.status is Stop.PATIENCE
    assert 40 < result.nfev <= 60  # the first evaluation is the best one; a batch has 20


@pytest.mark.parametrize("space", [BOUNDS, [Integer(0, 2)] * 2], ids=["real", "finite"])
@pytest.mark.parametrize("algorithm", ["random-search", "pso"])
def test_the_time_limit_ends_a_run_within_a_batch(algorithm: str, space: Any) -> None:
    fun = Recorder(lambda x: 1.0)
    result = minimize(fun, space, max_time=1e-9, seed=0, algorithm=algorithm)
    assert result.status is Stop.TIME
    assert result.nfev == len(fun.points) == 1
    assert (result.n_cached, result.history.median) == (0, [1.0])
    assert result.history.nfev == [1]


def test_a_batch_of_which_nothing_came_back_is_not_told_to_the_algorithm() -> None:
    told = []

    class Watched(algorithms.PSO):
        def tell(self, state: Any, candidates: Any, cost: Any) -> Any:
            told.append(len(cost))
            return super().tell(state, candidates, cost)

    problem = FunctionProblem(sphere, Space([Real(0, 1)]))
    search = Search(problem, Watched(population=6), seed=0, limits=Limits(max_time=1.0))
    search.tell(search.ask(), Evaluation(np.array([5.0, 4.0])), 0.5)
    (step,) = search.tell(search.ask(), Evaluation(np.empty(0)), 2.0)
    assert told == [2]
    assert (step.nfev, step.fun, step.batch_best) == (2, 4.0, np.inf)
    assert (search.result().status, search.result().fun) == (Stop.TIME, 4.0)


def test_x0_is_evaluated_exactly_as_it_was_given() -> None:
    space = Space(a=Real(-5, 5), b=Real(1e-4, 1, log=True), c=Integer(-3, 9))
    given = {"a": -3.3, "b": 0.01, "c": 4}
    fun = Recorder(lambda p: 0.0)
    minimize(fun, space, x0=[given], budget=5, seed=0)
    assert fun.points[0] == given


def test_the_callback_cannot_change_the_best_point() -> None:
    def vandal(intermediate_result: Any) -> None:
        intermediate_result.x[:] = 99

    with pytest.raises(ValueError, match="read-only"):
        minimize(sphere, BOUNDS, budget=30, seed=0, callback=vandal)
    result = minimize(sphere, BOUNDS, budget=30, seed=0)
    result.x[:] = 0  # the result is the user's own


def test_pairs_of_names_and_variables_are_a_named_space() -> None:
    pairs = [("a", Real(0, 1)), ("b", Integer(0, 3))]
    assert set(minimize(lambda p: p["a"] + p["b"], pairs, budget=30, seed=0).params) == {"a", "b"}


def test_without_any_limit_there_is_a_default_budget() -> None:
    assert minimize(spheres, BOUNDS, batch=True, seed=0, algorithm="pso").nfev == 1000
    assert minimize(spheres, [(0, 1)] * 20, batch=True, seed=0, algorithm="pso").nfev == 2000


def test_the_seed_is_drawn_and_given_when_it_is_not_set() -> None:
    first = minimize(sphere, BOUNDS, budget=30)
    assert first.seed != minimize(sphere, BOUNDS, budget=30).seed
    assert minimize(sphere, BOUNDS, budget=30, seed=first.seed).fun == first.fun


def state_of_numpy() -> bytes:
    state: Any = np.random.get_state()  # noqa: NPY002 - the global one is what is tested
    return bytes(state[1].tobytes())


def test_no_global_generator_is_touched() -> None:
    random.seed(1)
    before = random.getstate(), state_of_numpy()
    minimize(mixed, MIXED, budget=100)
    assert random.getstate() == before[0]
    assert state_of_numpy() == before[1]


def test_x0_comes_first_and_across_batches() -> None:
    wanted = [[0.5, 0.5, k / 10] for k in range(25)]
    result = minimize(
        sphere, BOUNDS, x0=wanted, budget=60, seed=0, history="all", algorithm="random-search"
    )
    assert np.allclose(result.history.x[:25], wanted, rtol=0, atol=1e-12)
    named = minimize(
        mixed, MIXED, x0=[{"rate": 0.01, "depth": 7, "width": 64, "act": "tanh"}], budget=30, seed=0
    )
    assert named.fun == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("x0", "space"),
    [
        ([1, 1, 1], BOUNDS),
        (np.ones(3), BOUNDS),
        (np.ones((1, 3)), BOUNDS),
        (np.ones(3, int), BOUNDS),
        ({"rate": 0.01, "depth": 7, "width": 64, "act": "tanh"}, MIXED),
    ],
)
def test_a_single_point_to_start_with_needs_no_list_around_it(x0: Any, space: Any) -> None:
    fun = Recorder(lambda point: 0.0)
    minimize(fun, space, x0=x0, budget=5, seed=0)
    first = fun.points[0]
    assert (first if isinstance(first, dict) else first.tolist()) == (
        x0 if isinstance(x0, dict) else np.ravel(x0).tolist()
    )


def test_a_finite_space_is_never_evaluated_twice_and_ends_when_it_is_exhausted() -> None:
    space = Space([Integer(0, 3), Categorical(["a", "b", "c"])])
    for algorithm in ALGORITHMS:
        fun = Recorder(lambda x: float(x.sum()))
        result = minimize(fun, space, algorithm=algorithm, budget=500, seed=0)
        calls = [tuple(x) for x in fun.points]
        assert len(calls) == len(set(calls)) == result.nfev
        assert result.status in (Stop.EXHAUSTED, Stop.STALLED)
        assert result.fun == 0.0
        if result.status is Stop.EXHAUSTED:
            assert result.nfev == 12


def test_cache_hits_cost_no_budget() -> None:
    space = Space([Integer(0, 30), Integer(0, 30)])
    result = minimize(
        lambda x: float(((x - 11) ** 2).sum()), space, algorithm="pso", budget=300, seed=0
    )
    assert result.nfev == 300
    assert result.n_cached > 0


def test_a_noisy_problem_is_not_cached() -> None:
    problem = FunctionProblem(lambda x: 0.0, Space([Integer(0, 1)]), noisy=True)
    assert minimize(problem, budget=50, seed=0).nfev == 50
    with pytest.raises(SettingError, match="noisy"):
        minimize(problem, budget=50, cache=True)


def test_the_callback_follows_scipy_and_can_stop_the_run() -> None:
    seen: list[Any] = []

    def stop_soon(intermediate_result: Any) -> None:
        seen.append(intermediate_result)
        if len(seen) == 3:
            raise StopIteration

    result = minimize(sphere, BOUNDS, callback=stop_soon, budget=500, seed=0)
    assert result.status is Stop.CALLBACK
    assert result.nit == 3
    assert result.success
    assert [step.nfev for step in seen] == result.history.nfev
    points: list[Array] = []
    minimize(sphere, BOUNDS, callback=points.append, budget=50, seed=0)
    assert points[0].shape == (3,)


def test_the_history_never_gets_worse_and_counts_up() -> None:
    history = minimize(sphere, BOUNDS, budget=300, seed=0).history
    assert history.best == sorted(history.best, reverse=True)
    assert history.nfev == sorted(set(history.nfev))
    assert len(history.nfev) == len(history.median) == len(history.seconds) == len(history.report)
    assert all(b <= m for b, m in zip(history.best, history.median, strict=True))


def test_hyper_parameters_come_with_an_instance() -> None:
    result = minimize(sphere, BOUNDS, algorithm=algorithms.RandomSearch(population=7), budget=21)
    assert result.nit == 3


def test_the_time_left_is_that_of_evaluations_not_of_what_came_before(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0

    class SlowToStart(FunctionProblem):
        def starts(self) -> Array:
            nonlocal now
            now += 10_000.0
            return super().starts()

    def takes_six_seconds(x: Array) -> float:
        nonlocal now
        now += 6.0
        return float(sphere(x))

    monkeypatch.setattr("swarmopt.progress.time", SimpleNamespace(monotonic=lambda: now))
    problem = SlowToStart(takes_six_seconds, Space([Real(-1, 1)] * 2))
    minimize(problem, budget=40, seed=0, progress=True)
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first.endswith("1/40 evaluations, 0.167/s, 6.0 s, 234 s left")
    assert last.endswith("40/40 evaluations, 0.167/s, 240.0 s")


def test_nothing_warns_in_a_plain_run() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for algorithm in ALGORITHMS:
            minimize(mixed, MIXED, algorithm=algorithm, budget=300, seed=0)


def test_a_canonical_point_is_what_is_evaluated_recorded_and_returned() -> None:
    class Even(FunctionProblem):
        def canonical(self, x: Array) -> Array:
            return np.asarray(x - x % 2)

    problem = Even(lambda x: float(x[0]) if x[0] % 2 == 0 else math.nan, Space([Integer(0, 9)]))
    result = minimize(problem, budget=100, seed=0, history="all", algorithm="random-search")
    assert set(result.history.x[:, 0]) == {0, 2, 4, 6, 8}
    assert result.status is Stop.STALLED
    assert result.nfev == 5


def test_an_algorithm_is_told_of_the_canonical_points() -> None:
    told: list[Array] = []

    @dataclass(frozen=True)
    class Listening(RandomSearch):
        def tell(self, state: Any, candidates: Any, key: Any) -> Any:
            told.append(candidates.unit)
            return super().tell(state, candidates, key)

    class Upper(FunctionProblem):
        def canonical(self, x: Array) -> Array:
            return np.where(x < 5, 10 - x, x)

    space = Space([Integer(1, 9), Real(0, 10)])
    x0 = np.array([[2, 3.5]])
    result = minimize(
        Upper(lambda x: float(x[0]), space),
        budget=60,
        seed=0,
        history="all",
        algorithm=Listening(),
        x0=x0,
    )
    x = space.decode(np.concatenate(told))
    np.testing.assert_allclose(x, result.history.x)
    np.testing.assert_allclose(x[0], [8, 6.5])
    assert (x >= 5).all()


def test_canonical_points_outside_the_space_are_an_error() -> None:
    class Far(FunctionProblem):
        def canonical(self, x: Array) -> Array:
            return np.asarray(x + 5)

    with pytest.raises(ObjectiveError, match="far: canonical returned a point outside the space: "):
        minimize(Far(sphere, Space([Integer(0, 9)]), name="far"), budget=100, seed=0)


def test_canonical_points_of_another_shape_are_an_error_that_names_both() -> None:
    class Short(FunctionProblem):
        def canonical(self, x: Array) -> Array:
            return np.asarray(x[:, :1])

    problem = Short(sphere, Space([Integer(0, 9)] * 2), name="short")
    told = r"short: canonical returned shape \(20, 1\) for points of shape \(20, 2\)"
    with pytest.raises(ObjectiveError, match=told):
        minimize(problem, budget=100, seed=0, algorithm="random-search")
