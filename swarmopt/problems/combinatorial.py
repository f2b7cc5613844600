"""Choices among finitely many, with the optimum computed exactly."""

import numpy as np

from swarmopt.algorithm import Seeds
from swarmopt.evaluation import Evaluation
from swarmopt.problem import Problem
from swarmopt.problems.instance import instance_rng, whole_number
from swarmopt.space import Boolean, Space
from swarmopt.types import Integers, Matrix, Vector

MAX_ITEMS = 1_000  # the table of the dynamic program takes 25 MB there


class Knapsack(Problem):
    """The 0/1 knapsack: the most valuable items that together are not too heavy.

    minimise   -sum values_i x_i             over x in {0, 1}^items
    subject to sum weights_i x_i <= capacity

    Weights are uniform in {1, ..., 100}, a value is its weight plus noise uniform in
    {-10, ..., 10} and at least 1 (weakly correlated: greedy packing is good but not best), the
    capacity is half the weight of all items. The violation is the overweight, in capacities.

    Source: Pisinger, "Where are the hard knapsack problems?", 2005, section 3. The optimum is found
    by Bellman's dynamic program over all capacities.

    Args:
        items: number of items, 1 to 1,000.
        instance: seed of weights and values.

    Attributes:
        weights: (items,) whole numbers.
        values: (items,) whole numbers.
        capacity: the greatest weight allowed.
        minimizer: (items,) one optimal choice; there may be others.
        optimum: minus its value.

    Raises:
        SettingError: items or instance is no whole number, or out of range.
    """

    name = "knapsack"
    vectorized = True
    optimum: float
    default_budget = 20_000

    def __init__(self, *, items: int = 50, instance: int = 0) -> None:
        items = whole_number(f"{self.name}: items", items, 1, MAX_ITEMS)
        rng = instance_rng(self.name, instance)
        self.space = Space([Boolean()] * items)
        self.weights: Integers = rng.integers(1, 101, items)
        noise = rng.integers(-10, 11, items)
        self.values: Integers = np.maximum(self.weights + noise, 1)
        self.capacity = max(int(self.weights.sum()) // 2, int(self.weights.min()))
        self.minimizer: Vector = best_choice(self.weights, self.values, self.capacity)
        self.optimum = -float(self.values @ self.minimizer)

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - exact and cheap
        """Return cost and violation of choices; x: (n, items) of 0 and 1."""
        weight = x @ self.weights  # sums of whole numbers: exact in any order
        overweight = np.maximum(weight - self.capacity, 0.0) / self.capacity
        return Evaluation(-(x @ self.values), overweight)


def best_choice(weights: Integers, values: Integers, capacity: int) -> Vector:
    """Return (items,) zeros and ones: a choice of greatest value within the capacity.

    Source: Bellman, "Dynamic programming", 1957: best[c] after item i is the greater of best[c] and
    best[c - weight_i] + value_i before it.

    Args:
        weights: (items,) whole numbers of at least 1.
        values: (items,) whole numbers of at least 0.
        capacity: the greatest weight allowed.
    """
    best = np.zeros(capacity + 1, np.int64)
    taken = np.zeros((len(weights), capacity + 1), bool)
    for i, (weight, value) in enumerate(zip(weights.tolist(), values.tolist(), strict=True)):
        if weight > capacity:
            continue
        with_item = best[: capacity + 1 - weight] + value
        taken[i, weight:] = with_item > best[weight:]
        best[weight:] = np.maximum(best[weight:], with_item)
    choice = np.zeros(len(weights))
    left = capacity
    for i in reversed(range(len(weights))):
        if taken[i, left]:
            choice[i] = 1.0
            left -= int(weights[i])
    return choice
