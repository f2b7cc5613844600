"""Networks, weights and data of the user's own, and settings that are wrong."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from swarmopt import SettingError, minimize
from swarmopt.cli import call
from swarmopt.settings import build as build_problem
from swarmopt_pruning import (
    ChannelPruning,
    NotExportable,
    PruningError,
    UnknownName,
    accuracy,
    build,
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

made = plain()

class Fails(nn.Module):
    def forward(self, x):
        raise KeyError("oops")

def fails():
    return Fails()

def broken():
    network = plain()
    with torch.no_grad():
        network[0].weight.fill_(float("nan"))
    return network
"""


SMALL = "own_model:plain"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "own_model.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_model", raising=False)
    return tmp_path


@pytest.mark.slow
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
                 "--set", "finalists=2",
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
            r"finetune_rate: expected above 0, at most 10\.0",
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
        ({"weights": "."}, PruningError, r"weights=\.: expected a safetensors file, got a folder"),
        ({"model": "own_model:made"}, SettingError, "expected a function, got a network, Seq"),
        ({"model": "own_model"}, UnknownName, "own is given as package.module:function"),
        (
            {"model": "own_model:fails"},
            PruningError,
            r"own_model:fails raised KeyError: 'oops', for 2 images .* \(own_model.py, line \d+\)",
        ),
    ],
)
def test_wrong_settings_are_named(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        build_problem(ChannelPruning, {"model": SMALL, **settings}, "problem channel-prune")


@pytest.mark.usefixtures("module")
def test_an_original_that_answers_with_nan_is_refused_before_the_search() -> None:
    problem = ChannelPruning(model="own_model:broken")
    told = "answers with NaN or inf for 360 of the 360 held-out images: look at its weights"
    with pytest.raises(PruningError, match=told):
        minimize(problem, budget=10, workers=0)


def test_an_original_that_guesses_is_named(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(PruningError, match=r"seems not to be trained.*--set force=true"):
        ChannelPruning(model="own_model:plain").prepare()
    ChannelPruning(model="own_model:plain", force=True).prepare()
    assert "seems not to be trained" in caplog.text


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
