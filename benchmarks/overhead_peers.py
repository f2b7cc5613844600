"""Other packages under a stopwatch, each with a population of n and its default settings.

All minimise the same shifted sphere over the unit cube, in batches where the package hands them
over, and are stopped by an exception after a number of evaluations. The stopwatch starts when the
first population is evaluated and stands still inside the objective.
"""

import contextlib
import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from swarmopt.space import Space
from swarmopt.types import Matrix, Vector


class StopwatchEnd(BaseException):
    """Enough candidates were seen."""


class Stopwatch:
    """A sphere that times whoever calls it.

    Args:
        space: what the variables are.
        warm: evaluations before the time counts.
        until: evaluations after which it raises.
    """

    def __init__(self, space: Space, *, warm: int, until: int) -> None:
        self.space = space
        self.d = len(space)
        self._target = np.linspace(0.3, 0.7, self.d)
        self._warm, self._until = warm, until
        self._seen = self._timed = 0
        self._outside = 0.0
        self._left = 0.0  # when the objective was last left; 0: it is not timed yet

    @property
    def microseconds(self) -> float:
        """Time outside the objective per candidate."""
        return 1e6 * self._outside / max(self._timed, 1)

    def units(self, unit: Matrix) -> Vector:
        """Return the costs of rows of the unit cube, (n, d) -> (n,)."""
        if self._left:
            self._outside += perf_counter() - self._left
            self._timed += len(unit)
        self._seen += len(unit)
        if self._seen >= self._until:
            raise StopwatchEnd
        cost: Vector = ((unit - self._target) ** 2).sum(axis=1)
        if self._seen >= self._warm:
            self._left = perf_counter()
        return cost

    def unit(self, unit: Vector) -> float:
        """Return the cost of one row of the unit cube."""
        return float(self.units(np.asarray(unit, float)[None])[0])


@dataclass(frozen=True)
class Peer:
    """An algorithm of another package.

    Attributes:
        name: in the table.
        module: which must be importable.
        distribution: what to install for it.
        run: takes a stopwatch, the population and a seed; runs until the stopwatch raises.
        mixed: whether it is also timed on mixed variables, natively.
        most: numbers in a population beyond which it takes more than 8 GB, or many minutes.
    """

    name: str
    module: str
    distribution: str
    run: Callable[[Stopwatch, int, int], None]
    mixed: bool = False
    most: float = float("inf")

    def time(self, watch: Stopwatch, n: int, seed: int) -> float:
        """Return microseconds per candidate outside the objective."""
        logging.disable(logging.WARNING)
        with (
            warnings.catch_warnings(),
            np.errstate(all="ignore"),
            open(os.devnull, "w", encoding="utf-8") as nowhere,  # noqa: PTH123 - no file
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            contextlib.suppress(StopwatchEnd),
        ):
            warnings.simplefilter("ignore")
            self.run(watch, n, seed)
        logging.disable(logging.NOTSET)
        return watch.microseconds


def scipy_de(watch: Stopwatch, n: int, seed: int) -> None:
    """Time scipy's differential evolution in its vectorized form."""
    from scipy.optimize import differential_evolution
    from scipy.stats.qmc import LatinHypercube

    domain = watch.space.domain
    low = np.where(domain.discrete, domain.low, 0.0)
    high = np.where(domain.discrete, domain.high, 1.0)
    start = low + LatinHypercube(watch.d, rng=seed).random(n) * (high - low)
    differential_evolution(
        lambda x: watch.units(x.T),
        list(zip(low, high, strict=True)),
        init=start,
        integrality=domain.discrete,
        maxiter=10**6,
        tol=0.0,
        polish=False,
        updating="deferred",
        vectorized=True,
        rng=seed,
    )


def pymoo_real(name: str, kind: str) -> Callable[[Stopwatch, int, int], None]:
    """Return a run of one of pymoo's algorithms in the unit cube."""

    def run(watch: Stopwatch, n: int, seed: int) -> None:
        from importlib import import_module

        module = import_module(f"pymoo.algorithms.soo.nonconvex.{name}")
        _pymoo(watch, getattr(module, kind)(pop_size=n), seed, {"n_var": watch.d})

    return run


def pymoo_ga(watch: Stopwatch, n: int, seed: int) -> None:
    """Time pymoo's GA, on mixed variables its MixedVariableGA."""
    from pymoo.core.mixed import MixedVariableGA
    from pymoo.core.variable import Choice, Integer, Real

    domain = watch.space.domain
    if not domain.n_discrete:
        pymoo_real("ga", "GA")(watch, n, seed)
        return
    variables: dict[str, Any] = {}
    for j in range(domain.d):
        last = int(domain.levels[j]) - 1
        if domain.nominal[j]:
            variables[f"x{j}"] = Choice(options=list(range(last + 1)))
        elif domain.discrete[j]:
            variables[f"x{j}"] = Integer(bounds=(0, last))
        else:
            variables[f"x{j}"] = Real(bounds=(0.0, 1.0))
    _pymoo(watch, MixedVariableGA(pop_size=n), seed, {"vars": variables})


