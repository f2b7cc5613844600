"""The record of a comparison: its tables, one row a finished run, read and checked.

Every row carries a CRC-32 of all that is in it, which is checked on opening. Reading changes
nothing, and nothing that a file says is trusted.
"""

import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

from swarmopt import database, lock
from swarmopt.compare.comparison import Cell, Comparison, Where
from swarmopt.errors import FolderError
from swarmopt.folder import read_settings, without_none
from swarmopt.resuming import difference
from swarmopt.terminal import printable

log = logging.getLogger(__name__)

SETTINGS = "compare.toml"
FILE = "cells.sqlite"
VERSION = 1
TABLES = {
    "meta": """CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,      -- JSON
    crc INTEGER NOT NULL      -- CRC-32 of all else in the row, here and in the other table
) STRICT, WITHOUT ROWID""",
    "cell": """CREATE TABLE cell (
    problem TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    seed INTEGER NOT NULL,
    nfev INTEGER NOT NULL,
    n_failed INTEGER NOT NULL,
    seconds REAL NOT NULL,
    fun REAL NOT NULL,        -- Infinity: nothing was found
    violation REAL NOT NULL,  -- 0: feasible
    key REAL NOT NULL,        -- what ranks
    evaluations BLOB NOT NULL,  -- little-endian int64: those that improved on every cost before
    best BLOB NOT NULL,       -- little-endian float64: their costs
    report TEXT NOT NULL,     -- JSON: what the algorithm says of itself
    error TEXT,               -- traceback of a run that failed
    crc INTEGER NOT NULL,
    PRIMARY KEY (problem, algorithm, seed)
) STRICT""",
}


def read(path: Path, *, in_use: bool | None = None) -> Comparison:
    """Return the comparison in a folder; every row is checked.

    Args:
        path: of the folder.
        in_use: whether a process may be writing to it; None: as its lock says.

    Raises:
        FolderError: it is no comparison folder, or its record is damaged.
    """
    file = path / FILE
    check_there(path)
    if in_use is None:
        in_use = lock.in_use(path)
    with unreadable(file), database.reading(file, in_use=in_use) as db:
        db.execute("BEGIN")
        _check_tables(db)
        about = {}
        for key, text, crc in db.execute("SELECT key, value, crc FROM meta"):
            if crc != crc_of((key, text)):
                raise FolderError(f"the check sum of {key!r} is wrong")
            about[key] = json.loads(text)
        settings = about["settings"]
        cells = {}
        for *row, crc in db.execute("SELECT * FROM cell ORDER BY rowid"):
            if crc != crc_of(tuple(row)):
                raise FolderError(f"the check sum of a run is wrong: {row[:3]}")
            cell = cell_of_row(row)
            cells[cell.where] = cell
    return comparison_of(settings, cells)


def comparison_of(settings: Mapping[str, Any], cells: Mapping[Where, Cell]) -> Comparison:
    """Return the comparison that resolved settings and finished runs make."""
    problems: Mapping[str, Any] = settings["problem"]
    return Comparison(
        problems=tuple(problems),
        algorithms=tuple(settings["algorithm"]),
        seeds=tuple(settings["seeds"]),
        budget=int(settings["budget"]),
        optimum={label: entry.get("optimum") for label, entry in problems.items()},
        cells=cells,
        settings=settings,
    )


def check_copy(path: Path, settings: Mapping[str, Any]) -> bool:
    """Warn, and return False, where `compare.toml` does not say what the record says.

    Args:
        path: of the folder.
        settings: of the record, which alone count.
    """
    file = path / SETTINGS
    try:
        found, recorded = read_settings(file), without_none(settings)
    except FolderError as error:
        wrong = str(error)
    else:
        other = difference(recorded, found) or difference(found, recorded)
        if other is None:
            return True
        wrong = f"{file} has another {printable(other[0])} than the record"
    log.warning(
        "%s. What counts is the record beside it, %s, which was checked; where there is no %s, "
        "swarmopt compare writes it anew when it goes on",
        wrong,
        FILE,
        SETTINGS,
    )
    return False


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Turn what goes wrong with a file into one error that names it."""
    wrong = (sqlite3.Error, OSError, OverflowError, TypeError, ValueError, KeyError)
    try:
        yield
    except wrong as error:
        if isinstance(error, FolderError) and str(path) in str(error):
            raise
        raise FolderError(
            f"{path} cannot be read: {printable(str(error))}. Nothing in it was changed; put back "
            f"a copy of it if you have one, or compare into another folder"
        ) from error


def check_there(path: Path) -> None:
    """Raise FolderError where a folder holds no comparison."""
    if not (path / FILE).is_file():
        raise FolderError(
            f"{path} is no comparison folder ({FILE} is missing); give one that swarmopt compare "
            f"made, or a new name for it to make"
        )


def _check_tables(db: sqlite3.Connection) -> None:
    """Raise FolderError unless a file holds the tables of a comparison and nothing else."""
    found = db.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_autoindex%'"
    ).fetchall()
    if {name: sql for kind, name, sql in found if kind == "table"} == TABLES and len(found) == 2:
        (problem,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if problem != "ok":
            raise FolderError(f"it is damaged: {problem}")
        return
    raise FolderError(
        "it holds other tables than a comparison of this version; a newer swarmopt may read it"
    )


def meta_row(key: str, value: Any) -> tuple[str, str, int]:
    """Return what the table meta holds of a value."""
    text = json.dumps(value)
    return key, text, crc_of((key, text))


def row_of(cell: Cell) -> tuple[Any, ...]:
    """Return what the table holds of a run, without its check sum."""
    report = {name: [list(e), list(v)] for name, (e, v) in cell.report.items()}
    return (
        *cell.where,
        cell.nfev,
        cell.n_failed,
        float(cell.seconds),
        float(cell.fun),
        float(cell.violation),
        float(cell.key),
        cell.evaluations.astype("<i8").tobytes(),
        cell.best.astype("<f8").tobytes(),
        json.dumps(report),
        cell.error,
    )


def cell_of_row(row: list[Any]) -> Cell:
    """Return the run in a row of the table, without its check sum."""
    (problem, algorithm, seed, nfev, n_failed, seconds, fun, violation, key) = row[:9]
    evaluations, best, report, error = row[9:]
    return Cell(
        problem,
        algorithm,
        seed,
        nfev=nfev,
        n_failed=n_failed,
        seconds=seconds,
        fun=fun,
        violation=violation,
        key=key,
        evaluations=np.frombuffer(evaluations, "<i8").astype(np.int64),
        best=np.frombuffer(best, "<f8").astype(np.float64),
        report={
            name: (np.array(at, float), np.array(values, float))
            for name, (at, values) in json.loads(report).items()
        },
        error=error,
    )


def crc_of(row: tuple[Any, ...]) -> int:
    """Return the check sum of a row: of the type, length and bytes of each of its values."""
    found = 0
    for value in row:
        data = value if isinstance(value, bytes) else repr(value).encode("utf-8", "surrogatepass")
        found = crc32(data, crc32(f"{type(value).__name__}{len(data)} ".encode(), found))
    return found
