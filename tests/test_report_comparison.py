"""The page of a comparison."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from made import NAME, cell, failed, made
from pages import Read, codes

from swarmopt.algorithms import PSO
from swarmopt.cli import call
from swarmopt.compare import compare
from swarmopt.compare.comparison import Comparison, load
from swarmopt.compare.verdict import judge
from swarmopt.problems.analytic import Sphere
from swarmopt.report import page_of_folder
from swarmopt.report.compare_command import compare_command
from swarmopt.report.comparison_page import comparison_page


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures take half a second each; the browser's tests and the last one here draw them."""
    monkeypatch.setattr("swarmopt.report.comparison_page.inline", lambda *_: "<svg></svg>")


def read(comparison: Comparison) -> Read:
    return Read(comparison_page(comparison).html())


def test_every_number_of_the_tables_is_that_of_the_judgement() -> None:
    comparison = made()
    page, judgement = read(comparison), judge(comparison)
    for on in judgement.problems:
        rows = page.tables[f"Final cost on {on.problem}"][1:]
        for row, s in zip(rows, on.summaries, strict=True):
            assert s.interval is not None
            assert row == [
                s.algorithm, s.median, s.low, s.high, s.best, s.worst, s.interval.low,
                s.interval.high, s.n, s.n_failed, s.n_infeasible, s.nfev, s.seconds,
            ]  # fmt: skip
            keys = [c.key for c in comparison.runs(on.problem, s.algorithm)]
            assert row[1] == np.median(keys)
    across = judgement.across
    assert across is not None
    ranks = page.tables["Mean rank over problems"][1:]
    assert ranks == [list(pair) for pair in zip(across.algorithms, across.ranks, strict=True)]
    assert page.number("critical difference") == across.critical_difference
    for sentence in judgement.sentences:
        assert sentence in page.text


def test_an_incomplete_comparison_says_so_first() -> None:
    page = read(made(without=(("p", "a", 0), ("pp", "bb", 3))))
    assert page.text.index("This comparison is not finished: 46 of 48 runs are there.") < 400
    nothing = made(
        without=tuple((p, a, s) for p in ("p", "pp") for a in ("a", "bb", "ccc") for s in range(8))
    )
    assert "No run on this problem has finished." in read(nothing).text


def test_too_few_seeds_are_said_to_be_too_few_in_the_first_sentences() -> None:
    for algorithms, needed in ((("a", "bb"), 6), (("a", "bb", "ccc"), 7)):
        few = comparison_page(made(problems=("p",), algorithms=algorithms, seeds=needed - 1))
        assert any(f"take {needed} or more" in text for text in few.verdict)
        enough = comparison_page(made(problems=("p",), algorithms=algorithms, seeds=needed))
        assert not any("or more" in text for text in enough.verdict)


def test_one_seed_shows_one_cost_each_and_refuses_statistics() -> None:
    comparison = made(seeds=1)
    page = read(comparison)
    assert "One seed" in page.text
    head, *rows = page.tables["Final cost on p"]
    assert head[:3] == ["algorithm", "cost", "failed"]
    keys = [comparison.cells["p", a, 0].key for a in comparison.algorithms]
    assert [row[:2] for row in rows] == [
        list(p) for p in zip(("a", "bb", "ccc"), keys, strict=True)
    ]
    assert "quartile" not in page.text
    assert "median" not in page.text
    assert "Mean rank over problems" not in page.tables


def test_a_single_run_beside_several_has_no_quartiles() -> None:
    page = read(made(without=tuple(("p", "a", s) for s in range(1, 8))))
    single, several, _ = page.tables["Final cost on p"][1:]
    assert single[2:4] == ["-", "-"]
    assert "-" not in several[2:4]


def test_a_failed_run_is_shown_with_its_text_and_not_dropped() -> None:
    where = ("p", "bb", 2)
    page = read(made(instead={where: failed(*where)}))
    row = next(r for r in page.tables["Final cost on p"] if r[0] == "bb")
    assert row[8:10] == [8, 1]
    assert row[5] == "failed"
    assert "Failed: bb on p, seed 2" in page.text
    assert r'ValueError: <b onload="x">\x1b[2J' in page.text


def test_evaluations_that_failed_within_runs_are_counted_run_by_run() -> None:
    where = ("pp", "bb", 2)
    found = read(made(instead={where: cell(*where, n_failed=3)})).tables
    assert found["Runs in which evaluations failed"][1:] == [["bb on pp, seed 2", 3, 100]]
    assert "Runs in which evaluations failed" not in read(made()).tables


