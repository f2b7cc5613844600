"""The contract of every algorithm: three functions, of which only `ask` draws.

An algorithm is a frozen dataclass of hyper-parameters. Its state is a dataclass of arrays that only
`tell` makes anew. It sees a matrix in [0, 1]^d and a `Domain`, and one comparable float per
candidate; so it knows nothing of bounds, names, constraints, budgets or failures.
"""

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Protocol, Self, TypeVar

import numpy as np
from numpy.random import Generator, Philox

from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.types import Integers, Matrix, Vector

ASK = 0
EVALUATION = 1


@dataclass(frozen=True)
class Horizon:
    """How far a run goes.

    Attributes:
        budget: evaluations in all; None where the run has no such bound.
        batch: candidates wanted at once, at least; a setting, never the number of workers.
    """

    budget: int | None = None
    batch: int = 1


@dataclass(frozen=True, eq=False)
class Candidates:
    """A batch of candidates. Subclasses add what `tell` must know of their origin.

    Every array has one row per candidate; anything else is true of the whole batch (an epoch).

    Attributes:
        unit: (n, d) positions in the unit cube.
    """

    unit: Matrix

    def __len__(self) -> int:
        return len(self.unit)

    def first(self, n: int) -> Self:
        """Return the first n candidates."""
        return self if n == len(self.unit) else self.rows(slice(n))

    def rows(self, chosen: slice | Integers) -> Self:
        """Return the chosen candidates."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        some = {k: v[chosen] for k, v in arrays.items() if isinstance(v, np.ndarray)}
        return replace(self, **some)

    def at(self, unit: Matrix) -> Self:
        """Return the same candidates at other positions, (n, d)."""
        return replace(self, unit=unit)


S = TypeVar("S")
C = TypeVar("C", bound=Candidates)


class Algorithm(Protocol[S, C]):
    """What the loop needs of an algorithm.

    Class attributes:
        name: as in `algorithm="name"`.
        label: how tables and reports call it.
        anytime: with equal hyper-parameters, a larger budget repeats the shorter run's prefix.
        order_only: only the order of the keys matters, not their values.
        unbiased: where the optimum lies in the cube does not matter.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    anytime: ClassVar[bool]
    order_only: ClassVar[bool]
    unbiased: ClassVar[bool]

    def init(self, domain: Domain, horizon: Horizon) -> S:
        """Return the state before the first batch. Draws nothing."""
        ...

    def ask(self, state: S, rng: Generator) -> C:
        """Return at least one candidate. The only place that draws; changes no argument."""
        ...

    def tell(self, state: S, candidates: C, key: Vector) -> S:
        """Return the state after a batch. Draws nothing; changes no argument.

        Args:
            state: as asked for or later.
            candidates: as asked, perhaps fewer (the first rows), perhaps at other positions.
            key: (n,) lower is better; inf for failed candidates.
        """
        ...


AnyAlgorithm = Algorithm[Any, Any]


class Streams:
    """The random streams of a run: batch g of a seed and a purpose always draws the same numbers.

    One Philox whose key is the seed and whose counter holds the batch and the purpose. It is reset
    in place (a tenth of the cost of building one), so a stream is valid until the next is taken.

    Raises:
        SettingError: the seed is no whole number in [0, 2**128).
    """

    def __init__(self, seed: int) -> None:
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
            raise SettingError(f"seed: expected a whole number, got {seed!r}")
        if not 0 <= seed < 2**128:
            raise SettingError(f"seed: expected 0 <= seed < 2**128, got {seed!r}")
        self._bits = Philox(key=int(seed))
        self._generator = Generator(self._bits)
        self._state: Any = self._bits.state
        self._counter = self._state["state"]["counter"]

    def at(self, number: int, purpose: int = ASK) -> Generator:
        """Return the generator of one batch (or one candidate) and purpose."""
        self._counter[:] = (0, 0, number, purpose)
        self._bits.state = self._state
        return self._generator


@dataclass(frozen=True)
class Seeds:
    """What the evaluation of each candidate of a batch may draw, by run seed and candidate id.

    Attributes:
        seed: the run's seed.
        ids: (n,) ids of the candidates.
    """

    seed: int
    ids: tuple[int, ...] | range

    def rng(self, row: int) -> Generator:
        """Return a fresh generator for one candidate, whoever evaluates it and when."""
        return Generator(
            Philox(key=self.seed, counter=EVALUATION << 192 | int(self.ids[row]) << 128)
        )
