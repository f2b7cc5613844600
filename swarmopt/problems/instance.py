"""What the built-in problems share: the random data of an instance, and checks of settings."""

from typing import Any
from zlib import crc32

import numpy as np
from numpy.random import Generator, Philox

from swarmopt.errors import SettingError
from swarmopt.types import Matrix, Vector


def whole_number(where: str, value: Any, least: int, most: int = 2**64 - 1) -> int:
    """Return the value as an int.

    Args:
        where: the problem and the setting, for the message ("rastrigin: dim").
        value: of the setting.
        least: the lowest value allowed.
        most: the highest.

    Raises:
        SettingError: it is no whole number in {least, ..., most}.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise SettingError(f"{where}: expected a whole number, got {value!r}")
    if not least <= value <= most:
        bounds = f"at least {least}" if value < least else f"at most {most}"
        raise SettingError(f"{where}: expected {bounds}, got {value!r}")
    return int(value)


def instance_rng(name: str, instance: int) -> Generator:
    """Return the generator of a problem's data, the same on every call and for no other problem.

    Raises:
        SettingError: the instance is no whole number in [0, 2**64).
    """
    number = whole_number(f"{name}: instance", instance, 0)
    return Generator(Philox(key=crc32(name.encode()) << 64 | number))


def off_centre(low: Vector, high: Vector, rng: Generator) -> Vector:
    """Return (d,) a random point that is special in no coordinate.

    Every coordinate keeps 10 % of its range away from the centre and from both walls.

    Args:
        low: (d,) lower bounds.
        high: (d,) upper bounds.
        rng: draws two numbers per coordinate.
    """
    distance = rng.uniform(0.1, 0.4, len(low))
    side = np.where(rng.random(len(low)) < 0.5, -1.0, 1.0)
    point: Vector = low + (0.5 + side * distance) * (high - low)
    return point


def random_rotation(d: int, rng: Generator) -> Matrix:
    """Return a (d, d) orthogonal matrix, uniform over all of them.

    Source: Mezzadri, "How to generate random matrices from the classical compact groups", 2007:
    the QR decomposition of a normal matrix, with the signs of R's diagonal moved into Q.
    """
    q, r = np.linalg.qr(rng.standard_normal((d, d)))
    rotation: Matrix = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return rotation


def rotate(x: Matrix, rotation: Matrix) -> Matrix:
    """Return (n, d) rows times a (d, d) matrix, each row with the same bits in whatever batch.

    A BLAS product adds in an order that depends on n, so a point's cost would depend on how many
    workers share a population. einsum adds in the order of the columns.
    """
    rotated: Matrix = np.einsum("nj,jk->nk", np.ascontiguousarray(x), rotation)
    return rotated
