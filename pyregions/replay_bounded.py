"""Replay of boundedness: a proven box around the cell, a direction, or a proof by rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import gcd
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .exact import Exact
from .replay_exact import falls_along, rank_is_full, vanishing
from .replay_rows import Box, Rows, Sparse, blocks, left_inverse, max_norm, require, to_floats

if TYPE_CHECKING:
    from .values import Boundedness

NAME = "boundedness"


def check_bounded(rows: Rows, answer: Boundedness, missing: dict[str, int]) -> Box | None:
    """Boundedness, also modulo lineality; returns a proven box around the cell where there is one."""
    raw, proof, box = answer.certificate, answer.proof, None
    multipliers = {int(r): Fraction(float(v)) for r, v in zip(raw["mul_rows"], raw["mul_values"])}
    if proof == "exact":
        check_exactly(rows, answer)
        return None
    if answer.bounded and proof == "box":
        box = rows.domain.lower, rows.domain.upper
        require(np.isfinite(box).all(), NAME, "the domain is no bounded box")
    elif answer.bounded and proof == "combination":
        box = enclosure(rows, raw, multipliers)
    elif answer.bounded:
        require(proof == "stage", NAME, f"{proof!r} proves no bound")
        check_stage_cone(rows, multipliers)
        check_rank(rows, first_stage(rows), rows.domain.dim)
    elif answer.bounded is False:
        check_unbounded(rows, proof, answer.direction)
    else:
        missing["boundedness"] = 1
    if not answer.bounded:
        check_modulo(rows, answer, multipliers, missing)
    return box


def check_exactly(rows: Rows, answer: Boundedness) -> None:
    """Bounded: a vanishing positive combination of rows that span R^d. Not bounded: an integer direction or line."""
    raw, name = answer.certificate, NAME
    if answer.bounded:
        terms = raw["exact"][1]
        vanishing(rows, terms, name)
        require(rank_is_full(rows, list(terms)), name, "the rank of the rows is not proven")
    else:
        falls_along(rows, raw["recession"] or raw["line"], name)
    modulo_exactly(rows, answer)


def modulo_exactly(rows: Rows, answer: Boundedness) -> None:
    """In the quotient: positive multipliers on all nonzero rows, or a direction along which some row falls."""
    raw, name = answer.certificate, NAME
    if answer.modulo_lineality:
        terms = raw["exact"][1]
        zero = rows.zero_normals(list(range(rows.count)))[0]
        require(all(zero[row] or row in terms for row in range(rows.count)), name, "a row has no positive weight")
        if terms:
            vanishing(rows, terms, name)
    else:
        require(falls_along(rows, raw["recession"], name).any(), name, "the direction lies in the lineality space")


def cut_rows(rows: Rows) -> range:
    """The rows of the first stage if every unit depends on the input through it only, else all unit rows."""
    try:
        for block in blocks(range(rows.units)):
            rows.forms([{row: Fraction(1)} for row in block], stage=0)
    except ValueError:
        return range(rows.units)
    return range(rows.network.slices[0].stop if rows.units else 0)


def first_stage(rows: Rows) -> range:
    """The rows of the first stage, where all others are combinations of them."""
    units = cut_rows(rows)
    require(len(units) and units.stop == rows.network.slices[0].stop, NAME, "rows bypass the first stage")
    require(rows.count == rows.units, NAME, "the domain has rows besides the first stage's")
    return units


def check_rank(rows: Rows, chosen: Sequence[int], rank: int) -> None:
    """An approximate inverse proves that the chosen rows, scaled to one size, have this rank: their number or d."""
    exact, _ = rows.forms([{row: Fraction(1)} for row in chosen])
    floats = to_floats(exact)
    sizes = np.frexp(np.abs(floats).max(axis=1, initial=0))[1]
    proposal = Exact.of(np.linalg.pinv(np.ldexp(floats, -sizes[:, None])))
    exact = Exact.of(np.diag(np.ldexp(1.0, -sizes))) @ exact
    require(rank in (len(chosen), rows.domain.dim), NAME, "no proof of the rank")
    product = exact @ proposal if rank == len(chosen) else proposal @ exact
    require(max_norm(Exact.of(np.eye(rank)) - product) < 1, NAME, "the rank of the rows is not proven")


def check_stage_cone(rows: Rows, multipliers: Sparse) -> None:
    """A u <= 0 forces the whole first stage to stand still: some combination of its rows with positive weights is 0."""
    require(all(v >= 0 for v in multipliers.values()), NAME, "a multiplier is negative")
    zero, _ = rows.zero_normals(first_stage(rows))
    units = rows.network.slices[0]
    mu = rows.forms([multipliers], stage=0)[0].ints[0] if multipliers else np.zeros(units.stop, dtype=object)
    require(((-mu * rows.sides[units] > 0) | zero).all(), NAME, "a row of the first stage has no positive weight")


def check_unbounded(rows: Rows, proof: str, direction: NDArray[np.float64]) -> None:
    """A direction in which no row increases, fewer independent rows than inputs, or a unit that nothing listens to."""
    if proof == "free_unit":
        check_free_unit(rows)
    elif proof == "dimension":
        spanning = [*cut_rows(rows), *range(rows.units, rows.count)]
        directions = {line for block in blocks(spanning) for line in lines(rows, block)}
        require(len(directions) < rows.domain.dim, NAME, "the rows have as many directions as there are inputs")
    else:
        require(proof == "direction" and direction.any(), NAME, f"{proof!r} without a direction")
        values = rows.values(Exact.of(direction[None]), linear=True)
        require((values.sign() <= 0).all(), NAME, "a row increases along the direction")


def lines(rows: Rows, chosen: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The directions of the nonzero rows among the chosen ones as coprime integers, opposite ones alike."""
    for normal in rows.forms([{row: Fraction(1)} for row in chosen])[0].ints:
        nonzero = [int(value) for value in normal if value]
        if nonzero:
            factor = gcd(*nonzero) * (1 if nonzero[0] > 0 else -1)
            yield tuple(int(value) // factor for value in normal)


def check_free_unit(rows: Rows) -> None:
    """With independent nonzero first-stage rows a unit of theirs can run away alone if nothing deeper depends on it."""
    units = first_stage(rows)
    listened = np.zeros(len(units), dtype=bool)
    for block in blocks(range(units.stop, rows.units)):
        listened |= (rows.forms([{row: Fraction(1)} for row in block], stage=0)[0].ints != 0).any(axis=0)
    zero, _ = rows.zero_normals(units)
    require(not (listened | zero).all(), NAME, "deeper rows depend on every unit of the first stage")
    live = [int(row) for row in np.flatnonzero(~zero)]
    check_rank(rows, live, len(live))


def check_modulo(rows: Rows, answer: Boundedness, multipliers: Sparse, missing: dict[str, int]) -> None:
    """Boundedness in the quotient by the lineality space (of a cell that is not proven bounded itself)."""
    raw = answer.certificate
    if raw["recession"] or raw["exact"][1]:
        modulo_exactly(rows, answer)
    elif answer.modulo_lineality is False and len(answer.direction):
        values = rows.values(Exact.of(answer.direction[None]), linear=True).sign()
        require((values <= 0).all() and values.any(), NAME, "the direction lies in the lineality space")
    elif answer.modulo_lineality is False and answer.proof in ("free_unit", "dimension"):
        check_free_unit(rows)
    elif answer.modulo_lineality and rows.count:
        check_stage_cone(rows, multipliers)
    elif answer.modulo_lineality is None:
        missing["boundedness modulo lineality"] = 1


def enclosure(rows: Rows, raw: Any, multipliers: Sparse) -> Box:
    """The box that follows from one positive combination and an inverse of d of its rows.

    With slacks s_j = -h_j >= 0: sum lambda_j s_j = beta - g.x <= beta + |g|_1 X =: T for X = |x|_inf, so a sum of
    c_j s_j is at most T max_j (c_j / lambda_j)^+. From x = R B x + E x = R (b - s) + E x, coordinate by coordinate,
    X <= |R b|_inf + T max |R_kj| / lambda_j + |E| X, which bounds X, and with X every coordinate.
    """
    basis, name = [int(row) for row in raw["basis_rows"]], NAME
    require(all(v >= 0 for v in multipliers.values()), name, "a multiplier is negative")
    require(all(multipliers.get(row, 0) > 0 for row in basis), name, "a row of the basis has no multiplier")
    require(len(basis) == rows.domain.dim, name, "the basis does not have one row per coordinate")
    g, c = rows.forms([multipliers])
    beta, slope = -c.fraction(0), g.abs().sum().fraction()
    B, minus_b = rows.forms([{row: Fraction(1)} for row in basis])
    R, gap = left_inverse(B, name, np.asarray(raw["inverse"], dtype=np.float64).reshape(len(basis), len(basis)))
    center = R @ -minus_b[:, None]
    down, up = quotients(R, [multipliers[row] for row in basis])
    largest = [max(a, z) for a, z in zip(down, up, strict=True)]
    base = max(abs(center.fraction(k, 0)) for k in range(len(basis)))
    rest = 1 - max(largest) * slope - gap
    require(rest > 0, name, "the combination is not close enough to zero")
    X = (base + max(largest) * beta) / rest
    T = beta + slope * X
    lower, upper = np.asarray(raw["lower"], dtype=np.float64), np.asarray(raw["upper"], dtype=np.float64)
    require(len(lower) == len(basis) == len(upper), name, "there is no claimed box")
    for k in range(len(basis)):
        middle = center.fraction(k, 0)
        low, high = middle - T * down[k] - gap * X, middle + T * up[k] + gap * X
        require(Fraction(lower[k]) <= max(low, -X), name, f"the box does not contain the cell below in coordinate {k}")
        require(Fraction(upper[k]) >= min(high, X), name, f"the box does not contain the cell above in coordinate {k}")
    return lower, upper


def quotients(R: Exact, weights: Sequence[Fraction]) -> tuple[list[Fraction], list[Fraction]]:
    """Per row k, upper bounds of max_j (R_kj / lambda_j)^+ and of max_j (-R_kj / lambda_j)^+, within 2^-64 relative."""
    bits = 64 + max(0, *(w.numerator.bit_length() for w in weights)) + max(0, R.exponent)
    parts = []
    for sign in (1, -1):
        scaled = [(-((-sign * R.ints[:, j] * w.denominator << bits) // w.numerator)) for j, w in enumerate(weights)]
        best = np.maximum.reduce([*scaled, np.zeros(len(R.ints), dtype=object)])
        scale = Fraction(2) ** (R.exponent - bits)
        parts.append([int(value) * scale for value in best])
    return parts[0], parts[1]
