"""The record of a run: every evaluation, in a SQLite file that anyone can read while it grows.

Finished evaluations are committed at the end of their batch, and within a slow batch at most half a
second after they finish; always before the algorithm is told. Each batch carries a digest that
chains ids, points, costs, violations and outcomes of everything before it.
"""

import json
import sqlite3
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from swarmopt.errors import FolderError
from swarmopt.evaluation import Evaluation
from swarmopt.jsonable import jsonable
from swarmopt.space import Space
from swarmopt.types import Integers, Matrix, Vector

FILE = "journal.sqlite"
SCHEMA = 1
COMMIT_EVERY = 0.5  # seconds

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE batch (
    number INTEGER PRIMARY KEY,
    first_id INTEGER NOT NULL,
    n INTEGER NOT NULL,
    seconds REAL NOT NULL,
    digest BLOB NOT NULL
) STRICT;
CREATE TABLE evaluation (
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    x BLOB NOT NULL,          -- d little-endian float64
    cost REAL,                -- NULL: not a number
    violation REAL NOT NULL,  -- 0: feasible
    status INTEGER NOT NULL,  -- 0 ok, 1 not finite, 2 raised, 3 lost, 4 timeout, 5 censored
    info TEXT                 -- JSON
) STRICT;
"""


class Journal:
    """Writes the record of one run. Made by `create`, read by `read`.

    Raises:
        FolderError: the file cannot be written.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db = connection
        self._path = path
        self._digest = b""
        self._parts: dict[int, list[NDArray[np.void]]] = {}  # of the batches that wait, by number
        self._committed = time.monotonic()

    @classmethod
    def create(cls, folder: Path, space: Space) -> Self:
        """Return the journal of a new run, made in the folder."""
        path = folder / FILE
        try:
            db = _connect(path)
            db.executescript(_TABLES)
            about = {"schema": SCHEMA, "names": list(space.names), "space": repr(space)}
            rows = [(key, json.dumps(value)) for key, value in about.items()]
            db.executemany("INSERT INTO meta VALUES (?, ?)", rows)
            db.commit()
        except sqlite3.Error as error:
            raise _cannot_write(path, error) from error
        return cls(db, path)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Return the journal of a run that was just made and has no rows yet."""
        path = folder / FILE
        try:
            return cls(_connect(path), path)
        except sqlite3.Error as error:
            raise _cannot_write(path, error) from error

    def add(self, batch: int, ids: Integers, x: Matrix, evaluation: Evaluation) -> None:
        """Write finished evaluations.

        Args:
            batch: its number.
            ids: (n,) in any order.
            x: (n, d) points.
            evaluation: of these points.
        """
        n = len(ids)
        part = np.empty(n, _row_type(x.shape[1]))
        part["id"] = ids
        part["x"] = x
        part["cost"] = evaluation.cost
        part["violation"] = 0.0 if evaluation.violation is None else evaluation.violation
        part["status"] = evaluation.outcome
        self._parts.setdefault(batch, []).append(part)
        text = part["x"].tobytes()
        size = 8 * x.shape[1]
        info = [json.dumps(jsonable(row)) if row else None for row in evaluation.info] or [None] * n
        rows = zip(
            part["id"].tolist(),
            [batch] * n,
            [text[i : i + size] for i in range(0, n * size, size)],
            part["cost"].tolist(),
            part["violation"].tolist(),
            part["status"].tolist(),
            info,
            strict=True,
        )
        try:
            self._db.executemany("INSERT INTO evaluation VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            if time.monotonic() - self._committed > COMMIT_EVERY:
                self._commit()
        except sqlite3.Error as error:
            raise _cannot_write(self._path, error) from error

    def close_batch(self, number: int, ids: range, seconds: float) -> None:
        """Write that a batch is complete, and commit.

        Args:
            number: of the batch.
            ids: of its first evaluations that are told; others were cut off by the time limit.
            seconds: of the search so far.
        """
        self._digest = _chained(self._digest, self._parts.pop(number, []), len(ids))
        row = (number, ids.start, len(ids), seconds, self._digest)
        try:
            self._db.execute("INSERT INTO batch VALUES (?, ?, ?, ?, ?)", row)
            self._commit()
        except sqlite3.Error as error:
            raise _cannot_write(self._path, error) from error

    def _commit(self) -> None:
        self._db.commit()
        self._committed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Keep what was written, whatever happened, and close the file."""
        try:
            self._db.commit()
            with suppress(sqlite3.OperationalError):  # somebody reads it
                self._db.execute("PRAGMA journal_mode=DELETE")  # one file, as long as none writes
            self._db.close()
        except sqlite3.Error as failure:
            raise _cannot_write(self._path, failure) from failure


@dataclass(frozen=True, eq=False)
class Record:
    """The evaluations of a run, in order of their ids.

    Attributes:
        names: d names of the variables.
        ids: (n,).
        batch: (n,) number of the batch of each.
        x: (n, d) points.
        cost: (n,).
        violation: (n,).
        status: (n,) an `Outcome` each.
    """

    names: tuple[str, ...]
    ids: Integers
    batch: Integers
    x: Matrix
    cost: Vector
    violation: Vector
    status: NDArray[np.int8]


def count(folder: Path) -> int:
    """Return how many evaluations a run folder holds.

    Raises:
        FolderError: there is no record, or it cannot be read.
    """
    return int(_query(folder, "SELECT count(*) FROM evaluation")[0][0])


def read(folder: Path) -> Record:
    """Return the record in a run folder, also while the run goes on.

    Raises:
        FolderError: there is none, or it cannot be read.
    """
    meta = dict(_query(folder, "SELECT key, value FROM meta"))
    rows = _query(
        folder, "SELECT id, batch, x, cost, violation, status FROM evaluation ORDER BY id"
    )
    names = tuple(json.loads(meta["names"]))
    columns = list(zip(*rows, strict=True)) or [()] * 6
    return Record(
        names,
        np.array(columns[0], np.int64),
        np.array(columns[1], np.int64),
        np.frombuffer(b"".join(columns[2]), "<f8").reshape(-1, len(names)),
        np.array([np.nan if c is None else c for c in columns[3]], float),
        np.array(columns[4], float),
        np.array(columns[5], np.int8),
    )


def _query(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    path = Path(folder) / FILE
    if not path.is_file():
        raise FolderError(f"{folder} holds no record of a run ({FILE} is missing)")
    try:
        db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()
    except sqlite3.Error as error:
        raise FolderError(f"{path} cannot be read: {error}") from error


def _row_type(d: int) -> np.dtype[np.void]:
    """Return what the digest reads of an evaluation of d variables."""
    return np.dtype(
        [("id", "<i8"), ("x", "<f8", (d,)), ("cost", "<f8"), ("violation", "<f8"), ("status", "i1")]
    )


def _chained(previous: bytes, parts: list[NDArray[np.void]], n: int) -> bytes:
    """Return the digest of a batch's first n rows, whatever parts they came in, after another."""
    hashed = blake2b(previous, digest_size=16)
    if parts:
        rows = np.concatenate(parts)
        hashed.update(rows[np.argsort(rows["id"])][:n].tobytes())
    return hashed.digest()


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":  # a file system without shared memory
        db.execute("PRAGMA journal_mode=TRUNCATE")
    db.execute("PRAGMA synchronous=NORMAL")
    return db


def _cannot_write(path: Path, error: Exception) -> FolderError:
    return FolderError(
        f"the record {path} cannot be written: {error}. What was written before is kept; free some "
        f"space or give another folder"
    )
