"""Fashion-MNIST and CIFAR-10: where they are looked for, and what they must be."""

from pathlib import Path

from swarmopt_pruning.errors import PruningError
from swarmopt_pruning.image_folder import IDX, RawImages, read_cifar, read_idx_folder
from swarmopt_pruning.places import data_folders, first_with

CIFAR_FILES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")


def fashion_mnist() -> tuple[RawImages, RawImages]:
    """Return Fashion-MNIST: 60,000 training and 10,000 test images of 28x28 pixels, 10 classes.

    Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
    Algorithms", 2017.

    Raises:
        PruningError: It is not there, which says how to get it, or damaged.
    """
    cure = (
        f"install Debian's package dataset-fashion-mnist, or put the four IDX files "
        f"{', '.join(IDX)} (each with or without .gz)"
    )
    folder = _found("fashion-mnist", [name + end for name in IDX for end in ("", ".gz")], cure)
    train, test = read_idx_folder(folder)
    train.check(60_000, (1, 28, 28), 10)
    test.check(10_000, (1, 28, 28), 10)
    return train, test


def cifar10() -> tuple[RawImages, RawImages]:
    """Return CIFAR-10: 50,000 training and 10,000 test images of 32x32 pixels, 10 classes.

    Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

    Raises:
        PruningError: It is not there, which says how to get it, or damaged.
    """
    cure = (
        f"put {', '.join(CIFAR_FILES)} of the binary version, cifar-10-binary.tar.gz of "
        f"https://www.cs.toronto.edu/~kriz/cifar.html,"
    )
    folder = _found("cifar10", CIFAR_FILES, cure)
    missing = [name for name in CIFAR_FILES if not (folder / name).exists()]
    if missing:
        raise PruningError(
            f"data=cifar10: {', '.join(missing)} missing in {folder}; {cure} there, or give a "
            f"folder with the batches that there are: data={folder}"
        )
    train, test = read_cifar(folder)
    train.check(50_000, (3, 32, 32), 10)
    test.check(10_000, (3, 32, 32), 10)
    return train, test


def _found(name: str, files: tuple[str, ...] | list[str], cure: str) -> Path:
    """Return the folder that holds a named data set."""
    folders = data_folders(name)
    folder = first_with(folders, files)
    if folder is None:
        raise PruningError(
            f"data={name} is in none of {', '.join(map(str, folders))}: {cure} in one of these "
            f"folders ($SWARMOPT_DATA/{name} is looked at first), or give another: "
            f"data=/path/to/it"
        )
    return folder
