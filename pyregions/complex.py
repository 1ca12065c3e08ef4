"""RegionComplex: all regions of a network in a domain, and the questions asked of all at once."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arguments import check_tie, plain_floats
from .cell import F64, DomainRows, NoInterior
from .complex_region import ComplexRegion
from .enumeration import I8, Progress, everything, run
from .errors import OnBoundaryError, OutsideDomainError, UndecidedError
from .network import Network
from .polyhedron import Domain, outside, resolve_domain
from .region import Region
from .structure import Structure
from .values import U8, frozen

if TYPE_CHECKING:
    from .boundary_pieces import BoundaryPieces
    from .complex_proof import ComplexProof
    from .linear_regions import LinearRegions

U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]


class RegionComplex(Sequence[ComplexRegion]):
    """All regions of a network in a domain, or those found so far; made by :func:`enumerate_regions`.

    A sequence of :class:`ComplexRegion`. Regions are activation regions: one per canonical pattern with interior.
    The order is that of the splitting, the same for any number of workers.

    Attributes
    ----------
    network : Network
    domain : None, Box or Polyhedron
    witnesses : (n, d) float64
        A point strictly inside each region, proven; NaN where the enumeration proved none: then see the region's own.
    bounded : (n,) bool
    open : (k, units) int8
        The subtrees not explored, by the pieces decided so far (-1: undecided); empty when complete.
    """

    def __init__(
        self, network: Network, domain: Domain, words: U64, witnesses: F64, bounded: NDArray[np.bool_], open: I8
    ) -> None:
        self.network, self.domain = network, domain
        self._words: U64 = frozen(words)
        self.witnesses: F64 = frozen(witnesses)
        self.bounded: NDArray[np.bool_] = frozen(bounded)
        self.open: I8 = frozen(open)
        self._resumed = False

    # ---- the sequence

    def __len__(self) -> int:
        return len(self._words)

    @overload
    def __getitem__(self, index: int) -> ComplexRegion: ...
    @overload
    def __getitem__(self, index: slice) -> list[ComplexRegion]: ...
    def __getitem__(self, index: int | slice) -> ComplexRegion | list[ComplexRegion]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"region {index} of a complex of {len(self)}")
        return ComplexRegion(self, range(len(self))[index])

    def __iter__(self) -> Iterator[ComplexRegion]:
        return (ComplexRegion(self, k) for k in range(len(self)))

    @property
    def complete(self) -> bool:
        """True if every region of the domain is here."""
        return not len(self.open)

    def __repr__(self) -> str:
        state = "complete" if self.complete else f"incomplete: {len(self.open)} subtrees open"
        return f"RegionComplex({len(self)} regions of {self.network!r}, {state})"

    # ---- patterns

    @property
    def packed_patterns(self) -> U8:
        """The patterns as bits, unit u in bit u % 8 of byte u // 8: (n, ceil(units / 8)) uint8."""
        size = (self.network.units + 7) // 8
        return self._words.view(np.uint8).reshape(len(self), 8 * self._words.shape[1])[:, :size]

    @cached_property
    def patterns(self) -> U8:
        """The patterns (n, units), one byte per unit."""
        units = self.network.units
        bits: U8 = frozen(np.unpackbits(self.packed_patterns, axis=1, count=units, bitorder="little"))
        return bits

    def pattern(self, index: int) -> U8:
        """The pattern (units,) of one region."""
        bits: U8 = np.unpackbits(self.packed_patterns[index], count=self.network.units, bitorder="little")
        return bits

    @cached_property
    def _index(self) -> dict[bytes, int]:
        return {key.tobytes(): k for k, key in enumerate(self.packed_patterns)}

    def index_of(self, pattern: ArrayLike) -> int:
        """The index of the region of a canonical pattern (units,), -1 if there is none (here)."""
        return self._index.get(np.packbits(self.network._pattern_array(pattern), bitorder="little").tobytes(), -1)

    # ---- questions

    @plain_floats()
    def find(self, x: ArrayLike, tie: str = "raise") -> Any:
        """The index of the region of a point (d,), or of many points (M, d), decided exactly.

        Parameters
        ----------
        x : array_like (d,) or (M, d)
        tie : "raise" or "any"
            What to do with a point on a hyperplane, as for :meth:`Network.region`.

        Returns
        -------
        int, or (M,) int64
            -1 where an incomplete complex does not hold the region.

        Raises
        ------
        OnBoundaryError, OutsideDomainError
            Naming the point.
        """
        check_tie(tie)
        points, single = self.network._points(x)
        rows, core = self._rows, self._rows.core()
        for k, point in enumerate(points):
            error = outside(rows, core, point)
            if error is not None:
                raise error if single else OutsideDomainError(f"point {k}: {error}")
        value, bound = self.network._core.preactivations(points)
        clear = np.asarray((np.abs(value) > bound).all(axis=1))
        keys = np.packbits(value > 0, axis=1, bitorder="little")
        found = np.empty(len(points), dtype=np.int64)
        for k in range(len(points)):
            if clear[k]:
                found[k] = self._index.get(keys[k].tobytes(), -1)
            else:
                try:
                    pattern = self.network.region(points[k], domain=self.domain, tie=tie).pattern
                except OnBoundaryError as error:
                    raise error if single else OnBoundaryError(f"point {k}: {error}", error.labels) from None
                found[k] = self.index_of(pattern)
        return int(found[0]) if single else found

    def resume(
        self,
        *,
        max_regions: int | None = None,
        time_limit: float | None = None,
        workers: int | None = None,
        progress: Progress = False,
    ) -> RegionComplex:
        """Goes on with what a limit left open; returns a new complex with the regions of this one first."""
        if self.complete:
            return self
        found = run(self.network, self._rows, self.open, "regions", max_regions, time_limit, workers, progress)
        out = RegionComplex(
            self.network,
            self.domain,
            np.concatenate([self._words, found["patterns"]]),
            np.concatenate([self.witnesses, found["witnesses"]]),
            np.concatenate([self.bounded, found["bounded"] != 0]),
            found["open"],
        )
        out._resumed = True
        return out

    @property
    def _rows(self) -> DomainRows:
        return resolve_domain(self.domain, self.network.inputs)

    def _region(self, index: int) -> Region:
        point = self.witnesses[index]
        if np.isfinite(point).all():
            return self.network.region(point, domain=self.domain)
        found = self.network.region(pattern=self.pattern(index), domain=self.domain)
        if isinstance(found, NoInterior):
            raise UndecidedError(f"region {index} has no interior point: please report this network")
        return found

    def regions(self, compute: Sequence[Any] = ("facets",), workers: int | None = None) -> list[Region]:
        """All regions as certified :class:`Region` objects, ``compute`` answered for all in parallel.

        Parameters
        ----------
        compute, workers
            As for :meth:`Network.regions`: "facets", "chebyshev", "neighbors", "decision_boundaries", ...
        """
        return self._subset(np.arange(len(self)), compute, workers)

    def _subset(self, indices: I64, compute: Sequence[Any], workers: int | None) -> list[Region]:
        """The same for some of the regions."""
        fine = np.isfinite(self.witnesses[indices]).all(axis=1)
        out: list[Any] = [None] * len(indices)
        if fine.any():
            points = self.witnesses[indices[fine]]
            found = self.network.regions(points, domain=self.domain, compute=compute, workers=workers)
            for k, region in zip(np.flatnonzero(fine), found, strict=True):
                out[int(k)] = region
        for k in np.flatnonzero(~fine):
            out[int(k)] = self._region(int(indices[k]))
        return out

    def affine_maps(self) -> tuple[F64, F64]:
        """The affine maps of all regions: W (n, m, d) and c (n, m), rounded; a region's own map has error bounds."""
        maps = [region.affine_map for region in self]
        shape = (len(self), self.network.outputs)
        W = np.array([found.W for found in maps]).reshape(*shape, self.network.inputs)
        return W, np.array([found.c for found in maps]).reshape(shape)

    def chebyshev_radii(self, workers: int | None = None) -> F64:
        """Radii (n,) of the largest inscribed balls, infinite where any ball fits."""
        return np.array([region.chebyshev.radius for region in self.regions(("chebyshev",), workers)])

    @cached_property
    def structure(self) -> Structure:
        """Facets, vertices, neighbors and volumes of all regions, computed together when first asked for."""
        return self._structure("structure")

    @cached_property
    def _faces(self) -> Structure:
        return self._structure("faces")

    def _structure(self, detail: str) -> Structure:
        whole = self.complete and not self._resumed
        subtrees = everything(self.network) if whole else self.patterns.astype(np.int8)
        found = run(self.network, self._rows, subtrees, detail, None, None, None, False)
        if found["interrupted"]:
            raise KeyboardInterrupt
        if not np.array_equal(found["patterns"], self._words):
            raise RuntimeError("the regions came in another order: please report this network")
        return Structure(self.network, self._rows, self.patterns, found["structure"])

    @property
    def volumes(self) -> F64:
        """Volumes (n,), infinite where unbounded; ``structure.volume_errors`` bounds the error of each."""
        return self.structure.volumes

    def dual_graph(self) -> Any:
        """The regions as a networkx graph, an edge for each shared facet with the ``labels`` of the units behind it."""
        return self.structure.graph()

    def adjacency(self) -> Any:
        """The dual graph as a symmetric SciPy sparse matrix (n, n) of booleans."""
        return self.structure.adjacency()

    def f_vector(self) -> tuple[int, ...]:
        """The numbers of faces of dimension 0, 1, ..., d of the complex, each face counted once.

        Examples
        --------
        >>> import pyregions as pr
        >>> net = pr.Network.from_arrays([([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0])])
        >>> pr.enumerate_regions(net).f_vector(), pr.enumerate_regions(net, pr.Box(-1, 1)).f_vector()
        ((1, 4, 4), (9, 12, 4))
        """
        return self._faces.f_vector()

    def verify(self, sample: int | None = None, replay: bool = False, workers: int | None = None) -> ComplexProof:
        """Proves completeness by facet pairing, and checks volumes, Euler sum and mean degree.

        Every region is proven to have interior, all its facets are certified by the engine for single regions (a method
        that shares no code with the enumeration's geometry), each lies on the domain's boundary or leads, by the
        neighbor rule, to a region that is here and leads back. A nonempty set of regions closed in that way covers the
        domain.

        Parameters
        ----------
        sample : int, optional
            Examine only so many regions, evenly spaced: then completeness is checked, not proven.
        replay : bool
            Replay each region's certificates in Python integers, too (slow).
        workers : int, optional

        Returns
        -------
        ComplexProof
            ``proven``, and what was proven and what only checked, with the numbers.

        Raises
        ------
        VerificationError
            Naming what is wrong.

        Examples
        --------
        >>> import pyregions as pr
        >>> net = pr.Network.from_arrays([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])])
        >>> proof = pr.enumerate_regions(net, pr.Box(-2, 2)).verify()
        >>> proof.proven, proof.regions, proof.shared_facets, proof.domain_facets, proof.euler
        (True, 7, 9, 10, 1)
        """
        from .complex_proof import prove

        return prove(self, sample, replay, workers)

    def merge_equal_maps(self, adjacent_only: bool = True) -> LinearRegions:
        """Linear regions in the narrow sense: regions with exactly equal affine maps, joined across facets.

        Parameters
        ----------
        adjacent_only : bool
            False also joins regions with equal maps that do not touch.

        Returns
        -------
        LinearRegions
            ``labels`` (n,), the number of parts, and which of them are convex.
        """
        from .linear_regions import merge

        return merge(self, adjacent_only)

    def decision_boundary(self, classes: Sequence[int] | None = None) -> BoundaryPieces:
        """Where two classes tie for the largest output: polyhedral pieces of dimension d - 1 and their adjacency.

        Ties along the domain's boundary are no pieces; of a region where two outputs tie throughout, its facets are.

        Parameters
        ----------
        classes : sequence of int, optional
            The outputs that compete; all by default. A network with one output is cut at 0.
        """
        from .boundary_pieces import boundary_pieces

        return boundary_pieces(self, classes)

    def to_dataframe(self) -> Any:
        """A pandas DataFrame, one row per region: pattern (a string of 0 and 1), witness, bounded, facets, volume."""
        from .complex_file import dataframe

        return dataframe(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the complex with its network and domain to an .npz file (no pickle inside)."""
        from .complex_file import write_complex

        write_complex(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RegionComplex:
        """Reads what :meth:`save` wrote; an incomplete complex can be resumed.

        Raises
        ------
        ValueError
            If the file is not such a complex.
        """
        from .complex_file import read_complex

        return read_complex(path)
