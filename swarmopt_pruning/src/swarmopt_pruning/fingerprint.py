"""Which architecture a plan belongs to: the names and shapes of a model's tensors."""

import hashlib
import json
from collections.abc import Mapping

from torch import nn

from swarmopt_pruning.trace import first_names


def fingerprint(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return a hash of the names and shapes of a model's tensors.

    Types are left out on purpose: a plan fits the same model in half precision.
    """
    text = json.dumps(sorted((name, list(shape)) for name, shape in shapes.items()))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def shapes_of(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter and buffer of a model, shared ones once."""
    tensors, _ = first_names(model)
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def differences(wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> str:
    """Return how a model's shapes differ from those that are wanted, "" where they do not."""
    missing = [name for name in wanted if name not in found]
    extra = [name for name in found if name not in wanted]
    other = [n for n, shape in found.items() if n in wanted and shape != wanted[n]]
    says = [f"it has no {missing[0]} ({len(missing)} missing)"] if missing else []
    says += [f"it has {extra[0]} besides ({len(extra)} more)"] if extra else []
    says += [
        f"{name} is {found[name]} instead of {wanted[name]} ({len(other)} differ)"
        for name in other[:1]
    ]
    return "; ".join(says)
