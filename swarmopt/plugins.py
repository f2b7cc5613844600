"""Hook specifications, and a loader that a broken plugin cannot stop.

A plugin is a module (or object) named by an entry point of the group `swarmopt`. It registers what
it brings as strings, `"module:attribute"`, so that listing imports nothing. The built-ins register
through the same hooks. No hook is called per candidate.
"""

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pluggy

from swarmopt.errors import PluginError, UnknownNameError, with_colon

if TYPE_CHECKING:
    from swarmopt.result import Result, Step

GROUP = "swarmopt"
BUILT_IN = "swarmopt.builtins"
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)

PACKAGES = {"channel-prune": "swarmopt-pruning"}  # names that a package of ours would bring


@dataclass(frozen=True)
class Registration:
    """A name, where its object is, and a sentence of help.

    Attributes:
        name: as users type it.
        target: "module:attribute"; imported when it is asked for.
        help: one sentence.
    """

    name: str
    target: str
    help: str

    @property
    def valid(self) -> bool:
        """Whether all three are words, and the target names an attribute of a module."""
        words: tuple[object, ...] = (self.name, self.target, self.help)
        named = all(isinstance(word, str) for word in words) and self.name != ""
        return named and ":" in self.target


class Hooks:
    """What a plugin may implement, each marked with `swarmopt.plugins.hookimpl`."""

    @hookspec
    def swarmopt_register_problems(self) -> Iterable[Registration]:  # type: ignore[empty-body]
        """Return problems: targets are factories whose keyword arguments are settings."""

    @hookspec
    def swarmopt_register_algorithms(self) -> Iterable[Registration]:  # type: ignore[empty-body]
        """Return algorithms: targets are frozen dataclasses of hyper-parameters."""

    @hookspec
    def swarmopt_register_evaluators(self) -> Iterable[Registration]:  # type: ignore[empty-body]
        """Return evaluators: targets make a `swarmopt.evaluate.evaluator.Evaluator`."""

    @hookspec
    def swarmopt_register_commands(self) -> Iterable[Registration]:  # type: ignore[empty-body]
        """Return commands: targets are click commands, run as `swarmopt NAME`."""

    @hookspec
    def swarmopt_run_started(self, settings: Mapping[str, Any], folder: Path | None) -> None:
        """Observe that a run starts; `folder` is None where nothing is recorded."""

    @hookspec
    def swarmopt_generation_finished(self, step: "Step") -> None:
        """Observe a told batch."""

    @hookspec
    def swarmopt_evaluation_failed(self, ids: list[int], errors: list[str]) -> None:
        """Observe the failed evaluations of a batch: their ids, and a traceback or reason each."""

    @hookspec
    def swarmopt_run_finished(self, result: "Result", folder: Path | None) -> None:
        """Observe the end of a run."""


KINDS = {
    "problem": "swarmopt_register_problems",
    "algorithm": "swarmopt_register_algorithms",
    "evaluator": "swarmopt_register_evaluators",
    "command": "swarmopt_register_commands",
}
OWN = ("problem", "algorithm")  # what may also be named as package.module:attribute
KNOWN_HOOKS = tuple(name for name in vars(Hooks) if name.startswith("swarmopt_"))


@dataclass(frozen=True)
class Entry:
    """A registration and the plugin that owns it."""

    registration: Registration
    owner: str

    def load(self) -> Any:
        """Import and return the object.

        Raises:
            PluginError: it cannot be imported.
        """
        module, _, attribute = self.registration.target.partition(":")
        try:
            return getattr(import_module(module), attribute)
        except Exception as error:
            raise PluginError(
                f"{self.registration.name!r} of the plugin {self.owner} cannot be imported from "
                f"{self.registration.target!r}: {type(error).__name__}: {error}"
            ) from error


