"""The judge of quality: what it computes is right, and a killed run is continued."""

import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)
sys.path.append(str(ROOT))  # last, so that an installed swarmopt comes first

from benchmarks import own_suite, quality, tables, tuning_suite  # noqa: E402
from benchmarks.contenders import Contender, found, ours  # noqa: E402
from benchmarks.ecdf import NEVER, TARGETS, areas, pack, ranks, reached_by, unpack  # noqa: E402
from benchmarks.meter import Meter, MeterEnd, Task  # noqa: E402
from benchmarks.peers import PEERS, STARTS_IN_VAIN, Peer  # noqa: E402
from benchmarks.records import HEADER, Cell, Records, Row, at_factor  # noqa: E402
from swarmopt.space import Space  # noqa: E402
from swarmopt.types import Integers, Matrix, Vector  # noqa: E402
from swarmopt.variables import Real  # noqa: E402

N = len(TARGETS)
CELL = Cell("own", 5, 20, 1, 1, "random", 100)
ROW = Row(
    *("own", 5, 20, 1, 1, "random", 100),
    anytime=1,
    evaluations=2000,
    error=3.5,
    early_error=4.25,
    hits="1*3 7*20 0*28",
    seconds=0.125,
)


def hits(*times: int) -> Integers:
    """Return hits of the first targets at these times, none of the rest."""
    return np.array([*times, *[NEVER] * (N - len(times))])


def line(space: Space | None = None) -> Task:
    """Return a task whose cost is the point itself, one variable in [0, 1000]."""
    space = space or Space([Real(0, 1000)])

    def cost(x: Matrix) -> Vector:
        return x[:, 0].copy()

    return Task("own", 1, 1, 1, "integer", space, cost, 0.0)


# Figures.


def test_there_are_51_targets_from_100_to_1e_minus_8() -> None:
    assert N == 51
    assert TARGETS[0] == 100
    assert TARGETS[-1] == pytest.approx(1e-8)


def test_the_area_is_1_minus_the_mean_log_runtime() -> None:
    # By hand, B = 99: log(1)/log(100) = 0, log(10)/log(100) = 1/2.
    runs = np.stack([hits(), hits(1), hits(10), hits(1, 10, 10), np.ones(N, np.int64)])
    assert areas(runs, 99).tolist() == pytest.approx([0, 1 / N, 0.5 / N, 2 / N, 1])


def test_a_target_reached_after_the_budget_was_not_reached() -> None:
    assert areas(hits(10, 99, 100)[None], 99) == pytest.approx(areas(hits(10, 99)[None], 99))


def test_the_area_is_that_under_the_drawn_curve() -> None:
    rng = np.random.default_rng(0)
    runs = np.sort(rng.integers(1, 500, (6, N)), axis=1)
    runs[:, 30:] = NEVER
    steps = np.arange(1, 501)
    width = np.diff(np.log(np.arange(1, 502)))
    under = float(reached_by(runs, steps.astype(float)) @ width) / np.log(501)
    assert areas(runs, 500).mean() == pytest.approx(under)


def test_ties_share_their_ranks() -> None:
    errors = np.array([[3.0, 1.0, 2.0], [5.0, 5.0, 1.0], [2.0, 2.0, 2.0]])
    assert ranks(errors).tolist() == pytest.approx(
        [(3 + 2.5 + 2) / 3, (1 + 2.5 + 2) / 3, (2 + 1 + 2) / 3]
    )


def test_errors_below_the_last_target_are_equal() -> None:
    assert ranks(np.array([[1e-9, 0.0, -1e-17, 1e-7]])).tolist() == [2, 2, 2, 4]


@pytest.mark.parametrize("times", [(), (1, 1, 5), range(1, N + 1), (1,) * N])
def test_packed_hits_are_the_same_again(times: Any) -> None:
    assert unpack(pack(hits(*times))).tolist() == hits(*times).tolist()


# Counting.


