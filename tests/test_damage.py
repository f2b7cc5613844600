"""Files that were torn, flipped, filled up or taken away: an error or the truth, nothing else."""

import errno
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swarmopt import FolderError, Real, Space, database, minimize, record
from swarmopt.algorithms import PSO
from swarmopt.evaluation import Evaluation
from swarmopt.journal import Journal
from swarmopt.record import FILE, Record

BUDGET = 60
SETTINGS: dict[str, Any] = {"algorithm": PSO(population=6), "budget": BUDGET, "seed": 2}
BOUNDS = [(-5.0, 5.0)] * 2


def bowl(x: Any) -> float:
    if x[0] > 4:
        raise RuntimeError("too far")
    return float(x @ x)


class Killed:
    """Copies a run folder in the middle of a batch, as a kill would leave it."""

    __name__ = "bowl"

    def __init__(self, folder: Path, copy: Path, after: int) -> None:
        self.folder, self.copy, self.after = folder, copy, after
        self.n = 0

    def __call__(self, x: Any) -> float:
        self.n += 1
        if self.n == self.after:
            shutil.copytree(self.folder, self.copy)
        return bowl(x)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `whole`, `half` (closed in mid-batch) and `killed` (its log not merged)."""
    place = tmp_path_factory.mktemp("damage")
    killed = Killed(place / "whole", place / "killed", 45)
    minimize(killed, BOUNDS, run_dir=place / "whole", **SETTINGS)
    shutil.copytree(place / "killed", place / "half")
    with Journal.open(place / "half", {}) as journal:
        journal.unchain(5)
        journal.settle()
        journal._set("diverged", None)
    return place


def same_start(found: Record, whole: Record) -> bool:
    """Return whether a record is the beginning of another."""
    n = len(found.ids)
    return all(
        np.array_equal(getattr(found, name), getattr(whole, name)[:n], equal_nan=True)
        for name in ("ids", "batch", "x", "cost", "violation", "status")
    )


def read_or_refused(folder: Path) -> Record | None:
    try:
        return record.read(folder)
    except FolderError:
        return None


def resumed(folder: Path) -> Record:
    minimize(bowl, BOUNDS, run_dir=folder, resume=True, **SETTINGS)
    return record.read(folder)


def flipped(path: Path, text: bytes, n: int) -> Iterator[bytes]:
    """Write the text n times, each time with another bit flipped."""
    rng = random.Random(0)  # noqa: S311 - not for secrets
    for _ in range(n):
        damaged = bytearray(text)
        damaged[rng.randrange(len(text))] ^= 1 << rng.randrange(8)
        path.write_bytes(damaged)
        yield bytes(damaged)


def check_flips(place: Path, work: Path, n: int) -> tuple[int, int]:
    """Return how many of n flips were refused and how many changed nothing."""
    folder = work / "run"
    shutil.copytree(place / "half", folder)
    whole = record.read(place / "whole")
    text, before = (folder / FILE).read_bytes(), record.read(folder)
    n_refused, harmless = 0, []
    for damaged in flipped(folder / FILE, text, n):
        found = read_or_refused(folder)
        if found is None:
            n_refused += 1
            continue
        assert same_start(found, before)
        assert np.array_equal(found.seconds, before.seconds)
        assert found.digest == before.digest
        assert len(found.ids) == len(before.ids)
        harmless.append(damaged)
    for damaged in harmless[:: max(1, 100 * len(harmless) // n)]:
        (folder / FILE).write_bytes(damaged)
        try:
            assert resumed(folder).digest == whole.digest
        except FolderError as error:
            assert "cannot be" in str(error)  # noqa: PT017 - it may also go well
        shutil.rmtree(folder)
        shutil.copytree(place / "half", folder)
    return n_refused, len(harmless)


def test_a_flipped_bit_is_found_or_changes_nothing(place: Path, tmp_path: Path) -> None:
    n_refused, n_harmless = check_flips(place, tmp_path, 120)
    assert n_refused > 10
    assert n_harmless > 10


@pytest.mark.slow
def test_of_ten_thousand_flipped_bits_each_is_found_or_changes_nothing(
    place: Path, tmp_path: Path
) -> None:
    n_refused, n_harmless = check_flips(place, tmp_path, 10_000)
    assert n_refused + n_harmless == 10_000


def check_torn(place: Path, work: Path, name: str, step: int) -> None:
    """Cut a file of a killed run at every length, and read what is left."""
    folder = work / "run"
    shutil.copytree(place / "killed", folder)
    whole = record.read(place / "whole")
    text = (folder / name).read_bytes()
    seen = set()
    for length in range(0, len(text), step):
        (folder / name).write_bytes(text[:length])
        found = read_or_refused(folder)
        if found is None:
            continue
        assert same_start(found, whole)
        if len(found.ids) not in seen:
            seen.add(len(found.ids))
            copy = work / f"copy-{len(found.ids)}"
            shutil.copytree(folder, copy)
            assert resumed(copy).digest == whole.digest
    if name.endswith("-wal"):
        assert len(seen) > 3


@pytest.mark.parametrize("name", [FILE, f"{FILE}-wal"])
@pytest.mark.parametrize("step", [509, pytest.param(11, marks=pytest.mark.slow)])
def test_a_torn_file_is_refused_or_the_beginning_of_the_run(
    name: str, step: int, place: Path, tmp_path: Path
) -> None:
    check_torn(place, tmp_path, name, step)


def test_a_log_without_its_index_is_read(place: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(place / "killed", folder)
    (folder / f"{FILE}-shm").unlink()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    found = record.read(folder)
    assert len(found.ids) == len(record.read(place / "killed").ids) > 30
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


FULL = """
import resource, signal, sys
sys.path.insert(0, sys.argv[2])
from test_damage import BOUNDS, SETTINGS, bowl
from swarmopt import FolderError, minimize
import swarmopt.plots.run, swarmopt.algorithms.pso
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
try:
    minimize(bowl, BOUNDS, run_dir=sys.argv[1], **SETTINGS)
