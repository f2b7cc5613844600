"""A run goes on where numbers round otherwise, and from a record of an older version."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from interrupted import ALGORITHMS, BOUNDS, FINITE, Array, resume, start

from swarmopt import Categorical, Integer, Real, Space, minimize, record, schema
from swarmopt import space as space_room
from swarmopt.folder import create

OLD = Path(__file__).parent / "data" / "journal-schema-1.sqlite"
MIXED = Space(a=Integer(0, 9), b=Categorical(["x", "y", "z"]), c=Real(-3, 3))


@pytest.fixture
def other_processor(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes points differ in the last bit from now on."""
    decode = space_room.Space.decode

    def other(self: Space, unit: Array) -> Array:
        points = decode(self, unit)
        real = self.domain.levels == 0
        points[:, real] = np.nextafter(points[:, real], 0)
        return points

    return lambda: monkeypatch.setattr(space_room.Space, "decode", other)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("lookahead", [0, 2])
@pytest.mark.parametrize("space", [BOUNDS, MIXED], ids=["real", "mixed"])
def test_a_processor_that_rounds_otherwise_loses_nothing_and_says_so(
    algorithm: str, lookahead: int, *, space: Any, tmp_path: Path,
    other_processor: Callable[[], None], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    settings = {"algorithm": algorithm, "budget": 90, "lookahead": lookahead}
    folder = tmp_path / "run"
    first = start(folder, 41, space, **settings)
    before = record.read(folder)
    other_processor()
    result, second = resume(folder, space, **settings)
    after = record.read(folder)
    assert len(first.points) + len(second.points) == 90
    assert np.array_equal(after.x[:41], before.x)
    assert np.array_equal(after.cost[:41], before.cost, equal_nan=True)
    assert result.message.endswith("resumed, not bit-identical")
    assert "laid over" in caplog.text
    assert "not bit-identical" in json.loads((folder / "result.json").read_text())["message"]
    again, none = resume(folder, space, **settings)
    assert not none.points
    assert repr(again) == repr(result)
    assert record.read(folder).digest == after.digest


def test_a_cached_record_keeps_every_point_where_candidates_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"algorithm": "ga", "budget": 120}
    folder = tmp_path / "run"
    first = start(folder, 71, FINITE, **settings)
    before = record.read(folder)
    decode = space_room.Space.decode
    monkeypatch.setattr(space_room.Space, "decode", lambda self, unit: decode(self, 1 - unit))
    result, second = resume(folder, FINITE, **settings)
    after = record.read(folder)
    assert np.array_equal(after.x[:71], before.x)
    assert len(first.points) + len(second.points) == result.nfev == len(after.ids)
    assert len({*first.points, *second.points}) == len(after.ids)
    assert resume(folder, FINITE, **settings)[1].points == []


def test_a_record_of_the_first_schema_is_read_and_gone_on_with(tmp_path: Path) -> None:
    def bowl(x: Array) -> tuple[float, float]:
        return float((x**2).sum()), max(0.0, float(x[0]))

    settings: dict[str, Any] = {"algorithm": "random-search", "budget": 50, "batch_size": 10}
    bounds = [(-5.0, 5.0)] * 2
    whole = minimize(bowl, bounds, seed=7, **settings)
    folder = create(tmp_path / "run", {**settings, "seed": 7, "lookahead": 0,
                    "set": {"algorithm": {}}}, Space([Real(-5, 5)] * 2))  # fmt: skip
    folder.__exit__(None, None, None)
    shutil.copyfile(OLD, tmp_path / "run" / record.FILE)
    old = record.read(tmp_path / "run")
    assert len(old.ids) == 33
    assert (tmp_path / "run" / record.FILE).read_bytes() == OLD.read_bytes()
    result = minimize(bowl, bounds, run_dir=tmp_path / "run", resume=True, **settings)
    new = record.read(tmp_path / "run")
    assert np.array_equal(new.x[:33], old.x)
    assert np.array_equal(new.cost[:33], old.cost, equal_nan=True)
    assert np.array_equal(new.status[:33], old.status)
    assert result.n_failed == 4
    assert result.nfev == len(new.ids) == 50
    assert result.fun >= whole.fun
    with sqlite3.connect(tmp_path / "run" / record.FILE) as db:
        assert schema.of_file(db, Path("x")) is schema.LATEST
        texts = db.execute("SELECT info FROM evaluation WHERE status = 2").fetchall()
    assert texts == [('{"error": "RuntimeError: broken"}',)] * 4
