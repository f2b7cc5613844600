"""Every built-in algorithm passes the public conformance suite."""

from collections.abc import Iterator
from typing import Any

import pytest

import swarmopt.algorithms
from swarmopt.algorithms import PSO
from swarmopt.errors import SettingError
from swarmopt.testing import CHECKS, Check, check_algorithm

FAST = {"swarmopt.testing.contract", "swarmopt.testing.learning"}


def cases() -> Iterator[Any]:
    for check in CHECKS:
        for name in swarmopt.algorithms.__all__:
            fast = check.__module__ in FAST and (
                name != "SSA" or "learning" not in check.__module__
            )
            marks = () if fast else pytest.mark.slow
            yield pytest.param(check, name, marks=marks, id=f"{check.__name__}-{name}")


@pytest.mark.parametrize(("check", "name"), list(cases()))
def test_every_algorithm_passes(check: Check, name: str) -> None:
    check(getattr(swarmopt.algorithms, name)())


@pytest.mark.slow
def test_the_whole_suite_runs_in_one_call() -> None:
    check_algorithm(PSO(population=15))


@pytest.mark.parametrize("name", swarmopt.algorithms.__all__)
@pytest.mark.parametrize("value", [20.0, "20", True])
def test_a_population_that_is_no_whole_number_is_refused(name: str, value: Any) -> None:
    with pytest.raises(SettingError, match=r"population = .*: expected `int"):
        getattr(swarmopt.algorithms, name)(population=value)
