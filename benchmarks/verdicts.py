"""How often `swarmopt compare` claims a difference: where there is none, and where one is planted.

    python -m benchmarks.verdicts            # 200 repetitions of each, 30 seeds: a minute

An algorithm here is a distribution of final costs. Costs of two algorithms with the same seed may
be correlated, as they are where the seed decides something that both meet: a start, noise, data.
"""

import argparse
import math

import numpy as np
from numpy.random import Generator, Philox

from swarmopt.compare import Cell, Comparison, judge
from swarmopt.types import Vector

EFFECT = 0.7  # A12 of the planted difference
ANY = ("better", "worse")


def shift_of(effect: float) -> float:
    """Return the shift between two normal costs of variance 1 that have this A12."""
    from scipy.special import ndtri

    return math.sqrt(2.0) * float(ndtri(effect))


def drawn(rng: Generator, n: int, correlation: float) -> tuple[Vector, Vector]:
    """Return two (n,) standard normal samples whose pairs have this correlation."""
    one = rng.standard_normal(n)
    other = correlation * one + math.sqrt(1.0 - correlation**2) * rng.standard_normal(n)
    return one, other


def comparison_of(one: Vector, other: Vector) -> Comparison:
    """Return a comparison of two algorithms on one problem with these final costs."""
    cells = {}
    for name, costs in (("one", one), ("other", other)):
        for seed, cost in enumerate(costs.tolist()):
            cells["p", name, seed] = Cell(
                "p", name, seed, 1, 0, 0.0, cost, 0.0, cost, np.array([1]), np.array([cost]), {}
            )
    seeds = tuple(range(len(one)))
    return Comparison(("p",), ("one", "other"), seeds, 1, {"p": None}, cells, {})


def share_claimed(
    *, effect: float, correlation: float, n_seeds: int, n_repetitions: int, key: int = 0
) -> tuple[float, float]:
    """Return the shares of repetitions that claim any difference, and that claim the planted one.

    Args:
        effect: A12 of the first algorithm; 0.5: both are the same.
        correlation: between costs with the same seed.
        n_seeds: runs of each.
        n_repetitions: comparisons.
        key: of the random stream.
    """
    rng = Generator(Philox(key=key))
    verdicts = []
    for _ in range(n_repetitions):
        one, other = drawn(rng, n_seeds, correlation)
        comparison = comparison_of(one, other + shift_of(effect))
        verdicts.append(judge(comparison).problems[0].pairs[0].verdict)
    claimed = sum(verdict in ANY for verdict in verdicts) / n_repetitions
    return claimed, verdicts.count("better") / n_repetitions


def main() -> None:
    """Print a table of the shares, and their standard errors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--correlations", type=float, nargs="*", default=[0.0, 0.1, 0.3, 0.5])
    chosen = parser.parse_args()
    print(f"{chosen.repetitions} repetitions, {chosen.seeds} seeds, one pair")
    print("| correlation of pairs | claims, A12 = 0.50 | finds A12 = 0.70 |\n|---|---|---|")
    for correlation in chosen.correlations:
        texts = []
        for effect in (0.5, EFFECT):
            claimed, found = share_claimed(
                effect=effect,
                correlation=correlation,
                n_seeds=chosen.seeds,
                n_repetitions=chosen.repetitions,
            )
            share = claimed if effect == 0.5 else found
            error = math.sqrt(share * (1 - share) / chosen.repetitions)
            texts.append(f"{100 * share:.1f} % ± {100 * error:.1f}")
        print(f"| {correlation:g} | {texts[0]} | {texts[1]} |")


if __name__ == "__main__":
    main()
