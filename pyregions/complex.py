"""RegionComplex: all regions of a network in a domain, how they are found, and the questions asked of all at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from .arguments import EXACT_BUDGET, check_tie, plain_floats
from .cell import F64, DomainRows, NoInterior
from .errors import OutsideDomainError, UndecidedError, core_errors
from .network import Network
from .polyhedron import Domain, outside, resolve_domain
from .region import Region
from .structure import Structure
from .values import U8, AffineMap, Ball, frozen

if TYPE_CHECKING:
    from .boundary_pieces import BoundaryPieces
    from .complex_proof import ComplexProof
    from .linear_regions import LinearRegions

I8 = NDArray[np.int8]
U64 = NDArray[np.uint64]
I64 = NDArray[np.int64]
Progress = bool | Callable[[int, float], Any]


def enumerate_regions(
    network: Network,
    domain: Domain = None,
    *,
    max_regions: int | None = None,
    time_limit: float | None = None,
    workers: int | None = None,
    progress: Progress = False,
) -> RegionComplex:
    """All regions of a network in a domain, by exact splitting stage by stage; complete unless a limit stopped it.

    Parameters
    ----------
    network : Network
        With at most 8 inputs.
    domain : None (all of R^d), Box or Polyhedron
    max_regions : int, optional
        Stop soon after so many regions.
    time_limit : float, optional
        Stop after so many seconds.
    workers : int, optional
        Threads; by default the CPUs that this process may use. The result does not depend on it.
    progress : bool or callable
        True reports on standard error; a callable gets the regions found and the part of the jobs that is done. Jobs
        are subtrees cut beforehand; they differ in size, so this is no forecast.

    Returns
    -------
    RegionComplex
        Stopped by a limit or by Ctrl-C it is not ``complete``; :meth:`RegionComplex.resume` goes on.

    Raises
    ------
    ValueError
        If the network has more than 8 inputs or an argument is malformed; EmptyDomainError without interior.

    Notes
    -----
    Each cell of a stage is split by the units of the next under its own pattern; vertices are carried along, edges are
    found by the combinatorial test of the double description method (Motzkin et al., 1953; Fukuda and Prodon, 1996).

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])])
    >>> regions = pr.enumerate_regions(net)
    >>> len(regions), regions.complete, regions.find([2.0, 2.0])
    (7, True, 6)
    >>> regions[6].pattern.tolist(), regions[6].is_bounded, len(pr.enumerate_regions(net, pr.Box(0.25, 0.75)))
    ([1, 1, 1], False, 2)
    """
    rows = resolve_domain(domain, network.inputs)
    everything = np.full((1, network.units), -1, dtype=np.int8)
    found = _run(network, rows, everything, "regions", max_regions, time_limit, workers, progress)
    return RegionComplex(network, domain, found["patterns"], found["witnesses"], found["bounded"] != 0, found["open"])


def count_regions(
    network: Network,
    domain: Domain = None,
    *,
    workers: int | None = None,
    progress: Progress = False,
) -> int:
    """The number of regions of a network in a domain, in memory that does not grow with the number.

    Parameters
    ----------
    network, domain, workers, progress
        As for :func:`enumerate_regions`.

    Raises
    ------
    ValueError
        As for :func:`enumerate_regions`. KeyboardInterrupt on Ctrl-C: a part of a count is no count.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1.0], [1.0], [2.0]], [0.0, -1.0, -2.0]), ([[1.0, 1.0, 1.0]], [0.0])])
    >>> pr.count_regions(net), pr.count_regions(net, pr.Box(2, 3))
    (3, 1)
    """
    rows = resolve_domain(domain, network.inputs)
    everything = np.full((1, network.units), -1, dtype=np.int8)
    found = _run(network, rows, everything, "count", None, None, workers, progress)
    if found["interrupted"]:
        raise KeyboardInterrupt
    return int(found["count"])


def _run(
    network: Network,
    rows: DomainRows,
    subtrees: I8,
    detail: str,
    max_regions: int | None,
    time_limit: float | None,
    workers: int | None,
    progress: Progress,
) -> dict[str, Any]:
    """One call of the core, its arguments checked."""
    if network.inputs > _core.most_inputs:
        raise ValueError(
            f"the network has {network.inputs} inputs; all regions are enumerated for at most {_core.most_inputs}. "
            "For more, look at a line or a plane (line, plane), or search from a point (search_regions)"
        )
    if max_regions is not None and max_regions < 1:
        raise ValueError(f"max_regions must be at least 1, got {max_regions}")
    if time_limit is not None and not time_limit > 0:
        raise ValueError(f"time_limit must be a positive number of seconds, got {time_limit}")
    if workers is not None and workers < 1:
        raise ValueError(f"workers must be at least 1, got {workers}")
    report = _report if progress is True else (progress or None)
    limit = -1 if max_regions is None else int(max_regions)
    seconds = -1.0 if time_limit is None else float(time_limit)

    def tick(found: int, done: float) -> bool:
        if report is not None:
            report(found, done)
        return True

    count = int(workers or _core.available_cpus())
    with core_errors():
        ticks = None if report is None else tick
        found = _core.enumerate(network._core, rows.core(), subtrees, detail, count, limit, seconds, ticks)
    if progress is True:
        print(f"\rregions: {found['count']}" + " " * 30, file=sys.stderr, flush=True)
    return found


def _report(found: int, done: float) -> None:
    print(f"\rregions: {found} ({100 * done:.0f} % of the jobs)", end="", file=sys.stderr, flush=True)


class ComplexRegion:
    """One region of a complex: what the complex knows of it, and the certified :class:`Region` on demand.

    Attributes: ``index``, ``pattern`` (units,), ``witness`` (d,) strictly inside, ``is_bounded``.
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


