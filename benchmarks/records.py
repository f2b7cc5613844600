"""The runs on disk: one CSV per suite, one row per finished run, appended and synced.

A run that was killed while it wrote leaves a torn last line, which is cut off when the file is
opened again; the run is then made again. Only one process at a time may write a file.
"""

import csv
import hashlib
import io
import os
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

from benchmarks.ecdf import unpack


@dataclass(frozen=True)
class Cell:
    """A run that is to be made, or was.

    Attributes:
        suite: as in `benchmarks.suites`.
        function: its number.
        dimension: number of variables.
        instance: from 1.
        repeat: of the same instance with another seed, from 1.
        algorithm: a contender.
        factor: the budget in evaluations per variable.
    """

    suite: str
    function: int
    dimension: int
    instance: int
    repeat: int
    algorithm: str
    factor: int

    @property
    def seed(self) -> int:
        """The seed: one for each cell, whatever else is run; the same for every budget."""
        name = " ".join(map(str, astuple(replace(self, factor=0))[:-1]))
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") >> 1


@dataclass(frozen=True)
class Row(Cell):
    """A finished run.

    Attributes:
        anytime: whether its prefix is a run with a smaller budget.
        evaluations: that were spent; fewer than the budget where the last target was reached.
        error: at its end.
        early_error: after 100 evaluations per variable.
        hits: as packed by `benchmarks.ecdf.pack`.
        seconds: of its process, the objective included.
    """

    anytime: int
    evaluations: int
    error: float
    early_error: float
    hits: str
    seconds: float

    @property
    def cell(self) -> Cell:
        """What was run."""
        return Cell(*astuple(self)[: len(fields(Cell))])


COLUMNS = [f.name for f in fields(Row)]
HEADER = ",".join(COLUMNS) + "\n"
KINDS = {"int": int, "float": float, "str": str, int: int, float: float, str: str}
READ = [KINDS[f.type] for f in fields(Row)]


class Records:
    """The rows of one file.

    Raises:
        ValueError: the file has another header, or a line before the last is not a row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[Cell, Row] = {}
        if path.exists():
            self._read()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._rewrite()

    def add(self, row: Row) -> None:
        """Append a finished run; it is on disk when this returns."""
        with self.path.open("a", encoding="utf-8", newline="") as file:
            file.write(_line(row))
            file.flush()
            os.fsync(file.fileno())
        self.rows[row.cell] = row

    def drop(self, unwanted: AbstractSet[Cell]) -> int:
        """Forget some runs, all or none even if killed, and return how many."""
        kept = {cell: row for cell, row in self.rows.items() if cell not in unwanted}
        dropped = len(self.rows) - len(kept)
        if dropped:
            self.rows = kept
            self._rewrite()
        return dropped

    def _read(self) -> None:
        text = self.path.read_text("utf-8")
        whole, newline, torn = text.rpartition("\n")
        lines = (whole + newline).splitlines(keepends=True)
        if not lines or lines[0] != HEADER:
            raise ValueError(
                f"{self.path}: expected the header {HEADER.strip()!r}, got {text[:80]!r}; "
                f"move the file away"
            )
        for number, line in enumerate(lines[1:], start=2):
            try:
                row = _row(line)
            except (ValueError, TypeError) as error:
                raise ValueError(f"{self.path}, line {number}: {error}") from error
            self.rows[row.cell] = row
        if torn:
            self._rewrite()

    def _rewrite(self) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(HEADER + "".join(map(_line, self.rows.values())), "utf-8")
        new.replace(self.path)


def _line(row: Row) -> str:
    out = io.StringIO()
    values = [f"{v:.6g}" if isinstance(v, float) else v for v in astuple(row)]
    csv.writer(out, lineterminator="\n").writerow(values)
    return out.getvalue()


def _row(line: str) -> Row:
    (values,) = csv.reader([line])
    if len(values) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} columns, got {len(values)}")
    row = Row(*(read(value) for read, value in zip(READ, values, strict=True)))
    unpack(row.hits)
    return row


def at_factor(rows: Iterator[Row], factor: int, early: int) -> dict[Cell, Row]:
    """Return the rows of one budget, with those that a longer run of an anytime method gives.

    Args:
        rows: of any budget.
        factor: evaluations per variable.
        early: the factor at which runs note their error on the way.
    """
    found: dict[Cell, Row] = {}
    for row in rows:
        if row.factor == factor:
            found[row.cell] = row
        elif row.anytime and row.factor > factor == early:
            short = replace(row, factor=factor, error=row.early_error)
            found.setdefault(short.cell, short)
    return found
