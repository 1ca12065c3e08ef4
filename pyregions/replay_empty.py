"""Replay of the claim that a cell has no interior point."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .arguments import plain_floats
from .exact import Exact, ExactNetwork
from .replay_exact import vanishing
from .replay_rows import (
    BASIS,
    BOX,
    ENCLOSURE,
    EXACT,
    OPPOSITE,
    STAGE,
    Rows,
    Sparse,
    Verification,
    blocks,
    highest,
    null_vector,
    require,
)

if TYPE_CHECKING:
    from .cell import DomainRows


@plain_floats()
def verify_no_interior(network: ExactNetwork, pattern: Any, domain: DomainRows, raw: Any) -> Verification:
    """Replays the proof that a cell has no interior point. See :meth:`NoInterior.verify`."""
    rows = Rows(network, canonical(network, pattern, domain), domain)
    multipliers = {int(r): Fraction(float(v)) for r, v in zip(raw["mul_rows"], raw["mul_values"], strict=True)}
    kind, name = int(raw["kind"]), "no interior"
    if kind == EXACT:
        terms = raw["exact"][1]
        total = vanishing(rows, terms, name)
        weights = {row: Fraction(value) for row, value in terms.items()}
        require(total < 0 or (total == 0 and some_nonzero(rows, weights)), name, "no row can be strict")
        return Verification({"no interior": 1}, {}, strict=total < 0)
    require(multipliers, name, "there are no rows to prove it with")
    require(all(0 <= row < rows.count for row in multipliers), name, "a multiplier is on a row that does not exist")
    if kind == OPPOSITE:
        strict = opposite_rows(rows, sorted(multipliers), name)
    elif kind in (ENCLOSURE, BASIS):
        strict = no_interior_by_basis(rows, multipliers, name)
    else:
        require(kind in (BOX, STAGE), name, f"unknown kind of proof {kind}")
        require(all(value >= 0 for value in multipliers.values()), name, "a multiplier is negative")
        g, c = rows.forms([multipliers], int(raw["stage"]) if kind == STAGE else -1)
        if kind == BOX:
            strict = no_interior_by_box(rows, multipliers, g, c.fraction(0), name)
        else:
            strict = no_interior_by_stage(rows, multipliers, g[0], c.fraction(0), int(raw["stage"]), name)
    return Verification({"no interior": 1}, {}, strict=strict)


def canonical(network: ExactNetwork, pattern: Any, domain: DomainRows) -> NDArray[np.uint8]:
    """The pattern with piece 0 for units that are identically zero (that changes no row)."""
    pattern = np.array(pattern, dtype=np.uint8)
    rows = Rows(network, pattern, domain)
    for block in blocks(range(rows.units)):
        pattern[list(block)] *= ~rows.zero_normals(block)[1]
    return np.asarray(pattern)


def some_nonzero(rows: Rows, multipliers: Sparse) -> bool:
    """Some positive multiplier is on a row whose normal is not exactly zero."""
    zero, _ = rows.zero_normals([row for row, value in multipliers.items() if value > 0])
    return not zero.all()


def no_interior_by_box(rows: Rows, multipliers: Sparse, g: Exact, c: Fraction, name: str) -> bool:
    """sum lambda_j h_j = g.x + c >= 0 on the domain's box, but it is negative at any interior point."""
    top = highest(-g, 0, rows.domain.lower, rows.domain.upper)
    require(top is not None, name, "the residual is not bounded on the domain")
    assert top is not None
    require(top <= c, name, "the combined rows may be negative")
    require(top < c or some_nonzero(rows, multipliers), name, "no row can be strict")
    return top < c


def no_interior_by_stage(rows: Rows, multipliers: Sparse, mu: Exact, c: Fraction, stage: int, name: str) -> bool:
    """sum lambda_j h_j = mu.z + c with -mu_k s_k >= 0: with those weights on the stage's rows the sum is c >= 0."""
    units = rows.network.slices[stage]
    implied = mu.ints * rows.sides[units]
    require((implied <= 0).all(), name, "a coefficient in the stage's coordinates has the wrong sign")
    require(c >= 0, name, "the constant term is negative")
    more = {units.start + int(k): Fraction(1) for k in np.flatnonzero(implied != 0)}
    require(c > 0 or some_nonzero(rows, {**more, **multipliers}), name, "no row can be strict")
    return c > 0


def opposite_rows(rows: Rows, pair: list[int], name: str) -> bool:
    """Two rows with opposite normals leave no room between them, or one zero row is never satisfied strictly."""
    g, c = rows.forms([{row: Fraction(1)} for row in pair])
    if len(pair) == 1:
        require((g.ints == 0).all() and c.fraction(0) > 0, name, "the row is not a false constant")
        return True
    require(len(pair) == 2, name, "expected two rows")
    k = int(np.argmax(g.ints[0] != 0))
    p, q = int(g.ints[0, k]), int(g.ints[1, k])
    require(p * q < 0 and (g.ints[0] * q == g.ints[1] * p).all(), name, "the two normals are not opposite")
    gap = c.fraction(0) * abs(q) + c.fraction(1) * abs(p)  # |q| h_1 + |p| h_2, a constant
    require(gap >= 0, name, "there is room between the two rows")
    return gap > 0


def no_interior_by_basis(rows: Rows, multipliers: Sparse, name: str) -> bool:
    """sum lambda_j a_j = 0 exactly with positive lambda and sum lambda_j b_j <= 0."""
    order, low, high, c = null_vector(rows, multipliers, name)
    total = sum(((low[k] if c.fraction(k) > 0 else high[k]) * c.fraction(k) for k in range(len(order))), Fraction(0))
    require(total >= 0, name, "the combined offset is not proven negative")
    return total > 0
