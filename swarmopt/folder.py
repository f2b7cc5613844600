"""The folder of a run: made whole or not at all, and never over something unasked."""

import errno
import importlib.metadata
import json
import logging
import os
import platform
import shlex
import shutil
import sqlite3
import stat
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import tomli_w

from swarmopt import lock
from swarmopt.errors import FolderError
from swarmopt.journal import Journal
from swarmopt.jsonable import jsonable
from swarmopt.lock import LOCK
from swarmopt.record import FILE
from swarmopt.space import Space
from swarmopt.terminal import printable

log = logging.getLogger(__name__)

SETTINGS = "run.toml"
RESULT = "result.json"
PICTURE = "convergence.png"
PAGE = "report.html"
FILES = (
    *(SETTINGS, RESULT, f".{RESULT}.tmp", PICTURE, PAGE, f".{PAGE}.tmp", LOCK),
    *(FILE, f"{FILE}-wal", f"{FILE}-shm", f"{FILE}-journal"),
)


@dataclass(frozen=True)
class RunFolder:
    """A run folder whose lock is held; a context that ends with the run.

    Attributes:
        path: where it is.
        held: descriptor of its lock file, which is locked until the run ends.
        replaced: where the earlier run of that name is now; None where there was none. It is
            removed when this run ends well, and kept when it does not.
    """

    path: Path
    held: int
    replaced: Path | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Let the folder go; remove the earlier run, or say where it is kept."""
        lock.release(self.path, self.held)
        if self.replaced is None:
            return
        if error is None:
            shutil.rmtree(self.replaced, ignore_errors=True)
        else:
            log.warning("the earlier run %s is kept in %s", self.path.name, self.replaced)


def create(
    path: Path,
    settings: Mapping[str, Any],
    space: Space,
    *,
    problem: str = "",
    fingerprint: Mapping[str, str] | None = None,
    overwrite: bool = False,
    distributions: Iterable[str] = (),
    artefacts: Iterable[str] = (),
) -> RunFolder:
    """Make a run folder with its settings and an empty record.

    It is made under a temporary name beside `path` and renamed once it is whole. An earlier run
    that is overwritten is moved aside until this one has ended well.

    Args:
        path: where; must not exist, or be empty.
        settings: the resolved settings, as `run.toml` will say them.
        space: of the run.
        problem: how reports call it.
        fingerprint: of the problem.
        overwrite: whether an earlier run folder at `path` may be replaced.
        distributions: packages beside the usual whose versions are noted.
        artefacts: files that such a run leaves beside the usual.

    Raises:
        FolderError: it exists, or cannot be written.
    """
    check_free(path, overwrite=overwrite, artefacts=artefacts)
    path = path.resolve()
    document = {
        **without_none(settings),
        "versions": versions(["swarmopt", "numpy", "scipy", *distributions]),
    }
    with fresh_beside(path, "run folder") as fresh:
        (fresh / SETTINGS).write_text(tomli_w.dumps(document), "utf-8")
        Journal.create(fresh, space, problem, settings, fingerprint)
        held = lock.acquire(fresh)
        try:
            return RunFolder(path, held, _put(fresh, path, overwrite=overwrite))
        except BaseException:
            os.close(held)
            raise


@contextmanager
def fresh_beside(path: Path, kind: str) -> Iterator[Path]:
    """Make a folder under a temporary name beside a path, to be renamed to it once it is whole.

    Where anything goes wrong before that, nothing of it stays.

    Args:
        path: absolute; its parents are made.
        kind: of folder, for messages.

    Raises:
        FolderError: it cannot be made, or something in it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{path.name[:64]}-", dir=path.parent))
    except OSError as error:
        raise FolderError(
            f"no {kind} can be made at {path}: {error.strerror or error}. Give a folder that you "
            f"may write to"
        ) from error
    try:
        fresh.chmod(0o777 & ~umask())
        yield fresh
    except BaseException as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if isinstance(error, OSError | sqlite3.Error) and not isinstance(error, FolderError):
            raise FolderError(f"no {kind} can be made at {path}: {error}") from error
        raise


