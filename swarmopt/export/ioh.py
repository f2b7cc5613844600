"""Runs in the format of IOHprofiler, for IOHanalyzer and iohinspector.

One folder an algorithm; in it a JSON file a problem, and beside that the improvements of its runs,
a line each: evaluation and best cost. A run that had found nothing feasible by then is at the
largest float64. A run that failed is one such line, as readers tell runs apart by evaluation 1. Ids
of functions are their places in the comparison, from 1, and instances those of the seeds.

Source: de Nobel and others, "IOHexperimenter: benchmarking platform for iterative optimization
heuristics", 2024, doi 10.1162/evco_a_00342, and its documentation of the format, version 0.3.5.
"""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from swarmopt.compare.comparison import Comparison
from swarmopt.errors import FolderError
from swarmopt.evaluation import INFEASIBLE
from swarmopt.report.account import Account
from swarmopt.types import Integers, Vector

VERSION = "0.3.5"
NOTHING = sys.float_info.max
QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"")
VARIABLE = re.compile(r"\b(?:Real|Integer|Ordinal|Categorical|Boolean)\(")


@dataclass(frozen=True, eq=False)
class Trace:
    """How the best cost of a run fell.

    Attributes:
        instance: number of the run among those of its algorithm and problem.
        nfev: evaluations.
        evaluations: (k,) from 1, at which it fell.
        best: (k,) the feasible costs then.
    """

    instance: int
    nfev: int
    evaluations: Integers
    best: Vector

    def lines(self) -> list[tuple[int, float]]:
        """Return evaluation and best cost at the first, at each improvement, and at the last."""
        found = list(zip(self.evaluations.tolist(), self.best.tolist(), strict=True))
        if not found or found[0][0] != 1:
            found.insert(0, (1, NOTHING))
        if found[-1][0] < self.nfev:
            found.append((self.nfev, found[-1][1]))
        return found


def write_run(run: Account, out: Path) -> Path:
    """Write a run into a new folder, and return it.

    Raises:
        FolderError: the folder is there and not empty, or cannot be written.
    """
    least = np.minimum.accumulate(np.r_[np.inf, np.where(run.key < INFEASIBLE, run.key, np.inf)])
    falls = np.flatnonzero(least[1:] < least[:-1])
    trace = Trace(1, run.n, falls + 1, run.key[falls])
    name = str(run.about.get("problem") or "function")
    algorithm = str(run.settings.get("algorithm", "unknown"))
    new_folder(out)
    _write(out / f"1-{_word(algorithm)}", algorithm, name, [trace], j=1, d=len(run.names))
    return out


def write_comparison(comparison: Comparison, out: Path) -> Path:
    """Write the finished runs of a comparison into a new folder, and return it.

    Raises:
        FolderError: the folder is there and not empty, or cannot be written.
    """
    new_folder(out)
    for i, algorithm in enumerate(comparison.algorithms, start=1):
        for j, problem in enumerate(comparison.problems, start=1):
            traces = [
                Trace(comparison.seeds.index(c.seed) + 1, c.nfev, c.evaluations, c.best)
                for c in comparison.runs(problem, algorithm)
            ]
            about = comparison.settings.get("problem", {}).get(problem, {})
            d = n_variables(str(about.get("space", "")))
            if traces:
                _write(out / f"{i}-{_word(algorithm)}", algorithm, problem, traces, j=j, d=d)
    return out


def n_variables(text: str) -> int:
    """Return how many variables the description of a space has."""
    return len(VARIABLE.findall(QUOTED.sub("''", text)))


def new_folder(out: Path) -> None:
    """Make a folder, or take an empty one."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise FolderError(
                f"{out} is not empty and is left as it is; give another folder with --out"
            )
    except OSError as error:
        if isinstance(error, FolderError):
            raise
        raise FolderError(f"{out} cannot be made: {error.strerror or error}") from error


def _write(
    folder: Path, algorithm: str, problem: str, traces: Sequence[Trace], *, j: int, d: int
) -> None:
    """Write the runs of an algorithm on a problem, the j-th, of d variables."""
    data = f"data_f{j}_{_word(problem)}"
    file = f"{data}/IOHprofiler_f{j}_DIM{d}.dat"
    document = {
        "version": VERSION,
        "suite": "swarmopt",
        "function_id": j,
        "function_name": problem,
        "maximization": False,
        "algorithm": {"name": algorithm, "info": "swarmopt"},
        "attributes": ["evaluations", "raw_y"],
        "scenarios": [{"dimension": d, "path": file, "runs": [_about(trace) for trace in traces]}],
    }
    lines = [line for trace in traces for line in ["evaluations raw_y", *_numbers(trace)]]
    try:
        (folder / data).mkdir(parents=True, exist_ok=True)
        name = f"IOHprofiler_f{j}_{_word(problem)}.json"
        (folder / name).write_text(json.dumps(document, indent=1) + "\n", "utf-8")
        (folder / file).write_text("\n".join(lines) + "\n", "utf-8")
    except OSError as error:
        raise FolderError(f"{folder} cannot be written: {error.strerror or error}") from error


def _about(trace: Trace) -> dict[str, Any]:
    """Return what the JSON file says of a run: what its lines say."""
    lines = trace.lines()
    first = next((at for at, cost in lines if cost == lines[-1][1]), 1)
    best = {"evals": first, "y": lines[-1][1], "x": []}
    return {"instance": trace.instance, "evals": lines[-1][0], "best": best}


def _numbers(trace: Trace) -> list[str]:
    return [f"{evaluation} {cost!r}" for evaluation, cost in trace.lines()]


def _word(name: str) -> str:
    """Return a name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9-]+", "-", name).strip("-")[:48] or "unnamed"
