"""Prune a part of each group and compare with the masked twin: what differs is frozen.

The labels follow the operators of the exported graph, but a model's own Python code runs again
after pruning, and may hold a width as a number. So every group is tried before it is offered.
"""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.plan import PruningPlan
from swarmopt_pruning.static import first_line
from swarmopt_pruning.trace import evaluation_copy, first_names

Trial = Callable[[Sequence[str], bool], PruningPlan]
"""Makes a plan that cuts a third of some groups, or (True) as much as can be cut."""

Costs = Callable[[PruningPlan, nn.Module], bool]
"""Whether the closed forms say what a plan's network costs."""

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
    noisy = evaluation_copy(model)
    with torch.no_grad():
        for parameter in noisy.parameters():
            if parameter.is_floating_point():
                parameter.copy_(_random_like(parameter, rng))
        for name, tensor in noisy.named_buffers():
            if name.endswith("running_mean"):
                tensor.copy_(0.1 * torch.randn(tensor.shape, generator=rng))
            elif name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=rng))
    outputs = run(noisy, example)
    finite = all(bool(output.isfinite().all()) for output in outputs)
    return noisy if finite else evaluation_copy(model)


def disagreement(
    plan: PruningPlan, model: nn.Module, example: tuple[Any, ...], *, build: bool = False
) -> str | None:
    """Return how the pruned network differs from its masked twin, None where they agree.

    Args:
        plan: what to cut.
        model: network in evaluation mode.
        example: its arguments.
        build: really make both networks, instead of lending the model their tensors for a while,
            which takes a third of the time.
    """
    tensors, _ = first_names(model)
    try:
        if build:
            small, masked = run(plan.apply(model), example), run(plan.mask(model), example)
        else:
            masked = run(_Lent(model, plan.masked(tensors)), example)
            with plan.resized(model):
                small = run(_Lent(model, plan.slice(tensors)), example)
    except Exception as error:  # noqa: BLE001 - any code of the model's author may run here
        return f"the model raises {type(error).__name__} when it is cut: {first_line(error)}"
    if [output.shape for output in small] != [output.shape for output in masked]:
        return "the shape of the output changes when it is cut"
    for one, other in zip(small, masked, strict=True):
        finite = other[other.isfinite()].abs()
        scale = finite.max().clamp_min(1e-9).item() if finite.numel() else 1.0
        tolerance = max(TOLERANCE, 8 * torch.finfo(other.dtype).eps) * scale
        if not one.isclose(other, rtol=0, atol=tolerance, equal_nan=True).all():
            gap = (one - other).abs().max().item() / scale
            return f"the output differs by {gap:.2g} of its size from that of the masked twin"
    return None


class _Lent:
    """A model with the tensors of another network in the place of its own."""

    def __init__(self, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        self._model, self._tensors = model, dict(tensors)

    def __call__(self, *example: Any) -> Any:
        return functional_call(self._model, self._tensors, example)


def failing_groups(
    names: Sequence[str], plan: Trial, model: nn.Module, example: tuple[Any, ...], costs: Costs
) -> Mapping[str, str]:
    """Return the groups whose pruned network is not the masked twin, and how it differs.

    Sets of groups are cut so that of any two groups each is cut once without the other: that takes
    some `2 log2(groups)` trials. Only where one fails, every group is tried alone.

    Args:
        names: the groups.
        plan: makes a plan that cuts a part of the named groups, or all that it can.
        model: network in evaluation mode.
        example: its arguments.
        costs: whether the closed forms hold for a plan.

    Raises:
        PruningError: The model does not answer the same twice, so nothing can be compared.
    """
    if not all(bool(output.isfinite().any()) for output in run(model, example) if output.numel()):
        raise PruningError(
            f"{type(model).__name__} answers the example with NaN or inf only, so no cut can be "
            f"compared: look at its weights, or pass another example"
        )
    if disagreement(plan([], False), model, example) is not None:
        raise PruningError(
            f"{type(model).__name__} answers differently when it is asked the same twice in "
            f"evaluation mode, so no cut can be checked: are there random numbers in its forward? "
            f"Take them out, or trace with verify=False and check for yourself"
        )
    failures: dict[str, str] = {}
    if any(disagreement(plan(some, False), model, example) for some in _separating(names)):
        tried = {name: disagreement(plan([name], False), model, example) for name in names}
        failures = {name: why for name, why in tried.items() if why is not None}

    def failure(some: Sequence[str], *, most: bool) -> str | None:
        tried = plan(some, most)
        why = disagreement(tried, model, example, build=True)
        if why is None and not costs(tried, model):
            why = "its multiply-adds or parameters are no closed form of the widths"
        return why

    for most in (False, True):
        sound = [name for name in names if name not in failures]
        if sound and failure(sound, most=most) is not None:
            together: list[str] = []
            for name in sound:
                why = failure([*together, name], most=most)
                if why is None:
                    together.append(name)
                else:
                    failures[name] = f"together with other groups {why}" if together else why
    return failures


def _separating(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield sets of names such that of any two each is in a set without the other."""
    for bit in range(max(1, (len(names) - 1).bit_length())):
        for wanted in (0, 1):
            some = [name for number, name in enumerate(names) if number >> bit & 1 == wanted]
            if some:
                yield some


def run(model: Callable[..., Any], example: tuple[Any, ...]) -> list[Tensor]:
    """Return the floating-point tensors among a model's outputs, computed without gradients."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes that modules without weights remember
        return list(_tensors(model(*example)))


def _random_like(tensor: Tensor, rng: torch.Generator) -> Tensor:
    """Return values that keep activations in range: filters by fan-in, scales around one."""
    noise = torch.randn(tensor.shape, generator=rng)
    if tensor.dim() > 1:
        return noise.mul(math.sqrt(2 / max(1, tensor[0].numel())))
    return 1 + 0.2 * noise


def _tensors(output: object) -> Iterator[Tensor]:
    """Yield the floating-point tensors inside a model's output."""
    if isinstance(output, Tensor):
        if output.is_floating_point() or output.is_complex():
            yield output
    elif isinstance(output, Mapping):
        for part in output.values():
            yield from _tensors(part)
    elif isinstance(output, list | tuple):
        for part in output:
            yield from _tensors(part)
