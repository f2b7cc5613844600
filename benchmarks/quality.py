"""How good the answers are: ours and those of other packages on three suites of problems.

    python -m benchmarks.quality                         # run what is missing, all of it
    python -m benchmarks.quality --suite bbob --dimension 5 --algorithm ssa --algorithm cma
    python -m benchmarks.quality --redo ssa --algorithm ssa
    python -m benchmarks.quality --table --figures       # of what is there; runs nothing

Run it from the root of the repository, in an environment with the extra `bench`; an algorithm whose
package is missing is named and skipped. What is measured is in docs/quality.md.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from traceback import format_exc

import click

from benchmarks import tables
from benchmarks.contenders import ABLATION, Contender, found
from benchmarks.ecdf import pack
from benchmarks.meter import Meter, MeterEnd
from benchmarks.records import Cell, Records, Row, at_factor
from benchmarks.suites import ALL, SUITES

RESULTS = Path(__file__).parent / "results"
EARLY = 100  # evaluations per variable
FACTORS = (EARLY, 1000)
TRIAL = 20  # evaluations per variable of a trial run, for the estimate
SECONDS_PER_HOUR = 3600


@click.command()
@click.option("--suite", "suites", multiple=True, type=click.Choice(list(ALL)))
@click.option("--dimension", "dimensions", multiple=True, type=int)
@click.option("--function", "functions", multiple=True, type=int)
@click.option("--algorithm", "algorithms", multiple=True, help="As in --list.")
@click.option("--budget", "factors", multiple=True, type=int, help="In evaluations per variable.")
@click.option("--instances", default=3, show_default=True, help="1, ..., so many.")
@click.option("--repeats", default=1, show_default=True, help="Seeds for each instance.")
@click.option("--redo", multiple=True, help="Forget the chosen runs of this algorithm first.")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS)
@click.option("--list", "listing", is_flag=True, help="Name the algorithms, and stop.")
@click.option("--dry-run", is_flag=True, help="Estimate the time, and stop.")
@click.option("--table", is_flag=True, help="Print tables of what is there; run nothing.")
@click.option("--figures", is_flag=True, help="Draw pictures of what is there; run nothing.")
def main(
    *,
    suites: tuple[str, ...],
    dimensions: tuple[int, ...],
    functions: tuple[int, ...],
    algorithms: tuple[str, ...],
    factors: tuple[int, ...],
    instances: int,
    repeats: int,
    redo: tuple[str, ...],
    results: Path,
    listing: bool,
    dry_run: bool,
    table: bool,
    figures: bool,
) -> None:
    """Run what is missing, or show what is there. Every filter may be given several times."""
    if table or figures:
        files = [Records(path) for path in sorted(results.glob("quality-*.csv"))]
        rows = [row for file in files for row in file.rows.values()]
        rows = [row for row in rows if _wanted(row, suites, dimensions, functions, algorithms)]
        show(rows, factors or FACTORS, results, table=table, figures=figures)
        return
    here, missing = found()
    for name, reason in missing.items():
        print(f"skipped: {name} ({reason})")
    if listing:
        print("\n".join(here))
        return
    unknown = [name for name in (*algorithms, *redo) if name not in here]
    if unknown:
        raise click.UsageError(f"not there: {', '.join(unknown)}; there are {', '.join(here)}")
    chosen = {n: c for n, c in here.items() if not algorithms or n in algorithms}
    able = [name for name in suites or SUITES if find_spec(ALL[name].module)]
    for name in suites or SUITES:
        if name not in able:
            print(f"skipped: the suite {name} (pip install 'swarmopt[coco]')")
    cells = grid(
        chosen,
        able,
        dimensions=dimensions,
        functions=functions,
        factors=factors,
        instances=instances,
        repeats=repeats,
    )
    books = {name: Records(results / f"quality-{name}.csv") for name in {c.suite for c in cells}}
    for suite, records in books.items():
        again = {cell for cell in cells if cell.algorithm in redo and cell.suite == suite}
        records.drop(again)
    left = [cell for cell in cells if cell not in books[cell.suite].rows]
    print(estimate(left, here, [row for r in books.values() for row in r.rows.values()]))
    if not dry_run:
        run_all(left, here, books)


def grid(
    contenders: dict[str, Contender],
    suites: Sequence[str],
    *,
    dimensions: Sequence[int] = (),
    functions: Sequence[int] = (),
    factors: Sequence[int] = (),
    instances: int = 3,
    repeats: int = 1,
) -> list[Cell]:
    """Return the runs to be made, easiest first; an anytime method only with its largest budget.

    Left out is what a contender cannot deal with.

    Args:
        contenders: by name.
        suites: names.
        dimensions: empty: all that the suites have.
        functions: empty: all.
        factors: budgets in evaluations per variable; empty: both.
        instances: 1, ..., so many.
        repeats: seeds for each instance.
    """
    cells = []
    for suite in suites:
        known = ALL[suite]
        sizes = [d for d in known.dimensions if not dimensions or d in dimensions]
        numbers = [f for f in range(1, known.n_functions + 1) if not functions or f in functions]
        for d, (name, contender) in product(sizes, contenders.items()):
            budgets = [f for f in sorted(factors or FACTORS) if f * d <= contender.most]
            if contender.anytime and len(budgets) > 1 and budgets[0] == EARLY:
                budgets = budgets[1:]  # the longer run tells
            takes = [f for f in numbers if contender.takes(known.make(f, d, 1))]
            tasks = product(budgets, takes, range(1, instances + 1), range(1, repeats + 1))
            cells += [Cell(suite, f, d, i, r, name, budget) for budget, f, i, r in tasks]
    return sorted(cells, key=lambda cell: cell.factor * cell.dimension)


def run(cell: Cell, contender: Contender, factor: int | None = None) -> Row:
    """Make one run.

    Args:
        cell: which.
        contender: its algorithm.
        factor: another budget than the cell's.

    Raises:
        Exception: whatever the contender raises.
    """
    task = ALL[cell.suite].make(cell.function, cell.dimension, cell.instance)
    budget = (factor or cell.factor) * cell.dimension
    meter = Meter(task, budget, EARLY * cell.dimension)
    start = time.perf_counter()
    with suppress(MeterEnd):
        contender.run(meter, cell.seed)
    if not meter.done:
        raise RuntimeError(f"{cell.algorithm} stopped after {meter.spent} of {budget} evaluations")
    return Row(
        cell.suite,
        cell.function,
        cell.dimension,
        cell.instance,
        cell.repeat,
        cell.algorithm,
        cell.factor,
        anytime=int(contender.anytime),
        evaluations=meter.spent,
        error=meter.error,
        early_error=meter.early_error,
        hits=pack(meter.hits),
        seconds=time.perf_counter() - start,
    )


def run_all(cells: Sequence[Cell], here: dict[str, Contender], books: dict[str, Records]) -> None:
    """Make the runs, write each as soon as it is done, and tell what failed."""
    failed: Counter[str] = Counter()
    reasons: dict[str, str] = {}
    start = time.perf_counter()
    for number, cell in enumerate(cells, start=1):
        try:
            row = run(cell, here[cell.algorithm])
        except Exception:  # noqa: BLE001 - one broken peer must not stop the rest
            failed[cell.algorithm] += 1
            reasons[cell.algorithm] = format_exc().rstrip().rpartition("\n")[2]
            continue
        books[cell.suite].add(row)
        if number % 50 == 0 or number == len(cells):
            minutes = (time.perf_counter() - start) / 60
            print(f"{number} of {len(cells)} runs, {minutes:.1f} minutes", flush=True)
    for name, n in failed.items():
        print(f"failed: {name}, {n} runs, the last by {reasons[name]}")


def estimate(cells: Sequence[Cell], here: dict[str, Contender], rows: Sequence[Row]) -> str:
    """Return how long runs will take, by earlier runs, or by a short trial where there are none.

    Args:
        cells: to be run.
        here: contenders by name.
        rows: earlier runs, of any algorithm.
    """
    spent: dict[tuple[str, str, int], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for row in rows:
        total = spent[row.suite, row.algorithm, row.dimension]
        total[0] += row.seconds
        total[1] += row.evaluations
    seconds = 0.0
    for cell in cells:
        key = (cell.suite, cell.algorithm, cell.dimension)
        if key not in spent:
            try:
                trial = run(cell, here[cell.algorithm], factor=TRIAL)
                spent[key] = [trial.seconds, trial.evaluations]
            except Exception:  # noqa: BLE001 - it is told when it is run
                spent[key] = [0.0, 1.0]
        total = spent[key]
        seconds += total[0] / max(total[1], 1.0) * cell.factor * cell.dimension
    return f"{len(cells)} runs to make, about {seconds / SECONDS_PER_HOUR:.2f} hours on one core"


def show(
    rows: Sequence[Row], factors: Sequence[int], folder: Path, *, table: bool, figures: bool
) -> None:
    """Print tables of runs, draw pictures of them, or both."""
    for factor in factors:
        there = list(at_factor(iter(rows), factor, EARLY).values())
        main_rows = [r for r in there if not r.algorithm.startswith(ABLATION)]
        roles = tables.ablation(there)
        if table and main_rows:
            print(tables.table(main_rows, factor) + "\n")
        if table and roles:
            print("Roles of ssa\n\n" + tables.table(roles, factor) + "\n")
        if figures:
            for path in tables.draw(main_rows, factor, folder):
                print(path)


def _wanted(
    row: Row,
    suites: Sequence[str],
    dimensions: Sequence[int],
    functions: Sequence[int],
    algorithms: Sequence[str],
) -> bool:
    return (
        (not suites or row.suite in suites)
        and (not dimensions or row.dimension in dimensions)
        and (not functions or row.function in functions)
        and (not algorithms or row.algorithm in algorithms)
    )


if __name__ == "__main__":
    main()
