"""How many threads BLAS, OpenMP and torch may use, so that it does not depend on the machine."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from threadpoolctl import threadpool_limits

_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def environment(threads: int) -> Mapping[str, str]:
    """Return the variables that a process must find when it starts; torch reads them too."""
    return dict.fromkeys(_VARIABLES, str(threads))


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Use so many threads in this process, and as many as before afterwards."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    with threadpool_limits(threads):
        if torch:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            if torch:
                torch.set_num_threads(before)
