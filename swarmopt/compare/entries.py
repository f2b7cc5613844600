"""Who takes part in a comparison: problems and algorithms by their labels.

A text such as "rastrigin:dim=20" or "mine.module:Factory:dim=3" is a name and settings; the whole
of it is the label.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from swarmopt import plugins
from swarmopt.algorithm import AnyAlgorithm
from swarmopt.errors import SettingError, UnknownNameError
from swarmopt.inputs import as_algorithm, hyper_parameters
from swarmopt.jsonable import jsonable
from swarmopt.problem import Problem, Recipe
from swarmopt.settings import build, import_object, parse_value, resolve

T = TypeVar("T")
ADAPTED, CLASSIC = "ssa", "ssa-classic"
Assignments = Mapping[str, Mapping[str, Any]]  # by name ("" for every problem) and key


def problems_of(given: Any, settings: Assignments | None = None) -> dict[str, Problem]:
    """Return the problems by label.

    Args:
        given: a name or a Problem, several of them, or a mapping from labels to these.
        settings: on top of what the names say; those under "" go to every problem.

    Raises:
        SettingError: what is wrong with them; labels that are the same.
    """
    return _labelled("problem", given, settings or {}, _problem)


def algorithms_of(
    given: Any, settings: Assignments | None = None, *, only: bool = False
) -> dict[str, AnyAlgorithm]:
    """Return the algorithms by label.

    Args:
        given: a name or an instance, several of them, or a mapping from labels to these.
        settings: hyper-parameters on top of what the names say.
        only: whether `ssa-classic` is left out where it is not named; otherwise it is added beside
            `ssa`, so that the adapted form is always judged against the published one.

    Raises:
        SettingError: what is wrong with them; labels that are the same.
    """
    found = _labelled("algorithm", given, settings or {}, _algorithm)
    names = {algorithm.name for algorithm in found.values()}
    if not only and ADAPTED in names and CLASSIC not in names:
        found[CLASSIC] = _algorithm(CLASSIC, (settings or {}).get(CLASSIC, {}))
    return found


def describe_problem(problem: Problem) -> dict[str, Any]:
    """Return what must be the same so that a comparison may go on; JSON values."""
    recipe = problem.recipe
    found = {
        "name": problem.name,
        "space": repr(problem.space),
        "optimum": problem.optimum,
        "factory": None if recipe is None else recipe.factory,
        "settings": {}
        if recipe is None
        else resolve(import_object(recipe.factory), recipe.settings),
    }
    document: dict[str, Any] = jsonable(found)
    return document


def describe_algorithm(algorithm: AnyAlgorithm) -> dict[str, Any]:
    """Return what must be the same so that a comparison may go on; JSON values."""
    return {"name": algorithm.name, "settings": hyper_parameters(algorithm)}


def split(text: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the settings in a text such as "rastrigin:dim=20:instance=1"."""
    parts = text.split(":")
    first = next((i for i, part in enumerate(parts) if "=" in part), len(parts))
    settings = {}
    for part in parts[first:]:
        key, equals, value = part.partition("=")
        if not equals:
            raise SettingError(
                f"{text}: expected name:key=value:key=value, got {part!r} after a key"
            )
        settings[key.strip()] = parse_value(value)
    return ":".join(parts[:first]).strip(), settings


def assignments_of(texts: Iterable[str], names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what `--set` says, by name: NAME.KEY=VALUE, or KEY=VALUE under "".

    Args:
        texts: of the command line.
        names: of the problems and algorithms that take part.

    Raises:
        SettingError: there is no equals sign, or no such name takes part.
    """
    known = list(names)
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        owner, dot, setting = key.strip().rpartition(".")
        if not equals or not setting:
            raise SettingError(f"--set {text}: expected NAME.KEY=VALUE, or KEY=VALUE")
        if dot and owner not in known:
            raise UnknownNameError(f"--set {text}: name", owner, known)
        found.setdefault(owner, {})[setting] = parse_value(value)
    return found


def _labelled(
    kind: str, given: Any, settings: Assignments, make: Callable[[Any, Mapping[str, Any]], T]
) -> dict[str, T]:
    if isinstance(given, Mapping):
        pairs = list(given.items())
    else:
        several = isinstance(given, Sequence) and not isinstance(given, str)
        pairs = [(_label(entry), entry) for entry in (given if several else [given])]
    if not pairs:
        raise SettingError(f"compare: expected at least one {kind}, got none")
    found: dict[str, T] = {}
    for label, entry in pairs:
        if not isinstance(label, str) or not label:
            raise SettingError(f"compare: expected texts as labels of the {kind}s, got {label!r}")
        if label in found:
            raise SettingError(
                f"compare: two of the {kind}s are called {label!r}; give them labels of their own: "
                f'{{"{label}": ..., "{label}-2": ...}}, or settings that differ: '
                f'"{label}:key=value"'
            )
        name = split(entry)[0] if isinstance(entry, str) else label
        own = {**(settings.get("", {}) if kind == "problem" else {}), **settings.get(name, {})}
        found[label] = make(entry, own)
    return found


def _label(entry: Any) -> str:
    return entry if isinstance(entry, str) else str(getattr(entry, "name", entry))


def _problem(entry: Any, settings: Mapping[str, Any]) -> Problem:
    if isinstance(entry, str):
        name, own = split(entry)
        settings = {**settings, **own}
        if ":" in name:
            entry, target = import_object(name), name
        else:
            entry = plugins.installed().get("problem", name)
            target = plugins.installed().entries["problem"][name].registration.target
        if not isinstance(entry, Problem):
            if not callable(entry):
                raise SettingError(f"{name}: expected a Problem or a factory, got {entry!r:.80}")
            entry = build(entry, settings, f"problem {name}")
            if isinstance(entry, Problem) and entry.recipe is None:
                entry.recipe = Recipe(target, settings)
            settings = {}
    if not isinstance(entry, Problem):
        raise SettingError(
            f"compare: expected the name of a problem or a swarmopt.Problem, got {entry!r:.80}; "
            f"a function needs its space: FunctionProblem(fun, space)"
        )
    if settings:
        raise SettingError(
            f"{entry.name} is a finished problem and takes no --set {next(iter(settings))}"
        )
    return entry


def _algorithm(entry: Any, settings: Mapping[str, Any]) -> AnyAlgorithm:
    if isinstance(entry, str):
        name, own = split(entry)
        found = import_object(name) if ":" in name else plugins.installed().get("algorithm", name)
        settings = {**settings, **own}
        if callable(found):
            return as_algorithm(build(found, settings, f"algorithm {name}"))
        entry = found
    if settings:
        raise SettingError(
            f"{_label(entry)} is a finished algorithm and takes no --set {next(iter(settings))}"
        )
    return as_algorithm(entry)
