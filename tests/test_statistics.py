"""The statistics of a comparison, against scipy, statsmodels, scikit-posthocs and by hand."""

import itertools
import math

import numpy as np
import pytest
import scikit_posthocs
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from swarmopt.compare import statistics as own
from swarmopt.types import Vector

whole = st.lists(st.integers(-4, 4), min_size=1, max_size=9)


def brute_force(difference: Vector) -> float:
    """The two-sided p of all choices of signs, counted."""
    rank = stats.rankdata(np.abs(difference))[difference != 0]
    observed = rank[difference[difference != 0] > 0].sum()
    sums = [
        rank[np.array(signs, bool)].sum()
        for signs in itertools.product([False, True], repeat=len(rank))
    ]
    below = np.mean([s <= observed + 1e-9 for s in sums])
    above = np.mean([s >= observed - 1e-9 for s in sums])
    return float(min(1.0, 2.0 * min(below, above)))


@given(whole)
def test_the_signed_rank_p_counts_the_choices_of_signs_with_ties_and_zeros(
    values: list[int],
) -> None:
    difference = np.array(values, float)
    assert own.signed_rank(difference) == pytest.approx(brute_force(difference), abs=1e-12)


@pytest.mark.parametrize("n", [5, 17, 50])
def test_the_signed_rank_p_without_ties_is_scipys_exact_one(n: int) -> None:
    difference = np.random.default_rng(n).normal(0.3, 1, n)
    expected = stats.wilcoxon(difference, method="exact").pvalue
    assert own.signed_rank(difference) == pytest.approx(expected, rel=1e-9)


def test_beyond_two_hundred_pairs_the_signed_rank_p_is_scipys_approximation() -> None:
    difference = np.random.default_rng(0).integers(-4, 6, 300).astype(float)
    expected = stats.wilcoxon(difference, zero_method="pratt", method="approx").pvalue
    assert own.signed_rank(difference) == pytest.approx(expected)


def test_the_exact_and_the_approximate_p_are_close_where_one_takes_over_from_the_other() -> None:
    difference = np.random.default_rng(3).normal(0.1, 1, own.EXACT)
    expected = stats.wilcoxon(difference, method="approx").pvalue
    assert own.signed_rank(difference) == pytest.approx(expected, abs=2e-3)


@given(whole)
def test_only_the_order_of_sizes_and_the_signs_count(values: list[int]) -> None:
    difference = np.array(values, float)
    assert own.signed_rank(difference) == own.signed_rank(np.sign(difference) * difference**2)
    assert own.signed_rank(difference) == pytest.approx(own.signed_rank(-difference))


def test_failed_runs_rank_last_and_two_of_them_are_equal() -> None:
    found = own.differences(
        np.array([np.inf, 1.0, np.inf, 2.0]), np.array([1.0, np.inf, np.inf, 1.0])
    )
    assert found.tolist() == [np.inf, -np.inf, 0.0, 1.0]
    assert 0.0 < own.signed_rank(found) <= 1.0
    assert own.a12(np.array([1.0, np.inf]), np.array([np.inf, np.inf])) == 0.75


def test_equal_runs_show_nothing() -> None:
    assert own.signed_rank(np.zeros(30)) == 1.0
    assert own.a12(np.ones(30), np.ones(30)) == 0.5
    assert own.median_interval(np.ones(30)) == own.Interval(1.0, 1.0)


@pytest.mark.parametrize("n", [2, 5, 6, 10])
def test_the_least_p_is_that_of_differences_of_one_sign(n: int) -> None:
    assert own.signed_rank(np.arange(1.0, n + 1)) == pytest.approx(own.least_p(n))


def test_the_pairs_needed_can_just_show_a_difference() -> None:
    assert own.pairs_needed(1, 0.05) == 6
    for n_tests in (1, 3, 36):
        n = own.pairs_needed(n_tests, 0.05)
        assert own.least_p(n) * n_tests < 0.05 <= own.least_p(n - 1) * n_tests


def test_holms_correction_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(6)
    for n in (1, 2, 5, 12, 36):
        p = np.round(rng.random(n) ** 3, 2)  # some of them equal
        np.testing.assert_allclose(own.holm(p.tolist()), multipletests(p, method="holm")[1])


