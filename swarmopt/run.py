"""The one loop: ask, evaluate, record, tell. Everything that optimises goes through it."""

import inspect
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from swarmopt import folder as run_folder
from swarmopt import plugins
from swarmopt.algorithm import AnyAlgorithm
from swarmopt.errors import FinishError, FolderError, SettingError
from swarmopt.evaluate.evaluator import Evaluator, Finished, Work
from swarmopt.evaluate.in_process import InProcess
from swarmopt.evaluation import Evaluation, Outcome
from swarmopt.inputs import (
    Points,
    as_algorithm,
    as_problem,
    as_rows,
    default_limits,
    draw_seed,
    hyper_parameters,
)
from swarmopt.journal import Journal
from swarmopt.limits import Limits, check_count
from swarmopt.problem import Problem
from swarmopt.result import Result, Step, Stop
from swarmopt.search import Batch, Search

Callback = Callable[..., object]


class Display(Protocol):
    """What the loop tells about a run while it goes on."""

    def evaluated(self, n: int) -> None:
        """Show that n evaluations have finished in all."""
        ...

    def told(self, step: Step) -> None:
        """Show a told batch."""
        ...


def iterate(
    search: Search,
    evaluator: Evaluator,
    *,
    journal: Journal | None = None,
    display: Display | None = None,
    lookahead: int = 0,
) -> Iterator[Step]:
    """Run a search, and yield a step after each told batch.

    Args:
        search: not started yet.
        evaluator: of its problem.
        journal: where evaluations are recorded before the algorithm is told.
        display: told of every evaluation.
        lookahead: how many batches asking may run ahead of telling.
    """
    pending: deque[_Pending] = deque()
    while not search.done:
        while search.can_ask and len(pending) <= lookahead:
            batch = search.ask()
            pending.append(_Pending(batch))
            if len(batch):
                rows = np.arange(len(batch))
                evaluator.submit(Work(batch.number, rows, batch.x, batch.seeds, np.inf))
        first = pending[0]
        while not first.complete and evaluator.busy:
            finished = evaluator.wait()
            _receive(finished, pending, journal)
            if display is not None:
                display.evaluated(search.nfev + sum(p.n for p in pending))
            if search.out_of_time:
                evaluator.drop()
        pending.popleft()
        batch, evaluation = first.batch, first.evaluation()
        if journal is not None:
            journal.close_batch(batch.number, batch.ids[: len(evaluation)], search.seconds)
        _report_failures(batch, evaluation)
        yield from search.tell(batch, evaluation)


