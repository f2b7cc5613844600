"""The one loop: ask, evaluate, record, tell. Everything that optimises goes through it."""

import inspect
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import numpy as np

from swarmopt import folder as run_folder
from swarmopt import plugins
from swarmopt.algorithm import AnyAlgorithm
from swarmopt.errors import SettingError
from swarmopt.evaluate.in_process import evaluate
from swarmopt.evaluation import Evaluation, Outcome
from swarmopt.journal import Journal
from swarmopt.limits import Limits, check_count
from swarmopt.problem import FunctionProblem, Problem
from swarmopt.progress import Display, ProgressBar
from swarmopt.result import Result, Step, Stop
from swarmopt.search import Batch, Search
from swarmopt.space import as_space
from swarmopt.types import Matrix

Points = Matrix | Sequence[Mapping[str, Any]] | Sequence[Sequence[float]] | Sequence[float]
Callback = Callable[..., object]


def iterate(
    search: Search,
    *,
    journal: Journal | None = None,
    display: Display | None = None,
    lookahead: int = 0,
) -> Iterator[Step]:
    """Run a search, and yield a step after each told batch.

    Args:
        search: not started yet.
        journal: where evaluations are recorded before the algorithm is told.
        display: told of every evaluation.
        lookahead: how many batches asking may run ahead of telling.
    """
    asked: deque[Batch] = deque()
    while not search.done:
        while search.can_ask and len(asked) <= lookahead:
            asked.append(search.ask())
        batch = asked.popleft()
        parts: list[Evaluation] = []
        n = 0
        for part in evaluate(search.problem, batch.x, batch.seeds, np.inf) if len(batch) else ():
            rows = slice(n, n + len(part))
            if journal is not None:
                journal.add(batch.number, batch.ids[rows], batch.x[rows], part)
            parts.append(part)
            n += len(part)
            if display is not None:
                display.evaluated(search.nfev + n)
            if search.out_of_time:
                break
        evaluation = Evaluation.join(parts)
        if journal is not None:
            journal.close_batch(batch.number, batch.ids[:n], search.seconds)
        _report_failures(batch, evaluation)
        yield from search.tell(batch, evaluation)


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
    """
    problem = as_problem(fun, space, batch=batch)
    solver = as_algorithm(algorithm)
    limits = default_limits(problem, Limits(budget, max_time, target, patience))
    if history not in ("batches", "all"):
        raise SettingError(f"history: expected 'batches' or 'all', got {history!r}")
    seed = draw_seed() if seed is None else seed
    settings = {
        "problem": problem.name,
        "algorithm": solver.name,
        "budget": limits.budget,
        "max_time": max_time,
        "target": target,
        "patience": patience,
        "seed": seed,
    }
    search = Search(
        problem,
        solver,
        seed=seed,
        limits=limits,
        batch_size=batch_size,
        cache=cache,
        x0=None if x0 is None else problem.space.points(as_rows(x0)),
        keep_points=history == "all",
    )
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
        settings: what `run.toml` and observers are told.
        run_dir: as in `minimize`.
        overwrite: as in `minimize`.
        lookahead: as in `minimize`.
        callback: as in `minimize`.
        progress: as in `minimize`.
    """
    problem = search.problem
    check_count("lookahead", lookahead, least=0)
    hooks = plugins.installed()
    if run_dir is not None:
        run_folder.check_free(run_dir, overwrite=overwrite)
    problem.prepare()
    search.start_clock()
    with ExitStack() as stack:
        journal = None
        if run_dir is not None:
            journal = run_folder.create(
                run_dir,
                settings,
                problem.space,
                overwrite=overwrite,
                distributions=problem.distributions,
            )
            stack.enter_context(journal)
        hooks.observe("swarmopt_run_started", {"settings": settings, "folder": run_dir})
        display = None
        if progress:
            title = f"{problem.name} {search.algorithm.name}"
            display = stack.enter_context(ProgressBar(title, search.limits.budget))
        listen = None if callback is None else _as_listener(callback)
        for step in iterate(search, journal=journal, display=display, lookahead=lookahead):
            if display is not None:
                display.told(step)
            hooks.observe("swarmopt_generation_finished", {"step": step})
            if listen is not None:
                try:
                    listen(step)
                except StopIteration:
                    search.stop = Stop.CALLBACK
    result = search.result()
    if result.success:
        result = search.result(problem.finish(result, run_dir))
    if run_dir is not None:
        run_folder.write_json(run_dir / run_folder.RESULT, result.summary())
    hooks.observe("swarmopt_run_finished", {"result": result, "folder": run_dir})
    return result


def as_problem(fun: Any, space: Any, *, batch: bool = False) -> Problem:
    """Return a problem from what `minimize` takes."""
    if isinstance(fun, Problem):
        if space is not None:
            raise SettingError(
                f"the problem {fun.name!r} has a space of its own; leave `space` out"
            )
        return fun
    if not callable(fun):
        raise SettingError(f"expected a function or a Problem to minimize, got {fun!r}")
    if space is None:
        raise SettingError(
            "a function needs a space: minimize(fun, [(low, high), ...]) or "
            "minimize(fun, Space(...))"
        )
    return FunctionProblem(fun, as_space(space), batch=batch)


def as_algorithm(algorithm: Any) -> AnyAlgorithm:
    """Return an instance from a name, a class or an instance."""
    if isinstance(algorithm, str):
        algorithm = plugins.installed().get("algorithm", algorithm)
    instance = algorithm() if isinstance(algorithm, type) else algorithm
    for name in ("init", "ask", "tell"):
        if not callable(getattr(instance, name, None)):
            raise SettingError(
                f"expected the name or an instance of an algorithm, got {algorithm!r}, which has "
                f"no {name!r}"
            )
    found: AnyAlgorithm = instance
    return found


def default_limits(problem: Problem, limits: Limits) -> Limits:
    """Return the limits, with a budget where there is no limit at all."""
    if limits != Limits():
        return limits
    return Limits(budget=problem.default_budget or max(1_000, 100 * len(problem.space)))


def draw_seed() -> int:
    """Return a seed that nobody chose."""
    return secrets.randbits(32)


def as_rows(x0: Points) -> Any:
    """Return x0 as a sequence of points, also where it is a single one."""
    if isinstance(x0, Mapping):
        return [x0]
    if isinstance(x0, np.ndarray):
        return np.atleast_2d(x0)
    if len(x0) and isinstance(x0[0], int | float | np.number):
        return [x0]
    return x0


def _as_listener(callback: Callback) -> Callable[[Step], object]:
    """Return a function of a step that calls back as scipy does."""
    try:
        names = list(inspect.signature(callback).parameters)
    except (TypeError, ValueError):
        names = []
    if names == ["intermediate_result"]:
        return lambda step: callback(intermediate_result=step)
    return lambda step: callback(step.x.copy())
