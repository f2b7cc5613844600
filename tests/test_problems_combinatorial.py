"""Knapsack, NK landscape, satisfiability: the optimum is that of brute force."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from problem_points import evaluate

from swarmopt.problems.combinatorial import Knapsack, MaxSat, NKLandscape, best_choice, best_ring
from swarmopt.types import Matrix


def every_choice(n: int) -> Matrix:
    return np.array(list(product([0.0, 1.0], repeat=n)))


@pytest.mark.parametrize("items", [1, 2, 3, 7, 12])
@pytest.mark.parametrize("instance", range(4))
def test_the_knapsack_optimum_is_that_of_brute_force(items: int, instance: int) -> None:
    problem = Knapsack(items=items, instance=instance)
    key = evaluate(problem, every_choice(items)).key()
    assert key.min() == problem.optimum < 0
    assert problem.weights @ problem.minimizer <= problem.capacity


@given(
    st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=1, max_size=9),
    st.integers(0, 40),
)
@hypothesis_settings(deadline=None)
def test_the_dynamic_program_is_exact(items: list[tuple[int, int]], capacity: int) -> None:
    weights, values = np.array(items).T
    x = every_choice(len(items))
    best = (x @ values)[x @ weights <= capacity].max()
    choice = best_choice(weights, values, capacity)
    assert set(choice) <= {0.0, 1.0}
    assert weights @ choice <= capacity
    assert values @ choice == best


def test_a_knapsack_that_is_too_heavy_is_infeasible_by_its_overweight() -> None:
    problem = Knapsack(items=20)
    evaluation = evaluate(problem, np.array([np.ones(20), np.zeros(20)]))
    assert evaluation.cost.tolist() == [-problem.values.sum(), 0]
    excess = (problem.weights.sum() - problem.capacity) / problem.capacity
    assert evaluation.violation is not None
    assert evaluation.violation.tolist() == [excess, 0.0]


def test_the_knapsack_does_not_hold_everything_and_is_no_greedy_task() -> None:
    problem = Knapsack(items=200)
    assert 0.4 < problem.capacity / problem.weights.sum() <= 0.5
    order = np.argsort(-problem.values / problem.weights)
    fits = np.cumsum(problem.weights[order]) <= problem.capacity
    assert -problem.values[order][fits].sum() > problem.optimum


@pytest.mark.parametrize(
    ("bits", "neighbours"), [(1, 0), (2, 1), (3, 2), (9, 0), (9, 1), (9, 4), (9, 8), (12, 3)]
)
@pytest.mark.parametrize("instance", range(3))
def test_the_nk_optimum_is_that_of_brute_force(bits: int, neighbours: int, instance: int) -> None:
    problem = NKLandscape(bits=bits, neighbours=neighbours, instance=instance)
    cost = evaluate(problem, every_choice(bits)).cost
    assert cost.min() == problem.optimum
    assert set(problem.minimizer) <= {0.0, 1.0}


@given(st.integers(1, 7), st.data())
@hypothesis_settings(deadline=None)
def test_the_ring_program_is_exact_with_ties_too(bits: int, data: st.DataObject) -> None:
    neighbours = data.draw(st.integers(0, bits - 1))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    problem = NKLandscape(bits=bits, neighbours=neighbours)
    problem.worth = rng.integers(0, 3, (bits, 2 ** (neighbours + 1)))
    cost = evaluate(problem, every_choice(bits)).cost
    assert evaluate(problem, best_ring(problem.worth)[None]).cost[0] == cost.min()


def test_a_bits_worth_depends_on_the_bits_that_follow_round_the_ring() -> None:
    problem = NKLandscape(bits=6, neighbours=2)
    x = every_choice(6)
    expected = []
    for row in x.astype(int):
        words = [row[i] + 2 * row[(i + 1) % 6] + 4 * row[(i + 2) % 6] for i in range(6)]
        expected.append(sum(problem.worth[i, w] for i, w in enumerate(words)) / 6_000)
    np.testing.assert_allclose(evaluate(problem, x).cost, expected, rtol=1e-15)


def test_a_flip_changes_the_worth_of_a_bit_and_of_those_before_it() -> None:
    problem = NKLandscape(bits=30, neighbours=3)
    problem.worth[:26] = 0  # what is left belongs to the bits 26..29
    zeros, flipped = np.zeros((1, 30)), np.eye(30)
    changed = evaluate(problem, flipped).cost != evaluate(problem, zeros).cost
    assert np.flatnonzero(changed).tolist() == [0, 1, 2, 26, 27, 28, 29]


def test_without_neighbours_every_bit_is_set_alone() -> None:
    problem = NKLandscape(bits=200, neighbours=0)
    assert problem.minimizer.tolist() == np.argmin(problem.worth, axis=1).tolist()


def test_the_hidden_solution_satisfies_every_clause() -> None:
    for instance in range(5):
        problem = MaxSat(variables=80, clauses=2_000, instance=instance)
        assert evaluate(problem, problem.minimizer[None]).cost.tolist() == [0]
        assert evaluate(problem, 1 - problem.minimizer[None]).cost[0] > 50


def test_unsatisfied_clauses_are_counted_one_by_one() -> None:
    problem = MaxSat(variables=7, clauses=40)
    x = every_choice(7)
    expected = [
        sum(
            all(row[v] != value for v, value in zip(variables, values, strict=True))
            for variables, values in zip(
                problem.clause_variables, problem.clause_values, strict=True
            )
        )
        for row in x
    ]
    assert evaluate(problem, x).cost.tolist() == expected


def test_the_variables_of_a_clause_are_distinct_and_uniform() -> None:
    problem = MaxSat(variables=5, clauses=20_000)
    clauses = np.sort(problem.clause_variables, axis=1)
    assert (np.diff(clauses, axis=1) > 0).all()
    share = np.unique(clauses, axis=0, return_counts=True)[1] / 20_000
    assert len(share) == 10  # 5 choose 3
    np.testing.assert_allclose(share, 0.1, atol=0.01)


def test_literals_do_not_give_the_hidden_solution_away() -> None:
    problem = MaxSat(variables=50, clauses=40_000)
    agrees = problem.clause_values == problem.minimizer[problem.clause_variables]
    assert agrees.mean() == pytest.approx(0.5, abs=0.01)
    share = np.bincount(agrees.sum(axis=1), minlength=4) / 40_000
    q = (np.sqrt(5) - 1) / 2
    odds = np.array([0, 3 * q, 3 * q**2, q**3])
    np.testing.assert_allclose(share, odds / odds.sum(), atol=0.01)
