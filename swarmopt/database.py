"""SQLite files of a run folder, opened without trusting what is in them.

A folder may come from a stranger, from a process that was killed, or from a run that goes on.
Reading changes nothing in it.
"""

import os
import re
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from swarmopt.errors import FolderError

SIDES = ("", "-wal", "-shm", "-journal")
DEFENSIVE = 1010  # SQLITE_DBCONFIG_DEFENSIVE, which has a name from Python 3.12 on
LONGEST = 2**27  # bytes of a value
PATIENCE = 30.0  # seconds to wait for a reader
NAMES_ANOTHER = bytes.fromhex("d9d505f920a163d7")  # ends a rollback journal that names a file
OCTAL = re.compile(r"\\([0-7]{3})")  # a blank in the name of a mount
NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "gpfs", "lustre", "ncpfs"}
    | {"fuse.glusterfs", "fuse.ceph", "nfs", "nfs4", "smb3", "smbfs"}
)


@contextmanager
def reading(path: Path, *, in_use: bool) -> Iterator[sqlite3.Connection]:
    """Open a file for reading.

    Args:
        path: of the file.
        in_use: whether a process may be writing to it now.

    Raises:
        FolderError: the file, or one that belongs to it, is a link or not a file.
    """
    check_files(path)
    wal, shm, journal = (path.with_name(path.name + side) for side in SIDES[1:])
    if in_use or not (_filled(wal) or _filled(journal)):
        yield from _opened(f"{path.resolve().as_uri()}?mode=ro")
    elif shm.exists() and not _filled(journal):
        yield from _opened(f"{path.resolve().as_uri()}?mode=ro&readonly_shm=1")
    else:  # it needs repair before it can be read: of a copy
        with tempfile.TemporaryDirectory() as place:
            for file in (path, wal, journal):
                if file.exists():
                    shutil.copyfile(file, Path(place) / file.name)
            yield from _opened((Path(place) / path.name).as_uri())


def _opened(uri: str) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as db:
        _distrust(db)
        yield db


def writing(path: Path) -> sqlite3.Connection:
    """Return a connection that writes; threads take turns with it.

    Raises:
        FolderError: the file, or one that belongs to it, is a link or not a file.
    """
    check_files(path)
    db = sqlite3.connect(path, timeout=PATIENCE, check_same_thread=False)
    try:
        _distrust(db)
    except BaseException:
        db.close()
        raise
    return db


def set_mode(db: sqlite3.Connection, path: Path) -> str:
    """Choose how commits reach the disk, and return the mode: "wal", or "truncate".

    Write-ahead logging needs memory that all who use the file share, which no network file system
    has.
    """
    mode: str = "delete"
    if not on_network(path):
        mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
    if mode != "wal":
        mode = db.execute("PRAGMA journal_mode=TRUNCATE").fetchone()[0]
    db.execute("PRAGMA synchronous=NORMAL")
    return mode


def _distrust(db: sqlite3.Connection) -> None:
    """Let nothing that a file says run code or take all memory."""
    db.execute("PRAGMA trusted_schema=OFF")
    db.execute("PRAGMA cell_size_check=ON")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
    if hasattr(db, "setconfig"):
        db.setconfig(DEFENSIVE, True)


def check_files(path: Path) -> None:
    """Raise FolderError where SQLite would follow a name out of the folder."""
    for file in (path.with_name(path.name + side) for side in SIDES):
        try:
            mode = file.lstat().st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(mode):
            kind = "a link" if stat.S_ISLNK(mode) else "no file"
            raise FolderError(
                f"{file} is {kind}; the files of a run lie in its folder themselves. Put the file "
                f"there, or give another folder"
            )
    journal = path.with_name(path.name + "-journal")
    if _filled(journal) and _tail(journal) == NAMES_ANOTHER:
        raise FolderError(
            f"{journal} names a file elsewhere, which no run writes, so it is not opened; remove it"
        )


def on_network(path: Path) -> bool:
    """Return whether a path is on a file system that other machines share; False where unknown."""
    try:
        text = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return False
    found, kind = Path("/"), ""
    where = path.resolve()
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        point = Path(OCTAL.sub(lambda m: chr(int(m[1], 8)), before.split(" ")[4]))
        if where.is_relative_to(point) and len(point.parts) >= len(found.parts):
            found, kind = point, after.split(" ")[0]
    return kind in NETWORK


def _filled(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _tail(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-min(len(NAMES_ANOTHER), path.stat().st_size), os.SEEK_END)
        return file.read()
