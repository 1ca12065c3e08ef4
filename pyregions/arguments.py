"""Checks and conversions of arguments: everything exact, every complaint naming the argument and what is wrong."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core

F64 = NDArray[np.float64]

# Seconds that one exact decision may take before it stays undecided.
EXACT_BUDGET = 60.0


@contextmanager
def plain_floats() -> Iterator[None]:
    """Within this context (or function, as a decorator) subnormal numbers are numbers.

    Another library may have switched flush-to-zero on in this thread, which comes back at the end. Without this even a
    comparison, or the conversion of a float32, takes them as zero.
    """
    with _core.FloatEnvironment():
        yield


@plain_floats()
def real_array(value: ArrayLike, name: str) -> F64:
    """``value`` as a C-contiguous float64 array, taken exactly.

    Raises
    ------
    ValueError
        If the numbers are not real, not exact in float64, or not finite.
    """
    array = np.asarray(value)
    if array.dtype.kind not in "fiub":
        hint = "; the imaginary part would be lost" if array.dtype.kind == "c" else ""
        raise ValueError(f"{name} must be real numbers, got dtype {array.dtype}{hint}")
    out = np.asarray(array, dtype=np.float64, order="C")
    if array.dtype.kind == "f" and array.dtype.itemsize > 8 and (out != array).any():
        raise ValueError(f"{name} ({array.dtype}) has numbers that float64 cannot hold exactly; round them first")
    if array.dtype.kind in "iu" and ((array > 2**53) | (array < -(2**53))).any():
        raise ValueError(f"{name} holds integers above 2**53, which float64 cannot hold exactly")
    if not np.isfinite(out).all():
        where = tuple(int(k) for k in np.argwhere(~np.isfinite(out))[0])
        raise ValueError(f"{name} holds {array[where]} at index {where}; every number must be finite")
    return out


def point_array(value: ArrayLike, dim: int, name: str, shape: tuple[int, ...] = ()) -> F64:
    """One point (d,), or of the network's input shape, as float64 (d,)."""
    out = real_array(value, name)
    if out.shape not in ((dim,), tuple(shape)):
        also = f" or {tuple(shape)}" if shape and tuple(shape) != (dim,) else ""
        hint = "; for many points at once use regions(X)" if out.ndim == 2 and out.shape[1] == dim else ""
        raise ValueError(f"{name} has shape {out.shape}, expected {(dim,)}{also}{hint}")
    return out.reshape(dim)


def budget_seconds(value: float, name: str = "exact_budget") -> float:
    """Seconds that something may take, as a positive float (``inf`` allowed)."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be a number of seconds, got {value!r}") from None
    if not seconds > 0 or isinstance(value, (str, bool)):
        raise ValueError(f"{name} must be a positive number of seconds (math.inf for no limit), got {value!r}")
    return seconds


def whole_number(value: object, name: str, least: int, most: int = 2**62) -> int:
    """An argument that must be a whole number of at least ``least`` and at most ``most``.

    Raises
    ------
    ValueError
        Naming the argument.
    """
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None or isinstance(value, bool) or number < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    if number > most:
        raise ValueError(f"{name} must be at most {most}, got {value!r}")
    return number


def worker_count(workers: int | None) -> int:
    """The number of threads to use: as given, else the CPUs that this process may use."""
    return _core.available_cpus() if workers is None else whole_number(workers, "workers", 1, 2**16)


def norm_code(norm: object) -> int:
    """The core's number for a norm given as 1, 2, ``np.inf`` or "linf"."""
    codes: dict[object, int] = {1: 1, 2: 2, np.inf: 0, "l1": 1, "l2": 2, "linf": 0, "inf": 0}
    try:
        if isinstance(norm, (bool, np.bool_, complex)):
            raise KeyError(norm)
        return codes[norm]
    except (KeyError, TypeError):
        raise ValueError(f"norm must be 1, 2 or np.inf, got {norm!r}") from None


@plain_floats()
def row_arrays(A: ArrayLike, b: ArrayLike, dim: int | None = None) -> tuple[F64, F64]:
    """Rows ``A x <= b`` as float64 arrays (N, d) and (N,).

    Raises
    ------
    ValueError
        On a shape mismatch, numbers that are not finite, or a row of A that is zero.
    """
    rows, offsets = np.atleast_2d(real_array(A, "A")), np.atleast_1d(real_array(b, "b"))
    if rows.ndim != 2 or offsets.ndim != 1 or len(rows) != len(offsets):
        raise ValueError(f"A has shape {rows.shape} and b {offsets.shape}; expected (N, d) and (N,)")
    if dim is not None and rows.shape[1] != dim:
        raise ValueError(f"A has shape {rows.shape}; expected (N, {dim}), one column per coordinate")
    zero = np.flatnonzero(~rows.any(axis=1))
    if len(zero):
        raise ValueError(f"row {zero[0]} of A is zero: it is no halfspace; drop it (it says 0 <= {offsets[zero[0]]})")
    return rows, offsets


def activation_slope(activation: object) -> float:
    """The slope below 0 of an activation given by name; 0 for ReLU."""
    if activation == "relu":
        return 0.0
    if isinstance(activation, tuple) and len(activation) == 2 and activation[0] == "leaky_relu":
        return float(real_array(activation[1], "the slope of leaky_relu"))
    raise ValueError(f"activation must be 'relu' or ('leaky_relu', slope), got {activation!r}")


def check_tie(tie: str) -> None:
    """ValueError unless ``tie`` is one of its two words."""
    if tie not in ("raise", "any"):
        raise ValueError(f"tie must be 'raise' or 'any', got {tie!r}")


def counter(total: int) -> Callable[[int], None]:
    """A progress report on standard error: tqdm's bar where it is installed (it comes with the study extra)."""
    try:
        from tqdm import tqdm
    except ImportError:

        def show(done: int) -> None:
            print(f"\rregions: {done}/{total}", end="\n" if done >= total else "", file=sys.stderr, flush=True)

        return show
    bar = tqdm(total=total, unit="region")

    def advance(done: int) -> None:
        bar.update(done - bar.n)
        if done >= total:
            bar.close()

    return advance
