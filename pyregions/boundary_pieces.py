"""BoundaryPieces: the decision boundary as polyhedral pieces, found as facets of a finer complex."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .exact import AffineNode, HingeNode
from .network import Network
from .values import frozen

if TYPE_CHECKING:
    from .complex import RegionComplex

I64 = NDArray[np.int64]
F64 = NDArray[np.float64]


@dataclass(frozen=True)
class BoundaryPieces:
    """Pieces of dimension d - 1 on which two outputs tie for the largest (or a single output is 0).

    ``regions`` (P,) is the region of the complex that holds each piece, on one side where it lies along a facet;
    ``classes`` (P, 2) the outputs that tie, the first two where more do ((0, 0) for a single one); ``vertices`` the
    vertices of each piece and ``rays`` its directions to infinity; ``adjacency`` pairs (A, 2) of pieces that share a
    face of dimension d - 2.
    """

    regions: I64
    classes: I64
    vertices: list[F64]
    rays: list[F64]
    adjacency: I64 = field(repr=False)

    def __len__(self) -> int:
        return len(self.regions)

    def __repr__(self) -> str:
        return f"BoundaryPieces({len(self)} pieces in {len(np.unique(self.regions))} regions)"


def with_class_units(network: Network, classes: Sequence[int]) -> tuple[Network, list[tuple[int, int]]]:
    """The network with a further stage of units f_i - f_j (or f itself), exact: their hyperplanes are the ties."""
    nodes = list(network.nodes)
    outputs = network.outputs
    pairs = [(0, 0)] if outputs == 1 else list(combinations(sorted(classes), 2))
    matrix = np.zeros((len(pairs), outputs))
    for row, (i, j) in enumerate(pairs):
        matrix[row, i] += 1
        if j != i:
            matrix[row, j] -= 1
    nodes.append(AffineNode(((len(nodes), matrix),), np.zeros(len(pairs))))
    nodes.append(HingeNode(len(nodes), np.zeros(len(pairs)), np.ones(len(pairs))))
    nodes.append(AffineNode(((len(nodes), np.eye(len(pairs))),), np.zeros(len(pairs))))
    return Network(network.inputs, nodes, network.input_shape), pairs


def boundary_pieces(complex: RegionComplex, classes: Sequence[int] | None) -> BoundaryPieces:
    """See :meth:`RegionComplex.decision_boundary`."""
    from .all_regions import enumerate_regions

    outputs = complex.network.outputs
    try:
        chosen = list(range(outputs)) if classes is None else [operator.index(k) for k in classes]
    except TypeError:
        raise ValueError(f"classes must be a sequence of outputs, got {classes!r}") from None
    known = len(set(chosen)) == len(chosen) and all(0 <= k < outputs for k in chosen)
    if not known or (outputs > 1 and len(chosen) < 2):
        raise ValueError(f"classes must be at least two distinct outputs among 0 to {outputs - 1}, got {classes!r}")
    if not complex.complete:
        raise ValueError("the complex is incomplete; resume the enumeration first")
    finer, pairs = with_class_units(complex.network, chosen)
    regions = enumerate_regions(finer, complex.domain)
    if not regions.complete:
        raise KeyboardInterrupt
    structure, units = regions.structure, complex.network.units
    pieces: list[tuple[int, tuple[int, int], int]] = []
    seen = structure.facet_partner > np.arange(len(structure.facet_partner))
    for facet in np.flatnonzero(seen):
        pair = _top_pair(regions, int(facet), units, pairs, chosen)
        if pair is not None:
            pattern = regions.pattern(int(structure.facet_region[facet]))[:units]
            pieces.append((complex.index_of(pattern), pair, int(facet)))
    vertices, rays = [], []
    for _, _, held in pieces:
        own = _vertices_of_facet(structure, held)
        far = structure.far[own]
        vertices.append(structure.vertices[own[~far]])
        rays.append(structure.vertices[own[far]])
    return BoundaryPieces(
        frozen(np.array([k for k, _, _ in pieces], dtype=np.int64)),
        frozen(np.array([p for _, p, _ in pieces], dtype=np.int64).reshape(-1, 2)),
        vertices,
        rays,
        frozen(_adjacent(structure, [facet for _, _, facet in pieces], complex.network.inputs)),
    )


def _top_pair(
    regions: RegionComplex, facet: int, units: int, pairs: list[tuple[int, int]], classes: list[int]
) -> tuple[int, int] | None:
    """The pair of outputs that tie for the largest on a facet, None if the facet is no tie of largest ones."""
    structure = regions.structure
    bounds, labels = structure._raw["label_offsets"], structure._raw["labels"]
    # Seen from both sides: where outputs tie on a whole region, its own facets do not carry the label.
    sides = (facet, int(structure.facet_partner[facet]))
    tied = {int(u) - units for side in sides for u in labels[bounds[side] : bounds[side + 1]] if u >= units}
    if not tied:
        return None
    if pairs == [(0, 0)]:
        return (0, 0)
    region = int(structure.facet_region[facet])
    zeros = structure._raw["zero_offsets"]
    level = {int(u) - units for u in structure._raw["zeros"][zeros[region] : zeros[region + 1]] if u >= units}
    pattern = regions.pattern(region)[units:]
    above = {k: True for k in classes}  # not below any other on the facet
    for row, (i, j) in enumerate(pairs):
        if row in tied or row in level:
            continue
        above[j if pattern[row] else i] = False
    best = [pairs[row] for row in sorted(tied) if above[pairs[row][0]] and above[pairs[row][1]]]
    return best[0] if best else None


def _vertices_of_facet(structure: Any, facet: int) -> I64:
    region = structure.facet_region[facet]
    own = structure.incidence[structure.incidence_offsets[facet] : structure.incidence_offsets[facet + 1]]
    return np.asarray(structure.vertex_offsets[region] + own, dtype=np.int64)


def _adjacent(structure: Any, facets: list[int], dim: int) -> I64:
    """Pairs of pieces with a common face of dimension d - 2, told by the vertices of that face."""
    by_ridge: dict[frozenset[int], list[int]] = {}
    for piece, facet in enumerate(facets if dim > 1 else []):
        for ridge in _ridges(structure, facet):
            by_ridge.setdefault(ridge, []).append(piece)
    out = {pair for members in by_ridge.values() for pair in combinations(sorted(members), 2)}
    return np.array(sorted(out), dtype=np.int64).reshape(-1, 2)


def _ridges(structure: Any, facet: int) -> list[frozenset[int]]:
    """The largest proper intersections of a facet with the other facets of its region, by vertex ids."""
    region = structure.facet_region[facet]
    own = frozenset(map(int, _vertices_of_facet(structure, facet)))
    others = range(structure.facet_offsets[region], structure.facet_offsets[region + 1])
    parts = {own & frozenset(map(int, _vertices_of_facet(structure, other))) for other in others if other != facet}
    parts.discard(frozenset())
    largest = [part for part in parts if not any(part < other for other in parts)]
    return [frozenset(int(structure.vertex_id[v]) for v in part) for part in largest]
