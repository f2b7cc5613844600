"""What the default sparrow search passes from batch to batch: birds on their way, and its state."""

from dataclasses import dataclass

from swarmopt.algorithm import Candidates
from swarmopt.algorithms.flock_model import FlockModel
from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.algorithms.ssa_flock import Flock, SuccessMemory, Watch
from swarmopt.algorithms.ssa_survey import Survey
from swarmopt.types import Integers, Matrix, Vector

Shares = tuple[float, ...]  # one for each role

ROLES = ("producers", "scroungers", "scouts")
PRODUCER, SCROUNGER, SCOUT, SETTLER, DIVER = range(5)  # settlers: a flock's first birds


@dataclass(frozen=True, eq=False)
class Birds(Candidates):
    """A batch, and what `tell` must know of each bird.

    Attributes:
        role: (n,) PRODUCER, SCROUNGER, SCOUT, SETTLER or DIVER.
        slot: (n,) index of the bird it competes with, or NEAREST.
        weight: (n,) F of a scrounger, else 0.
        crossover: (n,) CR of a scrounger, else 0.
        epoch: how many restarts came before.
        spared: offspring of the same generation that need not fly; None where all do.
    """

    role: Integers
    slot: Integers
    weight: Vector
    crossover: Vector
    epoch: int
    spared: "Spared | None" = None


@dataclass(frozen=True, eq=False)
class Spared:
    """Offspring that are not evaluated.

    Attributes:
        unit: (m, d) their positions.
        role: (m,) their roles.
    """

    unit: Matrix
    role: Integers


@dataclass(frozen=True, eq=False)
class SSAState:
    """What the search knows.

    Attributes:
        columns: which columns each mechanism works on.
        batch: candidates wanted at once, at least.
        n_told: evaluations that were told in all epochs, each in its own.
        n: candidates per batch in this epoch.
        n_memory: birds that settle in this epoch.
        epoch: how many restarts came before.
        flock: the birds; None before the first have settled.
        model: over the k numeric columns; None where there are none.
        probability: (c, K) of the levels of the nominal columns.
        success: settings with which scroungers succeeded.
        credit: of each role, the smoothed rate at which its candidates beat the leader.
        share: of a batch that each role gets; they sum to 1.
        watch: what the alarm knows.
        survey: what is known of the landscape; None where none is fitted.
        best: (d,) the best position of all epochs; None before the first.
        best_key: its key.
    """

    columns: Columns
    batch: int
    n_told: int
    n: int
    n_memory: int
    epoch: int
    flock: Flock | None
    model: FlockModel | None
    probability: Matrix
    success: SuccessMemory
    credit: Shares
    share: Shares
    watch: Watch
    survey: Survey | None
    best: Vector | None
    best_key: float
