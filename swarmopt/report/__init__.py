"""One self-contained page for a run or a comparison, to be sent to a colleague."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from swarmopt.compare.comparison import Comparison
    from swarmopt.report.page import Page


def page_of_folder(folder: "Path") -> "Page":
    """Return the page of the run or the comparison in a folder.

    Raises:
        FolderError: it holds neither, or what it holds cannot be read or is damaged.
    """
    from swarmopt.compare.record import FILE
    from swarmopt.report.run_page import run_page

    if not (folder / FILE).is_file():
        return run_page(folder)
    from swarmopt.compare.comparison import load
    from swarmopt.report.comparison_page import comparison_page

    return comparison_page(load(folder))


def page_of_folders(folders: "Sequence[Path]") -> "Page":
    """Return the page of the comparisons in several folders, as one comparison.

    Raises:
        FolderError: one holds no comparison, or it cannot be read or is damaged.
        SettingError: they do not belong together, see `swarmopt.compare.merged`.
    """
    from swarmopt.compare.comparison import load
    from swarmopt.compare.merging import merged
    from swarmopt.report.comparison_page import comparison_page

    return comparison_page(merged([load(folder) for folder in folders]))


def write_comparison(comparison: "Comparison", path: "Path") -> "Path":
    """Write the page of a comparison into a folder, or to a file .html; return where it is.

    Raises:
        FolderError: it cannot be written, or something else is there.
    """
    from swarmopt.folder import PAGE
    from swarmopt.report.comparison_page import comparison_page
    from swarmopt.report.writing import write_page

    file = path if path.suffix in (".html", ".htm") else path / PAGE
    return write_page(comparison_page(comparison), file)
