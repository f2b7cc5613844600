"""From flags, environment and TOML to a problem and an algorithm."""

import inspect
import re
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from swarmopt import folder, plugins
from swarmopt.algorithm import AnyAlgorithm
from swarmopt.errors import FolderError, SettingError, UnknownNameError
from swarmopt.inputs import as_algorithm, hyper_parameters
from swarmopt.problem import FunctionProblem, Problem, Recipe
from swarmopt.settings import build, import_object, parse_value, resolve
from swarmopt.space import Space
from swarmopt.variables import Boolean, Categorical, Integer, Ordinal, Real, Variable

KINDS: dict[str, Callable[..., Variable]] = {
    "real": Real,
    "integer": Integer,
    "ordinal": Ordinal,
    "categorical": Categorical,
    "boolean": Boolean,
}

NEEDS_SPACE = (
    "a plain function, which needs a space: give --config FILE with a table [space], such as "
    'x = {type = "real", low = -5, high = 5}'
)


class Config(msgspec.Struct, kw_only=True):
    """The settings of a run, as a TOML file says them.

    `run.toml` of a run folder is one, so that `swarmopt run --config DIR/run.toml` repeats the run.
    """

    problem: str | None = None
    algorithm: str = "ssa"
    budget: int | None = None
    max_time: float | None = None
    target: float | None = None
    patience: int | None = None
    seed: int | None = None
    batch: bool = False
    batch_size: int = 1
    cache: bool | None = None
    lookahead: int = 0
    workers: int | None = None
    cluster: str | None = None
    eval_timeout: float | None = None
    threads: int = 1
    chunk: int | None = None
    x0: list[dict[str, Any] | list[float]] | None = None
    set: dict[str, Any] = {}
    space: dict[str, Any] | list[dict[str, Any]] | None = None


def read_config(path: Path | None) -> Config:
    """Return the settings in a TOML file; the defaults without one.

    Raises:
        SettingError: it cannot be read, or is no TOML; an unknown key or a wrong type.
    """
    if path is None:
        return Config()
    try:
        document = folder.read_settings(path)
    except FolderError as error:
        raise SettingError(str(error)) from error
    document.pop("versions", None)
    return as_config(document, str(path))


def as_config(document: Mapping[str, Any], where: str) -> Config:
    """Return the settings in a document.

    Raises:
        SettingError: an unknown key or a wrong type.
    """
    known = Config.__struct_fields__
    for key in document:
        if key not in known:
            raise UnknownNameError(f"key in {where}:", key, known)
    try:
        return msgspec.convert(document, Config)
    except msgspec.ValidationError as error:
        text = str(error)
        raise SettingError(f"{where}: {text[0].lower()}{text[1:]}") from None


def overlay(config: Config, flags: Mapping[str, Any], assignments: tuple[str, ...]) -> Config:
    """Return the settings with what flags and `--set` say on top."""
    settings = {name: dict(v) if isinstance(v, Mapping) else v for name, v in config.set.items()}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        key = key.strip()
        if not equals or not key:
            raise SettingError(f"--set {assignment}: expected key=value")
        table = settings
        if key.startswith("algorithm."):
            table, key = settings.setdefault("algorithm", {}), key.removeprefix("algorithm.")
        table[key] = parse_value(text)
    return msgspec.structs.replace(config, **flags, set=settings)


def make_problem(config: Config) -> tuple[Problem, dict[str, Any]]:
    """Return the problem that the settings name, and its own settings with the defaults.

    Raises:
        UnknownNameError: no such problem or setting.
        SettingError: the settings do not fit.
    """
    name = config.problem
    settings = {key: value for key, value in config.set.items() if key != "algorithm"}
    if not name:
        known = ", ".join(sorted(plugins.installed().entries["problem"]))
        raise SettingError(f"--problem is needed: one of {known}, or package.module:attribute")
    where = f"problem {name}"
    if ":" not in name:
        factory = plugins.installed().get("problem", name)
        if config.space is not None:
            raise SettingError(f"the problem {name!r} has a space of its own; leave [space] out")
        target = plugins.installed().entries["problem"][name].registration.target
        return _built(factory, settings, where, target), resolve(factory, settings)
    found = _imported("problem", name)
    if not callable(found) and not isinstance(found, Problem):
        raise SettingError(
            f"{name}: expected a Problem, a factory or a function, got {found!r:.80}"
        )
    plain = config.space is not None
    if settings and (plain or isinstance(found, Problem)):
        kind = "a plain function" if plain else "a finished problem"
        raise SettingError(f"{name} is {kind} and takes no --set {next(iter(settings))}")
    if isinstance(found, Problem):
        return found, {}
    if config.space is not None:
        return FunctionProblem(found, make_space(config.space), batch=config.batch), {}
    if is_plain(found):
        raise SettingError(f"{name} is {NEEDS_SPACE}")
    return _built(found, settings, where, name), resolve(found, settings)


