"""Build both wheels and run the tests against them in a fresh environment: `make check-wheel`.

First the core alone, where the plugin's tests must not be needed; then with the plugin.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    """Run a command, and stop where it fails."""
    print("+", *command, flush=True)  # noqa: T201 - a script
    subprocess.run(command, cwd=cwd, check=True)


def main() -> None:
    """Build, install and test."""
    with tempfile.TemporaryDirectory() as folder:
        wheels, environment = Path(folder) / "wheels", Path(folder) / "venv"
        for project in (ROOT, ROOT / "swarmopt_pruning"):
            run(sys.executable, "-m", "build", "--no-isolation", "--outdir", wheels, project)
        venv.create(environment, with_pip=True)
        python = environment / "bin" / "python"
        install = (python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt")
        core, plugin = (next(wheels.glob(f"{n}-*.whl")) for n in ("swarmopt", "swarmopt_pruning"))
        test = (python, "-m", "pytest", "-q", "-c", ROOT / "pyproject.toml", "-m", "not slow")
        run(*install, core, "pytest", "hypothesis", "pytest-xdist")
        run(*test, ROOT / "tests", "--ignore", ROOT / "tests" / "pruning", cwd=Path(folder))
        run(*install, plugin)
        run(*test, ROOT / "tests" / "pruning", cwd=Path(folder))


if __name__ == "__main__":
    main()
