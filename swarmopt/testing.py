"""The conformance suite every algorithm passes, ours and a plugin author's.

    import pytest
    from swarmopt.testing import CHECKS

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_algorithm(check):
        check(MyAlgorithm())

Each check takes an algorithm and raises AssertionError with a sentence where it breaks the contract
of `swarmopt.algorithm`. What an algorithm does not declare (`anytime`, `order_only`, `unbiased`) is
not asked of it. `random-search` learns nothing, so checks of learning leave it out. Warnings count
as errors. Statistical checks run over fixed seeds with a wide margin.
"""

import random
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, is_dataclass
from itertools import count, pairwise
from typing import Any

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import AnyAlgorithm, Candidates, Horizon, Streams
from swarmopt.space import Boolean, Categorical, Domain, Integer, Ordinal, Real, Space
from swarmopt.types import Matrix, Vector

__all__ = ["CHECKS", "Check", "Objective", "Trace", "check_algorithm", "drive"]

Objective = Callable[[Matrix], Vector]  # (n, d) rows of the unit cube to (n,) keys
Check = Callable[[AnyAlgorithm], None]

UNBOUNDED = Horizon()
BATCH = 16  # at least, in statistical checks: a small flock takes more calls
SEEDS = range(7)
LETTERS = Categorical(["a", "b", "c", "d", "e"])
REAL = Space([Real(-5, 5)] * 5).domain
INTEGERS = Space([Integer(-10, 10)] * 8).domain
CATEGORIES = Space([LETTERS] * 12).domain
MIXED = Space(
    [
        Real(-1, 3),
        Real(1e-3, 10, log=True),
        Integer(0, 9),
        Integer(4, 4),
        Ordinal([1, 2, 4]),
        LETTERS,
        Boolean(),
        Categorical(["only"]),
    ]
).domain


@dataclass(eq=False)
class Trace:
    """What was told, batch by batch.

    Attributes:
        told: the positions, (n, d) each.
        keys: their keys, (n,) each.
    """

    told: list[Matrix] = field(default_factory=list)
    keys: list[Vector] = field(default_factory=list)

    @property
    def best(self) -> float:
        """The lowest key."""
        return min(float(key.min()) for key in self.keys)


def drive(
    algorithm: AnyAlgorithm,
    domain: Domain,
    fun: Objective,
    batches: int,
    seed: int,
    *,
    lookahead: int = 0,
    horizon: Horizon = UNBOUNDED,
    x0: Matrix | None = None,
) -> Trace:
    """Run an algorithm as swarmopt's loop does, and check every batch on the way.

    Args:
        algorithm: any.
        domain: d columns.
        fun: takes (n, d) rows of the unit cube, returns (n,) keys.
        batches: how many to tell, unless the horizon's budget is spent before.
        seed: of the run.
        lookahead: how many batches asking runs ahead of telling.
        horizon: as given to the algorithm; its budget cuts the last batch.
        x0: (m, d) positions that overwrite the first candidates.

    Raises:
        AssertionError: a batch breaks the contract, or the algorithm raised or warned.
    """
    trace, streams = Trace(), Streams(seed)
    left = np.inf if horizon.budget is None else horizon.budget
    first = np.empty((0, domain.d)) if x0 is None else x0
    state = _init(algorithm, domain, horizon)
    waiting: deque[Candidates] = deque()
    n_asked = 0
    while len(trace.keys) < batches and left > 0:
        while len(waiting) <= lookahead and n_asked < batches:
            candidates = _ask(algorithm, state, streams.at(n_asked), domain)
            n_asked += 1
            unit = candidates.unit.copy()
            unit[: len(first)] = first[: len(unit)]
            first = first[len(unit) :]
            waiting.append(candidates.at(unit))
        candidates = waiting.popleft()
        candidates = candidates.first(int(min(len(candidates), left)))
        left -= len(candidates)
        trace.told.append(candidates.unit.copy())
        trace.keys.append(fun(candidates.unit))
        state = _tell(algorithm, state, candidates, trace.keys[-1].copy())
    return trace


