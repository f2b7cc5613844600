"""Prune a part of each group and compare with the masked twin: what differs is frozen.

The labels follow the operators of the exported graph, but a model's own Python code runs again
after pruning, and may hold a width as a number. So every group is tried before it is offered.
"""

import copy
import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map_only

from swarmopt_pruning.compare import difference, tensors
from swarmopt_pruning.errors import PruningError, first_line
from swarmopt_pruning.plan import PruningPlan
from swarmopt_pruning.trace import evaluation_copy, first_names
from swarmopt_pruning.trials import ROUNDS, Pattern, between, most, part

Example = tuple[Any, ...]

Trial = Callable[[Sequence[str], Pattern], PruningPlan]
"""Makes a plan that cuts some groups by a pattern."""

Costs = Callable[[PruningPlan, nn.Module, Example], bool]
"""Whether the closed forms say what a plan's network costs."""

_HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True, eq=False)
class Subject:
    """A network to be tried, in evaluation mode, and its arguments."""

    model: nn.Module
    example: Example

    @cached_property
    def double(self) -> "Subject | None":
        """The same in double precision; None where the model does not run in it."""
        kinds = {tensor.dtype for tensor in self.model.parameters()}
        return self if kinds <= {torch.float64} else _converted(self, torch.float64)


def subject(model: nn.Module, example: Example) -> Subject:
    """Return a random copy of a model to be tried, of at least single precision.

    Half precision would hide errors of some percent behind its rounding.
    """
    plain = Subject(evaluation_copy(model), example)
    if any(tensor.dtype in _HALVES for tensor in model.parameters()):
        plain = _converted(plain, torch.float32) or plain
    return Subject(randomised(plain.model, plain.example), plain.example)


def randomised(model: nn.Module, example: Example, seed: int = 0) -> nn.Module:
    """Return a copy with random weights, so that no branch is silent and no scale is zero.

    Networks are often traced before training, with the last scale of every residual block at zero:
    a branch that adds nothing would pass any comparison. Where the random network does not run or
    its output is not finite, the copy keeps the model's own weights.
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
    try:
        finite = all(bool(output.isfinite().all()) for output in run(noisy, example))
    except Exception:  # noqa: BLE001 - any code of the model's author may run here
        finite = False
    return noisy if finite else evaluation_copy(model)


def disagreement(plan: PruningPlan, tried: Subject, *, build: bool = False) -> str | None:
    """Return how the pruned network differs from its masked twin, None where they agree.

    Args:
        plan: what to cut.
        tried: network and its arguments.
        build: really make both networks, instead of lending the model their tensors for a while,
            which takes a third of the time.
    """
    try:
        outputs = _outputs(plan, tried, build=build)
    except Exception as error:  # noqa: BLE001 - any code of the model's author may run here
        return f"the model raises {type(error).__name__} when it is cut: {first_line(error)}"
    why = difference(*outputs)
    if why is None or tried.double is tried:
        return why
    if tried.double is not None:
        try:
            return difference(*_outputs(plan, tried.double, build=build))
        except Exception:  # noqa: BLE001, S110 - it runs in single precision, as was seen above
            pass
    return difference(*outputs, loose=True)


def failing_groups(
    names: Sequence[str], plan: Trial, tried: Subject, costs: Costs
) -> Mapping[str, str]:
    """Return the groups whose pruned network is not the masked twin, and how it differs.

    Sets of groups are cut so that of any two groups each is cut once without the other: that takes
    some `2 log2(groups)` trials. Only where one fails, every group is tried alone. Then all groups
    are cut together, to several numbers of channels.

    Args:
        names: the groups.
        plan: makes a plan that cuts the named groups by a pattern.
        tried: network and its arguments.
        costs: whether the closed forms hold for a plan.

    Raises:
        PruningError: The model does not answer the same twice, so nothing can be compared.
    """
    _check_comparable(plan([], part), tried)
    failures: dict[str, str] = {}
    if any(disagreement(plan(some, part), tried) for some in _separating(names)):
        alone = {name: disagreement(plan([name], part), tried) for name in names}
        failures = {name: why for name, why in alone.items() if why is not None}

    def failure(some: Sequence[str], pattern: Pattern, *, build: bool) -> str | None:
        trial = plan(some, pattern)
        why = disagreement(trial, tried, build=build)
        if build and why is None and not costs(trial, tried.model, tried.example):
            why = "its multiply-adds or parameters are no closed form of the widths"
        return why

    patterns = [(part, True), (most, True), *((between(turn), False) for turn in range(ROUNDS))]
    for pattern, build in patterns:
        sound = [name for name in names if name not in failures]
        if sound and failure(sound, pattern, build=build) is not None:
            together: list[str] = []
            for name in sound:
                why = failure([*together, name], pattern, build=build)
                if why is None:
                    together.append(name)
                else:
                    failures[name] = f"together with other groups {why}" if together else why
    return failures


def check_plan(plan: PruningPlan, model: nn.Module, example: Example) -> None:
    """Raise unless the network that a plan makes is its masked twin, with random weights too.

    Raises:
        PruningError: They differ, or cannot be compared.
        PlanMismatch: The plan was made for another model.
    """
    why = disagreement(plan, subject(model, example), build=True)
    why = why or disagreement(plan, Subject(evaluation_copy(model), example), build=True)
    if why is not None:
        raise PruningError(
            f"the pruned {type(model).__name__} is not the original without the cut channels: "
            f"{why}. Does its code decide on a number of channels? Keep another number of them, or "
            f"take the decision out of its forward"
        )


def run(model: Callable[..., Any], example: Example) -> list[Tensor]:
    """Return the tensors among a model's outputs, computed without gradients."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about sizes that modules without weights remember
        return tensors(model(*example))


