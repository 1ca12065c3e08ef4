"""Facets, neighbors, vertices, rays, faces and volumes of every region in Fractions, from the splitter's leaves.

From the definitions alone: a row is a facet iff the cell with that row flipped has interior, the region across is the
pattern of a point just beyond, a vertex is a point of the cell on d independent rows, a face is an intersection of
facets. Exponential, meant for d <= 4 and about ten facets a region.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import combinations
from math import factorial
from typing import Any

from exact_lp import Key, Point, dot, interior_point, primitive, rank, simplex, solve
from oracle import Domain, Net
from splitter import Leaf

Corner = tuple[Any, ...]  # a vertex (Fractions), or ("ray", primitive integers)


@dataclass
class Cell:
    """A region; `facets` are its irredundant rows, `across` the pattern beyond each, None on the domain's boundary."""

    leaf: Leaf
    dim: int
    facets: list[Key] = field(default_factory=list)
    across: list[tuple[int, ...] | None] = field(default_factory=list)

    @cached_property
    def pointed(self) -> bool:
        return rank(k[:-1] for k in self.facets) == self.dim

    @cached_property
    def bounded(self) -> bool:
        """Pointed, and no direction with A u <= 0 but u = 0: then A u is somewhere negative, and so is its sum."""
        total = [-sum(k[j] for k in self.facets) for j in range(self.dim)]
        rows = [[*k[:-1], 0] for k in self.facets] + [[*total, 1]]
        return self.pointed and simplex(rows, total, self.dim)[1] == 0

    @cached_property
    def vertices(self) -> list[Point]:
        found = {}
        for chosen in combinations(self.facets, self.dim):
            x = solve([[Fraction(v) for v in k[:-1]] for k in chosen], [Fraction(k[-1]) for k in chosen])
            if x is not None and all(dot(k[:-1], x) <= k[-1] for k in self.facets):
                found[tuple(x)] = x
        return list(found.values())

    @cached_property
    def rays(self) -> list[tuple[int, ...]]:
        """Extreme directions of a pointed region, as primitive integer vectors."""
        found = set()
        for chosen in combinations(self.facets, self.dim - 1):
            u = kernel([k[:-1] for k in chosen], self.dim)
            for sign in (-1, 1):
                if u and all(sign * dot(k[:-1], u) <= 0 for k in self.facets):
                    found.add(tuple(int(sign * v) for v in u))
        return sorted(found)

    @cached_property
    def corners(self) -> list[Corner]:
        return [tuple(x) for x in self.vertices] + [("ray", u) for u in self.rays]

    def on(self, facet: Key, corner: Corner) -> bool:
        if corner[0] == "ray":
            return dot(facet[:-1], corner[1]) == 0
        return dot(facet[:-1], corner) == facet[-1]

    @cached_property
    def faces(self) -> dict[frozenset[Corner], int]:
        """All faces of a pointed region by their corners, with their dimensions, the region itself among them."""
        whole = frozenset(self.corners)
        walls = [frozenset(c for c in self.corners if self.on(k, c)) for k in self.facets]
        found, todo = {whole}, [whole]
        while todo:
            face = todo.pop()
            for wall in walls:
                part = face & wall
                if part not in found and any(c[0] != "ray" for c in part):
                    found.add(part)
                    todo.append(part)
        return {face: dimension(face) for face in found}

    @cached_property
    def volume(self) -> Fraction:
        """Of a bounded region, by pulling: each face is the cone from its first vertex over its facets beyond it."""
        simplices = self._simplices(frozenset(self.corners))
        return sum((abs(determinant(s)) for s in simplices), Fraction(0)) / factorial(self.dim)

    def _simplices(self, face: frozenset[Corner]) -> list[list[Corner]]:
        if len(face) == 1:
            return [list(face)]
        apex, size = min(face), self.faces[face]
        parts = [f for f, k in self.faces.items() if k == size - 1 and f < face and apex not in f]
        return [[apex, *rest] for part in parts for rest in self._simplices(part)]


def kernel(rows: list[tuple[int, ...]], dim: int) -> list[Fraction] | None:
    """The direction that spans the kernel of d - 1 rows, by minors, as primitive integers; None if they depend."""
    u = []
    for j in range(dim):
        minor = [[Fraction(v) for k, v in enumerate(row) if k != j] for row in rows]
        u.append((-1) ** j * square_determinant(minor))
    key = primitive(u, Fraction(0))
    return None if key is None else [Fraction(v) for v in key[:-1]]


def square_determinant(matrix: list[list[Fraction]]) -> Fraction:
    rows, value = [list(row) for row in matrix], Fraction(1)
    for c in range(len(rows)):
        pivot = next((r for r in range(c, len(rows)) if rows[r][c]), None)
        if pivot is None:
            return Fraction(0)
        if pivot != c:
            rows[c], rows[pivot], value = rows[pivot], rows[c], -value
        value *= rows[c][c]
        for r in range(c + 1, len(rows)):
            factor = rows[r][c] / rows[c][c]
            rows[r] = [p - factor * q for p, q in zip(rows[r], rows[c], strict=True)]
    return value


def determinant(corners: list[Corner]) -> Fraction:
    """Of the edge vectors of a simplex."""
    first, *rest = corners
    return square_determinant([[p - q for p, q in zip(c, first, strict=True)] for c in rest])


def dimension(corners: Iterable[Corner]) -> int:
    """Of the affine hull of vertices and the rays from them."""
    points = [c for c in corners if c[0] != "ray"]
    rays = [c[1] for c in corners if c[0] == "ray"]
    return rank([*([p - q for p, q in zip(c, points[0], strict=True)] for c in points[1:]), *rays])


def cells(leaves: list[Leaf], net: Net, domain: Domain) -> dict[tuple[int, ...], Cell]:
    """All regions by pattern, with their facets and what lies across."""
    edge = {primitive(list(map(Fraction, a)), Fraction(b)) for _, a, b in domain}
    out = {}
    for leaf in leaves:
        cell = Cell(leaf, net.inputs)
        for key in leaf.keys:
            flipped = tuple(-v for v in key)
            beyond = interior_point([flipped if k == key else k for k in leaf.keys], net.inputs)
            if beyond is None:
                continue
            at, there = dot(key[:-1], leaf.inside), dot(key[:-1], beyond)
            t = (key[-1] - at) / (there - at)
            crossing = [p + t * (q - p) for p, q in zip(leaf.inside, beyond, strict=True)]
            cell.facets.append(key)
            signs = net.signs_across(crossing, [Fraction(v) for v in key[:-1]])
            cell.across.append(None if key in edge else tuple(int(s > 0) for s in signs))
        out[leaf.pattern] = cell
    return out
