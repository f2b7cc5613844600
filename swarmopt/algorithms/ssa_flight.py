"""Who flies: a diver ahead of a generation's offspring, and who of these is spared."""

import numpy as np

from swarmopt.algorithms.ssa_columns import Columns
from swarmopt.algorithms.ssa_flock import NEAREST
from swarmopt.algorithms.ssa_state import DIVER, Birds, Spared
from swarmopt.algorithms.ssa_survey import Survey
from swarmopt.types import Integers, Matrix, Vector


def led(survey: Survey, columns: Columns, batch: int, dive: Matrix, offspring: Birds) -> Birds:
    """Return the birds of a generation that fly: a diver, and offspring as far as they are needed.

    Args:
        survey: which tells who is worth a flight.
        columns: of the domain.
        batch: birds wanted at once, at least 1.
        dive: (1, d) where a diver goes, or (0, d).
        offspring: the whole generation.
    """
    flying = survey.flying(columns.domain.centre(offspring.unit), batch - len(dive))
    if len(flying) < len(offspring):
        offspring = _split(offspring, flying)
    return _joined(dive, offspring) if len(dive) else offspring


def _split(offspring: Birds, flying: Integers) -> Birds:
    """Return the offspring that fly, (m,) ascending indices, and with them those spared."""
    stays = np.ones(len(offspring), bool)
    stays[flying] = False
    return Birds(
        offspring.unit[flying],
        offspring.role[flying],
        offspring.slot[flying],
        offspring.weight[flying],
        offspring.crossover[flying],
        offspring.epoch,
        Spared(offspring.unit[stays], offspring.role[stays]),
    )


def _joined(dive: Matrix, offspring: Birds) -> Birds:
    """Return a diver, (1, d), who competes with the bird nearest to it, and the offspring."""
    return Birds(
        np.concatenate((dive, offspring.unit)),
        np.concatenate(((DIVER,), offspring.role)),
        np.concatenate(((NEAREST,), offspring.slot)),
        np.concatenate(((0.0,), offspring.weight)),
        np.concatenate(((0.0,), offspring.crossover)),
        offspring.epoch,
        offspring.spared,
    )


def together(
    survey: Survey, columns: Columns, candidates: Birds, key: Vector
) -> tuple[Matrix, Vector, Integers]:
    """Return all that a generation teaches the model: points, what ranks them, and their roles.

    The landscape ranks those that flew together with those it spared.

    Args:
        survey: after the generation.
        columns: of the domain.
        candidates: n birds that flew, and m spared.
        key: (n,) of those that flew.
    """
    spared = candidates.spared
    assert spared is not None  # noqa: S101 - for the type checker
    unit = np.concatenate([candidates.unit, spared.unit])
    role = np.concatenate([candidates.role, spared.role])
    if survey.landscape is None:
        return unit, np.append(key, np.full(len(spared.role), np.inf)), role
    centred = columns.domain.centre(unit) if columns.n_discrete else unit
    return unit, survey.landscape.predict(centred), role
