"""The tables of a record, of every version there was."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from swarmopt.errors import FolderError

CURRENT = 2


@dataclass(frozen=True)
class Schema:
    """A version of the tables, and how today's columns are read from it: what it lacks is NULL.

    Attributes:
        version: of the tables.
        tables: their definitions, by name.
        evaluation: selects id, batch, seconds, x, cost, violation, status, info, crc.
        batch: selects number, first_id, n, seconds, digest, crc.
        meta: selects key, value, crc.
    """

    version: int
    tables: Mapping[str, str]
    evaluation: str
    batch: str
    meta: str


FIRST = Schema(
    1,
    {
        "meta": """CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, \
WITHOUT ROWID""",
        "batch": """CREATE TABLE batch (
    number INTEGER PRIMARY KEY,
    first_id INTEGER NOT NULL,
    n INTEGER NOT NULL,
    seconds REAL NOT NULL,
    digest BLOB NOT NULL
) STRICT""",
        "evaluation": """CREATE TABLE evaluation (
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    x BLOB NOT NULL,          -- d little-endian float64
    cost REAL,                -- NULL: not a number
    violation REAL NOT NULL,  -- 0: feasible
    status INTEGER NOT NULL,  -- 0 ok, 1 not finite, 2 raised, 3 lost, 4 timeout, 5 censored
    info TEXT                 -- JSON
) STRICT""",
    },
    "SELECT id, batch, 0.0, x, cost, violation, status, info, NULL FROM evaluation",
    "SELECT number, first_id, n, seconds, digest, NULL FROM batch",
    "SELECT key, value, NULL FROM meta",
)
LATEST = Schema(
    CURRENT,
    {
        "meta": """CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL,      -- JSON
    crc INTEGER NOT NULL      -- CRC-32 of all else in the row, here and in the other tables
) STRICT, WITHOUT ROWID""",
        "batch": """CREATE TABLE batch (
    number INTEGER PRIMARY KEY,
    first_id INTEGER NOT NULL,
    n INTEGER NOT NULL,
    seconds REAL NOT NULL,    -- of the search when it was complete
    digest BLOB NOT NULL,
    crc INTEGER NOT NULL
) STRICT""",
        "evaluation": """CREATE TABLE evaluation (
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    seconds REAL NOT NULL,    -- of the search when it was written
    x BLOB NOT NULL,          -- d little-endian float64
    cost REAL,                -- NULL: not a number
    violation REAL NOT NULL,  -- 0: feasible
    status INTEGER NOT NULL,  -- 0 ok, 1 not finite, 2 raised, 3 lost, 4 timeout, 5 censored
    info TEXT,                -- JSON
    crc INTEGER NOT NULL
) STRICT""",
    },
    "SELECT id, batch, seconds, x, cost, violation, status, info, crc FROM evaluation",
    "SELECT number, first_id, n, seconds, digest, crc FROM batch",
    "SELECT key, value, crc FROM meta",
)
SCHEMAS = (FIRST, LATEST)


def create(db: sqlite3.Connection) -> None:
    """Make the tables of today in an empty file."""
    for text in LATEST.tables.values():
        db.execute(text)


def of_file(db: sqlite3.Connection, path: Path) -> Schema:
    """Return the schema of a file that holds exactly the tables of a record, and nothing else.

    A view or trigger in a file from elsewhere would run when its table is read or written.

    Raises:
        FolderError: other tables, or those of a newer version.
    """
    found = db.execute("SELECT type, name, sql FROM sqlite_schema").fetchall()
    tables = {name: sql for kind, name, sql in found if kind == "table"}
    version = _newer(db, tables)
    if version is not None:
        raise FolderError(
            f"{path} is a record of version {version}; this swarmopt reads versions up to "
            f"{CURRENT}. It is left as it is; take a newer swarmopt"
        )
    if len(tables) == len(found):
        for schema in SCHEMAS:
            if tables == schema.tables:
                return schema
    raise FolderError(f"{path} holds other tables than the record of a run; it is not opened")


def _newer(db: sqlite3.Connection, tables: Mapping[str, str]) -> int | None:
    """Return the version that a plain table meta names, where it is a newer one."""
    if not str(tables.get("meta", "")).startswith("CREATE TABLE meta ("):
        return None
    try:
        row = db.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        version = json.loads(row[0]) if row else None
    except (sqlite3.Error, TypeError, ValueError):
        return None
    return version if isinstance(version, int) and version > CURRENT else None
