"""A comparison while it runs: a table where stderr is a terminal, a line now and then elsewhere."""

import time
from types import TracebackType
from typing import Self

import numpy as np
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from swarmopt.compare.comparison import Cell, Comparison
from swarmopt.compare.words import cost_text
from swarmopt.terminal import console, printable

LINE_EVERY = 5.0  # seconds between lines where stderr is no terminal
DRAW_EVERY = 0.25  # seconds between tables where it is


class Progress:
    """Shows the median cost so far of every algorithm on every problem, on stderr."""

    def __init__(self) -> None:
        self._console = console(stderr=True)
        self._live: Live | None = None
        self._began = time.monotonic()
        self._shown = -np.inf
        self._n_before = 0
        self._n_failed = 0
        self._last: Comparison | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live = Live(console=self._console, transient=True, auto_refresh=False)
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Take the table away; the last state stays as a line."""
        if self._live is not None:
            self._live.stop()
        if self._last is not None:
            self._say(self._line(self._last))

    def begin(self, comparison: Comparison) -> None:
        """Show what is there before any run."""
        self._last = comparison
        self._n_before = len(comparison.cells)
        self._began = time.monotonic()
        if self._n_before:
            self._say(f"going on: {self._n_before:,} runs are there already")

    def told(self, comparison: Comparison, cell: Cell) -> None:
        """Show that a run has ended."""
        self._n_failed += cell.error is not None
        if cell.error is not None and self._n_failed == 1:
            reason = (cell.error.strip().splitlines() or [""])[-1]
            self._say(f"{cell.algorithm} on {cell.problem}, seed {cell.seed}, failed: {reason}")
        now = time.monotonic()
        if now - self._shown < (LINE_EVERY if self._live is None else DRAW_EVERY):
            return
        self._shown = now
        if self._live is None:
            self._say(self._line(comparison))
        else:
            self._live.update(self._grid(comparison), refresh=True)

    def _say(self, text: str) -> None:
        self._console.print(printable(text), markup=False, highlight=False, soft_wrap=True)

    def _line(self, comparison: Comparison) -> str:
        n, n_all = len(comparison.planned) - len(comparison.missing), len(comparison.planned)
        done = len(comparison.cells) - self._n_before
        seconds = time.monotonic() - self._began
        left = (
            f", about {seconds * (n_all - n) / done:.0f} s left" if done > 0 and n < n_all else ""
        )
        failed = f", {self._n_failed:,} failed" if self._n_failed else ""
        return f"compare: {n:,} of {n_all:,} runs{failed}, {seconds:.1f} s{left}"

    def _grid(self, comparison: Comparison) -> Grid:
        grid = Grid(title=self._line(comparison), title_justify="left", title_style="")
        grid.add_column("median so far (runs)")
        for algorithm in comparison.algorithms:
            grid.add_column(Text(printable(algorithm)), justify="right")
        for problem in comparison.problems:
            runs = [comparison.runs(problem, a) for a in comparison.algorithms]
            texts = [
                f"{cost_text(float(np.median([c.key for c in cells])))} ({len(cells)})"
                if cells
                else "-"
                for cells in runs
            ]
            grid.add_row(Text(printable(problem)), *texts)
        return grid
