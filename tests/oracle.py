"""An exact oracle for small networks: plain Fractions and an integer simplex; no engine code, no solver, no floats.

Everything is written from the definitions (a row group is a facet iff the cell with that row flipped has interior, a
neighbor is the pattern of a point just across), never from the engine's algorithms. Meant for d <= 4 and about 30 rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import inf, isqrt, lcm
from typing import Any

from exact_lp import Key, Point, dot, exact, interior_point, maximum, primitive, rank, simplex

Label = tuple[int, int, int]
Form = tuple[Point, Fraction]  # the affine function (a, c): x -> a.x + c


# ---- domains: lists of (label, a, b) --------------------------------------------------------------------------------

Domain = list[tuple[Label, Point, Fraction]]


def box(lower: Sequence[Any], upper: Sequence[Any]) -> Domain:
    """Rows of a box in the engine's order: for each coordinate the finite lower bound, then the finite upper bound."""
    rows: Domain = []
    for k, (lo, up) in enumerate(zip(lower, upper, strict=True)):
        for side, bound, sign in ((0, lo, -1), (1, up, 1)):
            if bound not in (inf, -inf):
                a = [Fraction(sign) if j == k else Fraction(0) for j in range(len(lower))]
                rows.append(((-1, k, side), a, sign * Fraction(bound)))
    return rows


def polytope(A: Any, b: Any) -> Domain:
    return [((-1, k, 2), row, rhs) for k, (row, rhs) in enumerate(zip(exact(A), exact(b), strict=True))]


# ---- the network ----------------------------------------------------------------------------------------------------


@dataclass
class Net:
    """Affine layers with a hinge (slope `low` below 0, 1 above) after every layer but the last."""

    layers: list[tuple[list[Point], Point]]
    low: Fraction = Fraction(0)

    @staticmethod
    def from_arrays(layers: Iterable[tuple[Any, Any]], slope: float = 0.0) -> Net:
        return Net([(exact(W), exact(b)) for W, b in layers], Fraction(slope))

    @property
    def inputs(self) -> int:
        return len(self.layers[0][0][0])

    @property
    def widths(self) -> list[int]:
        return [len(b) for _, b in self.layers[:-1]]

    def hinge(self, z: Fraction) -> Fraction:
        return z if z > 0 else self.low * z

    def forward(self, x: Sequence[Any]) -> tuple[list[Point], Point]:
        """Pre-activations of every stage, and the outputs."""
        value, stages = [Fraction(v) for v in x], []
        for W, b in self.layers[:-1]:
            pre = [dot(row, value) + bias for row, bias in zip(W, b, strict=True)]
            stages.append(pre)
            value = [self.hinge(z) for z in pre]
        W, b = self.layers[-1]
        return stages, [dot(row, value) + bias for row, bias in zip(W, b, strict=True)]

    def signs_across(self, x: Sequence[Any], direction: Sequence[Any]) -> list[int]:
        """Signs of all units at x + eps * direction for infinitesimal eps > 0."""
        return self.signs_along(x, [direction])

    def signs_along(self, x: Sequence[Any], steps: Sequence[Sequence[Any]]) -> list[int]:
        """Signs of all units at x + e s_1 + e^2 s_2 + ... for infinitesimal e > 0: a forward pass on dual numbers, each
        the tuple of its coefficients, compared from the first to the last."""
        value = [tuple(map(Fraction, coefficients)) for coefficients in zip(x, *steps, strict=True)]
        zero = (Fraction(0),) * (1 + len(steps))
        signs = []
        for W, b in self.layers[:-1]:
            pre = []
            for row, bias in zip(W, b, strict=True):
                first, *rest = (dot(row, part) for part in zip(*value, strict=True))
                pre.append((first + bias, *rest))
            value = [z if z > zero else tuple(self.low * v for v in z) for z in pre]
            signs += [(z > zero) - (z < zero) for z in pre]
        return signs

    def compose(self, pattern: Sequence[int]) -> tuple[list[int], list[Form], list[Form]]:
        """(canonical pattern, affine function of every unit, of every output) with the pieces held at the pattern."""
        d = self.inputs
        # Functions are integer vectors (a_1, ..., a_d, c) over one denominator.
        value = [[int(i == j) for j in range(d + 1)] for i in range(d)]
        over = 1
        canonical, units = [], []
        for index, (W, b, scale) in enumerate(self._integer_layers):
            pre = []
            for row, bias in zip(W, b, strict=True):
                live = [(w, v) for w, v in zip(row, value, strict=True) if w]
                z = [sum(w * v[k] for w, v in live) for k in range(d + 1)]
                z[d] += bias * over
                pre.append(z)
            over *= scale
            forms = [([Fraction(v, over) for v in z[:d]], Fraction(z[d], over)) for z in pre]
            if index == len(self.layers) - 1:
                return canonical, units, forms
            value = []
            for z in pre:
                piece = int(pattern[len(canonical)]) if any(z) else 0
                canonical.append(piece)
                slope = self.low.denominator if piece else self.low.numerator
                value.append([slope * v for v in z])
            units += forms
            over *= self.low.denominator
        raise AssertionError("a network has at least one layer")

    @cached_property
    def _integer_layers(self) -> list[tuple[list[list[int]], list[int], int]]:
        """(W, b, s) per layer: the integers s W and s b, s the least common denominator."""
        found = []
        for W, b in self.layers:
            scale = lcm(*(v.denominator for row in W for v in row), *(v.denominator for v in b))
            found.append(([[int(v * scale) for v in row] for row in W], [int(v * scale) for v in b], scale))
        return found

    def label(self, unit: int, piece: int) -> Label:
        for stage, width in enumerate(self.widths):
            if unit < width:
                return (stage, unit, 1 - piece)
            unit -= width
        raise IndexError(unit)

    def ties(self, x: Sequence[Any]) -> list[int]:
        """Units that are 0 at x and whose row (under piece 0 for tied units upstream) is not identically zero."""
        flat = [z for stage in self.forward(x)[0] for z in stage]
        _, units, _ = self.compose([int(z > 0) for z in flat])
        return [u for u, z in enumerate(flat) if z == 0 and (any(units[u][0]) or units[u][1])]

    def pattern(self, x: Sequence[Any]) -> list[int]:
        assert not self.ties(x)
        return [int(z > 0) for stage in self.forward(x)[0] for z in stage]


