"""What the runs of one algorithm on one problem came to: median, quartiles, failures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from swarmopt.compare.comparison import Cell
from swarmopt.compare.statistics import Interval, median_interval
from swarmopt.evaluation import INFEASIBLE
from swarmopt.types import Matrix, Vector

WORST_KEY = 2.0 * INFEASIBLE  # beyond every key of a run that did not fail


@dataclass(frozen=True)
class Summary:
    """The final keys of an algorithm on a problem.

    Attributes:
        algorithm: its label.
        n: finished runs, failed ones too.
        median: of the keys: a cost below 1e300, infeasible up to inf, failed at inf.
        low: lower quartile, alike; NaN of a single run, which has none.
        high: upper quartile, alike.
        best: the least key.
        worst: the largest.
        interval: 95 % BCa interval of the median; None where a run found nothing feasible.
        n_failed: runs that failed; their keys are inf, so that they rank last.
        n_infeasible: other runs that found nothing feasible.
        nfev: median number of evaluations.
        seconds: median duration.
    """

    algorithm: str
    n: int
    median: float
    low: float
    high: float
    best: float
    worst: float
    interval: Interval | None
    n_failed: int
    n_infeasible: int
    nfev: float
    seconds: float


def summarise(algorithm: str, cells: Sequence[Cell]) -> Summary:
    """Return the summary of at least one run."""
    keys = np.array([cell.key for cell in cells])
    low, median, high = (np.nan, keys[0], np.nan) if len(keys) == 1 else quartiles(keys)
    feasible = all(cell.feasible for cell in cells)
    n_failed = sum(cell.error is not None for cell in cells)
    return Summary(
        algorithm=algorithm,
        n=len(cells),
        median=float(median),
        low=float(low),
        high=float(high),
        best=float(keys.min()),
        worst=float(keys.max()),
        interval=median_interval(keys) if feasible else None,
        n_failed=n_failed,
        n_infeasible=sum(not cell.feasible for cell in cells) - n_failed,
        nfev=float(np.median([cell.nfev for cell in cells])),
        seconds=float(np.median([cell.seconds for cell in cells])),
    )


def quartiles(keys: Vector | Matrix) -> Vector | Matrix:
    """Return the quartiles over runs; between a run that failed and one that did not lies a failed.

    Args:
        keys: (runs,) or (runs, m); inf: failed.

    Returns:
        (3,) or (3, m).
    """
    finite = np.minimum(keys, 1e3 * WORST_KEY)  # inf less inf is no number
    found = np.quantile(finite, [0.25, 0.5, 0.75], axis=0)
    return np.where(found > WORST_KEY, np.inf, found)
