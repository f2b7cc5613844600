"""IDX files: images and labels as MNIST and its successors have them, gzipped or not.

LeCun, Cortes, Burges, "The MNIST database of handwritten digits": a big-endian magic number that
says the type and the number of dimensions, their sizes, and the bytes. A header is not believed
where the file cannot hold what it promises, and memory grows only with what is read.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from swarmopt_pruning.errors import PruningError

BYTES = 0x08  # the type of all these files: unsigned bytes
MOST = 1 << 32  # bytes of a file's content at most
INFLATION = 1032  # deflate makes no byte into more than so many
CHUNK = 1 << 22


def read_idx(path: Path, n_dimensions: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Args:
        path: of the file; gzipped where it ends with .gz.
        n_dimensions: that it must have: 3 for images, 1 for labels.

    Raises:
        PruningError: It cannot be read, or is no such file, or not all of one, or more than one.
    """
    if path.is_dir():
        raise PruningError(f"{path}: expected an IDX file, got a folder")
    try:
        size = path.stat().st_size
        zipped = path.suffix == ".gz"
        with gzip.GzipFile(path) if zipped else path.open("rb") as file:
            return _read(file, path, n_dimensions, size * INFLATION if zipped else size)
    except (OSError, EOFError, zlib.error) as error:
        raise PruningError(f"{path} cannot be read: {error}; get the file anew") from error


def _read(
    file: BinaryIO | gzip.GzipFile, path: Path, n_dimensions: int, most: int
) -> NDArray[np.uint8]:
    """Read a file whose content is at most so many bytes long."""
    header = _up_to(file, 4 + 4 * n_dimensions)
    if not header:
        raise PruningError(f"{path}: the file is empty; get the file anew")
    magic = header[:4]
    expected = bytes((0, 0, BYTES, n_dimensions))
    if magic != expected:
        raise PruningError(
            f"{path}: expected an IDX file of unsigned bytes with {n_dimensions} dimension(s), "
            f"which begins with 0x{expected.hex()}, got 0x{magic.hex()}; get the file anew"
        )
    if len(header) < 4 + 4 * n_dimensions:
        raise PruningError(f"{path}: the header ends after {len(header)} bytes; get the file anew")
    shape = struct.unpack(f">{n_dimensions}I", header[4:])
    n = math.prod(shape)
    if n == 0:
        raise PruningError(f"{path}: expected at least one byte of data, got the sizes {shape}")
    if n > min(most, MOST):
        raise PruningError(
            f"{path}: the header promises {n:,} bytes, sizes {shape}, more than the file can hold "
            f"or than the {MOST:,} that are read; get the file anew"
        )
    found = _up_to(file, n + 1)
    if len(found) != n:
        what = "there are more" if len(found) > n else f"got {len(found):,}"
        raise PruningError(
            f"{path}: expected {n:,} bytes behind the header, sizes {shape}, {what}; "
            f"get the file anew"
        )
    return np.frombuffer(found, np.uint8).reshape(shape)


def _up_to(file: BinaryIO | gzip.GzipFile, n: int) -> bytes:
    """Return the next n bytes, or what there is of them; memory grows with what is read."""
    found = bytearray()
    while len(found) < n and (part := file.read(min(CHUNK, n - len(found)))):
        found += part
    return bytes(found)
