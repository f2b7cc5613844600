"""What a comparison shows, from runs that are made up."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from swarmopt import SettingError
from swarmopt.compare import Cell, Comparison, judge, merged
from swarmopt.compare.across import groups_of
from swarmopt.compare.anytime import anytime, pooled_targets, runtime, runtimes_of
from swarmopt.compare.pair import paired


def cell(problem: str, algorithm: str, seed: int, key: float) -> Cell:
    feasible = key < 1e300
    return Cell(
        problem,
        algorithm,
        seed,
        nfev=100,
        n_failed=0,
        seconds=0.1,
        fun=key if feasible else np.inf,
        violation=0.0 if feasible else 1.0,
        key=key,
        evaluations=np.array([1, 50] if feasible else [], np.int64),
        best=np.array([key + 1.0, key] if feasible else []),
        report={},
        error="Traceback\nValueError: broken" if np.isinf(key) else None,
    )


def made(
    keys: Mapping[tuple[str, str], Any],
    *,
    n_seeds: int | None = None,
    optimum: float | None = None,
) -> Comparison:
    """A comparison with these final keys, seed by seed; `n_seeds` more than there are: missing."""
    problems = tuple(dict.fromkeys(p for p, _ in keys))
    algorithms = tuple(dict.fromkeys(a for _, a in keys))
    most = n_seeds or max(len(column) for column in keys.values())
    cells = {
        (p, a, s): cell(p, a, s, key)
        for (p, a), column in keys.items()
        for s, key in enumerate(column)
    }
    return Comparison(
        problems, algorithms, tuple(range(most)), 100, dict.fromkeys(problems, optimum), cells, {}
    )


def test_a_better_algorithm_is_called_better_with_its_numbers() -> None:
    rng = np.random.default_rng(0)
    comparison = made({("p", "a"): rng.normal(0, 1, 30), ("p", "b"): rng.normal(2, 1, 30)})
    (pair,) = judge(comparison).problems[0].pairs
    assert (pair.verdict, pair.effect, pair.n) == ("better", "large", 30)
    assert pair.sentence.startswith("a is better than b on p: median ")
    assert f"A12 = {pair.a12:.2f} (large), over 30 seeds." in pair.sentence
    assert pair.interval is not None
    assert pair.interval.low <= pair.difference <= pair.interval.high < 0


def test_a_worse_algorithm_is_called_worse() -> None:
    comparison = made({("p", "a"): np.arange(30.0) + 50, ("p", "b"): np.arange(30.0)})
    assert judge(comparison).problems[0].pairs[0].sentence.startswith("a is worse than b on p: ")


def test_equal_algorithms_show_no_difference_and_it_says_that_they_are_equal() -> None:
    comparison = made({("p", "a"): np.arange(30.0), ("p", "b"): np.arange(30.0)})
    (pair,) = judge(comparison).problems[0].pairs
    assert (pair.verdict, pair.p, pair.a12) == ("no difference shown", 1.0, 0.5)
    assert pair.sentence.endswith("their final costs are equal, seed by seed.")


def test_one_seed_shows_costs_and_refuses_all_statistics() -> None:
    judgement = judge(
        made({("p", "a"): [1.0], ("p", "b"): [2.0], ("q", "a"): [1.0], ("q", "b"): [3.0]})
    )
    (pair, _) = (on.pairs[0] for on in judgement.problems)
    assert (pair.p, pair.verdict, pair.interval) == (None, "not tested", None)
    assert pair.sentence == "a and b on p: 1 against 2, with one seed; not tested."
    assert judgement.across is None
    assert judgement.sentences[0].startswith("One seed: the cost of one run each")
    entry = judgement.summary()["problems"][0]["algorithms"][0]
    assert (entry["low"], entry["median"], entry["high"]) == (None, 1.0, None)


def test_a_pair_without_a_test_says_what_there_is() -> None:
    apart = Comparison(
        ("p",), ("a", "b"), (0, 1), 100, {"p": None},
        {(*w[:2], s): cell(*w[:2], s, 1.0) for s, w in enumerate((("p", "a"), ("p", "b")))}, {},
    )  # fmt: skip
    (pair,) = judge(apart).problems[0].pairs
    assert (pair.n, pair.verdict, pair.equal) == (0, "not tested", False)
    assert pair.sentence == "a and b on p: no seed that both have finished."
    alone = paired(("p", "a", "b"), np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0, 6.0]))
    assert alone.sentence == "a and b on p: median 2 against 5, over 3 seeds; not tested."


def test_too_few_seeds_are_named_and_how_many_it_takes() -> None:
    judgement = judge(made({("p", "a"): np.arange(5.0), ("p", "b"): np.arange(5.0) + 9}))
    assert judgement.sentences[1].endswith("in 1 test, whatever they find: take 6 or more.")
    more = judge(made({("p", a): np.arange(6.0) + 9 * i for i, a in enumerate("abc")}))
    assert more.sentences[3].startswith("Fewer than 7 seeds cannot show a difference in 3 tests")
    assert sum("whatever they find" in text for text in more.sentences) == 1


def test_holms_correction_spans_all_pairs_of_all_problems() -> None:
    rng = np.random.default_rng(1)
    few = {("p", "a"): rng.normal(0, 1, 20), ("p", "b"): rng.normal(0.9, 1, 20)}
    more = {(f"p{i}", a): rng.normal(0, 1, 20) for i in range(9) for a in "ab"}
    alone = judge(made(few)).problems[0].pairs[0]
    among = judge(made({**few, **more})).problems[0].pairs[0]
    assert alone.p == among.p
    assert alone.p_holm == alone.p
    assert among.p_holm is not None
    assert among.p is not None
    assert among.p_holm > 5 * among.p
    assert (alone.verdict, among.verdict) == ("better", "no difference shown")


def test_nothing_is_claimed_where_the_test_and_the_effect_point_to_different_sides() -> None:
    far = 10.0 * np.arange(1, 21)
    theirs = np.concatenate([far, np.zeros(10)])
    mine = np.concatenate([far - 0.5, np.full(10, 0.01)])  # 20 wins by more than the 10 losses
    (pair,) = judge(made({("p", "a"): mine, ("p", "b"): theirs})).problems[0].pairs
    assert pair.p is not None
    assert pair.a12 is not None
    assert pair.p < 0.001
    assert pair.a12 < 0.5
    assert pair.verdict == "no difference shown"
    assert pair.sentence.endswith("the test over pairs and A12 point to different sides.")


def test_failed_runs_rank_last_and_are_noted_not_dropped() -> None:
    rng = np.random.default_rng(0)
    mine = rng.normal(0, 1, 30)
    theirs = np.where(np.arange(30) < 20, np.inf, rng.normal(0, 1, 30))
    judgement = judge(made({("p", "a"): mine, ("p", "b"): theirs}))
    (pair,) = judgement.problems[0].pairs
    assert (pair.n, pair.verdict, pair.median_other) == (30, "better", np.inf)
    assert "against failed" in pair.sentence
    assert "20 of 30 runs of b on p failed and rank last" in judgement.notes[0]
    assert "ValueError: broken" in judgement.notes[0]
    summary = judgement.problems[0].summaries[1]
    assert (summary.n, summary.n_failed, summary.median, summary.high) == (30, 20, np.inf, np.inf)


def test_infeasible_runs_rank_between_feasible_and_failed_ones() -> None:
    keys = {("p", "a"): [1e300] * 9, ("p", "b"): [np.inf] * 9, ("p", "c"): [5.0] * 9}
    judgement = judge(made(keys))
    on = judgement.problems[0]
    assert [pair.verdict for pair in on.pairs] == ["better", "worse", "worse"]
    assert "median infeasible against failed" in judgement.sentences[0]
    assert (on.summaries[0].n_infeasible, on.summaries[1].n_infeasible) == (9, 0)


def test_an_unfinished_comparison_says_so_and_pairs_what_is_there() -> None:
    judgement = judge(
        made({("p", "a"): np.arange(8.0), ("p", "b"): np.arange(5.0) - 9}, n_seeds=30)
    )
    assert "Not finished: 47 of 60 runs are missing" in judgement.notes[0]
    assert judgement.problems[0].pairs[0].n == 5


def test_a_comparison_without_any_run_is_judged_too() -> None:
    judgement = judge(Comparison(("p",), ("a", "b"), (0, 1), 100, {"p": None}, {}, {}))
    assert judgement.problems[0].summaries == ()
    assert "4 of 4 runs are missing" in judgement.notes[0]


def test_one_problem_has_no_ranks_over_its_seeds_and_it_says_why() -> None:
    judgement = judge(made({("p", "a"): np.arange(30.0), ("p", "b"): np.arange(30.0) + 1}))
    assert judgement.across is None
    assert "pseudo-replication" in judgement.sentences[-1]


def test_a_problem_counts_by_its_median() -> None:
    first = {("p", "a"): [9.0, 1.0, 1.0], ("p", "b"): [0.0, 2.0, 2.0]}
    across = judge(made({**first, ("q", "a"): [1.0] * 3, ("q", "b"): [2.0] * 3})).across
    assert across is not None
    assert (across.algorithms, across.ranks) == (("a", "b"), (1.0, 2.0))


def test_a_problem_with_one_run_of_an_algorithm_has_no_median_to_rank() -> None:
    keys = {(p, a): [float(i)] * 3 for p in "pq" for i, a in enumerate("ab")}
    enough, single = made(keys), made({("r", "a"): [9.0], ("r", "b"): [0.0]})
    across = judge(merged([enough, single])).across
    alone = judge(enough).across
    assert across is not None
    assert alone is not None
    assert (across.problems, across.ranks, across.p) == (("p", "q"), alone.ranks, alone.p)
    assert across.sentences[1].startswith("The ranks leave out r: fewer than two runs of an algo")
    assert not any("leave out" in sentence for sentence in alone.sentences)


def test_problems_of_one_seed_each_make_no_ranks_together() -> None:
    later = {("q", a, 1): cell("q", a, 1, key) for a, key in (("a", 1.0), ("b", 2.0))}
    other = Comparison(("q",), ("a", "b"), (1,), 100, {"q": None}, later, {})
    judgement = judge(merged([made({("p", "a"): [1.0], ("p", "b"): [2.0]}), other]))
    assert judgement.across is None
    assert judgement.sentences[-1].startswith("No ranks over problems: fewer than two have two")


def test_a_group_ends_where_its_ends_are_too_far_apart() -> None:
    ranks = [1.0, 2.0, 3.0, 5.0]
    assert groups_of(tuple("abcd"), ranks, 1.5) == (("a", "b"), ("b", "c"))
    assert groups_of(tuple("abcd"), ranks, 2.0) == (("a", "b", "c"), ("c", "d"))
    assert groups_of(tuple("abcd"), ranks, 9.0) == (tuple("abcd"),)


def test_ranks_over_problems_are_of_medians_with_the_pairs_that_differ() -> None:
    rng = np.random.default_rng(0)
    keys = {
        (f"p{i}", a): rng.normal(j, 0.1, 5)
        for i in range(12)
        for j, a in enumerate(["a", "b", "c"])
    }
    across = judge(made(keys)).across
    assert across is not None
    assert across.algorithms == ("a", "b", "c")
    assert across.ranks == (1.0, 2.0, 3.0)
    assert across.differ
    assert {pair[:2] for pair in across.pairs} == {("a", "b"), ("b", "c"), ("a", "c")}
    assert across.groups == ()


def test_groups_within_the_critical_difference_are_the_largest_ones() -> None:
    keys = {(f"p{i}", a): [float((i + j) % 3)] * 2 for i in range(6) for j, a in enumerate("abc")}
    across = judge(made(keys)).across
    assert across is not None
    assert across.groups == (across.algorithms,)
    assert not across.differ
    assert across.pairs == ()


def test_ranks_that_differ_in_no_pair_say_so() -> None:
    order = {"a": (0, 0, 0, 0), "b": (1, 2, 1, 2), "c": (2, 1, 2, 1)}
    keys = {(f"p{i}", a): [float(ranks[i])] * 2 for a, ranks in order.items() for i in range(4)}
    across = judge(made(keys)).across
    assert across is not None
    assert across.ranks == (1.0, 2.5, 2.5)
    assert (across.differ, across.pairs) == (True, ())
    last = f"No pair is further apart than Nemenyi's critical difference, {1.657:.2f}."
    assert across.sentences[-1] == last


def test_a_judgement_is_plain_json() -> None:
    keys = {
        ("p", "a"): [1.0, np.inf],
        ("p", "b"): [2.0, 1e300],
        ("q", "a"): [1, 2],
        ("q", "b"): [1, 2],
    }
    text = json.dumps(judge(made(keys)).summary(), allow_nan=False)
    assert json.loads(text)["problems"][0]["pairs"][0]["sentence"].startswith("a and b on p")


def test_runtimes_are_the_first_evaluations_at_most_at_the_target() -> None:
    found = runtimes_of(
        np.array([1, 7, 9]), np.array([5.0, 2.0, 1.0]), np.array([9.0, 2.0, 1.5, 0.5])
    )
    assert found.tolist() == [1.0, 7.0, 9.0, np.inf]
    assert runtimes_of(np.array([], np.int64), np.array([]), np.array([1.0])).tolist() == [np.inf]


def test_the_expected_running_time_charges_what_runs_without_success_spent() -> None:
    found = runtime(1.0, np.array([10.0, 30.0, np.inf]), np.full(3, 100.0))
    assert (found.ert, found.n_reached) == (70.0, 2)
    assert found.interval is not None
    assert found.interval.low <= 70.0 <= found.interval.high == np.inf  # 1 in 27 resamples has none
    never = runtime(1.0, np.array([np.inf, np.inf]), np.full(2, 100.0))
    assert (never.ert, never.interval) == (np.inf, None)


def test_the_runtime_ecdf_ends_at_the_share_of_runs_and_targets_that_were_reached() -> None:
    comparison = made({("p", "a"): [0.0, 0.5], ("p", "b"): [5.0, np.inf]}, optimum=0.0)
    found = anytime(comparison, "p")
    assert found is not None
    assert found.known
    ends = found.reached("a", np.array([0.0, 100.0]))
    reached = np.isfinite(found.hits["a"]).mean()
    assert (ends[0], ends[1]) == (0.0, reached)
    assert found.reached("a", np.array([100.0]))[0] > found.reached("b", np.array([100.0]))[0]


def test_targets_without_a_known_optimum_end_at_the_least_cost_of_all_runs() -> None:
    targets = pooled_targets(101.0, 1.0)
    assert (targets[0], targets[-1], len(targets)) == (101.0, 1.0, 51)
    assert (np.diff(targets) < 0).all()
    assert pooled_targets(1.0, 1.0).tolist() == [1.0]
    found = anytime(made({("p", "a"): [3.0, 1.0], ("p", "b"): [2.0, 9.0]}), "p")
    assert found is not None
    assert np.isfinite(found.hits["a"][:, -1]).tolist() == [False, True]


def test_nothing_feasible_has_no_runtimes() -> None:
    assert anytime(made({("p", "a"): [1e300], ("p", "b"): [np.inf]}), "p") is None


def test_nothing_does_not_merge() -> None:
    with pytest.raises(SettingError, match="expected at least one comparison, got none"):
        merged([])


def test_merged_comparisons_hold_all_runs() -> None:
    one = made({("p", "a"): [1.0, 2.0]})
    other = made({("p", "b"): [3.0, 4.0, 5.0]})
    both = merged([one, other])
    assert (both.algorithms, both.seeds, len(both.cells)) == (("a", "b"), (0, 1, 2), 5)
    assert both.missing == [("p", "a", 2)]


def test_comparisons_of_different_budgets_do_not_merge() -> None:
    one = made({("p", "a"): [1.0]})
    other = Comparison(one.problems, one.algorithms, one.seeds, 999, {}, {}, {})
    told = "^the budgets differ: comparison 1 has 100 evaluations a run, comparison 2 has 999;"
    with pytest.raises(SettingError, match=told):
        merged([one, other])
    with pytest.raises(SettingError, match=r"^the budgets differ: runs/a has 100 .*, runs/b has 9"):
        merged([replace(one, folder="runs/a"), replace(other, folder="runs/b")])


def test_the_same_label_with_other_settings_does_not_merge() -> None:
    one, other = made({("p", "a"): [1.0]}), made({("p", "a"): [1.0]})
    small = replace(one, settings={"algorithm": {"a": {"population": 5}}})
    large = replace(other, settings={"algorithm": {"a": {"population": 9}}})
    with pytest.raises(SettingError, match="'a' has other settings"):
        merged([small, large])
    assert merged([small, other]).settings["algorithm"] == {"a": {"population": 5}}


def test_what_only_later_comparisons_share_must_be_the_same_too() -> None:
    first, *others = (made({(p, "a"): [1.0]}) for p in "pqq")
    others = [
        replace(c, settings={"problem": {"q": {"dim": dim}}})
        for c, dim in zip(others, (2, 3), strict=True)
    ]
    with pytest.raises(SettingError, match="the problem 'q' has other settings"):
        merged([first, *others])
    assert merged([first, others[0]]).settings["problem"] == {"q": {"dim": 2}}


def test_runs_with_other_starting_points_do_not_merge() -> None:
    plain, other = made({("p", "a"): [1.0]}), made({("q", "a"): [1.0]})
    begun = replace(made({("p", "b"): [1.0]}), settings={"x0": {"p": [[0.5]]}})
    for pair in ([plain, begun], [begun, plain]):
        with pytest.raises(SettingError, match="the problem 'p' has other starting points"):
            merged(pair)
    assert merged([other, begun]).settings["x0"] == {"p": [[0.5]]}


def test_comparisons_of_different_versions_merge_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = made({("p", "a"): [1.0]})
    merged([replace(one, settings={"versions": {"numpy": v}}) for v in ("2.3", "2.3")])
    assert not caplog.records
    merged([replace(one, settings={"versions": {"numpy": v}}) for v in ("2.3", "2.4")])
    assert "different versions: numpy 2.3 and 2.4" in caplog.text


def test_the_same_run_with_two_results_does_not_merge() -> None:
    with pytest.raises(SettingError, match="there twice"):
        merged([made({("p", "a"): [1.0]}), made({("p", "a"): [2.0]})])
