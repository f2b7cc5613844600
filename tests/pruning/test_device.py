"""Where networks run, and what happens when memory runs out."""

import numpy as np
import pytest
import torch
from torch.func import functional_call

from swarmopt_pruning import ChannelPruning, PruningError
from swarmopt_pruning import score as scoring
from swarmopt_pruning.device import device_of, smaller_until_it_fits


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


def test_a_batch_is_halved_until_it_fits(caplog: pytest.LogCaptureFixture) -> None:
    def work(batch: int) -> int:
        if batch > 30:
            raise torch.OutOfMemoryError("too much")
        return 10 * batch

    assert smaller_until_it_fits(work, 100) == (250, 25)
    assert [r.message for r in caplog.records] == [
        "out of memory with 100 images at a time; going on with half",
        "out of memory with 50 images at a time; going on with half",
    ]

    def never(_: int) -> int:
        raise torch.OutOfMemoryError("none left")

    with pytest.raises(PruningError, match=r"one image at a time is too much.*none left"):
        smaller_until_it_fits(never, 4)


def test_a_score_that_runs_out_of_memory_is_the_same_and_that_is_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    problem = ChannelPruning(model="digits-cnn", epochs=1, force=True)
    counts = problem.constraints.counts(problem.constraints.whole[None])[0]
    expected = problem.scorer.score(counts)
    call, images = functional_call, problem.scorer.images

    def tight(module: object, tensors: object, args: tuple[torch.Tensor], **more: object) -> object:
        if torch.is_inference_mode_enabled() and len(args[0]) > len(images) // 3:
            raise torch.OutOfMemoryError("too much")
        return call(module, tensors, args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(scoring, "functional_call", tight)
    caplog.clear()
    for _ in range(2):
        found = problem.scorer.score(counts)
        assert (found.right, found.seen) == (expected.right, expected.seen)
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-5)
    said = [r.message for r in caplog.records if "out of memory" in r.message]
    assert len(said) == len(set(said)) == 3  # 250, 125 and 62 of 180
