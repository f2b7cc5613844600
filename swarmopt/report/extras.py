"""What a problem adds to its result (`Problem.finish`), as tables and pictures of a page.

A report is plain data. Its entry "pictures" asks for pictures by one of two kinds:

    {"kind": "front", "title": "...", "x": "macs_share", "y": "held_out_accuracy",
     "more": ["held_out_accuracy"]}
    {"kind": "kept", "title": "...", "unit": "channels", "parts": {"conv1": [12, 32]}}

The first is of two numbers in the info of each evaluation; less is better but for those in "more".
Its entry "tables" gives tables ready for reading, shown in place of the entries that they name:

    {"title": "...", "columns": ["figure", "before"], "rows": [["MACs", "1,200"]],
     "instead_of": ["before"]}

Its entry "sentences" is a list of texts that stand with what came of the search, above all else.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
import numpy as np

from swarmopt.plots import parts
from swarmopt.plots.style import inline
from swarmopt.report.page import Block, Facts, Picture, Prose, Table, plain
from swarmopt.types import Vector

MOST = 500  # rows of a table, parts of a picture
MOST_COLUMNS = 20  # of a table ready for reading
MOST_TABLES = 20
MOST_SENTENCES = 5
DEPTH = 4  # of mappings and lists within a cell


class Front(msgspec.Struct, tag_field="kind", tag="front"):
    """Two figures of each evaluation, and the front."""

    title: str
    x: str
    y: str
    more: list[str] = []


class Kept(msgspec.Struct, tag_field="kind", tag="kept"):
    """What is kept of each part."""

    title: str
    unit: str
    parts: dict[str, tuple[float, float]]


class Written(msgspec.Struct):
    """A table ready for reading: texts alone."""

    title: str
    columns: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST_COLUMNS)]
    rows: Annotated[list[list[str]], msgspec.Meta(max_length=MOST)]
    instead_of: list[str] = []

    def __post_init__(self) -> None:
        """Check that each row has a cell for each column."""
        for i, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(f"row {i + 1} has {len(row)} of {len(self.columns)} cells")


def sentences(report: Mapping[str, Any]) -> list[str]:
    """Return what a report wants said first; what is no text is left out."""
    asked = report.get("sentences", [])
    found = asked[:MOST_SENTENCES] if isinstance(asked, list) else []
    return [sentence for sentence in found if isinstance(sentence, str)]


def pictures(report: Mapping[str, Any], said: Mapping[str, Vector]) -> Iterator[Block]:
    """Return the pictures that a report asks for; one that is not understood is told of.

    Args:
        report: of the problem.
        said: by name (n,) what the problem says of each evaluation.
    """
    asked = report.get("pictures", [])
    for i, entry in enumerate(asked[:20] if isinstance(asked, list) else []):
        try:
            spec = msgspec.convert(entry, Front | Kept)
        except msgspec.ValidationError as error:
            yield Prose([f"Picture {i + 1} of the report is not drawn: {error}."])
            continue
        if isinstance(spec, Front):
            yield from _front(spec, said, f"front{i}")
        elif spec.parts:
            shown = dict(list(spec.parts.items())[:60])
            left = len(spec.parts) - len(shown)
            more = f" The first {len(shown)} of {len(spec.parts)}." if left else ""
            picture = parts.kept(shown, unit=spec.unit, title=spec.title)
            caption = f"{spec.title}: {spec.unit} kept, and the whole behind.{more}"
            yield Picture(inline(picture, f"kept{i}", caption), caption)


def _front(spec: Front, said: Mapping[str, Vector], name: str) -> Iterator[Block]:
    if spec.x not in said or spec.y not in said:
        return
    x, y = said[spec.x], said[spec.y]
    both = np.isfinite(x) & np.isfinite(y)
    if not both.any():
        return
    more_x, more_y = spec.x in spec.more, spec.y in spec.more
    x, y = x[both], y[both]
    picture = parts.front(
        x, y, x_label=_words(spec.x), y_label=_words(spec.y), more_x=more_x, more_y=more_y,
        title=spec.title,
    )  # fmt: skip
    front = np.flatnonzero(parts.on_front(-x if more_x else x, -y if more_y else y))
    caption = f"{spec.title}: {len(x):,} evaluations, {len(front):,} of them on the front."
    yield Picture(inline(picture, name, caption), caption)
    rows = [
        [int(np.flatnonzero(both)[i]) + 1, float(x[i]), float(y[i])]
        for i in front[np.argsort(x[front])]
    ]
    head = ["evaluation", _words(spec.x), _words(spec.y)]
    yield Table(f"{spec.title}: the points that none beats in both", head, rows[:MOST])


def tables(report: Mapping[str, Any]) -> Iterator[Block]:
    """Return a report as facts and tables, whatever is in it."""
    instead: set[str] = set()
    asked = report.get("tables", [])
    for i, entry in enumerate(asked[:MOST_TABLES] if isinstance(asked, list) else []):
        try:
            written = msgspec.convert(entry, Written)
        except msgspec.ValidationError as error:
            yield Prose([f"Table {i + 1} of the report is not shown: {error}."])
            continue
        instead |= set(written.instead_of)
        yield Table(written.title, written.columns, written.rows)
    hidden = {"pictures", "tables", "sentences"} | instead
    left = {str(k): v for k, v in report.items() if str(k) not in hidden}
    facts = [(_words(k), v) for k, v in left.items() if not _nested(v)]
    if facts:
        yield Facts(facts)
    maps = {k: v for k, v in left.items() if isinstance(v, Mapping)}
    while maps:
        first = next(iter(maps))
        alike = [k for k, v in maps.items() if list(v) == list(maps[first])]
        columns = {k: maps.pop(k) for k in alike}
        yield from _columns(columns)
    for key, value in left.items():
        if _nested(value) and not isinstance(value, Mapping):
            yield from _list(key, value)


def _nested(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value)
    )


def _columns(columns: Mapping[str, Mapping[str, Any]]) -> Iterator[Block]:
    """Return mappings with the same keys side by side."""
    first_name, first = next(iter(columns.items()))
    inner = [v for v in first.values() if isinstance(v, Mapping)]
    if len(columns) == 1 and inner and len(inner) == len(first):
        yield from _list(first_name, [{"name": k, **v} for k, v in first.items()])
    elif first:
        rows = [
            [_words(k), *(_cell(column[k]) for column in columns.values())]
            for k in list(first)[:MOST]
        ]
        title = _words(first_name) if len(columns) == 1 else " and ".join(map(_words, columns))
        yield Table(title, ["figure", *map(_words, columns)], rows)


def _list(key: str, value: Any) -> Iterator[Block]:
    rows = [entry for entry in value if isinstance(entry, Mapping)][:MOST]
    head = list(dict.fromkeys(name for row in rows for name in row))
    if head:
        cells = [[_cell(row.get(name, "")) for name in head] for row in rows]
        yield Table(_words(key), list(map(_words, head)), cells)


def _cell(value: Any) -> Any:
    """Return what a cell shows: of mappings, text to read; all else as it is."""
    return _text(value, DEPTH) if _nested(value) else value


def _text(value: Any, depth: int) -> str:
    """Return nested data as text, `epochs 1, loss 0.847; epochs 2, loss 0.81`."""
    if isinstance(value, Mapping | list):
        if not depth:
            return "…"
        if isinstance(value, Mapping):
            pairs = (f"{_words(str(k))} {_text(v, depth - 1)}" for k, v in value.items())
            return ", ".join(pairs)
        return ("; " if _nested(value) else ", ").join(_text(v, depth - 1) for v in value)
    return f"{value:.4g}" if isinstance(value, float) else plain(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
