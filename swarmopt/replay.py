"""A run gone on with: what is asked again is answered from its record.

The streams of a run are counter-based, so the same candidates come out. Where they do not (another
processor rounds otherwise), the recorded points are laid over those asked for, as `x0` is, and the
run is not bit-identical from there on. Nothing that is recorded is lost.
"""

import json
import logging
from typing import Any

from swarmopt.batch import Batch
from swarmopt.errors import FolderError
from swarmopt.evaluate.evaluator import Finished
from swarmopt.evaluation import Evaluation
from swarmopt.journal import Journal
from swarmopt.pending import Closed, Pending
from swarmopt.rows import Rows
from swarmopt.search import Search

log = logging.getLogger(__name__)


class Replay:
    """Answers what a search asks from a journal, as long as that knows.

    Args:
        journal: of the run, just opened.
        search: not started yet; its clock is held until the record is at its end.
    """

    def __init__(self, journal: Journal, search: Search) -> None:
        self._journal = journal
        self._search = search
        self._reader = journal.reader()
        self._closed = {
            number: Closed(first_id, n, seconds)
            for number, first_id, n, seconds, _ in journal.log.batches.tolist()
        }
        self._moving = False
        search.clock.hold(0.0)
        search.identical = journal.log.about["diverged"] is None

    @property
    def over(self) -> bool:
        """Whether all that is recorded was asked for."""
        return not self._closed and self._reader.peek() is None

    def ask(self) -> Pending:
        """Ask for the next batch, and return it with what the record knows of it."""
        batch = self._search.ask()
        closed = self._closed.pop(batch.number, None)
        rows = self._reader.until(batch.ids.stop)
        if not self._agree(batch, rows, closed):
            batch, rows, closed = *self._lay_over(batch, rows), None
        pending = Pending(batch, closed)
        if closed is not None:
            rows = rows.part(0, closed.n)
        elif len(rows):
            self._journal.keep(batch.number, rows)
        if len(rows):
            ids = rows.data["id"] - batch.ids.start
            pending.add(Finished(batch.number, ids, _evaluation(rows)))
        if self._search.clock.held:
            self._search.clock.hold(self._seconds(rows, closed))
        if self.over:
            self._reader.forget()
        return pending

    def _seconds(self, rows: Rows, closed: Closed | None) -> float:
        """Return how long the search had taken when it had come this far."""
        if self.over:
            return self._journal.log.seconds
        return float(rows.data["seconds"].max(initial=0.0)) if closed is None else closed.seconds

    def _agree(self, batch: Batch, rows: Rows, closed: Closed | None) -> bool:
        """Return whether the record holds the very points of a batch, and no others of it."""
        data = rows.data
        if not len(batch) and not len(rows):
            return closed is None or closed.n == 0
        if (data["batch"] != batch.number).any() or self._reader.peek() == batch.number:
            return False
        at = data["id"] - batch.ids.start
        if (len(at) and at[0] < 0) or data["x"].tobytes() != batch.x[at].tobytes():
            return False
        if closed is None:
            return True
        limit = self._search.limits.max_time
        cut = not self._closed and limit is not None and closed.seconds >= limit
        return closed.first_id == batch.ids.start and (
            closed.n == len(batch) or (cut and closed.n < len(batch))
        )

    def _lay_over(self, batch: Batch, rows: Rows) -> tuple[Batch, Rows]:
        """Return the batch with recorded points in place of its first ones, and these."""
        if not self._moving:
            self._begin_to_move(batch.number)
        rows = rows.followed_by(self._reader.next(len(batch.candidates) - len(rows)))
        laid = self._search.lay_over(batch, rows.data["x"])
        n = min(len(rows), len(laid))
        if n < len(rows) or laid.x[:n].tobytes() != rows.data["x"].tobytes():
            raise FolderError(
                f"batch {batch.number} of the record holds points twice, or more than the budget "
                f"allows; it cannot be gone on with"
            )
        moved = self._journal.move(rows, laid.number, laid.ids.start)
        if self._reader.peek() is None:
            self._journal.settle()
        return laid, moved

    def _begin_to_move(self, number: int) -> None:
        log.warning(
            "from batch %d on this machine asks for other points than the record holds: they are "
            "laid over, and the run is resumed, not bit-identical",
            number,
        )
        self._moving = True
        self._closed.clear()
        self._search.identical = False
        self._journal.unchain(number)


def _evaluation(rows: Rows) -> Evaluation:
    """Return recorded evaluations as they were when they were recorded."""
    data = rows.data
    violation, status = data["violation"].copy(), data["status"].copy()
    try:
        info = [_info(text) for text in rows.info] if any(rows.info) else ()
    except (RecursionError, ValueError) as error:
        raise FolderError(f"what the record keeps beside a cost is no JSON: {error}") from error
    return Evaluation(
        data["cost"].copy(),
        violation if violation.any() else None,
        status if status.any() else None,
        info,
    )


def _info(text: str | None) -> dict[str, Any]:
    found = json.loads(text) if text else {}
    return found if isinstance(found, dict) else {}
