"""A search of scikit-learn, as GridSearchCV, by an algorithm of ours.

search = SwarmSearchCV(SVC(), {"C": Real(1e-3, 1e3, log=True)}, n_iter=60, random_state=1)
search.fit(X, y).best_params_
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn import get_config
from sklearn.base import BaseEstimator, is_classifier
from sklearn.feature_selection import SelectorMixin
from sklearn.model_selection import check_cv
from sklearn.model_selection._search import BaseSearchCV
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state, get_tags
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted, validate_data

from swarmopt.adapters.sklearn_space import SearchSpace
from swarmopt.algorithm import AnyAlgorithm
from swarmopt.errors import SettingError
from swarmopt.optimizer import Optimizer
from swarmopt.types import Mask, Vector

STEP = "estimator__"  # begins a parameter of the estimator behind a selection of features


class FeatureMask(SelectorMixin, BaseEstimator):  # type: ignore[misc] # sklearn has no types
    """Passes on the features of a mask.

    Args:
        mask: (n_features,) which features are passed on; None: all.
    """

    def __init__(self, mask: tuple[bool, ...] | None = None) -> None:
        self.mask = mask

    def fit(self, X: ArrayLike, y: ArrayLike | None = None) -> Self:  # noqa: N803, ARG002 - sklearn's names
        """Check the mask against the features of X (n, n_features).

        Raises:
            ValueError: they differ in number.
        """
        validate_data(self, X, accept_sparse=True, dtype=None, ensure_all_finite=False)
        if self.mask is not None and len(self.mask) != self.n_features_in_:
            raise ValueError(
                f"FeatureMask: expected a mask of {self.n_features_in_} features, as X has, got "
                f"{len(self.mask)}"
            )
        return self

    def _get_support_mask(self) -> Mask:
        check_is_fitted(self, "n_features_in_")
        if self.mask is None:
            return np.ones(self.n_features_in_, bool)
        return np.array(self.mask, bool)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        return tags


class SwarmSearchCV(BaseSearchCV):  # type: ignore[misc] # sklearn has no types
    """Search the parameters of an estimator, and its features, by cross-validation.

    All that `GridSearchCV` has after `fit` is there: `cv_results_`, `best_params_`, `best_score_`,
    `best_estimator_`, `predict` and so on. All candidates are judged on the same folds, which are
    drawn once. In a finite space no point is scored twice, and the space may be exhausted before
    `n_iter`.

    Args:
        estimator: what is tuned.
        params: by name, each a variable of swarmopt (`Real(1e-3, 1e3, log=True)`), a list of
            values, or a frozen distribution of scipy.
        algorithm: a name ("ssa", "pso", "ga", ...) or an instance.
        n_iter: candidates at most; a mask without a feature is one that is not scored.
        select_features: search besides which columns of X to use. The estimator that is searched is
            then `Pipeline([("features", FeatureMask()), ("estimator", estimator)])`: the names in
            `best_params_` begin with `estimator__`, and `features__mask` is the mask.
        batch_size: candidates wanted at once, at least; together they keep `n_jobs` busy.
        random_state: repeats a search.
        scoring: as in `GridSearchCV`; with several metrics `refit` names the one that is searched.
        n_jobs: alike.
        refit: alike; a function chooses at the end, and the mean test score is searched.
        cv: alike.
        verbose: alike.
        pre_dispatch: alike.
        error_score: alike; candidates that fail rank last. Where all fits of the first batch fail
            the search ends with an error; those of a later such batch are left out.
        return_train_score: alike.

    Attributes:
        result_: the `swarmopt.Result` of the search; its cost is the negative mean test score.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseSearchCV._parameter_constraints,  # noqa: SLF001 - as the searches of sklearn
        "n_iter": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "select_features": ["boolean"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        params: Mapping[str, Any],
        *,
        algorithm: str | AnyAlgorithm = "ssa",
        n_iter: int = 50,
        select_features: bool = False,
        batch_size: int = 1,
        random_state: Any = None,
        scoring: Any = None,
        n_jobs: int | None = None,
        refit: Any = True,
        cv: Any = None,
        verbose: int = 0,
        pre_dispatch: int | str = "2*n_jobs",
        error_score: Any = np.nan,
        return_train_score: bool = False,
    ) -> None:
        super().__init__(
            estimator,
            scoring=scoring,
            n_jobs=n_jobs,
            refit=refit,
            cv=cv,
            verbose=verbose,
            pre_dispatch=pre_dispatch,
            error_score=error_score,
            return_train_score=return_train_score,
        )
        self.params = params
        self.algorithm = algorithm
        self.n_iter = n_iter
        self.select_features = select_features
        self.batch_size = batch_size
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None, **params: Any) -> Self:  # noqa: N803 - sklearn's names
        """Search, and fit the best estimator to all data where `refit`.

        Args:
            X: (n, n_features) the samples.
            y: (n,) or (n, n_outputs) what is to be learnt; None: nothing.
            params: what `GridSearchCV.fit` takes: `groups`, `sample_weight`, ...

        Raises:
            SettingError: a parameter that cannot be searched.
            ValueError: X, y or a setting is wrong, or all fits of the first batch failed.
        """
        changed: dict[str, Any] = {}
        if hasattr(self.cv, "__next__"):
            changed["cv"] = list(self.cv)  # it is looked at twice
        if self.select_features:
            steps = [("features", FeatureMask()), ("estimator", self.estimator)]
            changed["estimator"] = Pipeline(steps)
            if not get_config()["enable_metadata_routing"]:
                params = {k if k == "groups" else STEP + k: v for k, v in params.items()}
        if not changed:
            return self._searched(X, y, **params)
        inner = type(self)(**{**self.get_params(deep=False), **changed})
        inner._searched(X, y, **params)  # noqa: SLF001 - one of us
        for name, value in vars(inner).items():
            if name.endswith("_"):  # what scikit-learn calls fitted
                setattr(self, name, value)
        return self

    def _searched(self, X: Any, y: Any, /, **params: Any) -> Self:  # noqa: N803 - sklearn's names
        """Search by the settings as they are."""
        self._space = SearchSpace(self.params, _n_features(X) if self.select_features else 0)
        folds = check_cv(self.cv, y, classifier=is_classifier(self.estimator))
        self._folds = _SameFolds(folds)
        try:
            super().fit(X, y, **params)
        finally:
            del self._space, self._folds
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags = deepcopy(get_tags(self.estimator).target_tags)
        return tags

    def _run_search(self, evaluate_candidates: Callable[..., Mapping[str, Any]]) -> None:
        """Ask, cross-validate and tell until the budget is spent."""
        evaluate = partial(evaluate_candidates, cv=self._folds)
        optimizer = Optimizer(
            self._space.space,
            algorithm=self.algorithm,
            seed=int(check_random_state(self.random_state).randint(2**31 - 1)),
            budget=int(self.n_iter),
            batch_size=int(self.batch_size),
        )
        n_scored = 0
        while not optimizer.done:
            batch = optimizer.ask()
            seeing = np.array([self._sees(point) for point in batch.params], bool)
            cost = np.full(len(batch), np.nan)
            chosen = [self._candidate(p) for p, ok in zip(batch.params, seeing, strict=True) if ok]
            if chosen:
                cost[seeing] = -self._scores(evaluate, chosen, first=not n_scored)
            n_scored += len(chosen)
            # Violated instead of failed: a first batch without any score does not end the search.
            optimizer.tell(batch, cost, np.isnan(cost).astype(float))
        if not n_scored:
            raise SettingError(
                f"none of the {self.n_iter} candidates sees a single feature; set a larger n_iter"
            )
        self.result_ = optimizer.result

    def _sees(self, point: Mapping[str, Any]) -> bool:
        """Return whether a point leaves the estimator a feature."""
        return not self.select_features or any(self._space.features(point))

    def _candidate(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters that the estimator is to have."""
        params = self._space.params(point)
        if not self.select_features:
            return params
        behind = {STEP + name: value for name, value in params.items()}
        return {**behind, "features__mask": self._space.features(point)}

    def _scores(
        self,
        evaluate: Callable[..., Mapping[str, Any]],
        candidates: list[dict[str, Any]],
        *,
        first: bool,
    ) -> Vector:
        """Return (n,) the mean test scores; NaN for what failed.

        Raises:
            ValueError: all fits of the first candidates failed.
            SettingError: there are several metrics, and none is named.
        """
        try:
            results = evaluate(candidates)
        except ValueError as error:
            if first or "fits failed" not in str(error):
                raise
            return np.full(len(candidates), np.nan)
        metric = self.refit if isinstance(self.refit, str) else "score"
        if f"mean_test_{metric}" not in results:
            known = [k.removeprefix("mean_test_") for k in results if k.startswith("mean_test_")]
            raise SettingError(
                f"refit: expected the name of the metric to search by, one of {known}, got "
                f"{self.refit!r}"
            )
        scores: Vector = np.asarray(results[f"mean_test_{metric}"], float)[-len(candidates) :]
        return scores


class _SameFolds:
    """Folds that are drawn once, for all candidates.

    Args:
        cv: what draws them.
    """

    def __init__(self, cv: Any) -> None:
        self._cv = cv
        self._folds: list[Any] = []

    def split(self, *data: Any, **more: Any) -> list[Any]:
        """Return the folds, pairs of indices for training and testing."""
        self._folds = self._folds or list(self._cv.split(*data, **more))
        return self._folds


def _n_features(X: Any) -> int:  # noqa: N803 - sklearn's name
    """Return the number of columns of X.

    Raises:
        ValueError: it has none, or is no matrix.
    """
    shape = X.shape if hasattr(X, "shape") else np.asarray(X).shape
    if len(shape) != 2 or not shape[1]:
        columns = shape[1] if len(shape) == 2 else 0
        raise ValueError(
            f"X: expected samples with features to select from, (n, n_features), got {columns} "
            f"feature(s) (shape={shape}) while a minimum of 1 is required. Reshape your data"
        )
    return int(shape[1])
