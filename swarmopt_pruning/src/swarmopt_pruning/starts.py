"""Structures that are known to be good before any search, at a budget.

All of them are points of the constraint set: for each searched code a level. Uniform widths and
global magnitude need no image. The others need one curve per code: what the network loses where
that code alone is narrow.
"""

import heapq
import math
from collections.abc import Callable, Mapping
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from swarmopt_pruning.budget import Budget
from swarmopt_pruning.constraint import ConstraintSet

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAMPLES = 5  # levels of one code that are measured, the whole width apart
MOST_MOVES = 1_000
LEAST_GAIN = 1e-12
CHUNK = 1_000  # exchanges whose cost is computed together
NEAR = 30  # points near the additive optimum that are worth trying
BEST = 200  # of a point's neighbours are looked at
FURTHEST = 2  # levels that one code moves between neighbours
LOST = 1e6  # loss of a network whose answers are not finite


def sensitivity(
    constraints: ConstraintSet, loss: Callable[[Ints], float], *, samples: int = SAMPLES
) -> Floats:
    """Measure what the network loses where one code alone is narrow.

    Args:
        constraints: the codes.
        loss: of (groups,) counts; lower is better. It is called at most samples * d + 1 times.
        samples: levels of each code that are measured; between them the curve is straight.

    Returns:
        (d, most levels) loss above that of the whole network, not rising with the level, at least
        0; inf where a code has no such level.
    """
    codes = constraints.searched
    whole = constraints.whole
    base = loss(constraints.counts(whole[None])[0])
    curves = np.full((len(codes), max(len(code.counts) for code in codes)), np.inf)
    for j, code in enumerate(codes):
        last = len(code.counts) - 1
        levels = np.unique(np.round(np.linspace(0, last - 1, min(samples, last))).astype(int))
        found = []
        for level in levels:
            point = whole.copy()
            point[j] = level
            lost = loss(constraints.counts(point[None])[0]) - base
            found.append(max(0.0, lost) if math.isfinite(lost) else LOST)
        falling = np.maximum.accumulate([0.0, *found[::-1]])[::-1]  # wider is never worse
        curves[j, : last + 1] = np.interp(np.arange(last + 1), [*levels, last], falling)
    return curves


def additive(constraints: ConstraintSet, budget: Budget, curves: Floats) -> Floats:
    """Return the point within a budget whose summed losses are least, as far as exchanges find it.

    From each of three points, one code widens and another narrows as long as the sum falls: the one
    where from the whole network the step that loses least for what it saves was taken until the
    budget held, that of a common threshold, and uniform widths.

    Args:
        constraints: the codes.
        budget: that is not exceeded.
        curves: from `sensitivity`.

    Returns:
        (d,) levels.
    """
    points = [
        _narrowed(constraints, budget, curves),
        threshold(constraints, budget, curves),
        uniform_point(constraints, budget),
    ]
    found: list[Floats] = []
    for point in points:
        better: Floats | None = point
        for _ in range(MOST_MOVES):
            if better is None:
                break
            last, better = better, _exchanged(constraints, budget, curves, better)
        found.append(last)
    best = found[int(np.argmin(_summed(curves, np.array(found))))]
    filled: Floats = constraints.repair(best[None], budget, fill=True)[0]
    return filled


def _narrowed(constraints: ConstraintSet, budget: Budget, curves: Floats) -> Floats:
    """Return the whole network narrowed by the steps that lose least for what they save."""
    point: Floats = constraints.whole
    columns = np.arange(len(point))
    while not budget.within(constraints.counts(point[None]))[0]:
        steps = point - np.eye(len(point))
        saved = _excess(budget, constraints, point[None]) - _excess(budget, constraints, steps)
        lost = (
            curves[columns, np.maximum(point - 1, 0).astype(int)]
            - curves[columns, point.astype(int)]
        )
        worth = np.where((point > 0) & (saved > 0), lost / np.maximum(saved, 1e-12), np.inf)
        if not np.isfinite(worth).any():
            point = constraints.repair(point[None], budget)[0]
            break
        point = steps[int(np.argmin(worth))]
    return point


def threshold(constraints: ConstraintSet, budget: Budget, curves: Floats) -> Floats:
    """Return the point where no code loses more than one common threshold, as FastNAS chooses.

    Args:
        constraints: the codes.
        budget: that is not exceeded.
        curves: from `sensitivity`.

    Returns:
        (d,) levels, of the least threshold that the budget permits.
    """
    levels = np.unique(curves[np.isfinite(curves)])
    points = np.array([(curves <= level).argmax(axis=1) for level in levels], dtype=float)
    within = np.flatnonzero(budget.within(constraints.counts(points)))
    point = points[within[0]] if len(within) else np.zeros(len(curves))
    return _repaired(constraints, point, budget)


def near(
    constraints: ConstraintSet, budget: Budget, curves: Floats, point: Floats, *, most: int = NEAR
) -> list[Floats]:
    """Return points around a good one: those with the least sums of losses, the least first.

    The sums tell good structures from bad ones and do not order the good ones, so that the best of
    some of these is well ahead of the point with the least sum. They are found best first: of what
    is known, the best point's neighbours come next, in which one code is wider and another
    narrower.

    Args:
        constraints: the codes.
        budget: that is not exceeded.
        curves: from `sensitivity`.
        point: (d,) levels, such as the additive optimum; not among what is returned.
        most: points at most.
    """
    moves = _exchanges(len(point))
    seen = {point.tobytes()}
    waiting: list[tuple[float, int, Floats]] = []
    found: list[Floats] = []
    while len(found) < most:
        steps = point + moves
        steps = steps[((steps >= 0) & (steps <= constraints.whole)).all(axis=1)]
        steps = steps[budget.within(constraints.counts(steps))]
        best = np.argsort(_summed(curves, steps), kind="stable")[:BEST]
        steps = constraints.repair(steps[best], budget, fill=True)
        for step, lost in zip(steps, _summed(curves, steps).tolist(), strict=True):
            if step.tobytes() not in seen:
                seen.add(step.tobytes())
                heapq.heappush(waiting, (lost, len(seen), step))
        if not waiting:
            break
        _, _, point = heapq.heappop(waiting)
        found.append(point)
    return found