def test_holm_of_nothing_is_nothing() -> None:
    assert own.holm([]).tolist() == []


@given(whole, whole)
def test_a12_counts_the_pairs_of_runs(one: list[int], other: list[int]) -> None:
    wins = [1.0 if a < b else 0.5 if a == b else 0.0 for a in one for b in other]
    assert own.a12(np.array(one, float), np.array(other, float)) == pytest.approx(np.mean(wins))


def test_the_words_of_a12_begin_where_vargha_and_delaney_put_them() -> None:
    words = {0.5: "negligible", 0.559: "negligible", 0.56: "small", 0.44: "small", 0.64: "medium",
             0.71: "large", 0.29: "large", 1.0: "large", 0.0: "large"}  # fmt: skip
    assert {effect: own.size_of(effect) for effect in words} == words


@pytest.mark.parametrize("n", [3, 10, 31])
def test_the_interval_of_a_median_is_close_to_scipys_bca(n: int) -> None:
    sample = np.random.default_rng(n).exponential(size=n)
    expected = stats.bootstrap(
        (sample,), np.median, method="BCa", n_resamples=20_000, random_state=1
    ).confidence_interval
    found = own.median_interval(sample)
    assert found is not None
    order = np.sort(
        sample
    )  # both are order statistics, or midpoints of two: one step apart at most
    for mine, scipys in ((found.low, expected.low), (found.high, expected.high)):
        apart = np.searchsorted(order, [mine, scipys])
        assert abs(int(apart[0]) - int(apart[1])) <= 1


@pytest.mark.slow
def test_the_interval_holds_the_median_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(5)
    held = 0
    for _ in range(200):
        found = own.median_interval(rng.exponential(size=30))
        assert found is not None
        held += found.low <= math.log(2) <= found.high
    assert 0.88 <= held / 200 <= 0.99


def test_there_is_no_interval_of_one_value_or_of_a_failure() -> None:
    assert own.median_interval(np.array([1.0])) is None
    assert own.median_interval(np.array([1.0, np.inf, 2.0])) is None


@pytest.mark.parametrize("ties", [False, True])
def test_friedman_is_scipys_and_iman_davenport_follows_from_it(*, ties: bool) -> None:
    costs = np.random.default_rng(2).normal(size=(9, 4)) + np.array([0.0, 0.5, 1.0, 1.0])
    if ties:
        costs = np.round(costs)
    found = own.friedman(costs)
    chi2 = stats.friedmanchisquare(*costs.T).statistic
    f = 8 * chi2 / (9 * 3 - chi2)
    assert found.chi2 == pytest.approx(chi2)
    assert found.f == pytest.approx(f)
    assert found.p == pytest.approx(stats.f.sf(f, 3, 24))
    assert found.ranks.sum() == pytest.approx(10.0)


def test_friedman_of_equal_costs_shows_nothing() -> None:
    found = own.friedman(np.ones((4, 3)))
    assert (found.f, found.p, found.ranks.tolist()) == (0.0, 1.0, [2.0, 2.0, 2.0])


@pytest.mark.parametrize(("n", "k"), [(2, 3), (4, 2), (3, 3)])
def test_problems_that_agree_claim_no_more_than_the_chance_of_that(n: int, k: int) -> None:
    orders = list(itertools.permutations(range(k)))
    agree = sum(len(set(rows)) == 1 for rows in itertools.product(orders, repeat=n))
    found = own.friedman(np.tile(np.arange(float(k)), (n, 1)))
    assert found.f == np.inf
    assert found.p == pytest.approx(agree / len(orders) ** n)


def test_nemenyi_is_that_of_scikit_posthocs() -> None:
    costs = np.random.default_rng(4).normal(size=(12, 5)) + np.arange(5) / 2
    ranks = own.friedman(costs).ranks
    expected = scikit_posthocs.posthoc_nemenyi_friedman(costs).to_numpy()
    np.testing.assert_allclose(own.nemenyi(ranks, 12), expected, atol=1e-9)


def test_the_critical_difference_is_that_of_demsars_table() -> None:
    q = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 10: 3.164}  # Demsar 2006, table 5a
    for k, value in q.items():
        expected = value * np.sqrt(k * (k + 1) / (6 * 14))
        assert own.critical_difference(k, 14) == pytest.approx(expected, rel=1e-3)
