"""Every Python example in the README and the docs runs, and the pages name what there is."""

import re
from pathlib import Path

import pytest

from swarmopt import plugins, testing
from swarmopt.algorithm import AnyAlgorithm

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def examples(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), flags=re.DOTALL)


def check_contract(algorithm: AnyAlgorithm) -> None:
    """Run the checks of the contract, which need few evaluations, in the place of all checks."""
    for check in testing.CHECKS:
        if check.__module__ == "swarmopt.testing.contract":
            check(algorithm)


@pytest.mark.parametrize("page", [p for p in PAGES if examples(p)], ids=lambda p: p.name)
def test_the_examples_of_a_page_run_one_after_the_other(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, thorough: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    if not thorough:
        monkeypatch.setattr(testing, "check_algorithm", check_contract)
    names: dict[str, object] = {"__name__": page.stem}
    for example in examples(page):
        exec(compile(example, page.name, "exec"), names)  # noqa: S102 - our own pages


def test_no_two_commands_of_the_pages_make_the_same_folder() -> None:
    made = [name for p in PAGES for name in re.findall(r"--out (runs/\S+)", p.read_text("utf-8"))]
    assert sorted(made) == sorted(set(made))


def test_every_hook_is_documented() -> None:
    page = (ROOT / "docs" / "plugins.md").read_text("utf-8")
    for hook in plugins.KNOWN_HOOKS:
        assert f"`{hook}(" in page


def test_the_readme_is_short_and_names_every_algorithm() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) < 150
    for name in plugins.installed().entries["algorithm"]:
        assert f"| `{name}` |" in text


def test_the_house_page_names_every_room() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    plugin = ROOT / "swarmopt_pruning" / "src" / "swarmopt_pruning"
    for folder in (ROOT / "swarmopt", plugin):
        for path in folder.iterdir():
            if path.suffix == ".py" and not path.name.startswith("__"):
                assert f"`{path.name}`" in page, f"{path.name} has no line in docs/architecture.md"


def test_the_changelog_names_every_problem_and_algorithm() -> None:
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    for kind in ("problem", "algorithm"):
        for name, entry in plugins.installed().entries[kind].items():
            if entry.owner == "swarmopt":
                assert f"`{name}`" in text
