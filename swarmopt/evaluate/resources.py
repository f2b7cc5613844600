"""Where the evaluations of a run go, and what they may use there."""

from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from swarmopt.errors import SettingError
from swarmopt.evaluate.scheduler import check_address
from swarmopt.limits import check_count


@dataclass(frozen=True)
class Resources:
    """Where the evaluations of a run go, and what they may use there.

    `threads` and `chunk` may change the last bits of a cost; the others change nothing that is told
    to the algorithm, except which evaluations end at the time limit.

    Attributes:
        workers: processes on this machine; 0: this process; None: `Problem.default_workers`.
        cluster: address of a Dask scheduler, "tcp://host:8786"; None: this machine.
        eval_timeout: seconds that one evaluation (or chunk) may take; needs workers or a cluster.
        threads: of BLAS, OpenMP and torch in each process that evaluates.
        chunk: points of one call of a problem that takes whole populations; None: all of them,
            which workers cannot share.

    Raises:
        SettingError: a value of the wrong type or out of range, or two that contradict each other.
    """

    workers: int | None = None
    cluster: str | None = None
    eval_timeout: float | None = None
    threads: int = 1
    chunk: int | None = None

    def __post_init__(self) -> None:
        check_count("workers", self.workers, least=0)
        check_count("threads", self.threads, optional=False)
        check_count("chunk", self.chunk)
        cluster: Any = self.cluster
        if cluster is not None:
            check_address(cluster)
            if self.workers is not None:
                raise SettingError(
                    "workers are processes on this machine and the cluster brings its own: give "
                    "one of the two"
                )
        if self.eval_timeout is not None:
            _check_seconds(self.eval_timeout)


def _check_seconds(limit: Any) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int | float | np.number):
        raise SettingError(f"eval_timeout: expected seconds, got {limit!r}")
    if isnan(limit) or limit <= 0:
        raise SettingError(f"eval_timeout: expected seconds > 0, got {limit!r}")
