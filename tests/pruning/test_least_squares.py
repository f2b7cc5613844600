"""Weights that are nearest to a goal, against numpy's."""

import numpy as np
import pytest
import torch

from swarmopt_pruning import least_squares
from swarmopt_pruning.least_squares import BLOCK, RIDGE, lower_gram, nearest, solved


@pytest.mark.parametrize("n", [5, 11, 12, 13, 400])
def test_the_weights_are_those_of_ridge_regression_towards_the_prior(n: int) -> None:
    torch.manual_seed(0)
    rows, goal, prior = torch.randn(3, n, 12), torch.randn(3, n, 4), torch.randn(3, 4, 12)
    found = nearest(rows, goal, prior)
    for x, y, before, got in zip(rows, goal, prior, found, strict=True):
        ridge = RIDGE * float((x.double() ** 2).sum()) / 12
        stacked = np.concatenate([x.double(), np.sqrt(ridge) * np.eye(12)])
        wanted = np.concatenate([y.double(), np.sqrt(ridge) * before.T.double()])
        solution, *_ = np.linalg.lstsq(stacked, wanted, rcond=None)
        np.testing.assert_allclose(got.T, solution, rtol=1e-3, atol=2e-3)


def test_a_goal_that_can_be_reached_is_reached_whatever_the_prior() -> None:
    torch.manual_seed(0)
    rows, true = torch.randn(2, 500, 6), torch.randn(2, 3, 6)
    found = nearest(rows, torch.bmm(rows, true.transpose(1, 2)), torch.zeros(2, 3, 6))
    torch.testing.assert_close(found, true, rtol=0.01, atol=0.01)


@pytest.mark.parametrize("bad", [0.0, float("nan"), float("inf")])
@pytest.mark.parametrize("n", [4, 30])
def test_where_the_rows_say_nothing_the_prior_stays(bad: float, n: int) -> None:
    torch.manual_seed(0)
    rows, goal, prior = torch.randn(2, n, 6), torch.randn(2, n, 3), torch.randn(2, 3, 6)
    alone = nearest(rows[:1], goal[:1], prior[:1])
    rows[1] = bad
    found = nearest(rows, goal, prior)
    assert torch.equal(found[1], prior[1])
    torch.testing.assert_close(found[:1], alone, rtol=0, atol=1e-6)


def test_the_ridge_grows_where_the_matrix_is_not_positive() -> None:
    gram = torch.stack([torch.eye(3), torch.diag(torch.tensor([5.0, 1.0, -0.01]))]).double()
    found = solved(gram, gram[:, :, :1], None, 3)
    assert found.grew
    assert not found.none.any()
    assert found.weights.isfinite().all()
    assert not solved(gram[:1], gram[:1, :, :1], None, 3).grew


def test_what_no_ridge_helps_has_no_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(least_squares, "TRIES", 2)
    gram = torch.stack([torch.eye(2), torch.diag(torch.tensor([9.0, -8.0]))]).double()
    assert solved(gram, gram, None, 2).none.tolist() == [False, True]


@pytest.mark.parametrize("n_inputs", [1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK - 1])
def test_the_lower_triangle_is_that_of_all_products(n_inputs: int) -> None:
    rows = torch.randn(2, 7, n_inputs)
    whole = rows.transpose(1, 2) @ rows
    torch.testing.assert_close(lower_gram(rows).tril(), whole.tril(), rtol=1e-4, atol=1e-4)
