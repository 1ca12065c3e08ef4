"""Replay of what a cell answers in numbers and patterns: rows, maps, inscribed ball, neighbors, decision boundaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .exact import Exact
from .replay_exact import falls_along, point_sum, vanishing
from .replay_facets import check_interior
from .replay_rows import (
    BASIS,
    BOX,
    DIRECTION,
    ENCLOSURE,
    EXACT,
    STAGE,
    Box,
    Rows,
    Sparse,
    blocks,
    highest,
    null_vector,
    require,
)

if TYPE_CHECKING:
    from .cell import Geometry
    from .values import Ball, Halfspaces

Draw = Callable[[str, int], list[int]]


def within(exact: Exact, given: NDArray[np.float64], error: NDArray[np.float64]) -> bool:
    """|exact - given| <= error everywhere."""
    gap = Exact.of(error) - (exact - Exact.of(given)).abs()
    return bool((gap.ints >= 0).all())


def check_rows(rows: Rows, halfspaces: Halfspaces, chosen: Sequence[int]) -> int:
    """The rows handed out are within their error bounds of the exact ones."""
    for block in blocks(chosen):
        picked = list(block)
        g, c = rows.forms([{row: Fraction(1)} for row in picked])
        width = np.broadcast_to(halfspaces.A_error[picked][:, None], (len(picked), rows.domain.dim))
        require(within(g, halfspaces.A[picked], width), "halfspaces", "a coefficient is off by more than its bound")
        require(within(-c, halfspaces.b[picked], halfspaces.b_error[picked]), "halfspaces", "an offset is off")
    return len(chosen)


def check_map(rows: Rows, cell: Geometry) -> dict[str, int]:
    """The affine map handed out is within its error bounds of the exact one."""
    given = cell.__dict__.get("affine_map")
    if given is None:
        return {}
    g, c = rows.network.backward(rows.pattern, None, Exact.of(np.eye(len(given.c))))
    width = np.broadcast_to(given.W_error[:, None], given.W.shape)
    good = within(g, given.W, width) and within(c, given.c, given.c_error)
    require(good, "affine map", "it is off by more than its bound")
    return {"affine map": len(given.c)}


# ---- the inscribed ball


def check_ball(rows: Rows, ball: Ball, box: Box | None, missing: dict[str, int]) -> int:
    """Both bounds of the radius."""
    raw, name = ball.certificate, "chebyshev"
    kind, upper = int(raw["kind"]), float(raw["upper"])
    if np.isfinite(raw["lower"]):
        check_ball_inside(rows, point_sum(np.asarray(raw["center"]), raw["fine"]), float(raw["lower"]))
    if kind == EXACT:
        check_ball_exactly(rows, raw, name)
        return 1
    if kind == DIRECTION:
        values = rows.values(Exact.of(np.asarray(raw["direction"])[None]), linear=True)
        flat = np.flatnonzero(values.sign()[0] == 0)
        require((values.sign() <= 0).all(), name, "the direction leaves the cell")
        require(rows.zero_normals(flat)[0].all(), name, "the direction stays at the same distance from a row")
        return 1
    if not np.isfinite(upper):
        missing["chebyshev upper bound"] = 1
        return 1
    pairs = zip(raw["mul_rows"], raw["mul_values"], strict=True)
    multipliers = {int(row): Fraction(float(value)) for row, value in pairs if value != 0}
    require(kind == BASIS or all(v >= 0 for v in multipliers.values()), name, "a multiplier is negative")
    require(all(0 <= row < rows.count for row in multipliers), name, "a multiplier is on a row that does not exist")
    if kind == BASIS:
        total, weight = ball_by_basis(rows, multipliers, name)
    elif kind == STAGE:
        total, weight = ball_by_stage(rows, multipliers, int(raw["stage"]), name)
    else:
        require(kind in (BOX, ENCLOSURE), name, f"unknown kind of proof {kind}")
        total, weight = ball_by_box(rows, multipliers, kind, box, name)
    require(weight > 0 and total <= Fraction(upper) * weight, name, "the upper bound does not follow")
    return 1


def check_ball_exactly(rows: Rows, raw: Any, name: str) -> None:
    """A direction that every nonzero row falls along strictly, or a vanishing combination that bounds the radius."""
    if raw["exact_direction"]:
        flat = np.flatnonzero(falls_along(rows, raw["exact_direction"], name) == 0)
        require(rows.zero_normals(flat)[0].all(), name, "the direction stays at the same distance from a row")
        return
    terms = raw["exact"][1]
    total = vanishing(rows, terms, name)
    weight = weight_of(rows, {row: Fraction(value) for row, value in terms.items()})
    require(weight > 0 and total <= Fraction(raw["upper"]) * weight, name, "the upper bound does not follow")


def check_ball_inside(rows: Rows, center: Exact, radius: float) -> None:
    """h_j(center) + radius |a_j| <= 0 for every row, by squares."""
    values = rows.values(center)
    require((values.sign() <= 0).all(), "chebyshev", "the center is not in the cell")
    square = Fraction(max(radius, 0.0)) ** 2
    for row, length in enumerate(rows.squares(range(rows.count))):
        require(square * length <= values.fraction(0, row) ** 2, "chebyshev", f"the ball crosses row {row}")


def weight_of(rows: Rows, multipliers: Sparse) -> Fraction:
    """A lower bound of sum lambda_j |a_j|."""
    norms = rows.norm_bounds(list(multipliers))
    return sum((value * norms[row][0] for row, value in multipliers.items()), Fraction(0))


def ball_by_box(rows: Rows, multipliers: Sparse, kind: int, box: Box | None, name: str) -> tuple[Fraction, Fraction]:
    """r <= total / weight. A ball of radius r at c has sum lambda_j h_j(c) + r sum lambda_j |a_j| <= 0.

    With sum lambda_j h_j = g.x + c0 and c + r e_k in the box for all k: -g.c <= sup(-g.x) - r |g|_1.
    """
    lower, upper = (rows.domain.lower, rows.domain.upper) if kind == BOX else box or (None, None)
    require(lower is not None and upper is not None, name, "there is no proven box around the cell")
    assert lower is not None and upper is not None
    g, c = rows.forms([multipliers])
    top = highest(-g, 0, lower, upper)
    require(top is not None, name, "the residual is not bounded on the box")
    assert top is not None
    return top - c.fraction(0), weight_of(rows, multipliers) + g.abs().sum().fraction()


def ball_by_stage(rows: Rows, multipliers: Sparse, stage: int, name: str) -> tuple[Fraction, Fraction]:
    """The same with a sum that is constant once the stage's own rows carry what the sum lacks."""
    mu, c = rows.forms([multipliers], stage)
    units = rows.network.slices[stage]
    implied = Exact(np.asarray(-mu.ints[0] * rows.sides[units]), mu.exponent)
    require((implied.ints >= 0).all(), name, "a coefficient in the stage's coordinates has the wrong sign")
    more = {units.start + int(k): implied.fraction(int(k)) for k in np.flatnonzero(implied.ints != 0)}
    return -c.fraction(0), weight_of(rows, multipliers) + weight_of(rows, more)


