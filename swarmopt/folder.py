"""The folder of a run: made whole or not at all, and never over something that exists."""

import importlib.metadata
import json
import os
import platform
import shutil
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from swarmopt.errors import FolderError
from swarmopt.journal import Journal
from swarmopt.space import Space

SETTINGS = "run.toml"
RESULT = "result.json"


def create(
    path: Path,
    settings: Mapping[str, Any],
    space: Space,
    *,
    overwrite: bool = False,
    distributions: Iterable[str] = (),
) -> Journal:
    """Make a run folder with its settings and an empty record, and return the record.

    It is made under a temporary name beside `path` and renamed once it is whole.

    Args:
        path: where; must not exist, or be empty.
        settings: the resolved settings, as `run.toml` will say them.
        space: of the run.
        overwrite: whether an earlier run folder at `path` may be replaced.
        distributions: packages beside the usual whose versions are noted.

    Raises:
        FolderError: it exists, or cannot be written.
    """
    check_free(path, overwrite=overwrite)
    document = {
        **_without_none(settings),
        "versions": versions(["swarmopt", "numpy", "scipy", *distributions]),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise FolderError(
            f"no run folder can be made at {path}: {error.strerror or error}. Give a folder that "
            f"you may write to"
        ) from error
    try:
        (fresh / SETTINGS).write_text(tomli_w.dumps(document), "utf-8")
        with Journal.create(fresh, space):
            pass
        fresh.chmod(0o777 & ~_umask())
        _put(fresh, path)
    except BaseException as error:
        shutil.rmtree(fresh, ignore_errors=True)
        if isinstance(error, OSError) and not isinstance(error, FolderError):
            raise FolderError(f"no run folder can be made at {path}: {error}") from error
        raise
    return Journal.open(path)


def check_free(path: Path, *, overwrite: bool) -> None:
    """Raise FolderError unless a run folder may be made at this path."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if not path.exists() and not path.is_symlink():
        return
    if not overwrite:
        raise FolderError(
            f"{path} exists already and is left as it is; give another folder, or replace it with "
            f"--overwrite (overwrite=True)"
        )
    if not (path / SETTINGS).is_file():
        raise FolderError(
            f"{path} exists and is no run folder (it has no {SETTINGS}), so it is not overwritten; "
            f"give another folder"
        )


def _put(fresh: Path, path: Path) -> None:
    """Rename the new folder to its place; an earlier run there goes away once that is done."""
    if not path.exists():
        fresh.rename(path)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{path.name}-old-", dir=path.parent))
    path.rename(old / path.name)
    try:
        fresh.rename(path)
    except OSError:
        (old / path.name).rename(path)
        raise
    finally:
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)


def free_path(parent: Path, stem: str) -> Path:
    """Return parent/stem-n for the least n from 1 that is not taken."""
    n = 1
    while (parent / f"{stem}-{n}").exists():
        n += 1
    return parent / f"{stem}-{n}"


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file: whole, or not at all.

    Raises:
        FolderError: it cannot be written.
    """
    text = json.dumps(document, indent=2, allow_nan=False) + "\n"
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text, "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise FolderError(f"{path} cannot be written: {error}") from error


def read_settings(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        FolderError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FolderError(f"{path} cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
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


def _without_none(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings as TOML can say them: what is None is left out."""
    return {
        key: _without_none(value) if isinstance(value, Mapping) else value
        for key, value in settings.items()
        if value is not None
    }


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
