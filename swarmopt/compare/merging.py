"""Several comparisons as one: what they have in common must be the same, and all else is joined."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from swarmopt.compare.comparison import Cell, Comparison, Where
from swarmopt.errors import SettingError
from swarmopt.resuming import difference
from swarmopt.terminal import printable

log = logging.getLogger(__name__)

T = TypeVar("T")
TABLES = ("problem", "algorithm", "x0")  # of the settings: by label, what takes part, and starts


def merged(comparisons: Sequence[Comparison]) -> Comparison:
    """Return several comparisons as one; the first names the order.

    Raises:
        SettingError: budgets, settings of what has the same label, starting points of a problem, or
            results of the same run differ.
    """
    if not comparisons:
        raise SettingError("merged: expected at least one comparison, got none")
    first = comparisons[0]
    tables: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
    cells: dict[Where, Cell] = {}
    for n, other in enumerate(comparisons, 1):
        if other.budget != first.budget:
            raise SettingError(
                f"the budgets differ: {first.folder or 'comparison 1'} has {first.budget:,} "
                f"evaluations a run, {other.folder or f'comparison {n}'} has {other.budget:,}; "
                f"runs of different length do not compare. Run one of them anew with the other's "
                f"budget"
            )
        for table, known in tables.items():
            _add_alike(table, known, _entries(other, table))
        for where, cell in other.cells.items():
            there = cells.setdefault(where, cell)
            if there.key != cell.key or there.nfev != cell.nfev:
                raise SettingError(
                    f"{where[1]} on {where[0]} with seed {where[2]} is there twice, with "
                    f"final keys {there.key!r} and {cell.key!r}; expected the same. Are the "
                    f"versions the same?"
                )
        _warn_of_versions(first.settings, other.settings)
    seeds = _union(c.seeds for c in comparisons)
    return Comparison(
        problems=_union(c.problems for c in comparisons),
        algorithms=_union(c.algorithms for c in comparisons),
        seeds=seeds,
        budget=first.budget,
        optimum={p: value for c in reversed(comparisons) for p, value in c.optimum.items()},
        cells=cells,
        settings={
            **first.settings,
            **tables,
            "x0": {label: points for label, points in tables["x0"].items() if points},
            "seeds": list(seeds),
            "merged": len(comparisons),
        },
    )


def _entries(comparison: Comparison, table: str) -> Mapping[str, Any]:
    """Return a table of the settings by label; a problem without starting points has None."""
    found: Mapping[str, Any] = comparison.settings.get(table, {})
    return {**dict.fromkeys(comparison.problems), **found} if table == "x0" else found


def _add_alike(table: str, known: dict[str, Any], entries: Mapping[str, Any]) -> None:
    """Add entries; raise SettingError where a label is known with another one."""
    for label, entry in entries.items():
        there = known.setdefault(label, entry)
        if there != entry:
            what = f"the problem {label!r} has other starting points (x0)"
            if table != "x0":
                what = f"the {table} {label!r} has other settings"
            raise SettingError(
                f"{what} in two of the comparisons: {there} and {entry}; expected the same"
            )


def _warn_of_versions(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    found = difference(one.get("versions", {}), other.get("versions", {}))
    if found is not None:
        log.warning(
            "the comparisons were made with different versions: %s %s and %s; their runs may "
            "differ for that reason alone",
            *map(printable, map(str, found)),
        )


def _union(parts: Iterable[Iterable[T]]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(entry for part in parts for entry in part))
