"""The state of a run: who asked for what, what is known, what is best, and when it is enough.

`Search` is the one place where a batch becomes points and an evaluation becomes keys. It neither
evaluates nor records: the loop of `run.py` and the user's own loop around `Optimizer` do that.
"""

import sys
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from swarmopt.algorithm import AnyAlgorithm, Candidates, Horizon, Seeds, Streams
from swarmopt.batch import Batch, Told, why_all_failed
from swarmopt.clock import Clock
from swarmopt.errors import AllFailedError, ObjectiveError, SettingError
from swarmopt.evaluate.cache import Cache
from swarmopt.evaluation import INFEASIBLE, Evaluation, Outcome
from swarmopt.limits import STALLED_AFTER, Limits, check_count
from swarmopt.problem import Problem
from swarmopt.race import Race
from swarmopt.result import History, Result, Step, Stop
from swarmopt.types import Integers, Matrix, Vector
from swarmopt.words import plural


class Search:
    """One run of an algorithm on a problem, batch by batch.

    Args:
        problem: what is minimised.
        algorithm: an instance.
        seed: in [0, 2**128).
        limits: when to stop.
        batch_size: candidates wanted at once, at least.
        cache: whether known points are answered from memory; None: where the space is finite and
            the problem not noisy.
        x0: (k, d) points to start with, or None.
        keep_points: whether the history holds every point.
    """

    def __init__(
        self,
        problem: Problem,
        algorithm: AnyAlgorithm,
        *,
        seed: int,
        limits: Limits,
        batch_size: int = 1,
        cache: bool | None = None,
        x0: Matrix | None = None,
        keep_points: bool = False,
    ) -> None:
        check_count("batch_size", batch_size, optional=False)
        space = problem.space
        finite = bool(np.isfinite(space.domain.size))
        if cache is not None and not isinstance(cache, bool):
            raise SettingError(f"cache: expected True, False or None, got {cache!r}")
        if cache is None:
            cache = finite and not problem.noisy
        elif cache and problem.noisy:
            raise SettingError("cache: a noisy problem is never cached; leave it out")
        self._streams = Streams(seed)
        self.problem = problem
        self.algorithm = algorithm
        self.seed = int(seed)
        self.limits = limits
        self.state = algorithm.init(space.domain, Horizon(limits.budget, batch_size))
        self.stop = Stop.RUNNING
        self.history = History()
        self.nfev = 0
        self.n_failed = 0
        self.n_cached = 0
        self._best_key = np.inf
        self._best: tuple[Vector, float, float] | None = None  # point, cost, violation
        self._best_at = 0  # nfev when it was found
        self._cache = Cache() if cache else None
        self._x0 = np.empty((0, len(space))) if x0 is None else np.array(x0, float)
        space.encode(self._x0)  # checks
        self._n_batches = 0
        self._n_points = 0
        self._waiting: deque[Batch] = deque()
        self._told: dict[int, Told] = {}
        self._barren = 0  # batches without a new point in a row
        keep = keep_points or problem.keeps_points
        self._kept: list[tuple[Matrix, Evaluation]] | None = [] if keep else None
        self._race = Race() if problem.races else None
        self.clock = Clock()
        self.identical = True  # whether a resumed run has asked for the points of its record

    @property
    def done(self) -> bool:
        """Whether the run is over."""
        return self.stop is not Stop.RUNNING

    @property
    def started(self) -> bool:
        """Whether anything was asked for."""
        return self._n_batches > 0

    @property
    def n_waiting(self) -> int:
        """How many batches were asked for and not told yet."""
        return len(self._waiting)

    @property
    def can_ask(self) -> bool:
        """Whether the budget leaves room for another batch."""
        return not self.done and self._left > 0

    @property
    def bound(self) -> float:
        """What an evaluation that is asked for now need not exceed; inf: no limit."""
        return np.inf if self._race is None else self._race.bound

    def begin(self) -> None:
        """Have the problem's own starting points asked for, after those that were given."""
        if not self.started:
            starts = self.problem.starts()
            self.problem.space.encode(starts)  # checks
            self._x0 = np.concatenate([self._x0, starts])

    @property
    def out_of_time(self) -> bool:
        """Whether the time limit has passed."""
        limit = self.limits.max_time
        return limit is not None and self.seconds >= limit

    @property
    def seconds(self) -> float:
        """Time of the search, by its clock."""
        return self.clock.seconds

    @property
    def _left(self) -> int:
        return sys.maxsize if self.limits.budget is None else self.limits.budget - self._n_points

    def ask(self) -> Batch:
        """Return the next batch; it may be empty where all its points are known."""
        candidates = self.algorithm.ask(self.state, self._streams.at(self._n_batches))
        n_given = min(len(self._x0), len(candidates))
        given, self._x0 = self._x0[:n_given], self._x0[n_given:]
        return self._batch(*self._meant(*self._laid_over(candidates, given)))

    def lay_over(self, batch: Batch, recorded: Matrix) -> Batch:
        """Return the batch that was asked for last, with points of a record as its first ones.

        Args:
            batch: what `ask` returned; it is void.
            recorded: (k, d) canonical points that are not known yet; those that are too many for
                the batch are left out.
        """
        self._waiting.pop()
        self._n_batches -= 1
        self._n_points -= len(batch)
        if self._cache is not None:
            self._cache.release(batch.x)
        recorded = recorded[: len(batch.candidates)]
        unit, points = batch.candidates.unit.copy(), batch.points.copy()
        unit[: len(recorded)] = self.problem.space.encode(recorded)
        points[: len(recorded)] = recorded
        return self._batch(batch.candidates.at(unit), points)

    def _laid_over(self, candidates: Candidates, given: Matrix) -> tuple[Candidates, Matrix]:
        """Return the candidates with given points in place of the first ones, and all points."""
        space = self.problem.space
        if not len(given):
            return candidates, space.decode(candidates.unit)
        unit = candidates.unit.copy()
        unit[: len(given)] = space.encode(given)
        points = space.decode(unit)
        points[: len(given)] = given  # as they are, not as they come back from the unit cube
        return candidates.at(unit), points

    def _batch(self, candidates: Candidates, points: Matrix) -> Batch:
        """Return the next batch: of these candidates those that are new and fit the budget."""
        new: Integers | None = None
        if self._cache is None:
            n = min(len(points), self._left)
            n_new = n
        else:
            n, new = self._cache.reserve(points, self._left)
            n_new = len(new)
        if n < len(points):
            candidates, points = candidates.first(n), points[:n]
        ids = range(self._n_points, self._n_points + n_new)
        x = points if new is None else points[new]
        x.flags.writeable = False  # whoever evaluates it cannot change what was asked
        batch = Batch(
            x=x,
            ids=ids,
            number=self._n_batches,
            space=self.problem.space,
            seeds=Seeds(self.seed, ids),
            candidates=candidates,
            points=points,
            new=new,
        )
        self._n_batches += 1
        self._n_points += n_new
        self._waiting.append(batch)
        return batch

    def _meant(self, candidates: Candidates, points: Matrix) -> tuple[Candidates, Matrix]:
        """Return the canonical points, and the candidates at them: what is told is what is learnt.

        Raises:
            ObjectiveError: The problem returns other than as many points of its space.
        """
        problem = self.problem
        canonical = problem.canonical(points)
        if canonical is points:
            return candidates, points
        if canonical.shape != points.shape:
            raise ObjectiveError(
                f"{problem.name}: canonical returned shape {canonical.shape} for points of "
                f"shape {points.shape}; expected the same"
            )
        moved = (canonical != points).any(axis=1)
        if moved.any():
            unit = candidates.unit.copy()
            try:
                unit[moved] = problem.space.encode(canonical[moved])
            except ValueError as error:
                raise ObjectiveError(
                    f"{problem.name}: canonical returned a point outside the space: {error}"
                ) from error
            candidates = candidates.at(unit)
        return candidates, canonical

    def tell(
        self,
        batch: Batch,
        evaluation: Evaluation,
        seconds: float | None = None,
        *,
        replayed: bool = False,
    ) -> list[Step]:
        """Take the costs of a batch, and return the steps that this makes possible.

        Batches reach the algorithm in the order in which they were asked for; one that comes too
        early waits.

        Args:
            batch: from `ask`.
            evaluation: of its points, or of the first of them where the run must end there.
            seconds: of the search when the batch was complete; None: now.
            replayed: whether it comes from a record.

        Raises:
            AllFailedError: nothing in the first batch succeeded.
        """
        self._told[batch.number] = Told(
            evaluation, self.seconds if seconds is None else seconds, replayed
        )
        steps = []
        while not self.done and self._waiting and self._waiting[0].number in self._told:
            first = self._waiting.popleft()
            steps.append(self._advance(first, self._told.pop(first.number)))
        return steps

    def is_waiting(self, batch: Batch) -> bool:
        """Return whether the batch was asked for and not told yet."""
        return batch.number not in self._told and any(batch is b for b in self._waiting)

    def _advance(self, batch: Batch, told_of: Told) -> Step:
        evaluation = told_of.evaluation
        x = batch.x[: len(evaluation)]
        key = evaluation.key() + 0.0  # a record keeps no sign of a zero
        self._count(batch, x, evaluation, key)
        candidates, told = batch.candidates.first(len(key)), key
        if self._cache is not None:
            self._cache.put(x, key)
            candidates, told = self._lay_out(batch, evaluation)
        if len(told):
            self.state = self.algorithm.tell(self.state, candidates, told)
        step = self._step(batch, key, told_of)
        self._decide(told_of.seconds)
        return step

    def _lay_out(self, batch: Batch, evaluation: Evaluation) -> tuple[Candidates, Vector]:
        """Return the candidates whose keys are known, and these keys."""
        assert self._cache is not None and batch.new is not None  # noqa: S101, PT018 - for the type checker
        n = len(batch.points)
        if len(evaluation) < len(batch.x):
            n = int(batch.new[len(evaluation)])
        self.n_cached += n - len(evaluation)
        return batch.candidates.first(n), self._cache.get(batch.points[:n])

    def _count(self, batch: Batch, x: Matrix, evaluation: Evaluation, key: Vector) -> None:
        n = len(x)
        self._barren = 0 if n else self._barren + 1
        if not n:
            return
        self.nfev += n
        if self._kept is not None:
            self._kept.append((x, evaluation))
        if self._race is not None:
            self._race.note(key)
        n_failed = 0 if np.isfinite(key).all() else int(np.isinf(key).sum())
        self.n_failed += n_failed
        if batch.number == 0 and n_failed == n:
            raise AllFailedError(why_all_failed(self.problem, batch, evaluation))
        best = self._argbest(key, evaluation)
        if best is not None and key[best] < self._best_key:
            violation = 0.0 if evaluation.violation is None else float(evaluation.violation[best])
            self._best_key = float(key[best])
            point = x[best].copy()
            point.flags.writeable = False  # steps and callbacks see it
            self._best = (point, float(evaluation.cost[best]), violation)
            self._best_at = self.nfev - n + best + 1

    @staticmethod
    def _argbest(key: Vector, evaluation: Evaluation) -> int | None:
        """Return the row of the least key; a censored evaluation is never a run's best."""
        if evaluation.status is not None:
            key = np.where(evaluation.status == Outcome.CENSORED, np.inf, key)
        best = int(np.argmin(key))
        return best if np.isfinite(key[best]) else None

    def _step(self, batch: Batch, key: Vector, told_of: Told) -> Step:
        ordered = np.sort(key)
        x, fun, violation = self._best or (np.full(len(self.problem.space), np.nan), np.inf, np.inf)
        report = getattr(self.algorithm, "report", None)
        step = Step(
            number=batch.number,
            nfev=self.nfev,
            x=x,
            fun=fun,
            violation=violation,
            batch_best=float(ordered[0]) if len(key) else np.inf,
            batch_median=float(ordered[(len(key) - 1) // 2]) if len(key) else np.inf,
            n_failed=self.n_failed,
            n_cached=self.n_cached,
            seconds=told_of.seconds,
            report=report(self.state) if report else _NOTHING,
            replayed=told_of.replayed,
        )
        history = self.history
        history.nfev.append(step.nfev)
        history.best.append(self._best_key if self._best_key < INFEASIBLE else np.inf)
        history.median.append(step.batch_median if step.batch_median < INFEASIBLE else np.inf)
        history.seconds.append(step.seconds)
        history.report.append(step.report)
        return step

    def _decide(self, seconds: float) -> None:
        limits = self.limits
        finished = self.nfev == self._n_points  # nothing that was handed out is missing
        size = self.problem.space.domain.size
        if limits.target is not None and self._best_key <= limits.target:
            self.stop = Stop.TARGET
        elif limits.patience is not None and self.nfev - self._best_at >= limits.patience:
            self.stop = Stop.PATIENCE
        elif self._left <= 0 and finished:
            self.stop = Stop.BUDGET
        elif self._cache is not None and len(self._cache) >= size and finished:
            self.stop = Stop.EXHAUSTED
        elif self._barren >= STALLED_AFTER:
            self.stop = Stop.STALLED
        elif limits.max_time is not None and seconds >= limits.max_time:
            self.stop = Stop.TIME

    def result(self, report: Mapping[str, Any] | None = None) -> Result:
        """Return what the run has found so far.

        Raises:
            SettingError: no batch was told yet.
        """
        if not self.history.nfev:
            raise SettingError("there is no result yet: tell the costs of a batch first")
        space = self.problem.space
        x, fun, violation = self._best or (np.full(len(space), np.nan), np.inf, np.inf)
        if self._kept is not None:
            self.history.x = np.concatenate([x for x, _ in self._kept])
            self.history.cost = np.concatenate([e.cost for _, e in self._kept])
            self.history.outcome = np.concatenate([e.outcome for _, e in self._kept])
            said = [e.info or ({},) * len(e) for _, e in self._kept]
            self.history.info = [row for rows in said for row in rows]
        return Result(
            x=np.array(x),
            params=space.params(x[None])[0] if self._best else {},
            fun=fun,
            violation=violation,
            success=self._best is not None and violation == 0,
            status=self.stop,
            message=self._message(),
            nfev=self.nfev,
            nit=len(self.history.nfev),
            n_failed=self.n_failed,
            n_cached=self.n_cached,
            seed=self.seed,
            algorithm=self.algorithm.name,
            problem=self.problem.name,
            seconds=self.history.seconds[-1],
            history=self.history,
            report={} if report is None else report,
        )

    def _message(self) -> str:
        message = self.limits.why(self.stop)
        if not self._best_key < INFEASIBLE:
            message += "; no feasible point was found"
        if self.n_failed:
            message += f"; {self.n_failed} {plural(self.n_failed, 'evaluation')} failed"
        if not self.identical:
            message += "; resumed, not bit-identical"
        return message


_NOTHING: Mapping[str, float] = {}
