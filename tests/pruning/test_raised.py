"""What a network raises is told as the network's error, and nothing else is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swarmopt_pruning import ChannelPruning, PruningError
from swarmopt_pruning.models.plain import PlainCNN
from swarmopt_pruning.raised import raised_by


class Raises(nn.Module):
    """Raises an error from a function that its forward calls."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def forward(net, x: Tensor) -> Tensor:  # noqa: N805 - a name of its own for itself
        return fails(net.error)


def fails(error: BaseException) -> Tensor:
    raise error


LINE = fails.__code__.co_firstlineno + 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("oops"), "KeyError: 'oops'"),
        (AssertionError(), "AssertionError"),
        (NotImplementedError("not for Long\nand more"), "NotImplementedError: not for Long"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
    ],
)
def test_any_error_is_told_with_the_images_and_the_line(error: Exception, said: str) -> None:
    with pytest.raises(PruningError) as caught, raised_by("own:net", "; mend it"):
        Raises(error)(torch.zeros(3, 1, 8, 8))
    place = f"({Path(__file__).name}, line {LINE})"
    expected = f"the model own:net raised {said}, for 3 images of shape (1, 8, 8) {place}; mend it"
    assert str(caught.value) == expected


class Lacks(nn.Module):
    """Reads an attribute that it has not."""

    def forward(self, x: Tensor) -> Any:
        lacking: Any = self
        return lacking.nothing + x


def test_what_torch_raises_for_a_network_is_told_with_the_networks_line() -> None:
    message = (
        r"AttributeError: .*'nothing', for 1 image of shape \(2,\) \(test_raised.py, line \d+\)$"
    )
    with pytest.raises(PruningError, match=message), raised_by("net"):
        Lacks()(torch.zeros(1, 2))
    with pytest.raises(PruningError, match=r"of shape \(3,\)$"), raised_by("net"):
        nn.Linear(2, 3)(torch.zeros(4, 3))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("none left"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
        KeyboardInterrupt(),
        PruningError("of ours"),
    ],
)
def test_memory_interrupts_and_our_own_errors_pass_as_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, raised_by("net"):
        Raises(error)(torch.zeros(1, 2))
    assert caught.value is error


def test_what_no_network_raises_passes_as_it_is() -> None:
    with pytest.raises(KeyError), raised_by("net"):
        fails(KeyError("ours"))


class Refuses(PlainCNN):
    """A network that does not take some numbers of images."""

    least, most = 0, 0

    def forward(self, x: Tensor) -> Tensor:
        if self.least <= len(x) <= self.most:
            raise ValueError("not so many")
        return super().forward(x)


def refusing(least: int, most: int) -> Refuses:
    torch.manual_seed(0)
    net = Refuses(in_channels=1, n_classes=10, widths=(4, 6, 6))
    net.least, net.most = least, most
    return net


def test_a_network_that_takes_few_images_only_is_told_of_before_the_search() -> None:
    problem = ChannelPruning(model=refusing(65, 10**6))
    with pytest.raises(PruningError, match=r"Refuses raised ValueError: .* any number of images"):
        problem.prepare()


def test_a_network_that_refuses_a_batch_of_scores_is_told_of_with_the_setting() -> None:
    problem = ChannelPruning(model=refusing(90, 90), score_batch=90, force=True)
    problem.prepare()
    message = (
        r"not so many, for 90 images of shape \(1, 8, 8\) \(test_raised.*score_batch=90 images"
    )
    with pytest.raises(PruningError, match=message):
        problem.starts()
