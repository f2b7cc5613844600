"""swarmopt export: a run or a comparison for other programs."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from swarmopt.cli.help import examples
from swarmopt.errors import FolderError
from swarmopt.terminal import printable

if TYPE_CHECKING:
    from _typeshed import SupportsWrite


@click.command(
    epilog=examples(
        "swarmopt export runs/mine --out mine.csv", "swarmopt export runs/mine --format ioh"
    )
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "ioh"]),
    default="csv",
    show_default=True,
    help="csv: a table; ioh: a folder for IOHanalyzer and iohinspector.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="A new file or folder. [csv: stdout, ioh: FOLDER-ioh]",
)
def export(folder: Path, *, kind: str, out: Path | None) -> None:
    """Write the run or the comparison in FOLDER for other programs.

    csv has a row an evaluation of a run, or a row a run of a comparison.
    """
    from swarmopt.compare.comparison import load
    from swarmopt.compare.record import FILE
    from swarmopt.export import ioh, table
    from swarmopt.report.account import read_account

    compared = (folder / FILE).is_file()
    if kind == "ioh":
        target = out or folder.with_name(f"{folder.resolve().name}-ioh")
        if compared:
            ioh.write_comparison(load(folder), target)
        else:
            ioh.write_run(read_account(folder), target)
        click.echo(f"folder: {printable(str(target))}")
        return
    with _opened(out) as file:
        if compared:
            n = table.write_comparison(load(folder), file)
        else:
            n = table.write_run(folder, file)
    if out is not None:
        click.echo(f"table: {printable(str(out))} ({n:,} rows)")


@contextlib.contextmanager
def _opened(out: Path | None) -> Iterator["SupportsWrite[str]"]:
    """Open a new file, which is taken away when it cannot be written whole, or stdout."""
    if out is None:
        yield _Screen() if sys.stdout.isatty() else sys.stdout
        return
    try:
        file = out.open("x", encoding="utf-8", newline="")
    except FileExistsError:
        raise FolderError(
            f"{out} exists and is left as it is; give another file with --out"
        ) from None
    except OSError as error:
        raise _unwritten(out, error) from error
    try:
        with file:
            yield file
    except BaseException as error:
        out.unlink()
        if isinstance(error, OSError) and not isinstance(error, FolderError):
            raise _unwritten(out, error) from error
        raise


def _unwritten(out: Path, error: OSError) -> FolderError:
    return FolderError(f"{out} cannot be written: {error.strerror or error}")


class _Screen:
    """A terminal, which shows what names of a stranger hold and does not obey it."""

    def write(self, text: str) -> int:
        """Show a text."""
        return sys.stdout.write(printable(text))
