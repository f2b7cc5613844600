"""Images from files: IDX and CIFAR's batches are read bit by bit, and damage is named."""

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from swarmopt_pruning import PruningError, UnknownName, load_data, places
from swarmopt_pruning.idx import read_idx
from swarmopt_pruning.image_folder import IDX, read_folder

RNG = np.random.default_rng(0)
SYSTEM = Path("/usr/share/datasets/fashion-mnist")


def idx(values: Any, *, magic: bytes | None = None, sizes: tuple[int, ...] | None = None) -> bytes:
    """Return an IDX file, as its description has it."""
    array: NDArray[np.uint8] = np.asarray(values, np.uint8)
    sizes = array.shape if sizes is None else sizes
    magic = bytes((0, 0, 8, array.ndim)) if magic is None else magic
    return magic + struct.pack(f">{len(sizes)}I", *sizes) + array.tobytes()


def pictures(n: int, *shape: int) -> Any:
    return RNG.integers(0, 256, (n, *shape), np.uint8)


def idx_folder(folder: Path, n: int = 40, n_test: int = 12, end: str = "") -> tuple[Any, ...]:
    """Write a small set, and return its four arrays."""
    folder.mkdir(exist_ok=True)
    arrays = (pictures(n, 5, 4), np.arange(n) % 3, pictures(n_test, 5, 4), np.arange(n_test) % 3)
    for name, array in zip(IDX, arrays, strict=True):
        content = idx(array)
        (folder / (name + end)).write_bytes(gzip.compress(content, 1) if end else content)
    return arrays


def cifar_folder(folder: Path, n: int = 20, n_batches: int = 2) -> tuple[Any, Any]:
    """Write small batches, and return images and labels of the training ones."""
    folder.mkdir(exist_ok=True)
    x, y = pictures(n * n_batches, 3, 32, 32), (np.arange(n * n_batches) % 10).astype(np.uint8)
    records = np.concatenate([y[:, None], x.reshape(len(x), -1)], axis=1)
    for i, part in enumerate(np.split(records, n_batches)):
        (folder / f"data_batch_{i + 1}.bin").write_bytes(part.tobytes())
    (folder / "test_batch.bin").write_bytes(records[:10].tobytes())
    return x, y


@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_folder_of_idx_files_is_read_bit_by_bit(tmp_path: Path, end: str) -> None:
    x, y, test_x, test_y = idx_folder(tmp_path / "mine", end=end)
    train, test = read_folder(tmp_path / "mine")
    assert np.array_equal(train.x, x[:, None])
    assert np.array_equal(train.y, y)
    assert np.array_equal(test.x, test_x[:, None])
    assert np.array_equal(test.y, test_y)


def test_batches_of_cifar_are_read_bit_by_bit(tmp_path: Path) -> None:
    x, y = cifar_folder(tmp_path / "c")
    train, test = read_folder(tmp_path / "c")
    assert np.array_equal(train.x, x)
    assert np.array_equal(train.y, y)
    assert np.array_equal(test.x, x[:10])


@pytest.mark.parametrize("make", [idx_folder, cifar_folder])
def test_a_folder_is_data_whose_training_pixels_are_standardised_by_channel(
    tmp_path: Path, make: Callable[[Path], Any]
) -> None:
    make(tmp_path / "mine")
    data = load_data(str(tmp_path / "mine"))
    train = data.train.x
    assert torch.allclose(train.mean((0, 2, 3)), torch.zeros(train.shape[1]), atol=1e-5)
    assert torch.allclose(train.std((0, 2, 3), correction=0), torch.ones(train.shape[1]), atol=1e-5)
    raw = torch.from_numpy(read_folder(tmp_path / "mine")[1].x.astype(np.float32))
    for channel in range(train.shape[1]):  # the same line for the test images
        line = np.polyfit(raw[:, channel].flatten(), data.test.x[:, channel].flatten(), 1)
        fitted = np.polyval(line, raw[:, channel].flatten())
        assert np.allclose(fitted, data.test.x[:, channel].flatten(), atol=1e-4)
    for part in (data.train, data.held_out, data.test):
        assert part.x.is_contiguous()
        assert part.x.dtype == torch.float32
    assert len(data.held_out) == 10


def test_a_channel_that_is_the_same_everywhere_stays_finite(tmp_path: Path) -> None:
    _, y, *_ = idx_folder(tmp_path)
    (tmp_path / IDX[0]).write_bytes(idx(np.full((len(y), 5, 4), 7)))
    assert load_data(str(tmp_path)).train.x.abs().max() == 0


