"""Checks of the contract: shape, seed, purity, keys, and what the loop may do."""

from collections.abc import Callable
from itertools import pairwise, product
from typing import Any

import numpy as np

from swarmopt.algorithm import AnyAlgorithm, Horizon, Streams
from swarmopt.domain import Domain
from swarmopt.space import Space
from swarmopt.testing.drive import (
    UNBOUNDED,
    Trace,
    ask,
    drive,
    expect,
    init,
    no_global_draw,
    snapshot,
    tell,
    unchanged,
)
from swarmopt.testing.learning import expect_no_worse_than_random
from swarmopt.testing.objectives import (
    CASES,
    CATEGORIES,
    INTEGERS,
    LETTERS,
    MIXED,
    REAL,
    WIDE,
    after,
    bowl,
    flat,
    sometimes_failing,
    squashed,
)
from swarmopt.types import Vector
from swarmopt.variables import Categorical, Integer, Real


def candidates_have_the_promised_shape(algorithm: AnyAlgorithm) -> None:
    """Batches are finite (n, d) float64 with n >= 1, and all their arrays have n rows."""
    for domain, batches in CASES:
        drive(algorithm, domain, bowl(domain), batches, seed=1)


def candidates_stay_in_the_cube(algorithm: AnyAlgorithm) -> None:
    """The optimum lies in a corner, so that moves overshoot the walls."""
    for domain, batches in CASES:
        for corner in (0.0, 1.0):
            fun = bowl(domain, np.full(domain.d, corner))
            drive(algorithm, domain, fun, max(batches, 20), seed=2)


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
    for domain, batches in CASES:
        first, again = (drive(algorithm, domain, bowl(domain), batches, seed=3) for _ in range(2))
        _expect_equal(first, again, "the same seed gave other candidates")


def another_seed_another_run(algorithm: AnyAlgorithm) -> None:
    """The seed is what a run draws from."""
    one, other = (drive(algorithm, REAL, bowl(REAL), 3, seed=seed) for seed in (4, 5))
    same = all(np.array_equal(a, b) for a, b in zip(one.told, other.told, strict=True))
    expect(not same, "another seed gave the same candidates; draw from the generator given to ask")


def arguments_are_not_changed(algorithm: AnyAlgorithm) -> None:
    """State, candidates, keys, domain and the algorithm itself are the same after every call."""
    for domain, batches in CASES:
        streams, fun = Streams(6), bowl(domain)
        before = snapshot(algorithm)
        state = init(algorithm, domain, UNBOUNDED)
        for g in range(batches):
            with unchanged("ask", state=state, domain=domain):
                candidates = ask(algorithm, state, streams.at(g), domain)
            key = fun(candidates.unit)
            with unchanged("tell", state=state, candidates=candidates, key=key, domain=domain):
                state = tell(algorithm, state, candidates, key)
        expect(snapshot(algorithm) == before, "the algorithm's own attributes changed in a run")


def only_tell_writes_state(algorithm: AnyAlgorithm) -> None:
    """Asks and tells whose results are dropped leave no trace."""
    for domain, batches in CASES:
        fun = bowl(domain)
        plain = drive(algorithm, domain, fun, batches, seed=7)
        streams = Streams(7)
        state = init(algorithm, domain, UNBOUNDED)
        for g, told in enumerate(plain.told):
            dropped = ask(algorithm, state, streams.at(1_000 + g), domain)
            tell(algorithm, state, dropped, fun(dropped.unit))
            candidates = ask(algorithm, state, streams.at(g), domain)
            expect(
                np.array_equal(candidates.unit, told),
                f"batch {g} changed after an ask and a tell whose results were dropped; "
                f"keep nothing outside the state that tell returns",
            )
            state = tell(algorithm, state, candidates, fun(told))


def only_ask_draws(algorithm: AnyAlgorithm) -> None:
    """Global generators are untouched, and so is the batch's generator once ask has returned."""
    for domain, batches in CASES:
        with no_global_draw():
            streams, fun = Streams(8), bowl(domain)
            state = init(algorithm, domain, UNBOUNDED)
            for g in range(batches):
                rng = streams.at(g)
                candidates = ask(algorithm, state, rng, domain)
                before = repr(rng.bit_generator.state)
                state = tell(algorithm, state, candidates, fun(candidates.unit))
                expect(
                    repr(rng.bit_generator.state) == before,
                    "tell drew from the generator given to ask; draw it in the next ask instead",
                )


def only_the_order_of_keys_matters(algorithm: AnyAlgorithm) -> None:
    """Runs are equal, bit for bit, under strictly increasing transforms of the keys."""
    if not algorithm.order_only:
        return
    for domain, batches in CASES:
        fun = sometimes_failing(after(bowl(domain), lambda k: np.rint(1e4 * k)))
        plain = drive(algorithm, domain, fun, batches, seed=9)
        for name, change in TRANSFORMS.items():
            changed = drive(algorithm, domain, after(fun, change), batches, seed=9)
            _expect_equal(plain, changed, f"candidates changed when keys k became {name}")


