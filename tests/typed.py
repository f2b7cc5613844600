"""What tests of the command line share: a folder of a user's, and what a command printed there."""

import os
import sys
from pathlib import Path

import pytest

from swarmopt.cli import call

MODULE = """
import json
import math
from swarmopt import FunctionProblem, Real, Space, algorithms

def objective(p):
    return (p["lr"] - 0.01) ** 2 + abs(p["depth"] - 7) + (p["act"] != "tanh")

def rows(x):
    return ((x - 1) ** 2).sum(axis=1)

def nan(p):
    return math.nan

def infeasible(p):
    return 1.0, 1.0

def make(*, size: int = 2, scale: float = 1.0) -> FunctionProblem:
    space = Space([Real(-1, 1)] * size)
    return FunctionProblem(lambda x: scale * float((x ** 2).sum()), space, name="made")

def make_broken(*, parts: int = 0):
    return json.loads("{" * (1 // parts))

class Unready(FunctionProblem):
    def __init__(self) -> None:
        super().__init__(lambda x: 0.0, Space([Real(0, 1)]), name="unready")

    def prepare(self):
        open("/nowhere/weights")

def make_nothing(*, size: int = 2):
    return size

ready = make(size=4)
swarm = algorithms.PSO(population=13)
number = 5

def loud(p):
    print("loud says", p["depth"])
    return p["lr"]

def slow(p):
    import time
    time.sleep(0.05)
    return p["lr"]
"""
SPACE = """
budget = 90

[space]
lr = {type = "real", low = 1e-4, high = 1.0, log = true}
depth = {type = "integer", low = 1, high = 10}
act = {type = "categorical", choices = ["relu", "tanh"]}
"""


def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this a folder with a module of the user's own; the command is called there."""
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "space.toml").write_text(SPACE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    for name in [n for n in os.environ if n.startswith("SWARMOPT_")]:
        monkeypatch.delenv(name)


def output(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> tuple[str, str]:
    """Run the command, check its exit code, and return what it printed."""
    assert call(arguments) == code, capsys.readouterr()
    captured = capsys.readouterr()
    return captured.out, captured.err
