"""What a comparison shows: numbers for tables, and one plain sentence a pair, which claims no more.

A difference is claimed where Wilcoxon's signed-rank test over the paired seeds has p < 0.05 after
Holm's correction over all pairs on all problems, so that the whole comparison claims any difference
that is none with a chance of 5 % at most; and where the effect size points the same way.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np

from swarmopt.compare.across import Across, across
from swarmopt.compare.anytime import Anytime, anytime
from swarmopt.compare.comparison import Comparison
from swarmopt.compare.pair import ALPHA, Pair, Tested, paired
from swarmopt.compare.statistics import differences, holm, pairs_needed, signed_rank
from swarmopt.compare.summary import Summary, summarise
from swarmopt.compare.words import range_of
from swarmopt.jsonable import jsonable
from swarmopt.types import Vector
from swarmopt.words import count_text

ONE_SEED = (
    "One seed: the cost of one run each, and no statistics. How much of a difference is chance "
    "cannot be told from one run of each; take more, say --seeds 30 (seeds=30)."
)


@dataclass(frozen=True, eq=False)
class OnProblem:
    """What is shown on one problem.

    Attributes:
        problem: its label.
        optimum: the least cost there is; None where it is not known.
        summaries: one an algorithm that has finished a run, in the order given.
        pairs: all pairs of these.
        anytime: the runtimes; None where nothing feasible was found.
    """

    problem: str
    optimum: float | None
    summaries: tuple[Summary, ...]
    pairs: tuple[Pair, ...]
    anytime: Anytime | None


@dataclass(frozen=True, eq=False)
class Judgement:
    """What a comparison shows.

    Attributes:
        alpha: the chance of a false claim that is accepted.
        problems: one each, in order.
        across: the ranks over problems; None where `why_not_across` says why.
        why_not_across: a sentence, or empty.
        refusal: why nothing was tested; empty where it was.
        notes: what a reader must know: missing and failed runs.
    """

    alpha: float
    problems: tuple[OnProblem, ...]
    across: Across | None
    why_not_across: str
    refusal: str
    notes: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """The conclusion: one sentence a pair, then those on all pairs and over all problems."""
        pairs = [pair for on in self.problems for pair in on.pairs]
        last = self.across.sentences if self.across else (self.why_not_across,)
        opening = (self.refusal,) if self.refusal else ()
        return (
            *opening,
            *(p.sentence for p in pairs),
            *self.too_few,
            *(text for text in last if text),
        )

    @property
    def too_few(self) -> tuple[str, ...]:
        """A sentence where the seeds of a pair cannot show a difference, whatever they find."""
        pairs = [pair for on in self.problems for pair in on.pairs]
        return tuple(_too_few(pair.n_tests, self.alpha) for pair in pairs if pair.too_few)[:1]

    def summary(self) -> dict[str, Any]:
        """Return everything but the single runtimes as JSON values; null: not finite."""
        problems = [
            {
                "problem": on.problem,
                "optimum": on.optimum,
                "algorithms": [asdict(entry) for entry in on.summaries],
                "pairs": [{**asdict(pair), "sentence": pair.sentence} for pair in on.pairs],
                "runtimes": {}
                if on.anytime is None
                else {a: [asdict(r) for r in rs] for a, rs in on.anytime.runtimes.items()},
            }
            for on in self.problems
        ]
        document: dict[str, Any] = jsonable(
            {
                "alpha": self.alpha,
                "notes": self.notes,
                "sentences": self.sentences,
                "problems": problems,
                "across": None if self.across is None else asdict(self.across),
            }
        )
        return document


def _too_few(n_tests: int, alpha: float) -> str:
    needed = pairs_needed(n_tests, alpha)
    return (
        f"Fewer than {count_text(needed, 'seed')} cannot show a difference in "
        f"{count_text(n_tests, 'test')}, whatever they find: take {needed} or more."
    )


def judge(comparison: Comparison) -> Judgement:
    """Return what a comparison shows, finished or not; the same for the same runs."""
    one_seed = len(comparison.seeds) < 2
    keys = {p: _keys(comparison, p) for p in comparison.problems}
    tested: list[tuple[str, str, str]] = []
    if not one_seed:
        for problem, found in keys.items():
            pairs = combinations(found, 2)
            tested += [(problem, a, b) for a, b in pairs if len(_common(found, a, b)[0]) > 1]
    p = [signed_rank(differences(*_common(keys[w], a, b))) for w, a, b in tested]
    adjusted = {
        pair: Tested(raw, corrected, len(tested))
        for pair, raw, corrected in zip(tested, p, holm(p).tolist(), strict=True)
    }
    problems = tuple(
        OnProblem(
            problem,
            comparison.optimum.get(problem),
            tuple(summarise(a, comparison.runs(problem, a)) for a in found),
            tuple(
                paired((problem, a, b), *_common(found, a, b), adjusted.get((problem, a, b)))
                for a, b in combinations(found, 2)
            ),
            anytime(comparison, problem),
        )
        for problem, found in keys.items()
    )
    ranked, why_not = (None, "") if one_seed else across(comparison, ALPHA)
    refusal = ONE_SEED if one_seed else ""
    return Judgement(ALPHA, problems, ranked, why_not, refusal, tuple(_notes(comparison)))


def _keys(comparison: Comparison, problem: str) -> dict[str, dict[int, float]]:
    """Return the final keys on a problem by algorithm and seed, of algorithms that have any."""
    runs = {a: comparison.runs(problem, a) for a in comparison.algorithms}
    return {a: {c.seed: c.key for c in cells} for a, cells in runs.items() if cells}


def _common(keys: Mapping[str, Mapping[int, float]], one: str, other: str) -> tuple[Vector, Vector]:
    """Return the (n,) keys of two algorithms with the seeds that both have finished."""
    seeds = [seed for seed in keys[one] if seed in keys[other]]
    return np.array([keys[one][s] for s in seeds]), np.array([keys[other][s] for s in seeds])


def _notes(comparison: Comparison) -> Iterator[str]:
    missing = comparison.missing
    if missing:
        yield (
            f"Not finished: {len(missing):,} of {len(comparison.planned):,} runs are missing. What "
            f"follows is of those that have ended; it may change."
        )
    for problem in comparison.problems:
        for algorithm in comparison.algorithms:
            runs = comparison.runs(problem, algorithm)
            failed = [cell for cell in runs if cell.error is not None]
            early = [c.nfev for c in runs if c.error is None and c.nfev < comparison.budget]
            if early:
                yield (
                    f"{len(early)} of {count_text(len(runs), 'run')} of {algorithm} on {problem} "
                    f"ended by themselves before the budget of {comparison.budget:,} was spent, "
                    f"after {range_of(min(early), max(early))} evaluations"
                )
            if failed:
                reason = (failed[0].error or "").strip().splitlines() or ["no reason given"]
                yield (
                    f"{len(failed)} of {count_text(len(runs), 'run')} of {algorithm} on {problem} "
                    f"failed and rank last; the first (seed {failed[0].seed}): {reason[-1]}"
                )
