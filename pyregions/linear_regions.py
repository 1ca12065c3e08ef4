"""LinearRegions: regions of a complex with exactly equal affine maps, joined."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .exact import Exact
from .values import frozen

if TYPE_CHECKING:
    from .complex import RegionComplex

I64 = NDArray[np.int64]


@dataclass(frozen=True)
class LinearRegions:
    """Linear regions in the narrow sense: unions of activation regions on which the network is one affine map.

    ``labels`` (n,) is the part of each activation region, parts numbered from 0 in the order of their first region;
    ``sizes`` how many activation regions each holds; ``convex`` whether its union is convex; ``adjacent_only`` whether
    only regions connected across facets were joined (else equal maps anywhere are one part, convex where its connected
    pieces are one and that is).
    """

    labels: I64
    sizes: I64
    convex: NDArray[np.bool_]
    adjacent_only: bool

    def __len__(self) -> int:
        return len(self.sizes)

    def __repr__(self) -> str:
        joined = "joined across facets" if self.adjacent_only else "joined wherever they are equal"
        return (
            f"LinearRegions({len(self)} exactly equal maps, {joined}, of {len(self.labels)} activation regions; "
            f"{int((~self.convex).sum())} not convex)"
        )


def merge(complex: RegionComplex, adjacent_only: bool) -> LinearRegions:
    """See :meth:`RegionComplex.merge_equal_maps`."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(complex)
    equal = _EqualMaps(complex)
    pairs = [(a, b) for a, b in complex.structure.edges if equal.same(int(a), int(b))]
    joined = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    ones = np.ones(len(joined), dtype=bool)
    graph = coo_array((ones, (joined[:, 0], joined[:, 1])), shape=(count, count))
    _, pieces = connected_components(graph, directed=False)
    convex_piece = {int(p): _is_convex(complex, np.flatnonzero(pieces == p)) for p in _large(pieces)}
    labels = pieces
    if not adjacent_only:
        representative = {int(p): int(np.argmax(pieces == p)) for p in np.unique(pieces)}
        by_map: dict[Any, int] = {}
        part = {p: by_map.setdefault(equal.key(k), len(by_map)) for p, k in representative.items()}
        labels = np.array([part[int(p)] for p in pieces], dtype=np.int64)
    _, first, labels = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))
    labels = rank[labels].astype(np.int64)
    sizes = np.bincount(labels).astype(np.int64)
    convex = np.ones(len(sizes), dtype=bool)
    for label in range(len(sizes)):
        inside = np.unique(pieces[labels == label])
        convex[label] = len(inside) == 1 and convex_piece.get(int(inside[0]), True)
    return LinearRegions(frozen(labels), frozen(sizes), frozen(convex), adjacent_only)


def _large(pieces: NDArray[Any]) -> NDArray[Any]:
    """Pieces of more than one region; one region is convex."""
    return np.flatnonzero(np.bincount(pieces) > 1)


class _EqualMaps:
    """Exact comparison of the affine maps of regions, floats first."""

    def __init__(self, complex: RegionComplex) -> None:
        self._complex = complex
        self._float: dict[int, Any] = {}
        self._keys: dict[int, Any] = {}

    def same(self, a: int, b: int) -> bool:
        f, g = self._map(a), self._map(b)
        apart = np.abs(f.W - g.W) > (f.W_error + g.W_error)[:, None]
        if apart.any() or (np.abs(f.c - g.c) > f.c_error + g.c_error).any():
            return False
        return bool(self.key(a) == self.key(b))

    def _map(self, k: int) -> Any:
        if k not in self._float:
            self._float[k] = self._complex[k].affine_map
        return self._float[k]

    def key(self, k: int) -> Any:
        """The outputs at 0 and at the unit vectors with the pieces held, as integers: equal iff the maps are."""
        if k not in self._keys:
            d = self._complex.network.inputs
            points = Exact.of(np.vstack([np.zeros((1, d)), np.eye(d)]))
            out = self._complex.network._exact.forward(points, held=self._complex.pattern(k))[1]
            scale = Fraction(2) ** out.exponent
            self._keys[k] = tuple(Fraction(int(v)) * scale for v in np.ravel(out.ints))
        return self._keys[k]


def _is_convex(complex: RegionComplex, members: NDArray[Any]) -> bool:
    """True iff every vertex and ray of the union lies on the inner side of each of its boundary facets.

    Then the union U lies in the intersection P of those halfspaces; and a point of P outside U would be seen from U's
    interior through some boundary facet, beyond which P does not reach: U = P.
    """
    structure, inside = complex.structure, set(map(int, members))
    exact = {k: _core.ExactVertices(complex.network._core, complex._rows.core(), complex.pattern(k)) for k in inside}
    points = {(k, v): exact[k].meet(rows) for k in inside for v, rows in enumerate(_rows_of_vertices(complex, k))}
    for k in inside:
        for facet in range(structure.facet_offsets[k], structure.facet_offsets[k + 1]):
            if int(structure.facet_neighbor[facet]) in inside:
                continue
            row = int(structure._raw["facet_rows"][facet])
            a, c = exact[k].form(row)
            side = 1 if row < 0 or complex.pattern(k)[row] else -1
            for x, u, denominator in points.values():
                far = sum(p * q for p, q in zip(a, u, strict=True))
                near = sum(p * q for p, q in zip(a, x, strict=True)) + c * denominator
                if side * (far or near) < 0:
                    return False
    return True


def _rows_of_vertices(complex: RegionComplex, region: int) -> list[list[int]]:
    """Per vertex of a region the rows that vanish there: facets, and walls at infinity."""
    structure = complex.structure
    begin, end = structure.vertex_offsets[region], structure.vertex_offsets[region + 1]
    walls = structure._raw["walls"][begin:end]
    rows = [[-1 - k for k in range(complex.network.inputs + 1) if int(bits) >> k & 1] for bits in walls]
    for facet in range(structure.facet_offsets[region], structure.facet_offsets[region + 1]):
        own = structure.incidence[structure.incidence_offsets[facet] : structure.incidence_offsets[facet + 1]]
        for vertex in own:
            rows[int(vertex)].append(int(structure._raw["facet_rows"][facet]))
    return rows
