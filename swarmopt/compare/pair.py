"""Two algorithms on one problem: the numbers, and the sentence that they allow."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from swarmopt.compare.statistics import (
    Interval,
    a12,
    differences,
    median_interval,
    pairs_needed,
    size_of,
    tendency,
)
from swarmopt.compare.words import cost_text, p_text
from swarmopt.evaluation import INFEASIBLE
from swarmopt.types import Vector
from swarmopt.words import count_text

ALPHA = 0.05
Verdict = Literal["better", "worse", "no difference shown", "not tested"]


@dataclass(frozen=True)
class Tested:
    """A signed-rank test: its p, p after Holm's correction, and over how many tests that is."""

    p: float
    p_holm: float
    n_tests: int


@dataclass(frozen=True)
class Pair:
    """Two algorithms on one problem.

    Attributes:
        problem: its label.
        one: an algorithm.
        other: another one, later in the order given.
        n: seeds that both have finished.
        median_one: of the keys of `one` over these seeds; NaN without any.
        median_other: of the other.
        difference: median of the paired differences, one less other; NaN where a run found nothing
            feasible.
        interval: 95 % BCa interval of that; None where it is NaN, or of one seed.
        p: of the signed-rank test; None where it was not made.
        p_holm: the same after Holm's correction over all pairs of the comparison.
        a12: chance that a run of `one` costs less than a run of the other; None with p.
        effect: its word; empty with p.
        n_tests: how many tests the comparison makes.
        equal: whether all final keys are equal, seed by seed.
        verdict: on `one`.
    """

    problem: str
    one: str
    other: str
    n: int
    median_one: float
    median_other: float
    difference: float
    interval: Interval | None
    p: float | None
    p_holm: float | None
    a12: float | None
    effect: str
    n_tests: int
    equal: bool
    verdict: Verdict

    @property
    def sentence(self) -> str:
        """All of it in words."""
        names = f"{self.one} and {self.other} on {self.problem}"
        if self.n == 0:
            return f"{names}: no seed that both have finished."
        between = f"{cost_text(self.median_one)} against {cost_text(self.median_other)}"
        if self.n == 1:
            return f"{names}: {between}, with one seed; not tested."
        between = f"median {between}"
        over = f"over {count_text(self.n, 'seed')}"
        if self.p_holm is None or self.a12 is None:
            return f"{names}: {between}, {over}; not tested."
        numbers = (
            f"{between}, {p_text(self.p_holm)} after Holm, A12 = {self.a12:.2f} ({self.effect}), "
            f"{over}"
        )
        if self.verdict in ("better", "worse"):
            return f"{self.one} is {self.verdict} than {self.other} on {self.problem}: {numbers}."
        return f"{names}: no difference shown: {numbers}{self._why}."

    @property
    def _why(self) -> str:
        """Return why nothing could be shown, where it could not."""
        if self.equal:
            return "; their final costs are equal, seed by seed"
        if self.p_holm is not None and self.p_holm < ALPHA:
            return "; the test over pairs and A12 point to different sides"
        return ""

    @property
    def too_few(self) -> bool:
        """Whether the seeds are too few to show a difference, whatever they find."""
        return not self.equal and self.n_tests > 0 and self.n < pairs_needed(self.n_tests, ALPHA)


def paired(
    names: tuple[str, str, str],
    mine: Vector,
    theirs: Vector,
    test: Tested | None = None,
) -> Pair:
    """Return what is shown of two algorithms on a problem.

    Args:
        names: problem, one algorithm, and the other.
        mine: (n,) final keys of the first.
        theirs: (n,) of the other, with the same seeds.
        test: over these seeds; None: it was not made.
    """
    n = len(mine)
    difference, interval = np.nan, None
    if n and max(mine.max(), theirs.max()) < INFEASIBLE:
        difference = float(np.median(mine - theirs))
        interval = median_interval(mine - theirs)
    effect = None if test is None else a12(mine, theirs)
    return Pair(
        *names,
        n=n,
        median_one=float(np.median(mine)) if n else np.nan,
        median_other=float(np.median(theirs)) if n else np.nan,
        difference=difference,
        interval=interval,
        p=None if test is None else test.p,
        p_holm=None if test is None else test.p_holm,
        a12=effect,
        effect="" if effect is None else size_of(effect),
        n_tests=0 if test is None else test.n_tests,
        equal=bool(n and (mine == theirs).all()),
        verdict=_verdict(mine, theirs, test, effect),
    )


def _verdict(mine: Vector, theirs: Vector, test: Tested | None, effect: float | None) -> Verdict:
    """Return what is shown of the first: the test and the effect must point the same way."""
    if test is None or effect is None:
        return "not tested"
    pull = tendency(differences(mine, theirs))
    if test.p_holm >= ALPHA or pull * (0.5 - effect) <= 0.0:
        return "no difference shown"
    return "better" if pull < 0.0 else "worse"
