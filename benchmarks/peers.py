"""Algorithms of other packages, each with the settings its authors recommend.

All are handed the same `Meter`, which counts and ends the run; an algorithm that stops on its own
is started anew with another seed until then. What was chosen, and why:

- **random**: uniform and independent, numpy.
- **cma** (pycma): `integer_variables`, box bounds, default population, first start in the middle of
  the box, others uniform in it, population doubled at each restart (IPOP, Auger and Hansen 2005),
  first step a fifth of the range, as in the example that comes with COCO (0.25 and 0.35 did worse
  on an instance that is not in the tables, 0.15 about as well). Integers have pitch 1, bounds half
  a pitch outside, as the documentation of `integer_variables` asks. In finite spaces it is also
  restarted by `Stale`. Categories are coded as integers: pycma has nothing else for them.
- **lq-CMA-ES** (pycma; Hansen 2019): the same with pycma's surrogate as in `fmin_lq_surr2`, whose
  minimum is injected. The one rival here that fits a quadratic too. Not run on categories.
- **CMAwM** (cmaes; Hamano et al. 2022): reals and integers scaled to a range of 1, IPOP restarts as
  in the package's example, first step and first start as for cma. Not run on categories.
- **CatCMAwM** (cmaes; Hamano et al. 2025): reals, integers, categories each as what they are;
  variables of two levels are categories, as its documentation recommends; its default start in the
  middle, first step as for cma. On an instance that is not in the tables (area on bbob-mixint 5,
  bbob-mixint 10, integers 20): 0.133, 0.084, 0.142; with a quarter of the range 0.146, 0.081,
  0.102; with its default, a twelfth, 0.125, 0.098, 0.134. Restarts with the population doubled, by
  the package's own criterion and by `Stale`.
- **scipy DE**: `differential_evolution` with `integrality`, best1bin, Latin hypercube, without
  polishing; popsize 2 (2 d individuals), since its default of 15 d spends a budget of 100 d in six
  generations.
- **pymoo PSO, GA, DE**: pymoo's operators and defaults. PSO keeps its population of 25. GA and DE
  have clip(budget / 25, 20, 100): their default of 100 is for long runs. PSO and DE move in the
  unit cube and integers are rounded in the evaluation only, which Tanabe (2024) found best for DE;
  GA is `MixedVariableGA` where a variable is discrete, pymoo's answer to mixed variables.
- **mealpy L-SHADE, GA, SSA**: defaults, population clip(budget / 25, 20, 100), as many epochs as
  the budget allows; rounding in the evaluation, as mealpy's own integer variables do.
- **optuna TPE**: multivariate, otherwise default; up to 2,000 evaluations, since its cost
  grows with their number.
- **nevergrad NGOpt**: told the budget and the kinds of the variables, from which it chooses.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.meter import Meter, Task
from swarmopt.types import Matrix, Vector

SIGMA = 0.2  # of the range
STARTS_IN_VAIN = 3  # in a row, without an evaluation

Start = Callable[[Meter, int, int], None]  # the meter, a seed, the number of the start from 0


@dataclass(frozen=True)
class Peer:
    """An algorithm of another package.

    Attributes:
        name: in tables and files.
        module: which must be importable.
        distribution: what to install for it.
        start: runs once, until it stops on its own or the meter ends it.
        anytime: its course does not depend on the budget.
        takes: whether it can deal with a task.
        most: evaluations beyond which it takes too long.
    """

    name: str
    module: str
    distribution: str
    start: Start
    anytime: bool = True
    takes: Callable[[Task], bool] = lambda _: True
    most: float = float("inf")

    def run(self, meter: Meter, seed: int) -> None:
        """Start again and again until the meter ends it.

        Raises:
            RuntimeError: it stops without having evaluated anything.
        """
        rng = np.random.default_rng(seed)
        number = vain = 0
        with _quiet():
            while vain < STARTS_IN_VAIN:
                before = meter.spent
                self.start(meter, int(rng.integers(1, 2**31)), number)
                vain = vain + 1 if meter.spent == before else 0
                number += 1
        raise RuntimeError(f"{self.name}: stopped {vain} times without an evaluation")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what peers say: a warning is no result."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def no_categories(task: Task) -> bool:
    """Return whether every variable has an order."""
    return not task.space.domain.nominal.any()


def population(meter: Meter) -> int:
    """Return the population of methods whose default is meant for long runs."""
    return int(np.clip(meter.budget / 25, 20, 100))


def random(meter: Meter, seed: int, number: int) -> None:  # noqa: ARG001 - every start is alike
    """Draw uniform points."""
    rng = np.random.default_rng(seed)
    while True:
        meter.units(rng.random((100, meter.task.dimension)))


def _lattice(task: Task) -> tuple[Vector, Callable[[Matrix], Matrix]]:
    """Return (d,) ranges of axes on which integers have pitch 1, and how to read points off them.

    An integer of K levels runs from 0 to K - 1, a real from 0 to 10.
    """
    domain = task.space.domain
    span = np.where(domain.discrete, domain.levels - 1.0, 10.0)
    width = np.where(domain.discrete, 1.0, (domain.high - domain.low) / 10.0)

    def read(axes: Matrix) -> Matrix:
        whole = np.where(domain.discrete, np.rint(axes), axes)
        points: Matrix = domain.low + np.clip(whole, 0.0, span) * width
        return points

    return span, read


class Stale:
    """The criterion EqualFunValues of Hansen's tutorial (arXiv 1604.00772), in finite spaces.

    Neither pycma nor CatCMAwM ends a run that sits on one point of a finite space: their own
    criteria are made for real variables.
    """

    def __init__(self, task: Task, n: int) -> None:
        self._finite = bool(task.space.domain.discrete.all())
        self._generations = 10 + int(np.ceil(30 * task.dimension / n))
        self._best: list[float] = []

    def after(self, costs: Vector) -> bool:
        """Return whether the best cost of a generation has not changed for long; costs: (n,)."""
        self._best = [*self._best, float(costs.min())][-self._generations :]
        full = len(self._best) == self._generations
        return self._finite and full and max(self._best) == min(self._best)


def cma(meter: Meter, seed: int, number: int) -> None:
    """Run pycma once."""
    strategy, read = _pycma(meter, seed, number)
    stale = Stale(meter.task, strategy.popsize)
    while not strategy.stop():
        asked = strategy.ask()
        costs = meter.points(read(np.array(asked)))
        if stale.after(costs):
            return
        strategy.tell(asked, costs.tolist())


def lq_cma(meter: Meter, seed: int, number: int) -> None:
    """Run pycma with its linear and quadratic surrogate once."""
    from cma.fitness_models import SurrogatePopulation

    strategy, read = _pycma(meter, seed, number)
    surrogate = SurrogatePopulation(lambda x: meter.point(read(np.asarray(x)[None])[0]))
    stale = Stale(meter.task, strategy.popsize)
    while not strategy.stop():
        asked = strategy.ask()
        costs = surrogate(asked)
        if stale.after(np.asarray(costs)):
            return
        strategy.tell(asked, costs)
        strategy.inject([surrogate.model.xopt])


def _pycma(meter: Meter, seed: int, number: int) -> tuple[Any, Callable[[Matrix], Matrix]]:
    """Return pycma's strategy, and what reads its points."""
    import cma as package

    domain = meter.task.space.domain
    span, read = _lattice(meter.task)
    beyond = np.where(domain.discrete, 0.49, 0.0)
    start = 0.5 * span if number == 0 else np.random.default_rng(seed).random(len(span)) * span
    strategy = package.CMAEvolutionStrategy(
        start,
        SIGMA,
        {
            "CMA_stds": np.where(domain.discrete, domain.levels, span),
            "bounds": [-beyond, span + beyond],
            "integer_variables": np.flatnonzero(domain.discrete).tolist(),
            "popsize": (4 + int(3 * np.log(len(span)))) * 2**number,
            "seed": seed,
            "verbose": -9,
        },
    )
    return strategy, read


