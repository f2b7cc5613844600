"""How many processes that score networks fit on this machine."""

import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)

GROUP = Path("/sys/fs/cgroup")  # of Linux: what a container may use


def workers_that_fit(threads: int) -> int:
    """Return how many processes like this one may score networks at once, at least 1.

    One for each `threads` cores, and no more than there is free memory for: a worker holds torch,
    the network and its images, as this process does.

    Args:
        threads: of torch, in each of them.
    """
    by_cores = max(1, cores() // threads)
    each, free = resident_bytes(), free_bytes()
    if each is None or free is None or free >= by_cores * each:
        return by_cores
    by_memory = max(1, free // each)
    log.info(
        "memory for %d workers of %d MB each, cores for %d: %d MB are free",
        by_memory,
        each >> 20,
        by_cores,
        free >> 20,
    )
    return by_memory


def cores() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows do not pin processes
        return os.cpu_count() or 1


def resident_bytes() -> int | None:
    """Return how much memory this process holds; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def free_bytes() -> int | None:
    """Return how much memory can still be had; None where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        free = next(int(line.split()[1]) << 10 for line in lines if "MemAvailable" in line)
    except (OSError, StopIteration):
        return None
    try:
        most = int((GROUP / "memory.max").read_text("ascii"))
        used = int((GROUP / "memory.current").read_text("ascii"))
    except (OSError, ValueError):  # no group, or no limit ("max")
        return free
    return min(free, max(0, most - used))
