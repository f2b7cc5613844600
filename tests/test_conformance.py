"""Every built-in algorithm passes the public conformance suite."""

from collections.abc import Iterator
from typing import Any

import pytest

import swarmopt.algorithms
from swarmopt.algorithms import PSO
from swarmopt.errors import SettingError
from swarmopt.testing import CHECKS, Check, check_algorithm, contract

FAST = {"swarmopt.testing.contract", "swarmopt.testing.learning"}
LONG_FOR_SSA = {
    "a_larger_budget_repeats_the_prefix",
    "arguments_are_not_changed",
    "candidates_stay_in_the_cube",
    "lookahead_works_through_first_designs_and_restarts",
    "only_tell_writes_state",
    "same_seed_same_bits",
}
"""Checks of the contract in which ssa fits its landscape hundreds of times."""


ENOUGH = ("1e6 * k - 1e6", "-1e-300 / (1 + k)")
"""Transforms of keys by which every fault of test_conformance_catches is seen."""


@pytest.fixture(autouse=True)
def _few_transforms(thorough: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not thorough:
        few = {name: contract.TRANSFORMS[name] for name in ENOUGH}
        monkeypatch.setattr(contract, "TRANSFORMS", few)


def cases() -> Iterator[Any]:
    for check in CHECKS:
        for name in swarmopt.algorithms.__all__:
            fast = check.__module__ in FAST and (
                name != "SSA"
                or ("learning" not in check.__module__ and check.__name__ not in LONG_FOR_SSA)
            )
            marks = () if fast else pytest.mark.slow
            yield pytest.param(check, name, marks=marks, id=f"{check.__name__}-{name}")


@pytest.mark.parametrize(("check", "name"), list(cases()))
def test_every_algorithm_passes(check: Check, name: str) -> None:
    check(getattr(swarmopt.algorithms, name)())


@pytest.mark.slow
@pytest.mark.parametrize(
    "check", [c for c in CHECKS if c.__name__ in LONG_FOR_SSA], ids=lambda check: check.__name__
)
def test_ssa_without_its_landscape_passes(check: Check) -> None:
    check(swarmopt.algorithms.SSA(surrogate=False))


@pytest.mark.slow
def test_the_whole_suite_runs_in_one_call() -> None:
    check_algorithm(PSO(population=15))


@pytest.mark.parametrize("name", swarmopt.algorithms.__all__)
@pytest.mark.parametrize("value", [20.0, "20", True])
def test_a_population_that_is_no_whole_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=r"population = .*: expected `int"):
        getattr(swarmopt.algorithms, name)(population=value)