def check_free(path: Path, *, overwrite: bool, artefacts: Iterable[str] = ()) -> None:
    """Raise FolderError unless a run folder may be made at this path."""
    try:
        path = path.resolve()
        inside = sorted(entry.name for entry in path.iterdir()) if path.exists() else None
    except NotADirectoryError:
        raise FolderError(f"no run folder can be made at {path}: it is a file") from None
    except (OSError, RuntimeError) as error:  # no permission, a name too long, a circle of links
        why = getattr(error, "strerror", None) or error
        raise FolderError(f"no run folder can be made at {path}: {why}") from error
    if inside is None:
        _check_writable(path)
    if not inside:
        return
    if not overwrite:
        raise _exists(path)
    if SETTINGS not in inside:
        raise FolderError(
            f"{path} exists and is no run folder (it has no {SETTINGS}), so it is not overwritten; "
            f"give another folder"
        )
    foreign = [name for name in inside if name not in {*FILES, *artefacts}]
    if foreign:
        raise FolderError(
            f"{path} holds {printable(foreign[0])!r}, which no such run leaves, so it is not "
            f"overwritten; move it away, or give another folder"
        )
    lock.check_unused(path)


def _check_writable(path: Path) -> None:
    """Raise FolderError where the folder that a path would be made in is none that we write to."""
    above = next(parent for parent in path.parents if parent.exists())
    if not above.is_dir():
        raise FolderError(f"no run folder can be made at {path}: {above} is a file")
    if not os.access(above, os.W_OK | os.X_OK):
        raise FolderError(
            f"no run folder can be made at {path}: {above} may not be written to. Give a folder "
            f"that you may write to"
        )


def enter(path: Path) -> RunFolder:
    """Return the run folder at a path, to go on with its run.

    Raises:
        FolderError: another process holds it, it holds links, or it cannot be written.
    """
    path = path.resolve()
    try:
        kinds = {entry.name: entry.lstat().st_mode for entry in path.iterdir()}
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror or error}") from error
    for name, kind in kinds.items():
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise FolderError(
                f"{path} holds {printable(name)!r}, which is no file but a link or a device; a run "
                f"writes to its own files only. Remove it, or copy the file there"
            )
    return RunFolder(path, lock.acquire(path))


def _put(fresh: Path, path: Path, *, overwrite: bool) -> Path | None:
    """Rename the new folder to its place; return where an earlier run there is now."""
    if not overwrite or not path.exists():
        try:
            fresh.rename(path)  # fails where a folder with something in it came in between
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
                raise _exists(path) from error
            raise
        return None
    os.close(lock.acquire(path))
    aside = Path(tempfile.mkdtemp(prefix=f".{path.name[:64]}-replaced-", dir=path.parent))
    path.rename(aside)
    try:
        fresh.rename(path)
    except OSError:
        aside.rename(path)
        raise
    return aside


def _exists(path: Path) -> FolderError:
    resumed = ""
    if (path / FILE).is_file() and not (path / RESULT).is_file():
        resumed = (
            f"it holds a run that has not ended; go on with it: swarmopt resume "
            f"{shlex.quote(str(path))} (resume=True), "
        )
    return FolderError(
        f"{path} exists already and is left as it is; {resumed}give another folder, or replace it "
        f"with --overwrite (overwrite=True)"
    )


def free_path(parent: Path, stem: str) -> Path:
    """Return parent/stem-n for the least n from 1 that is not taken."""
    n = 1
    while (parent / f"{stem}-{n}").exists():
        n += 1
    return parent / f"{stem}-{n}"


@contextmanager
def reserved(parent: Path, stem: str) -> Iterator[Path]:
    """Take the next free parent/stem-n as an empty folder; it goes away where it stays empty.

    Raises:
        FolderError: nothing can be made there.
    """
    while True:
        path = free_path(parent, stem)
        try:
            parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError:
            continue  # another run took it in between
        except OSError as error:
            raise FolderError(f"no run folder can be made at {path}: {error}") from error
        break
    try:
        yield path
    finally:
        with suppress(OSError):
            path.rmdir()


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file: whole, or not at all.

    Raises:
        FolderError: it cannot be written.
    """
    text = json.dumps(jsonable(document), indent=2) + "\n"
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.unlink(missing_ok=True)
        with temporary.open("x", encoding="utf-8") as file:  # never through a link
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise FolderError(
            f"{path} cannot be written: {error.strerror or error}; is its folder gone, or the disk "
            f"full?"
        ) from error


def read_settings(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        FolderError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FolderError(f"{path} is not valid TOML: {error}") from error


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python, this platform and the installed distributions among these."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in distributions:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def without_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings as TOML can say them: what is None is left out."""
    return {
        key: without_none(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if value is not None
    }


def umask() -> int:
    """Return the process's mask of permissions that new files do not get."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