# ---- one cell -------------------------------------------------------------------------------------------------------


@dataclass
class Facet:
    rows: list[int]
    labels: list[Label]
    on_domain: bool
    normal: Point  # exact outward normal, of the first row's primitive key
    beyond: Point  # violates exactly these rows, and those strictly
    crossing: Point  # in the facet's relative interior


@dataclass
class Cell:
    """The closed cell of a pattern in a domain. `interior` is None when it has no interior."""

    net: Net
    pattern: list[int]
    domain: Domain = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dim = self.net.inputs
        self.pattern, units, self.outputs = self.net.compose(self.pattern)
        self.rows: list[tuple[Label, Point, Fraction]] = []
        for u, (a, c) in enumerate(units):
            sign = -1 if self.pattern[u] else 1  # piece 1 is a.x + c >= 0
            self.rows.append((self.net.label(u, self.pattern[u]), [sign * v for v in a], -sign * c))
        self.rows += self.domain
        self.groups: dict[Key, list[int]] = {}
        self.zero_rows = []
        feasible = True
        for i, (_, a, b) in enumerate(self.rows):
            key = primitive(a, b)
            if key is None:
                self.zero_rows.append(i)
                feasible = feasible and b >= 0
            else:
                self.groups.setdefault(key, []).append(i)
        self.keys = list(self.groups)
        self.interior = interior_point(self.keys, self.dim) if feasible else None

    def facets(self) -> list[Facet]:
        """Facets in order of their first row: the groups whose flipped row leaves a cell with interior."""
        return self._facets

    @cached_property
    def _facets(self) -> list[Facet]:
        assert self.interior is not None
        found = []
        for key, rows in self.groups.items():
            flipped = tuple(-v for v in key)
            beyond = interior_point([flipped if k == key else k for k in self.keys], self.dim)
            if beyond is None:
                continue
            at, there = (dot(key[:-1], p) for p in (self.interior, beyond))
            t = (key[-1] - at) / (there - at)
            crossing = [p + t * (q - p) for p, q in zip(self.interior, beyond, strict=True)]
            labels = [self.rows[i][0] for i in rows]
            normal = [Fraction(v) for v in key[:-1]]
            found.append(Facet(rows, labels, any(s < 0 for s, _, _ in labels), normal, beyond, crossing))
        return found

    def across(self, facet: Facet) -> list[int]:
        """The canonical pattern of the region across a facet, from its points just beyond the crossing."""
        return [int(s > 0) for s in self.net.signs_across(facet.crossing, facet.normal)]

    def contains(self, x: Sequence[Any]) -> bool:
        return all(dot(a, map(Fraction, x)) <= b for _, a, b in self.rows)

    def violated(self, x: Sequence[Any]) -> list[int]:
        return [i for i, (_, a, b) in enumerate(self.rows) if dot(a, map(Fraction, x)) > b]

    def rank(self) -> int:
        return rank(k[:-1] for k in self.keys)

    def bounded_modulo_lineality(self) -> bool:
        """No direction u with A u <= 0 and A u != 0: the sum of -a_i.u has maximum 0 over the recession cone."""
        if not self.keys:
            return True
        total = [-sum(k[j] for k in self.keys) for j in range(self.dim)]
        rows = [[*k[:-1], 0] for k in self.keys] + [[*total, 1]]
        return simplex(rows, total, self.dim)[1] == 0

    def bounded(self) -> bool:
        return self.rank() == self.dim and self.bounded_modulo_lineality()

    def inradius(self) -> tuple[Fraction | float, Fraction | float]:
        """Exact lower and upper bounds of the inradius, from norms rounded up and down to 80 bits and more."""
        assert self.interior is not None
        bounds = []
        for up in (1, 0):
            keys = []
            for k in self.keys:
                square = sum(v * v for v in k[:-1])
                shift = 80
                norm = isqrt(square << (2 * shift))
                norm += up if norm * norm != square << (2 * shift) else 0
                keys.append((*(v << shift for v in k[:-1]), norm, k[-1] << shift))
            direction = [Fraction(0)] * self.dim + [Fraction(1)]
            bounds.append(maximum(keys, direction, [*self.interior, Fraction(0)]))
        return bounds[0], bounds[1]

    # ---- outputs

    def difference(self, i: int, j: int) -> Form:
        (a, c), (p, q) = self.outputs[i], self.outputs[j]
        return [u - v for u, v in zip(a, p, strict=True)], c - q

    def identical(self, i: int, j: int) -> bool:
        a, c = self.difference(i, j)
        return not any(a) and not c

    def _with_signs(self, forms: Iterable[Form]) -> Point | None:
        """An interior point at which all the given affine forms are > 0."""
        keys = []
        for a, c in forms:
            key = primitive([-v for v in a], c)
            if key is not None:
                keys.append(key)
            elif c <= 0:
                return None
        return interior_point(self.keys + keys, self.dim)

    def crosses(self, i: int, j: int) -> bool:
        return all(self._with_signs([self.difference(*pair)]) is not None for pair in ((i, j), (j, i)))

    def has_class(self, i: int) -> bool:
        """Output i is strictly the largest somewhere inside."""
        others = [self.difference(i, k) for k in range(len(self.outputs)) if k != i]
        return self._with_signs(others) is not None

    def piece(self, i: int, j: int) -> bool:
        """{f_i = f_j >= all f_k} has dimension d - 1 and meets the interior of the cell."""
        a, c = self.difference(i, j)
        pivot = next((k for k, v in enumerate(a) if v), None)
        if pivot is None or not self.crosses(i, j):
            return False
        constraints = [([Fraction(v) for v in k[:-1]], Fraction(k[-1])) for k in self.keys]
        for k in range(len(self.outputs)):
            g, h = self.difference(k, i)
            constraints.append((g, -h))
        keys = []
        for g, h in constraints:  # substitute x_pivot = -(c + sum of the other a_k x_k) / a_pivot
            t = g[pivot] / a[pivot]
            rest = [p - t * q for k, (p, q) in enumerate(zip(g, a, strict=True)) if k != pivot]
            key = primitive(rest, h + t * c)
            if key is not None:
                keys.append(key)
            elif h + t * c < 0:
                return False
        return interior_point(keys, self.dim - 1) is not None


