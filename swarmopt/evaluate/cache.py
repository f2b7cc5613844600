"""What canonical points cost, so that none is evaluated twice."""

import numpy as np

from swarmopt.types import Integers, Matrix, Vector

PENDING = np.nan  # no key is NaN


class Cache:
    """Keys by canonical point. A point that was handed out but not told yet is pending.

    Points are compared by value: -0.0 and 0.0 are one point.
    """

    def __init__(self) -> None:
        self._key: dict[bytes, float] = {}

    def __len__(self) -> int:
        return len(self._key)

    def reserve(self, x: Matrix, most: int) -> tuple[int, Integers]:
        """Mark the unknown points as pending, at most so many of them.

        Args:
            x: (n, d) canonical points.
            most: how many new points may be handed out.

        Returns:
            How many rows of x are covered, and the indices of those that are new, ascending.
        """
        new: list[int] = []
        for i, name in enumerate(_names(x)):
            if name in self._key:
                continue
            if len(new) == most:
                return i, np.array(new, np.int64)
            self._key[name] = PENDING
            new.append(i)
        return len(x), np.array(new, np.int64)

    def put(self, x: Matrix, key: Vector) -> None:
        """Remember what points cost."""
        self._key.update(zip(_names(x), key.tolist(), strict=True))

    def release(self, x: Matrix) -> None:
        """Forget points that were handed out and come back untold."""
        for name in _names(x):
            del self._key[name]

    def get(self, x: Matrix) -> Vector:
        """Return (n,) what points cost; NaN where they are pending or unknown."""
        return np.array([self._key.get(name, PENDING) for name in _names(x)])


def _names(x: Matrix) -> list[bytes]:
    rows = np.ascontiguousarray(x + 0.0)  # -0.0 + 0.0 is 0.0
    size = rows.itemsize * rows.shape[1]
    text = rows.tobytes()
    return [text[i : i + size] for i in range(0, len(text), size)]
