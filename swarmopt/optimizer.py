"""Ask and tell, for people who own the loop."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from swarmopt.algorithm import AnyAlgorithm
from swarmopt.batch import Batch
from swarmopt.errors import ObjectiveError, SettingError
from swarmopt.evaluation import Evaluation
from swarmopt.inputs import Points, as_algorithm, as_rows, draw_seed
from swarmopt.limits import Limits
from swarmopt.problem import FunctionProblem, read_value, read_values
from swarmopt.result import Result
from swarmopt.search import Search
from swarmopt.space import Space, as_space


class Optimizer:
    """Ask for points and tell their costs, for those who own the loop.

    Args:
        space: as for `minimize`.
        algorithm: a name or an instance.
        seed: drawn when None.
        budget: evaluations at most; None: `done` stays False until another limit is reached.
        target: a feasible cost as low as this ends the run.
        patience: evaluations without a better point.
        max_time: seconds.
        x0: points to try first, as dicts or rows.
        batch_size: points wanted at once, at least.
        cache: answer known points from memory; None: where the space is finite.

    Raises:
        SettingError: a setting is unknown, of the wrong type or out of range.
    """

    def __init__(
        self,
        space: Any,
        *,
        algorithm: str | AnyAlgorithm = "ssa",
        seed: int | None = None,
        budget: int | None = None,
        target: float | None = None,
        patience: int | None = None,
        max_time: float | None = None,
        x0: Points | None = None,
        batch_size: int = 1,
        cache: bool | None = None,
    ) -> None:
        problem = FunctionProblem(_told_from_outside, as_space(space), name="objective")
        self._search = Search(
            problem,
            as_algorithm(algorithm),
            seed=draw_seed() if seed is None else seed,
            limits=Limits(budget, max_time, target, patience),
            batch_size=batch_size,
            cache=cache,
            x0=None if x0 is None else problem.space.points(as_rows(x0)),
        )

    @property
    def space(self) -> Space:
        """The search space."""
        return self._search.problem.space

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self._search.done

    @property
    def result(self) -> Result:
        """What was found so far."""
        return self._search.result()

    def ask(self) -> Batch:
        """Return the next batch: `batch.x` (n, d), `batch.params`, `batch.ids`.

        Several batches may be asked for before the first is told. The batch is empty only where the
        run ended because no new point is left.

        Raises:
            SettingError: the run is over, or the budget is asked for already.
        """
        if self.done:
            raise SettingError(f"the run is over: {self.result.message}")
        if not self._search.can_ask:
            raise SettingError(
                f"all {self._search.limits.budget} evaluations of the budget are asked for; tell "
                f"the {self._search.n_waiting} batches that wait"
            )
        batch = self._search.ask()
        while not len(batch) and self._search.n_waiting == 1:
            self._search.tell(batch, Evaluation.join([]))
            if not self._search.can_ask:
                break
            batch = self._search.ask()
        return batch

    def tell(
        self, batch: Batch, values: Sequence[Any] | ArrayLike, violation: ArrayLike | None = None
    ) -> None:
        """Give the costs of a batch. Batches may be told in any order.

        Args:
            batch: from `ask`.
            values: (n,) costs, or n pairs (cost, violation), in the order of `batch.x`. NaN or inf
                marks a failed evaluation.
            violation: (n,) violations, where `values` are costs.

        Raises:
            ObjectiveError: another number of values, a negative or NaN violation.
            SettingError: the batch was told already, or belongs to another optimizer.
            AllFailedError: nothing in the first batch succeeded.
        """
        if not isinstance(batch, Batch):
            raise SettingError(f"tell: expected a batch from ask, got {batch!r:.60}")
        if not len(batch) and (self.done or not self._search.is_waiting(batch)):
            return
        if not self._search.is_waiting(batch):
            raise SettingError(
                f"batch {batch.number} was told already, or was not asked of this optimizer"
            )
        self._search.tell(batch, _evaluation(values, violation, len(batch)))


def _evaluation(values: Any, violation: ArrayLike | None, n: int) -> Evaluation:
    if violation is not None:
        return read_values((np.asarray(values), np.asarray(violation)), n, "tell")
    if not hasattr(values, "__iter__"):
        raise ObjectiveError(f"tell: expected a list of {n} costs, got {values!r:.60}")
    if isinstance(values, np.ndarray) or not any(isinstance(v, tuple) for v in values):
        return read_values(values, n, "tell")
    if len(values) != n:
        read_values(np.empty(len(values)), n, "tell")
    pairs = [read_value(value, "tell") for value in values]
    return Evaluation(np.array([c for c, _ in pairs]), np.array([v or 0.0 for _, v in pairs]))


def _told_from_outside(point: Any) -> float:
    raise RuntimeError(f"the cost of {point!r} is told, not computed")
