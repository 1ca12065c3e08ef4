"""The exact oracle for graphs: affine nodes of several terms, dense or diagonal, and hinges of any slopes.

Written from the definitions, in Fractions, as oracle.py is for chains of layers; a cell asks either in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from exact_lp import Point, exact
from oracle import Form, Net

Coefficients = tuple[Fraction, ...]  # of a value: its constant first


@dataclass
class Affine:
    """Sum of the terms and the bias; a term is a node's values times a matrix or, as a diagonal, times a vector."""

    terms: list[tuple[int, list[Any]]]
    bias: Point

    def __call__(self, values: list[list[Coefficients]]) -> list[Coefficients]:
        found = []
        for unit, bias in enumerate(self.bias):
            total = [Fraction(0)] * len(values[0][0])
            for source, weights in self.terms:
                w = weights[unit]
                pairs = zip(w, values[source], strict=True) if isinstance(w, list) else [(w, values[source][unit])]
                for factor, value in pairs:
                    if factor:
                        total = [t + factor * v for t, v in zip(total, value, strict=True)]
            found.append((total[0] + bias, *total[1:]))
        return found


@dataclass
class Hinge:
    source: int
    slopes: list[tuple[Fraction, Fraction]]  # of piece 0 and of piece 1, per unit


class Graph(Net):
    """Nodes in order; node 0 is the input, the last one the output. Each hinge is a stage."""

    def __init__(self, inputs: int, nodes: Sequence[Affine | Hinge]) -> None:
        super().__init__([])
        self._inputs, self.nodes = inputs, list(nodes)

    @staticmethod
    def from_nodes(inputs: int, nodes: Sequence[Any]) -> Graph:
        """Of nodes that hold arrays: terms and bias, or source, low and high."""
        found: list[Affine | Hinge] = []
        for node in nodes:
            if hasattr(node, "terms"):
                found.append(Affine([(source, exact(w)) for source, w in node.terms], exact(node.bias)))
            else:
                found.append(Hinge(node.source, list(zip(exact(node.low), exact(node.high), strict=True))))
        return Graph(inputs, found)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and (self._inputs, self.nodes) == (other._inputs, other.nodes)

    __hash__ = None  # type: ignore[assignment]

    @property
    def inputs(self) -> int:
        return self._inputs

    @property
    def widths(self) -> list[int]:
        return [len(node.slopes) for node in self.nodes if isinstance(node, Hinge)]

    def _walk(
        self, value: list[Coefficients], piece: Callable[[int, Coefficients], bool]
    ) -> tuple[list[list[Coefficients]], list[Coefficients]]:
        """What every hinge is given, and the outputs; piece(unit, z) says which slope a unit takes."""
        values, stages, unit = [value], [], 0
        for node in self.nodes:
            if isinstance(node, Affine):
                values.append(node(values))
                continue
            pre, post = values[node.source], []
            for z, slopes in zip(pre, node.slopes, strict=True):
                slope = slopes[bool(piece(unit, z))]
                post.append(tuple(slope * v for v in z))
                unit += 1
            stages.append(pre)
            values.append(post)
        return stages, values[-1]

    def forward(self, x: Sequence[Any]) -> tuple[list[Point], Point]:
        stages, outputs = self._walk([(Fraction(v),) for v in x], lambda _, z: z[0] > 0)
        return [[z[0] for z in stage] for stage in stages], [z[0] for z in outputs]

    def signs_along(self, x: Sequence[Any], steps: Sequence[Sequence[Any]]) -> list[int]:
        start = [tuple(map(Fraction, coefficients)) for coefficients in zip(x, *steps, strict=True)]
        zero = (Fraction(0),) * (1 + len(steps))
        stages, _ = self._walk(start, lambda _, z: z > zero)
        return [(z > zero) - (z < zero) for stage in stages for z in stage]

    def compose(self, pattern: Sequence[int]) -> tuple[list[int], list[Form], list[Form]]:
        start = [(Fraction(0), *(Fraction(i == j) for j in range(self.inputs))) for i in range(self.inputs)]
        canonical: list[int] = []

        def piece(unit: int, z: Coefficients) -> bool:
            canonical.append(int(pattern[unit]) if any(z) else 0)
            return canonical[-1] == 1

        stages, outputs = self._walk(start, piece)
        forms = [[(list(z[1:]), z[0]) for z in values] for values in (*stages, outputs)]
        return canonical, [form for stage in forms[:-1] for form in stage], forms[-1]
