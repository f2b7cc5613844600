"""swarmopt compare, as a user types it."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typed import place

from swarmopt.cli import call
from swarmopt.compare import load, progress

BASE = ["compare", "--problem", "sphere", "--problem", "knapsack:items=8", "--algorithms", "pso,ga",
        "--budget", "60", "--workers", "0"]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path, monkeypatch)


def test_a_comparison_shows_tables_and_a_sentence_a_pair(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call([*BASE, "--seeds", "3", "--out", "c"]) == 0
    shown = capsys.readouterr()
    assert "sphere: final costs; 60 evaluations, 3 seeds" in shown.out
    assert "pso and ga on sphere: no difference shown: median " in shown.out
    assert shown.out.endswith("\nfolder: c\na page to send: swarmopt report c\n")
    assert "compare: 12 of 12 runs" in shown.err
    assert load("c").complete


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What progress writes to a terminal."""
    shown = io.StringIO()
    monkeypatch.setenv("TERM", "xterm-256color")
    plain = Console(file=shown, force_terminal=True, width=80, color_system=None)
    monkeypatch.setattr(progress, "console", lambda stderr: plain)
    return shown


def test_a_terminal_shows_a_table_of_the_medians_so_far_and_takes_it_away(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "DRAW_EVERY", 0.0)
    assert call([*BASE, "--seeds", "2", "--out", "c"]) == 0
    found = load("c")
    first, *tables, last, line = terminal.getvalue().split("compare: ")[1:]
    begins = [text.partition(" runs")[0] for text in (first, *tables, last)]
    assert list(dict.fromkeys(begins)) == [f"{n} of 8" for n in range(1, 9)]
    head = next(text for text in first.splitlines() if "median so far (runs)" in text)
    assert head.replace("┃", " ").split()[-2:] == ["pso", "ga"]
    rows = [[cell.strip() for cell in text.split("│")[1:-1]] for text in first.splitlines()]
    assert ["sphere", f"{found.cells['sphere', 'pso', 0].key:.4g} (1)", "-"] in rows
    assert ["knapsack:items=8", "-", "-"] in rows
    for keys in (*found.final("sphere"), *found.final("knapsack:items=8")):
        assert f" {np.median(keys):.4g} (2) " in last
    assert last.endswith("\x1b[1A\x1b[2K")  # a line up, and nothing is left on it
    assert line.startswith("8 of 8 runs")
    assert "│" not in line


def test_a_terminal_is_not_drawn_to_at_every_run(
    terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "DRAW_EVERY", 1e9)
    assert call([*BASE, "--seeds", "2"]) == 0
    *tables, line = terminal.getvalue().split("compare: ")[1:]
    assert {text.partition(" runs")[0] for text in tables} == {"1 of 8"}
    assert line.startswith("8 of 8 runs")


def test_progress_of_nothing_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), progress.Progress():
        raise KeyboardInterrupt
    assert capsys.readouterr().err == ""


def test_expected_running_times_are_to_one_target(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["compare", "--problem", "sphere:dim=3", "--algorithms", "ssa,random-search", "--only"]
    assert call([*words, "--budget", "200", "--workers", "0", "--seeds", "3"]) == 0
    head, _, *rows = capsys.readouterr().out.split("ERT to ")[1].splitlines()[:4]
    assert float(head) < 1e-4
    assert int(rows[0].split()[-1]) <= 200
    assert rows[1].endswith("not reached ")


def test_one_seed_shows_one_cost_each_and_no_quartiles(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*BASE, "--seeds", "1", "--out", "c"]) == 0
    table = capsys.readouterr().out.split("sphere: final costs")[1].splitlines()
    assert table[1].split()[:3] == ["algorithm", "cost", "ERT"]
    cost = load("c").cells["sphere", "pso", 0].key
    assert table[3].split()[:2] == ["pso", f"{cost:.4g}"]


def test_runs_that_have_all_failed_say_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    Path("all_failing.py").write_text(
        "from swarmopt import FunctionProblem, Real, Space\n"
        "bad = FunctionProblem(lambda x: 1 / 0, Space([Real(0, 1)]), name='bad')\n"
    )
    words = ["compare", "--problem", "all_failing:bad", "--algorithms", "pso", "--budget", "20"]
    assert call([*words, "--seeds", "3", "--workers", "0"]) == 0
    row = next(text for text in capsys.readouterr().out.splitlines() if text.startswith(" pso"))
    assert row.split() == ["pso", "failed", "failed", "failed", "3", "of", "3"]


