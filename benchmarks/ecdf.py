"""What a run is worth: runtimes to targets, the area under their ECDF, and ranks.

The error of a run after t evaluations is the least cost so far less the optimum. There are 51
targets, from 1e2 down to 1e-8, five to a decade. A run reaches target k at the first evaluation t_k
(from 1) whose error is at most that target, or never. With a budget of B its area is

    mean over k of  1 - log(t_k) / log(B + 1)      (0 where the target was not reached)

which is the area under the runtime ECDF of the run over a logarithmic axis from 1 to B + 1, where
evaluations matter by their ratio: 1 for a run whose first point reaches all targets, 0 for one that
reaches none. Source of the ECDF: Hansen, Auger, Brockhoff, Tusar, "Anytime performance assessment
in blackbox optimization benchmarking", 2022, doi 10.1109/TEVC.2022.3210897.
"""

import numpy as np

from swarmopt.types import Integers, Matrix, Vector

TARGETS: Vector = 10.0 ** np.linspace(2, -8, 51)
FINAL = float(TARGETS[-1])  # a lower error is no better
NEVER = 0


def areas(hits: Integers, budget: int) -> Vector:
    """Return the area under the runtime ECDF of each run.

    Args:
        hits: (n, targets) the evaluation at which each target was reached, or NEVER.
        budget: evaluations of a run; a target reached later was not reached.
    """
    reached = (hits != NEVER) & (hits <= budget)
    share = 1.0 - np.log(np.where(reached, hits, 1)) / np.log(budget + 1.0)
    found: Vector = np.where(reached, share, 0.0).mean(axis=1)
    return found


def ranks(errors: Matrix) -> Vector:
    """Return the mean rank of each algorithm, from 1 for the best.

    Args:
        errors: (cells, algorithms) final errors. Those up to FINAL are equal, and equal errors
            share the mean of their ranks.
    """
    floored = np.maximum(errors, FINAL)
    better = (floored[:, None, :] < floored[:, :, None]).sum(axis=2)
    equal = (floored[:, None, :] == floored[:, :, None]).sum(axis=2)  # itself too
    found: Vector = (better + (equal + 1) / 2.0).mean(axis=0)
    return found


def reached_by(hits: Integers, evaluations: Vector) -> Vector:
    """Return the share of all runs and targets that were reached by each number of evaluations.

    Args:
        hits: (n, targets) as for `areas`.
        evaluations: (m,) in any order.
    """
    times = np.sort(hits[hits != NEVER])
    share: Vector = np.searchsorted(times, evaluations, side="right") / hits.size
    return share


def pack(hits: Integers) -> str:
    """Return hits as text: "1*12 30*3 0*36" where 12 targets were reached at once, 36 never."""
    starts = np.flatnonzero(np.diff(hits, prepend=-1))
    lengths = np.diff(starts, append=len(hits))
    return " ".join(f"{hits[s]}*{n}" for s, n in zip(starts, lengths, strict=True))


def unpack(text: str) -> Integers:
    """Return the hits that `pack` wrote.

    Raises:
        ValueError: it did not write this.
    """
    pairs = [part.split("*") for part in text.split()]
    hits = np.repeat([int(time) for time, _ in pairs], [int(n) for _, n in pairs])
    if len(hits) != len(TARGETS):
        raise ValueError(f"expected {len(TARGETS)} targets, got {len(hits)} in {text!r}")
    return hits.astype(np.int64)
