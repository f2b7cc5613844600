"""The time of a search: it goes on where an earlier process left it."""

import time


class Clock:
    """Counts the seconds of a search; it runs from the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._held: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self._began if self._held is None else self._held

    @property
    def held(self) -> bool:
        """Whether it stands still."""
        return self._held is not None

    def hold(self, seconds: float) -> None:
        """Let it stand at so many seconds."""
        self._held = seconds

    def start(self) -> None:
        """Run on from where it was held, or from 0."""
        self._began = time.monotonic() - (self._held or 0.0)
        self._held = None
