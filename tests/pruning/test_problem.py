"""The pruning problem, from settings to a smaller network on disk."""

import json
import math
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import swarmopt_pruning
from swarmopt import Result, Seeds, SettingError, minimize
from swarmopt.cli import call
from swarmopt.settings import build as build_problem
from swarmopt_pruning import (
    ChannelPruning,
    NotExportable,
    PruningError,
    PruningPlan,
    UnknownName,
    accuracy,
    build,
    count_macs,
    count_params,
    load,
    load_data,
)
from swarmopt_pruning.models import MODELS

MODULE = """
import torch
from torch import nn
from swarmopt_pruning import build

def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10),
    )

class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 8)
    def forward(self, x):
        if x.sum() > 0:
            return self.conv(x).flatten(1)
        return -self.conv(x).flatten(1)

def branching():
    return Branching()

def few_classes():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(144, 3))

def wrong_input():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(144, 10))

def nothing():
    return "a network"

def plain():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.Flatten(), nn.Linear(96, 10)
    )

def broken():
    network = plain()
    with torch.no_grad():
        network[0].weight.fill_(float("nan"))
    return network
"""
LATENCY = (
    "latency_ms", "latency_low_ms", "latency_high_ms", "latency_batch", "latency_threads",
)  # fmt: skip
SMALL = "own_model:plain"
QUICK: dict[str, Any] = {"model": "digits-cnn", "epochs": 6, "finetune_epochs": 4}


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_model.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_model", raising=False)
    return tmp_path


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
    assert found["after"]["test_error"] == pytest.approx((p * (1 - p) / n) ** 0.5)
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


def test_the_same_seed_gives_the_same_result_twice(finished: tuple[Result, Path]) -> None:
    def untimed(result: Result) -> dict[str, Any]:
        found = json.loads(json.dumps(result.summary()))
        found.pop("seconds")
        for part in ("before", "after"):
            for key in LATENCY:
                found[part].pop(key)
        return dict(found)

    again = minimize(ChannelPruning(**QUICK), budget=25, seed=3, algorithm="pso", workers=0)
    assert untimed(again) == untimed(finished[0])