def test_runs_that_end_before_the_budget_are_told_of_and_count_what_they_spent() -> None:
    never = {"nfev": 40, "evaluations": np.array([2]), "best": np.array([30.0]), "key": 30.0}
    early = {("p", "a", s): cell("p", "a", s, **never) for s in range(7)}
    comparison = made(problems=("p",), algorithms=("a", "bb"), instead=early)
    judgement = judge(comparison)
    assert (
        "7 of 8 runs of a on p ended by themselves before the budget of 100 was spent, after 40 "
        "evaluations"
    ) in judgement.notes
    anytime = judgement.problems[0].anytime
    assert anytime is not None
    runtime = anytime.hardest["a"]
    assert (runtime.target, runtime.n_reached) == (anytime.targets[-1], 1)
    assert runtime.ert == 7 * 40 + 80
    failing = {("p", "a", s): failed("p", "a", s) for s in range(7)}
    spent = judge(made(problems=("p",), algorithms=("a", "bb"), instead=failing)).problems[0]
    assert spent.anytime is not None
    assert spent.anytime.hardest["a"].ert == 7 * 100 + 80  # a failed run gains nothing


def test_targets_that_read_the_same_are_one_column_and_times_are_exact() -> None:
    same = {
        ("p", a, s): cell("p", a, s, best=np.array([9.0, 1.0]), evaluations=np.array([1, 2 + s]))
        for a in ("a", "bb")
        for s in range(8)
    }
    found = read(made(problems=("p",), algorithms=("a", "bb"), instead=same))
    (table,) = [t for c, t in found.tables.items() if c.startswith("Expected running time")]
    assert len(set(table[0])) == len(table[0])
    assert table[1][-1] == "5.5 (8 of 8)"


def test_failures_that_differ_by_a_number_alone_are_shown_once() -> None:
    texts = [f"Trace, line 3\nValueError: bad value 0.{s}" for s in range(7)]
    broken = {("p", "a", s): replace(failed("p", "a", s), error=texts[s]) for s in range(7)}
    broken["p", "a", 7] = replace(failed("p", "a", 7), error="Trace, line 3\nKeyError: 1")
    page = comparison_page(made(problems=("p",), instead=broken))
    assert codes(page)[:2] == [texts[0], "Trace, line 3\nKeyError: 1"]
    assert "Failed: a on p, seed 0, and 6 more runs alike" in Read(page.html()).text


def test_an_algorithm_alone_has_no_pairs_and_nothing_feasible_no_running_times() -> None:
    alone = read(made(problems=("p",), algorithms=("a",)))
    assert not any("Pairs" in caption for caption in alone.tables)
    assert any("Expected running time" in caption for caption in alone.tables)
    never = {"fun": np.inf, "key": 1e300, "violation": 1.0, "best": np.empty(0)}
    where = [("p", a, s) for a in ("a", "bb") for s in range(8)]
    cells = {w: cell(*w, **never, evaluations=np.empty(0, int)) for w in where}
    page = comparison_page(made(problems=("p",), algorithms=("a", "bb"), instead=cells))
    found = Read(page.html())
    assert [row[1] for row in found.tables["Final cost on p"][1:]] == ["nothing feasible"] * 2
    assert any("Pairs" in caption for caption in found.tables)
    assert not any("Expected running time" in caption for caption in found.tables)
    assert "Runtimes on p" not in found.text
    assert "Final costs on p" in found.text


def test_of_many_problems_the_first_ones_have_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmopt.report.comparison_page.MOST_PROBLEMS", 1)
    page = read(made())
    assert "Convergence on p:" in page.text
    assert "Convergence on pp:" not in page.text
    assert "Final cost on pp" in page.tables


def test_versions_that_nobody_wrote_down_are_left_out_of_a_comparison() -> None:
    assert read(made()).facts["python"][0] == "3"
    plain = replace(made(), settings={"problem": {}, "algorithm": {}})
    assert "python" not in read(plain).facts


def test_hostile_labels_are_text_on_the_page_of_a_comparison() -> None:
    page = read(made(problems=("p", NAME), algorithms=("a", NAME, "x" * 3_000)))
    assert not any(tag == "b" or "onload" in found for tag, found in page.tags)
    assert "\x1b" not in page.text
    ids = [found["id"] for _, found in page.tags if "id" in found]
    assert len(ids) == len(set(ids))


