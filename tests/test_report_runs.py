"""The page of a run that went otherwise: cut short, all failed, or with a record that says less."""

import math
import shlex
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from made import change, set_meta
from pages import Read, codes

from swarmopt import AllFailedError, Categorical, Real, Space, lock, minimize, record
from swarmopt.cli import call
from swarmopt.report import page_of_folder, run_page
from swarmopt.report.page import Page, Picture
from swarmopt.report.reproduce import command, resume_command


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures, which take half a second each, are those of test_plots.py."""
    monkeypatch.setattr("swarmopt.report.run_page.inline", lambda *_: "<svg></svg>")
    monkeypatch.setattr("swarmopt.cli.session._draw", lambda *_: None)


def read(folder: Path) -> Read:
    return Read(page_of_folder(folder).html())


def captions(page: Page) -> list[str]:
    return [b.caption for s in page.sections for b in s.blocks if isinstance(b, Picture)]


def bowl(x: Any) -> float:
    return float(x @ x)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    minimize(bowl, [(-1, 1)] * 2, budget=60, seed=1, run_dir=tmp_path / "run")
    return tmp_path / "run"


def test_a_run_in_which_all_failed_found_nothing_and_shows_no_point(tmp_path: Path) -> None:
    with pytest.raises(AllFailedError):
        minimize(lambda x: math.nan, [(0, 1)], budget=50, seed=1, algorithm="random-search",
                 run_dir=tmp_path / "run")  # fmt: skip
    page, shown = page_of_folder(tmp_path / "run"), read(tmp_path / "run")
    assert "Nothing was found in 20 evaluations." in page.verdict
    assert "20 of 20 evaluations failed; they rank last." in page.verdict
    assert shown.number("failed evaluations") == shown.number("evaluations") == 20
    assert not {"best cost", "found by evaluation"} & set(shown.facts)
    assert not any("best points" in caption for caption in shown.tables)
    (curve,) = captions(page)  # and no best points across the variables
    assert curve.startswith("Cost against evaluations")


def stops(x: Any) -> float:
    raise KeyboardInterrupt


def test_a_run_that_was_stopped_at_its_first_evaluation_has_a_page_without_pictures(
    tmp_path: Path,
) -> None:
    with pytest.raises(KeyboardInterrupt):
        minimize(stops, [(0, 1)], budget=50, seed=1, run_dir=tmp_path / "run")
    page = page_of_folder(tmp_path / "run")
    assert page.verdict[1:] == ["Nothing was found in 0 evaluations."]
    assert captions(page) == []
    assert read(tmp_path / "run").facts["digest"][0] == "of nothing"


def test_a_run_that_goes_on_is_not_to_be_gone_on_with(folder: Path) -> None:
    change(folder, lambda db: set_meta(db, "finished", None))
    assert "This run is not finished. Go on with it" in read(folder).text
    held = lock.acquire(folder)
    try:
        text = read(folder).text
    finally:
        lock.release(folder, held)
    assert "This run is going on: what follows is what it has found so far." in text
    assert "Go on with it" not in text


def test_a_run_that_was_resumed_on_another_machine_says_so(folder: Path) -> None:
    told = "It was resumed, and is not bit-identical to an uninterrupted run."
    assert told not in read(folder).text
    change(folder, lambda db: set_meta(db, "diverged", 2))
    assert told in read(folder).text


NAMES = ("producers", "scroungers", "scouts")


@pytest.mark.parametrize(
    ("told", "drawn"),
    [
        ({name: [[20, 40], [0.2, 0.4]] for name in NAMES}, True),
        ({"scouts": [[20, 40], [0.2, None]]}, False),  # as JSON has what is not finite
        ({"scouts": [[20, 40], [0.2]]}, False),
        ({"scouts": [[[20, 40]], [[0.2, 0.4]]]}, False),
        ({"scouts": [[20, 41], [0.2, 0.4]]}, False),
        ({"scouts": "many"}, False),
        ({name: [[20], [0.2]] for name in NAMES}, False),  # one point makes no line
    ],
)
def test_the_roles_are_drawn_where_all_of_them_are_told_of_alike(
    told: dict[str, Any], drawn: bool, folder: Path
) -> None:
    whole = {**{name: [[20, 40], [0.2, 0.4]] for name in NAMES}, **told}
    change(folder, lambda db: set_meta(db, "finished", {"report": None, "told": whole}))
    found = captions(page_of_folder(folder))
    assert any("role of the sparrow search" in caption for caption in found) == drawn
    assert len(found) == 2 + drawn


def test_choices_that_have_no_words_are_shown_by_their_indices(tmp_path: Path) -> None:
    space = Space(act=Categorical([math.sin, math.tanh]), rate=Real(0, 1))
    result = minimize(lambda p: p["rate"] + (p["act"] is math.sin), space, budget=30, seed=1,
                      run_dir=tmp_path / "run")  # fmt: skip
    page = read(tmp_path / "run")
    (table,) = (t for caption, t in page.tables.items() if "best points" in caption)
    rows = {row[0]: row for row in table}
    assert rows["act"][1:3] == ["", 1.0]
    assert rows["rate"][1:3] == ["", result.params["rate"]]
    assert "The record does not describe the choices; their indices are shown." in page.text


def test_of_very_many_variables_the_first_ones_are_shown(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "swarmopt export writes all" not in read(folder).text
    monkeypatch.setattr(run_page, "MOST_VARIABLES", 1)
    page = read(folder)
    (table,) = (t for caption, t in page.tables.items() if "best points" in caption)
    assert [row[0] for row in table] == ["variable", "cost", "violation", "evaluation", "x0"]
    assert "1 of 2 variables; swarmopt export writes all." in page.text


def test_of_very_many_failures_the_first_ones_are_told(tmp_path: Path) -> None:
    n = 0

    def breaks(x: Any) -> float:
        nonlocal n
        n += 1
        if n > 20:
            raise ValueError(f"trouble {n}")
        return bowl(x)

    minimize(breaks, [(0, 1)], budget=35, seed=1, algorithm="random-search", run_dir=tmp_path / "a")
    page = read(tmp_path / "a")
    assert "ValueError: trouble 32" in page.text
    assert "ValueError: trouble 33" not in page.text
    assert "3 more texts are in the record; its table is `evaluation`." in page.text


def test_versions_that_nobody_wrote_down_are_left_out(folder: Path) -> None:
    assert {"python", "numpy"} <= set(read(folder).facts)
    file = folder / "run.toml"
    settings = tomllib.loads(file.read_text())
    del settings["versions"]
    file.write_text(tomli_w.dumps(settings))
    assert not {"python", "numpy"} & set(read(folder).facts)


MODULE = """
from swarmopt import FunctionProblem, Real, Space, algorithms

