"""The evaluations of a run, summed up while its record is read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swarmopt.evaluation import Evaluation, Outcome
from swarmopt.rows import Rows, row_type
from swarmopt.types import Matrix, Vector

ELITE = 40  # points
FAILED = (Outcome.NONFINITE, Outcome.RAISED, Outcome.LOST, Outcome.TIMEOUT)


@dataclass
class Failure:
    """Evaluations that failed with the same text.

    Attributes:
        outcome: how.
        text: of the failure, its traceback where there is one.
        ids: of the evaluations.
        x: (d,) the first point.
    """

    outcome: Outcome
    text: str
    ids: list[int]
    x: Vector


class Gathered:
    """What is kept of the rows, chunk by chunk.

    Args:
        d: number of variables.
        batches: (b,) the complete ones, of `record.BATCH`; rows of others are left out.

    Attributes:
        n: rows kept so far; the others are as in `Account`, in parts.
    """

    def __init__(self, d: int, batches: NDArray[np.void]) -> None:
        self.n = 0
        self.keys: list[Vector] = []
        self.statuses: list[NDArray[np.int8]] = []
        self.elite: NDArray[np.void] = np.empty(0, row_type(d))
        self.low, self.high = np.full(d, np.inf), np.full(d, -np.inf)
        self.failures: dict[tuple[int, str], Failure] = {}
        self._numbers: dict[str, list[tuple[int, float]]] = {}
        self._first, self._sizes = batches["first_id"], batches["n"]

    def add(self, rows: Rows) -> None:
        """Take the next rows; those that were not told are left out."""
        at = np.searchsorted(self._first, rows.data["id"], side="right") - 1
        told = (at >= 0) & (rows.data["id"] < self._first[at] + self._sizes[at])
        data = rows.data[told]
        info = [rows.info[i] for i in np.flatnonzero(told)]
        status = np.ascontiguousarray(data["status"])
        cost, violation = np.array(data["cost"]), np.array(data["violation"])
        key = Evaluation(cost, violation, status).key() + 0.0
        self.keys.append(key)
        self.statuses.append(status)
        x: Matrix = data["x"]
        self.low = np.minimum(self.low, x.min(axis=0, initial=np.inf))
        self.high = np.maximum(self.high, x.max(axis=0, initial=-np.inf))
        self._compete(data, key)
        self._note(data, info)
        self.n += len(data)

    def _compete(self, data: NDArray[np.void], key: Vector) -> None:
        """Keep the best rows; of equal points the first. A censored evaluation is no best."""
        able = np.flatnonzero(np.isfinite(key) & (data["status"] != Outcome.CENSORED))
        first = able[np.argsort(key[able], kind="stable")]
        both = np.concatenate([self.elite, data[first]])
        ranks = Evaluation(np.array(both["cost"]), np.array(both["violation"])).key()
        seen: set[bytes] = set()
        chosen = []
        for row in np.argsort(ranks, kind="stable"):
            point = both["x"][row].tobytes()
            if point not in seen:
                seen.add(point)
                chosen.append(row)
            if len(chosen) == ELITE:
                break
        self.elite = both[chosen]

    def _note(self, data: NDArray[np.void], info: list[str | None]) -> None:
        """Keep the texts of failures, and numbers that the problem says of an evaluation."""
        failed = np.isin(data["status"], FAILED)
        for i in np.flatnonzero(failed | np.array([text is not None for text in info], bool)):
            said = _parsed(info[i])
            if failed[i]:
                self._fail(data[i], said)
                continue
            for name, value in said.items():
                if isinstance(value, int | float) and not isinstance(value, bool):
                    self._numbers.setdefault(name, []).append((self.n + int(i), float(value)))

    def _fail(self, row: NDArray[np.void], said: Mapping[str, Any]) -> None:
        outcome = Outcome(int(row["status"]))
        text = said.get("error")
        text = text if isinstance(text, str) else _WORDS[outcome]
        failure = self.failures.get((outcome, text))
        if failure is None:
            failure = Failure(outcome, text, [], np.array(row["x"]))
            self.failures[outcome, text] = failure
        failure.ids.append(int(row["id"]))

    def columns(self) -> dict[str, Vector]:
        """Return by name (n,) what the problem says of each evaluation."""
        found = {}
        for name, pairs in self._numbers.items():
            column = np.full(self.n, np.nan)
            at, values = zip(*pairs, strict=True)
            column[list(at)] = values
            found[name] = column
        return found


_WORDS = {
    Outcome.NONFINITE: "the cost is not a finite number",
    Outcome.RAISED: "the evaluation raised an error, whose text is not recorded",
    Outcome.LOST: "the worker was lost",
    Outcome.TIMEOUT: "the time limit of an evaluation was reached",
}


def _parsed(text: str | None) -> Mapping[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except (RecursionError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
