"""A page as a reader finds it: headings, facts, tables, and what it would load."""

from html.parser import HTMLParser
from typing import Any

from swarmopt.report.page import Code, Page

VOID = {"meta", "link", "br", "img", "input", "hr"}


class Read(HTMLParser):
    """A page that was read; well nested, or the reading fails.

    Attributes:
        headings: level and text of each.
        facts: of all definition lists: what is shown, and the exact value where it is a number.
        tables: by caption, rows of cells; numbers as they are, texts as they are shown.
        text: all that is shown.
        loaded: addresses of what the page refers to.
        tags: names of the elements, with their attributes.
    """

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.headings: list[tuple[int, str]] = []
        self.facts: dict[str, tuple[str, float | None]] = {}
        self.tables: dict[str, list[list[Any]]] = {}
        self.text = ""
        self.loaded: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self._said = ""
        self._value: float | None = None
        self._term = ""
        self._table: list[list[Any]] = []
        self._caption = ""
        self.feed(html)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        self.loaded += [
            v or "" for k, v in attrs if k in {"src", "href", "xlink:href", "srcset", "action"}
        ]
        if tag in VOID:
            return
        self._open.append(tag)
        if tag in {"h1", "h2", "h3", "dt", "dd", "th", "td", "caption"}:
            self._said, self._value = "", None
        if tag == "data":
            self._value = float(found["value"] or "nan")
        if tag == "tr":
            self._table.append([])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag
        said = self._said.strip()
        if tag in {"h1", "h2", "h3"}:
            self.headings.append((int(tag[1]), said))
        elif tag == "dt":
            self._term = said
        elif tag == "dd":
            self.facts[self._term] = (said, self._value)
        elif tag in {"td", "th"} and self._table:
            self._table[-1].append(said if self._value is None else self._value)
        elif tag == "caption":
            self._caption = said
        elif tag == "table":
            self.tables[self._caption], self._table = self._table, []

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "title"}:
            self._said += data
            self.text += data

    def number(self, name: str) -> float:
        """Return a number among the facts."""
        value = self.facts[name][1]
        assert value is not None
        return value


def codes(page: Page) -> list[str]:
    """Return the texts to copy on a page, in order."""
    return [b.text for section in page.sections for b in section.blocks if isinstance(b, Code)]
