"""A pruning plan as JSON: plain data, one table of index lists, and checks on the way in.

Schema 1::

    {"schema": 1, "model": "ResNet", "torch": "2.6.0", "fingerprint": "...",
     "shapes": {"stem.weight": [16, 3, 3, 3], ...},
     "widths": {"stem": 16, ...},
     "indices": [[0, 2, 5], ...],
     "kept": {"stem": 0, ...},
     "cuts": [{"tensor": "stem.weight", "dim": 0, "indices": 0, "masked": true}, ...],
     "digest": "..."}

The digest is over everything else, so that a digit that changed on the way is found.
"""

import hashlib
import itertools
import json
from collections import Counter
from typing import Any

from swarmopt_pruning.errors import PlanCorrupted
from swarmopt_pruning.plan import Cut, PruningPlan

SCHEMA = 1
"""Version of the file format."""

_FIELDS = {
    "model": str,
    "torch": str,
    "fingerprint": str,
    "shapes": dict,
    "widths": dict,
    "indices": list,
    "kept": dict,
    "cuts": list,
    "digest": str,
}


def encode(plan: PruningPlan) -> str:
    """Return a plan as JSON text; equal plans give equal text."""
    table: dict[tuple[int, ...], int] = {}

    def number(indices: tuple[int, ...]) -> int:
        return table.setdefault(indices, len(table))

    kept = {name: number(indices) for name, indices in plan.kept.items()}
    cuts = [
        {"tensor": c.tensor, "dim": c.dim, "indices": number(c.kept), "masked": c.masked}
        | ({"blocks": c.blocks} if c.blocks > 1 else {})
        for c in plan.cuts
    ]
    content = {
        "schema": SCHEMA,
        "model": plan.model,
        "torch": plan.torch_version,
        "fingerprint": plan.fingerprint,
        "shapes": plan.shapes,
        "widths": plan.widths,
        "indices": list(table),
        "kept": kept,
        "cuts": cuts,
    }
    return _text({**content, "digest": _digest(content)}) + "\n"


def decode(text: bytes, source: str) -> PruningPlan:
    """Read a plan from JSON text.

    Args:
        text: what `encode` wrote.
        source: where it comes from, for messages.

    Raises:
        PlanCorrupted: The text is not JSON, of an unknown schema, incomplete, inconsistent, or was
            changed after it was written.
    """
    try:
        content = json.loads(text, object_pairs_hook=_once)
    except PlanCorrupted as error:
        raise PlanCorrupted(f"{source}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise PlanCorrupted(f"{source} is not JSON ({error}); was it cut short?") from error
    if not isinstance(content, dict) or "schema" not in content:
        raise PlanCorrupted(f"{source} is JSON, but not a pruning plan: it names no schema")
    if type(content["schema"]) is not int or content["schema"] != SCHEMA:
        raise PlanCorrupted(
            f"{source} has schema {content['schema']!r}, this version reads schema {SCHEMA}; "
            f"a newer version of swarmopt-pruning may have written it"
        )
    for name, kind in _FIELDS.items():
        if not isinstance(content.get(name), kind):
            raise PlanCorrupted(f"{source}: field {name!r} is missing or no {kind.__name__}")
    try:
        plan = _plan(content)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise PlanCorrupted(f"{source}: inconsistent content ({error!s})") from error
    if plan.fingerprint != content["fingerprint"]:
        raise PlanCorrupted(f"{source}: the shapes do not belong to the fingerprint")
    if _digest(content) != content["digest"]:
        raise PlanCorrupted(
            f"{source}: the content does not belong to the digest, so something was changed after "
            f"the plan was written; take another copy of the file, or make the plan again"
        )
    return plan


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, separators=(",", ":"))


def _digest(content: dict[str, Any]) -> str:
    """Return a hash of everything but the digest itself, in whatever order it comes."""
    rest = {name: content[name] for name in sorted(content) if name != "digest"}
    return hashlib.blake2b(_text(rest).encode(), digest_size=16).hexdigest()


