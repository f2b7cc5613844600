"""One call of a problem in this process, and what came of it."""

import os
import traceback

from swarmopt.errors import ObjectiveError
from swarmopt.evaluate.evaluator import Work
from swarmopt.evaluate.faults import Breach
from swarmopt.evaluation import Evaluation, Outcome
from swarmopt.problem import Problem

_forks = 0  # between this process and the first one; asking for a process's number costs more


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 - a fact of the process
    _forks += 1


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_count_fork)


def attempt(problem: Problem, work: Work) -> Evaluation | Breach:
    """Return the evaluation of points, whatever becomes of it.

    What the problem raises is a failed evaluation, with the traceback in its info; only a
    KeyboardInterrupt goes on to the caller. A child that the problem forked and that comes out of
    it ends here: it would drive the same run.

    Args:
        problem: ready to evaluate.
        work: one point, or several where the problem is vectorized.
    """
    forks = _forks
    n = len(work.x)
    try:
        # An objective may write into its points.
        evaluation = problem.evaluate(work.x.copy(), work.seeds, work.bound)
    except ObjectiveError as error:
        text = str(error)
        return Breach(text if problem.name in text else f"{problem.name}: {text}")
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 - whatever an objective raises is a failure
        return raised(n)
    finally:
        if _forks != forks:
            os._exit(1)
    if not isinstance(evaluation, Evaluation):
        return Breach(
            f"{problem.name}: evaluate returned {type(evaluation).__name__}; expected a "
            f"swarmopt.Evaluation"
        )
    if len(evaluation) != n:
        return Breach(f"{problem.name}: evaluate returned {len(evaluation)} costs for {n} points")
    return evaluation


def raised(n: int) -> Evaluation:
    """Return n evaluations that failed with the exception that is being handled."""
    return Evaluation.failed(n, Outcome.RAISED, traceback.format_exc())