def cmawm(meter: Meter, seed: int, number: int) -> None:
    """Run CMAwM once."""
    from cmaes import CMAwM

    domain = meter.task.space.domain
    d = domain.d
    start = np.full(d, 0.5) if number == 0 else np.random.default_rng(seed).random(d)
    strategy = CMAwM(
        mean=start,
        sigma=SIGMA,
        bounds=np.tile([0.0, 1.0], (d, 1)),
        steps=np.where(domain.discrete, 1.0 / np.maximum(domain.levels - 1, 1), 0.0),
        seed=seed,
        population_size=(4 + int(3 * np.log(d))) * 2**number,
    )
    while not strategy.should_stop():
        pairs = [strategy.ask() for _ in range(strategy.population_size)]
        x = domain.low + np.array([x for x, _ in pairs]) * (domain.high - domain.low)
        x = np.where(domain.discrete, np.rint(x), x)
        costs = meter.points(x).tolist()
        strategy.tell([(told, cost) for (_, told), cost in zip(pairs, costs, strict=True)])


def catcmawm(meter: Meter, seed: int, number: int) -> None:
    """Run CatCMAwM once."""
    from cmaes import CatCMAwM

    domain = meter.task.space.domain
    d = domain.d
    choice = domain.nominal | (domain.levels == 2)
    whole = domain.discrete & ~choice
    real = domain.continuous
    low, high = domain.low, domain.high
    gaussian = np.r_[np.flatnonzero(real), np.flatnonzero(whole)]
    start = np.random.default_rng(seed).random(len(gaussian))
    width = (high - low)[gaussian]
    strategy = CatCMAwM(
        x_space=np.stack([low, high], axis=1)[real] if real.any() else None,
        z_space=[np.arange(low[j], high[j] + 1) for j in np.flatnonzero(whole)] or None,
        c_space=domain.levels[choice].tolist() or None,
        mean=None if number == 0 or not len(gaussian) else low[gaussian] + start * width,
        cov=np.diag((SIGMA * width) ** 2) if len(gaussian) else None,
        population_size=(4 + int(3 * np.log(d))) * 2**number,
        seed=seed,
    )
    n = strategy.population_size
    stale = Stale(meter.task, n)
    while True:
        asked = [strategy.ask() for _ in range(n)]
        x = np.empty((n, d))
        for row, solution in zip(x, asked, strict=True):
            if solution.x is not None:
                row[real] = solution.x
            if solution.z is not None:
                row[whole] = solution.z
            if solution.c is not None:
                row[choice] = low[choice] + solution.c.argmax(axis=1)
        costs = meter.points(x)
        strategy.tell(list(zip(asked, costs.tolist(), strict=True)))
        if stale.after(costs) or (len(gaussian) and strategy.should_stop()):
            return


