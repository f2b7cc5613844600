"""Particle swarm optimization with constriction constants.

Sources: Kennedy and Eberhart, "Particle swarm optimization", 1995; Clerc and Kennedy, "The particle
swarm: explosion, stability, and convergence", 2002 (the constants); Kennedy and Mendes, "Population
structure and particle swarm performance", 2002 (the ring).

The default is a small swarm whose particles mostly look at the best of all, and now and then at
their neighbours on a ring: on our tuning suites that is better from 100 to 1,000 evaluations per
variable than a ring alone or a larger swarm.

Integers keep their latent real position, which only decoding rounds. Discrete columns are kicked
now and then, so that none freezes; categories are copied instead of moved.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.random import Generator

from swarmopt.algorithm import Candidates, Horizon
from swarmopt.algorithms.moves import kick, latin_hypercube
from swarmopt.domain import Domain
from swarmopt.errors import SettingError
from swarmopt.settings import check_fields
from swarmopt.types import Integers, Matrix, Vector

BOUNCE = -0.5  # of the velocity, at a wall
KICK_LENGTH = 2.0  # levels, on average: geometric(0.5)
COPY_SELF = 0.25  # a category stays; below COPY_MEMORY it is the particle's own best one,
COPY_MEMORY = 0.55  # otherwise the guide's


@dataclass(frozen=True, eq=False)
class PSOState:
    """The swarm.

    Attributes:
        domain: d columns.
        started: whether a batch was told.
        position: (n, d) where each particle is.
        velocity: (n, d) how it got there.
        memory: (n, d) the best position of each particle.
        memory_key: (n,) the key there.
    """

    domain: Domain
    started: bool
    position: Matrix
    velocity: Matrix
    memory: Matrix
    memory_key: Vector


@dataclass(frozen=True, eq=False)
class Moves(Candidates):
    """Row i is the next position of particle i; `velocity` (n, d) led there."""

    velocity: Matrix


@dataclass(frozen=True)
class PSO:
    """Particle swarm optimization.

    Attributes:
        population: number of particles; None: 6 + sqrt(d), between 10 and 40. Never below the
            horizon's batch.
        inertia: w, the share of the velocity that is kept.
        cognitive: c1, the pull of the particle's own best position.
        social: c2, the pull of the best position in its neighbourhood.
        max_velocity: limit of each component of the velocity, as a share of the box.
        leader: chance that a particle is drawn to the best of all, not to the best of itself and
            its two neighbours on a ring.
    """

    population: int | None = None
    inertia: float = 0.7298
    cognitive: float = 1.49618
    social: float = 1.49618
    max_velocity: float = 0.5
    leader: float = 0.7

    name: ClassVar[str] = "pso"
    label: ClassVar[str] = "particle swarm"
    anytime: ClassVar[bool] = True
    order_only: ClassVar[bool] = True
    unbiased: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_fields(self)
        if self.population is not None and self.population < 1:
            raise SettingError(f"pso: expected population >= 1, got {self.population!r}")
        for field in ("inertia", "cognitive", "social"):
            value = getattr(self, field)
            if not 0.0 <= value < np.inf:
                raise SettingError(f"pso: expected a finite {field} >= 0, got {value!r}")
        if not 0.0 < self.max_velocity <= 1.0:
            raise SettingError(f"pso: expected 0 < max_velocity <= 1, got {self.max_velocity!r}")
        if not 0.0 <= self.leader <= 1.0:
            raise SettingError(f"pso: expected 0 <= leader <= 1, got {self.leader!r}")

    def init(self, domain: Domain, horizon: Horizon) -> PSOState:
        """Return a swarm that was nowhere yet."""
        n = self.population or int(np.clip(6.0 + np.sqrt(domain.d), 10, 40))
        n = max(n, horizon.batch)
        middle = np.full((n, domain.d), 0.5)
        return PSOState(domain, False, middle, np.zeros_like(middle), middle, np.full(n, np.inf))

    def ask(self, state: PSOState, rng: Generator) -> Moves:
        """Return the next position of every particle."""
        n, d = shape = state.position.shape
        if not state.started:
            unit = latin_hypercube(n, d, rng)
            return Moves(unit, 0.5 * (rng.random(shape) - unit))
        x, memory = state.position, state.memory
        key = state.memory_key
        to_leader = rng.random(n) < self.leader
        guide = memory.take(np.where(to_leader, key.argmin(), _best_neighbour(key)), axis=0)
        # v = w v + c1 r1 (p - x) + c2 r2 (l - x), x = x + v (Clerc and Kennedy 2002)
        pull = rng.random((2, n, d))
        velocity = self.inertia * state.velocity
        velocity += self.cognitive * pull[0] * (memory - x)
        velocity += self.social * pull[1] * (guide - x)
        velocity.clip(-self.max_velocity, self.max_velocity, out=velocity)
        aim = x + velocity
        unit = aim.clip(0.0, 1.0)
        np.multiply(velocity, BOUNCE, out=velocity, where=aim != unit)
        if state.domain.n_discrete:
            unit = _discrete(state, unit, guide, rng)
        return Moves(unit, velocity)

    def tell(self, state: PSOState, candidates: Moves, key: Vector) -> PSOState:
        """Move the particles and remember improvements; equal keys count as one."""
        n = len(key)
        improved = key <= state.memory_key[:n]
        memory = np.where(improved[:, None], candidates.unit, state.memory[:n])
        memory_key = np.where(improved, key, state.memory_key[:n])
        return PSOState(
            state.domain,
            started=True,
            position=_laid_over(state.position, candidates.unit),
            velocity=_laid_over(state.velocity, candidates.velocity),
            memory=_laid_over(state.memory, memory),
            memory_key=_laid_over(state.memory_key, memory_key),
        )


def _best_neighbour(key: Vector) -> Integers:
    """Return (n,) which of a particle and its two neighbours on the ring has the lowest key."""
    n = len(key)
    ring = np.concatenate((key[-1:], key, key[:1]))
    left, right = ring[:-2], ring[2:]
    best = np.arange(n)
    best += (right < np.minimum(left, key)).view(np.int8)
    best -= ((left < key) & (left <= right)).view(np.int8)
    return best % n


def _discrete(state: PSOState, unit: Matrix, guide: Matrix, rng: Generator) -> Matrix:
    """Return (n, d) positions whose categories are copied and some discrete values kicked.

    Args:
        state: of n particles.
        unit: (n, d) where they go.
        guide: (n, d) what each is drawn to.
        rng: draws.
    """
    domain = state.domain
    if domain.nominal.any():
        u = rng.random(unit.shape)
        best = np.where(u < COPY_MEMORY, state.memory, guide)
        copied = np.where(u < COPY_SELF, state.position, best)
        unit = np.where(domain.nominal, copied, unit)
    chosen = rng.random(unit.shape) < 0.5 / domain.n_discrete
    return kick(domain, unit, chosen, KICK_LENGTH, rng)


def _laid_over(old: Matrix, first: Matrix) -> Matrix:
    """Return the old rows, (n, ...), the first of them replaced."""
    return first if len(first) == len(old) else np.concatenate((first, old[len(first) :]))
