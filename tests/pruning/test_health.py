"""An original that knows no more than chance is refused, by its accuracy."""

import logging

import pytest
import torch
from torch import Tensor, nn

from swarmopt_pruning import Images, PruningError
from swarmopt_pruning.health import chance, check_answers, check_output, margin


class Knows(nn.Module):
    """Answers so many of the images as their first pixel says, and the others with class 0."""

    def __init__(self, right: int) -> None:
        super().__init__()
        self.right = right

    def forward(self, x: Tensor) -> Tensor:
        labels = torch.where(x[:, 1] < self.right, x[:, 0], 0).long()
        return nn.functional.one_hot(labels, 10).float()


class Whole(nn.Module):
    """Answers with whole numbers."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), 10, dtype=torch.long)


def images(labels: list[int]) -> Images:
    y = torch.tensor(labels)
    return Images(torch.stack([y.float(), torch.arange(len(y)).float()], dim=1), y)


TEN = images(list(range(10)) * 100)


def check(right: int, held_out: Images = TEN, *, force: bool = False) -> None:
    check_answers("net", Knows(right), held_out, force=force)


def test_one_that_guesses_is_refused_with_its_accuracy_and_the_way_on() -> None:
    with pytest.raises(PruningError, match=r"net is right on 10.0% of the 1,000 .* on 10.0%") as e:
        check(0)
    for word in ("weights=FILE", "force=True", "--set force=true"):
        assert word in str(e.value)


def test_force_goes_on_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    check(0, force=True)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "right on 10.0%" in record.message


def test_one_that_knows_something_passes_in_silence(caplog: pytest.LogCaptureFixture) -> None:
    check(1000)
    check(100)  # 19 %
    assert not caplog.records


def test_little_more_than_chance_is_chance() -> None:
    assert margin(0.1, 10**6) == pytest.approx(0.045)
    with pytest.raises(PruningError, match=r"right on 12\.\d%"):
        check(30)


def test_the_commonest_label_is_what_chance_is() -> None:
    skewed = images([0] * 900 + [1] * 100)
    assert chance(skewed) == 0.9
    with pytest.raises(PruningError, match=r"always guessing the commonest label on 90.0%"):
        check(0, skewed)
    check(1000, skewed)


@pytest.mark.parametrize("labels", [[0, 1], [0, 1, 2], [3, 3], [0, 0, 0, 1]])
def test_a_perfect_one_passes_on_a_handful_of_images(labels: list[int]) -> None:
    check(1000, images(labels))


def test_answers_that_are_no_numbers_are_refused_whatever_is_forced() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.full((len(x), 10), torch.nan)

    with pytest.raises(PruningError, match="answers with NaN or inf"):
        check_answers("net", Broken(), TEN, force=True)


def test_one_image_without_an_answer_is_enough_to_refuse_a_network() -> None:
    class SeldomBroken(Knows):
        def forward(self, x: Tensor) -> Tensor:
            number = x[:, 1] - 777
            return super().forward(x) * (number / number)[:, None]

    with pytest.raises(PruningError, match="with NaN or inf for 1 of the 1,000 held-out images"):
        check_answers("net", SeldomBroken(1000), TEN)


@pytest.mark.parametrize("n_in", [1, 4])
def test_images_without_channels_are_told_of_where_a_convolution_refuses_them(n_in: int) -> None:
    net = nn.Sequential(nn.Conv2d(n_in, 3, 3), nn.Flatten())
    with pytest.raises(PruningError, match=r"\(n, channels, height, width\), got \(n, 8, 8\)"):
        check_output("net", net, torch.zeros(4, 8, 8), 10)
    check_output("net", nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), torch.zeros(4, 8, 8), 10)


@pytest.mark.parametrize(
    ("shape", "hint"),
    [
        ((4, 64), r"\(n, channels, height, width\), got \(n, 64\)$"),
        ((4, 8, 8, 1), r"got \(n, 8, 8, 1\): are the channels the last of these\?"),
    ],
)
def test_images_of_another_shape_are_told_of_where_a_network_refuses_them(
    shape: tuple[int, ...], hint: str
) -> None:
    with pytest.raises(PruningError, match=hint):
        check_output("net", nn.Conv2d(2, 3, 3), torch.zeros(shape), 10)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_network_of_another_type_is_told_of(dtype: torch.dtype) -> None:
    with pytest.raises(PruningError, match=rf"the parameter weight is {dtype}: call \.float\(\)"):
        check_output("net", nn.Linear(2, 10).to(dtype), torch.zeros(4, 2), 10)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(2, 3), r"returns \(4, 3\) for 4 images; expected logits \(4, 10\)"),
        (nn.Linear(2, 3), "labels go up to 9: image 5 has it"),
        (nn.Linear(5, 10), r"net raised RuntimeError: mat1 .*, for 4 images of shape \(2,\)"),
        (Whole(), r"returns numbers of torch\.int64 for 4 images; expected logits \(4, 10\)"),
        (nn.LSTM(2, 10), "returns tuple"),
        (nn.Unflatten(1, (1, 2)), r"returns \(4, 1, 2\)"),
    ],
)
def test_an_output_that_does_not_fit_the_labels_is_named(model: nn.Module, message: str) -> None:
    with pytest.raises(PruningError, match=message):
        check_output("net", model, torch.zeros(4, 2), 10, greatest="image 5 has it")
