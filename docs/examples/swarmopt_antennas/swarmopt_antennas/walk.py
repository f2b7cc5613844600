"""Steps from the best point in a few variables."""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from swarmopt import Candidates, Domain, Horizon
from swarmopt.types import Vector


@dataclass(frozen=True, eq=False)
class Walker:
    """Where the walk stands: (d,) in the unit cube, and the key there."""

    domain: Domain
    n: int
    unit: Vector
    key: float


@dataclass(frozen=True)
class Walk:
    """Some steps of normal length from the best point, the best of which is taken."""

    steps: int = 8
    length: float = 0.15

    name: ClassVar[str] = "walk"
    label: ClassVar[str] = "random walk"
    anytime: ClassVar[bool] = True
    order_only: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True

    def init(self, domain: Domain, horizon: Horizon) -> Walker:
        """Stand in the middle."""
        n = max(self.steps, horizon.batch)
        return Walker(domain, n, np.full(domain.d, 0.5), np.inf)

    def ask(self, state: Walker, rng: Generator) -> Candidates:
        """Return steps; a discrete variable that changes is drawn anew."""
        shape = (state.n, state.domain.d)
        near = state.unit + self.length * rng.standard_normal(shape)
        moved = np.where(state.domain.discrete, rng.random(shape), near)
        changed = rng.random(shape) < 2 / state.domain.d
        return Candidates(np.clip(np.where(changed, moved, state.unit), 0.0, 1.0))

    def tell(self, state: Walker, candidates: Candidates, key: Vector) -> Walker:
        """Go where it was best, if that is no worse."""
        best = int(np.argmin(key))
        if key[best] > state.key:
            return state
        return replace(state, unit=candidates.unit[best].copy(), key=float(key[best]))
