"""Where networks run: a graphics card where there is one, or the processor."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from swarmopt_pruning.errors import PruningError

log = logging.getLogger(__name__)

T = TypeVar("T")
OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)


def device_of(name: str) -> torch.device:
    """Return a device by name; "auto" is CUDA or MPS where present, else the processor.

    Raises:
        PruningError: There is no such device here.
    """
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": _has_mps()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if present[kind]))
    kind, _, number = name.partition(":")
    if not present.get(kind) or (number and not number.isdigit()):
        here = ", ".join(known for known, there in present.items() if there)
        raise PruningError(f"device={name}: not here; expected auto, or one of {here}")
    return torch.device(name)


def finish_work(device: torch.device) -> None:
    """Wait until a device has done what it was told, so that a clock says something."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def smaller_until_it_fits(work: Callable[[int], T], batch: int) -> tuple[T, int]:
    """Return what work makes of a batch size, and the size: halved where memory runs out.

    Args:
        work: of a number of images at a time.
        batch: the number to begin with.

    Raises:
        PruningError: Not even one image at a time fits.
    """
    while True:
        try:
            return work(batch), batch
        except OUT_OF_MEMORY as error:
            if batch == 1:
                raise PruningError(
                    f"one image at a time is too much for the memory: {str(error)[:200]}"
                ) from error
            log.warning("out of memory with %d images at a time; going on with half", batch)
            batch //= 2


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())
