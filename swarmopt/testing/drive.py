"""A run without the loop, every call of which is checked."""

import random
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import AnyAlgorithm, Candidates, Horizon, Streams
from swarmopt.domain import Domain
from swarmopt.types import Matrix, Vector

Objective = Callable[[Matrix], Vector]  # (n, d) rows of the unit cube to (n,) keys


UNBOUNDED = Horizon()


@dataclass(eq=False)
class Trace:
    """What was told, batch by batch.

    Attributes:
        told: the positions, (n, d) each.
        keys: their keys, (n,) each.
    """

    told: list[Matrix] = field(default_factory=list)
    keys: list[Vector] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The lowest key."""
        return min(float(key.min()) for key in self.keys)


def drive(
    algorithm: AnyAlgorithm,
    domain: Domain,
    fun: Objective,
    batches: int,
    seed: int,
    *,
    lookahead: int = 0,
    horizon: Horizon = UNBOUNDED,
    x0: Matrix | None = None,
) -> Trace:
    """Run an algorithm as swarmopt's loop does, and check every batch on the way.

    Args:
        algorithm: any.
        domain: d columns.
        fun: takes (n, d) rows of the unit cube, returns (n,) keys.
        batches: how many to tell, unless the horizon's budget is spent before.
        seed: of the run.
        lookahead: how many batches asking runs ahead of telling.
        horizon: as given to the algorithm; its budget cuts the last batch.
        x0: (m, d) positions that overwrite the first candidates.

    Raises:
        AssertionError: a batch breaks the contract, or the algorithm raised or warned.
    """
    trace, streams = Trace(), Streams(seed)
    left = np.inf if horizon.budget is None else horizon.budget
    first = np.empty((0, domain.d)) if x0 is None else x0
    state = init(algorithm, domain, horizon)
    waiting: deque[Candidates] = deque()
    n_asked = 0
    while len(trace.keys) < batches and left > 0:
        while len(waiting) <= lookahead and n_asked < batches:
            candidates = ask(algorithm, state, streams.at(n_asked), domain)
            n_asked += 1
            unit = candidates.unit.copy()
            unit[: len(first)] = first[: len(unit)]
            first = first[len(unit) :]
            waiting.append(candidates.at(unit))
        candidates = waiting.popleft()
        candidates = candidates.first(int(min(len(candidates), left)))
        left -= len(candidates)
        trace.told.append(candidates.unit.copy())
        trace.keys.append(fun(candidates.unit))
        state = tell(algorithm, state, candidates, trace.keys[-1].copy())
    return trace


def init(algorithm: AnyAlgorithm, domain: Domain, horizon: Horizon) -> Any:
    """Return the first state; a failure names the step."""
    with _spoken("init"):
        return algorithm.init(domain, horizon)


def ask(algorithm: AnyAlgorithm, state: Any, rng: Generator, domain: Domain) -> Candidates:
    """Return a batch that keeps the contract."""
    with _spoken("ask"):
        candidates: Candidates = algorithm.ask(state, rng)
    unit: Any = candidates.unit
    expect(
        isinstance(unit, np.ndarray)
        and unit.dtype == np.float64
        and unit.ndim == 2
        and unit.shape[1] == domain.d
        and len(unit) >= 1,
        f"expected candidates.unit of float64 and shape (n >= 1, {domain.d}), got "
        f"{getattr(unit, 'dtype', type(unit).__name__)} of shape {np.shape(unit)}",
    )
    expect(bool(np.isfinite(unit).all()), "candidates.unit has values that are not finite")
    expect(
        bool((unit >= 0.0).all() and (unit <= 1.0).all()),
        f"candidates left the unit cube: values from {unit.min():.3g} to {unit.max():.3g}",
    )
    for f in fields(candidates):
        value = getattr(candidates, f.name)
        expect(
            not isinstance(value, np.ndarray) or len(np.atleast_1d(value)) == len(unit),
            f"candidates.{f.name} has shape {np.shape(value)}; expected one row for each of the "
            f"{len(unit)} candidates, so that a batch can be cut",
        )
    return candidates


def tell(algorithm: AnyAlgorithm, state: Any, candidates: Candidates, key: Vector) -> Any:
    """Return the state after a batch; a failure names the step."""
    with _spoken("tell"):
        return algorithm.tell(state, candidates, key)


@contextmanager
def _spoken(step: str) -> Iterator[None]:
    """Make a sentence of whatever a call raises or warns of."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    except Exception as error:
        raise AssertionError(f"{step} raised {type(error).__name__}: {error}") from error


@contextmanager
def unchanged(step: str, **arguments: Any) -> Iterator[None]:
    """Fail where a call changes one of its arguments; writing to their arrays raises."""
    before = {name: snapshot(value) for name, value in arguments.items()}
    frozen = [a for value in arguments.values() for a in _arrays(value) if a.flags.writeable]
    for array in frozen:
        array.flags.writeable = False
    try:
        yield
    finally:
        for array in frozen:
            array.flags.writeable = True
    for name, value in arguments.items():
        expect(snapshot(value) == before[name], f"{step} changed its argument {name}")


@contextmanager
def no_global_draw() -> Iterator[None]:
    """Fail where a global generator is used."""
    before = _global_generators()
    yield
    expect(
        _global_generators() == before,
        "a global generator was used; draw from the generator given to ask",
    )


def _global_generators() -> str:
    state = np.random.get_state(legacy=False)  # noqa: NPY002 - looked at, not drawn from
    return repr((random.getstate(), snapshot(state)))


def _arrays(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the arrays in a tree of dataclasses, lists, tuples and dicts."""
    if isinstance(value, np.ndarray):
        yield value
    else:
        for child in _children(value):
            yield from _arrays(child)


def snapshot(value: Any) -> Any:
    """Return the contents of a tree of dataclasses, lists, tuples and dicts, to compare by ==."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    children = _children(value)
    return (type(value), [snapshot(c) for c in children]) if children else repr(value)


def _children(value: Any) -> list[Any]:
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, f.name) for f in fields(value)]
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list | tuple | set | deque) else []


def expect(truth: bool, message: str) -> None:
    """Raise AssertionError with the message unless it is true."""
    if not truth:
        raise AssertionError(message)
