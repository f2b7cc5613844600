"""Worker processes on this machine: pieces of work go in, replies come out as they finish.

Every worker has pipes of its own, so that one that is killed at any moment can damage nothing that
another one uses (a pool with one queue for all loses its lock or half a message then).
"""

import queue
import time
from collections import deque
from collections.abc import Iterable, Sequence

from swarmopt.errors import WorkerError
from swarmopt.evaluate.faults import Lost, Reply, TimedOut
from swarmopt.evaluate.pieces import Piece
from swarmopt.evaluate.resident import Gone, Inbox, Message, Resident
from swarmopt.evaluate.worker import Answer, Broken, Ready

TICK = 0.5  # seconds after which a death that closed no pipe is noticed
FAILED_STARTS = 3  # in a row: more will not help
LEAVE = 2.0  # seconds for an idle worker to end by itself


class Crew:
    """Keeps worker processes, started when there is work for them and replaced when they die.

    Args:
        packed: the problem, see `sending`.
        names: of the workers, one each.
        timeout: seconds that a piece may take, from when its worker gets it; None: no limit.
        threads: of BLAS, OpenMP and torch in each.
    """

    def __init__(
        self,
        packed: bytes,
        *,
        names: Sequence[str],
        timeout: float | None = None,
        threads: int = 1,
    ) -> None:
        self._packed = packed
        self._names = names
        self._timeout = timeout
        self._threads = threads
        self._queue: deque[Piece] = deque()
        self._residents: list[Resident] = []
        self._inbox: Inbox = queue.SimpleQueue()
        self._failed_starts = 0

    @property
    def busy(self) -> bool:
        """Whether any piece is waiting or being evaluated."""
        return self.n_pieces > 0

    @property
    def n_pieces(self) -> int:
        """How many pieces are waiting or being evaluated."""
        return len(self._queue) + sum(r.piece is not None for r in self._residents)

    def submit(self, pieces: Iterable[Piece]) -> None:
        """Take pieces, to be begun in this order."""
        self._queue.extend(pieces)
        self._hand_out()

    def again(self, piece: Piece) -> None:
        """Take a piece back, to be begun before all others."""
        self._queue.appendleft(piece)

    def drop(self) -> None:
        """Forget the pieces that nobody has begun."""
        self._queue.clear()

    def wait(self) -> tuple[Piece, Reply]:
        """Return the next reply, and the piece it belongs to. Called only while `busy`.

        Raises:
            WorkerError: workers cannot make the problem.
        """
        while True:
            self._hand_out()
            resident, message = self._next()
            if resident not in self._residents:
                continue  # killed in the meantime
            piece = resident.piece
            reply = self._read(resident, message)
            if piece is not None and reply is not None:
                resident.piece = None
                self._hand_out()  # before the driver sees to what came
                return piece, reply

    def _hand_out(self) -> None:
        """Give work to idle workers, and start workers for what is left."""
        idle = [r for r in self._residents if r.ready and r.piece is None and not r.dead]
        while self._queue and idle:
            idle.pop(0).give(self._queue.popleft(), self._timeout)
        wanted = len(self._queue) - sum(not r.ready for r in self._residents)
        taken = {r.name for r in self._residents}
        free = [name for name in self._names if name not in taken]
        for name in free[: max(0, wanted)]:
            self._residents.append(
                Resident(name, self._packed, threads=self._threads, inbox=self._inbox)
            )

    def _next(self) -> tuple[Resident, Message | TimedOut]:
        """Return what happens next, and to whom."""
        while True:
            now = time.monotonic()
            for resident in self._residents:
                if resident.piece is not None and resident.deadline <= now:
                    return resident, TimedOut(self._timeout or 0.0)
            soonest = min((r.deadline for r in self._residents if r.piece), default=now + TICK)
            try:
                return self._inbox.get(timeout=min(TICK, soonest - now))
            except queue.Empty:
                pass
            for resident in self._residents:
                if resident.seen_dead:  # and no `Gone`: a process that it left holds the pipe
                    return resident, Gone()
                resident.seen_dead = resident.dead

    def _read(self, resident: Resident, message: Message | TimedOut) -> Reply | None:
        """Return what the message says about a piece of work, if anything."""
        match message:
            case Answer(reply=reply):
                if resident.answers(message):
                    return reply
                self._remove(resident)
                return Lost("answered what it was not asked; does the objective fork processes?")
            case Ready():
                resident.ready = True
                self._failed_starts = 0
            case Broken(text):
                raise WorkerError(f"a worker cannot make the problem; there it says:\n{text}")
            case TimedOut():
                self._remove(resident)
                return message
            case Gone():
                self._residents.remove(resident)
                how = resident.epitaph()
                self._count_start(resident, how)
                return Lost(how)
        return None

    def _remove(self, resident: Resident) -> None:
        self._residents.remove(resident)
        resident.kill()

    def _count_start(self, resident: Resident, how: str) -> None:
        if resident.ready:
            return
        self._failed_starts += 1
        if self._failed_starts >= FAILED_STARTS:
            raise WorkerError(
                f"{self._failed_starts} workers in a row ended while they made the problem; the "
                f"last one {how}. Try it without workers to see why"
            )

    def kill(self) -> None:
        """Kill all workers, whoever waits for them."""
        for resident in list(self._residents):
            resident.kill()

    def close(self) -> None:
        """End all workers: idle ones by themselves, others at once."""
        residents, self._residents = self._residents, []
        self._queue.clear()
        for resident in residents:
            if resident.ready and resident.piece is None:
                resident.ask_to_leave()
            else:
                resident.kill()
        for resident in residents:
            resident.leave(LEAVE)
