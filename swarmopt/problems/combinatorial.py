"""Choices among finitely many, with the optimum computed exactly or planted."""

import numpy as np

from swarmopt.algorithm import Seeds
from swarmopt.evaluation import Evaluation
from swarmopt.problem import Problem
from swarmopt.problems.instance import instance_rng, whole_number
from swarmopt.space import Space
from swarmopt.types import Integers, Mask, Matrix, Vector
from swarmopt.variables import Boolean

MAX_ITEMS = 1_000  # the table of the dynamic program takes 25 MB there
MAX_BITS = 1_000
MAX_NEIGHBOURS = 8  # the table of the dynamic program takes 64 MB there, with 1,000 bits
THOUSANDTHS = 1_000
GOLDEN = 0.6180339887498949


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


class NKLandscape(Problem):
    """Kauffman's NK landscape on a ring: every bit's worth depends on the K bits that follow it.

    minimise (1 / bits) sum_i w_i(x_i, x_{i+1}, ..., x_{i+neighbours})   over x in {0, 1}^bits

    Indices go round. Each w_i is a table of 2^(neighbours + 1) random numbers from {0, 0.001, ...,
    0.999}, so that sums are exact. The more neighbours, the more rugged: with none every bit can be
    set alone, with many one flip changes most of the sum.

    Source: Kauffman and Weinberger, "The NK model of rugged fitness landscapes and its application
    to maturation of the immune response", 1989. With neighbours that are adjacent the optimum is
    found by dynamic programming (Wright, Thompson, Zhang, "The computational complexity of N-K
    fitness functions", 2000).

    Args:
        bits: number of variables, N, up to 1,000.
        neighbours: K, on how many others a bit's worth depends: below N, up to 8.
        instance: seed of the tables.

    Attributes:
        worth: (bits, 2^(neighbours + 1)) thousandths; the column is x_i + 2 x_{i+1} + 4 x_{i+2}...
        minimizer: (bits,) one optimal choice; there may be others.
        optimum: its cost.

    Raises:
        SettingError: a setting is no whole number, or out of range.
    """

    name = "nk-landscape"
    vectorized = True
    optimum: float
    default_budget = 20_000

    def __init__(self, *, bits: int = 50, neighbours: int = 4, instance: int = 0) -> None:
        bits = whole_number(f"{self.name}: bits", bits, 1, MAX_BITS)
        most = min(MAX_NEIGHBOURS, bits - 1)
        neighbours = whole_number(f"{self.name}: neighbours", neighbours, 0, most)
        rng = instance_rng(self.name, instance)
        self.space = Space([Boolean()] * bits)
        self.worth: Integers = rng.integers(0, THOUSANDTHS, (bits, 2 ** (neighbours + 1)))
        self.minimizer: Vector = best_ring(self.worth)
        self.optimum = float(self._cost(self.minimizer[None])[0])

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - exact and cheap
        """Return the cost of choices; x: (n, bits) of 0 and 1."""
        return Evaluation(self._cost(x))

    def _cost(self, x: Matrix) -> Vector:
        bits, n_words = self.worth.shape
        window = n_words.bit_length() - 1
        ring = np.concatenate((x, x[:, : window - 1]), axis=1).astype(np.int64)
        word = sum(ring[:, j : j + bits] << j for j in range(window))
        total = self.worth[np.arange(bits), word].sum(axis=1)  # of whole numbers: exact
        cost: Vector = total / (THOUSANDTHS * bits)
        return cost


def best_ring(worth: Integers) -> Vector:
    """Return (bits,) zeros and ones for which the sum of the tables round a ring is least.

    Source: Bellman, "Dynamic programming", 1957. The state before bit i is the next K bits; for
    each way to begin, least[state] is the least sum of the tables so far, and in the end the state
    must be the beginning again.

    Args:
        worth: (bits, 2^(K + 1)) whole numbers, as in `NKLandscape`, K below bits.
    """
    bits, n_words = worth.shape
    n_states = n_words // 2
    word = np.arange(n_words)  # bit i first, then the state after it
    beginning = np.arange(n_states)
    least = np.full((n_states, n_states), np.iinfo(np.int64).max // 2)
    least[beginning, beginning] = 0
    is_one = np.empty((bits, n_states, n_states), bool)
    for i in range(bits):
        total = least[:, word % n_states] + worth[i]  # (beginning, word)
        zero, one = total[:, 0::2], total[:, 1::2]
        is_one[i] = one < zero
        least = np.minimum(zero, one)  # (beginning, state after)
    start = state = int(np.argmin(np.diag(least)))
    choice = np.empty(bits)
    for i in reversed(range(bits)):
        choice[i] = bit = int(is_one[i, start, state])
        state = (2 * state + bit) % n_states
    return choice


class MaxSat(Problem):
    """Random 3-SAT with a hidden solution: the number of clauses that no variable satisfies.

    minimise #{clauses whose three literals are all false}   over x in {0, 1}^variables

    A clause has three distinct random variables; which of them are negated is drawn so that the
    hidden solution satisfies t = 1, 2 or 3 of its literals with odds of C(3, t) q^t, q = 0.618. At
    this q a literal agrees with the solution in half the cases, so counting how often a variable
    occurs plain or negated does not give it away. About 4.2 clauses a variable are hardest.

    Source: Jia, Moore, Strain, "Generating hard satisfiable formulas by hiding solutions
    deceptively", 2007 (q-hidden formulas, q the golden ratio).

    Args:
        variables: number of variables, at least 3.
        clauses: number of clauses.
        instance: seed of the formula.

    Attributes:
        clause_variables: (clauses, 3) the variables of each clause.
        clause_values: (clauses, 3) the value that satisfies each literal.
        minimizer: (variables,) the hidden solution, of cost 0; there may be others.

    Raises:
        SettingError: a setting is no whole number, or out of range.
    """

    name = "max-sat"
    vectorized = True
    optimum = 0.0
    default_budget = 20_000

    def __init__(self, *, variables: int = 50, clauses: int = 210, instance: int = 0) -> None:
        variables = whole_number(f"{self.name}: variables", variables, 3)
        clauses = whole_number(f"{self.name}: clauses", clauses, 1)
        rng = instance_rng(self.name, instance)
        self.space = Space([Boolean()] * variables)
        self.minimizer: Vector = rng.integers(0, 2, variables).astype(float)
        first, second, third = (rng.integers(0, variables - k, clauses) for k in range(3))
        second += second >= first  # distinct: skip those taken
        low, high = np.minimum(first, second), np.maximum(first, second)
        third += third >= low
        third += third >= high
        self.clause_variables: Integers = np.stack((first, second, third), axis=1)
        agrees = np.array([[way >> k & 1 for k in range(3)] for way in range(1, 8)], bool)
        odds = GOLDEN ** agrees.sum(axis=1)  # of the seven ways to be satisfied
        way = rng.choice(7, clauses, p=odds / odds.sum())
        hidden = self.minimizer[self.clause_variables] > 0.5
        self.clause_values: Mask = hidden == agrees[way]

    def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:  # noqa: ARG002 - exact and cheap
        """Return the cost of assignments; x: (n, variables) of 0 and 1."""
        holds, wanted = x > 0.5, self.clause_values
        fails = holds[:, self.clause_variables[:, 0]] != wanted[:, 0]  # (n, clauses)
        for k in (1, 2):
            fails &= holds[:, self.clause_variables[:, k]] != wanted[:, k]
        return Evaluation(np.count_nonzero(fails, axis=1).astype(float))
