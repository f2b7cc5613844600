"""The pressure vessel and made-up tuning: variables of every kind, and one best choice."""

from itertools import product

import numpy as np
import pytest
from problem_points import evaluate

from swarmopt.problems.mixed import PressureVessel, Tuning
from swarmopt.variables import Boolean, Categorical, Integer, Ordinal, Real


def test_the_vessel_costs_what_the_literature_says() -> None:
    problem = PressureVessel()
    assert problem.optimum == pytest.approx(6059.714335048436, abs=1e-9)
    assert problem.space.params(problem.minimizer[None])[0] == {
        "shell": 13,
        "head": 7,
        "radius": pytest.approx(42.0984455958549),
        "length": pytest.approx(176.6365958424394),
    }


def test_no_vessel_of_any_thickness_is_cheaper() -> None:
    problem = PressureVessel()
    for shell, head in product(range(1, 25), range(1, 25)):  # thicker ones cost more
        widest = min(shell / 16 / 0.0193, head / 16 / 0.00954, 200.0)
        radius = np.linspace(10, max(widest, 10), 4_000)
        length = (problem.volume - 4 / 3 * np.pi * radius**3) / (np.pi * radius**2)
        length = np.clip(length * (1 + 1e-14), 10, 200)
        x = np.column_stack([np.full(4_000, shell), np.full(4_000, head), radius, length])
        assert evaluate(problem, x).key().min() >= problem.optimum - 1e-9


def test_each_shortage_of_a_vessel_is_a_violation() -> None:
    problem = PressureVessel()
    x = np.repeat(problem.minimizer[None], 4, axis=0)
    x[1, 0] -= 1  # a thinner shell
    x[2, 1] -= 1  # a thinner head
    x[3, 3] -= 1  # a shorter vessel
    violation = evaluate(problem, x).violation
    assert violation is not None
    assert violation[0] == 0
    np.testing.assert_allclose(violation[1], 1 / 13)
    np.testing.assert_allclose(violation[2], 1 - 0.375 / (0.00954 * x[0, 2]))
    np.testing.assert_allclose(violation[3], np.pi * x[0, 2] ** 2 / problem.volume, rtol=1e-6)


def test_tuning_has_a_variable_of_every_kind() -> None:
    kinds = {type(v) for v in Tuning().space.variables}
    assert kinds == {Real, Integer, Ordinal, Categorical, Boolean}
    assert Tuning().space.named


@pytest.mark.parametrize("instance", range(4))
def test_of_all_discrete_choices_only_one_reaches_the_optimum(instance: int) -> None:
    problem = Tuning(instance=instance)
    choices = list(product(range(4), range(1, 13), range(7), range(2)))
    x = np.empty((len(choices), 6))
    x[:, [0, 3, 4, 5]] = choices
    kind = x[:, 0].astype(int)
    rate = problem.rate[kind] * 10 ** (-0.15 * (x[:, 4] - problem.width))
    x[:, 1] = np.clip(rate, 1e-5, 1)  # the best rate and momentum for these choices
    x[:, 2] = problem.momentum[kind]
    problem.space.encode(x)
    cost = evaluate(problem, x).cost
    assert np.isclose(cost, 0, atol=1e-12).sum() == 1
    best = x[np.argmin(cost)]
    np.testing.assert_allclose(best, problem.minimizer)
    assert np.sort(cost)[1] > 0.01


def test_the_best_learning_rate_depends_on_the_optimizer_and_the_width() -> None:
    problem = Tuning()
    rates = np.logspace(-5, 0, 2_001)

    def best_rate(kind: int, width: int) -> float:
        x = np.repeat(problem.minimizer[None], len(rates), axis=0)
        x[:, 0], x[:, 1], x[:, 4] = kind, rates, width
        return float(rates[np.argmin(evaluate(problem, x).cost)])

    assert len({best_rate(kind, problem.width) for kind in range(4)}) == 4
    kind = int(np.argmax(problem.rate))
    assert best_rate(kind, problem.width - 1) > best_rate(kind, problem.width)


def test_the_best_optimizer_has_the_narrowest_valley() -> None:
    problem = Tuning()
    best = int(problem.minimizer[0])
    assert problem.handicap[best] == 0
    assert np.delete(problem.handicap, best).min() > 0.1
    assert problem.steepness[best] > np.delete(problem.steepness, best).max()
