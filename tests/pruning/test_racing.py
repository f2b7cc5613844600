"""The pruning problem as a search sees it: races, its own starting points, odd settings."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from swarmopt import Result, Seeds, minimize, record
from swarmopt.evaluation import Outcome
from swarmopt_pruning import ChannelPruning, PruningError, Splits, load_data
from swarmopt_pruning.starts import NEAR


def plain() -> nn.Module:
    """Return a network whose layers have 12 and 10 channels, and no normalisation."""
    torch.manual_seed(0)
    layers = nn.Conv2d(1, 12, 3, stride=2), nn.ReLU(), nn.Conv2d(12, 10, 2), nn.ReLU()
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(40, 10)).eval()


def digits(n: int = 200) -> Splits:
    data = load_data("digits")
    return Splits(data.train[:200], data.held_out[:n], data.test[:50])


def problem(**settings: Any) -> ChannelPruning:
    """Return a problem of an original that guesses: its scores differ, which is enough."""
    chosen = {"model": plain(), "data": digits(), "force": True, "finetune_epochs": 0, **settings}
    return ChannelPruning(**chosen)


@pytest.fixture(scope="module")
def ready() -> ChannelPruning:
    found = problem(target_macs=0.7, score_images=100)
    vars(found)["scorer"] = replace(found.scorer, batch=10)  # may stop after every tenth image
    return found


def test_only_what_costs_more_than_the_bound_stops_early(ready: ChannelPruning) -> None:
    unit = np.random.default_rng(0).random((12, len(ready.space)))
    x = ready.canonical(ready.space.decode(unit))
    seeds = Seeds(0, range(len(x)))
    whole = ready.evaluate(x, seeds, np.inf).cost
    stopped = 0
    for bound in [whole.min() / 2, *np.unique(whole)]:
        found = ready.evaluate(x, seeds, float(bound))
        out = found.outcome == Outcome.CENSORED
        stopped += int(out.sum())
        assert (whole[out] > bound).all(), "level with the bound is not above it"
        assert (found.cost[out] > bound).all()
        assert np.array_equal(found.cost[~out], whole[~out])
    assert stopped > 0


@pytest.mark.slow
def test_no_candidate_that_stopped_early_is_on_the_front_or_a_finalist(tmp_path: Path) -> None:
    found = problem(finetune_epochs=1, target_macs=0.6, step=0.05, minimum=0.05, fill=False)
    result = minimize(found, budget=60, seed=0, workers=0, run_dir=tmp_path / "r")
    history = result.history
    whole = history.outcome == Outcome.OK
    counts = {tuple(c) for c in found.constraints.counts(history.x[whole]).tolist()}
    lines = (tmp_path / "r" / "front.csv").read_text("utf-8").splitlines()[1:]
    assert lines
    assert {tuple(map(int, line.split(",")[4:])) for line in lines} <= counts
    assert {tuple(f["counts"]) for f in result.report["finalists"]} <= counts
    assert result.fun == history.cost[whole].min()


@pytest.mark.slow
def test_the_known_structures_are_asked_first(ready: ChannelPruning) -> None:
    starts = ready.starts()
    assert list(ready.known)[:4] == ["additive", "uniform", "threshold", "magnitude"]
    assert 4 < len(starts) == len(ready.known) <= 4 + NEAR
    assert ready.budget.within(ready.constraints.counts(starts)).all()
    result = minimize(ready, budget=len(starts), seed=0, workers=0)
    known = np.unique(ready.canonical(starts), axis=0)
    asked = np.unique(result.history.x[: len(known)], axis=0)
    assert np.array_equal(asked, known)


@pytest.mark.slow
def test_two_runs_and_any_number_of_workers_choose_the_same_structure(tmp_path: Path) -> None:
    digests, structures = set(), set()
    for name, workers in (("a", 0), ("b", 0), ("c", 2)):
        settings: dict[str, Any] = {"target_macs": 0.6, "step": 0.05, "minimum": 0.05}
        found = problem(finetune_epochs=1, fill=False, **settings)
        result = minimize(
            found, budget=60, seed=3, workers=workers, lookahead=0, run_dir=tmp_path / name
        )
        digests.add(record.read(tmp_path / name).digest)
        structures.add(str(result.report["finalists"]))
    assert len(digests) == 1
    assert len(structures) == 1


def run(**settings: Any) -> Result:
    return minimize(problem(**settings), budget=12, seed=0, workers=0)


@pytest.mark.parametrize(
    "n", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)]
)
def test_few_held_out_images_are_enough(n: int) -> None:
    found = problem(data=digits(n))
    assert len(found.scorer.images) == max(1, n // 2)
    assert len(found._unseen) >= 1
    assert np.isfinite(minimize(found, budget=6, seed=0, workers=0).fun)


@pytest.mark.parametrize(
    "settings",
    [
        {"known": False, "finalists": 1},
        pytest.param({"finalists": 1}, marks=pytest.mark.slow),
        pytest.param({"target_macs": 1.0, "target_params": 0.5}, marks=pytest.mark.slow),
        pytest.param({"target_macs": 1.0}, marks=pytest.mark.slow),
        pytest.param({"codes": "stage"}, marks=pytest.mark.slow),
        pytest.param({"exclude": ["0"]}, marks=pytest.mark.slow),
        pytest.param({"dtype": "bfloat16"}, marks=pytest.mark.slow),
        pytest.param({"reconstruct": False}, marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_a_run_ends_with_a_network_within_the_budget(settings: dict[str, Any]) -> None:
    found = problem(**settings)
    result = minimize(found, budget=10, seed=0, workers=0)
    counts = np.array([[result.report["groups"][name]["kept"] for name in found.graph.names]])
    assert found.budget.within(counts).all()
    if settings.get("finalists") == 1:
        (only,) = result.report["finalists"]
        assert only["origin"] == "search"
        assert counts[0].tolist() == list(only["counts"])
        best = found.constraints.counts(result.x[None])[0]
        assert counts[0].tolist() == best.tolist()


class Two(nn.Module):
    """A network that answers twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 8, 3), nn.Linear(8, 10)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.conv(x).mean((2, 3))
        return self.fc(y), y


@pytest.mark.parametrize(
    ("model", "says"),
    [(Two(), "returns tuple"), (plain().double(), r"float\) and bias type \(double")],
)
def test_networks_that_do_not_fit_are_refused(model: nn.Module, says: str) -> None:
    with pytest.raises(PruningError, match=says):
        problem(model=model)


@pytest.mark.slow
def test_the_winner_is_the_best_on_images_that_no_score_has_seen() -> None:
    result = run(finetune_epochs=1, target_macs=0.7, finalists=4)
    finalists = result.report["finalists"]
    longest = [f for f in finalists if len(f["trials"]) == len(finalists[0]["trials"])]
    assert finalists[0]["trials"][-1]["accuracy"] == max(
        f["trials"][-1]["accuracy"] for f in longest
    )
    kept = [group["kept"] for group in result.report["groups"].values()]
    assert kept == list(finalists[0]["counts"])
    found = problem()
    scored, unseen = found.scorer.images.x.flatten(1), found._unseen.x.flatten(1)
    assert not (scored[:, None] == unseen[None]).all(dim=2).any()
