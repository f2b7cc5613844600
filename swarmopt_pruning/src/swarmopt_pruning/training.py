"""What only training reads: a second head, a loss inside the model.

The example is run in evaluation mode, and a weight that this mode does not reach is not cut. Where
training reads pruned channels with it, the pruned network could be used, but not be fine-tuned.
"""

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from swarmopt_pruning.errors import first_line
from swarmopt_pruning.plan import PruningPlan
from swarmopt_pruning.trials import part
from swarmopt_pruning.verify import Example, Subject, Trial, run


def untrainable_groups(
    names: Sequence[str], plan: Trial, tried: Subject, unread: Sequence[str]
) -> Mapping[str, str]:
    """Return the groups without a part of which the model fails in training mode, and how.

    A model that takes other arguments in training mode, such as its targets, is passed by.

    Args:
        names: the groups.
        plan: makes a plan that cuts the named groups by a pattern.
        tried: network and its arguments.
        unread: names of weights that the example does not reach in evaluation mode.
    """
    whole = _shapes(tried.model, tried.example)
    if isinstance(whole, str) or not names:
        return {}

    def failure(some: Sequence[str]) -> str | None:
        return _failure(plan(some, part), tried, whole, unread)

    if failure(names) is None:
        return {}
    alone = {name: failure([name]) for name in names}
    failures = {name: why for name, why in alone.items() if why is not None}
    together: list[str] = []
    for name in names:
        if name not in failures:
            why = failure([*together, name])
            if why is None:
                together.append(name)
            else:
                failures[name] = f"together with other groups {why}"
    return failures


def _failure(
    plan: PruningPlan, tried: Subject, whole: list[torch.Size], unread: Sequence[str]
) -> str | None:
    found = _shapes(plan.apply(tried.model), tried.example)
    if found == whole:
        return None
    why = found if isinstance(found, str) else "the shape of the output changes when it is cut"
    names = ", ".join(unread[:3]) + (f" and {len(unread) - 3} more" if len(unread) > 3 else "")
    reads = f"; only training reads {names}" if unread else ""
    return f"in training mode {why}{reads}"


def _shapes(model: nn.Module, example: Example) -> list[torch.Size] | str:
    """Return the shapes of what a copy of a model answers in training mode, or how it fails."""
    training = copy.deepcopy(model).train()
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            outputs: list[Tensor] = run(training, example)
    except Exception as error:  # noqa: BLE001 - any code of the model's author may run here
        return f"the model raises {type(error).__name__} when it is cut: {first_line(error)}"
    return [output.shape for output in outputs]
