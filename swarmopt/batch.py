"""A batch of points that wait for their costs, and what was told of them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from swarmopt.algorithm import Candidates, Seeds
from swarmopt.evaluation import Evaluation
from swarmopt.problem import Problem
from swarmopt.space import Space
from swarmopt.types import Integers, Matrix


@dataclass(frozen=True, eq=False)
class Batch:
    """Points that wait for their costs.

    Attributes:
        x: (n, d) the points to evaluate; known ones are left out, so n may be 0.
        ids: their numbers in the run.
        number: the number of the batch.
        space: of the points.
        seeds: what the evaluation of each point may draw.
    """

    x: Matrix
    ids: range
    number: int
    space: Space
    seeds: Seeds
    candidates: Candidates
    points: Matrix  # (m, d) canonical points of all candidates, known ones too
    new: Integers | None  # which of the points are x; None: all

    def __len__(self) -> int:
        return len(self.x)

    @cached_property
    def params(self) -> list[dict[str, Any]]:
        """The points as dicts of the user's values."""
        return self.space.params(self.x)


@dataclass(frozen=True, eq=False)
class Told:
    """What `tell` was told of a batch."""

    evaluation: Evaluation
    seconds: float
    replayed: bool


def why_all_failed(problem: Problem, batch: Batch, evaluation: Evaluation) -> str:
    """Return why none of the points of the first batch has a cost, and what to do."""
    n = len(evaluation)
    error = next((str(row["error"]) for row in evaluation.info if "error" in row), None)
    point: Any = batch.params[0] if batch.space.named else batch.x[0].tolist()
    if error is None:
        return (
            f"{problem.name}: none of the {n} points of the first batch has a finite cost (a cost "
            f"of 1e300 or more, or NaN, counts as not finite). The first point is {point}, its "
            f"cost {evaluation.cost[0]}. Return a finite cost, or raise to mark a failure"
        )
    return (
        f"{problem.name}: all {n} evaluations of the first batch failed. The first point is "
        f"{point}; it raised:\n\n{error.rstrip()}"
    )
