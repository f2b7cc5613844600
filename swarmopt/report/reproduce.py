"""How a run is repeated or gone on with: the exact commands, from its settings."""

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from swarmopt.folder import SETTINGS, without_none
from swarmopt.settings import parse_value
from swarmopt.terminal import printable

FLAGS = (
    "problem", "algorithm", "budget", "max_time", "target", "patience", "seed",
    "workers", "cluster", "eval_timeout", "threads", "chunk",
)  # fmt: skip
PLAIN = {"batch": False, "batch_size": 1, "cache": None, "lookahead": 0, "x0": None, "space": None}


def command(settings: Mapping[str, Any]) -> str:
    """Return the command that repeats a run.

    Where flags cannot say all of its settings, it reads them from a file as `settings_text` has it.

    Args:
        settings: of the run, which names its problem.
    """
    words = ["swarmopt", "run"]
    own = settings.get("set", {})
    values = dict(_assignments(own)) if isinstance(own, Mapping) else {}
    plain = all(settings.get(key, default) == default for key, default in PLAIN.items())
    if not plain or None in values.values():
        return shlex.join([*words, "--config", SETTINGS])
    for key in FLAGS:
        if settings.get(key) is not None:
            words.append(f"--{key.replace('_', '-')}")
            words.append(str(settings[key]))
    for key, text in values.items():
        words += ["--set", f"{key}={text}"]
    return shlex.join(words)


def _assignments(own: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Return what `--set` says, None where it cannot."""
    for key, value in own.items():
        if key == "algorithm" and isinstance(value, Mapping):
            yield from (
                (f"algorithm.{k}", set_text(k, v)) for k, v in value.items() if v is not None
            )
        elif value is not None:
            yield key, set_text(key, value)


def set_text(key: str, value: Any) -> str | None:
    """Return a value as `--set` reads it back; None where it does not."""
    if "=" in key or key != key.strip():
        return None
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if parse_value(text) == value else None


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return the settings as `--config` reads them."""
    return tomli_w.dumps(without_none(settings))


def in_python(settings: Mapping[str, Any], objective: str, space: str) -> str:
    """Return the call that repeats a run which was begun from Python.

    Args:
        settings: of the run.
        objective: how the run calls it.
        space: as the record describes it.
    """
    given = {
        key: value
        for key, value in settings.items()
        if (value is not None and key not in ("set", "algorithm", *PLAIN))
        or (key in PLAIN and value != PLAIN[key])
    }  # fmt: skip
    own = settings.get("set", {}).get("algorithm", {})
    lines = [
        f"# {objective}: the function or problem that was minimised",
        f"space = {space}",
        f"# algorithm: {settings.get('algorithm')} with {own!r}",
        f"minimize({objective}, space, algorithm={settings.get('algorithm')!r}, "
        + ", ".join(f"{key}={value!r}" for key, value in given.items())
        + ")",
    ]
    return "\n".join(lines)


def resume_command(folder: Path, settings: Mapping[str, Any]) -> str:
    """Return the whole `swarmopt resume` of a run, as one types it.

    Code and a cluster of the user's own are named in it, as `swarmopt resume` wants.
    """
    words = ["swarmopt", "resume", str(folder)]
    for flag, value in code(settings):
        option, _, key = flag.partition(" ")
        words += [option, f"{key}={value}" if key else value]
    if settings.get("cluster") is not None:
        words += ["--cluster", str(settings["cluster"])]
    return printable(shlex.join(words))


def code(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the flags that name code in the settings of a run, and their values."""
    for key in ("problem", "algorithm"):
        if ":" in str(settings.get(key, "")):
            yield f"--{key}", str(settings[key])
    given = settings.get("set")
    own = dict(given) if isinstance(given, Mapping) else {}
    inner = own.pop("algorithm", None)
    if isinstance(inner, Mapping):
        own |= {f"algorithm.{key}": value for key, value in inner.items()}
    for key, value in own.items():
        if _may_name_code(value):
            plain = isinstance(value, str) and parse_value(value) == value
            text = value if plain else json.dumps(value, ensure_ascii=False, default=str)
            yield f"--set {key}", text


def _may_name_code(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_may_name_code(entry) for entry in (*value, *value.values()))
    if isinstance(value, list):
        return any(map(_may_name_code, value))
    return isinstance(value, str) and ":" in value
