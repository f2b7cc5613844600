"""How our algorithms stand on the problems that come with swarmopt: the figures of the docs.

    python -m benchmarks.standing                # runs what is missing, then writes the figures
    python -m benchmarks.standing --seeds 50     # more seeds; finished runs are kept

It writes the tables between the marks of docs/comparison.md, and pictures to benchmarks/results.
`benchmarks/quality.py` is the judge against other packages; this one is not.
"""

import argparse
from pathlib import Path

import numpy as np

from swarmopt.compare import Comparison, Judgement, compare, judge
from swarmopt.compare.words import cost_text
from swarmopt.plugins import installed

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "comparison.md"
RESULTS = ROOT / "benchmarks" / "results"
BEGIN, END = "<!-- standing: begin -->", "<!-- standing: end -->"
NEEDS_MORE = {"coco"}  # another package; benchmarks/quality.py measures it
BUDGET = 2_000


def problems() -> list[str]:
    """Return the names of the problems that need nothing else."""
    entries = installed().entries["problem"].items()
    return [n for n, e in entries if e.owner == "swarmopt" and n not in NEEDS_MORE]


def algorithms() -> list[str]:
    """Return the names of our algorithms."""
    entries = installed().entries["algorithm"].items()
    return [name for name, entry in entries if entry.owner == "swarmopt"]


def text_of(comparison: Comparison, judgement: Judgement) -> str:
    """Return the tables and sentences as Markdown."""
    n, n_problems = len(comparison.seeds), len(comparison.problems)
    versions = comparison.settings["versions"]
    opening = (
        f"{n_problems} problems with their default settings, {len(comparison.algorithms)} "
        f"algorithms with theirs, {n} seeds, {comparison.budget:,} evaluations a run; swarmopt "
        f"{versions['swarmopt']}, numpy {versions['numpy']}. Median of the final costs, the least "
        f"of a row in bold:"
    )
    lines = [
        opening,
        "",
        "| problem | optimum | " + " | ".join(comparison.algorithms) + " |",
        "|---" * (len(comparison.algorithms) + 2) + "|",
    ]
    for on in judgement.problems:
        least = min(entry.median for entry in on.summaries)
        texts = [cost_text(entry.median) for entry in on.summaries]
        bold = [
            f"**{text}**" if entry.median == least else text
            for text, entry in zip(texts, on.summaries, strict=True)
        ]
        optimum = "" if on.optimum is None else f"{on.optimum:.4g}"
        lines.append(f"| {on.problem} | {optimum} | " + " | ".join(bold) + " |")
    lines += ["", *wins(comparison, judgement), ""]
    if judgement.across:
        lines += [f"- {sentence}" for sentence in judgement.across.sentences]
        lines += ["", "![critical differences](../benchmarks/results/standing-ranks.png)"]
    lines += ["", "![runtimes](../benchmarks/results/standing-runtimes.png)"]
    return "\n".join(lines)


def wins(comparison: Comparison, judgement: Judgement) -> list[str]:
    """Return a table of how often each algorithm is shown to be better than each other one."""
    names = comparison.algorithms
    count = dict.fromkeys(((a, b) for a in names for b in names), 0)
    for pair in (pair for on in judgement.problems for pair in on.pairs):
        if pair.verdict == "better":
            count[pair.one, pair.other] += 1
        elif pair.verdict == "worse":
            count[pair.other, pair.one] += 1
    rows = [
        f"| {a} | " + " | ".join("" if a == b else str(count[a, b]) for b in names) + " |"
        for a in names
    ]
    opening = (
        "On how many problems the algorithm of the row is shown to be better than that of the "
        "column:"
    )
    return [
        opening,
        "",
        "| | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
        *rows,
    ]


def draw(comparison: Comparison, judgement: Judgement) -> None:
    """Draw the critical-difference diagram, and the runtimes over all problems and targets."""
    from swarmopt.plots import comparison as pictures
    from swarmopt.plots.style import save

    across = judgement.across
    if across is not None:
        width = across.critical_difference
        picture = pictures.ranks(across.algorithms, across.ranks, width, across.groups)
        save(picture, RESULTS / "standing-ranks.png")
    evaluations = pictures.evenly(comparison.budget)
    shares = {
        name: np.mean(
            [on.anytime.reached(name, evaluations) for on in judgement.problems if on.anytime],
            axis=0,
        )
        for name in comparison.algorithms
    }
    title = f"{len(judgement.problems)} problems, {len(comparison.seeds)} seeds"
    save(pictures.runtimes(evaluations, shares, title=title), RESULTS / "standing-runtimes.png")


def put(text: str) -> None:
    """Write the text between the marks of the page."""
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise SystemExit(f"{PAGE} lacks the marks {BEGIN} and {END}")
    PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", "utf-8")


def main() -> None:
    """Run what is missing, and write the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--budget", type=int, default=BUDGET)
    parser.add_argument("--workers", type=int, default=None)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "standing")
    chosen = parser.parse_args()
    comparison = compare(
        algorithms(),
        problems(),
        budget=chosen.budget,
        seeds=chosen.seeds,
        workers=chosen.workers,
        out=chosen.out,
        progress=True,
    )
    judgement = judge(comparison)
    draw(comparison, judgement)
    put(text_of(comparison, judgement))


if __name__ == "__main__":
    main()