class _Pending:
    """A batch that was asked for and not told yet, and what is known of its points."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.n = 0  # evaluations that have finished
        self._parts: list[Finished] = []

    @property
    def complete(self) -> bool:
        return self.n == len(self.batch)

    def add(self, finished: Finished) -> None:
        self._parts.append(finished)
        self.n += len(finished.rows)

    def evaluation(self) -> Evaluation:
        """Return the evaluation of the first points, up to the first that is missing."""
        joined = Evaluation.join([part.evaluation for part in self._parts])
        if len(self._parts) <= 1 and self.complete:
            return joined
        rows = np.concatenate([part.rows for part in self._parts]) if self._parts else np.empty(0)
        order = rows.argsort()
        n_first = int((rows[order] == np.arange(len(rows))).cumprod().sum())
        return joined.rows(order[:n_first])


def _receive(finished: Finished, pending: Iterable[_Pending], journal: Journal | None) -> None:
    """Record what has finished, and add it to its batch."""
    waiting = next(p for p in pending if p.batch.number == finished.batch)
    batch, rows = waiting.batch, finished.rows
    if journal is not None:
        ids = rows + batch.ids.start
        journal.add(batch.number, ids, batch.x[rows], finished.evaluation)
    waiting.add(finished)


def _report_failures(batch: Batch, evaluation: Evaluation) -> None:
    outcome = evaluation.outcome
    if not outcome.any():
        return
    failed = [i for i, o in enumerate(outcome) if o not in (Outcome.OK, Outcome.CENSORED)]
    if failed:
        info = evaluation.info or [{}] * len(evaluation)
        plugins.installed().observe(
            "swarmopt_evaluation_failed",
            {
                "ids": [batch.ids[i] for i in failed],
                "errors": [
                    str(info[i].get("error", f"the cost is {evaluation.cost[i]}")) for i in failed
                ],
            },
        )


def minimize(
    fun: Callable[..., Any] | Problem,
    space: Any = None,
    *,
    algorithm: str | AnyAlgorithm = "ssa",
    budget: int | None = None,
    max_time: float | None = None,
    target: float | None = None,
    patience: int | None = None,
    seed: int | None = None,
    x0: Points | None = None,
    batch: bool = False,
    batch_size: int = 1,
    cache: bool | None = None,
    lookahead: int = 0,
    callback: Callback | None = None,
    progress: bool = False,
    run_dir: str | Path | None = None,
    overwrite: bool = False,
    history: Literal["batches", "all"] = "batches",
) -> Result:
    """Find the point of a space where a function is least.

    Args:
        fun: takes one point (a dict for a named space, an array of d numbers otherwise) and returns
            a cost, or a pair (cost, violation) where violation 0 means feasible. Or a `Problem`.
        space: a `Space`, a dict or list of variables, or (low, high) pairs; None with a `Problem`.
        algorithm: a name (`swarmopt list algorithms`), or an instance such as `PSO(population=50)`.
        budget: evaluations at most. Without any limit: the problem's own default, or else 100 times
            the number of variables, at least 1,000.
        max_time: seconds; the evaluation that is running then is finished.
        target: ends the run at a feasible cost as low as this.
        patience: ends it after so many evaluations without a better point.
        seed: repeats a run; drawn, and given in the result, when None.
        x0: points to try first, as dicts or rows.
        batch: `fun` takes the whole population (a dict of arrays, or an (n, d) array) and returns
            (n,) costs, or a pair of (n,) costs and (n,) violations.
        batch_size: candidates wanted at once, at least.
        cache: answer known points from memory; None: where the space is finite.
        lookahead: how many batches asking may run ahead of telling.
        callback: called after each batch as `callback(intermediate_result)` with a `Step` where its
            argument has that name, else with the best point; stops the run by StopIteration.
        progress: show progress on stderr.
        run_dir: a folder to be made for settings, record and result.
        overwrite: whether an earlier run there may be replaced.
        history: "all" keeps every point in `result.history`.

    Returns:
        The result: `x`, `params`, `fun`, `nfev`, `success`, `message`, and more.

    Raises:
        SettingError: a setting is unknown, of the wrong type or out of range.
        ObjectiveError: the objective breaks its contract: wrong shape, negative or NaN violation.
        AllFailedError: no evaluation of the first batch succeeded.
        FolderError: the run folder exists or cannot be written.
        FinishError: the search is done, but the problem's `finish` failed.
    """
    check_count("lookahead", lookahead, least=0, optional=False)
    if callback is not None and not callable(callback):
        raise SettingError(f"callback: expected a function, got {callback!r}")
    if run_dir is not None and not isinstance(run_dir, str | Path):
        raise SettingError(f"run_dir: expected a path, got {run_dir!r}")
    problem = as_problem(fun, space, batch=batch)
    solver = as_algorithm(algorithm)
    limits = default_limits(problem, Limits(budget, max_time, target, patience))
    if history not in ("batches", "all"):
        raise SettingError(f"history: expected 'batches' or 'all', got {history!r}")
    seed = draw_seed() if seed is None else seed
    points = None if x0 is None else problem.space.points(as_rows(x0))
    search = Search(
        problem,
        solver,
        seed=seed,
        limits=limits,
        batch_size=batch_size,
        cache=cache,
        x0=points,
        keep_points=history == "all",
    )
    settings = {
        "algorithm": solver.name,
        **asdict(search.limits),
        "seed": search.seed,
        "batch_size": int(batch_size),
        "cache": cache,
        "lookahead": int(lookahead),
        "x0": None if points is None else points.tolist(),
        "set": {"algorithm": hyper_parameters(solver)},
    }
    return execute(
        search,
        settings=settings,
        run_dir=None if run_dir is None else Path(run_dir),
        overwrite=overwrite,
        lookahead=lookahead,
        callback=callback,
        progress=progress,
    )


def execute(
    search: Search,
    *,
    settings: Mapping[str, Any],
    run_dir: Path | None = None,
    overwrite: bool = False,
    lookahead: int = 0,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Run a search to its end, with its folder, its observers and what its problem does after it.

    Args:
        search: not started yet.
        settings: what `run.toml` and observers are told; JSON values.
        run_dir: as in `minimize`.
        overwrite: as in `minimize`.
        lookahead: as in `minimize`.
        callback: as in `minimize`.
        progress: as in `minimize`.
    """
    problem = search.problem
    hooks = plugins.installed()
    folder = None
    if run_dir is not None:
        run_folder.check_free(run_dir, overwrite=overwrite, artefacts=problem.artefacts)
    problem.prepare()
    search.start_clock()
    with ExitStack() as stack:
        if run_dir is not None:
            folder = run_folder.create(
                run_dir,
                settings,
                problem.space,
                overwrite=overwrite,
                distributions=problem.distributions,
                artefacts=problem.artefacts,
            )
            stack.enter_context(folder)
        hooks.observe("swarmopt_run_started", {"settings": settings, "folder": run_dir})
        _search(search, folder, lookahead=lookahead, callback=callback, progress=progress)
        result = _finished(search, folder)
    hooks.observe("swarmopt_run_finished", {"result": result, "folder": run_dir})
    return result