def test_several_comparisons_are_one_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "--problem", "sphere:dim=3", "--seeds", "2", "--workers", "0"]
    for out, algorithm, budget in (("a", "pso", "40"), ("b", "ga", "40"), ("c", "de", "41")):
        entrant = ["--algorithms", algorithm, "--budget", budget, "--out", str(tmp_path / out)]
        assert call([*words, *entrant]) == 0
    a, b, c = (str(tmp_path / name) for name in "abc")
    page = tmp_path / "both.html"
    assert call(["report", a, b, "--out", str(page)]) == 0
    found = Read(page.read_text())
    rows = found.tables["Final cost on sphere:dim=3; the least cost there is: 0"][1:]
    medians = [np.median(load(f).final("sphere:dim=3")) for f in (a, b)]
    assert [row[:2] for row in rows] == [["pso", medians[0]], ["ga", medians[1]]]
    assert "It is 2 comparisons in one; each goes on in a folder of its own." in found.text
    capsys.readouterr()
    for folders, code, says in (
        ([a, b], 2, "several folders make a page of their own; give it with --out FILE"),
        ([a, c, "--out", str(page)], 2, f"{a} has 40 evaluations a run, {c} has 41;"),
        ([a, str(tmp_path), "--out", str(page)], 1, "is no comparison folder"),
    ):
        assert call(["report", *folders]) == code
        assert says in capsys.readouterr().err
    assert not (tmp_path / "a" / "report.html").exists()


def test_the_command_of_the_page_repeats_the_comparison(tmp_path: Path) -> None:
    words = ["compare", "--problem", "sphere:dim=3", "--problem", "tuning", "--algorithms",
             "pso,random-search", "--seeds", "3", "--budget", "40", "--workers", "0"]  # fmt: skip
    first, again = tmp_path / "first", tmp_path / "again"
    assert call([*words, "--set", "tuning.instance=1", "--out", str(first)]) == 0
    code = codes(page_of_folder(first))[0]
    assert call([*shlex.split(code)[1:], "--workers", "0", "--out", str(again)]) == 0
    one, other = load(first), load(again)
    assert one.settings == other.settings
    assert {w: c.key for w, c in one.cells.items()} == {w: c.key for w, c in other.cells.items()}
    assert call([*shlex.split(code)[1:], "--workers", "0", "--out", str(first)]) == 0


class Own(PSO):
    name: ClassVar[str] = "own"


@pytest.mark.parametrize(
    "change",
    [
        {"seeds": [0, 2]},
        {"seeds": [1]},
        {"x0": {"sphere:dim=2": [0.5, 0.5]}},
        {"algorithms": {"wide": PSO(population=9)}},
        {"problems": {"sphere:dim=2, bent": "sphere:dim=2"}},
        {"problems": {"rastrigin": "sphere:dim=2"}},
        {"problems": Sphere(dim=3)},  # by that name the command makes another one
        {"algorithms": Own()},
    ],
)
def test_what_no_command_says_is_repeated_from_python(change: dict[str, Any]) -> None:
    given: dict[str, Any] = {"algorithms": "pso", "problems": "sphere:dim=2", "seeds": 1}
    told = "It was begun from Python: the same call of swarmopt.compare repeats it."
    assert told not in read(compare(**given, budget=20, workers=0)).text
    page = comparison_page(compare(**{**given, **change}, budget=20, workers=0))
    assert told in Read(page.html()).text
    assert not any("swarmopt compare" in code for code in codes(page))


def test_settings_that_no_flag_says_make_no_command() -> None:
    def told(value: Any) -> str:
        about = {"name": "sphere", "factory": "a:B", "settings": {"key": value}}
        settings = {
            "problem": {"sphere": about},
            "algorithm": {"pso": {"name": "pso", "settings": {}}},
        }
        empty = made(problems=("sphere",), algorithms=("pso",))
        return compare_command(replace(empty, settings=settings))

    assert shlex.split(told({"deep": [1, None]}))[-1] == 'sphere.key={"deep": [1, null]}'
    assert told(None).endswith("--seeds 8")
    assert told("\x7f") == ""  # TOML has no word for it


@pytest.mark.slow
def test_the_comparison_writes_its_page_with_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    where = ("p", "bb", 2)
    comparison = made(instead={where: failed(*where)})
    page = comparison.report(tmp_path)
    assert page == tmp_path / "report.html"
    found = Read(page.read_text())
    assert sum(tag == "svg" for tag, _ in found.tags) == 1 + 2 * 3
    assert sum(tag == "path" for tag, _ in found.tags) > 100
    assert "no run found" not in found.text
    assert "1 without" in found.text
    assert page.stat().st_size < 400_000