@dataclass
class Plugins:
    """Everything that is registered.

    Attributes:
        entries: by kind ("problem", "algorithm", "evaluator", "command") and name.
        loaded: names of the plugins in use, and their hooks.
        skipped: names of the plugins that are not, and why.
    """

    entries: dict[str, dict[str, Entry]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )
    loaded: dict[str, list[str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    manager: pluggy.PluginManager = field(default_factory=lambda: pluggy.PluginManager(GROUP))

    def __post_init__(self) -> None:
        self.manager.add_hookspecs(Hooks)

    def add(self, name: str, plugin: Callable[[], Any]) -> None:
        """Load a plugin and take its registrations, all or none; keep the reason where it fails.

        Args:
            name: of the plugin.
            plugin: returns the plugin's module or object.
        """
        try:
            found = plugin()
            hooks = _checked_hooks(found)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            self.skipped[name] = _reason(error)
            return
        if self.manager.is_registered(found):
            self.skipped[name] = f"it is already loaded as {self.manager.get_name(found)!r}"
            return
        try:
            self.manager.register(found, name)
            brought = self._registrations(name, found)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            if self.manager.is_registered(found):  # pluggy may stop halfway
                self.manager.unregister(found)
            self.skipped[name] = _reason(error)
            return
        for kind, entry in brought:
            self.entries[kind][entry.registration.name] = entry
        self.loaded[name] = hooks

    def _registrations(self, owner: str, plugin: Any) -> list[tuple[str, Entry]]:
        found: list[tuple[str, Entry]] = []
        for kind, hook in KINDS.items():
            for impl in getattr(self.manager.hook, hook).get_hookimpls():
                if impl.plugin is not plugin:
                    continue
                for registration in impl.function():
                    self._check(kind, registration, owner, found)
                    found.append((kind, Entry(registration, owner)))
        return found

    def _check(
        self, kind: str, registration: Any, owner: str, found: list[tuple[str, Entry]]
    ) -> None:
        if not isinstance(registration, Registration) or not registration.valid:
            raise PluginError(
                f"expected Registration(name, 'module:attribute', help), got {registration!r}"
            )
        name = registration.name
        other = self.entries[kind].get(name)
        if other is not None:
            raise PluginError(f"the {kind} {name!r} of {owner} is already taken by {other.owner}")
        if any(k == kind and e.registration.name == name for k, e in found):
            raise PluginError(f"the {kind} {name!r} is registered twice by {owner}")

    def get(self, kind: str, name: str) -> Any:
        """Return the object registered under a name.

        Raises:
            UnknownNameError: there is none.
            PluginError: it cannot be imported.
        """
        entry = self.entries[kind].get(name)
        if entry is None:
            hint, own = self._hint(kind, name), kind in OWN
            raise UnknownNameError(kind, name, self.entries[kind], hint, own=own)
        return entry.load()

    def _hint(self, kind: str, name: str) -> str:
        """Return where an unknown name may come from."""
        if self.skipped:
            skipped = "; ".join(f"{plugin}: {reason}" for plugin, reason in self.skipped.items())
            return f"(skipped plugins: {skipped})"
        if kind == "problem" and name in PACKAGES:
            return f"({name!r} comes with another package: pip install {PACKAGES[name]})"
        if kind in OWN and not with_colon(name):
            return "(or name your own: package.module:attribute)"
        return ""

    @property
    def packages(self) -> list[str]:
        """Names of the packages that brought something."""
        entries = [entry for kind in self.entries.values() for entry in kind.values()]
        return sorted({re.split("[.:]", entry.registration.target)[0] for entry in entries})

    def observe(self, hook: str, arguments: Mapping[str, Any]) -> None:
        """Call an observer hook of every plugin; one that raises is named and not called again."""
        for impl in getattr(self.manager.hook, hook).get_hookimpls():
            try:
                impl.function(*(arguments[name] for name in impl.argnames))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - an observer must not stop a run
                self.manager.unregister(impl.plugin)
                warnings.warn(
                    f"plugin {impl.plugin_name}: {hook} raised {type(error).__name__}: {error}; "
                    f"it is not called again",
                    RuntimeWarning,
                    stacklevel=2,
                )


def _checked_hooks(plugin: Any) -> list[str]:
    """Return the hooks a plugin implements.

    Raises:
        PluginError: a function is named or marked like a hook but is none.
    """
    hooks = []
    for name in dir(plugin):
        marked = getattr(getattr(plugin, name, None), f"{GROUP}_impl", None)
        if not marked and not (name.startswith(f"{GROUP}_") and callable(getattr(plugin, name))):
            continue
        hook = (marked or {}).get("specname") or name
        if hook not in KNOWN_HOOKS:
            near = get_close_matches(hook, KNOWN_HOOKS, n=1) or [", ".join(KNOWN_HOOKS)]
            raise PluginError(f"{hook!r} is no hook of swarmopt; did you mean {near[0]}?")
        if not marked:
            raise PluginError(f"{name!r} is not marked with swarmopt.plugins.hookimpl")
        hooks.append(hook)
    return hooks


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"


def load(points: Iterable[EntryPoint]) -> Plugins:
    """Return the built-ins and the plugins of these entry points, in order of their names."""
    plugins = Plugins()
    plugins.add("swarmopt", lambda: import_module(BUILT_IN))
    if plugins.skipped:
        raise PluginError(f"the built-ins do not load: {plugins.skipped['swarmopt']}")
    for point in sorted(points, key=lambda p: (p.name, p.value)):
        taken = point.name in plugins.loaded or point.name in plugins.skipped
        plugins.add(f"{point.name} ({point.value})" if taken else point.name, point.load)
    return plugins


@cache
def installed() -> Plugins:
    """Return everything that is installed in this environment; read once per process."""
    return load(entry_points(group=GROUP))
