"""The record of a run, written: every evaluation, in a SQLite file anyone can read while it grows.

Finished evaluations are committed at the end of their batch, and within a slow batch at most half a
second after they finish; always before the algorithm is told. It is the only truth: a run goes on
by asking again for what is in it.
"""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from swarmopt import database, record, schema
from swarmopt.errors import FolderError
from swarmopt.evaluation import Evaluation
from swarmopt.jsonable import jsonable
from swarmopt.migration import migrate
from swarmopt.record import FILE, Log
from swarmopt.rows import Reader, Rows, batch_crc, chained, columns, meta_crc, row_type
from swarmopt.space import Space
from swarmopt.types import Integers, Matrix

log = logging.getLogger(__name__)

AT_ONCE = 0.02  # seconds: a commit costs a hundredth of that
LATEST = 0.4  # seconds that what was written may wait for a commit
LOOKS = 4  # of the thread that commits then, within these
ADVICE = {
    sqlite3.SQLITE_FULL: "free some space, then ",
    sqlite3.SQLITE_IOERR: "see whether the disk is full or fails, then ",
    sqlite3.SQLITE_BUSY: "end the program that holds it, then ",
    sqlite3.SQLITE_READONLY: "make it writable, then ",
    sqlite3.SQLITE_CANTOPEN: "make its folder writable, then ",
    sqlite3.SQLITE_CONSTRAINT: "another process has written to it, end that one and ",
}  # by what went wrong
LONGEST_INFO = 2**20  # characters of what is kept beside the cost of one evaluation


