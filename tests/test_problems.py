"""The built-in problems, each of them: what they claim of their optimum is true."""

from typing import Any

import numpy as np
import pytest
from problem_points import ENTRIES, NAMES, evaluate, make, neighbours, random_points

from swarmopt.errors import SettingError
from swarmopt.evaluation import INFEASIBLE, Evaluation
from swarmopt.problem import Problem
from swarmopt.problems.analytic import (
    Rastrigin,
)
from swarmopt.settings import settings_of

WITH_INSTANCE = [name for name in NAMES if name != "pressure-vessel"]


@pytest.mark.parametrize("name", NAMES)
def test_it_builds_with_its_defaults_and_carries_its_registered_name(name: str) -> None:
    problem = make(name)
    assert isinstance(problem, Problem)
    assert problem.name == name
    assert problem.vectorized
    assert not problem.noisy
    assert problem.default_budget is not None
    assert problem.default_budget > 0


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_has_a_type_and_a_default_and_is_explained(name: str) -> None:
    factory = ENTRIES[name].load()
    for setting in settings_of(factory).values():
        assert not setting.required
        assert setting.type in (int, bool)
        owner = next(c for c in factory.__mro__ if "__init__" in vars(c))
        assert f"{setting.name}: " in str(owner.__doc__)
    assert "Source" in str(factory.__doc__)


@pytest.mark.parametrize("name", NAMES)
def test_the_minimizer_is_a_feasible_point_of_the_space_at_the_optimum(name: str) -> None:
    problem = make(name)
    problem.space.encode(problem.minimizer[None])  # raises outside the box
    evaluation = evaluate(problem, problem.minimizer[None])
    assert evaluation.cost.tolist() == [problem.optimum]
    assert evaluation.key().tolist() == [problem.optimum]


@pytest.mark.parametrize("name", NAMES)
def test_no_point_is_better_than_the_optimum(name: str) -> None:
    problem = make(name)
    points = [random_points(problem, 20_000)]
    points += [neighbours(problem, scale) for scale in (0.1, 1e-3, 1e-6)]
    key = evaluate(problem, np.concatenate(points)).key()
    assert np.isfinite(key).all()
    assert (key < INFEASIBLE).sum() > 1_000
    assert key.min() >= problem.optimum


@pytest.mark.parametrize("name", WITH_INSTANCE)
def test_an_instance_is_reproducible_and_differs_from_the_next(name: str) -> None:
    one, again, other = make(name, instance=3), make(name, instance=3), make(name, instance=4)
    x = random_points(one, 200)
    assert one.optimum == again.optimum
    assert one.minimizer.tolist() == again.minimizer.tolist() != other.minimizer.tolist()
    assert evaluate(one, x).key().tolist() == evaluate(again, x).key().tolist()
    assert (evaluate(one, x).key() != evaluate(other, x).key()).any()


@pytest.mark.parametrize("name", NAMES)
def test_a_point_costs_the_same_bits_alone_and_in_a_population(name: str) -> None:
    problem = make(name)
    x = random_points(problem, 37)
    together = evaluate(problem, x)
    alone = Evaluation.join([evaluate(problem, row[None]) for row in x])
    assert together.cost.tolist() == alone.cost.tolist()
    assert together.key().tolist() == alone.key().tolist()
    assert evaluate(problem, np.asfortranarray(x)).cost.tolist() == alone.cost.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_changes_no_point_and_takes_none_at_all(name: str) -> None:
    problem = make(name)
    x = random_points(problem, 5)
    before = x.copy()
    evaluate(problem, x)
    assert (x == before).all()
    assert len(evaluate(problem, x[:0])) == 0


@pytest.mark.parametrize("name", NAMES)
def test_building_touches_no_global_generator(name: str) -> None:
    before = np.random.get_state()  # noqa: NPY002 - the old global generator is the point
    evaluate(make(name), random_points(make(name), 3))
    np.testing.assert_equal(np.random.get_state(), before)  # noqa: NPY002 - as above


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        *(
            (name, {"instance": -1}, f"{name}: instance: expected at least 0, got -1")
            for name in WITH_INSTANCE
        ),
        ("sphere", {"dim": 0}, "sphere: dim: expected at least 1, got 0"),
        ("rosenbrock", {"dim": 1}, "rosenbrock: dim: expected at least 2, got 1"),
        ("constrained-sphere", {"dim": 1}, "constrained-sphere: dim: expected at least 2, got 1"),
        ("knapsack", {"items": 0}, "knapsack: items: expected at least 1, got 0"),
        ("knapsack", {"items": 1001}, "knapsack: items: expected at most 1000, got 1001"),
        ("integer-quadratic", {"dim": 0}, "integer-quadratic: dim: expected at least 1, got 0"),
        ("nk-landscape", {"bits": 0}, "nk-landscape: bits: expected at least 1, got 0"),
        ("nk-landscape", {"neighbours": 9}, "nk-landscape: neighbours: expected at most 8, got 9"),
        ("nk-landscape", {"bits": 4}, "nk-landscape: neighbours: expected at most 3, got 4"),
        ("max-sat", {"variables": 2}, "max-sat: variables: expected at least 3, got 2"),
        ("max-sat", {"clauses": 0}, "max-sat: clauses: expected at least 1, got 0"),
        ("tuning", {"instance": 2**64}, f"at most {2**64 - 1}, got {2**64}"),
        ("rastrigin", {"dim": 2.5}, "problem rastrigin: dim = 2.5: expected `int`"),
        ("sphere", {"rotated": True}, "unknown setting of problem sphere: 'rotated'"),
        ("pressure-vessel", {"instance": 1}, "'instance'; there are none"),
        ("ackley", {"rotatd": True}, "did you mean 'rotated'"),
    ],
)
def test_a_wrong_setting_is_refused(name: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make(name, **values)


@pytest.mark.parametrize("value", [2.5, "3", True, None])
def test_a_wrong_dimension_is_refused_in_the_library_too(value: Any) -> None:
    with pytest.raises(SettingError, match="rastrigin: dim: expected a whole number, got"):
        Rastrigin(dim=value)
