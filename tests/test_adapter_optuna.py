"""The sampler for Optuna: what it promises beside what Optuna asks of every sampler."""

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
from optuna.trial import FrozenTrial, Trial, TrialState

from swarmopt import Categorical, Integer, Optimizer, Real, SettingError, Space
from swarmopt.adapters.optuna import SwarmSampler
from swarmopt.adapters.optuna_space import OptunaSpace
from swarmopt.adapters.optuna_trials import PLACE
from swarmopt.algorithms import PSO


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(optuna.logging.INFO)


def mixed(trial: Trial | optuna.trial.FixedTrial) -> float:
    x = trial.suggest_float("x", -3, 5)
    lr = trial.suggest_float("lr", 1e-4, 1, log=True)
    n = trial.suggest_int("n", 1, 9)
    act = trial.suggest_categorical("act", ["relu", "tanh", "gelu"])
    return float((x - 1) ** 2 + abs(np.log10(lr) + 2) + abs(n - 7) + (act != "tanh"))


def bowl(trial: Trial) -> float:
    return sum((trial.suggest_float(f"x{j}", -5, 5) - 2) ** 2 for j in range(3))


def study_of(
    algorithm: Any, objective: Callable[[Trial], float] = mixed, n: int = 60, **more: Any
) -> optuna.Study:
    study = optuna.create_study(sampler=SwarmSampler(algorithm, seed=3), **more)
    study.optimize(objective, n_trials=n)
    return study


def points(study: optuna.Study) -> list[dict[str, Any]]:
    return [trial.params for trial in study.trials]


@dataclass(frozen=True)
class Spy(PSO):
    """Particles that note what they are told."""

    heard: list[np.ndarray] = field(default_factory=list, repr=False)
    positions: list[np.ndarray] = field(default_factory=list, repr=False)
    name: ClassVar[str] = "spy"

    def __post_init__(self) -> None:
        """The lists are no settings."""

    def tell(self, state: Any, candidates: Any, key: Any) -> Any:
        self.heard.append(key)
        self.positions.append(candidates.unit)
        return super().tell(state, candidates, key)


@pytest.mark.parametrize("algorithm", ["ssa", "pso", "ga"])
def test_a_study_asks_for_the_points_of_an_optimizer_that_starts_at_its_first_trial(
    algorithm: str,
) -> None:
    trials = study_of(algorithm).trials
    space = Space(  # in the order of Optuna's intersection: by name
        act=Categorical(["relu", "tanh", "gelu"]),
        lr=Real(1e-4, 1, log=True),
        n=Integer(1, 9),
        x=Real(-3, 5),
    )
    optimizer = Optimizer(space, algorithm=algorithm, seed=3, x0=[trials[0].params], cache=False)
    asked: list[dict[str, Any]] = []
    while len(asked) < len(trials):
        batch = optimizer.ask()
        asked += batch.params
        optimizer.tell(batch, [float(mixed(optuna.trial.FixedTrial(p))) for p in batch.params])
    for trial, expected in zip(trials, asked, strict=False):
        assert trial.params["act"] == expected.pop("act")
        assert {k: trial.params[k] for k in expected} == pytest.approx(expected, rel=1e-12)


def test_the_same_seed_repeats_a_study_and_another_does_not() -> None:
    first = points(study_of("ssa"))
    assert first == points(study_of("ssa"))
    other = optuna.create_study(sampler=SwarmSampler("ssa", seed=4))
    other.optimize(mixed, n_trials=60)
    assert first != points(other)


@pytest.mark.parametrize("algorithm", [pytest.param("ssa", marks=pytest.mark.slow), "ga"])
def test_a_new_sampler_for_every_trial_goes_on_from_the_study_alone(algorithm: str) -> None:
    study = optuna.create_study(sampler=SwarmSampler(algorithm, seed=3))
    study.optimize(mixed, n_trials=1)
    for _ in range(59):
        study.sampler = SwarmSampler(algorithm, seed=3)
        study.optimize(mixed, n_trials=1)
    assert points(study)[1:] == points(study_of(algorithm))[1:]


