"""The functions of COCO: with a stand-in for its package, and with the package where it is."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from swarmopt import minimize
from swarmopt.algorithm import Seeds
from swarmopt.errors import SettingError
from swarmopt.plugins import load
from swarmopt.problems.coco import BEST_PARAMETER, Coco
from swarmopt.settings import build, settings_of
from swarmopt.types import Vector
from swarmopt.variables import Integer, Real

BEST = [3.0, 0.0, -1.25]


class FakeFunction:
    """Two integers and a real, as COCO gives them; the least cost is 7 at BEST."""

    lower_bounds = np.array([0.0, 0.0, -5.0])
    upper_bounds = np.array([7.0, 1.0, 5.0])
    number_of_integer_variables = 2

    def __call__(self, x: Vector) -> float:
        assert x.flags.c_contiguous  # COCO reads memory
        return 7.0 + float(((x - BEST) ** 2).sum())

    def _best_parameter(self, what: str) -> None:
        assert what == "print"
        Path(BEST_PARAMETER).write_text("".join(f" {v:.16f}" for v in BEST) + " \n", "utf-8")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Put a stand-in for cocoex in place; what suites were asked for."""
    suites: list[tuple[str, ...]] = []

    def suite(*arguments: str) -> list[FakeFunction]:
        suites.append(arguments)
        return [FakeFunction()]

    module: Any = ModuleType("cocoex")
    module.Suite = suite
    monkeypatch.setitem(sys.modules, "cocoex", module)
    return suites


def test_without_the_package_one_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "cocoex", None)  # importing it raises
    with pytest.raises(SettingError, match=r"pip install 'swarmopt\[coco\]'"):
        Coco()


def test_the_settings_name_the_function_that_is_asked_for(asked: list[tuple[str, ...]]) -> None:
    factory = load([]).entries["problem"]["coco"].load()
    values = {"suite": "bbob", "function": 15, "dimension": 5, "instance": 3}
    build(factory, values, "problem coco")
    assert asked == [("bbob", "instances: 3", "dimensions:5 function_indices:15")]
    assert list(settings_of(factory)) == list(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"suite": "bbob-biobj"}, "suite"),
        ({"function": 0}, "coco: function: expected at least 1"),
        ({"function": 25}, "coco: function: expected at most 24"),
        ({"instance": 0}, "coco: instance: expected at least 1"),
        ({"dimension": 3}, "bbob-mixint has 5, 10, 20, 40, 80, 160, got 3"),
        ({"suite": "bbob", "dimension": 80}, "bbob has 2, 3, 5, 10, 20, 40, got 80"),
    ],
)
def test_a_setting_out_of_range_is_refused(
    asked: list[tuple[str, ...]], values: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        build(Coco, values, "problem coco")
    assert not asked


@pytest.mark.usefixtures("asked")
def test_the_space_has_the_bounds_and_kinds_of_the_function() -> None:
    assert Coco().space.variables == (Integer(0, 7), Integer(0, 1), Real(-5, 5))


@pytest.mark.usefixtures("asked")
def test_the_optimum_is_the_cost_of_the_minimizer_and_no_file_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    problem = Coco()
    assert problem.optimum == 7.0
    assert problem.minimizer.tolist() == BEST
    assert not list(tmp_path.iterdir())
    assert Path.cwd() == tmp_path


@pytest.mark.usefixtures("asked")
def test_it_is_minimized_like_any_problem() -> None:
    result = minimize(Coco(), budget=600, seed=1, target=7.001)
    assert result.fun <= 7.001
    assert result.x[:2].tolist() == BEST[:2]


@pytest.mark.parametrize("suite", ["bbob", "bbob-mixint"])
def test_with_the_package_no_point_is_better_than_the_optimum(suite: str) -> None:
    pytest.importorskip("cocoex")
    rng = np.random.default_rng(0)
    for function in range(1, 25):
        problem = Coco(suite=suite, function=function, dimension=5, instance=2)  # type: ignore[arg-type]
        space = problem.space
        near = np.repeat(space.encode(problem.minimizer[None]), 500, axis=0)
        near += rng.standard_normal(near.shape) * 10.0 ** rng.uniform(-6, -0.5, (500, 1))
        x = space.decode(np.clip(np.concatenate([near, rng.random(near.shape)]), 0.0, 1.0))
        x = np.concatenate([problem.minimizer[None], x])
        cost = problem.evaluate(x, Seeds(0, range(len(x))), np.inf).cost
        assert cost[0] == problem.optimum
        assert cost.min() >= problem.optimum - 1e-9
        assert cost[501:].min() > problem.optimum  # a point somewhere is not optimal
