"""One driver per run folder: a lock that a killed process lets go of by itself."""

import os
import platform
from contextlib import suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows has no flock
    fcntl = None  # type: ignore[assignment]

from swarmopt.errors import FolderError
from swarmopt.terminal import printable

LOCK = "run.lock"
NO_LINK = getattr(os, "O_NOFOLLOW", 0)


def acquire(folder: Path) -> int:
    """Return the descriptor of a run folder's lock file, locked; closing it lets go.

    The file says which process on which machine holds it.

    Raises:
        FolderError: another process holds it, or it cannot be opened.
    """
    try:
        return _acquired(folder)
    except FolderError:
        raise
    except OSError as error:
        raise FolderError(
            f"{folder} cannot be used: its lock {LOCK} cannot be taken: {error.strerror or error}. "
            f"Give a folder that you may write to"
        ) from error


def _acquired(folder: Path) -> int:
    path = folder / LOCK
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINK, 0o666)
        try:
            _lock(descriptor, folder)
            if _is_at(descriptor, path):
                os.ftruncate(descriptor, 0)
                os.write(descriptor, f"{os.getpid()} {platform.node()}\n".encode())
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the holder removed it in between


def release(folder: Path, held: int) -> None:
    """Remove the lock file of a run folder and let its lock go."""
    with suppress(OSError):
        (folder / LOCK).unlink()
    os.close(held)


def in_use(folder: Path) -> bool:
    """Return whether a process holds the lock; True where that cannot be told."""
    if fcntl is None:
        return True
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | NO_LINK | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def check_unused(folder: Path) -> None:
    """Raise FolderError where another process holds the lock."""
    if fcntl is None:
        return
    try:
        descriptor = os.open(folder / LOCK, os.O_RDONLY | NO_LINK | os.O_NONBLOCK)
    except OSError:
        return
    try:
        _lock(descriptor, folder)
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise FolderError(
            f"{folder} is in use by a run that goes on{_holder(descriptor)}; wait for it, or give "
            f"another folder"
        ) from error


def _holder(descriptor: int) -> str:
    """Return who holds the lock, as its file says."""
    try:
        pid, _, host = os.read(descriptor, 300).decode("utf-8", "replace").partition(" ")
    except OSError:
        return ""
    return f" (process {printable(pid)} on {printable(host.strip())})" if pid and host else ""


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is still the one at this path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False