def test_a_sampler_goes_on_after_pickling() -> None:
    study = study_of("pso", n=20)
    study.sampler = pickle.loads(pickle.dumps(study.sampler))  # noqa: S301 - our own
    study.optimize(mixed, n_trials=40)
    assert points(study) == points(study_of("pso"))


def test_a_seed_that_nobody_chose_is_kept_by_the_study() -> None:
    study = optuna.create_study(sampler=SwarmSampler("pso"))
    study.optimize(bowl, n_trials=15)
    study.sampler = SwarmSampler("pso")
    study.optimize(bowl, n_trials=30)
    runs = {t.system_attrs[PLACE]["run"] for t in study.trials[1:]}
    assert len(runs) == 1


@pytest.mark.slow
def test_it_finds_what_random_search_does_not() -> None:
    def wide(trial: Trial) -> float:
        return sum((trial.suggest_float(f"x{j}", -5, 5) - 2) ** 2 for j in range(6))

    random = optuna.create_study(sampler=RandomSampler(seed=3))
    random.optimize(wide, n_trials=200)
    for algorithm in ("ssa", "pso", "ga"):
        assert study_of(algorithm, wide, 200).best_value < random.best_value / 2


def test_maximising_is_minimising_with_the_other_sign() -> None:
    up = study_of("pso", lambda t: -mixed(t), direction="maximize")
    assert points(up) == points(study_of("pso"))


def test_threads_take_every_row_once_and_everything_is_told() -> None:
    spy = Spy(population=8)
    study = optuna.create_study(sampler=SwarmSampler(spy, seed=1))
    study.optimize(bowl, n_trials=120, n_jobs=4)
    places = [t.system_attrs[PLACE] for t in study.trials if PLACE in t.system_attrs]
    rows = [(p["batch"], p["row"]) for p in places]
    assert len(set(rows)) == len(rows) >= 110
    assert len(spy.heard) >= 10
    assert all(np.isfinite(key).all() for key in spy.heard)


WORKER = """
import sys, time, optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from swarmopt.adapters.optuna import SwarmSampler
optuna.logging.set_verbosity(optuna.logging.ERROR)
def bowl(trial):
    time.sleep(0.01)
    return sum((trial.suggest_float(f"x{j}", -5, 5) - 2) ** 2 for j in range(3))
study = optuna.load_study(
    study_name="shared", storage=JournalStorage(JournalFileBackend(sys.argv[1])),
    sampler=SwarmSampler("pso"))
study.optimize(bowl, n_trials=40)
"""


@pytest.mark.slow
def test_processes_share_one_search_through_the_storage(tmp_path: Path) -> None:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(tmp_path / "log")))
    study = optuna.create_study(study_name="shared", storage=storage, sampler=SwarmSampler("pso"))
    study.optimize(bowl, n_trials=1)
    study.optimize(bowl, n_trials=1)  # the seed is in the study now
    command = [sys.executable, "-c", WORKER, str(tmp_path / "log")]
    workers = [subprocess.Popen(command) for _ in range(2)]
    assert [w.wait(120) for w in workers] == [0, 0]
    places = [t.system_attrs[PLACE] for t in study.trials if PLACE in t.system_attrs]
    assert len({p["run"] for p in places}) == 1
    rows = {(p["batch"], p["row"]) for p in places}
    assert len(rows) >= 0.7 * len(places) >= 50
    assert study.best_value < 1


def told_of(objective: Callable[[Trial], float], n: int, **more: Any) -> tuple[Spy, optuna.Study]:
    spy = Spy(population=4)
    study = optuna.create_study(sampler=SwarmSampler(spy, seed=1), **more)
    study.optimize(objective, n_trials=n, catch=(ZeroDivisionError,))
    return spy, study


