"""Evaluation in this process: one call per population, or one per point."""

import traceback
from collections.abc import Iterator

from swarmopt.algorithm import Seeds
from swarmopt.errors import ObjectiveError
from swarmopt.evaluation import Evaluation, Outcome
from swarmopt.problem import Problem
from swarmopt.types import Matrix


def evaluate(problem: Problem, x: Matrix, seeds: Seeds, bound: float) -> Iterator[Evaluation]:
    """Yield the evaluation of the points in order, in parts, each as soon as it is there.

    Args:
        problem: a vectorized one gets all points in one call, another one point a call.
        x: (n, d) points.
        seeds: n of them.
        bound: see `Problem.evaluate`.

    Raises:
        ObjectiveError: the problem breaks its contract. Any other exception is an evaluation that
            failed: its traceback is in the part's info.
    """
    if problem.vectorized or len(x) == 1:
        yield _attempt(problem, x, seeds, bound)
        return
    for row in range(len(x)):
        one = Seeds(seeds.seed, seeds.ids[row : row + 1])
        yield _attempt(problem, x[row : row + 1], one, bound)


def _attempt(problem: Problem, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
    try:
        evaluation = problem.evaluate(x.copy(), seeds, bound)  # an objective may write into x
    except ObjectiveError as error:
        text = str(error)
        raise ObjectiveError(text if problem.name in text else f"{problem.name}: {text}") from error
    except (Exception, SystemExit):  # noqa: BLE001 - whatever an objective raises is a failure
        return Evaluation.failed(len(x), Outcome.RAISED, traceback.format_exc())
    if not isinstance(evaluation, Evaluation):
        raise ObjectiveError(
            f"{problem.name}: evaluate returned {type(evaluation).__name__}; expected a "
            f"swarmopt.Evaluation"
        )
    if len(evaluation) != len(x):
        raise ObjectiveError(
            f"{problem.name}: evaluate returned {len(evaluation)} costs for {len(x)} points"
        )
    return evaluation
