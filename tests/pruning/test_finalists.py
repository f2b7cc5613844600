"""The choice among the best: who takes part, who goes on, and what is trained only once."""

import json
import logging
import math
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
import torch
from torch import nn

from swarmopt_pruning import Images, Recipe, selection
from swarmopt_pruning.finalists import Finalist, Trial, contenders, halved
from swarmopt_pruning.report import choice
from swarmopt_pruning.score import Scorer

Counts = tuple[int, ...]


class Training:
    """Stands for training: remembers what was asked for, and is as good as told."""

    def __init__(
        self, accuracy: dict[Counts, float], loss: dict[Counts, float | None] | None = None
    ) -> None:
        self.accuracy, self.loss = accuracy, loss or {}
        self.asked: list[tuple[Counts, int]] = []

    def __call__(self, counts: Counts, epochs: int) -> Trial:
        self.asked.append((counts, epochs))
        return Trial(epochs, self.accuracy[counts], self.loss.get(counts, 1.0))


SIX: dict[Counts, float] = {
    (i, i): accuracy for i, accuracy in enumerate((0.5, 0.9, 0.7, 0.8, 0.6, 0.4))
}


def finalists(of: dict[Counts, float]) -> list[Finalist]:
    return [Finalist(counts, "search") for counts in of]


def test_the_better_half_is_trained_for_twice_as_long_until_one_is_left() -> None:
    training = Training(SIX)
    found = halved(finalists(SIX), training, epochs=2, file=None)
    assert [f.counts for f in found] == [(1, 1), (3, 3), (2, 2), (4, 4), (0, 0), (5, 5)]
    assert [len(f.trials) for f in found] == [2, 2, 2, 1, 1, 1]
    assert training.asked[:6] == [(counts, 2) for counts in SIX]
    assert sorted(training.asked[6:]) == [((1, 1), 4), ((2, 2), 4), ((3, 3), 4)]


def test_the_least_loss_wins_whatever_the_accuracy_then_accuracy_then_the_first() -> None:
    level = dict.fromkeys(SIX, 0.5)
    assert halved(finalists(level), Training(level), epochs=1, file=None)[0].counts == (0, 0)
    training = Training(SIX, {(4, 4): 0.5, (1, 1): None})
    found = halved(finalists(SIX), training, epochs=1, file=None)
    assert [f.counts for f in found] == [(4, 4), (3, 3), (2, 2), (0, 0), (5, 5), (1, 1)]


def test_where_every_training_diverges_the_order_of_the_scores_stays(tmp_path: Path) -> None:
    file = tmp_path / "finalists.json"
    ruined = Training(dict.fromkeys(SIX, 0.0), dict.fromkeys(SIX))
    found = halved(finalists(SIX), ruined, epochs=1, file=file)
    assert [f.counts for f in found[:1]] == list(SIX)[:1]
    held = json.loads(file.read_text(), parse_constant=pytest.fail)
    assert {trial["loss"] for trial in held.values()} == {None}
    assert halved(finalists(SIX), Training({}), epochs=1, file=file) == found
    line = choice([asdict(each) for each in found])
    assert line == "chosen of 6 finalists by its score, as the training of every one failed"


def test_a_finalist_that_training_made_worse_than_a_guess_is_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = nn.Linear(2, 2)
    losses = iter([0.69, 0.70, math.nan, 0.5])  # a guess among two labels has .693
    monkeypatch.setattr(selection, "train", lambda *_, **__: None)
    monkeypatch.setattr(selection, "accuracy_and_loss", lambda *_: (0.5, next(losses)))
    images = Images(torch.zeros(4, 2), torch.tensor([0, 1, 1, 1]))
    found = selection.chosen(
        np.array([[1, 1], [3, 3], [5, 5]]),
        {},
        cast("Scorer", SimpleNamespace(inherit=lambda _: model, model=model)),
        images=images,
        unseen=images,
        recipe=Recipe(epochs=1, rate=0.5),
        most=3,
        seed=0,
        file=None,
    )
    assert [(f.counts, f.trials[-1].loss) for f in found] == [
        ((1, 1), 0.69), ((3, 3), None), ((5, 5), None)
    ]  # fmt: skip
    said = [r.getMessage() for r in caplog.records]
    assert len(said) == 2
    assert "worse than a guess (cross-entropy 0.7, that of a guess is 0.693)" in said[0]
    assert all(text.endswith("finetune_rate=0.05") for text in said)


