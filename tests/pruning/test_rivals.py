"""The pruning benchmark: one and the same conditions for all, and records that survive."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

ROOT = Path(__file__).parent.parent.parent
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)

from benchmarks import pruning_cells, pruning_pictures, pruning_table  # noqa: E402
from benchmarks.pruning_bench import Bench  # noqa: E402
from benchmarks.pruning_cells import Records, run_cell  # noqa: E402
from benchmarks.pruning_estimate import estimate  # noqa: E402
from benchmarks.pruning_methods import METHODS, SIMPLE, Chosen  # noqa: E402
from benchmarks.pruning_protocol import FULL, QUICK, Cell, Protocol, images  # noqa: E402
from benchmarks.pruning_rivals import RivalError, counts_of  # noqa: E402
from swarmopt import Evaluation, Seeds  # noqa: E402
from swarmopt_pruning import ChannelGraph, ChannelPruning  # noqa: E402

BUDGET = 0.3
TINY = replace(
    QUICK,
    train=300,
    held_out=120,
    score_images=60,
    evaluations={"digits-cnn": 25},
    epochs=1,
    finalists=3,
)
CHOOSING = [name for name, method in METHODS.items() if method.installed]


@pytest.fixture(scope="module")
def place() -> Bench:
    return Bench(TINY, "digits-cnn", BUDGET)


@pytest.fixture
def cells(place: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cells share the bench of this file."""
    monkeypatch.setattr(pruning_cells, "bench", lambda *_: place)
    monkeypatch.setattr("benchmarks.pruning_estimate.bench", lambda *_: place)


def record(method: str, seed: int, **others: Any) -> dict[str, Any]:
    return {
        "key": f"{method}{seed}",
        "network": "digits-cnn",
        "budget": BUDGET,
        "method": method,
        "seed": seed,
        "test": 0.9,
        "score": 0.5,
        "macs_share": 0.29,
        "evaluations": 20,
        "choosing_seconds": 3.0,
        "training_seconds": 4.0,
        "counts": {"conv1": 4, "conv2": 8},
        "curve": [[1, 0.5], [2, 0.4]],
        "finalists": [],
        **others,
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOOSING)
def test_every_method_keeps_to_the_budget_and_to_the_number_of_scores(
    place: Bench, name: str
) -> None:
    chosen = METHODS[name].choose(place, 1)
    assert chosen.counts.shape == place.problem.graph.widths.shape
    assert 0.1 < place.share(chosen.counts) <= BUDGET
    assert chosen.evaluations <= place.evaluations
    assert bool(chosen.finalists) == METHODS[name].trains
    assert not chosen.curve or np.all(np.diff([cost for _, cost in chosen.curve]) <= 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["default", "hill", "abc"])
def test_a_method_chooses_the_same_again(place: Bench, name: str) -> None:
    one, other = (METHODS[name].choose(place, 2) for _ in range(2))
    assert one.counts.tolist() == other.counts.tolist()
    assert one.curve == other.curve


@pytest.mark.slow
def test_a_hill_climb_scores_within_the_budget_and_ends_at_the_best_it_saw(
    place: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[float, tuple[int, ...]]] = []
    evaluate = place.problem.evaluate

    def watched(x: Any, seeds: Seeds, bound: float) -> Evaluation:
        found = evaluate(x, seeds, bound)
        seen.append((float(found.cost[0]), tuple(place.counts(x[0]).tolist())))
        return found

    monkeypatch.setattr(place.problem, "evaluate", watched)
    chosen = METHODS["hill"].choose(place, 3)
    assert all(place.share(np.array(counts)) <= BUDGET for _, counts in seen)
    assert len({counts for _, counts in seen}) == len(seen)
    assert min(seen)[0] == {counts: cost for cost, counts in seen}[tuple(chosen.counts.tolist())]
    starts = {tuple(place.known(name).tolist()) for name in SIMPLE}
    assert starts <= {counts for _, counts in seen}


