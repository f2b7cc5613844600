"""Settings from outside, checked against a signature."""

import inspect
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from swarmopt.errors import FactoryError, FolderError, SettingError, UnknownNameError
from swarmopt.settings import build, convert, import_object, parse_value, settings_of


@dataclass(frozen=True)
class Tool:
    """A class as users see it in `swarmopt show`."""

    population: int
    rate: float = 0.5
    label: str | None = None
    fast: bool = False
    mode: Literal["a", "b"] = "a"
    sizes: tuple[int, ...] = (1, 2)


def factory(*, depth: int = 3, scale: float = 1.0) -> tuple[int, float]:
    return depth, scale


class Plain:
    """A class with an __init__ of its own, and something variadic."""

    def __init__(self, size: int, *rest: int, flag: bool = True, **more: int) -> None:
        self.size, self.flag = size, flag


def test_the_signature_of_a_class_is_its_schema() -> None:
    found = settings_of(Tool)
    assert list(found) == ["population", "rate", "label", "fast", "mode", "sizes"]
    assert found["population"].required
    assert found["population"].default is inspect.Parameter.empty
    assert not found["rate"].required
    assert found["rate"].default == 0.5
    assert found["rate"].type is float


@pytest.mark.parametrize(
    ("value", "kind", "form"),
    [
        ("conv1", list[str] | None, '["conv1"], in a shell \'exclude=["conv1"]\''),
        ("a, b", list[str], '["a", "b"], in a shell'),
        ("3,4", list[int], "[3, 4], in a shell"),
        (3, list[int], "[3], in a shell"),
    ],
)
def test_what_should_be_a_list_is_answered_with_how_to_write_one(
    value: Any, kind: Any, form: str
) -> None:
    with pytest.raises(SettingError) as caught:
        convert(value, kind, "problem p: exclude")
    assert "expected `list" in str(caught.value)
    assert f"; a list is written {form}" in str(caught.value)


def test_types_are_named_for_people() -> None:
    names = [setting.type_name for setting in settings_of(Tool).values()]
    assert names == ["int", "float", "str | None", "bool", "Literal['a', 'b']", "tuple[int, ...]"]


def test_functions_have_settings_too() -> None:
    assert list(settings_of(factory)) == ["depth", "scale"]
    assert build(factory, {"depth": 5}, "problem f") == (5, 1.0)


def test_variadic_arguments_are_no_settings() -> None:
    assert list(settings_of(Plain)) == ["size", "flag"]
    with pytest.raises(UnknownNameError):
        build(Plain, {"size": 1, "more": 2}, "problem plain")


def test_an_argument_without_annotation_takes_anything() -> None:
    def loose(value="x") -> Any:  # type: ignore[no-untyped-def]
        return value

    assert settings_of(loose)["value"].type is Any
    assert build(loose, {"value": [1, "a"]}, "problem loose") == [1, "a"]


def test_everything_given_arrives() -> None:
    values = {"population": 20, "rate": 0.25, "label": "x", "fast": True, "mode": "b", "sizes": [3]}
    assert build(Tool, values, "algorithm tool") == Tool(20, 0.25, "x", True, "b", (3,))


def test_whole_numbers_pass_as_floats() -> None:
    tool = build(Tool, {"population": 1, "rate": 1}, "algorithm tool")
    assert tool.rate == 1.0
    assert type(tool.rate) is float


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("population", 2.0, "algorithm tool: population = 2.0: expected `int`, got `float`"),
        ("population", "20", "algorithm tool: population = '20': expected `int`, got `str`"),
        ("population", True, "expected `int`, got `bool`"),
        ("population", None, "expected `int`, got `null`"),
        ("rate", "0.5", "expected `float`, got `str`"),
        ("rate", True, "expected `float`, got `bool`"),
        ("rate", float("nan"), "algorithm tool: rate: expected a number, got NaN"),
        ("rate", 10**400, "number out of range"),
        ("fast", 1, "expected `bool`, got `int`"),
        ("label", 3, r"expected `str \| null`, got `int`"),
        ("mode", "c", "invalid enum value 'c'"),
        ("sizes", [1, "2"], "expected `int`, got `str`"),
    ],
)
def test_a_value_of_another_type_is_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        build(Tool, {"population": 1, name: value}, "algorithm tool")


def test_an_unknown_name_comes_with_the_nearest() -> None:
    with pytest.raises(
        UnknownNameError,
        match="unknown setting of algorithm tool: 'populaton'; did you mean 'population'",
    ):
        build(Tool, {"populaton": 20}, "algorithm tool")


def test_a_name_like_no_other_comes_with_all_of_them() -> None:
    with pytest.raises(UnknownNameError, match="'zzz'; known: depth, scale"):
        build(factory, {"zzz": 1}, "problem f")


