"""Ranks over problems: Friedman with Iman and Davenport, and Nemenyi's critical difference.

A problem counts once, by the median of its runs. The seeds of a problem are repetitions of the same
measurement, not further problems, so they are never ranked as if they were.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from swarmopt.compare.comparison import Comparison
from swarmopt.compare.statistics import critical_difference, friedman, nemenyi
from swarmopt.compare.words import p_text
from swarmopt.words import count_text

ONE_PROBLEM = (
    "No ranks over problems: there is one problem. Its seeds repeat one measurement and are no "
    "further problems, so Friedman's test over them (pseudo-replication) would speak of this "
    "problem only, and more surely than it may; the pairs above say what it shows."
)


@dataclass(frozen=True)
class Across:
    """Mean ranks over problems.

    Attributes:
        problems: those on which every algorithm has finished two runs or more.
        algorithms: labels, the best rank first.
        ranks: mean rank of each, 1: best everywhere.
        chi2: Friedman's statistic.
        f: Iman and Davenport's.
        p: of f.
        differ: whether p shows that the ranks differ.
        critical_difference: Nemenyi's; ranks less far apart show no difference.
        groups: the largest sets of neighbours within the critical difference, as the bars of a
            critical-difference diagram.
        pairs: algorithm, worse algorithm and Nemenyi's p, where a difference is shown.
        sentences: all of it in words.
    """

    problems: tuple[str, ...]
    algorithms: tuple[str, ...]
    ranks: tuple[float, ...]
    chi2: float
    f: float
    p: float
    differ: bool
    critical_difference: float
    groups: tuple[tuple[str, ...], ...]
    pairs: tuple[tuple[str, str, float], ...]
    sentences: tuple[str, ...]


def across(comparison: Comparison, alpha: float) -> tuple[Across | None, str]:
    """Return the ranks over problems, or None and the reason why there are none."""
    if len(comparison.algorithms) < 2:
        return None, "No ranks over problems: there is one algorithm."
    if len(comparison.problems) < 2:
        return None, ONE_PROBLEM
    runs = {
        p: [[c.key for c in comparison.runs(p, a)] for a in comparison.algorithms]
        for p in comparison.problems
    }
    problems = tuple(p for p, keys in runs.items() if min(map(len, keys)) > 1)
    if len(problems) < 2:
        return None, (
            "No ranks over problems: fewer than two have two runs or more of every algorithm, and "
            "the cost of one run is no median."
        )
    left_out = ", ".join(p for p in comparison.problems if p not in problems)
    test = friedman(np.array([[np.median(k) for k in runs[p]] for p in problems]))
    order = np.argsort(test.ranks, kind="stable")
    names = tuple(comparison.algorithms[i] for i in order)
    ranks = test.ranks[order]
    width = critical_difference(len(names), test.n, alpha)
    p = nemenyi(ranks, test.n)
    differ = test.p < alpha
    pairs = tuple(
        (names[i], names[j], float(p[i, j]))
        for i, j in combinations(range(len(names)), 2)
        if differ and ranks[j] - ranks[i] > width
    )
    listed = ", ".join(f"{n} {r:.2f}" for n, r in zip(names, ranks, strict=True))
    shown = "the ranks differ" if differ else "no difference of ranks is shown"
    opening = (
        f"Over {count_text(test.n, 'problem')} the mean ranks are {listed}; Friedman with Iman and "
        f"Davenport: F = {test.f:.3g}, {p_text(test.p)}: {shown}."
    )
    sentences = [opening]
    if left_out:
        sentences.append(
            f"The ranks leave out {left_out}: fewer than two runs of an algorithm, and the cost of "
            f"one run is no median."
        )
    rank_of = dict(zip(names, ranks, strict=True))
    sentences += [
        f"Over these problems {a} ranks before {b}: {rank_of[b] - rank_of[a]:.2f} apart, critical "
        f"difference {width:.2f}, {p_text(value)} (Nemenyi)."
        for a, b, value in pairs
    ]
    if differ and not pairs:
        sentences.append(
            f"No pair is further apart than Nemenyi's critical difference, {width:.2f}."
        )
    found = Across(
        problems, names, tuple(ranks.tolist()), test.chi2, test.f, test.p, differ, width,
        groups_of(names, ranks.tolist(), width), pairs, tuple(sentences),
    )  # fmt: skip
    return found, ""


def groups_of(
    names: tuple[str, ...], ranks: list[float], width: float
) -> tuple[tuple[str, ...], ...]:
    """Return the largest runs of neighbours, two or more, whose ends are within the width."""
    found, last = [], 0
    for start in range(len(names)):
        stop = start + 1
        while stop < len(names) and ranks[stop] - ranks[start] <= width:
            stop += 1
        if stop - start > 1 and stop > last:
            found.append(names[start:stop])
            last = stop
    return tuple(found)
