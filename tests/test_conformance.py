"""Every built-in algorithm passes the public conformance suite."""

import pytest

import swarmopt.algorithms
from swarmopt.algorithms import PSO
from swarmopt.testing import CHECKS, Check, check_algorithm


@pytest.mark.parametrize("name", swarmopt.algorithms.__all__)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_every_algorithm_passes(check: Check, name: str) -> None:
    check(getattr(swarmopt.algorithms, name)())


def test_the_whole_suite_runs_in_one_call() -> None:
    check_algorithm(PSO(population=15))
