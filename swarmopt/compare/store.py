"""The folder of a comparison, written to: its settings, and each run as soon as it has finished."""

import json
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tomli_w

from swarmopt import database, lock
from swarmopt.compare.comparison import Cell, Where
from swarmopt.compare.record import (
    FILE,
    SETTINGS,
    TABLES,
    VERSION,
    check_copy,
    check_there,
    crc_of,
    meta_row,
    read,
    row_of,
    unreadable,
)
from swarmopt.errors import FolderError, SettingError
from swarmopt.folder import fresh_beside, without_none
from swarmopt.resuming import difference, shown
from swarmopt.terminal import printable

log = logging.getLogger(__name__)

RESULT = "result.json"
GROWING = frozenset({"seeds", "versions"})  # a comparison may go on with more seeds


class Store:
    """A comparison folder that is written to; its lock is held. A context.

    Attributes:
        cells: the finished runs, by problem, algorithm and seed.
    """

    def __init__(self, path: Path, held: int, db: sqlite3.Connection) -> None:
        self.path = path
        self.cells: dict[Where, Cell] = {}
        self._held = held
        self._db = db

    @classmethod
    def open(cls, path: Path, settings: Mapping[str, Any]) -> Self:
        """Return the store in a folder, which is made where it is not there.

        Args:
            path: of the folder.
            settings: resolved; JSON values. Those of the folder must be the same, but for the
                seeds: what is new is added.

        Raises:
            FolderError: it is no comparison folder, is damaged, in use or cannot be written.
            SettingError: it was begun with other settings; the message names the difference.
        """
        path = path.resolve()
        if _is_free(path):
            _make(path, settings)
        check_there(path)
        held = lock.acquire(path)
        try:
            before = read(path, in_use=False)
            _check_same(path, before.settings, settings)
            _warn_of_versions(path, before.settings, settings)
            with unreadable(path):
                if not (path / SETTINGS).exists():
                    _write_toml(path, before.settings)
                db = database.writing(path / FILE)
                store = cls(path, held, db)
                database.set_mode(db, path / FILE)
                store.cells.update(before.cells)
                store._add_seeds(before.settings, settings)
        except BaseException:
            lock.release(path, held)
            raise
        return store

    def _add_seeds(self, before: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
        copied = check_copy(self.path, before)
        seeds = list(dict.fromkeys([*before["seeds"], *settings["seeds"]]))
        if len(seeds) > len(settings["seeds"]):
            log.warning(
                "the comparison in %s has other seeds too; it goes on with all %d of them",
                self.path,
                len(seeds),
            )
        if seeds == before["seeds"]:
            return
        document = {**before, "seeds": seeds}
        self._db.execute("REPLACE INTO meta VALUES (?, ?, ?)", meta_row("settings", document))
        self._db.commit()
        if copied:
            _write_toml(self.path, document)

    @property
    def seeds(self) -> tuple[int, ...]:
        """All seeds of the comparison, older ones first."""
        text = self._db.execute("SELECT value FROM meta WHERE key = 'settings'").fetchone()[0]
        return tuple(json.loads(text)["seeds"])

    def add(self, cell: Cell) -> None:
        """Write a finished run; it is on disk when this returns.

        Raises:
            FolderError: it cannot be written.
        """
        row = row_of(cell)
        marks = ", ".join("?" * (len(row) + 1))
        try:
            self._db.execute(f"INSERT INTO cell VALUES ({marks})", (*row, crc_of(row)))  # noqa: S608 - marks only
            self._db.commit()
        except sqlite3.Error as error:
            raise FolderError(
                f"{self.path / FILE} cannot be written: {error}; is the disk full? What is in it "
                f"is kept: start the same comparison again to go on"
            ) from error
        self.cells[cell.where] = cell

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Let the folder go."""
        with suppress(sqlite3.Error):  # somebody reads it, or the disk is full
            self._db.execute("PRAGMA journal_mode=DELETE")  # one file, as long as none writes
        self._db.close()
        lock.release(self.path, self._held)


def _is_free(path: Path) -> bool:
    try:
        return not path.exists() or (path.is_dir() and not any(path.iterdir()))
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror or error}") from error


def _make(path: Path, settings: Mapping[str, Any]) -> None:
    """Make the folder under another name, and rename it once its settings and tables are there."""
    with fresh_beside(path, "folder") as fresh:
        _write_toml(fresh, settings)
        with closing(database.writing(fresh / FILE)) as db:
            for text in TABLES.values():
                db.execute(text)
            about = {"schema": VERSION, "settings": settings}
            rows = [meta_row(key, value) for key, value in about.items()]
            db.executemany("INSERT INTO meta VALUES (?, ?, ?)", rows)
            db.commit()
        fresh.rename(path)


def _write_toml(folder: Path, settings: Mapping[str, Any]) -> None:
    (folder / SETTINGS).write_text(tomli_w.dumps(without_none(settings)), "utf-8")


def _check_same(path: Path, before: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Raise SettingError, which names the difference, unless both are of one comparison."""
    old, new = ({k: v for k, v in s.items() if k not in GROWING} for s in (before, settings))
    found = next(
        (
            (f"set of {key}s", list(old[key]), list(new[key]))
            for key in ("problem", "algorithm")
            if set(old[key]) != set(new[key])
        ),
        None,
    )
    found = found or difference(old, new)
    if found is None:
        found = difference(new, old)
        found = found and (found[0], found[2], found[1])
    if found is None and any(list(old[k]) != list(new[k]) for k in ("problem", "algorithm")):
        found = ("order of problems or algorithms", list(old["algorithm"]), list(new["algorithm"]))
    if found is not None:
        key, (was, now) = printable(found[0]), shown(*found[1:])
        raise SettingError(
            f"the comparison in {path} was begun with another {key}: recorded {was}, given {now}. "
            f"Give the recorded one to go on, or another folder for a new comparison"
        )


def _warn_of_versions(path: Path, before: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Say where a comparison goes on with other versions than those it was begun with."""
    found = difference(before["versions"], settings["versions"])
    if found is not None:
        log.warning(
            "the comparison in %s was begun with %s %s, and goes on with %s; its runs may differ "
            "for that reason alone",
            path,
            *map(printable, map(str, found)),
        )
