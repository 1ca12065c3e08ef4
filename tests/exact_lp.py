"""Exact linear programs for the oracle: an integer-preserving simplex with Bland's rule, interior points, rank."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import combinations
from math import gcd, inf, lcm
from typing import Any

# A row a.x <= b as the primitive integer vector (a_1, ..., a_d, b): equal keys <=> equal halfspaces.
Key = tuple[int, ...]
Point = list[Fraction]


def exact(values: Any) -> Any:
    """Nested numbers as nested Fractions (a float is taken as the dyadic number it is)."""
    if hasattr(values, "tolist"):
        values = values.tolist()
    return [exact(v) for v in values] if isinstance(values, (list, tuple)) else Fraction(values)


def dot(a: Iterable[Any], x: Iterable[Any]) -> Any:
    return sum((p * q for p, q in zip(a, x, strict=True) if p and q), Fraction(0))


def primitive(a: Sequence[Fraction], b: Fraction) -> Key | None:
    """The key of a.x <= b, or None when a is zero."""
    if not any(a):
        return None
    scale = lcm(*(v.denominator for v in a), b.denominator)
    row = [int(v * scale) for v in (*a, b)]
    common = gcd(*row)
    return tuple(v // common for v in row)


def simplex(
    rows: list[list[int]], costs: list[int], free: int, stop_above: Fraction | None = None
) -> tuple[str, Fraction, Point]:
    """Maximise costs.y for rows (a..., s) meaning a.y <= s, s >= 0; the first `free` variables are free, others >= 0.

    Integer-preserving pivoting on the condensed tableau (law: every entry divided by D is the rational entry, and the
    division by the previous D is exact), Bland's rule, so it ends. Returns (status, value, y); status is "optimal",
    "unbounded" or "stopped" (the value passed stop_above).
    """
    n = len(costs)
    table = [list(r) for r in rows]
    top = [-c for c in costs] + [0]
    nonbasic, basic = list(range(n)), list(range(n, n + len(rows)))
    denominator = 1
    while True:
        value = Fraction(top[n], denominator)
        if stop_above is not None and value > stop_above:
            status = "stopped"
            break
        improving = [j for j in range(n) if top[j] < 0 or (top[j] > 0 and nonbasic[j] < free)]
        if not improving:
            status = "optimal"
            break
        enter = min(improving, key=lambda j: nonbasic[j])
        sense = -1 if top[enter] > 0 else 1
        leave = -1
        for i, row in enumerate(table):
            step = sense * row[enter]
            if basic[i] < free or step <= 0:
                continue
            if leave < 0:
                leave = i
                continue
            best = table[leave]
            order = row[n] * sense * best[enter] - best[n] * step
            if order < 0 or (order == 0 and basic[i] < basic[leave]):
                leave = i
        if leave < 0:
            status = "unbounded"
            break
        pivot_row = table[leave]
        pivot = pivot_row[enter]
        flip = 1 if pivot > 0 else -1
        for row in (*table, top):
            if row is pivot_row:
                continue
            factor = row[enter]
            for j in range(n + 1):
                if j != enter:
                    row[j] = flip * ((row[j] * pivot - factor * pivot_row[j]) // denominator)
            row[enter] = -flip * factor
        pivot_row[enter] = denominator
        if flip < 0:
            pivot_row[:] = [-v for v in pivot_row]
        denominator = abs(pivot)
        nonbasic[enter], basic[leave] = basic[leave], nonbasic[enter]
    point = [Fraction(0)] * n
    for i, variable in enumerate(basic):
        if variable < n:
            point[variable] = Fraction(table[i][n], denominator)
    return status, value, point


def interior_point(keys: Iterable[Key], dim: int) -> Point | None:
    """A point strictly inside every row, or None: maximise the slack t of a.x + t <= b, stopping once t > 0."""
    keys = list(keys)
    start = min([0, *(k[-1] for k in keys)]) - 1  # t = start + t' with t' >= 0 makes (0, t' = 0) strictly feasible
    rows = [[*k[:-1], 1, k[-1] - start] for k in keys] + [[0] * dim + [1, 1 - start]]
    _, value, point = simplex(rows, [0] * dim + [1], dim, stop_above=Fraction(-start))
    return point[:dim] if value > -start else None


def maximum(keys: Iterable[Key], direction: Sequence[Fraction], inside: Point) -> Fraction | float:
    """The supremum of direction.x over the rows, `inf` if unbounded; `inside` is any point that satisfies them."""
    rows = []
    for k in keys:
        slack = Fraction(k[-1]) - dot(k[:-1], inside)
        rows.append([v * slack.denominator for v in k[:-1]] + [slack.numerator])
    scale = lcm(*(Fraction(v).denominator for v in direction))
    status, value, _ = simplex(rows, [int(v * scale) for v in direction], len(direction))
    return inf if status == "unbounded" else value / scale + dot(direction, inside)


def distance(keys: Iterable[Key], y: Sequence[Fraction], norm: float, inside: Point) -> Fraction:
    """Distance of y from the rows in the 1- or maximum norm, by a program over (x, t); squared in the 2-norm."""
    keys, d = list(keys), len(y)
    if norm == 2:
        return squared_distance(keys, y)
    count = d if norm == 1 else 1
    rows: list[Key] = []
    for k in keys:
        key = primitive([*map(Fraction, k[:-1]), *[Fraction(0)] * count], Fraction(k[-1]))
        assert key is not None
        rows.append(key)
    for i in range(d):
        for sign in (-1, 1):  # sign * (x_i - y_i) <= t_i, or the one t
            a = [Fraction(sign * (i == k)) for k in range(d)] + [Fraction(0)] * count
            a[d + (i if norm == 1 else 0)] = Fraction(-1)
            key = primitive(a, sign * y[i])
            assert key is not None
            rows.append(key)
    gap = [abs(p - q) + 1 for p, q in zip(inside, y, strict=True)]
    goal = [Fraction(0)] * d + [Fraction(-1)] * count
    return -Fraction(maximum(rows, goal, [*inside, *(gap if norm == 1 else [max(gap)])]))


def squared_distance(keys: Sequence[Key], y: Sequence[Fraction]) -> Fraction:
    """By trying faces: the nearest point is the foot of y on the independent rows that hold it, by multipliers >= 0."""
    d = len(y)
    excess = [dot(k[:-1], y) - k[-1] for k in keys]
    if all(v <= 0 for v in excess):
        return Fraction(0)
    for size in range(1, d + 1):
        for chosen in combinations(range(len(keys)), size):
            if all(excess[i] <= 0 for i in chosen):
                continue
            normals = [[Fraction(v) for v in keys[i][:-1]] for i in chosen]
            gram = [[dot(p, q) for q in normals] for p in normals]
            multipliers = solve(gram, [excess[i] for i in chosen])
            if multipliers is None or min(multipliers) < 0:
                continue
            foot = [v - sum(t * n[k] for t, n in zip(multipliers, normals, strict=True)) for k, v in enumerate(y)]
            if all(dot(k[:-1], foot) <= k[-1] for k in keys):
                return dot(*[[p - q for p, q in zip(foot, y, strict=True)]] * 2)
    raise AssertionError("no face holds the nearest point")


def solve(matrix: list[list[Fraction]], right: Sequence[Fraction]) -> Point | None:
    """The solution of a square system, None when it is singular."""
    rows = [[*row, v] for row, v in zip(matrix, right, strict=True)]
    for c in range(len(rows)):
        pivot = next((r for r in range(c, len(rows)) if rows[r][c]), None)
        if pivot is None:
            return None
        rows[c], rows[pivot] = rows[pivot], rows[c]
        rows[c] = [v / rows[c][c] for v in rows[c]]
        for r, row in enumerate(rows):
            if r != c and row[c]:
                rows[r] = [p - row[c] * q for p, q in zip(row, rows[c], strict=True)]
    return [row[-1] for row in rows]


def rank(vectors: Iterable[Sequence[Any]]) -> int:
    left = [list(map(Fraction, v)) for v in vectors]
    found = 0
    while left:
        v = left.pop()
        k = next((i for i, entry in enumerate(v) if entry), None)
        if k is not None:
            found += 1
            left = [[p - w[k] / v[k] * q for p, q in zip(w, v, strict=True)] for w in left]
    return found