def _search(
    search: Search,
    folder: run_folder.RunFolder | None,
    *,
    lookahead: int,
    callback: Callback | None,
    progress: bool,
) -> None:
    """Run the search to its end, recorded, shown and observed."""
    hooks = plugins.installed()
    listen = None if callback is None else _as_listener(callback)
    with ExitStack() as stack:
        journal = None if folder is None else stack.enter_context(Journal.open(folder.path))
        display = None
        if progress:
            from swarmopt.progress import ProgressBar

            title = f"{search.problem.name} {search.algorithm.name}"
            display = stack.enter_context(ProgressBar(title, search.limits.budget))
        evaluator = stack.enter_context(InProcess(search.problem))
        steps = iterate(search, evaluator, journal=journal, display=display, lookahead=lookahead)
        for step in steps:
            if display is not None:
                display.told(step)
            hooks.observe("swarmopt_generation_finished", {"step": step})
            if listen is not None:
                try:
                    listen(step)
                except StopIteration:
                    search.stop = Stop.CALLBACK


def _finished(search: Search, folder: run_folder.RunFolder | None) -> Result:
    """Return the result with what the problem adds to it; the search's own is kept before that.

    Raises:
        FinishError: the problem failed to add it.
        FolderError: the folder is gone or full.
    """
    problem = search.problem
    result = search.result()
    if folder is not None:
        try:
            run_folder.write_json(folder.path / run_folder.RESULT, result.summary())
        except FolderError as error:
            raise FinishError(f"the search is done, but cannot be kept: {error}", result) from error
    if result.success:
        try:
            result = search.result(problem.finish(result, folder.path if folder else None))
            summary = result.summary()
        except Exception as error:
            kept = f" (kept in {folder.path / run_folder.RESULT})" if folder else ""
            raise FinishError(
                f"the search is done{kept}, but what comes after it failed: "
                f"{type(error).__name__}: {error}",
                result,
            ) from error
        if folder is not None:
            run_folder.write_json(folder.path / run_folder.RESULT, summary)
    return result


def _as_listener(callback: Callback) -> Callable[[Step], object]:
    """Return a function of a step that calls back as scipy does."""
    try:
        names = list(inspect.signature(callback).parameters)
    except (TypeError, ValueError):
        names = []
    if names == ["intermediate_result"]:
        return lambda step: callback(intermediate_result=step)
    return lambda step: callback(step.x.copy())
