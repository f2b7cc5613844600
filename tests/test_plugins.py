"""The plugin loader: what is broken is named and skipped, the rest works."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from swarmopt.errors import PluginError, UnknownNameError
from swarmopt.plugins import (
    BUILT_IN,
    KINDS,
    KNOWN_HOOKS,
    Plugins,
    Registration,
    hookimpl,
    installed,
    load,
)

MakePlugin = Callable[[str, str], EntryPoint]
HEAD = "from swarmopt.plugins import Registration, hookimpl\n"
PROBLEMS = "@hookimpl\ndef swarmopt_register_problems(): "
GOOD = """
    @hookimpl
    def swarmopt_register_problems():
        return [Registration("good", "json:loads", "A problem that works.")]
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePlugin]:
    """Write a module and return the entry point that names it."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, code: str) -> EntryPoint:
        module = f"swarmopt_test_plugin_{name}"
        (tmp_path / f"{module}.py").write_text(HEAD + dedent(code))
        return EntryPoint(name, module, "swarmopt")

    yield write
    for module in [name for name in sys.modules if name.startswith("swarmopt_test_plugin_")]:
        del sys.modules[module]


BROKEN = {
    "raises at import": ("raise OSError('disk on fire')", "OSError: disk on fire"),
    "is not there": (None, "ModuleNotFoundError: No module named"),
    "misspells a hook": (
        "@hookimpl\ndef swarmopt_register_problem(): return []",
        "'swarmopt_register_problem' is no hook of swarmopt.*mean swarmopt_register_problems[?]",
    ),
    "misspells a hook beyond recognition": (
        "@hookimpl\ndef swarmopt_zzz(): return []",
        "'swarmopt_zzz' is no hook of swarmopt.*swarmopt_register_problems, swarmopt_register_alg",
    ),
    "marks what has no prefix": (
        "@hookimpl\ndef register_problems(): return []",
        "'register_problems' is no hook of swarmopt",
    ),
    "forgets the mark": (
        "def swarmopt_register_problems(): return []",
        "'swarmopt_register_problems' is not marked with swarmopt.plugins.hookimpl",
    ),
    "wants an argument that no one gives": (
        "@hookimpl\ndef swarmopt_run_finished(result, colour): ...",
        "PluginValidationError: .*colour",
    ),
    "registers a string": (
        PROBLEMS + "return ['mine']",
        r"expected Registration\(name, 'module:attribute', help\), got 'mine'",
    ),
    "registers a target without attribute": (
        PROBLEMS + "return [Registration('mine', 'json.loads', '')]",
        r"expected Registration\(name, 'module:attribute', help\), got Registration\(name='mine'",
    ),
    "returns nothing": (PROBLEMS + "pass", "TypeError: 'NoneType' object is not iterable"),
    "raises when asked": (PROBLEMS + "raise KeyError('x')", "KeyError: 'x'"),
    "takes a name of ours": (
        PROBLEMS + "return [Registration('ackley', 'json:loads', '')]",
        "the problem 'ackley' of takes a name of ours is already taken by swarmopt",
    ),
    "registers a name twice": (
        PROBLEMS + "return 2 * [Registration('mine', 'json:loads', '')]",
        "the problem 'mine' is registered twice by registers a name twice",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_skipped_with_the_reason_and_the_rest_loads(
    name: str, make: MakePlugin
) -> None:
    code, reason = BROKEN[name]
    if code is None:
        broken = EntryPoint(name, "swarmopt_test_plugin_nowhere", "swarmopt")
    else:
        module = name.replace(" ", "_")
        broken = EntryPoint(name, make(module, code).value, "swarmopt")
    plugins = load([make("before", GOOD.replace("good", "first")), broken, make("zebra", GOOD)])
    assert list(plugins.skipped) == [name]
    assert re.search(reason, plugins.skipped[name], re.DOTALL)
    assert list(plugins.loaded) == ["swarmopt", "before", "zebra"]
    assert {"first", "good", "rastrigin"} <= set(plugins.entries["problem"])
    assert name not in {entry.owner for kind in KINDS for entry in plugins.entries[kind].values()}


@pytest.mark.parametrize(
    "fault",
    [
        "@hookimpl\ndef swarmopt_register_problems():\n    return 'sphere'",
        "@hookimpl\ndef swarmopt_run_finished(colour):\n    ...",
    ],
)
def test_a_plugin_is_taken_whole_or_not_at_all(fault: str, make: MakePlugin) -> None:
    works = """
        seen = []

        @hookimpl
        def swarmopt_register_algorithms():
            return [Registration("mine", "json:loads", "")]

        @hookimpl
        def swarmopt_generation_finished(step):
            seen.append(step)
    """
    plugins = load([make("half", dedent(works) + fault)])
    assert list(plugins.skipped) == ["half"]
    assert "mine" not in plugins.entries["algorithm"]
    plugins.observe("swarmopt_generation_finished", {"step": 1})
    assert _seen("half") == []


def test_the_second_of_two_plugins_with_one_name_tells_both_owners(make: MakePlugin) -> None:
    plugins = load([make("b", GOOD), make("a", GOOD)])
    assert list(plugins.loaded) == ["swarmopt", "a"]
    assert plugins.skipped == {"b": "the problem 'good' of b is already taken by a"}


def test_names_are_taken_per_kind(make: MakePlugin) -> None:
    code = GOOD.replace("register_problems", "register_commands")
    plugins = load([make("a", GOOD), make("b", code)])
    assert not plugins.skipped
    assert plugins.entries["problem"]["good"].owner == "a"
    assert plugins.entries["command"]["good"].owner == "b"


def test_two_entry_points_of_one_name_are_told_apart(make: MakePlugin) -> None:
    one, two = make("one", GOOD), make("two", GOOD.replace('"good"', '"other"'))
    points = [EntryPoint("same", p.value, "swarmopt") for p in (one, two)]
    plugins = load(points)
    assert list(plugins.loaded) == ["swarmopt", "same", f"same ({two.value})"]
    three, four = make("three", "raise OSError('3')"), make("four", "raise OSError('4')")
    points = [EntryPoint("same", p.value, "swarmopt") for p in (three, four)]
    assert list(load(points).skipped.values()) == ["OSError: 4", "OSError: 3"]


def test_one_module_under_two_names_is_loaded_once(make: MakePlugin) -> None:
    point = make("a", GOOD)
    plugins = load([point, EntryPoint("b", point.value, "swarmopt")])
    assert plugins.skipped == {"b": "it is already loaded as 'a'"}
    assert plugins.get("problem", "good") is not None


def test_an_object_may_be_a_plugin() -> None:
    class Mine:
        @hookimpl(specname="swarmopt_register_problems")
        def problems(self) -> list[Registration]:
            return [Registration("mine", "json:loads", "Mine.")]

    plugins = Plugins()
    plugins.add("mine", Mine)
    assert plugins.loaded == {"mine": ["swarmopt_register_problems"]}
    assert plugins.get("problem", "mine").__name__ == "loads"


def test_built_ins_that_do_not_load_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmopt.plugins.BUILT_IN", "swarmopt.nowhere")
    with pytest.raises(PluginError, match="the built-ins do not load: ModuleNotFoundError"):
        load([])


# Every hook.

ARGUMENTS: dict[str, dict[str, Any]] = {
    "swarmopt_run_started": {"settings": {"seed": 1}, "folder": None},
    "swarmopt_generation_finished": {"step": "a step"},
    "swarmopt_evaluation_failed": {"ids": [3], "errors": ["Traceback"]},
    "swarmopt_run_finished": {"result": "a result", "folder": Path("runs")},
}


def test_every_hook_is_tested_here() -> None:
    assert set(KNOWN_HOOKS) == set(ARGUMENTS) | set(KINDS.values())


@pytest.mark.parametrize("hook", KNOWN_HOOKS)
def test_every_hook_says_what_it_is_for(hook: str) -> None:
    assert getattr(Plugins().manager.hook, hook).spec.function.__doc__.strip().endswith(".")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_registered_listed_and_found(kind: str, make: MakePlugin) -> None:
    code = GOOD.replace("swarmopt_register_problems", KINDS[kind])
    plugins = load([make("brings", code)])
    entry = plugins.entries[kind]["good"]
    assert entry.owner == "brings"
    assert entry.registration == Registration("good", "json:loads", "A problem that works.")
    assert plugins.loaded["brings"] == [KINDS[kind]]
    assert plugins.get(kind, "good").__name__ == "loads"


@pytest.mark.parametrize("hook", ARGUMENTS)
def test_every_observer_gets_the_arguments_it_asks_for(hook: str, make: MakePlugin) -> None:
    names = list(ARGUMENTS[hook])
    plugins = load(
        [
            make("all", _observer(hook, names)),
            make("last", _observer(hook, names[-1:])),
            make("none", _observer(hook, [])),
        ]
    )
    assert not plugins.skipped
    plugins.observe(hook, ARGUMENTS[hook])
    values = tuple(ARGUMENTS[hook].values())
    assert [_seen(name) for name in ("all", "last", "none")] == [[values], [values[-1:]], [()]]


def _observer(hook: str, names: list[str], body: str = "") -> str:
    values = "".join(f"{name}, " for name in names)
    return (
        f"seen = []\n@hookimpl\ndef {hook}({', '.join(names)}):\n    seen.append(({values}))\n"
        f"    {body}"
    )


def _seen(name: str) -> Any:
    return sys.modules[f"swarmopt_test_plugin_{name}"].seen


@pytest.mark.parametrize("hook", ARGUMENTS)
def test_an_observer_that_raises_is_named_once_and_dropped(hook: str, make: MakePlugin) -> None:
    names = list(ARGUMENTS[hook])
    bad = _observer(hook, names, "raise ValueError('no paper')")
    plugins = load([make("bad", bad), make("good", _observer(hook, names))])
    with pytest.warns(RuntimeWarning, match=f"plugin bad: {hook} raised ValueError: no paper"):
        plugins.observe(hook, ARGUMENTS[hook])
    plugins.observe(hook, ARGUMENTS[hook])  # a second warning would be an error here
    assert len(_seen("bad")) == 1
    assert len(_seen("good")) == 2


def test_a_dropped_observer_keeps_what_it_registered(make: MakePlugin) -> None:
    hook = "swarmopt_generation_finished"
    point = make("both", dedent(GOOD) + _observer(hook, [], "1 / 0"))
    plugins = load([point])
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
        plugins.observe(hook, {"step": 0})
    assert plugins.get("problem", "good").__name__ == "loads"


# Names.


def test_an_unknown_problem_lists_the_nearest_names() -> None:
    with pytest.raises(
        UnknownNameError,
        match=r"unknown problem 'rastrigni'; did you mean 'rastrigin'.*package.module:attribute",
    ):
        load([]).get("problem", "rastrigni")


def test_an_unknown_algorithm_lists_the_nearest_names() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown algorithm 'sso'; did you mean .*'pso'"):
        load([]).get("algorithm", "sso")


def test_a_name_like_no_other_lists_all() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown evaluator 'zzzz'; known: .*in-process"):
        load([]).get("evaluator", "zzzz")


def test_pruning_without_its_package_says_what_to_install() -> None:
    with pytest.raises(UnknownNameError, match="pip install swarmopt-pruning"):
        load([]).get("problem", "channel-prune")


def test_an_object_that_cannot_be_imported_names_plugin_and_target(make: MakePlugin) -> None:
    code = GOOD.replace("json:loads", "json:nothing")
    plugins = load([make("hollow", code)])
    with pytest.raises(
        PluginError,
        match="'good' of the plugin hollow cannot be imported from 'json:nothing': AttributeError",
    ):
        plugins.get("problem", "good")


# Listing.


def test_what_is_installed_is_read_once() -> None:
    assert installed() is installed()
    assert "swarmopt" in installed().loaded


def test_packages_are_those_of_the_targets(make: MakePlugin) -> None:
    plugins = load([make("a", GOOD), make("b", "raise OSError")])
    assert plugins.packages == ["json", "swarmopt"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_built_in_has_a_sentence_of_help(kind: str) -> None:
    for entry in load([]).entries[kind].values():
        assert entry.registration.help[0].isupper()
        assert entry.registration.help.endswith(".")
        assert "\n" not in entry.registration.help


def test_listing_imports_no_target_and_no_torch() -> None:
    code = f"""
        import sys
        from swarmopt.plugins import installed
        names = [(e.registration.name, e.registration.target.partition(":")[0])
                 for kind in installed().entries.values() for e in kind.values()]
        assert len(names) > 10, names
        assert {BUILT_IN!r} in sys.modules
        wrong = [m for n, m in names if m in sys.modules] + ["torch"] * ("torch" in sys.modules)
        print(*wrong)
    """
    run = subprocess.run(
        [sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "", "")


def test_a_skipped_plugin_is_named_where_a_name_is_unknown() -> None:
    registry = load([])
    registry.add("exits", lambda: sys.exit("no licence"))
    assert registry.skipped == {"exits": "SystemExit: no licence"}
    with pytest.raises(UnknownNameError, match="skipped plugins: exits: SystemExit: no licence"):
        registry.get("problem", "channel-prune")
