"""Who takes part: our algorithms, by their registered names, and the packages of others.

A contender is a function of a meter and a seed that runs until the meter ends it. Ours see the
points only through `swarmopt.minimize`; known points are evaluated again and count (`cache=False`),
as they do for everybody else.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import peers
from benchmarks.meter import Meter, Task
from swarmopt import plugins
from swarmopt.algorithm import AnyAlgorithm
from swarmopt.evaluation import Evaluation
from swarmopt.problem import FunctionProblem
from swarmopt.run import minimize

OURS = ("ssa", "ssa-classic", "pso", "ga", "de", "abc")
ROLES = ("producers", "scroungers", "scouts")
ABLATION = "ssa:"


@dataclass(frozen=True)
class Contender:
    """An algorithm with its settings.

    Attributes:
        name: in tables and files.
        run: runs until the meter raises; takes the meter and a seed.
        anytime: a larger budget repeats the shorter run's prefix, so one run gives both figures.
        takes: whether it can deal with a task.
        most: evaluations beyond which it takes too long.
    """

    name: str
    run: Callable[[Meter, int], None]
    anytime: bool = True
    takes: Callable[[Task], bool] = lambda _: True
    most: float = float("inf")


def found() -> tuple[dict[str, Contender], dict[str, str]]:
    """Return the contenders that are there, and why others are not, by name."""
    here = ours()
    missing = {n: "not registered" for n in OURS if n not in here}
    for peer in peers.PEERS:
        if importlib.util.find_spec(peer.module) is None:
            missing[peer.name] = f"pip install {peer.distribution}"
        else:
            here[peer.name] = Contender(
                peer.name, peer.run, anytime=peer.anytime, takes=peer.takes, most=peer.most
            )
    return here, missing


def ours() -> dict[str, Contender]:
    """Return our algorithms that are registered, and the ablation of ssa."""
    entries = plugins.installed().entries["algorithm"]
    here = {name: _ours(name, entries[name].load()()) for name in OURS if name in entries}
    make = entries["ssa"].load()
    for role in ROLES:
        rest = tuple(r for r in ROLES if r != role)
        here[f"ssa:{role}"] = _ours(f"ssa:{role}", make(roles=(role,)))
        here[f"ssa:no-{role}"] = _ours(f"ssa:no-{role}", make(roles=rest))
    here["ssa:no-surrogate"] = _ours("ssa:no-surrogate", make(surrogate=False))
    return here


def _ours(name: str, algorithm: AnyAlgorithm) -> Contender:
    def run(meter: Meter, seed: int) -> None:
        minimize(
            Metered(meter),
            algorithm=algorithm,
            budget=meter.budget,
            seed=seed,
            cache=False,
        )

    return Contender(name, run, anytime=algorithm.anytime)


class Metered(FunctionProblem):
    """The problem of a meter."""

    def __init__(self, meter: Meter) -> None:
        super().__init__(meter.points, meter.task.space, batch=True, name="metered")

    def evaluate(self, x: Any, seeds: Any, bound: float) -> Evaluation:  # noqa: ARG002 - as in its base
        """Return the costs of points."""
        return Evaluation(self.fun(x))