def test_failed_and_pruned_trials_and_infinite_values_rank_last() -> None:
    def sometimes(trial: Trial) -> float:
        value = bowl(trial)
        if trial.number % 4 == 1:
            raise ZeroDivisionError
        if trial.number % 4 == 2:
            trial.report(-100.0, step=0)  # becomes the value of a pruned trial
            raise optuna.TrialPruned
        return float("inf") if trial.number % 4 == 3 else value

    spy, study = told_of(sometimes, 9)
    assert spy.heard[0].tolist() == [study.trials[0].value, np.inf, np.inf, np.inf]
    assert spy.heard[1].tolist() == [study.trials[4].value, np.inf, np.inf, np.inf]


def test_a_study_whose_trials_all_fail_goes_on() -> None:
    def fails(trial: Trial) -> float:
        trial.suggest_float("x", 0, 1)
        raise ZeroDivisionError

    _, study = told_of(fails, 12)
    assert len(study.trials) == 12


@pytest.mark.skipif(not hasattr(Trial, "set_constraint"), reason="Optuna before 5")
def test_constraints_of_trials_count_as_violation() -> None:
    def constrained(trial: Trial) -> float:
        x = trial.suggest_float("x", 0, 1)
        trial.set_constraint("least", 0.9 - x)
        return x

    study = study_of("ssa", constrained, 60)
    feasible = [t.params["x"] for t in study.trials if t.params["x"] >= 0.9]
    assert min(feasible) < 0.91


def test_a_list_of_constraints_as_older_samplers_keep_it_counts_too() -> None:
    trial = optuna.create_trial(value=1.0, system_attrs={"constraints": [0.5, -1.0]})
    from swarmopt.adapters.optuna_trials import _violation

    assert _violation(trial) == 0.5


def test_a_batch_goes_on_without_a_trial_that_never_ends() -> None:
    spy = Spy(population=4)
    study = optuna.create_study(sampler=SwarmSampler(spy, seed=1))
    study.optimize(bowl, n_trials=2)
    hanging = study.ask()
    for j in range(3):
        hanging.suggest_float(f"x{j}", -5, 5)
    study.optimize(bowl, n_trials=100)
    assert len(spy.heard) > 10
    assert np.isinf(spy.heard[0]).sum() == 1
    assert all(np.isfinite(key).all() for key in spy.heard[1:])
    study.tell(hanging, 0.0)
    study.optimize(bowl, n_trials=10)
    assert study.best_value == 0.0


def test_an_enqueued_trial_is_told_where_it_went() -> None:
    spy = Spy(population=4)
    study = optuna.create_study(sampler=SwarmSampler(spy, seed=1))
    study.optimize(bowl, n_trials=5)
    study.enqueue_trial({"x0": 2.0, "x1": 2.0, "x2": 2.0})
    study.optimize(bowl, n_trials=12)
    told = [(key.tolist(), unit) for key, unit in zip(spy.heard, spy.positions, strict=True)]
    found = [unit[key.index(0.0)] for key, unit in told if 0.0 in key]
    assert len(found) == 1
    assert found[0] == pytest.approx([0.7, 0.7, 0.7])


def test_a_trial_that_is_fixed_in_part_is_told_where_it_went() -> None:
    spy = Spy(population=4)
    study = optuna.create_study(sampler=SwarmSampler(spy, seed=1))
    study.optimize(bowl, n_trials=5)
    study.enqueue_trial({"x0": 2.0})
    study.optimize(bowl, n_trials=8)
    place = study.trials[5].system_attrs[PLACE]
    assert spy.positions[place["batch"]][place["row"], 0] == pytest.approx(0.7)
    assert spy.heard[place["batch"]][place["row"]] == study.trials[5].value


