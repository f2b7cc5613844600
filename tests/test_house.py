"""The house: who may import whom, what is public, what is light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import swarmopt
from swarmopt import plugins

CORE = Path(swarmopt.__file__).parent
# Each room imports from itself and from floors below only.
FLOORS = [
    {"errors", "types", "jsonable", "terminal", "words", "clock"},
    {"domain", "variables", "lock", "database", "schema"},
    {"space", "rows"},
    {"algorithm", "record"},
    {"result", "migration"},
    {"evaluation", "settings", "limits"},
    {"problem"},
    {"algorithms", "problems", "evaluate", "journal"},
    {"plugins", "folder"},
    {"builtins"},
    {"batch", "progress", "race", "resuming"},
    {"search"},
    {"inputs", "pending"},
    {"replay"},
    {"loop"},
    {"run"},
    {"optimizer", "compare"},
    {"plots", "testing", "adapters"},
    {"report"},
    {"export"},
    {"cli"},
    {"__main__"},
]
FLOOR_OF = {room: number for number, floor in enumerate(FLOORS) for room in floor}


def imports(tree: ast.AST) -> set[str]:
    """Return the modules a file imports at any time; those for types only are left out."""
    found = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
        found |= imports(node)
    return found


def room_of(path: Path) -> str:
    return path.relative_to(CORE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda p: str(p.relative_to(CORE)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    for module in imports(ast.parse(path.read_text("utf-8"))):
        top, _, rest = module.partition(".")
        assert top not in {"torch", "swarmopt_pruning"}, f"{room} imports {module}"
        other = rest.partition(".")[0]
        if top == "swarmopt" and other in FLOOR_OF and other != room:
            assert FLOOR_OF[other] < FLOOR_OF[room], f"{room} imports {other}, not below it"


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(path) for path in CORE.rglob("*.py")} - {"__init__"}
    assert rooms == set(FLOOR_OF)


def test_all_names_are_public_and_there() -> None:
    for name in swarmopt.__all__:
        assert getattr(swarmopt, name) is not None
    assert set(swarmopt._ROOM_OF) | set(swarmopt._MODULES) == set(swarmopt.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = swarmopt.nothing


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_swarmopt_imports_next_to_nothing() -> None:
    heavy = "{'numpy', 'scipy', 'matplotlib', 'torch', 'click', 'rich', 'pluggy'}"
    assert run(f"import sys, swarmopt; print({heavy} & set(sys.modules))") == "set()"


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["plugins"], ["list", "--json"]])
def test_looking_around_imports_no_torch_and_no_problem(arguments: list[str]) -> None:
    code = f"""
import sys
from swarmopt.cli import call
code = call({arguments!r})
heavy = {{"torch", "matplotlib", "swarmopt.problems.analytic", "swarmopt.algorithms.ssa"}}
print(code, heavy & set(sys.modules))
"""
    assert run(code).endswith("0 set()")


def test_a_run_on_an_analytic_problem_imports_no_torch(tmp_path: Path) -> None:
    arguments = ["run", "--problem", "sphere", "--budget", "50", "--out", str(tmp_path / "a")]
    code = f"from swarmopt.cli import call; call({arguments!r}); import sys; "
    code += "print('torch' in sys.modules)"
    assert run(code).endswith("False")


def test_every_registration_loads_and_has_a_sentence_of_help() -> None:
    for entries in plugins.installed().entries.values():
        for entry in entries.values():
            assert entry.registration.help.endswith(".")
            if entry.owner == "swarmopt":
                assert entry.load() is not None
