"""The page of a run: every number on it is from the record."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from swarmopt.evaluation import INFEASIBLE, Evaluation, Outcome
from swarmopt.plots import run as plots
from swarmopt.plots.style import inline
from swarmopt.report import extras, reproduce
from swarmopt.report.account import SHOWN_FAILURES, Account, read_account
from swarmopt.report.gathered import Failure
from swarmopt.report.page import Block, Code, Facts, Page, Picture, Prose, Section, Table, clean
from swarmopt.types import Vector
from swarmopt.variables import Boolean, Categorical, Integer, Ordinal, Real, Variable
from swarmopt.words import count_text

BEST = 5  # points in the table
MOST_VARIABLES = 500  # rows of that table
AXES = 12  # variables in the picture of the best points
ROLES = ("producers", "scroungers", "scouts")
SHORT = 200  # characters of a text in a table


def run_page(folder: Path) -> Page:
    """Return the page of the run in a folder.

    Raises:
        FolderError: it is no run folder, or cannot be read, or is damaged.
    """
    return page_of(read_account(folder))


def page_of(run: Account) -> Page:
    """Return the page of a run."""
    state, verdict = _verdict(run)
    return Page(
        _title(run),
        verdict,
        state,
        [
            Section("summary", "Summary", [_summary(run)]),
            Section("pictures", "Pictures", list(_pictures(run))),
            Section("best", "The best points", list(_best(run))),
            Section("failures", "Failures", list(_failures(run))),
            Section("problem", "What came of it", list(extras.tables(run.report))),
            Section("reproduce", "How to reproduce", list(_reproduce(run))),
            Section("settings", "Settings and versions", list(_settings(run))),
        ],
    )


def problem_name(run: Account) -> str:
    """Return how reports call the problem of a run."""
    return str(run.about.get("problem") or run.settings.get("problem") or "a function")


def _title(run: Account) -> str:
    settings = run.settings
    name = _short(problem_name(run))
    return f"{name}: {_short(settings.get('algorithm', 'unknown'))}, seed {settings.get('seed')}"


def _verdict(run: Account) -> tuple[str, list[str]]:
    """Return how a run ended, and the sentences to read first."""
    sentences = [_outcome(run), *map(_short, extras.sentences(run.report))]
    state = "good" if run.n_feasible else "bad"
    if run.finished is None:
        state = "warning"
        sentences.insert(0, _unfinished(run))
    elif message := _message(run):
        sentences.append(f"It ended because of this: {message}.")
    if run.n_failed:
        state = "warning" if state == "good" else state
        sentences.append(
            f"{run.n_failed:,} of {count_text(run.n, 'evaluation')} failed; they rank last."
        )
    if run.about.get("diverged") is not None:
        sentences.append("It was resumed, and is not bit-identical to an uninterrupted run.")
    return state, sentences


def _outcome(run: Account) -> str:
    if not len(run.elite):
        return f"Nothing was found in {count_text(run.n, 'evaluation')}."
    best = run.elite[0]
    cost = f"{float(best['cost']):.10g}"
    after = f"found by evaluation {int(best['id']) + 1:,} of {run.n:,}"
    if best["violation"] > 0:
        return (
            f"No feasible point was found; the least violation is "
            f"{float(best['violation']):.6g}, at cost {cost}, {after}."
        )
    return f"The best cost is {cost}, {after}."


def _unfinished(run: Account) -> str:
    if run.in_use:
        return "This run is going on: what follows is what it has found so far."
    where = clean(reproduce.resume_command(run.folder, run.settings))
    if not run.settings.get("problem"):
        where = f"minimize(..., run_dir={str(run.folder)!r}, resume=True)"
    return f"This run is not finished. Go on with it: {where}"


def _message(run: Account) -> str:
    """Return why a run ended, as its result says, where that result is the record's."""
    result = run.result
    if result.get("nfev") != run.n or not isinstance(result.get("message"), str):
        return ""
    if len(run.elite) and result.get("fun") != float(run.elite[0]["cost"]):
        return ""
    return str(result["message"])


