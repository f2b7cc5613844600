"""Spaces: what a user writes, the unit cube, and back."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from scipy.optimize import Bounds

from swarmopt.errors import SettingError
from swarmopt.space import Space, as_space
from swarmopt.variables import MAX_WHOLE, Boolean, Categorical, Integer, Ordinal, Real, Variable

EVERY_KIND = Space(
    lr=Real(1e-4, 1, log=True),
    shift=Real(-5, 10),
    depth=Integer(-3, 7),
    width=Ordinal([16, 32, 64]),
    act=Categorical(["relu", "tanh", None]),
    bias=Boolean(),
    fixed=Real(2.5, 2.5),
)
CHOICES = st.lists(
    st.one_of(
        st.integers(),
        st.text("abc", max_size=3),
        st.booleans(),
        st.none(),
        st.tuples(st.integers()),
    ),
    min_size=1,
    max_size=9,
    unique_by=lambda value: (isinstance(value, bool), value),
)


@st.composite
def variables_with_values(draw: DrawFn) -> tuple[Variable, list[Any]]:
    """Draw a variable and five of its values, as a user would write them."""
    kind = draw(st.sampled_from([Real, Integer, Ordinal, Categorical, Boolean]))
    variable: Variable
    if kind is Real:
        log = draw(st.booleans())
        bound = st.floats(1e-9, 1e9) if log else st.floats(-1e9, 1e9)
        low, high = sorted((draw(bound), draw(bound)))
        variable, value = Real(low, high, log=log), st.floats(low, high)
        return variable, draw(st.lists(value, min_size=5, max_size=5))
    if kind is Integer:
        bounds = st.integers(-MAX_WHOLE, MAX_WHOLE)
        low, high = sorted((draw(bounds), draw(bounds)))
        variable = Integer(low, high)
        return variable, draw(st.lists(st.integers(low, high), min_size=5, max_size=5))
    variable = Boolean() if kind is Boolean else kind(draw(CHOICES))
    choice = st.sampled_from(variable.choices)
    return variable, draw(st.lists(choice, min_size=5, max_size=5))


@st.composite
def spaces_with_rows(draw: DrawFn) -> tuple[Space, list[dict[str, Any]]]:
    """Draw a named space and five points of it, as dicts of the user's values."""
    found = draw(st.lists(variables_with_values(), min_size=1, max_size=5))
    space = Space({f"v{j}": variable for j, (variable, _) in enumerate(found)})
    columns = [values for _, values in found]
    return space, [dict(zip(space.names, row, strict=True)) for row in zip(*columns, strict=True)]


def assert_same_rows(
    space: Space, rows: list[dict[str, Any]], expected: list[dict[str, Any]]
) -> None:
    """Reals up to rounding over their range; everything else the same value of the same type."""
    for row, wanted in zip(rows, expected, strict=True):
        assert list(row) == list(wanted)
        for name, variable in zip(space.names, space.variables, strict=True):
            if isinstance(variable, Real):
                widest = max(abs(variable.low), abs(variable.high))
                relative = 1e-12 if variable.log else 0.0
                absolute = 0.0 if variable.log else 1e-14 * widest
                assert row[name] == pytest.approx(wanted[name], rel=relative, abs=absolute)
            else:
                assert row[name] == wanted[name]
                assert type(row[name]) is type(wanted[name])


@given(spaces_with_rows())
def test_a_point_survives_the_way_through_the_unit_cube(
    found: tuple[Space, list[dict[str, Any]]],
) -> None:
    space, rows = found
    unit = space.encode(space.points(rows))
    assert ((unit >= 0) & (unit <= 1)).all()
    assert_same_rows(space, space.params(space.decode(unit)), rows)


@given(spaces_with_rows())
def test_params_and_columns_hold_the_same_values(
    found: tuple[Space, list[dict[str, Any]]],
) -> None:
    space, rows = found
    points = space.points(rows)
    assert space.params(points) == rows
    columns = space.columns(points)
    assert list(columns) == list(space.names)
    for name in space.names:
        assert len(columns[name]) == len(rows)
        assert columns[name].tolist() == [row[name] for row in rows]


@given(spaces_with_rows(), st.integers(0, 2**32))
def test_no_unit_value_decodes_outside_the_bounds(
    found: tuple[Space, list[dict[str, Any]]], seed: int
) -> None:
    space, _ = found
    d = len(space)
    inner = np.random.default_rng(seed).random((20, d))
    edges = np.array([[0.0], [np.nextafter(1.0, 0.0)], [1.0]]) * np.ones(d)
    points = space.decode(np.concatenate([inner, edges]))
    space.encode(points)  # raises where a point is outside, or a discrete value not whole
    for j, variable in enumerate(space.variables):
        if isinstance(variable, Real | Integer):
            assert points[:, j].min() >= variable.low
            assert points[:, j].max() <= variable.high
        else:
            assert set(points[:, j]) <= set(range(len(variable.choices)))


