"""What to set on this machine: measured, and said."""

import contextlib
import json
from collections.abc import Iterator

import numpy as np
import pytest
from click.testing import CliRunner

from swarmopt_pruning import ChannelPruning
from swarmopt_pruning.tune import Measured, advice, tune
from swarmopt_pruning.tune_command import tune_command

QUICK = {"model": "digits-cnn", "epochs": 1, "force": True}


@pytest.fixture(scope="module")
def problem() -> ChannelPruning:
    return ChannelPruning(**QUICK, score_images=40)  # type: ignore[arg-type]


def measured(dtype: str, batch: int, threads: int, *rates: float) -> Measured:
    return Measured(dtype, batch, threads, tuple(1 / rate for rate in rates), 0.9, 1)


@pytest.mark.slow
def test_every_setting_is_measured_once_the_fastest_first(
    problem: ChannelPruning, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarmopt_pruning.tune.cores", lambda: 2)
    used = []

    @contextlib.contextmanager
    def pinned(threads: int) -> Iterator[None]:  # really two wait for each other on busy cores
        used.append(threads)
        yield

    monkeypatch.setattr("swarmopt_pruning.tune.pinned", pinned)
    found = tune(problem, batches=(16, 32, 10_000), repeats=1)
    n = len(problem.scorer.images)
    assert {(m.dtype, m.batch, m.threads) for m in found} == {
        (d, b, t) for d in ("float32", "bfloat16") for b in (16, 32, n) for t in (1, 2)
    }
    assert used == 2 * ([1] * 6 + [2] * 6), "a first score of each, then one round"
    assert [m.rate for m in found] == sorted((m.rate for m in found), reverse=True)
    for each in found:
        assert each.rate == pytest.approx((2 if each.threads == 1 else 1) / each.seconds)
        assert 0 <= each.accuracy <= 1


def test_a_change_is_advised_only_where_it_pays(problem: ChannelPruning) -> None:
    now = measured("float32", len(problem.scorer.images), 1, 10.0)
    little, more = measured("float32", 64, 1, 10.4), measured("bfloat16", 64, 1, 20.0)
    assert advice([little, now], problem.scorer, threads=1).startswith("nothing is reliably faster")
    assert advice([more, now], problem.scorer, threads=1) == (
        "2.00 times as fast as the present settings: "
        "--set dtype=bfloat16 --set score_batch=64 --set threads=1"
    )
    now, often = (
        measured("float32", now.batch, 1, 10, 10, 10),
        measured("float32", 64, 1, 20, 20, 9),
    )
    assert advice([often, now], problem.scorer, threads=1).startswith("nothing is reliably faster")
    assert advice([more], problem.scorer, threads=7).startswith("fastest: --set dtype=bfloat16")


@pytest.mark.slow
def test_the_command_prints_a_table_or_json_and_names_a_wrong_setting() -> None:
    runner = CliRunner()
    values = [x for name, value in QUICK.items() for x in ("--set", f"{name}={value}".lower())]
    shown = runner.invoke(tune_command, [*values, "--repeats", "1"], catch_exceptions=False)
    assert "dtype" in shown.output
    assert "all cores/s" in shown.output
    told = runner.invoke(
        tune_command, [*values, "--repeats", "1", "--json"], catch_exceptions=False
    )
    rates = [each["rate"] for each in json.loads(told.stdout)]
    assert np.all(np.diff(rates) <= 0)
    wrong = runner.invoke(tune_command, ["--set", "model"])
    assert "expected KEY=VALUE" in str(wrong.exception)
