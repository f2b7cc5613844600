"""What became of points that were evaluated, and the one number by which they compare.

A point is feasible when its violation is 0. Feasible beats infeasible, and less violation beats
more (Deb, "An efficient constraint handling method for genetic algorithms", 2000).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swarmopt.errors import ObjectiveError
from swarmopt.types import Integers, Vector

SMALLEST, LARGEST = float(np.nextafter(0.0, 1.0)), float(np.finfo(float).max)
INFEASIBLE = 1e300  # keys from here on are infeasible; costs from here on count as not finite


class Outcome(IntEnum):
    """How one evaluation ended."""

    OK = 0
    NONFINITE = 1
    RAISED = 2
    LOST = 3
    TIMEOUT = 4
    CENSORED = 5


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What became of n points.

    Attributes:
        cost: (n,) lower is better; not finite counts as failed.
        violation: (n,) how far a point is from feasible, 0: feasible; None: all are.
        status: (n,) an `Outcome` each; None: every cost was computed.
        info: per point, what the record should keep beside the cost (JSON values; the traceback of
            a failure under "error"); empty: nothing.

    Raises:
        ObjectiveError: shapes that differ, a negative or NaN violation.
    """

    cost: Vector
    violation: Vector | None = None
    status: NDArray[np.int8] | None = None
    info: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        if self.cost.dtype != np.float64:  # float32 does not reach INFEASIBLE
            object.__setattr__(self, "cost", self.cost.astype(np.float64))
        if self.cost.ndim != 1:
            raise ObjectiveError(f"expected costs of shape (n,), got {self.cost.shape}")
        if self.status is not None and self.status.shape != self.cost.shape:
            raise ObjectiveError(
                f"expected one status per cost, {self.cost.shape}; got {self.status.shape}"
            )
        if self.info and len(self.info) != len(self.cost):
            raise ObjectiveError(
                f"expected one info per cost, {len(self.cost)}; got {len(self.info)}"
            )
        if self.violation is not None:
            if self.violation.shape != self.cost.shape:
                raise ObjectiveError(
                    f"expected one violation per cost, {self.cost.shape}; "
                    f"got {self.violation.shape}"
                )
            if self.violation.dtype != np.float64:
                object.__setattr__(self, "violation", self.violation.astype(np.float64))
            wrong = ~(self.violation >= 0)
            if wrong.any():
                raise ObjectiveError(
                    f"expected violations >= 0, where 0 means feasible; got "
                    f"{float(self.violation[wrong][0])!r}. For a constraint g(x) <= 0 return "
                    f"max(0, g)"
                )

    def __len__(self) -> int:
        return len(self.cost)

    @property
    def outcome(self) -> NDArray[np.int8]:
        """(n,) how each evaluation ended; a cost that is not finite is found here."""
        status = np.zeros(len(self), np.int8) if self.status is None else self.status.copy()
        unusable = ~(np.abs(self.cost) < INFEASIBLE)
        if self.violation is not None:
            unusable &= ~(self.violation > 0)
        status[unusable & (status == Outcome.OK)] = Outcome.NONFINITE
        return status

    def key(self) -> Vector:
        """Return (n,) one number per point by which all points of a run compare.

        The cost where it is feasible; between 1e300 and 2e300 by its violation where it is not;
        inf where it failed.
        """
        key = self.cost
        if self.violation is not None:
            v = self.violation
            # The logarithm keeps the order of violations from 5e-324 to 1.8e308, to 12 digits.
            share = (np.log2(np.clip(v, SMALLEST, LARGEST)) + 1075.0) / 2100.0
            key = np.where(v > 0, INFEASIBLE * (1.0 + share), key)
        usable = np.abs(self.cost) < INFEASIBLE
        if self.violation is not None:
            usable |= self.violation > 0
        if self.status is not None:
            usable &= (self.status == Outcome.OK) | (self.status == Outcome.CENSORED)
        return key if usable.all() else np.where(usable, key, np.inf)

    def rows(self, chosen: Integers) -> "Evaluation":
        """Return the evaluation of the chosen points."""
        return Evaluation(
            self.cost[chosen],
            None if self.violation is None else self.violation[chosen],
            None if self.status is None else self.status[chosen],
            [self.info[i] for i in chosen] if self.info else (),
        )

    @classmethod
    def failed(cls, n: int, outcome: Outcome, error: str) -> "Evaluation":
        """Return the evaluation of n points that all failed alike."""
        return cls(
            np.full(n, np.nan), status=np.full(n, outcome, np.int8), info=({"error": error},) * n
        )

    @classmethod
    def join(cls, parts: Sequence["Evaluation"]) -> "Evaluation":
        """Return the parts one after the other."""
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return cls(np.empty(0))
        bounded = any(p.violation is not None for p in parts)
        marked = any(p.status is not None for p in parts)
        told = any(p.info for p in parts)
        return cls(
            np.concatenate([p.cost for p in parts]),
            np.concatenate(
                [np.zeros(len(p)) if p.violation is None else p.violation for p in parts]
            )
            if bounded
            else None,
            np.concatenate(
                [np.zeros(len(p), np.int8) if p.status is None else p.status for p in parts]
            )
            if marked
            else None,
            [row for p in parts for row in (p.info or ({},) * len(p))] if told else (),
        )
