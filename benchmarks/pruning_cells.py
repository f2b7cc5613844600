"""One cell of the pruning benchmark, and the file of those that are finished."""

import json
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.pruning_bench import Bench, Ints, bench
from benchmarks.pruning_methods import METHODS
from benchmarks.pruning_protocol import Cell, Protocol, images
from benchmarks.pruning_rivals import RivalError
from swarmopt_pruning import Recipe, accuracy
from swarmopt_pruning.train import accuracy_and_loss, pinned, train

Record = dict[str, Any]


def run_cell(protocol: Protocol, cell: Cell) -> Record:
    """Choose a structure, train it, test it, and return what is to be known of it.

    Seconds are of one core, so that other load of the machine does not count. The preparation of a
    network (moments of its layers) is not among them: it is the same for all.
    """
    record: Record = {
        "key": protocol.key(cell),
        "network": cell.network,
        "budget": cell.budget,
        "method": cell.method,
        "seed": cell.seed,
        "torch": torch.__version__,
    }
    with pinned(1):
        place = bench(protocol, cell.network, cell.budget)
        method = METHODS[cell.method]
        try:
            chosen = method.choose(place, cell.seed)
        except RivalError as error:
            return record | {"error": str(error)[:300]}
        recipe = replace(protocol.recipe, distill=protocol.distill if method.distills else 0.0)
        found = _trained(
            place, protocol, chosen.counts, recipe, cell.seed, reconstruct=method.reconstruct
        )
        if method.reconstruct and cell.seed == 1:
            plain = _trained(place, protocol, chosen.counts, recipe, cell.seed, reconstruct=False)
            record["test_without"] = plain["test"]
            record["before_without"] = plain["before"]
    graph = place.problem.graph
    return record | found | {
        "counts": dict(zip(graph.names, chosen.counts.tolist(), strict=True)),
        "macs_share": place.share(chosen.counts),
        "params": int(graph.params(chosen.counts[None])[0]),
        "score": 1.0 - place.scorer(reconstruct=True).score(chosen.counts).brier,
        "evaluations": chosen.evaluations,
        "choosing_seconds": round(chosen.seconds, 2),
        "curve": chosen.curve,
        "finalists": chosen.finalists,
    }  # fmt: skip


def _trained(
    place: Bench,
    protocol: Protocol,
    counts: Ints,
    recipe: Recipe,
    seed: int,
    *,
    reconstruct: bool,
) -> Record:
    """Return the accuracies of a structure after fine-tuning; here the test images are seen."""
    small = place.scorer(reconstruct=reconstruct).inherit(counts)
    before = accuracy(small, place.unseen)
    began = time.process_time()
    train(small, place.data.train, recipe, seed=seed, teacher=place.model)
    seconds = round(time.process_time() - began, 2)
    right, loss = accuracy_and_loss(small, place.unseen)
    return {
        "training_seconds": seconds,
        "before": before,
        "held_out": right,
        "held_out_loss": loss,
        "test": accuracy(small, images(protocol).test),
    }


class Records:
    """The finished cells of one file, a line each; a torn last line is cut off.

    Raises:
        ValueError: A line before the last is not a record.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.found: dict[str, Record] = {}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        whole, _, torn = path.read_text("utf-8").rpartition("\n")
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                record = json.loads(line)
                self.found[record["key"]] = record
            except (ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f"{path}, line {number}: expected a record of a cell, got {line[:80]!r}; mend "
                    f"the line or move the file away"
                ) from error
        if torn:
            os.truncate(path, len((whole + "\n").encode()) if whole else 0)

    def add(self, record: Record) -> None:
        """Append a finished cell; it is on disk when this returns."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.found[record["key"]] = record

    def of(self, protocol: Protocol, cells: list[Cell]) -> list[Record]:
        """Return the records of cells that are finished under a protocol."""
        keys = [protocol.key(cell) for cell in cells]
        return [self.found[key] for key in keys if key in self.found]
