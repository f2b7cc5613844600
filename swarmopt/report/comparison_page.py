"""The page of a comparison: the conclusion first, then the numbers and pictures behind it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from swarmopt.compare.comparison import Cell, Comparison
from swarmopt.compare.verdict import Judgement, OnProblem, judge
from swarmopt.evaluation import INFEASIBLE
from swarmopt.plots import comparison as plots
from swarmopt.plots.style import inline
from swarmopt.report import reproduce
from swarmopt.report.compare_command import compare_command
from swarmopt.report.page import Block, Code, Facts, Page, Picture, Prose, Section, Table, clean
from swarmopt.words import count_text

MOST_PROBLEMS = 24  # with pictures
SHOWN_FAILURES = 12
NUMBER = re.compile(r"\d+(\.\d+)?")  # failures that differ in nothing else are alike


def comparison_page(comparison: Comparison) -> Page:
    """Return the page of a comparison, finished or not."""
    judgement = judge(comparison)
    names = ", ".join(map(clean, comparison.algorithms))
    sections = [
        Section("conclusion", "Conclusion", list(_conclusion(judgement))),
        Section("all", "Over all problems", list(_across(judgement))),
    ]
    for i, on in enumerate(judgement.problems):
        blocks = list(_problem(comparison, on, f"p{i}", pictured=i < MOST_PROBLEMS))
        sections.append(Section(f"problem{i}", clean(on.problem), blocks))
    sections += [
        Section("failures", "Failures", list(_failures(comparison))),
        Section("reproduce", "How to reproduce", list(_reproduce(comparison))),
        Section("settings", "Settings and versions", list(_settings(comparison))),
    ]
    state = "good" if comparison.complete and not judgement.notes else "warning"
    return Page(f"Comparison: {names}", _verdict(comparison, judgement), state, sections)


def _verdict(comparison: Comparison, judgement: Judgement) -> list[str]:
    """Return the sentences to read first."""
    done, planned = len(comparison.cells), len(comparison.planned)
    sentences = []
    if not comparison.complete:
        sentences.append(
            f"This comparison is not finished: {done:,} of {planned:,} runs are there."
        )
    pairs = [pair for on in judgement.problems for pair in on.pairs]
    claimed = sum(pair.verdict in ("better", "worse") for pair in pairs)
    if judgement.refusal:
        sentences.append(judgement.refusal)
    elif len(pairs) == 1:
        sentences.append(pairs[0].sentence)
    else:
        sentences.append(
            f"{len(comparison.algorithms)} algorithms on {len(comparison.problems)} problems, "
            f"{len(comparison.seeds)} seeds, {comparison.budget:,} evaluations a run: a difference "
            f"is shown for {claimed} of {len(pairs)} pairs."
        )
    sentences += judgement.too_few
    if judgement.across is not None:
        sentences += judgement.across.sentences
    return sentences


def _conclusion(judgement: Judgement) -> Iterator[Block]:
    if judgement.notes:
        yield Prose(judgement.notes)
    yield Prose(judgement.sentences)


def _across(judgement: Judgement) -> Iterator[Block]:
    found = judgement.across
    if found is None:
        return
    caption = (
        f"Critical-difference diagram: mean ranks over {len(found.problems)} problems, the best "
        f"left; a bar joins algorithms whose ranks show no difference (Nemenyi)."
    )
    picture = plots.ranks(found.algorithms, found.ranks, found.critical_difference, found.groups)
    yield Picture(inline(picture, "ranks", caption), caption)
    rows = list(map(list, zip(found.algorithms, found.ranks, strict=True)))
    yield Table("Mean rank over problems", ["algorithm", "mean rank"], rows)
    yield Facts(
        [
            ("Friedman's chi-squared", found.chi2),
            ("Iman and Davenport's F", found.f),
            ("its p", found.p),
            ("critical difference", found.critical_difference),
        ]
    )


def _problem(
    comparison: Comparison, on: OnProblem, name: str, *, pictured: bool
) -> Iterator[Block]:
    if not on.summaries:
        yield Prose(["No run on this problem has finished."])
        return
    yield _summaries(on)
    if on.pairs:
        yield _pairs(on)
    if on.anytime is not None:
        yield _expected(on)
    if pictured:
        yield from _pictures(comparison, on, name)


def _summaries(on: OnProblem) -> Table:
    known = "" if on.optimum is None else f"; the least cost there is: {on.optimum:.10g}"
    caption = f"Final cost on {clean(on.problem)}{known}"
    if not _several(on):
        head = ["algorithm", "cost", "failed", "nothing feasible", "evaluations", "seconds"]
        rows = [
            [s.algorithm, _cost(s.median), s.n_failed, s.n_infeasible, s.nfev, s.seconds]
            for s in on.summaries
        ]
        return Table(caption, head, rows)
    head = [
        "algorithm", "median", "lower quartile", "upper quartile", "best", "worst",
        "95 % of the median, low", "high", "runs", "failed", "nothing feasible",
        "evaluations", "seconds",
    ]  # fmt: skip
    rows = [
        [
            s.algorithm, *(_cost(v) for v in (s.median, s.low, s.high, s.best, s.worst)),
            *((s.interval.low, s.interval.high) if s.interval else ("-", "-")),
            s.n, s.n_failed, s.n_infeasible, s.nfev, s.seconds,
        ]
        for s in on.summaries
    ]  # fmt: skip
    return Table(caption, head, rows)


def _several(on: OnProblem) -> bool:
    """Return whether an algorithm has more than one run, so that there are quartiles to show."""
    return any(s.n > 1 for s in on.summaries)


def _cost(key: float) -> Any:
    """Return a final cost, or what there is instead of one."""
    if np.isnan(key):
        return "-"
    if key < INFEASIBLE:
        return key
    return "nothing feasible" if np.isfinite(key) else "failed"


def _pairs(on: OnProblem) -> Table:
    difference = "median difference" if _several(on) else "difference"
    head = ["pair", "first is", difference, "p after Holm", "A12", "effect", "seeds"]
    rows = [
        [
            f"{pair.one} and {pair.other}", pair.verdict,
            pair.difference if np.isfinite(pair.difference) else "-",
            "-" if pair.p_holm is None else pair.p_holm,
            "-" if pair.a12 is None else pair.a12,
            pair.effect or "-", pair.n,
        ]
        for pair in on.pairs
    ]  # fmt: skip
    return Table("Pairs: Wilcoxon's signed-rank test over paired seeds", head, rows)


def _expected(on: OnProblem) -> Table:
    assert on.anytime is not None  # noqa: S101 - for the type checker
    times = on.anytime.runtimes
    heads = [f"to {entry.target:.6g}" for entry in next(iter(times.values()))]
    last = {head: i for i, head in enumerate(heads)}  # of targets that read the same
    rows = [
        [
            algorithm,
            *(
                f"{r.ert:.10g} ({r.n_reached} of {r.n})" if r.n_reached else "never"
                for r in (found[i] for i in last.values())
            ),
        ]
        for algorithm, found in times.items()
    ]
    head = ["algorithm", *last]
    return Table("Expected running time in evaluations, and how many runs got there", head, rows)


def _pictures(comparison: Comparison, on: OnProblem, name: str) -> Iterator[Block]:
    shown = clean(on.problem)
    runs = {s.algorithm: comparison.runs(on.problem, s.algorithm) for s in on.summaries}
    at = plots.evenly(comparison.budget)
    curves = {a: np.array([cell.best_at(at) for cell in cells]) for a, cells in runs.items()}
    several = _several(on)
    curve = "median of the runs, and the band between the quartiles" if several else "one run each"
    caption = f"Convergence on {shown}: {curve}."
    picture = plots.bands(at, curves, optimum=on.optimum)
    yield Picture(inline(picture, f"{name}-bands", caption), caption)
    if on.anytime is not None:
        reached = {a: on.anytime.reached(a, at) for a in runs}
        what = (
            "error targets from 1e2 to 1e-8"
            if on.anytime.known
            else "cost targets, made from the runs of this comparison"
        )
        caption = f"Runtimes on {shown}: share of runs and {what} that are reached (ECDF)."
        picture = plots.runtimes(at, reached)
        yield Picture(inline(picture, f"{name}-ecdf", caption), caption)
    finals = {
        a: np.array([c.key if c.feasible else np.inf for c in cells]) for a, cells in runs.items()
    }
    more = ", a box between the quartiles, a line at the median" if several else ""
    caption = f"Final costs on {shown}: a mark a run{more}."
    yield Picture(inline(plots.finals(finals), f"{name}-finals", caption), caption)


def _failures(comparison: Comparison) -> Iterator[Block]:
    failed = [cell for cell in comparison.cells.values() if cell.error is not None]
    alike: dict[str, list[Cell]] = {}
    for cell in failed:
        alike.setdefault(NUMBER.sub("#", cell.error or ""), []).append(cell)
    for i, cells in enumerate(list(alike.values())[:SHOWN_FAILURES]):
        first = cells[0]
        where = clean(f"{first.algorithm} on {first.problem}, seed {first.seed}")
        more = f", and {count_text(len(cells) - 1, 'more run')} alike" if len(cells) > 1 else ""
        yield Code(f"Failed: {where}{more}", first.error or "", folded=i > 0)
    partly = [c for c in comparison.cells.values() if c.n_failed and c.error is None]
    if partly:
        rows = [
            [f"{c.algorithm} on {c.problem}, seed {c.seed}", c.n_failed, c.nfev] for c in partly
        ]
        head = ["run", "failed evaluations", "evaluations"]
        yield Table("Runs in which evaluations failed", head, rows[:200])


def _reproduce(comparison: Comparison) -> Iterator[Block]:
    text = compare_command(comparison)
    if text:
        yield Code("The same comparison again:", text)
    else:
        yield Prose(["It was begun from Python: the same call of swarmopt.compare repeats it."])
    n_merged = comparison.settings.get("merged", 1)
    if n_merged > 1:
        yield Prose([f"It is {n_merged} comparisons in one; each goes on in a folder of its own."])
    elif not comparison.complete:
        yield Prose(["With --out and this comparison's folder the same command goes on with it."])
    yield Prose(["The same settings and versions on the same kind of machine repeat all runs."])


def _settings(comparison: Comparison) -> Iterator[Block]:
    yield Facts(
        [
            ("problems", len(comparison.problems)),
            ("algorithms", len(comparison.algorithms)),
            ("seeds", len(comparison.seeds)),
            ("evaluations of a run", comparison.budget),
            ("finished runs", len(comparison.cells)),
            ("planned runs", len(comparison.planned)),
        ]
    )
    settings = {k: v for k, v in comparison.settings.items() if k != "versions"}
    yield Code("All settings, as compare.toml", reproduce.settings_text(settings), folded=True)
    versions = comparison.settings.get("versions")
    if isinstance(versions, Mapping):
        yield Facts([(str(k), str(v)) for k, v in versions.items()])
