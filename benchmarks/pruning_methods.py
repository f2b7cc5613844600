"""Methods that choose how many channels each layer keeps: the pipeline, parts of it, and rivals.

Searches that know no budget get the pipeline's projection onto it, which is worth more to them than
a penalty, and all score with reconstruction. ABC has the encoding and settings of ABCPruner (Lin et
al., "Channel pruning via automatic structure search", 2020): codes 1 to 9 in tenths of a layer's
width, residual streams left whole, 10 sources, limit 5, two codes changed at once.
"""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.pruning_bench import Bench, Ints
from benchmarks.pruning_protocol import MOBILENET, RESNET
from benchmarks.pruning_rivals import fastnas, global_magnitude
from swarmopt import Seeds, minimize
from swarmopt_pruning import ChannelPruning

STREAMS = {
    RESNET: ["stem"],
    MOBILENET: ["stem.0", "blocks.*.body.6", "blocks.0.body.3"],
    "digits-resnet": ["stem"],
}
"""Groups of each network that ABCPruner does not prune: those that several blocks add to."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """What a method found.

    Attributes:
        counts: (groups,) channels that stay.
        evaluations: scores it asked for.
        curve: of a search: pairs of evaluations and the least cost until then.
        finalists: structures that were trained a little, the best first.
        known: whether it used the known structures, whose time counts too.
    """

    counts: Ints
    evaluations: int = 0
    curve: list[tuple[int, float]] = field(default_factory=list)
    finalists: list[Mapping[str, Any]] = field(default_factory=list)
    known: bool = False


@dataclass(frozen=True)
class Method:
    """A way to choose a structure.

    Attributes:
        label: in tables.
        choose: the way, given a bench and a seed.
        kind: "pipeline", "ablation", "known" or "rival".
        settings: of the fine-tuning, where it is another than that of all.
        requires: package that must be installed.
        searches: whether it spends all evaluations.
        trains: whether it trains finalists.
    """

    label: str
    choose: Callable[[Bench, int], Chosen]
    kind: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    requires: str = ""
    searches: bool = True
    trains: bool = False

    @property
    def installed(self) -> bool:
        """Whether the package that it needs is there."""
        return not self.requires or importlib.util.find_spec(self.requires) is not None


def pipeline(*, budget: int | None = None, **settings: Any) -> Callable[[Bench, int], Chosen]:
    """Return the default way of the plugin, with some settings changed.

    Args:
        budget: evaluations of the search; None: what the curves leave.
        settings: of ChannelPruning.
    """

    def choose(bench: Bench, seed: int) -> Chosen:
        known = settings.get("known", True)
        problem = bench.variant(**settings) if settings else bench.problem
        spent = bench.curve_evaluations if known else 0
        if known and problem is bench.problem:
            bench.known("uniform")
        return _searched(
            bench, problem, "ssa", seed, budget=budget or bench.evaluations - spent, spent=spent
        )

    return choose


def search(algorithm: str, *, abcpruner: bool = False) -> Callable[[Bench, int], Chosen]:
    """Return a search from nothing whose best score wins."""

    def choose(bench: Bench, seed: int) -> Chosen:
        settings: dict[str, Any] = {"known": False, "finalists": 1}
        if abcpruner:
            settings |= {"alpha": 0.9, "exclude": STREAMS.get(bench.network, [])}
        problem = bench.variant(**settings)
        return _searched(bench, problem, algorithm, seed, budget=bench.evaluations, spent=0)

    return choose


def _searched(
    bench: Bench, problem: ChannelPruning, algorithm: str, seed: int, *, budget: int, spent: int
) -> Chosen:
    """Return what a run of swarmopt chooses."""
    result = minimize(problem, algorithm=algorithm, budget=budget, seed=seed, workers=0)
    groups = result.report["groups"]
    return Chosen(
        np.array([groups[name]["kept"] for name in problem.graph.names], dtype=np.int64),
        evaluations=result.nfev + spent,
        curve=[
            (n + spent, cost)
            for n, cost in zip(result.history.nfev, result.history.best, strict=True)
        ],
        finalists=list(result.report["finalists"]) if spent or len(result.report["finalists"]) > 1
        else [],
        known=bool(spent) and problem is bench.problem,
    )


def known(name: str) -> Callable[[Bench, int], Chosen]:
    """Return the choice of a known structure."""

    def choose(bench: Bench, _seed: int) -> Chosen:
        curves = name in ("additive", "threshold")
        return Chosen(
            bench.known(name), evaluations=bench.curve_evaluations if curves else 0, known=curves
        )

    return choose


def hill_climb(bench: Bench, seed: int) -> Chosen:
    """Climb from the best known structure: channels move from one code to another.

    A step widens one code by a level or two, narrows another, is projected onto the budget, and
    stays if its score is no worse.
    """
    problem, rng = bench.problem, np.random.default_rng(seed)
    bench.known("uniform")
    spent = bench.curve_evaluations
    best_cost, best = np.inf, problem.starts()[0]
    curve: list[tuple[int, float]] = []
    seen: set[bytes] = set()
    starts = list(problem.canonical(problem.starts()))
    last = problem.constraints.whole
    while spent < bench.evaluations:
        if starts:
            x = starts.pop(0)
        else:
            x = best.copy()
            up, down = rng.choice(len(x), 2, replace=False)
            x[up] += rng.integers(1, 3)
            x[down] -= rng.integers(1, 3)
            x = problem.canonical(np.clip(x, 0, last)[None])[0]
        if x.tobytes() in seen:
            spent += not starts and len(seen) > 10_000  # a neighbourhood that is exhausted ends
            seen.add(rng.bytes(8))
            continue
        seen.add(x.tobytes())
        cost = float(problem.evaluate(x[None], Seeds(seed, [spent]), best_cost).cost[0])
        spent += 1
        if cost <= best_cost:
            best_cost, best = cost, x
        curve.append((spent, best_cost))
    return Chosen(bench.counts(best), evaluations=spent, curve=curve, known=True)


METHODS = {
    "default": Method("swarmopt, default", pipeline(), "pipeline", trains=True),
    "uniform": Method("uniform", known("uniform"), "known", searches=False),
    "magnitude": Method("global L1 magnitude", known("magnitude"), "known", searches=False),
    "random": Method("random search", search("random-search"), "rival"),
    "additive": Method("additive sensitivity", known("additive"), "known", searches=False),
    "threshold": Method("threshold, as FastNAS", known("threshold"), "known", searches=False),
    "hill": Method("hill climb", hill_climb, "rival"),
    "abc": Method("ABC, as ABCPruner", search("abc", abcpruner=True), "rival"),
    "pso": Method("PSO", search("pso"), "rival"),
    "ga": Method("GA", search("ga"), "rival"),
    "torch-pruning": Method(
        "torch-pruning, global", global_magnitude, "rival", requires="torch_pruning", searches=False
    ),
    "fastnas": Method("ModelOpt FastNAS", fastnas, "rival", requires="modelopt"),
    "no-reconstruction": Method(
        "without reconstruction",
        pipeline(reconstruct=False),
        "ablation",
        {"reconstruct": False},
        trains=True,
    ),
    "no-finalists": Method("without finalists", pipeline(finalists=1), "ablation"),
    "no-known": Method("without known starts", pipeline(known=False), "ablation", trains=True),
    "no-distillation": Method(
        "without distillation", pipeline(distill=0.0), "ablation", {"distill": 0.0}, trains=True
    ),
    "no-search": Method(
        "without search", pipeline(budget=4), "ablation", searches=False, trains=True
    ),
}
