"""The landscape: a quadratic of cost, fitted to what was evaluated near the leader.

    f(v) = b_0 + b z + c |z|^2 + sum over points i of  a_i ((v_i v)^2 + h_i h)

v = (z, h) are the coordinates of a point. z are the ordered columns as the flock's model sees them,
so that its covariance is the first guess of the curvature; h is one bit for every choice of an
unordered column. The linear part and the round bowl are free, everything else (curvatures of its
own for each pair of coordinates, effects of choices and of pairs of choices) is held down by a
ridge, so few points give a bowl, more give a quadratic. It is ridge regression on all products of
two coordinates, solved in its dual form: its cost depends on the number of points, not of products.

Sources: Hansen, "A global surrogate assisted CMA-ES", 2019 (a quadratic fitted to weighted points
near the optimum, trusted by Kendall's tau); Baptista and Poloczek, "Bayesian optimization of
combinatorial structures", 2018 (pairs of choices); Dubrule, "Cross validation of kriging in a
unique neighborhood", 1983 (leaving one out without fitting anew).

Deviations: tau is taken between costs and what is predicted of each point by the others.
"""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from swarmopt.algorithms import moves
from swarmopt.algorithms.flock_model import FlockModel
from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.types import Integers, Mask, Matrix, Vector

REMEMBERED = 400  # points of the archive
MOST = 150  # points fitted
RIDGE = 1e-5  # on mean squared lengths of 1
RIDGE_OF_CHOICES = 1e-4
HEAVIEST = 20.0  # weight of the best point, the worst has 1
JUDGED = 15  # latest points by which a landscape is judged
NO_COST = 1e300  # keys from here on stand for points that cost nothing one could fit
NEGATIVE = -1e-8  # keeps the free part of the equations regular


@dataclass(frozen=True, eq=False)
class Archive:
    """Points evaluated, oldest first.

    Attributes:
        unit: (a, d) positions, discrete values in the middle of their bins.
        key: (a,) their keys.
    """

    unit: Matrix
    key: Vector

    def seen(self, unit: Matrix, key: Vector) -> "Archive":
        """Return the archive with more points, (n, d) and (n,); the oldest are forgotten."""
        return Archive(
            np.concatenate([self.unit, unit])[-REMEMBERED:],
            np.concatenate([self.key, key])[-REMEMBERED:],
        )

    def knows(self, unit: Matrix) -> Mask:
        """Return (n,) which points, (n, d) with discrete values centred, are remembered."""
        known = set(moves.row_keys(self.unit).tolist())
        return np.array([key in known for key in moves.row_keys(unit).tolist()], bool)


@dataclass(frozen=True, eq=False)
class Coordinates:
    """How the landscape measures points: k ordered columns and w bits of unordered ones.

    Attributes:
        columns: of the domain.
        origin: (d,) the leader.
        turn: (k, k) from differences of the ordered columns to z.
        back: (k, k) its inverse.
    """

    columns: Columns
    origin: Vector
    turn: Matrix
    back: Matrix

    @classmethod
    def around(cls, columns: Columns, origin: Vector, model: FlockModel | None) -> "Coordinates":
        """Return the coordinates in which the model, over k variables, is a unit ball."""
        if model is None:
            return cls(columns, origin, np.empty((0, 0)), np.empty((0, 0)))
        axes = model.axes * model.sigma
        basis = np.eye(len(axes)) if model.basis is None else model.basis
        return cls(columns, origin, basis / axes, (basis * axes).T)

    def of(self, unit: Matrix) -> Matrix:
        """Return (n, k + w) coordinates of points, (n, d)."""
        columns = self.columns
        if columns.only_numeric:
            z: Matrix = (unit - self.origin) @ self.turn
            return z
        h = self.choices(unit)
        if not len(columns.numeric):
            return h
        z = (unit[:, columns.numeric] - self.origin[columns.numeric]) @ self.turn
        return np.concatenate([z, h], axis=1)

    def choices(self, unit: Matrix) -> Matrix:
        """Return (n, w): for each unordered column 1 / sqrt(columns) at its level, 0 elsewhere."""
        columns, n = self.columns, len(unit)
        bits = np.zeros((n, columns.n_choices))
        level = columns.domain.level(unit)[:, columns.nominal].astype(np.int64)
        first = columns.first_level[columns.nominal] - len(columns.whole)
        bits[np.arange(n)[:, None], first + level] = self.bit
        return bits

    @property
    def bit(self) -> float:
        """What a choice is worth: the h of a point is of length 1."""
        return 1.0 / math.sqrt(max(1, len(self.columns.nominal)))

    @cached_property
    def by_level(self) -> Matrix:
        """(q + w, k + w) what one step of q ordered discrete columns and every choice add to v."""
        columns, k = self.columns, len(self.turn)
        q, w = len(columns.whole), columns.n_choices
        found = np.zeros((q + w, k + w))
        found[:q, :k] = self.turn[columns.whole] / columns.bins[columns.whole, None]
        found[q:, k:] = self.bit * np.eye(w)
        return found

    def shrunk(self, factor: float) -> "Coordinates":
        """Return coordinates in which z is shorter by this factor."""
        return Coordinates(self.columns, self.origin, self.turn / factor, self.back * factor)


