"""A sampler of Optuna that asks an algorithm of ours.

    study = optuna.create_study(sampler=SwarmSampler("pso", seed=1))
    study.optimize(objective, n_trials=100)

Trials are rows of batches. A batch is told when its trials are finished, and while some are still
running the next one is asked for without them, so no cost is ever made up.
"""

from collections.abc import Mapping, Sequence
from threading import RLock
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from swarmopt.adapters.optuna_trials import PLACE, TrialSearch
from swarmopt.algorithm import AnyAlgorithm, Streams
from swarmopt.inputs import as_algorithm, draw_seed
from swarmopt.limits import check_count

SEED = "swarmopt:seed"  # of a study, in its system attributes


class SwarmSampler(BaseSampler):
    """Samples what all trials of a study have in common by an algorithm of swarmopt.

    The search space is the intersection of those of the completed trials. Parameters outside it,
    and the first trial, are sampled independently. Where the space changes, the search begins anew
    and is given the best earlier trials, those of `enqueue_trial` and of other samplers among them.

    Failed and pruned trials rank last. Constraints of the trials count as violation. A trial that
    still runs when ten times as many later ones have finished as there are trials running (or in a
    batch) is taken for dead.

    Several processes on one storage share one search where their samplers have the same settings;
    two that sample in the same instant may be given the same point.

    Args:
        algorithm: a name ("ssa", "pso", "ga", ...) or an instance.
        seed: repeats a study that runs one trial at a time; None: that of the study, drawn by its
            first sampler.
        batch_size: candidates wanted at once, at least. Set it to the number of trials that run at
            once where that is more than the algorithm's population.
        independent_sampler: for parameters outside the space; None: at random.

    Raises:
        SettingError: an unknown algorithm, a seed or batch size out of range.
        ValueError: (when sampling) the study has several objectives.
    """

    def __init__(
        self,
        algorithm: str | AnyAlgorithm = "ssa",
        *,
        seed: int | None = None,
        batch_size: int = 1,
        independent_sampler: BaseSampler | None = None,
    ) -> None:
        check_count("batch_size", batch_size, optional=False)
        if seed is not None:
            Streams(seed)  # checks
        self._algorithm = as_algorithm(algorithm)
        self._seed = seed
        self._batch_size = batch_size
        narrow = None if seed is None else seed % 2**32
        self._independent = independent_sampler or RandomSampler(seed=narrow)
        self._forget("")

    def _forget(self, study_name: str) -> None:
        """Begin with another study."""
        self._study_name = study_name
        self._intersection = IntersectionSearchSpace()
        self._search: tuple[Mapping[str, BaseDistribution], TrialSearch] | None = None
        self._lock = RLock()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what cannot be sent; it is found again in the study."""
        return {k: v for k, v in vars(self).items() if k not in ("_lock", "_search")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        self._search = None
        self._lock = RLock()

    def reseed_rng(self) -> None:
        """Draw independent parameters anew; the search itself is the same in every process."""
        self._independent.reseed_rng()

    def infer_relative_search_space(
        self,
        study: Study,
        trial: FrozenTrial,  # noqa: ARG002 - Optuna's signature
    ) -> dict[str, BaseDistribution]:
        """Return the parameters that all completed trials have, but for those of one value."""
        with self._lock:
            if self._study_name != study.study_name:
                self._forget(study.study_name)
            common = self._intersection.calculate(study)
        return {name: d for name, d in common.items() if not d.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the values of the next row that no trial has taken."""
        self._raise_error_if_multi_objective(study)
        search_space = {name: d for name, d in search_space.items() if not d.single()}
        if not search_space:
            return {}
        with self._lock:
            search = self._search_in(study, search_space)
            place = search.place(study.get_trials(deepcopy=False))
            storage = study._storage  # noqa: SLF001 - as all samplers keep what they must know again
            storage.set_trial_system_attr(trial._trial_id, PLACE, place)  # noqa: SLF001 - alike
            return search.values(place)

    def _search_in(self, study: Study, search_space: Mapping[str, BaseDistribution]) -> TrialSearch:
        if self._study_name != study.study_name:
            self._forget(study.study_name)
        if self._search is None or self._search[0] != search_space:
            search = TrialSearch(
                self._algorithm,
                search_space,
                seed=self._seed_of(study),
                batch_size=self._batch_size,
                sign=1 if study.direction == StudyDirection.MINIMIZE else -1,
            )
            self._search = search_space, search
        return self._search[1]

    def _seed_of(self, study: Study) -> int:
        if self._seed is not None:
            return self._seed
        storage, study_id = study._storage, study._study_id  # noqa: SLF001 - as above
        if SEED not in storage.get_study_system_attrs(study_id):
            storage.set_study_system_attr(study_id, SEED, draw_seed())
        return int(storage.get_study_system_attrs(study_id)[SEED])

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Return a value of a parameter that not all completed trials have."""
        self._raise_error_if_multi_objective(study)
        return self._independent.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        """Let the independent sampler prepare."""
        self._independent.before_trial(study, trial)

    def after_trial(
        self,
        study: Study,
        trial: FrozenTrial,
        state: TrialState,
        values: Sequence[float] | None,
    ) -> None:
        """Let the independent sampler look at a trial that ends."""
        self._independent.after_trial(study, trial, state, values)
