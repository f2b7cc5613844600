"""The search for scikit-learn: its own checks, and what ours promises beside them."""

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse, stats
from sklearn.base import BaseEstimator, ClassifierMixin, clone, is_classifier
from sklearn.datasets import make_classification, make_regression
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from swarmopt import Categorical, Integer, Ordinal, Real, SettingError
from swarmopt.adapters.sklearn import FeatureMask, SwarmSearchCV
from swarmopt.adapters.sklearn_space import SearchSpace
from swarmopt.algorithms import PSO

X, Y = make_classification(
    120, 8, n_informative=3, n_redundant=0, n_classes=2, class_sep=1.2, random_state=0
)
C = {"C": Real(1e-3, 1e3, log=True)}

OF_A_SELECTION = {
    "check_dtype_object": "the column that cannot be used may be left out",
    "check_estimators_nan_inf": "the column with NaN may be left out",
}


OF_A_SEARCH = {  # excepted for GridSearchCV too, by scikit-learn itself
    "check_requires_y_none": "a missing y reaches the model, whose error is among the failed fits",
}


def expected_failures(estimator: Any) -> dict[str, str]:
    if isinstance(estimator, FeatureMask):
        return {}
    return OF_A_SELECTION if estimator.select_features else OF_A_SEARCH


@pytest.mark.slow
@parametrize_with_checks(  # type: ignore[untyped-decorator] # sklearn has no types
    [
        SwarmSearchCV(LogisticRegression(), C, n_iter=3, cv=2, random_state=0),
        SwarmSearchCV(
            LogisticRegression(), C, n_iter=6, cv=2, select_features=True, random_state=0
        ),
        FeatureMask(),
    ],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("default")  # models that scikit-learn lets fail say so
def test_what_scikit_learn_asks_of_every_estimator(estimator: Any, check: Any) -> None:
    check(estimator)


class Watched(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # sklearn has no types
    """Scores best at a = 3, whatever the data; fails at a > 8 where it is told to."""

    def __init__(self, a: float = 0, kind: str = "x", fails: bool = False) -> None:
        self.a, self.kind, self.fails = a, kind, fails

    def fit(self, x: Any, y: Any) -> "Watched":
        if self.fails and self.a > 8:
            raise ZeroDivisionError
        self.classes_ = np.unique(y)
        return self

    def predict(self, x: Any) -> Any:
        return np.full(len(x), self.classes_[0])

    def score(self, x: Any, y: Any) -> float:
        return -((self.a - 3) ** 2) - (self.kind != "y")


def searched(params: Any, **more: Any) -> Any:
    settings = {"n_iter": 60, "cv": 2, "random_state": 1, **more}
    return SwarmSearchCV(Watched(), params, **settings).fit(X, Y)


@pytest.mark.parametrize("algorithm", ["pso", pytest.param("ssa", marks=pytest.mark.slow)])
def test_it_finds_the_best_parameters(algorithm: Any) -> None:
    found = searched({"a": Real(-10, 10), "kind": ["x", "y", "z"]}, algorithm=algorithm, n_iter=100)
    assert found.best_params_["kind"] == "y"
    assert found.best_params_["a"] == pytest.approx(3, abs=1)
    assert found.best_score_ == -found.result_.fun
    assert found.best_estimator_.get_params()["kind"] == "y"


def test_the_results_are_those_of_a_grid_search_over_the_same_points() -> None:
    values = [0.01, 0.1, 1, 10]
    ours = SwarmSearchCV(LogisticRegression(), {"C": values}, cv=3, random_state=0).fit(X, Y)
    grid = GridSearchCV(LogisticRegression(), {"C": values}, cv=3).fit(X, Y)
    assert set(ours.cv_results_) == set(grid.cv_results_)
    assert len(ours.cv_results_["params"]) == 4  # the space is exhausted, nothing is asked twice
    theirs = dict(zip(values, grid.cv_results_["mean_test_score"], strict=True))
    for params, score in zip(
        ours.cv_results_["params"], ours.cv_results_["mean_test_score"], strict=True
    ):
        assert score == theirs[params["C"]]
    assert ours.best_score_ == grid.best_score_
    assert (ours.predict(X) == ours.best_estimator_.predict(X)).all()


@pytest.mark.slow
def test_the_same_state_repeats_a_search() -> None:
    params = {"a": Real(-10, 10)}
    first = searched(params, n_iter=20).cv_results_["params"]
    assert first == searched(params, n_iter=20).cv_results_["params"]
    assert first != searched(params, n_iter=20, random_state=2).cv_results_["params"]


@pytest.mark.slow
def test_jobs_of_joblib_give_the_same_results() -> None:
    one, two = (
        SwarmSearchCV(LogisticRegression(), C, n_iter=8, cv=2, n_jobs=n, random_state=0).fit(X, Y)
        for n in (1, 2)
    )
    assert one.best_params_ == two.best_params_
    assert one.best_score_ == two.best_score_


def test_all_candidates_are_judged_on_the_same_folds() -> None:
    class Folds(KFold):  # type: ignore[misc] # sklearn has no types
        drawn = 0

        def split(self, *arguments: Any, **named: Any) -> Any:
            Folds.drawn += 1
            return super().split(*arguments, **named)

    searched({"a": Real(-10, 10)}, cv=Folds(3, shuffle=True), n_iter=20)
    assert Folds.drawn == 1


def test_folds_may_come_from_a_generator() -> None:
    found = searched({"a": Real(-10, 10)}, cv=(fold for fold in KFold(3).split(X)), n_iter=20)
    assert found.n_splits_ == 3
    assert len(found.cv_results_["params"]) == 20


@pytest.mark.slow
def test_a_selection_finds_the_columns_that_matter() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((150, 6))
    y = (x[:, 1] + x[:, 4] > 0).astype(int)
    search = SwarmSearchCV(
        SVC(), {"C": Real(0.1, 100, log=True)}, n_iter=50, select_features=True, random_state=0
    )
    mask = search.fit(x, y).best_params_["features__mask"]
    assert mask[1]
    assert mask[4]
    assert sum(mask) < 5
    assert search.best_estimator_["features"].get_support().tolist() == list(mask)
    assert search.n_features_in_ == 6
    assert "estimator__C" in search.best_params_
    assert is_classifier(search)
    weighted = clone(search).set_params(n_iter=8).fit(x, y, sample_weight=np.ones(150))
    assert weighted.score(x, y) > 0.8


def test_a_selection_of_one_feature_never_leaves_it_out() -> None:
    search = SwarmSearchCV(
        LogisticRegression(), {}, n_iter=8, cv=2, select_features=True, random_state=0
    ).fit(X[:, :1], Y)
    assert search.best_params_ == {"features__mask": (True,)}


def test_a_mask_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a mask of 8 features, as X has, got 2"):
        FeatureMask((True, False)).fit(X)
    kept = FeatureMask((True,) + (False,) * 7).fit(X)
    assert kept.transform(X).shape == (120, 1)
    assert kept.transform(sparse.csr_matrix(X)).shape == (120, 1)
    with pytest.raises(NotFittedError):
        FeatureMask().transform(X)


def test_candidates_that_fail_rank_last_and_stop_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = searched({"a": Real(-10, 10), "fails": [True]}, n_iter=60)
    scores = found.cv_results_["mean_test_score"]
    assert np.isnan(scores).any()
    assert found.best_params_["a"] == pytest.approx(3, abs=0.5)


def test_where_every_fit_of_the_first_batch_fails_the_error_of_scikit_learn_comes_through() -> None:
    with pytest.raises(ValueError, match="fits failed"):
        searched({"a": Real(9, 10), "fails": [True]}, n_iter=10)
    with pytest.raises(ZeroDivisionError):
        searched({"a": Real(9, 10), "fails": [True]}, n_iter=10, error_score="raise")


@pytest.mark.slow
def test_a_later_batch_of_failures_does_not_end_a_search() -> None:
    points = [0.0, 9.0, 9.5, 10.0, 1.0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitFailedWarning)
        found = searched(
            {"a": Categorical(points), "fails": [True]}, algorithm=PSO(population=1), n_iter=40
        )
    assert found.best_params_["a"] in (0.0, 1.0)


@pytest.mark.slow
def test_the_metric_that_refit_names_is_the_one_searched() -> None:
    scoring = {
        "near": lambda model, x, y: -abs(model.a - 3),
        "far": lambda model, x, y: abs(model.a - 3),
    }
    near = searched({"a": Real(-10, 10)}, scoring=scoring, refit="near", n_iter=80)
    far = searched({"a": Real(-10, 10)}, scoring=scoring, refit="far", n_iter=80)
    assert near.best_params_["a"] == pytest.approx(3, abs=0.5)
    assert far.best_params_["a"] == pytest.approx(-10, abs=0.5)
    with pytest.raises(SettingError, match=r"one of \['near', 'far'\]"):
        searched({"a": Real(-10, 10)}, scoring=scoring, refit=False)


def test_groups_and_scoring_reach_scikit_learn() -> None:
    groups = np.arange(len(X)) % 4
    search = SwarmSearchCV(
        LogisticRegression(), C, n_iter=3, cv=GroupKFold(4), scoring="accuracy", random_state=0
    ).fit(X, Y, groups=groups)
    assert search.n_splits_ == 4
    assert search.score(X, Y) == accuracy_score(Y, search.predict(X))


@pytest.mark.slow
def test_it_works_within_pipelines_and_cross_validation() -> None:
    inner = SwarmSearchCV(LogisticRegression(), C, n_iter=3, cv=2, random_state=0)
    assert cross_val_score(make_pipeline(StandardScaler(), inner), X, Y, cv=2).mean() > 0.7
    x, y = make_regression(60, 3, random_state=0)
    model = SwarmSearchCV(
        make_pipeline(StandardScaler(), Ridge()),
        {"ridge__alpha": stats.loguniform(1e-3, 10)},
        n_iter=20,
        random_state=0,
    )
    assert model.fit(x, y).score(x, y) > 0.99


def test_a_pair_of_numbers_is_a_choice_and_warned_of() -> None:
    with pytest.warns(UserWarning, match=r"C: \(0.1, 10\) is a choice of .*Real\(0.1, 10\)"):
        (variable,) = SearchSpace({"C": (0.1, 10)}).space.variables
    assert variable == Ordinal([0.1, 10])
    SearchSpace({"a": [0.1, 10], "b": (1, 2, 3), "c": (True, False), "d": ("l1", "l2")})


@pytest.mark.parametrize("nothing", [[], (), np.array([])])
def test_no_choice_at_all_is_an_error_that_names_the_parameter(nothing: Any) -> None:
    with pytest.raises(SettingError, match="C: expected at least one choice"):
        SearchSpace({"C": nothing})


def test_what_users_write_becomes_the_variable_they_mean() -> None:
    space = SearchSpace(
        {
            "n": Integer(1, 3),
            "width": [8, 16, 32],
            "order": [3, 1, 2],
            "flag": [True, False],
            "lr": stats.loguniform(1e-4, 1),
            "k": stats.randint(2, 6),
            "z": stats.norm(0, 1),
        }
    )
    kinds = [type(v).__name__ for v in space.space.variables]
    assert kinds == ["Integer", "Ordinal", "Categorical", "Categorical", "Real", "Real", "Real"]
    unit = np.random.default_rng(0).random((500, 7))
    points = [space.params(p) for p in space.space.params(space.space.decode(unit))]
    assert {p["k"] for p in points} == {2, 3, 4, 5}
    assert all(isinstance(p["k"], int) for p in points)
    assert all(1e-4 <= p["lr"] <= 1 and np.isfinite(p["z"]) for p in points)
    assert np.median([np.log10(p["lr"]) for p in points]) == pytest.approx(-2, abs=0.3)


@pytest.mark.parametrize("params", [{}, {"a": 3}, {"a": "rbf"}, [("a", Real(0, 1))]], ids=str)
def test_what_cannot_be_searched_is_refused_by_name(params: Any) -> None:
    with pytest.raises(SettingError, match="params: expected"):
        searched(params)


def test_wrong_settings_are_refused() -> None:
    for wrong in ({"n_iter": 0}, {"batch_size": 0}, {"select_features": 3}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            searched({"a": Real(0, 1)}, **wrong)
