"""What a generation teaches about the roles: their credit, their shares, their settings."""

import numpy as np

from swarmopt.algorithms.ssa_flock import Flock, SuccessMemory
from swarmopt.algorithms.ssa_state import SCROUNGER, Birds, Shares
from swarmopt.types import Integers, Mask, Vector


def credited(credit: Shares, role: Integers, won: Mask, smoothing: float) -> Shares:
    """Return the credit of the three roles after a generation; a role not asked earns nothing.

    Args:
        credit: before it.
        role: (n,) of the birds that flew.
        won: (n,) which of them beat the leader.
        smoothing: weight of the past.
    """
    led = np.bincount(role, won, 3).tolist()
    asked = np.bincount(role, minlength=3).tolist()
    return tuple(
        smoothing * c + (1 - smoothing) * n_won / max(n, 1)
        for c, n_won, n in zip(credit, led[:3], asked[:3], strict=True)
    )


def shared(credit: Shares, first: Shares, caution: float, floor: float) -> Shares | None:
    """Return the shares that go with a credit; None where no role has any claim.

    Args:
        credit: of the roles.
        first: their shares before any credit, 0 for a role that takes no part.
        caution: weight of these.
        floor: share of each role that takes part, whatever its credit.
    """
    claim = [c + caution * share for c, share in zip(credit, first, strict=True)]
    total = sum(claim)
    if total <= 0.0:
        return None
    least = [floor * (share > 0.0) for share in first]
    rest = 1 - floor * sum(share > 0.0 for share in first)
    return tuple(at_least + rest * c / total for at_least, c in zip(least, claim, strict=True))


def cuts(share: Shares, n: int, u: float) -> tuple[int, int]:
    """Return where producers end and where scroungers end among n, by systematic sampling."""
    producers, scroungers, scouts = share
    total = producers + scroungers + scouts
    return int(producers / total * n + u), int((producers + scroungers) / total * n + u)


def succeeded(
    success: SuccessMemory, flock: Flock, candidates: Birds, key: Vector
) -> SuccessMemory:
    """Return the memory of settings after a generation met a flock."""
    rows = (candidates.role == SCROUNGER).nonzero()[0]
    if not len(rows):
        return success
    slot = candidates.slot[rows]
    better = key[rows] < flock.key[slot]
    rows, slot = rows[better], slot[better]
    if not len(rows):
        return success
    overtaken = flock.overtaken(slot, key[rows])
    return success.learnt(candidates.weight[rows], candidates.crossover[rows], overtaken)
