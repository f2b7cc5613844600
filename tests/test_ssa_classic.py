"""The published sparrow search: its equations, and the bias it is known for."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.random import default_rng

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.algorithms.ssa_classic import ClassicState, SSAClassic, _unboxed
from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.space import Space
from swarmopt.testing import drive
from swarmopt.testing.objectives import bowl
from swarmopt.types import Matrix, Vector
from swarmopt.variables import Categorical, Integer, Real

BOX = Space([Real(-3, 7), Real(-100, 100), Real(2, 5), Real(0, 1)]).domain
HALF_INTEGER = Space([Real(-3, 7), Integer(-20, 30), Real(0, 1), Integer(3, 40)]).domain
MIXED = Space([Real(-3, 7), Integer(-5, 5), Categorical(list("abcd"))]).domain


def flown(algorithm: SSAClassic, domain: Domain, horizon: Horizon) -> ClassicState:
    """Return the state after some generations."""
    state = algorithm.init(domain, horizon)
    for g in range(3):
        birds = algorithm.ask(state, default_rng(g))
        state = algorithm.tell(state, birds, bowl(domain)(birds.unit))
    return state


def published_generation(
    algorithm: SSAClassic, state: ClassicState, domain: Domain, seed: int
) -> Matrix:
    """Return (n, d) next positions by plain loops over the equations of the paper, in the box."""
    n, d = state.unit.shape
    pd, sd, st = algorithm.producers, algorithm.scouts, algorithm.safety
    order = sorted(range(n), key=lambda i: state.key[i])
    x = boxed(domain, state.unit[order])
    f = state.key[order]
    rng = default_rng(seed)
    lead = max(1, int(pd * n))
    r2 = float(rng.random())
    q = rng.standard_normal((n, 1))[:, 0]
    alpha = 1 - rng.random((lead, 1))[:, 0] if r2 < st else np.empty(0)
    followers = [i for i in range(1, n + 1) if lead < i <= n / 2]
    toss = rng.standard_normal((len(followers), d))
    y = np.empty((n, d))
    for i in range(1, n + 1):
        if i <= lead and r2 < st:
            y[i - 1] = x[i - 1] * np.exp(-i / (alpha[i - 1] * state.fixed.generations))
        elif i <= lead:
            y[i - 1] = x[i - 1] + q[i - 1] * np.ones(d)
        elif i > n / 2:
            y[i - 1] = q[i - 1] * np.exp((x[-1] - x[i - 1]) / i**2)
        else:
            a = np.where(toss[followers.index(i)] < 0, -1.0, 1.0)[None, :]
            a_plus = a.T @ np.linalg.inv(a @ a.T)  # the explicit pseudo-inverse, (d, 1)
            step = (np.abs(x[i - 1] - x[0])[None, :] @ a_plus) @ np.ones((1, d))
            y[i - 1] = x[0] + step[0]
    aware = np.argsort(rng.random((n,)))[: max(1, int(sd * n)) if sd else 0]
    beta = rng.standard_normal((len(aware), d))
    for row, s in enumerate(aware):
        if f[s] > f[0]:
            y[s] = x[0] + beta[row] * np.abs(x[s] - x[0])
        else:
            k = 2 * float(rng.random()) - 1
            y[s] = x[s] - k * np.abs(x[s] - x[-1]) / ((f[s] - f[-1]) - 1e-50)
    result = np.empty((n, d))
    y = np.clip(y, domain.low, domain.high)
    result[order] = np.where(domain.discrete, np.round(y), y)
    return result


def boxed(domain: Domain, unit: Matrix) -> Matrix:
    """Return positions in the box's own units."""
    real = domain.low + unit * (domain.high - domain.low)
    return np.where(domain.discrete, domain.low + domain.level(unit), real)