stop_at, n = None, 0
swarm = algorithms.PSO(population=7)


def make(*, table: dict | None = None, parts: list = [], helper: str | None = None):
    def bowl(x):
        global n
        if n == stop_at:
            raise KeyboardInterrupt
        n += 1
        return float(x @ x)

    return FunctionProblem(bowl, Space([Real(-1, 1)] * 2), name="made")
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module of the user's own, where the command is called."""
    (tmp_path / "own_report.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__("own_report")
    del sys.modules["own_report"]


@pytest.mark.parametrize(
    ("assignments", "flags", "n_named"),
    [
        ([], True, 0),
        (["helper=plain"], True, 0),
        (["helper=own:code"], True, 1),
        (['helper="07:30:00"'], True, 1),  # without the quotes it is a time of the day
        (['table={"a=b": "os:getcwd"}'], True, 1),
        (['table={"a:b": 1}'], True, 1),
        (['parts=["os:getcwd", 3]', "helper=os:getcwd"], True, 2),
        (['parts=[{"a": ["os:getcwd"]}]'], True, 1),
        (
            ['helper="a\u007f"'],
            False,
            0,
        ),  # TOML has no word for it, and --set would keep the quotes,
    ],
)
def test_the_commands_of_the_page_repeat_and_go_on_with_a_run_of_ones_own_code(
    assignments: list[str], flags: bool, n_named: int, mine: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--problem", "own_report:make", "--algorithm", "own_report:swarm", "--seed"]
    words += ["3", "--budget", "30"] + [word for text in assignments for word in ("--set", text)]
    mine.stop_at, mine.n = 9, 0
    assert call([*words, "--out", "first"]) == 130
    mine.stop_at = None
    again, go_on, settings = codes(page_of_folder(Path("first")))
    assert ("--config" not in again) == flags
    code = "swarmopt resume first --problem own_report:make --algorithm own_report:swarm"
    assert (go_on.startswith(code), go_on.count(" --set ")) == (True, n_named)
    assert go_on in read(Path("first")).text
    assert f"go on with: {go_on}\n" in capsys.readouterr().err
    assert call(shlex.split(go_on)[1:]) == 0
    Path("run.toml").write_text(settings)
    assert call([*shlex.split(again)[1:], "--out", "again"]) == 0
    assert record.read("first").digest == record.read("again").digest
    assert record.count("first") == 30


def test_a_cluster_is_named_again_in_the_command_that_goes_on() -> None:
    settings = {"problem": "sphere", "algorithm": "ssa", "cluster": "tcp://10.0.0.1:8786"}
    told = resume_command(Path("my run"), settings)
    assert told == "swarmopt resume 'my run' --cluster tcp://10.0.0.1:8786"


@pytest.mark.parametrize("key", ["a=b", " a"])
def test_a_setting_whose_name_no_flag_takes_is_read_from_the_file(key: str) -> None:
    assert command({"problem": "sphere", "set": {"a": 1}}).endswith("--set a=1")
    assert command({"problem": "sphere", "set": {key: 1}}) == "swarmopt run --config run.toml"


@pytest.mark.parametrize("odd", [None, 3, {"algorithm": 3}, {"algorithm": None}, {"a": [1, None]}])
def test_settings_that_are_none_name_no_code(odd: Any) -> None:
    assert resume_command(Path("a"), {"problem": "sphere", "set": odd}) == "swarmopt resume a"
