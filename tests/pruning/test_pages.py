"""The examples of pruning in the README and the docs run as a reader would run them."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/pruning.md", "swarmopt_pruning/README.md"])
def test_the_examples_of_a_page_run_in_an_empty_folder(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text("utf-8")
    examples = re.findall(r"```python pruning\n(.*?)```", text, flags=re.DOTALL)
    assert examples
    names: dict[str, object] = {"__name__": "page"}
    for example in examples:
        exec(compile(example, page, "exec"), names)  # noqa: S102 - our own pages
    assert (tmp_path / "plan.json").is_file()


def test_the_network_that_the_page_trains_has_learnt(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "pruning.md").read_text("utf-8")
    trains = text[text.index("## Images") : text.index("## Keep it")]
    names: dict[str, object] = {"__name__": "page"}
    for example in re.findall(r"```python pruning\n(.*?)```", trains, flags=re.DOTALL):
        exec(compile(example, "docs/pruning.md", "exec"), names)  # noqa: S102 - our own page
    assert float(capsys.readouterr().out.split()[-1]) > 0.8


def test_the_example_of_the_readme_has_ten_lines() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    (example,) = re.findall(r"```python pruning\n(.*?)```", text, flags=re.DOTALL)
    assert len([line for line in example.splitlines() if line]) == 10


@pytest.mark.slow
def test_the_training_script_prunes_and_is_as_good_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "docs" / "examples" / "prune_in_training.py"), run_name="__main__")
    said = capsys.readouterr().out
    trained, _, tuned = (float(x) for x in re.findall(r"accuracy ([\d.]+)", said))
    (share,) = re.findall(r"pruned to (\d+)%", said)
    assert int(share) <= 50
    assert tuned > trained - 0.1 > 0.6
    assert (tmp_path / "plan.json").is_file()