def _check_comparable(nothing: PruningPlan, tried: Subject) -> None:
    """Refuse a model whose answers say nothing about a cut; `nothing` is a plan without any."""
    name = type(tried.model).__name__
    try:
        outputs = run(tried.model, tried.example)
        for build in (False, True):
            _outputs(nothing, tried, build=build)
    except Exception as error:
        raise PruningError(
            f"{name} runs, but not a second time in a copy without any cut, so no cut can be "
            f"checked: {type(error).__name__}: {first_line(error)}. Is there torch.cond in its "
            f"forward (write torch.where), or does it keep tensors of its first run, or wrap "
            f"another module (trace that)? With verify=False it is traced unchecked"
        ) from error
    if not any(output.numel() for output in outputs):
        raise PruningError(
            f"{name} returns no tensor with a value for the example, so no cut can be compared: "
            f"return the tensors themselves, or register their class with "
            f"torch.export.register_dataclass"
        )
    if not all(bool(output.isfinite().any()) for output in outputs if output.numel()):
        raise PruningError(
            f"{name} answers the example with NaN or inf only, so no cut can be compared: look at "
            f"its weights, or pass another example"
        )
    if disagreement(nothing, tried) is not None:
        raise PruningError(
            f"{name} answers differently when it is asked the same twice in evaluation mode, so no "
            f"cut can be checked: are there random numbers in its forward? Take them out, or trace "
            f"with verify=False and check for yourself"
        )


def _outputs(
    plan: PruningPlan, tried: Subject, *, build: bool
) -> tuple[list[Tensor], list[Tensor]]:
    """Return the outputs of the pruned network and of its masked twin."""
    model, example = tried.model, tried.example
    if build:
        return run(plan.apply(model), example), run(plan.mask(model), example)
    named, _ = first_names(model)
    masked = run(_Lent(model, plan.masked(named)), example)
    with plan.resized(model):
        return run(_Lent(model, plan.slice(named)), example), masked


class _Lent:
    """A model with the tensors of another network in the place of its own."""

    def __init__(self, model: nn.Module, lent: Mapping[str, Tensor]) -> None:
        self._model, self._tensors = model, dict(lent)

    def __call__(self, *example: Any) -> Any:
        return functional_call(self._model, self._tensors, example)


def _converted(tried: Subject, dtype: torch.dtype) -> Subject | None:
    """Return a network and its arguments in another type; None where it does not run in it."""

    def changed(tensor: Tensor) -> Tensor:
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    try:
        model = copy.deepcopy(tried.model).to(dtype)
        example = tree_map_only(Tensor, changed, tried.example)
        run(model, example)
    except Exception:  # noqa: BLE001 - any code of the model's author may run here
        return None
    return Subject(model, example)


def _separating(names: Sequence[str]) -> Iterator[list[str]]:
    """Yield sets of names such that of any two each is in a set without the other."""
    for bit in range(max(1, (len(names) - 1).bit_length())):
        for wanted in (0, 1):
            some = [name for number, name in enumerate(names) if number >> bit & 1 == wanted]
            if some:
                yield some


def _random_like(tensor: Tensor, rng: torch.Generator) -> Tensor:
    """Return values that keep activations in range: filters by fan-in, scales around one."""
    noise = torch.randn(tensor.shape, generator=rng)
    if tensor.dim() > 1:
        return noise.mul(math.sqrt(2 / max(1, tensor[0].numel())))
    return 1 + 0.2 * noise
