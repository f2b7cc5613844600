"""Originals: trained once, and the same bits from the cache."""

import logging
from pathlib import Path

import pytest
import torch

from swarmopt_pruning import Recipe, count_macs, count_params, load_data, subset
from swarmopt_pruning.models import build
from swarmopt_pruning.original import make_original, trained
from swarmopt_pruning.places import cache_folder
from swarmopt_pruning.train import pinned


def test_a_trained_and_a_cached_original_answer_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = subset(load_data("digits"), train=200)
    answers = []
    with pinned(1):
        for _ in range(2):
            name, model = make_original("digits-resnet", data)
            model = trained(name, model, data, Recipe(epochs=2, flip=True))
            with torch.no_grad():
                answers.append(model(data.held_out.x))
    assert torch.equal(*answers)
    said = [r.message for r in caplog.records if "training the original" in r.message]
    assert said == [
        "training the original digits-resnet first: 2 epochs on 200 images; progress follows"
    ]
    assert [p.suffix for p in sorted(cache_folder().iterdir())] == [".lock", ".safetensors"]


def test_a_damaged_original_in_the_cache_is_said_once_and_trained_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    data = subset(load_data("digits"), train=200)
    with pinned(1):
        for _ in range(2):
            name, model = make_original("digits-cnn", data)
            trained(name, model, data, Recipe(epochs=1))
            (file,) = cache_folder().glob("*.safetensors")
            whole = file.read_bytes()
            file.write_bytes(b"junk")
    assert len(whole) > 1000
    assert [r.message.endswith("; it is trained again") for r in caplog.records] == [True]


@pytest.mark.parametrize(
    ("name", "macs", "params"),
    [
        ("resnet20-s2", 8_466_112, 269_434),
        ("vgg9-bn", 19_081_536, 329_362),
        ("mobilenet-v2-s2", 4_426_400, 358_890),
    ],
)
def test_the_networks_of_the_benchmark_are_small(name: str, macs: int, params: int) -> None:
    model = build(name, in_channels=1).eval()
    found = count_macs(model, (torch.zeros(2, 1, 28, 28),))
    assert found < 40e6
    assert count_params(model) < 500_000
    assert sum(t.nbytes for t in model.state_dict().values()) < 2_000_000
    assert (found, count_params(model)) == (macs, params)
