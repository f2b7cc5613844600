"""What users may give to a run, as what the loop takes."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np

from swarmopt import plugins
from swarmopt.algorithm import AnyAlgorithm
from swarmopt.errors import SettingError
from swarmopt.evaluate.evaluator import Evaluator
from swarmopt.evaluate.pieces import check_chunk
from swarmopt.evaluate.resources import Resources
from swarmopt.jsonable import jsonable
from swarmopt.limits import Limits
from swarmopt.problem import FunctionProblem, Problem
from swarmopt.space import as_space
from swarmopt.types import Matrix

Points = Matrix | Sequence[Mapping[str, Any]] | Sequence[Sequence[float]] | Sequence[float]


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


def hyper_parameters(algorithm: AnyAlgorithm) -> dict[str, Any]:
    """Return the hyper-parameters of an algorithm as JSON values; empty where it shows none."""
    if not is_dataclass(algorithm):
        return {}
    found: dict[str, Any] = jsonable(
        {f.name: getattr(algorithm, f.name) for f in fields(algorithm)}
    )
    return found


def default_limits(problem: Problem, limits: Limits) -> Limits:
    """Return the limits, with a budget where there is no limit at all."""
    if limits != Limits():
        return limits
    return Limits(budget=problem.default_budget or max(1_000, 100 * len(problem.space)))


def resources_of(problem: Problem, resources: Resources) -> Resources:
    """Return the resources, with the workers that the problem wants where none are named.

    Raises:
        SettingError: a time limit for evaluations in this process, which cannot be ended; workers
            for a vectorized problem without `chunk`.
    """
    workers = resources.workers
    if workers is None and resources.cluster is None:
        workers = problem.default_workers
    if resources.eval_timeout is not None and not workers and resources.cluster is None:
        raise SettingError(
            "eval_timeout: an evaluation in this process cannot be ended; set workers=1 or more "
            "(--workers 1), or a cluster"
        )
    if workers or resources.cluster is not None:
        check_chunk(problem, resources.chunk)
    return replace(resources, workers=workers)


def as_evaluator(problem: Problem, resources: Resources) -> Evaluator:
    """Return what evaluates a problem there; it is to be entered when the problem is prepared.

    Raises:
        WorkerError: the problem cannot be sent to workers, or nobody answers at the address.
    """
    name = "cluster" if resources.cluster else "pool" if resources.workers else "in-process"
    evaluator: Evaluator = plugins.installed().get("evaluator", name)(problem, resources)
    return evaluator


def draw_seed() -> int:
    """Return a seed that nobody chose."""
    return secrets.randbits(32)


def as_rows(x0: Any) -> Any:
    """Return x0 as a sequence of points, also where it is a single one."""
    if isinstance(x0, Mapping):
        return [x0]
    if isinstance(x0, np.ndarray):
        return np.atleast_2d(x0)
    if not isinstance(x0, Sequence) or isinstance(x0, str):
        raise SettingError(f"x0: expected points as dicts or rows of numbers, got {x0!r:.60}")
    if len(x0) and isinstance(x0[0], int | float | np.number):
        return [x0]
    return x0
