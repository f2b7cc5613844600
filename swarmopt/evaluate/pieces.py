"""What one call of a problem gets: a batch is cut into pieces, by its kind and never by workers."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from swarmopt.algorithm import Seeds
from swarmopt.errors import SettingError
from swarmopt.evaluate.evaluator import Work
from swarmopt.problem import Problem
from swarmopt.words import plural


@dataclass(eq=False)
class Piece:
    """Points that one call evaluates.

    Attributes:
        work: the points.
        n_lost: how many workers have died of it.
        n_timeouts: how often it took too long.
    """

    work: Work
    n_lost: int = 0
    n_timeouts: int = 0


def cut(work: Work, problem: Problem, chunk: int | None) -> Iterator[Work]:
    """Yield the work piece by piece: one point a call, or `chunk` of them where it is vectorized.

    A vectorized problem gets all points in one call where `chunk` is None.
    """
    n = len(work.x)
    size = (chunk or n) if problem.vectorized else 1
    if size >= n:
        yield work
        return
    for start in range(0, n, size):
        rows = slice(start, start + size)
        seeds = Seeds(work.seeds.seed, work.seeds.ids[rows])
        yield Work(work.batch, work.rows[rows], work.x[rows], seeds, work.bound)


def check_chunk(problem: Problem, chunk: int | None) -> None:
    """Raise SettingError where workers cannot share what a problem wants in one call."""
    if problem.vectorized and chunk is None:
        raise SettingError(
            f"{problem.name} takes a whole population in one call, which workers cannot share: "
            f"set chunk, the points of one call (it may change the last bits of a cost, so it is "
            f"not derived from the number of workers)"
        )


def warn_of_idle(n_pieces: int, n_workers: int) -> None:
    """Say that there is not enough to do for all workers, and what to set."""
    idle = n_workers - n_pieces
    if idle > 0:
        warnings.warn(
            f"{n_workers} workers, but {n_pieces} {plural(n_pieces, 'evaluation')} at "
            f"once: {idle} {'stays' if idle == 1 else 'stay'} idle. Set batch_size={n_workers}, a "
            f"larger algorithm.population, or lookahead, which asks for the next batch before "
            f"the last one is told",
            RuntimeWarning,
            stacklevel=2,
        )