def _plan(content: dict[str, Any]) -> PruningPlan:
    table = [_ascending(indices) for indices in content["indices"]]
    shapes = {str(name): _whole(shape) for name, shape in content["shapes"].items()}
    names = list(content["widths"])
    widths = dict(zip(names, _whole(list(content["widths"].values())), strict=True))
    cuts = tuple(_cut(table, shapes, entry) for entry in content["cuts"])
    for (tensor, dim), times in Counter((cut.tensor, cut.dim) for cut in cuts).items():
        if times > 1:
            raise ValueError(f"dimension {dim} of {tensor!r} is cut {times} times")
    kept = _kept(table, widths, content["kept"])
    _check_cut(kept, widths, shapes, {cut.tensor for cut in cuts})
    return PruningPlan(
        model=content["model"],
        torch_version=content["torch"],
        shapes=shapes,
        widths=widths,
        kept=kept,
        cuts=cuts,
    )


def _kept(
    table: list[tuple[int, ...]], widths: dict[str, int], numbers: dict[str, Any]
) -> dict[str, tuple[int, ...]]:
    if set(numbers) != set(widths):
        (name, *_) = sorted(set(numbers) ^ set(widths))
        raise ValueError(f"group {name!r} is only one of 'kept' and 'widths'")
    kept = {name: _entry(table, number) for name, number in numbers.items()}
    for name, indices in kept.items():
        if indices[-1] >= widths[name]:
            raise ValueError(f"group {name!r} has {widths[name]} channels, none {indices[-1]}")
    return kept


def _check_cut(
    kept: dict[str, tuple[int, ...]],
    widths: dict[str, int],
    shapes: dict[str, tuple[int, ...]],
    cut: set[str],
) -> None:
    """Refuse groups that lose channels while the layer that they are named after is not cut."""
    for name, indices in kept.items():
        layer = name if name in shapes or f"{name}.weight" in shapes else name.rpartition("#")[0]
        maker = layer if layer in shapes else f"{layer}.weight"
        if len(indices) < widths[name] and maker not in cut:
            raise ValueError(
                f"group {name!r} keeps {len(indices)} of {widths[name]} channels, but {maker!r} is "
                f"not cut"
            )


def _cut(
    table: list[tuple[int, ...]], shapes: dict[str, tuple[int, ...]], entry: dict[str, Any]
) -> Cut:
    tensor, masked = entry["tensor"], entry["masked"]
    (dim,) = _whole([entry["dim"]])
    if tensor not in shapes or not 0 <= dim < len(shapes[tensor]):
        raise ValueError(f"{tensor!r} has no dimension {dim}")
    kept, size = _entry(table, entry["indices"]), shapes[tensor][dim]
    (blocks,) = _whole([entry.get("blocks", 1)])
    counts = Counter(index // size for index in kept)
    divides = dim > 0 and shapes[tensor][0] % max(1, blocks) == 0
    if blocks != 1 and not (divides and set(counts) == set(range(blocks))):
        raise ValueError(f"{tensor!r} has no {blocks} blocks along dimension {dim}")
    if blocks != 1 and len(set(counts.values())) > 1:
        raise ValueError(f"the blocks of {tensor!r} do not keep equally many")
    if kept[-1] >= size * blocks:
        raise ValueError(f"index {kept[-1]} of {tensor!r} lies beyond its size {size}")
    if not isinstance(masked, bool):
        raise TypeError(f"'masked' of {tensor!r} is {masked!r}")
    return Cut(tensor, dim, size, kept, masked, blocks)


def _entry(table: list[tuple[int, ...]], number: object) -> tuple[int, ...]:
    (place,) = _whole([number])
    return table[place]


def _ascending(indices: object) -> tuple[int, ...]:
    found = _whole(indices)
    if not found or any(a >= b for a, b in itertools.pairwise(found)):
        raise ValueError("a list of kept indices is empty or not ascending")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict; refuse one that says something twice."""
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise PlanCorrupted(f"{twice!r:.60} is there twice")
    return found


def _whole(numbers: object) -> tuple[int, ...]:
    """Return a list of non-negative whole numbers as a tuple."""
    if not isinstance(numbers, list) or any(type(n) is not int or n < 0 for n in numbers):
        raise TypeError(f"expected whole numbers, got {numbers!r:.60}")
    return tuple(numbers)