def test_the_meter_notes_the_evaluation_at_which_each_target_was_reached() -> None:
    meter = Meter(line(), 100, 4)
    meter.points(np.array([[500.0], [90.0]]))
    meter.points(np.array([[95.0], [400.0], [11.0]]))
    meter.point(np.array([0.5]))
    expected = [
        next((i for i, c in enumerate([500, 90, 95, 400, 11, 0.5], start=1) if c <= t), NEVER)
        for t in TARGETS
    ]
    assert meter.hits.tolist() == expected
    assert (meter.spent, meter.error, meter.early_error) == (6, 0.5, 90.0)


def test_hits_do_not_depend_on_how_points_are_batched() -> None:
    costs = 1e-7 + 1000 * np.random.default_rng(1).random(200) ** 6
    alone, together = Meter(line(), 500, 100), Meter(line(), 500, 100)
    together.points(costs[:, None])
    for cost in costs:
        alone.point(np.array([cost]))
    assert alone.hits.tolist() == together.hits.tolist()
    assert alone.early_error == together.early_error == costs[:100].min()


def test_the_meter_counts_no_more_than_the_budget() -> None:
    meter = Meter(line(), 5, 5)
    with pytest.raises(MeterEnd):
        meter.points(np.array([[9.0], [8.0], [7.0], [6.0], [5.0], [1.0]]))
    assert (meter.spent, meter.error) == (5, 5.0)
    with pytest.raises(MeterEnd):
        meter.point(np.array([0.0]))
    assert (meter.spent, meter.error) == (5, 5.0)


def test_a_run_ends_at_the_last_target() -> None:
    meter = Meter(line(), 50, 50)
    with pytest.raises(MeterEnd):
        meter.point(np.array([1e-9]))
    assert (meter.hits == 1).all()
    assert meter.done


# Tasks.


@pytest.mark.parametrize(("function", "d"), list(product(range(1, 9), own_suite.DIMENSIONS)))
def test_a_random_point_of_our_suite_has_an_error_of_about_100(function: int, d: int) -> None:
    task = own_suite.make(function, d, 1)
    x = task.space.decode(np.random.default_rng(1).random((2_000, d)))
    cost = task.cost(x)
    assert 80 < np.median(cost) < 125
    assert cost.min() >= -1e-9
    assert task.cost(x[:3]).tolist() == pytest.approx(cost[:3].tolist())
    assert own_suite.make(function, d, 1).cost(x).tolist() == cost.tolist()
    assert own_suite.make(function, d, 2).cost(x).tolist() != cost.tolist()


@pytest.mark.parametrize("build", own_suite.BUILDERS)
def test_the_optimum_of_our_suite_is_reached_and_not_passed(build: Any) -> None:
    for seed in range(3):
        space, cost, optimum = build(4, np.random.default_rng(seed))
        levels = space.domain.levels.tolist()
        rows = np.array(list(product(*map(range, levels)))) + space.domain.low
        assert cost(rows.astype(float)).min() == pytest.approx(optimum, abs=1e-9)


# Contenders.


def test_our_algorithms_are_found_by_their_registered_names() -> None:
    here = ours()
    assert {"ssa", "pso", "ga", "ssa:producers", "ssa:no-scouts"} <= set(here)
    assert here["ssa"].anytime
    assert not here["ga"].anytime


def test_a_peer_whose_package_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    absent = Peer("absent", "no_such_module", "no-such-package", PEERS[0].start)
    monkeypatch.setattr("benchmarks.peers.PEERS", (PEERS[0], absent))
    here, missing = found()
    assert "random" in here
    assert "absent" not in here
    assert missing["absent"] == "pip install no-such-package"


def test_a_peer_that_stops_is_started_anew_with_another_seed() -> None:
    seeds = []

    def start(meter: Meter, seed: int, number: int) -> None:
        seeds.append((seed, number))
        meter.point(np.array([500.0]))

    with pytest.raises(MeterEnd):
        Peer("stops", "numpy", "numpy", start).run(Meter(line(), 3, 3), 1)
    assert [number for _, number in seeds] == [0, 1, 2, 3]
    assert len({seed for seed, _ in seeds}) == 4


