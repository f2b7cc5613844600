"""swarmopt compare: several algorithms on several problems, and what that shows."""

import json
import shlex
from contextlib import nullcontext
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from swarmopt import folder as run_folder
from swarmopt.cli import INTERRUPTED
from swarmopt.cli.help import examples, names_of
from swarmopt.compare.comparison import Comparison
from swarmopt.compare.driver import compare as compare_all
from swarmopt.compare.entries import (
    ADAPTED,
    CLASSIC,
    algorithms_of,
    assignments_of,
    problems_of,
    split,
)
from swarmopt.compare.verdict import Judgement, OnProblem, judge
from swarmopt.compare.words import cost_text, range_text
from swarmopt.errors import SettingError
from swarmopt.terminal import console, printable
from swarmopt.words import count_text

WIDE = 160  # characters of a line where stdout is no terminal


@click.command(
    epilog=examples(
        "swarmopt compare --problem rastrigin --problem knapsack --budget 5000 --out runs/mine",
        "swarmopt compare --problem sphere --algorithms pso,pso:population=50 --budget 2000",
    )
)
@click.option(
    "--problem",
    "problems",
    multiple=True,
    required=True,
    metavar="NAME[:KEY=VALUE...]",
    shell_complete=names_of("problem"),
    help="A name of `swarmopt list`, or package.module:attribute; several times.",
)
@click.option(
    "--algorithms",
    default="ssa,pso,ga",
    show_default=True,
    metavar="NAME[:KEY=VALUE...],...",
    shell_complete=names_of("algorithm"),
    help="Names of `swarmopt list`, or package.module:attribute.",
)
@click.option(
    "--budget", type=int, required=True, help="Evaluations of a run.", envvar="SWARMOPT_BUDGET"
)
@click.option("--seeds", type=int, default=30, show_default=True, help="Runs of each on each.")
@click.option(
    "--workers",
    type=int,
    help="Processes that carry out runs; 0: this one. [as many as cores]",
    envvar="SWARMOPT_WORKERS",
)
@click.option("--only", is_flag=True, help="Do not add ssa-classic beside ssa.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="[NAME.]KEY=VALUE",
    help="A setting of every problem, or of the problem or algorithm NAME.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The folder; one that is there goes on. [runs/compare-N]",
)
@click.option("--json", "as_json", is_flag=True, help="Print what is shown as JSON.")
def compare(
    *,
    problems: tuple[str, ...],
    algorithms: str,
    budget: int,
    seeds: int,
    workers: int | None,
    only: bool,
    assignments: tuple[str, ...],
    out: Path | None,
    as_json: bool,
) -> int:
    """Run algorithms on problems with the same seeds and budget, and say what that shows.

    Runs that have finished are kept: the same command with the same --out does the missing ones
    only, and a larger --seeds adds some.
    """
    names = [name.strip() for name in algorithms.split(",")]
    if "" in names:
        raise SettingError(
            f"--algorithms {algorithms!r}: expected names with a comma between them, one is empty"
        )
    known = [split(text)[0] for text in (*problems, *names)]
    if ADAPTED in known and CLASSIC not in known and not only:
        known.append(CLASSIC)
    settings = assignments_of(assignments, known)
    chosen = problems_of(list(problems), settings)
    entrants = algorithms_of(names, settings, only=only)
    with nullcontext(out) if out else run_folder.reserved(Path("runs"), "compare") as path:
        try:
            comparison = compare_all(
                entrants,
                chosen,
                budget=budget,
                seeds=seeds,
                workers=workers,
                out=path,
                only=only,
                progress=True,
            )
        except KeyboardInterrupt:
            folder = shlex.quote(printable(str(path)))
            click.echo(
                f"interrupted; the runs that have ended are kept in {folder}: the same command "
                f"with --out {folder} goes on",
                err=True,
            )
            return INTERRUPTED
        judgement = judge(comparison)
        if as_json:
            click.echo(json.dumps(judgement.summary(), indent=2))
        else:
            _show(comparison, judgement, path)
    return 0


def _show(comparison: Comparison, judgement: Judgement, path: Path) -> None:
    shown = console()
    if not shown.is_terminal:
        shown.width = WIDE
    seeds = count_text(len(comparison.seeds), "seed")
    title = f"final costs; {count_text(comparison.budget, 'evaluation')}, {seeds}"
    for on in judgement.problems:
        click.echo()
        shown.print(Text(printable(f"{on.problem}: {title}")), soft_wrap=True)
        table = _table(on)
        shown.width = max(shown.width, shown.measure(table).maximum)  # lines wrap, no number is cut
        shown.print(table)
    click.echo(
        "\nERT: expected evaluations to the hardest target that a run of any algorithm reached; "
        "targets are errors of\n1e2 to 1e-8, or costs between the first and the best of all "
        "runs.\n"
    )
    for text in (*judgement.notes, *judgement.sentences):
        click.echo(printable(text))
    click.echo(f"folder: {printable(str(path))}")
    click.echo(f"a page to send: swarmopt report {shlex.quote(printable(str(path)))}")


def _table(on: OnProblem) -> Table:
    """Return the finished runs on one problem; a column that says nothing is left out."""
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    several = any(entry.n > 1 for entry in on.summaries)
    columns = {
        "algorithm": [printable(entry.algorithm) for entry in on.summaries],
        "median" if several else "cost": [cost_text(entry.median) for entry in on.summaries],
        "quartiles": [range_text(entry.low, entry.high) for entry in on.summaries],
        "best": [cost_text(entry.best) if several else "" for entry in on.summaries],
        "failed": [f"{e.n_failed} of {e.n}" if e.n_failed else "" for e in on.summaries],
        "infeasible": [
            f"{e.n_infeasible} of {e.n}" if e.n_infeasible else "" for e in on.summaries
        ],
        **_expected(on),
    }
    shown = {head: texts for head, texts in columns.items() if any(texts)}
    for name in shown:
        table.add_column(name, justify="left" if name == "algorithm" else "right", no_wrap=True)
    for texts in zip(*shown.values(), strict=True):
        table.add_row(*map(Text, texts))
    return table


def _expected(on: OnProblem) -> dict[str, list[str]]:
    """Return the column of expected running times: to one target, the same for all."""
    hardest = {} if on.anytime is None else on.anytime.hardest
    if not any(runtime.n_reached for runtime in hardest.values()):
        return {}
    found = [hardest[entry.algorithm] for entry in on.summaries]
    texts = [f"{each.ert:,.0f}" if each.n_reached else "not reached" for each in found]
    return {f"ERT to {found[0].target:.4g}": texts}
