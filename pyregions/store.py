"""Layer 4. Result files: written whole or not at all, read back without pickle, checked for writability beforehand."""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from .errors import PyregionsError


class OutputError(PyregionsError, OSError):
    """The output folder cannot be used: not writable, not a folder, or filled by another configuration."""


def ensure_writable(folder: Path) -> None:
    """Create `folder` if it is missing and prove by writing a file that results can be stored there.

    Raises
    ------
    OutputError
        If the folder cannot be created or written; nothing else has been started by then.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable-") as probe:
            probe.write(b"pyregions")
            probe.flush()
    except OSError as error:
        raise OutputError(f"cannot write to the output folder {str(folder)!r}: {error.strerror or error}") from error


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Call `write(file)` on a temporary neighbor of `path` and rename it, so that no half-written file is ever seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            write(file)
        # mkstemp makes private files; results are as readable as anything else the user creates.
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` as it is."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write `value` as strict JSON; NaN and infinities become null and the strings "inf" and "-inf"."""
    write_text(path, json.dumps(plain(value), indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    OutputError
        If the file is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise OutputError(f"{str(path)!r} is damaged: {error}; remove it to compute it again") from error


def plain(value: object) -> object:
    """NumPy values, tuples and non-finite numbers as what strict JSON can hold."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else ("inf" if value > 0 else "-inf")
    return value


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays as .npz, never pickled."""
    # The cast names the positional file only: NumPy's signature mixes the array names with its own options.
    save: Callable[..., None] = np.savez
    write_atomically(path, lambda file: save(file, **arrays))


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read what `write_arrays` wrote; refuses pickled content."""
    with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def write_table(path: Path, table: Any) -> None:
    """Write a pandas DataFrame as Parquet."""
    write_atomically(path, lambda file: table.to_parquet(file, index=False))


def read_table(path: Path) -> Any:
    """Read a Parquet file into a pandas DataFrame."""
    import pandas

    return pandas.read_parquet(path)