def check_algorithm(algorithm: AnyAlgorithm) -> None:
    """Run every check.

    Raises:
        AssertionError: naming each check that failed, and why.
    """
    failed = []
    for check in CHECKS:
        try:
            check(algorithm)
        except AssertionError as error:
            failed.append(f"{check.__name__}: {error}")
    _expect(not failed, f"{len(failed)} of {len(CHECKS)} checks failed\n" + "\n".join(failed))


# Shape, cube and seed


def candidates_have_the_promised_shape(algorithm: AnyAlgorithm) -> None:
    """Batches are finite (n, d) float64 with n >= 1, and all their arrays have n rows."""
    for domain in (REAL, MIXED):
        drive(algorithm, domain, bowl(domain), 10, seed=1)


def candidates_stay_in_the_cube(algorithm: AnyAlgorithm) -> None:
    """The optimum lies in a corner, so that moves overshoot the walls."""
    for domain in (REAL, MIXED):
        for corner in (0.0, 1.0):
            drive(algorithm, domain, bowl(domain, np.full(domain.d, corner)), 40, seed=2)


def one_variable_works(algorithm: AnyAlgorithm) -> None:
    """Real, integer and category alone."""
    for variable in (Real(0, 1), Integer(0, 3), LETTERS):
        _works(algorithm, Space([variable]).domain)


def a_space_of_one_point_works(algorithm: AnyAlgorithm) -> None:
    """Every column has one level."""
    _works(algorithm, Space([Real(2, 2), Integer(3, 3), Categorical(["only"])]).domain)


def categories_alone_work(algorithm: AnyAlgorithm) -> None:
    """No column has an order."""
    _works(algorithm, CATEGORIES)


def integers_alone_work(algorithm: AnyAlgorithm) -> None:
    """No column is continuous; some have very many levels."""
    _works(algorithm, INTEGERS)
    _works(algorithm, Space([Integer(-(2**40), 2**40), Integer(0, 1)]).domain)


def mixed_spaces_work(algorithm: AnyAlgorithm) -> None:
    """All kinds of variables together, some with a single level."""
    _works(algorithm, MIXED)


def same_seed_same_bits(algorithm: AnyAlgorithm) -> None:
    """A run is replayed by asking and telling again."""
    for domain in (REAL, MIXED):
        first, again = (drive(algorithm, domain, bowl(domain), 15, seed=3) for _ in range(2))
        _expect_equal(first, again, "the same seed gave other candidates")


def another_seed_another_run(algorithm: AnyAlgorithm) -> None:
    """The seed is what a run draws from."""
    one, other = (drive(algorithm, REAL, bowl(REAL), 3, seed=seed) for seed in (4, 5))
    same = all(np.array_equal(a, b) for a, b in zip(one.told, other.told, strict=True))
    _expect(not same, "another seed gave the same candidates; draw from the generator given to ask")


# Purity


def arguments_are_not_changed(algorithm: AnyAlgorithm) -> None:
    """State, candidates, keys, domain and the algorithm itself are the same after every call."""
    for domain in (REAL, MIXED):
        streams, fun = Streams(6), bowl(domain)
        before = _snapshot(algorithm)
        state = _init(algorithm, domain, UNBOUNDED)
        for g in range(8):
            with _unchanged("ask", state=state, domain=domain):
                candidates = _ask(algorithm, state, streams.at(g), domain)
            key = fun(candidates.unit)
            with _unchanged("tell", state=state, candidates=candidates, key=key, domain=domain):
                state = _tell(algorithm, state, candidates, key)
        _expect(_snapshot(algorithm) == before, "the algorithm's own attributes changed in a run")