def a_sliced_batch_can_be_told(algorithm: AnyAlgorithm) -> None:
    """The budget ends anywhere in a batch, the first one too; the state can still be asked."""
    for domain in (REAL, MIXED, WIDE):
        fun = bowl(domain)
        for batches in (1, 2, 6):
            plain = drive(algorithm, domain, fun, batches, seed=12)
            n_last = len(plain.keys[-1])
            for n in sorted({1, n_last // 2 or 1, n_last}):
                state = _replayed(algorithm, domain, plain, n, seed=12)
                candidates = ask(algorithm, state, Streams(12).at(batches), domain)
                tell(algorithm, state, candidates, fun(candidates.unit))


def x0_can_take_the_place_of_candidates(algorithm: AnyAlgorithm) -> None:
    """Candidates are told at other positions than asked, corners of the cube among them."""
    for domain in (REAL, MIXED, WIDE):
        for n in (1, 3, 150):
            x0 = np.random.default_rng(n).random((n, domain.d))
            x0[0], x0[-1] = 1.0, 0.0
            drive(algorithm, domain, bowl(domain), 12, seed=13, x0=x0)


def lookahead_works_through_first_designs_and_restarts(algorithm: AnyAlgorithm) -> None:
    """Several batches are asked before the first is told; flat keys and sharp optima restart."""
    small = Space([Real(0, 1), Integer(0, 3)]).domain
    for lookahead in (0, 1, 3):
        drive(algorithm, small, flat, 45, seed=14, lookahead=lookahead)
        drive(algorithm, CATEGORIES, flat, 45, seed=14, lookahead=lookahead)
        drive(algorithm, small, bowl(small), 70, seed=14, lookahead=lookahead)
        first, again = (
            drive(algorithm, MIXED, bowl(MIXED), 10, seed=15, lookahead=lookahead) for _ in "ab"
        )
        _expect_equal(first, again, f"lookahead {lookahead}: the same seed gave other candidates")
        expect_no_worse_than_random(
            algorithm, bowl(REAL), f"with lookahead {lookahead}", lookahead=lookahead
        )


def the_batch_of_the_horizon_is_honoured(algorithm: AnyAlgorithm) -> None:
    """At least so many candidates come at once, after restarts too."""
    for domain, batch in (*product((REAL, MIXED, CATEGORIES), (1, 7, 64)), (WIDE, 16)):
        horizon = Horizon(batch=batch)
        runs = (
            drive(algorithm, domain, flat, 32, seed=16, horizon=horizon),
            drive(algorithm, domain, bowl(domain), 8, seed=16, horizon=horizon),
        )
        n = min(len(key) for run in runs for key in run.keys)
        expect(
            n >= batch,
            f"expected at least {batch} candidates in every batch (Horizon.batch), got {n}",
        )


def a_larger_budget_repeats_the_prefix(algorithm: AnyAlgorithm) -> None:
    """Where the algorithm declares `anytime`."""
    if not algorithm.anytime:
        return
    for domain, batches in CASES:
        runs = [
            np.concatenate(
                drive(algorithm, domain, bowl(domain), batches, seed=17, horizon=Horizon(b)).told
            )
            for b in (300, 5_000, None)
        ]
        for shorter, longer in pairwise(runs):
            n = min(len(shorter), len(longer))
            expect(
                np.array_equal(shorter[:n], longer[:n]),
                "a larger budget changed the first candidates, though anytime is declared",
            )


# Strictly increasing on the whole numbers from 0 to 1e6, which stay distinct in float64.
TRANSFORMS: dict[str, Callable[[Vector], Vector]] = {
    "k - 1e6": lambda k: k - 1e6,
    "1e6 * k": lambda k: 1e6 * k,
    "1e6 * k - 1e6": lambda k: 1e6 * k - 1e6,
    "1e290 * k": lambda k: 1e290 * k,
    "1e300 * (1 + v / (1 + v)) with v = k / 1e6": lambda k: squashed(k / 1e6),
    "-1e-300 / (1 + k)": lambda k: np.where(np.isinf(k), np.inf, -1e-300 / (1.0 + k)),
    "log(1 + k) - 5": lambda k: np.log1p(k) - 5.0,
}


def _works(algorithm: AnyAlgorithm, domain: Domain) -> None:
    """Run with the least and a larger batch, at most 600 evaluations each."""
    for batch in (1, 10):
        horizon = Horizon(budget=600, batch=batch)
        drive(algorithm, domain, bowl(domain), 25, seed=19, horizon=horizon)


def _replayed(algorithm: AnyAlgorithm, domain: Domain, trace: Trace, n: int, seed: int) -> Any:
    """Return the state after a run's batches, of the last of which only n rows were told."""
    state, streams = init(algorithm, domain, UNBOUNDED), Streams(seed)
    for g, key in enumerate(trace.keys):
        candidates = ask(algorithm, state, streams.at(g), domain)
        rows = n if g == len(trace.keys) - 1 else len(key)
        state = tell(algorithm, state, candidates.first(rows), key[:rows])
    return state


def _expect_equal(one: Trace, other: Trace, message: str) -> None:
    same = len(one.told) == len(other.told) and all(
        a.tobytes() == b.tobytes() for a, b in zip(one.told, other.told, strict=True)
    )
    expect(same, message)
