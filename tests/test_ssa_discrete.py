"""Where swarms go wrong in discrete spaces, the default algorithm does not."""

from dataclasses import replace

import numpy as np
import pytest
from flocks import LETTERS, reals, run, total_of_levels, warm

from swarmopt.algorithm import Horizon, Streams
from swarmopt.algorithms.ssa import SSA
from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.algorithms.ssa_flock import Flock, nearest
from swarmopt.algorithms.ssa_roles import producers, renewed, uniform_probability
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Categorical, Integer, Real


def test_a_step_size_below_the_level_pitch_freezes_no_coordinate() -> None:
    domain = Space([*[Integer(0, 20)] * 5, Real(0, 1)]).domain  # the real one: no duplicates
    state = warm(domain)
    assert state.model is not None
    stuck = replace(
        state,
        model=replace(state.model, sigma=1e-12, mean=np.full(6, 0.5)),
        flock=Flock(np.full((6, 6), 0.5), np.ones(6), np.arange(6)),
    )
    asked = [SSA(roles=("producers",)).ask(stuck, Streams(1).at(g)) for g in range(200)]
    level = domain.level(np.concatenate([b.unit for b in asked]))
    assert ((level[:, :5] != 10).sum(axis=0) > 20).all()


@pytest.mark.slow
def test_no_generation_of_duplicates_in_a_purely_discrete_space(thorough: bool) -> None:
    for variable in (Integer(0, 9), LETTERS):
        domain = Space([variable] * 8).domain
        _, told = run(SSA(), domain, total_of_levels(domain), 700 if thorough else 350)
        distinct = [len({r.tobytes() for r in domain.level(b.unit)}) / len(b) for b in told]
        assert min(distinct) >= 0.5
        assert np.mean(distinct) > 0.98


def test_known_points_are_moved_on() -> None:
    domain = Space([LETTERS] * 6).domain
    flock = Flock(np.full((1, 6), 0.5), np.ones(1), np.zeros(1, int))
    known = np.concatenate([flock.unit, np.full((1, 6), 0.1)])
    batch = np.concatenate([np.full((5, 6), 0.5), np.full((1, 6), 0.1)])
    unit = renewed(Columns(domain), flock, known, batch, np.random.default_rng(0))
    rows = {row.tobytes() for row in domain.level(unit)}
    assert len(rows) == 6
    assert not rows & {row.tobytes() for row in domain.level(known)}


@pytest.mark.parametrize("surrogate", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_relabelling_categories_changes_nothing_in_distribution(
    surrogate: bool, thorough: bool
) -> None:
    n_runs = 25 if thorough else 12
    domain = Space([Categorical(list(range(8)))] * 6).domain
    orders = np.array([np.arange(8), [3, 7, 0, 5, 1, 6, 2, 4]])
    final = []
    for labels in orders:

        def keys(unit: Matrix, labels: Vector = labels) -> Vector:
            level = labels[domain.level(unit).astype(int)]
            pairs = (level[:, 1:] != level[:, :-1]).sum(axis=1)
            total: Vector = (level % 3 + level / 8).sum(axis=1) + 0.5 * pairs
            return total

        algorithm = SSA(surrogate=surrogate)
        runs = [run(algorithm, domain, keys, 200, seed)[0].best_key for seed in range(n_runs)]
        final.append(np.array(runs))
    pooled = np.sqrt((final[0].var() + final[1].var()) / n_runs)
    assert abs(final[0].mean() - final[1].mean()) < 4 * pooled + 1e-9


def test_distances_between_categories_know_no_order() -> None:
    domain = Space([Categorical(list(range(100)))] * 3).domain
    birds = (np.array([[0, 0, 0], [99, 99, 5]]) + 0.5) / 100
    flock = Flock(birds, np.arange(2.0), np.arange(2))
    candidate = (np.array([[1, 1, 5]]) + 0.5) / 100
    np.testing.assert_array_equal(nearest(Columns(domain), flock, candidate), [1])


def test_every_level_of_a_category_keeps_a_chance() -> None:
    domain = Space([LETTERS] * 4).domain
    state, _ = run(SSA(), domain, total_of_levels(domain), 400)
    assert state.probability.min() > 0
    np.testing.assert_allclose(state.probability.sum(axis=1), 1.0)


def test_first_probabilities_are_equal_over_each_columns_levels() -> None:
    columns = Columns(Space([LETTERS, Categorical(["x", "y"])]).domain)
    expected = [[0.2] * 5, [0.5, 0.5, 0, 0, 0]]
    np.testing.assert_allclose(uniform_probability(columns), expected)
    none = np.concatenate(
        [producers(columns, None, np.array(expected), 4_000, np.random.default_rng(0))]
    )
    level = columns.domain.level(none)
    np.testing.assert_allclose(np.bincount(level[:, 0].astype(int)) / 4_000, 0.2, atol=0.03)
    np.testing.assert_allclose(np.bincount(level[:, 1].astype(int)) / 4_000, 0.5, atol=0.04)


def test_discrete_spaces_start_with_more_scroungers() -> None:
    some_real, none_real = Space([Real(0, 1), LETTERS]), Space([Integer(0, 9), LETTERS])
    shares = [SSA().init(s.domain, Horizon()).share for s in (some_real, none_real)]
    assert shares[0] == pytest.approx((0.7, 0.15, 0.15))
    assert shares[1] == pytest.approx((0.15, 0.7, 0.15))
    given = SSA(shares=(1.0, 1.0, 2.0)).init(reals(2), Horizon()).share
    assert given == pytest.approx((0.25, 0.25, 0.5))
