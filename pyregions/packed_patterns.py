"""Patterns: many activation patterns as packed bits, with Hamming distances and duplicates."""

from __future__ import annotations

import operator
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from .values import U8, frozen

I64 = NDArray[np.int64]
I32 = NDArray[np.int32]

# Unpacked patterns at a time, in numbers: 64 MB of float32.
TILE = 2**24


class Patterns:
    """M patterns as bits; made by :func:`patterns`. Item m is the pattern (units,) of point m.

    Attributes
    ----------
    packed : (M, ceil(units / 8)) uint8
        Unit 0 is the lowest bit of the first byte (``np.unpackbits(..., bitorder="little")``).
    units : int

    Raises
    ------
    ValueError
        If ``packed`` is no uint8 array of that shape.
    """

    def __init__(self, packed: U8, units: int) -> None:
        width = (units + 7) // 8
        if not isinstance(packed, np.ndarray) or packed.dtype != np.uint8 or packed.shape[1:] != (width,):
            raise ValueError(f"packed must be a uint8 array (M, {width}) for {units} units")
        self.packed: U8 = frozen(packed.view())
        self.units = units

    def __len__(self) -> int:
        return len(self.packed)

    @overload
    def __getitem__(self, index: int) -> U8: ...
    @overload
    def __getitem__(self, index: slice) -> Patterns: ...
    def __getitem__(self, index: int | slice) -> U8 | Patterns:
        if isinstance(index, slice):
            return Patterns(self.packed[index], self.units)
        return np.unpackbits(self.packed[operator.index(index)], count=self.units, bitorder="little")

    def unpack(self) -> U8:
        """All patterns, one byte per unit: (M, units)."""
        return np.unpackbits(self.packed, axis=1, count=self.units, bitorder="little")

    def hamming(self, other: Patterns | None = None) -> I32:
        """In how many units each pattern differs from each of ``other`` (by default of these): int32 (M, K).

        Patterns at distance 1 need not be neighbors, nor need neighbors be at distance 1.

        Raises
        ------
        ValueError
            If the patterns have different numbers of units.
        """
        those = self if other is None else other
        if not isinstance(those, Patterns):
            raise TypeError(f"other must be Patterns, got {type(those).__name__}")
        if those.units != self.units:
            raise ValueError(f"these patterns have {self.units} units, the others {those.units}")
        out = np.empty((len(self), len(those)), dtype=np.int32)
        step = max(1, TILE // max(1, self.units))
        for i in range(0, len(self), step):
            mine = self[i : i + step]._signs()
            for j in range(0, len(those), step):
                # Of +-1 each: the product is units - 2 * distance, an integer that the type of _signs holds exactly.
                out[i : i + step, j : j + step] = (self.units - mine @ those[j : j + step]._signs().T) / 2
        return out

    @cached_property
    def _unique(self) -> tuple[I64, I64, I64]:
        rows = np.ascontiguousarray(self.packed)
        keys = rows.view(f"V{rows.shape[1]}")[:, 0] if rows.shape[1] else np.zeros(len(rows), dtype=np.uint8)
        _, first, inverse, counts = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
        order = np.argsort(first)
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        return frozen(first[order]), frozen(rank[inverse]), frozen(counts[order])

    @property
    def distinct(self) -> int:
        """The number of different patterns: regions that the points meet."""
        return len(self._unique[0])

    def unique(self) -> tuple[I64, I64, I64]:
        """The different patterns in order of appearance.

        Returns
        -------
        first, inverse, counts : int64 arrays
            The first point of each (K,), the number of the pattern of each point (M,), and how often each occurs (K,).
        """
        return self._unique

    def counts(self) -> I64:
        """How many of the points share each point's pattern, itself included: (M,)."""
        _, inverse, counts = self._unique
        return np.asarray(counts[inverse])

    def _signs(self) -> Any:
        """-1 and 1 as float32, as long as that holds every sum of them."""
        signs: Any = self.unpack().astype(np.float32 if self.units < 2**24 else np.float64)
        signs *= 2
        signs -= 1
        return signs

    def __repr__(self) -> str:
        return f"Patterns({len(self)} patterns of {self.units} units)"
