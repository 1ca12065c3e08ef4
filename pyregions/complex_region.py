"""ComplexRegion: one region of a complex, as its sequence hands it out."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from .cell import F64
from .region import Region
from .values import U8, AffineMap, Ball

if TYPE_CHECKING:
    from .complex import RegionComplex


class ComplexRegion:
    """One region of a complex: what the complex knows of it, and the certified :class:`Region` on demand.

    Attributes: ``index``, ``pattern`` (units,), ``is_bounded``, and ``witness`` (d,): strictly inside, or where no
    double is, rounded from the sum of doubles ``region.witness_parts`` that is.
    """

    def __init__(self, complex: RegionComplex, index: int) -> None:
        self._complex, self.index = complex, index

    @property
    def pattern(self) -> U8:
        return self._complex.pattern(self.index)

    @property
    def witness(self) -> F64:
        point = self._complex.witnesses[self.index]
        return point if np.isfinite(point).all() else self.region.witness

    @property
    def is_bounded(self) -> bool:
        return bool(self._complex.bounded[self.index])

    @cached_property
    def region(self) -> Region:
        """The region with facets, ball, neighbors and their certificates."""
        return self._complex._region(self.index)

    @property
    def affine_map(self) -> AffineMap:
        """The network's outputs here, ``f(x) = W x + c``, with error bounds."""
        return self.region.affine_map

    @property
    def halfspaces(self) -> Any:
        """The region's rows ``A x <= b``, see :attr:`Region.halfspaces`."""
        return self.region.halfspaces

    @property
    def facets(self) -> Any:
        """The facets with certificates, see :attr:`Region.facets`."""
        return self.region.facets

    @property
    def chebyshev(self) -> Ball:
        """The largest inscribed ball, see :attr:`Region.chebyshev`."""
        return self.region.chebyshev

    @property
    def neighbors(self) -> list[int]:
        """Indices of the regions across the facets, one per facet that is not on the domain's boundary."""
        return self._complex.structure.neighbors_of(self.index)

    @property
    def vertices(self) -> F64:
        """The vertices (V, d), each the nearest doubles or within ``structure.vertex_errors``."""
        return self._complex.structure.vertices_of(self.index)[0]

    @property
    def rays(self) -> F64:
        """Directions (R, d), with the vertices they start from implied, along which the region is unbounded."""
        return self._complex.structure.vertices_of(self.index)[1]

    @property
    def volume(self) -> float:
        """The volume, infinite if unbounded; ``structure.volume_errors`` bounds its error."""
        return float(self._complex.structure.volumes[self.index])

    def __repr__(self) -> str:
        kind = "bounded" if self.is_bounded else "unbounded"
        return f"ComplexRegion({self.index} of {len(self._complex)}, {kind})"
