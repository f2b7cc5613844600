"""The last choice, among structures that are level by their score: by training them a little.

The score tells bad structures from good ones and does not order the good ones. So some of the best,
and some that are good without any search, are fine-tuned for an epoch each on the same images in
the same order; the better half for twice as long, and so on (successive halving: Jamieson and
Talwalkar, "Non-stochastic best arm identification and hyperparameter optimization", 2016). They are
compared by their cross-entropy on held-out images that no score has seen.
"""

import json
import logging
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from swarmopt.words import count_text
from swarmopt_pruning.files import write_whole

log = logging.getLogger(__name__)

Ints = NDArray[np.int64]
Counts = tuple[int, ...]

APART = 2  # least number of groups in which two finalists differ


@dataclass(frozen=True)
class Trial:
    """What a short training of a structure came to.

    Attributes:
        epochs: of the training.
        accuracy: share of held-out images, unseen by the scores, that it was right on.
        loss: its mean cross-entropy on them; None: the training failed.
    """

    epochs: int
    accuracy: float
    loss: float | None


@dataclass(frozen=True)
class Finalist:
    """A structure that was trained a little.

    Attributes:
        counts: channels of each group.
        origin: where it comes from: "search", or the name of a starting structure.
        trials: one for each round it took part in.
    """

    counts: Counts
    origin: str
    trials: tuple[Trial, ...] = ()

    @property
    def rank(self) -> tuple[float, float, float]:
        """The greater, the better: rounds survived, then loss, then accuracy.

        Cross-entropy tells two structures apart with fewer images than accuracy: between the known
        structures of the benchmark, trained with several seeds, it differs by eight times its
        spread, accuracy by twice.
        """
        last = self.trials[-1]
        if last.loss is None:
            return len(self.trials), -math.inf, 0.0
        return len(self.trials), -last.loss, last.accuracy


def contenders(ordered: Iterable[Ints], known: Mapping[str, Ints], most: int) -> list[Finalist]:
    """Return distinct structures to choose among: the known ones, and the best that differ.

    Args:
        ordered: (groups,) counts of what a search found, the best first.
        known: counts of structures that take part in any case, by name; at most `most`.
        most: how many there are at most; at least one is the search's best.
    """
    found: dict[Counts, Finalist] = {}
    best = [tuple(counts.tolist()) for counts in ordered]
    if best:
        found[best[0]] = Finalist(best[0], "search")
    for name, row in known.items():
        counts = tuple(row.tolist())
        if len(found) < most:
            found.setdefault(counts, Finalist(counts, name))
    for counts in best[1:]:
        if len(found) >= most:
            break
        if all(_differences(counts, other) >= APART for other in found):
            found[counts] = Finalist(counts, "search")
    return list(found.values())


def _differences(a: Counts, b: Counts) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


def halved(
    finalists: Sequence[Finalist],
    trial: Callable[[Counts, int], Trial],
    *,
    epochs: int,
    file: Path | None,
) -> list[Finalist]:
    """Train structures a little, the better half of them longer, and return all, best first.

    Args:
        finalists: structures; one alone is not trained.
        trial: trains one for some epochs, in the same way each time, and says what came of it.
        epochs: of the first round; doubled in each further one.
        file: where trials are kept, so that a second call does not train again what the first has
            trained; None: nowhere.
    """
    done = _read(file)
    racing = list(finalists)
    out: list[Finalist] = []
    round_epochs = epochs
    while len(racing) > 1:
        for place, each in enumerate(racing):
            key = _key(each.counts, round_epochs)
            if key not in done:
                done[key] = trial(each.counts, round_epochs)
                log.info(
                    "finalist %d of %d (%s): %.2f %% right after %s",
                    place + 1,
                    len(racing),
                    each.origin,
                    100 * done[key].accuracy,
                    count_text(round_epochs, "epoch"),
                )
                _write(file, done)
            racing[place] = Finalist(each.counts, each.origin, (*each.trials, done[key]))
        racing.sort(key=lambda each: each.rank, reverse=True)
        half = len(racing) // 2
        racing, out = racing[:half], racing[half:] + out
        round_epochs *= 2
    return racing + out


def _key(counts: Counts, epochs: int) -> str:
    return f"{epochs}: {' '.join(map(str, counts))}"


def _read(file: Path | None) -> dict[str, Trial]:
    """Return the trials that a file holds; none where it cannot be used."""
    if file is None or not file.is_file():
        return {}
    try:
        document = json.loads(file.read_text("utf-8"))
        return {
            str(key): Trial(int(t["epochs"]), float(t["accuracy"]), _loss(t["loss"]))
            for key, t in document.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("%s cannot be used, so the finalists are trained again: %s", file, error)
        return {}


def _loss(value: object) -> float | None:
    """Return a loss that was kept.

    Raises:
        ValueError: It is none.
    """
    if value is None or (isinstance(value, int | float) and math.isfinite(value)):
        return value
    raise ValueError(f"expected a loss or null, got {value!r}")


def _write(file: Path | None, trials: Mapping[str, Trial]) -> None:
    if file is not None:
        document = {key: asdict(trial) for key, trial in trials.items()}
        write_whole(file, json.dumps(document, indent=1, allow_nan=False).encode())
