"""Evaluation on a Dask cluster, which somebody else has started: `--cluster tcp://host:8786`."""

import contextlib
import platform
import queue
import uuid
import warnings
from collections import deque
from concurrent.futures import CancelledError
from itertools import count
from types import TracebackType
from typing import Any, Self

from swarmopt.errors import WorkerError
from swarmopt.evaluate import cluster_worker
from swarmopt.evaluate.cluster_worker import Terms
from swarmopt.evaluate.evaluator import Finished, Work
from swarmopt.evaluate.faults import Lost, Reply, settle
from swarmopt.evaluate.pieces import Piece, cut, warn_of_idle
from swarmopt.evaluate.resources import Resources
from swarmopt.evaluate.scheduler import connect
from swarmopt.evaluate.sending import pack
from swarmopt.problem import Problem

TICK = 0.5  # seconds after which a scheduler that is gone is noticed
SAME = ("swarmopt", "numpy", "cloudpickle")  # versions that workers must share with the driver


class Cluster:
    """Evaluates on the workers of a Dask scheduler, each in a process of its own there.

    Args:
        problem: ready to evaluate.
        resources: `cluster` is the address of the scheduler.

    Raises:
        WorkerError: nobody answers, versions differ, or the problem cannot be sent.
    """

    def __init__(self, problem: Problem, resources: Resources) -> None:
        self._problem = problem
        self._chunk = resources.chunk
        self._address = str(resources.cluster)
        self._bytes = pack(problem)
        self._client = connect(self._address)
        try:
            same = _check_versions(self._client, self._address, problem)
            self._n_workers = sum(self._client.nthreads().values())
            self._terms = Terms(uuid.uuid4().hex, resources.eval_timeout, resources.threads, same)
            self._send_problem()
        except BaseException:
            self._client.close()
            raise
        self._inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._numbers = count()
        self._waiting: dict[str, tuple[int, Piece, Any]] = {}  # by key: number, piece, future
        self._replies: deque[tuple[str, Reply]] = deque()
        self._warned = False

    @property
    def busy(self) -> bool:
        """Whether anything is being evaluated or waits for it."""
        return bool(self._waiting)

    def submit(self, work: Work) -> None:
        """Take points to evaluate."""
        for part in cut(work, self._problem, self._chunk):
            self._send(Piece(part))

    def _send_problem(self) -> None:
        """Put the problem on the cluster once, where all evaluations find it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of its size
            self._packed = self._client.submit(bytes, self._bytes, pure=False)

    def _send(self, piece: Piece) -> None:
        number = next(self._numbers)
        key = f"swarmopt-{self._terms.run}-{number}"
        future = self._client.submit(
            cluster_worker.evaluate,
            self._packed,
            self._terms,
            number,
            piece.work,
            key=key,
            priority=-number,
            pure=False,
        )
        self._waiting[key] = number, piece, future
        future.add_done_callback(self._inbox.put)

    def wait(self) -> Finished:
        """Return what finishes next, tried again by the rules where a worker died or hung.

        Raises:
            ObjectiveError: the problem breaks its contract.
            WorkerError: the scheduler is gone, or workers cannot make the problem.
        """
        if not self._warned:
            self._warned = True
            warn_of_idle(len(self._waiting), self._n_workers)
        while True:
            if not self._replies:
                self._fetch()
                continue
            key, reply = self._replies.popleft()
            if key not in self._waiting:
                continue  # dropped
            _, piece, _ = self._waiting.pop(key)
            finished = settle(piece, reply)
            if finished is not None:
                return finished
            self._send(piece)

    def _fetch(self) -> None:
        """Get the replies of all futures that are done, in one call: each takes milliseconds."""
        done = [self._next()]
        with contextlib.suppress(queue.Empty):
            while True:
                done.append(self._inbox.get_nowait())
        done = [future for future in done if future.key in self._waiting]
        keys = [future.key for future in done]
        if all(future.status == "finished" for future in done):
            with contextlib.suppress(Exception):  # one was lost since: they are asked one by one
                self._replies.extend(zip(keys, self._client.gather(done), strict=True))
                return
        self._replies.extend(zip(keys, map(self._reply, done), strict=True))

    def _next(self) -> Any:
        """Return the next future that is done."""
        while True:
            try:
                return self._inbox.get(timeout=TICK)
            except queue.Empty:
                if self._client.status != "running":
                    raise self._gone() from None

    def _reply(self, future: Any) -> Reply:
        from distributed import KilledWorker

        try:
            reply: Reply = future.result()
        except CancelledError:  # by the scheduler, with what died on a worker
            if self._client.status != "running":
                raise self._gone() from None
            self._send_problem()
            return Lost("was given up by the scheduler")
        except KilledWorker as error:
            return Lost(f"took its Dask worker with it: {error}")
        except Exception as error:
            raise WorkerError(
                f"a worker of {self._address} cannot evaluate {self._problem.name}: "
                f"{type(error).__name__}: {error}\nModules of your own must be installed where the "
                f"workers run, or on the PYTHONPATH that `dask worker` is started with"
            ) from error
        return reply

    def _gone(self) -> WorkerError:
        return WorkerError(
            f"the connection to the scheduler at {self._address} is lost, with "
            f"{len(self._waiting)} evaluations; what had finished is recorded"
        )

    def drop(self) -> None:
        """Forget what no worker has begun."""
        try:
            begun = self._client.run(cluster_worker.running, self._terms.run, on_error="ignore")
        except OSError as error:
            raise self._gone() from error
        running = {number for numbers in begun.values() for number in numbers}
        forgotten = [
            key for key, (n, _, f) in self._waiting.items() if not (n in running or f.done())
        ]
        self._client.cancel([self._waiting.pop(key)[2] for key in forgotten])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """End our processes on the workers, and leave the cluster to others."""
        with contextlib.suppress(Exception):  # it may be gone
            if self._client.status == "running":
                self._client.cancel([future for _, _, future in self._waiting.values()])
                self._client.run(cluster_worker.release, self._terms.run, on_error="ignore")
        self._waiting.clear()
        self._client.close(timeout=2)


def _check_versions(client: Any, address: str, problem: Problem) -> dict[str, str]:
    """Return the versions that workers must have; refuse workers that have others."""
    names = [*SAME, *problem.distributions]
    here = cluster_worker.versions(names)
    found = client.get_versions(packages=names)["workers"]
    python = ".".join(platform.python_version_tuple()[:2])
    wrong = []
    for worker, about in sorted(found.items()):
        there = dict(about["packages"])
        there["python"] = ".".join(str(there["python"]).split(".")[:2])
        lines = cluster_worker.differences({"python": python, **here}, there)
        wrong += [f"{worker}: {line}" for line in lines]
    if wrong:
        shown = "\n".join(wrong[:10])
        raise WorkerError(
            f"workers of {address} differ from the driver:\n{shown}\nInstall the same there, and "
            f"start the workers anew"
        )
    if not found:
        warnings.warn(
            f"the scheduler at {address} has no workers yet; start some with `dask worker "
            f"{address} --nthreads 1`",
            RuntimeWarning,
            stacklevel=2,
        )
    return here
