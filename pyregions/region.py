"""Region: one cell of a network with interior, and what lies across its facets and inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from .arguments import norm_code, point_array, row_arrays
from .cell import F64, DomainRows, Geometry, NoInterior
from .errors import UndecidedError, core_errors
from .exact import ExactNetwork
from .values import U8, AffineMap, ClassPair, Distances, Facet, Image, frozen, point_parts

if TYPE_CHECKING:
    from .network import Network
    from .polyhedron import Domain

# The witnesses of decision boundaries, by name.
POINTS = ("positive", "negative", "piece_first", "piece_second", "class_witness")


@dataclass(frozen=True)
class Neighbor:
    """The region across one facet: its pattern and the facet shared; the region itself on demand."""

    facet: Facet
    pattern: U8 = field(repr=False)
    changed_units: tuple[int, ...]
    _origin: Region = field(repr=False)
    _index: int = field(repr=False)

    def region(self) -> Region:
        """The neighbor as a region in the same domain."""
        origin = self._origin
        with core_errors():
            cell = origin._cell.neighbor(self._index)
        return Region(origin.network, cell, origin._rows, origin.domain, None)

    @property
    def affine_map(self) -> AffineMap:
        """The network's affine map on the neighbor, with error bounds (builds the region; ``changes`` is cheaper)."""
        return self.region().affine_map


