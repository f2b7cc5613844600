"""Trained originals of the tests are cached in a folder of the session, not in the user's."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from swarmopt_pruning.cost import count_macs, count_params
from swarmopt_pruning.graph import ChannelGraph


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give the session a cache folder of its own, which its workers share."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "cache"
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    yield folder
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Use one thread: the tests run beside each other."""
    torch.set_num_threads(1)


Check = Callable[..., None]


@pytest.fixture(scope="session")
def check_candidates(thorough: bool) -> Check:
    """Give the oracle: pruned networks equal their masked twins and cost what the forms say."""
    most, counted = (20, 6) if thorough else (3, 1)  # torch's counter takes longer than the rest

    def check(model: nn.Module, example: tuple[Any, ...], graph: ChannelGraph, n: int) -> None:
        rng = np.random.default_rng(7)
        for seed in range(min(n, most)):
            counts = {g.name: int(rng.integers(1, g.n_units + 1)) * g.block for g in graph.groups}
            plan = graph.plan(counts, importance="random", seed=seed)
            small, masked = plan.apply(model), plan.mask(model)
            with torch.no_grad():
                found, expected = floats(small(*example)), floats(masked(*example))
            for one, other in zip(found, expected, strict=True):
                scale = max(1, float(other.abs().max()))
                torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * scale)
            if seed >= counted:
                continue
            row = np.array([list(counts.values())])
            assert graph.macs(row).tolist() == [count_macs(small, example)]
            assert graph.params(row).tolist() == [count_params(small)]

    return check


def floats(output: object) -> list[Tensor]:
    """Return the floating-point tensors in a model's output."""
    return [x for x in tree_leaves(output) if isinstance(x, Tensor) and x.is_floating_point()]