def test_fixing_a_parameter_leaves_the_others_to_a_search_of_their_own() -> None:
    spy = Spy(population=4)
    study = optuna.create_study(sampler=SwarmSampler(spy, seed=1))
    study.optimize(bowl, n_trials=5)
    with pytest.warns(optuna.exceptions.ExperimentalWarning):
        study.sampler = optuna.samplers.PartialFixedSampler({"x0": 2.0}, study.sampler)
    study.optimize(bowl, n_trials=20)
    assert all(t.params["x0"] == 2.0 for t in study.trials[5:])
    assert spy.positions[-1].shape[1] == 2


def test_another_space_begins_anew_with_the_best_earlier_trials() -> None:
    spy = Spy(population=4)
    study = optuna.create_study(sampler=SwarmSampler(spy, seed=1))
    study.optimize(lambda t: bowl(t) + t.suggest_float("y", 0, 1), n_trials=20)
    best = study.best_trial.number
    study.optimize(bowl, n_trials=12)  # without y
    places = [t.system_attrs[PLACE] for t in study.trials[20:]]
    assert best in next(p["given"] for p in places if p["run"] != places[0]["run"])


def test_parameters_of_some_trials_only_are_sampled_independently() -> None:
    def conditional(trial: Trial) -> float:
        if trial.suggest_categorical("kind", ["a", "b"]) == "a":
            return trial.suggest_float("x", 0, 1)
        return trial.suggest_float("y", 0, 1) + 1

    study = study_of("ssa", conditional, 40)
    assert study.best_params["kind"] == "a"


def test_one_sampler_may_serve_one_study_after_another() -> None:
    sampler = SwarmSampler("pso", seed=3)
    for _ in range(2):
        study = optuna.create_study(sampler=sampler)
        study.optimize(bowl, n_trials=30)
        assert sum(PLACE in t.system_attrs for t in study.trials) == 29


DISTRIBUTIONS: list[BaseDistribution] = [
    FloatDistribution(-2, 3),
    FloatDistribution(1e-6, 10, log=True),
    FloatDistribution(-10.2, 10.2, step=0.1),
    IntDistribution(-4, 5),
    IntDistribution(3, 21, step=3),
    IntDistribution(1, 1000, log=True),
    CategoricalDistribution([None, True, 1.5, "a"]),
]


@pytest.mark.parametrize("distribution", DISTRIBUTIONS, ids=str)
def test_values_go_to_the_cube_and_back(distribution: BaseDistribution) -> None:
    space = OptunaSpace({"p": distribution})
    unit = np.linspace(0, 1, 501)[:, None]
    seen = [space.values(x) for x in space.space.decode(unit)]
    for values in seen:
        assert space.holds(values)
        again = space.values(space.space.decode(space.unit(values)[None])[0])
        expected = values["p"] if isinstance(distribution, CategoricalDistribution) else None
        assert again == values if expected is not None else again == pytest.approx(values)
    if isinstance(distribution, CategoricalDistribution):
        assert {v["p"] for v in seen} == set(distribution.choices)
    elif isinstance(distribution, IntDistribution):
        assert {distribution.low, distribution.high} <= {v["p"] for v in seen}


def test_wrong_settings_are_refused_by_name() -> None:
    with pytest.raises(SettingError, match="unknown algorithm 'psso'"):
        SwarmSampler("psso")
    with pytest.raises(SettingError, match="seed"):
        SwarmSampler(seed=-1)
    with pytest.raises(SettingError, match="batch_size"):
        SwarmSampler(batch_size=0)


def test_a_sampler_hands_the_life_of_a_trial_on_to_the_independent_one() -> None:
    calls = []

    class Watching(RandomSampler):
        def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
            calls.append("before")

        def after_trial(
            self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Any
        ) -> None:
            calls.append("after")

    study = optuna.create_study(sampler=SwarmSampler(independent_sampler=Watching(seed=1)))
    study.optimize(bowl, n_trials=2)
    assert calls == ["before", "after"] * 2