@pytest.mark.slow
def test_abc_has_the_codes_of_abcpruner(place: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    whole = place.variant

    def variant(**settings: Any) -> ChannelPruning:
        asked.append(settings)
        return whole(**settings)

    monkeypatch.setattr(place, "variant", variant)
    METHODS["abc"].choose(place, 1)
    codes = whole(**asked[0]).constraints.searched
    for code in codes:
        width = place.problem.graph.widths[code.groups[0]]
        wanted = {max(1, round(width * tenth / 10)) for tenth in range(1, 10)}
        assert {level[0] for level in code.counts} <= {*wanted, *(w + 1 for w in wanted)}
        assert max(level[0] for level in code.counts) < width


@pytest.mark.slow
def test_no_test_image_is_within_reach_of_a_method(place: Bench) -> None:
    seen = {x.tobytes() for part in ("train", "held_out", "test")
            for x in getattr(place.data, part).x.numpy()}  # fmt: skip
    hidden = {x.tobytes() for x in images(TINY).test.x.numpy()}
    assert not seen & hidden


@pytest.mark.usefixtures("cells")
@pytest.mark.slow
def test_a_cell_is_the_same_again_and_says_all_that_the_table_shows() -> None:
    cell = Cell("digits-cnn", BUDGET, "uniform", 1)
    one, other = (run_cell(TINY, cell) for _ in range(2))
    timed = {"choosing_seconds", "training_seconds"}
    assert {k: v for k, v in one.items() if k not in timed} == {
        k: v for k, v in other.items() if k not in timed
    }
    assert set(record("uniform", 1)) <= set(one)
    assert one["test_without"] != one["test"] or one["before_without"] != one["before"]
    assert json.loads(json.dumps(one)) == one


@pytest.mark.usefixtures("cells")
@pytest.mark.slow
def test_distillation_and_reconstruction_are_left_out_where_the_method_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipes: dict[str, tuple[float, int]] = {}

    def no_training(small: Any, data: Any, recipe: Any, *, seed: int, teacher: Any) -> None:
        recipes[method] = (recipe.distill, recipe.epochs)

    monkeypatch.setattr(pruning_cells, "train", no_training)
    plain: dict[str, bool] = {}
    for method in ("uniform", "no-distillation", "no-reconstruction"):
        found = run_cell(TINY, Cell("digits-cnn", BUDGET, method, 1))
        plain[method] = "test_without" in found
    assert recipes["uniform"] == recipes["no-reconstruction"] == (TINY.distill, TINY.epochs)
    assert recipes["no-distillation"] == (0.0, TINY.epochs)
    assert plain == {"uniform": True, "no-distillation": True, "no-reconstruction": False}


@pytest.mark.usefixtures("cells")
@pytest.mark.slow
def test_a_rival_that_fails_is_a_record_with_its_words(
    place: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Chosen:
        raise RivalError("it | does\nnot")

    method = replace(METHODS["fastnas"], choose=fail)
    monkeypatch.setitem(METHODS, "fastnas", method)
    found = run_cell(TINY, Cell("digits-cnn", BUDGET, "fastnas", 1))
    assert found["error"] == "it | does\nnot"
    text = pruning_table.tables(TINY, [found])
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert "it / does not" in rows[-1]
    assert len({row.count("|") for row in rows}) == 1


@pytest.mark.slow
def test_counts_of_a_network_that_others_have_pruned_are_read_from_its_tensors(
    place: Bench,
) -> None:
    counts = place.problem.graph.widths - 3
    small = place.problem.scorer.plan(counts).apply(place.model)
    assert counts_of(place, small).tolist() == counts.tolist()
    name = place.problem.graph.groups[0].where[0].tensor
    module, _, leaf = name.rpartition(".")
    delattr(small.get_submodule(module), leaf)
    with pytest.raises(RivalError, match=f"no {name}"):
        counts_of(place, small)


def test_channels_that_a_linear_layer_reads_many_times_count_once() -> None:
    model = nn.Sequential(nn.Conv2d(1, 6, 3), nn.Flatten(), nn.Linear(6 * 4, 3)).eval()
    graph = ChannelGraph.trace(model, (torch.zeros(2, 1, 4, 4),))
    here: Any = SimpleNamespace(model=model, problem=SimpleNamespace(graph=graph))
    small: Any = graph.plan({graph.names[0]: 4}).apply(model)
    assert counts_of(here, small).tolist() == [4]
    small[2] = nn.Linear(4 * 4 + 1, 3)
    with pytest.raises(RivalError, match="keeps"):
        counts_of(here, small)


@pytest.mark.parametrize(
    "changed",
    [
        {"data": "cifar10"},
        {"train": 100},
        {"held_out": 100},
        {"score_images": 50},
        {"evaluations": {"digits-cnn": 26}},
        {"epochs": 2},
        {"rate": 0.01},
        {"distill": 0.5},
        {"finalists": 4},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_whatever_decides_a_cell_is_in_its_key(changed: dict[str, Any]) -> None:
    cell = Cell("digits-cnn", BUDGET, "uniform", 1)
    assert replace(TINY, **changed).key(cell) != TINY.key(cell)


def test_no_condition_is_forgotten_in_the_key() -> None:
    of_the_table = {"columns", "seeds"}
    tried = {"data", "train", "held_out", "score_images", "evaluations", "epochs", "rate",
             "distill", "finalists"}  # fmt: skip
    assert {f.name for f in fields(Protocol)} == of_the_table | tried


def test_cells_are_picked_by_name_the_first_seeds_first() -> None:
    cells = FULL.cells(("default", "uniform"), "resnet20-s2/0.3/*")
    assert [cell.name for cell in cells] == [
        f"resnet20-s2/0.3/{method}/{seed}"
        for seed in (1, 2, 3)
        for method in ("default", "uniform")
    ]
    assert not FULL.cells(("default",), "resnet")


def test_a_torn_last_line_is_cut_off_and_its_cell_is_run_again(tmp_path: Path) -> None:
    file = tmp_path / "cells.jsonl"
    records = Records(file)
    records.add(record("default", 1))
    records.add(record("uniform", 1))
    whole = file.read_bytes()
    for length in range(0, len(whole), len(whole) // 11):
        file.write_bytes(whole[:length])
        again = Records(file)
        assert len(again.found) == whole[:length].count(b"\n")
        again.add(record("random", 1))
        assert "random1" in Records(file).found


def test_a_damaged_line_is_refused_and_named(tmp_path: Path) -> None:
    file = tmp_path / "cells.jsonl"
    Records(file).add(record("default", 1))
    file.write_text("{}\n" + file.read_text("utf-8"), "utf-8")
    with pytest.raises(ValueError, match="line 1: expected a record"):
        Records(file)


def test_a_table_shows_mean_standard_error_and_how_far_we_are_ahead() -> None:
    ours = [record("default", s, test=t) for s, t in enumerate((0.90, 0.92, 0.94), start=1)]
    theirs = [record("uniform", s, test=t) for s, t in enumerate((0.89, 0.90, 0.91), start=1)]
    text = pruning_table.tables(TINY, [*ours, *theirs])
    error = 2 / math.sqrt(3)  # of three values two points apart
    assert f"| swarmopt, default | 3 | 92.00 ± {error:.2f} |" in text
    both = math.hypot(error, 1 / math.sqrt(3))
    assert f"| uniform | 3 | 90.00 ± {1 / math.sqrt(3):.2f} | +2.00 ({2 / both:+.1f} se) |" in text


def test_one_seed_has_no_standard_error() -> None:
    text = pruning_table.tables(TINY, [record("default", 1), record("uniform", 1, test=0.8)])
    assert "| swarmopt, default | 1 | 90.00 |" in text
    assert "| uniform | 1 | 80.00 | +10.00 |" in text


def test_a_page_is_filled_between_its_marks_and_only_there(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{pruning_table.BEGIN}\nold\n{pruning_table.END}\nafter\n", "utf-8")
    for text in ("one", "two"):
        pruning_table.fill_page(page, text)
    assert page.read_text("utf-8").split() == [
        "before", *pruning_table.BEGIN.split(), "two", *pruning_table.END.split(), "after"
    ]  # fmt: skip
    page.write_text("no marks", "utf-8")
    with pytest.raises(ValueError, match="expected the lines"):
        pruning_table.fill_page(page, "one")
    assert page.read_text("utf-8") == "no marks"


def test_the_page_of_the_docs_has_its_marks() -> None:
    text = (ROOT / "docs" / "pruning-results.md").read_text("utf-8")
    assert text.count(pruning_table.BEGIN) == text.count(pruning_table.END) == 1


@pytest.mark.slow
def test_there_is_a_picture_of_everything_also_of_one_seed(tmp_path: Path) -> None:
    found = [record("default", 1), record("uniform", 1, curve=[]), record("random", 1)]
    made = pruning_pictures.draw(TINY, found, tmp_path)
    assert len(made) == 4
    assert all(path.stat().st_size > 1_000 for path in made)
    known = [record("uniform", 1, curve=[])]
    assert len(pruning_pictures.draw(FULL, [{**known[0], "network": "resnet20-s2"}], tmp_path)) == 4
    failed = {k: v for k, v in record("fastnas", 1, error="no").items() if k != "test"}
    assert pruning_pictures.draw(TINY, [failed], tmp_path) == []


@pytest.mark.usefixtures("cells")
@pytest.mark.slow
def test_the_estimate_grows_with_the_cells_and_with_what_they_do() -> None:
    def seconds(*methods: str) -> float:
        return estimate(TINY, TINY.cells(methods))

    assert 0 < seconds("uniform") < seconds("random") < seconds("random", "uniform")
    assert seconds("no-finalists") < seconds("default")