def test_finishing_again_gives_the_same_files(
    finished: tuple[Result, Path], tmp_path: Path
) -> None:
    result, folder = finished
    ChannelPruning(**QUICK).finish(result, tmp_path)
    for name in ("plan.json", "pruned.safetensors"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()


def test_the_test_images_do_not_touch_the_search() -> None:
    class Locked:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("the test images were looked at during the search")

    problem = ChannelPruning(**QUICK)
    object.__setattr__(problem._data, "test", Locked())
    problem.prepare()
    unit = np.random.default_rng(0).random((4, len(problem.space)))
    x = problem.canonical(problem.space.decode(unit))
    assert np.isfinite(problem.evaluate(x, Seeds(0, range(4)), np.inf).cost).all()


def test_the_cost_is_the_error_plus_the_penalised_share_of_macs() -> None:
    problem = ChannelPruning(**QUICK, penalty=0.3)
    x = problem.canonical(problem.space.decode(np.full((1, len(problem.space)), 0.4)))
    evaluation = problem.evaluate(x, Seeds(0, range(1)), np.inf)
    counts = problem.constraints.counts(x)[0]
    small = problem.scorer.inherit(counts)
    share = int(problem.graph.macs(counts[None])[0]) / int(
        problem.graph.macs(problem.graph.widths[None])[0]
    )
    held_out = load_data("digits").held_out
    error = 1 - accuracy(small, held_out[: len(held_out) // 2])
    assert evaluation.cost[0] == pytest.approx(error + 0.3 * share)
    assert evaluation.info[0]["macs_share"] == pytest.approx(share)


def test_every_candidate_is_repaired_to_the_budget_before_it_is_scored() -> None:
    for target in (0.5, 0.25, 20_000.0):
        problem = ChannelPruning(**QUICK, target_macs=target)
        whole = int(problem.graph.macs(problem.graph.widths[None])[0])
        limit = target * whole if target <= 1 else target
        x = problem.space.decode(np.random.default_rng(0).random((200, len(problem.space))))
        counts = problem.constraints.counts(problem.canonical(x))
        assert (problem.graph.macs(counts) <= limit).all()
        assert (problem.graph.macs(problem.constraints.counts(x)) > limit).any()


def test_a_trained_original_is_cached_and_a_damaged_cache_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = {**QUICK, "epochs": 1, "force": True}
    one = ChannelPruning(**settings)
    one.prepare()
    [path] = (tmp_path / "swarmopt").glob("digits-cnn-*.safetensors")
    weights = path.read_bytes()
    path.write_bytes(weights[: len(weights) // 2])
    other = ChannelPruning(**settings)
    other.prepare()
    assert path.read_bytes() == weights
    for a, b in zip(one._model.parameters(), other._model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_model_weights_and_data_of_the_users_own(
    module: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (module / "own_digits.py").write_text(
        "from swarmopt_pruning.data import digits\ndef images():\n    return digits()\n"
    )
    import own_model  # type: ignore[import-not-found] # written by the fixture

    network = own_model.network()
    save_file(
        {n: t.contiguous() for n, t in network.state_dict().items()}, module / "w.safetensors"
    )
    arguments = ["run", "--problem", "channel-prune", "--budget", "12", "--out", "a", "--seed", "0",
                 "--workers", "0",
                 "--set", "model=own_model:network", "--set", "weights=w.safetensors",
                 "--set", "data=own_digits:images", "--set", "finetune_epochs=1",
                 "--set", "force=true"]  # fmt: skip
    assert call(arguments) == 0
    printed = capsys.readouterr()
    assert "test accuracy" in printed.out
    assert "MACs" in printed.out
    with pytest.raises(PruningError, match=r"load\(folder, model=network\(\)\)"):
        load(module / "a")
    small = load(module / "a", own_model.network())
    result = json.loads((module / "a" / "result.json").read_text())
    assert accuracy(small, load_data("digits").test) == result["after"]["test_accuracy"]
    other = build("digits-cnn")
    with pytest.raises(PruningError, match="plan"):
        load(module / "a", other)


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"model": "digits-resnett"}, UnknownName, "did you mean 'digits-resnet'"),
        ({"data": "digit"}, UnknownName, "did you mean 'digits'"),
        ({"importance": "l3"}, UnknownName, "did you mean 'l"),
        ({"target_macs": 0}, PruningError, "target_macs: expected more than 0"),
        ({"target_macs": 0.0001}, PruningError, "even the smallest candidate needs"),
        ({"target_params": 5}, PruningError, "target_params: even the smallest candidate needs"),
        ({"target_params": -1}, PruningError, "target_params: expected more than 0"),
        ({"codes": "stages"}, UnknownName, "did you mean 'stage'"),
        ({"tie": ["layer9"]}, UnknownName, "layer9"),
        ({"allowed": {"0": [99]}}, PruningError, "'0' the counts"),
        ({"penalty": -1}, PruningError, "penalty: expected at least 0"),
        ({"distill": 2}, PruningError, "distill"),
        ({"threads": 0}, PruningError, "threads"),
        ({"threads": 10**6}, PruningError, "threads"),
        ({"target_macs": math.inf}, PruningError, "target_macs"),
        ({"step": 1e-8}, PruningError, "step: expected a share of the width in"),
        ({"model": "own_model:plain", "importance": "bn-scale"}, PruningError, "'bn-scale'"),
        ({"epochs": -1}, PruningError, "epochs"),
        ({"finetune_rate": 0}, PruningError, "finetune_rate"),
        (
            {"finetune_rate": 1e9},
            PruningError,
            r"finetune_rate: expected 0 to 10\.0",
        ),
        ({"model": "own_model:branching"}, NotExportable, "own_model.py"),
        ({"model": "own_model:few_classes"}, PruningError, r"returns \(2, 3\) for 2 images"),
        (
            {"model": "own_model:wrong_input"},
            PruningError,
            r"images of shape \(1, 8, 8\)",
        ),
        ({"model": "own_model:nothing"}, PruningError, "expected a torch.nn.Module"),
        ({"model": "own_model:nothin"}, SettingError, "did you mean 'nothing'"),
        ({"weights": "none.safetensors"}, PruningError, "not a readable safetensors file"),
        ({"weights": "own_model.py"}, PruningError, "not a readable safetensors file"),
    ],
)
def test_wrong_settings_are_named(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_problem(ChannelPruning, {"model": SMALL, **settings}, "problem channel-prune")


def test_parameters_have_a_budget_of_their_own_and_codes_are_shared() -> None:
    problem = ChannelPruning(
        **QUICK,
        target_macs=0.9,
        target_params=0.3,
        tie=["conv[12]"],
        allowed={"conv3": [8, 16, 24]},
    )
    assert problem.space.names == ("conv[12]", "conv3")
    x = problem.canonical(problem.space.decode(np.ones((1, 2))))
    counts = problem.constraints.counts(x)
    whole = problem.graph.widths[None]
    assert problem.graph.params(counts) <= 0.3 * problem.graph.params(whole)
    assert counts[0, 0] / 16 == pytest.approx(counts[0, 1] / 32, abs=0.05)
    assert counts[0, 2] in (8, 16, 24)


def test_one_code_a_stage_leaves_few_variables() -> None:
    problem = ChannelPruning(model="digits-resnet", codes="stage")
    assert problem.space.names == ("stem", "layer1.0.conv1", "layer2", "layer3")


def test_taylor_importance_is_taken_from_training_images() -> None:
    problem = ChannelPruning(**QUICK, importance="taylor")
    scores = problem.scorer.channel_scores
    assert set(scores) == set(problem.graph.names)
    assert all((found >= 0).all() and found.any() for found in scores.values())
    assert not np.allclose(scores["conv2"], problem.graph.scores("l1")["conv2"])


@pytest.mark.usefixtures("module")
def test_an_original_that_answers_with_nan_is_refused_before_the_search() -> None:
    problem = ChannelPruning(model="own_model:broken")
    with pytest.raises(PruningError, match="answers with NaN or inf: look at its weights"):
        minimize(problem, budget=10, workers=0)


@pytest.mark.usefixtures("module")
def test_a_winner_that_is_not_its_masked_twin_is_named_and_kept(
    finished: tuple[Result, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def check(*_: object) -> None:
        raise PruningError("the output differs")

    monkeypatch.setattr(PruningPlan, "check", check)
    problem = ChannelPruning(**{**QUICK, "finetune_epochs": 0})
    assert problem.finish(finished[0], tmp_path)["after"]
    assert "the output differs" in caplog.text
    assert (tmp_path / "plan.json").is_file()


def test_an_original_that_guesses_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(PruningError, match=r"seems not to be trained.*--set force=true"):
        ChannelPruning(model="own_model:plain").prepare()
    ChannelPruning(model="own_model:plain", force=True).prepare()
    assert "seems not to be trained" in caplog.text


def test_every_artefact_may_be_read_alike(finished: tuple[Result, Path]) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in finished[1].iterdir()}
    assert modes["pruned.safetensors"] == modes["plan.json"] == modes["result.json"]
    size = (finished[1] / "pruned.safetensors").stat().st_size
    assert finished[0].report["after"]["bytes"] == size


def test_weights_that_do_not_fit_say_what_differs(tmp_path: Path) -> None:
    tensors = {n: t.contiguous() for n, t in build("digits-cnn").state_dict().items()}
    missing = {n: t for n, t in tensors.items() if n != "conv2.weight"}
    wider = {**tensors, "fc.weight": torch.zeros(11, 32)}
    more = {**tensors, "extra": torch.zeros(1)}
    for found, message in (
        (missing, "conv2.weight is missing"),
        (wider, r"fc.weight has shape \(11, 32\), the model's is \(10, 32\)"),
        (more, "extra is not in the model"),
    ):
        save_file(found, tmp_path / "w.safetensors")
        with pytest.raises(PruningError, match=message):
            ChannelPruning(model="digits-cnn", weights=str(tmp_path / "w.safetensors"))


def test_a_folder_without_a_network_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PruningError, match=r"plan\.json is missing"):
        load(tmp_path)


def test_public_names_are_there() -> None:
    for name in swarmopt_pruning.__all__:
        assert getattr(swarmopt_pruning, name) is not None
    assert set(swarmopt_pruning._ROOM_OF) == set(swarmopt_pruning.__all__)


class Flat(nn.Module):
    """A network without a hidden layer."""

    def __init__(self, *, in_channels: int = 1, n_classes: int = 10) -> None:
        super().__init__()
        self.fc = nn.Linear(64 * in_channels, n_classes)

    def forward(self, x: torch.Tensor) -> Any:
        return self.fc(x.flatten(1))


def test_a_network_without_channels_to_cut_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "flat", Flat)
    with pytest.raises(PruningError, match="no channels that can be pruned"):
        ChannelPruning(model="flat")


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
                 "file size", "removed"):  # fmt: skip
        assert word in printed