def _summary(run: Account) -> Facts:
    pairs: list[tuple[str, Any]] = []
    if len(run.elite):
        best = run.elite[0]
        pairs.append(("best cost", float(best["cost"])))
        pairs.append(("violation of the best", float(best["violation"])))
        pairs.append(("found by evaluation", int(best["id"]) + 1))
    pairs.append(("evaluations", run.n))
    if run.n_recorded > run.n:
        pairs.append(("more, in a batch that is not complete", run.n_recorded - run.n))
    pairs += [
        ("batches", run.n_batches),
        ("feasible evaluations", run.n_feasible),
        ("infeasible evaluations", run.n - run.n_feasible - run.n_failed),
        ("failed evaluations", run.n_failed),
        ("seconds of search", run.seconds),
        ("variables", len(run.names)),
    ]
    return Facts(pairs)


def _pictures(run: Account) -> Iterator[Block]:
    if len(run.nfev):
        title = _title(run)
        caption = (
            f"Cost against evaluations: the best so far, and the median of each batch. {title}"
        )
        picture = plots.convergence(run.nfev.astype(float), run.best, run.median)
        yield Picture(inline(picture, "convergence", caption), caption)
    roles = _roles(run)
    if roles:
        caption = "Share of the candidates that each role of the sparrow search makes, over time."
        yield Picture(inline(plots.shares(roles), "roles", caption), caption)
    if len(run.elite) > 1:
        yield _parallel(run)
    yield from extras.pictures(run.report, run.said)


def _roles(run: Account) -> dict[str, tuple[Vector, Vector]]:
    """Return the shares of the roles over time; nothing where the algorithm has none."""
    said = (run.finished or {}).get("told")
    found = {}
    for name in ROLES:
        entry = said.get(name) if isinstance(said, Mapping) else None
        try:
            nfev, share = (np.asarray(column, float) for column in entry)  # type: ignore[union-attr]
        except (TypeError, ValueError):
            return {}
        if nfev.ndim != 1 or nfev.shape != share.shape or not np.isfinite(share).all():
            return {}
        found[name] = (nfev, share)
    same = {column[0].tobytes() for column in found.values()}
    return found if len(same) == 1 and len(found[ROLES[0]][0]) > 1 else {}


def _parallel(run: Account) -> Picture:
    """Return the best points across the variables that they agree on most."""
    x, low, high = run.elite["x"], run.low, run.high
    about = run.space.variables if run.space else ()
    log = np.array([isinstance(v, Real) and v.log for v in about] or [False] * len(run.names))
    with np.errstate(invalid="ignore", divide="ignore"):
        x, low, high = (np.where(log, np.log(values), values) for values in (x, low, high))
        span = high - low
        unit = np.where(span > 0, (x - low) / span, 0.5)
    unit = np.clip(np.nan_to_num(unit, nan=0.5), 0.0, 1.0)
    spread = np.where(span > 0, unit.max(axis=0) - unit.min(axis=0), 2.0)
    chosen = np.sort(np.argsort(spread, kind="stable")[:AXES])
    lows, highs = run.values(run.low), run.values(run.high)
    ends = [(_end(lows[j]), _end(highs[j])) for j in chosen]
    picture = plots.parallel([run.names[j] for j in chosen], unit[:, chosen], ends)
    which = "" if len(chosen) == len(span) else (
        f" The {len(chosen)} of {len(span)} variables that these points agree on most."
    )  # fmt: skip
    scale = ", on a logarithmic scale where the search has one" if log[chosen].any() else ""
    caption = (
        f"The {len(x)} best points that differ: one line each, one axis a variable, from the least "
        f"to the greatest value that was evaluated{scale}.{which}"
    )
    return Picture(inline(picture, "elite", caption), caption)