def test_the_same_command_goes_on_and_another_budget_is_a_usage_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call([*BASE, "--seeds", "1", "--out", "c"]) == 0
    assert call([*BASE, "--seeds", "2", "--out", "c"]) == 0
    assert "going on: 4 runs are there already" in capsys.readouterr().err
    assert len(load("c").cells) == 8
    assert call([*BASE, "--seeds", "2", "--out", "c", "--budget", "61"]) == 2
    assert "another budget: recorded 60, given 61" in capsys.readouterr().err


def test_folders_of_other_budgets_are_named_with_them(capsys: pytest.CaptureFixture[str]) -> None:
    for out, budget in (("a", "30"), ("b", "40")):
        assert call([*BASE, "--seeds", "1", "--out", out, "--budget", budget]) == 0
    assert call(["report", "a", "b", "--out", "c.html"]) == 2
    told = "error: the budgets differ: a has 30 evaluations a run, b has 40; "
    assert told in capsys.readouterr().err


def test_json_is_all_that_stdout_gets(capsys: pytest.CaptureFixture[str]) -> None:
    assert call([*BASE, "--seeds", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["sentences"][0].startswith("One seed: the cost of one run each")
    assert [p["problem"] for p in found["problems"]] == ["sphere", "knapsack:items=8"]
    assert json.loads(Path("runs/compare-1/result.json").read_text()) == found


def test_settings_go_to_all_problems_or_to_the_one_they_name_and_a_label_wins() -> None:
    problems = ["--problem", "sphere", "--problem", "rastrigin", "--problem", "ackley:dim=4"]
    arguments = ["compare", *problems, "--algorithms", "ssa,pso:population=5", "--budget", "20"]
    for text in ("dim=2", "rastrigin.dim=3", "ssa-classic.population=7", "pso.population=9"):
        arguments += ["--set", text]
    assert call([*arguments, "--seeds", "1", "--workers", "0", "--out", "c"]) == 0
    found = load("c")
    assert found.algorithms == ("ssa", "pso:population=5", "ssa-classic")
    dims = {label: entry["settings"]["dim"] for label, entry in found.settings["problem"].items()}
    assert dims == {"sphere": 2, "rastrigin": 3, "ackley:dim=4": 4}
    entrants = found.settings["algorithm"]
    assert entrants["ssa-classic"]["settings"]["population"] == 7
    assert entrants["pso:population=5"]["settings"]["population"] == 5


def test_what_is_finished_takes_part_as_it_is() -> None:
    words = ["compare", "--problem", "mine:ready", "--algorithms", "mine:swarm", "--budget", "20"]
    assert call([*words, "--seeds", "1", "--workers", "0", "--out", "c"]) == 0
    found = load("c")
    assert found.settings["algorithm"]["mine:swarm"]["settings"]["population"] == 13
    assert found.settings["problem"]["mine:ready"]["space"].count("Real(") == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--set", "nobody.dim=2"], "unknown --set nobody.dim=2: name 'nobody'"),
        (["--set", "dim"], "--set dim: expected NAME.KEY=VALUE"),
        (["--set", "sphere.dmi=2"], "did you mean 'dim'"),
        (["--algorithms", ","], "--algorithms ',': expected names with a comma between"),
        (["--algorithms", "pso,,ga"], "'pso,,ga': expected names with a comma between"),
        (["--algorithms", "pso, "], "expected names with a comma between"),
        (["--algorithms", ""], "--algorithms '': expected names with a comma"),
        (["--algorithms", "pso,pso"], "two of the algorithms are called 'pso'"),
        (["--problem", "mine:ready:size=3"], "made is a finished problem and takes no --set size"),
        (["--algorithms", "mine:swarm:population=5"],
         "pso is a finished algorithm and takes no --set population"),
    ],
)  # fmt: skip
def test_wrong_settings_are_usage_errors(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call([*BASE, "--seeds", "1", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not Path("runs").exists()


def test_names_with_escapes_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Path("evil_module.py").write_text(
        "from swarmopt import FunctionProblem, Real, Space\n"
        "def broken(x):\n    raise ValueError('red: \\x1b[31m')\n"
        "bad = FunctionProblem(broken, Space([Real(0, 1)]), name='\\x1b[2J')\n"
        "from swarmopt.algorithms import PSO\n"
    )
    arguments = [
        "compare",
        "--problem",
        "evil_module:bad",
        "--algorithms",
        "pso,evil_module:PSO:population=5",
    ]
    assert call([*arguments, "--budget", "20", "--seeds", "2", "--workers", "0"]) == 0
    shown = capsys.readouterr()
    assert "\x1b" not in shown.out + shown.err
    assert r"red: \x1b[31m" in shown.out
