"""The flock's Gaussian model against the equations of Hansen's tutorial, written out plainly."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarmopt.algorithms import flock_model
from swarmopt.algorithms.flock_model import FlockModel
from swarmopt.types import Matrix, Vector


class PlainCMA:
    """Arxiv 1604.00772v2, figure 6 and table 1, one line after the other, loops and all."""

    def __init__(self, mean: Vector, sigma: float, n: int) -> None:
        k = len(mean)
        self.k, self.n, self.mean, self.sigma = k, n, mean.copy(), sigma
        raw = [np.log((n + 1) / 2) - np.log(i + 1) for i in range(n)]
        self.mu = n // 2
        up, down = raw[: self.mu], [min(v, 0.0) for v in raw[self.mu :]]
        self.mu_eff = sum(up) ** 2 / sum(v * v for v in up)
        mu_eff_down = sum(down) ** 2 / sum(v * v for v in down)
        self.c1 = 2 / ((k + 1.3) ** 2 + self.mu_eff)
        self.cmu = min(
            1 - self.c1,
            2 * (1 / 4 + self.mu_eff + 1 / self.mu_eff - 2) / ((k + 2) ** 2 + 2 * self.mu_eff / 2),
        )
        alpha = min(
            1 + self.c1 / self.cmu,
            1 + 2 * mu_eff_down / (self.mu_eff + 2),
            (1 - self.c1 - self.cmu) / (k * self.cmu),
        )
        self.w = [v / sum(up) for v in up] + [v * alpha / abs(sum(down)) for v in down]
        self.cs = (self.mu_eff + 2) / (k + self.mu_eff + 5)
        self.ds = 1 + 2 * max(0, np.sqrt((self.mu_eff - 1) / (k + 1)) - 1) + self.cs
        self.cc = (4 + self.mu_eff / k) / (k + 4 + 2 * self.mu_eff / k)
        self.chi = np.sqrt(k) * (1 - 1 / (4 * k) + 1 / (21 * k**2))
        self.C, self.ps, self.pc, self.g = np.eye(k), np.zeros(k), np.zeros(k), 0

    def tell(self, ranked: Matrix) -> None:
        k, y = self.k, [(x - self.mean) / self.sigma for x in ranked]
        values, vectors = np.linalg.eigh(self.C)
        root = vectors @ np.diag(values**-0.5) @ vectors.T
        yw = sum((w * v for w, v in zip(self.w[: self.mu], y, strict=False)), np.zeros(k))
        self.mean = self.mean + self.sigma * yw
        self.ps = (1 - self.cs) * self.ps + np.sqrt(
            self.cs * (2 - self.cs) * self.mu_eff
        ) * root @ yw
        self.g += 1
        norm = np.linalg.norm(self.ps)
        small = norm / np.sqrt(1 - (1 - self.cs) ** (2 * self.g)) < (1.4 + 2 / (k + 1)) * self.chi
        h = 1.0 if small else 0.0
        self.pc = (1 - self.cc) * self.pc + h * np.sqrt(self.cc * (2 - self.cc) * self.mu_eff) * yw
        delta = (1 - h) * self.cc * (2 - self.cc)
        new = (1 + self.c1 * delta - self.c1 - self.cmu * sum(self.w)) * self.C
        new = new + self.c1 * np.outer(self.pc, self.pc)
        for w, v in zip(self.w, y, strict=True):
            scaled = w if w >= 0 else w * k / np.linalg.norm(root @ v) ** 2
            new = new + self.cmu * scaled * np.outer(v, v)
        self.C = new
        self.sigma *= np.exp(min(1.0, self.cs / self.ds * (norm / self.chi - 1)))


def model(k: int, n: int, *, sigma: float = 0.05, diagonal: bool = False) -> FlockModel:
    rates = flock_model.rates(k, n, diagonal=diagonal)
    return flock_model.start(np.full(k, 0.5), sigma, rates, diagonal=diagonal)


def generations(start: FlockModel, n: int, how_many: int, seed: int) -> FlockModel:
    rng = np.random.default_rng(seed)
    for _ in range(how_many):
        x = flock_model.sample(start, n, rng)
        order = np.argsort(((x - 0.4) ** 2 * np.arange(1, x.shape[1] + 1)).sum(axis=1))
        start = flock_model.update(start, x[order], np.zeros(n, bool))
    return start


@pytest.mark.parametrize("sigma", [0.05, 0.001])  # the small one makes long paths: h_sigma = 0
@pytest.mark.parametrize(("k", "n"), [(1, 4), (2, 6), (5, 7), (12, 14)])
def test_a_step_equals_a_plain_cma_es(k: int, n: int, sigma: float) -> None:
    ours, plain = model(k, n, sigma=sigma), PlainCMA(np.full(k, 0.5), sigma, n)
    rng = np.random.default_rng(k)
    for _ in range(15):
        x = plain.mean + plain.sigma * rng.multivariate_normal(np.zeros(k), plain.C, n)
        longest = np.sqrt(k) + 2 * k / (k + 2)
        white = np.linalg.solve(np.linalg.cholesky(plain.C), ((x - plain.mean) / plain.sigma).T)
        x = plain.mean + (x - plain.mean) * np.minimum(
            1.0, 0.999 * longest / np.linalg.norm(white, axis=0)
        ).reshape(-1, 1)
        ranked = x[np.argsort(((x - 0.45) ** 2).sum(axis=1))]
        ours = flock_model.update(flock_model.decomposed(ours), ranked, np.zeros(n, bool))
        plain.tell(ranked)
        np.testing.assert_allclose(ours.mean, plain.mean, rtol=1e-9)
        np.testing.assert_allclose(ours.sigma, plain.sigma, rtol=1e-9)
        np.testing.assert_allclose(ours.covariance, plain.C, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(ours.path, plain.pc, rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(ours.sigma_path, plain.ps, rtol=1e-7, atol=1e-10)


def test_a_tiny_step_size_keeps_samples_at_the_mean() -> None:
    x = flock_model.sample(model(4, 8, sigma=1e-15), 50, np.random.default_rng(0))
    np.testing.assert_allclose(x, 0.5, atol=1e-13)


def test_samples_follow_the_covariance() -> None:
    adapted = flock_model.decomposed(generations(model(3, 10), 10, 30, seed=1))
    x = flock_model.sample(adapted, 200_000, np.random.default_rng(2))
    found = np.cov(x.T)
    expected = adapted.sigma**2 * np.asarray(adapted.covariance)
    np.testing.assert_allclose(found, expected, atol=0.03 * expected.max())
    np.testing.assert_allclose(np.sqrt(found.diagonal()), adapted.deviation, rtol=0.02)


def test_the_diagonal_model_equals_the_full_one_in_one_variable() -> None:
    full, diagonal = (generations(model(1, 6, diagonal=d), 6, 20, seed=3) for d in (False, True))
    np.testing.assert_allclose(full.mean, diagonal.mean, rtol=1e-9)
    np.testing.assert_allclose(full.sigma, diagonal.sigma, rtol=1e-9)
    np.testing.assert_allclose(np.ravel(full.covariance), diagonal.covariance, rtol=1e-9)


def test_the_diagonal_model_learns_the_diagonal_of_the_full_one() -> None:
    rates = flock_model.rates(4, 8)  # the same learning rates for both
    x = np.random.default_rng(4).normal(0.5, 0.05, (8, 4))
    none = np.zeros(8, bool)
    full = flock_model.update(model(4, 8), x, none)
    start = flock_model.start(np.full(4, 0.5), 0.05, rates, diagonal=True)
    diagonal = flock_model.update(start, x, none)
    np.testing.assert_allclose(
        np.asarray(full.covariance).diagonal(), diagonal.covariance, rtol=1e-12
    )


def test_a_foreign_candidate_far_away_moves_the_mean_no_further_than_a_long_step() -> None:
    start = model(5, 7)
    near = flock_model.sample(start, 7, np.random.default_rng(5))
    far = near.copy()
    far[0] = 1.0
    foreign = np.arange(7) == 0
    moved = flock_model.update(start, far, foreign)
    longest = np.sqrt(5) + 10 / 7
    assert np.linalg.norm(moved.mean - start.mean) <= 1.01 * start.sigma * longest
    assert np.linalg.eigvalsh(np.asarray(moved.covariance)).max() < 3.0


def test_the_direction_of_a_bad_foreign_candidate_is_not_shunned() -> None:
    start = model(3, 8)
    x = np.full((8, 3), 0.5)
    x[-1, 0] += 0.05
    own = flock_model.update(start, x, np.zeros(8, bool))
    foreign = flock_model.update(start, x, np.arange(8) == 7)
    assert np.asarray(own.covariance)[0, 0] < np.asarray(own.covariance)[1, 1]
    same = np.asarray(foreign.covariance).diagonal()
    np.testing.assert_allclose(same, same[0])


def test_fewer_candidates_than_the_rates_were_made_for_are_enough() -> None:
    start = model(3, 8)
    for n in range(1, 8):
        x = flock_model.sample(start, n, np.random.default_rng(n))
        moved = flock_model.update(start, x, np.zeros(n, bool))
        assert np.isfinite(moved.mean).all()
        assert np.linalg.eigvalsh(np.asarray(moved.covariance)).min() > 0


def test_an_update_changes_no_argument() -> None:
    start = generations(model(4, 7), 7, 3, seed=6)
    arrays = [a for a in vars(start).values() if isinstance(a, np.ndarray)]
    x = flock_model.sample(start, 7, np.random.default_rng(7))
    before = [a.copy() for a in [*arrays, x]]
    flock_model.update(start, x, np.arange(7) > 3)
    for old, now in zip(before, [*arrays, x], strict=True):
        np.testing.assert_array_equal(old, now)


@settings(max_examples=40, deadline=None)
@given(
    k=st.integers(1, 12),
    n=st.integers(2, 30),
    diagonal=st.booleans(),
    spread=st.sampled_from([0.0, 1e-200, 1e-9, 1.0]),
    seed=st.integers(0, 1_000),
)
def test_any_candidates_leave_a_proper_gaussian(
    k: int, n: int, diagonal: bool, spread: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    now = model(k, n, sigma=0.3, diagonal=diagonal)
    for _ in range(20):
        x = np.clip(0.5 + spread * rng.standard_normal((n, k)), 0, 1)
        now = flock_model.update(now, x, rng.random(n) < 0.3)
    now = flock_model.decomposed(now)
    assert (now.axes > 0).all()
    assert 0 < now.sigma <= 1
    assert ((now.mean >= 0) & (now.mean <= 1)).all()


@pytest.mark.parametrize("n", [2, 3, 7, 100])
def test_positive_weights_sum_to_one_and_the_best_weighs_most(n: int) -> None:
    weights = flock_model.rates(10, n).weights
    assert len(weights) == n
    assert weights[weights > 0].sum() == pytest.approx(1.0)
    assert (np.diff(weights) <= 0).all()
