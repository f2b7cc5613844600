"""An address where no scheduler answers: said within seconds, whoever else is there."""

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dask_processes import free_port

from swarmopt import (
    Evaluation,
    Problem,
    Real,
    Seeds,
    SettingError,
    Space,
    WorkerError,
    minimize,
)
from swarmopt.evaluate import scheduler
from swarmopt.types import Matrix

GUARD = 30.0  # seconds; ten are meant
SCRIPT = """
import sys
from swarmopt import minimize
def bowl(x):
    return float(x @ x)
try:
    minimize(bowl, [(-1, 1)] * 3, cluster=sys.argv[1], budget=20)
except RuntimeError as error:
    print(error)
"""


def bowl(x: "list[float]") -> float:
    return float(sum(value**2 for value in x))


@contextmanager
def listener(greeting: bytes) -> Iterator[str]:
    """Yield the address of a server that greets who comes, and then says nothing."""
    held = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                    held.append(connection)
                    connection.sendall(greeting)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    for connection in held:
        connection.close()


def refused(address: str) -> str:
    """Return the words of a fresh process that is refused, and whatever else it prints."""
    command = [sys.executable, "-c", SCRIPT, address]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=GUARD)
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("greeting", "why"),
    [
        (b"", "nothing came back within 8 s"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9, "what came back is not Dask's: "),
        (b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", "what came back is not Dask's: "),
        (bytes(8) * 3, "what came back is not Dask's: "),
    ],
    ids=["silent", "http", "ssh", "zeros"],
)
def test_who_is_no_scheduler_is_an_error_within_seconds(greeting: bytes, why: str) -> None:
    with listener(greeting) as address:
        words = refused(address)
    assert words.startswith(f"no Dask scheduler answers at {address} ({why}")
    assert "Traceback" not in words
    assert len(words.splitlines()) == 1


@pytest.mark.slow
def test_a_port_where_nobody_listens_is_an_error_within_seconds() -> None:
    address = f"tcp://127.0.0.1:{free_port()}"
    words = refused(address)
    assert re.match(rf"no Dask scheduler answers at {address} \(.*(refused|Timed out)", words)
    assert len(words.splitlines()) == 1


@pytest.mark.slow
def test_the_address_of_a_dask_worker_is_told_from_that_of_its_scheduler(dask_cluster: str) -> None:
    from distributed import Client

    with Client(dask_cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        worker = next(iter(client.nthreads()))
    with pytest.raises(WorkerError, match="who answers is a Dask Worker"):
        minimize(bowl, [(-1, 1)] * 3, cluster=worker, budget=20)


@pytest.mark.slow
def test_a_name_that_is_looked_up_for_ever_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    async def stuck(address: str, own: object) -> str:
        over.wait(GUARD)  # as a resolver: not to be cancelled
        return "Scheduler"

    monkeypatch.setattr(scheduler, "_identity", stuck)
    monkeypatch.setattr(scheduler, "ANSWER", 0.05)
    began = time.monotonic()
    try:
        with pytest.raises(WorkerError, match=r"no Dask scheduler answers at tcp://a:1 \(noth"):
            minimize(bowl, [(-1, 1)] * 3, cluster="tcp://a:1", budget=20)
        assert time.monotonic() - began < GUARD
    finally:
        over.set()


def test_an_address_of_another_form_is_refused_before_anybody_is_asked() -> None:
    wrong = (
        "",
        7,
        "a:8786",
        "tcp://a",
        "tcp://a:70000",
        "nonsense://a:1",
        "tcp://a:1/",
        "tcp://:1",
    )
    for address in wrong:
        with pytest.raises(SettingError, match="cluster: expected the address of a Dask scheduler"):
            scheduler.check_address(address)
    for address in ("tcp://a.b:8786", "tls://10.0.0.1:1", "tcp://[::1]:8786"):
        scheduler.check_address(address)


def test_tls_without_certificates_says_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_CONFIG", str(tmp_path))
    with pytest.raises(WorkerError, match=r"needs certificates.*DASK_DISTRIBUTED__COMM__TLS__CA_F"):
        minimize(bowl, [(-1, 1)] * 3, cluster="tls://127.0.0.1:1", budget=20)


@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_found_out_before_the_problem_is_prepared() -> None:
    class Costly(Problem):
        name = "costly"
        space = Space([Real(0, 1)])

        def prepare(self) -> None:
            raise AssertionError("a network was trained for nothing")

        def evaluate(self, x: Matrix, seeds: Seeds, bound: float) -> Evaluation:
            return Evaluation(x[:, 0])

    with pytest.raises(WorkerError, match="no Dask scheduler answers"):
        minimize(Costly(), cluster=f"tcp://127.0.0.1:{free_port()}", budget=5)
