"""Kills a short run at every write boundary, goes on with it, and prints what came out.

Run as a script by `test_kill.py`: python boundaries.py SCENARIO FOLDER STEP. A boundary is what
reaches the disk or may: each statement and commit of SQLite, each file that is opened for writing,
renamed or removed. Each kill is SIGKILL to a forked child, before the boundary.
"""

import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from swarmopt import FunctionProblem, Real, Result, Space, minimize, record
from swarmopt import space as space_room
from swarmopt.algorithms import PSO

BUDGET, POPULATION = 20, 5
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate"}
calls = Path()


class Boundaries:
    """Counts boundaries, and kills this process before one of them."""

    def __init__(self, fatal: int) -> None:
        self.n = 0
        self.fatal = fatal

    def step(self) -> None:
        if self.n == self.fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.n += 1

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        flags = arguments[2] if event == "open" else 0
        if event in EVENTS or (isinstance(flags, int) and flags & WRITING):
            self.step()


def install(boundaries: Boundaries) -> None:
    class Connection(sqlite3.Connection):
        def execute(self, *arguments: Any) -> Any:
            boundaries.step()
            return super().execute(*arguments)

        def executemany(self, *arguments: Any) -> Any:
            boundaries.step()
            return super().executemany(*arguments)

        def commit(self) -> None:
            boundaries.step()
            super().commit()

        def close(self) -> None:
            boundaries.step()
            super().close()

    sqlite3.connect = partial(sqlite3.connect, factory=Connection)  # type: ignore[assignment]
    sys.addaudithook(boundaries.audit)


class Counted(FunctionProblem):
    """A bowl that notes each call in a file, and leaves a file at the end."""

    artefacts = ("ending.txt",)

    def __init__(self) -> None:
        super().__init__(self.bowl, Space([Real(-5, 5)] * 2), name="counted")

    @staticmethod
    def bowl(x: Any) -> float:
        descriptor = os.open(calls, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, b".")
        os.close(descriptor)
        return float(x @ x)

    def finish(self, result: Result, folder: Path | None) -> Mapping[str, Any]:
        if folder is not None:
            (folder / "ending.txt").write_text(f"{result.fun!r}")
        return {"ended": True}


def search(folder: Path, *, resume: bool) -> Result:
    return minimize(
        Counted(), algorithm=PSO(population=POPULATION), budget=BUDGET, seed=3, run_dir=folder,
        lookahead=1, resume=resume,
    )  # fmt: skip


def stop_after(n: int) -> Callable[[Any], None]:
    def listen(intermediate_result: Any) -> None:
        if intermediate_result.nfev >= n:
            raise KeyboardInterrupt

    return listen


def half_done(folder: Path) -> None:
    """Leave a run that was interrupted after two batches, with a third half recorded."""
    with suppress(KeyboardInterrupt):
        minimize(
            Counted(), algorithm=PSO(population=POPULATION), budget=BUDGET, seed=3, run_dir=folder,
            lookahead=1, callback=stop_after(10),
        )  # fmt: skip


def round_otherwise() -> None:
    """Let this process compute as another processor might: the last bit of a point differs."""
    decode = space_room.Space.decode

    def other(self: Space, unit: Any) -> Any:
        points = decode(self, unit)
        return np.where(points > 0, np.nextafter(points, 0), points)

    space_room.Space.decode = other  # type: ignore[method-assign]


def n_calls() -> int:
    return calls.stat().st_size if calls.exists() else 0


def n_recorded(folder: Path) -> int:
    return record.count(folder) if (folder / record.FILE).exists() else 0


def killed(folder: Path, fatal: int, *, resume: bool) -> int | None:
    """Run in a child that is killed before a boundary; return None, or how many there are."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        boundaries = Boundaries(fatal)
        install(boundaries)
        search(folder, resume=resume)
        os.write(tell, str(boundaries.n).encode())
        os._exit(0)
    os.close(tell)
    _, status = os.waitpid(child, 0)
    text = os.read(told, 20)
    os.close(told)
    if os.WIFSIGNALED(status):
        return None
    if not text:
        sys.exit(f"the child ended with {status}")
    return int(text)


def attempt(scenario: str, place: Path, fatal: int, half: Path) -> dict[str, Any] | None:
    """Kill one run, go on with it, and return what came out; None where it was not killed."""
    folder = place / "run"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    if scenario != "new":
        shutil.copytree(half, folder)
    before = n_recorded(folder)
    calls.unlink(missing_ok=True)
    if killed(folder, fatal, resume=scenario != "new") is not None:
        return None
    first, kept = n_calls(), n_recorded(folder)
    calls.unlink(missing_ok=True)
    result = search(folder, resume=True)
    found = record.read(folder)
    ended = (folder / "ending.txt").read_text()
    return {
        "lost": first - (kept - before),  # evaluated, but not in the record
        "again": n_calls() - (BUDGET - kept),  # evaluated, though in the record
        "ids": found.ids.tolist() == list(range(BUDGET)),
        "points": len(np.unique(found.x, axis=0)),
        "digest": found.digest.hex(),
        "fun": result.fun,
        "ended": ended == repr(result.fun),
        "message": result.message,
        "files": sorted(path.name for path in folder.iterdir()),
    }


def say(found: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def main(scenario: str, root: Path, step: int) -> None:
    global calls  # noqa: PLW0603 - the objective writes there
    calls = root / "calls"
    whole = search(root / "whole", resume=False)
    half = root / "half"
    half_done(half)
    if scenario == "other":
        round_otherwise()
    digest = record.read(root / "whole").digest.hex()
    say({"digest": digest, "fun": whole.fun})
    fatal = 0
    while (found := attempt(scenario, root / "place", fatal, half)) is not None:
        say(found)
        fatal += step


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
