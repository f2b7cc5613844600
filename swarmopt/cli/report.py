"""swarmopt report: one page for the run or the comparison in a folder, or comparisons in some."""

from pathlib import Path

import click

from swarmopt.cli.help import examples
from swarmopt.folder import PAGE
from swarmopt.terminal import printable


@click.command(
    epilog=examples(
        "swarmopt report runs/mine --out mine.html",
        "swarmopt report runs/compare-1 runs/compare-2 --out both.html",
    )
)
@click.argument(
    "folders", nargs=-1, required=True, metavar="FOLDER...", type=click.Path(path_type=Path)
)
@click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), help="The page. [FOLDER/report.html]"
)
def report(folders: tuple[Path, ...], *, out: Path | None) -> None:
    """Write one self-contained HTML page about the run or the comparison in FOLDER.

    Comparisons in several folders are shown as one, if their budgets are the same, and what has the
    same name is the same. Nothing that a folder says is run; the page refers to nothing outside of
    it.
    """
    from swarmopt.report import page_of_folder, page_of_folders
    from swarmopt.report.writing import write_page

    if len(folders) > 1 and out is None:
        raise click.UsageError("several folders make a page of their own; give it with --out FILE")
    page = page_of_folder(folders[0]) if len(folders) == 1 else page_of_folders(folders)
    written = write_page(page, out or folders[0] / PAGE)
    size = written.stat().st_size
    click.echo(f"page: {printable(str(written))} ({size / 1000:,.0f} kB)")