@pytest.mark.parametrize("safety", [0.0, 1.0])
@pytest.mark.parametrize("scouts", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("domain", [BOX, HALF_INTEGER], ids=["real", "half integer"])
@pytest.mark.parametrize("n", [20, 15])
def test_one_generation_follows_the_published_equations(
    safety: float, scouts: float, domain: Domain, n: int
) -> None:
    algorithm = SSAClassic(population=n, safety=safety, scouts=scouts)
    state = flown(algorithm, domain, Horizon(600))
    for seed in range(5):
        unit = algorithm.ask(state, default_rng(seed)).unit
        expected = published_generation(algorithm, state, domain, seed)
        np.testing.assert_allclose(boxed(domain, unit), expected, rtol=1e-9, atol=1e-9)


def test_the_pseudo_inverse_of_a_row_of_signs_is_its_transpose_over_d() -> None:
    for d in (1, 2, 7):
        a = np.where(default_rng(d).random((1, d)) < 0.5, -1.0, 1.0)
        np.testing.assert_allclose(np.linalg.pinv(a), a.T / d, atol=1e-14)


def sphere(domain: Domain, at: Vector) -> float:
    """Return the best cost of a run on a sphere whose optimum lies at a point of the box."""
    span = domain.high - domain.low

    def key(unit: Matrix) -> Vector:
        cost: Vector = ((domain.low + unit * span - at) ** 2).sum(axis=1)
        return cost

    runs = [
        drive(SSAClassic(), domain, key, 10**4, seed, horizon=Horizon(4_000)) for seed in range(5)
    ]
    return float(np.median([run.best for run in runs]))


def test_the_origin_is_found_exactly_where_the_optimum_lies_there() -> None:
    domain = Space([Real(-100, 100)] * 10).domain
    assert sphere(domain, np.zeros(10)) == 0.0


def test_a_shifted_optimum_is_not() -> None:
    domain = Space([Real(-100, 100)] * 10).domain
    assert sphere(domain, default_rng(0).uniform(-80, 80, 10)) > 1e-3


def test_much_of_the_flock_lands_on_the_main_diagonal() -> None:
    domain = Space([Real(-100, 100)] * 10).domain
    fun = bowl(domain, default_rng(0).random(10))
    run = drive(SSAClassic(), domain, fun, 30, seed=1, horizon=Horizon(10_000))
    unit = np.concatenate(run.told[1:])
    on_diagonal = (np.ptp(unit, axis=1) < 1e-2).mean()
    assert 0.3 < on_diagonal < 0.7


def test_a_generation_costs_as_many_evaluations_as_there_are_birds() -> None:
    algorithm = SSAClassic(population=30, scouts=0.9)
    assert len(algorithm.ask(flown(algorithm, BOX, Horizon()), default_rng(0))) == 30


def test_only_better_positions_are_kept() -> None:
    algorithm = SSAClassic(population=4)
    state = algorithm.init(BOX, Horizon())
    first = algorithm.ask(state, default_rng(0))
    state = algorithm.tell(state, first, np.array([1.0, 2.0, np.inf, 3.0]))
    then = algorithm.ask(state, default_rng(1))
    state = algorithm.tell(state, then, np.array([1.0, 1.5, np.inf, np.inf]))
    np.testing.assert_array_equal(state.key, [1.0, 1.5, np.inf, 3.0])
    np.testing.assert_array_equal(state.unit[[0, 2, 3]], first.unit[[0, 2, 3]])
    np.testing.assert_array_equal(state.unit[1], then.unit[1])


def test_the_best_bird_as_a_scout_moves_by_the_inverse_of_the_key_difference() -> None:
    algorithm = SSAClassic(population=10, scouts=1.0)
    state = flown(algorithm, BOX, Horizon())
    best = int(np.argmin(state.key))
    near, far = (replace(state, key=state.key * scale) for scale in (1e6, 1e8))
    step = [algorithm.ask(s, default_rng(1)).unit[best] - state.unit[best] for s in (near, far)]
    np.testing.assert_allclose(step[0], 100 * step[1], rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize(
    "keys", [[np.inf] * 4, [1.0, 2.0, np.inf, np.inf], [1.0] * 4, [-1e299, 1e299, 2e300, 1e300]]
)
def test_scouts_survive_keys_that_cannot_be_subtracted(keys: list[float]) -> None:
    algorithm = SSAClassic(population=4, scouts=1.0)
    state = algorithm.init(BOX, Horizon())
    state = algorithm.tell(state, algorithm.ask(state, default_rng(0)), np.array(keys))
    unit = algorithm.ask(state, default_rng(1)).unit
    assert ((unit >= 0.0) & (unit <= 1.0)).all()


def test_the_largest_box_overflows_to_a_wall_and_not_to_nan() -> None:
    domain = Space([Real(-8e307, 8e307)] * 64).domain
    drive(SSAClassic(), domain, bowl(domain), 30, seed=1)


def test_what_is_no_number_is_put_at_a_wall() -> None:
    for domain in (BOX, MIXED):
        state = SSAClassic(population=3).init(domain, Horizon())
        lost = np.array([[np.nan] * domain.d, [np.inf] * domain.d, [-np.inf] * domain.d])
        unit = _unboxed(state.fixed, lost)
        assert ((unit >= 0.0) & (unit <= 1.0)).all()
        highest = np.maximum(domain.levels, 1) - 1
        np.testing.assert_array_equal(domain.level(unit[1:2])[0], highest)
        np.testing.assert_array_equal(domain.level(unit[2:])[0], 0)


def test_scouts_of_a_flock_that_failed_altogether_leap_to_either_wall() -> None:
    algorithm = SSAClassic(population=40, scouts=1.0)
    state = algorithm.init(BOX, Horizon())
    state = algorithm.tell(state, algorithm.ask(state, default_rng(0)), np.full(40, np.inf))
    unit = algorithm.ask(state, default_rng(1)).unit
    assert 0.2 < (unit == 0.0).mean() < 0.8
    assert 0.2 < (unit == 1.0).mean() < 0.8


def test_discrete_moves_are_rounded_on_the_decoded_axis() -> None:
    algorithm = SSAClassic()
    unit = algorithm.ask(flown(algorithm, MIXED, Horizon()), default_rng(1)).unit
    np.testing.assert_allclose(unit[:, 1:], MIXED.centre(unit)[:, 1:], atol=1e-15)


def test_integers_contract_to_zero_as_real_numbers_do() -> None:
    domain = Space([Integer(-50, 50)] * 10).domain
    at_zero = np.full(10, 50.5 / 101)
    run = drive(SSAClassic(), domain, bowl(domain, at_zero), 60, seed=2, horizon=Horizon(2_000))
    assert run.best == 0.0


@pytest.mark.parametrize(
    ("budget", "n", "generations"),
    [(100, 20, 5), (1_000, 50, 20), (10_000, 100, 100), (None, 100, 1_000), (7, 20, 1)],
)
def test_generations_follow_the_budget(budget: int | None, n: int, generations: int) -> None:
    state = SSAClassic().init(BOX, Horizon(budget))
    assert (len(state.key), state.fixed.generations) == (n, generations)


def test_birds_never_told_of_take_part_once_they_are() -> None:
    algorithm = SSAClassic(population=5)
    state = algorithm.init(BOX, Horizon())
    state = algorithm.tell(state, algorithm.ask(state, default_rng(0)).first(2), np.ones(2))
    birds = algorithm.ask(state, default_rng(1))
    state = algorithm.tell(state, birds, np.full(5, np.inf))
    assert state.n_visited == 5
    np.testing.assert_array_equal(state.unit[2:], birds.unit[2:])


def test_a_short_batch_makes_no_bird_forget() -> None:
    algorithm = SSAClassic(population=5)
    state = algorithm.init(BOX, Horizon())
    state = algorithm.tell(state, algorithm.ask(state, default_rng(0)), np.ones(5))
    state = algorithm.tell(state, algorithm.ask(state, default_rng(1)).first(2), np.zeros(2))
    after = algorithm.tell(state, algorithm.ask(state, default_rng(2)), np.full(5, 9.0))
    np.testing.assert_array_equal(after.key, [0.0, 0.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(after.unit, state.unit)


def test_the_population_is_never_below_the_batch() -> None:
    assert len(SSAClassic(population=5).init(BOX, Horizon(batch=9)).key) == 9


def test_one_bird_alone_leads_itself() -> None:
    algorithm = SSAClassic(population=1)
    state = algorithm.init(BOX, Horizon())
    state = algorithm.tell(state, Candidates(np.full((1, 4), 0.5)), np.ones(1))
    assert algorithm.ask(state, default_rng(1)).unit.shape == (1, 4)


@pytest.mark.parametrize(
    "make",
    [
        lambda: SSAClassic(population=0),
        lambda: SSAClassic(producers=1.5),
        lambda: SSAClassic(scouts=-0.1),
        lambda: SSAClassic(safety=float("nan")),
    ],
)
def test_settings_out_of_range_are_refused(make: type[SSAClassic]) -> None:
    with pytest.raises(SettingError, match=r"ssa-classic: (\w+: )?expected"):
        make()
