"""Runs and comparisons as CSV: a row an evaluation, or a row a run of a comparison.

A text that a spreadsheet would take for a formula gets an apostrophe in front, as names in a folder
may be a stranger's. Numbers are written so that they read back exactly.
"""

import csv
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swarmopt import record
from swarmopt.compare.comparison import COLUMNS, Comparison
from swarmopt.evaluation import Outcome
from swarmopt.report.account import check_run
from swarmopt.report.described import space_of
from swarmopt.rows import CHUNK, Rows
from swarmopt.space import Space

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

FORMULA = ("=", "+", "-", "@", "\t", "\r")
HEAD = ("evaluation", "batch", "seconds", "outcome", "cost", "violation")


def write_run(folder: Path, file: "SupportsWrite[str]") -> int:
    """Write all evaluations of a run, in the order asked, and return how many there are.

    Args:
        folder: of the run.
        file: opened with newline="".

    Raises:
        FolderError: it is no run folder, or cannot be read, or is damaged.
    """
    check_run(folder)
    writer = csv.writer(file, lineterminator="\n")
    n = -1
    with closing(_read(folder)) as lines:
        for n, line in enumerate(lines):  # noqa: B007 - the head is line 0
            writer.writerow(line)
    return n


def _read(folder: Path) -> Generator[list[Any]]:
    """Return the head and what the file says of each evaluation.

    Who writes them does so outside of the record: a disk that is full is no damage of it.
    """
    with record.opened(folder) as db:
        log = record.verify(db, folder / record.FILE)
        names = tuple(map(str, log.about["names"]))
        space = space_of(str(log.about["space"]), names)
        yield [*HEAD, *map(harmless, names)]
        reader = log.reader.again(db)
        while len(rows := reader.next(CHUNK)):
            yield from _lines(rows, space)


def _lines(rows: Rows, space: Space | None) -> Iterator[list[Any]]:
    """Return what the file says of each row; choices as the user's values where they are known."""
    data = rows.data
    points: Sequence[Sequence[Any]] = data["x"].tolist()
    if space is not None:
        points = [list(row.values()) for row in space.params(data["x"])]
    for row, point in zip(data, points, strict=True):
        yield [
            int(row["id"]) + 1,
            int(row["batch"]),
            repr(float(row["seconds"])),
            Outcome(int(row["status"])).name.lower(),
            repr(float(row["cost"])),
            repr(float(row["violation"])),
            *map(harmless, point),
        ]


def write_comparison(comparison: Comparison, file: "SupportsWrite[str]") -> int:
    """Write the finished runs of a comparison, and return how many there are."""
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in comparison.rows():
        writer.writerow(map(harmless, row))
    return len(comparison.cells)


def harmless(value: Any) -> Any:
    """Return a value as a spreadsheet reads it: a text is never a formula."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text