@pytest.mark.parametrize(
    "variable",
    [Integer(-2, 4), Ordinal([*"abcdefg"]), Categorical([*range(7)])],
)
def test_every_level_is_equally_likely(variable: Variable) -> None:
    unit = (np.arange(7000)[:, None] + 0.5) / 7000
    _, counts = np.unique(Space([variable]).decode(unit), return_counts=True)
    assert counts.tolist() == [1000] * 7


def test_both_booleans_are_equally_likely() -> None:
    unit = np.array([[0.0], [0.499], [0.5], [1.0]])
    assert Space([Boolean()]).decode(unit)[:, 0].tolist() == [0, 0, 1, 1]


def test_a_linear_scale_halves_the_range_in_the_middle() -> None:
    assert Space([Real(-5, 10)]).decode(np.array([[0.5]]))[0, 0] == 2.5


def test_a_log_scale_has_the_geometric_mean_in_the_middle() -> None:
    space = Space([Real(1e-4, 1, log=True)])
    found = space.decode(np.array([[0.0], [0.25], [0.5], [1.0]]))[:, 0]
    np.testing.assert_allclose(found, [1e-4, 1e-3, 1e-2, 1], rtol=1e-12)
    np.testing.assert_allclose(space.encode(np.array([[1e-1]])), [[0.75]])


def test_decode_leaves_its_argument_alone() -> None:
    unit = np.full((3, len(EVERY_KIND)), 0.4)
    points = EVERY_KIND.decode(unit)
    points[:] = 0.0
    assert (unit == 0.4).all()


def test_encode_leaves_its_argument_alone() -> None:
    points = EVERY_KIND.decode(np.full((3, len(EVERY_KIND)), 0.4))
    before = points.copy()
    EVERY_KIND.encode(points)
    assert (points == before).all()


def test_discrete_points_are_encoded_in_the_middle_of_their_bin() -> None:
    space = Space([Integer(0, 4), Boolean()])
    np.testing.assert_allclose(space.encode(np.array([[0.0, 1.0], [4.0, 0.0]])),
                               [[0.1, 0.75], [0.9, 0.25]])  # fmt: skip


def test_the_domain_speaks_of_levels_order_and_bounds() -> None:
    domain = EVERY_KIND.domain
    assert domain.d == 7
    assert domain.levels.tolist() == [0, 0, 11, 3, 3, 2, 1]
    assert domain.nominal.tolist() == [False, False, False, False, True, True, False]
    assert domain.ordered.tolist() == [False, False, True, True, False, False, True]
    assert domain.continuous.tolist() == [True, True] + [False] * 5
    assert domain.n_discrete == 5
    np.testing.assert_allclose(domain.low, [np.log(1e-4), -5, -3, 0, 0, 0, 2.5])
    np.testing.assert_allclose(domain.high, [0, 10, 7, 2, 2, 1, 2.5])
    assert domain.size == np.inf


def test_a_finite_domain_counts_its_points() -> None:
    assert Space([Integer(1, 10), Boolean(), Categorical(["a", "b"])]).domain.size == 40
    assert np.isinf(Space([Integer(0, 2**49)] * 30).domain.size)


def test_centre_moves_discrete_values_only() -> None:
    domain = Space([Real(0, 1), Integer(0, 1)]).domain
    unit = np.array([[0.3, 0.49], [0.7, 1.0]])
    assert domain.centre(unit).tolist() == [[0.3, 0.25], [0.7, 0.75]]
    assert unit[0, 1] == 0.49
    continuous = Space([Real(0, 1), Real(0, 1)]).domain.centre(unit)
    assert continuous.tolist() == unit.tolist()
    assert continuous is not unit


@pytest.mark.parametrize(
    ("variable", "value"),
    [(Real(3, 3), 3.0), (Real(0.3, 0.3, log=True), 0.3), (Integer(-7, -7), -7), (Ordinal([5]), 5),
     (Categorical(["only"]), "only")],
)  # fmt: skip
def test_a_column_of_one_point_has_one_level(variable: Variable, value: Any) -> None:
    space = Space(v=variable)
    assert space.domain.levels.tolist() == [1]
    assert space.domain.size == 1
    points = space.decode(np.array([[0.0], [0.3], [1.0]]))
    assert space.params(points) == [{"v": value}] * 3
    assert space.decode(space.encode(points)).tolist() == points.tolist()


