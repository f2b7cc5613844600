"""swarmopt run: optimise a problem and keep the run in a folder."""

import json
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from swarmopt import folder as run_folder
from swarmopt.cli.config import Config, overlay, read_config
from swarmopt.cli.help import examples, names_of
from swarmopt.cli.session import carry_out, document, set_up
from swarmopt.space import Space
from swarmopt.terminal import printable
from swarmopt.words import count_text

FLAGS = (
    "problem", "algorithm", "budget", "max_time", "target", "patience", "seed",
    "workers", "cluster", "eval_timeout", "threads", "chunk",
)  # fmt: skip
SHOWN = 12  # variables of a dry run


@click.command(
    epilog=examples(
        "swarmopt run --problem rastrigin --set dim=20 --algorithm pso --budget 10000 --seed 1",
        "swarmopt run --problem mypackage.module:loss --config space.toml --workers 4",
    )
)
@click.option(
    "--problem",
    help="A name of `swarmopt list`, or package.module:attribute of yours.",
    envvar="SWARMOPT_PROBLEM",
    shell_complete=names_of("problem"),
)
@click.option(
    "--algorithm",
    help="A name of `swarmopt list`, or package.module:attribute. [ssa]",
    envvar="SWARMOPT_ALGORITHM",
    shell_complete=names_of("algorithm"),
)
@click.option("--budget", type=int, help="Evaluations at most.", envvar="SWARMOPT_BUDGET")
@click.option(
    "--max-time", type=float, help="Seconds of search at most.", envvar="SWARMOPT_MAX_TIME"
)
@click.option(
    "--target", type=float, help="Stop at a feasible cost as low as this.", envvar="SWARMOPT_TARGET"
)
@click.option(
    "--patience",
    type=int,
    help="Stop after so many evaluations without a better point.",
    envvar="SWARMOPT_PATIENCE",
)
@click.option(
    "--seed",
    type=int,
    help="Repeats a run; drawn and noted when not given.",
    envvar="SWARMOPT_SEED",
)
@click.option(
    "--workers",
    type=int,
    help="Processes that evaluate; 0: this one. [what the problem wants]",
    envvar="SWARMOPT_WORKERS",
)
@click.option(
    "--cluster",
    metavar="ADDRESS",
    help="Evaluate on a Dask cluster: tcp://host:8786.",
    envvar="SWARMOPT_CLUSTER",
)
@click.option(
    "--eval-timeout",
    type=float,
    help="Seconds that one evaluation may take on a worker.",
    envvar="SWARMOPT_EVAL_TIMEOUT",
)
@click.option(
    "--threads",
    type=int,
    help="Threads of BLAS, OpenMP and torch in each process. [1]",
    envvar="SWARMOPT_THREADS",
)
@click.option(
    "--chunk",
    type=int,
    help="Points of one call, where a problem takes whole populations.",
    envvar="SWARMOPT_CHUNK",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the problem; algorithm.KEY=VALUE is the algorithm's.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A TOML file with settings and a [space].",
    envvar="SWARMOPT_CONFIG",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="The run folder. [runs/PROBLEM-ALGORITHM-N]",
    envvar="SWARMOPT_OUT",
)
@click.option("--overwrite", is_flag=True, help="Replace an earlier run at --out.")
@click.option("--dry-run", is_flag=True, help="Resolve and show all settings, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def run(
    ctx: click.Context,
    /,
    *,
    assignments: tuple[str, ...],
    config: Path | None,
    out: Path | None,
    overwrite: bool,
    dry_run: bool,
    as_json: bool,
    **flags: Any,
) -> int:
    """Optimise a problem and keep the run in a folder.

    Settings come from --config, then the environment (SWARMOPT_BUDGET and so on), then flags and
    --set; later ones win. What the file alone can say: batch, batch_size, cache, lookahead, x0 and
    [space].
    """
    given = {
        name: flags[name]
        for name in FLAGS
        if ctx.get_parameter_source(name) not in (ParameterSource.DEFAULT, None)
    }
    settings = overlay(read_config(config), given, assignments)
    search, settings, resources = set_up(settings)
    stem = f"{search.problem.name}-{search.algorithm.name}"
    if dry_run:
        path = out or run_folder.free_path(Path("runs"), stem)
        _show_plan(settings, search.problem.space, path, as_json=as_json)
        return 0
    with nullcontext(out) if out else run_folder.reserved(Path("runs"), stem) as path:
        return carry_out(search, settings, resources, path, overwrite=overwrite, as_json=as_json)


def _show_plan(settings: Config, space: Space, path: Path, *, as_json: bool) -> None:
    size = space.domain.size
    plan = {
        **document(settings),
        "variables": len(space),
        "points": int(size) if size < 2**63 else None,
        "out": str(path),
    }
    if as_json:
        click.echo(json.dumps(plan, indent=2, default=str))
        return
    own = plan.pop("set")
    hyper = {f"algorithm.{key}": value for key, value in own.pop("algorithm").items()}
    if "x0" in plan:
        plan["x0"] = count_text(len(plan["x0"]), "starting point")
    plan.pop("space", None)  # its variables follow
    plan["points"] = "infinitely many" if plan["points"] is None else f"{plan['points']:,}"
    _show_rows("", plan)
    _show_rows("settings, for --set KEY=VALUE:", {**own, **hyper})
    variables = dict(list(zip(space.names, space.variables, strict=True))[:SHOWN])
    _show_rows("variables:", variables)
    if len(space) > SHOWN:
        click.echo(f"  and {len(space) - SHOWN:,} more")


def _show_rows(title: str, rows: Mapping[str, Any]) -> None:
    """Show a table of names and values, one a line."""
    if title and rows:
        click.echo(f"\n{title}")
    width = max(map(len, rows), default=0)
    for key, value in rows.items():
        shown = value if isinstance(value, str) and value else repr(value)
        click.echo(printable(f"{'  ' if title else ''}{key:<{width}}  {shown}"))
