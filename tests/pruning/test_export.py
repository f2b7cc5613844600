"""Exported networks compute what the network computes, or there is no file."""

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from swarmopt_pruning import (
    ChannelGraph,
    NotExportable,
    PruningError,
    build,
    load_program,
    measure_latency,
    save_onnx,
    save_program,
    uniform,
)
from swarmopt_pruning import export as exporting


def images(n: int) -> Tensor:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(n))


@pytest.fixture(scope="module")
def small() -> nn.Module:
    model = build("digits-cnn", widths=(4, 6, 8)).eval()
    graph = ChannelGraph.trace(model, (images(2),), verify=False)
    return graph.plan(uniform(graph.groups, 0.5)).apply(model)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2])
def test_a_program_is_saved_and_loaded_and_takes_any_number_of_images(
    small: nn.Module, tmp_path: Path, n: int
) -> None:
    made = save_program(small, (images(n),), tmp_path / "deep" / "small.pt2")
    assert made.any_batch
    assert made.difference < 1e-5
    assert [path.name for path in made.path.parent.iterdir()] == ["small.pt2"]
    loaded = load_program(made.path)
    torch.testing.assert_close(loaded(images(7)), small(images(7)))


def test_a_program_holds_no_images_and_the_model_keeps_its_mode(
    small: nn.Module, tmp_path: Path
) -> None:
    small.train()
    made = save_program(small, (images(2),), tmp_path / "small.pt2")
    assert small.training
    small.eval()
    with zipfile.ZipFile(made.path) as archive:
        samples = [archive.read(name) for name in archive.namelist() if "/sample_inputs/" in name]
    assert samples == [b""]


class Pooled(nn.Module):
    """Its batch is in its shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x).view(2, 108)
        return y


class Two(nn.Module):
    """Two inputs, a dictionary of outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3)

    def forward(self, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        return {"a": self.conv(x), "b": self.conv(y).mean((2, 3))}


def test_a_network_of_a_fixed_batch_is_exported_for_that_batch(tmp_path: Path) -> None:
    made = save_program(Pooled(), (images(2),), tmp_path / "a.pt2")
    assert not made.any_batch
    assert load_program(made.path)(images(2)).shape == (2, 108)


def test_several_inputs_and_outputs_are_exported(tmp_path: Path) -> None:
    model = Two()
    made = save_program(model, (images(2), images(2)), tmp_path / "a.pt2")
    found = load_program(made.path)(images(3), images(3))
    torch.testing.assert_close(found, model(images(3), images(3)))


def test_a_file_that_computes_something_else_is_not_left(
    small: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "small.pt2"
    path.write_text("an older file")
    monkeypatch.setattr(exporting, "load_program", lambda _: lambda x: small(x) + 1e-3)
    with pytest.raises(PruningError, match=r"small\.pt2 was not written: an output differs by"):
        save_program(small, (images(2),), path)
    monkeypatch.setattr(exporting, "load_program", lambda _: lambda x: small(x)[:, :3])
    with pytest.raises(PruningError, match=r"its outputs have shapes \[\(2, 3\)\]"):
        save_program(small, (images(2),), path)
    assert path.read_text() == "an older file"
    assert [p.name for p in tmp_path.iterdir()] == ["small.pt2"]


class Branching(nn.Module):
    """Decides on values."""

    def forward(self, x: Tensor) -> Tensor:
        return x + 1 if x.sum() > 0 else x


def test_what_cannot_be_exported_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotExportable, match="Branching runs, but has no static graph"):
        save_program(Branching(), (images(2),), tmp_path / "a.pt2")
    with pytest.raises(PruningError, match=r"Two does not run on the example: .*missing"):
        save_program(Two(), (images(2),), tmp_path / "a.pt2")
    with pytest.raises(PruningError, match=r"pass \(images,\)"):
        save_program(Branching(), images(2), tmp_path / "a.pt2")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


class Boom:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return (print, ("boom",))


def test_a_program_with_pickled_objects_is_refused_unopened(
    small: nn.Module, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = save_program(small, (images(2),), tmp_path / "good.pt2")
    evil = tmp_path / "evil.pt2"
    with zipfile.ZipFile(made.path) as old, zipfile.ZipFile(evil, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if "/sample_inputs/" in name:
                buffer = io.BytesIO()
                torch.save(Boom(), buffer, pickle_module=pickle)
                content = buffer.getvalue()
            new.writestr(name, content)
    with pytest.raises(PruningError, match="holds pickled objects"):
        load_program(evil)
    assert "boom" not in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"PK not a zip", b"{}"])
def test_a_file_that_is_no_program_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pt2"
    path.write_bytes(content)
    with pytest.raises(PruningError, match=r"a\.pt2 is no readable torch\.export program"):
        load_program(path)
    with pytest.raises(PruningError, match="no readable"):
        load_program(tmp_path / "none.pt2")


@pytest.mark.slow
def test_onnx_computes_the_same_for_any_number_of_images(small: nn.Module, tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    made = save_onnx(small, (images(1),), tmp_path / "small.onnx")
    assert made.any_batch
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]
    session = runtime.InferenceSession(made.path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images(5).numpy()})
    torch.testing.assert_close(torch.from_numpy(found), small(images(5)), rtol=1e-4, atol=1e-5)


def test_without_the_extra_the_error_says_what_to_install(
    small: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(name: str) -> object:
        return None if name == "onnxscript" else object()

    monkeypatch.setattr("importlib.util.find_spec", found)
    with pytest.raises(PruningError, match=r"onnxscript cannot .* 'swarmopt-pruning\[onnx\]'"):
        save_onnx(small, (images(2),), tmp_path / "a.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_latency_says_how_it_was_measured() -> None:
    seen: list[int] = []

    class Counting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert not self.training
            seen.append(torch.get_num_threads())
            return x

    model = Counting().train()
    before = torch.get_num_threads()
    found = measure_latency(model, (images(3),), threads=2, warm_up=4, repeats=11)
    assert seen == [2] * 15
    assert torch.get_num_threads() == before
    assert model.training
    assert (found.batch, found.threads, found.warm_up, found.repeats) == (3, 2, 4, 11)
    assert 0 < found.low_ms <= found.median_ms <= found.high_ms
    assert "for 3 images on 2 threads, 11 calls after 4 to warm up" in str(found)


def test_the_calls_that_warm_up_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    calls: list[float] = []

    class Slow(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            calls.append(9.0 if len(calls) < 3 else 0.001 * (len(calls) - 2))  # 1, 2, ... 11 ms
            clock[0] += calls[-1]
            return x

    monkeypatch.setattr("swarmopt_pruning.latency.time.perf_counter", lambda: clock[0])
    found = measure_latency(Slow(), (images(1),), warm_up=3, repeats=11)
    assert (found.low_ms, found.median_ms, found.high_ms) == pytest.approx((2, 6, 10))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"threads": 0}, "threads"), ({"warm_up": -1}, "warm_up"), ({"repeats": 1}, "repeats")],
)
def test_a_latency_needs_enough_calls(settings: dict[str, int], message: str) -> None:
    with pytest.raises(PruningError, match=f"{message}: expected at least"):
        measure_latency(nn.Identity(), (images(1),), **settings)


def test_a_network_that_answers_differently_each_time_is_no_fault_of_the_exporter(
    tmp_path: Path,
) -> None:
    class Rolls(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x + torch.rand_like(x)

    path = tmp_path / "rolls.pt2"
    with pytest.raises(PruningError, match=r"not written: Rolls answers differently"):
        save_program(Rolls(), (torch.zeros(2, 3),), path)
    assert not path.exists()