except FolderError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "most", [30_000, *(pytest.param(n, marks=pytest.mark.slow) for n in (1_000, 60_000))]
)
def test_a_disk_that_is_full_is_one_error_and_the_run_goes_on_with_more_space(
    most: int, place: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-c", FULL, str(folder), str(Path(__file__).parent), str(most)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "cannot be" in done.stdout
    assert "Traceback" not in done.stderr
    if most == 1_000:
        assert not list(tmp_path.iterdir())
        return
    whole = record.read(place / "whole")
    assert same_start(record.read(folder), whole)
    assert resumed(folder).digest == whole.digest


@pytest.mark.parametrize("fatal", [1, 4, 9])
def test_a_disk_that_fails_to_sync_is_one_error_and_the_run_goes_on_later(
    fatal: int, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing(sqlite3.Connection):
        n = 0

        def commit(self) -> None:
            Failing.n += 1
            if Failing.n > fatal:
                raise sqlite3.OperationalError("disk I/O error")
            super().commit()

    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "factory": Failing})
    )
    with pytest.raises(FolderError, match="cannot be written: disk I/O error"):
        minimize(bowl, BOUNDS, run_dir=tmp_path / "run", **SETTINGS)
    monkeypatch.undo()
    whole = record.read(place / "whole")
    assert same_start(record.read(tmp_path / "run"), whole)
    assert resumed(tmp_path / "run").digest == whole.digest


def test_a_folder_that_cannot_be_written_is_one_error(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(place / "half", folder)
    opened = os.open

    def refuse(path: Any, flags: int, *arguments: Any, **more: Any) -> int:
        if str(path).endswith("run.lock") and flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        return opened(path, flags, *arguments, **more)

    monkeypatch.setattr(os, "open", refuse)  # permissions do not bind root
    with pytest.raises(FolderError, match=r"Read-only file system\. Give a folder that you may"):
        resumed(folder)
    assert same_start(record.read(folder), record.read(place / "whole"))


def test_a_network_file_system_gets_no_write_ahead_log_and_hears_it_once(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "on_network", lambda path: True)
    caplog.set_level("INFO")
    killed = Killed(tmp_path / "run", tmp_path / "copy", 45)
    minimize(killed, BOUNDS, run_dir=tmp_path / "run", **SETTINGS)
    whole = record.read(place / "whole")
    assert record.read(tmp_path / "run").digest == whole.digest
    assert caplog.text.count("no write-ahead log") == 1
    assert not (tmp_path / "copy" / f"{FILE}-wal").exists()
    assert same_start(record.read(tmp_path / "copy"), whole)
    assert resumed(tmp_path / "copy").digest == whole.digest


def test_the_mount_of_a_path_tells_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        "2 1 0:9 / /net rw,x master:1 - nfs4 host:/ rw\n"
        "3 2 0:9 / /net/my\\040disk rw - ext4 /dev/sdb rw\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda *_: text)
    kinds = [database.on_network(Path(p)) for p in ("/a", "/net/a", "/net/my disk/a", "/network")]
    assert kinds == [False, True, False, False]


def test_numbers_that_sqlite_cannot_keep_do_not_break_the_digest(tmp_path: Path) -> None:
    Journal.create(tmp_path, Space([Real(0, 1)]), "odd", {})
    odd = np.array([-0.0, -np.nan, np.inf, -np.inf, 5e-324, 1e300, 2.0**60])
    with Journal.open(tmp_path, {}) as journal:
        ids = range(len(odd))
        journal.add(0, np.array(ids), odd[:, None], Evaluation(odd, np.abs(np.nan_to_num(odd))))
        journal.close_batch(0, ids, 0.0)
    found = record.read(tmp_path)
    assert np.array_equal(found.cost, odd, equal_nan=True)
    assert found.x.tobytes() == odd.tobytes()


def test_what_is_kept_beside_a_cost_is_cut_where_it_is_very_long(tmp_path: Path) -> None:
    Journal.create(tmp_path, Space([Real(0, 1)]), "long", {})
    with Journal.open(tmp_path, {}) as journal:
        text = Evaluation(np.zeros(1), info=[{"error": "é" * 2**23}])
        journal.add(0, np.arange(1), np.zeros((1, 1)), text)
    assert (tmp_path / FILE).stat().st_size < 2**20
    assert len(record.read(tmp_path).ids) == 1
