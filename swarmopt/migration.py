"""An old record made new: all or nothing, and nothing of it lost."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from swarmopt import schema
from swarmopt.record import Log
from swarmopt.rows import CHUNK, Reader, batch_crc, columns, meta_crc


def migrate(db: sqlite3.Connection, log: Log, settings: Mapping[str, Any]) -> Log:
    """Rewrite a record of schema 1 as today's, in one transaction.

    Args:
        db: the record, open for writing.
        log: what it holds, verified.
        settings: of the run, which schema 1 has in `run.toml` alone.

    Returns:
        What it holds then.
    """
    about = {
        **log.about,
        "schema": schema.CURRENT,
        "problem": None,
        "settings": settings,
        "diverged": None,
        "fingerprint": {},
        "finished": None,
    }
    db.execute("BEGIN IMMEDIATE")
    for name in log.schema.tables:
        db.execute(f"ALTER TABLE {name} RENAME TO old_{name}")
    schema.create(db)
    texts = [(key, json.dumps(value)) for key, value in about.items()]
    db.executemany(
        "INSERT INTO meta VALUES (?, ?, ?)", [(k, text, meta_crc(k, text)) for k, text in texts]
    )
    batches = [(*row[:4], bytes(row[4])) for row in log.batches.tolist()]
    db.executemany(
        "INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?)", [(*row, batch_crc(*row)) for row in batches]
    )
    _copy_evaluations(db, log)
    for name in log.schema.tables:
        db.execute(f"DROP TABLE old_{name}")
    db.commit()
    reader = Reader(db, schema.LATEST, len(log.about["names"]))
    return replace(log, schema=schema.LATEST, about=about, reader=reader)


def _copy_evaluations(db: sqlite3.Connection, log: Log) -> None:
    """Write every evaluation anew; the time of one is that of its batch, or the last known."""
    source = log.schema.evaluation.replace("FROM evaluation", "FROM old_evaluation")
    old = replace(log.schema, evaluation=source)
    reader = Reader(db, old, len(log.about["names"]))
    seconds = np.append(log.batches["seconds"], log.seconds)
    while len(rows := reader.next(CHUNK)):
        rows.data["seconds"] = seconds[np.minimum(rows.data["batch"], len(seconds) - 1)]
        db.executemany("INSERT INTO evaluation VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", columns(rows))
