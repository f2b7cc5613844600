"""A training goes on from its checkpoint, bit by bit, or begins anew."""

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor, nn

from swarmopt_pruning import Images, PruningPlan, Recipe, checkpoint
from swarmopt_pruning.checkpoint import ABOUT, Checkpoint, TrainingState, state_of
from swarmopt_pruning.files import part_of
from swarmopt_pruning.finalists import Finalist, Trial, halved
from swarmopt_pruning.front import Evaluated, write_front
from swarmopt_pruning.report import draw_channels
from swarmopt_pruning.tensors import tensor_digest, write_tensors
from swarmopt_pruning.train import _first_state, _key, pinned, seeded, train
from swarmopt_pruning.winner import ARTEFACTS

RECIPE = Recipe(epochs=3, batch=8, distill=0.5)
PER_EPOCH = 3  # the last of them has one image, which is not learnt
N_STEPS = 3 * PER_EPOCH


class Net(nn.Module):
    """Dropout draws, statistics run, one of them is not saved, and one weight is never used."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)
        self.norm = nn.BatchNorm2d(3)
        self.fc = nn.Linear(48, 2)
        self.unused = nn.Parameter(torch.ones(2))
        self.register_buffer("calls", torch.zeros(()), persistent=False)

    def forward(self, x: Tensor) -> Any:
        if self.training:
            self.calls = self.calls + 1
        scale = 1 + 0.01 * self.calls
        h = nn.functional.dropout(self.norm(self.conv(x)).relu(), 0.3, self.training)
        return self.fc(h.flatten(1)) * scale


def images() -> Images:
    rng = torch.Generator().manual_seed(0)
    return Images(torch.randn(17, 1, 6, 6, generator=rng), torch.arange(17) % 2)


def network(seed: int = 0) -> Net:
    with seeded(seed):
        return Net()


def learn(file: Path | None, recipe: Recipe = RECIPE, *, seed: int = 4) -> dict[str, Tensor]:
    """Train a network, and return what became of it."""
    model = network()
    train(model, images(), recipe, seed=seed, teacher=network(1), checkpoint=file)
    return {n: t.clone() for n, t in state_of(model).items()}


def begun() -> TrainingState:
    """Return the state of such a training that has not learnt anything yet."""
    return _first_state(network(), len(images()), RECIPE, N_STEPS)


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every step."""
    monkeypatch.setattr(checkpoint, "INTERVAL", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", 0)


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int | None], None]:
    """Give a switch: trainings end by Ctrl-C after so many steps were kept."""
    keep = Checkpoint.keep

    def switch(steps: int | None) -> None:
        def kept(self: Checkpoint, state: TrainingState, *, epoch_ended: bool) -> None:
            keep(self, state, epoch_ended=epoch_ended)
            if state.step == steps:
                raise KeyboardInterrupt

        monkeypatch.setattr(Checkpoint, "keep", kept)

    return switch


@pytest.fixture
def kept(tmp_path: Path, always: None, stop_after: Callable[[int | None], None]) -> Path:
    """Give the checkpoint of a training that was interrupted in its second epoch."""
    file = tmp_path / "c.safetensors"
    stop_after(PER_EPOCH + 2)
    with pytest.raises(KeyboardInterrupt):
        learn(file)
    stop_after(None)
    return file


@pytest.mark.usefixtures("always")
def test_a_training_stopped_after_any_step_ends_with_the_same_bits(
    tmp_path: Path, stop_after: Callable[[int | None], None]
) -> None:
    whole = learn(None)
    for step in range(1, N_STEPS + 1):
        file = tmp_path / f"{step}.safetensors"
        stop_after(step)
        with pytest.raises(KeyboardInterrupt):
            learn(file)
        stop_after(None)
        assert same(learn(file), whole), f"stopped after step {step}"


@pytest.mark.usefixtures("always")
def test_a_training_stopped_after_every_step_ends_with_the_same_bits(
    tmp_path: Path, stop_after: Callable[[int | None], None]
) -> None:
    for step in range(1, N_STEPS + 1):
        stop_after(step)
        with pytest.raises(KeyboardInterrupt):
            learn(tmp_path / "c.safetensors")
    stop_after(None)
    assert same(learn(tmp_path / "c.safetensors"), learn(None))


