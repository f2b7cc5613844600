"""What pages are made of in tests: names nobody would choose, objectives, records, comparisons."""

import json
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from swarmopt import record
from swarmopt.compare.comparison import Cell, Comparison
from swarmopt.rows import meta_crc

NAME = '<b onload="x">\x1b[2J'
HOSTILE = [
    "<script>alert(1)</script>", "\x1b[31mred\x1b]0;title\x07", '"><img src=x onerror=alert(1)>',
    "$x_{1}$ and $y", "_hidden", "n" * 5_000, "{{ 7 * 7 }}{% raw %}", "-->]]></svg>", "日本語 🐦",
    "a, b=Real(",
]  # fmt: skip


def failing(x: Any) -> float:
    if x[0] > 0.5:
        raise ValueError("too <large> \x1b[2J")
    return float("nan") if x[1] > 0.9 else float(x @ x)


def change(folder: Path, how: Callable[[sqlite3.Connection], object]) -> None:
    """Change the record of a run."""
    db = sqlite3.connect(folder / record.FILE)
    how(db)
    db.commit()
    db.close()


def set_meta(db: sqlite3.Connection, key: str, value: Any) -> None:
    """Have a record say something else of its run, with the right check sum."""
    text = json.dumps(value)
    db.execute("UPDATE meta SET value = ?, crc = ? WHERE key = ?", (text, meta_crc(key, text), key))


def cell(problem: str, algorithm: str, seed: int, **changed: Any) -> Cell:
    rng = np.random.default_rng([seed, len(algorithm), len(problem)])
    best = np.sort(rng.random(6))[::-1] + len(algorithm)
    whole: dict[str, Any] = {
        "nfev": 100, "n_failed": 0, "seconds": 0.25, "fun": float(best[-1]), "violation": 0.0,
        "key": float(best[-1]), "evaluations": np.array([1, 4, 9, 20, 50, 80]), "best": best,
        "report": {}, "error": None,
    }  # fmt: skip
    return Cell(problem, algorithm, seed, **{**whole, **changed})


def failed(problem: str, algorithm: str, seed: int) -> Cell:
    nothing: dict[str, Any] = {"evaluations": np.empty(0, int), "best": np.empty(0), "nfev": 0}
    nothing |= {"fun": np.inf, "violation": np.inf, "key": np.inf}
    return cell(problem, algorithm, seed, **nothing, error=f"Trace\nValueError: {NAME}")


def made(
    *,
    problems: tuple[str, ...] = ("p", "pp"),
    algorithms: tuple[str, ...] = ("a", "bb", "ccc"),
    seeds: int = 8,
    without: tuple[tuple[str, str, int], ...] = (),
    instead: Mapping[tuple[str, str, int], Cell] | None = None,
) -> Comparison:
    where = [(p, a, s) for p in problems for a in algorithms for s in range(seeds)]
    cells = {w: cell(*w) for w in where if w not in without}
    settings = {"problem": {}, "algorithm": {}, "versions": {"python": "3"}}
    found = {**cells, **(instead or {})}
    optimum = dict.fromkeys(problems)
    return Comparison(problems, algorithms, tuple(range(seeds)), 100, optimum, found, settings)
