"""The conformance suite every algorithm passes, ours and a plugin author's.

    import pytest
    from swarmopt.testing import CHECKS

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_my_algorithm(check):
        check(MyAlgorithm())

Each check takes an algorithm and raises AssertionError with a sentence where it breaks the contract
of `swarmopt.algorithm`. What an algorithm does not declare (`anytime`, `order_only`, `unbiased`) is
not asked of it. `random-search` learns nothing, so checks of learning leave it out. Warnings count
as errors. Statistical checks run over fixed seeds with a wide margin.
"""

from collections.abc import Callable

from swarmopt.algorithm import AnyAlgorithm
from swarmopt.testing.contract import (
    a_larger_budget_repeats_the_prefix,
    a_sliced_batch_can_be_told,
    a_space_of_one_point_works,
    another_seed_another_run,
    arguments_are_not_changed,
    candidates_have_the_promised_shape,
    candidates_stay_in_the_cube,
    categories_alone_work,
    integers_alone_work,
    lookahead_works_through_first_designs_and_restarts,
    mixed_spaces_work,
    one_variable_works,
    only_ask_draws,
    only_tell_writes_state,
    only_the_order_of_keys_matters,
    same_seed_same_bits,
    the_batch_of_the_horizon_is_honoured,
    x0_can_take_the_place_of_candidates,
)
from swarmopt.testing.drive import Objective, Trace, drive, expect
from swarmopt.testing.learning import (
    beats_random_search_on_a_shifted_sphere,
    beats_random_search_on_shifted_categories,
    beats_random_search_on_shifted_integers,
    failed_candidates_do_no_harm,
    infeasible_candidates_do_no_harm,
    the_best_never_gets_worse,
    x0_is_learnt_from,
)
from swarmopt.testing.levels import (
    columns_of_few_levels_are_searched,
    every_level_is_asked_for,
    labels_of_categories_have_no_order,
    small_spaces_are_not_walked_in_circles,
)
from swarmopt.testing.places import (
    neither_the_centre_nor_the_faces_attract,
    the_place_of_the_optimum_does_not_matter,
)
from swarmopt.testing.scale import (
    every_column_is_searched,
    long_runs_keep_improving,
    scale_and_sign_of_keys_do_no_harm,
    wide_spaces_are_searched,
)
from swarmopt.testing.told import (
    batches_told_late_all_count,
    every_column_told_counts,
    every_row_told_counts,
    interleaved_runs_do_not_mix,
)

__all__ = ["CHECKS", "Check", "Objective", "Trace", "check_algorithm", "drive"]


Check = Callable[[AnyAlgorithm], None]


def check_algorithm(algorithm: AnyAlgorithm) -> None:
    """Run every check.

    Raises:
        AssertionError: naming each check that failed, and why.
    """
    failed = []
    for check in CHECKS:
        try:
            check(algorithm)
        except AssertionError as error:
            failed.append(f"{check.__name__}: {error}")
    expect(not failed, f"{len(failed)} of {len(CHECKS)} checks failed\n" + "\n".join(failed))


CHECKS: tuple[Check, ...] = (
    candidates_have_the_promised_shape,
    candidates_stay_in_the_cube,
    one_variable_works,
    a_space_of_one_point_works,
    categories_alone_work,
    integers_alone_work,
    mixed_spaces_work,
    same_seed_same_bits,
    another_seed_another_run,
    arguments_are_not_changed,
    only_tell_writes_state,
    only_ask_draws,
    interleaved_runs_do_not_mix,
    every_row_told_counts,
    every_column_told_counts,
    batches_told_late_all_count,
    only_the_order_of_keys_matters,
    scale_and_sign_of_keys_do_no_harm,
    failed_candidates_do_no_harm,
    infeasible_candidates_do_no_harm,
    a_sliced_batch_can_be_told,
    x0_can_take_the_place_of_candidates,
    x0_is_learnt_from,
    lookahead_works_through_first_designs_and_restarts,
    the_batch_of_the_horizon_is_honoured,
    a_larger_budget_repeats_the_prefix,
    the_best_never_gets_worse,
    the_place_of_the_optimum_does_not_matter,
    neither_the_centre_nor_the_faces_attract,
    every_level_is_asked_for,
    columns_of_few_levels_are_searched,
    small_spaces_are_not_walked_in_circles,
    labels_of_categories_have_no_order,
    every_column_is_searched,
    wide_spaces_are_searched,
    long_runs_keep_improving,
    beats_random_search_on_a_shifted_sphere,
    beats_random_search_on_shifted_integers,
    beats_random_search_on_shifted_categories,
)
