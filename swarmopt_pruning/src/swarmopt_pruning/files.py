"""Files, written whole or not at all, and never through a link that lies in the way."""

import os
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file under another name first, `part_of(path)`, which is then renamed.

    Args:
        path: of the file; its folder is made where there is none.
        content: of the file.

    Raises:
        OSError: It cannot be written; an old file is left as it is.
    """
    part = part_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with part.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise


def part_of(path: Path) -> Path:
    """Return where a file is written until it is whole; a kill may leave it."""
    return path.with_name(f".{path.name}.tmp")
