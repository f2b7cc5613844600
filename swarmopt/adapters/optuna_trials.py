"""A search whose record is the trials of a study.

Batch g of a seed depends on the costs that were told before it and on nothing else, so the trials
themselves are all that needs to be kept: each says which row of which batch it is, and how many
batches had been told when that batch was asked for. Any process with the same seed arrives at the
same state by asking and telling again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.trial import FrozenTrial, TrialState

from swarmopt.adapters.optuna_space import OptunaSpace
from swarmopt.algorithm import AnyAlgorithm, Candidates, Horizon, Streams
from swarmopt.evaluation import Evaluation
from swarmopt.inputs import hyper_parameters
from swarmopt.types import Vector

PLACE = "swarmopt:place"  # of a trial, in its system attributes
GIVEN_UP_AFTER = 10  # times as many later trials finished as are running or in a batch


@dataclass
class Waiting:
    """A batch that was asked for.

    Attributes:
        number: of the batch.
        told: how many batches were told when it was asked for.
        candidates: as asked.
        rows: the trial of each row that is taken.
        given: numbers of finished trials of others, which take the place of its first rows.
    """

    number: int
    told: int
    candidates: Candidates
    rows: dict[int, FrozenTrial] = field(default_factory=dict)
    given: Sequence[int] = ()


class TrialSearch:
    """One algorithm on one search space of a study.

    Args:
        algorithm: an instance.
        distributions: by name.
        seed: in [0, 2**128).
        batch_size: candidates wanted at once, at least.
        sign: 1 where the study minimises, -1 where it maximises.
    """

    def __init__(
        self,
        algorithm: AnyAlgorithm,
        distributions: Mapping[str, BaseDistribution],
        *,
        seed: int,
        batch_size: int,
        sign: int,
    ) -> None:
        self._algorithm = algorithm
        self._space = OptunaSpace(distributions)
        self._sign = sign
        self._streams = Streams(seed)
        self._state = algorithm.init(self._space.space.domain, Horizon(None, batch_size))
        self._waiting: list[Waiting] = []
        self._n_told = 0
        self._n_asked = 0
        self._seen: set[int] = set()  # trials of others that were given, or were not good enough
        described = {name: distribution_to_json(d) for name, d in distributions.items()}
        settings = algorithm.name, hyper_parameters(algorithm)
        run = (settings, seed, batch_size, sorted(described.items()))
        self.run = blake2b(repr(run).encode(), digest_size=8).hexdigest()

    def place(self, trials: Sequence[FrozenTrial]) -> dict[str, Any]:
        """Return a row that no trial has taken, as what the next trial is to keep under `PLACE`.

        Args:
            trials: all of the study, in order of their numbers.
        """
        self._follow(trials)
        for batch in self._waiting:
            for row in range(len(batch.given), len(batch.candidates)):
                if row not in batch.rows:
                    return self._taken(batch, row)
        others = self._others(trials)
        batch = self._ask([t.number for t in others], trials)
        self._seen |= {t.number for t in others}
        return self._taken(batch, len(batch.given))

    def values(self, place: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values of the place that was returned last."""
        batch = next(b for b in self._waiting if b.number == place["batch"])
        unit = batch.candidates.unit[place["row"]]
        return self._space.values(self._space.space.decode(unit[None])[0])

    def _taken(self, batch: Waiting, row: int) -> dict[str, Any]:
        place = {"run": self.run, "batch": batch.number, "row": row, "told": batch.told}
        return {**place, "given": list(batch.given)} if batch.given else place

    def _follow(self, trials: Sequence[FrozenTrial]) -> None:
        """Ask and tell whatever the trials say was asked and told."""
        taken = self._places(trials)
        n_running = sum(t.state == TrialState.RUNNING for t in trials)
        while True:
            for batch in self._waiting:
                rows = range(len(batch.given), len(batch.candidates))
                here = taken.get(batch.number, {})
                batch.rows = {row: here[row][0] for row in rows if row in here}
            new = taken.get(self._n_asked)
            complete = bool(self._waiting) and self._is_complete(trials, n_running)
            if new is not None:
                first, place = next(iter(new.values()))
                if self._n_told >= place["told"] or not complete:
                    self._ask(place.get("given", ()), trials)
                    self._seen |= {t.number for t in self._others(trials[: first.number])}
                    continue
            if not complete:
                return
            self._tell(trials)

    def _places(
        self, trials: Sequence[FrozenTrial]
    ) -> dict[int, dict[int, tuple[FrozenTrial, Mapping[str, Any]]]]:
        """Return the trials of this search by batch and row; the earliest has the row."""
        found: dict[int, dict[int, tuple[FrozenTrial, Mapping[str, Any]]]] = {}
        for trial in trials:
            place = trial.system_attrs.get(PLACE)
            if place is not None and place["run"] == self.run and place["batch"] >= self._n_told:
                found.setdefault(place["batch"], {}).setdefault(place["row"], (trial, place))
        return found

    def _is_complete(self, trials: Sequence[FrozenTrial], n_running: int) -> bool:
        """Return whether nothing of the oldest batch is missing that may still come."""
        batch = self._waiting[0]
        if len(batch.rows) < len(batch.candidates) - len(batch.given):
            return False
        open_rows = [t.number for t in batch.rows.values() if not t.state.is_finished()]
        if not open_rows:
            return True
        later = sum(t.state.is_finished() for t in trials[max(open_rows) :])
        return later >= GIVEN_UP_AFTER * max(n_running, len(batch.candidates))

    def _ask(self, given: Sequence[int], trials: Sequence[FrozenTrial]) -> Waiting:
        candidates = self._algorithm.ask(self._state, self._streams.at(self._n_asked))
        given = tuple(given)[: len(candidates) - 1]
        self._seen |= set(given)
        if given:
            unit = candidates.unit.copy()
            unit[: len(given)] = [self._space.unit(trials[number].params) for number in given]
            candidates = candidates.at(unit)
        batch = Waiting(self._n_asked, self._n_told, candidates, given=given)
        self._waiting.append(batch)
        self._n_asked += 1
        return batch

    def _tell(self, trials: Sequence[FrozenTrial]) -> None:
        """Tell the oldest batch; a trial that went elsewhere is told where it went."""
        batch = self._waiting.pop(0)
        told = [trials[number] for number in batch.given]
        told += [batch.rows[row] for row in range(len(batch.given), len(batch.candidates))]
        unit = batch.candidates.unit.copy()
        points = self._space.space.decode(unit)
        for row, trial in enumerate(told):
            inside = trial.state == TrialState.COMPLETE and self._space.holds(trial.params)
            values = {name: trial.params.get(name) for name in self._space.distributions}
            if inside and values != self._space.values(points[row]):
                unit[row] = self._space.unit(trial.params)
        self._state = self._algorithm.tell(self._state, batch.candidates.at(unit), self._key(told))
        self._n_told += 1

    def _key(self, trials: Sequence[FrozenTrial]) -> Vector:
        """Return (n,) what the algorithm compares; a trial that is not complete has failed."""
        complete = [t.state == TrialState.COMPLETE and t.value is not None for t in trials]
        cost = [
            self._sign * (t.value or 0.0) if ok else np.nan
            for t, ok in zip(trials, complete, strict=True)
        ]
        violation = [_violation(t) if ok else 0.0 for t, ok in zip(trials, complete, strict=True)]
        return Evaluation(np.array(cost), np.array(violation)).key() + 0.0

    def _others(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """Return the complete trials of others in this space that were not seen, best first."""
        found = [
            t
            for t in trials
            if t.state == TrialState.COMPLETE
            and t.number not in self._seen
            and t.system_attrs.get(PLACE, {}).get("run") != self.run
            and self._space.holds(t.params)
        ]
        order = np.argsort(self._key(found), kind="stable") if found else ()
        return [found[i] for i in order]


def _violation(trial: FrozenTrial) -> float:
    """Return how far a trial is from what the study's constraints allow; 0: nothing is violated."""
    constraints = trial.constraints if hasattr(trial, "constraints") else {}
    old = trial.system_attrs.get("constraints") or ()  # a list, before Optuna 5
    values = constraints.values() if constraints else old
    return float(sum(max(0.0, float(value)) for value in values))
