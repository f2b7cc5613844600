"""What becomes of the winner: its fine-tuning is kept where it was of use."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from swarmopt_pruning import ChannelPruning, load_data, winner
from swarmopt_pruning.train import Recipe


def ruined(model: nn.Module, *_: Any, **__: Any) -> None:
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.zero_()


@pytest.mark.slow
@pytest.mark.parametrize("harm", [True, False])
def test_fine_tuning_that_does_harm_is_taken_back_and_said(
    harm: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    problem = ChannelPruning(model="digits-cnn", epochs=6)
    data, scorer = load_data("digits"), problem.scorer
    counts = problem.constraints.counts(np.zeros((1, len(problem.space))))[0] + 4

    def level(model: nn.Module, *_: Any, **__: Any) -> None:
        model.load_state_dict(scorer.refitted(counts).state_dict())

    monkeypatch.setattr(winner, "train", ruined if harm else level)
    small = winner.fine_tuned(
        scorer, counts, data.train, data.held_out, Recipe(epochs=1, rate=0.5), seed=0, folder=None
    )
    x = data.held_out.x[:50]
    torch.testing.assert_close(small(x), scorer.refitted(counts)(x))
    said = [r.getMessage() for r in caplog.records if "made the network worse" in r.getMessage()]
    assert len(said) == harm
    assert all("finetune_rate=0.05" in text for text in said)


def test_a_fine_tuning_that_diverges_leaves_the_network_as_it_was_refitted(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    problem = ChannelPruning(model="digits-cnn", epochs=2)
    data, scorer = load_data("digits"), problem.scorer
    counts = problem.constraints.counts(np.zeros((1, len(problem.space))))[0] + 4
    recipe = Recipe(epochs=1, rate=10.0)
    broken = replace(data.train, x=data.train.x * 1e30)
    small = winner.fine_tuned(
        scorer, counts, broken, data.held_out, recipe, seed=0, folder=tmp_path
    )
    x = data.held_out.x[:50]
    torch.testing.assert_close(small(x), scorer.refitted(counts)(x))
    (said,) = [r.getMessage() for r in caplog.records if "diverged" in r.getMessage()]
    assert "it stays as it was refitted; a lower rate may do better: finetune_rate=1" in said


@pytest.mark.parametrize("epochs", [0, 1])
def test_training_begins_with_other_weights_than_are_scored(
    epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = ChannelPruning(model="digits-cnn", epochs=2)
    data, scorer = load_data("digits"), problem.scorer
    counts = problem.constraints.counts(np.zeros((1, len(problem.space))))[0] + 4
    begun: list[Tensor] = []
    x = data.held_out.x[:50]

    def heard(model: nn.Module, *_: Any, **__: Any) -> None:
        begun.append(model.eval()(x))

    monkeypatch.setattr(winner, "train", heard)
    small = winner.fine_tuned(
        scorer, counts, data.train, data.held_out, Recipe(epochs=epochs), seed=0, folder=None
    )
    assert len(begun) == epochs
    for answers in begun:
        torch.testing.assert_close(answers, scorer.inherit(counts)(x))
        assert not torch.allclose(answers, scorer.refitted(counts)(x))
    if not epochs:
        torch.testing.assert_close(small(x), scorer.refitted(counts)(x))
