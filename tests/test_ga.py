"""The genetic algorithm: elitism, crossover against its formula, native integers and categories."""

import numpy as np
import pytest
from numpy.random import default_rng

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.algorithms.ga import GA, GAState
from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.space import Space
from swarmopt.testing import drive
from swarmopt.testing.objectives import bowl
from swarmopt.variables import Categorical, Integer, Real

REAL = Space([Real(-5, 5)] * 6).domain
MIXED = Space([Real(0, 1), Integer(0, 40), Categorical(list("abcd"))]).domain


def bred(algorithm: GA, domain: Domain, generations: int = 5) -> GAState:
    """Return the state after some generations."""
    state = algorithm.init(domain, Horizon())
    for g in range(generations):
        children = algorithm.ask(state, default_rng(g))
        state = algorithm.tell(state, children, bowl(domain)(children.unit))
    return state


def test_the_best_parent_survives_worse_children() -> None:
    algorithm = GA(population=10)
    state = bred(algorithm, REAL)
    children = algorithm.ask(state, default_rng(9))
    after = algorithm.tell(state, children, np.full(10, np.inf))
    np.testing.assert_array_equal(after.unit, state.unit)
    np.testing.assert_array_equal(after.key, state.key)


def test_survivors_are_the_best_of_parents_and_children() -> None:
    algorithm = GA(population=10)
    state = bred(algorithm, REAL)
    children = algorithm.ask(state, default_rng(9))
    key = bowl(REAL)(children.unit)
    everyone = {tuple(u): k for u, k in zip(state.unit, state.key, strict=True)}
    everyone |= {tuple(u): k for u, k in zip(children.unit, key, strict=True)}
    after = algorithm.tell(state, children, key)
    np.testing.assert_array_equal(after.key, sorted(everyone.values())[:10])


def test_no_two_parents_are_the_same_point() -> None:
    domain = Space([Integer(0, 3)] * 2).domain
    state = bred(GA(population=12), domain, 8)
    assert len(np.unique(domain.level(state.unit), axis=0)) == len(state.unit)


def test_of_a_point_told_twice_the_better_key_is_kept() -> None:
    algorithm = GA(population=4)
    state = algorithm.init(REAL, Horizon())
    twins = Candidates(np.full((2, 6), 0.5))
    state = algorithm.tell(state, twins, np.array([3.0, 1.0]))
    state = algorithm.tell(state, twins, np.array([2.0, 5.0]))
    assert state.key.tolist() == [1.0]


def test_among_equal_keys_the_younger_survives() -> None:
    algorithm = GA(population=4)
    state = algorithm.init(REAL, Horizon())
    state = algorithm.tell(state, algorithm.ask(state, default_rng(0)), np.zeros(4))
    children = algorithm.ask(state, default_rng(1))
    after = algorithm.tell(state, children, np.zeros(4))
    np.testing.assert_array_equal(after.unit[0], children.unit[0])


def test_without_crossover_and_mutation_children_are_parents() -> None:
    algorithm = GA(population=10, crossover=0.0, mutation=0.0)
    state = bred(algorithm, REAL)
    children = algorithm.ask(state, default_rng(3)).unit
    assert {tuple(u) for u in children} <= {tuple(u) for u in state.unit}


def test_better_parents_win_their_tournaments() -> None:
    algorithm = GA(population=100, crossover=0.0, mutation=0.0)
    state = bred(algorithm, REAL, 1)
    index = {tuple(u): i for i, u in enumerate(state.unit)}
    rank = [index[tuple(u)] for s in range(20) for u in algorithm.ask(state, default_rng(s)).unit]
    # P(rank >= n/2) is 1/4 for the better of two drawn uniformly
    assert np.mean(np.array(rank) >= 50) == pytest.approx(0.25, abs=0.05)


def test_crossover_follows_its_formula_pair_by_pair() -> None:
    algorithm = GA(crossover=1.0)
    rng = default_rng(0)
    a, b = rng.random((2, 5, 6))
    children = algorithm._crossed(REAL, a, b, default_rng(1))
    draw = default_rng(1)
    u, genes, _ = draw.random((5, 6)), draw.random((5, 6)), draw.random((5, 1))
    for i in range(5):
        for j in range(6):
            p, q = a[i, j], b[i, j]
            if 0.25 < genes[i, j] < 0.75:  # exchanged
                p, q = q, p
            if u[i, j] < 0.5:
                beta = (2 * u[i, j]) ** (1 / 3)
            else:
                beta = (1 / (2 * (1 - u[i, j]))) ** (1 / 3)
            if genes[i, j] >= 0.5:  # not blended
                beta = 1.0
            one, two = (1 + beta) * p + (1 - beta) * q, (1 - beta) * p + (1 + beta) * q
            assert children[i, j] == pytest.approx(0.5 * one)
            assert children[i + 5, j] == pytest.approx(0.5 * two)


def test_a_pair_that_does_not_cross_over_is_copied() -> None:
    a, b = default_rng(0).random((2, 50, 6))
    children = GA(crossover=0.0)._crossed(REAL, a, b, default_rng(1))
    np.testing.assert_array_equal(children, np.concatenate((a, b)))


def test_crossover_keeps_the_mean_of_the_parents() -> None:
    a, b = default_rng(0).random((2, 50, 6))
    children = GA()._crossed(REAL, a, b, default_rng(1))
    np.testing.assert_allclose(children[:50] + children[50:], a + b)


