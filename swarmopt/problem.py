"""What is optimised: a space, an evaluation of points, and what comes after the search.

Cost is minimised, everywhere.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from swarmopt.algorithm import Seeds
from swarmopt.errors import ObjectiveError
from swarmopt.evaluation import Evaluation
from swarmopt.space import Space
from swarmopt.types import Matrix, Vector

if TYPE_CHECKING:
    from swarmopt.result import Result


@dataclass(frozen=True)
class Recipe:
    """How another process makes a problem anew, instead of getting it sent.

    A worker imports the factory, calls it with the settings, and calls `prepare` of what it
    returns, once. The driver has called `prepare` before, so what that keeps on disk is there.

    Attributes:
        factory: "package.module:attribute" of a class or function that returns the problem.
        settings: its keyword arguments: plain values.
    """

    factory: str
    settings: Mapping[str, Any] = field(default_factory=dict)


class Problem(ABC):
    """Base of everything that can be optimised.

    Attributes:
        name: how reports call it.
        space: the search space.
        noisy: the same point may cost something else next time; never cached.
        vectorized: `evaluate` takes a whole population at no extra cost. Otherwise it is handed one
            point at a time, so that one failure costs one point.
        optimum: the least cost there is, where it is known.
        default_budget: evaluations of a run that names no other limit.
        distributions: installed packages whose versions a run should note.
        artefacts: names of the files that `finish` leaves in the run folder.
        recipe: how a worker makes it; None: it is sent to workers as it is. Give one to a problem
            that holds much (a model, data) or what cannot be sent.
        default_workers: processes of a run that does not say how many; 0: none but this one.
        races: `evaluate` makes use of its `bound`; otherwise it is inf.
        keeps_points: `finish` wants every point evaluated, in `result.history`.
    """

    name: str
    space: Space
    noisy: bool = False
    vectorized: bool = False
    optimum: float | None = None
    default_budget: int | None = None
    distributions: tuple[str, ...] = ()
    artefacts: tuple[str, ...] = ()
    recipe: Recipe | None = None
    default_workers: int = 0
    races: bool = False
    keeps_points: bool = False

    def prepare(self) -> None:
        """Do what is needed once before the first evaluation, such as training a model."""
        return

    @abstractmethod
    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
        """Return the evaluation of points.

        Args:
            x: (n, d) points; n is 1 unless `vectorized`.
            seeds: what the evaluation of each point may draw.
            bound: the `RACED`-th best key that was known when these points were asked for; inf:
                none. An evaluation that is certain to cost more may stop and report what it
                expects, not less than the bound, with the status CENSORED. Such a point is never
                a run's best.
        """

    def fingerprint(self) -> Mapping[str, str]:
        """Return what costs depend on beside the settings, such as weights and data: name -> hash.

        Called after `prepare`. It is recorded, and a run does not go on where it is another.
        """
        return {}

    def starts(self) -> Matrix:
        """Return (k, d) points that are worth trying first: after `prepare`, and after `x0`."""
        return np.empty((0, len(self.space)))

    def canonical(self, x: Matrix) -> Matrix:
        """Return (n, d) the points that are meant by x: a repair to a budget, say. Default: x.

        They lie in the space. It is they that are evaluated, recorded, and told to the algorithm.
        """
        return x

    def finish(self, result: "Result", folder: Path | None) -> Mapping[str, Any]:  # noqa: ARG002 - the default has nothing to add
        """Return what the result should say beside the search; may write artefacts to the folder.

        Called once after the search; it must give the same again when it is called again.
        """
        return {}

    def describe(self, result: "Result") -> str:  # noqa: ARG002 - as above
        """Return what the command line shows of a finished run beside the best point."""
        return ""


class FunctionProblem(Problem):
    """A plain function over a space.

    Args:
        fun: takes one point: a dict for a named space, an array of d numbers otherwise. Returns a
            cost, or a pair (cost, violation). With `batch` it takes the whole population at once,
            a dict of arrays or an (n, d) array, and returns (n,) costs or a pair of these.
        space: where the points come from.
        batch: whether `fun` takes populations.
        name: how reports call it; default: the function's own name.
        noisy: whether the same point may cost something else next time.
    """

    def __init__(
        self,
        fun: Callable[..., Any],
        space: Space,
        *,
        batch: bool = False,
        name: str = "",
        noisy: bool = False,
    ) -> None:
        self.fun = fun
        self.space = space
        self.vectorized = batch
        self.noisy = noisy
        self.name = name or getattr(fun, "__name__", type(fun).__name__)

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - a plain function draws and stops as it likes
        """Call the function on the points, or on each."""
        if self.vectorized:
            value = self.fun(self.space.columns(x) if self.space.named else x)
            return read_values(value, len(x), self.name)
        rows = self.space.params(x) if self.space.named else x
        pairs = [read_value(self.fun(row), self.name) for row in rows]
        cost = np.array([pair[0] for pair in pairs])
        if all(pair[1] is None for pair in pairs):
            return Evaluation(cost)
        return Evaluation(cost, np.array([pair[1] or 0.0 for pair in pairs]))


def read_value(value: Any, name: str) -> tuple[float, float | None]:
    """Return the cost and violation in what an objective returned for one point.

    Raises:
        ObjectiveError: it is neither a number nor a pair of numbers.
    """
    if type(value) is float:
        return value, None
    parts = value if isinstance(value, tuple) and len(value) == 2 else (value,)
    found = []
    for part in map(_single, parts):
        many = isinstance(part, list | tuple) or np.ndim(part) != 0
        column = isinstance(part, np.ndarray) or (many and len(part) > 3)
        if part is None or many or isinstance(part, str | bytes) or np.iscomplexobj(part):
            raise ObjectiveError(
                f"{name}: returned {_shape_of(value)} for one point; expected a number, or a pair "
                f"(cost, violation)"
                + (". Is a `return` missing?" if value is None else "")
                + (". Where it takes a whole population at once, pass batch=True" if column else "")
            )
        try:
            found.append(float(part))
        except OverflowError:
            found.append(np.inf)
        except (TypeError, ValueError):
            raise ObjectiveError(
                f"{name}: returned {_shape_of(value)} for one point; expected a number"
            ) from None
    return found[0], found[1] if len(found) == 2 else None


def read_values(value: Any, n: int, name: str) -> Evaluation:
    """Return the evaluation in what an objective returned for n points.

    Raises:
        ObjectiveError: it is neither n costs nor a pair of n costs and n violations.
    """
    pair = isinstance(value, tuple) and len(value) == 2 and all(_is_column(v) for v in value)
    parts = value if pair else (value,)
    found = []
    for part, what in zip(parts, ("cost", "violation"), strict=False):
        array = _as_costs(part)
        if array is None:
            raise ObjectiveError(
                f"{name}: returned {_shape_of(part)} for {n} points, not all of it real numbers; "
                f"expected ({n},), one {what} per point. NaN marks a failed evaluation"
            )
        if array.shape != (n,):
            raise ObjectiveError(
                f"{name}: returned {_shape_of(part)} for {n} points; expected ({n},), one {what} "
                f"per point"
            )
        found.append(array)
    return Evaluation(found[0], found[1] if len(found) == 2 else None)


def _single(value: Any) -> Any:
    """Return the number in an array or tensor that holds one alone; others as they are."""
    value = _detached(value)
    if not (getattr(value, "ndim", 0) and hasattr(value, "reshape")):
        return value
    number = getattr(value.dtype, "kind", "f") in "biufc"  # types of torch have none
    return value.reshape(()) if number and math.prod(value.shape) == 1 else value


def _detached(value: Any) -> Any:
    """Return a tensor of torch without its gradient, which numpy refuses; others as they are."""
    return value.detach() if hasattr(value, "requires_grad") else value


def _is_column(value: Any) -> bool:
    try:
        return np.ndim(_detached(value)) == 1
    except ValueError:  # lists of different lengths
        return False


def _as_costs(value: Any) -> Vector | None:
    """Return an array of real numbers, or None where the value is none, or of text or complex."""
    try:
        array = np.asarray(_detached(value))
        if array.dtype.kind == "O":  # numpy would read None as NaN
            return np.array([float(v) for v in array])
    except (TypeError, ValueError):
        return None
    return array.astype(np.float64) if array.dtype.kind in "biuf" else None


def _shape_of(value: Any) -> str:
    """Return how to speak of a wrong value: its shape where it has one, else itself."""
    if isinstance(value, tuple) or (isinstance(value, list) and len(value) <= 3):
        return f"{value!r:.80}"
    try:
        shape = np.shape(value)
    except ValueError:
        return f"{value!r:.80}"
    return f"an array of shape {shape}" if shape else f"{value!r:.80}"
