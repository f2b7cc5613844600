"""The command that repeats a comparison, from its settings."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from swarmopt import plugins
from swarmopt.compare.comparison import Comparison
from swarmopt.compare.entries import split
from swarmopt.errors import SettingError
from swarmopt.report.reproduce import set_text


def compare_command(comparison: Comparison) -> str:
    """Return the command that repeats a comparison; nothing where only Python can."""
    settings = comparison.settings
    if comparison.seeds != tuple(range(len(comparison.seeds))) or settings.get("x0"):
        return ""
    words = ["swarmopt", "compare"]
    for problem in comparison.problems:
        words += ["--problem", problem]
    words += ["--algorithms", ",".join(comparison.algorithms), "--only"]
    words += ["--budget", str(comparison.budget), "--seeds", str(len(comparison.seeds))]
    try:
        for kind, labels in (
            ("problem", comparison.problems),
            ("algorithm", comparison.algorithms),
        ):
            for assignment in _assignments(kind, labels, settings[kind]):
                words += ["--set", assignment]
    except (AttributeError, KeyError, SettingError, TypeError):  # no names of the command line
        return ""
    return shlex.join(words)


def _assignments(kind: str, labels: Sequence[str], about: Mapping[str, Any]) -> Iterator[str]:
    """Return the settings that the labels do not say themselves.

    Raises:
        SettingError: they were not made by the command line.
    """
    parts = {label: split(label) for label in labels}
    for name in dict.fromkeys(name for name, _ in parts.values()):
        mine = [label for label in labels if parts[label][0] == name]
        if any("," in label for label in mine) or not (
            ":" in name or all(_made_by_name(kind, name, about[label]) for label in mine)
        ):
            raise SettingError(f"{name} is no name of the command line")
        said = {key for label in mine for key in parts[label][1]}
        for key, value in about[mine[0]]["settings"].items():
            alike = all(about[label]["settings"].get(key) == value for label in mine)
            if key in said or value is None or not alike:
                continue
            text = set_text(key, value)
            if text is None:
                raise SettingError(f"{key} cannot be said in a flag")
            yield f"{name}.{key}={text}"


def _made_by_name(kind: str, name: str, about: Mapping[str, Any]) -> bool:
    """Return whether the command line makes something by its name: an object may be called alike.

    A problem that was made so has a factory; whether an algorithm was is not written down.
    """
    registered = name in plugins.installed().entries[kind]
    return registered and about["name"] == name and about.get("factory", name) is not None
