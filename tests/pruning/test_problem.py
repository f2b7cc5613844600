"""The pruning problem, from settings to a smaller network on disk."""

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

import swarmopt_pruning
from swarmopt import Result, minimize
from swarmopt.cli import call
from swarmopt_pruning import (
    ChannelPruning,
    PruningError,
    PruningPlan,
    accuracy,
    count_macs,
    count_params,
    load,
    load_data,
)

LATENCY = (
    "latency_ms", "latency_low_ms", "latency_high_ms", "latency_batch", "latency_threads",
)  # fmt: skip
QUICK: dict[str, Any] = {
    "model": "digits-cnn", "epochs": 6, "finalists": 3, "finetune_epochs": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    folder = tmp_path_factory.mktemp("pruning") / "run"
    result = minimize(
        ChannelPruning(**QUICK), budget=25, seed=3, run_dir=folder, algorithm="pso", workers=0
    )
    return result, folder


def test_the_smaller_network_is_within_the_budget_and_nearly_as_good(
    finished: tuple[Result, Path],
) -> None:
    before, after = finished[0].report["before"], finished[0].report["after"]
    assert after["macs"] <= before["macs"] // 2
    assert after["params"] < before["params"]
    assert after["channels"] < before["channels"]
    assert after["bytes"] < before["bytes"]
    assert before["test_accuracy"] > 0.9
    assert after["test_accuracy"] > before["test_accuracy"] - 0.05


def test_the_result_file_says_everything(finished: tuple[Result, Path]) -> None:
    _, folder = finished
    found = json.loads((folder / "result.json").read_text())
    assert {"fun", "nfev", "seed", "algorithm", "before", "after"} <= set(found)
    keys = {
        "test_accuracy", "test_error", "held_out_accuracy", "held_out_error",
        "macs", "params", "channels", "bytes",
        *LATENCY,
    }  # fmt: skip
    assert set(found["before"]) == set(found["after"]) == keys
    p, n = found["after"]["test_accuracy"], len(load_data("digits").test)
    likely = (p * n + 1) / (n + 2)
    assert found["after"]["test_error"] == pytest.approx((likely * (1 - likely) / (n + 3)) ** 0.5)
    assert len(found["finalists"]) > 1
    assert (found["after"]["latency_threads"], found["after"]["latency_batch"]) == (1, 64)
    assert found["combinations"]["after"] < found["combinations"]["before"]
    assert (found["nfev"], found["seed"], found["algorithm"]) == (25, 3, "pso")
    assert {p.name for p in folder.iterdir()} == {
        "run.toml", "journal.sqlite", "plan.json", "pruned.safetensors", "result.json",
        "channels.png", "front.csv", "front.png", "finalists.json",
    }  # fmt: skip


def test_the_cut_network_equals_the_masked_original(finished: tuple[Result, Path]) -> None:
    assert finished[0].report["masked_difference"] < 1e-5


def test_the_network_comes_back_with_the_accuracy_that_was_reported(
    finished: tuple[Result, Path],
) -> None:
    result, folder = finished
    model, data, after = load(folder), load_data("digits"), result.report["after"]
    assert accuracy(model, data.test) == after["test_accuracy"]
    assert accuracy(model, data.held_out) == after["held_out_accuracy"]
    assert count_macs(model, (data.test.x[:1],)) == after["macs"]
    assert count_params(model) == after["params"]
    assert not model.training


@pytest.mark.slow
def test_the_network_comes_back_the_same_in_another_process(
    finished: tuple[Result, Path],
) -> None:
    result, folder = finished
    code = f"""
import sys
from swarmopt_pruning import load, load_data, accuracy, count_macs, count_params
import torch; torch.set_num_threads(1)
model, data = load({str(folder)!r}), load_data("digits")
print(accuracy(model, data.test), accuracy(model, data.held_out))
print(count_macs(model, (data.test.x[:1],)), count_params(model), model.training)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    after = result.report["after"]
    assert done.stdout.split() == [
        str(after["test_accuracy"]), str(after["held_out_accuracy"]),
        str(after["macs"]), str(after["params"]), "False",
    ]  # fmt: skip


def test_no_file_of_a_run_is_a_pickle(
    finished: tuple[Result, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("something was unpickled")

    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "loads", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    load(finished[1])


@pytest.mark.slow
def test_the_same_seed_gives_the_same_result_twice(finished: tuple[Result, Path]) -> None:
    def untimed(result: Result) -> dict[str, Any]:
        found = json.loads(json.dumps(result.summary()))
        found.pop("seconds")
        for part in ("before", "after"):
            for key in LATENCY:
                found[part].pop(key)
        for table in found["tables"]:
            table["rows"] = [r for r in table["rows"] if not r[0].startswith(("latency", "80 %"))]
        return dict(found)

    again = minimize(ChannelPruning(**QUICK), budget=25, seed=3, algorithm="pso", workers=0)
    assert untimed(again) == untimed(finished[0])


@pytest.mark.slow
def test_finishing_again_gives_the_same_files(
    finished: tuple[Result, Path], tmp_path: Path
) -> None:
    result, folder = finished
    ChannelPruning(**QUICK).finish(result, tmp_path)
    for name in ("plan.json", "pruned.safetensors"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


@pytest.mark.slow
def test_a_winner_that_is_not_its_masked_twin_is_named_and_kept(
    finished: tuple[Result, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def check(*_: object) -> None:
        raise PruningError("the output differs")

    monkeypatch.setattr(PruningPlan, "check", check)
    problem = ChannelPruning(**{**QUICK, "finalists": 1, "finetune_epochs": 0})
    assert problem.finish(finished[0], tmp_path)["after"]
    assert "the output differs" in caplog.text
    assert (tmp_path / "plan.json").is_file()


def test_every_artefact_may_be_read_alike(finished: tuple[Result, Path]) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in finished[1].iterdir()}
    assert modes["pruned.safetensors"] == modes["plan.json"] == modes["result.json"]
    size = (finished[1] / "pruned.safetensors").stat().st_size
    assert finished[0].report["after"]["bytes"] == size


def test_a_folder_without_a_network_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PruningError, match=r"plan\.json is missing"):
        load(tmp_path)


def test_public_names_are_there() -> None:
    for name in swarmopt_pruning.__all__:
        assert getattr(swarmopt_pruning, name) is not None
    assert set(swarmopt_pruning._ROOM_OF) == set(swarmopt_pruning.__all__)


@pytest.mark.slow
def test_the_default_job_halves_the_network_and_keeps_its_accuracy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    assert call(["run", "--problem", "channel-prune", "--seed", "1", "--out", out]) == 0
    printed = capsys.readouterr().out
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    before, after = result["before"], result["after"]
    assert result["algorithm"] == "ssa"
    assert after["macs"] <= before["macs"] / 2
    assert after["test_accuracy"] >= before["test_accuracy"] - 0.015
    for word in ("test accuracy", "held-out accuracy", "MACs", "parameters", "channels", "latency",
                 "file size", "change"):  # fmt: skip
        assert word in printed
