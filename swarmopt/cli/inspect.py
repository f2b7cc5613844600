"""swarmopt list, show and plugins: what there is, without running anything."""

import inspect
import json
from typing import Any

import click

from swarmopt import plugins as loader
from swarmopt.cli.config import NEEDS_SPACE, is_plain
from swarmopt.cli.help import examples, names_of
from swarmopt.compare.entries import split
from swarmopt.errors import SettingError, UnknownNameError
from swarmopt.settings import check_values, import_object, settings_of

SHOWN = {"problems": "problem", "algorithms": "algorithm"}


@click.command("list", epilog=examples("swarmopt list algorithms --json"))
@click.argument("what", type=click.Choice([*SHOWN]), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def list_(what: str | None, *, as_json: bool) -> None:
    """List problems and algorithms."""
    entries = loader.installed().entries
    chosen = {plural: kind for plural, kind in SHOWN.items() if what in (None, plural)}
    if as_json:
        found = {
            plural: [
                {"name": name, "help": e.registration.help, "plugin": e.owner}
                for name, e in entries[kind].items()
            ]
            for plural, kind in chosen.items()
        }
        click.echo(json.dumps(found, indent=2))
        return
    for plural, kind in chosen.items():
        click.echo(f"{plural}:")
        width = max((len(name) for name in entries[kind]), default=0)
        for name, entry in entries[kind].items():
            owner = "" if entry.owner == "swarmopt" else f"  [{entry.owner}]"
            click.echo(f"  {name:<{width}}  {entry.registration.help}{owner}")


@click.command(epilog=examples("swarmopt show rastrigin", "swarmopt show pso:population=50"))
@click.argument(
    "name", metavar="NAME[:KEY=VALUE...]", shell_complete=names_of("problem", "algorithm")
)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def show(name: str, *, as_json: bool) -> None:
    """Show what a problem or an algorithm is, and its settings."""
    name, values = split(name)
    kind, found = _find(name)
    plain = kind == "problem" and is_plain(found)
    if plain and values:
        raise SettingError(f"{name} is a plain function and takes no setting {next(iter(values))}")
    given = check_values(found, values, f"{kind} {name}")
    prefix = "algorithm." if kind == "algorithm" else ""
    rows = [
        {
            "key": f"{prefix}{s.name}",
            "type": s.type_name,
            "default": None if s.required else s.default,
            "required": s.required,
            **({"given": given[s.name]} if s.name in given else {}),
        }
        for s in ([] if plain else settings_of(found).values())
    ]
    doc = inspect.getdoc(found) or ""
    label = getattr(found, "label", name)
    if as_json:
        about = {"name": name, "kind": kind, "label": label, "doc": doc, "settings": rows}
        click.echo(json.dumps(about, indent=2, default=str))
        return
    title = "\n\n".join(filter(None, (f"{kind} {label}", doc)))
    click.echo(f"{title}\n")
    if plain:
        click.echo(f"It is {NEEDS_SPACE}.")
    if rows:
        click.echo("settings, for --set KEY=VALUE:")
    width = max((len(str(row["key"])) for row in rows), default=0)
    for row in rows:
        default = "needed" if row["required"] else f"default {row['default']!r}"
        value = f"{row['given']!r} ({default})" if "given" in row else default
        click.echo(f"  {row['key']:<{width}}  {row['type']}, {value}")


def _find(name: str) -> tuple[str, Any]:
    if ":" in name:
        found = import_object(name)
        return ("algorithm" if hasattr(found, "ask") else "problem"), found
    registry = loader.installed()
    for kind in SHOWN.values():
        if name in registry.entries[kind]:
            return kind, registry.get(kind, name)
    if name in loader.PACKAGES:
        registry.get("problem", name)
    known = [n for kind in SHOWN.values() for n in registry.entries[kind]]
    raise UnknownNameError("problem or algorithm", name, known, own=True)


@click.command(epilog=examples("swarmopt plugins --json"))
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def plugins(*, as_json: bool) -> None:
    """List plugins and their hooks, and why one is skipped."""
    registry = loader.installed()
    if as_json:
        click.echo(json.dumps({"loaded": registry.loaded, "skipped": registry.skipped}, indent=2))
        return
    for name, hooks in registry.loaded.items():
        click.echo(f"{name}: {', '.join(hooks) or 'no hooks'}")
    for name, reason in registry.skipped.items():
        click.echo(f"{name}: skipped: {reason}")
