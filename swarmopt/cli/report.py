"""swarmopt report: one page for the run or the comparison in a folder."""

from pathlib import Path

import click

from swarmopt.cli.help import examples
from swarmopt.folder import PAGE
from swarmopt.terminal import printable


@click.command(epilog=examples("swarmopt report runs/mine --out mine.html"))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="The page. [FOLDER/report.html]"
)
def report(folder: Path, *, out: Path | None) -> None:
    """Write one self-contained HTML page about the run or the comparison in FOLDER.

    Nothing that the folder says is run; the page refers to nothing outside of it.
    """
    from swarmopt.report import page_of_folder
    from swarmopt.report.writing import write_page

    written = write_page(page_of_folder(folder), out or folder / PAGE)
    size = written.stat().st_size
    click.echo(f"page: {printable(str(written))} ({size / 1000:,.0f} kB)")