def test_a_peer_that_evaluates_nothing_is_not_started_for_ever() -> None:
    peer = Peer("idle", "numpy", "numpy", lambda *_: None)
    with pytest.raises(RuntimeError, match=f"idle: stopped {STARTS_IN_VAIN} times"):
        peer.run(Meter(line(), 3, 3), 1)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("ssa", marks=pytest.mark.slow),
        "pso",
        "ga",
        "ssa-classic",
        "random",
        pytest.param("ssa:scouts", marks=pytest.mark.slow),
        "ssa:no-surrogate",
    ],
)
def test_a_contender_spends_its_budget_and_repeats_itself(name: str) -> None:
    contender = found()[0][name]
    cell = replace(CELL, function=7, algorithm=name)
    one, again = quality.run(cell, contender), quality.run(cell, contender)
    assert one.evaluations == 2000
    assert replace(one, seconds=0.0) == replace(again, seconds=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("peer", [p for p in PEERS if p.most > 1_000], ids=lambda p: p.name)
def test_every_peer_that_is_here_runs(peer: Peer) -> None:
    pytest.importorskip(peer.module)
    if peer.name == "nevergrad-NGOpt":
        pytest.skip("takes long")
    contender = found()[0][peer.name]
    cells = quality.grid({peer.name: contender}, ["own"], dimensions=[20], factors=[100])
    for cell in (cell for cell in cells if cell.function in (1, 7) and cell.instance == 1):
        assert quality.run(cell, contender, factor=2).evaluations == 40


# Records.


def test_seeds_are_fixed_and_differ_by_everything_but_the_budget() -> None:
    assert CELL.seed == 947814265
    others = [
        replace(CELL, suite="bbob"),
        replace(CELL, function=6),
        replace(CELL, dimension=40),
        replace(CELL, instance=2),
        replace(CELL, repeat=2),
        replace(CELL, algorithm="ssa"),
    ]
    assert len({CELL.seed, *(cell.seed for cell in others)}) == 7
    assert replace(CELL, factor=1000).seed == CELL.seed
    assert ROW.cell.seed == CELL.seed


def test_a_row_is_the_same_when_it_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "quality-own.csv"
    Records(path).add(ROW)
    assert Records(path).rows == {CELL: ROW}


@pytest.mark.parametrize("cut", [1, 5, 40])
def test_a_torn_last_line_is_cut_off_and_its_run_made_again_once(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "quality-own.csv"
    records = Records(path)
    records.add(ROW)
    records.add(replace(ROW, instance=2))
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    continued = Records(path)
    assert list(continued.rows) == [CELL]
    continued.add(replace(ROW, instance=2))
    assert path.read_bytes() == whole


def test_a_broken_line_before_the_last_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "quality-own.csv"
    Records(path).add(ROW)
    path.write_text(path.read_text("utf-8") + "own,1\n", "utf-8")
    with pytest.raises(ValueError, match=r"line 3: expected 13 columns, got 2"):
        Records(path)
    path.write_text("other" + HEADER, "utf-8")
    with pytest.raises(ValueError, match="expected the header"):
        Records(path)


def invoke(folder: Path, *arguments: str) -> None:
    standard = ["--suite", "own", "--dimension", "20", "--function", "5", "--budget", "100"]
    quality.main([*standard, "--results", str(folder), *arguments], standalone_mode=False)


def test_only_what_is_missing_is_run_and_redo_runs_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Cell] = []

    def run(cell: Cell, contender: Contender, factor: int | None = None) -> Row:
        assert contender.name == cell.algorithm
        if factor is None:  # no trial
            made.append(cell)
        return replace(ROW, instance=cell.instance, algorithm=cell.algorithm)

    monkeypatch.setattr(quality, "run", run)
    invoke(tmp_path, "--algorithm", "random", "--algorithm", "pso", "--instances", "2")
    assert len(made) == 4
    invoke(tmp_path, "--algorithm", "random", "--instances", "3")
    assert [cell.instance for cell in made[4:]] == [3]
    invoke(tmp_path, "--algorithm", "random", "--algorithm", "pso", "--redo", "pso")
    assert [(cell.algorithm, cell.instance) for cell in made[5:]] == [
        ("pso", 1),
        ("pso", 2),
        ("pso", 3),
    ]
    rows = (tmp_path / "quality-own.csv").read_text("utf-8").splitlines()
    assert len(rows) == len(set(rows)) == 1 + 6


def test_a_contender_that_raises_is_named_and_the_rest_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(meter: Meter, seed: int) -> None:
        raise ValueError(f"no {meter.budget} {seed}")

    here = {"broken": Contender("broken", broken), "random": found()[0]["random"]}
    records = Records(tmp_path / "quality-own.csv")
    cells = [replace(CELL, algorithm=name) for name in here]
    quality.run_all(cells, here, {"own": records})
    assert [cell.algorithm for cell in records.rows] == ["random"]
    assert "failed: broken, 1 runs, the last by ValueError: no 2000" in capsys.readouterr().out


def test_a_long_run_of_an_anytime_method_tells_the_short_one() -> None:
    here = {
        "any": Contender("any", lambda *_: None),
        "planned": Contender("planned", lambda *_: None, anytime=False),
        "slow": Contender("slow", lambda *_: None, most=2_000),
        "choosy": Contender("choosy", lambda *_: None, takes=lambda _: False),
    }
    cells = quality.grid(here, ["own"], dimensions=[20], functions=[5], instances=1)
    assert sorted((cell.algorithm, cell.factor) for cell in cells) == [
        ("any", 1000),
        ("planned", 100),
        ("planned", 1000),
        ("slow", 100),
    ]
    long = replace(ROW, factor=1000)
    planned = replace(long, algorithm="planned", anytime=0)
    short = at_factor(iter([long, planned]), 100, 100)
    assert list(short) == [CELL]
    assert short[CELL].error == long.early_error
    assert at_factor(iter([long, planned]), 1000, 100).keys() == {long.cell, planned.cell}


# Tables.


def test_a_table_compares_only_who_ran_everywhere(tmp_path: Path) -> None:
    perfect = replace(ROW, algorithm="perfect", hits=f"1*{N}", error=0.0)
    rows = [ROW, replace(ROW, instance=2), perfect, replace(perfect, instance=2)]
    text = tables.table([*rows, replace(ROW, algorithm="late")], 100)
    lines = text.splitlines()
    assert lines[0] == "| 100 d | categorical 20 |"
    assert lines[2] == "| perfect | **1.000** / 1.0 |"
    assert lines[3].startswith("| random | 0.")
    assert lines[3].endswith(" / 2.0 |")
    assert lines[4] == "| runs each | 2 |"
    assert "late on categorical 20: 1 of 2" in text
    (picture,) = tables.draw(rows, 100, tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_function_19_of_bbob_is_a_column_of_its_own() -> None:
    rows = [replace(ROW, suite="bbob", function=f, dimension=5) for f in (18, 19)]
    assert list(tables.columns_of(rows)) == [("bbob", 5), ("bbob f19", 5)]


@pytest.mark.parametrize("make", [tuning_suite.real, tuning_suite.mixed])
@pytest.mark.parametrize("function", range(1, tuning_suite.N_FUNCTIONS + 1))
def test_a_tuning_function_is_zero_at_its_optimum_and_positive_elsewhere(
    make: Callable[[int, int, int], Task], function: int
) -> None:
    task = make(function, 5, 1)
    points = task.space.decode(np.random.default_rng(0).random((300, 5)))
    assert (task.cost(points) > 0).mean() > 0.99
    assert (task.cost(points) >= 0).all()
    assert task.cost(points).tolist() == make(function, 5, 1).cost(points).tolist()
    assert task.cost(points).tolist() != make(function, 5, 2).cost(points).tolist()
    raw = tuning_suite.BUILDERS[function - 1](5, np.random.default_rng(3))
    np.testing.assert_allclose(raw(np.zeros((1, 5))), 0.0, atol=1e-12)