def only_tell_writes_state(algorithm: AnyAlgorithm) -> None:
    """Asks and tells whose results are dropped leave no trace."""
    for domain in (REAL, MIXED):
        fun = bowl(domain)
        plain = drive(algorithm, domain, fun, 10, seed=7)
        streams = Streams(7)
        state = _init(algorithm, domain, UNBOUNDED)
        for g, told in enumerate(plain.told):
            dropped = _ask(algorithm, state, streams.at(1_000 + g), domain)
            _tell(algorithm, state, dropped, fun(dropped.unit))
            candidates = _ask(algorithm, state, streams.at(g), domain)
            _expect(
                np.array_equal(candidates.unit, told),
                f"batch {g} changed after an ask and a tell whose results were dropped; "
                f"keep nothing outside the state that tell returns",
            )
            state = _tell(algorithm, state, candidates, fun(told))


def only_ask_draws(algorithm: AnyAlgorithm) -> None:
    """Global generators are untouched, and so is the batch's generator once ask has returned."""
    with _no_global_draw():
        streams = Streams(8)
        state = _init(algorithm, MIXED, UNBOUNDED)
        for g in range(8):
            rng = streams.at(g)
            candidates = _ask(algorithm, state, rng, MIXED)
            before = repr(rng.bit_generator.state)
            state = _tell(algorithm, state, candidates, bowl(MIXED)(candidates.unit))
            _expect(
                repr(rng.bit_generator.state) == before,
                "tell drew from the generator given to ask; draw it in the next ask instead",
            )


# Keys


def only_the_order_of_keys_matters(algorithm: AnyAlgorithm) -> None:
    """Runs are equal, bit for bit, under strictly increasing transforms of the keys."""
    if not algorithm.order_only:
        return
    for domain in (REAL, MIXED):
        fun = _sometimes_failing(_after(bowl(domain), lambda k: np.rint(1e5 * k)))
        plain = drive(algorithm, domain, fun, 40, seed=9)
        for name, change in TRANSFORMS.items():
            changed = drive(algorithm, domain, _after(fun, change), 40, seed=9)
            _expect_equal(plain, changed, f"candidates changed when keys k became {name}")


def failed_candidates_do_no_harm(algorithm: AnyAlgorithm) -> None:
    """Keys of inf: all of them for ever, all of the first batches, those of a part of the cube."""
    drive(algorithm, REAL, _all_failing, 30, seed=10)
    drive(algorithm, MIXED, _all_failing, 30, seed=10)
    for domain in (REAL, MIXED):
        fun = _sometimes_failing(bowl(domain, np.full(domain.d, 0.3)))
        drive(algorithm, domain, _with_outages(fun), 30, seed=11)
    fun = _sometimes_failing(bowl(REAL, np.full(REAL.d, 0.3)))
    _expect_no_worse_than_random(algorithm, fun, "where half of the cube fails")


def infeasible_candidates_do_no_harm(algorithm: AnyAlgorithm) -> None:
    """Keys between 1e300 and 2e300, as the loop gives to infeasible candidates."""
    for domain in (REAL, MIXED):
        fun = _constrained(bowl(domain, np.full(domain.d, 0.3)))
        drive(algorithm, domain, fun, 30, seed=11)
    fun = _constrained(bowl(REAL, np.full(REAL.d, 0.3)))
    _expect_no_worse_than_random(algorithm, fun, "where half of the cube is infeasible")


# The loop