class RegionComplex(Sequence[ComplexRegion]):
    """All regions of a network in a domain, or those found so far; made by :func:`enumerate_regions`.

    A sequence of :class:`ComplexRegion`. Regions are activation regions: one per canonical pattern with interior.
    The order is that of the splitting, the same for any number of workers.

    Attributes
    ----------
    network : Network
    domain : None, Box or Polyhedron
    witnesses : (n, d) float64
        A point strictly inside each region, proven; NaN where no double is (the region's own witness then is a sum).
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
                found[k] = self.index_of(self.network.region(points[k], domain=self.domain, tie=tie).pattern)
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
        found = _run(self.network, self._rows, self.open, "regions", max_regions, time_limit, workers, progress)
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
        everything = np.full((1, self.network.units), -1, dtype=np.int8)
        subtrees = everything if whole else self.patterns.astype(np.int8)
        found = _run(self.network, self._rows, subtrees, detail, None, None, None, False)
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


def search_regions(
    network: Network,
    start: ArrayLike,
    domain: Domain = None,
    *,
    max_regions: int | None = None,
    exact_budget: float = EXACT_BUDGET,
) -> list[Region]:
    """The regions reached from a point by crossing facets, breadth first; all of them unless a limit stops it.

    A second method, independent of :func:`enumerate_regions`, for any number of inputs: each region's facets are
    certified and the neighbor rule says what lies behind. Slow (about a millisecond per region of a small network).

    Parameters
    ----------
    network : Network
    start : array_like (d,)
        A point of the first region; on a hyperplane, one of its regions is taken.
    domain : None, Box or Polyhedron
    max_regions : int, optional
        Stop when so many are found.

    Returns
    -------
    list of Region
        In the order found.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])])
    >>> len(pr.search_regions(net, [0.3, 0.1]))
    7
    """
    if max_regions is not None and max_regions < 1:
        raise ValueError(f"max_regions must be at least 1, got {max_regions}")
    found = [network.region(start, domain=domain, tie="any", exact_budget=exact_budget)]
    seen = {found[0].pattern.tobytes()}
    for region in found:  # grows while it is walked through
        if max_regions is not None and len(found) >= max_regions:
            break
        neighbors = region.neighbors()
        for k, pattern in enumerate(neighbors.patterns):
            key = pattern.tobytes()
            if key not in seen:
                seen.add(key)
                found.append(neighbors[k].region())
    return found if max_regions is None else found[:max_regions]