@given(st.lists(st.integers(-MAX_WHOLE, MAX_WHOLE), min_size=1))
def test_the_widest_integers_are_exact(values: list[int]) -> None:
    space = Space(v=Integer(-MAX_WHOLE, MAX_WHOLE))
    rows = [{"v": v} for v in [*values, -MAX_WHOLE, MAX_WHOLE]]
    assert space.params(space.decode(space.encode(space.points(rows)))) == rows


def test_bounds_of_few_bits_do_not_overflow() -> None:
    space = Space([Integer(np.int8(-100), np.int8(100)), Real(np.float32(0), np.float32(0.5))])  # type: ignore[arg-type]
    assert space.domain.levels.tolist() == [201, 0]
    assert (
        repr(space.variables) == "(Integer(low=-100, high=100), Real(low=0.0, high=0.5, log=False))"
    )


def test_whole_floats_are_bounds_of_an_integer() -> None:
    assert Integer(0.0, 9.0) == Integer(0, 9)  # type: ignore[arg-type]
    assert type(Integer(0.0, 9.0).low) is int  # type: ignore[arg-type]


def test_columns_of_mixed_choices_keep_their_types() -> None:
    space = Space(a=Categorical([1, "1", None, True, (1, 2)]))
    values = space.columns(np.arange(5.0)[:, None])["a"].tolist()
    assert values == [1, "1", None, True, (1, 2)]
    assert [type(v) for v in values] == [int, str, type(None), bool, tuple]


def test_columns_of_numbers_are_numeric_arrays() -> None:
    columns = EVERY_KIND.columns(EVERY_KIND.decode(np.full((4, 7), 0.5)))
    assert [columns[n].dtype.kind for n in ("lr", "depth", "width", "bias")] == ["f", "i", "i", "b"]


def test_true_is_not_taken_for_one() -> None:
    space = Space(a=Categorical([1, True, 0]))
    assert space.points([{"a": True}, {"a": 1}, {"a": 0}, {"a": np.True_}])[:, 0].tolist() == [
        1, 0, 2, 1,
    ]  # fmt: skip
    with pytest.raises(SettingError, match="expected one of"):
        space.points([{"a": False}])


def test_rows_of_numbers_are_points() -> None:
    space = Space([Real(0, 1), Integer(0, 9)])
    assert space.points([[0.5, 3], [1, 0]]).tolist() == [[0.5, 3.0], [1.0, 0.0]]
    assert space.points([0.5, 3]).tolist() == [[0.5, 3.0]]  # type: ignore[list-item]


# How spaces are written.


def test_names_come_from_keywords_dicts_and_pairs() -> None:
    spaces = [
        Space(a=Real(0, 1), b=Boolean()),
        Space({"a": Real(0, 1), "b": Boolean()}),
        Space({"a": Real(0, 1)}, b=Boolean()),
        Space([("a", Real(0, 1)), ("b", Boolean())]),
    ]
    for space in spaces:
        assert space.named
        assert space.names == ("a", "b")
        assert space.variables == (Real(0, 1), Boolean())
        assert repr(space) == "Space(a=Real(low=0, high=1, log=False), b=Boolean())"


def test_a_list_has_no_names() -> None:
    space = Space([Real(0, 1), Boolean()])
    assert not space.named
    assert space.names == ("x0", "x1")
    assert repr(space) == "Space([Real(low=0, high=1, log=False), Boolean()])"


@pytest.mark.parametrize(
    "bounds",
    [[(-1, 2), (0, 3)], [[-1, 2], [0, 3]], np.array([[-1, 2], [0, 3]]), Bounds([-1, 0], [2, 3]),
     [Real(-1, 2), (0, 3)]],
)  # fmt: skip
def test_bounds_in_the_manner_of_scipy_are_a_space(bounds: Any) -> None:
    space = as_space(bounds)
    assert not space.named
    assert [(v.low, v.high) for v in space.variables if isinstance(v, Real)] == [(-1, 2), (0, 3)]


def test_a_space_is_a_space() -> None:
    assert as_space(EVERY_KIND) is EVERY_KIND
    assert as_space({"a": Real(0, 1)}).names == ("a",)


