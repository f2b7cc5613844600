"""How work on images goes on where memory runs out: with fewer of them at a time."""

import functools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch

from swarmopt.words import count_text
from swarmopt_pruning.errors import NoMemory, first_line

log = logging.getLogger(__name__)

T = TypeVar("T")
WORDINGS = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "alloc_failed",
    "bad_alloc",
)
"""What torch says of it in a plain RuntimeError, in lower case."""


@dataclass
class Fitting:
    """How many images at a time some work goes on with: half as many where memory runs out.

    Attributes:
        doing: what is done, as the beginning of a sentence.
        batch: images at a time; where fewer fit, they stay fewer.
        least: images at a time that the work needs.
        effect: what fewer images change, as its end; "" for nothing.
        setting: that the number can be given by; "" for none.
    """

    doing: str
    batch: int
    least: int = 1
    effect: str = ""
    setting: str = ""

    def run(self, work: Callable[[int], T]) -> T:
        """Return what work makes of a number of images at a time; it is begun anew with fewer.

        Raises:
            NoMemory: Not even the least number fits.
        """
        tried = []
        while True:
            tried.append(self.batch)
            try:
                found = work(self.batch)
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if self.batch <= self.least:
                    raise NoMemory(self._hopeless(tried, error)) from error
            self.batch = max(self.least, self.batch // 2)
        if len(tried) > 1:
            _warn_once(self._smaller(tried[0]))
        return found

    def _smaller(self, began: int) -> str:
        effect = f", {self.effect}" if self.effect else ""
        cure = f"; {self.setting}={self.batch} begins with that" if self.setting else ""
        return (
            f"{self.doing} is out of memory with {count_text(began, 'image')} at a time, and goes "
            f"on with {self.batch}{effect}{cure}"
        )

    def _hopeless(self, tried: list[int], error: BaseException) -> str:
        said = first_line(error)[:200]
        return (
            f"{self.doing} is out of memory even with {count_text(self.batch, 'image')} at a time "
            f"(tried {', '.join(map(str, tried))}): {said}; a smaller score_batch is no help "
            f"here, but fewer processes (workers=0, --workers 0) or device=cpu may be"
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is no memory left, on whichever device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    said = str(error).lower()
    return isinstance(error, RuntimeError) and any(words in said for words in WORDINGS)


@functools.cache
def _warn_once(message: str) -> None:
    """Warn, once in a process."""
    log.warning("%s", message)
