"""swarmopt run: optimise a problem and keep the run in a folder."""

import json
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from swarmopt import folder as run_folder
from swarmopt import journal as record
from swarmopt.cli import INTERRUPTED, NOTHING_FEASIBLE
from swarmopt.cli.config import Config, make_algorithm, make_problem, overlay, read_config
from swarmopt.errors import FinishError, FolderError, SwarmoptError
from swarmopt.inputs import default_limits, draw_seed, hyper_parameters
from swarmopt.jsonable import jsonable
from swarmopt.limits import Limits, check_count
from swarmopt.result import Result
from swarmopt.run import execute
from swarmopt.search import Search
from swarmopt.space import Space

FLAGS = ("problem", "algorithm", "budget", "max_time", "target", "patience", "seed")


@click.command()
@click.option(
    "--problem",
    help="A name of `swarmopt list`, or package.module:attribute of yours.",
    envvar="SWARMOPT_PROBLEM",
)
@click.option(
    "--algorithm",
    help="A name of `swarmopt list`, or package.module:attribute. [ssa]",
    envvar="SWARMOPT_ALGORITHM",
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
    problem, own = make_problem(settings)
    algorithm = make_algorithm(settings)
    limits = default_limits(
        problem, Limits(settings.budget, settings.max_time, settings.target, settings.patience)
    )
    seed = draw_seed() if settings.seed is None else settings.seed
    points = None if settings.x0 is None else problem.space.points(settings.x0)
    search = Search(
        problem,
        algorithm,
        seed=seed,
        limits=limits,
        batch_size=settings.batch_size,
        cache=settings.cache,
        x0=points,
    )
    check_count("lookahead", settings.lookahead, least=0)
    settings = msgspec.structs.replace(
        settings,
        seed=seed,
        budget=limits.budget,
        x0=None if points is None else points.tolist(),
        set={**own, "algorithm": hyper_parameters(algorithm)},
    )
    stem = f"{problem.name}-{algorithm.name}"
    if dry_run:
        path = out or run_folder.free_path(Path("runs"), stem)
        _show_plan(settings, problem.space, path, as_json=as_json)
        return 0
    with nullcontext(out) if out else run_folder.reserved(Path("runs"), stem) as path:
        return _run(search, settings, path, overwrite=overwrite, as_json=as_json)


def _run(search: Search, settings: Config, path: Path, *, overwrite: bool, as_json: bool) -> int:
    """Run the search in a folder, show what came out, and return the exit code."""
    problem = search.problem
    try:
        result = execute(
            search,
            settings=document(settings),
            run_dir=path,
            overwrite=overwrite,
            lookahead=settings.lookahead,
            progress=True,
        )
    except KeyboardInterrupt:
        click.echo(f"interrupted; {_kept(search, path)}", err=True)
        return INTERRUPTED
    except FinishError as error:
        _show(error.result, "", path)
        with suppress(OSError):
            _draw(error.result, path)
        raise
    except SwarmoptError as error:
        if search.started:
            click.echo(_kept(search, path), err=True)
        raise error from None
    _draw(result, path)
    if as_json:
        click.echo(json.dumps(result.summary(), indent=2))
    else:
        _show(result, problem.describe(result), path)
    return 0 if result.success else NOTHING_FEASIBLE


def _draw(result: Result, path: Path) -> None:
    from swarmopt.plot import convergence

    convergence(result, path / run_folder.PICTURE)


def _kept(search: Search, path: Path) -> str:
    """Return what is left of a run that did not end."""
    if not search.started:
        return "nothing was evaluated yet"
    try:
        n = record.count(path)
    except FolderError as error:
        return str(error)
    found = ", and the search's result," if (path / run_folder.RESULT).exists() else ""
    return f"the record of {n:,} evaluations{found} is kept in {path}"


def document(settings: Config) -> dict[str, Any]:
    """Return the resolved settings as `run.toml` holds them."""
    found: dict[str, Any] = jsonable(msgspec.structs.asdict(settings))
    return {key: value for key, value in found.items() if value is not None}


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
    for key, value in plan.items():
        shown = "infinitely many" if key == "points" and value is None else value
        click.echo(f"{key:>10}  {shown}")
    for name, variable in list(zip(space.names, space.variables, strict=True))[:12]:
        click.echo(f"{name:>10}  {variable!r}")
    if len(space) > 12:
        click.echo(f"{'...':>10}  {len(space) - 12} more variables")


def _show(result: Result, description: str, path: Path) -> None:
    click.echo(f"{result.problem}, {result.algorithm}, seed {result.seed}: {result.message}")
    cost = f"cost {result.fun:.10g}" if result.params else "nothing found"
    violation = f", violation {result.violation:.6g}" if result.violation > 0 else ""
    failed = f", {result.n_failed:,} failed" if result.n_failed else ""
    click.echo(
        f"{cost}{violation} after {result.nfev:,} evaluations{failed} in {result.seconds:.1f} s"
    )
    if description:
        click.echo(description)
    else:
        for name, value in list(result.params.items())[:20]:
            click.echo(f"  {name} = {jsonable(value)}")
        if len(result.params) > 20:
            click.echo(f"  and {len(result.params) - 20} more in {path / run_folder.RESULT}")
    click.echo(f"run folder: {path}")
