"""The space of a run, read from how its record describes it; nothing in it is run.

A record keeps `repr(space)`: names, kinds, bounds and choices.
"""

import ast
from collections.abc import Sequence
from typing import Any

from swarmopt.errors import SettingError
from swarmopt.space import Space
from swarmopt.variables import VARIABLES, Variable

LONGEST, TRIES = 2**22, 64  # characters of a space; commas that may end a variable
KINDS = {kind.__name__: kind for kind in VARIABLES}


def space_of(text: str, names: Sequence[str]) -> Space | None:
    """Return the space that a text describes; None where it cannot be told.

    Args:
        text: as `repr` of a space gives it.
        names: of its variables.
    """
    if len(text) > LONGEST:
        return None
    named = not text.startswith("Space([")
    body = text.removeprefix("Space(" if named else "Space([").removesuffix(")" if named else "])")
    found: list[tuple[str, Variable]] = []
    for j, name in enumerate(names):
        start = f"{name}=" if named else ""
        if not body.startswith(start):
            return None
        body = body[len(start) :]
        after = "" if j + 1 == len(names) else f", {names[j + 1]}=" if named else ", "
        variable, body = _first_variable(body, after)
        if variable is None:
            return None
        found.append((name, variable))
    try:
        space = Space(dict(found) if named else [variable for _, variable in found])
    except SettingError:
        return None
    return space if repr(space) == text and space.names == tuple(names) else None


def _first_variable(body: str, after: str) -> tuple[Variable | None, str]:
    """Return the variable that a text begins with, and what comes behind the comma after it."""
    at = len(body) if not after else body.find(after)
    for _ in range(TRIES):
        if at < 0:
            break
        variable = _variable(body[:at])
        if variable is not None:
            return variable, body[at + 2 :]
        at = body.find(after, at + 1) if after else -1
    return None, body


def _variable(text: str) -> Variable | None:
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            return None
        kind: Any = KINDS.get(call.func.id)
        settings = {str(k.arg): ast.literal_eval(k.value) for k in call.keywords}
        variable: Variable | None = kind(**settings) if kind is not None else None
    except (MemoryError, RecursionError, SettingError, SyntaxError, TypeError, ValueError):
        return None
    return variable
