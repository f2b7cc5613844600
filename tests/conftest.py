"""What tests share: whether they take their time, and processes of Dask."""

import gc
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # `faulty`, for tests and for the workers they start

# No test asserts a time: how fast examples are made depends on the machine, and on whether it is
# the first time, when the tables of characters are built.
settings.register_profile(
    "any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")


def pytest_collection_finish() -> None:
    """Keep the garbage collector from going through all that was imported again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    """Take back what the command makes of the loggers: its stream is that of one test."""
    loggers = [logging.getLogger(name) for name in ("swarmopt", "swarmopt_pruning")]
    before = [(log, log.handlers, log.level) for log in loggers]
    yield
    for log, handlers, level in before:
        log.handlers = handlers
        log.setLevel(level)


@pytest.fixture(scope="session")
def thorough(pytestconfig: pytest.Config) -> bool:
    """Whether the slow tests run too: then tests that sample take their whole sample."""
    return "not slow" not in pytestconfig.option.markexpr


@pytest.fixture(scope="session")
def dask_cluster() -> Iterator[str]:
    """The address of a scheduler with two workers, real processes on loopback."""
    from dask_processes import free_port, start_dask, wait_for_scheduler
    from distributed import Client

    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    scheduler = start_dask("scheduler", "--host", "127.0.0.1", "--port", str(port))
    wait_for_scheduler(port)
    workers = start_dask("worker", address, "--nthreads", "1", "--nworkers", "2", "--name", "w")
    with Client(address, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        client.wait_for_workers(2, timeout=60)
    yield address
    for process in (workers, scheduler):
        process.terminate()
        process.wait(30)
