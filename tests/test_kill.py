"""A driver that is killed, at any moment: nothing is lost, nothing is done twice."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from swarmopt import FolderError, minimize, record

SCRIPT = Path(__file__).parent / "boundaries.py"
POPULATION = 5  # of the script's run
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def boundaries(scenario: str, place: Path, step: int) -> tuple[dict[str, Any], list[Any]]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), scenario, str(place), str(step)],
        stdout=subprocess.PIPE, text=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    whole, *rows = map(json.loads, done.stdout.splitlines())
    return whole, rows


@pytest.mark.slow
@pytest.mark.parametrize("scenario", ["new", "resumed"])
def test_a_run_killed_at_any_write_goes_on_as_if_it_had_not_been(
    scenario: str, tmp_path: Path
) -> None:
    whole, rows = boundaries(scenario, tmp_path, 1)
    assert len(rows) > 40
    for row in rows:
        assert row["digest"] == whole["digest"]
        assert row["fun"] == whole["fun"]
        assert row["lost"] <= POPULATION
        assert row["again"] == 0
        assert row["ended"]
        assert row["ids"]
        assert row["files"] == ["ending.txt", "journal.sqlite", "result.json", "run.toml"]


@pytest.mark.slow
def test_a_resume_on_another_processor_killed_at_any_write_loses_nothing(tmp_path: Path) -> None:
    _, rows = boundaries("other", tmp_path, 1)
    assert len(rows) > 40
    for row in rows:
        assert row["lost"] <= POPULATION
        assert row["again"] == 0
        assert row["ids"]
        assert row["points"] == 20
        assert row["message"].endswith("resumed, not bit-identical")
    assert len({row["fun"] for row in rows}) == 1


@pytest.mark.slow
def test_a_run_killed_at_some_writes_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole, rows = boundaries("new", tmp_path, 17)
    assert len(rows) > 3
    assert {row["digest"] for row in rows} == {whole["digest"]}
    assert {row["again"] for row in rows} == {0}


def slow_bowl(x: Any) -> float:
    time.sleep(0.02)
    return float(x @ x)


CHILD = """
import sys
sys.path.insert(0, sys.argv[2])
from test_kill import slow_bowl
from swarmopt import minimize
minimize(slow_bowl, [(-5, 5)] * 2, algorithm="pso", budget=500, seed=1, run_dir=sys.argv[1])
"""


def child_with(folder: Path, n: int) -> subprocess.Popen[bytes]:
    """Return a process that runs in the folder, and has recorded n evaluations."""
    command = [sys.executable, "-c", CHILD, str(folder), str(SCRIPT.parent)]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (folder / record.FILE).exists() and record.count(folder) >= n:
            return process
        time.sleep(0.02)
    raise AssertionError(f"the run has not come to {n} evaluations")


@pytest.mark.slow
def test_a_second_driver_is_told_who_the_first_is_and_a_kill_leaves_no_lock(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    process = child_with(folder, 10)
    asked = time.monotonic()
    with pytest.raises(FolderError, match=rf"in use by .* \(process {process.pid} on \S+\)"):
        resume(folder)
    with pytest.raises(FolderError, match=f"process {process.pid} on"):
        minimize(slow_bowl, [(-5, 5)] * 2, budget=9, run_dir=folder, overwrite=True)
    assert time.monotonic() - asked < 10
    before = len(record.read(folder).ids)
    process.send_signal(signal.SIGKILL)
    process.wait(60)
    left = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert f"{record.FILE}-wal" in left
    assert len(record.read(folder).ids) >= before
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == left, "reading changed it"
    result = resume(folder)
    assert result.nfev == 60


def resume(folder: Path) -> Any:
    """Go on, and stop early by the callback."""

    def enough(intermediate_result: Any) -> None:
        if intermediate_result.nfev >= 60:
            raise StopIteration

    return minimize(
        slow_bowl, [(-5, 5)] * 2, algorithm="pso", budget=500, seed=1, run_dir=folder,
        resume=True, callback=enough,
    )  # fmt: skip
