"""What the score of a structure costs, and what it is worth.

    python -m benchmarks.pruning_score
    python -m benchmarks.pruning_score --only rate --only training

Each part prints its figures and keeps them in results/pruning-score.json.

- rate: structures that one core scores in a second, against a copy that is cut, in float32, without
  reconstruction; in one run, in turn, each in a process of its own.
- worth: rank correlation of the score (Brier), and of the accuracy and cross-entropy that come with
  it, with what the standard fine-tuning makes of random structures: accuracy and cross-entropy on
  all held-out images that no score has seen.
- search: a whole search in two processes, twice, and whether both choose the same.
- fine-tuning: what is lost on the test images where the structure that the default chose for the
  table (`benchmarks.pruning`, first seed) is fine-tuned on all training images, as in a run of a
  user: the table spares time and takes a part of them.
- training: what ABC would cost with ABCPruner's fitness, two epochs of training on all training
  images: some evaluations are measured, the rest is extrapolated.

Seconds of `rate` and `training` are of one core, those of `search` on the clock.
"""

import copy
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from unittest.mock import patch

import click
import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.pruning_bench import Bench, Ints, bench
from benchmarks.pruning_cells import Records
from benchmarks.pruning_methods import search
from benchmarks.pruning_protocol import FULL, RESNET, Cell
from swarmopt import minimize
from swarmopt_pruning import load_data, problem
from swarmopt_pruning.train import accuracy, accuracy_and_loss, pinned, recalibrate, train

FILE = Path(__file__).parent / "results" / "pruning-score.json"
TABLE = FILE.with_name("pruning.jsonl")
STRUCTURES = 30
ROUNDS = 3
TRAINED = 3  # evaluations of the training-based fitness that are measured
FITNESS_EPOCHS = 2  # ABCPruner's default
SEARCH = 400  # evaluations


def structures(place: Bench, n: int) -> list[Ints]:
    """Return random structures at the budget."""
    unit = np.random.default_rng(0).random((n, len(place.problem.space)))
    return list(place.problem.constraints.counts(
        place.problem.canonical(place.problem.space.decode(unit))
    ))  # fmt: skip


def rate(place: Bench) -> dict[str, Any]:
    """Return structures a second: ours, and copied, cut and run as they are.

    What is copied runs in a process whose memory is left as the system has it. Each round takes
    other structures: nothing is known of them.
    """
    scorer = place.scorer(reconstruct=True)
    parts = np.split(np.stack(structures(place, STRUCTURES)), ROUNDS)

    def ours(part: Ints) -> float:
        return seconds_each(scorer.score, part)

    ours(parts[0][:1])
    seconds: dict[str, list[float]] = {"ours": [], "copied": []}
    with ProcessPoolExecutor(1, get_context("spawn"), leave_memory) as plain:
        plain.submit(copied, place.budget, parts[0][:1]).result()
        for part in parts:
            seconds["ours"].append(ours(part))
            seconds["copied"].append(plain.submit(copied, place.budget, part).result())
    best = {name: min(values) for name, values in seconds.items()}
    return {
        "structures_per_second": 1 / best["ours"],
        "copied_per_second": 1 / best["copied"],
        "ratio": float(np.median(np.divide(seconds["copied"], seconds["ours"]))),
    }


def copied(budget: float, part: Ints) -> float:
    """Return the seconds that a structure takes, (n, groups): a copy, cut, in plain float32."""
    with pinned(1):
        place = bench(FULL, RESNET, budget)
        scorer, calibration = place.scorer(reconstruct=True), place.data.train.x[:250]
        images = place.data.held_out[: FULL.score_images]

        def way(counts: Ints) -> None:
            small = scorer.plan(counts).apply(copy.deepcopy(place.model))
            recalibrate(small, calibration)
            accuracy(small, images)

        return seconds_each(way, part)


def seconds_each(way: Callable[[Ints], object], part: Ints) -> float:
    """Return the processor's seconds for one of the structures, (n, groups)."""
    began = time.process_time()
    for counts in part:
        way(counts)
    return (time.process_time() - began) / len(part)


def leave_memory() -> None:
    """Let this process hand memory back to the system, as one does that knows of no allocator."""
    patch.object(problem, "keep_memory").start()


def worth(place: Bench) -> dict[str, Any]:
    """Return the rank correlation of the score with accuracy and loss after fine-tuning."""
    scorer, points = place.scorer(reconstruct=True), []
    unseen = load_data(FULL.data).held_out[FULL.score_images :]
    for number, counts in enumerate(structures(place, STRUCTURES)):
        score = scorer.score(counts)
        small = scorer.inherit(counts)
        train(small, place.data.train, FULL.recipe, seed=1, teacher=place.model)
        before = score.brier, score.accuracy, score.loss
        points.append((*before, *accuracy_and_loss(small, unseen)))
        print(f"  {number + 1}/{STRUCTURES}: {points[-1]}", flush=True)
    return correlations(place, points)