def scipy_de(meter: Meter, seed: int, number: int) -> None:  # noqa: ARG001 - every start is alike
    """Run scipy's differential evolution once."""
    from scipy.optimize import differential_evolution

    domain = meter.task.space.domain
    differential_evolution(
        meter.point,
        list(zip(domain.low, domain.high, strict=True)),
        integrality=domain.discrete,
        popsize=2,
        maxiter=10**9,
        tol=0.0,
        polish=False,
        rng=np.random.default_rng(seed),
    )


def pymoo_pso(meter: Meter, seed: int, number: int) -> None:  # noqa: ARG001 - as above
    """Run pymoo's PSO once."""
    from pymoo.algorithms.soo.nonconvex.pso import PSO

    _pymoo(meter, PSO(), seed)


def pymoo_de(meter: Meter, seed: int, number: int) -> None:  # noqa: ARG001 - as above
    """Run pymoo's DE once."""
    from pymoo.algorithms.soo.nonconvex.de import DE

    _pymoo(meter, DE(pop_size=population(meter)), seed)


def pymoo_ga(meter: Meter, seed: int, number: int) -> None:  # noqa: ARG001 - as above
    """Run pymoo's GA once."""
    from pymoo.algorithms.soo.nonconvex.ga import GA
    from pymoo.core.mixed import MixedVariableGA

    if meter.task.space.domain.n_discrete:
        _pymoo_mixed(meter, MixedVariableGA(pop_size=population(meter)), seed)
    else:
        _pymoo(meter, GA(pop_size=population(meter)), seed)


def _pymoo(meter: Meter, algorithm: Any, seed: int) -> None:
    from pymoo.core.problem import Problem
    from pymoo.core.termination import NoTermination
    from pymoo.optimize import minimize

    class Metered(Problem):  # type: ignore[misc]  # the package has no types
        def __init__(self) -> None:
            super().__init__(n_var=meter.task.dimension, n_obj=1, xl=0.0, xu=1.0)

        def _evaluate(self, x: Matrix, out: dict[str, Any], *_: Any, **__: Any) -> None:
            out["F"] = meter.units(x)

    minimize(Metered(), algorithm, NoTermination(), seed=seed)


def _pymoo_mixed(meter: Meter, algorithm: Any, seed: int) -> None:
    from pymoo.core.problem import Problem
    from pymoo.core.termination import NoTermination
    from pymoo.core.variable import Choice, Integer, Real
    from pymoo.optimize import minimize

    domain = meter.task.space.domain
    names = [f"x{j}" for j in range(domain.d)]
    variables: dict[str, Any] = {}
    for j, name in enumerate(names):
        bounds = (domain.low[j], domain.high[j])
        if domain.nominal[j]:
            variables[name] = Choice(options=list(range(int(domain.levels[j]))))
        elif domain.discrete[j]:
            variables[name] = Integer(bounds=(int(bounds[0]), int(bounds[1])))
        else:
            variables[name] = Real(bounds=bounds)

    class Metered(Problem):  # type: ignore[misc]  # as above
        def __init__(self) -> None:
            super().__init__(vars=variables, n_obj=1)

        def _evaluate(self, rows: Any, out: dict[str, Any], *_: Any, **__: Any) -> None:
            out["F"] = meter.points(np.array([[row[n] for n in names] for row in rows], float))

    minimize(Metered(), algorithm, NoTermination(), seed=seed)


