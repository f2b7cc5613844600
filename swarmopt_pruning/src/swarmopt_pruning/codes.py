"""From settings to a constraint set: which counts are allowed, and which groups share a code.

ABCPruner has one code per layer; "one code per bottleneck" and "all blocks of a stage share a
ratio" leave far fewer combinations. Blocks and stages are read from the names of layers: a block is
what the last numbered part of a path holds (`layer1.0` of `layer1.0.conv1`, `features.3` of
`features.3.conv.0.0`), a stage what holds the block (`layer1`, `features`).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

import numpy as np

from swarmopt_pruning.constraint import Code, ConstraintSet
from swarmopt_pruning.errors import PruningError, UnknownName, is_number
from swarmopt_pruning.structure import Group
from swarmopt_pruning.trace import Role

SMALLEST_SHARE = 0.001
CODES = ("group", "block", "stage")
"""What a code may stand for."""

Counts = tuple[int, ...]
Tie = str | Sequence[str]


def constrain(
    groups: Sequence[Group],
    *,
    step: float = 0.1,
    minimum: float = 0.1,
    alpha: float = 1.0,
    multiple: int = 1,
    exclude: Sequence[str] = (),
    allowed: Mapping[str, Sequence[int]] | None = None,
    codes: str = "group",
    tie: Sequence[Tie] = (),
) -> ConstraintSet:
    """Return the constraint set of a network's groups.

    Args:
        groups: of the network.
        step: distance of two allowed counts, as a share of the width.
        minimum: least share that a group keeps.
        alpha: largest share that a group keeps.
        multiple: counts are rounded to multiples of this, where the width allows; the whole width
            stays allowed.
        exclude: patterns (`layer1.*`) of groups that stay whole; one pattern may be a string.
        allowed: pattern -> the counts that groups of such names may keep, instead of shares.
        codes: "group", "block" or "stage": what one number of the search decides about. Channels
            that several blocks (stages) make together, as on a residual path, keep a code of their
            own.
        tie: patterns, or lists of patterns; the groups that match one entry share one code.

    Raises:
        PruningError: A share out of range, impossible counts, or ties that contradict each other.
        UnknownName: A pattern that no group matches, or an unknown kind of code.
    """
    _check_shares(step, minimum, alpha)
    _check_multiple(groups, multiple)
    exclude = [exclude] if isinstance(exclude, str) else exclude
    tie = [tie] if isinstance(tie, str) else tie
    whole = {j for pattern in exclude for j in _matching(groups, pattern)}
    listed = _listed(groups, allowed or {})
    shares = _shares(step, minimum, alpha)
    levels: list[list[int]] = [
        [group.width] * len(shares)
        if j in whole
        else listed[j] if j in listed else [_count(group, s, multiple) for s in shares]
        for j, group in enumerate(groups)
    ]  # fmt: skip
    free = [j for j in range(len(groups)) if j not in whole]
    tied = _ties(groups, free, tie, codes)
    made: dict[str, Code] = {}
    for j, group in enumerate(groups):
        name = tied.get(j, group.name)
        members = tuple(k for k in tied if tied[k] == name) if j in tied else (j,)
        if members[0] == j:
            made[_unique(name, made)] = _code(name, members, levels, groups)
    return ConstraintSet(
        tuple(groups),
        tuple(Code(name, code.groups, code.counts) for name, code in made.items()),
    )


def uniform(groups: Sequence[Group], share: float, *, multiple: int = 1) -> dict[str, int]:
    """Return the same share of channels of every group, to be given to `ChannelGraph.plan`.

    Args:
        groups: of the network.
        share: of the width that stays.
        multiple: counts are rounded to multiples of this, where the width allows.

    Raises:
        PruningError: The share or the multiple is out of range.
    """
    _check_share("share", share)
    _check_multiple(groups, multiple)
    return {group.name: _count(group, share, multiple) for group in groups}


def _check_shares(step: float, minimum: float, alpha: float) -> None:
    for name, share in (("step", step), ("minimum", minimum), ("alpha", alpha)):
        _check_share(name, share)
    if minimum > alpha:
        raise PruningError(f"minimum ({minimum!r}) is greater than alpha ({alpha!r})")


def _check_share(name: str, share: object) -> None:
    if not is_number(share) or not SMALLEST_SHARE <= share <= 1:
        raise PruningError(
            f"{name}: expected a share of the width in [{SMALLEST_SHARE}, 1], got {share!r}"
        )


def _check_multiple(groups: Sequence[Group], multiple: float) -> None:
    """Refuse what is no multiple, and one wider than every group, which would change nothing."""
    if not isinstance(multiple, int | np.integer) or multiple is True or multiple < 1:
        raise PruningError(f"multiple: expected a whole number of at least 1, got {multiple!r}")
    if groups and multiple > max(group.width for group in groups):
        raise PruningError(
            f"multiple: {multiple} is more than the widest group has, "
            f"{max(group.width for group in groups)} channels; groups that are narrower than it "
            f"keep their own steps, so it would change nothing"
        )


def _shares(step: float, minimum: float, alpha: float) -> list[float]:
    n_steps = round((alpha - minimum) / step + 1e-9)
    return sorted({min(minimum + k * step, alpha) for k in range(n_steps + 1)} | {alpha})


def _count(group: Group, share: float, multiple: int) -> int:
    """Return the count nearest to a share of the width that blocks and multiples permit."""
    unit = math.lcm(group.block, multiple)
    if unit > group.width:
        unit = group.block
    count = max(unit, unit * math.floor(group.width * share / unit + 0.5))
    whole = count > group.width - unit and share == 1
    count = group.width if whole else min(count, group.width)
    return count - count % group.block


def _listed(groups: Sequence[Group], allowed: Mapping[str, object]) -> dict[int, list[int]]:
    """Return the explicit lists of counts by the number of the group."""
    if not isinstance(allowed, Mapping):
        raise PruningError(
            f"allowed: expected a dictionary from patterns of groups to counts, such as "
            f"{{'layer1.*': [16, 24]}}, got {allowed!r:.60}"
        )
    found: dict[int, list[int]] = {}
    by: dict[int, str] = {}
    for pattern, counts in allowed.items():
        for j in _matching(groups, pattern):
            group = groups[j]
            if j in by:
                raise PruningError(
                    f"allowed: group {group.name!r} matches both {by[j]!r} and {pattern!r}; give "
                    f"its counts once"
                )
            if isinstance(counts, str) or not isinstance(counts, Iterable):
                raise PruningError(
                    f"allowed: {pattern!r} expects a list of counts, got {counts!r:.60}"
                )
            counts = list(counts)  # noqa: PLW2901
            wrong = [c for c in counts if not _possible(group, c)]
            if wrong or not counts:
                steps = f" in steps of {group.block}" if group.block > 1 else ""
                raise PruningError(
                    f"allowed: {pattern!r} gives group {group.name!r} the counts "
                    f"{counts!r:.60}; expected some of {group.block}..{group.width}{steps}"
                )
            by[j], found[j] = pattern, sorted({int(c) for c in counts})
    return found


def _possible(group: Group, count: object) -> bool:
    is_whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
    return is_whole and 1 <= count <= group.width and count % group.block == 0  # type: ignore[operator]


def _ties(
    groups: Sequence[Group], free: Sequence[int], tie: Sequence[Tie], codes: str
) -> dict[int, str]:
    """Return the name of the code of every group that shares one."""
    if codes not in CODES:
        raise UnknownName("kind of code", codes, CODES)
    tied: dict[int, str] = {}
    for entry in tie:
        patterns = [entry] if isinstance(entry, str) else list(entry)
        name = ", ".join(patterns)
        members = sorted({j for pattern in patterns for j in _matching(groups, pattern)})
        for j in members:
            if j in tied:
                raise PruningError(
                    f"tie: group {groups[j].name!r} matches both {tied[j]!r} and {name!r}; a group "
                    f"has one code"
                )
            if j in free:
                tied[j] = name
    if codes != "group":
        for j in free:
            home = _home(groups[j], codes)
            if j not in tied and home:
                tied[j] = home
    times = Counter(tied.values())
    return {j: name for j, name in sorted(tied.items()) if times[name] > 1}


def _home(group: Group, kind: str) -> str:
    """Return the block or stage that alone makes the channels of a group, or ""."""
    homes = {
        _block(place.tensor) if kind == "block" else _block(place.tensor).rpartition(".")[0]
        for place in group.where
        if place.role is Role.FILTER
    }
    return homes.pop() if len(homes) == 1 else ""


def _block(tensor: str) -> str:
    """Return the path through the last numbered part that a named part follows, or ""."""
    parts = tensor.split(".")[:-1]
    for last in range(len(parts) - 2, -1, -1):
        if re.search(r"\d$", parts[last]) and not parts[last + 1].isdigit():
            return ".".join(parts[: last + 1])
    return ""


def _code(
    name: str, members: Counts, levels: Sequence[Sequence[int]], groups: Sequence[Group]
) -> Code:
    lengths = {len(levels[j]) for j in members}
    if len(lengths) > 1:
        told = ", ".join(f"{groups[j].name!r} {len(levels[j])}" for j in members[:4])
        raise PruningError(
            f"the groups of {name!r} share a code but have different numbers of allowed counts "
            f"({told}); give `allowed` lists of one length to all of them, or untie them"
        )
    rows = zip(*(levels[j] for j in members), strict=True)
    return Code(name, members, tuple(sorted(set(rows))))


def _matching(groups: Sequence[Group], pattern: str) -> list[int]:
    """Return the groups whose names match a pattern.

    Raises:
        UnknownName: None does.
    """
    found = [j for j, group in enumerate(groups) if fnmatchcase(group.name, pattern)]
    if not found:
        raise UnknownName("group matching the pattern", pattern, [g.name for g in groups])
    return found


def _unique(name: str, used: Mapping[str, Code]) -> str:
    """Return the name, with a number where another code has it."""
    number = 2
    unique = name
    while unique in used:
        unique, number = f"{name}#{number}", number + 1
    return unique
