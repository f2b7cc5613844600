"""Pictures: what they show, as numbers in the files; and that they are the same for the same."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from swarmopt.plots import comparison, parts, run
from swarmopt.plots.style import COLOURS, LONGEST, NAMES, as_bytes, inline, label, line, save

NAMES_GIVEN = ["<script>", "$a_{$ b$", "_hidden", "\x1b[2J", "日本語 🐦", "n" * 500]
SVG = "{http://www.w3.org/2000/svg}"


def lines(picture: Figure) -> dict[str, Any]:
    """The data of the lines of a picture, by their labels."""
    return {str(x.get_label()): (x.get_xdata(), x.get_ydata()) for x in picture.axes[0].get_lines()}


def drawn() -> dict[str, Figure]:
    """One picture of each kind, of names that nobody would choose."""
    at = comparison.evenly(100)
    rng = np.random.default_rng(1)
    curves = {n: np.minimum.accumulate(rng.random((5, len(at))), axis=1) for n in NAMES_GIVEN}
    shares = dict.fromkeys(NAMES_GIVEN, (np.arange(1.0, 9.0), np.full(8, 1 / 6)))
    nfev = np.arange(10.0, 110.0, 10.0)
    return {
        "convergence": run.convergence(nfev, 1 / nfev, 2 / nfev, title=NAMES_GIVEN[0]),
        "shares": run.shares(shares, title=NAMES_GIVEN[1]),
        "parallel": run.parallel(NAMES_GIVEN, rng.random((9, 6)), [("$", "<b>")] * 6),
        "bands": comparison.bands(at, curves, optimum=None),
        "runtimes": comparison.runtimes(at, dict.fromkeys(NAMES_GIVEN, at / 100)),
        "ranks": comparison.ranks(NAMES_GIVEN, [1.5, 2, 3, 4, 5, 5.5], 1.6, [NAMES_GIVEN[:2]]),
        "finals": comparison.finals({n: rng.random(7) for n in NAMES_GIVEN}),
        "front": parts.front(rng.random(50), rng.random(50), x_label="$x", y_label="<y>"),
        "kept": parts.kept(dict.fromkeys(NAMES_GIVEN, (3, 4)), unit="channels"),
    }


@pytest.fixture(scope="module")
def svgs() -> dict[str, str]:
    return {name: inline(picture, name, f"<{name}>") for name, picture in drawn().items()}


@pytest.mark.slow
def test_every_picture_is_one_element_with_a_title_and_no_script(svgs: dict[str, str]) -> None:
    for name, svg in svgs.items():
        root = ET.fromstring(svg.replace("<svg ", f"<svg xmlns={SVG[1:-1]!r} ", 1))  # noqa: S314
        assert root.get("role") == "img"
        title = root.find(f"{SVG}title")
        assert title is not None
        assert title.text == f"<{name}>"
        assert root.get("aria-labelledby") == title.get("id")
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert tags <= {
            "svg",
            "title",
            "g",
            "path",
            "defs",
            "style",
            "use",
            "clipPath",
            "rect",
            "text",
            "tspan",
        }
        assert "\x1b" not in svg


def test_the_median_over_time_is_that_of_the_tables() -> None:
    at = np.array([1.0, 2.0, 3.0])
    costs = np.array([[9.0, 4.0, 1.0], [8.0, 7.0, 2.0], [np.inf, 9.0, 4.0], [np.inf, np.inf, 7.0]])
    picture = comparison.bands(at, {"a": costs}, optimum=None)
    x, y = lines(picture)["a"]
    assert x.tolist() == [2.0, 3.0]  # half of the runs without any have no median
    assert y.tolist() == [8.0, 3.0]


@pytest.mark.slow
def test_the_pictures_of_one_page_share_no_ids_of_elements_that_differ(
    svgs: dict[str, str],
) -> None:
    roots = [ET.fromstring(svg) for svg in svgs.values()]  # noqa: S314
    found: dict[str, bytes] = {}
    for root in roots:
        for element in root.iter():
            if key := element.get("id"):
                assert found.setdefault(key, ET.tostring(element)) == ET.tostring(element)


def test_pictures_follow_the_colours_of_the_page(svgs: dict[str, str]) -> None:
    for svg in svgs.values():
        assert "var(--ink)" in svg
        assert not any(f": {code}" in svg for code in NAMES)


def test_names_in_a_picture_are_short_plain_text() -> None:
    assert label("a\x1b[2J\nb") == r"a\x1b[2J b"
    assert len(label("n" * 500)) == LONGEST
    assert label("$x$") == r"\$x\$"
    texts = [text.get_text() for text in drawn()["bands"].axes[0].get_legend().get_texts()]  # type: ignore[union-attr]
    assert len(texts) == len(NAMES_GIVEN)


@pytest.mark.slow
def test_the_same_numbers_give_the_same_bytes_whatever_the_users_settings_are(
    tmp_path: Path,
) -> None:
    def draw() -> tuple[bytes, bytes]:
        picture = run.convergence(np.arange(1.0, 9.0), np.ones(8), np.ones(8), title="a")
        save(picture, tmp_path / "a.png")
        return (tmp_path / "a.png").read_bytes(), as_bytes(picture, "svg")

    first = draw()
    with mpl.rc_context({"font.size": 30.0, "svg.fonttype": "path", "axes.grid": True}):
        assert draw() == first
    assert first[0].startswith(b"\x89PNG")


def test_drawing_leaves_matplotlib_as_it_was() -> None:
    before = dict(mpl.rcParams)
    run.convergence(np.ones(1), np.ones(1), np.ones(1))
    assert dict(mpl.rcParams) == before


def test_many_lines_differ_in_colour_or_dashes() -> None:
    assert len({str(line(i)) for i in range(6 * len(COLOURS))}) == 6 * len(COLOURS)


def test_the_band_of_a_comparison_is_the_median_of_the_runs_above_the_optimum() -> None:
    best = np.array([[9.0, 4.0], [8.0, 3.0], [np.inf, 2.0]])
    picture = comparison.bands(np.array([1.0, 10.0]), {"a": best}, optimum=1.0)
    assert lines(picture)["a"][1].tolist() == [8.0, 2.0]


def test_the_convergence_of_a_run_shows_what_is_feasible_and_finite() -> None:
    picture = run.convergence(
        np.array([5.0, 10.0, 15.0]), np.array([np.inf, 3.0, 2.0]), np.array([np.inf, 4.0, np.inf])
    )
    assert lines(picture)["best so far"][0].tolist() == [10.0, 15.0]
    assert lines(picture)["median of a batch"][1].tolist() == [4.0]
    nothing = run.convergence(np.ones(1), np.full(1, np.inf), np.full(1, np.inf))
    assert b"no feasible finite cost" in as_bytes(nothing, "svg")


def test_a_long_run_is_thinned_and_keeps_every_change_of_the_best() -> None:
    n = 50_000
    best = np.repeat([3.0, 2.0, 1.0], [10, n - 20, 10])
    picture = run.convergence(np.arange(1.0, n + 1), best, best + 1)
    found = lines(picture)
    assert found["best so far"][0].tolist() == [1.0, 11.0, n - 9.0, n]
    assert len(found["median of a batch"][0]) <= run.MOST


def test_nothing_beats_a_point_of_the_front_and_something_beats_every_other() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.integers(0, 12, (2, 200)).astype(float)
    front = parts.on_front(x, y)
    beaten = np.array(
        [((x <= a) & (y <= b) & ((x < a) | (y < b))).any() for a, b in zip(x, y, strict=True)]
    )
    assert not (front & beaten).any()
    points = set(zip(x[~beaten], y[~beaten], strict=True))
    assert points == set(zip(x[front], y[front], strict=True))


def test_runs_without_a_cost_are_counted_beside_the_name_of_their_algorithm() -> None:
    picture = comparison.finals({"a": np.array([1.0, np.inf, np.inf]), "b": np.full(2, np.inf)})
    assert [t.get_text() for t in picture.axes[0].get_yticklabels()] == [
        "a, 2 without",
        "b, 2 without",
    ]
    assert b"no run found" in as_bytes(comparison.finals({"b": np.full(2, np.inf)}), "svg")


@pytest.mark.slow
@pytest.mark.parametrize("values", [[0.0], [-1e299, 1e299], [5.0] * 3, [1e-300, 1e299]])
def test_extreme_costs_are_drawn(values: list[float]) -> None:
    array = np.array(values)
    as_bytes(comparison.finals({"a": array}), "svg")
    as_bytes(run.convergence(np.arange(1.0, len(array) + 1), array, array), "svg")
    curves = {"a": np.sort(array)[None, ::-1].repeat(3, axis=0)}
    for optimum in (None, float(array.min())):
        as_bytes(comparison.bands(np.arange(1.0, len(array) + 1), curves, optimum=optimum), "svg")
