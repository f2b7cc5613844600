"""Where networks run."""

import pytest
import torch

from swarmopt_pruning import ChannelPruning, PruningError
from swarmopt_pruning.device import device_of


def test_a_device_that_is_not_there_is_refused_with_those_that_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("cuda", "cuda:1", "tpu", "cpu:x", ""):
        with pytest.raises(PruningError, match=r"not here; expected auto, or one of cpu"):
            device_of(name)
    with pytest.raises(PruningError, match="device=cuda: not here"):
        ChannelPruning(model="digits-cnn", device="cuda")


def test_a_graphics_card_is_taken_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto").type == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of("auto").type == "cuda"
    assert device_of("cuda:1") == torch.device("cuda", 1)
