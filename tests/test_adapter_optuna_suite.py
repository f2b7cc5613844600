"""The sampler for Optuna passes Optuna's own suite, where this version of Optuna has one.

One class of it is left out: MultiObjectiveSamplerTestCase, for samplers of several objectives. This
one has one, and says so, which SingleOnlySamplerTestCase checks.
"""

from collections.abc import Callable, Iterator

import optuna
import pytest
from optuna.samplers import BaseSampler

from swarmopt.adapters.optuna import SwarmSampler

pytest.importorskip("optuna.testing.pytest_samplers")

from optuna.testing.pytest_samplers import (
    BasicSamplerTestCase,
    RelativeSamplerTestCase,
    SingleOnlySamplerTestCase,
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


class OfSwarmopt:
    @pytest.fixture(params=["ssa", pytest.param("ga", marks=pytest.mark.slow)])
    def sampler(self, request: pytest.FixtureRequest) -> Callable[[], BaseSampler]:
        return lambda: SwarmSampler(request.param, seed=1)


class TestBasic(OfSwarmopt, BasicSamplerTestCase):
    """What Optuna asks of every sampler."""


class TestRelative(OfSwarmopt, RelativeSamplerTestCase):
    """What Optuna asks of samplers that see all parameters at once."""


class TestSingleOnly(OfSwarmopt, SingleOnlySamplerTestCase):
    """What Optuna asks of samplers of one objective."""