def cell_at(net: Net, x: Sequence[Any], domain: Domain | None = None) -> Cell:
    return Cell(net, net.pattern(x), domain or [])


def regions(net: Net, domain: Domain | None = None) -> set[tuple[int, ...]]:
    """All patterns whose cell has interior, by splitting layer by layer (not by walking across facets)."""
    partial: list[list[int]] = [[]]
    widths = net.widths
    offset = 0
    for depth, width in enumerate(widths):
        cut = Net([*net.layers[: depth + 1], ([[Fraction(0)] * widths[depth]], [Fraction(0)])], net.low)
        for u in range(width):
            seen = set()
            for p in partial:
                for piece in (0, 1):
                    head = [*p, piece]
                    inner = Cell(_head(cut, offset + u + 1), head, domain or [])
                    if inner.interior is not None:
                        seen.add(tuple(inner.pattern))
            partial = [list(p) for p in sorted(seen)]
        offset += width
    return {tuple(p) for p in partial}


def _head(net: Net, units: int) -> Net:
    """The network with only the first `units` units (the last stage cut to its first rows)."""
    *front, (W, b), _ = net.layers
    keep = units - sum(len(bias) for _, bias in front)
    return Net([*front, (W[:keep], b[:keep]), ([[Fraction(0)] * keep], [Fraction(0)])], net.low)
