"""A connection to a Dask scheduler, or within seconds why there is none.

Dask's own client waits for ever where somebody else answers, so that the scheduler is asked who it
is first.
"""

import asyncio
import queue
import re
import threading
import warnings
from typing import Any

from swarmopt.errors import SettingError, WorkerError

ANSWER = 8.0  # seconds in which the scheduler must answer
FORM = re.compile(r"(tcp|tls)://(\[[0-9A-Fa-f:.]+\]|[^\s/:@\[\]]+):([0-9]{1,5})")


def check_address(address: Any) -> None:
    """Raise SettingError unless this has the form of a scheduler's address."""
    match = FORM.fullmatch(address) if isinstance(address, str) else None
    if match is None or not 0 < int(match[3]) < 2**16:
        raise SettingError(
            f"cluster: expected the address of a Dask scheduler, such as tcp://host:8786 (or "
            f"tls://host:8786), got {address!r}"
        )


def connect(address: str) -> Any:
    """Return a `distributed.Client` of the scheduler at an address of the right form.

    Raises:
        WorkerError: Dask is not installed, certificates are missing, or no scheduler answers.
    """
    try:
        from distributed import Client
        from distributed.security import Security
    except ImportError as error:
        raise WorkerError(
            f"a cluster needs Dask.distributed: pip install 'swarmopt[dask]' ({error})"
        ) from error
    try:
        own: dict[str, Any] = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
    except Exception as error:
        raise WorkerError(f"Dask's TLS settings cannot be used: {error}") from error
    if address.startswith("tls://") and own.get("ssl_context") is None:
        raise WorkerError(
            f"{address} needs certificates, and Dask is told of none: set "
            f"DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..__TLS__CLIENT__CERT and "
            f"..__TLS__CLIENT__KEY here, as for the scheduler"
        )
    kind = _ask(address, own)
    if kind != "Scheduler":
        raise _silence(address, f"who answers is a Dask {kind}")
    try:
        with warnings.catch_warnings():
            # Of versions: those that matter are checked, and a difference is an error.
            warnings.simplefilter("ignore")
            return Client(address, timeout=ANSWER, set_as_default=False)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise _silence(address, _words(error)) from error


def _ask(address: str, own: dict[str, Any]) -> str:
    """Return what kind of Dask server answers at an address, as it says itself."""
    inbox: queue.SimpleQueue[str | BaseException] = queue.SimpleQueue()

    def ask() -> None:
        try:
            inbox.put(asyncio.run(asyncio.wait_for(_identity(address, own), ANSWER)))
        except BaseException as error:  # noqa: BLE001 - whatever what came back does to Dask
            inbox.put(error)

    threading.Thread(target=ask, daemon=True).start()  # an event loop may run in this one
    try:
        found = inbox.get(timeout=ANSWER + 1)
    except queue.Empty:  # the look-up of a name cannot be ended
        found = TimeoutError()
    if isinstance(found, str):
        return found
    raise _silence(address, _words(found)) from found


async def _identity(address: str, own: dict[str, Any]) -> str:
    from distributed.comm.core import connect
    from distributed.core import send_recv

    comm: Any = await connect(address, timeout=ANSWER - 1, **own)  # type: ignore[no-untyped-call]
    try:
        return str((await send_recv(comm, op="identity"))["type"])
    finally:
        comm.abort()


def _words(error: BaseException) -> str:
    """Return why nobody answers, from what that did to Dask."""
    if isinstance(error, TimeoutError) and not str(error):
        return f"nothing came back within {ANSWER:g} s"
    if isinstance(error, OSError):
        words = str(error)
        while error.__cause__ is not None:  # Dask says what it tried, and from what that failed
            error = error.__cause__
            words = str(error) or words
        return words
    return f"what came back is not Dask's: {type(error).__name__}"


def _silence(address: str, why: str) -> WorkerError:
    return WorkerError(
        f"no Dask scheduler answers at {address} ({why}). Start one with `dask scheduler`, and "
        f"workers with `dask worker {address} --nthreads 1`"
    )
