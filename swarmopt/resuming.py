"""What a run folder must say so that its run can go on: the same settings as are given now."""

import json
import logging
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from swarmopt import record, schema
from swarmopt.errors import FolderError, SettingError
from swarmopt.folder import SETTINGS, read_settings, without_none
from swarmopt.journal import Journal
from swarmopt.problem import Problem
from swarmopt.terminal import printable

log = logging.getLogger(__name__)

WHERE = frozenset(
    {"workers", "cluster", "eval_timeout", "threads", "chunk"}
)  # where evaluations run may change
SHOWN = 60  # characters of a value in a message


def recorded(path: Path) -> dict[str, Any] | None:
    """Return the settings of the run in a folder; None where there is no folder, or an empty one.

    Raises:
        FolderError: it is no run folder, or its record is damaged.
    """
    try:
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return None
    except OSError as error:  # no permission, a name too long
        raise FolderError(f"{path} cannot be read: {error.strerror or error}") from error
    if not (path / SETTINGS).is_file():
        raise FolderError(
            f"{path} is no run folder (it has no {SETTINGS}), so no run in it can go on"
        )
    document = _without_versions(path)
    with record.opened(path) as db:
        found = schema.of_file(db, path / record.FILE)
        about = record.read_about(db, found, path / record.FILE)
    if found is not schema.LATEST:
        return document
    settings: dict[str, Any] = about["settings"]
    if not isinstance(settings.get("seed"), int):
        raise FolderError(f"the record in {path} names no seed, so its run cannot go on")
    begun = without_none(settings)
    key, old, new = difference(begun, document) or (None, None, None)
    if key is None:
        key, new, old = difference(document, begun) or (None, None, None)
    if key is not None:
        old, new = shown(old, new)
        raise FolderError(
            f"{path / SETTINGS} was changed since the run began: {printable(key)} is {new} there, "
            f"and {old} in the record. Put it back; a run with other settings is another run"
        )
    return settings


def _without_versions(path: Path) -> dict[str, Any]:
    """Return the settings in the `run.toml` of a folder."""
    document = read_settings(path / SETTINGS)
    document.pop("versions", None)
    return document


def open_journal(path: Path, settings: Mapping[str, Any], problem: Problem) -> Journal:
    """Return the journal of the run in a folder that is entered, to go on with it.

    Args:
        path: of the folder.
        settings: of the run as it is asked for now.
        problem: as given now.

    Raises:
        FolderError: the record is damaged, or of a newer version.
        SettingError: the run was begun with other settings; the message names the difference.
    """
    journal = Journal.open(path, _without_versions(path))
    with ExitStack() as stack:
        stack.enter_context(journal)
        _check_same(journal.log.about, settings, problem)
        stack.pop_all()
    log.info("going on with the run in %s: %d evaluations are recorded", path, journal.log.n)
    return journal


def _check_same(about: Mapping[str, Any], settings: Mapping[str, Any], problem: Problem) -> None:
    """Raise SettingError, which names the difference, unless a run is the one that is recorded.

    Args:
        about: what the record says of it.
        settings: of the run as it is asked for now. What the record does not know is new.
        problem: as given now.
    """
    before = {**about["settings"], "problem": about["problem"], "space": about["space"]}
    given = json.loads(json.dumps(settings, default=str))  # as the record has them
    now = {**given, "problem": problem.name, "space": repr(problem.space)}
    if about["problem"] is None:
        del before["problem"]
    found = difference({k: v for k, v in before.items() if k not in WHERE}, now)
    if found:
        raise SettingError(f"{begun_with_another(*found)}, or another folder for a new run")


def check_fingerprint(journal: Journal, now: Mapping[str, str], problem: str) -> None:
    """Raise SettingError unless a problem's costs are those that the record is of.

    Args:
        journal: of the run; of one that is over nothing is evaluated again.
        now: the fingerprint of the problem; what the record does not know is new.
        problem: how it is called.
    """
    before = journal.log.about["fingerprint"]
    changed = [name for name in before if before[name] != now.get(name)]
    if changed and not journal.ended_after:
        raise SettingError(
            f"{problem}: since the run began, the {printable(' and the '.join(changed))} changed, "
            f"so what is recorded are the costs of something else. Put back what it began with, or "
            f"begin a new run in another folder"
        )


def difference(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> tuple[str, Any, Any] | None:
    """Return the first key of `before` whose value is another in `after`, and both values."""
    for key, old in before.items():
        new = after.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            inner = difference(old, new, f"{prefix}{key}.")
            if inner:
                return inner
        elif old != new:
            return f"{prefix}{key}", old, new
    return None


def begun_with_another(key: str, old: Any, new: Any) -> str:
    """Return the beginning of what is said where `difference` found one."""
    was, given = shown(old, new)
    return (
        f"the run was begun with another {printable(key)}: recorded {was}, given {given}. Give the "
        f"recorded one to go on"
    )


def shown(old: Any, new: Any) -> tuple[str, str]:
    """Return two values that differ, each from shortly before where they do."""
    texts = ["nothing" if value is None else printable(repr(value)) for value in (old, new)]
    same = next((i for i, (a, b) in enumerate(zip(*texts, strict=False)) if a != b), 0)
    start = max(0, same - SHOWN // 2) if max(map(len, texts)) > SHOWN else 0
    cut = [text[start : start + SHOWN] for text in texts]
    return f"{'...' * (start > 0)}{cut[0]}", f"{'...' * (start > 0)}{cut[1]}"
