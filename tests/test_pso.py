"""Particle swarm optimization: reductions, and one generation against a plain loop."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import default_rng

from swarmopt.algorithm import Horizon
from swarmopt.algorithms.pso import PSO, PSOState
from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.space import Space
from swarmopt.testing.objectives import bowl
from swarmopt.variables import Categorical, Integer, Real

REAL = Space([Real(-5, 5)] * 4).domain
MIXED = Space([Real(0, 1), Integer(0, 9), Categorical(list("abcd"))]).domain


def started(algorithm: PSO, domain: Domain, batches: int = 4) -> PSOState:
    """Return the state after some batches."""
    state = algorithm.init(domain, Horizon())
    for g in range(batches):
        moves = algorithm.ask(state, default_rng(g))
        state = algorithm.tell(state, moves, bowl(domain)(moves.unit))
    return state


def test_a_swarm_without_inertia_and_pull_stays_put() -> None:
    algorithm = PSO(inertia=0.0, cognitive=0.0, social=0.0)
    state = started(algorithm, REAL)
    np.testing.assert_array_equal(algorithm.ask(state, default_rng(9)).unit, state.position)


def test_a_swarm_without_pull_flies_straight_on() -> None:
    algorithm = PSO(inertia=1.0, cognitive=0.0, social=0.0)
    state = replace(started(algorithm, REAL), velocity=np.full((10, 4), 1e-3))
    state = replace(state, position=np.full((10, 4), 0.5))
    np.testing.assert_allclose(algorithm.ask(state, default_rng(9)).unit, 0.501)


@pytest.mark.parametrize("leader", [0.0, 0.5, 1.0])
def test_one_generation_follows_the_equations_particle_by_particle(leader: float) -> None:
    algorithm = PSO(population=9, leader=leader)
    state = started(algorithm, REAL)
    moves = algorithm.ask(state, default_rng(5))
    rng = default_rng(5)
    u, pull = rng.random(9), rng.random((2, 9, 4))
    for i in range(9):
        seen = list(range(9)) if u[i] < leader else [(i - 1) % 9, i, (i + 1) % 9]
        guide = state.memory[min(seen, key=lambda k: state.memory_key[k])]
        for j in range(4):
            x, v = state.position[i, j], state.velocity[i, j]
            v = 0.7298 * v + 1.49618 * pull[0, i, j] * (state.memory[i, j] - x)
            v = v + 1.49618 * pull[1, i, j] * (guide[j] - x)
            v = min(max(v, -0.5), 0.5)
            if not 0.0 <= x + v <= 1.0:
                x, v = min(max(x + v, 0.0), 1.0), -0.5 * v
            else:
                x = x + v
            assert moves.unit[i, j] == pytest.approx(x, abs=1e-14)
            assert moves.velocity[i, j] == pytest.approx(v, abs=1e-14)


def test_a_particle_that_hits_a_wall_stops_there_and_turns_back() -> None:
    algorithm = PSO(population=1, inertia=1.0, cognitive=0.0, social=0.0)
    state = started(algorithm, REAL)
    state = replace(state, position=np.full((1, 4), 0.9), velocity=np.full((1, 4), 0.4))
    moves = algorithm.ask(state, default_rng(0))
    np.testing.assert_array_equal(moves.unit, 1.0)
    np.testing.assert_allclose(moves.velocity, -0.2)


def test_velocity_never_exceeds_its_limit() -> None:
    algorithm = PSO(max_velocity=0.01)
    moves = algorithm.ask(started(algorithm, REAL), default_rng(1))
    assert np.abs(moves.velocity).max() <= 0.01


def test_memory_keeps_the_best_and_takes_equals() -> None:
    algorithm = PSO(population=3)
    state = algorithm.init(REAL, Horizon())
    first = algorithm.ask(state, default_rng(0))
    state = algorithm.tell(state, first, np.array([1.0, 2.0, np.inf]))
    then = algorithm.ask(state, default_rng(1))
    state = algorithm.tell(state, then, np.array([1.5, 2.0, np.inf]))
    np.testing.assert_array_equal(state.memory_key, [1.0, 2.0, np.inf])
    np.testing.assert_array_equal(state.memory[0], first.unit[0])
    np.testing.assert_array_equal(state.memory[1:], then.unit[1:])
    np.testing.assert_array_equal(state.position, then.unit)


def test_a_sliced_batch_moves_its_own_particles_only() -> None:
    algorithm = PSO(population=6)
    state = started(algorithm, REAL)
    moves = algorithm.ask(state, default_rng(7)).first(2)
    after = algorithm.tell(state, moves, np.array([-1.0, -2.0]))
    np.testing.assert_array_equal(after.position[:2], moves.unit)
    np.testing.assert_array_equal(after.position[2:], state.position[2:])
    np.testing.assert_array_equal(after.memory_key[:2], [-1.0, -2.0])
    np.testing.assert_array_equal(after.memory_key[2:], state.memory_key[2:])


def test_categories_come_from_the_particle_its_memory_or_its_neighbourhood() -> None:
    domain = Space([Categorical([str(i) for i in range(300)])] * 40).domain
    algorithm = PSO(population=30, leader=0.0)
    state = started(algorithm, domain, batches=2)
    level = domain.level(algorithm.ask(state, default_rng(3)).unit)
    here, memory = domain.level(state.position), domain.level(state.memory)
    near = np.stack([np.roll(memory, k, axis=0) for k in (-1, 0, 1)])
    copied = (level == here) | (level == near).any(axis=0)
    assert 0.95 < copied.mean() < 1.0  # the rest was kicked, with probability 1 / 80


def test_integers_keep_a_latent_position_between_the_levels() -> None:
    domain = Space([Integer(0, 9)] * 10).domain
    algorithm = PSO()
    unit = algorithm.ask(started(algorithm, domain), default_rng(3)).unit
    at_middle = np.abs(unit - domain.centre(unit)) < 1e-12
    assert 0.0 < at_middle.mean() < 0.3  # only kicked ones are


def test_no_discrete_coordinate_freezes_when_the_swarm_has_collapsed() -> None:
    algorithm = PSO()
    state = started(algorithm, MIXED)
    still = np.zeros_like(state.position)
    one = np.broadcast_to(state.position[0], still.shape)
    state = replace(state, position=one, memory=one, velocity=still)
    level = [MIXED.level(algorithm.ask(state, default_rng(s)).unit) for s in range(30)]
    moved = np.concatenate(level)[:, 1:] != MIXED.level(one[:1])[:, 1:]
    np.testing.assert_allclose(moved.mean(axis=0), 0.25, atol=0.1)  # 1 / (2 * 2)


@pytest.mark.parametrize(("d", "n"), [(1, 10), (25, 11), (400, 26), (3_000, 40)])
def test_the_automatic_population_grows_with_the_dimension(d: int, n: int) -> None:
    state = PSO().init(Space([Real(0, 1)] * d).domain, Horizon())
    assert len(state.position) == n


def test_the_population_is_never_below_the_batch() -> None:
    assert len(PSO(population=5).init(REAL, Horizon(batch=8)).position) == 8


@pytest.mark.parametrize(
    "make",
    [
        lambda: PSO(population=0),
        lambda: PSO(inertia=-0.1),
        lambda: PSO(cognitive=float("nan")),
        lambda: PSO(social=float("inf")),
        lambda: PSO(max_velocity=0.0),
        lambda: PSO(leader=1.5),
    ],
)
def test_settings_out_of_range_are_refused(make: type[PSO]) -> None:
    with pytest.raises(SettingError, match=r"pso: (\w+: )?expected"):
        make()
