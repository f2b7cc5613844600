"""Training, fine-tuning with distillation, recalibration and accuracy of image classifiers.

Distillation: Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", 2015.
One-cycle rate: Smith and Topin, "Super-convergence", 2018.
"""

import json
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from swarmopt_pruning.augment import mirrored, shifted
from swarmopt_pruning.checkpoint import Checkpoint, TrainingState, state_of
from swarmopt_pruning.data import Images
from swarmopt_pruning.diverged import divergence, go_back
from swarmopt_pruning.errors import PruningError, check_setting
from swarmopt_pruning.layout import as_images, channels_last, sound
from swarmopt_pruning.memory import Fitting
from swarmopt_pruning.progress import TrainingProgress
from swarmopt_pruning.tensors import tensor_digest

log = logging.getLogger(__name__)

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Attributes:
        epochs: passes over the images.
        rate: peak of the one-cycle learning rate.
        batch: images per step.
        momentum: Nesterov's.
        decay: weight decay.
        smoothing: of the labels.
        shift: each image is moved at random by up to so many pixels.
        flip: a random half of the images is mirrored left to right.
        distill: weight of the teacher's answers against the labels; 0 without a teacher.
        temperature: of the teacher's answers.
        bf16: convolutions and linear layers compute in bfloat16; weights and loss stay float32. It
            pays only where the processor has instructions for it (AVX-512 or AMX).
    """

    epochs: int
    rate: float = 0.1
    batch: int = 64
    momentum: float = 0.9
    decay: float = 5e-4
    smoothing: float = 0.05
    shift: int = 1
    flip: bool = False
    distill: float = 0.0
    temperature: float = 4.0
    bf16: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be trained by.

        Raises:
            PruningError: It names the setting.
        """
        for name, right, expected in (
            ("epochs", self.epochs >= 0, "at least 0"),
            ("rate", 0 < self.rate < math.inf, "above 0"),
            ("batch", self.batch >= 1, "at least 1"),
            ("momentum", 0 < self.momentum < 1, "above 0 and below 1"),
            ("decay", 0 <= self.decay < math.inf, "at least 0"),
            ("smoothing", 0 <= self.smoothing < 1, "at least 0 and below 1"),
            ("shift", self.shift >= 0, "at least 0"),
            ("distill", 0 <= self.distill <= 1, "a share in [0, 1]"),
            ("temperature", 0 < self.temperature < math.inf, "above 0"),
        ):
            check_setting(right, name, expected, getattr(self, name))


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Run torch on so many threads for a while, so that the same bits come out on any machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let torch's global generator start from a seed for a while; its state is put back after."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed % 2**63)
        yield


