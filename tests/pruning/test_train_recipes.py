"""Recipes: augmentation, bfloat16, layout, progress, and a training that diverges."""

import io
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from swarmopt_pruning import Images, PruningError, Recipe, accuracy, build, checkpoint, progress
from swarmopt_pruning.augment import mirrored, shifted
from swarmopt_pruning.checkpoint import Checkpoint, TrainingState, state_of
from swarmopt_pruning.layout import channels_last, sound
from swarmopt_pruning.train import _first_state, seeded, train

PER_EPOCH = 3
BATCH = 16
RECIPE = Recipe(epochs=4, batch=BATCH)


def blobs(n: int = BATCH * PER_EPOCH) -> Images:
    """Two classes that differ in brightness."""
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 2
    x = torch.randn(n, 1, 6, 6, generator=rng) * 0.5 + y[:, None, None, None]
    return Images(x, y)


class Spoilt(torch.autograd.Function):
    """Its input as it is, and no gradient that is finite."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0] * torch.inf


class Net(nn.Module):
    """Fails as it is told after so many batches; what was counted is part of the state."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(64, 2)
        self.register_buffer("calls", torch.zeros(()), persistent=False)
        self.fails_at = 10**9
        self.fails_backward = False

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.conv(x)).relu().flatten(1)
        out: Tensor = self.fc(nn.functional.dropout(h, 0.2, self.training))
        if not self.training:
            return out
        self.calls = self.calls + 1
        if self.calls != self.fails_at:
            return out
        if self.fails_backward:  # the loss stays finite, the weights do not
            return Spoilt.apply(out)  # type: ignore[no-any-return, no-untyped-call] # torch's own lack
        return out * torch.nan


def network(fails_at: int = 10**9, *, backward: bool = False) -> Net:
    with seeded(0):
        made = Net()
    made.fails_at, made.fails_backward = fails_at, backward
    return made


