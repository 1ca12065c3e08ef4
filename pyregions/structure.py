"""Structure: facets, vertices, neighbors, volumes and faces of all regions of a complex, in arrays."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .cell import DomainRows
from .errors import Label
from .network import Network
from .values import U8, frozen

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I32 = NDArray[np.int32]


def _pairs(keys: NDArray[np.uint64]) -> NDArray[Any]:
    """Two words per row as one sortable value."""
    return np.ascontiguousarray(keys).view([("a", "<u8"), ("b", "<u8")]).reshape(-1)


class Structure:
    """Facets of region k are ``facet_offsets[k]:facet_offsets[k + 1]``, its vertices ``vertex_offsets[k]:...``.

    Attributes
    ----------
    facet_offsets, vertex_offsets : (n + 1,) int64
    facet_region : (F,) int64
        The region of each facet.
    facet_unit : (F,) int32
        The unit whose hyperplane it lies on, -1 on the domain's boundary.
    facet_domain_row : (F,) int32
        The row of the domain that it lies on, -1 inside.
    facet_neighbor : (F,) int64
        The region across it; -1 on the domain's boundary, or where an incomplete complex does not hold it.
    incidence_offsets, incidence
        Vertices of facet f, numbered within its region: ``incidence[incidence_offsets[f]:incidence_offsets[f + 1]]``.
    vertices : (V, d), vertex_errors : (V,), far : (V,) bool
        Points, each coordinate within the error; where ``far``, directions of rays.
    vertex_id : (V,) int64
        Equal exactly where two regions have the same vertex.
    volumes, volume_errors : (n,)
        Infinite where unbounded; the exact volume lies within the error.
    """

    def __init__(self, network: Network, rows: DomainRows, patterns: U8, raw: dict[str, Any]) -> None:
        self.network, self._rows, self._raw = network, rows, raw
        self._patterns = patterns
        self.facet_offsets: I64 = frozen(raw["facet_offsets"])
        self.vertex_offsets: I64 = frozen(raw["vertex_offsets"])
        self.incidence_offsets: I64 = frozen(raw["incidence_offsets"])
        self.incidence: I32 = frozen(raw["incidence"])
        self.vertices: F64 = frozen(raw["vertices"])
        self.vertex_errors: F64 = frozen(raw["vertex_errors"])
        self.far: NDArray[np.bool_] = frozen(raw["far"] != 0)
        self.volumes: F64 = frozen(raw["volumes"])
        self.volume_errors: F64 = frozen(raw["volume_errors"])
        row = raw["facet_rows"]
        # The frame's rows are the d + 1 walls at infinity, which are never facets here, then the domain's.
        self.facet_unit: I32 = frozen(np.where(row >= 0, row, -1).astype(np.int32))
        self.facet_domain_row: I32 = frozen(np.where(row < 0, -row - 2 - network.inputs, -1).astype(np.int32))
        self.facet_region: I64 = frozen(np.repeat(np.arange(self.regions), np.diff(self.facet_offsets)))

    @property
    def regions(self) -> int:
        return len(self.facet_offsets) - 1

    def labels_of(self, facet: int) -> tuple[Label, ...]:
        """The labels of one facet: all units that vanish on it (but not on the region), or the domain's row."""
        if self.facet_unit[facet] < 0:
            core = self._rows.core().halfspaces()
            return (Label(*map(int, core["labels"][self.facet_domain_row[facet]])),)
        bounds = self._raw["label_offsets"]
        units = self._raw["labels"][bounds[facet] : bounds[facet + 1]]
        pattern = self._patterns[self.facet_region[facet]]
        starts = np.cumsum([0, *self.network.stage_widths])
        out = []
        for unit in map(int, units):
            stage = int(np.searchsorted(starts, unit, side="right") - 1)
            out.append(Label(stage, unit - int(starts[stage]), 1 - int(pattern[unit])))
        return tuple(out)

    @cached_property
    def facet_partner(self) -> I64:
        """(F,) the same facet as seen from the region across, -1 where there is none."""
        keys = _pairs(self._raw["facet_keys"])
        order = np.argsort(keys, kind="stable")
        partner = np.full(len(keys), -1, dtype=np.int64)
        same = keys[order[1:]] == keys[order[:-1]] if len(keys) else np.zeros(0, dtype=bool)
        first = np.flatnonzero(same)
        partner[order[first]] = order[first + 1]
        partner[order[first + 1]] = order[first]
        inside = self.facet_unit >= 0
        partner[~inside] = -1
        self._check_pairs(partner)
        out: I64 = frozen(partner)
        return out

    def _check_pairs(self, partner: I64) -> None:
        """The keys are hashes: facets are taken for one only if all units have the same signs on both."""
        first = np.flatnonzero(partner > np.arange(len(partner)))
        for begin in range(0, len(first), 1 << 14):
            some = first[begin : begin + (1 << 14)]
            if not np.array_equal(self._signs_on(some), self._signs_on(partner[some])):
                raise RuntimeError("two facets have one key but are not the same: please report this network")

    def _signs_on(self, facets: I64) -> NDArray[np.int8]:
        """Signs (K, units) of all units in the relative interior of some facets."""
        regions = self.facet_region[facets]
        signs = 2 * self._patterns[regions].astype(np.int8) - 1
        for offsets, values, which in (("label_offsets", "labels", facets), ("zero_offsets", "zeros", regions)):
            begin, count = self._raw[offsets][which], np.diff(self._raw[offsets])[which]
            row = np.repeat(np.arange(len(which)), count)
            place = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
            signs[row, self._raw[values][np.repeat(begin, count) + place]] = 0
        return signs

    @cached_property
    def facet_neighbor(self) -> I64:
        partner = self.facet_partner
        neighbor: I64 = frozen(np.where(partner >= 0, self.facet_region[partner], -1))
        return neighbor

    def neighbors_of(self, region: int) -> list[int]:
        """Regions across the facets of one, in the order of its facets."""
        facets = slice(self.facet_offsets[region], self.facet_offsets[region + 1])
        return [int(k) for k in self.facet_neighbor[facets] if k >= 0]

    def vertices_of(self, region: int) -> tuple[F64, F64]:
        """Vertices (V, d) and directions of rays (R, d) of one region."""
        own = slice(self.vertex_offsets[region], self.vertex_offsets[region + 1])
        points, far = self.vertices[own], self.far[own]
        return points[~far], points[far]

    @cached_property
    def vertex_id(self) -> I64:
        ids: I64 = frozen(np.unique(_pairs(self._raw["vertex_keys"]), return_inverse=True)[1].astype(np.int64))
        return ids

    @cached_property
    def edges(self) -> I64:
        """Pairs (E, 2) of regions that share a facet, each shared facet once, and the smaller index first."""
        seen = np.flatnonzero(self.facet_partner > np.arange(len(self.facet_partner)))
        pairs = np.stack([self.facet_region[seen], self.facet_neighbor[seen]], axis=1)
        out: I64 = frozen(np.sort(pairs, axis=1))
        return out

    def graph(self) -> Any:
        """The dual graph as a networkx graph."""
        import networkx

        graph = networkx.Graph()
        graph.add_nodes_from(range(self.regions))
        for facet in np.flatnonzero(self.facet_partner > np.arange(len(self.facet_partner))):
            ends = int(self.facet_region[facet]), int(self.facet_neighbor[facet])
            graph.add_edge(*ends, labels=self.labels_of(int(facet)))
        return graph

    def adjacency(self) -> Any:
        """The dual graph as a symmetric sparse matrix of booleans."""
        from scipy.sparse import csr_array

        a, b = self.edges.T
        ones = np.ones(2 * len(a), dtype=bool)
        return csr_array((ones, (np.concatenate([a, b]), np.concatenate([b, a]))), shape=(self.regions, self.regions))

    def f_vector(self) -> tuple[int, ...]:
        """Numbers of faces by dimension 0..d, each counted once; needs a structure with faces."""
        keys, first = np.unique(_pairs(self._raw["face_keys"]), return_index=True)
        counts = np.bincount(self._raw["face_dimensions"][first], minlength=self.network.inputs + 1)
        return tuple(int(k) for k in counts)