def _summed(curves: Floats, points: Floats) -> Floats:
    """Return (n,) sums of what each code of (n, d) points loses."""
    total: Floats = curves[np.arange(len(curves)), points.astype(int)].sum(axis=1)
    return total


def _exchanges(d: int) -> Floats:
    """Return (n, d) moves that widen one code and narrow another, by up to FURTHEST levels."""
    by = range(1, FURTHEST + 1)
    one = np.eye(d)
    moves = [
        wider * one[up] - narrower * one[down]
        for up, down in permutations(range(d), 2)
        for wider, narrower in product(by, by)
    ]
    return np.array(moves).reshape(len(moves), d)


def magnitude(constraints: ConstraintSet, budget: Budget, scores: Mapping[str, Floats]) -> Floats:
    """Return the point of global magnitude pruning: one threshold for the channels of all groups.

    Args:
        constraints: the codes.
        budget: that is not exceeded.
        scores: of the channels of each group, by name; compared after division by their mean.

    Returns:
        (d,) levels.
    """
    relative = [
        np.repeat(s / max(s.mean(), 1e-12), group.block)
        for group in constraints.groups
        for s in [scores[group.name]]
    ]
    values = np.unique(np.concatenate(relative))
    low, high = 0, len(values)
    while low < high:  # the least threshold within the budget
        middle = (low + high) // 2
        if budget.within(constraints.counts(_above(constraints, relative, values[middle])))[0]:
            high = middle
        else:
            low = middle + 1
    cut = values[low] if low < len(values) else np.inf
    return _repaired(constraints, _above(constraints, relative, cut)[0], budget)


def uniform_point(constraints: ConstraintSet, budget: Budget) -> Floats:
    """Return the point of the largest common share of all widths."""
    return _repaired(constraints, constraints.whole, budget)


def known_points(
    constraints: ConstraintSet,
    budget: Budget,
    *,
    loss: Callable[[Ints], float],
    scores: Mapping[str, Floats],
) -> dict[str, Floats]:
    """Return what is worth trying before any search, by name: points within a budget.

    Args:
        constraints: the codes.
        budget: that is not exceeded.
        loss: of (groups,) counts, see `sensitivity`.
        scores: magnitudes of the channels of each group.
    """
    curves = sensitivity(constraints, loss)
    best = additive(constraints, budget, curves)
    points = near(constraints, budget, curves, best)
    return {
        "additive": best,
        "uniform": uniform_point(constraints, budget),
        "threshold": threshold(constraints, budget, curves),
        "magnitude": magnitude(constraints, budget, scores),
        **{f"near additive {n}": each for n, each in enumerate(points, start=1)},
    }


def _repaired(
    constraints: ConstraintSet, point: Floats, budget: Budget, *, fill: bool = False
) -> Floats:
    repaired: Floats = constraints.repair(point[None], budget, fill=fill)[0]
    return repaired


def _above(constraints: ConstraintSet, relative: list[Floats], cut: float) -> Floats:
    """Return (1, d) the largest levels that keep no more channels than lie above a threshold."""
    kept = np.array([int((scores >= cut).sum()) for scores in relative])
    point = [
        max(0, sum(sum(counts) <= kept[list(code.groups)].sum() for counts in code.counts) - 1)
        for code in constraints.searched
    ]
    return np.array([point], dtype=float)


def _excess(budget: Budget, constraints: ConstraintSet, points: Floats) -> Floats:
    """Return how far points are above the limits, in shares of them."""
    counts = constraints.counts(np.maximum(points, 0))
    over = [np.maximum(0, x.cost(counts) - x.most) / x.most for x in budget.limits]
    total: Floats = np.sum(over, axis=0)
    return total


def _exchanged(
    constraints: ConstraintSet, budget: Budget, curves: Floats, point: Floats
) -> Floats | None:
    """Return the best point in which one code is wider and at most one narrower; None if none is.

    Best is the least sum of losses within the budget.
    """
    d, n_levels = curves.shape
    change = curves - curves[np.arange(d), point.astype(int)][:, None]
    levels = np.arange(n_levels)
    up, wide = np.nonzero((levels > point[:, None]) & np.isfinite(curves))
    down, narrow = np.nonzero(levels < point[:, None])
    total = change[up, wide][:, None] + np.append(change[down, narrow], 0.0)  # the last: up alone
    total[:, :-1][up[:, None] == down] = np.inf
    flat = total.ravel()
    better = np.flatnonzero(flat < -LEAST_GAIN)
    better = better[np.argsort(flat[better], kind="stable")]
    for some in np.split(better, range(CHUNK, len(better), CHUNK)):
        first, second = np.divmod(some, total.shape[1])
        moved = np.repeat(point[None], len(some), axis=0)
        both = np.flatnonzero(second < len(down))
        moved[both, down[second[both]]] = narrow[second[both]]
        moved[np.arange(len(some)), up[first]] = wide[first]
        fits = np.flatnonzero(budget.within(constraints.counts(moved)))
        if len(fits):
            found: Floats = moved[fits[0]]
            return found
    return None
