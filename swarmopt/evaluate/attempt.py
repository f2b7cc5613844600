"""One call of a problem in this process, and what came of it."""

import traceback

from swarmopt.errors import ObjectiveError
from swarmopt.evaluate.evaluator import Work
from swarmopt.evaluate.faults import Breach
from swarmopt.evaluation import Evaluation, Outcome
from swarmopt.problem import Problem


def attempt(problem: Problem, work: Work) -> Evaluation | Breach:
    """Return the evaluation of points, whatever becomes of it.

    What the problem raises is a failed evaluation, with the traceback in its info.

    Args:
        problem: ready to evaluate.
        work: one point, or several where the problem is vectorized.
    """
    n = len(work.x)
    try:
        # An objective may write into its points.
        evaluation = problem.evaluate(work.x.copy(), work.seeds, work.bound)
    except ObjectiveError as error:
        text = str(error)
        return Breach(text if problem.name in text else f"{problem.name}: {text}")
    except (Exception, SystemExit):  # noqa: BLE001 - whatever an objective raises is a failure
        return Evaluation.failed(n, Outcome.RAISED, traceback.format_exc())
    if not isinstance(evaluation, Evaluation):
        return Breach(
            f"{problem.name}: evaluate returned {type(evaluation).__name__}; expected a "
            f"swarmopt.Evaluation"
        )
    if len(evaluation) != n:
        return Breach(f"{problem.name}: evaluate returned {len(evaluation)} costs for {n} points")
    return evaluation