@pytest.mark.usefixtures("always")
def test_keeping_changes_nothing_and_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    assert same(learn(tmp_path / "c.safetensors"), learn(None))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_going_on_does_not_train_again_what_was_kept(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = []
    step = torch.optim.SGD.step

    def counted(self: torch.optim.SGD, *arguments: Any) -> Any:
        steps.append(1)
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.SGD, "step", counted)
    learn(kept)
    assert len(steps) == (3 * (PER_EPOCH - 1)) - (PER_EPOCH - 1 + 2)  # one of an epoch is skipped


@pytest.mark.slow
def test_a_file_torn_at_any_length_is_named_and_not_used(
    kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole, content = learn(None), kept.read_bytes()
    for size in (0, 1, 7, 8, 9, 100, *range(200, len(content), 997), len(content) - 1):
        kept.write_bytes(content[:size])
        caplog.clear()
        assert same(learn(kept), whole)
        warnings = [r for r in caplog.records if r.levelno == logging.WARNING]
        assert len(warnings) == 1
        assert "is not used, training starts anew" in warnings[0].getMessage()


@pytest.mark.slow
def test_no_flipped_bit_of_a_file_makes_another_state(kept: Path) -> None:
    content = kept.read_bytes()
    key, first = _key(network(), images(), RECIPE, 4, network(1)), begun()
    Checkpoint(kept, key).restore(right := begun(), N_STEPS)
    assert right.step == PER_EPOCH + 2
    rng = np.random.default_rng(0)
    header = 8 + int.from_bytes(content[:8], "little")
    believed = 0
    for place in [*rng.integers(header, size=150), *rng.integers(len(content), size=150)]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        kept.write_bytes(flipped)
        Checkpoint(kept, key).restore(state := begun(), N_STEPS)
        expected = right if state.step else first
        believed += state.step > 0
        assert state.step == expected.step
        assert same(state_of(state.model), state_of(expected.model))
        assert torch.equal(state.order, expected.order)
    assert believed < 30  # such as spaces at the end of the header


def test_a_checkpoint_of_another_training_is_named_and_not_used(
    kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = kept.read_bytes()

    def other_data(file: Path | None) -> dict[str, Tensor]:
        model, data = network(), Images(images().x * 0.5, images().y)
        train(model, data, RECIPE, seed=4, teacher=network(1), checkpoint=file)
        return state_of(model)

    def other_teacher(file: Path | None) -> dict[str, Tensor]:
        model = network()
        train(model, images(), RECIPE, seed=4, teacher=network(2), checkpoint=file)
        return state_of(model)

    def other_weights(file: Path | None) -> dict[str, Tensor]:
        model = network(3)
        train(model, images(), RECIPE, seed=4, teacher=network(1), checkpoint=file)
        return state_of(model)

    others: list[Callable[[Path | None], dict[str, Tensor]]] = [
        lambda file: learn(file, seed=5),
        lambda file: learn(file, Recipe(epochs=4, batch=8, distill=0.5)),
        lambda file: learn(file, Recipe(epochs=3, batch=8, distill=0.5, rate=0.02)),
        other_data,
        other_teacher,
        other_weights,
    ]
    for other in others:
        kept.write_bytes(content)
        caplog.clear()
        assert same(other(kept), other(None))
        assert caplog.text.count("it belongs to another training") == 1
    one = _key(network(), images(), RECIPE, 4, None)
    with pinned(2):
        assert _key(network(), images(), RECIPE, 4, None) != one


@pytest.mark.parametrize(
    "change", ["order", "generator", "missing", "more", "shape", "type", "step"]
)
def test_a_forged_file_with_a_right_digest_changes_nothing(
    kept: Path, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    with safe_open(kept, framework="pt") as file:
        about = json.loads(file.metadata()[ABOUT])
        tensors = {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118 - no dict
    step = about["step"]
    if change == "order":
        tensors["order"] = torch.full_like(tensors["order"], 99)
    elif change == "generator":
        tensors["generator"] = torch.zeros_like(tensors["generator"]) + 3
    elif change == "missing":
        del tensors["model.fc.bias"]
    elif change == "more":
        tensors["exp_avg.fc.bias"] = torch.zeros(2)
    elif change == "shape":
        tensors["momentum_buffer.fc.bias"] = torch.zeros(3)
    elif change == "type":
        tensors["momentum_buffer.fc.bias"] = torch.ones(2, dtype=torch.float64)
    else:
        step = N_STEPS + 1
    digest = tensor_digest(tensors, f"{about['key']} {step}")
    text = json.dumps({**about, "step": step, "digest": digest})
    write_tensors(kept, tensors, {ABOUT: text})
    assert same(learn(kept), learn(None))
    assert "is not used" in caplog.text


@pytest.mark.usefixtures("always")
def test_a_disk_that_is_full_is_said_once_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "write_tensors", full)
    assert same(learn(tmp_path / "c.safetensors"), learn(None))
    assert caplog.text.count("No space left on device") == 1
    assert not list(tmp_path.iterdir())


def test_an_interrupted_training_says_how_much_is_kept(
    kept: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = [r.getMessage() for r in caplog.get_records("setup")]
    assert said == [f"1.7 of 3 epochs are kept in {kept}; training goes on from there"]
    with caplog.at_level(logging.INFO):
        learn(kept)
    assert "goes on after 1.7 of them" in caplog.text


def test_a_state_is_kept_at_the_end_of_epochs_and_after_half_a_minute_but_rarely_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, took, written = [0.0], [0.0], []

    def write(*_: object) -> None:
        written.append(now[0])
        now[0] += took[0]

    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "write_tensors", write)
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.ConstantLR(optimizer)
    state = TrainingState(model, optimizer, schedule, torch.arange(3))
    file = Checkpoint(tmp_path / "c.safetensors", "key")

    def keep_at(second: float, *, ended: bool) -> bool:
        now[0], n = second, len(written)
        file.keep(state, epoch_ended=ended)
        return len(written) > n

    assert keep_at(1, ended=True)
    assert not keep_at(30, ended=False)
    assert keep_at(31, ended=False)
    took[0] = 2.0
    assert keep_at(32, ended=True)
    assert not keep_at(60, ended=True)  # writing has to stay under a twentieth of the time
    assert keep_at(74, ended=True)


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"x": torch.ones(2)})
    before = path.read_bytes()

    def broken(self: Path, target: Path) -> Path:
        raise OSError("no")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", broken)
        with pytest.raises(OSError, match="no"):
            write_tensors(path, {"x": torch.zeros(2)})
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.safetensors"]
    part_of(path).write_text("left by a kill")
    checkpoint.remove(path)
    assert not list(tmp_path.iterdir())


def test_no_file_is_written_through_a_link(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "run"
    outside.write_text("precious")
    folder.mkdir()
    for name in ARTEFACTS:
        (folder / name).symlink_to(outside)
    plan = PruningPlan("Net", torch.__version__, {}, {}, {}, ())
    plan.save(folder / "plan.json")
    draw_channels(["a"], [2], [1], "title", folder / "channels.png")
    for name in ("pruned.safetensors", "finetuning.safetensors"):
        write_tensors(folder / name, {"x": torch.zeros(2)})
    one = np.ones(1, dtype=np.int64)
    scored = Evaluated(one[None], np.ones(1), one, one, images=1)
    write_front(scored, ["a"], folder / "front.csv", folder / "front.png")
    known = [Finalist((n,), "search") for n in (1, 2)]
    halved(known, lambda _, n: Trial(n, 1.0, 0.0), epochs=1, file=folder / "finalists.json")
    assert outside.read_text() == "precious"
    assert sorted(p.name for p in folder.iterdir() if not p.is_symlink()) == sorted(
        name for name in ARTEFACTS if not name.endswith(".tmp")
    )


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.bool, torch.uint8]
)
def test_the_digest_sees_every_bit_of_any_type(dtype: torch.dtype) -> None:
    one = {"x": torch.zeros(3, dtype=dtype), "y": torch.zeros((), dtype=dtype)}
    other = {"x": torch.zeros(3, dtype=dtype), "y": torch.ones((), dtype=dtype)}
    assert tensor_digest(one, "a") == tensor_digest(dict(reversed(one.items())), "a")
    texts = [tensor_digest(one, "a"), tensor_digest(other, "a"), tensor_digest(one, "b")]
    assert len(set(texts)) == 3
