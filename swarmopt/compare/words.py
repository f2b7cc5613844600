"""Numbers as the sentences and tables of a comparison say them."""

import numpy as np

from swarmopt.evaluation import INFEASIBLE


def cost_text(key: float) -> str:
    """Return a final key in words: a cost, "infeasible", "failed", or "-" where there is none."""
    if np.isnan(key):
        return "-"
    if key < INFEASIBLE:
        return f"{key:.4g}"
    return "failed" if np.isinf(key) else "infeasible"


def range_text(low: float, high: float) -> str:
    """Return two final keys as "1 to 2"; once where they read the same, nothing without any."""
    texts = dict.fromkeys(cost_text(key) for key in (low, high) if not np.isnan(key))
    return " to ".join(texts)


def range_of(low: int, high: int) -> str:
    """Return "1 to 2"; once where they are the same."""
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def p_text(p: float) -> str:
    """Return "p = 0.012", or "p < 0.0001"."""
    return f"p = {p:.2g}" if p >= 0.0001 else "p < 0.0001"
