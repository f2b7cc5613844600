"""The default algorithm: reductions, roles, keys, settings."""

import numpy as np
import pytest
from flocks import MIXED, Keys, reals, run, sphere, warm

from swarmopt.algorithm import Horizon, Streams
from swarmopt.algorithms import flock_model
from swarmopt.algorithms.ssa import SSA
from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.algorithms.ssa_roles import producers
from swarmopt.algorithms.ssa_state import (
    DIVER,
    PRODUCER,
    ROLES,
    SCOUT,
    SCROUNGER,
    SETTLER,
)
from swarmopt.errors import SettingError, UnknownNameError
from swarmopt.types import Matrix, Vector


def test_producers_alone_on_reals_are_a_plain_gaussian_model() -> None:
    domain, algorithm, streams = reals(4), SSA(roles=("producers",), surrogate=False), Streams(5)
    state = algorithm.init(domain, Horizon())
    first = algorithm.ask(state, streams.at(0))
    state = algorithm.tell(state, first, sphere(0.45)(first.unit))
    model = flock_model.start(np.full(4, 0.5), 0.3, flock_model.rates(4, 7))
    for g in range(1, 40):
        birds = algorithm.ask(state, streams.at(g))
        rng = streams.at(g)
        rng.random()  # the split among roles
        alone = producers(Columns(domain), model, np.empty((0, 0)), 7, rng)
        if ((alone >= 0) & (alone <= 1)).all():
            np.testing.assert_array_equal(birds.unit, alone)
        key = sphere(0.45)(birds.unit)
        ranked = birds.unit[np.argsort(key, kind="stable")]
        model = flock_model.update(model, ranked, np.zeros(7, bool))
        state = algorithm.tell(state, birds, key)
        assert state.model is not None
        np.testing.assert_array_equal(state.model.mean, model.mean)
        assert state.model.sigma == model.sigma


@pytest.mark.parametrize("roles", [(r,) for r in ROLES] + [ROLES[:2], ROLES[1:], ROLES[::2]])
def test_a_role_that_is_left_out_asks_for_nothing(roles: tuple[str, ...]) -> None:
    _, told = run(SSA(roles=roles), MIXED, sphere(0.6), 300)
    found = set(np.concatenate([birds.role for birds in told]).tolist()) - {SETTLER, DIVER}
    assert found == {ROLES.index(role) for role in roles}


def test_every_role_keeps_its_floor() -> None:
    state, _ = run(SSA(floor=0.1), reals(3), sphere(0.6), 700)
    assert min(state.share) >= 0.1 - 1e-12
    assert sum(state.share) == pytest.approx(1.0)


def test_the_model_is_diagonal_where_there_are_many_variables() -> None:
    for d, n_axes in ((99, 2), (100, 1)):
        model = SSA().init(reals(d), Horizon()).model
        assert model is not None
        assert model.covariance.ndim == n_axes


@pytest.mark.slow
@pytest.mark.parametrize("change", [np.arctan, lambda k: k**3, lambda k: 1e300 * (2 - 1 / (1 + k))])
def test_without_a_landscape_a_monotone_transform_of_keys_gives_the_identical_run(
    change: Keys,
) -> None:
    def keys(unit: Matrix) -> Vector:
        rounded: Vector = np.rint(1e4 * sphere(0.63)(unit))
        return rounded

    def changed(unit: Matrix) -> Vector:
        key: Vector = change(keys(unit) / 1e4)
        return key

    _, plain = run(SSA(surrogate=False), MIXED, keys, 1_500)
    _, other = run(SSA(surrogate=False), MIXED, changed, 1_500)
    for one, two in zip(plain, other, strict=True):
        np.testing.assert_array_equal(one.unit, two.unit)


@pytest.mark.parametrize(
    "wrong",
    [
        {"population": 1},
        {"memory": 1},
        {"elite": 0.0},
        {"shares": (1.0, 0.0, 0.0)},
        {"floor": 0.4},
        {"smoothing": 1.0},
        {"shares": (1e308, 1e308, 1e308)},
        {"roles": ()},
        {"roles": ("scouts", "scouts")},
        {"sigma": 0.0},
        {"sigma": 1e-300},
        {"growth": 0.5},
        {"growth": 1e10},
        {"caution": -1.0},
        {"max_growth": 0.0},
        {"max_growth": float("inf")},
        {"negative": 2.0},
        {"diagonal_from": 0},
    ],
)
def test_a_setting_out_of_range_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(
        SettingError,
        match=next(iter(wrong)).replace("shares", "positive shares").replace("roles", "role"),
    ):
        SSA(**wrong)  # type: ignore[arg-type]


def test_an_unknown_role_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError, match="scouts"):
        SSA(roles=("scout",))


def test_the_report_shows_shares_size_and_restarts() -> None:
    report = SSA().report(warm(reals(3)))
    assert sum(report[role] for role in ROLES) == pytest.approx(1.0)
    assert report["population"] == 7
    assert report["restarts"] == 0


def test_roles_are_numbered_as_they_are_named() -> None:
    assert ROLES[PRODUCER] == "producers"
    assert ROLES[SCROUNGER] == "scroungers"
    assert ROLES[SCOUT] == "scouts"