class Neighbors(Sequence[Neighbor]):
    """The regions across the facets that are not on the domain's boundary, in the order of the facets.

    ``facets`` (K,) are their indices, ``patterns`` (K, units) the patterns, ``changes`` (K, m) the vectors v with
    ``W' = W + v n^T`` and ``c' = c - v * offset`` for the facet's normal n and offset (f is continuous, so the maps
    differ by a rank-one term).
    """

    def __init__(self, region: Region) -> None:
        self._region = region
        self.facets, self.patterns = region._neighbors

    def __len__(self) -> int:
        return len(self.facets)

    @overload
    def __getitem__(self, index: int) -> Neighbor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Neighbor]: ...
    def __getitem__(self, index: int | slice) -> Neighbor | list[Neighbor]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        pattern = self.patterns[index]
        changed = tuple(map(int, np.flatnonzero(pattern != self._region.pattern)))
        return Neighbor(self._region.facets[int(self.facets[index])], pattern, changed, self._region, index)

    @property
    def changes(self) -> F64:
        return self._region._neighbor_changes

    def _normals(self) -> F64:
        normals = self._region.facets.normals
        return normals if len(self) == len(normals) else np.asarray(normals[self.facets])

    def class_cosines(self) -> F64:
        """Cosine (K, m) between row i of W and row i of each neighbor's W'; NaN where one of them is zero."""
        W, v, n = self._region.affine_map.W, self.changes, self._normals()
        along = v * (n @ W.T)  # <W_i, v_i n>
        here = np.einsum("ij,ij->i", W, W)
        there = here + 2 * along + v**2 * np.einsum("ij,ij->i", n, n)[:, None]
        return _cosine(here + along, here, there)

    def cosines(self) -> F64:
        """Cosine (K,) between the whole matrices W and W', entry by entry; NaN where one of them is zero."""
        W, v, n = self._region.affine_map.W, self.changes, self._normals()
        along = np.einsum("ij,ij->i", v, n @ W.T)
        here = np.asarray(np.sum(W**2))
        there = here + 2 * along + np.sum(v**2, axis=1) * np.sum(n**2, axis=1)
        return _cosine(here + along, here, there)

    def relative_changes(self) -> F64:
        """Relative change (K,) of the map, ``|W' - W| / |W|`` in the Frobenius norm; NaN if W is zero."""
        size = np.linalg.norm(self.changes, axis=1) * np.linalg.norm(self._normals(), axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(size / np.linalg.norm(self._region.affine_map.W))

    def __repr__(self) -> str:
        return f"Neighbors({len(self)} regions)"


def _cosine(product: F64, here: F64, there: F64) -> F64:
    with np.errstate(divide="ignore", invalid="ignore"):
        out = product / np.sqrt(here * np.maximum(there, 0))
    return np.clip(np.where(np.isfinite(out), out, np.nan), -1, 1)


class DecisionBoundaries(Sequence[ClassPair]):
    """One :class:`ClassPair` for each pair i < j of outputs, in lexicographic order.

    ``classes`` (m) tells for each output whether somewhere inside it is strictly larger than all others, those that are
    identical to it aside (None: undecided), and ``class_witnesses`` (m, d) where (NaN rows otherwise).
    """

    def __init__(self, region: Region) -> None:
        with core_errors():
            self.raw = region._cell.decision_boundaries()
        answer = {1: True, 0: False}
        self.classes: tuple[bool | None, ...] = tuple(answer.get(int(k)) for k in self.raw["classes"])
        self.class_witnesses: F64 = frozen(self.raw["class_witness"])

    def __len__(self) -> int:
        return len(self.raw["pairs"])

    @overload
    def __getitem__(self, index: int) -> ClassPair: ...
    @overload
    def __getitem__(self, index: slice) -> list[ClassPair]: ...
    def __getitem__(self, index: int | slice) -> ClassPair | list[ClassPair]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        raw, answer = self.raw, {1: True, 0: False}
        i, j = map(int, raw["pairs"][index])
        crosses, piece = answer.get(int(raw["crosses"][index])), answer.get(int(raw["piece"][index]))
        return ClassPair(
            i,
            j,
            crosses,
            bool(raw["identical"][index]),
            int(raw["constant_sign"][index]),
            raw["positive"][index] if crosses else None,
            raw["negative"][index] if crosses else None,
            piece,
            (raw["piece_first"][index], raw["piece_second"][index]) if piece else None,
        )

    def parts(self, name: str, index: int) -> F64:
        """A witness as a sum of doubles (parts, d), nearly always of one part.

        Parameters
        ----------
        name : "positive", "negative", "piece_first", "piece_second" or "class_witness"
        index : int
            Of the pair, or of the class.
        """
        points: dict[str, F64] = {key: self.raw[key] for key in POINTS}  # type: ignore[literal-required]
        if name not in points:
            raise ValueError(f"there is no witness {name!r}: choose one of {', '.join(POINTS)}")
        return point_parts(points[name][index], self.raw["fine"].get((name, index)))

    @property
    def crossed(self) -> bool:
        """True if a decision boundary {f_i = f_j >= all f_k} crosses the region.

        Raises
        ------
        UndecidedError
            If none is proven to and for some pair it stayed open.
        """
        piece = self.raw["piece"]
        if (piece == 1).any():
            return True
        if (piece == -1).any():
            raise UndecidedError("whether a decision boundary crosses could not be decided within the budget")
        return False

    def __repr__(self) -> str:
        return f"DecisionBoundaries({len(self)} pairs, {int((self.raw['crosses'] == 1).sum())} cross)"


class Region(Geometry):
    """A region: the closed cell of one activation pattern, with interior, cut by the domain.

    Made by :meth:`Network.region` and :meth:`Network.regions`. Attributes: ``network``, ``domain`` (as given) and
    ``point`` (the point it was asked for, or None); questions are answered on demand and kept.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]), ([[1.0, -1.0]], [0.0])])
    >>> r = net.region([0.25, 0.5], domain=pr.Box(-1, 1))
    >>> r.pattern.tolist(), r.affine_map.W.tolist(), len(r.facets), round(r.chebyshev.radius, 6)
    ([1, 1], [[1.0, -1.0]], 4, 0.5)
    >>> [n.changed_units for n in r.neighbors()], r.is_bounded, r.contains([1.0, 0.0])
    ([(0,), (1,)], True, True)
    """

    def __init__(
        self, network: Network, cell: _core.Cell, rows: DomainRows, domain: Domain, point: F64 | None
    ) -> None:
        self.network, self.domain, self.point = network, domain, point
        self._core_cell, self._domain_rows = cell, rows

    @property
    def _cell(self) -> _core.Cell:
        return self._core_cell

    @property
    def _exact(self) -> ExactNetwork:
        return self.network._exact

    @property
    def _rows(self) -> DomainRows:
        return self._domain_rows

    @property
    def _shape(self) -> tuple[int, ...]:
        return self.network.input_shape

    def __reduce__(self) -> tuple[Any, ...]:
        # What has been answered stays behind: a restored region is asked again, and decides the same.
        budget = self._cell.exact_budget
        return _restored, (self.network, self.pattern, tuple(self._domain_rows), self.domain, self.point, budget)

    @cached_property
    def affine_map(self) -> AffineMap:
        """The network's outputs on this region, ``f(x) = W x + c``, with error bounds."""
        return self.affine_map_to(-1)

    def affine_map_to(self, stage: int, after: bool = False) -> AffineMap:
        """The affine map from the input to the pre-activations of a stage (or, ``after``, its activations).

        Parameters
        ----------
        stage : int
            Counted from 0; -1 for the network's outputs.
        """
        stages = len(self.network.stage_widths)
        if not -1 <= stage < stages:
            raise ValueError(f"stage {stage} does not exist: stages are 0 to {stages - 1}, and -1 for the outputs")
        raw = self._cell.affine_map(stage, after)
        return AffineMap(*(frozen(raw[key]) for key in ("W", "c", "W_error", "c_error")))

    # Arrays, not the Neighbors: a region that holds what holds the region would be let go much later than it could.
    @cached_property
    def _neighbors(self) -> tuple[NDArray[np.int64], U8]:
        with core_errors():
            indices, patterns = self._cell.neighbors()
        return frozen(indices), frozen(patterns)

    @cached_property
    def _neighbor_changes(self) -> F64:
        with core_errors():
            out: F64 = frozen(self._cell.neighbor_changes())
            return out

    def neighbors(self) -> Neighbors:
        """The regions across the facets, by the exact neighbor rule (several units may change at once).

        Returns
        -------
        Neighbors
            One per facet that is not on the domain's boundary, in the order of the facets.
        """
        return Neighbors(self)

    @cached_property
    def _decision_boundaries(self) -> DecisionBoundaries:
        return DecisionBoundaries(self)

    def decision_boundaries(self) -> DecisionBoundaries:
        """Which of the hyperplanes {f_i = f_j} cross the region, and where they carry the largest output.

        Returns
        -------
        DecisionBoundaries
            One :class:`ClassPair` per pair of outputs.
        """
        return self._decision_boundaries

    def distances(self, x: ArrayLike | None = None, norm: object = 2) -> Distances:
        """Distances of a point of the region to its rows, in the 1-, 2- or maximum norm.

        The distance to the hyperplane a.x = b is ``(b - a.x) / |a|`` in the dual norm. The smallest one over the unit
        rows is the distance to the region's boundary in R^d; the distance to the domain's boundary is a number of its
        own (0 for an image with a pixel at 0).

        Parameters
        ----------
        x : array_like (d,), optional
            The region's own ``point`` if not given.
        norm : 1, 2 or np.inf

        Raises
        ------
        ValueError
            If x is not in the region, or not given where the region has no point of its own.
        """
        code = norm_code(norm)
        if x is None and self.point is None:
            raise ValueError("the region was not made from a point: pass x")
        point = self.point if x is None else point_array(x, self.dim, "x", self.network.input_shape)
        assert point is not None
        if not self.contains(point):
            raise ValueError("x is not in this region; distances to its walls are those of a point inside")
        with core_errors():
            found = _core.cell_distances(self._cell, point, code)
        value, lower, upper = found["value"], found["lower"], found["upper"]
        units, near = self.network.units, found["nearest_unit"]
        bounds = (float(lower[:units].min(initial=np.inf)), float(upper[:units].min(initial=np.inf)))
        outer = (float(lower[units:].min(initial=np.inf)), float(upper[units:].min(initial=np.inf)))
        return Distances(
            frozen(value[:units]),
            frozen(lower[:units]),
            frozen(upper[:units]),
            float(value[near]) if near >= 0 else np.inf,
            bounds,
            near,
            self.halfspaces.labels[near] if near >= 0 else None,
            float(value[units:].min(initial=np.inf)),
            outer,
        )

    def image(self) -> Image:
        """The range of every output over the closed region: two linear programs per output, with bounds.

        Returns
        -------
        Image
            ``lower`` and ``upper`` (m,), possibly infinite, and rigorous bounds on both.
        """
        count = self.network.outputs
        ends = []
        for sign in (-1.0, 1.0):
            found = []
            for weights in sign * np.eye(count):
                with core_errors():
                    found.append(self._extremum(self._cell.maximize_output(weights)))
            ends.append((np.array([e.value for e in found]), np.array([e.bounds for e in found])))
        (low, low_bounds), (high, high_bounds) = ends
        return Image(-low, high, -low_bounds[:, ::-1], high_bounds)

    def intersect(self, A: ArrayLike, b: ArrayLike) -> Region | NoInterior:
        """The part of the region that satisfies further rows ``A x <= b``, or the proof that it has no interior.

        Parameters
        ----------
        A : array_like (K, d)
        b : array_like (K,)
        """
        rows, offsets = row_arrays(A, b, self.dim)
        with core_errors():
            found = self._cell.intersect(rows, offsets)
        cut = self._rows.cut(rows, offsets)
        if not isinstance(found, _core.Cell):
            return NoInterior(self._exact, self.pattern, cut, found)
        point = self.point if self.point is not None and found.contains(self.point) else None
        return Region(self.network, found, cut, self.domain, point)

    def __repr__(self) -> str:
        return f"Region({self.network.units} units, {len(self.halfspaces)} rows in {self.dim} dimensions)"


def _restored(
    network: Network, pattern: U8, inside: tuple[F64, F64, F64, F64], domain: Domain, point: F64 | None, budget: float
) -> Region:
    """A region from what pickling keeps of it."""
    rows = DomainRows(*inside)
    with core_errors():
        if point is not None:
            cell = _core.cell_at(network._core, point, rows.core(), "any", budget)
            if (cell.pattern == pattern).all():
                return Region(network, cell, rows, domain, frozen(point))
        found = _core.cell_of(network._core, pattern, rows.core(), budget)
    assert isinstance(found, _core.Cell)  # it had an interior
    return Region(network, found, rows, domain, point)
