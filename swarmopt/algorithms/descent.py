"""Down the landscape: its lowest point within reach of the leader.

Ordered columns take the step of a trust region (Conn, Gould, Toint, "Trust-region methods", 2000,
chapter 7). Then discrete values are rounded, real ones follow them, and one discrete value after
another moves to where the landscape falls most.
"""

import math

import numpy as np

from swarmopt.algorithms.landscape import Archive, Landscape
from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.types import Matrix, Vector

NEWTON_STEPS = 20
TOLERANCE = 0.01  # of the radius
NOTHING = 1e-12  # in units of the spread of the costs


def lowest(landscape: Landscape, archive: Archive, reach: float) -> Vector | None:
    """Return the lowest point, (d,), discrete values centred.

    In a purely discrete space it is no point of the archive; None where all around are.

    Args:
        landscape: around the leader.
        archive: of points known.
        reach: how far to go, in units of the radius within which points were fitted.
    """
    columns = landscape.coordinates.columns
    unit = landscape.coordinates.origin.copy()
    if landscape.k:
        k = landscape.k
        slope, curved = landscape.gradient(unit)[:k], landscape.hessian[:k, :k]
        step = trust_region_step(slope, curved, landscape.radius * reach)
        there = unit[columns.numeric] + step @ landscape.coordinates.back
        unit[columns.numeric] = np.minimum(np.maximum(there, 0.0), 1.0)
    if not columns.n_discrete:
        return unit
    unit = columns.domain.centre(unit[None])[0]
    if len(columns.real):
        unit = _followed(landscape, unit)
    unit, adds = _walked(landscape, unit)
    if not columns.purely_discrete:
        return unit
    around = columns.neighbours(unit)[adds.argsort(kind="stable")]
    candidates = np.concatenate([unit[None], around])
    new = ~archive.knows(candidates)
    return candidates[new.argmax()] if new.any() else None


def trust_region_step(gradient: Vector, hessian: Matrix, radius: float) -> Vector:
    """Return (k,) the step s, |s| <= radius, that minimises `gradient s + s hessian s / 2`."""
    curvature, basis = np.linalg.eigh(hessian)
    slope = basis.T @ gradient
    least = float(curvature[0])
    most = max(abs(least), abs(float(curvature[-1])), 1e-300)
    if least > 1e-10 * most:
        step = -slope / curvature
        if step @ step <= radius * radius:
            inner: Vector = basis @ step
            return inner
    shift = max(0.0, -least) + 1e-12 * most
    down = -slope
    for _ in range(NEWTON_STEPS):  # from below: Conn, Gould, Toint 2000, algorithm 7.3.1
        shifted = curvature + shift
        step = down / shifted
        length = math.sqrt(step @ step)
        if length <= radius * (1.0 + TOLERANCE):
            break
        shift += length * length / float(step @ (step / shifted)) * (length - radius) / radius
    step *= min(1.0, radius / max(length, 1e-300))
    found: Vector = basis @ step
    return found


def _followed(landscape: Landscape, unit: Vector) -> Vector:
    """Return the point with its real values at their lowest, the discrete ones as they are."""
    coordinates, k = landscape.coordinates, landscape.k
    columns, turn = coordinates.columns, coordinates.turn
    chosen = columns.numeric[columns.real]
    slope = turn[columns.real] @ landscape.gradient(unit)[:k]
    block = turn[columns.real] @ landscape.hessian[:k, :k] @ turn[columns.real].T
    block[np.diag_indices(len(block))] += 1e-12 * np.abs(block.diagonal()).sum()
    try:
        step = -np.linalg.solve(block, slope)
    except np.linalg.LinAlgError:
        return unit
    origin = coordinates.origin[chosen]
    offset = unit[chosen] - origin
    widest = 2.0 * float(np.abs(offset).max()) + 1e-3
    there = origin + np.minimum(np.maximum(offset + step, -widest), widest)
    moved = unit.copy()
    moved[chosen] = np.minimum(np.maximum(there, 0.0), 1.0)
    before, after = landscape.predict(np.stack([unit, moved]))
    return moved if after < before else unit


def _walked(landscape: Landscape, unit: Vector) -> tuple[Vector, Vector]:
    """Return where single steps of discrete columns end, and what each of its neighbours adds.

    A step s adds `gradient s + s hessian s / 2` and changes the gradient by `hessian s`, so the
    landscape itself is asked but once. Neighbours, (m,), are in the order of `Columns.neighbours`.
    """
    coordinates = landscape.coordinates
    columns: Columns = coordinates.columns
    steps = columns.steps
    column, levels, unordered, first = steps.column, steps.levels, steps.unordered, steps.first
    slope = coordinates.by_level @ landscape.gradient(unit)
    curved = coordinates.by_level @ landscape.hessian @ coordinates.by_level.T
    half = curved.diagonal() / 2.0
    level = columns.domain.level(unit[None])[0].astype(np.int64)
    for left in range(2 * len(columns.free), -1, -1):
        here = level[column]
        there = here + steps.shift
        come = first
        if len(unordered):
            there[unordered] %= levels[unordered]
            come = first + np.where(steps.nominal, there, 0)
        inside = (there >= 0) & (there < levels)
        adds = steps.sign * slope[come] + half[come]
        if len(unordered):
            gone = (first + here)[unordered]
            adds[unordered] += half[gone] - slope[gone] - curved[come[unordered], gone]
        adds[~inside] = np.inf
        best = int(adds.argmin())
        if not left or adds[best] >= -NOTHING:
            break
        slope = slope + steps.sign[best] * curved[come[best]]
        if steps.nominal[best]:
            slope -= curved[first[best] + here[best]]
        level[column[best]] = there[best]
    unit = unit.copy()
    discrete = columns.domain.levels > 1
    unit[discrete] = (level[discrete] + 0.5) / columns.domain.levels[discrete]
    return unit, adds[inside]
