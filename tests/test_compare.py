"""Running a comparison: its cells, its workers, what goes wrong in them."""

import os

import numpy as np
import pytest
from faulty import Faulty

from swarmopt import (
    Evaluation,
    FunctionProblem,
    Problem,
    Real,
    SettingError,
    Space,
    UnknownNameError,
    minimize,
)  # fmt: skip
from swarmopt.algorithms import PSO
from swarmopt.compare import Comparison, compare, judge
from swarmopt.problem import Recipe
from swarmopt.problems.analytic import Sphere

SPACE = Space([Real(-1, 1)] * 2)


def same(one: Comparison, other: Comparison) -> bool:
    assert one.cells.keys() == other.cells.keys()
    return all(
        a.key == b.key
        and a.nfev == b.nfev
        and a.evaluations.tolist() == b.evaluations.tolist()
        and a.best.tolist() == b.best.tolist()
        and a.error == b.error
        and {n: v[1].tolist() for n, v in a.report.items()}
        == {n: v[1].tolist() for n, v in b.report.items()}
        for a, b in ((one.cells[w], other.cells[w]) for w in one.cells)
    )


def faulty(kind: str) -> Problem:
    problem: Problem = Faulty(kind=kind)
    problem.recipe = Recipe("faulty:Faulty", {"kind": kind})
    return problem


@pytest.fixture(scope="module")
def small() -> Comparison:
    return compare(["pso", "ga"], ["sphere:dim=3", "knapsack"], budget=150, seeds=3, workers=0)


def test_a_cell_is_the_run_that_minimize_makes(small: Comparison) -> None:
    for seed in small.seeds:
        cell = small.cells["sphere:dim=3", "pso", seed]
        result = minimize(Sphere(dim=3), algorithm="pso", budget=150, seed=seed, history="all")
        costs = result.history.cost
        least = np.minimum.accumulate(costs)
        assert (cell.fun, cell.key, cell.nfev) == (result.fun, result.fun, result.nfev)
        improved = np.flatnonzero(np.diff(least, prepend=np.inf) < 0) + 1
        assert cell.evaluations.tolist() == improved.tolist()
        assert cell.best.tolist() == costs[improved - 1].tolist()
        assert cell.best_at(np.array([0, 1, 150])).tolist() == [np.inf, costs[0], result.fun]


def test_every_cell_is_there_with_the_same_seeds(small: Comparison) -> None:
    assert small.complete
    assert len(small.cells) == 12
    assert small.final("knapsack").shape == (2, 3)
    assert small.optimum["sphere:dim=3"] == 0.0


def test_the_number_of_workers_changes_no_result(small: Comparison) -> None:
    other = compare(["pso", "ga"], ["sphere:dim=3", "knapsack"], budget=150, seeds=3, workers=2)
    assert same(small, other)


def test_the_published_form_is_added_beside_the_adapted_one_unless_only() -> None:
    both = compare("ssa", "sphere:dim=2", budget=20, seeds=1, workers=0)
    assert both.algorithms == ("ssa", "ssa-classic")
    assert compare("ssa", "sphere:dim=2", budget=20, seeds=1, workers=0, only=True).algorithms == (
        "ssa",
    )
    assert compare("pso", "sphere:dim=2", budget=20, seeds=1, workers=0).algorithms == ("pso",)


def test_instances_and_labels_take_part_like_names() -> None:
    bowl = FunctionProblem(lambda x: float(x @ x), SPACE, name="bowl")
    found = compare(
        {"wide": PSO(population=30), "plain": "pso:population=20"},
        bowl,
        budget=60,
        seeds=2,
        workers=0,
    )
    assert (found.algorithms, found.problems) == (("wide", "plain"), ("bowl",))
    assert found.settings["algorithm"]["wide"]["settings"]["population"] == 30
    assert found.settings["algorithm"]["plain"]["settings"]["population"] == 20


def test_closures_reach_the_workers() -> None:
    centre = 0.25
    bowl = FunctionProblem(lambda x: float((x - centre) @ (x - centre)), SPACE, name="bowl")
    found = compare("pso", bowl, budget=40, seeds=2, workers=1)
    assert all(cell.error is None and cell.nfev == 40 for cell in found.cells.values())


def test_all_runs_on_a_problem_start_with_the_same_points() -> None:
    found = compare(
        ["pso", "de"],
        "sphere:dim=2",
        budget=30,
        seeds=3,
        workers=0,
        x0={"sphere:dim=2": [0.5, 0.5]},
    )
    cost = Sphere(dim=2).cost(np.array([[0.5, 0.5]]) - Sphere(dim=2).minimizer)[0]
    assert {cell.best[0] for cell in found.cells.values()} == {cost}
    assert {cell.evaluations[0] for cell in found.cells.values()} == {1}