def ball_by_basis(rows: Rows, multipliers: Sparse, name: str) -> tuple[Fraction, Fraction]:
    """The same with the exact multipliers of d + 1 rows, enclosed."""
    order, low, high, c = null_vector(rows, multipliers, name)
    offsets = [-c.fraction(k) for k in range(len(order))]
    total = sum(((high[k] if offsets[k] > 0 else low[k]) * offsets[k] for k in range(len(order))), Fraction(0))
    return total, weight_of(rows, dict(zip(order, low, strict=True)))


# ---- neighbors and decision boundaries


def check_neighbors(rows: Rows, cell: Any, zero_rows: Sequence[int], draw: Draw) -> int:
    """The neighbor rule in exact arithmetic.

    Units that do not vanish on the facet keep their piece. The others - the facet's own rows, and units identically
    zero on the cell - take, stage after stage, the sign of their derivative along the outward normal.
    """
    neighbors, facets = cell.neighbors(), cell.facets
    inner = np.flatnonzero(~facets.on_domain)
    require(np.array_equal(np.asarray(neighbors.facets), inner), "neighbors", "not one for each facet off the domain")
    zero = [row for row in zero_rows if row < rows.units]
    still = np.array(zero, dtype=int)[rows.zero_normals(zero)[1]] if zero else np.zeros(0, dtype=int)
    chosen = draw("neighbors", len(neighbors))
    for block in blocks(chosen):
        groups = [facets[int(neighbors.facets[k])].rows for k in block]
        normals, _ = rows.forms([{group[0]: Fraction(1)} for group in groups])
        free = np.zeros((len(block), rows.units), dtype=bool)
        free[:, still] = True
        for k, group in enumerate(groups):
            free[k, list(group)] = True
        found = rows.network.forward(normals, rows.pattern, free, linear=True)[2]
        for k, pattern in zip(block, found, strict=True):
            same = (pattern == neighbors.patterns[k]).all()
            require(same, f"neighbor {k}", "the neighbor rule gives another pattern")
    return len(chosen)


