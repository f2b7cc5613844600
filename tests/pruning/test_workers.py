"""Workers score the driver's network, wherever they get it from, and give the same bits."""

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from swarmopt import Seeds, WorkerError, minimize
from swarmopt.evaluate.evaluator import Work
from swarmopt.evaluate.pool import Pool
from swarmopt.evaluate.resources import Resources
from swarmopt.types import Matrix, Vector
from swarmopt_pruning import (
    ChannelGraph,
    ChannelPruning,
    PruningError,
    Splits,
    load_data,
    machine,
    problem,
)
from swarmopt_pruning.score import Score, Scorer
from swarmopt_pruning.train import seeded

QUICK: dict[str, Any] = {"model": "digits-cnn", "epochs": 2, "finetune_epochs": 1}
MODULE = """
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from swarmopt_pruning.data import digits, Images, Splits

def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )

def computed():
    return nn.Sequential(weight_norm(nn.Conv2d(1, 4, 1)), *network_of_four())

def network_of_four():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10),
    )

def images():
    return digits()

def drawn():
    found = digits()
    moved = Images(found.train.x + 1e-3 * torch.rand(()), found.train.y)
    return Splits(moved, found.held_out, found.test)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "own_workers.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("own_workers", None)


def points(found: ChannelPruning, n: int = 6) -> Matrix:
    unit = np.random.default_rng(0).random((n, len(found.space)))
    return found.canonical(found.space.decode(unit))


def cost_here(found: ChannelPruning, x: Matrix) -> Vector:
    return found.evaluate(x, Seeds(0, range(len(x))), np.inf).cost


def cost_by(found: ChannelPruning, x: Matrix, workers: int) -> Vector:
    cost = np.empty(len(x))
    with Pool(found, Resources(workers=workers)) as pool:
        pool.submit(Work(0, np.arange(len(x)), x, Seeds(0, range(len(x))), np.inf))
        while pool.busy:
            finished = pool.wait()
            cost[finished.rows] = finished.evaluation.cost
    return cost


def sent(found: ChannelPruning) -> ChannelPruning:
    copy: ChannelPruning = pickle.loads(cloudpickle.dumps(found))  # noqa: S301 - our own
    return copy


@pytest.fixture(scope="module")
def prepared() -> ChannelPruning:
    found = ChannelPruning(**QUICK)
    found.prepare()
    return found


def live() -> tuple[nn.Module, Splits]:
    """Return a network of a class that no module holds, and images that no name stands for."""

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 6, 3)
            self.fc = nn.Linear(6, 10)

        def forward(self, x: Tensor) -> Any:
            return self.fc(self.conv(x).relu().mean((2, 3)))

    with seeded(0):
        return Net().train(), load_data("digits")


@pytest.mark.slow
@pytest.mark.parametrize("importance", ["l1", "random", "taylor"])
def test_a_copy_in_another_process_would_score_the_same_bits(importance: str) -> None:
    found = ChannelPruning(**QUICK, importance=importance)
    found.prepare()
    x = points(found, 2)
    np.testing.assert_array_equal(cost_here(sent(found), x), cost_here(found, x))


def test_a_copy_neither_trains_nor_traces_and_takes_no_large_images_along(
    prepared: ChannelPruning, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("this is the driver's work")

    for name in ("trained", "check_answers", "taylor_scores"):
        monkeypatch.setattr(problem, name, refuse)
    monkeypatch.setattr(ChannelGraph, "trace", refuse)
    whole = len(cloudpickle.dumps(prepared))
    monkeypatch.setattr(problem, "SENT", 0)
    copy = sent(prepared)
    copy.prepare()
    assert np.isfinite(cost_here(copy, points(prepared))).all()
    assert torch.equal(copy._data.test.x, prepared._data.test.x)
    assert whole - len(cloudpickle.dumps(prepared)) > prepared._data.nbytes


def test_the_score_uses_the_threads_of_its_setting_and_no_others(
    prepared: ChannelPruning, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    score = Scorer.score

    def spied(self: Scorer, *arguments: Any) -> Score:
        used.append(torch.get_num_threads())
        return score(self, *arguments)

    monkeypatch.setattr(Scorer, "score", spied)
    try:
        torch.set_num_threads(2)
        cost_here(prepared, points(prepared, 1))
        monkeypatch.setattr(prepared, "threads", 3)
        cost_here(prepared, points(prepared, 1))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert used == [1, 3]


@pytest.mark.slow
def test_a_network_and_images_of_python_are_taken_as_they_are_and_not_changed() -> None:
    network, data = live()
    before = {n: t.clone() for n, t in network.state_dict().items()}
    found = ChannelPruning(model=network, data=data, finetune_epochs=1, force=True)
    result = minimize(found, budget=4, seed=0, workers=0)
    assert result.report["model"].endswith("Net")
    assert result.report["after"]["macs"] < result.report["before"]["macs"]
    assert network.training
    assert all(torch.equal(before[n], t) for n, t in network.state_dict().items())
    x = points(found)
    np.testing.assert_array_equal(cost_here(sent(found), x), cost_here(found, x))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": 3}, r"model: expected a name or a torch\.nn\.Module, got 3"),
        ({"data": (1, 2)}, r"data: expected a name or swarmopt_pruning\.Splits, got tuple"),
    ],
)
def test_what_is_neither_a_name_nor_a_thing_is_refused(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(PruningError, match=message):
        ChannelPruning(**settings)


@pytest.mark.usefixtures("module")
def test_data_that_are_drawn_anew_in_each_process_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(problem, "SENT", 0)
    found = ChannelPruning(model="own_workers:network", data="own_workers:drawn")
    with pytest.raises(PruningError, match="a worker got other images than the run began with"):
        sent(found)


@pytest.mark.usefixtures("module")
def test_a_network_that_torch_does_not_send_is_scored_in_this_process_or_named() -> None:
    found = ChannelPruning(model="own_workers:computed", target_macs=0.9, force=True)
    assert found.default_workers == 0
    assert np.isfinite(cost_here(found, points(found))).all()
    with pytest.raises(PruningError, match="no parametrized layer, such as 0: call torch"):
        sent(found)


def test_as_many_workers_as_cores_and_memory_allow(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fit(cores: int, each: int | None, free: int | None, threads: int = 1) -> int:
        monkeypatch.setattr(machine, "cores", lambda: cores)
        monkeypatch.setattr(machine, "resident_bytes", lambda: each)
        monkeypatch.setattr(machine, "free_bytes", lambda: free)
        return machine.workers_that_fit(threads)

    caplog.set_level("INFO")
    assert fit(8, 300 << 20, 8 << 30) == 8
    assert fit(8, 300 << 20, 8 << 30, threads=3) == 2
    assert fit(2, 300 << 20, 8 << 30, threads=4) == 1
    assert fit(8, None, None) == 8
    assert not caplog.records
    assert fit(8, 300 << 20, 1 << 30) == 3
    assert "memory for 3 workers of 300 MB each, cores for 8: 1024 MB are free" in caplog.text
    assert fit(8, 300 << 20, 0) == 1
    monkeypatch.setattr(problem, "workers_that_fit", lambda _: 6)
    assert ChannelPruning(**QUICK).default_workers == 6
    monkeypatch.setattr(problem, "workers_that_fit", lambda _: 1)
    assert ChannelPruning(**QUICK).default_workers == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what memory is left")
def test_a_limit_of_the_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "GROUP", tmp_path)
    free, own = machine.free_bytes(), machine.resident_bytes()
    assert free is not None
    assert own is not None
    assert free > 0
    assert 1 << 24 < own < 1 << 40
    (tmp_path / "memory.current").write_text("1000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert machine.free_bytes() != 0
    (tmp_path / "memory.max").write_text("1500\n")
    assert machine.free_bytes() == 500


@pytest.mark.slow
@pytest.mark.usefixtures("module")
def test_any_number_of_workers_scores_the_same_bits_as_this_process(
    prepared: ChannelPruning, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, data = live()
    problems = {
        "built in": prepared,
        "by name": ChannelPruning(
            model="own_workers:network", data="own_workers:images", force=True
        ),
        "as it is": ChannelPruning(model=network, data=data, force=True),
    }
    monkeypatch.setattr(problem, "SENT", 0)
    for name, found in problems.items():
        found.prepare()
        x = points(found, 12)
        expected = cost_here(found, x)
        for workers in (1, 8) if name == "built in" else (1,):
            found_by = cost_by(found, x, workers)
            np.testing.assert_array_equal(found_by, expected, err_msg=f"{name}, {workers}")


@pytest.mark.slow
@pytest.mark.usefixtures("module")
def test_a_worker_says_what_is_wrong_with_the_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(problem, "SENT", 0)
    found = ChannelPruning(model="own_workers:network", data="own_workers:drawn")
    with pytest.raises(WorkerError, match="a worker got other images than the run began with"):
        cost_by(found, points(found, 1), 1)


@pytest.mark.slow
def test_a_search_with_workers_finds_what_a_search_without_finds(tmp_path: Path) -> None:
    one, other = (
        minimize(
            ChannelPruning(**QUICK), budget=24, seed=3, workers=workers, run_dir=tmp_path / name
        )
        for workers, name in ((0, "one"), (2, "two"))
    )
    assert (one.fun, one.x.tolist()) == (other.fun, other.x.tolist())
    for name in ("plan.json", "pruned.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
