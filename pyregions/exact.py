"""Exact arrays: Python integers with one power-of-two exponent per array, and the three passes of a network in them.

Nothing here rounds and nothing here uses the compiled core, so certificates can be replayed from the raw weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arguments import plain_floats

Ints = NDArray[np.object_]

# Below this many scalar products a plain object-array product is faster than splitting into limbs (measured).
_LIMB_THRESHOLD = 20_000


def _limbs(values: Ints, count: int) -> Any:
    """Integers as little-endian base 65536: shape (count, *values.shape), the last limb signed."""
    width = 2 * count
    raw = b"".join([int(v).to_bytes(width, "little", signed=True) for v in values.flat])
    digits = np.frombuffer(raw, dtype="<u2").reshape(*values.shape, count)
    out = np.moveaxis(digits, -1, 0).astype(np.float64)
    out[-1] = np.frombuffer(raw, dtype="<i2").reshape(*values.shape, count)[..., -1]
    return out


def _limb_count(values: Ints) -> int:
    largest = max(int(values.max()), -int(values.min())) if values.size else 0
    return largest.bit_length() // 16 + 1  # one bit for the sign


def _limb_product(a: Ints, b: Ints) -> Ints:
    """a @ b through float64 products of 16-bit limbs.

    A limb is below 2^16 in size, so a sum of n * pairs products is an integer below n * pairs * 2^32; while that is at
    most 2^53 every partial sum is exactly representable and the float product is exact, in any order of summation.
    """
    count_a, count_b = _limb_count(a), _limb_count(b)
    if a.shape[1] * min(count_a, count_b) > 2**21:
        half = a.shape[1] // 2
        return np.asarray(_limb_product(a[:, :half], b[:half]) + _limb_product(a[:, half:], b[half:]), dtype=object)
    limbs_a, limbs_b = _limbs(a, count_a), _limbs(b, count_b)
    places = count_a + count_b - 1
    sums = np.zeros((places, a.shape[0], b.shape[1]))
    for i in range(count_a):
        for j in range(count_b):
            sums[i + j] += limbs_a[i] @ limbs_b[j]
    digits = np.empty((a.shape[0], b.shape[1], places + 4), dtype="<u2")
    carry = np.zeros((a.shape[0], b.shape[1]), dtype=np.int64)
    for k in range(places):
        carry += sums[k].astype(np.int64)  # below 2^53 + 2^38: no overflow
        digits[..., k] = carry & 0xFFFF
        carry >>= 16
    digits[..., places:] = carry.astype("<i8")[..., None].view("<u2")
    raw, width = digits.tobytes(), 2 * (places + 4)
    out = np.empty(a.shape[0] * b.shape[1], dtype=object)
    out[:] = [int.from_bytes(raw[k : k + width], "little", signed=True) for k in range(0, len(raw), width)]
    return out.reshape(a.shape[0], b.shape[1])


def integer_product(a: Ints, b: Ints) -> Ints:
    """The exact matrix product of two object arrays of Python integers, shapes (m, n) and (n, k)."""
    if 0 in (*a.shape, b.shape[1]):
        return np.zeros((a.shape[0], b.shape[1]), dtype=object) + 0
    if a.shape[0] * a.shape[1] * b.shape[1] < _LIMB_THRESHOLD:
        return np.asarray(a @ b, dtype=object)
    return _limb_product(a, b)


@dataclass(frozen=True)
class Exact:
    """An array of dyadic numbers ``ints * 2**exponent``; supports +, -, elementwise * and @ without rounding.

    Examples
    --------
    >>> x = Exact.of([0.1, 0.2]) + Exact.of([0.2, 0.1])
    >>> x.fraction(0) == x.fraction(1), x.fraction(0) == Exact.of([0.3]).fraction(0)
    (True, False)
    """

    ints: Ints
    exponent: int

    @staticmethod
    @plain_floats()
    def of(values: ArrayLike) -> Exact:
        """The stored numbers themselves; requires finite floats (or integers)."""
        array = np.asarray(values, dtype=np.float64)
        if not np.isfinite(array).all():
            raise ValueError("only finite numbers are exact")
        mantissa, power = np.frexp(array)
        whole = np.ldexp(mantissa, 53).astype(np.int64)
        zeros = np.frexp((whole & -whole).astype(np.float64))[1] - 1  # trailing zero bits; -1 where whole is 0
        nonzero = whole != 0
        zeros = np.where(nonzero, zeros, 0).astype(np.int64)
        power = power.astype(np.int64) - 53 + zeros
        lowest = int(power[nonzero].min()) if nonzero.any() else 0
        shift = np.where(nonzero, power - lowest, 0)
        ints = np.asarray((whole >> zeros).astype(object) << shift.astype(object), dtype=object)
        return Exact(ints, lowest)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.ints.shape

    @property
    def T(self) -> Exact:
        return Exact(self.ints.T, self.exponent)

    def __getitem__(self, key: Any) -> Exact:
        picked = self.ints[key]
        return Exact(picked if isinstance(picked, np.ndarray) else np.array(picked, dtype=object), self.exponent)

    def at(self, exponent: int) -> Ints:
        """The integers when written with this exponent, which must not be larger than the array's own."""
        if exponent == self.exponent:
            return self.ints
        return np.asarray(self.ints << (self.exponent - exponent), dtype=object)

    def __add__(self, other: Exact) -> Exact:
        low = min(self.exponent, other.exponent)
        return Exact(np.asarray(self.at(low) + other.at(low), dtype=object), low)

    def __sub__(self, other: Exact) -> Exact:
        return self + (-other)

    def __neg__(self) -> Exact:
        return Exact(np.asarray(-self.ints, dtype=object), self.exponent)

    def __mul__(self, other: Exact) -> Exact:
        return Exact(np.asarray(self.ints * other.ints, dtype=object), self.exponent + other.exponent)

    def __matmul__(self, other: Exact) -> Exact:
        return Exact(integer_product(self.ints, other.ints), self.exponent + other.exponent)

    def abs(self) -> Exact:
        return Exact(np.asarray(np.abs(self.ints), dtype=object), self.exponent)

    def sum(self, axis: int | None = None) -> Exact:
        """The exact sum along one axis (all of the array without one)."""
        total = self.ints.sum(axis=axis) if self.ints.size else np.zeros(np.sum(np.ones(self.shape), axis).shape, int)
        return Exact(np.asarray(total, dtype=object), self.exponent)

    def sign(self) -> NDArray[np.int8]:
        """-1, 0 or 1 per entry."""
        return (self.ints > 0).astype(np.int8) - (self.ints < 0).astype(np.int8)

    def fraction(self, *index: int) -> Fraction:
        """One entry as a Fraction (without an index: the only one)."""
        value = int(self.ints[index] if index else self.ints[()])
        if self.exponent >= 0:
            return Fraction(value << self.exponent)
        return Fraction(value, 1 << -self.exponent)

    @staticmethod
    def concatenate(parts: list[Exact], axis: int) -> Exact:
        """Joins arrays along an axis at their lowest exponent."""
        low = min(part.exponent for part in parts)
        return Exact(np.concatenate([part.at(low) for part in parts], axis=axis), low)

    @staticmethod
    def zeros(*shape: int) -> Exact:
        out = np.empty(shape, dtype=object)
        out[...] = 0
        return Exact(out, 0)


