"""The site: its commands and examples run, its example plugin installs, it builds."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from swarmopt.cli import call

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PLUGIN = DOCS / "examples" / "swarmopt_antennas"


def blocks(page: Path, kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)


def with_commands() -> list[Path]:
    return [page for page in sorted(DOCS.glob("*.md")) if blocks(page, "sh")]


@pytest.mark.slow
@pytest.mark.parametrize("page", with_commands(), ids=lambda p: p.name)
def test_the_commands_of_a_page_run_one_after_the_other(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "swarmopt"
            assert call(arguments) == 0, line


@pytest.mark.slow
def test_the_examples_of_the_adapters_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "adapters"}
    for example in blocks(DOCS / "adapters.md", "python adapters"):
        exec(compile(example, "adapters.md", "exec"), names)  # noqa: S102 - our own page


def test_the_example_plugin_is_short() -> None:
    files = [p for p in PLUGIN.rglob("*") if p.suffix in {".py", ".toml"}]
    lines = [line for p in files for line in p.read_text("utf-8").splitlines() if line.strip()]
    assert len(files) == 5
    assert len(lines) < 100


@pytest.mark.slow
def test_the_example_plugin_installs_and_works(tmp_path: Path) -> None:
    site = tmp_path / "site"
    install = ["pip", "install", "-q", "--no-deps", "--no-build-isolation", "--target", str(site)]
    subprocess.run([sys.executable, "-m", *install, str(PLUGIN)], check=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=environment, capture_output=True, text=True, cwd=tmp_path, check=True,
        )  # fmt: skip
        return done.stdout

    assert "antennas" in run("-m", "swarmopt", "list")
    command = "run --problem antennas --set masts=2 --algorithm walk --budget 400 --seed 1 --out a"
    run("-m", "swarmopt", *command.split())
    assert (tmp_path / "a" / "antennas.txt").read_text("utf-8") == "seed 1\n"
    check = "from swarmopt.testing import check_algorithm\n"
    check += "from swarmopt_antennas.walk import Walk\ncheck_algorithm(Walk())"
    run("-c", check)


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    command = ["mkdocs", "build", "--quiet", "-f", str(DOCS / "site" / "mkdocs.yml")]
    done = subprocess.run(
        [sys.executable, "-m", *command, "-d", str(tmp_path / "site")],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    html = [page.read_text("utf-8") for page in (tmp_path / "site").glob("*.html")]
    assert len(html) >= len(list(DOCS.glob("*.md")))
    loaded = [
        m for page in html for m in re.findall(r'<(?:script|link)[^>]*"https?://[^>]*>', page)
    ]
    assert [tag for tag in loaded if "canonical" not in tag] == []
