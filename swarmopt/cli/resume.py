"""swarmopt resume: go on with the run in a folder, which may be a stranger's.

What a folder says is never imported: code of the user's own is named again on the command line.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from swarmopt.cli.config import Config, as_config, overlay
from swarmopt.cli.help import examples
from swarmopt.cli.session import carry_out, document, set_up
from swarmopt.errors import FolderError, SettingError
from swarmopt.report.reproduce import code, resume_command
from swarmopt.resuming import begun_with_another, difference, recorded
from swarmopt.terminal import printable


@click.command(
    epilog=examples(
        "swarmopt resume runs/mine",
        "swarmopt resume runs/mine --problem mypackage.module:loss",
    )
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--problem", help="The run's own problem, where it is package.module:attribute.")
@click.option("--algorithm", help="The run's own algorithm, alike.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the run that names code, alike.",
)
@click.option("--workers", type=int, help="Processes that evaluate; 0: this one. [as before]")
@click.option("--cluster", metavar="ADDRESS", help="Evaluate on a Dask cluster.")
@click.option("--eval-timeout", type=float, help="Seconds that one evaluation may take.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def resume(
    folder: Path,
    *,
    problem: str | None,
    algorithm: str | None,
    assignments: tuple[str, ...],
    workers: int | None,
    cluster: str | None,
    eval_timeout: float | None,
    as_json: bool,
) -> int:
    """Go on with the run in FOLDER from its record.

    Settings are those of the run. Code of yours that it names (package.module:attribute) is
    imported only where this command names it again; so is a cluster.
    """
    settings = _settings(folder)
    named = {key: v for key, v in {"problem": problem, "algorithm": algorithm}.items() if v}
    _check_named(folder, settings, named, assignments)
    where = {"workers": workers, "cluster": cluster, "eval_timeout": eval_timeout}
    _check_cluster(folder, settings, where)
    config = msgspec.structs.replace(
        settings, **{key: value for key, value in where.items() if value is not None}
    )
    if workers is not None or cluster is not None:
        config = msgspec.structs.replace(config, workers=workers, cluster=cluster)
    search, config, resources = set_up(config)
    return carry_out(search, config, resources, folder, resume=True, as_json=as_json)


def _settings(folder: Path) -> Config:
    """Return the settings of the run in a folder."""
    found = recorded(folder)
    if found is None:
        raise FolderError(f"{folder} holds no run; begin one with: swarmopt run --out {folder}")
    if not found.get("problem"):
        raise SettingError(
            f"the run in {folder} was begun from Python and its objective has no name; go on with "
            f"it there: minimize(..., run_dir={str(folder)!r}, resume=True)"
        )
    return as_config(found, str(folder))


def _check_named(
    folder: Path, settings: Config, named: Mapping[str, str], assignments: tuple[str, ...]
) -> None:
    """Raise SettingError unless the command names all code of the run, and nothing else."""
    repeated = overlay(settings, named, assignments)
    keys = ("problem", "algorithm", "set")
    now = {key: getattr(repeated, key) for key in keys}
    found = difference({key: getattr(settings, key) for key in keys}, now)
    new = now["set"].keys() - settings.set.keys()
    if not found and new:
        found = f"set.{min(new)}", None, now["set"][min(new)]
    if found:
        raise SettingError(begun_with_another(*found))
    needed = dict(code(document(settings)))
    given = {f"--{key}" for key in named} | {
        f"--set {a.partition('=')[0].strip()}" for a in assignments
    }
    missing = [flag for flag in needed if flag not in given]
    if missing:
        raise SettingError(
            f"the run in {folder} uses code that its folder names. A folder may come from anyone, "
            f"so nothing of it is imported unless you name it yourself. If you know this code:\n\n"
            f"    {resume_command(folder, document(settings))}\n"
        )


def _check_cluster(folder: Path, settings: Config, given: Mapping[str, Any]) -> None:
    """Raise SettingError where only the folder names the machine that evaluations would go to."""
    if settings.cluster is None or given["cluster"] is not None or given["workers"] is not None:
        return
    raise SettingError(
        f"the run in {folder} evaluated on the cluster {printable(settings.cluster)}; name the "
        f"cluster again with --cluster, or evaluate here with --workers N"
    )