class AffineNode(NamedTuple):
    """value = sum of matrix @ value(source) + bias over the terms; a 1-D matrix is a diagonal."""

    terms: tuple[tuple[int, NDArray[np.float64]], ...]
    bias: NDArray[np.float64]


class HingeNode(NamedTuple):
    """value = low * z where z < 0 and high * z elsewhere, elementwise, z the value of the source."""

    source: int
    low: NDArray[np.float64]
    high: NDArray[np.float64]


class ExactNetwork:
    """The passes of a network in exact arithmetic.

    Law: ``forward`` is the network, or with held pieces the affine function of a pattern; ``backward`` turns
    multipliers of the pre-activations into a linear form of a root node's value. All are batched over rows.
    """

    def __init__(self, inputs: int, nodes: list[AffineNode | HingeNode]) -> None:
        self.inputs = inputs
        self.nodes = nodes
        self._terms: dict[tuple[int, int], Exact] = {}
        self.pre: list[int] = []  # node whose value is stage s's pre-activation
        self.slices: list[slice] = []  # its units
        offset = 0
        for node in nodes:
            if isinstance(node, HingeNode):
                self.pre.append(node.source)
                self.slices.append(slice(offset, offset + len(node.low)))
                offset += len(node.low)
        self.units = offset

    def _matrix(self, node: int, term: int) -> Exact:
        key = (node, term)
        if key not in self._terms:
            affine = self.nodes[node - 1]
            assert isinstance(affine, AffineNode)
            self._terms[key] = Exact.of(affine.terms[term][1])
        return self._terms[key]

    @staticmethod
    def _slopes(hinge: HingeNode, pieces: NDArray[Any]) -> Exact:
        low, high = Exact.of(hinge.low), Exact.of(hinge.high)
        exponent = min(low.exponent, high.exponent)
        return Exact(np.where(pieces != 0, high.at(exponent), low.at(exponent)), exponent)

    def forward(
        self,
        points: Exact,
        held: NDArray[np.uint8] | None = None,
        free: NDArray[np.bool_] | None = None,
        linear: bool = False,
    ) -> tuple[Exact, Exact, NDArray[np.uint8]]:
        """Pre-activations (M, units), outputs (M, m) and the pieces used (M, units).

        ``held`` (units,) or (M, units) gives the pieces; units with ``free`` set take the piece of their own sign
        (1 where positive, else 0), and so do all without ``held``. ``linear`` drops every bias.
        """
        rows = points.shape[0]
        pieces = np.zeros((rows, self.units), dtype=np.uint8)
        if held is not None:
            pieces[:] = held
        values, pre = [points], []
        stage = 0
        for index, node in enumerate(self.nodes, start=1):
            if isinstance(node, HingeNode):
                z, units = values[node.source], self.slices[stage]
                own = (z.ints > 0).astype(np.uint8)
                if held is None:
                    pieces[:, units] = own
                elif free is not None:
                    mask = np.broadcast_to(free, pieces.shape)[:, units]
                    pieces[:, units] = np.where(mask, own, pieces[:, units])
                pre.append(z)
                values.append(z * self._slopes(node, pieces[:, units]))
                stage += 1
                continue
            total = Exact.zeros(rows, len(node.bias)) if linear else Exact.zeros(rows, 1) + Exact.of(node.bias)
            for t, (source, _) in enumerate(node.terms):
                matrix = self._matrix(index, t)
                x = values[source]
                total = total + (x * matrix if len(matrix.shape) == 1 else x @ matrix.T)
            values.append(total)
        joined = Exact.concatenate(pre, 1) if pre else Exact.zeros(rows, 0)
        return joined, values[-1], pieces

    def backward(
        self, pieces: NDArray[np.uint8], multipliers: Exact | None, outputs: Exact | None = None, root: int = 0
    ) -> tuple[Exact, Exact]:
        """The forms ``sum_u multipliers[:, u] z_u + sum_k outputs[:, k] f_k = g y + c``, y the value of node ``root``.

        Returns g (M, width of root) and c (M,). Raises ValueError if a form depends on the input other than through
        the root.
        """
        some = multipliers if multipliers is not None else outputs
        assert some is not None
        rows = some.shape[0]
        adjoint: list[Exact | None] = [None] * (len(self.nodes) + 1)
        constant = Exact.zeros(rows)

        def add(node: int, value: Exact) -> None:
            before = adjoint[node]
            adjoint[node] = value if before is None else before + value

        if outputs is not None:
            add(len(self.nodes), outputs)
        if multipliers is not None:
            for node, units in zip(self.pre, self.slices, strict=True):
                if (multipliers.ints[:, units] != 0).any():
                    add(node, multipliers[:, units])
        stage = len(self.pre)
        for index in range(len(self.nodes), root, -1):
            here, value = self.nodes[index - 1], adjoint[index]
            if isinstance(here, HingeNode):
                stage -= 1
                if value is not None:
                    add(here.source, value * self._slopes(here, pieces[self.slices[stage]]))
            elif value is not None:
                constant = constant + (value * Exact.of(here.bias)).sum(1)
                for t, (source, _) in enumerate(here.terms):
                    matrix = self._matrix(index, t)
                    add(source, value * matrix if len(matrix.shape) == 1 else value @ matrix)
        for before in adjoint[:root]:
            if before is not None and (before.ints != 0).any():
                raise ValueError("the form depends on the input other than through the root")
        found = adjoint[root]
        return (found if found is not None else Exact.zeros(rows, self.width(root))), constant

    def width(self, node: int) -> int:
        """How many numbers the value of a node has."""
        if node == 0:
            return self.inputs
        found = self.nodes[node - 1]
        return len(found.low) if isinstance(found, HingeNode) else len(found.bias)