def test_where_there_are_no_settings_the_message_says_so() -> None:
    with pytest.raises(UnknownNameError, match="'dim'; there are none"):
        build(lambda: None, {"dim": 1}, "problem vessel")


def test_a_missing_setting_is_named_with_its_cure() -> None:
    with pytest.raises(SettingError, match=r"'population' is needed; give --set algorithm\.pop"):
        build(Tool, {"rate": 0.5}, "algorithm tool")


def test_what_the_factory_refuses_reaches_the_user() -> None:
    def picky(*, dim: int) -> None:
        raise SettingError(f"expected an even dim, got {dim}")

    with pytest.raises(SettingError, match="expected an even dim, got 3"):
        build(picky, {"dim": 3}, "problem picky")


def test_what_a_factory_raises_is_an_error_of_ours_that_keeps_its_traceback() -> None:
    with pytest.raises(FactoryError, match=r"problem p cannot be made: it raised .*: 3 \(") as info:
        build(lambda: sys.exit(3), {}, "problem p")
    assert isinstance(info.value.__cause__, SystemExit)


@pytest.mark.parametrize("kind", [FolderError, MemoryError])
def test_an_error_that_the_command_line_knows_passes_through_a_factory(
    kind: type[Exception],
) -> None:
    def broken() -> None:
        raise kind("no room")

    with pytest.raises(kind, match=r"^no room$"):
        build(broken, {}, "problem p")


def test_nothing_is_built_from_settings_that_are_refused() -> None:
    built = []

    def record(*, dim: int = 1) -> None:
        built.append(dim)

    with pytest.raises(SettingError):
        build(record, {"dim": "x"}, "problem record")
    assert built == []


def test_a_signature_that_cannot_be_read_is_a_named_error() -> None:
    def broken(x: "Missing") -> None:  # type: ignore[name-defined]  # noqa: F821 - the fault
        ...

    with pytest.raises(SettingError, match="broken: its signature cannot be read"):
        settings_of(broken)


def test_a_type_that_cannot_be_checked_is_left_to_the_factory() -> None:
    value = object()
    assert convert(value, Sequence[np.ndarray[Any, Any]] | np.random.Generator, "x") is value


def test_a_whole_number_of_numpy_is_no_setting() -> None:
    with pytest.raises(SettingError, match="expected `int`"):
        convert(np.int64(3), int, "problem f: depth")


# Objects by name.


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder, and forget afterwards what was imported from it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("swarmopt_test_bowl", None)


def test_an_object_is_found_in_an_installed_module() -> None:
    assert import_object("inspect:Parameter.empty") is inspect.Parameter.empty


def test_an_object_is_found_in_a_module_beside_the_caller(here: Path) -> None:
    (here / "swarmopt_test_bowl.py").write_text("def cost(x):\n    return 3.0\n")
    assert import_object("swarmopt_test_bowl:cost")(None) == 3.0


def test_a_module_that_is_not_there_is_named_with_the_folder(here: Path) -> None:
    with pytest.raises(SettingError, match="'swarmopt_test_bowl' cannot be imported from") as info:
        import_object("swarmopt_test_bowl:cost")
    assert str(here) in str(info.value)


def test_a_module_that_raises_is_named_with_its_reason(here: Path) -> None:
    (here / "swarmopt_test_crash.py").write_text("raise OSError('disk on fire')")
    with pytest.raises(SettingError, match=r"cannot be imported.*OSError: disk on fire"):
        import_object("swarmopt_test_crash:cost")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("math:sqr", "unknown attribute of math 'sqr'; did you mean 'sqrt'"),
        ("math", "unknown attribute of math ''"),
        ("math:pi.deep", "unknown attribute of math 'pi.deep'"),
    ],
)
def test_an_unknown_attribute_comes_with_the_nearest(name: str, message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        import_object(name)


def test_nan_inside_a_list_is_refused() -> None:
    with pytest.raises(SettingError, match="NaN"):
        convert([1.0, math.nan], list[float], "rates")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a.*": [1, 2]}', {"a.*": [1, 2]}),
        ('{"a.*" = [1, 2]}', {"a.*": [1, 2]}),
        ("[1, null]", [1, None]),
        ("[1,", "[1,"),
        ("[" * 9999, "[" * 9999),
        ("nan", math.nan),
        ("a=b", "a=b"),
        (".5", 0.5),
        ("-5.", -5.0),
        (" .5e-3", 0.0005),
        (".", "."),
        (".e3", ".e3"),
    ],
)
def test_values_are_read_as_toml_then_json_then_text(text: str, value: Any) -> None:
    assert repr(parse_value(text)) == repr(value)


def test_lists_and_tables_are_called_so() -> None:
    with pytest.raises(SettingError, match="expected `list`, got `str`"):
        convert("stem", list[str], "exclude")
    with pytest.raises(SettingError, match="expected `table`, got `str`"):
        convert("stem", dict[str, int], "allowed")
