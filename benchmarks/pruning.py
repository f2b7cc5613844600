"""The pruning benchmark: structures and their accuracies, ours against those of every rival.

    python -m benchmarks.pruning --estimate
    python -m benchmarks.pruning --jobs 2
    python -m benchmarks.pruning --cells 'resnet20-s2/0.3/*/1'
    python -m benchmarks.pruning --quick
    python -m benchmarks.pruning --report

A cell is named NETWORK/SHARE OF MACS/METHOD/SEED. Finished cells are kept, one line of JSON each,
and are not run again. Each job is one process on one thread. The table and the pictures of all
cells that are there are made at the end; `--quick` is digits, into a folder of its own.
"""

import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import click

from benchmarks.pruning_cells import Records, run_cell
from benchmarks.pruning_estimate import estimate
from benchmarks.pruning_methods import METHODS
from benchmarks.pruning_pictures import draw
from benchmarks.pruning_protocol import FULL, QUICK, Cell, Protocol
from benchmarks.pruning_table import fill_page, tables

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parent.parent / "docs" / "pruning-results.md"
QUICK_RESULTS = Path("runs/pruning-quick")


def run(protocol: Protocol, records: Records, cells: list[Cell], jobs: int) -> None:
    """Run cells, and keep each as it is finished."""
    context = multiprocessing.get_context("spawn")
    began = time.monotonic()
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        running = {pool.submit(run_cell, protocol, cell): cell for cell in cells}
        try:
            for number, future in enumerate(as_completed(running), start=1):
                record = future.result()
                records.add(record)
                said = record.get("error") or f"{record['test']:.2%} at {record['macs_share']:.1%}"
                minutes = (time.monotonic() - began) / 60
                name = running[future].name
                print(f"{minutes:6.1f} min  {number}/{len(cells)}  {name}: {said}", flush=True)
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            print(f"finished cells are kept in {records.path}; the same command goes on")
            raise


@click.command()
@click.option("--cells", default="*", show_default=True, help="A pattern of names of cells.")
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Processes.")
@click.option("--quick", is_flag=True, help="Digits, in under five minutes on two cores.")
@click.option("--estimate", "only_estimate", is_flag=True, help="Say what it takes, and stop.")
@click.option("--report", is_flag=True, help="Make the table and pictures of what is there.")
def main(*, cells: str, jobs: int, quick: bool, only_estimate: bool, report: bool) -> None:
    """Run the cells that are not there yet, then make the table and the pictures."""
    protocol, folder = (QUICK, QUICK_RESULTS) if quick else (FULL, RESULTS)
    records = Records(folder / "pruning.jsonl")
    for name, method in METHODS.items():
        if not method.installed:
            print(f"left out: {name} ({method.requires} is not installed; extra `bench`)")
    every = protocol.cells(tuple(METHODS))
    wanted = protocol.cells(tuple(n for n, m in METHODS.items() if m.installed), cells)
    if not wanted:
        sys.exit(f"no cell fits {cells!r}; they are named like {every[0].name}")
    if not report:
        missing = [cell for cell in wanted if protocol.key(cell) not in records.found]
        print(f"{len(wanted) - len(missing)} of {len(wanted)} cells are there")
        if missing:
            seconds = estimate(protocol, missing)
            print(f"the others take about {seconds / jobs / 60:.0f} min in {jobs} processes")
            if only_estimate:
                return
            run(protocol, records, missing, jobs)
    found = records.of(protocol, every)
    if not found:
        sys.exit("no cell is finished yet")
    text = tables(protocol, found)
    draw(protocol, found, folder)
    (folder / "pruning.md").write_text(text, "utf-8")
    if not quick:
        fill_page(PAGE, text)
    print(text)


if __name__ == "__main__":
    main()
