"""Methods that choose how many channels each layer keeps: the pipeline, parts of it, and rivals.

Searches that know no budget get the pipeline's projection onto it, which is worth more to them than
a penalty, and all score with reconstruction. ABC has the encoding and settings of ABCPruner (Lin et
al., "Channel pruning via automatic structure search", 2020): codes 1 to 9 in tenths of a layer's
width, residual streams left whole, 10 sources, limit 5, two codes changed at once.
"""

import importlib.util
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from benchmarks.pruning_bench import Bench, Ints, Matrix
from benchmarks.pruning_protocol import MOBILENET, RESNET
from benchmarks.pruning_rivals import fastnas_counts, torch_pruning_counts
from swarmopt import Seeds, minimize
from swarmopt_pruning import ChannelPruning

SIMPLE = ("additive", "uniform", "threshold", "magnitude")  # what a hill climb begins with
MOST_STEPS = 2_000  # of a hill climb whose neighbourhood is exhausted

STREAMS = {
    RESNET: ["stem"],
    MOBILENET: ["stem.0", "blocks.*.body.6", "blocks.0.body.3"],
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
        seconds: of one core, curves included; the preparation, which is the same for all, is not.
    """

    counts: Ints
    evaluations: int = 0
    curve: list[tuple[int, float]] = field(default_factory=list)
    finalists: list[Mapping[str, Any]] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True)
class Method:
    """A way to choose a structure.

    Attributes:
        label: in tables.
        choose: the way, given a bench and a seed.
        kind: "pipeline", "ablation", "known" or "rival".
        reconstruct: whether the weights of what it chooses are reconstructed.
        distills: whether the original teaches what it chooses.
        requires: package that must be installed.
        searches: whether it spends all evaluations.
        trains: whether it trains finalists.
    """

    label: str
    choose: Callable[[Bench, int], Chosen]
    kind: str
    reconstruct: bool = True
    distills: bool = True
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
        problem = bench.variant(**settings) if settings else bench.problem
        spent, earlier = 0, 0.0
        if settings.get("known", True):
            spent = bench.curve_evaluations
        if problem is bench.problem:
            bench.known("uniform")
            earlier = bench.known_seconds
        most = budget or bench.evaluations - spent
        found = _searched(problem, "ssa", seed, budget=most, spent=spent)
        return replace(found, seconds=found.seconds + earlier)

    return choose


def search(algorithm: str, *, abcpruner: bool = False) -> Callable[[Bench, int], Chosen]:
    """Return a search from nothing whose best score wins."""

    def choose(bench: Bench, seed: int) -> Chosen:
        settings: dict[str, Any] = {"known": False, "finalists": 1}
        if abcpruner:
            settings |= {"alpha": 0.9, "exclude": STREAMS.get(bench.network, [])}
        problem = bench.variant(**settings)
        return _searched(problem, algorithm, seed, budget=bench.evaluations, spent=0)

    return choose


def _searched(
    problem: ChannelPruning, algorithm: str, seed: int, *, budget: int, spent: int
) -> Chosen:
    """Return what a run of swarmopt chooses."""
    problem.prepare()
    began = time.process_time()
    result = minimize(problem, algorithm=algorithm, budget=budget, seed=seed, workers=0)
    seconds = time.process_time() - began
    groups, history = result.report["groups"], result.history
    return Chosen(
        np.array([groups[name]["kept"] for name in problem.graph.names], dtype=np.int64),
        evaluations=result.nfev + spent,
        curve=[(n + spent, cost) for n, cost in zip(history.nfev, history.best, strict=True)],
        finalists=[each for each in result.report["finalists"] if each["trials"]],
        seconds=seconds,
    )


def torch_pruning(bench: Bench, _seed: int) -> Chosen:
    """Return what torch-pruning chooses; it scores nothing."""
    began = time.process_time()
    counts = torch_pruning_counts(bench)
    return Chosen(counts, seconds=time.process_time() - began)


def fastnas(bench: Bench, _seed: int) -> Chosen:
    """Return what ModelOpt's FastNAS chooses, scoring as often as it wants."""
    began = time.process_time()
    counts, scores = fastnas_counts(bench)
    return Chosen(counts, evaluations=scores, seconds=time.process_time() - began)


def known(name: str) -> Callable[[Bench, int], Chosen]:
    """Return the choice of a known structure."""

    def choose(bench: Bench, _seed: int) -> Chosen:
        counts = bench.known(name)
        if name in ("additive", "threshold"):
            return Chosen(counts, bench.curve_evaluations, seconds=bench.known_seconds)
        return Chosen(counts)

    return choose


def hill_climb(bench: Bench, seed: int) -> Chosen:
    """Climb from the best of the simple structures: channels move from one code to another.

    A step widens one code by a level or two, narrows another, is projected onto the budget, and
    stays if its score is no worse.
    """
    problem, rng = bench.problem, np.random.default_rng(seed)
    bench.known("uniform")
    began = time.process_time()
    spent, last = bench.curve_evaluations, problem.constraints.whole
    begun = np.array([problem.known[name] for name in SIMPLE])
    waiting = list(problem.canonical(begun))
    best, best_cost, seen, curve = waiting[0], np.inf, set(), []
    for _ in range(MOST_STEPS):
        if spent >= bench.evaluations:
            break
        x = waiting.pop(0) if waiting else _neighbour(best, last, rng)
        x = problem.canonical(x[None])[0]
        if x.tobytes() in seen:
            continue
        seen.add(x.tobytes())
        cost = float(problem.evaluate(x[None], Seeds(seed, (spent,)), best_cost).cost[0])
        spent += 1
        if cost <= best_cost:
            best_cost, best = cost, x
        curve.append((spent, best_cost))
    seconds = bench.known_seconds + time.process_time() - began
    return Chosen(bench.counts(best), evaluations=spent, curve=curve, seconds=seconds)


def _neighbour(x: Matrix, last: Matrix, rng: np.random.Generator) -> Matrix:
    moved = x.copy()
    up, down = rng.choice(len(x), 2, replace=False)
    moved[up] += rng.integers(1, 3)
    moved[down] -= rng.integers(1, 3)
    clipped: Matrix = np.clip(moved, 0, last)
    return clipped


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
        "torch-pruning, global", torch_pruning, "rival", requires="torch_pruning", searches=False
    ),
    "fastnas": Method("ModelOpt FastNAS", fastnas, "rival", requires="modelopt"),
    "no-reconstruction": Method(
        "without reconstruction",
        pipeline(reconstruct=False),
        "ablation",
        reconstruct=False,
        trains=True,
    ),
    "no-finalists": Method("without finalists", pipeline(finalists=1), "ablation"),
    "no-known": Method("without known starts", pipeline(known=False), "ablation", trains=True),
    "no-distillation": Method(
        "without distillation", pipeline(distill=0.0), "ablation", distills=False, trains=True
    ),
    "no-search": Method(
        "without search", pipeline(budget=4), "ablation", searches=False, trains=True
    ),
}
