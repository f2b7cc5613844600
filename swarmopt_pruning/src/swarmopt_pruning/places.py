"""Folders where trained originals are kept and data sets are looked for."""

import os
from collections.abc import Collection
from pathlib import Path

SYSTEM = Path("/usr/share/datasets")
"""Where Debian's data packages put their files."""


def cache_folder() -> Path:
    """Return the folder of trained originals: $XDG_CACHE_HOME/swarmopt, or ~/.cache/swarmopt."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "swarmopt"


def data_folders(name: str) -> list[Path]:
    """Return where a named data set is looked for, in this order."""
    own = os.environ.get("SWARMOPT_DATA")
    roots = [Path(own)] if own else []
    return [root / name for root in (*roots, cache_folder(), SYSTEM)]


def first_with(folders: Collection[Path], names: Collection[str]) -> Path | None:
    """Return the first folder that holds a file of one of these names."""
    return next((f for f in folders if any((f / name).is_file() for name in names)), None)
