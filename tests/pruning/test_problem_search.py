"""What a search sees: scores, budgets, codes, and the original that it begins with."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from swarmopt import Seeds
from swarmopt_pruning import (
    ChannelPruning,
    PruningError,
    accuracy,
    load_data,
)

QUICK: dict[str, Any] = {
    "model": "digits-cnn", "epochs": 6, "finalists": 3, "finetune_epochs": 4,
}  # fmt: skip


def test_the_test_images_do_not_touch_the_search() -> None:
    class Locked:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError("the test images were looked at during the search")

    problem = ChannelPruning(**QUICK)
    object.__setattr__(problem._data, "test", Locked())
    problem.prepare()
    unit = np.random.default_rng(0).random((4, len(problem.space)))
    x = problem.canonical(problem.space.decode(unit))
    assert np.isfinite(problem.evaluate(x, Seeds(0, range(4)), np.inf).cost).all()


@pytest.mark.parametrize("fitness", ["brier", "error"])
def test_the_cost_is_the_fitness_plus_the_penalised_share_of_macs(fitness: str) -> None:
    problem = ChannelPruning(**QUICK, penalty=0.3, fitness=fitness)
    x = problem.canonical(problem.space.decode(np.full((1, len(problem.space)), 0.4)))
    evaluation = problem.evaluate(x, Seeds(0, range(1)), np.inf)
    counts = problem.constraints.counts(x)[0]
    small = problem.scorer.refitted(counts)
    share = int(problem.graph.macs(counts[None])[0]) / int(
        problem.graph.macs(problem.graph.widths[None])[0]
    )
    held_out = load_data("digits").held_out
    seen = held_out[: len(held_out) // 2]
    right = accuracy(small, seen)
    with torch.no_grad():
        answers = small(seen.x).softmax(dim=1).double().numpy()
    truth = np.eye(10)[seen.y.numpy()]
    wanted = {"brier": ((answers - truth) ** 2).sum(axis=1).mean() / 2, "error": 1 - right}
    assert evaluation.cost[0] == pytest.approx(wanted[fitness] + 0.3 * share, rel=1e-4)
    assert evaluation.info[0]["macs_share"] == pytest.approx(share)
    assert evaluation.info[0]["held_out_accuracy"] == right


def test_an_unknown_fitness_is_named() -> None:
    with pytest.raises(PruningError, match=r"fitness.*brier.*error"):
        ChannelPruning(**QUICK, fitness="briar")


def test_every_candidate_is_repaired_to_the_budget_before_it_is_scored() -> None:
    for target in (0.5, 0.25, 20_000.0):
        problem = ChannelPruning(**QUICK, target_macs=target)
        whole = int(problem.graph.macs(problem.graph.widths[None])[0])
        limit = target * whole if target <= 1 else target
        x = problem.space.decode(np.random.default_rng(0).random((200, len(problem.space))))
        counts = problem.constraints.counts(problem.canonical(x))
        assert (problem.graph.macs(counts) <= limit).all()
        assert (problem.graph.macs(problem.constraints.counts(x)) > limit).any()


@pytest.mark.slow
def test_a_trained_original_is_cached_and_a_damaged_cache_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = {**QUICK, "epochs": 1, "force": True}
    one = ChannelPruning(**settings)
    one.prepare()
    [path] = (tmp_path / "swarmopt").glob("digits-cnn-*.safetensors")
    weights = path.read_bytes()
    path.write_bytes(weights[: len(weights) // 2])
    other = ChannelPruning(**settings)
    other.prepare()
    assert path.read_bytes() == weights
    for a, b in zip(one._model.parameters(), other._model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_parameters_have_a_budget_of_their_own_and_codes_are_shared() -> None:
    problem = ChannelPruning(
        **QUICK,
        target_macs=0.9,
        target_params=0.3,
        tie=["conv[12]"],
        allowed={"conv3": [8, 16, 24]},
    )
    assert problem.space.names == ("conv[12]", "conv3")
    x = problem.canonical(problem.space.decode(np.ones((1, 2))))
    counts = problem.constraints.counts(x)
    whole = problem.graph.widths[None]
    assert problem.graph.params(counts) <= 0.3 * problem.graph.params(whole)
    assert counts[0, 0] / 16 == pytest.approx(counts[0, 1] / 32, abs=0.05)
    assert counts[0, 2] in (8, 16, 24)


def test_one_code_a_stage_leaves_few_variables() -> None:
    problem = ChannelPruning(model="digits-resnet", codes="stage")
    assert problem.space.names == ("stem", "layer1.0.conv1", "layer2", "layer3")


def test_taylor_importance_is_taken_from_training_images() -> None:
    problem = ChannelPruning(**QUICK, importance="taylor")
    scores = problem.scorer.channel_scores
    assert set(scores) == set(problem.graph.names)
    assert all((found >= 0).all() and found.any() for found in scores.values())
    assert not np.allclose(scores["conv2"], problem.graph.scores("l1")["conv2"])