def mealpy_lshade(meter: Meter, seed: int, number: int) -> None:  # noqa: ARG001 - as above
    """Run mealpy's L-SHADE once."""
    from mealpy.evolutionary_based.SHADE import L_SHADE

    _mealpy(meter, L_SHADE, seed)


def mealpy_ga(meter: Meter, seed: int, number: int) -> None:  # noqa: ARG001 - as above
    """Run mealpy's GA once."""
    from mealpy.evolutionary_based.GA import BaseGA

    _mealpy(meter, BaseGA, seed)


def mealpy_ssa(meter: Meter, seed: int, number: int) -> None:  # noqa: ARG001 - as above
    """Run mealpy's original sparrow search once."""
    from mealpy.swarm_based.SSA import OriginalSSA

    _mealpy(meter, OriginalSSA, seed)


def _mealpy(meter: Meter, algorithm: Any, seed: int) -> None:
    from mealpy import FloatVar

    d = meter.task.dimension
    n = population(meter)
    problem = {
        "obj_func": meter.unit,
        "bounds": FloatVar(lb=(0.0,) * d, ub=(1.0,) * d),
        "minmax": "min",
        "log_to": None,
    }
    algorithm(epoch=max(meter.budget // n, 1), pop_size=n).solve(problem, seed=seed)


def optuna_tpe(meter: Meter, seed: int, number: int) -> None:  # noqa: ARG001 - as above
    """Run optuna's TPE."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    domain = meter.task.space.domain

    def objective(trial: Any) -> float:
        row = np.empty(domain.d)
        for j in range(domain.d):
            low, high = domain.low[j], domain.high[j]
            if domain.nominal[j]:
                row[j] = trial.suggest_categorical(f"x{j}", list(range(int(domain.levels[j]))))
            elif domain.discrete[j]:
                row[j] = trial.suggest_int(f"x{j}", int(low), int(high))
            else:
                row[j] = trial.suggest_float(f"x{j}", low, high)
        return meter.point(row)

    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True)
    optuna.create_study(sampler=sampler).optimize(objective, n_trials=meter.budget + 1)


def nevergrad_ngopt(meter: Meter, seed: int, number: int) -> None:  # noqa: ARG001 - as above
    """Run nevergrad's NGOpt once."""
    import nevergrad

    logging.getLogger("nevergrad").setLevel(logging.ERROR)
    domain = meter.task.space.domain
    kinds = nevergrad.p
    variables: list[Any] = []
    for j in range(domain.d):
        low, high = float(domain.low[j]), float(domain.high[j])
        if domain.nominal[j]:
            variables.append(kinds.Choice(list(range(int(domain.levels[j])))))
        elif domain.discrete[j]:
            variables.append(kinds.Scalar(lower=low, upper=high).set_integer_casting())
        else:
            variables.append(kinds.Scalar(lower=low, upper=high))
    space = kinds.Tuple(*variables)
    space.random_state = np.random.RandomState(seed)
    optimizer = nevergrad.optimizers.NGOpt(space, budget=meter.budget, num_workers=1)
    for _ in range(meter.budget + 1):
        asked = optimizer.ask()
        optimizer.tell(asked, meter.point(np.array(asked.value, float)))


PEERS = (
    Peer("random", "numpy", "numpy", random),
    Peer("cma", "cma", "cma", cma),
    Peer("lq-CMA-ES", "cma", "cma", lq_cma, takes=no_categories),
    Peer("CMAwM", "cmaes", "cmaes", cmawm, takes=no_categories),
    Peer("CatCMAwM", "cmaes", "cmaes", catcmawm),
    Peer("scipy-DE", "scipy", "scipy", scipy_de),
    Peer("pymoo-PSO", "pymoo", "pymoo", pymoo_pso),
    Peer("pymoo-GA", "pymoo", "pymoo", pymoo_ga, anytime=False),
    Peer("pymoo-DE", "pymoo", "pymoo", pymoo_de, anytime=False),
    Peer("mealpy-LSHADE", "mealpy", "mealpy", mealpy_lshade, anytime=False),
    Peer("mealpy-GA", "mealpy", "mealpy", mealpy_ga, anytime=False),
    Peer("mealpy-SSA", "mealpy", "mealpy", mealpy_ssa, anytime=False),
    Peer("optuna-TPE", "optuna", "optuna", optuna_tpe, most=2_000),
    Peer("nevergrad-NGOpt", "nevergrad", "nevergrad", nevergrad_ngopt, anytime=False),
)
