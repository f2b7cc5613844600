"""A run from beginning to end: its settings, folder, loop, observers and what comes after."""

import inspect
import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from swarmopt import folder as run_folder
from swarmopt import plugins
from swarmopt.algorithm import AnyAlgorithm
from swarmopt.errors import FinishError, FolderError, SettingError
from swarmopt.evaluate.evaluator import Evaluator
from swarmopt.evaluate.resources import Resources
from swarmopt.evaluate.scheduler import connect
from swarmopt.evaluate.threads import pinned
from swarmopt.inputs import (
    Points,
    as_algorithm,
    as_evaluator,
    as_problem,
    as_rows,
    default_limits,
    draw_seed,
    hyper_parameters,
    resources_of,
)
from swarmopt.journal import Journal
from swarmopt.limits import Limits, check_count
from swarmopt.loop import iterate
from swarmopt.problem import Problem
from swarmopt.result import Result, Step, Stop
from swarmopt.resuming import check_fingerprint, open_journal, recorded
from swarmopt.search import Search
from swarmopt.settings import named

log = logging.getLogger(__name__)

Callback = Callable[..., object]


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
    workers: int | None = None,
    cluster: str | None = None,
    eval_timeout: float | None = None,
    threads: int = 1,
    chunk: int | None = None,
    callback: Callback | None = None,
    progress: bool = False,
    run_dir: str | Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
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
        workers: processes that evaluate, each holding the problem; 0: this process; None: what the
            problem wants, mostly 0. They survive whatever an evaluation does, and change no result.
        cluster: address of a Dask scheduler instead, "tcp://host:8786" (extra `dask`).
        eval_timeout: seconds that one evaluation may take on a worker; then it is ended, tried once
            more, and counted as failed.
        threads: of BLAS, OpenMP and torch in each process that evaluates; another number may change
            the last bits of a cost.
        chunk: points of one call where `batch` is set; needed there with workers.
        callback: called after each batch as `callback(intermediate_result)` with a `Step` where its
            argument has that name, else with the best point; stops the run by StopIteration, but a
            run that is over and resumed not before its recorded end.
        progress: show progress on stderr.
        run_dir: a folder to be made for settings, record and result.
        overwrite: whether an earlier run there may be replaced.
        resume: whether an earlier run there goes on, from its record; all settings must be as they
            were, but `seed` may be None. Where there is none, the run begins.
        history: "all" keeps every point in `result.history`.

    Returns:
        The result: `x`, `params`, `fun`, `nfev`, `success`, `message`, and more.

    Raises:
        SettingError: a setting is unknown, of the wrong type or out of range.
        ObjectiveError: the objective breaks its contract: wrong shape, negative or NaN violation.
        AllFailedError: no evaluation of the first batch succeeded.
        WorkerError: workers cannot be reached, or cannot make the problem.
        FolderError: the run folder exists or cannot be written.
        FinishError: the search is done, but the problem's `finish` failed.
    """
    check_count("lookahead", lookahead, least=0, optional=False)
    if callback is not None and not callable(callback):
        raise SettingError(f"callback: expected a function, got {callback!r}")
    if run_dir is not None and not isinstance(run_dir, str | Path):
        raise SettingError(f"run_dir: expected a path, got {run_dir!r}")
    if resume and (run_dir is None or overwrite):
        raise SettingError("resume: give the run_dir of the run that goes on, and no overwrite")
    problem = as_problem(fun, space, batch=batch)
    resources = resources_of(problem, Resources(workers, cluster, eval_timeout, threads, chunk))
    solver = as_algorithm(algorithm)
    limits = default_limits(problem, Limits(budget, max_time, target, patience))
    if history not in ("batches", "all"):
        raise SettingError(f"history: expected 'batches' or 'all', got {history!r}")
    before = recorded(Path(run_dir)) if resume and run_dir is not None else None
    if seed is None:
        seed = draw_seed() if before is None else int(before["seed"])
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
        **asdict(resources),
        "x0": None if points is None else points.tolist(),
        "set": {"algorithm": hyper_parameters(solver)},
    }
    return execute(
        search,
        settings=settings,
        run_dir=None if run_dir is None else Path(run_dir),
        overwrite=overwrite,
        resume=before is not None,
        lookahead=lookahead,
        resources=resources,
        callback=callback,
        progress=progress,
    )


def execute(
    search: Search,
    *,
    settings: Mapping[str, Any],
    run_dir: Path | None = None,
    overwrite: bool = False,
    resume: bool = False,
    lookahead: int = 0,
    resources: Resources | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Result:
    """Run a search to its end, with its folder, its observers and what its problem does after it.

    Args:
        search: not started yet.
        settings: what `run.toml` and observers are told; JSON values.
        run_dir: as in `minimize`.
        overwrite: as in `minimize`.
        resume: whether the run in `run_dir`, which is there, goes on.
        lookahead: as in `minimize`.
        resources: where evaluations go; None: to this process.
        callback: as in `minimize`.
        progress: as in `minimize`.
    """
    problem = search.problem
    hooks = plugins.installed()
    folder, journal = None, None
    with ExitStack() as stack:
        if run_dir is not None and resume:
            folder = stack.enter_context(run_folder.enter(run_dir))
            journal = stack.enter_context(open_journal(folder.path, settings, problem))
        elif run_dir is not None:
            run_folder.check_free(run_dir, overwrite=overwrite, artefacts=problem.artefacts)
        resources = resources or Resources()
        if resources.cluster:
            connect(resources.cluster).close()  # before a network is trained for it, say
        with named(f"problem {problem.name} cannot be prepared", type(problem)):
            problem.prepare()
            fingerprint = problem.fingerprint() if run_dir is not None else {}
        if journal is not None:
            check_fingerprint(journal, fingerprint, problem.name)
        evaluator = as_evaluator(problem, resources)
        evaluating = stack.enter_context(ExitStack())
        evaluating.enter_context(pinned(resources.threads))
        evaluating.enter_context(evaluator)
        search.clock.start()
        if run_dir is not None and folder is None:
            folder = run_folder.create(
                run_dir,
                settings,
                problem.space,
                problem=problem.name,
                fingerprint=fingerprint,
                overwrite=overwrite,
                distributions=problem.distributions,
                artefacts=problem.artefacts,
            )
            stack.enter_context(folder)
            journal = stack.enter_context(Journal.open(folder.path, settings))
        hooks.observe("swarmopt_run_started", {"settings": settings, "folder": run_dir})
        _search(
            search, evaluator, journal, lookahead=lookahead, callback=callback, progress=progress
        )
        evaluating.close()  # what comes after the search may want the memory of the workers
        result = _finished(search, folder, journal)
    hooks.observe("swarmopt_run_finished", {"result": result, "folder": run_dir})
    return result


def _search(
    search: Search,
    evaluator: Evaluator,
    journal: Journal | None,
    *,
    lookahead: int,
    callback: Callback | None,
    progress: bool,
) -> None:
    """Run the search to its end, recorded, shown and observed."""
    hooks = plugins.installed()
    listen = None if callback is None else _as_listener(callback)
    with ExitStack() as stack:
        display = None
        if progress:
            from swarmopt.progress import ProgressBar

            title = f"{search.problem.name} {search.algorithm.name}"
            display = stack.enter_context(ProgressBar(title, search.limits.budget))
        steps = iterate(search, evaluator, journal=journal, display=display, lookahead=lookahead)
        for step in steps:
            if display is not None:
                display.told(step)
            hooks.observe("swarmopt_generation_finished", {"step": step})
            if listen is not None:
                try:
                    listen(step)
                except StopIteration:
                    over = journal is not None and step.number + 1 < journal.ended_after
                    if not (over or search.done):
                        search.stop = Stop.CALLBACK


def _finished(
    search: Search, folder: run_folder.RunFolder | None, journal: Journal | None
) -> Result:
    """Return the result with what the problem adds to it; the search's own is kept before that.

    Raises:
        FinishError: the problem failed to add it.
        FolderError: the folder is gone or full.
    """
    problem = search.problem
    result = search.result()
    known = None if journal is None else journal.report_after(result.nit)
    if known is not None:
        log.info("the run is over: its result comes from the record, and nothing was done again")
        result = search.result(known)
    if folder is not None:
        try:
            run_folder.write_json(folder.path / run_folder.RESULT, result.summary())
        except FolderError as error:
            raise FinishError(f"the search is done, but cannot be kept: {error}", result) from error
    if known is not None:
        return result
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
    if journal is not None:
        journal.finish(result.nit, result.report, result.history.said())
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
