"""Replay, the ground: the rows of a cell in exact integers, from the raw weights, and a verified inverse.

Notation. h_j(x) = a_j.x - b_j <= 0 are the rows of the cell, unit rows first (h_u = s_u z_u, with s_u = -1 where the
pattern holds piece 1 and +1 where it holds piece 0, z_u the pre-activation under the pattern), then the domain's. All
checks run the network forward or backward with the pieces held, exactly; every comparison is one of integers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import VerificationError
from .exact import Exact, ExactNetwork

if TYPE_CHECKING:
    from .cell import DomainRows

BLOCK = 256  # claims replayed in one pass: bounds the memory of the object arrays
BOX, STAGE, ENCLOSURE, BASIS, DIRECTION, OPPOSITE, PARALLEL, EXACT = range(8)  # the core's numbers for kinds of proof
REFINEMENTS = 3  # steps that leave an enclosure finer than the core's double-double one
Sparse = dict[int, Fraction]  # row -> multiplier
Box = tuple[NDArray[np.float64], NDArray[np.float64]]  # lower and upper bounds


@dataclass(frozen=True)
class Verification:
    """What a replay covered: claims replayed per kind, all true, and claims that carry no certificate.

    ``sample`` and ``seed`` are the ones asked for, ``chosen`` the indices drawn for each sampled kind. ``strict``, for
    a proof that there is no interior, tells that not even a point of the closed cell exists.
    """

    counts: dict[str, int]
    without_certificate: dict[str, int]
    sample: int | None = None
    seed: int = 0
    chosen: dict[str, tuple[int, ...]] = field(default_factory=dict, repr=False)
    strict: bool = False

    def __bool__(self) -> bool:
        return True

    @property
    def total(self) -> int:
        """The number of claims replayed."""
        return sum(self.counts.values())


def require(condition: Any, claim: str, reason: str) -> None:
    """Raises VerificationError unless the condition holds."""
    if not condition:
        raise VerificationError(claim, reason)


def blocks(items: Any) -> Iterator[Any]:
    """The items in pieces of at most BLOCK."""
    for first in range(0, len(items), BLOCK):
        yield items[first : first + BLOCK]


def dense(rows: Sequence[Sparse], width: int) -> Exact:
    """Sparse rows of dyadic fractions as an exact matrix."""
    low = max((value.denominator for row in rows for value in row.values()), default=1)
    out = np.zeros((len(rows), width), dtype=object)
    for k, row in enumerate(rows):
        for j, value in row.items():
            out[k, j] = value.numerator * (low // value.denominator)
    return Exact(out, 1 - low.bit_length())


class Rows:
    """The rows of one cell in exact arithmetic."""

    def __init__(self, network: ExactNetwork, pattern: NDArray[np.uint8], domain: DomainRows) -> None:
        self.network, self.pattern, self.domain = network, np.asarray(pattern), domain
        self.sides = np.where(self.pattern != 0, -1, 1).astype(object)
        ends = np.stack([domain.lower, domain.upper], axis=1).reshape(-1)  # lower, upper, lower, upper, ...
        kept = np.flatnonzero(np.isfinite(ends))
        self.axis, self.sign = kept // 2, np.where(kept % 2 == 0, -1, 1).astype(object)  # rows sign * x[axis] <= offset
        self.offset = Exact.of(np.where(kept % 2 == 0, -1.0, 1.0) * ends[kept])
        self.A, self.b = Exact.of(domain.A.reshape(-1, domain.dim)), Exact.of(domain.b)  # the general rows
        self.units = network.units
        self.general = self.units + len(kept)  # index of the first general row
        self.count = self.general + len(domain.b)

    def values(self, points: Exact, linear: bool = False) -> Exact:
        """h_j at points (M, d), or a_j.u for directions: (M, rows)."""
        pre = self.network.forward(points, self.pattern, linear=linear)[0]
        bounds = Exact(np.asarray(points.ints[:, self.axis] * self.sign, dtype=object), points.exponent)
        outer = points @ self.A.T
        if not linear:
            bounds, outer = bounds - self.offset, outer - self.b
        return Exact.concatenate([Exact(np.asarray(pre.ints * self.sides), pre.exponent), bounds, outer], 1)

    def forms(self, multipliers: Sequence[Sparse], stage: int = -1) -> tuple[Exact, Exact]:
        """sum_j lambda_j h_j = g.y + c, y the input or the pre-activations of a stage: g (M, d) and c (M,)."""
        full = dense(multipliers, self.count)
        unit = Exact(np.asarray(full.ints[:, : self.units] * self.sides), full.exponent)
        bounds, outer = full[:, self.units : self.general], full[:, self.general :]
        root = 0 if stage < 0 else self.network.pre[stage]
        g, c = self.network.backward(self.pattern, unit, root=root)
        if stage >= 0:
            if (full.ints[:, self.units :] != 0).any():
                raise ValueError("a row of the domain has no form in the coordinates of a stage")
            return g, c
        along = Exact.zeros(len(multipliers), self.domain.dim)
        for side in (-1, 1):  # a coordinate has at most one bound on each side
            mine = np.flatnonzero(self.sign == side)
            along.ints[:, self.axis[mine]] += side * bounds.ints[:, mine]
        g = g + Exact(along.ints, bounds.exponent) + outer @ self.A
        return g, c - (bounds * self.offset).sum(1) - (outer * self.b).sum(1)

    def squares(self, rows: Sequence[int]) -> list[Fraction]:
        """|a_j|^2, exactly."""
        found = {row: Fraction(1) for row in rows if self.units <= row < self.general}
        others = [row for row in rows if row not in found]
        for block in blocks(others):
            g, _ = self.forms([{row: Fraction(1)} for row in block])
            lengths = (g * g).sum(1)
            found.update((row, lengths.fraction(k)) for k, row in enumerate(block))
        return [found[row] for row in rows]

    def norm_bounds(self, rows: Sequence[int]) -> dict[int, tuple[Fraction, Fraction]]:
        """Enclosures of |a_j|, within one part in 2^79 (tighter than the core's 2^-62)."""
        return {row: root_bounds(square) for row, square in zip(rows, self.squares(rows))}

    def zero_normals(self, rows: Any) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which of the rows have normal exactly 0, and of those, which are identically 0."""
        if not len(rows):
            return np.zeros(0, dtype=bool), np.zeros(0, dtype=bool)
        g, c = self.forms([{int(row): Fraction(1)} for row in rows])
        zero = (g.ints == 0).all(axis=1)
        return zero, zero & (c.ints == 0)


def root_bounds(square: Fraction) -> tuple[Fraction, Fraction]:
    """Rational enclosure of a square root, exact for the square of a rational with a power-of-two denominator."""
    shift = 80 + (square.denominator.bit_length() - square.numerator.bit_length()) // 2
    shift = max(shift, square.denominator.bit_length() // 2, 0)  # the root of a power of four needs half its bits
    scaled = (square.numerator << (2 * shift)) // square.denominator
    low = isqrt(scaled)
    exact = low * low * square.denominator == square.numerator << (2 * shift)
    return Fraction(low, 1 << shift), Fraction(low if exact else low + 1, 1 << shift)


def highest(g: Exact, k: int, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> Fraction | None:
    """The supremum of row k of g over a box, None if it is infinite."""
    total = Fraction(0)
    for j in map(int, np.flatnonzero(g.ints[k] != 0)):
        bound = upper[j] if g.ints[k, j] > 0 else lower[j]
        if not np.isfinite(bound):
            return None
        total += g.fraction(k, j) * Fraction(float(bound))
    return total


def enclose(B: Exact, target: Exact, guess: Sequence[float], name: str) -> tuple[list[Fraction], list[Fraction]]:
    """Intervals around the exact solution of lambda B = target, B square with rows B_j.

    With R any approximate inverse, E = I - R B and |E| < 1 in the maximum norm, B is regular and the correction
    B^-T r = R^T (I - E^T)^-1 r of a residual r is at most max_k |R_kj| |r|_1 / (1 - |E|) in entry j.
    """
    require(B.shape[0] == B.shape[1], name, f"the basis has {B.shape[0]} rows in {B.shape[1]} dimensions")
    R, gap = left_inverse(B, name)
    approximate = Exact.of(np.asarray(guess, dtype=np.float64))
    residual = target - (approximate[None] @ B)[0]
    for _ in range(REFINEMENTS):
        approximate = approximate + (residual[None] @ R)[0]
        residual = target - (approximate[None] @ B)[0]
    width = residual.abs().sum().fraction() / (1 - gap)
    reach = R.abs()
    largest = Exact(np.asarray(reach.ints.max(axis=0), dtype=object), reach.exponent)
    radius = [largest.fraction(j) * width for j in range(len(guess))]
    values = [approximate.fraction(j) for j in range(len(guess))]
    return [v - r for v, r in zip(values, radius, strict=True)], [v + r for v, r in zip(values, radius, strict=True)]


def left_inverse(B: Exact, name: str, proposal: Any = None) -> tuple[Exact, Fraction]:
    """An approximate inverse R of B and the exact maximum norm of I - R B, proven below 1."""
    if proposal is None:
        try:
            proposal = np.linalg.inv(to_floats(B))
        except np.linalg.LinAlgError:
            raise VerificationError(name, "the basis is singular in float64") from None
    require(np.isfinite(proposal).all(), name, "the approximate inverse is not finite")
    R = Exact.of(proposal)
    gap = max_norm(Exact.of(np.eye(B.shape[0])) - R @ B)
    require(gap < 1, name, "the basis is not proven regular")
    return R, gap


def max_norm(matrix: Exact) -> Fraction:
    """The largest sum of absolute values in a row."""
    sums = matrix.abs().sum(1)
    return Exact(np.array(sums.ints.max(), dtype=object), sums.exponent).fraction()


def to_floats(matrix: Exact) -> NDArray[np.float64]:
    """The nearest doubles, for a proposal."""
    scale = Fraction(2) ** matrix.exponent
    return np.array([[float(int(value) * scale) for value in row] for row in matrix.ints])


def null_vector(rows: Rows, multipliers: Sparse, name: str) -> tuple[list[int], list[Fraction], list[Fraction], Exact]:
    """Intervals around the exact positive solution of sum lambda_j a_j = 0 over d + 1 rows, the largest held fixed."""
    norms = rows.norm_bounds(list(multipliers))
    fixed = max(multipliers, key=lambda row: multipliers[row] * norms[row][0])
    basis = [row for row in sorted(multipliers) if row != fixed]
    g, c = rows.forms([{row: Fraction(1)} for row in [*basis, fixed]])
    scale = Exact.of(np.array(float(multipliers[fixed])))
    low, high = enclose(g[:-1], -(g[-1] * scale), [float(multipliers[row]) for row in basis], name)
    require(all(value > 0 for value in low) and multipliers[fixed] > 0, name, "a multiplier is not proven positive")
    return [*basis, fixed], [*low, multipliers[fixed]], [*high, multipliers[fixed]], c
