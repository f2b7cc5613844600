"""What can go wrong by the user's hand: every error is a ValueError that names the cure.

::

    swarmopt.SettingError (a ValueError)
    └── PruningError
        ├── NotExportable   torch.export cannot turn the model into a graph
        ├── UnknownName     a group, importance or model that does not exist
        ├── Diverged        a training whose loss or weights are not finite
        ├── NoMemory        not even one image at a time fits
        ├── PlanCorrupted   a file that is not a pruning plan, or not all of one
        └── PlanMismatch    a plan made for another model
"""

from collections.abc import Iterable
from numbers import Real
from typing import TypeGuard

from swarmopt.errors import SettingError, near_names


class PruningError(SettingError):
    """Any mistake in what the pruning plugin was asked to do."""


class NotExportable(PruningError):  # noqa: N818 - reads as a statement about the model
    """The model has no static graph; the message names the line in the way."""


class UnknownName(PruningError):  # noqa: N818 - reads as a statement about the name
    """A name that is not known; the message lists the nearest ones.

    Args:
        kind: what it should be the name of.
        name: as it was given.
        known: all right names.
        own: whether package.module:function would be right too.
    """

    def __init__(self, kind: str, name: object, known: Iterable[str], *, own: bool = False) -> None:
        names = list(known)
        nearest = near_names(str(name), names, cutoff=0.4, own=own)
        hint = f"did you mean {', '.join(map(repr, nearest))}?" if nearest else _listing(names)
        hint += " (one of your own is given as package.module:function)" if own else ""
        super().__init__(f"there is no {kind} named {name!r}; {hint}")


class Diverged(PruningError):  # noqa: N818 - reads as a statement about the training
    """A training without a good epoch to go back to."""


class NoMemory(PruningError):  # noqa: N818 - reads as a statement about the device
    """Work that needs more memory than there is, however few images at a time it takes."""


class PlanCorrupted(PruningError):  # noqa: N818 - reads as a statement about the file
    """A plan file that cannot be trusted."""


class PlanMismatch(PruningError):  # noqa: N818 - reads as a statement about plan and model
    """A plan that belongs to another model."""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, its type where there is none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def check_setting(right: bool, name: str, expected: str, got: object) -> None:
    """Raise PruningError unless a setting is right."""
    if not right:
        raise PruningError(f"{name}: expected {expected}, got {got!r}")


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a setting is a number: Python's or numpy's, and no bool."""
    return isinstance(value, Real) and not isinstance(value, bool)


def _listing(names: list[str], limit: int = 12) -> str:
    """Return the known names as the end of a sentence, shortened where they are many."""
    if not names:
        return "there are none at all"
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"known: {', '.join(names[:limit])}{more}"
