"""What a user may ask of a group, checked at the border: counts, channels, scores.

Groups count channels, the inside counts units (blocks of channels that are cut together).
"""

from collections.abc import Mapping, Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from swarmopt_pruning.errors import PruningError, UnknownName
from swarmopt_pruning.importance import IMPORTANCES
from swarmopt_pruning.structure import Group

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def units_of_counts(groups: Sequence[Group], counts: ArrayLike) -> Ints:
    """Return channel counts as counts of units.

    Args:
        groups: the groups, one for each column.
        counts: (n, groups) channels kept of each group.

    Raises:
        PruningError: The shape or type is wrong, or a count is not possible.
    """
    found = np.asarray(counts)
    n = len(groups)
    if found.ndim != 2 or found.shape[1] != n:
        raise PruningError(
            f"counts have shape {found.shape}, expected (candidates, {n}): one row for each "
            f"candidate, one column for each group; a single candidate is counts[None]"
        )
    if not np.issubdtype(found.dtype, np.integer):
        raise PruningError(f"counts are of type {found.dtype}, expected whole numbers")
    widths = np.array([group.width for group in groups], dtype=np.int64)
    blocks = np.array([group.block for group in groups], dtype=np.int64)
    wrong = (found < 1) | (found > widths) | (found % blocks != 0)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        _refuse(groups[column], int(found[row, column]), f" (candidate {row})")
    units: Ints = found.astype(np.int64) // blocks
    return units


def units_of_count(group: Group, count: int) -> int:
    """Return how many units make up `count` channels.

    Raises:
        PruningError: The count is not possible.
    """
    if not 1 <= count <= group.width or count % group.block:
        _refuse(group, count)
    return count // group.block


def units_of_channels(group: Group, channel_units: Ints, wanted: object) -> Ints:
    """Return the units that the listed channels make up, ascending.

    Args:
        group: the group.
        channel_units: (width,) unit of each of its channels.
        wanted: channels, numbered from 0 within the group, in any order.

    Raises:
        PruningError: No list of indices, an index outside or twice, or half a block.
    """
    channels = np.asarray(wanted)
    if channels.ndim != 1 or len(channels) == 0 or channels.dtype.kind not in "iu":
        raise PruningError(
            f"group {group.name!r}: expected a number of channels or a list of at least one "
            f"index, got {wanted!r:.80}"
        )
    outside = channels[(channels < 0) | (channels >= group.width)]
    if len(outside):
        raise PruningError(
            f"group {group.name!r} has channels 0..{group.width - 1}, so there is no "
            f"{outside[0]} to keep"
        )
    if len(np.unique(channels)) != len(channels):
        raise PruningError(f"group {group.name!r}: an index is listed twice in {wanted!r:.80}")
    units, n_listed = np.unique(channel_units[channels], return_counts=True)
    if (n_listed != group.block).any():
        unit = units[n_listed != group.block][0]
        block = np.flatnonzero(channel_units == unit).tolist()
        raise PruningError(
            f"group {group.name!r}: channels {block} are cut together, so all or none of them "
            f"can be kept"
        )
    return units


def given_scores(group: Group, scores: Mapping[str, Floats]) -> Floats:
    """Return a user's own scores of a group.

    Raises:
        UnknownName: There are none for this group.
        PruningError: They are not one number for each unit.
    """
    if not isinstance(scores, Mapping):
        raise PruningError(
            f"importance: expected a name, one of {', '.join(IMPORTANCES)}, or scores of every "
            f"group as graph.scores(...) returns them; got {scores!r:.60}"
        )
    if group.name not in scores:
        raise UnknownName("entry in the given scores", group.name, scores)
    found = np.asarray(scores[group.name], dtype=np.float64)
    if found.shape != (group.n_units,):
        raise PruningError(
            f"scores of group {group.name!r} have shape {found.shape}, expected "
            f"({group.n_units},): one for each block of {group.block} channels"
        )
    if np.isnan(found).any():
        raise PruningError(
            f"scores of group {group.name!r} have {int(np.isnan(found).sum())} NaN of "
            f"{len(found)}: expected a number for each, -inf for what should go first"
        )
    return found


def check_choice(choice: object) -> None:
    """Refuse what does not say of which group it speaks.

    Raises:
        PruningError: The choice is no mapping.
    """
    if not isinstance(choice, Mapping):
        raise PruningError(
            f"expected a dictionary from groups to the channels they keep, such as "
            f"{{'stem': 20}}, got {choice!r:.60}; dict(zip(graph.names, counts)) makes one of "
            f"counts in the order of the groups"
        )


def _refuse(group: Group, count: int, where: str = "") -> NoReturn:
    steps = f" in steps of {group.block}" if group.block > 1 else ""
    raise PruningError(
        f"group {group.name!r} cannot keep {count} channels{where}; it has {group.width}, and "
        f"{group.block}..{group.width}{steps} are possible"
    )
