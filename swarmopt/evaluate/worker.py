"""What runs inside a worker process: it makes the problem once, then evaluates what it is sent.

It reads from standard input and answers on standard output, of which the problem sees neither: what
it prints goes to standard error. When the driver is gone, so is the worker within a second, with
all that it started.
"""

import contextlib
import io
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from typing import BinaryIO, NoReturn, cast

from swarmopt.evaluate.attempt import attempt, raised
from swarmopt.evaluate.evaluator import Work
from swarmopt.evaluate.faults import Breach
from swarmopt.evaluate.sending import unpack
from swarmopt.evaluation import Evaluation
from swarmopt.jsonable import jsonable
from swarmopt.problem import Problem

PRINTED = 10_000  # bytes of one evaluation that are passed on
GRACE = 0.5  # seconds to finish when the driver is gone


@dataclass(frozen=True, eq=False)
class Task:
    """Work, and a number that the answer to it carries."""

    number: int
    work: Work


@dataclass(frozen=True, eq=False)
class Answer:
    """What came of the task of this number."""

    number: int
    reply: Evaluation | Breach


@dataclass(frozen=True)
class Ready:
    """The problem is made; send work."""


@dataclass(frozen=True)
class Broken:
    """The problem cannot be made here; why is in the text."""

    text: str


def main() -> None:
    """Serve the driver at the other end of standard input and output until it goes."""
    source, sink = _take_channel()
    printed = _limit_output()
    inbox: queue.Queue[Task | None] = queue.Queue()
    try:
        packed: bytes = pickle.load(source)  # noqa: S301 - from the driver, through a pipe
    except (EOFError, pickle.UnpicklingError):  # it has gone already
        return
    threading.Thread(target=_listen, args=(source, inbox), daemon=True).start()
    try:
        problem = unpack(packed)
    except BaseException:  # noqa: BLE001 - whatever it is, the driver says it
        sink.send(Broken(traceback.format_exc()))
        return
    sink.send(Ready())
    while (task := inbox.get()) is not None:
        printed.start()
        sink.send(Answer(task.number, _evaluate(problem, task.work)))


def _evaluate(problem: Problem, work: Work) -> Evaluation | Breach:
    """Return what came of the work, as plain values that can be sent."""
    try:
        found = attempt(problem, work)
    except KeyboardInterrupt:  # no terminal reaches a worker: the objective's own
        found = raised(len(work.x))
    if isinstance(found, Breach):
        return found
    info = [jsonable(row) for row in found.info]
    return Evaluation(found.cost, found.violation, found.status, info)


class _Sink:
    """The way to the driver, for this process alone: not for one that the problem forks."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pid = os.getpid()

    def send(self, message: object) -> None:
        if os.getpid() != self._pid:
            os._exit(1)
        try:
            pickle.dump(message, self._file)
            self._file.flush()
        except BrokenPipeError:  # the driver is gone
            _end()


def _listen(source: BinaryIO, inbox: "queue.Queue[Task | None]") -> None:
    """Pass on what the driver sends; when it is gone, leave, even from within an evaluation."""
    with contextlib.suppress(Exception):
        while True:
            inbox.put(pickle.load(source))  # noqa: S301 - from the driver, through a pipe
    inbox.put(None)
    time.sleep(GRACE)
    _end()


def _end() -> NoReturn:
    """End this process, and with it what it started."""
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _take_channel() -> tuple[BinaryIO, _Sink]:
    """Return standard input and output for ourselves; give the problem nothing and stderr."""
    source, sink = os.fdopen(os.dup(0), "rb"), _Sink(os.fdopen(os.dup(1), "wb"))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return source, sink


class _Printed(io.RawIOBase):
    """Standard error, of which each evaluation may use so much."""

    def __init__(self) -> None:
        self._left = PRINTED

    def start(self) -> None:
        """Begin another evaluation."""
        self._left = PRINTED

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2

    def write(self, data: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        size = len(data)
        if self._left > 0:
            passed = bytes(data[: self._left])
            self._left -= size
            if self._left <= 0:
                passed += (
                    f"\n[the rest of what this evaluation prints is left out: more than "
                    f"{PRINTED:,} bytes]\n".encode()
                )
            with contextlib.suppress(OSError):  # nobody listens
                os.write(2, passed)
        return size


def _limit_output() -> _Printed:
    raw = _Printed()
    buffer = io.BufferedWriter(cast("io.RawIOBase", raw))
    sys.stdout = sys.stderr = io.TextIOWrapper(
        buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True
    )
    return raw
