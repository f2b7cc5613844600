"""What cells of the pruning benchmark take, from a score and a few steps of training."""

import time
from functools import cache

from benchmarks.pruning_bench import bench
from benchmarks.pruning_methods import METHODS
from benchmarks.pruning_protocol import Cell, Protocol, images
from swarmopt_pruning.train import pinned, train

PROBE = 256  # images that are trained on
FINALIST_EPOCHS = 2  # a finalist: one, and two more for the better half


def estimate(protocol: Protocol, cells: list[Cell]) -> float:
    """Return about how many seconds of one core cells take."""
    total = 0.0
    for cell in cells:
        method = METHODS[cell.method]
        score, image = _probe(protocol, cell.network, cell.budget)
        trained = protocol.epochs * (2 if cell.seed == 1 and method.reconstruct else 1)
        if method.trains:
            trained += FINALIST_EPOCHS * protocol.finalists
        n = len(images(protocol).train)
        evaluations = protocol.evaluations[cell.network] if method.searches else 0
        total += evaluations * score + trained * n * image
    return total


@cache
def _probe(protocol: Protocol, network: str, budget: float) -> tuple[float, float]:
    """Return the seconds of a score, and of training on one image."""
    place = bench(protocol, network, budget)
    constraints = place.problem.constraints
    point = constraints.repair(constraints.whole[None], place.problem.budget)[0]
    counts, scorer = place.counts(point), place.scorer(reconstruct=True)
    with pinned(1):
        scorer.score(counts)  # prepares what all scores share
        began = time.process_time()
        scorer.score(counts)
        score = time.process_time() - began
        small = scorer.inherit(counts)
        few = place.data.train[:PROBE]
        began = time.process_time()
        train(small, few, protocol.recipe, seed=0, teacher=place.model)
        trained = time.process_time() - began
    return score, trained / (protocol.epochs * PROBE)
