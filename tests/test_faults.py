"""The fault matrix: what an objective does wrong, times who evaluates, times the algorithm."""

import json
import tomllib
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from faulty import BREACHES, DEADLY, FAULTS, HARMLESS

from swarmopt.cli import call

ALGORITHMS = ("ssa", "pso", "ga")
FAST = {"returns-nan", "raises", "exits", "wrong-shape", "unpicklable"}


def cells() -> list[Any]:
    """Return all cells that can be survived; the fast ones ask each algorithm for some faults.

    A cell of a cluster takes seconds, and who asks matters least there: one algorithm each.
    """
    found = []
    for (i, kind), (j, algorithm), where in product(
        enumerate(FAULTS), enumerate(ALGORITHMS), ("here", "pool", "cluster")
    ):
        turn = i % len(ALGORITHMS) == j
        if (where == "here" and kind in DEADLY) or (where == "cluster" and not turn):
            continue
        marks = () if where == "here" and turn and kind in FAST else pytest.mark.slow
        found.append(
            pytest.param((where, kind, algorithm), marks=marks, id=f"{where}-{kind}-{algorithm}")
        )
    return found


def run(request: pytest.FixtureRequest, where: str, *arguments: str) -> int:
    """Run the faulty problem and return the exit code."""
    options = {
        "here": (),
        "pool": ("--workers", "1", "--eval-timeout", "0.4"),
        "cluster": ("--eval-timeout", "0.4"),
    }[where]
    if where == "cluster":
        options += ("--cluster", request.getfixturevalue("dask_cluster"))
    command = ["run", "--problem", "faulty:Faulty", "--budget", "60", "--seed", "1"]
    return call([*command, "--out", "run", *options, *arguments])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("cell", cells())
def test_a_run_survives_every_fault_of_its_objective(
    cell: tuple[str, str, str], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    where, kind, algorithm = cell
    code = run(request, where, "--set", f"kind={kind}", "--algorithm", algorithm)
    assert code == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["nfev"] == 60
    assert result["n_failed"] == (kind not in HARMLESS)
    assert 0 < result["fun"] < 1


@pytest.mark.parametrize("where", ["here", pytest.param("pool", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", sorted(BREACHES))
def test_a_broken_contract_in_the_first_batch_is_an_error(
    where: str,
    kind: str,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(request, where, "--set", f"kind={kind}", "--set", "at=1") == 1
    assert "error: faulty: " in capsys.readouterr().err


def test_where_evaluations_run_is_read_from_a_file_and_the_environment_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "where.toml").write_text("workers = 1\n")
    monkeypatch.setenv("SWARMOPT_EVAL_TIMEOUT", "9.5")
    command = ["run", "--problem", "faulty:Faulty", "--budget", "20", "--config", "where.toml"]
    assert call([*command, "--out", "run"]) == 0
    settings = tomllib.loads((tmp_path / "run" / "run.toml").read_text())
    assert (settings["workers"], settings["eval_timeout"], settings["threads"]) == (1, 9.5, 1)
    assert call([*command, "--workers", "0", "--out", "other"]) == 2  # no time limit in here
