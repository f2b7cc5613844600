"""The record of a run, read: checked from the first row to the last, and left as it is."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swarmopt import database, lock, schema
from swarmopt.errors import FolderError
from swarmopt.rows import CHUNK, Reader, batch_crc, chained, meta_crc, row_type
from swarmopt.schema import Schema
from swarmopt.terminal import printable
from swarmopt.types import Integers, Matrix, Vector

FILE = "journal.sqlite"
META: dict[str, Any] = {
    "diverged": int | None,
    "fingerprint": dict,
    "finished": dict | None,
    "names": list,
    "problem": str | None,
    "schema": int,
    "settings": dict,
    "space": str,
}
LATER_META: dict[str, Any] = {"fingerprint": {}}  # what older records of this schema lack
OLD_META = {"names", "schema", "space"}
BATCH = np.dtype(
    [("number", "i8"), ("first_id", "i8"), ("n", "i8"), ("seconds", "f8"), ("digest", "V16")]
)


@dataclass(frozen=True, eq=False)
class Log:
    """What a record says of its run, checked.

    Attributes:
        schema: of its tables.
        about: what its table meta holds, by key.
        batches: (b,) of `BATCH`, the complete batches.
        n: evaluations.
        seconds: of the search, when the last of all was written.
        reader: of the evaluations; it has what it read for the check in memory, if that is not too
            much.
    """

    schema: Schema
    about: dict[str, Any]
    batches: NDArray[np.void]
    n: int
    seconds: float
    reader: Reader

    def digest_before(self, number: int | None = None) -> bytes:
        """Return the digest of the complete batches before this one, or of all."""
        end = len(self.batches)
        at = end if number is None else int(np.searchsorted(self.batches["number"], number))
        return bytes(self.batches["digest"][at - 1]) if at else b""


@contextmanager
def opened(folder: Path, *, in_use: bool | None = None) -> Iterator[sqlite3.Connection]:
    """Open the record in a run folder for reading.

    Args:
        folder: of the run.
        in_use: whether a process may be writing to it; None: as its lock says.

    Raises:
        FolderError: there is none, or it cannot be read or is damaged; so is whatever else goes
            wrong in the body, which had better only read.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise FolderError(f"{folder} holds no record of a run ({FILE} is missing)")
    try:
        with database.reading(path, in_use=lock.in_use(folder) if in_use is None else in_use) as db:
            db.execute("BEGIN")  # all that is read is of one moment
            yield db
    except (sqlite3.Error, OSError, OverflowError, TypeError, ValueError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> FolderError:
    """Return the error that a record cannot be read."""
    text = str(error)
    if isinstance(error, FolderError) and str(path) in text:
        return error
    return FolderError(
        f"{path} cannot be read: {printable(text)}. Nothing in it was changed; put back a copy of "
        f"it if you have one"
    )


def verify(db: sqlite3.Connection, path: Path) -> Log:
    """Return what a record says of its run, after all of it was checked.

    Raises:
        FolderError: it is damaged, or of another program or a newer version.
    """
    found = schema.of_file(db, path)
    (problem,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if problem != "ok":
        raise FolderError(f"it is damaged: {problem}")
    about = read_about(db, found, path)
    reader = Reader(db, found, len(about["names"]))
    kept: list[tuple[int, int, int, float, bytes]] = []
    digest, n, seconds = b"", 0, 0.0
    for number, first_id, size, at, expected, crc in db.execute(f"{found.batch} ORDER BY number"):
        n += len(reader.until(first_id))
        rows = reader.until(first_id + size)
        digest = chained(digest, rows.data)
        if crc is not None and crc != batch_crc(number, first_id, size, at, expected):
            raise FolderError(f"the check sum of batch {number} is wrong")
        complete = len(rows) == size and number == len(kept)
        if digest != expected or not complete or (rows.data["batch"] != number).any():
            raise FolderError(f"the digest of batch {number} is not that of its evaluations")
        kept.append((number, first_id, size, at, expected))
        n, seconds = n + size, at
    while len(rows := reader.next(CHUNK)):
        n += len(rows)
        seconds = max(seconds, float(rows.data["seconds"].max()))
    return Log(found, about, np.array(kept, BATCH), n, seconds, reader)


def read_about(db: sqlite3.Connection, found: Schema, path: Path) -> dict[str, Any]:
    """Return what a record says of its run.

    Raises:
        FolderError: something is missing or damaged, or said by a newer version.
    """
    about = {}
    for key, value, crc in db.execute(found.meta):
        if crc is not None and crc != meta_crc(key, value):
            raise FolderError(f"the check sum of {printable(key)!r} in the table meta is wrong")
        try:
            about[key] = json.loads(value)
        except (RecursionError, ValueError) as error:
            raise FolderError(
                f"{printable(key)!r} in the table meta is no JSON: {error}"
            ) from error
    wanted = OLD_META
    if found is schema.LATEST:
        wanted, about = set(META), LATER_META | about
    unknown = sorted(set(about) - wanted)
    if unknown:
        raise FolderError(
            f"{path} is a record of a newer version: its table meta holds "
            f"{printable(repr(unknown[0]))}, which this swarmopt does not know. It is left as it "
            f"is; take a newer swarmopt"
        )
    if set(about) != wanted or about["schema"] != found.version:
        raise FolderError(f"the table meta does not hold just {', '.join(sorted(wanted))}")
    wrong = [key for key, value in about.items() if not isinstance(value, META[key])]
    if wrong or not about["names"]:
        raise FolderError(
            f"what the table meta says of {(wrong or ['names'])[0]!r} is no such thing"
        )
    return about


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
        seconds: (n,) of the search when each was written.
        digest: of the complete batches.
    """

    names: tuple[str, ...]
    ids: Integers
    batch: Integers
    x: Matrix
    cost: Vector
    violation: Vector
    status: NDArray[np.int8]
    seconds: Vector
    digest: bytes


def count(folder: str | Path) -> int:
    """Return how many evaluations a run folder holds.

    Raises:
        FolderError: there is no record, or it cannot be read.
    """
    folder = Path(folder)
    with opened(folder) as db:
        schema.of_file(db, folder / FILE)
        return int(db.execute("SELECT count(*) FROM evaluation").fetchone()[0])


def read(folder: str | Path) -> Record:
    """Return the record in a run folder, checked, also while the run goes on.

    Raises:
        FolderError: there is none, or it cannot be read or is damaged.
    """
    folder = Path(folder)
    with opened(folder) as db:
        log = verify(db, folder / FILE)
        reader = log.reader.again(db)
        parts = [reader.next(CHUNK).data for _ in range(0, log.n, CHUNK)]
    data = np.concatenate([np.empty(0, row_type(len(log.about["names"]))), *parts])
    return Record(
        tuple(log.about["names"]),
        ids=data["id"].astype(np.int64),
        batch=data["batch"].astype(np.int64),
        x=np.ascontiguousarray(data["x"]),
        cost=np.ascontiguousarray(data["cost"]),
        violation=np.ascontiguousarray(data["violation"]),
        status=np.ascontiguousarray(data["status"]),
        seconds=np.ascontiguousarray(data["seconds"]),
        digest=log.digest_before(),
    )
