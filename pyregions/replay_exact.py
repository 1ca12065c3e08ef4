"""Replay of what exact programs have decided: combinations of rows that are equalities of integers, and points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .exact import Exact
from .replay_rows import Rows, require

Integers = Mapping[int, int]  # row -> multiplier


def point_sum(leading: NDArray[np.float64], parts: NDArray[np.float64] | None) -> Exact:
    """A point (1, d): its leading part (d,), and the further rows of its parts (parts, d) where there are any."""
    point = Exact.of(leading[None])
    for part in () if parts is None else parts[1:]:
        point = point + Exact.of(part[None])
    return point


def points_with(leading: NDArray[np.float64], fine: Mapping[int, NDArray[np.float64]], chosen: Sequence[int]) -> Exact:
    """The chosen points (M, d), those in ``fine`` as the sum of their parts."""
    if not any(k in fine for k in chosen):
        return Exact.of(leading[list(chosen)])
    return Exact.concatenate([point_sum(leading[k], fine.get(k)) for k in chosen], 0)


def implied_exactly(rows: Rows, group: Sequence[int], claim: tuple[int, Integers], name: str) -> None:
    """mu h_i - sum lambda_j h_j is a constant <= 0, with mu > 0 and lambda > 0 on rows outside the group."""
    own, terms = claim
    require(own > 0, name, "the row itself has no positive multiplier")
    check_terms(rows, terms, name)
    require(not set(terms) & set(group), name, "a multiplier is on a row of the group itself")
    gap = constant(rows, {**{row: -value for row, value in terms.items()}, group[0]: own}, name)
    require(gap <= 0, name, "the combined offset is above the row's own")


def vanishing(rows: Rows, terms: Integers, name: str) -> Fraction:
    """sum lambda_j b_j of rows with sum lambda_j a_j = 0, lambda > 0."""
    check_terms(rows, terms, name)
    require(terms, name, "there are no rows to prove it with")
    return -constant(rows, terms, name)


def check_terms(rows: Rows, terms: Integers, name: str) -> None:
    """Positive multipliers on rows that exist."""
    require(all(0 <= row < rows.count for row in terms), name, "a multiplier is on a row that does not exist")
    require(all(value > 0 for value in terms.values()), name, "a multiplier is not positive")


def constant(rows: Rows, form: Integers, name: str) -> Fraction:
    """c of a combination of rows g.x + c with g = 0, required."""
    g, c = rows.forms([{row: Fraction(value) for row, value in form.items()}])
    require((g.ints == 0).all(), name, "the combined rows do not cancel")
    return c.fraction(0)


def falls_along(rows: Rows, direction: Sequence[int], name: str) -> NDArray[np.int8]:
    """Signs of a_j.u, required not to be positive, for an integer direction u != 0."""
    require(len(direction) == rows.domain.dim and any(direction), name, "there is no direction")
    whole = np.empty((1, len(direction)), dtype=object)
    whole[0] = list(direction)
    signs = rows.values(Exact(whole, 0), linear=True).sign()[0]
    require((signs <= 0).all(), name, "a row increases along the direction")
    return np.asarray(signs)


def rank_is_full(rows: Rows, chosen: Sequence[int]) -> bool:
    """Whether the rows span R^d, by elimination modulo a prime (which can only lose rank)."""
    prime = 2**61 - 1
    left: list[list[int]] = [[int(v) % prime for v in row] for row in normals(rows, chosen)]
    for k in range(rows.domain.dim):
        pivot = next((row for row in left if row[k]), None)
        if pivot is None:
            return False
        left.remove(pivot)
        inverse = pow(pivot[k], -1, prime)
        for row in left:
            factor = row[k] * inverse % prime
            if factor:
                row[:] = [(p - factor * q) % prime for p, q in zip(row, pivot, strict=True)]
    return True


def normals(rows: Rows, chosen: Sequence[int]) -> Any:
    """Integer multiples of the normals, one row each."""
    return rows.forms([{row: Fraction(1)} for row in chosen])[0].ints