def a_sliced_batch_can_be_told(algorithm: AnyAlgorithm) -> None:
    """The budget ends anywhere in a batch, the first one too; the state can still be asked."""
    for domain in (REAL, MIXED):
        fun = bowl(domain)
        for batches in (1, 2, 6):
            plain = drive(algorithm, domain, fun, batches, seed=12)
            n_last = len(plain.keys[-1])
            for n in sorted({1, n_last // 2 or 1, n_last}):
                state = _replayed(algorithm, domain, plain, n, seed=12)
                candidates = _ask(algorithm, state, Streams(12).at(batches), domain)
                _tell(algorithm, state, candidates, fun(candidates.unit))


def x0_can_take_the_place_of_candidates(algorithm: AnyAlgorithm) -> None:
    """Candidates are told at other positions than asked, corners of the cube among them."""
    for domain in (REAL, MIXED):
        for n in (1, 3, 150):
            x0 = np.random.default_rng(n).random((n, domain.d))
            x0[0], x0[-1] = 1.0, 0.0
            drive(algorithm, domain, bowl(domain), 12, seed=13, x0=x0)


def x0_is_learnt_from(algorithm: AnyAlgorithm) -> None:
    """A first point near the optimum leads to better ones: positions count as told, not asked."""
    if _learns_nothing(algorithm):
        return
    found = {}
    fun = bowl(REAL, np.full(5, 0.7))
    horizon = Horizon(400, BATCH)
    for x0 in (None, np.full((1, 5), 0.71)):
        runs = [drive(algorithm, REAL, fun, 400, s, horizon=horizon, x0=x0) for s in SEEDS]
        best = [min(float(r.keys[0][1:].min(initial=1.0)), *map(_lowest, r.keys[1:])) for r in runs]
        found[x0 is not None] = float(np.median(best))
    _expect(
        found[True] < 0.5 * found[False],
        f"a first point near the optimum did not help: {found[True]:.3g} with it, "
        f"{found[False]:.3g} without; tell must use candidates.unit as told",
    )


def lookahead_works_through_first_designs_and_restarts(algorithm: AnyAlgorithm) -> None:
    """Several batches are asked before the first is told; flat keys and sharp optima restart."""
    small = Space([Real(0, 1), Integer(0, 3)]).domain
    for lookahead in (0, 1, 3):
        drive(algorithm, small, _flat, 45, seed=14, lookahead=lookahead)
        drive(algorithm, CATEGORIES, _flat, 45, seed=14, lookahead=lookahead)
        drive(algorithm, small, bowl(small), 70, seed=14, lookahead=lookahead)
        first, again = (
            drive(algorithm, MIXED, bowl(MIXED), 10, seed=15, lookahead=lookahead) for _ in "ab"
        )
        _expect_equal(first, again, f"lookahead {lookahead}: the same seed gave other candidates")
        _expect_no_worse_than_random(
            algorithm, bowl(REAL), f"with lookahead {lookahead}", lookahead=lookahead
        )


def the_batch_of_the_horizon_is_honoured(algorithm: AnyAlgorithm) -> None:
    """At least so many candidates come at once, after restarts too."""
    for domain in (REAL, MIXED, CATEGORIES):
        for batch in (1, 7, 64):
            horizon = Horizon(batch=batch)
            runs = (
                drive(algorithm, domain, _flat, 32, seed=16, horizon=horizon),
                drive(algorithm, domain, bowl(domain), 8, seed=16, horizon=horizon),
            )
            n = min(len(key) for run in runs for key in run.keys)
            _expect(
                n >= batch,
                f"expected at least {batch} candidates in every batch (Horizon.batch), got {n}",
            )


def a_larger_budget_repeats_the_prefix(algorithm: AnyAlgorithm) -> None:
    """Where the algorithm declares `anytime`."""
    if not algorithm.anytime:
        return
    for domain in (REAL, MIXED):
        runs = [
            np.concatenate(
                drive(algorithm, domain, bowl(domain), 40, seed=17, horizon=Horizon(b)).told
            )
            for b in (60, 300, 5_000, None)
        ]
        for shorter, longer in pairwise(runs):
            n = min(len(shorter), len(longer))
            _expect(
                np.array_equal(shorter[:n], longer[:n]),
                "a larger budget changed the first candidates, though anytime is declared",
            )


def the_best_never_gets_worse(algorithm: AnyAlgorithm) -> None:
    """A longer run with the same seed and horizon ends at least as low."""
    for domain in (REAL, MIXED):
        best = [drive(algorithm, domain, bowl(domain), n, seed=18).best for n in (1, 4, 16, 32)]
        _expect(
            best == sorted(best, reverse=True), f"longer runs with one seed ended worse: {best}"
        )


# Quality


def the_place_of_the_optimum_does_not_matter(algorithm: AnyAlgorithm) -> None:
    """Results agree between mirrored optima, one of them at the box's origin or at the cube's.

    Mirrored optima are equally far from the centre of the cube, so that starting there is allowed.
    Where the algorithm declares `unbiased`.
    """
    if not algorithm.unbiased:
        return
    domain = Space([Real(-3, 7)] * 5).domain  # the box's origin is 0.3 of the unit interval
    for here in (0.3, 0.0):
        error = [
            np.median(np.log10(_final(algorithm, domain, bowl(domain, np.full(5, c)), 600) + 1e-12))
            for c in (here, 1.0 - here)
        ]
        _expect(
            abs(error[0] - error[1]) < 2.0,
            f"the optimum's place matters: median log10 error {error[0]:.1f} at {here}, "
            f"{error[1]:.1f} at {1 - here:.1f} of every unit interval",
        )


def beats_random_search_on_a_shifted_sphere(algorithm: AnyAlgorithm) -> None:
    """Five real variables."""
    _expect_beats_random(algorithm, REAL, 0.25)


def beats_random_search_on_shifted_integers(algorithm: AnyAlgorithm) -> None:
    """Eight integers of 21 levels."""
    _expect_beats_random(algorithm, INTEGERS, 0.5)


def beats_random_search_on_shifted_categories(algorithm: AnyAlgorithm) -> None:
    """Twelve categories of five levels; a biased algorithm need only be no worse there."""
    _expect_beats_random(algorithm, CATEGORIES, 0.5 if algorithm.unbiased else 1.0)


CHECKS: tuple[Check, ...] = (
    candidates_have_the_promised_shape,
    candidates_stay_in_the_cube,
    one_variable_works,
    a_space_of_one_point_works,
    categories_alone_work,
    integers_alone_work,
    mixed_spaces_work,
    same_seed_same_bits,
    another_seed_another_run,
    arguments_are_not_changed,
    only_tell_writes_state,
    only_ask_draws,
    only_the_order_of_keys_matters,
    failed_candidates_do_no_harm,
    infeasible_candidates_do_no_harm,
    a_sliced_batch_can_be_told,
    x0_can_take_the_place_of_candidates,
    x0_is_learnt_from,
    lookahead_works_through_first_designs_and_restarts,
    the_batch_of_the_horizon_is_honoured,
    a_larger_budget_repeats_the_prefix,
    the_best_never_gets_worse,
    the_place_of_the_optimum_does_not_matter,
    beats_random_search_on_a_shifted_sphere,
    beats_random_search_on_shifted_integers,
    beats_random_search_on_shifted_categories,
)


# Objectives


def bowl(domain: Domain, optimum: Vector | None = None) -> Objective:
    """Return squared distances to a point of the unit cube; a wrong category counts 1/4.

    Args:
        domain: d columns.
        optimum: (d,) in the unit cube; None: 0.62 everywhere.
    """
    at = domain.centre(np.full((1, domain.d), 0.62) if optimum is None else optimum[None, :])
    level = domain.level(at)

    def keys(unit: Matrix) -> Vector:
        away = domain.centre(unit) - at
        if domain.nominal.any():
            away = np.where(domain.nominal, 0.5 * (domain.level(unit) != level), away)
        total: Vector = (away**2).sum(axis=1)
        return total

    return keys


def _flat(unit: Matrix) -> Vector:
    return np.zeros(len(unit))


def _all_failing(unit: Matrix) -> Vector:
    return np.full(len(unit), np.inf)


def _sometimes_failing(fun: Objective) -> Objective:
    """Return an objective that fails in half of the cube."""
    return lambda unit: np.where(unit[:, 0] > 0.5, np.inf, fun(unit))


def _constrained(fun: Objective) -> Objective:
    """Return an objective whose points beyond 0.5 in the first column are infeasible."""

    def keys(unit: Matrix) -> Vector:
        violation = np.maximum(unit[:, 0] - 0.5, 0.0)
        return np.where(violation > 0.0, 1e300 * (1.0 + violation / (1.0 + violation)), fun(unit))

    return keys


def _with_outages(fun: Objective) -> Objective:
    """Return an objective whose first three batches fail, and every seventh."""
    batch = count()

    def keys(unit: Matrix) -> Vector:
        b = next(batch)
        return _all_failing(unit) if b < 3 or b % 7 == 0 else fun(unit)

    return keys


def _after(fun: Objective, change: Callable[[Vector], Vector]) -> Objective:
    """Return an objective whose keys are changed."""
    return lambda unit: change(fun(unit))


# Strictly increasing on the whole numbers from 0 to 1e6, which stay distinct in float64.
TRANSFORMS: dict[str, Callable[[Vector], Vector]] = {
    "1e290 * k": lambda k: 1e290 * k,
    "1e300 * (1 + v / (1 + v)) with v = k / 1e6": lambda k: _squashed(k / 1e6),
    "-1e-300 / (1 + k)": lambda k: np.where(np.isinf(k), np.inf, -1e-300 / (1.0 + k)),
    "log(1 + k) - 5": lambda k: np.log1p(k) - 5.0,
}


def _squashed(v: Vector) -> Vector:
    return np.where(np.isinf(v), np.inf, 1e300 * (2.0 - 1.0 / (1.0 + v)))


# Calls that check what comes back


def _init(algorithm: AnyAlgorithm, domain: Domain, horizon: Horizon) -> Any:
    with _spoken("init"):
        return algorithm.init(domain, horizon)


def _ask(algorithm: AnyAlgorithm, state: Any, rng: Generator, domain: Domain) -> Candidates:
    with _spoken("ask"):
        candidates: Candidates = algorithm.ask(state, rng)
    unit: Any = candidates.unit
    _expect(
        isinstance(unit, np.ndarray)
        and unit.dtype == np.float64
        and unit.ndim == 2
        and unit.shape[1] == domain.d
        and len(unit) >= 1,
        f"expected candidates.unit of float64 and shape (n >= 1, {domain.d}), got "
        f"{getattr(unit, 'dtype', type(unit).__name__)} of shape {np.shape(unit)}",
    )
    _expect(bool(np.isfinite(unit).all()), "candidates.unit has values that are not finite")
    _expect(
        bool((unit >= 0.0).all() and (unit <= 1.0).all()),
        f"candidates left the unit cube: values from {unit.min():.3g} to {unit.max():.3g}",
    )
    for f in fields(candidates):
        value = getattr(candidates, f.name)
        _expect(
            not isinstance(value, np.ndarray) or len(np.atleast_1d(value)) == len(unit),
            f"candidates.{f.name} has shape {np.shape(value)}; expected one row for each of the "
            f"{len(unit)} candidates, so that a batch can be cut",
        )
    return candidates


def _tell(algorithm: AnyAlgorithm, state: Any, candidates: Candidates, key: Vector) -> Any:
    with _spoken("tell"):
        return algorithm.tell(state, candidates, key)


@contextmanager
def _spoken(step: str) -> Iterator[None]:
    """Make a sentence of whatever a call raises or warns of."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            yield
    except Exception as error:
        raise AssertionError(f"{step} raised {type(error).__name__}: {error}") from error


@contextmanager
def _unchanged(step: str, **arguments: Any) -> Iterator[None]:
    """Fail where a call changes one of its arguments; writing to their arrays raises."""
    before = {name: _snapshot(value) for name, value in arguments.items()}
    frozen = [a for value in arguments.values() for a in _arrays(value) if a.flags.writeable]
    for array in frozen:
        array.flags.writeable = False
    try:
        yield
    finally:
        for array in frozen:
            array.flags.writeable = True
    for name, value in arguments.items():
        _expect(_snapshot(value) == before[name], f"{step} changed its argument {name}")


@contextmanager
def _no_global_draw() -> Iterator[None]:
    """Fail where a global generator is used."""
    before = _global_generators()
    yield
    _expect(
        _global_generators() == before,
        "a global generator was used; draw from the generator given to ask",
    )


def _global_generators() -> str:
    state = np.random.get_state(legacy=False)  # noqa: NPY002 - looked at, not drawn from
    return repr((random.getstate(), _snapshot(state)))


def _arrays(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the arrays in a tree of dataclasses, lists, tuples and dicts."""
    if isinstance(value, np.ndarray):
        yield value
    else:
        for child in _children(value):
            yield from _arrays(child)


def _snapshot(value: Any) -> Any:
    """Return the contents of a tree of dataclasses, lists, tuples and dicts, to compare by ==."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    children = _children(value)
    return (type(value), [_snapshot(c) for c in children]) if children else repr(value)


def _children(value: Any) -> list[Any]:
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, f.name) for f in fields(value)]
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    return list(value) if isinstance(value, list | tuple | set | deque) else []


# Judgements


def _works(algorithm: AnyAlgorithm, domain: Domain) -> None:
    """Run with the least and a larger batch, at most 600 evaluations each."""
    for batch in (1, 10):
        horizon = Horizon(budget=600, batch=batch)
        drive(algorithm, domain, bowl(domain), 25, seed=19, horizon=horizon)


def _replayed(algorithm: AnyAlgorithm, domain: Domain, trace: Trace, n: int, seed: int) -> Any:
    """Return the state after a run's batches, of the last of which only n rows were told."""
    state, streams = _init(algorithm, domain, UNBOUNDED), Streams(seed)
    for g, key in enumerate(trace.keys):
        candidates = _ask(algorithm, state, streams.at(g), domain)
        rows = n if g == len(trace.keys) - 1 else len(key)
        state = _tell(algorithm, state, candidates.first(rows), key[:rows])
    return state


def _final(
    algorithm: AnyAlgorithm, domain: Domain, fun: Objective, budget: int, *, lookahead: int = 0
) -> Vector:
    """Return the best key of each seed."""
    horizon = Horizon(budget, BATCH)
    runs = (
        drive(algorithm, domain, fun, budget, s, horizon=horizon, lookahead=lookahead)
        for s in SEEDS
    )
    return np.array([run.best for run in runs])


def _expect_beats_random(algorithm: AnyAlgorithm, domain: Domain, share: float) -> None:
    """Expect at most this share of random search's median error, at optima off the centre."""
    if _learns_nothing(algorithm):
        return
    ours, theirs = [], []
    horizon = Horizon(1_000, BATCH)
    for seed in SEEDS:
        optimum = np.random.default_rng(seed).uniform(0.1, 0.9, domain.d)
        fun = bowl(domain, optimum)
        ours.append(drive(algorithm, domain, fun, 1_000, seed, horizon=horizon).best)
        theirs.append(_lowest(fun(np.random.default_rng(seed + 100).random((1_000, domain.d)))))
    a, b = np.median(ours), np.median(theirs)
    _expect(
        bool(a <= share * b),
        f"expected a median error of at most {share} times random search's {b:.3g}, got {a:.3g}",
    )


def _expect_no_worse_than_random(
    algorithm: AnyAlgorithm, fun: Objective, where: str, *, lookahead: int = 0
) -> None:
    """Expect at most random search's median error on five real variables."""
    if _learns_nothing(algorithm):
        return
    ours = np.median(_final(algorithm, REAL, fun, 400, lookahead=lookahead))
    draws = (np.random.default_rng(s).random((400, REAL.d)) for s in SEEDS)
    theirs = np.median([_lowest(fun(unit)) for unit in draws])
    _expect(bool(ours <= theirs), f"{where} the median error is {ours:.3g}, random {theirs:.3g}")


def _learns_nothing(algorithm: AnyAlgorithm) -> bool:
    return algorithm.name == "random-search"


def _lowest(key: Vector) -> float:
    return float(key.min())


def _expect_equal(one: Trace, other: Trace, message: str) -> None:
    same = len(one.told) == len(other.told) and all(
        a.tobytes() == b.tobytes() for a, b in zip(one.told, other.told, strict=True)
    )
    _expect(same, message)


def _expect(truth: bool, message: str) -> None:
    if not truth:
        raise AssertionError(message)
