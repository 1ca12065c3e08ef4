"""Holds the engine's answers about one region against the exact oracle's, all comparisons in Fractions."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import isinf
from typing import Any

import numpy as np
import oracle
from exact_lp import distance
from oracle import Cell

import pyregions as pr


class OpenError(AssertionError):
    """An answer is left open where none may be."""


def decided(compute: Callable[[], Any], allow_open: bool = True) -> Any:
    """The answer, or None when the engine says that it cannot tell (an error unless allow_open)."""
    try:
        return compute()
    except pr.UndecidedError:
        if not allow_open:
            raise
        return None


def engine_net(layers: Any, slope: float = 0.0) -> pr.Network:
    arrays = [(np.asarray(W, dtype=np.float64), np.asarray(b, dtype=np.float64)) for W, b in layers]
    return pr.Network.from_arrays(arrays, activation=("leaky_relu", slope) if slope else "relu")


def point(x: Any) -> list[Fraction]:
    return [Fraction(float(v)) for v in x]


def parts_sum(parts: Any) -> list[Fraction]:
    return [sum((Fraction(float(v)) for v in column), Fraction(0)) for column in np.asarray(parts).T]


def is_tie(cell: Cell, key: oracle.Key) -> bool:
    """The row touches the cell without cutting it, or misses touching by less than 2^-40 of the offsets involved."""
    others = [k for k in cell.keys if k != key]
    direction = [Fraction(v) for v in key[:-1]]
    assert cell.interior is not None
    reach = oracle.maximum(others, direction, cell.interior)
    slack = key[-1] - oracle.dot(direction, cell.interior)
    return not isinf(reach) and abs(key[-1] - reach) <= slack / 2**40


def check_rows(region: pr.Region, cell: Cell) -> None:
    rows = region.halfspaces
    assert [tuple(map(int, label)) for label in rows.labels] == [label for label, _, _ in cell.rows]
    for i, (_, a, b) in enumerate(cell.rows):
        bound = Fraction(float(rows.A_error[i]))
        assert all(abs(p - q) <= bound for p, q in zip(point(rows.A[i]), a, strict=True))
        assert abs(Fraction(float(rows.b[i])) - b) <= Fraction(float(rows.b_error[i]))
    affine = region.affine_map
    for i, (a, c) in enumerate(cell.outputs):
        bound = Fraction(float(affine.W_error[i]))
        assert all(abs(p - q) <= bound for p, q in zip(point(affine.W[i]), a, strict=True))
        assert abs(Fraction(float(affine.c[i])) - c) <= Fraction(float(affine.c_error[i]))
    witness = parts_sum(region.witness_parts)
    assert all(oracle.dot(k[:-1], witness) < k[-1] for k in cell.keys)


def check_facets(region: pr.Region, cell: Cell, allow_open: bool = True) -> bool:
    """Groups, order, labels, domain flags and witnesses; True when the engine decided them all."""
    expected = cell.facets()
    try:
        facets = region.facets
    except pr.UndecidedError as error:
        if not allow_open:
            raise
        # A row is left open by the name of its group: the first of its rows.
        assert error.rows and {int(row) for row in error.rows} <= {rows[0] for rows in cell.groups.values()}
        return False
    assert [sorted(map(int, f.rows)) for f in facets] == [f.rows for f in expected]
    for f, e in zip(facets, expected, strict=True):
        assert [tuple(map(int, label)) for label in f.labels] == e.labels
        assert bool(f.on_domain) == e.on_domain
        assert cell.violated(parts_sum(f.witness_parts)) == e.rows
        # The handed-out normal is the exact one up to its stated bound, so it has a nonzero entry with the right sign.
        k = max(range(cell.dim), key=lambda j: abs(e.normal[j]))
        assert float(f.normal[k]) * float(e.normal[k] > 0 or -1) > 0
    return True


def check_neighbors(region: pr.Region, cell: Cell, allow_open: bool = True) -> None:
    neighbors = decided(region.neighbors, allow_open)
    if neighbors is None:
        return
    expected = [f for f in cell.facets() if not f.on_domain]
    assert [list(map(int, n.pattern)) for n in neighbors] == [cell.across(f) for f in expected]
    for n, f in zip(neighbors, expected, strict=True):
        there = Cell(cell.net, [int(v) for v in n.pattern], cell.domain)
        assert there.interior is not None
        changed = [u for u, (p, q) in enumerate(zip(cell.pattern, there.pattern, strict=True)) if p != q]
        assert list(map(int, n.changed_units)) == changed
        # The neighbor's affine map, handed out as W + v n^T, meets the region's own on the facet.
        mine = [oracle.dot(a, f.crossing) + c for a, c in cell.outputs]
        yours = [oracle.dot(a, f.crossing) + c for a, c in there.outputs]
        assert mine == yours
        exact_map = np.array([[float(v) for v in a] for a, _ in there.outputs])
        # Float products of a few dozen terms: 2^-40 of the largest entries is thousands of roundings.
        scale = max(1.0, np.abs(exact_map).max(), float(np.abs(region.affine_map.W).max()))
        assert np.abs(n.affine_map.W - exact_map).max() <= scale * 2.0**-40


def check_shape(region: pr.Region, cell: Cell, allow_open: bool = True, allow_modulo: bool = False) -> None:
    bounded = decided(lambda: region.is_bounded, allow_open)
    assert bounded is None or bool(bounded) == cell.bounded()
    modulo = decided(lambda: region.is_bounded_modulo_lineality, allow_open or allow_modulo)
    assert modulo is None or bool(modulo) == cell.bounded_modulo_lineality()
    ball = decided(lambda: region.chebyshev, allow_open)
    if ball is None:
        return
    lower, upper = cell.inradius()
    stated = ball.radius_bounds
    assert stated[0] <= ball.radius <= stated[1]
    if not (allow_open or allow_modulo) and isinf(lower) != isinf(stated[0] if isinf(lower) else stated[1]):
        raise OpenError("whether the inradius is finite")
    if isinf(lower):
        assert isinf(stated[1])
        return
    assert Fraction(stated[0]) <= upper
    assert isinf(stated[1]) or Fraction(stated[1]) >= lower
    # The ball of the lower bound lies inside: slack >= 0 and slack^2 >= r^2 |a|^2, in Fractions.
    center, radius = parts_sum(ball.center_parts), Fraction(stated[0])
    for k in cell.keys:
        slack = k[-1] - oracle.dot(k[:-1], center)
        assert slack >= 0 and slack * slack >= radius * radius * sum(v * v for v in k[:-1])
    if isinf(stated[1]):
        return  # open: allowed, or refused above
    # The bounds mean something: the ball found is the largest up to the solver's relative gap of about 1e-9 times the
    # conditioning of a small net, and up to 2^-40 of the centre's size, thousands of roundings of its coordinates.
    assert stated[0] >= float(lower) * (1 - 1e-5) - 2.0**-40 * max(1.0, float(np.abs(ball.center).max()))


def check_classes(region: pr.Region, cell: Cell, allow_open: bool = True) -> None:
    pairs = decided(region.decision_boundaries, allow_open)
    if pairs is None:
        return
    count = len(cell.outputs)
    assert [(int(p.i), int(p.j)) for p in pairs] == [(i, j) for i in range(count) for j in range(i + 1, count)]
    for index, p in enumerate(pairs):
        i, j = int(p.i), int(p.j)
        assert bool(p.identical) == cell.identical(i, j)
        if not allow_open and None in (p.crosses, p.piece):
            raise OpenError(f"decision boundary of classes {i} and {j}")
        if p.crosses is not None:
            assert bool(p.crosses) == cell.crosses(i, j)
            if p.crosses:
                a, c = cell.difference(i, j)
                for name, sign in (("positive", 1), ("negative", -1)):
                    y = parts_sum(pairs.parts(name, index))
                    assert cell.contains(y) and (oracle.dot(a, y) + c) * sign > 0
        assert p.piece is None or bool(p.piece) == cell.piece(i, j)


def check_points(region: pr.Region, cell: Cell, seed: int = 0) -> None:
    """Membership of grid points (often exactly on walls), of points near the witness, and of facet crossings."""
    rng = np.random.default_rng(seed)
    points = [rng.integers(-4, 5, cell.dim) / 2 for _ in range(8)]
    points += [np.asarray(region.witness) + rng.normal(size=cell.dim) * 0.3 for _ in range(4)]
    points += [np.array([float(v) for v in f.crossing]) for f in cell.facets()[:4]]
    for y in points:
        assert bool(region.contains(y)) == cell.contains(point(y))


# Bounds of an optimum: within 2^-20 of each other, relative to their size.
TIGHT = Fraction(1, 2**20)


def check_bounds(bounds: Any, exact: Fraction | float) -> None:
    """Both bounds hold and are near each other; an infinite optimum is stated as such."""
    assert isinf(exact) == isinf(bounds[0]) == isinf(bounds[1])
    if isinf(exact):
        assert bounds[0] == bounds[1] == exact
        return
    lower, upper = map(Fraction, bounds)
    assert lower <= exact <= upper
    assert upper - lower <= TIGHT * max(abs(lower), abs(upper)) + Fraction(1, 2**1020)


def check_maximum(found: pr.Extremum, cell: Cell, objective: oracle.Form) -> None:
    (a, c), y = objective, parts_sum(found.point_parts)
    reach = oracle.maximum(cell.keys, a, cell.interior)
    assert (found.status == "unbounded") == isinf(reach)
    check_bounds(found.bounds, reach if isinf(reach) else reach + c)
    if isinf(reach):
        assert oracle.dot(a, y) > 0 and all(oracle.dot(k[:-1], y) <= 0 for k in cell.keys)
        return
    assert cell.contains(y)
    size = sum(map(abs, a)) * max(map(abs, y)) + abs(reach + c)
    assert oracle.dot(a, y) >= reach - TIGHT * size


def check_optima(region: pr.Region, cell: Cell, seed: int = 0) -> None:
    """Suprema of linear functions and of outputs, and nearest points in three norms."""
    rng = np.random.default_rng(seed)
    assert cell.interior is not None
    for direction in (rng.integers(-2, 3, cell.dim), rng.normal(size=cell.dim)):
        check_maximum(region.maximize(direction), cell, (point(direction), Fraction(0)))
    image = region.image()
    for o, (a, c) in enumerate(cell.outputs):
        for sign, bounds in ((1, image.upper_bounds[o]), (-1, -image.lower_bounds[o][::-1])):
            reach = oracle.maximum(cell.keys, [sign * v for v in a], cell.interior)
            check_bounds([float(v) for v in bounds], reach if isinf(reach) else reach + sign * c)
    walls = [key for key, rows in cell.groups.items() if any(f.rows == rows for f in cell.facets())]
    for y in (rng.integers(-6, 7, cell.dim) / 2, np.asarray(region.witness) + rng.normal(size=cell.dim) * 3):
        for norm in (1, 2, np.inf):
            found = region.project(y, norm)
            near, start = parts_sum(found.point_parts), point(y)
            assert cell.contains(near)
            power = distance(walls, start, norm, cell.interior)
            gap = [abs(p - q) for p, q in zip(near, start, strict=True)]
            reached = max(gap) if norm == np.inf else sum(v**norm for v in gap)
            assert power <= reached
            lower, upper = (Fraction(v) for v in found.bounds)
            slack = TIGHT * upper + Fraction(1, 2**1020)
            assert upper - lower <= slack and max(lower, 0) ** (2 if norm == 2 else 1) <= power
            assert power <= upper ** (2 if norm == 2 else 1)


def assert_agrees(region: pr.Region, cell: Cell, allow_open: bool = True, allow_modulo: bool = False) -> None:
    """Everything the region says, against the oracle; open answers may be allowed (all of them, or boundedness modulo
    lineality alone), wrong ones never are."""
    assert list(map(int, region.pattern)) == cell.pattern
    if decided(lambda: (region.halfspaces, region.witness), allow_open) is None:
        return  # rows outside the range of doubles
    check_rows(region, cell)
    check_shape(region, cell, allow_open, allow_modulo)
    check_classes(region, cell, allow_open)
    check_points(region, cell)
    decided(lambda: check_optima(region, cell), allow_open)
    if check_facets(region, cell, allow_open):
        check_neighbors(region, cell, allow_open)
    decided(region.verify, allow_open)