@given(
    shape=st.tuples(*[st.integers(1, 9)] * 3),
    cut=st.integers(0, 200),
    zipped=st.booleans(),
)
def test_no_part_of_a_file_is_taken_for_the_whole(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int, int], cut: int, zipped: bool
) -> None:
    path = tmp_path_factory.mktemp("idx") / ("x.gz" if zipped else "x")
    array = np.arange(np.prod(shape)).reshape(shape) % 251
    whole = gzip.compress(idx(array), 1) if zipped else idx(array)
    path.write_bytes(whole)
    assert np.array_equal(read_idx(path, 3), array)
    path.write_bytes(whole[: cut % len(whole)])
    with pytest.raises(PruningError, match="x"):
        read_idx(path, 3)


IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = IDX
GOOD = idx(np.arange(40) % 3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (LABELS, b"", "the file is empty; get the file anew"),
        (LABELS, GOOD[:6], "header ends after 6 bytes"),
        (LABELS, idx(pictures(4, 2, 2)), "begins with 0x00000801, got 0x00000803"),
        (LABELS, b"PK\x03\x04" + GOOD, "got 0x504b0304; get the file anew"),
        (IMAGES, idx(pictures(40, 20), magic=b"\0\0\x0d\x03", sizes=(40, 5, 4)), "got 0x00000d03"),
        (LABELS, GOOD[:-1], "promises 40 bytes|expected 40 bytes"),
        (LABELS, GOOD + b"\0", "there are more"),
        (LABELS, idx([], sizes=(0,)), "at least one byte"),
        (LABELS, idx(np.arange(39) % 3), "40 images, .* 39 labels"),
        (LABELS, idx(np.ones(40)), "all labels are 1"),
        (TEST_LABELS, idx(np.arange(12) % 4), r"0 to 2, got 3 for image 3 \(3 of 12"),
        (TEST_IMAGES, idx(pictures(12, 4, 5)), "training images are of"),
        (IMAGES, idx([1], magic=b"\0\0\x08\x03", sizes=(1 << 31, 1 << 31, 1 << 31)), "promises"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_damaged_idx_file_is_named(
    tmp_path: Path, name: str, content: bytes, message: str, end: str
) -> None:
    idx_folder(tmp_path, end=end)
    (tmp_path / (name + end)).write_bytes(gzip.compress(content) if end else content)
    with pytest.raises(PruningError, match=message) as caught:
        load_data(str(tmp_path))
    assert name in str(caught.value) or "training images" in message


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-4],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-8] + b"\0\0\0\0" + whole[-4:],  # the check sum
        lambda whole: whole[:12] + bytes(8) + whole[20:],
        lambda whole: b"no gzip at all",
        lambda whole: whole + b"and more",
    ],
)
def test_a_damaged_gzip_file_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    idx_folder(tmp_path, end=".gz")
    path = tmp_path / f"{IMAGES}.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(PruningError, match=IMAGES):
        load_data(str(tmp_path))


def test_a_header_that_lies_takes_no_memory(tmp_path: Path) -> None:
    head = b"\0\0\x08\x03" + struct.pack(">3I", 3000, 1000, 1000)  # three billion bytes
    plain, zipped = tmp_path / "plain", tmp_path / "zipped.gz"
    plain.write_bytes(head + bytes(1000))
    zipped.write_bytes(gzip.compress(head + RNG.bytes(4_000_000), 0))
    tracemalloc.start()
    for path in (plain, zipped):
        with pytest.raises(PruningError, match=r"3,000,000,000 bytes"):
            read_idx(path, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 40_000_000


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("data_batch_2.bin", lambda content: content[:-1], "multiple of 3,073 bytes"),
        ("data_batch_2.bin", lambda content: b"", "the file is empty"),
        ("test_batch.bin", lambda content: content + b"\0", "multiple of 3,073 bytes"),
        ("test_batch.bin", lambda content: b"\x0a" + content[1:], "0 to 9, got 10 for image 0"),
        ("test_batch.bin", None, "test_batch.bin is missing"),
    ],
)
def test_a_damaged_batch_of_cifar_is_named(
    tmp_path: Path, name: str, change: Callable[[bytes], bytes] | None, message: str
) -> None:
    cifar_folder(tmp_path)
    path = tmp_path / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(PruningError, match=message) as caught:
        load_data(str(tmp_path))
    assert str(path) in str(caught.value)


def test_batches_of_one_class_are_refused(tmp_path: Path) -> None:
    cifar_folder(tmp_path)
    for path in tmp_path.glob("*.bin"):
        records = np.fromfile(path, np.uint8).reshape(-1, 3073)
        records[:, 0] = 4
        records.tofile(path)
    with pytest.raises(PruningError, match="all labels are 4"):
        load_data(str(tmp_path))


