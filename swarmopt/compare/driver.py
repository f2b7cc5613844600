"""A comparison from beginning to end: who takes part, which runs are missing, and running them."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from swarmopt.algorithm import AnyAlgorithm, Seeds
from swarmopt.compare.cells import Runs, cell_of
from swarmopt.compare.comparison import Cell, Comparison, Where
from swarmopt.compare.entries import (
    algorithms_of,
    describe_algorithm,
    describe_problem,
    problems_of,
)
from swarmopt.compare.record import comparison_of
from swarmopt.compare.store import RESULT, Store
from swarmopt.errors import SettingError
from swarmopt.evaluate.evaluator import Work
from swarmopt.evaluate.resources import Resources
from swarmopt.evaluate.threads import pinned
from swarmopt.folder import versions, write_json
from swarmopt.inputs import Points, as_evaluator, as_rows
from swarmopt.limits import check_count
from swarmopt.problem import Problem
from swarmopt.settings import named
from swarmopt.types import Matrix

Entries = Any  # a name or an instance, several of them, or a mapping from labels to these
LARGEST_SEED = 2**63 - 1


def compare(
    algorithms: Entries,
    problems: Entries,
    *,
    budget: int,
    seeds: int | Sequence[int] = 30,
    workers: int | None = None,
    out: str | Path | None = None,
    only: bool = False,
    x0: Mapping[str, Points] | None = None,
    progress: bool = False,
) -> Comparison:
    """Run every algorithm on every problem with every seed, and return what was found.

    All runs on a problem have the same budget, instance, seeds and `x0`, in which they are paired.
    Each algorithm draws the rest of its first batch by its own rule, which is part of it.

    Args:
        algorithms: names, instances, or a mapping from labels to these. "pso:population=50" is a
            name with settings. `ssa-classic` is added beside `ssa`.
        problems: names, Problems, or a mapping from labels to these. "rastrigin:dim=20:instance=1"
            is a name with settings; an instance is what the settings say for all seeds.
        budget: evaluations of a run.
        seeds: how many (0, 1, ...), or which.
        workers: processes that carry out the runs; 0: this process; None: as many as there are
            cores. They change no result.
        out: the folder of the comparison; one that is there goes on: finished runs are not done
            again, and all settings but the seeds must be as they were. None: nothing is kept.
        only: whether `ssa-classic` is not added beside `ssa`.
        x0: by label of the problem, points that every run on it starts with.
        progress: show a table on stderr.

    Returns:
        The comparison; `swarmopt.compare.verdict.judge` says what it shows.

    Raises:
        SettingError: a setting is unknown, of the wrong type or out of range, or not as it was.
        WorkerError: a problem cannot be sent to workers.
        FolderError: the folder cannot be read or written, or is no comparison's.
    """
    chosen = problems_of(problems)
    entrants = algorithms_of(algorithms, only=only)
    points = _starts(x0 or {}, chosen)
    settings = settings_of_comparison(chosen, entrants, budget, seeds, points)
    check_count("workers", workers, least=0)
    n_workers = _cores() if workers is None else int(workers)
    with ExitStack() as stack:
        store = None if out is None else stack.enter_context(Store.open(Path(out), settings))
        cells: dict[Where, Cell] = {} if store is None else store.cells
        comparison = comparison_of(
            settings if store is None else {**settings, "seeds": list(store.seeds)}, cells
        )
        display = None
        if progress:
            from swarmopt.compare.progress import Progress

            display = stack.enter_context(Progress())
            display.begin(comparison)
        for cell in _carried_out(comparison, chosen, entrants, points, n_workers):
            if store is None:
                cells[cell.where] = cell
            else:
                store.add(cell)
            if display is not None:
                display.told(comparison, cell)
        if store is not None:
            _write_result(store.path, comparison)
    return comparison


def settings_of_comparison(
    problems: Mapping[str, Problem],
    algorithms: Mapping[str, AnyAlgorithm],
    budget: int,
    seeds: int | Sequence[int],
    x0: Mapping[str, Matrix],
) -> dict[str, Any]:
    """Return the resolved settings as the folder keeps them.

    Raises:
        SettingError: the budget or the seeds are no whole numbers in their range.
    """
    check_count("budget", budget, optional=False)
    packages = [name for p in problems.values() for name in p.distributions]
    return {
        "budget": int(budget),
        "seeds": _seeds(seeds),
        "problem": {label: describe_problem(p) for label, p in problems.items()},
        "algorithm": {label: describe_algorithm(a) for label, a in algorithms.items()},
        "x0": {label: points.tolist() for label, points in x0.items()},
        "versions": versions(["swarmopt", "numpy", "scipy", *packages]),
    }


def _carried_out(
    comparison: Comparison,
    problems: Mapping[str, Problem],
    algorithms: Mapping[str, AnyAlgorithm],
    x0: Mapping[str, Matrix],
    workers: int,
) -> Iterator[Cell]:
    """Carry out the runs that are missing, and yield each as it ends."""
    wanted = comparison.missing
    if not wanted:
        return
    for label in dict.fromkeys(problem for problem, _, _ in wanted):
        with named(f"problem {label} cannot be prepared", type(problems[label])):
            problems[label].prepare()
    runs = Runs(wanted, problems, algorithms, comparison.budget, x0)
    n = len(wanted)
    numbers = np.arange(n)
    resources = Resources(workers=min(workers, n))
    with pinned(resources.threads), as_evaluator(runs, resources) as evaluator:
        # Batch 1: what a problem breaks there is a failed run, not the end of all.
        work = Work(1, numbers, numbers[:, None].astype(float), Seeds(0, range(n)), np.inf)
        evaluator.submit(work)
        while evaluator.busy:
            finished = evaluator.wait()
            for i, row in enumerate(finished.rows):
                yield cell_of(wanted[row], finished.evaluation.rows(np.array([i])))


def _cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # where a system has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _seeds(seeds: Any) -> list[int]:
    if isinstance(seeds, int | np.integer):
        check_count("seeds", seeds, optional=False)
        return list(range(int(seeds)))
    if isinstance(seeds, str) or not isinstance(seeds, Sequence) or not len(seeds):
        raise SettingError(f"seeds: expected how many, or a list of them, got {seeds!r:.60}")
    for seed in seeds:
        check_count("seeds", seed, least=0, optional=False)
        if seed > LARGEST_SEED:
            raise SettingError(f"seeds: expected at most {LARGEST_SEED}, got {seed}")
    found = list(dict.fromkeys(int(seed) for seed in seeds))
    if len(found) < len(seeds):
        raise SettingError(
            f"seeds: expected each once, got {list(seeds)}; the same run twice is no more evidence"
        )
    return found


def _starts(x0: Mapping[str, Points], problems: Mapping[str, Problem]) -> dict[str, Matrix]:
    """Return the points that runs start with, by label of the problem."""
    given: Any = x0
    if not isinstance(given, Mapping) or not given.keys() <= problems.keys():
        raise SettingError(
            f"x0: expected points by the label of a problem ({', '.join(problems)}), got {x0!r:.80}"
        )
    return {label: problems[label].space.points(as_rows(points)) for label, points in x0.items()}


def _write_result(path: Path, comparison: Comparison) -> None:
    from swarmopt.compare.verdict import judge

    write_json(path / RESULT, judge(comparison).summary())
