"""Layer 4. Shapes for pictures: the part of a complex that is shown, its regions as polygons, and cuts by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .all_regions import enumerate_regions
from .complex import RegionComplex
from .enumeration import run
from .network import Network
from .polyhedron import Box, Domain, Polyhedron, resolve_domain
from .structure import Structure

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# Tukey's outer fences: vertices farther out than three interquartile ranges beyond the quartiles do not set the window.
FENCE = 3.0
# Empty space around the vertices that set the window, as a part of its side.
MARGIN = 0.15


@dataclass(frozen=True)
class View:
    """The bounded part of a complex that a picture shows.

    ``whole`` is the complex as given and ``shown`` the same regions within the window ``lower``, ``upper`` (d,), all of
    them bounded; ``index`` (K,) tells which region of ``whole`` each of ``shown`` is, and ``clipped`` whether the two
    differ.
    """

    whole: RegionComplex
    shown: RegionComplex
    index: I64
    lower: F64
    upper: F64
    clipped: bool

    def notes(self) -> list[str]:
        """What a reader must know about the picture: how many regions, whether all, and where it was clipped."""
        count = len(self.whole)
        regions = f"{count:,} region" + ("s" if count != 1 else "")
        lines = [regions if self.whole.complete else f"the first {regions} (incomplete)"]
        if self.clipped:
            sides = " × ".join(f"[{low:.6g}, {high:.6g}]" for low, high in zip(self.lower, self.upper))
            lines.append(f"unbounded domain, clipped to {sides}")
            if len(self.index) < count:
                lines.append(f"{len(self.index):,} of them reach into it")
        return lines


def check_drawable(network: Network) -> None:
    """ValueError unless the network has 1, 2 or 3 inputs."""
    if network.inputs > 3:
        raise ValueError(
            f"the network has {network.inputs} inputs; regions are drawn for 1, 2 or 3; look at a plane of it (plane)"
        )


def check_complex(complex: RegionComplex) -> None:
    """ValueError unless there are regions, of a network with 1, 2 or 3 inputs."""
    check_drawable(complex.network)
    if not len(complex):
        raise ValueError("the complex holds no region yet: resume the enumeration first")


def view_of(complex: RegionComplex) -> View:
    """The part of a complex that can be drawn: all of it where it is bounded, else what lies in a window.

    Parameters
    ----------
    complex : RegionComplex
        With 1, 2 or 3 inputs; it may be incomplete.

    Returns
    -------
    View

    Raises
    ------
    ValueError
        If the network has more inputs or the complex holds no region.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [0])])
    >>> view = view_of(pr.enumerate_regions(net))
    >>> view.notes()
    ['7 regions', 'unbounded domain, clipped to [-0.15, 1.15] × [-0.15, 1.15]']
    """
    check_complex(complex)
    everything = np.arange(len(complex))
    points = complex.structure.vertices
    if complex.bounded.all() and np.isfinite(points).all():
        return View(complex, complex, everything, points.min(axis=0), points.max(axis=0), False)
    lower, upper = _window(complex)
    rows = complex._rows
    lower, upper = np.maximum(lower, rows.lower), np.minimum(upper, rows.upper)
    box = Box(lower, upper)
    domain: Domain = Polyhedron(rows.A, rows.b, box) if len(rows.b) else box
    shown = enumerate_regions(complex.network, domain) if complex.complete else _known_within(complex, domain)
    if complex.complete and not shown.complete:
        raise KeyboardInterrupt
    index = np.array([complex._index[key.tobytes()] for key in shown.packed_patterns], dtype=np.int64)
    return View(complex, shown, index, lower, upper, True)


def _known_within(complex: RegionComplex, domain: Domain) -> RegionComplex:
    """The regions of an incomplete complex that reach into a smaller domain, as an incomplete complex there."""
    network = complex.network
    reach = [bool(network.region(pattern=complex.pattern(k), domain=domain)) for k in range(len(complex))]
    patterns = complex.patterns[reach].astype(np.int8)
    found = run(network, resolve_domain(domain, network.inputs), patterns, "regions", None, None, None, False)
    if found["interrupted"]:
        raise KeyboardInterrupt
    out = RegionComplex(network, domain, found["patterns"], found["witnesses"], found["bounded"] != 0, complex.open)
    out._resumed = True  # its structure is that of these patterns, in their order
    return out


def _window(complex: RegionComplex) -> tuple[F64, F64]:
    """A box around the finite vertices (few that lie very far out aside), (lower, upper)."""
    structure = complex.structure
    _, first = np.unique(structure.vertex_id, return_index=True)
    points = structure.vertices[first[~structure.far[first]]]
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        points = np.array([region.witness for region in complex])  # parallel hyperplanes only
    low, high = points.min(axis=0), points.max(axis=0)
    q1, q3 = np.quantile(points, [0.25, 0.75], axis=0)
    reach = np.where(q3 > q1, FENCE * (q3 - q1), np.inf)
    near = ((points >= q1 - reach) & (points <= q3 + reach)).all(axis=1)
    if near.any():
        low, high = points[near].min(axis=0), points[near].max(axis=0)
    side = high - low
    side = np.where(side > 0, side, max(float(side.max()), 0.0) or 1.0)
    low, high = low - MARGIN * side, high + MARGIN * side
    flat = ~(low < high - side / 2)
    low, high = np.where(flat, low - side, low), np.where(flat, high + side, high)
    # Ends with few digits, for the title.
    unit = 10.0 ** (np.floor(np.log10(high - low)) - 2)
    return np.floor(low / unit) * unit, np.ceil(high / unit) * unit


def outline(points: F64) -> I64:
    """The order (V,) of vertices (V, 2) or (V, 3) of a convex polygon along its outline: by angle around their mean.

    Examples
    --------
    >>> outline(np.array([[1.0, 1.0], [0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])).tolist()
    [1, 2, 0, 3]
    """
    flat = points - points.mean(axis=0)
    if flat.shape[1] > 2:
        # The plane of the polygon is spanned by its two directions of largest extent.
        flat = flat @ np.linalg.svd(flat, full_matrices=False)[2][:2].T
    return np.argsort(np.arctan2(flat[:, 1], flat[:, 0]), kind="stable").astype(np.int64)


def around(points: F64) -> F64:
    """The vertices of a convex polygon in the order of its outline."""
    return np.asarray(points[outline(points)])


def region_polygons(structure: Structure) -> list[F64]:
    """The regions of a bounded 2-D complex as polygons (V, 2)."""
    ends = structure.vertex_offsets
    return [around(structure.vertices[ends[k] : ends[k + 1]]) for k in range(structure.regions)]


def facet_outlines(structure: Structure) -> list[I64]:
    """The facets of a bounded 3-D complex, each as indices into ``structure.vertices`` along its outline."""
    out = []
    for facet, region in enumerate(structure.facet_region):
        own = structure.incidence[structure.incidence_offsets[facet] : structure.incidence_offsets[facet + 1]]
        vertices = structure.vertex_offsets[region] + own
        out.append(vertices[outline(structure.vertices[vertices])])
    return out


def intervals(structure: Structure) -> F64:
    """The regions of a bounded 1-D complex as (K, 2) ends."""
    return np.sort(structure.vertices.reshape(-1, 2), axis=1)


def scores(values: F64) -> F64:
    """Network outputs (M, m) as scores whose argmax is the class; one output has the classes 0 (below 0) and 1."""
    return np.hstack([-values, values]) if values.shape[1] == 1 else values


def class_parts(polygon: F64, values: F64) -> list[tuple[int, F64]]:
    """A polygon (V, 2) cut where another class takes over, by the outputs (V, m) at its vertices (affine between).

    Returns
    -------
    list of (class, polygon)
        A single one where no decision boundary crosses.

    Examples
    --------
    >>> square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    >>> [(k, part.tolist()) for k, part in class_parts(square, square[:, :1] - 0.5)][1]
    (1, [[0.5, 0.0], [1.0, 0.0], [1.0, 1.0], [0.5, 1.0]])
    """
    level = scores(values)
    # A class may win in the middle without winning at a corner; not so one that another beats at all of them.
    best = [k for k in range(level.shape[1]) if not (level > level[:, [k]]).all(axis=0).any()]
    parts = []
    for winner in best:
        cut = np.hstack([polygon, level])
        for other in best:
            if other != winner and len(cut):
                cut = _clip(cut, cut[:, 2 + winner] - cut[:, 2 + other])
        if len(cut) >= 3:
            parts.append((winner, cut[:, :2]))
    return parts


def _clip(corners: F64, side: F64) -> F64:
    """The part of a convex polygon on which an affine function is >= 0, given at its corners (Sutherland, Hodgman)."""
    if not (side > 0).any():
        return corners[:0]
    out = []
    for here, there, a, b in zip(corners, np.roll(corners, -1, axis=0), side, np.roll(side, -1)):
        if a >= 0:
            out.append(here)
        if (a > 0 > b) or (a < 0 < b):
            out.append(here + (there - here) * (a / (a - b)))
    return np.array(out)


def grid_inside(polygon: F64, origin: F64, step: F64) -> F64:
    """The points of a grid that lie in a convex polygon (V, 2), or its mean where there is none: (K, 2)."""
    first, last = np.ceil((polygon.min(axis=0) - origin) / step), np.floor((polygon.max(axis=0) - origin) / step)
    x, y = (origin[k] + step[k] * np.arange(first[k], last[k] + 1) for k in (0, 1))
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    edge = np.roll(polygon, -1, axis=0) - polygon
    from_corner = points[:, None, :] - polygon
    points = points[(edge[:, 0] * from_corner[:, :, 1] - edge[:, 1] * from_corner[:, :, 0] >= 0).all(axis=1)]
    return points if len(points) else polygon.mean(axis=0, keepdims=True)
