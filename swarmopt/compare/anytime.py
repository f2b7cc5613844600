"""How fast: runtimes to targets, their distribution, and the expected running time.

Where the optimum is known, the error of a run is its least feasible cost less the optimum, and
there are 51 targets from 1e2 down to 1e-8. Where it is not, the targets go from the largest first
cost of a run down to the least cost that any run of the comparison has found; these belong to this
comparison and change with who takes part.

Source: Hansen, Auger, Brockhoff, Tusar, "Anytime performance assessment in blackbox optimization
benchmarking", 2022, doi 10.1109/TEVC.2022.3210897: the ECDF, and the expected running time
ERT = evaluations of all runs until they reached the target or ended / runs that reached it. A run
that failed counts the whole budget, so that no algorithm gains by failing early.
"""

from dataclasses import dataclass

import numpy as np

from swarmopt.compare.comparison import Comparison
from swarmopt.compare.statistics import RESAMPLES, Interval, resamples
from swarmopt.types import Integers, Matrix, Vector

N_TARGETS = 51
KNOWN: Vector = 10.0 ** np.linspace(2, -8, N_TARGETS)
SHOWN = (0, 10, 20, 30, 40, 50)  # of the targets, those whose ERT tables show
SMALLEST = 1e-8  # least gap of targets, as a share of the largest


@dataclass(frozen=True, eq=False)
class Runtime:
    """How long an algorithm takes to reach a target.

    Attributes:
        target: the cost.
        n_reached: runs that reached it.
        n: runs.
        ert: expected running time in evaluations; inf where no run reached it.
        interval: of 95 %, bootstrapped over runs; its high end is inf where resamples without a
            run that reached the target are that many. None where no run reached it.
    """

    target: float
    n_reached: int
    n: int
    ert: float
    interval: Interval | None


@dataclass(frozen=True, eq=False)
class Anytime:
    """The runtimes on one problem.

    Attributes:
        targets: (t,) costs, falling.
        known: whether they are relative to a known optimum.
        hits: by algorithm, (runs, t) evaluations to each target; inf: never.
        runtimes: by algorithm, those of some of the targets.
        hardest: by algorithm, that of the last target that any run reached.
    """

    targets: Vector
    known: bool
    hits: dict[str, Matrix]
    runtimes: dict[str, tuple[Runtime, ...]]
    hardest: dict[str, Runtime]

    def reached(self, algorithm: str, evaluations: Vector) -> Vector:
        """Return (m,) the share of runs and targets reached by each number of evaluations."""
        return reached_by(self.hits[algorithm], evaluations)


def anytime(comparison: Comparison, problem: str) -> Anytime | None:
    """Return the runtimes on a problem; None where no run found anything feasible."""
    runs = {a: comparison.runs(problem, a) for a in comparison.algorithms}
    told = [cell for cells in runs.values() for cell in cells if len(cell.best)]
    optimum = comparison.optimum.get(problem)
    if not told:
        return None
    if optimum is None:
        first, least = max(c.best[0] for c in told), min(c.best[-1] for c in told)
        targets = pooled_targets(first, least)
    else:
        targets = optimum + KNOWN
    hits, ended = {}, {}
    for algorithm, cells in runs.items():
        rows = [runtimes_of(cell.evaluations, cell.best, targets) for cell in cells]
        hits[algorithm] = np.array(rows).reshape(len(cells), len(targets))
        ended[algorithm] = np.array(
            [cell.nfev if cell.error is None else comparison.budget for cell in cells], float
        )

    def times(t: int) -> dict[str, Runtime]:
        return {a: runtime(targets[t], hits[a][:, t], ended[a]) for a in hits if len(ended[a])}

    reached = np.isfinite(np.concatenate(list(hits.values()))).any(axis=0)
    last = int(reached.nonzero()[0].max(initial=0))
    shown = [times(t) for t in dict.fromkeys(min(s, len(targets) - 1) for s in SHOWN)]
    return Anytime(
        targets,
        optimum is not None,
        hits,
        {algorithm: tuple(row[algorithm] for row in shown) for algorithm in shown[0]},
        times(last),
    )


def pooled_targets(first: float, least: float) -> Vector:
    """Return (t,) targets between two costs: their distances to the lower one fall evenly in log.

    Args:
        first: the largest first cost of a run.
        least: the least cost of all; the last target.
    """
    gap = first - least
    if gap <= 0.0:
        return np.array([least])
    return np.append(least + gap * np.geomspace(1.0, SMALLEST, N_TARGETS - 1), least)


def runtimes_of(evaluations: Integers, best: Vector, targets: Vector) -> Vector:
    """Return (t,) the evaluation at which each target was reached; inf: never.

    Args:
        evaluations: (k,) of the improvements.
        best: (k,) falling costs.
        targets: (t,) costs.
    """
    at = np.searchsorted(-best, -targets, side="left")  # the first that costs at most the target
    found: Vector = np.append(np.asarray(evaluations, float), np.inf)[at]
    return found


def runtime(target: float, hits: Vector, ended: Vector) -> Runtime:
    """Return the expected running time to a target.

    Args:
        target: the cost.
        hits: (n,) the evaluation at which each run reached it; inf: never.
        ended: (n,) the evaluations that each run counts where it did not.
    """
    reached = np.isfinite(hits)
    n_reached = int(reached.sum())
    if not n_reached:
        return Runtime(float(target), 0, len(hits), np.inf, None)
    spent = np.where(reached, hits, ended)
    rows = resamples(len(hits))
    with np.errstate(divide="ignore"):
        drawn = np.sort(spent[rows].sum(axis=1) / reached[rows].sum(axis=1))
    low, high = drawn[[int(0.025 * RESAMPLES), int(0.975 * RESAMPLES)]]
    ert = float(spent.sum() / n_reached)
    return Runtime(float(target), n_reached, len(hits), ert, Interval(float(low), float(high)))


def reached_by(hits: Matrix, evaluations: Vector) -> Vector:
    """Return (m,) the share of all runs and targets that were reached by so many evaluations."""
    times = np.sort(hits[np.isfinite(hits)])
    share: Vector = np.searchsorted(times, evaluations, side="right") / max(1, hits.size)
    return share
