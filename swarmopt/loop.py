"""The one loop: ask, evaluate, record, tell. Everything that optimises goes through it."""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Protocol

from swarmopt import plugins
from swarmopt.algorithm import Seeds
from swarmopt.batch import Batch
from swarmopt.evaluate.evaluator import Evaluator, Finished, Work
from swarmopt.evaluation import Evaluation, Outcome
from swarmopt.journal import Journal
from swarmopt.pending import Pending
from swarmopt.replay import Replay
from swarmopt.result import Step
from swarmopt.search import Search


class Display(Protocol):
    """What the loop tells about a run while it goes on."""

    def begun(self) -> None:
        """Note that evaluations begin now: what was before is no measure of them."""
        ...

    def evaluated(self, n: int) -> None:
        """Show that n evaluations have finished in all."""
        ...

    def told(self, step: Step) -> None:
        """Show a told batch."""
        ...


def iterate(
    search: Search,
    evaluator: Evaluator,
    *,
    journal: Journal | None = None,
    display: Display | None = None,
    lookahead: int = 0,
) -> Iterator[Step]:
    """Run a search, and yield a step after each told batch.

    Args:
        search: not started yet.
        evaluator: of its problem.
        journal: where evaluations are recorded before the algorithm is told.
        display: told of every evaluation.
        lookahead: how many batches asking may run ahead of telling.
    """
    search.begin()
    if display is not None:
        display.begun()
    replay = None if journal is None or not journal.log.n else Replay(journal, search)
    pending: deque[Pending] = deque()
    while not search.done:
        while search.can_ask and len(pending) <= lookahead:
            known = replay is not None and not replay.over
            asked = replay.ask() if replay is not None and known else Pending(search.ask())
            pending.append(asked)
            _submit(asked, search, evaluator)
        first = pending[0]
        while not first.complete and evaluator.busy:
            finished = evaluator.wait()
            _receive(finished, pending, search, journal)
            if display is not None:
                display.evaluated(search.nfev + sum(p.n for p in pending))
            if search.out_of_time:
                evaluator.drop()
        pending.popleft()
        batch, evaluation, closed = first.batch, first.evaluation(), first.closed
        seconds = search.seconds if closed is None else closed.seconds
        if journal is not None and closed is None:
            journal.close_batch(batch.number, batch.ids[: len(evaluation)], seconds)
        _report_failures(batch, evaluation)
        yield from search.tell(batch, evaluation, seconds, replayed=closed is not None)


def _submit(asked: Pending, search: Search, evaluator: Evaluator) -> None:
    """Hand on the points of a batch that nobody has evaluated."""
    batch, rows = asked.batch, asked.missing
    if not len(rows):
        return
    if search.clock.held:
        search.clock.start()
    seeds = batch.seeds
    if len(rows) < len(batch):
        seeds = Seeds(seeds.seed, tuple(batch.ids[row] for row in rows))
    evaluator.submit(Work(batch.number, rows, batch.x[rows], seeds, search.bound))


def _receive(
    finished: Finished, pending: Iterable[Pending], search: Search, journal: Journal | None
) -> None:
    """Record what has finished, and add it to its batch."""
    waiting = next(p for p in pending if p.batch.number == finished.batch)
    batch, rows = waiting.batch, finished.rows
    if journal is not None:
        ids = rows + batch.ids.start
        journal.add(batch.number, ids, batch.x[rows], finished.evaluation, search.seconds)
    waiting.add(finished)


def _report_failures(batch: Batch, evaluation: Evaluation) -> None:
    outcome = evaluation.outcome
    if not outcome.any():
        return
    failed = [i for i, o in enumerate(outcome) if o not in (Outcome.OK, Outcome.CENSORED)]
    if failed:
        info = evaluation.info or [{}] * len(evaluation)
        plugins.installed().observe(
            "swarmopt_evaluation_failed",
            {
                "ids": [batch.ids[i] for i in failed],
                "errors": [
                    str(info[i].get("error", f"the cost is {evaluation.cost[i]}")) for i in failed
                ],
            },
        )
