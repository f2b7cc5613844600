"""The statistics of a comparison, on numpy and scipy alone.

Sources: Demsar, "Statistical comparisons of classifiers over multiple data sets", 2006 (Friedman,
Iman and Davenport, Nemenyi); Pratt, "Remarks on zeros and ties in the Wilcoxon signed rank
procedures", 1959; Holm, "A simple sequentially rejective multiple test procedure", 1979; Vargha and
Delaney, "A critique and improvement of the CL common language effect size statistics", 2000; Efron,
"Better bootstrap confidence intervals", 1987.

Costs are minimised; inf ranks last, and two of them are equal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator, Philox
from scipy import stats
from scipy.special import ndtr, ndtri

from swarmopt.types import Integers, Matrix, Vector

EXACT = 200  # pairs up to which p is exact
RESAMPLES = 5_000
EFFECTS = ((0.06, "negligible"), (0.14, "small"), (0.21, "medium"), (0.5, "large"))


def differences(one: Vector, other: Vector) -> Vector:
    """Return (n,) one less other, pair by pair; 0 where both are inf."""
    both = np.isinf(one) & np.isinf(other)
    with np.errstate(invalid="ignore"):
        found: Vector = np.where(both, 0.0, one - other)
    return found


def signed_rank(difference: Vector) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test that differences are symmetric about 0.

    Zeros are ranked and then left out, after Pratt. Up to 200 pairs p is exact, given the ties:
    every choice of signs is as likely as any other. Beyond that it is of the normal approximation,
    corrected for ties. All zero: 1.

    Args:
        difference: (n,) may be infinite; only the order of the sizes counts.
    """
    rank = stats.rankdata(np.abs(difference))
    signed = np.sign(difference) * rank
    if not signed.any():
        return 1.0
    if len(signed) > EXACT:
        return float(stats.wilcoxon(signed, zero_method="pratt", method="approx").pvalue)
    doubled = np.rint(2.0 * rank[signed != 0.0]).astype(np.int64)  # ranks of ties end in .5
    total = int(doubled.sum())
    share = np.zeros(total + 1)  # of all choices of signs, by the doubled sum of positive ranks
    share[0] = 1.0
    for step in doubled:
        share[step:] = (share[step:] + share[:-step]) / 2.0
        share[:step] /= 2.0
    positive = int(np.rint(2.0 * signed[signed > 0.0].sum()))
    tail = min(share[: positive + 1].sum(), share[positive:].sum())
    return float(min(1.0, 2.0 * tail))


def tendency(difference: Vector) -> float:
    """Return the sum of signed ranks, on which the test rests: negative where the first is less."""
    return float(np.sum(np.sign(difference) * stats.rankdata(np.abs(difference))))


def least_p(n: int) -> float:
    """Return the least p that n pairs can give: all differences of one sign."""
    return min(1.0, 2.0 ** (1 - n))


def pairs_needed(n_tests: int, alpha: float) -> int:
    """Return the least n with which one of so many tests can have p < alpha after Holm."""
    n = 1
    while least_p(n) * n_tests >= alpha:
        n += 1
    return n


def holm(p: Sequence[float]) -> Vector:
    """Return the p values of a family of tests, adjusted after Holm.

    Args:
        p: of each test.
    """
    values = np.asarray(p, float)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1))
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted


def a12(one: Vector, other: Vector) -> float:
    """Return the probability that a run of one costs less than a run of the other.

    Vargha and Delaney's A for costs: 1 where every run of one is better, 0.5 where none is; ties
    count half.

    Args:
        one: (n,) costs.
        other: (m,) costs.
    """
    rank = stats.rankdata(np.concatenate([one, other]))
    n, m = len(one), len(other)
    return float(1.0 - (rank[:n].sum() / n - (n + 1) / 2) / m)


def size_of(effect: float) -> str:
    """Return Vargha and Delaney's word for an A12: from 0.56 small, 0.64 medium, 0.71 large."""
    distance = round(abs(effect - 0.5), 12)  # 0.56 - 0.5 is a little more than 0.06
    return next(word for limit, word in EFFECTS if distance < limit or word == "large")


@dataclass(frozen=True)
class Interval:
    """A confidence interval: from `low` to `high`."""

    low: float
    high: float