@dataclass(frozen=True, eq=False)
class Landscape:
    """A fitted quadratic, in units of the spread of the costs, 0 at the best of its points.

    Attributes:
        coordinates: of points.
        rows: (N, k + w) coordinates of the points fitted.
        weights: (N,) their weights a_i.
        free: (1,), or (k + 2,) b_0, b and c where there are ordered columns.
        trust: Kendall's tau, in [-1, 1], between costs and leave-one-out predictions of the latest.
        radius: how far from the leader points were fitted, in z.
    """

    coordinates: Coordinates
    rows: Matrix
    weights: Vector
    free: Vector
    trust: float
    radius: float

    @property
    def k(self) -> int:
        """The number of ordered columns."""
        return len(self.coordinates.turn)

    def predict(self, unit: Matrix) -> Vector:
        """Return (n,) predicted costs of points, (n, d), discrete values centred."""
        v = self.coordinates.of(unit)
        found: Vector = (
            _products(v, self.rows, self.k) @ self.weights + _free(v, self.k) @ self.free
        )
        return found

    @cached_property
    def hessian(self) -> Matrix:
        """(k + w, k + w) second derivatives by z and h."""
        curved: Matrix = 2.0 * (self.rows.T * self.weights) @ self.rows
        if self.k:
            curved[np.arange(self.k), np.arange(self.k)] += 2.0 * self.free[-1]
        return curved

    def gradient(self, unit: Vector) -> Vector:
        """Return (k + w,) first derivatives by z and h at a point, (d,)."""
        k, v = self.k, self.coordinates.of(unit[None])[0]
        slope: Vector = 2.0 * (self.weights * (self.rows @ v)) @ self.rows
        slope[k:] += self.weights @ self.rows[:, k:]
        if k:
            slope[:k] += self.free[1:-1] + 2.0 * self.free[-1] * v[:k]
        return slope


def fitted(
    archive: Archive, columns: Columns, leader: Vector, model: FlockModel | None
) -> Landscape | None:
    """Return the landscape around the leader; None where too little is known, or all is flat.

    Args:
        archive: of points.
        columns: of the domain.
        leader: (d,) the best bird of the flock.
        model: of the flock, over the k ordered columns; None where there are none.
    """
    k = len(columns.numeric)
    least = k + 3 + len(columns.nominal)
    if len(archive.key) < least:
        return None
    coordinates = Coordinates.around(columns, leader, model)
    v = coordinates.of(archive.unit)
    chosen = _nearest(v, coordinates, archive)
    v, key = v[chosen], archive.key[chosen]
    known = key < NO_COST
    if np.count_nonzero(known) < least:
        return None
    order = key.argsort(kind="stable")
    cost = np.minimum(key, key[known].max()) - key[order[0]]
    cost = np.ldexp(
        cost, -math.frexp(float(cost.max()))[1]
    )  # its squares neither over- nor underflow
    spread = _deviation(cost)
    length = math.sqrt((v[:, :k] ** 2).sum(axis=1).sum() / len(v)) if k else 1.0
    if not (0.0 < spread < np.inf and 0.0 < length < np.inf):
        return None
    v[:, :k] /= length
    weight = np.empty(len(key))
    weight[order] = _weights(len(key), HEAVIEST)
    return _solved(coordinates.shrunk(length), v, cost / spread, weight)