# Every mistake has its message.


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Real(1, 0), r"low is greater than high.*\(0, 1\)"),
        (lambda: Integer(3, 2), "low is greater than high"),
        (lambda: Real(float("nan"), 1), "expected a finite low, got nan"),
        (lambda: Real(0, float("inf")), "expected a finite high, got inf"),
        (lambda: Integer(0, float("-inf")), "expected a finite high, got -inf"),  # type: ignore[arg-type]
        (lambda: Real(0, 10**400), "expected a finite high"),
        (lambda: Real(-1e308, 1e308), "too wide for float64"),
        (lambda: Real(0, 1, log=True), "needs low > 0, got low=0"),
        (lambda: Real(-1, 1, log=True), "needs low > 0, got low=-1"),
        (lambda: Real("0", 1), "Real: expected a number as low, got '0'"),  # type: ignore[arg-type]
        (lambda: Real(0, True), "Real: expected a number as high, got True"),
        (lambda: Real(0, 1j), "expected a number as high"),  # type: ignore[arg-type]
        (lambda: Real(0, np.complex128(1)), "expected a number as high"),  # type: ignore[arg-type]
        (lambda: Integer(0.5, 2), "expected whole numbers as bounds, got 0.5"),  # type: ignore[arg-type]
        (lambda: Integer(0, 2**50 + 1), "beyond"),
        (lambda: Integer(-(10**20), 0), "beyond"),
        (lambda: Ordinal([]), "Ordinal: expected at least one choice, got none"),
        (lambda: Categorical("abc"), "Categorical: expected a list of choices, got 'abc'"),
        (lambda: Categorical({1, 2}), "expected a list of choices"),  # type: ignore[arg-type]
        (lambda: Categorical(["a", "b", "a"]), "the choice 'a' is given twice"),
        (lambda: Ordinal([1, 2, 1.0]), "the choice 1.0 is given twice"),
        (lambda: Ordinal(np.array([3, 3])), "the choice 3 is given twice"),  # type: ignore[arg-type]
        (Space, "expected at least one variable, got none"),
        (lambda: Space([]), "expected at least one variable, got none"),
        (lambda: Space({}), "expected at least one variable, got none"),
        (lambda: Space([("a", Boolean()), ("a", Boolean())]), "the name 'a' is given twice"),
        (lambda: Space({"a": Boolean()}, a=Boolean()), "the name 'a' is given twice"),
        (lambda: Space({"": Boolean()}), "expected a name of at least one letter"),
        (lambda: Space([Boolean()], a=Boolean()), "with names or in a list, not both"),
        (lambda: Space(a=(0, 1)), "expected 'a' to be Real, Integer"),  # type: ignore[arg-type]
        (lambda: Space("ab"), "expected a list or a dict of variables, got 'ab'"),  # type: ignore[arg-type]
        (lambda: as_space(3), r"expected a Space or a list of \(low, high\) bounds, got 3"),
        (lambda: as_space([(0, 1), (2,)]), r"bounds\[1\]: expected a pair"),
        (lambda: as_space([(0, 1), (2, "a")]), r"bounds\[1\]: could not convert"),
        (lambda: as_space([(0, 1), (2, 1)]), r"bounds\[1\]: .*low is greater than high"),
    ],
)  # fmt: skip
def test_a_wrong_space_is_refused_with_the_reason(make: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        make()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([[0.5, 10.0]], r"point 0: x1 = .*10.0.* lies outside \[.*0.0.*, .*9.0"),
        ([[0.5, 1], [-0.1, 1]], "point 1: x0 = .*-0.1.* lies outside"),
        ([[float("nan"), 1]], "point 0: x0 = .*nan.* lies outside"),
        ([[0.5, float("inf")]], "lies outside"),
        ([[0.5, 1.5]], "x1 = .*1.5.* is not a whole number"),
        ([[0.5]], r"expected points of shape \(n, 2\), one column per variable; got \(1, 1\)"),
        ([["a", 1]], "expected points as rows of 2 numbers, got"),
        ([[1, 2], [1]], "expected points as rows of 2 numbers, got"),
        ({"x0": 1}, "one dict; put it in a list"),
    ],
)
def test_a_wrong_row_is_refused_with_the_reason(rows: Any, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Space([Real(0, 1), Integer(0, 9)]).points(rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"lr": 0.1}, "point 0: missing name 'act'; expected lr, act"),
        ({"lr": 0.1, "act": "relu", "wd": 0}, "point 0: unknown name 'wd'; expected lr, act"),
        ({"lr": 0.1, "act": "gelu"}, r"point 0: act: expected one of \('relu',\), got 'gelu'"),
        ({"lr": None, "act": "relu"}, "point 0: lr: expected a number, got None"),
        ({"lr": 2, "act": "relu"}, "point 0: lr = .*2.0.* lies outside"),
    ],
)
def test_a_wrong_dict_is_refused_with_the_reason(row: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Space(lr=Real(0, 1), act=Categorical(["relu"])).points([row])
