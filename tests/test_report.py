"""The page of a run."""

import json
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made import HOSTILE, change, failing, set_meta
from pages import Read, codes

from swarmopt import (
    Boolean,
    Categorical,
    FolderError,
    Integer,
    Ordinal,
    Problem,
    Real,
    Result,
    Seeds,
    Space,
    minimize,
    record,
)
from swarmopt.cli import call
from swarmopt.evaluation import Evaluation, Outcome
from swarmopt.report import page_of_folder
from swarmopt.report.account import read_account
from swarmopt.report.described import space_of
from swarmopt.report.writing import write_page
from swarmopt.variables import Variable


@pytest.fixture(autouse=True)
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures, which take half a second each, are those of test_plots.py."""
    for room in ("run_page.inline", "extras.inline"):
        monkeypatch.setattr(f"swarmopt.report.{room}", lambda *_: "<svg></svg>")
    monkeypatch.setattr("swarmopt.cli.session._draw", lambda *_: None)


def read(folder: Path) -> Read:
    return Read(page_of_folder(folder).html())


def bowl(x: Any) -> float:
    return float(x @ x)


def constrained(x: Any) -> tuple[float, float]:
    return float(x @ x), max(0.0, 1.0 - float(x.sum()))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("report") / "run"
    return folder, minimize(constrained, [(-2, 2)] * 3, budget=300, seed=4, run_dir=folder)


@pytest.fixture
def unfinished(tmp_path: Path) -> Path:
    n = 0

    def stops(x: Any) -> float:
        nonlocal n
        n += 1
        if n == 130:
            raise KeyboardInterrupt
        return float(x @ x)

    with pytest.raises(KeyboardInterrupt):
        minimize(stops, [(-2, 2)] * 2, budget=500, seed=1, run_dir=tmp_path / "run")
    return tmp_path / "run"


def test_every_number_of_the_summary_is_the_one_in_the_journal(
    finished: tuple[Path, Result],
) -> None:
    folder, result = finished
    page, found = read(folder), record.read(folder)
    key = Evaluation(found.cost, found.violation, found.status).key()
    best = int(np.argmin(key))
    assert page.number("best cost") == found.cost[best] == result.fun
    assert page.number("violation of the best") == found.violation[best]
    assert page.number("found by evaluation") == best + 1
    assert page.number("evaluations") == len(key) == result.nfev
    assert page.number("batches") == found.batch.max() + 1 == result.nit
    assert page.number("feasible evaluations") == (found.violation == 0).sum()
    assert page.number("infeasible evaluations") == (found.violation > 0).sum() > 0
    assert page.number("failed evaluations") == 0
    assert page.number("seconds of search") == result.seconds >= found.seconds.max()
    assert page.facts["digest"][0] == found.digest.hex()
    for shown, value in page.facts.values():
        if value is not None:
            assert float(shown.replace(",", "")) == pytest.approx(value, rel=1e-9)


def test_the_best_points_are_those_of_the_journal_in_order(finished: tuple[Path, Result]) -> None:
    folder, result = finished
    found = record.read(folder)
    key = Evaluation(found.cost, found.violation, found.status).key()
    ranked = np.argsort(key, kind="stable")[:5]
    (table,) = (t for caption, t in read(folder).tables.items() if "best points" in caption)
    rows = {row[0]: row[2:] for row in table}
    assert rows["cost"] == found.cost[ranked].tolist()
    assert rows["evaluation"] == (ranked + 1).tolist()
    for j, name in enumerate(found.names):
        assert rows[name] == found.x[ranked, j].tolist()
    assert [rows[name][0] for name in found.names] == result.x.tolist()


def test_the_best_points_are_drawn_on_the_scale_that_was_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = Space(a=Real(1e-4, 1, log=True), b=Real(0, 1))
    minimize(lambda p: p["a"] + p["b"], space, x0=[[1e-4, 0.0], [1e-2, 0.01], [1.0, 1.0]],
             budget=3, algorithm="random-search", seed=1, run_dir=tmp_path / "run")  # fmt: skip
    drawn: list[Any] = []
    monkeypatch.setattr(
        "swarmopt.report.run_page.plots.parallel", lambda _, unit, ends: drawn.extend([unit, ends])
    )
    shown = read(tmp_path / "run")
    assert drawn[0] == pytest.approx(np.array([[0, 0], [0.5, 0.01], [1, 1]]))
    assert drawn[1][0] == ("0.0001", "1")
    assert "evaluated, on a logarithmic scale where the search has one." in shown.text


def test_the_curve_of_the_page_is_the_history_of_the_run(finished: tuple[Path, Result]) -> None:
    folder, result = finished
    run = read_account(folder)
    assert run.nfev.tolist() == result.history.nfev
    assert run.best.tolist() == result.history.best
    assert run.median.tolist() == result.history.median


def test_what_the_algorithm_says_of_itself_is_kept_and_drawn(
    finished: tuple[Path, Result],
) -> None:
    folder, result = finished
    told = read_account(folder).about["finished"]["told"]
    assert told["producers"][0][-1] == result.nfev
    assert told["producers"][1][-1] == result.history.report[-1]["producers"]
    assert "role of the sparrow search" in read(folder).text


def test_a_page_refers_to_nothing_outside_of_it_and_has_its_headings_in_order(
    finished: tuple[Path, Result],
) -> None:
    page = read(finished[0])
    assert all(address.startswith(("#", "data:,")) for address in page.loaded)
    assert "script" not in {tag for tag, _ in page.tags}
    assert [level for level, _ in page.headings] == [1, *[2] * (len(page.headings) - 1)]
    assert [tag for tag, _ in page.tags].count("h1") == 1
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_an_unfinished_run_says_so_and_how_to_go_on(
    unfinished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, found = read(unfinished), record.read(unfinished)
    assert "This run is not finished. Go on with it: minimize(..., run_dir=" in page.text
    told = page.number("evaluations")
    rest = page.number("more, in a batch that is not complete")
    assert told + rest == len(found.ids)
    assert page.number("best cost") == found.cost[: int(told)].min()
    begun = tmp_path / "begun"
    assert (
        call(["run", "--problem", "sphere", "--budget", "40", "--seed", "1", "--out", str(begun)])
        == 0
    )
    change(begun, lambda db: set_meta(db, "finished", None))
    assert f"Go on with it: swarmopt resume {begun}" in read(begun).text


def test_failures_are_counted_by_their_texts_and_told_whole(tmp_path: Path) -> None:
    result = minimize(failing, [(0, 1)] * 2, budget=80, seed=2, algorithm="random-search",
                      run_dir=tmp_path / "run")  # fmt: skip
    page, found = read(tmp_path / "run"), record.read(tmp_path / "run")
    assert page.number("failed evaluations") == result.n_failed == (found.status > 0).sum()
    counts = {row[0]: row[1] for row in page.tables["Failed evaluations by how they ended"][1:]}
    assert counts["raised"] == (found.status == Outcome.RAISED).sum()
    assert counts["nonfinite"] == (found.status == Outcome.NONFINITE).sum()
    assert r"ValueError: too <large> \x1b[2J" in page.text
    assert "the cost is not a finite number" in page.text
    assert f"{result.n_failed} of 80 evaluations failed; they rank last." in page.text


def test_a_run_without_a_feasible_point_says_how_far_it_is(tmp_path: Path) -> None:
    minimize(
        lambda x: (1.0, 2.0 + float(x[0])), [(0, 1)], budget=30, seed=1, run_dir=tmp_path / "a"
    )
    page = read(tmp_path / "a")
    assert "No feasible point was found; the least violation is 2" in page.text
    assert page.number("feasible evaluations") == 0
    assert page.number("violation of the best") >= 2


class Censoring(Problem):
    """Its cheap points are bounds on a cost, and none is ever the best of a run."""

    name = "censoring"
    space = Space([Integer(0, 3), Integer(0, 3)])

    def evaluate(self, x: Any, seeds: Seeds, bound: float) -> Evaluation:
        cost = x.sum(axis=1)
        status = np.where(cost < 2, Outcome.CENSORED, Outcome.OK).astype(np.int8)
        return Evaluation(cost, status=status)


def test_the_best_points_differ_and_none_is_a_mere_bound(tmp_path: Path) -> None:
    result = minimize(Censoring(), budget=80, seed=1, algorithm="ga", cache=False,
                      run_dir=tmp_path / "run")  # fmt: skip
    run = read_account(tmp_path / "run")
    assert run.elite["cost"][0] == result.fun == 2
    points = [tuple(x) for x in run.elite["x"]]
    assert len(points) == len(set(points)) > 3
    assert (np.diff(run.elite["cost"]) >= 0).all()


def test_a_mixed_space_of_200_variables_is_shown_by_the_users_values(tmp_path: Path) -> None:
    kinds: list[Variable] = [
        Real(1e-3, 1, log=True),
        Integer(0, 9),
        Ordinal([16, 32]),
        Categorical(["a", "b"]),
        Boolean(),
    ]
    space = Space({f"v{j}": kinds[j % 5] for j in range(200)})
    result = minimize(lambda p: p["v0"] + p["v1"] + (p["v3"] == "a") + p["v4"], space, budget=60,
                      seed=1, run_dir=tmp_path / "run")  # fmt: skip
    page = read(tmp_path / "run")
    (table,) = (t for caption, t in page.tables.items() if "best points" in caption)
    rows = {row[0]: row for row in table}
    assert len(table) == 1 + 3 + 200
    assert rows["v3"][1:3] == ["2 choices, unordered", result.params["v3"]]
    assert rows["v4"][2] == ("yes" if result.params["v4"] else "no")
    assert rows["v0"][2] == result.params["v0"]
    assert "The 12 of 200 variables" in page.text


@pytest.mark.slow
def test_names_are_text_whatever_they_hold(tmp_path: Path) -> None:
    kinds: list[Variable] = [Real(0, 1), Categorical(HOSTILE)]
    space = Space({name: kinds[i % 2] for i, name in enumerate(HOSTILE)})
    folder = tmp_path / "run"
    minimize(lambda p: p[HOSTILE[0]], space, budget=30, seed=1, algorithm="pso", run_dir=folder)
    assert read_account(folder).space is not None
    for name in HOSTILE:
        change(folder, partial(set_meta, key="problem", value=name))
        html = page_of_folder(folder).html()
        page = Read(html)
        assert not {"script", "img"} & {tag for tag, _ in page.tags}
        assert all(address.startswith(("#", "data:,")) for address in page.loaded)
        assert not any(key.startswith("on") for _, found in page.tags for key in found)
        assert not {"\x1b", "\x07"} & set(html)
        assert len(html) < 200_000
    assert "{{ 7 * 7 }}" in page.text


def test_the_command_of_the_page_repeats_the_run_bit_by_bit(tmp_path: Path) -> None:
    first = tmp_path / "first"
    words = ["run", "--problem", "tuning", "--algorithm", "pso", "--budget", "60", "--seed", "3"]
    words += ["--set", "instance=2", "--set", "algorithm.inertia=0.6", "--out", str(first)]
    assert call(words) == 0
    code = codes(page_of_folder(first))[0]
    assert "--config" not in code
    again = tmp_path / "again"
    assert call([*shlex.split(code)[1:], "--out", str(again)]) == 0
    assert record.read(again).digest == record.read(first).digest


def test_settings_that_no_flag_says_are_repeated_from_the_file_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.toml").write_text("batch_size = 7\n")
    first, again = tmp_path / "first", tmp_path / "again"
    words = ["--problem", "sphere", "--budget", "50", "--seed", "3"]
    assert call(["run", *words, "--config", str(tmp_path / "own.toml"), "--out", str(first)]) == 0
    command, settings = codes(page_of_folder(first))
    monkeypatch.chdir(tmp_path)
    Path("run.toml").write_text(settings)
    assert command == "swarmopt run --config run.toml"
    assert call([*shlex.split(command)[1:], "--out", str(again)]) == 0
    assert record.read(again).digest == record.read(first).digest


def test_a_result_file_that_says_otherwise_is_not_believed(tmp_path: Path) -> None:
    minimize(bowl, [(-1, 1)] * 2, budget=40, seed=1, run_dir=tmp_path / "run")
    file = tmp_path / "run" / "result.json"
    assert "the budget of 40 evaluations is spent" in read(tmp_path / "run").text
    file.write_text(json.dumps({**json.loads(file.read_text()), "fun": -1.0, "message": "forged"}))
    assert "forged" not in read(tmp_path / "run").text
    assert "-1" not in read(tmp_path / "run").facts["best cost"][0]
    file.write_text("{" * 100_000)
    assert read(tmp_path / "run").number("evaluations") == 40


def test_an_empty_folder_and_others_that_hold_no_run_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match=r"is empty; .* `swarmopt run .* `swarmopt compare --out"):
        page_of_folder(tmp_path)
    with pytest.raises(FolderError, match="does not exist"):
        page_of_folder(tmp_path / "none")
    (tmp_path / "file").write_text("x")
    with pytest.raises(FolderError, match="is a file"):
        page_of_folder(tmp_path / "file")
    with pytest.raises(FolderError, match=r"holds no run\.toml and no cells\.sqlite"):
        page_of_folder(tmp_path)
    (tmp_path / "run.toml").write_text("seed = 1\n")
    with pytest.raises(FolderError, match="holds no record of a run"):
        page_of_folder(tmp_path)


def test_a_damaged_record_makes_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    minimize(bowl, [(-1, 1)] * 2, budget=40, seed=1, run_dir=folder)
    change(folder, lambda db: db.execute("UPDATE evaluation SET cost = -9 WHERE id = 3"))
    assert call(["report", str(folder)]) == 1
    assert "check sum of evaluation 3 is wrong" in capsys.readouterr().err
    assert not (folder / "report.html").exists()


def test_a_page_replaces_an_earlier_page_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    minimize(bowl, [(-1, 1)] * 2, budget=40, seed=1, run_dir=folder)
    page = page_of_folder(folder)
    for _ in range(2):
        assert write_page(page, folder / "report.html").stat().st_size > 10_000
    other = tmp_path / "letter.html"
    other.write_text("<p>dear")
    (tmp_path / "link.html").symlink_to(folder / "report.html")
    for path in (other, tmp_path / "link.html", tmp_path):
        with pytest.raises(FolderError, match="left as it is; give another file"):
            write_page(page, path)
    assert other.read_text() == "<p>dear"
    with pytest.raises(FolderError, match="cannot be written"):
        write_page(page, other / "below.html")
    minimize(bowl, [(-1, 1)] * 2, budget=40, seed=2, run_dir=folder, overwrite=True)
    assert not (folder / "report.html").exists()


def test_the_command_writes_the_page_and_says_where(
    finished: tuple[Path, Result], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    before = {path.name: path.read_bytes() for path in finished[0].iterdir()}
    assert call(["report", str(finished[0]), "--out", str(out)]) == 0
    assert f"page: {out}" in capsys.readouterr().out
    assert out.read_text().startswith("<!doctype html>")
    assert before == {path.name: path.read_bytes() for path in finished[0].iterdir()}


def test_a_space_is_read_from_its_description_and_nothing_is_run(tmp_path: Path) -> None:
    space = Space({"a b": Real(0, 1), "c=": Categorical(["a, d=Real(", None]), "d": Integer(0, 3)})
    assert repr(space_of(repr(space), space.names)) == repr(space)
    unnamed = Space([Boolean(), Ordinal([1, 2.5, "x"]), Real(1, 2, log=True)])
    assert repr(space_of(repr(unnamed), unnamed.names)) == repr(unnamed)
    mark = tmp_path / "mark"
    for text in (
        f"Space(a=Real(low=open({str(mark)!r}, 'w'), high=1, log=False))",
        f"Space(a=open({str(mark)!r}, 'w'))",
        "Space(a=Real(low=0, high=1, log=False)",
        "Space(a=Categorical(choices=(<object>,)))",
        "Space(" + "(" * 50_000,
    ):
        assert space_of(text, ["a"]) is None
    assert not mark.exists()
