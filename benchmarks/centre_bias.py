"""Does it matter where the optimum lies? It must not, and for the published sparrow search it does.

    python -m benchmarks.centre_bias

Sphere, Rastrigin and Ackley in 10 variables, in a box whose centre is not the origin. The optimum
is at the origin, or at one of two places drawn in the box. Printed are the median final errors of
31 seeds after 10,000 evaluations, and the ratio of the origin's to those of the other places; drawn
is the same in benchmarks/results/centre-bias.png.
"""

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from numpy.random import Generator, Philox

from swarmopt import minimize, plugins
from swarmopt.plots.style import BLUE, GREY, ORANGE, figure
from swarmopt.types import Matrix, Vector

D = 10
BUDGET = 1_000 * D
LOW, HIGH = -100.0, 60.0
FLOOR = 1e-12  # smaller errors are drawn and compared as this
PICTURE = Path(__file__).parent / "results" / "centre-bias.png"
PLACES = ("origin", "shift 1", "shift 2")


def sphere(z: Matrix) -> Vector:
    """Return |z|^2 for each row."""
    value: Vector = (z * z).sum(axis=1)
    return value


def rastrigin(z: Matrix) -> Vector:
    """Return Rastrigin's function of z / 20 for each row."""
    z = z / 20.0
    value: Vector = (z * z + 10.0 - 10.0 * np.cos(2.0 * np.pi * z)).sum(axis=1)
    return value


def ackley(z: Matrix) -> Vector:
    """Return Ackley's function of z / 3 for each row."""
    z = z / 3.0
    bowl = -20.0 * np.exp(-0.2 * np.sqrt((z * z).mean(axis=1)))
    waves = -np.exp(np.cos(2.0 * np.pi * z).mean(axis=1))
    value: Vector = bowl + waves + 20.0 + np.e
    return value


FUNCTIONS: dict[str, Callable[[Matrix], Vector]] = {
    "sphere": sphere,
    "rastrigin": rastrigin,
    "ackley": ackley,
}


def optimum(place: str) -> Vector:
    """Return where the optimum lies, (D,); not nearer to a wall than a tenth of the box."""
    if place == "origin":
        return np.zeros(D)
    rng = Generator(Philox(key=PLACES.index(place)))
    return LOW + (HIGH - LOW) * rng.uniform(0.1, 0.9, D)


def errors(algorithm: str, function: str, place: str, seeds: int) -> Vector:
    """Return the final error of each seed, (seeds,)."""
    f, shift = FUNCTIONS[function], optimum(place)
    return np.array(
        [
            minimize(
                lambda x: f(x - shift),
                [(LOW, HIGH)] * D,
                batch=True,
                algorithm=algorithm,
                budget=BUDGET,
                seed=seed,
            ).fun
            for seed in range(seeds)
        ]
    )


@click.command()
@click.option("--seeds", default=31, show_default=True)
@click.option("--algorithm", "algorithms", multiple=True, help="Default: all.")
def main(*, seeds: int, algorithms: tuple[str, ...]) -> None:
    """Measure, print and draw."""
    names = algorithms or tuple(plugins.installed().entries["algorithm"])
    median: dict[tuple[str, str], list[float]] = {}
    click.echo(f"| algorithm | function | {' | '.join(PLACES)} | origin / shift 1, shift 2 |")
    click.echo("|---|---|---|---|---|---|")
    for name in names:
        for function in FUNCTIONS:
            row = [
                max(FLOOR, float(np.median(errors(name, function, place, seeds))))
                for place in PLACES
            ]
            median[name, function] = row
            ratios = ", ".join(f"{row[0] / other:.2g}" for other in row[1:])
            shown = " | ".join(f"{value:.2g}" for value in row)
            click.echo(f"| {name} | {function} | {shown} | {ratios} |")
    _draw(names, median)


def _draw(names: tuple[str, ...], median: dict[tuple[str, str], list[float]]) -> None:
    drawn = figure(width=8.0, height=3.4)
    for panel, (axes, function) in enumerate(
        zip(drawn.subplots(1, len(FUNCTIONS), sharey=True), FUNCTIONS, strict=True)
    ):
        for k, (place, colour) in enumerate(zip(PLACES, (ORANGE, BLUE, GREY), strict=True)):
            values = [median[name, function][k] for name in names]
            rows = np.arange(len(names)) + 0.22 * (k - 1)
            axes.plot(values, rows, "o", color=colour, label=f"optimum at {place}")
        axes.set_xscale("log")
        axes.set_title(function, loc="left", fontsize=10)
        axes.set_yticks(range(len(names)), names)
        axes.grid(visible=True, axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
        if not panel:
            axes.invert_yaxis()
            axes.set_xlabel(f"median final error, {FLOOR:g} at least", fontsize=8)
    drawn.legend(*drawn.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    drawn.savefig(PICTURE)
    click.echo(f"\n{PICTURE.name}")


if __name__ == "__main__":
    main()
