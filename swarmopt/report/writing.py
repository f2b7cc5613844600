"""A page as a file: whole or not there, and never over something else."""

from pathlib import Path

from swarmopt.errors import FolderError
from swarmopt.report.page import Page

MARK = b'<meta name="generator" content="swarmopt report">'


def write_page(page: Page, path: Path) -> Path:
    """Write a page, and return where it is; an earlier page there is replaced.

    Raises:
        FolderError: it cannot be written, or something else is there.
    """
    text = page.html()
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        if path.is_symlink() or (path.exists() and not _is_page(path)):
            raise FolderError(
                f"{path} exists and is no page of a report, so it is left as it is; give another "
                f"file with --out"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        with temporary.open("x", encoding="utf-8") as file:  # never through a link
            file.write(text)
        temporary.replace(path)
    except OSError as error:
        if isinstance(error, FolderError):
            raise
        raise FolderError(
            f"{path} cannot be written: {error.strerror or error}; give a file that you may write "
            f"with --out"
        ) from error
    return path


def _is_page(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return MARK in file.read(1024)