@pytest.mark.parametrize("kind", ["raises", "returns-nan", "contract"])
def test_failed_evaluations_are_counted_and_the_run_goes_on(kind: str) -> None:
    found = compare("random-search", {"p": faulty(kind)}, budget=60, seeds=1, workers=0)
    (cell,) = found.cells.values()
    assert (cell.n_failed, cell.nfev, cell.error) == (1, 60, None)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dies", "killed", "segfault"])
def test_a_run_that_kills_its_worker_has_failed_and_the_others_go_on(kind: str) -> None:
    problems = {"bad": faulty(kind), "good": Sphere(dim=2)}
    found = compare("random-search", problems, budget=60, seeds=2, workers=2)
    assert found.complete
    for cell in found.cells.values():
        failed = cell.problem == "bad"
        assert (cell.error is not None, cell.key == np.inf) == (failed, failed)
        if cell.error is not None:
            assert "workers died" in cell.error
    assert any("failed and rank last" in note for note in judge(found).notes)


def test_a_run_without_any_success_has_failed_with_its_traceback() -> None:
    def broken(x: object) -> float:
        raise ValueError("broken on purpose")

    problems = [FunctionProblem(broken, SPACE, name="bad"), Sphere(dim=2)]
    found = compare(["pso", "de"], problems, budget=40, seeds=2, workers=0)
    bad = [cell for cell in found.cells.values() if cell.problem == "bad"]
    assert all("broken on purpose" in (cell.error or "") and cell.key == np.inf for cell in bad)
    assert sum(cell.error is None for cell in found.cells.values()) == 4


def test_infeasible_runs_keep_their_violation_as_key() -> None:
    def never(x: np.ndarray) -> tuple[float, float]:
        return 0.0, 1.0 + float(x @ x)

    problem = FunctionProblem(never, SPACE, name="never")
    (cell,) = compare("pso", problem, budget=40, seeds=1, workers=0).cells.values()
    expected = Evaluation(np.zeros(1), np.array([cell.violation])).key()[0]
    assert (cell.key, cell.fun, len(cell.best)) == (expected, np.inf, 0)
    assert cell.violation >= 1.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"algorithms": ["pso", "pso"]}, "two of the algorithms are called 'pso'"),
        ({"problems": [Sphere(dim=2), Sphere(dim=3)]}, "two of the problems are called 'sphere'"),
        ({"algorithms": []}, "at least one algorithm"),
        ({"problems": lambda x: 0.0}, "a function needs its space"),
        ({"problems": {"": "sphere"}}, "texts as labels of the problems, got ''"),
        ({"algorithms": {3: "pso"}}, "texts as labels of the algorithms, got 3"),
        ({"problems": "sphere:dim=2:3"}, "name:key=value:key=value, got '3' after a key"),
        ({"problems": "math:pi"}, r"math:pi: expected a Problem or a factory, got 3\.14"),
        ({"problems": "os:getpid"}, r"the name of a problem or a swarmopt\.Problem, got \d+;"),
        ({"problems": "sphere:dim=2:wrong=1"}, "unknown setting of problem sphere"),
        ({"algorithms": "pso:wrong=1"}, "unknown setting of algorithm pso"),
        ({"algorithms": "psso"}, "did you mean 'pso'"),
        ({"budget": 0}, "budget: expected at least 1"),
        ({"budget": 1.5}, "budget: expected a whole number"),
        ({"seeds": 0}, "seeds: expected at least 1"),
        ({"seeds": "30"}, "seeds: expected how many"),
        ({"seeds": [1, 2, 1]}, "the same run twice"),
        ({"seeds": [2**63]}, "seeds: expected at most"),
        ({"seeds": [-1]}, "seeds: expected at least 0"),
        ({"workers": -1}, "workers: expected at least 0"),
        ({"x0": {"rastrigin": [0.0, 0.0]}}, "x0: expected points by the label"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, object], says: str) -> None:
    given = {
        "algorithms": "pso",
        "problems": "sphere:dim=2",
        "budget": 20,
        "seeds": 1,
        "workers": 0,
    }
    with pytest.raises(SettingError, match=says):
        compare(**{**given, **change})  # type: ignore[arg-type]


def test_an_unknown_problem_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="rastrigin"):
        compare("pso", "rastrign", budget=10, seeds=1, workers=0)


def test_what_an_algorithm_says_of_itself_is_thinned() -> None:
    (cell,) = compare(
        "ssa", "rastrigin:dim=2", budget=3000, seeds=1, workers=0, only=True
    ).cells.values()
    assert cell.report
    for at, values in cell.report.values():
        assert len(at) == len(values) <= 100
        assert at[-1] <= 3000
        assert (np.diff(at) > 0).all()


def test_the_process_that_compares_is_not_the_one_that_runs() -> None:
    here = os.getpid()
    bowl = FunctionProblem(lambda x: float(os.getpid() == here), SPACE, name="bowl")
    found = compare("pso", bowl, budget=20, seeds=1, workers=1)
    assert {cell.fun for cell in found.cells.values()} == {0.0}
