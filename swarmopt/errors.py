"""The errors a user can cause, and the nearest right names for a wrong one.

SwarmoptError                what `except` catches to get all of them
├── SettingError             a setting is unknown, of a wrong type, or out of range (ValueError)
│   └── UnknownNameError     a name is not known; the message lists the nearest ones
├── FactoryError             what makes a problem or an algorithm fails (RuntimeError)
├── ObjectiveError           the objective breaks its contract: shape, violation (ValueError)
├── AllFailedError           no evaluation of the first batch succeeded (RuntimeError)
├── FinishError              the search is done, but what comes after it failed (RuntimeError)
├── WorkerError              workers cannot be reached, or cannot make the problem (RuntimeError)
├── FolderError              a run folder cannot be made, read or written (OSError)
└── PluginError              a plugin cannot be used (RuntimeError)
"""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swarmopt.result import Result


LISTED = 16  # names in a message


class SwarmoptError(Exception):
    """Base of every error that swarmopt raises on purpose; processes can hand it on."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how it is made again from its text: not all take that as their one argument."""
        return _again, (type(self), self.args, vars(self))


def _again(kind: type[SwarmoptError], args: tuple[Any, ...], state: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *args)
    vars(error).update(state)
    return error


class SettingError(SwarmoptError, ValueError):
    """A setting is unknown, of the wrong type or out of range."""


class UnknownNameError(SettingError):
    """A name is not known; the message lists the nearest ones.

    Args:
        kind: what it should be the name of.
        name: as it was given.
        known: all right names.
        hint: the end of the message.
        own: whether package.module:attribute would be right too.
    """

    def __init__(
        self, kind: str, name: str, known: Iterable[str], hint: str = "", *, own: bool = False
    ) -> None:
        names = sorted(known)
        near = near_names(name, names, cutoff=0.5, own=own)
        if near:
            advice = f"did you mean {' or '.join(map(repr, near))}?"
        elif names:
            more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
            advice = f"known: {', '.join(names[:LISTED])}{more}"
        else:
            advice = "there are none"
        super().__init__(f"unknown {kind} {name!r}; {advice}{' ' + hint if hint else ''}")


def near_names(name: str, known: Iterable[str], *, cutoff: float, own: bool) -> list[str]:
    """Return what may have been meant, the nearest first.

    Args:
        name: as it was given.
        known: all right names.
        cutoff: least likeness, in [0, 1].
        own: whether package.module:attribute would be right too.
    """
    meant = with_colon(name) if own else ""
    return ([meant] if meant else []) + get_close_matches(name, list(known), n=3, cutoff=cutoff)


def with_colon(name: str) -> str:
    """Return "package.module:attribute" for "package.module.attribute"; empty for another name."""
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", name) or name.endswith(".py"):
        return ""
    module, _, attribute = name.rpartition(".")
    return f"{module}:{attribute}"


class FactoryError(SwarmoptError, RuntimeError):
    """What makes a problem or an algorithm raised; the message says what and where."""


class ObjectiveError(SwarmoptError, ValueError):
    """The objective breaks its contract: wrong shape, negative or NaN violation."""


class AllFailedError(SwarmoptError, RuntimeError):
    """No evaluation of the first batch succeeded; the message ends in the first traceback."""


class FinishError(SwarmoptError, RuntimeError):
    """What comes after the search failed; the search's result is in `result`, and in the folder."""

    def __init__(self, message: str, result: "Result") -> None:
        super().__init__(message)
        self.result = result


class WorkerError(SwarmoptError, RuntimeError):
    """Workers cannot be reached, or cannot make the problem."""


class FolderError(SwarmoptError, OSError):
    """A run folder cannot be made, read or written."""


class PluginError(SwarmoptError, RuntimeError):
    """A plugin cannot be used."""
