"""Build both distributions, check them, and run tests against them in a fresh environment.

    python tests/check_wheel.py [--lowest] [--python python3.13]

`make check-wheel`: sdists, wheels from these, what twine and check-wheel-contents say; then the
core alone, which must bring no torch; then with the plugin. `make check-lowest`: the core with the
lowest versions that pyproject.toml allows. Neither can see the checkout's own packages.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "swarmopt_pruning"
TOOLS = ("pytest", "pytest-xdist", "hypothesis", "pandas>=2")
OF_A_CHECKOUT = "tests/test_docs.py::test_the_house_page_names_every_room"  # reads the sources
BESIDE = ("README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "docs", "tests")
CORE_TESTS = (
    "house", "docs", "space", "settings", "problem", "problems", "problems_analytic",
    "problems_combinatorial", "problems_instance", "problems_integer", "problems_mixed", "run",
    "run_algorithms", "run_errors", "optimizer", "streams", "pso", "ga", "de", "ssa",
    "ssa_discrete", "ssa_landscape", "ssa_quality", "ssa_restarts", "ssa_selection", "plugins",
    "cli", "cli_wrong", "journal", "folder", "resume", "plots",
)  # fmt: skip
PLUGIN_TESTS = ("plan", "cost", "budget", "importance", "balance", "constraint", "codes")
ALONE = """
import importlib.util, sys, swarmopt
assert "site-packages" in swarmopt.__file__, swarmopt.__file__
assert importlib.util.find_spec("torch") is None, "swarmopt alone brings torch"
swarmopt.minimize(lambda x: float(x @ x), [(-1, 1)] * 2, budget=50, seed=1)
heavy = {"matplotlib", "optuna", "sklearn", "pandas", "distributed"} & set(sys.modules)
assert not heavy, heavy
"""


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command, and stop where it fails."""
    print("+", *command, flush=True)  # noqa: T201 - a script
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(command, cwd=cwd, check=True, env={**environment, "OMP_NUM_THREADS": "1"})


def built(folder: Path) -> tuple[Path, Path]:
    """Build and check sdists and wheels, and return the wheels of the core and of the plugin."""
    for project in (ROOT, PLUGIN):
        run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, project)
    run(sys.executable, "-m", "twine", "check", "--strict", *sorted(folder.iterdir()))
    wheels = sorted(folder.glob("*.whl"))
    run(Path(sys.executable).with_name("check-wheel-contents"), *wheels)
    core, plugin = (next(folder.glob(f"{n}-*.whl")) for n in ("swarmopt", "swarmopt_pruning"))
    return core, plugin


def fresh(folder: Path, interpreter: str) -> Path:
    """Make an environment and a copy of the tests, and return its Python."""
    for name in BESIDE:
        path = ROOT / name
        copy = shutil.copytree if path.is_dir() else shutil.copy
        copy(path, folder / name)
    run(interpreter, "-m", "venv", folder / "venv")
    return folder / "venv" / "bin" / "python"


def run_tests(python: Path, folder: Path, room: str, names: tuple[str, ...]) -> None:
    """Run the fast ones of the tests of these names."""
    files = [folder / room / f"test_{name}.py" for name in names]
    options = ("-q", "-n", "2", "-m", "not slow", "-W", "default", "--deselect", OF_A_CHECKOUT)
    run(python, "-m", "pytest", *options, *files, cwd=folder)


def lowest(project: Path) -> list[str]:
    """Return a pin to its lower bound for every dependency that has one."""
    table = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    extras = table["optional-dependencies"]
    wanted = [*table["dependencies"], *extras.get("optuna", []), *extras.get("sklearn", [])]
    found = (re.fullmatch(r"([\w-]+)>=([\w.]+)", requirement) for requirement in wanted)
    return [f"{match[1]}=={match[2]}" for match in found if match]


def check_wheels(folder: Path, interpreter: str) -> None:
    """Try the core alone, then with the plugin, at the pinned versions."""
    core, plugin = built(folder / "wheels")
    python = fresh(folder, interpreter)
    install = (python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt")
    run(*install, core)
    run(python, "-c", ALONE, cwd=folder)
    run(*install, *TOOLS)
    run_tests(python, folder, "tests", CORE_TESTS)
    run(*install, plugin)
    run_tests(python, folder, "tests/pruning", PLUGIN_TESTS)


def check_lowest(folder: Path, interpreter: str) -> None:
    """Try the core and its adapters at their lowest versions."""
    python = fresh(folder, interpreter)
    pins = folder / "lowest.txt"
    pins.write_text("\n".join(lowest(ROOT)), "utf-8")
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", folder, ROOT)
    wheel = next(folder.glob("*.whl"))
    run(python, "-m", "pip", "install", "-q", "-c", pins, f"{wheel}[optuna,sklearn]", *TOOLS)
    run_tests(python, folder, "tests", (*CORE_TESTS, "adapter_optuna", "adapter_sklearn"))


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description="Try what would be published.")
    parser.add_argument("--lowest", action="store_true", help="at the lowest versions")
    parser.add_argument("--python", default=sys.executable, help="an interpreter")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check = check_lowest if chosen.lowest else check_wheels
        check(Path(folder), chosen.python)


if __name__ == "__main__":
    main()
