"""Prune a part of each group alone and compare with the masked twin: what differs is frozen.

The labels follow the operators of the exported graph, but a model's own Python code runs again
after pruning, and may hold a width as a number. So every group is tried before it is offered.
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from swarmopt_pruning.plan import PruningPlan

TOLERANCE = 1e-4
"""Largest difference, as a share of the largest output, that counts as rounding.

Types with few digits get eight units in their last place.
"""


def randomised(model: nn.Module, example: tuple[Any, ...], seed: int = 0) -> nn.Module:
    """Return a copy with random weights, so that no branch is silent and no scale is zero.

    Networks are often traced before training, with the last scale of every residual block at zero:
    a branch that adds nothing would pass any comparison. Where the random network's output is not
    finite, the copy keeps the model's own weights.
    """
    rng = torch.Generator().manual_seed(seed)
    noisy = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in noisy.parameters():
            if parameter.is_floating_point():
                parameter.copy_(_random_like(parameter, rng))
        for name, tensor in noisy.named_buffers():
            if name.endswith("running_mean"):
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=rng))
            elif name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=rng))
        outputs = list(_tensors(noisy(*example)))
    finite = all(bool(output.isfinite().all()) for output in outputs)
    return noisy if finite else copy.deepcopy(model)


def disagreement(plan: PruningPlan, model: nn.Module, example: tuple[Any, ...]) -> str | None:
    """Return how the pruned network differs from its masked twin, None where they agree.

    Args:
        plan: what to cut.
        model: network in evaluation mode.
        example: its arguments.
    """
    try:
        with torch.no_grad():
            small = list(_tensors(plan.apply(model)(*example)))
            masked = list(_tensors(plan.mask(model)(*example)))
    except Exception as error:  # noqa: BLE001 - any code of the model's author may run here
        line = next(iter(str(error).splitlines()), "")
        return f"the model raises {type(error).__name__} when it is cut: {line}"
    if [output.shape for output in small] != [output.shape for output in masked]:
        return "the shape of the output changes when it is cut"
    for one, other in zip(small, masked, strict=True):
        scale = other.abs().max().clamp_min(1e-9) if other.numel() else torch.ones(())
        tolerance = max(TOLERANCE, 8 * torch.finfo(other.dtype).eps)
        if not bool(((one - other).abs() <= tolerance * scale).all()):
            gap = ((one - other).abs().max() / scale).item()
            return f"the output differs by {gap:.2g} of its size from that of the masked twin"
    return None


def failing_groups(
    names: Sequence[str],
    plan: Callable[[Sequence[str]], PruningPlan],
    model: nn.Module,
    example: tuple[Any, ...],
) -> Mapping[str, str]:
    """Try each group alone, then all together; return the groups that fail and how.

    Args:
        names: the groups.
        plan: makes a plan that cuts a part of the named groups.
        model: network in evaluation mode.
        example: its arguments.
    """
    failures: dict[str, str] = {}
    for name in names:
        why = disagreement(plan([name]), model, example)
        if why is not None:
            failures[name] = why
    sound = [name for name in names if name not in failures]
    if sound and disagreement(plan(sound), model, example) is not None:
        together: list[str] = []
        for name in sound:
            why = disagreement(plan([*together, name]), model, example)
            if why is None:
                together.append(name)
            else:
                failures[name] = f"together with other groups {why}"
    return failures


def _random_like(tensor: Tensor, rng: torch.Generator) -> Tensor:
    """Return values that keep activations in range: filters by fan-in, scales around one."""
    noise = torch.randn(tensor.shape, generator=rng)
    if tensor.dim() > 1:
        return noise.mul(math.sqrt(2 / max(1, tensor[0].numel())))
    return 1 + 0.2 * noise


def _tensors(output: object) -> Iterator[Tensor]:
    """Yield the floating-point tensors inside a model's output."""
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, Mapping):
        for part in output.values():
            yield from _tensors(part)
    elif isinstance(output, list | tuple):
        for part in output:
            yield from _tensors(part)