def train(
    model: nn.Module,
    images: Images,
    recipe: Recipe,
    *,
    seed: int,
    teacher: nn.Module | None = None,
    checkpoint: Path | None = None,
    held_out: Images | None = None,
) -> None:
    """Train a network in place, and leave it in evaluation mode.

    Where memory runs out, a step adds up the gradients of fewer images at a time. It stays the same
    step but for dropout and batch normalisation, whose statistics are then of fewer images; what
    was tried in vain stays in its running statistics, and fades.

    Where the loss or the weights stop being finite after the first epoch, the state of the last
    good epoch comes back, a warning says so, and training is over.

    Args:
        model: whose output is (n, classes) logits.
        images: to learn from; fewer than a batch are one batch.
        recipe: how.
        seed: of order, shifts, flips and dropout.
        teacher: the network whose answers are learnt too, with weight `recipe.distill`.
        checkpoint: a file to go on from where it holds this very training, and to keep it in. It
            stays when the training is done: see `checkpoint.remove`.
        held_out: images whose accuracy is shown after each epoch; nothing is decided by it.

    Raises:
        PruningError: The loss or the weights are not finite within the first epoch, or the recipe
            wants a teacher and there is none.
    """
    if recipe.distill and teacher is None:
        raise PruningError(
            f"distill={recipe.distill}: expected a teacher whose answers are learnt, got none; "
            f"give teacher=the original network, or distill=0"
        )
    if recipe.epochs < 1:
        model.eval()
        return
    if teacher is not None:
        teacher.eval()
    per_epoch = -(-len(images) // recipe.batch)
    n_steps = recipe.epochs * per_epoch
    state = _first_state(model, len(images), recipe, n_steps)
    file = None
    if checkpoint is not None:
        file = Checkpoint(checkpoint, _key(model, images, recipe, seed, teacher))
    if recipe.bf16 and torch.backends.cpu.get_cpu_capability() == "AVX2":
        log.warning("bf16: this processor only emulates it, which is slower than float32")
    model.train()
    last = sound(model)
    fitting = Fitting(
        "training",
        min(recipe.batch, len(images)),
        least=min(2, len(images)),
        effect="several times for one step; batch normalisation then sees fewer images",
    )
    with seeded(seed), channels_last(images.x, *((model, teacher) if last else ())):
        if file is not None:
            file.restore(state, n_steps)
        with (
            _said(file, per_epoch, recipe.epochs),
            TrainingProgress(recipe.epochs, per_epoch, state.step) as progress,
        ):
            while state.step < n_steps:
                loss = _step(state, images, recipe, teacher, fitting, last=last)
                ended = state.step % per_epoch == 0
                if wrong := divergence(model, loss, ended=ended):
                    go_back(state, wrong, -(-state.step // per_epoch), recipe.rate)
                    break
                progress.stepped(state.step, loss)
                if ended:
                    state.best = {n: t.detach().clone() for n, t in state_of(model).items()}
                    progress.ended(None if held_out is None else accuracy(model, held_out))
                    model.train()
                if file is not None:
                    file.keep(state, epoch_ended=ended)
    model.eval()


def _first_state(model: nn.Module, n: int, recipe: Recipe, n_steps: int) -> TrainingState:
    optimizer = torch.optim.SGD(
        [p.requires_grad_() for p in model.parameters()],
        lr=recipe.rate,
        momentum=recipe.momentum,
        nesterov=True,
        weight_decay=recipe.decay,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=n_steps, pct_start=0.3, cycle_momentum=False
    )
    return TrainingState(model, optimizer, schedule, order=torch.arange(n))


def _key(
    model: nn.Module, images: Images, recipe: Recipe, seed: int, teacher: nn.Module | None
) -> str:
    """Return a hash of everything that decides what is learnt."""
    tensors = {f"model.{n}": t for n, t in state_of(model).items()}
    if teacher is not None:
        tensors |= {f"teacher.{n}": t for n, t in state_of(teacher).items()}
    about = [asdict(recipe), seed, images.digest(), torch.__version__, torch.get_num_threads()]
    return tensor_digest(tensors, json.dumps(about, sort_keys=True))


def _step(
    state: TrainingState,
    images: Images,
    recipe: Recipe,
    teacher: nn.Module | None,
    fitting: Fitting,
    *,
    last: bool,
) -> float | None:
    """Learn from the next batch and return its loss; None where it is too small to be learnt.

    Args:
        state: of the training.
        images: to learn from.
        recipe: how.
        teacher: or None.
        fitting: how many images have their gradients at a time.
        last: whether the channels of the images come last.
    """
    i = state.step % -(-len(images) // recipe.batch)
    if i == 0:
        state.order = torch.randperm(len(images))
    rows = state.order[i * recipe.batch : (i + 1) * recipe.batch]
    state.step += 1
    found = None
    if len(rows) > 1 or len(images) == 1:  # batch normalisation needs two images
        x = shifted(images.x[rows], recipe.shift)
        x = mirrored(x) if recipe.flip else x
        x = as_images(x) if last else x
        y = images.y[rows]
        found = fitting.run(lambda most: _gradients(state, x, y, recipe, teacher, most=most))
        if not math.isfinite(found):
            return found
        state.optimizer.step()
    state.schedule.step()
    return found


def _gradients(
    state: TrainingState,
    x: Tensor,
    labels: Tensor,
    recipe: Recipe,
    teacher: nn.Module | None,
    *,
    most: int,
) -> float:
    """Return the loss of a batch, and leave its gradients, computed for `most` images at a time.

    They are of no use where the loss is not finite. The parts are nearly even, and none is of one
    image alone, which batch normalisation cannot take.
    """
    n_parts = max(1, min(-(-len(x) // most), len(x) // 2))
    state.optimizer.zero_grad(set_to_none=True)
    found = 0.0
    for part, y in zip(x.tensor_split(n_parts), labels.tensor_split(n_parts), strict=True):
        share = len(part) / len(x)
        loss = _loss(state.model, part, y, recipe, teacher) * share
        found += loss.item()
        if not math.isfinite(found):
            break
        loss.backward()  # type: ignore[no-untyped-call] # torch's own lack
    return found


@contextmanager
def _said(file: Checkpoint | None, per_epoch: int, epochs: int) -> Iterator[None]:
    """Say where a training goes on, and what is kept of one that is interrupted."""
    if file is not None and file.kept:
        log.info("it goes on after %.1f of them, kept in %s", file.kept / per_epoch, file.path)
    try:
        yield
    except KeyboardInterrupt:
        if file is not None and file.kept:
            done = file.kept / per_epoch
            log.warning(
                "%.1f of %d epochs are kept in %s; training goes on from there",
                done,
                epochs,
                file.path,
            )
        raise


def _loss(
    model: nn.Module, x: Tensor, labels: Tensor, recipe: Recipe, teacher: nn.Module | None
) -> Tensor:
    """Return the loss of a batch of images."""
    logits = _logits(model, x, recipe)
    hard = functional.cross_entropy(logits, labels, label_smoothing=recipe.smoothing)
    if teacher is None or recipe.distill == 0:
        return hard
    with torch.no_grad():
        wanted = functional.log_softmax(_logits(teacher, x, recipe) / recipe.temperature, dim=1)
    got = functional.log_softmax(logits / recipe.temperature, dim=1)
    soft = functional.kl_div(got, wanted, log_target=True, reduction="batchmean")
    return (1 - recipe.distill) * hard + recipe.distill * recipe.temperature**2 * soft


def _logits(model: nn.Module, x: Tensor, recipe: Recipe) -> Tensor:
    """Return (n, classes) logits."""
    with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=recipe.bf16):
        logits: Tensor = model(x)
    return logits.float() if recipe.bf16 else logits


def recalibrate(model: nn.Module, x: Tensor, *, batch: int = EVALUATION_BATCH) -> None:
    """Measure the running statistics of batch normalisation anew, and leave evaluation mode on.

    Args:
        model: changed in its running statistics only.
        x: (n, ...) training images.
        batch: images at a time; fewer where memory runs out.
    """
    fitting = Fitting("measuring batch normalisation", batch, 2, "which changes it a little")
    fitting.run(lambda batch: _recalibrate(model, x, batch))


def _recalibrate(model: nn.Module, x: Tensor, batch: int) -> None:
    """Measure running statistics anew, so many images at a time."""
    model.eval()
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    momenta = [m.momentum for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches
        norm.train()
    try:
        with torch.no_grad():
            for part in torch.split(x, batch):
                if len(part) > 1:
                    model(part)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            norm.eval()


def accuracy(model: nn.Module, images: Images, *, batch: int = EVALUATION_BATCH) -> float:
    """Return the share of images whose greatest logit is their label's, in evaluation mode."""
    return accuracy_and_loss(model, images, batch=batch)[0]


def accuracy_and_loss(
    model: nn.Module, images: Images, *, batch: int = EVALUATION_BATCH
) -> tuple[float, float]:
    """Return the accuracy and the mean cross-entropy on some images, in evaluation mode.

    Args:
        model: whose output is (n, classes) logits.
        images: that are looked at.
        batch: images at a time; fewer where memory runs out, which changes the rounding only.
    """
    return Fitting("measuring accuracy", batch).run(
        lambda batch: _accuracy_and_loss(model, images, batch)
    )


def _accuracy_and_loss(model: nn.Module, images: Images, batch: int) -> tuple[float, float]:
    """Return the accuracy and the mean cross-entropy, so many images at a time."""
    model.eval()
    right, loss = 0, 0.0
    with torch.no_grad():
        for x, y in zip(torch.split(images.x, batch), torch.split(images.y, batch), strict=True):
            logits = model(x)
            right += int((logits.argmax(dim=1) == y).sum())
            loss += float(functional.cross_entropy(logits, y, reduction="sum"))
    return right / len(images), loss / len(images)
