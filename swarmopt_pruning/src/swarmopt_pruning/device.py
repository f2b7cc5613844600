"""Where networks run."""

import torch

from swarmopt_pruning.errors import PruningError


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


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())
