"""Training, recalibration, accuracy."""

import math
from typing import Any

import pytest
import torch
from torch import nn

from swarmopt_pruning import Images, PruningError, Recipe, accuracy, recalibrate
from swarmopt_pruning.train import pinned, seeded, train


def blobs(n: int = 240) -> Images:
    """Two classes that differ in brightness."""
    rng = torch.Generator().manual_seed(0)
    y = torch.arange(n) % 2
    x = torch.randn(n, 1, 6, 6, generator=rng) * 0.5 + y[:, None, None, None]
    return Images(x, y)


def network() -> nn.Module:
    with seeded(0):
        return nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
        )


def test_training_learns_and_repeats_bit_by_bit() -> None:
    one, other = network(), network()
    before = accuracy(one, blobs())
    state = torch.random.get_rng_state()
    for model in (one, other):
        train(model, blobs(), Recipe(epochs=3), seed=1)
    assert accuracy(one, blobs()) > max(0.95, before)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not one.training


def test_a_teacher_is_followed_against_wrong_labels() -> None:
    data = blobs()
    teacher = network()
    train(teacher, data, Recipe(epochs=3), seed=1)
    weights = [p.clone() for p in teacher.parameters()]
    wrong = Images(data.x, 1 - data.y)
    student = network()
    train(student, wrong, Recipe(epochs=4, distill=0.9), seed=1, teacher=teacher)
    assert accuracy(student, data) > 0.9
    stubborn = network()
    train(stubborn, wrong, Recipe(epochs=4, distill=0.0), seed=1, teacher=teacher)
    assert accuracy(stubborn, data) < 0.1
    assert all(torch.equal(a, b) for a, b in zip(weights, teacher.parameters(), strict=True))


def test_a_loss_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(PruningError, match="training diverged"):
        train(network(), blobs(), Recipe(epochs=3, rate=1e20), seed=0)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": -1}, "epochs: expected at least 0, got -1"),
        ({"rate": 0.0}, "rate: expected above 0, got 0.0"),
        ({"rate": math.nan}, "rate: expected above 0, got nan"),
        ({"batch": 0}, "batch: expected at least 1, got 0"),
        ({"momentum": 1.0}, "momentum"),
        ({"decay": -0.1}, "decay"),
        ({"smoothing": 3.0}, "smoothing"),
        ({"shift": -1}, "shift"),
        ({"distill": 1.5}, r"distill: expected a share in \[0, 1\], got 1.5"),
        ({"temperature": 0.0}, "temperature"),
    ],
)
def test_a_recipe_that_nothing_can_be_trained_by_names_the_setting(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(PruningError, match=message):
        Recipe(**{"epochs": 1, **given})


def test_distillation_without_a_teacher_is_refused() -> None:
    with pytest.raises(PruningError, match="expected a teacher"):
        train(network(), blobs(), Recipe(epochs=1, distill=0.5), seed=0)


def test_no_epochs_change_nothing() -> None:
    model = network()
    before = [p.clone() for p in model.parameters()]
    train(model, blobs(), Recipe(epochs=0), seed=0)
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_recalibration_measures_the_statistics_of_its_images() -> None:
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5))
    x = torch.randn(512, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 7
    recalibrate(model, x, batch=64)
    norm = model[0]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.running_mean.item() == pytest.approx(x.mean().item(), rel=1e-4)
    assert norm.running_var.item() == pytest.approx(x.var().item(), rel=0.02)
    assert norm.momentum == 0.1
    assert not any(module.training for module in model.modules())


def test_accuracy_counts_in_evaluation_mode_and_in_any_batch() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, 2), nn.Dropout(0.9))
    data = blobs(101)
    model.train()
    assert accuracy(model, data, batch=7) == accuracy(model, data, batch=101)
    right = (model.eval()(data.x).argmax(1) == data.y).float().mean().item()
    assert accuracy(model, data) == pytest.approx(right)


def test_threads_are_pinned_for_a_while() -> None:
    before = torch.get_num_threads()
    with pinned(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
