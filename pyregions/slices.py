"""Slices: the regions that a line, a polyline or a plane meets, for networks of any number of inputs, exactly."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from .all_regions import enumerate_regions
from .arguments import point_array, real_array, worker_count
from .complex import RegionComplex
from .errors import Label
from .exact import AffineNode, HingeNode
from .network import Network
from .polyhedron import Box, Domain
from .structure import Structure
from .values import U8, frozen

F64 = NDArray[np.float64]
Interval = tuple[float, float]


def _restricted(network: Network, terms: list[F64], base: F64) -> Network:
    """The network over coordinates t of a subspace, x = base + sum of the matrices times t: an exact stage in front."""
    first = AffineNode(tuple((0, matrix) for matrix in terms), base)
    moved: list[AffineNode | HingeNode] = [first]
    for node in network.nodes:
        if isinstance(node, HingeNode):
            moved.append(HingeNode(node.source + 1, node.low, node.high))
        else:
            moved.append(AffineNode(tuple((source + 1, matrix) for source, matrix in node.terms), node.bias))
    return Network(terms[0].shape[1], moved)


def _line_network(network: Network, p: F64, q: F64) -> Network:
    # x = p + t q - t p: the difference of p and q is never rounded.
    return _restricted(network, [q[:, None], -p[:, None]], p)


class LineSlice:
    """The pieces of a line x(t) = p + t (q - p), in the order of t; made by :func:`line`.

    Attributes
    ----------
    p, q : (d,)
    breakpoints : (K,) float64
        Where the pattern changes, each within ``errors`` (K,) of the exact t.
    units : list of K tuples of Label
        The units that vanish there; several where hyperplanes meet the line in one point.
    patterns : (K + 1, units) uint8
        The pattern on every piece.
    complex : RegionComplex
        The pieces as regions of the network restricted to the line.
    """

    def __init__(self, network: Network, p: F64, q: F64, domain: Domain, raw: dict[str, Any]) -> None:
        self.network, self.p, self.q = network, p, q
        self._domain, self._raw = domain, raw
        structure = raw["structure"]
        upper = structure["vertex_offsets"][1:-1] - 1  # pieces and their ends come in ascending order
        self.breakpoints: F64 = frozen(structure["vertices"][upper, 0])
        self.errors: F64 = frozen(structure["vertex_errors"][upper])

    @cached_property
    def patterns(self) -> U8:
        bits = np.ascontiguousarray(self._raw["patterns"]).view(np.uint8)
        out: U8 = frozen(np.unpackbits(bits, axis=1, count=self.network.units, bitorder="little"))
        return out

    @cached_property
    def units(self) -> list[tuple[Label, ...]]:
        structure = self.complex.structure
        # Of the facets of a piece, vertices of one point each, the one at the second vertex bounds it from above.
        upper = np.flatnonzero(structure.incidence == 1)
        upper = upper[structure.facet_partner[upper] >= 0]
        return [structure.labels_of(int(facet)) for facet in upper]

    @cached_property
    def complex(self) -> RegionComplex:
        raw, restricted = self._raw, _line_network(self.network, self.p, self.q)
        found = RegionComplex(
            restricted, self._domain, raw["patterns"], raw["witnesses"], raw["bounded"] != 0, raw["open"]
        )
        found.__dict__["structure"] = Structure(restricted, found._rows, found.patterns, raw["structure"])
        return found

    def __len__(self) -> int:
        return int(self._raw["count"])

    def point(self, t: ArrayLike) -> F64:
        """The points (..., d) at parameters t (rounded)."""
        s = np.asarray(t, dtype=np.float64)[..., None]
        return np.asarray(self.p * (1 - s) + self.q * s)

    @cached_property
    def affine_maps(self) -> tuple[F64, F64]:
        """Slopes (K + 1, m) and constants (K + 1, m): f(x(t)) = slope * t + constant on every piece (rounded)."""
        W, c = self.complex.affine_maps()
        return frozen(W[:, :, 0]), frozen(c)

    def __repr__(self) -> str:
        return f"LineSlice({len(self)} pieces)"


def line(network: Network, p: ArrayLike, q: ArrayLike, extent: Interval = (0.0, 1.0)) -> LineSlice:
    """The regions met by the line x(t) = p + t (q - p), with all breakpoints, exactly.

    Parameters
    ----------
    network : Network
        With any number of inputs.
    p, q : array_like (d,)
        Taken exactly.
    extent : (float, float)
        The range of t; (-inf, inf) for the whole line.

    Returns
    -------
    LineSlice

    Raises
    ------
    ValueError
        If p and q are equal or malformed.

    Notes
    -----
    The network is restricted to the line by an exact stage in front of it, and its regions there are enumerated.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])])
    >>> cut = pr.line(net, [-1.0, -0.5], [2.0, 1.0])
    >>> cut.breakpoints.round(4).tolist(), [len(switching) for switching in cut.units]
    ([0.3333, 0.5556], [2, 1])
    >>> cut.affine_maps[0].ravel().round(4).tolist()
    [0.0, 4.5, 9.0]
    """
    return lines(network, [p], [q], extent)[0]


def lines(
    network: Network,
    P: Sequence[ArrayLike] | F64,
    Q: Sequence[ArrayLike] | F64,
    extent: Interval = (0.0, 1.0),
    workers: int | None = None,
) -> list[LineSlice]:
    """Many lines at once, in parallel: the same answers as one :func:`line` call for each.

    Parameters
    ----------
    network : Network
    P, Q : sequences of M points
    extent : (float, float)
        The range of t of every line.
    workers : int, optional
        Threads; by default the CPUs that this process may use.

    Returns
    -------
    list of LineSlice

    Raises
    ------
    ValueError
        If a pair of points is equal or malformed, or the numbers of points differ.
    """
    if len(P) != len(Q):
        raise ValueError(f"P has {len(P)} points and Q {len(Q)}; every line needs one of each")
    count = worker_count(workers)
    d, shape = network.inputs, network.input_shape
    ends = [(point_array(p, d, "p", shape), point_array(q, d, "q", shape)) for p, q in zip(P, Q, strict=True)]
    for k, (p, q) in enumerate(ends):
        if np.array_equal(p, q):
            raise ValueError(f"p and q of line {k} are the same point: they make no line")
    domain = _interval(extent)
    starts, stops = (np.array([pair[k] for pair in ends]).reshape(-1, d) for k in (0, 1))
    if not np.isfinite(stops - starts).all():
        raise ValueError("the difference of p and q overflows; scale the inputs of the network")
    found = _core.lines(network._core, starts, stops, float(extent[0]), float(extent[1]), count)
    return [
        LineSlice(network, frozen(p.copy()), frozen(q.copy()), domain, raw)
        for (p, q), raw in zip(ends, found, strict=True)
    ]


def _interval(extent: Interval) -> Domain:
    try:
        low, high = map(float, extent)
    except (TypeError, ValueError):
        raise ValueError(f"extent must be an interval (low, high), got {extent!r}") from None
    if np.isnan(low) or np.isnan(high) or low >= high:
        raise ValueError(f"extent must be an interval (low, high) with low < high, got {extent!r}")
    return None if np.isinf(low) and np.isinf(high) else Box([low], [high])


def polyline(network: Network, points: ArrayLike, workers: int | None = None) -> list[LineSlice]:
    """The segments of a path through M points (M, d), each as a :class:`LineSlice` with t from 0 to 1.

    Parameters
    ----------
    network : Network
    points : array_like (M, d)
        At least two, consecutive ones distinct.
    workers : int, optional

    Returns
    -------
    list of M - 1 LineSlice

    Raises
    ------
    ValueError
        If there are fewer than two points, or two consecutive ones are equal.
    """
    path, single = network._points(points)
    if single or len(path) < 2:
        raise ValueError(f"a path needs at least two points, got shape {np.shape(points)}")
    return lines(network, list(path[:-1]), list(path[1:]), workers=workers)


class PlaneSlice:
    """The polygons in which a plane x(s, t) = origin + s u + t v meets the regions; made by :func:`plane`.

    Attributes
    ----------
    origin, u, v : (d,)
    complex : RegionComplex
        The polygons as regions of the network restricted to the plane, in coordinates (s, t).
    polygons : list of (V, 2) float64
        Their corners, counterclockwise; unbounded ones have only their finite corners.
    """

    def __init__(self, network: Network, origin: F64, u: F64, v: F64, complex: RegionComplex) -> None:
        self.network, self.origin, self.u, self.v, self.complex = network, origin, u, v, complex

    def __len__(self) -> int:
        return len(self.complex)

    @cached_property
    def polygons(self) -> list[F64]:
        return [counterclockwise(region.vertices) for region in self.complex]

    def point(self, st: ArrayLike) -> F64:
        """The points (..., d) at coordinates (..., 2), rounded."""
        array = np.asarray(st, dtype=np.float64)
        return np.asarray(self.origin + array[..., :1] * self.u + array[..., 1:] * self.v)

    def __repr__(self) -> str:
        return f"PlaneSlice({len(self)} polygons)"


def counterclockwise(corners: F64) -> F64:
    """Corners (V, 2) of a convex polygon in the order of their angle around the mean."""
    if len(corners) < 3:
        return corners
    middle = corners - corners.mean(axis=0)
    return np.asarray(corners[np.argsort(np.arctan2(middle[:, 1], middle[:, 0]))])


def plane(
    network: Network,
    origin: ArrayLike,
    u: ArrayLike,
    v: ArrayLike,
    extent: float | tuple[Interval, Interval] | None = 1.0,
    workers: int | None = None,
) -> PlaneSlice:
    """The polygons in which the plane x(s, t) = origin + s u + t v meets the regions, exactly.

    Parameters
    ----------
    network : Network
        With any number of inputs.
    origin, u, v : array_like (d,)
        Taken exactly; u and v must be independent.
    extent : float, ((float, float), (float, float)) or None
        The range of (s, t): [-extent, extent]^2, two intervals, or None for the whole plane.
    workers : int, optional

    Returns
    -------
    PlaneSlice

    Raises
    ------
    ValueError
        If u and v are parallel or something is malformed.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 0, 0]), ([[1, 1, 1]], [0])])
    >>> len(pr.plane(net, [0, 0, 0], [1, -1, 0], [0, 1, -1])), len(pr.plane(net, [1, 1, 1], [1, 0, 0], [0, 1, 0], 0.5))
    (6, 1)
    """
    d, shape = network.inputs, network.input_shape
    base, first, second = (point_array(x, d, name, shape) for x, name in ((origin, "origin"), (u, "u"), (v, "v")))
    # They are dependent iff all 2 x 2 minors with one nonzero entry of u vanish, exactly.
    k = int(np.argmax(np.abs(first)))
    minors = [_minor(first[k], second[k], first[i], second[i]) for i in range(d)]
    if not any(minors):
        raise ValueError("u and v are parallel (or one is zero): they span no plane")
    domain = _rectangle(extent)
    restricted = _restricted(network, [np.stack([first, second], axis=1)], base)
    found = enumerate_regions(restricted, domain, workers=workers)
    if not found.complete:
        raise KeyboardInterrupt
    return PlaneSlice(network, frozen(base.copy()), frozen(first.copy()), frozen(second.copy()), found)


def _minor(a: float, b: float, c: float, d: float) -> bool:
    """Whether a d - b c is not 0, exactly."""
    from fractions import Fraction

    return Fraction(a) * Fraction(d) != Fraction(b) * Fraction(c)


def _rectangle(extent: float | tuple[Interval, Interval] | None) -> Domain:
    if extent is None:
        return None
    array = real_array(np.asarray(extent), "extent")
    if array.shape == () and array > 0:
        return Box([-float(array)] * 2, [float(array)] * 2)
    if array.shape == (2, 2) and (array[:, 0] < array[:, 1]).all():
        return Box(array[:, 0], array[:, 1])
    raise ValueError(f"extent must be a positive number, two intervals ((s0, s1), (t0, t1)) or None, got {extent!r}")


def plane_through(
    network: Network, x: ArrayLike, y: ArrayLike, z: ArrayLike, margin: float = 0.5, workers: int | None = None
) -> PlaneSlice:
    """The plane through three points, at (0, 0), (1, 0) and (0, 1), with a margin around them.

    Parameters
    ----------
    network : Network
    x, y, z : array_like (d,) or of the network's input shape
        Three images, say; not on one line.
    margin : float
        How far beyond the triangle's box the rectangle reaches.
    workers : int, optional

    Returns
    -------
    PlaneSlice
        Its ``u`` and ``v`` are ``y - x`` and ``z - x`` rounded to doubles, and then taken exactly.

    Raises
    ------
    ValueError
        If the points lie on one line or the margin is negative.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1, 0, 0], [0, 1, 0], [0, 0, 1]], [0, 0, 0]), ([[1, 1, 1]], [0])])
    >>> cut = pr.plane_through(net, [1, 0, 0], [0, 1, 0], [0, 0, 1])
    >>> len(cut), cut.point([[1, 0], [0, 1]]).tolist()
    (7, [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    """
    if not margin >= 0:
        raise ValueError(f"margin must be at least 0, got {margin}")
    d, shape = network.inputs, network.input_shape
    first, second, third = (point_array(p, d, name, shape) for p, name in ((x, "x"), (y, "y"), (z, "z")))
    side = (-float(margin), 1 + float(margin))
    return plane(network, first, second - first, third - first, (side, side), workers)