@pytest.mark.parametrize("n", [0, 1])
def test_one_alone_is_not_trained(n: int, tmp_path: Path) -> None:
    alone = finalists(SIX)[:n]
    training = Training(SIX)
    assert halved(alone, training, epochs=1, file=tmp_path / "f.json") == alone
    assert training.asked == []


def test_what_a_file_holds_is_not_trained_again(tmp_path: Path) -> None:
    file = tmp_path / "finalists.json"
    first = halved(finalists(SIX), Training(SIX), epochs=1, file=file)
    again = Training({})
    assert halved(finalists(SIX), again, epochs=1, file=file) == first
    assert again.asked == []


def test_a_run_that_was_killed_trains_only_the_rest_and_ends_the_same(tmp_path: Path) -> None:
    file = tmp_path / "finalists.json"
    whole = halved(finalists(SIX), Training(SIX), epochs=1, file=None)
    n_all = 9
    for killed_after in range(n_all):
        file.unlink(missing_ok=True)
        first = Training(SIX)

        def killed(
            counts: Counts, epochs: int, first: Training = first, most: int = killed_after
        ) -> Trial:
            if len(first.asked) == most:
                raise KeyboardInterrupt
            return first(counts, epochs)

        with pytest.raises(KeyboardInterrupt):
            halved(finalists(SIX), killed, epochs=1, file=file)
        second = Training(SIX)
        assert halved(finalists(SIX), second, epochs=1, file=file) == whole
        assert len(second.asked) == n_all - killed_after


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[1, 2]", b"\xff\xfe", b'{"1: 0 0": 3}', b'{"1: 0 0": {"epochs": 1}}',
     b'{"1: 0 0": {"epochs": 1, "accuracy": "x", "loss": 1}}', b"null"],
)  # fmt: skip
def test_a_damaged_file_is_named_and_ignored(
    damage: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "finalists.json"
    file.write_bytes(damage)
    training = Training(SIX)
    with caplog.at_level(logging.WARNING, "swarmopt_pruning"):
        found = halved(finalists(SIX), training, epochs=1, file=file)
    assert found[0].counts == (1, 1)
    assert len(training.asked) == 9
    (said,) = (r.getMessage() for r in caplog.records if r.levelno == logging.WARNING)
    assert str(file) in said
    assert "trained again" in said
    assert len(json.loads(file.read_text("utf-8"))) == 9


def rows(*counts: Counts) -> list[np.ndarray[tuple[int], np.dtype[np.int64]]]:
    return [np.array(c, dtype=np.int64) for c in counts]


def test_the_best_takes_part_then_what_is_known_then_what_differs_enough() -> None:
    ordered = rows((4, 4, 4), (4, 4, 3), (4, 3, 3), (1, 1, 1), (2, 2, 2))
    known = dict(zip(("additive", "uniform"), rows((3, 4, 4), (2, 2, 4)), strict=True))
    found = contenders(ordered, known, 5)
    assert [(f.counts, f.origin) for f in found] == [
        ((4, 4, 4), "search"), ((3, 4, 4), "additive"), ((2, 2, 4), "uniform"),
        ((4, 3, 3), "search"), ((1, 1, 1), "search"),
    ]  # fmt: skip


def test_the_first_is_the_searchs_best_even_where_it_is_the_only_one() -> None:
    known = dict(zip(("additive",), rows((1, 1)), strict=True))
    assert [f.counts for f in contenders(rows((2, 2), (5, 5)), known, 1)] == [(2, 2)]
    assert [f.origin for f in contenders(rows((1, 1), (1, 1)), known, 6)] == ["search"]
    assert [f.origin for f in contenders([], known, 6)] == ["additive"]
    assert contenders([], {}, 6) == []
