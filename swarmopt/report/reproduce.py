"""How a run is repeated or gone on with: the exact commands, from its settings."""

import json
import shlex
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tomli_w

from swarmopt.folder import SETTINGS, without_none

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
                (f"algorithm.{k}", as_toml(k, v)) for k, v in value.items() if v is not None
            )
        elif value is not None:
            yield key, as_toml(key, value)


def as_toml(key: str, value: Any) -> str | None:
    """Return a value as `--set` reads it back; None where it does not."""
    if isinstance(value, Mapping) or "=" in key or key != key.strip():
        return None
    text = json.dumps(value, ensure_ascii=False)
    try:
        same: bool = tomllib.loads(f"value = {text}")["value"] == value
    except (KeyError, tomllib.TOMLDecodeError):
        return None
    return text if same else None


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
    """Return the command that goes on with a run, with the code that its settings name."""
    words = ["swarmopt", "resume", str(folder)]
    for key in ("problem", "algorithm"):
        if ":" in str(settings.get(key, "")):
            words += [f"--{key}", str(settings[key])]
    own = settings.get("set", {})
    for key, text in _assignments(own if isinstance(own, Mapping) else {}):
        if text and text.startswith('"') and ":" in text:
            words += ["--set", f"{key}={text}"]
    return shlex.join(words)
