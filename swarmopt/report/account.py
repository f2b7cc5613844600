"""A run as its record tells of it, read once from the first row to the last.

Only what was told counts, as in the result: evaluations of a batch that is not complete are told of
by their number. Of each evaluation no more than its key and outcome stay in memory.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swarmopt import lock, record
from swarmopt.compare.record import FILE as CELLS
from swarmopt.errors import FolderError
from swarmopt.evaluation import INFEASIBLE
from swarmopt.folder import RESULT, SETTINGS, read_settings
from swarmopt.report.described import space_of
from swarmopt.report.gathered import Failure, Gathered
from swarmopt.rows import CHUNK
from swarmopt.space import Space
from swarmopt.types import Integers, Vector

SHOWN_FAILURES = 12  # different texts


@dataclass(eq=False)
class Account:
    """What a run folder says of its run.

    Attributes:
        folder: where it is.
        about: what the record says of the run: settings, names, what came after it.
        settings: of the run.
        versions: of what it ran with.
        space: None where the record does not describe it well enough.
        names: d names of the variables.
        digest: of all that was told.
        in_use: whether a process holds the folder.
        seconds: of the search.
        n_recorded: evaluations, told or not.
        n_batches: complete ones.
        key: (n,) of what was told.
        status: (n,) an `Outcome` each.
        nfev: (b,) evaluations after each batch.
        best: (b,) least feasible cost by then, inf before any.
        median: (b,) lower median of each batch, inf where it is infeasible or failed.
        elite: (k,) the best rows that differ, the best first.
        low: (d,) least value of each variable that was evaluated.
        high: (d,) greatest.
        failures: by text.
        n_kinds: of failures, of which at most `SHOWN_FAILURES` are in `failures`.
        said: by name (n,) what the problem says of each evaluation in a number, NaN where nothing.
        result: what `result.json` says, which is no part of the record.
    """

    folder: Path
    about: Mapping[str, Any]
    settings: Mapping[str, Any]
    versions: Mapping[str, Any]
    space: Space | None
    names: tuple[str, ...]
    digest: bytes
    in_use: bool
    seconds: float
    n_recorded: int
    n_batches: int
    key: Vector
    status: NDArray[np.int8]
    nfev: Integers
    best: Vector
    median: Vector
    elite: NDArray[np.void]
    low: Vector
    high: Vector
    failures: list[Failure]
    n_kinds: int
    said: Mapping[str, Vector]
    result: Mapping[str, Any] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Evaluations that were told."""
        return len(self.key)

    @property
    def finished(self) -> Mapping[str, Any] | None:
        """What came after the run; None where it has not ended."""
        found: Mapping[str, Any] | None = self.about["finished"]
        return found

    @property
    def n_failed(self) -> int:
        """Evaluations that failed, as the run counted them."""
        return int(np.isinf(self.key).sum())

    @property
    def n_feasible(self) -> int:
        """Evaluations of a feasible point with a finite cost."""
        return int((self.key < INFEASIBLE).sum())

    @property
    def report(self) -> Mapping[str, Any]:
        """What the problem added after the search."""
        found = (self.finished or {}).get("report")
        return found if isinstance(found, Mapping) else {}

    def values(self, x: Vector) -> list[Any]:
        """Return the user's values of a point; its numbers where the space is not known."""
        if self.space is None:
            return list(x.tolist())
        try:
            return list(self.space.params(x[None])[0].values())
        except (IndexError, ValueError):  # a record from elsewhere may hold what no space does
            return list(x.tolist())


def read_account(folder: Path) -> Account:
    """Return what a run folder says of its run, after all of its record was checked.

    Raises:
        FolderError: it is no run folder, or cannot be read, or is damaged.
    """
    check_run(folder)
    document = read_settings(folder / SETTINGS)
    versions = document.pop("versions", {})
    with record.opened(folder) as db:
        log = record.verify(db, folder / record.FILE)
        names = tuple(map(str, log.about["names"]))
        told = int(log.batches["n"].sum())
        gathered = Gathered(len(names), log.batches)
        reader = log.reader.again(db)
        while gathered.n < told:
            gathered.add(reader.next(CHUNK))
    key = np.concatenate([np.empty(0), *gathered.keys])
    nfev, best, median = _curve(log.batches, key)
    return Account(
        folder=folder,
        about=log.about,
        settings=log.about.get("settings", document),
        versions=versions if isinstance(versions, Mapping) else {},
        space=space_of(str(log.about["space"]), names),
        names=names,
        digest=log.digest_before(),
        in_use=lock.in_use(folder),
        seconds=log.seconds,
        n_recorded=log.n,
        n_batches=len(log.batches),
        key=key,
        status=np.concatenate([np.empty(0, np.int8), *gathered.statuses]),
        nfev=nfev,
        best=best,
        median=median,
        elite=gathered.elite,
        low=gathered.low,
        high=gathered.high,
        failures=list(gathered.failures.values())[:SHOWN_FAILURES],
        n_kinds=len(gathered.failures),
        said=gathered.columns(),
        result=_result(folder),
    )


def check_run(folder: Path) -> None:
    """Raise FolderError, which says what a folder is instead, unless it holds a run."""
    if not folder.exists():
        raise FolderError(f"{folder} does not exist; give the folder of a run or a comparison")
    if not folder.is_dir():
        raise FolderError(f"{folder} is a file; give the folder of a run, which it may lie in")
    if not any(folder.iterdir()):
        raise FolderError(
            f"{folder} is empty; expected a folder that `swarmopt run --out {folder}` or "
            f"`swarmopt compare --out {folder}` has made"
        )
    if not (folder / SETTINGS).is_file():
        raise FolderError(
            f"{folder} is no folder of a run or a comparison: it holds no {SETTINGS} and no {CELLS}"
        )


def _curve(batches: NDArray[np.void], key: Vector) -> tuple[Integers, Vector, Vector]:
    """Return evaluations, best and median after each batch that has any."""
    batches = batches[batches["n"] > 0]
    ends = np.cumsum(batches["n"])
    running = np.minimum.accumulate(np.r_[np.inf, key])[1:]
    best = running[ends - 1] if len(ends) else np.empty(0)
    parts = np.split(key, ends[:-1]) if len(ends) else []
    median = np.array([np.sort(part)[(len(part) - 1) // 2] for part in parts])
    return (
        ends.astype(np.int64),
        np.where(best < INFEASIBLE, best, np.inf),
        np.where(median < INFEASIBLE, median, np.inf),
    )


def _result(folder: Path) -> Mapping[str, Any]:
    """Return what `result.json` says; nothing where there is none that can be read."""
    path = folder / RESULT
    try:
        if path.is_symlink() or path.stat().st_size > 2**24:
            return {}
        found = json.loads(path.read_text("utf-8"))
    except (OSError, RecursionError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