def _end(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _best(run: Account) -> Iterator[Block]:
    rows = run.elite[:BEST]
    if not len(rows):
        return
    columns = [run.values(row["x"]) for row in rows]
    about = run.space.variables if run.space else [None] * len(run.names)
    table: list[list[Any]] = [
        ["cost", "", *(float(row["cost"]) for row in rows)],
        ["violation", "", *(float(row["violation"]) for row in rows)],
        ["evaluation", "", *(int(row["id"]) + 1 for row in rows)],
    ]
    for j, name in enumerate(run.names[:MOST_VARIABLES]):
        values = [v if isinstance(v, int | float) else _short(v) for v in (c[j] for c in columns)]
        table.append([_short(name), _range(about[j]), *values])
    keys = Evaluation(np.array(rows["cost"]), np.array(rows["violation"])).key()
    worse = " Infeasible points rank by their violation." if keys[-1] >= INFEASIBLE else ""
    caption = f"The {len(rows)} best points that differ, the best first.{worse}"
    yield Table(caption, ["variable", "range", *(f"#{i + 1}" for i in range(len(rows)))], table)
    if len(run.names) > MOST_VARIABLES:
        yield Prose(
            [f"{MOST_VARIABLES} of {len(run.names):,} variables; swarmopt export writes all."]
        )
    if run.space is None:
        yield Prose(["The record does not describe the choices; their indices are shown."])


def _range(variable: Variable | None) -> str:
    match variable:
        case Real():
            return f"{variable.low:.6g} to {variable.high:.6g}{', log' if variable.log else ''}"
        case Integer():
            return f"{variable.low:,} to {variable.high:,}, whole"
        case Boolean():
            return "yes or no"
        case Ordinal() | Categorical():
            kind = "ordered" if isinstance(variable, Ordinal) else "unordered"
            return f"{len(variable.choices)} choices, {kind}"
    return ""


def _failures(run: Account) -> Iterator[Block]:
    if not run.failures:
        return
    counts = [
        [outcome.name.lower(), int((run.status == outcome).sum())]
        for outcome in Outcome
        if outcome not in (Outcome.OK, Outcome.CENSORED) and (run.status == outcome).any()
    ]
    yield Table("Failed evaluations by how they ended", ["outcome", "evaluations"], counts)
    for i, failure in enumerate(run.failures):
        yield Code(f"Failure {i + 1}: {_where(failure, run)}", failure.text, folded=i > 0)
    if run.n_kinds > SHOWN_FAILURES:
        left = run.n_kinds - SHOWN_FAILURES
        yield Prose([f"{left:,} more texts are in the record; its table is `evaluation`."])


def _where(failure: Failure, run: Account) -> str:
    n = len(failure.ids)
    point = ", ".join(
        f"{name} = {value}" for name, value in zip(run.names, run.values(failure.x), strict=True)
    )
    some = f"{n:,} evaluations, the first is" if n > 1 else "evaluation"
    return (
        f"{failure.outcome.name.lower()}, {some} number {failure.ids[0] + 1:,} at {_short(point)}"
    )


def _reproduce(run: Account) -> Iterator[Block]:
    settings = run.settings
    if not settings.get("problem"):
        text = reproduce.in_python(settings, problem_name(run), str(run.about["space"]))
        yield Code("This run was begun from Python. The same again:", text)
    else:
        text = reproduce.command(settings)
        which = " with run.toml as below in Settings" if "--config" in text else ""
        yield Code(f"The same run again{which}:", text)
    if run.finished is None and not run.in_use and settings.get("problem"):
        yield Code("Go on with this run:", reproduce.resume_command(run.folder, settings))
    yield Prose(
        [
            "The digest covers every point, cost, violation and outcome.",
            "The same settings, seed and versions on the same kind of machine give the same.",
        ]
    )
    yield Facts([("digest", run.digest.hex() or "of nothing")])


def _settings(run: Account) -> Iterator[Block]:
    plain = {k: v for k, v in run.settings.items() if not isinstance(v, Mapping) and v is not None}
    yield Facts(
        [
            (_short(k), v if isinstance(v, int | float) and k != "seed" else _short(v))
            for k, v in plain.items()
        ]
    )
    yield Code("All settings, as run.toml", reproduce.settings_text(run.settings), folded=True)
    if run.versions:
        yield Facts([(_short(k), _short(v)) for k, v in run.versions.items()])


def _short(value: Any) -> str:
    text = clean(value)
    return text if len(text) <= SHORT else f"{text[:SHORT]}…"
