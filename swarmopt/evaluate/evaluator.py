"""What the loop needs of whoever evaluates: work goes in, evaluations come out as they finish."""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from swarmopt.algorithm import Seeds
from swarmopt.evaluation import Evaluation
from swarmopt.types import Integers, Matrix


@dataclass(frozen=True, eq=False)
class Work:
    """Points of one batch that are to be evaluated.

    Attributes:
        batch: number of the batch.
        rows: (n,) which of its points they are, ascending.
        x: (n, d) the points.
        seeds: n of them.
        bound: see `Problem.evaluate`.
    """

    batch: int
    rows: Integers
    x: Matrix
    seeds: Seeds
    bound: float


@dataclass(frozen=True, eq=False)
class Finished:
    """Evaluations that have finished.

    Attributes:
        batch: number of the batch.
        rows: (n,) which of its points they are.
        evaluation: of these n points.
    """

    batch: int
    rows: Integers
    evaluation: Evaluation


class Evaluator(Protocol):
    """Evaluates one problem, somewhere. A context: what it holds is let go at its end.

    Work is begun in the order in which it was submitted.
    """

    @property
    def busy(self) -> bool:
        """Whether anything was submitted that has not come out of `wait`, and was not dropped."""
        ...

    def submit(self, work: Work) -> None:
        """Take points to evaluate; does not wait for them."""
        ...

    def wait(self) -> Finished:
        """Return what finishes next. Called only while `busy`.

        Raises:
            ObjectiveError: the problem breaks its contract in the first batch. Everything else that
                a problem can do is an evaluation that failed: why is in its info.
            WorkerError: nothing can be evaluated any more.
        """
        ...

    def drop(self) -> None:
        """Forget the points that nobody has begun to evaluate."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None: ...
