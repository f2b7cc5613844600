"""Checks of what is told: every row, every column and every batch counts, in the run it is of.

They are exact. Two runs differ in one number that is told; what is asked later must differ too.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swarmopt.algorithm import AnyAlgorithm, Candidates, Horizon, Streams
from swarmopt.domain import Domain
from swarmopt.testing.drive import UNBOUNDED, ask, expect, init, tell
from swarmopt.testing.learning import BATCH
from swarmopt.testing.objectives import LONG, MIXED, REAL, WIDE, bowl, learns_nothing
from swarmopt.types import Matrix

IN_BATCHES = Horizon(batch=BATCH)
SEED = 21
LATER = 8  # batches in which what was told must show
WON = -1.0  # a key below all of a bowl's
LOST = 1e3  # above all of them


@dataclass(frozen=True)
class _Run:
    """A run on a bowl that has told its first `told` batches."""

    algorithm: AnyAlgorithm
    domain: Domain
    state: Any
    told: int

    def ask(self, ahead: int = 0) -> Candidates:
        return ask(self.algorithm, self.state, Streams(SEED).at(self.told + ahead), self.domain)

    def tell(
        self, candidates: Candidates, losers: Sequence[int] = (), winner: int | None = None
    ) -> "_Run":
        """Return the run after a batch of which some rows have lost, and one may have won."""
        key = bowl(self.domain)(candidates.unit)
        key[list(losers)] = LOST
        if winner is not None:
            key[winner] = WON
        state = tell(self.algorithm, self.state, candidates, key)
        return _Run(self.algorithm, self.domain, state, self.told + 1)

    def after(self, batches: int) -> "_Run":
        """Return the run so many batches later."""
        run = self
        for _ in range(batches):
            run = run.tell(run.ask())
        return run

    def later(self) -> Matrix:
        """Return (m, d) the candidates of the next batches."""
        run, units = self, []
        for _ in range(LATER):
            candidates = run.ask()
            units.append(candidates.unit)
            run = run.tell(candidates)
        return np.concatenate(units)


def every_row_told_counts(algorithm: AnyAlgorithm) -> None:
    """A row that is the best by far changes what is asked later, be it first or last."""
    if learns_nothing(algorithm):
        return
    for run in _runs(algorithm):
        candidates = run.ask()
        rows = _spread(candidates)
        candidates = _elsewhere(candidates, rows)
        plain = run.tell(candidates, rows).later()
        for row in rows:
            expect(
                _differ(run.tell(candidates, rows, row).later(), plain),
                f"row {row} of the {len(candidates)} of batch {run.told} became the best, and "
                f"nothing asked later changed; tell must use every row",
            )


def every_column_told_counts(algorithm: AnyAlgorithm) -> None:
    """The value of the best row in a column changes what is asked there later."""
    if learns_nothing(algorithm):
        return
    for run in _runs(algorithm):
        candidates, levels = run.ask(), run.domain.levels
        searched = np.flatnonzero(levels != 1)
        for column in searched[[0, 1, len(searched) // 2, -2, -1]]:
            low, high = (_moved(candidates, column, value) for value in (0.1, 0.9))
            one, other = (run.tell(c, winner=0).later()[:, column] for c in (low, high))
            expect(
                _differ(one, other),
                f"the best row of batch {run.told} was told at another value of column {column} "
                f"of {run.domain.d}, and nothing asked there later changed; tell must use every "
                f"column",
            )


def batches_told_late_all_count(algorithm: AnyAlgorithm) -> None:
    """Of three batches asked from one state, each shows in what is asked after all are told."""
    if learns_nothing(algorithm):
        return
    for run in _runs(algorithm):
        waiting = [run.ask(ahead) for ahead in range(3)]
        waiting = [_elsewhere(candidates, _spread(candidates)) for candidates in waiting]
        plain = _told(run, waiting).later()
        for n, candidates in enumerate(waiting):
            expect(
                any(
                    _differ(_told(run, waiting, n, row).later(), plain)
                    for row in _spread(candidates)  # one may be given up before it is used
                ),
                f"of three batches asked before the first was told, batch {n + 1} held the best, "
                f"and nothing asked later changed; tell must build on the state it is given, not "
                f"on that from which the batch was asked",
            )


def interleaved_runs_do_not_mix(algorithm: AnyAlgorithm) -> None:
    """Two runs of one instance, turn by turn, are the same as one after the other."""
    for one, other in (
        ((REAL, 22), (REAL, 23)),
        ((MIXED, 22), (REAL, 22)),
        ((REAL, 22), (WIDE, 22)),
    ):
        alone = [list(_turns(algorithm, *run)) for run in (one, other)]
        mixed = zip(_turns(algorithm, *one), _turns(algorithm, *other), strict=True)
        for turn, asked in enumerate(mixed):
            for run in (0, 1):
                expect(
                    np.array_equal(asked[run], alone[run][turn]),
                    "two runs of one instance changed each other; keep nothing outside the state "
                    "that init and tell return",
                )


def _runs(algorithm: AnyAlgorithm) -> Iterator[_Run]:
    """Yield runs that stand at their first batch, at later ones and at a very late one."""
    for domain, horizon, batches in (
        (REAL, IN_BATCHES, (0, 1, 6)),
        (MIXED, IN_BATCHES, (0, 5)),
        (MIXED, UNBOUNDED, (LONG,)),
        (WIDE, IN_BATCHES, (0, 3)),
    ):
        for told in batches:
            yield _Run(algorithm, domain, init(algorithm, domain, horizon), 0).after(told)


def _elsewhere(candidates: Candidates, rows: list[int]) -> Candidates:
    """Return candidates of which some are anywhere: those of a flock that has met do not differ."""
    unit = candidates.unit.copy()
    unit[rows] = np.random.default_rng(len(unit)).random((len(rows), unit.shape[1]))
    return candidates.at(unit)


def _told(run: _Run, waiting: list[Candidates], batch: int = -1, row: int = 0) -> _Run:
    """Return the run after batches some rows of which lost, but for one of a batch, that won."""
    for n, candidates in enumerate(waiting):
        run = run.tell(candidates, _spread(candidates), row if n == batch else None)
    return run


def _spread(candidates: Candidates) -> list[int]:
    """Return the first row, the middle one and the last."""
    return sorted({0, len(candidates) // 2, len(candidates) - 1})


def _moved(candidates: Candidates, column: int, value: float) -> Candidates:
    unit = candidates.unit.copy()
    unit[0, column] = value
    return candidates.at(unit)


def _differ(one: Matrix, other: Matrix) -> bool:
    return not np.array_equal(one, other)


def _turns(algorithm: AnyAlgorithm, domain: Domain, seed: int) -> Iterator[Matrix]:
    """Yield what is asked, with a turn for others between any two calls."""
    streams, fun = Streams(seed), bowl(domain)
    state = init(algorithm, domain, UNBOUNDED)
    yield np.empty(0)
    for g in range(LATER):
        candidates = ask(algorithm, state, streams.at(g), domain)
        yield candidates.unit
        state = tell(algorithm, state, candidates, fun(candidates.unit))
        yield np.empty(0)