def _nearest(v: Matrix, coordinates: Coordinates, archive: Archive) -> Integers:
    """Return the indices of the points to be fitted, oldest first.

    They are the nearest to the leader; of points that are the same in a discrete space only one.
    """
    columns = coordinates.columns
    n = min(MOST, 4 * (len(columns.numeric) + len(columns.nominal)) + 20)
    away = v if columns.only_numeric else v - coordinates.of(coordinates.origin[None])
    near = np.sort((away * away).sum(axis=1).argsort(kind="stable")[:n])
    if columns.purely_discrete:
        near = near[moves.first_of_each(archive.unit[near])]
    return near


def _solved(coordinates: Coordinates, v: Matrix, cost: Vector, weight: Vector) -> Landscape | None:
    """Return the landscape through points (N, k + w), None where the equations are singular."""
    n, k = len(v), len(coordinates.turn)
    free = _free(v, k)
    size = n + free.shape[1]
    ridge = RIDGE_OF_CHOICES if len(coordinates.columns.nominal) else RIDGE
    system = np.zeros((size, size))
    system[:n, :n] = _products(v, v, k)
    system[:n, n:], system[n:, :n] = free, free.T
    diagonal = system.reshape(-1)[:: size + 1]  # a view
    diagonal[:n] += ridge / weight
    diagonal[n:] = NEGATIVE
    judged = min(JUDGED, n)
    latest = slice(n - judged, n)
    wanted = np.zeros((size, 1 + judged))  # the costs, and unit vectors for the inverse
    wanted[:n, 0] = cost
    wanted[latest, 1:] = _identity(judged)
    try:
        solved = np.linalg.solve(system, wanted)
    except np.linalg.LinAlgError:
        return None
    solution = solved[:, 0]
    if not np.isfinite(solution).all():
        return None
    own = solved[latest, 1:].diagonal()  # of the diagonal of the inverse
    others = cost[latest] - solution[latest] / own  # Dubrule 1983
    trust = kendall(others, cost[latest])
    radius = math.sqrt(free[:, -1].max()) if k else 0.0
    return Landscape(coordinates, v, solution[:n], solution[n:], trust, radius)


def _products(v: Matrix, rows: Matrix, k: int) -> Matrix:
    """Return (n, N) `(v_i v)^2 + h_i h`: all products of two coordinates, and choices alone."""
    both = v @ rows.T
    if v.shape[1] == k:
        return both * both
    found: Matrix = both * both + v[:, k:] @ rows[:, k:].T
    return found


def _free(v: Matrix, k: int) -> Matrix:
    """Return (n, k + 2) 1, z and |z|^2; (n, 1) without ordered columns."""
    if not k:
        return np.ones((len(v), 1))
    terms = np.empty((len(v), k + 2))
    terms[:, 0] = 1.0
    terms[:, 1:-1] = v[:, :k]
    terms[:, -1] = (v[:, :k] ** 2).sum(axis=1)
    return terms


def kendall(a: Vector, b: Vector) -> float:
    """Return the share of pairs in the same order less that in the other, both (n,)."""
    above, below = _pairs(len(a))
    agree = np.sign(a[above] - a[below]) @ np.sign(b[above] - b[below])
    return float(agree) / max(1, len(above))


@lru_cache(maxsize=16)
def _pairs(n: int) -> tuple[Integers, Integers]:
    return np.triu_indices(n, 1)


def _deviation(values: Vector) -> float:
    """Return their standard deviation; np.std does this at thrice the cost."""
    away = values - values.sum() / len(values)
    return math.sqrt((away * away).sum() / len(values))


@lru_cache(maxsize=256)
def _weights(n: int, heaviest: float) -> Vector:
    """Return (n,) weights by rank, best first. Do not change them: they are kept."""
    return np.linspace(heaviest, 1.0, n)


@lru_cache(maxsize=32)
def _identity(n: int) -> Matrix:
    """Return (n, n). Do not change it: it is kept."""
    return np.eye(n)