def test_what_is_missing_in_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PruningError, match="four IDX files"):
        load_data(str(tmp_path))
    idx_folder(tmp_path)
    (tmp_path / TEST_LABELS).unlink()
    with pytest.raises(PruningError, match=f"{TEST_LABELS} is missing, and so is"):
        load_data(str(tmp_path))
    with pytest.raises(PruningError, match="is no folder"):
        load_data(str(tmp_path / "nowhere"))


def test_a_folder_of_this_place_needs_no_slash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    idx_folder(tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    assert load_data("mine").digest() == load_data("./mine").digest()
    with pytest.raises(UnknownName, match="there is no data set named 'mines'"):
        load_data("mines")


@pytest.mark.parametrize("name", ["fashion-mnist", "cifar10"])
def test_missing_data_say_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SWARMOPT_DATA", str(tmp_path))
    monkeypatch.setattr(places, "SYSTEM", tmp_path / "none")
    cures = {"fashion-mnist": "dataset-fashion-mnist", "cifar10": "cifar-10-binary.tar.gz"}
    with pytest.raises(PruningError, match=cures[name]) as caught:
        load_data(name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "make"), [("fashion-mnist", idx_folder), ("cifar10", cifar_folder)]
)
def test_a_name_stands_for_the_whole_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, make: Callable[[Path], Any]
) -> None:
    make(tmp_path / name)
    for i in (3, 4, 5) if name == "cifar10" else ():
        whole = tmp_path / name / "data_batch_1.bin"
        (tmp_path / name / f"data_batch_{i}.bin").write_bytes(whole.read_bytes())
    monkeypatch.setenv("SWARMOPT_DATA", str(tmp_path))
    with pytest.raises(PruningError, match=r"expected [56]0,000 images of shape") as caught:
        load_data(name)
    assert str(tmp_path / name) in str(caught.value)


def test_missing_batches_of_the_whole_cifar_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar_folder(tmp_path / "cifar10")
    monkeypatch.setenv("SWARMOPT_DATA", str(tmp_path))
    named = (
        r"cifar10: data_batch_3\.bin, data_batch_4\.bin, data_batch_5\.bin missing in .*10-binary"
    )
    with pytest.raises(PruningError, match=named):
        load_data("cifar10")


@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_folder_in_the_place_of_a_file_is_named(tmp_path: Path, end: str) -> None:
    idx_folder(tmp_path / "idx", end=end)
    (tmp_path / "idx" / f"{LABELS}{end}").unlink()
    (tmp_path / "idx" / f"{LABELS}{end}").mkdir()
    with pytest.raises(PruningError, match=f"{LABELS}{end}: expected an IDX file, got a folder"):
        load_data(str(tmp_path / "idx"))
    cifar_folder(tmp_path / "cifar")
    (tmp_path / "cifar" / "test_batch.bin").unlink()
    (tmp_path / "cifar" / "test_batch.bin").mkdir()
    with pytest.raises(PruningError, match=r"test_batch\.bin: expected a file of .*got a folder"):
        load_data(str(tmp_path / "cifar"))


def test_test_images_of_one_class_are_refused_in_batches_of_cifar_too(tmp_path: Path) -> None:
    cifar_folder(tmp_path)
    path = tmp_path / "test_batch.bin"
    path.write_bytes(path.read_bytes()[:3073])
    with pytest.raises(PruningError, match="test: expected images of two classes or more"):
        load_data(str(tmp_path))


def test_the_first_folder_that_has_files_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, cache = tmp_path / "own", tmp_path / "cache" / "swarmopt"
    monkeypatch.setenv("SWARMOPT_DATA", str(own))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folders = places.data_folders("fashion-mnist")
    assert folders == [own / "fashion-mnist", cache / "fashion-mnist", SYSTEM]
    (own / "fashion-mnist").mkdir(parents=True)  # empty, so it hides nothing
    cache.mkdir(parents=True)
    idx_folder(cache / "fashion-mnist")
    assert places.first_with(folders, IDX) == cache / "fashion-mnist"
    monkeypatch.delenv("SWARMOPT_DATA")
    assert places.data_folders("x")[0] == cache / "x"


@pytest.mark.slow
@pytest.mark.skipif(not SYSTEM.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_fashion_mnist_of_debian_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SWARMOPT_DATA", raising=False)
    data = load_data("fashion-mnist")
    assert [len(p) for p in (data.train, data.held_out, data.test)] == [45_000, 15_000, 10_000]
    assert torch.bincount(data.test.y).tolist() == [1000] * 10
    labels = torch.cat([data.train.y, data.held_out.y])
    assert torch.bincount(labels).tolist() == [6000] * 10
    assert data.train.x.shape[1:] == (1, 28, 28)
    assert abs(float(data.test.x.mean())) < 0.01
