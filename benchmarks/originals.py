"""Train the networks that the pruning benchmark prunes, once, and keep their weights.

    python -m benchmarks.originals
    python -m benchmarks.originals --only resnet20-s2 --epochs 6

Fashion-MNIST: 45,000 images train, 15,000 are held out, 10,000 test. Each network is kept as
safetensors, with its recipe, cost, accuracies and versions beside it as JSON. One that is there is
not trained again. A training that is stopped goes on where it was, from a file in the cache.
"""

import json
import logging
import platform
import time
from dataclasses import asdict
from pathlib import Path

import click
import torch

from swarmopt_pruning import Recipe, accuracy, count_macs, count_params, load_data
from swarmopt_pruning.checkpoint import remove
from swarmopt_pruning.data import Splits
from swarmopt_pruning.files import write_whole
from swarmopt_pruning.original import (
    TRAINING_SEED,
    load_weights,
    make_original,
    save_tensors,
)
from swarmopt_pruning.places import cache_folder
from swarmopt_pruning.subsets import subset
from swarmopt_pruning.train import pinned, train

FOLDER = Path(__file__).parent / "originals"
DATA = "fashion-mnist"
RECIPES = {
    "resnet20-s2": Recipe(epochs=6, rate=0.1, flip=True),
    "vgg9-bn": Recipe(epochs=5, rate=0.05, flip=True),
    "mobilenet-v2-s2": Recipe(epochs=6, rate=0.1, flip=True),
}
SHOWN = 2_000  # held-out images that are looked at after each epoch


def weights_of(name: str) -> Path:
    """Return where the weights of an original are."""
    return FOLDER / f"{name}.safetensors"


def load_original(name: str, data: Splits) -> torch.nn.Module:
    """Return a trained original.

    Raises:
        PruningError: It is not there, or damaged.
    """
    _, model = make_original(name, data)
    load_weights(model, weights_of(name))
    return model.eval()


def make(name: str, data: Splits, recipe: Recipe) -> None:
    """Train an original and keep it."""
    built, model = make_original(name, data)
    checkpoint = cache_folder() / f"benchmark-{name}.training.safetensors"
    shown = subset(data, held_out=SHOWN).held_out
    began, used = time.monotonic(), time.process_time()
    train(model, data.train, recipe, seed=TRAINING_SEED, checkpoint=checkpoint, held_out=shown)
    about = {
        **asdict(built),
        "data": DATA,
        "images": {part: len(getattr(data, part)) for part in ("train", "held_out", "test")},
        "recipe": asdict(recipe),
        "seed": TRAINING_SEED,
        "threads": torch.get_num_threads(),
        "macs": count_macs(model, (data.train.x[:2],)),
        "params": count_params(model),
        "held_out_accuracy": accuracy(model, data.held_out),
        "test_accuracy": accuracy(model, data.test),
        "seconds": round(time.monotonic() - began, 1),
        "core_seconds": round(time.process_time() - used, 1),
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    save_tensors(model, weights_of(name))
    text = json.dumps(about, indent=2) + "\n"
    write_whole(weights_of(name).with_suffix(".json"), text.encode())
    remove(checkpoint)
    print(text)


@click.command()
@click.option("--only", type=click.Choice([*RECIPES]), multiple=True, help="Train these alone.")
@click.option("--epochs", type=click.IntRange(1), help="Instead of those of the recipe.")
@click.option("--again", is_flag=True, help="Also those that are there already.")
def main(only: tuple[str, ...], epochs: int | None, again: bool) -> None:
    """Train the originals that are not there."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    data = load_data(DATA)
    for name in only or RECIPES:
        if weights_of(name).is_file() and not again:
            print(f"{name} is there")
            continue
        recipe = RECIPES[name]
        if epochs:
            recipe = Recipe(**{**asdict(recipe), "epochs": epochs})
        print(f"{name}: {recipe.epochs} epochs")
        with pinned(1):
            make(name, data, recipe)


if __name__ == "__main__":
    main()
