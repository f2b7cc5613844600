"""Settings from outside, checked against the signature of what they build.

The signature of a class or factory is its schema: names, types and defaults of its keyword
arguments. Nothing else has to be written for `--set`, `--config` and `swarmopt show`.
"""

import importlib
import inspect
import json
import math
import re
import shlex
import sys
import tomllib
import traceback
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from swarmopt.errors import FactoryError, SettingError, SwarmoptError, UnknownNameError

BARE = re.compile(r"[+-]?(\.\d+|\d+\.)([eE][+-]?\d+)?")  # numbers that TOML does not know
WORDS = {"`array": "`list", "`object": "`table"}  # msgspec speaks of JSON


@dataclass(frozen=True)
class Setting:
    """One keyword argument of a factory; `default` is `inspect.Parameter.empty` where required."""

    name: str
    type: Any
    default: Any

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is inspect.Parameter.empty

    @property
    def type_name(self) -> str:
        """How to name its type to a person."""
        if isinstance(self.type, type):
            return self.type.__name__
        return str(self.type).replace("typing.", "").replace("collections.abc.", "")


def settings_of(factory: Callable[..., Any]) -> dict[str, Setting]:
    """Return the settings that a class or function takes, by name, in order."""
    target = factory.__init__ if isinstance(factory, type) else factory  # type: ignore[misc]
    try:
        hints = typing.get_type_hints(target)
        parameters = inspect.signature(factory).parameters.values()
    except (NameError, TypeError, ValueError) as error:
        raise SettingError(f"{_name(factory)}: its signature cannot be read: {error}") from error
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return {
        p.name: Setting(p.name, hints.get(p.name, Any), p.default)
        for p in parameters
        if p.kind not in variadic
    }


def build(factory: Callable[..., Any], values: Mapping[str, Any], where: str) -> Any:
    """Return `factory(**values)` after every value is checked.

    Args:
        factory: a class or function with annotated keyword arguments.
        values: settings by name.
        where: what they belong to, for messages ("problem rastrigin").

    Raises:
        SettingError: an unknown or missing name, a wrong type, NaN, or what the factory refuses.
        FactoryError: the factory raised anything else.
    """
    known = settings_of(factory)
    checked = check_values(factory, values, where)
    missing = [s.name for s in known.values() if s.required and s.name not in values]
    if missing:
        prefix = {"problem": "", "algorithm": "algorithm."}.get(where.partition(" ")[0])
        cure = "" if prefix is None else f"; give --set {prefix}{missing[0]}=..."
        raise SettingError(f"{where}: {missing[0]!r} is needed{cure}")
    try:
        with named(f"{where} cannot be made", factory):
            return factory(**checked)
    except SettingError as error:
        if where in str(error) or where.startswith(("problem ", "algorithm ")):
            raise
        raise SettingError(f"{where}: {error}") from error


def check_values(
    factory: Callable[..., Any], values: Mapping[str, Any], where: str
) -> dict[str, Any]:
    """Return settings as the types of a factory want them; nothing is made.

    Args:
        factory: as `build` takes it.
        values: settings by name.
        where: what they belong to, for messages.

    Raises:
        SettingError: an unknown name, a wrong type, or NaN.
    """
    known = settings_of(factory)
    for name in values:
        if name not in known:
            raise UnknownNameError(f"setting of {where}:", name, known)
    return {
        name: convert(value, known[name].type, f"{where}: {name}") for name, value in values.items()
    }


@contextmanager
def named(trouble: str, code: object) -> Iterator[None]:
    """Turn whatever a user's code raises into an error that says in what, and where.

    Args:
        trouble: what does not work then.
        code: the class or function that is called.

    Raises:
        FactoryError: it raised something that is no error of ours.
    """
    try:
        yield
    except (SwarmoptError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        raise FactoryError(
            f"{trouble}: it raised {type(error).__name__}: {error}{_place(code, error)}"
        ) from error


def resolve(factory: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return all settings of a factory: the defaults, and the values on top."""
    defaults = {s.name: s.default for s in settings_of(factory).values() if not s.required}
    return {**defaults, **values}


def check_fields(instance: Any) -> None:
    """Raise SettingError unless the fields of a dataclass have the types they are declared with.

    Args:
        instance: of a frozen dataclass with a class attribute `name`.
    """
    hints = typing.get_type_hints(type(instance))
    for field in fields(instance):
        value = getattr(instance, field.name)
        if isinstance(value, np.generic):
            value = value.item()
        object.__setattr__(
            instance,
            field.name,
            convert(value, hints[field.name], f"{instance.name}: {field.name}"),
        )


def convert(value: Any, kind: Any, where: str) -> Any:
    """Return the value as the type wants it: strictly, but whole numbers pass as floats.

    Raises:
        SettingError: another type, or NaN.
    """
    if _holds_nan(value):
        raise SettingError(f"{where}: expected a number, got NaN")
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        text = str(error)
        text = text[0].lower() + text[1:]
        for word, ours in WORDS.items():
            text = text.replace(word, ours)
        hint = _as_list(value, where) if text.startswith("expected `list") else ""
        raise SettingError(f"{where} = {value!r}: {text}{hint}") from None
    except SystemError:  # msgspec before 0.22, for a whole number beyond float64
        raise SettingError(f"{where} = {value!r}: number out of range") from None
    except TypeError:
        return value  # a type that msgspec does not know: the factory checks it


def _as_list(value: Any, where: str) -> str:
    """Return how to write a list of what was given alone: in a file, and in a shell."""
    if not isinstance(value, str | int | float):
        return ""
    parts = (
        [parse_value(v.strip()) for v in value.split(",")] if isinstance(value, str) else [value]
    )
    text = json.dumps(parts, default=str, ensure_ascii=False)
    assignment = f"{where.rpartition(': ')[2]}={text}"
    return f"; a list is written {text}, in a shell {shlex.quote(assignment)}"


def parse_value(text: str) -> Any:
    """Return a value as TOML or else JSON reads it, or the text itself where it is neither.

    Numbers such as .5 and 5. are numbers too.
    """
    if BARE.fullmatch(text.strip()):
        return float(text)
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        pass
    try:
        return json.loads(text) if text.startswith(("{", "[")) else text
    except (ValueError, RecursionError):
        return text


def import_object(name: str) -> Any:
    """Return the object at "package.module:attribute"; modules beside the caller are found too.

    Raises:
        SettingError: there is no such module or attribute, or importing it fails.
    """
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise SettingError(
            f"{name}: the module {module_name!r} cannot be imported from {here}: "
            f"{type(error).__name__}: {error}"
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [n for n in dir(found) if not n.startswith("_")]
            raise UnknownNameError(f"attribute of {module_name}", attribute, known)
        found = getattr(found, part)
    return found


def _holds_nan(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_nan, value))
    return isinstance(value, float) and math.isnan(value)


def _place(code: object, error: BaseException) -> str:
    """Return where in the code's own file it was raised, or else where at all."""
    frames = traceback.extract_tb(error.__traceback__)[2:]  # without those of this file
    module = sys.modules.get(getattr(code, "__module__", ""))
    own = [frame for frame in frames if frame.filename == getattr(module, "__file__", None)]
    frames = own or frames
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _name(factory: Callable[..., Any]) -> str:
    return getattr(factory, "__name__", repr(factory))
