"""Memory that is given back to the system after every layer costs up to half the speed."""

import ctypes
import sys
from functools import cache

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # malloc.h of glibc
KEPT = 1 << 30  # bytes that stay with the process
PADDED = 1 << 26


@cache
def keep_memory() -> bool:
    """Let glibc keep freed memory for the next layer; return whether it does.

    Elsewhere, on other systems and C libraries, nothing is done.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        libc = ctypes.CDLL("libc.so.6")
        settings = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, KEPT), (M_TOP_PAD, PADDED))
        return all(libc.mallopt(name, value) for name, value in settings)
    except (OSError, AttributeError):
        return False
