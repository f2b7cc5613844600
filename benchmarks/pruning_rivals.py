"""Other people's packages in the pruning benchmark (extra `bench`), where they are installed.

Both change the network they are given, so they get a copy. What is taken from them is how many
channels each group keeps. torch-pruning: Fang et al., "DepGraph: Towards any structural pruning",
2023. FastNAS is that of NVIDIA ModelOpt: one curve of sensitivity per layer and a common threshold.
"""

import contextlib
import copy
import io
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.pruning_bench import Bench, Ints
from swarmopt_pruning import accuracy

HALVINGS = 12
TRIES = 6
STEPS = tuple(i / 10 for i in range(1, 11))  # of the width: those of the other methods


class RivalError(Exception):
    """Another package cannot prune this network; the message is its own."""


def torch_pruning_counts(bench: Bench) -> Ints:
    """Return the channels that torch-pruning's global magnitude pruner keeps at the budget.

    Raises:
        RivalError: It fails, or cannot reach the budget.
    """
    low, high = 0.0, 1.0  # share of all channels that is cut
    found: Ints | None = None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        counts = counts_of(bench, _globally_pruned(bench, middle))
        if bench.share(counts) <= bench.budget:
            found, high = counts, middle
        else:
            low = middle
    if found is None:
        raise RivalError(f"torch-pruning does not get below {bench.budget:.0%} of the MACs")
    return found


def _globally_pruned(bench: Bench, ratio: float) -> nn.Module:
    import torch_pruning

    model = copy.deepcopy(bench.model)
    for parameter in model.parameters():
        parameter.requires_grad_()  # it prunes nothing of a frozen network, and does not say so
    frozen = [m for m in model.modules() if isinstance(m, nn.Linear)]
    try:
        pruner = torch_pruning.pruner.MagnitudePruner(
            model,
            bench.data.train.x[:1],
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=1),
            global_pruning=True,
            pruning_ratio=ratio,
            max_pruning_ratio=0.9,
            ignored_layers=frozen,
        )
        pruner.step()
        with torch.no_grad():
            model(bench.data.train.x[:2])
    except Exception as error:
        raise RivalError(f"torch-pruning: {type(error).__name__}: {error}") from error
    return model


def fastnas_counts(bench: Bench) -> tuple[Ints, int]:
    """Return the channels that ModelOpt's FastNAS keeps at the budget, and how often it scored.

    Its FLOPs count more than multiply-adds, so its limit is lowered until the budget holds; its
    curves are measured once.

    Raises:
        RivalError: It fails, or cannot reach the budget.
    """
    limit = bench.budget
    images = bench.data.held_out[: bench.protocol.score_images]
    scores = 0

    def score(model: nn.Module) -> float:
        nonlocal scores
        scores += 1
        return accuracy(model, images)

    with tempfile.TemporaryDirectory() as folder:
        for _ in range(TRIES):
            counts = counts_of(bench, _fast_nas(bench, limit, score, Path(folder)))
            share = bench.share(counts)
            if share <= bench.budget:
                return counts, scores
            limit *= 0.99 * bench.budget / share
    raise RivalError(f"FastNAS does not get below {bench.budget:.0%} of the MACs")


def _fast_nas(
    bench: Bench, limit: float, score: Callable[[nn.Module], float], folder: Path
) -> nn.Module:
    train = bench.data.train[:2_000]
    config = {
        "data_loader": DataLoader(TensorDataset(train.x, train.y), batch_size=250),
        "collect_func": lambda batch: batch[0],
        "score_func": score,
        "max_iter_data_loader": 1,
        "checkpoint": str(folder / "curves.pth"),
    }
    rule = {"channels_ratio": STEPS, "channel_divisor": 1, "kernel_size": ()}
    features = {"features_ratio": STEPS, "feature_divisor": 1}
    mode = [
        (
            "fastnas",
            {
                "nn.Conv2d": {"*": rule},
                "nn.BatchNorm2d": {"*": features},
                "nn.Linear": {"*": features},
            },
        )
    ]
    try:
        with _silent():
            import modelopt.torch.prune as modelopt

            model: nn.Module
            model, _ = modelopt.prune(
                copy.deepcopy(bench.model),
                mode=mode,
                constraints={"flops": f"{100 * limit:.4f}%"},
                dummy_input=bench.data.train.x[:1],
                config=config,
            )
    except Exception as error:
        raise RivalError(f"FastNAS: {type(error).__name__}: {error}") from error
    return model


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep the bars and warnings of a package away from ours."""
    nowhere = io.StringIO()
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(nowhere),
        contextlib.redirect_stderr(nowhere),
    ):
        warnings.simplefilter("ignore")
        yield


def counts_of(bench: Bench, pruned: nn.Module) -> Ints:
    """Return the (groups,) counts of a network that someone else has pruned.

    Args:
        bench: of the original.
        pruned: the same network with fewer channels, its tensors under the same names.

    Raises:
        RivalError: A tensor is missing, or tensors of a group do not agree.
    """
    found, whole = pruned.state_dict(), bench.model.state_dict()
    counts = []
    for group in bench.problem.graph.groups:
        sizes = set()
        for place in group.where:
            if place.tensor not in found:
                raise RivalError(f"the pruned network has no {place.tensor}")
            before, after = (t[place.tensor].shape[place.dim] for t in (whole, found))
            sizes.add(after * group.width / before)
        count = min(sizes)
        if len(sizes) > 1 or count != int(count) or not count:
            raise RivalError(f"the pruned network keeps {sorted(sizes)} of {group.name}")
        counts.append(int(count))
    return np.array(counts, dtype=np.int64)
