"""A run as the command line carries it out, whether it is new or goes on."""

import json
import shlex
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np

from swarmopt import folder as run_folder
from swarmopt import record
from swarmopt.cli import INTERRUPTED, NOTHING_FEASIBLE
from swarmopt.cli.config import Config, make_algorithm, make_problem
from swarmopt.errors import AllFailedError, FinishError, FolderError, SwarmoptError
from swarmopt.evaluate.resources import Resources
from swarmopt.inputs import default_limits, draw_seed, hyper_parameters, resources_of
from swarmopt.jsonable import jsonable
from swarmopt.limits import Limits, check_count
from swarmopt.report.reproduce import resume_command
from swarmopt.result import Result
from swarmopt.run import execute
from swarmopt.search import Search
from swarmopt.terminal import printable
from swarmopt.words import count_text


def set_up(settings: Config) -> tuple[Search, Config, Resources]:
    """Return the search that the settings describe, the resolved settings, and where to evaluate.

    Raises:
        SettingError: what is wrong with them.
    """
    with redirect_stdout(sys.stderr):  # importing a user's module may print
        problem, own = make_problem(settings)
        algorithm = make_algorithm(settings)
    limits = default_limits(
        problem, Limits(settings.budget, settings.max_time, settings.target, settings.patience)
    )
    resources = resources_of(
        problem,
        Resources(
            settings.workers,
            settings.cluster,
            settings.eval_timeout,
            settings.threads,
            settings.chunk,
        ),
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
        workers=resources.workers,
        x0=None if points is None else points.tolist(),
        set={**own, "algorithm": hyper_parameters(algorithm)},
    )
    return search, settings, resources


def carry_out(
    search: Search,
    settings: Config,
    resources: Resources,
    path: Path,
    *,
    overwrite: bool = False,
    resume: bool = False,
    as_json: bool,
) -> int:
    """Run the search in a folder, show what came out, and return the exit code.

    Args:
        search: not started yet.
        settings: resolved.
        resources: where evaluations go.
        path: of the run folder.
        overwrite: as in `minimize`.
        resume: whether the run in the folder goes on.
        as_json: whether to print the result as JSON.
    """
    try:
        with redirect_stdout(sys.stderr):  # an objective may print; stdout is for the result
            result = execute(
                search,
                settings=document(settings),
                run_dir=path,
                overwrite=overwrite,
                resume=resume,
                lookahead=settings.lookahead,
                resources=resources,
                progress=True,
            )
            description = search.problem.describe(result)
    except KeyboardInterrupt:
        click.echo(f"interrupted; {_kept(search, settings, path)}", err=True)
        return INTERRUPTED
    except FinishError as error:
        _show(error.result, "", path)
        _draw(error.result, path)
        again = resume_command(path, document(settings))
        advice = f"mend that; this step is done again by: {again}"
        raise FinishError(f"{error}; {advice}", error.result) from error
    except SwarmoptError as error:
        if search.started:
            failed = isinstance(error, AllFailedError)
            click.echo(_kept(search, settings, path, all_failed=failed), err=True)
        raise error from None
    if as_json:
        click.echo(json.dumps(result.summary(), indent=2))
    else:
        _show(result, description, path)
    _draw(result, path)
    return 0 if result.success else NOTHING_FEASIBLE


def _draw(result: Result, path: Path) -> None:
    """Draw the picture of a run; warn where that fails, as the run is whole without it."""
    history = result.history
    title = f"{result.problem}, {result.algorithm}, seed {result.seed}"
    nfev, best, median = map(np.array, (history.nfev, history.best, history.median))
    try:
        from swarmopt.plots.run import convergence
        from swarmopt.plots.style import save

        save(convergence(nfev, best, median, title=title), path / run_folder.PICTURE)
    except (ImportError, OSError) as error:
        why = printable(" ".join(str(error).split()))
        click.echo(f"warning: {run_folder.PICTURE} is not drawn: {why}", err=True)


def _kept(search: Search, settings: Config, path: Path, *, all_failed: bool = False) -> str:
    """Return what is left of a run that did not end."""
    if not search.started:
        return "nothing was evaluated yet"
    try:
        n = record.count(path)
    except FolderError as error:
        return str(error)
    found = ", and the search's result," if (path / run_folder.RESULT).exists() else ""
    if all_failed:  # a resumed run would be told the same failures
        advice = "mend the objective first, then begin anew with --overwrite or another --out"
    else:
        advice = f"go on with: {resume_command(path, document(settings))}"
    return f"the record of {count_text(n, 'evaluation')}{found} is kept in {path}; {advice}"


def document(settings: Config) -> dict[str, Any]:
    """Return the resolved settings as `run.toml` holds them."""
    found: dict[str, Any] = jsonable(msgspec.structs.asdict(settings))
    return {key: value for key, value in found.items() if value is not None}


def _show(result: Result, description: str, path: Path) -> None:
    title = f"{result.problem}, {result.algorithm}, seed {result.seed}: {result.message}"
    click.echo(printable(title))
    cost = f"cost {result.fun:.10g}" if result.params else "nothing found"
    violation = f", violation {result.violation:.6g}" if result.violation > 0 else ""
    failed = f", {result.n_failed:,} failed" if result.n_failed else ""
    click.echo(
        f"{cost}{violation} after {count_text(result.nfev, 'evaluation')}{failed} in "
        f"{result.seconds:.1f} s"
    )
    if description:
        click.echo(printable(description))
    else:
        for name, value in list(result.params.items())[:20]:
            click.echo(printable(f"  {name} = {jsonable(value)}"))
        if len(result.params) > 20:
            click.echo(f"  and {len(result.params) - 20} more in {path / run_folder.RESULT}")
    click.echo(f"run folder: {path}")
    click.echo(f"a page to send: swarmopt report {shlex.quote(printable(str(path)))}")