def check_boundaries(rows: Rows, cell: Any, draw: Draw, missing: dict[str, int]) -> dict[str, int]:
    """Witnesses of the signs of f_i - f_j, of argmax pieces and of classes; identities by an exact backward pass."""
    found = cell.decision_boundaries()
    counts = {"boundary pairs": 0, "argmax pieces": 0, "classes": 0}
    for p in draw("boundary pairs", len(found)):
        pair = found[p]
        name = f"outputs {pair.i} and {pair.j}"
        if pair.identical:
            require(not difference(rows, pair.i, pair.j).any(), name, "they are not identical on the region")
        elif pair.crosses:
            points = two_points(found, p, "positive", "negative")
            check_interior(rows, points, name)
            f = rows.network.forward(points)[1]
            signs = (f[:, pair.i] - f[:, pair.j]).sign()
            require(signs[0] > 0 > signs[1], name, "the two points do not have different signs")
        else:
            missing["boundary pairs"] = missing.get("boundary pairs", 0) + 1
            continue
        counts["boundary pairs"] += 1
        if pair.piece:
            check_piece(rows, pair.i, pair.j, two_points(found, p, "piece_first", "piece_second"), name)
            counts["argmax pieces"] += 1
    for k in (k for k, inside in enumerate(found.classes) if inside):
        point = point_sum(found.class_witnesses[k], found.raw["fine"].get(("class_witness", k)))
        check_interior(rows, point, f"class {k}")
        f = rows.network.forward(point)[1].ints[0]
        for j in (j for j in range(len(f)) if j != k and f[j] >= f[k]):
            largest = f[j] == f[k] and not difference(rows, j, k).any()  # the same output twice is largest together
            require(largest, f"class {k}", "it is not the largest at its witness")
        counts["classes"] += 1
    return counts


def two_points(found: Any, pair: int, *names: str) -> Exact:
    """The two witnesses (2, d) of a pair."""
    return Exact.concatenate([point_sum(found.raw[k][pair], found.raw["fine"].get((k, pair))) for k in names], 0)


def difference(rows: Rows, k: int, i: int) -> Any:
    """f_k - f_i on the region: integers (d + 1,), coefficients and constant at one exponent."""
    row = np.zeros((1, rows.network.width(len(rows.network.nodes))))
    row[0, [k, i]] = 1.0, -1.0
    g, c = rows.network.backward(rows.pattern, None, Exact.of(row))
    return Exact.concatenate([g, c[:, None]], 1).ints[0]


def check_piece(rows: Rows, i: int, j: int, points: Exact, name: str) -> None:
    """Between the two points, where f_i = f_j, every other output is strictly smaller (f is affine on the region).

    Or it ties with the two wherever they meet: f_k - f_i is a multiple of f_j - f_i.
    """
    check_interior(rows, points, name)
    f = rows.network.forward(points)[1].ints
    rise, fall = int(f[0, i] - f[0, j]), int(f[1, j] - f[1, i])
    require(rise > 0 and fall > 0, name, "the two points of the piece are not on its two sides")
    meet = f[0] * fall + f[1] * rise  # (rise + fall) times the outputs at the meeting point
    for k in (k for k in range(len(meet)) if k not in (i, j) and meet[k] >= meet[i]):
        p, q = difference(rows, j, i), difference(rows, k, i)
        pivot = int(np.argmax(p != 0))
        tied = (q * p[pivot] == p * q[pivot]).all()
        require(tied, name, "another output is as large where the two meet")
