"""What the pruning benchmark compares, and under which conditions: one and the same for all.

A cell is a network, a budget of MACs, a method that chooses a structure, and a seed. Every method
gets the same images, the same number of scores, and the same fine-tuning of what it chose, with the
original as its teacher. Structures are chosen on held-out images; the test images are looked at
once for each cell, by `benchmarks.pruning_cells`, after everything else.
"""

import json
from dataclasses import asdict, dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from hashlib import blake2b

from benchmarks.originals import weights_of
from swarmopt_pruning import Recipe, Splits, load_data
from swarmopt_pruning.subsets import subset

VERSION = 3
"""Of the protocol: raised where a change of the code makes finished cells incomparable."""


@dataclass(frozen=True)
class Cell:
    """One structure that is chosen, trained and tested.

    Attributes:
        network: to be pruned.
        budget: share of its MACs.
        method: that chooses.
        seed: of the choice and of the fine-tuning.
    """

    network: str
    budget: float
    method: str
    seed: int

    @property
    def name(self) -> str:
        """How the command line speaks of it."""
        return f"{self.network}/{self.budget:g}/{self.method}/{self.seed}"


@dataclass(frozen=True)
class Protocol:
    """The conditions of all cells.

    Attributes:
        data: name of the images.
        train: images that reconstruct, recalibrate and fine-tune; None: all there are.
        held_out: images that structures are chosen on.
        score_images: of these, that scores see; the others choose among finalists.
        columns: networks with their budgets, the most telling first.
        evaluations: scores of each network that a method may ask for, those of the sensitivity
            curves included.
        seeds: of each method.
        epochs: of the fine-tuning.
        rate: its peak learning rate.
        distill: weight of the original's answers in it.
        finalists: structures that the pipeline trains before it chooses.
    """

    data: str
    train: int | None
    held_out: int | None
    score_images: int
    columns: tuple[tuple[str, float], ...]
    evaluations: dict[str, int] = field(hash=False)
    seeds: int
    epochs: int
    rate: float = 0.05
    distill: float = 0.7
    finalists: int = 6

    @property
    def recipe(self) -> Recipe:
        """How every structure is fine-tuned."""
        return Recipe(epochs=self.epochs, rate=self.rate, distill=self.distill)

    def cells(self, methods: tuple[str, ...], pattern: str = "*") -> list[Cell]:
        """Return the cells whose name fits a pattern, in the order that tells most soonest."""
        cells = [
            Cell(network, budget, method, seed)
            for seed in range(1, self.seeds + 1)
            for network, budget in self.columns
            for method in methods
        ]
        return [cell for cell in cells if fnmatchcase(cell.name, pattern)]

    def key(self, cell: Cell) -> str:
        """Return a hash of everything that decides what a cell finds."""
        weights = weights_of(cell.network)
        about = {
            "version": VERSION,
            "cell": asdict(cell),
            "recipe": asdict(self.recipe),
            "images": [self.data, self.train, self.held_out, self.score_images],
            "evaluations": self.evaluations[cell.network],
            "finalists": self.finalists,
            "weights": _digest(weights.read_bytes()) if weights.is_file() else "",
        }
        return _digest(json.dumps(about, sort_keys=True).encode())


RESNET, VGG, MOBILENET = "resnet20-s2", "vgg9-bn", "mobilenet-v2-s2"
FULL = Protocol(
    data="fashion-mnist",
    train=8_000,
    held_out=5_000,
    score_images=1_000,
    columns=((RESNET, 0.3), (RESNET, 0.15), (VGG, 0.3), (MOBILENET, 0.3), (RESNET, 0.5)),
    evaluations={RESNET: 150, VGG: 150, MOBILENET: 300},
    seeds=3,
    epochs=3,
)
QUICK = Protocol(
    data="digits",
    train=None,
    held_out=None,
    score_images=180,
    columns=(("digits-cnn", 0.3),),
    evaluations={"digits-cnn": 60},
    seeds=1,
    epochs=4,
)


@cache
def images(protocol: Protocol) -> Splits:
    """Return the images of a protocol, the test images among them."""
    return subset(load_data(protocol.data), train=protocol.train, held_out=protocol.held_out)


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=12).hexdigest()
