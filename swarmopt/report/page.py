"""A page: sections of blocks, made into HTML by one template that escapes everything."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from swarmopt.terminal import printable

LONGEST = 20_000  # characters of one text


@dataclass(frozen=True)
class Number:
    """A number: what it is, and how it is shown."""

    value: float | int
    shown: str


@dataclass(frozen=True)
class Facts:
    """Names and what they are."""

    pairs: Sequence[tuple[str, Any]]
    kind: str = "facts"


@dataclass(frozen=True)
class Table:
    """A table; the first cell of each row is its header."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Any]]
    kind: str = "table"


@dataclass(frozen=True)
class Picture:
    """A picture: an svg element as `plots.style.inline` returns it, which is not escaped."""

    svg: str
    caption: str
    kind: str = "picture"


@dataclass(frozen=True)
class Prose:
    """Sentences, a paragraph each."""

    sentences: Sequence[str]
    kind: str = "prose"


@dataclass(frozen=True)
class Code:
    """Text to copy; behind its caption where `folded`."""

    caption: str
    text: str
    folded: bool = False
    kind: str = "code"


Block = Facts | Table | Picture | Prose | Code


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    name: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True)
class Page:
    """All of a page.

    Attributes:
        title: what it is about.
        verdict: the sentences to read first.
        state: "good", "warning" or "bad": how it ended, which the verdict says in words.
        sections: what follows.
    """

    title: str
    verdict: Sequence[str]
    state: str
    sections: Sequence[Section] = field(default_factory=tuple)

    def html(self) -> str:
        """Return the page as one HTML document that refers to nothing else."""
        sections = [section for section in self.sections if section.blocks]
        text: str = _template().render(page=self, sections=sections).lstrip()
        return text


def number(value: float) -> Number:
    """Return a number and how it is shown: whole numbers in groups of three, others to 10 digits.

    What is rounded stays whole in the page, as the value of the element.
    """
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, int):
        return Number(value, f"{value:,}" if abs(value) < 10**15 else str(value))
    return Number(value, f"{value:.10g}")


def shown(value: Any) -> Any:
    """Return what a page shows of a value: numbers as numbers, all else as text."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, Number):
        return value
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(plain(entry) for entry in value)}]"
    return value if isinstance(value, str) else str(value)


def plain(value: Any) -> str:
    """Return what a page shows of a value as text alone."""
    found = shown(value)
    return found.shown if isinstance(found, Number) else str(found)


def clean(text: Any) -> str:
    """Return a text without control characters, cut where it is very long."""
    found = printable(str(text))
    if len(found) > LONGEST:
        found = f"{found[:LONGEST]} … ({len(found) - LONGEST:,} characters more)"
    return found


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("swarmopt.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    environment.tests["number"] = lambda value: isinstance(value, Number)
    environment.filters["shown"] = shown
    return environment.get_template("page.html")
