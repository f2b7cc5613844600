"""What becomes of the winner: its fine-tuning is kept where it was of use."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from swarmopt_pruning import ChannelPruning, load_data, winner
from swarmopt_pruning.train import Recipe


def ruined(model: nn.Module, *_: Any, **__: Any) -> None:
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.zero_()


def unchanged(model: nn.Module, *_: Any, **__: Any) -> None:
    model.eval()


@pytest.mark.slow
@pytest.mark.parametrize("training", [ruined, unchanged])
def test_fine_tuning_that_does_harm_is_taken_back_and_said(
    training: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    problem = ChannelPruning(model="digits-cnn", epochs=6)
    data, scorer = load_data("digits"), problem.scorer
    counts = problem.constraints.counts(np.zeros((1, len(problem.space))))[0] + 4
    monkeypatch.setattr(winner, "train", training)
    small = winner.fine_tuned(
        scorer, counts, data.train, data.held_out, Recipe(epochs=1, rate=0.5), seed=0, folder=None
    )
    x = data.held_out.x[:50]
    torch.testing.assert_close(small(x), scorer.inherit(counts)(x))
    said = [r.getMessage() for r in caplog.records if "made the network worse" in r.getMessage()]
    assert len(said) == (training is ruined)
    assert all("finetune_rate=0.05" in text for text in said)