def _imported(kind: str, name: str) -> Any:
    """Return the user's own object at "package.module:attribute".

    Raises:
        SettingError: there is none, or it is a name with settings, as `swarmopt compare` takes it.
    """
    registered, _, rest = name.partition(":")
    if "=" in rest and registered in plugins.installed().entries[kind]:
        prefix = "algorithm." if kind == "algorithm" else ""
        words = [f"--{kind}", registered]
        for assignment in re.split(r":(?=\w+=)", rest):
            words += ["--set", f"{prefix}{assignment}"]
        raise SettingError(
            f"--{kind} {name}: expected a name, got one with settings; give {shlex.join(words)}"
        )
    try:
        return import_object(name)
    except SettingError as error:
        missing = isinstance(error.__cause__, ModuleNotFoundError)
        if missing and registered in plugins.installed().entries[kind]:
            raise SettingError(f"--{kind} {name}: {rest}: expected key=value") from error
        raise


def _built(
    factory: Callable[..., Any], settings: Mapping[str, Any], where: str, target: str
) -> Problem:
    """Return the problem, and let workers build it alike unless it says how itself."""
    problem = build(factory, settings, where)
    if not isinstance(problem, Problem):
        raise SettingError(f"{where}: expected a swarmopt.Problem, got {problem!r:.80}")
    if problem.recipe is None:
        problem.recipe = Recipe(target, settings)
    return problem


def is_plain(function: Any) -> bool:
    """Return whether this is a function of a point: no class, and no factory of a Problem.

    It has an argument to fill, and no word that it returns a Problem.
    """
    if isinstance(function, type) or not callable(function):
        return False
    signature = inspect.signature(function)
    kind = signature.return_annotation
    if isinstance(kind, type) and issubclass(kind, Problem):
        return False
    return any(p.default is p.empty for p in signature.parameters.values())


def make_algorithm(config: Config) -> AnyAlgorithm:
    """Return the algorithm that the settings name, with its hyper-parameters."""
    settings = config.set.get("algorithm", {})
    if not isinstance(settings, Mapping):
        raise SettingError(
            "algorithm is set to a value; give --algorithm NAME, or --set algorithm.KEY=..."
        )
    name = config.algorithm
    if ":" in name:
        found = _imported("algorithm", name)
    else:
        found = plugins.installed().get("algorithm", name)
    if callable(found):
        return as_algorithm(build(found, settings, f"algorithm {name}"))
    algorithm = as_algorithm(found)
    own = hyper_parameters(algorithm)
    if any(key not in own or own[key] != value for key, value in settings.items()):
        raise SettingError(f"{name} is a finished algorithm and takes no --set algorithm.*")
    return algorithm  # what is set is what it is already, as the run.toml of its run says


def make_space(table: Mapping[str, Any] | list[dict[str, Any]]) -> Space:
    """Return the space in a table [space] (named) or an array of tables [[space]] (unnamed).

    Raises:
        SettingError: what is wrong, and where.
    """
    if isinstance(table, list):
        return Space([_variable(f"space[{j}]", entry) for j, entry in enumerate(table)])
    return Space({name: _variable(f"space.{name}", entry) for name, entry in table.items()})


def _variable(where: str, entry: Any) -> Variable:
    if not isinstance(entry, Mapping):
        raise SettingError(
            f'{where}: expected a table such as {{type = "real", low = 0, high = 1}}, got {entry!r}'
        )
    kind = entry.get("type")
    if kind not in KINDS:
        if kind is None:
            raise SettingError(f"{where}: the key 'type' is missing; one of {', '.join(KINDS)}")
        raise UnknownNameError(f"{where}: type", str(kind), KINDS)
    settings = {key: value for key, value in entry.items() if key != "type"}
    variable: Variable = build(KINDS[kind], settings, where)
    return variable
