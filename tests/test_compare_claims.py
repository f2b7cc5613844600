"""How often a comparison claims what is not there, and finds what is."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not here", allow_module_level=True)
sys.path.append(str(ROOT))  # last, so that an installed swarmopt comes first

from benchmarks.verdicts import share_claimed  # noqa: E402
from swarmopt.compare import compare, judge  # noqa: E402


@pytest.mark.slow
def test_the_same_algorithm_under_two_names_is_never_called_different() -> None:
    names = {"one": "random-search", "other": "random-search"}
    claimed = 0
    for first in range(0, 2000, 10):  # 200 repetitions
        seeds = list(range(first, first + 10))
        found = compare(names, "sphere:dim=2", budget=5, seeds=seeds, workers=0)
        claimed += judge(found).problems[0].pairs[0].verdict != "no difference shown"
    assert claimed == 0


@pytest.mark.slow
def test_equal_distributions_are_rarely_called_different_and_a_planted_effect_is_found() -> None:
    claimed, _ = share_claimed(effect=0.5, correlation=0.0, n_seeds=30, n_repetitions=200)
    assert claimed <= 0.10  # its level is 0.05; two hundred draws scatter
    _, found = share_claimed(effect=0.7, correlation=0.3, n_seeds=30, n_repetitions=200)
    assert found >= 0.8
