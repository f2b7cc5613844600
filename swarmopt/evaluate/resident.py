"""The driver's end of a worker process, from its start to its death."""

import contextlib
import math
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from typing import Any

from swarmopt.errors import WorkerError
from swarmopt.evaluate.guardian import Guardian
from swarmopt.evaluate.pieces import Piece
from swarmopt.evaluate.threads import environment
from swarmopt.evaluate.worker import Answer, Broken, Ready, Task


class Gone:
    """The process has ended; what it said last."""


Message = Ready | Broken | Answer | Gone
Inbox = queue.SimpleQueue[tuple["Resident", Message]]


class Resident:
    """A worker process that holds a problem, has at most one piece of work, and is not replaced.

    It is a new interpreter that imports what the problem needs, not the user's script, so a script
    needs no `if __name__ == "__main__"`. It has a session of its own: Ctrl-C does not reach it, and
    what it starts itself is killed with it. It ends with this process, see `guardian`.

    Args:
        name: SWARMOPT_WORKER of its environment, by which a problem may choose a device.
        packed: the problem, see `sending`.
        threads: of BLAS, OpenMP and torch.
        inbox: where its messages go.

    Raises:
        WorkerError: the machine has no process left.
    """

    def __init__(self, name: str, packed: bytes, *, threads: int, inbox: Inbox) -> None:
        self.name = name
        self.ready = False
        self.piece: Piece | None = None
        self.deadline = math.inf
        self.seen_dead = False
        self._number = 0  # of the last task
        start = f"import sys; sys.path[:], sys.argv[:] = {sys.path!r}, {sys.argv!r}; "
        start += "from swarmopt.evaluate.worker import main; main()"
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                [sys.executable, "-c", start],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, **environment(threads), "SWARMOPT_WORKER": name},
                start_new_session=True,
            )
        except OSError as error:
            raise WorkerError(f"worker {name} cannot be started: {error}") from error
        self._guardian = Guardian(self.pid)
        threading.Thread(target=self._listen, args=(packed, inbox), daemon=True).start()

    def _listen(self, packed: bytes, inbox: Inbox) -> None:
        """Send the problem and pass on what comes, until the process ends."""
        assert self._process.stdout is not None  # noqa: S101 - for the type checker
        with contextlib.suppress(Exception), self._process.stdout as source:  # half a message: gone
            self._write(packed)
            while True:
                inbox.put((self, pickle.load(source)))  # noqa: S301 - from our own process
        inbox.put((self, Gone()))

    def _write(self, message: object) -> None:
        assert self._process.stdin is not None  # noqa: S101 - for the type checker
        pickle.dump(message, self._process.stdin)
        self._process.stdin.flush()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def dead(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def give(self, piece: Piece, timeout: float | None) -> None:
        """Send a piece of work; the clock of its time limit starts."""
        self.piece = piece
        self.deadline = math.inf if timeout is None else time.monotonic() + timeout
        with contextlib.suppress(OSError):  # dead: `Gone` comes
            self._number += 1
            self._write(Task(self._number, piece.work))

    def answers(self, answer: Answer) -> bool:
        """Return whether an answer is that to the last piece of work."""
        return answer.number == self._number

    def kill(self) -> None:
        """End the process at once, and what it started."""
        self._guardian.dismiss()  # first: afterwards another process may get the number of this one
        if os.name == "posix":
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        else:
            self._process.kill()
        self._process.wait()
        self._close_input()  # last: a large problem may still be on its way

    def ask_to_leave(self) -> None:
        """Let an idle process end by itself."""
        self._close_input()

    def leave(self, seconds: float) -> None:
        """Wait until it has ended, and kill it where that takes longer."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.kill()

    def _close_input(self) -> None:
        stdin: Any = self._process.stdin
        with contextlib.suppress(OSError):  # what was not read is lost with it
            stdin.close()

    def epitaph(self) -> str:
        """Return how a process that is gone has ended."""
        self.leave(1.0)
        code = self._process.returncode
        if code >= 0:
            return f"exited with code {code}"
        try:
            name = signal.Signals(-code).name
        except ValueError:
            name = f"signal {-code}"
        return f"was ended by {name}"