def _pymoo(watch: Stopwatch, algorithm: Any, seed: int, variables: dict[str, Any]) -> None:
    from pymoo.core.problem import Problem
    from pymoo.core.termination import NoTermination
    from pymoo.optimize import minimize

    named = "vars" in variables
    bounds = {} if named else {"xl": 0.0, "xu": 1.0}

    class Watched(Problem):  # type: ignore[misc]  # the package has no types
        def __init__(self) -> None:
            super().__init__(n_obj=1, **variables, **bounds)

        def _evaluate(self, x: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
            rows = np.array([list(row.values()) for row in x], float) if named else x
            out["F"] = watch.units(rows)

    minimize(Watched(), algorithm, NoTermination(), seed=seed)


def mealpy(module: str, kind: str) -> Callable[[Stopwatch, int, int], None]:
    """Return a run of one of mealpy's algorithms."""

    def run(watch: Stopwatch, n: int, seed: int) -> None:
        from importlib import import_module

        from mealpy import FloatVar

        problem = {
            "obj_func": watch.unit,
            "bounds": FloatVar(lb=(0.0,) * watch.d, ub=(1.0,) * watch.d),
            "minmax": "min",
            "log_to": None,
        }
        algorithm = getattr(import_module(f"mealpy.{module}"), kind)
        algorithm(epoch=1000, pop_size=n).solve(problem, seed=seed)

    return run


def pyswarms(watch: Stopwatch, n: int, seed: int) -> None:
    """Time the global-best PSO of pyswarms, which leaves a log file where it is imported."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        from pyswarms.single import GlobalBestPSO

        np.random.seed(seed)  # noqa: NPY002 - the package draws from the global generator
        options = {"c1": 1.49618, "c2": 1.49618, "w": 0.7298}
        bounds = (np.zeros(watch.d), np.ones(watch.d))
        swarm = GlobalBestPSO(n_particles=n, dimensions=watch.d, options=options, bounds=bounds)
        swarm.optimize(watch.units, iters=10**6, verbose=False)


def scikit_opt(kind: str) -> Callable[[Stopwatch, int, int], None]:
    """Return a run of one of scikit-opt's algorithms."""

    def run(watch: Stopwatch, n: int, seed: int) -> None:
        from sko import DE, GA, PSO
        from sko.tools import set_run_mode

        np.random.seed(seed)  # noqa: NPY002 - the package draws from the global generator
        set_run_mode(watch.units, "vectorization")
        low, high = [0.0] * watch.d, [1.0] * watch.d
        if kind == "PSO":
            PSO.PSO(func=watch.units, n_dim=watch.d, pop=n, max_iter=10**6, lb=low, ub=high).run()
        else:
            make = {"GA": GA.GA, "DE": DE.DE}[kind]
            make(func=watch.units, n_dim=watch.d, size_pop=n, max_iter=10**4, lb=low, ub=high).run()

    return run


def cma(watch: Stopwatch, n: int, seed: int) -> None:
    """Time pycma, with integer_variables where there are any."""
    from cma import CMAEvolutionStrategy

    domain = watch.space.domain
    options = {
        "bounds": [0.0, np.where(domain.discrete, np.maximum(domain.levels - 1.0, 1.0), 1.0)],
        "integer_variables": np.flatnonzero(domain.discrete).tolist(),
        "popsize": n,
        "seed": seed + 1,
        "verbose": -9,
    }
    strategy = CMAEvolutionStrategy(np.full(watch.d, 0.5), 0.2, options)
    while True:
        asked = strategy.ask()
        strategy.tell(asked, watch.units(np.array(asked)).tolist())


def cmaes(watch: Stopwatch, n: int, seed: int) -> None:
    """Time cmaes: CMA on reals, CatCMAwM on mixed variables."""
    from cmaes import CMA, CatCMAwM

    domain = watch.space.domain
    if not domain.n_discrete:
        bounds = np.tile([0.0, 1.0], (watch.d, 1))
        plain = CMA(
            mean=np.full(watch.d, 0.5), sigma=0.2, bounds=bounds, seed=seed, population_size=n
        )
        while True:
            asked = [plain.ask() for _ in range(n)]
            costs = watch.units(np.array(asked))
            plain.tell(list(zip(asked, costs.tolist(), strict=True)))
    strategy = CatCMAwM(
        x_space=[[0.0, 1.0]] * int(domain.continuous.sum()),
        z_space=[list(range(int(k))) for k in domain.levels[domain.ordered]],
        c_space=domain.levels[domain.nominal].tolist(),
        population_size=n,
        seed=seed,
    )
    while True:
        solutions = [strategy.ask() for _ in range(n)]
        rows = np.array([np.r_[s.x, s.z, s.c.argmax(axis=1)] for s in solutions])
        costs = watch.units(rows)
        strategy.tell(list(zip(solutions, costs.tolist(), strict=True)))


PEERS = (
    Peer("scipy DE", "scipy", "scipy", scipy_de, mixed=True),
    Peer("pymoo PSO", "pymoo", "pymoo", pymoo_real("pso", "PSO"), most=200_000),
    Peer("pymoo GA", "pymoo", "pymoo", pymoo_ga, mixed=True),
    Peer("pymoo DE", "pymoo", "pymoo", pymoo_real("de", "DE")),
    Peer("pyswarms PSO", "pyswarms", "pyswarms", pyswarms),
    Peer("scikit-opt PSO", "sko", "scikit-opt", scikit_opt("PSO")),
    Peer("scikit-opt GA", "sko", "scikit-opt", scikit_opt("GA")),
    Peer("scikit-opt DE", "sko", "scikit-opt", scikit_opt("DE")),
    Peer("mealpy PSO", "mealpy", "mealpy", mealpy("swarm_based.PSO", "OriginalPSO")),
    Peer("mealpy SSA", "mealpy", "mealpy", mealpy("swarm_based.SSA", "OriginalSSA")),
    Peer("mealpy GA", "mealpy", "mealpy", mealpy("evolutionary_based.GA", "BaseGA")),
    Peer("cma", "cma", "cma", cma, mixed=True),
    Peer("cmaes", "cmaes", "cmaes", cmaes, mixed=True, most=200_000),
)
