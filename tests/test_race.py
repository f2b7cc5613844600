"""Evaluations that stop where they are certain to be out, and points that a problem begins with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarmopt import (
    Evaluation,
    Integer,
    Problem,
    Result,
    Seeds,
    SettingError,
    Space,
    minimize,
    record,
)
from swarmopt.compare import compare
from swarmopt.evaluation import INFEASIBLE, Outcome
from swarmopt.race import RACED, Race
from swarmopt.types import Matrix, Vector


def racing(*, races: bool = True, starts: Any = ((9.0, 9.0, 9.0),), stop_at: int = -1) -> Problem:
    """Return a problem whose cost is a sum of terms, which may stop before the last.

    The class is made here, so that it is sent to workers by value.
    """

    class Terms(Problem):
        name = "terms"
        keeps_points = True

        def __init__(self) -> None:
            self.space = Space(a=Integer(-20, 20), b=Integer(-20, 20), c=Integer(-20, 20))
            self.bounds: list[float] = []
            self.points: list[list[float]] = []

        def starts(self) -> Matrix:
            return np.array(starts, dtype=float)

        def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
            if len(self.points) == stop_at:
                raise KeyboardInterrupt
            self.bounds.append(bound)
            self.points.append(x[0].tolist())
            whole = ((x[0] - [3.0, -5.0, 7.0]) ** 2).sum() + 1.0
            cost, n = 0.0, 0
            while n < 10 and cost <= bound:
                cost, n = cost + whole / 10, n + 1
            status = Outcome.OK if n == 10 else Outcome.CENSORED
            return Evaluation(np.array([cost]), status=np.array([status], np.int8))

    Terms.races = races
    return Terms()


def full(x: Matrix) -> Vector:
    """Return the costs of evaluations that do not stop."""
    cost: Vector = ((x - [3.0, -5.0, 7.0]) ** 2).sum(axis=1) + 1.0
    return cost


def run(problem: Problem, **options: Any) -> Result:
    return minimize(problem, **{"algorithm": "ga", "budget": 300, "seed": 1, **options})


@given(st.lists(st.lists(st.floats(0, 100), max_size=9), max_size=9))
def test_the_bound_is_the_last_of_the_best_keys(batches: list[list[float]]) -> None:
    race, seen = Race(), []
    for keys in batches:
        race.note(np.array([*keys, np.inf, 1.5 * INFEASIBLE]))
        seen += keys
        expected = sorted(seen)[RACED - 1] if len(seen) >= RACED else np.inf
        assert race.bound == expected


def test_only_what_is_certain_to_be_out_stops_early() -> None:
    problem = racing()
    result = run(problem)
    history = result.history
    out = history.outcome == Outcome.CENSORED
    costs, bounds = full(history.x), np.array(problem.bounds)  # type: ignore[attr-defined]
    assert 10 < out.sum() < len(out)
    assert (costs[out] > bounds[out]).all()
    assert (history.cost[out] >= bounds[out]).all()
    np.testing.assert_allclose(history.cost[~out], costs[~out])
    assert (costs[out] > np.sort(costs)[RACED - 1]).all(), "none of the best was stopped"
    assert np.isinf(bounds[:RACED]).all()
    assert (bounds[1:] <= bounds[:-1]).all(), "never looser than before"
    assert result.fun == pytest.approx(costs.min())


def test_a_stopped_evaluation_is_never_a_runs_best_however_little_it_reports() -> None:
    class Liar(Problem):
        name, races = "liar", True

        def __init__(self) -> None:
            self.space = Space(a=Integer(0, 10_000))

        def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
            if np.isinf(bound):
                return Evaluation(x[:, 0] + 1)
            return Evaluation(np.zeros(len(x)), status=np.full(len(x), Outcome.CENSORED, np.int8))

    result = run(Liar(), budget=200)
    assert result.fun >= 1


def test_a_problem_that_does_not_race_has_no_bound() -> None:
    problem = racing(races=False)
    run(problem)
    assert np.isinf(problem.bounds).all()  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.parametrize("lookahead", [0, 1])
def test_workers_race_as_one_process_does(lookahead: int, tmp_path: Path) -> None:
    digests = set()
    for workers in (0, 1, 2):
        folder = tmp_path / str(workers)
        run(racing(), workers=workers, lookahead=lookahead, run_dir=folder, budget=150)
        read = record.read(folder)
        assert (read.status == Outcome.CENSORED).any()
        digests.add(read.digest)
    assert len(digests) == 1


@pytest.mark.parametrize("stopped_at", [0, 3, 45, 46, 120, 199])
def test_a_run_that_races_goes_on_as_if_it_had_not_been_interrupted(
    stopped_at: int, tmp_path: Path
) -> None:
    whole = run(racing(), run_dir=tmp_path / "a", budget=200)
    first = racing(stop_at=stopped_at)
    with pytest.raises(KeyboardInterrupt):
        run(first, run_dir=tmp_path / "b", budget=200)
    second = racing()
    result = run(second, run_dir=tmp_path / "b", budget=200, resume=True)
    assert len(second.points) == 200 - stopped_at  # type: ignore[attr-defined]
    for name in ("x", "cost", "outcome"):
        assert np.array_equal(getattr(result.history, name), getattr(whole.history, name))
    assert (result.history.outcome == Outcome.CENSORED).any()
    assert record.read(tmp_path / "a").digest == record.read(tmp_path / "b").digest


@pytest.mark.parametrize("algorithm", ["ssa", "ga", "random-search"])
def test_a_problems_own_points_are_asked_first_after_those_of_the_user(algorithm: str) -> None:
    own = [(9.0, 9.0, 9.0), (3.0, -5.0, 7.0), (-20.0, 20.0, 0.0)]
    plain = run(racing(starts=own), algorithm=algorithm, budget=60)
    assert plain.history.x[:3].tolist() == [list(p) for p in own]
    assert plain.fun == pytest.approx(1.0)
    given = run(racing(starts=own), algorithm=algorithm, budget=60, x0=[[1.0, 2.0, 3.0]])
    assert given.history.x[:4].tolist() == [[1.0, 2.0, 3.0], *(list(p) for p in own)]


def test_more_points_than_the_first_batch_or_the_budget_holds_are_asked_as_far_as_it_goes() -> None:
    own = [(float(i - 20), 0.0, 0.0) for i in range(30)]
    many = run(racing(starts=own), budget=70, batch_size=8)
    assert many.history.x[:30].tolist() == [list(p) for p in own]
    few = run(racing(starts=own), budget=5)
    assert few.history.x.tolist() == [list(p) for p in own[:5]]


def test_points_that_are_known_twice_are_evaluated_once() -> None:
    result = run(racing(starts=[(1.0, 1.0, 1.0)] * 3), budget=30)
    assert (result.history.x == 1.0).all(axis=1).sum() == 1


def test_points_outside_of_the_space_are_refused() -> None:
    with pytest.raises((SettingError, ValueError), match="a"):
        run(racing(starts=[(99.0, 0.0, 0.0)]))
    with pytest.raises((SettingError, ValueError), match="3"):
        run(racing(starts=[(1.0, 0.0)]))


def test_every_run_of_a_comparison_begins_with_the_problems_points(tmp_path: Path) -> None:
    optimum = [(3.0, -5.0, 7.0)]
    found = compare(
        ["random-search", "ga"], [racing(starts=optimum)], budget=20, seeds=2, out=tmp_path / "c"
    )
    assert found.complete
    assert all(cell.fun == pytest.approx(1.0) for cell in found.cells.values())
