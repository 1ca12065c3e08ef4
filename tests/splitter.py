"""All regions of a small layered network by exact splitting: integers and Fractions, no floats, no vertices, no engine.

Layer after layer, unit after unit: under the pieces chosen so far a unit is an affine form on the cell. It splits the
cell iff both of its open sides have an interior point, which exact linear programs decide (exact_lp.py); a unit that is
identically zero on the cell gets piece 0. Meant for a few hundred regions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Any

from exact_lp import Key, Point, dot, exact, interior_point, primitive
from oracle import Domain, Form

Ints = tuple[int, ...]  # an affine form (a_1, ..., a_d, c) up to the positive factor that its layer shares


@dataclass
class Leaf:
    """One region: its canonical pattern, the rows that cut it out, a point inside, and its outputs as affine forms."""

    pattern: tuple[int, ...]
    keys: list[Key]
    inside: Point
    outputs: list[Form]


@dataclass
class Part:
    """A cell with interior, split by the units so far. `points` inside are integers (w x_1, ..., w x_d, w), w > 0."""

    pattern: tuple[int, ...]
    keys: list[Key]
    points: list[Ints]
    values: list[Ints]  # of the layer before
    over: int  # their common denominator


def regions(layers: Iterable[tuple[Any, Any]], slope: float | Fraction = 0, domain: Domain | None = None) -> list[Leaf]:
    """The regions of affine layers (W, b), a hinge of the given slope below 0 after all but the last; the domain is a
    list of rows (label, a, b), empty or None for all of R^d, and must have an interior."""
    stack = [(exact(W), exact(b)) for W, b in layers]
    low, dim = Fraction(slope), len(stack[0][0][0])
    keys = [key for _, a, b in domain or [] if (key := primitive(list(map(Fraction, a)), Fraction(b))) is not None]
    keys = list(dict.fromkeys(keys))
    start = inside(keys, dim)
    assert start is not None, "the domain has no interior"
    identity = [tuple(int(i == k) for k in range(dim + 1)) for i in range(dim)]
    parts = [Part((), keys, [start], identity, 1)]
    for W, b in stack[:-1]:
        parts = [piece for part in parts for piece in split_by_layer(part, W, b, low)]
    return [leaf(part, *stack[-1]) for part in parts]


def patterns(layers: Iterable[tuple[Any, Any]], slope: float = 0, domain: Domain | None = None) -> set[tuple[int, ...]]:
    """The canonical patterns alone."""
    return {found.pattern for found in regions(layers, slope, domain)}


def split_by_layer(part: Part, W: list[Point], b: Point, low: Fraction) -> list[Part]:
    forms, over = affine_forms(part, W, b)
    whole = len(part.pattern)
    pieces = [part]
    for form in forms:
        pieces = [half for piece in pieces for half in split(piece, form)]
    for piece in pieces:
        slopes = [low.denominator if on else low.numerator for on in piece.pattern[whole:]]
        values = [tuple(s * v for v in form) for s, form in zip(slopes, forms)]
        common = gcd(over * low.denominator, *(v for form in values for v in form))
        piece.values = [tuple(v // common for v in form) for form in values]
        piece.over = over * low.denominator // common
    return pieces


def affine_forms(part: Part, W: list[Point], b: Point) -> tuple[list[Ints], int]:
    """The pre-activations W v + b of the next layer as integers over one positive denominator."""
    scale = lcm(*(v.denominator for row in W for v in row), *(v.denominator for v in b))
    forms = []
    for row, bias in zip(W, b, strict=True):
        live = [(int(w * scale), v) for w, v in zip(row, part.values, strict=True) if w]
        form = [sum(w * v[k] for w, v in live) for k in range(len(part.points[0]))]
        form[-1] += int(bias * scale) * part.over
        forms.append(tuple(form))
    return forms, scale * part.over


def split(part: Part, form: Ints) -> list[Part]:
    """The part itself with one more piece, or its two halves, the one below 0 first."""
    if not any(form):
        return [with_piece(part, 0, part.keys, part.points)]
    if not any(form[:-1]):
        return [with_piece(part, int(form[-1] > 0), part.keys, part.points)]
    common = gcd(*form)
    halves = []
    for piece, sign in ((0, 1), (1, -1)):
        key = (*(sign * v // common for v in form[:-1]), -sign * form[-1] // common)
        points = [p for p in part.points if sign * sum(v * x for v, x in zip(form, p)) < 0]
        keys = [*part.keys, key]
        if not points:
            found = inside(keys, len(key) - 1)
            points = [] if found is None else [found]
        if points:
            halves.append((piece, keys, points))
    assert halves
    if len(halves) == 1:  # the other side has no interior, so this row is implied by the others
        piece, _, points = halves[0]
        return [with_piece(part, piece, part.keys, list(dict.fromkeys([*part.points, *points])))]
    return [with_piece(part, *half) for half in halves]


def with_piece(part: Part, piece: int, keys: list[Key], points: list[Ints]) -> Part:
    strict = [p for p in points if all(dot_key(k, p) < 0 for k in keys)] if keys is not part.keys else points
    return Part((*part.pattern, piece), keys, strict[-8:], part.values, part.over)


def dot_key(key: Key, p: Ints) -> int:
    """(a.x - b) w, of the sign of a.x - b."""
    return sum(a * x for a, x in zip(key[:-1], p)) - key[-1] * p[-1]


def inside(keys: Sequence[Key], dim: int) -> Ints | None:
    """An interior point, rounded to few bits where that stays inside."""
    found = interior_point(keys, dim)
    if found is None:
        return None
    scale = lcm(*(v.denominator for v in found), 1)
    whole = (*(int(v * scale) for v in found), scale)
    for bits in (0, 4, 12, 30):
        short = (*(round(v * 2**bits) for v in found), 2**bits)
        if scale > 2**bits and all(dot_key(k, short) < 0 for k in keys):
            return short
    return whole


def leaf(part: Part, W: list[Point], b: Point) -> Leaf:
    forms, over = affine_forms(part, W, b)
    outputs = [([Fraction(v, over) for v in form[:-1]], Fraction(form[-1], over)) for form in forms]
    *x, w = part.points[0]
    point = [Fraction(v, w) for v in x]
    assert all(dot(k[:-1], point) < k[-1] for k in part.keys)
    return Leaf(part.pattern, part.keys, point, outputs)