def tensors(model: nn.Module) -> dict[str, Tensor]:
    return {n: t.clone() for n, t in state_of(model).items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Give a switch: trainings keep each step, and end by Ctrl-C after so many."""
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 0)
    keep = Checkpoint.keep

    def switch(steps: int | None) -> None:
        def kept(self: Checkpoint, state: TrainingState, *, epoch_ended: bool) -> None:
            keep(self, state, epoch_ended=epoch_ended)
            if state.step == steps:
                raise KeyboardInterrupt

        monkeypatch.setattr(Checkpoint, "keep", kept)

    return switch


def test_every_image_is_moved_by_a_number_of_pixels_of_its_own() -> None:
    x = torch.rand(400, 2, 5, 7)
    moved = shifted(x, 2)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (2, 2), (2, 2)), mode="edge")
    seen = set()
    for i, image in enumerate(moved.numpy()):
        places = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if np.array_equal(image, padded[i, :, down : down + 5, right : right + 7])
        ]
        assert len(places) == 1
        seen |= set(places)
    assert len(seen) == 25
    assert shifted(x, 0) is x
    assert shifted(x[:, 0, 0], 2).shape == (400, 7)


def test_a_random_half_of_the_images_is_mirrored() -> None:
    x = torch.rand(400, 2, 5, 7)
    found = mirrored(x)
    flipped = [torch.equal(a, b.flip(2)) for a, b in zip(found, x, strict=True)]
    stayed = [torch.equal(a, b) for a, b in zip(found, x, strict=True)]
    assert all(a != b for a, b in zip(flipped, stayed, strict=True))
    assert 150 < sum(flipped) < 250
    assert mirrored(x[:, 0, 0]).shape == (400, 7)


@pytest.mark.parametrize("recipe", [Recipe(3, flip=True), Recipe(3, shift=0), Recipe(3, shift=2)])
def test_augmented_training_learns_and_is_repeated(recipe: Recipe) -> None:
    one, other = network(), network()
    for model in (one, other):
        train(model, blobs(240), recipe, seed=1)
    assert accuracy(one, blobs(240)) > 0.95
    assert same(tensors(one), tensors(other))


@pytest.mark.filterwarnings("ignore:.*bf16.*")
def test_bfloat16_learns_with_float32_weights_and_other_bits() -> None:
    one, other, plain = network(), network(), network()
    for model in (one, other):
        train(model, blobs(240), Recipe(epochs=4, bf16=True), seed=1, teacher=network())
    train(plain, blobs(240), Recipe(epochs=4), seed=1, teacher=network())
    assert accuracy(one, blobs(240)) > 0.95
    assert {p.dtype for p in one.parameters()} == {torch.float32}
    assert same(tensors(one), tensors(other))
    assert not same(tensors(one), tensors(plain))


def test_a_slow_bfloat16_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for capability, n in (("AVX512", 0), ("AVX2", 1)):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda c=capability: c)
        train(network(), blobs(), Recipe(epochs=1, bf16=True), seed=1)
        assert len([r for r in caplog.records if "only emulates it" in r.message]) == n


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [Recipe(3, batch=BATCH, bf16=True, distill=0.5, flip=True)])
def test_it_goes_on_bit_by_bit_in_bfloat16_too(
    tmp_path: Path, stop_after: Callable[[int | None], None], recipe: Recipe
) -> None:
    stop_after(None)
    whole = network()
    train(whole, blobs(), recipe, seed=3, teacher=network())
    for steps in range(1, 3 * PER_EPOCH + 1):
        file = tmp_path / f"{steps}.safetensors"
        stop_after(steps)
        with pytest.raises(KeyboardInterrupt):
            train(network(), blobs(), recipe, seed=3, teacher=network(), checkpoint=file)
        stop_after(None)
        resumed = network()
        train(resumed, blobs(), recipe, seed=3, teacher=network(), checkpoint=file)
        assert same(tensors(resumed), tensors(whole))


@pytest.mark.parametrize("n", [2, 3, 7])
def test_fewer_images_than_a_batch_are_one_batch(n: int) -> None:
    small, exact = network(), network()
    train(small, blobs(n), Recipe(epochs=3, batch=64), seed=1)
    train(exact, blobs(n), Recipe(epochs=3, batch=n), seed=1)
    assert same(tensors(small), tensors(exact))
    assert small.calls == 3
    assert not same(tensors(small), tensors(network()))


def test_the_momentum_is_that_of_the_recipe_at_every_step() -> None:
    state = _first_state(network(), 8, Recipe(epochs=2, momentum=0.7), 20)
    seen = set()
    for _ in range(20):
        seen.add(state.optimizer.param_groups[0]["momentum"])
        state.optimizer.step()
        state.schedule.step()
    assert seen == {0.7}


def at_the_end_of_epoch(n: int, stop_after: Any, folder: Path) -> dict[str, Tensor]:
    """Return the state of a training without faults, stopped there."""
    model = network()
    stop_after(n * PER_EPOCH)
    with pytest.raises(KeyboardInterrupt):
        train(model, blobs(), RECIPE, seed=2, checkpoint=folder / "stopped.safetensors")
    stop_after(None)
    return tensors(model)


@pytest.mark.parametrize(
    ("fault", "kept", "said"),
    [
        ((PER_EPOCH + 1, False), 1, "in epoch 2: the loss is nan"),
        ((3 * PER_EPOCH, False), 2, "in epoch 3: the loss is nan"),
        ((2 * PER_EPOCH + 1, True), 2, "in epoch 3: the loss is nan"),  # one step later
        ((3 * PER_EPOCH, True), 2, "in epoch 3: the weights are not finite"),
        ((4 * PER_EPOCH, True), 3, "in epoch 4: the weights are not finite"),
    ],
)
def test_the_last_good_epoch_is_kept_of_a_training_that_diverges(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    fault: tuple[int, bool],
    kept: int,
    said: str,
) -> None:
    stop_after, caplog = map(request.getfixturevalue, ("stop_after", "caplog"))
    expected = at_the_end_of_epoch(kept, stop_after, tmp_path)
    model = network(fault[0], backward=fault[1])
    caplog.clear()
    train(model, blobs(), RECIPE, seed=2)
    assert same(tensors(model), expected)
    assert not model.training
    (warning,) = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert said in warning
    assert "lower the learning rate (now 0.1)" in warning


@pytest.mark.parametrize("stop", [PER_EPOCH, PER_EPOCH + 1, 2 * PER_EPOCH + 1])
def test_a_resumed_training_that_diverges_keeps_the_same_bits(
    tmp_path: Path, stop_after: Callable[[int | None], None], stop: int
) -> None:
    expected = at_the_end_of_epoch(2, stop_after, tmp_path)
    file = tmp_path / "c.safetensors"
    stop_after(stop)
    with pytest.raises(KeyboardInterrupt):
        train(network(3 * PER_EPOCH), blobs(), RECIPE, seed=2, checkpoint=file)
    stop_after(None)
    model = network(3 * PER_EPOCH)
    train(model, blobs(), RECIPE, seed=2, checkpoint=file)
    assert same(tensors(model), expected)


@pytest.mark.parametrize(("step", "backward"), [(1, False), (PER_EPOCH, False), (PER_EPOCH, True)])
def test_one_that_diverges_before_any_good_epoch_is_an_error(step: int, backward: bool) -> None:
    with pytest.raises(PruningError, match=r"training diverged: the .*; lower the learning rate"):
        train(network(step, backward=backward), blobs(), RECIPE, seed=2)


def test_the_layout_of_weights_is_as_before_whatever_happens() -> None:
    model = network()
    model.conv.weight.data = torch.rand(4, 2, 3, 3).contiguous()
    lines = nn.Conv1d(1, 2, 3)
    kept = nn.Conv2d(2, 4, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's own lack
    parameter = model.conv.weight

    def learn(*, fail: bool) -> None:
        with channels_last(torch.rand(2, 2, 6, 6), model, None, lines, kept):
            assert model.conv.weight is parameter
            assert parameter.is_contiguous(memory_format=torch.channels_last)
            assert not parameter.is_contiguous()
            if fail:
                raise KeyboardInterrupt

    learn(fail=False)
    assert parameter.is_contiguous()
    with pytest.raises(KeyboardInterrupt):
        learn(fail=True)
    assert parameter.is_contiguous()
    assert kept.weight.is_contiguous(memory_format=torch.channels_last)
    assert not kept.weight.is_contiguous()
    with channels_last(torch.rand(2, 7), model):
        assert parameter.is_contiguous()


@pytest.fixture
def every_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    monkeypatch.setattr(progress, "LINE_EVERY", 0.0)
    with caplog.at_level(logging.INFO, "swarmopt_pruning"):
        yield


@pytest.mark.usefixtures("every_line")
def test_each_epoch_is_a_line_and_looking_at_held_out_images_changes_no_bit(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    looked, blind = network(), network()
    train(looked, blobs(), RECIPE, seed=1, held_out=blobs(20))
    lines = [r.message for r in caplog.records]
    assert [line.split(":")[0] for line in lines] == [f"epoch {i} of 4" for i in (1, 2, 3, 4)]
    assert all(" s left" in line and "held-out accuracy " in line for line in lines)
    assert f"held-out accuracy {accuracy(looked, blobs(20)):.2%}" in lines[-1]
    train(blind, blobs(), RECIPE, seed=1)
    assert same(tensors(looked), tensors(blind))
    assert "held-out" not in caplog.records[-1].message
    assert capsys.readouterr() == ("", "")


def test_a_quick_training_says_one_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "swarmopt_pruning"):
        train(network(), blobs(), RECIPE, seed=1)
    assert [r.message.split(":")[0] for r in caplog.records] == ["epoch 4 of 4"]


@pytest.mark.parametrize("level", [logging.INFO, logging.WARNING])
def test_a_terminal_gets_a_bar_unless_it_is_to_be_quiet(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, level: int
) -> None:
    shown = io.StringIO()
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(
        progress, "console", lambda stderr: Console(file=shown, force_terminal=True, width=100)
    )
    with caplog.at_level(level, "swarmopt_pruning"):
        train(network(), blobs(), RECIPE, seed=1)
    assert ("training" in shown.getvalue()) == (level == logging.INFO)
    assert not caplog.records


def test_a_network_whose_narrow_strided_convolutions_crash_onednn_is_trained_as_it_lies() -> None:
    wide, narrow, plain = (
        nn.Sequential(nn.Conv2d(n, 8, k, stride=s))
        for n, k, s in ((16, 1, 2), (5, 1, 2), (5, 1, 1))
    )
    assert sound(wide)
    assert sound(plain)
    assert not sound(narrow)
    assert not sound(build("digits-resnet"))
    assert sound(build("resnet20-s2"))

    layouts = []

    class Watched(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 1, stride=2)

        def forward(self, x: Tensor) -> Tensor:
            layouts.append(x.is_contiguous(memory_format=torch.channels_last))
            found: Tensor = self.conv(x).mean((2, 3))
            return found

    images = Images(torch.randn(8, 3, 4, 4), torch.arange(8) % 4)
    train(Watched(), images, Recipe(epochs=1, batch=8), seed=0)
    assert layouts == [False]
