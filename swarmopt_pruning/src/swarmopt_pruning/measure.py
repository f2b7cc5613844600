"""What a network costs and is worth, measured: the two columns of the report."""

import math
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from swarmopt_pruning.cost import count_macs, count_params
from swarmopt_pruning.data import Splits
from swarmopt_pruning.latency import measure_latency
from swarmopt_pruning.loading import save_pruned
from swarmopt_pruning.memory import Fitting
from swarmopt_pruning.original import ModelName
from swarmopt_pruning.train import accuracy

LATENCY_BATCH = 64


@dataclass(frozen=True)
class Figures:
    """One network's figures.

    Attributes:
        test_accuracy: share of the test images, seen for the first time here.
        test_error: standard error of that, as a share: what the choice of images makes of it.
        held_out_accuracy: share of the held-out images, some of which scored the candidates.
        held_out_error: its standard error.
        macs: multiply-adds of one image.
        params: entries of all parameters.
        channels: of all groups of the channel graph together.
        latency_ms: median milliseconds of a call, after a warm-up.
        latency_low_ms: a tenth of the calls is faster.
        latency_high_ms: a tenth of the calls is slower.
        latency_batch: images of a call; fewer where memory ran out.
        latency_threads: that torch used.
        bytes: size of the weights as safetensors.
    """

    test_accuracy: float
    test_error: float
    held_out_accuracy: float
    held_out_error: float
    macs: int
    params: int
    channels: int
    latency_ms: float
    latency_low_ms: float
    latency_high_ms: float
    latency_batch: int
    latency_threads: int
    bytes: int

    def document(self) -> dict[str, float | int]:
        """Return the figures as JSON values."""
        return asdict(self)


def figures(
    model: nn.Module,
    data: Splits,
    *,
    channels: int,
    original: ModelName,
    latency_batch: int = LATENCY_BATCH,
) -> Figures:
    """Measure a network.

    Args:
        model: to be measured.
        data: its images; the test images are looked at here and nowhere else.
        channels: kept in all groups of the channel graph.
        original: how the original is built; a part of the file.
        latency_batch: images of a call that is timed; fewer where memory runs out.
    """
    example = data.held_out.x[:1]
    images = data.held_out.x[torch.arange(latency_batch) % len(data.held_out)]
    latency = Fitting("measuring latency", latency_batch).run(
        lambda batch: measure_latency(model, (images[:batch],), threads=torch.get_num_threads())
    )
    tested, held_out = accuracy(model, data.test), accuracy(model, data.held_out)
    return Figures(
        test_accuracy=tested,
        test_error=sampling_error(tested, len(data.test)),
        held_out_accuracy=held_out,
        held_out_error=sampling_error(held_out, len(data.held_out)),
        macs=count_macs(model, (example,)),
        params=count_params(model),
        channels=channels,
        latency_ms=round(latency.median_ms, 4),
        latency_low_ms=round(latency.low_ms, 4),
        latency_high_ms=round(latency.high_ms, 4),
        latency_batch=latency.batch,
        latency_threads=latency.threads,
        bytes=n_bytes(model, original),
    )


def sampling_error(share: float, n: int) -> float:
    """Return the standard error of a share of n images, which is never certain.

    The standard deviation of what the share of all images may be, each being as likely before
    (Beta posterior): about the binomial error where there are many, .29 where there is none.
    """
    likely = (share * n + 1) / (n + 2)
    return math.sqrt(likely * (1 - likely) / (n + 3))


def largest_difference(one: nn.Module, other: nn.Module, x: Tensor) -> float:
    """Return the largest absolute difference of two networks' outputs in evaluation mode."""
    one.eval()
    other.eval()

    def difference(batch: int) -> float:
        parts = [(one(part) - other(part)).abs().max() for part in torch.split(x, batch)]
        return float(torch.stack(parts).max())

    with torch.no_grad():
        return Fitting("comparing two networks", len(x)).run(difference)


def n_bytes(model: nn.Module, original: ModelName) -> int:
    """Return the size of a network's file, as `save_pruned` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        save_pruned(model, original, path)
        return path.stat().st_size
