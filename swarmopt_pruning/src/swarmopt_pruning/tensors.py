"""Files of tensors, as safetensors, and the digest of what they hold."""

from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from swarmopt_pruning.files import write_whole


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors as safetensors: whole, or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    own = {n: t.detach().contiguous().clone() for n, t in tensors.items()}  # none may share memory
    # Not `save_file`: a kill leaves its temporary file, whose name nobody knows.
    write_whole(path, save(own, metadata=dict(metadata) if metadata else None))


def tensor_digest(tensors: Mapping[str, Tensor], about: str) -> str:
    """Return a hash of named tensors, every bit of them, and of a text."""
    hashed = blake2b(about.encode(), digest_size=16)
    for name, tensor in sorted(tensors.items()):
        hashed.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        hashed.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return hashed.hexdigest()
