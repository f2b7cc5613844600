"""Checks of where the optimum lies: mirrored, near the centre, anywhere, near the faces."""

import numpy as np

from swarmopt.algorithm import AnyAlgorithm
from swarmopt.space import Space
from swarmopt.testing.drive import expect
from swarmopt.testing.learning import final
from swarmopt.testing.objectives import bowl
from swarmopt.types import Vector
from swarmopt.variables import Real

BOX = Space([Real(-3, 7)] * 5).domain  # the box's origin is 0.3 of the unit interval
NEGLIGIBLE = 1e-14
SEEDS = range(5)


def the_place_of_the_optimum_does_not_matter(algorithm: AnyAlgorithm) -> None:
    """Results agree between mirrored optima, one of them at the box's origin or at the cube's.

    Mirrored optima are equally far from the centre of the cube, so that starting there is allowed.
    In a corner an error is 0 or not, by chance, so that more difference is allowed there.
    Where the algorithm declares `unbiased`.
    """
    if not algorithm.unbiased:
        return
    for here, most in ((0.3, 1.6), (0.02, 1.6), (0.0, 7.5)):
        places = (np.full((len(SEEDS), BOX.d), place) for place in (here, 1.0 - here))
        error, mirrored = (_error(algorithm, optima, 1_000) for optima in places)
        expect(
            abs(error - mirrored) < most,
            f"the optimum's place matters: mean log10 error {error:.1f} at {here}, "
            f"{mirrored:.1f} at {1 - here:.2f} of every unit interval; expected a difference "
            f"below {most}",
        )


def neither_the_centre_nor_the_faces_attract(algorithm: AnyAlgorithm) -> None:
    """Results agree between optima near the centre of the cube, near its faces and anywhere.

    A start at the centre is allowed; a pull to it, or to the faces, shows in long runs. Where the
    algorithm declares `unbiased`.
    """
    if not algorithm.unbiased:
        return
    u = np.random.default_rng(24).random((len(SEEDS), BOX.d))
    centre = _error(algorithm, 0.49 + 0.02 * u, 2_000)
    for place, optima, most in (
        ("anywhere", 0.1 + 0.8 * u, 1.5),
        ("0.02 from a face", np.where(u < 0.5, 0.02, 0.98), 2.6),
    ):
        error = _error(algorithm, optima, 2_000)
        expect(
            abs(error - centre) < most,
            f"mean log10 error {centre:.1f} where the optimum is near the centre of the cube, "
            f"{error:.1f} where it is {place}; expected a difference below {most}: candidates are "
            f"pulled to the centre or to the faces",
        )


def _error(algorithm: AnyAlgorithm, optima: Vector, budget: int) -> float:
    """Return the mean log10 error over the seeds, each with an optimum (d,) of its own."""
    error = [
        final(algorithm, BOX, bowl(BOX, optimum), budget, seeds=[seed])[0]
        for seed, optimum in zip(SEEDS, optima, strict=True)
    ]
    return float(np.log10(np.maximum(error, NEGLIGIBLE)).mean())
