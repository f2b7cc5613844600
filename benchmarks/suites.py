"""The three suites that judge and the two for tuning, by name, and their tasks."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import own_suite, tuning_suite
from benchmarks.meter import Task
from swarmopt.algorithm import Seeds
from swarmopt.problems.coco import N_FUNCTIONS, Coco
from swarmopt.types import Matrix, Vector

ZERO_IS_GOOD = 19  # of bbob: at 0 the cost is much lower than around it, and many start there


@dataclass(frozen=True)
class Suite:
    """A suite of functions.

    Attributes:
        dimensions: in which it is measured.
        n_functions: numbered from 1.
        make: returns the task of a function, dimension and instance.
        module: which must be importable.
    """

    dimensions: tuple[int, ...]
    n_functions: int
    make: Callable[[int, int, int], Task]
    module: str = "numpy"


def mixint(function: int, dimension: int, instance: int) -> Task:
    """Return a task of bbob-mixint."""
    problem = Coco(suite="bbob-mixint", function=function, dimension=dimension, instance=instance)
    return _task("bbob-mixint", problem, function, instance, "bbob-mixint")


def bbob(function: int, dimension: int, instance: int) -> Task:
    """Return a task of bbob; function 19 counts apart."""
    problem = Coco(suite="bbob", function=function, dimension=dimension, instance=instance)
    group = "bbob f19" if function == ZERO_IS_GOOD else "bbob"
    return _task("bbob", problem, function, instance, group)


def _task(suite: str, problem: Coco, function: int, instance: int, group: str) -> Task:
    def cost(x: Matrix) -> Vector:
        return problem.evaluate(x, Seeds(0, range(len(x))), float("inf")).cost

    d = len(problem.space)
    return Task(suite, function, d, instance, group, problem.space, cost, problem.optimum)


SUITES = {
    "bbob-mixint": Suite((5, 10, 20, 40), N_FUNCTIONS, mixint, "cocoex"),
    "bbob": Suite((5, 20), N_FUNCTIONS, bbob, "cocoex"),
    own_suite.SUITE: Suite(own_suite.DIMENSIONS, own_suite.N_FUNCTIONS, own_suite.make),
}
TUNING = {
    tuning_suite.REAL: Suite(tuning_suite.DIMENSIONS, tuning_suite.N_FUNCTIONS, tuning_suite.real),
    tuning_suite.MIXED: Suite(
        tuning_suite.DIMENSIONS, tuning_suite.N_FUNCTIONS, tuning_suite.mixed
    ),
}
ALL = {**SUITES, **TUNING}
