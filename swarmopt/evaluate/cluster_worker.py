"""What runs inside a Dask worker: a worker process of ours for each of its threads.

Dask cannot end a task that hangs, and dies of a task that dies; our process can be ended, and dies
alone. A run that was not heard of for a minute is cleared away, so a driver that is gone leaves
nothing behind.
"""

import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from swarmopt.errors import WorkerError
from swarmopt.evaluate.crew import Crew
from swarmopt.evaluate.evaluator import Work
from swarmopt.evaluate.faults import Reply
from swarmopt.evaluate.pieces import Piece

PATIENCE = 60.0  # seconds without work after which a run is cleared away


@dataclass(frozen=True)
class Terms:
    """What all evaluations of a run have in common.

    Attributes:
        run: a name that no other run has.
        timeout: seconds that a piece may take; None: no limit.
        threads: of BLAS, OpenMP and torch.
        versions: of the packages that must be the same here.
    """

    run: str
    timeout: float | None
    threads: int
    versions: Mapping[str, str]


@dataclass
class _Run:
    """What this Dask worker holds for one run."""

    idle: list[Crew] = field(default_factory=list)
    busy: dict[int, Crew] = field(default_factory=dict)  # by the number of the piece
    used: float = 0.0  # the time when it last gave a piece back
    over: bool = False


_runs: dict[str, _Run] = {}
_lock = threading.Lock()
_sweeper: threading.Thread | None = None


def evaluate(packed: bytes, terms: Terms, number: int, work: Work) -> Reply:
    """Return what came of a piece of work, evaluated by a process of this Dask worker.

    Args:
        packed: the problem, see `sending`.
        terms: of the run.
        number: of the piece.
        work: the piece.

    Raises:
        WorkerError: the problem cannot be made here.
    """
    run, crew = _take(packed, terms, number)
    try:
        crew.submit([Piece(work)])
        return crew.wait()[1]
    finally:
        _give_back(run, number, crew)


def _take(packed: bytes, terms: Terms, number: int) -> tuple[_Run, Crew]:
    from distributed import get_worker

    with _lock:
        run = _runs.setdefault(terms.run, _Run())
        crew = run.idle.pop() if run.idle else None
        if crew is None:
            wrong = differences(terms.versions, versions(terms.versions))
            if wrong:
                raise WorkerError("; ".join(wrong))
            crew = Crew(
                packed,
                names=[str(get_worker().name)],
                timeout=terms.timeout,
                threads=terms.threads,
            )
        run.busy[number] = crew
        _start_sweeping()
    return run, crew


def _give_back(run: _Run, number: int, crew: Crew) -> None:
    with _lock:
        del run.busy[number]
        run.used = time.monotonic()
        if run.over or crew.busy:
            crew.close()
        else:
            run.idle.append(crew)


def _start_sweeping() -> None:
    """See to it that a thread clears away what no driver asks for any more. Called with `_lock`."""
    global _sweeper  # noqa: PLW0603 - one for this Dask worker
    if _sweeper is None:
        _sweeper = threading.Thread(target=_sweep, daemon=True)
        _sweeper.start()


def _sweep() -> None:
    """End the processes of runs that were idle for too long, until there is no run."""
    global _sweeper  # noqa: PLW0603 - as above
    while True:
        time.sleep(PATIENCE / 10)
        with _lock:
            latest = time.monotonic() - PATIENCE
            idle = [name for name, run in _runs.items() if not run.busy and run.used < latest]
            crews = [crew for name in idle for crew in _runs.pop(name).idle]
            last = not _runs
            if last:
                _sweeper = None
        for crew in crews:
            crew.close()
        if last:
            return


def running(run: str) -> list[int]:
    """Return the numbers of the pieces that are being evaluated here."""
    with _lock:
        return list(_runs[run].busy) if run in _runs else []


def release(run: str) -> None:
    """End the processes of a run, also those that evaluate."""
    with _lock:
        found = _runs.pop(run, _Run())
        found.over = True
        for crew in found.busy.values():
            crew.kill()
        for crew in found.idle:
            crew.close()


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the installed versions of distributions; "" where one is not installed."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def differences(here: Mapping[str, str], there: Mapping[str, str | None]) -> list[str]:
    """Return a line for each package of the driver that a worker lacks or has otherwise."""
    return [
        f"{name} is {mine} here, and {there.get(name) or 'not installed'} on the worker"
        for name, mine in here.items()
        if mine and there.get(name) != mine
    ]
