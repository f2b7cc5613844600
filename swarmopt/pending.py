"""A batch that was asked for and not told yet."""

from dataclasses import dataclass

import numpy as np

from swarmopt.batch import Batch
from swarmopt.evaluate.evaluator import Finished
from swarmopt.evaluation import Evaluation
from swarmopt.types import Integers


@dataclass(frozen=True)
class Closed:
    """What a record says of a complete batch.

    Attributes:
        first_id: of its evaluations.
        n: how many of them were told.
        seconds: of the search then.
    """

    first_id: int
    n: int
    seconds: float


class Pending:
    """What is known of the points of a batch.

    Attributes:
        batch: as it was asked for.
        closed: what a record says of it where it is complete there.
        n: evaluations that are known.
    """

    def __init__(self, batch: Batch, closed: Closed | None = None) -> None:
        self.batch = batch
        self.closed = closed
        self.n = 0
        self._parts: list[Finished] = []

    @property
    def complete(self) -> bool:
        """Whether it can be told."""
        return self.n == len(self.batch) or self.closed is not None

    @property
    def missing(self) -> Integers:
        """The rows that are still to be evaluated, ascending."""
        if self.complete:
            return np.empty(0, np.int64)
        if not self._parts:
            return np.arange(len(self.batch))
        known = np.zeros(len(self.batch), bool)
        for part in self._parts:
            known[part.rows] = True
        return np.flatnonzero(~known)

    def add(self, finished: Finished) -> None:
        """Take what has become known."""
        self._parts.append(finished)
        self.n += len(finished.rows)

    def evaluation(self) -> Evaluation:
        """Return the evaluation of the first points, up to the first that is missing."""
        joined = Evaluation.join([part.evaluation for part in self._parts])
        if len(self._parts) <= 1 and self.complete:
            return joined
        rows = np.concatenate([part.rows for part in self._parts]) if self._parts else np.empty(0)
        order = rows.argsort()
        n_first = int((rows[order] == np.arange(len(rows))).cumprod().sum())
        return joined.rows(order[:n_first])