def correlations(place: Bench, points: Sequence[Sequence[float]]) -> dict[str, Any]:
    """Return rank correlations with what fine-tuning makes of structures, and the points.

    Args:
        place: that the structures are of.
        points: of each the Brier score, accuracy and loss before fine-tuning, accuracy and loss
            after it.
    """
    brier, right, losses, after, losses_after = np.array(points).T
    before = {"score": -brier, "accuracy": right, "loss": -losses}
    then = {"accuracy": after, "loss": -losses_after}
    widths = np.stack(structures(place, len(points)))
    return {
        **{
            f"{name} with {other}": float(spearmanr(x, y).statistic)
            for name, x in before.items()
            for other, y in then.items()
        },
        "width with loss": {
            name: float(spearmanr(width, -losses_after).statistic)
            for name, width in zip(place.problem.graph.names, widths.T, strict=True)
        },
        "points": points,
    }


def whole_search(place: Bench) -> dict[str, Any]:
    """Return the time of a search, of its known starts, and whether a second one is the same."""
    seconds, chosen = [], []
    for _ in range(2):
        pruning = place.variant(finalists=1)
        pruning.prepare()
        began = time.monotonic()
        result = minimize(pruning, budget=SEARCH, seed=1, workers=2)
        seconds.append(time.monotonic() - began)
        chosen.append(result.x.tolist())
    return {"evaluations": SEARCH, "seconds": seconds, "same": chosen[0] == chosen[1]}


def fine_tuning(place: Bench) -> dict[str, Any]:
    """Return the test accuracies before and after fine-tuning on all training images."""
    cell, records = Cell(RESNET, place.budget, "default", 1), Records(TABLE)
    if FULL.key(cell) not in records.found:
        sys.exit(f"run it first: python -m benchmarks.pruning --cells {cell.name}")
    counts = records.found[FULL.key(cell)]["counts"]
    data = load_data(FULL.data)
    small = place.scorer(reconstruct=True).inherit(np.array(list(counts.values())))
    train(small, data.train, FULL.recipe, seed=1, teacher=place.model)
    whole, pruned = accuracy(place.model, data.test), accuracy(small, data.test)
    return {"original": whole, "pruned": pruned, "lost": whole - pruned}


def training(place: Bench) -> dict[str, Any]:
    """Return what ABC costs with our score, and with ABCPruner's fitness."""
    ours = search("abc", abcpruner=True)(place, 1)
    images = load_data(FULL.data).train
    seconds = []
    for counts in structures(place, TRAINED):
        began = time.process_time()
        small = place.scorer(reconstruct=False).inherit(counts)
        train(small, images, replace(FULL.recipe, epochs=FITNESS_EPOCHS, distill=0.0), seed=1)
        accuracy(small, place.data.held_out[: FULL.score_images])
        seconds.append(time.process_time() - began)
        print(f"  {seconds[-1]:.0f} s", flush=True)
    each = ours.seconds / ours.evaluations
    return {
        "evaluations": ours.evaluations,
        "seconds_with_score": ours.seconds,
        "measured_evaluations": TRAINED,
        "seconds_with_training_extrapolated": float(np.mean(seconds)) * ours.evaluations,
        "ratio": float(np.mean(seconds)) / each,
    }


PARTS: dict[str, tuple[Callable[[Bench], dict[str, Any]], tuple[float, ...]]] = {
    "rate": (rate, (0.3,)),
    "search": (whole_search, (0.3,)),
    "training": (training, (0.3,)),
    "fine-tuning": (fine_tuning, (0.3, 0.5)),
    "worth": (worth, (0.3, 0.5)),
}


@click.command()
@click.option("--only", type=click.Choice([*PARTS]), multiple=True, help="These parts alone.")
def main(only: tuple[str, ...]) -> None:
    """Print and keep the figures."""
    known = json.loads(FILE.read_text("utf-8")) if FILE.is_file() else {}
    for name in only or PARTS:
        measure, budgets = PARTS[name]
        for budget in budgets:
            print(f"{name}, {RESNET} at {budget:.0%} of the MACs", flush=True)
            with pinned(1):
                found = measure(bench(FULL, RESNET, budget))
            known[f"{name} {budget:g}"] = found | {"torch": torch.__version__}
            print({k: v for k, v in found.items() if k != "points"}, flush=True)
            FILE.write_text(json.dumps(known, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