def median_interval(sample: Vector, *, level: float = 0.95) -> Interval | None:
    """Return the bootstrap interval of a median, bias-corrected and accelerated (BCa).

    The resamples are the same in every call, so that a comparison always says the same. Equal
    values: a point. None where a value is not finite, or there are fewer than two.

    Args:
        sample: (n,) values.
        level: of confidence.
    """
    n = len(sample)
    if n < 2 or not np.isfinite(sample).all():
        return None
    replicates = np.sort(np.median(sample[resamples(n)], axis=1))
    middle = float(np.median(sample))
    below = np.searchsorted(replicates, middle, "left") + np.searchsorted(
        replicates, middle, "right"
    )
    share = np.clip(below / (2 * RESAMPLES), 0.5 / RESAMPLES, 1 - 0.5 / RESAMPLES)
    z = np.array([-1.0, 1.0]) * ndtri((1 + level) / 2)
    z0 = ndtri(share)
    at = ndtr(z0 + (z0 + z) / (1 - _acceleration(sample) * (z0 + z)))
    low, high = np.quantile(replicates, at)
    return Interval(float(low), float(high))


@lru_cache(maxsize=4)
def resamples(n: int) -> Integers:
    """Return (RESAMPLES, n) the rows of every bootstrap of n values; the same in every process."""
    rows: Integers = Generator(Philox(key=n)).integers(0, n, (RESAMPLES, n))
    rows.flags.writeable = False
    return rows


def _acceleration(sample: Vector) -> float:
    """Return the acceleration of the median, from its jackknife; 0 where that does not vary."""
    n = len(sample)
    without = np.array([np.median(np.delete(sample, i)) for i in range(n)])
    pull = without.mean() - without
    spread = float(np.sum(pull**2))
    return 0.0 if spread == 0.0 else float(np.sum(pull**3) / (6.0 * spread**1.5))


@dataclass(frozen=True, eq=False)
class Friedman:
    """Friedman's test over problems.

    Attributes:
        ranks: (k,) mean rank of each algorithm, 1: best everywhere.
        chi2: Friedman's statistic, corrected for ties.
        f: Iman and Davenport's; inf where all problems agree.
        p: of f, which is less conservative than that of chi2; never less than the chance that all
            problems agree in their order by accident.
        n: problems.
    """

    ranks: Vector
    chi2: float
    f: float
    p: float
    n: int


def friedman(costs: Matrix) -> Friedman:
    """Return Friedman's test with the statistic of Iman and Davenport.

    Args:
        costs: (n, k) of each algorithm on each problem, both at least 2.
    """
    n, k = costs.shape
    rank = stats.rankdata(costs, axis=1)
    mean = rank.mean(axis=0)
    variance = np.sum((rank - (k + 1) / 2) ** 2) / (n * (k - 1))  # of ranks, less with ties
    if variance == 0.0:
        return Friedman(mean, 0.0, 0.0, 1.0, n)
    chi2 = float(n * np.sum((mean - (k + 1) / 2) ** 2) / variance)
    rest = n * (k - 1) - chi2
    f = np.inf if rest <= 1e-9 * chi2 else float((n - 1) * chi2 / rest)
    p = float(stats.f.sf(f, k - 1, (k - 1) * (n - 1)))
    return Friedman(mean, chi2, f, max(p, _agreement(rank)), n)


def _agreement(rank: Matrix) -> float:
    """Return the chance that the orders of all problems, shuffled, agree."""
    n_orders = [
        math.factorial(len(row))
        / math.prod(map(math.factorial, np.unique(row, return_counts=True)[1].tolist()))
        for row in rank
    ]
    return max(n_orders) / math.prod(n_orders)


def critical_difference(k: int, n: int, alpha: float = 0.05) -> float:
    """Return Nemenyi's critical difference of mean ranks of k algorithms over n problems."""
    q = stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(k * (k + 1) / (6.0 * n)))


def nemenyi(ranks: Vector, n: int) -> Matrix:
    """Return (k, k) the p values of Nemenyi's test for each pair of mean ranks over n problems."""
    k = len(ranks)
    q = np.abs(ranks[:, None] - ranks) / np.sqrt(k * (k + 1) / (6.0 * n))
    p: Matrix = np.minimum(stats.studentized_range.sf(q * np.sqrt(2), k, np.inf), 1.0)
    return p
