"""The command that goes on with a run: code and cluster of the user's own are named in it."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from swarmopt.cli.config import Config
from swarmopt.terminal import printable


def command(folder: Path, settings: Config) -> str:
    """Return the whole `swarmopt resume` of a run, as one types it."""
    words = ["swarmopt", "resume", str(folder)]
    for flag, value in code(settings):
        option, _, key = flag.partition(" ")
        words += [option, f"{key}={value}" if key else value]
    if settings.cluster is not None:
        words += ["--cluster", settings.cluster]
    return printable(shlex.join(words))


def code(settings: Config) -> Iterator[tuple[str, str]]:
    """Yield the flags that name code in the settings of a run, and their values."""
    for key in ("problem", "algorithm"):
        if ":" in getattr(settings, key):
            yield f"--{key}", getattr(settings, key)
    own = {key: value for key, value in settings.set.items() if key != "algorithm"}
    inner = settings.set.get("algorithm", {})
    if isinstance(inner, Mapping):
        own |= {f"algorithm.{key}": value for key, value in inner.items()}
    for key, value in own.items():
        if _may_name_code(value):
            yield f"--set {key}", value if isinstance(value, str) else _as_toml(value)


def _may_name_code(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_may_name_code(entry) for entry in (*value, *value.values()))
    if isinstance(value, list):
        return any(map(_may_name_code, value))
    return isinstance(value, str) and ":" in value


def _as_toml(value: Any) -> str:
    return tomli_w.dumps({"value": value}).removeprefix("value = ").strip()
