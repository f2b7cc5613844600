"""A run folder from a stranger: nothing in it runs, and nothing outside of it is written."""

import os
import pickle
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from swarmopt import FolderError, SwarmoptError, database, minimize, record
from swarmopt.cli import call
from swarmopt.database import NAMES_ANOTHER
from swarmopt.folder import FILES, create
from swarmopt.record import FILE
from swarmopt.space import Space
from swarmopt.variables import Real

OTHERS = (
    "plan.json", "pruned.safetensors", "sitecustomize.py",
    "usercustomize.py", "numpy.py", "swarmopt.py", "sphere.py", "conftest.py", "matplotlibrc",
    "journal.pkl", "evil.py", "pyproject.toml", "swarmopt.toml",
)  # fmt: skip
RUN = ("run", "--problem", "sphere", "--set", "dim=2", "--algorithm", "pso", "--budget", "60")


class Payload:
    """What runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def payloads(mark: Path) -> tuple[bytes, bytes]:
    code = f"import os\nos.makedirs({str(mark)!r})\nfun = make = None\n"
    return pickle.dumps(Payload(mark)), code.encode()


@pytest.fixture(autouse=True)
def no_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarmopt.cli.session._draw", lambda *_: None)  # it takes half a second


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stranger") / "run"
    assert call([*RUN, "--seed", "1", "--out", str(path)]) == 0
    return path


def touch(folder: Path) -> None:
    """Do with a folder what a curious user would."""
    for act in (
        lambda: record.read(folder),
        lambda: record.count(folder),
        lambda: call(["resume", str(folder)]),
    ):
        try:
            act()
        except SwarmoptError:
            continue


def test_a_payload_is_one(tmp_path: Path) -> None:
    as_pickle, code = payloads(tmp_path / "mark")
    pickle.loads(as_pickle)  # noqa: S301 - ours
    assert (tmp_path / "mark").exists()
    (tmp_path / "mark").rmdir()
    exec(code)  # noqa: S102 - ours
    assert (tmp_path / "mark").exists()


@pytest.mark.parametrize("names", [*((name,) for name in FILES), OTHERS], ids=lambda n: n[0])
def test_a_planted_payload_is_never_run(
    names: tuple[str, ...], run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    for payload in payloads(mark):
        folder = tmp_path / "run"
        shutil.copytree(run, folder)
        for name in names:
            (folder / name).write_bytes(payload)
        monkeypatch.chdir(folder)
        touch(folder)
        assert not mark.exists()
        monkeypatch.chdir(tmp_path)
        shutil.rmtree(folder)


@pytest.mark.slow
def test_a_command_in_the_folder_itself_runs_none_of_its_files(run: Path, tmp_path: Path) -> None:
    folder, mark = tmp_path / "run", tmp_path / "mark"
    shutil.copytree(run, folder)
    for name in OTHERS:
        (folder / name).write_bytes(payloads(mark)[name.endswith(".py")])
    (folder / "matplotlibrc").write_text("backend: module://evil\n")
    script = Path(sys.executable).parent / "swarmopt"
    done = subprocess.run(
        [script, "resume", "."], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert not mark.exists()


@pytest.mark.parametrize("name", [*FILES, "anything"])
def test_a_link_is_never_written_through(name: str, run: Path, tmp_path: Path) -> None:
    folder, outside = tmp_path / "run", tmp_path / "outside"
    shutil.copytree(run, folder)
    outside.write_text("precious")
    if name == FILE:
        shutil.copyfile(run / FILE, outside)
    before = outside.read_bytes()
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(outside)
    touch(folder)
    assert outside.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside", "run"]
    with pytest.raises(FolderError, match="link"):
        minimize(lambda x: 0.0, [(0, 1)], run_dir=folder, resume=True, seed=1, budget=60)


def test_a_link_is_not_read_through_either(run: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / FILE).symlink_to(run / FILE)
    with pytest.raises(FolderError, match="is a link"):
        record.read(tmp_path / "run")


def test_a_pipe_does_not_hang(run: Path, tmp_path: Path) -> None:
    for name in (FILE, "run.lock", "result.json"):
        folder = tmp_path / name
        shutil.copytree(run, folder)
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
        touch(folder)


def named(tmp_path: Path, settings: dict[str, Any]) -> Path:
    """Return a run folder whose settings name something, as its record does."""
    known = {"algorithm": "pso", "budget": 9, "seed": 1, "set": {}, **settings}
    create(tmp_path / "run", known, Space([Real(0, 1)])).__exit__(None, None, None)
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({"problem": "os:system"}, "swarmopt resume run --problem os:system"),
        ({"problem": "evil:fun"}, "swarmopt resume run --problem evil:fun"),
        ({"problem": "sphere", "algorithm": "evil:fun"}, "--algorithm evil:fun"),
        ({"problem": "channel-prune", "set": {"model": "evil:make"}}, "--set model=evil:make"),
        ({"problem": "channel-prune", "set": {"model": "evil:make", "data": "evil:fun"}},
         "--set model=evil:make --set data=evil:fun"),
        ({"problem": "sphere", "set": {"algorithm": {"roles": ["a", "evil:fun"]}}},
         """--set 'algorithm.roles=["""),
        ({"problem": "sphere", "cluster": "tcp://evil:1"}, "--cluster, or evaluate here"),
    ],
)  # fmt: skip
def test_code_is_imported_only_where_the_command_names_it(
    settings: dict[str, Any], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "evil.py").write_bytes(payloads(tmp_path / "mark")[1])
    named(tmp_path, settings)
    monkeypatch.chdir(tmp_path)
    assert call(["resume", "run"]) == 2
    assert command in capsys.readouterr().err
    assert not (tmp_path / "mark").exists()
    assert "evil" not in sys.modules