def test_polynomial_mutation_follows_its_formula() -> None:
    steps = GA()._polynomial(50, default_rng(0))
    for step, u in zip(steps, default_rng(0).random(50), strict=True):
        if u < 0.5:
            assert step == pytest.approx((2 * u) ** (1 / 21) - 1)
        else:
            assert step == pytest.approx(1 - (2 * (1 - u)) ** (1 / 21))


def test_categories_of_children_come_from_their_parents() -> None:
    domain = Space([Categorical([str(i) for i in range(50)])] * 4).domain
    algorithm = GA(population=20, mutation=0.0)
    state = bred(algorithm, domain, 1)
    children = domain.level(algorithm.ask(state, default_rng(1)).unit)
    parents = domain.level(state.unit)
    for j in range(4):
        assert set(children[:, j]) <= set(parents[:, j])


def test_a_pair_shares_out_its_categories() -> None:
    domain = Space([Categorical(list("abcd"))] * 8).domain
    a, b = domain.centre(default_rng(0).random((2, 30, 8)).reshape(60, 8)).reshape(2, 30, 8)
    children = GA()._crossed(domain, a, b, default_rng(1))
    np.testing.assert_allclose(children[:30] + children[30:], a + b)
    assert (children[:30] == a).mean() == pytest.approx(0.625, abs=0.1)  # 1/2, and 1/4 by chance


def test_discrete_values_stand_in_the_middle_of_their_bins() -> None:
    unit = GA().ask(bred(GA(), MIXED), default_rng(1)).unit
    np.testing.assert_allclose(unit, MIXED.centre(unit), atol=1e-15)


def test_children_of_parents_at_the_walls_stay_in_the_cube() -> None:
    for at in (0.0, 1.0):
        algorithm = GA(population=40, mutation=1.0)
        state = algorithm.init(REAL, Horizon())
        parents = np.abs(at - 0.01 * default_rng(0).random((40, 6)))
        state = algorithm.tell(state, Candidates(parents), np.zeros(40))
        unit = algorithm.ask(state, default_rng(1)).unit
        assert ((unit >= 0.0) & (unit <= 1.0)).all()


def test_mutation_moves_integers_by_their_spread() -> None:
    domain = Space([Integer(0, 1000)]).domain
    algorithm = GA(population=100, crossover=0.0, mutation=1.0)
    state = algorithm.init(domain, Horizon())
    narrow = domain.centre(0.5 + 0.003 * default_rng(0).standard_normal((100, 1)))
    state = algorithm.tell(state, Candidates(narrow), np.zeros(100))
    children = domain.level(algorithm.ask(state, default_rng(1)).unit)
    assert 1.0 < np.abs(children - 500).mean() < 20.0
    assert (children != 500).any()


def test_mutation_of_a_wide_flock_takes_wide_steps() -> None:
    domain = Space([Integer(0, 1000)]).domain
    algorithm = GA(population=2, crossover=0.0, mutation=1.0)
    state = algorithm.init(domain, Horizon())
    parents = domain.centre(np.array([[0.4], [0.6]]))  # 100 levels of standard deviation
    state = algorithm.tell(state, Candidates(parents), np.zeros(2))
    children = [algorithm.ask(state, default_rng(s)).unit for s in range(500)]
    away = np.abs(domain.level(np.concatenate(children)) - [400, 600]).min(axis=1)
    assert 20.0 < away.mean() < 101.0


def test_integers_cross_over_with_random_rounding() -> None:
    domain = Space([Integer(0, 1000)]).domain
    algorithm = GA(population=2, crossover=1.0, mutation=0.0)
    state = algorithm.init(domain, Horizon())
    parents = domain.centre(np.array([[0.5], [0.502]]))
    state = algorithm.tell(state, Candidates(parents), np.zeros(2))
    children = [algorithm.ask(state, default_rng(s)).unit for s in range(2_000)]
    level = domain.level(np.concatenate(children))
    low, high = domain.level(parents)[:, 0]
    # The first parent wins three tournaments in four.
    assert level.mean() == pytest.approx(0.75 * low + 0.25 * high, abs=0.1)
    assert np.mean((level != low) & (level != high)) > 0.008  # 0.001 if rounded to the nearest


def test_a_fixed_population_repeats_the_prefix_under_a_larger_budget() -> None:
    short, long = (
        drive(GA(population=20), MIXED, bowl(MIXED), 5, seed=1, horizon=Horizon(budget))
        for budget in (100, 100_000)
    )
    np.testing.assert_array_equal(np.concatenate(short.told), np.concatenate(long.told))


@pytest.mark.parametrize(("budget", "n"), [(100, 12), (3_000, 20), (10**6, 40), (None, 40)])
def test_the_automatic_population_follows_the_budget(budget: int | None, n: int) -> None:
    assert GA().init(REAL, Horizon(budget)).population == n


def test_the_population_is_never_below_the_batch() -> None:
    algorithm = GA(population=5)
    state = algorithm.init(REAL, Horizon(batch=9))
    state = algorithm.tell(state, algorithm.ask(state, default_rng(0)), np.arange(9.0))
    assert len(algorithm.ask(state, default_rng(1))) == 9


@pytest.mark.parametrize(
    "make",
    [
        lambda: GA(population=0),
        lambda: GA(crossover=1.1),
        lambda: GA(mutation=-0.1),
        lambda: GA(crossover_eta=float("nan")),
        lambda: GA(mutation_eta=-1.0),
    ],
)
def test_settings_out_of_range_are_refused(make: type[GA]) -> None:
    with pytest.raises(SettingError, match=r"ga: (\w+: )?expected"):
        make()
