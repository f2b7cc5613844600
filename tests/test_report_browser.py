"""Pages in a real browser: no error, nothing loaded, accessible, in light and dark and on a phone.

It takes Debian's `chromium`, which `.ci/run` installs; without it these tests are skipped.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made import HOSTILE, failed, failing, made

from swarmopt import Categorical, Real, Space, minimize
from swarmopt.cli import call
from swarmopt.report import page_of_folder
from swarmopt.report.comparison_page import comparison_page
from swarmopt.report.writing import write_page
from swarmopt.variables import Variable

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
VIEWS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1100, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1100, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 2},
}
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no browser: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield started
        started.close()


@pytest.fixture(scope="module")
def axe() -> str:
    package = pytest.importorskip("axe_playwright_python")
    return (Path(str(package.__file__)).parent / "axe.min.js").read_text("utf-8")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Pages of every kind by name."""
    place = tmp_path_factory.mktemp("pages")
    words = ["run", "--problem", "pressure-vessel", "--budget", "300", "--seed", "1", "--out"]
    assert call([*words, str(place / "run")]) == 0
    minimize(failing, [(0, 1)] * 2, budget=60, seed=2, algorithm="random-search",
             run_dir=place / "failing")  # fmt: skip
    kinds: list[Variable] = [Real(0, 1), Categorical(HOSTILE)]
    space = Space({name: kinds[i % 2] for i, name in enumerate(HOSTILE)})
    minimize(lambda p: p[HOSTILE[0]], space, budget=60, seed=1, run_dir=place / "hostile")
    found = {name: page_of_folder(place / name) for name in ("run", "failing", "hostile")}
    where = ("p", "bb", 2)
    found["comparison"] = comparison_page(
        made(without=(("p", "a", 0),), instead={where: failed(*where)})
    )
    return {name: write_page(page, place / f"{name}.html") for name, page in found.items()}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["run", "failing", "hostile", "comparison"])
def test_a_page_has_no_error_loads_nothing_and_is_accessible(
    browser: Any, axe: str, pages: dict[str, Path], name: str, view: str
) -> None:
    context = browser.new_context(**VIEWS[view])
    page = context.new_page()
    said: list[str] = []

    def dismissed(dialog: Any) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", dismissed)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(pages[name].as_uri())
    assert not said
    assert [url for url in asked if url != "data:,"] == [pages[name].as_uri()]
    page.evaluate(axe)
    problems = page.evaluate("axe.run().then(found => found.violations)")
    assert [(p["id"], p["nodes"][0]["html"][:200]) for p in problems] == []
    width = VIEWS[view]["viewport"]["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_dark_and_light_pages_differ_in_ink_and_paper(browser: Any, pages: dict[str, Path]) -> None:
    found = set()
    for view in ("light", "dark"):
        context = browser.new_context(**VIEWS[view])
        page = context.new_page()
        page.goto(pages["run"].as_uri())
        found.add(page.eval_on_selector("body", "e => getComputedStyle(e).backgroundColor"))
        found.add(page.eval_on_selector("svg text", "e => getComputedStyle(e).fill"))
        context.close()
    assert len(found) == 4


def test_the_keyboard_reaches_the_content_first_and_every_box_that_scrolls(
    browser: Any, pages: dict[str, Path]
) -> None:
    context = browser.new_context(**VIEWS["phone"])
    page = context.new_page()
    page.goto(pages["comparison"].as_uri())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    stuck = page.evaluate(
        "[...document.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1 "
        "&& ['auto', 'scroll'].includes(getComputedStyle(e).overflowX) && e.tabIndex < 0).length"
    )
    assert stuck == 0
    context.close()
