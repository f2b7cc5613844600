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
        slope = landscape.gradient(unit)
        step = trust_region_step(slope, landscape.hessian, landscape.radius * reach)
        there = unit[columns.numeric] + step @ landscape.coordinates.back
        unit[columns.numeric] = np.minimum(np.maximum(there, 0.0), 1.0)
    if not columns.n_discrete:
        return unit
    unit = columns.domain.centre(unit[None])[0]
    if len(columns.real):
        unit = _followed(landscape, unit)
    unit, around, costs = _walked(landscape, unit)
    if not columns.purely_discrete:
        return unit
    candidates = np.concatenate([unit[None], around[costs.argsort(kind="stable")]])
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
    for _ in range(NEWTON_STEPS):  # from below: Conn, Gould, Toint 2000, algorithm 7.3.1
        step = -slope / (curvature + shift)
        length = math.sqrt(float(step @ step))
        if length <= radius * (1.0 + TOLERANCE):
            break
        slower = float(step @ (step / (curvature + shift)))
        shift += length * length / slower * (length - radius) / radius
    step *= min(1.0, radius / max(length, 1e-300))
    found: Vector = basis @ step
    return found


def _followed(landscape: Landscape, unit: Vector) -> Vector:
    """Return the point with its real values at their lowest, the discrete ones as they are."""
    coordinates = landscape.coordinates
    columns, origin = coordinates.columns, coordinates.origin[coordinates.columns.numeric]
    real = columns.real
    slope = coordinates.turn @ landscape.gradient(unit)
    curved = coordinates.turn @ landscape.hessian @ coordinates.turn.T
    offset = unit[columns.numeric] - origin
    widest = 2.0 * float(np.abs(offset[real]).max()) + 1e-3
    fixed = offset.copy()
    fixed[real] = 0.0
    block = curved[np.ix_(real, real)]
    block[np.diag_indices(len(real))] += 1e-12 * np.abs(block.diagonal()).sum()
    try:
        best = -np.linalg.solve(block, slope[real] + curved[real] @ fixed)
    except np.linalg.LinAlgError:
        return unit
    moved = unit.copy()
    there = origin[real] + np.minimum(np.maximum(best, -widest), widest)
    moved[columns.numeric[real]] = np.minimum(np.maximum(there, 0.0), 1.0)
    before, after = landscape.predict(np.stack([unit, moved]))
    return moved if after < before else unit


def _walked(landscape: Landscape, unit: Vector) -> tuple[Vector, Matrix, Vector]:
    """Return where single steps of discrete columns end, its neighbours (m, d) and their costs."""
    columns: Columns = landscape.coordinates.columns
    here = float(landscape.predict(unit[None])[0])
    for _ in range(2 * len(columns.free)):
        around = columns.neighbours(unit)
        costs = landscape.predict(around)
        best = int(costs.argmin())
        if costs[best] >= here - 1e-12 * abs(here):
            break
        unit, here = around[best], float(costs[best])
    return unit, around, costs
