"""Which channels a trial cuts: a part, as many as can be, and numbers between.

A model's code may decide on a width, such as `x.shape[1] % 8`, so many different widths are tried.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]

Pattern = Callable[[int, int], Bools]
"""Which units of a group stay: (its number of units, its number among the groups) -> (units,)."""

ROUNDS = 8
"""How many numbers of units between are tried of each group; all, where there are no more."""


def part(n_units: int, number: int) -> Bools:
    """Cut every second or third unit.

    Which ones depends on the group, so that equal widths do not hide a missing tie.
    """
    stays = np.ones(n_units, dtype=bool)
    step = 2 + number % 2
    stays[number // 2 % min(step, n_units) :: step] = False
    return stays


def most(n_units: int, number: int) -> Bools:  # noqa: ARG001 - the same for every group
    """Keep only the last unit."""
    stays = np.zeros(n_units, dtype=bool)
    stays[-1] = True
    return stays


def between(turn: int) -> Pattern:
    """Return a pattern that keeps random units.

    Args:
        turn: 0..ROUNDS - 1; the counts of a group in different turns leave different remainders
            divided by ROUNDS, where it has so many units.
    """

    def pattern(n_units: int, number: int) -> Bools:
        rng = np.random.default_rng([turn, number])
        possible = np.arange(1, n_units)
        wanted = possible[possible % ROUNDS == (turn + number) % ROUNDS]
        stays = np.zeros(n_units, dtype=bool)
        count = int(rng.choice(wanted if len(wanted) else possible))
        stays[rng.permutation(n_units)[:count]] = True
        return stays

    return pattern