def test_names_are_escaped_in_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    named(tmp_path, {"problem": "a\x1b]0;owned\x07:b", "set": {"\x1b[2J": "c:\x1b[31md"}})
    assert call(["resume", "run"]) == 2
    out = capsys.readouterr()
    assert "\x1b" not in out.out + out.err
    assert r"\x1b]0;owned\x07:b" in out.err
    assert call(["resume", "a\x1b[31mb"]) == 1
    assert r"a\x1b[31mb holds no run" in capsys.readouterr().err


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TRIGGER t AFTER INSERT ON evaluation BEGIN DELETE FROM batch; END",
        "CREATE VIEW other AS SELECT * FROM meta",
        "ALTER TABLE evaluation RENAME TO e; CREATE VIEW evaluation AS SELECT * FROM e",
        "CREATE INDEX i ON evaluation (abs(cost))",
        "CREATE TABLE more (x)",
        (
            "DROP TABLE meta; CREATE VIEW meta AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL "
            "SELECT n + 1 FROM r) SELECT n AS key, n AS value, n AS crc FROM r"
        ),
        "ALTER TABLE batch ADD COLUMN y TEXT AS (hex(digest))",
    ],
)
def test_a_file_with_other_tables_is_refused_and_left_alone(
    sql: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(run, tmp_path / "run")
    path = tmp_path / "run" / FILE
    db = sqlite3.connect(path)
    db.executescript(sql)
    db.close()
    before = path.read_bytes()
    for read in (record.read, record.count):
        with pytest.raises(FolderError, match="holds other tables than the record of a run"):
            read(path.parent)
    assert call(["resume", str(path.parent)]) == 1
    assert "holds other tables" in capsys.readouterr().err
    assert path.read_bytes() == before


def edited(run: Path, folder: Path, sql: str, *values: Any) -> None:
    shutil.copytree(run, folder)
    with sqlite3.connect(folder / FILE) as db:
        db.execute(sql, values)
    db.close()


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("UPDATE evaluation SET cost = ? WHERE id = 7", 0.0),
        ("UPDATE evaluation SET x = ? WHERE id = 7", b"1234"),
        ("UPDATE evaluation SET x = ? WHERE id = 7", b""),
        ("UPDATE evaluation SET id = ? WHERE id = 59", 2**63 - 1),
        ("UPDATE evaluation SET id = ? WHERE id = 0", -(2**63)),
        ("UPDATE evaluation SET status = ? WHERE id = 7", 2**40),
        ("UPDATE batch SET seconds = ? WHERE number = 1", 1e9),
        ("UPDATE batch SET n = ? WHERE number = 1", 2**63 - 1),
        ("UPDATE batch SET digest = ? WHERE number = 1", b""),
        ("UPDATE meta SET value = ? WHERE key = 'names'", "[" * 100_000),
        ("DELETE FROM batch WHERE number = ?", 0),
        ("DELETE FROM evaluation WHERE id = ?", 7),
        ("DELETE FROM meta WHERE key = ?", "diverged"),
    ],
)
def test_a_value_that_was_edited_is_found(sql: str, value: Any, run: Path, tmp_path: Path) -> None:
    edited(run, tmp_path / "run", sql, value)
    with pytest.raises(FolderError, match="cannot be read"):
        record.read(tmp_path / "run")


def test_a_value_that_is_too_large_is_refused(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "LONGEST", 10_000)
    edited(run, tmp_path / "run", "UPDATE evaluation SET x = zeroblob(?) WHERE id = 7", 20_000)
    with pytest.raises(FolderError, match="too big"):
        record.read(tmp_path / "run")


def test_a_rollback_journal_that_names_a_file_elsewhere_removes_nothing(
    run: Path, tmp_path: Path
) -> None:
    shutil.copytree(run, tmp_path / "run")
    victim = tmp_path / "victim"
    victim.write_bytes(b"none\0")
    name = str(victim).encode()
    header = bytes.fromhex("d9d505f920a163d7") + (0).to_bytes(4) * 2 + (4).to_bytes(4)
    tail = name + len(name).to_bytes(4) + (sum(name) & 0xFFFFFFFF).to_bytes(4) + NAMES_ANOTHER
    journal = header.ljust(512, b"\0") + (262145).to_bytes(4) + tail
    (tmp_path / "run" / f"{FILE}-journal").write_bytes(journal)
    with pytest.raises(FolderError, match="names a file elsewhere"):
        record.read(tmp_path / "run")
    assert call(["resume", str(tmp_path / "run")]) == 1
    assert victim.exists()


def test_a_name_that_leads_out_of_the_folder_leads_nowhere(tmp_path: Path) -> None:
    def fun(p: dict[str, float]) -> float:
        return p["../../x"]

    (tmp_path / "a").mkdir()
    minimize(fun, Space({"../../x": Real(0, 1)}), budget=20, run_dir=tmp_path / "a" / "run")
    assert record.read(tmp_path / "a" / "run").names == ("../../x",)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_nothing_that_is_pickled_is_on_disk(run: Path) -> None:
    for path in run.iterdir():
        text = path.read_bytes()
        assert not text.startswith(b"\x80")
        assert b"cswarmopt" not in text
