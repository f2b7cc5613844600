"""Live progress on stderr: best cost, evaluations, rate, time left."""

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

from swarmopt.result import Step
from swarmopt.terminal import console

LINE_EVERY = 5.0  # seconds between lines where stderr is no terminal
DRAW_EVERY = 0.1  # seconds between updates where it is


class ProgressBar:
    """A bar where stderr is a terminal, a line now and then where it is not.

    Args:
        title: what is running.
        budget: evaluations in all, or None.
    """

    def __init__(self, title: str, budget: int | None) -> None:
        self._console = console(stderr=True)
        self._title = title
        self._budget = budget
        self._began = time.monotonic()
        self._shown = self._began
        self._best = "best -"
        self._n = 0
        self._replayed = 0
        self._bar: Progress | None = None
        self._task = TaskID(0)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            columns = (
                SpinnerColumn(),
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task(self._title, total=self._budget, count="")
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Take the bar away; the last state stays as a line."""
        if self._bar is not None:
            self._bar.stop()
        if self._n:
            self._console.print(self._line(), markup=False, highlight=False, soft_wrap=True)

    def begun(self) -> None:
        """Let rate and time left be those of evaluations, not of what made the first points."""
        self._began = self._shown = time.monotonic()

    def evaluated(self, n: int) -> None:
        """Show that n evaluations have finished in all."""
        self._n = n
        now = time.monotonic()
        every = DRAW_EVERY if self._bar is not None else LINE_EVERY
        if now - self._shown < every:
            return
        self._shown = now
        if self._bar is not None:
            self._bar.update(
                self._task, completed=n, description=f"{self._title}  {self._best}",
                count=self._count(),
            )  # fmt: skip
        else:
            self._console.print(self._line(), markup=False, highlight=False, soft_wrap=True)

    def told(self, step: Step) -> None:
        """Show a told batch."""
        suffix = f" (violation {step.violation:.3g})" if step.violation > 0 else ""
        self._best = f"best {step.fun:.6g}{suffix}"
        if step.replayed:  # the rate is that of evaluations, not of reading them
            self._replayed, self._began = step.nfev, time.monotonic()
        self.evaluated(step.nfev)

    def _count(self) -> str:
        total = f"/{self._budget:,}" if self._budget else ""
        rate = (self._n - self._replayed) / max(time.monotonic() - self._began, 1e-9)
        return f"{self._n:,}{total} evaluations, {rate:,.3g}/s"

    def _line(self) -> str:
        seconds = time.monotonic() - self._began
        left = ""
        n = self._n - self._replayed
        if self._budget and 0 < n < self._budget - self._replayed:
            left = f", {seconds * ((self._budget - self._replayed) / n - 1):.0f} s left"
        return f"{self._title}  {self._best}  {self._count()}, {seconds:.1f} s{left}"
