"""Evaluations as the record keeps them: rows, their check sums, and the digest of a run.

Each row carries a CRC-32 of everything in it. Each batch carries a digest that chains ids, points,
costs, violations and outcomes of everything before it, times excluded: equal digests, equal runs.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from swarmopt.errors import FolderError
from swarmopt.schema import Schema
from swarmopt.terminal import printable

CHUNK = 4096  # rows read at once
KEPT = 2**28  # bytes of rows that a reader keeps, so that it need not read them again
APART = 16  # bytes at the start of a row that the digest does not read: batch and seconds


@dataclass(frozen=True, eq=False)
class Rows:
    """Evaluations as the record has them, in order of their ids.

    Attributes:
        data: (n,) of `row_type`.
        info: n JSON texts, or None each.
    """

    data: NDArray[np.void]
    info: list[str | None]

    def __len__(self) -> int:
        return len(self.info)

    @property
    def size(self) -> int:
        """Bytes in memory, about."""
        return self.data.nbytes + 8 * len(self) + sum(len(text) for text in self.info if text)

    def part(self, start: int, stop: int) -> "Rows":
        """Return some of the rows."""
        return Rows(self.data[start:stop], self.info[start:stop])

    def followed_by(self, other: "Rows") -> "Rows":
        """Return these rows and the others after them."""
        if not len(other) or not len(self):
            return self if len(self) else other
        return Rows(np.concatenate([self.data, other.data]), self.info + other.info)

    def crc(self) -> list[int]:
        """Return the check sum of each row."""
        found = [crc32(line) for line in lines_of(self.data)]
        if any(self.info):
            found = [
                crc32(info.encode(), crc) if info else crc
                for info, crc in zip(self.info, found, strict=True)
            ]
        return found


def row_type(d: int) -> np.dtype[np.void]:
    """Return the type of an evaluation of d variables."""
    return np.dtype(
        [
            ("batch", "<i8"),
            ("seconds", "<f8"),
            ("id", "<i8"),
            ("x", "<f8", (d,)),
            ("cost", "<f8"),
            ("violation", "<f8"),
            ("status", "i1"),
        ]
    )


def lines_of(data: NDArray[Any]) -> list[bytes]:
    """Return the bytes of each row of an array."""
    text = data.tobytes()
    size = len(text) // len(data) if len(data) else 1
    return [text[i : i + size] for i in range(0, len(text), size)]


def chained(previous: bytes, data: NDArray[np.void]) -> bytes:
    """Return the digest of a batch's rows, in order of their ids, after the digest before it."""
    hashed = blake2b(previous, digest_size=16)
    if len(data):
        lines = np.ascontiguousarray(data).view(np.uint8).reshape(len(data), -1)
        hashed.update(lines[:, APART:].tobytes())
    return hashed.digest()


def batch_crc(number: int, first_id: int, n: int, seconds: float, digest: bytes) -> int:
    """Return the check sum of the row of a batch."""
    whole = np.array([number, first_id, n], "<i8").tobytes()
    return crc32(digest, crc32(np.array(seconds, "<f8").tobytes(), crc32(whole)))


def meta_crc(key: str, value: str) -> int:
    """Return the check sum of a row of the table meta."""
    return crc32(value.encode(), crc32(key.encode()))


def columns(rows: Rows) -> Iterator[tuple[Any, ...]]:
    """Return what the table of evaluations holds of each row, column by column as it says."""
    data = rows.data
    return zip(
        data["id"].tolist(),
        data["batch"].tolist(),
        data["seconds"].tolist(),
        lines_of(data["x"]),
        data["cost"].tolist(),
        data["violation"].tolist(),
        data["status"].tolist(),
        rows.info,
        rows.crc(),
        strict=True,
    )


class Reader:
    """Reads the evaluations of a record in order of their ids, a chunk at a time.

    Args:
        db: an open record.
        found: its schema; check sums that it lacks are not checked.
        d: number of variables.

    Raises:
        FolderError: a row is damaged.
    """

    def __init__(self, db: sqlite3.Connection, found: Schema, d: int) -> None:
        self._db = db
        self._type = row_type(d)
        self._sql = f"{found.evaluation} WHERE id >= ? ORDER BY id LIMIT {CHUNK}"
        self._chunks: list[Rows] = []  # that were read, from the first on, as many as may be kept
        self._kept = 0  # bytes of these
        self._begin()

    def _begin(self) -> None:
        self._n_loaded = 0
        self._next_id = 0
        self._ended = False
        self._rows = Rows(np.empty(0, self._type), [])
        self._ids = np.empty(0, np.int64)
        self._at = 0

    def again(self, db: sqlite3.Connection) -> Self:
        """Begin anew, on another connection to the same record."""
        self._db = db
        self._begin()
        return self

    def forget(self) -> None:
        """Let go of what is kept in memory."""
        self._chunks = []

    def until(self, stop: int) -> Rows:
        """Return the rows that come next, up to the id `stop`."""
        while not self._ended and (not len(self._ids) or self._ids[-1] < stop):
            self._load()
        return self._take(int(np.searchsorted(self._ids, stop)))

    def next(self, n: int) -> Rows:
        """Return the next n rows, or as many as are left."""
        while not self._ended and len(self._ids) - self._at < n:
            self._load()
        return self._take(min(self._at + n, len(self._ids)))

    def peek(self) -> int | None:
        """Return the batch of the next row; None where there is none."""
        if self._at == len(self._ids) and not self._ended:
            self._load()
        return int(self._rows.data["batch"][self._at]) if self._at < len(self._ids) else None

    def _take(self, stop: int) -> Rows:
        start, self._at = self._at, max(stop, self._at)
        return self._rows.part(start, self._at)

    def _load(self) -> None:
        if self._n_loaded < len(self._chunks):
            rows = self._chunks[self._n_loaded]
        else:
            found = self._db.execute(self._sql, (self._next_id,)).fetchall()
            rows = self._converted(found)
            if self._n_loaded == len(self._chunks) and self._kept < KEPT:
                self._chunks.append(rows)
                self._kept += rows.size
        self._n_loaded += 1
        self._ended = len(rows) < CHUNK
        left = self._rows.part(self._at, len(self._rows))
        self._rows, self._at = left.followed_by(rows), 0
        self._ids = self._rows.data["id"].copy()
        if len(rows):
            self._next_id = int(self._ids[-1]) + 1

    def _converted(self, found: list[tuple[Any, ...]]) -> Rows:
        if not found:
            return Rows(np.empty(0, self._type), [])
        ids, batch, seconds, x, cost, violation, status, info, crc = zip(*found, strict=True)
        data = np.empty(len(found), self._type)
        try:
            data["id"], data["batch"], data["seconds"] = ids, batch, seconds
            data["x"] = np.frombuffer(b"".join(x), "<f8").reshape(len(found), -1)
            data["cost"] = np.array(cost, float)
            data["violation"], data["status"] = violation, status
            rows = Rows(data, [text or None for text in info])
            sums = rows.crc()
        except (AttributeError, OverflowError, TypeError, ValueError) as error:
            raise FolderError(
                f"an evaluation from {printable(str(ids[0]))} on does not read: {error}"
            ) from error
        if crc[0] is not None and list(crc) != sums:
            wrong = next(i for i in range(len(sums)) if crc[i] != sums[i])
            raise FolderError(f"the check sum of evaluation {ids[wrong]} is wrong")
        return rows