class Journal:
    """Writes the record of one run. Made by `create`, gone on with by `open`.

    Args:
        connection: to the file.
        path: of the file.
        found: what it holds already.

    Attributes:
        log: what it held when it was opened.

    Raises:
        FolderError: the file cannot be written.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path, found: Log) -> None:
        self.log = found
        self._db = connection
        self._path = path
        self._digest = found.digest_before()
        self._parts: dict[int, list[Rows]] = {}  # of the batches that wait, by number
        self._committed = time.monotonic()
        self._moving = False
        self._mode = ""
        self._lock = threading.RLock()
        self._waits = False  # something was written and is not committed
        self._over = threading.Event()
        self._committer: threading.Thread | None = None

    @staticmethod
    def create(
        folder: Path,
        space: Space,
        problem: str,
        settings: Mapping[str, Any],
        fingerprint: Mapping[str, str] | None = None,
    ) -> None:
        """Make the empty record of a new run in the folder.

        Args:
            folder: of the run.
            space: of the run.
            problem: how reports call it.
            settings: the resolved settings, JSON values.
            fingerprint: of the problem, see `Problem.fingerprint`.
        """
        path = folder / FILE
        about = {
            "schema": schema.CURRENT,
            "names": list(space.names),
            "space": repr(space),
            "problem": problem,
            "settings": settings,
            "diverged": None,
            "fingerprint": dict(fingerprint or {}),
            "finished": None,
        }
        rows = [_meta_row(key, value) for key, value in about.items()]
        try:
            with closing(database.writing(path)) as db:
                db.execute("PRAGMA journal_mode=OFF")  # the folder is not in its place yet
                db.execute("BEGIN")
                schema.create(db)
                db.executemany("INSERT INTO meta VALUES (?, ?, ?)", rows)
                db.commit()
        except sqlite3.Error as error:
            raise _cannot_write(path, error) from error

    @classmethod
    def open(cls, folder: Path, settings: Mapping[str, Any]) -> Self:
        """Return the journal of a run whose folder is locked, after all of it was checked.

        Args:
            folder: of the run.
            settings: for a record of schema 1, which does not hold them.

        Raises:
            FolderError: it is damaged, or of a newer version; nothing is changed then.
        """
        path = folder / FILE
        with record.opened(folder, in_use=False) as db:
            found = record.verify(db, path)
        try:
            db = database.writing(path)
            try:
                if found.schema is not schema.LATEST:
                    found = migrate(db, found, settings)
            except BaseException:
                db.close()
                raise
        except sqlite3.Error as error:
            raise _cannot_write(path, error) from error
        return cls(db, path, found)

    def reader(self) -> Reader:
        """Return a reader of what was recorded when the journal was opened."""
        return self.log.reader.again(self._db)

    def add(
        self, batch: int, ids: Integers, x: Matrix, evaluation: Evaluation, seconds: float = 0.0
    ) -> None:
        """Write finished evaluations.

        Args:
            batch: its number.
            ids: (n,) in any order.
            x: (n, d) points.
            evaluation: of these points.
            seconds: of the search so far.
        """
        n = len(ids)
        data = np.empty(n, row_type(x.shape[1]))
        data["batch"] = batch
        data["seconds"] = seconds
        data["id"] = ids
        data["x"] = x
        # SQLite keeps neither the sign of a zero nor the bits of a NaN, so the digest must not.
        data["cost"] = np.where(np.isnan(evaluation.cost), np.nan, evaluation.cost + 0.0)
        data["violation"] = 0.0 if evaluation.violation is None else evaluation.violation + 0.0
        data["status"] = evaluation.outcome
        rows = Rows(data, [_text(row) for row in evaluation.info] or [None] * n)
        with self._writing():
            self._db.executemany(
                "INSERT INTO evaluation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", columns(rows)
            )
            if time.monotonic() - self._committed > AT_ONCE:
                self._commit()
            else:
                self._commit_later()
        self.keep(batch, rows)

    def keep(self, batch: int, rows: Rows) -> None:
        """Take rows that are written already into the digest of a batch that is not complete."""
        self._parts.setdefault(batch, []).append(rows)

    def close_batch(self, number: int, ids: range, seconds: float) -> None:
        """Write that a batch is complete, and commit.

        Args:
            number: of the batch.
            ids: of its first evaluations that are told; others were cut off by the time limit.
            seconds: of the search so far.
        """
        data = np.concatenate([rows.data for rows in self._parts.pop(number, [_NONE])])
        first = data[np.argsort(data["id"])][: len(ids)]
        self._digest = chained(self._digest, first)
        row = (number, ids.start, len(ids), float(seconds), self._digest)
        with self._writing():
            self._db.execute("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?)", (*row, batch_crc(*row)))
            if not self._moving:
                self._commit()

    def unchain(self, number: int) -> None:
        """Take back that batches from this one on are complete; their evaluations stay.

        Nothing is committed for it before `settle`, unless evaluations come in between.
        """
        self._digest = self.log.digest_before(number)
        self._moving = True
        with self._writing():
            self._db.execute("DELETE FROM batch WHERE number >= ?", (number,))
            if self.log.about["diverged"] is None:
                self._set("diverged", number)

    def move(self, rows: Rows, number: int, first_id: int) -> Rows:
        """Give evaluations to another batch and return them with their new ids.

        Args:
            rows: ascending, none of which comes before `first_id`.
            number: of the batch.
            first_id: of the first of them; the others follow.
        """
        data = rows.data.copy()
        data["batch"] = number
        data["id"] = range(first_id, first_id + len(rows))
        moved = Rows(data, rows.info)
        changes = zip(
            data["id"].tolist(), [number] * len(rows), moved.crc(), rows.data["id"].tolist(),
            strict=True,
        )  # fmt: skip
        with self._writing():
            self._db.executemany(
                "UPDATE evaluation SET id = ?, batch = ?, crc = ? WHERE id = ?", changes
            )
        return moved

    def settle(self) -> None:
        """Commit what was moved."""
        self._moving = False
        with self._writing():
            self._commit()

    def finish(
        self, n_batches: int, report: Mapping[str, Any], told: Mapping[str, Any] | None = None
    ) -> None:
        """Write what came after a search of so many batches: the run is over.

        Args:
            n_batches: of the search.
            report: what the problem added to the result.
            told: what the algorithm said of itself (`History.said`).
        """
        ended = {"batches": n_batches, "report": report, "told": told or {}}
        with self._writing():
            self._set("finished", jsonable(ended))
            self._commit()

    @property
    def ended_after(self) -> int:
        """The batches of the search that is recorded as over; 0: it is not."""
        ended = self.log.about["finished"]
        found = ended.get("batches") if ended else 0
        return found if isinstance(found, int) else 0

    def report_after(self, n_batches: int) -> Mapping[str, Any] | None:
        """Return what came after a search of so many batches; None: it has not ended there."""
        ended = self.log.about["finished"]
        report = ended.get("report") if ended and ended.get("batches") == n_batches else None
        return report if isinstance(report, Mapping) else None

    def _set(self, key: str, value: Any) -> None:
        _, text, crc = _meta_row(key, value)
        self._db.execute("UPDATE meta SET value = ?, crc = ? WHERE key = ?", (text, crc, key))

    def _commit(self) -> None:
        self._db.commit()
        self._waits = False
        self._committed = time.monotonic()

    def _commit_later(self) -> None:
        """Leave the commit to whoever writes next, or to a thread where nobody does."""
        self._waits = True
        if self._committer is None:
            self._committer = threading.Thread(target=self._commit_what_waits, daemon=True)
            self._committer.start()

    def _commit_what_waits(self) -> None:
        while not self._over.wait(LATEST / LOOKS):
            with self._lock, suppress(sqlite3.Error):  # whoever writes next meets it again
                if self._waits and time.monotonic() - self._committed > LATEST * (1 - 1 / LOOKS):
                    self._commit()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with self._lock:
                if not self._mode:
                    self._choose_mode()
                yield
        except sqlite3.Error as error:
            raise _cannot_write(self._path, error) from error

    def _choose_mode(self) -> None:
        self._mode = database.set_mode(self._db, self._path)
        if self._mode != "wal":
            log.info("%s: no write-ahead log, as on a network file system", self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Keep what was written, whatever happened, and close the file."""
        self._over.set()
        if self._committer is not None:
            self._committer.join()
        try:
            self._db.commit()
            with suppress(sqlite3.OperationalError):  # somebody reads it
                # One file, as long as none writes; a killed driver may have left three.
                self._db.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as failure:
            if error is None:
                raise _cannot_write(self._path, failure) from failure
        finally:
            self._db.close()


_NONE = Rows(np.empty(0, row_type(1)), [])


def _text(info: Mapping[str, Any]) -> str | None:
    """Return what is kept beside a cost as JSON; only the beginning where it is very long."""
    if not info:
        return None
    text = json.dumps(jsonable(info))
    return text if len(text) <= LONGEST_INFO else json.dumps({"cut": text[: LONGEST_INFO // 2]})


def _meta_row(key: str, value: Any) -> tuple[str, str, int]:
    text = json.dumps(value, default=str)
    return key, text, meta_crc(key, text)


def _cannot_write(path: Path, error: sqlite3.Error) -> FolderError:
    advice = ADVICE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, "")
    return FolderError(
        f"the record {path} cannot be written: {error}. What was written before is kept; "
        f"{advice}go on with `swarmopt resume` or minimize(..., resume=True)"
    )
