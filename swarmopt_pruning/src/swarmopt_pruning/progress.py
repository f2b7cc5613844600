"""Where a training is: a bar where stderr is a terminal, a log line now and then elsewhere."""

import logging
import time
from types import TracebackType
from typing import Self

from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from swarmopt.terminal import console

log = logging.getLogger(__name__)

LINE_EVERY = 5.0  # seconds between log lines where stderr is no terminal


class TrainingProgress:
    """Shows epoch, loss, accuracy and time left, where information is logged at all.

    Args:
        epochs: of the training.
        per_epoch: steps of each.
        step: how many were made before.
    """

    def __init__(self, epochs: int, per_epoch: int, step: int) -> None:
        self._epochs, self._per_epoch = epochs, per_epoch
        self._step = self._first = step
        self._began = self._shown = time.monotonic()
        self._losses: list[float] = []
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        shown = console(stderr=True)
        if shown.is_terminal and log.isEnabledFor(logging.INFO):
            self._bar = Progress(
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=shown,
                transient=True,
            )
            n_steps = self._epochs * self._per_epoch
            self._task = self._bar.add_task("training", total=n_steps, completed=self._step)
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def stepped(self, step: int, loss: float | None) -> None:
        """Take note of a step, and of its loss where something was learnt."""
        self._step = step
        if loss is not None:
            self._losses.append(loss)
        if self._bar is not None:
            self._bar.update(self._task, completed=step)

    def ended(self, accuracy: float | None) -> None:
        """Show that an epoch is over, and the accuracy after it where it was measured."""
        text = self._line(accuracy)
        self._losses = []
        if self._bar is not None:
            self._bar.update(self._task, description=text)
            return
        now = time.monotonic()
        last = self._step == self._epochs * self._per_epoch
        if last or now - self._shown >= LINE_EVERY:
            self._shown = now
            log.info("%s, %.0f s left", text, self._left())

    def _line(self, accuracy: float | None) -> str:
        found = "" if accuracy is None else f", held-out accuracy {accuracy:.2%}"
        loss = sum(self._losses) / max(1, len(self._losses))
        return f"epoch {self._step // self._per_epoch} of {self._epochs}: loss {loss:.4f}{found}"

    def _left(self) -> float:
        """Return seconds that the other steps may take."""
        a_step = (time.monotonic() - self._began) / max(1, self._step - self._first)
        return a_step * (self._epochs * self._per_epoch - self._step)
