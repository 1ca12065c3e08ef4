"""Layer 4. Colours of regions for pictures: by pattern, class, inradius, number of facets, or values of one's own."""

from __future__ import annotations

import colorsys
import heapq
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .complex import RegionComplex
from .structure import Structure

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

COLORS = ("pattern", "class", "inradius", "facets")
Color = Literal["pattern", "class", "inradius", "facets"] | ArrayLike

# Pale and of nearly equal lightness, so that lines and points on top stay readable.
PASTELS = ("#a9c5e3", "#f3d48c", "#e9b3b6", "#b5d6b2", "#cdbce0", "#f4c39c", "#9fd3d0", "#d8d3c4")
# The same hues as plot.PALETTE in front, paler.
CLASSES = (
    "#9cbbdb", "#f2cf85", "#dfa3ad", "#a5cfa3", "#c3b1db", "#8fd0cb", "#efb58b", "#cdc8b8", "#b9cf7f", "#d9a5d3",
)  # fmt: skip
# From dark (small) to pale (large); lightness grows steadily, so it reads in grey, too.
RAMP = ("#0b2a5b", "#1c4f8c", "#2f7ba6", "#5aa5b0", "#9ccbb5", "#d6e6bd", "#fbf5d3")
GREY = "#d3d6da"
# The part of the regions that may lie below the end of a logarithmic colour bar.
SLIVERS = 0.03


@dataclass(frozen=True)
class Scale:
    """A colour bar from ``low`` to ``high``: logarithmic (``log``), or of ``whole`` numbers one colour each.

    ``below`` says that some values lie below ``low`` and share its colour; ``grey`` what the regions are that have no
    finite value, empty where there are none.
    """

    label: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    below: bool = False
    grey: str = ""

    def position(self, values: F64) -> F64:
        """Where values lie on the bar, from 0 to 1."""
        low, high = self.low, self.high
        if self.log:
            values, low, high = np.log(values), np.log(low), np.log(high)
        return np.clip((values - low) / (high - low if high > low else 1.0), 0, 1)


@dataclass(frozen=True)
class Shading:
    """Colours (n, 3) of the regions, each number in [0, 1], with the names of a legend or the scale of a colour bar."""

    colors: F64
    names: tuple[tuple[str, str], ...] = ()
    scale: Scale | None = None


def shade(complex: RegionComplex, color: Color) -> Shading:
    """The colours of all regions of a complex.

    Parameters
    ----------
    complex : RegionComplex
    color : "pattern", "class", "inradius", "facets", or array_like (n,)

    Raises
    ------
    ValueError
        If ``color`` is another word, or not one real number per region.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [-1])])
    >>> regions = pr.enumerate_regions(net, pr.Box(-2, 2))
    >>> shade(regions, "facets").scale
    Scale(label='facets', low=4.0, high=4.0, log=False, whole=True, below=False, grey='')
    >>> shade(regions, "class").names
    (('output < 0', '#9cbbdb'), ('output > 0', '#f2cf85'))
    """
    if isinstance(color, str):
        if color not in COLORS:
            raise ValueError(f"color must be one of {', '.join(COLORS)} or one number per region, got {color!r}")
        if color == "pattern":
            return _by_pattern(complex)
        if color == "class":
            return _by_class(complex)
        if color == "facets":
            counts = np.diff(complex.structure.facet_offsets).astype(np.float64)
            return _scaled(counts, "facets", whole=True)
        return _scaled(complex.chebyshev_radii(), "inradius", log=True, grey="balls of any size fit")
    values = np.asarray(color)
    if values.shape != (len(complex),) or values.dtype.kind not in "fiub":
        raise ValueError(
            f"color has shape {values.shape} and dtype {values.dtype}; expected one real number per region, "
            f"shape {(len(complex),)}"
        )
    return _scaled(values.astype(np.float64), "value", grey="not finite")


def _scaled(values: F64, label: str, *, log: bool = False, whole: bool = False, grey: str = "") -> Shading:
    """Colours of finite values on the ramp, the others grey."""
    fine = np.isfinite(values) & ((values > 0) | (not log))
    if not fine.any():
        return Shading(np.tile(rgb(GREY), (len(values), 1)), ((grey, GREY),))
    low, high = float(values[fine].min()), float(values[fine].max())
    if log:
        # A few slivers, many decades smaller than the rest, do not take the colours from all others.
        low = max(low, float(np.quantile(values[fine], SLIVERS)))
    below = bool((values[fine] < low).any())
    scale = Scale(label, low, high, log, whole, below, "" if fine.all() else grey)
    colors = np.tile(rgb(GREY), (len(values), 1))
    colors[fine] = ramp(scale.position(values[fine]))
    return Shading(colors, (), scale)


def ramp(t: F64) -> F64:
    """Colours (n, 3) of positions in [0, 1]."""
    anchors = np.array([rgb(word) for word in RAMP])
    at = np.linspace(0, 1, len(RAMP))
    return np.stack([np.interp(t, at, anchors[:, k]) for k in range(3)], axis=-1)


def rgb(word: str) -> F64:
    """A colour "#rrggbb" as three numbers in [0, 1]."""
    return np.array([int(word[k : k + 2], 16) / 255 for k in (1, 3, 5)])


def word_of(color: F64) -> str:
    """The colour (3,) as "#rrggbb"."""
    return "#" + "".join(f"{round(255 * float(part)):02x}" for part in color)


def palette(base: tuple[str, ...], count: int) -> list[str]:
    """So many colours: those of ``base``, then further hues, paler and darker in turn."""
    out = list(base[:count])
    for k in range(len(out), count):
        hue, lightness = (0.08 + 0.618034 * k) % 1.0, (0.70, 0.84, 0.62)[k % 3]
        out.append(word_of(np.array(colorsys.hls_to_rgb(hue, lightness, 0.45))))
    return out


# ---- classes


def classes_of(complex: RegionComplex) -> I64:
    """The class (n,) of every region: argmax of the outputs at its witness, the lowest of equals.

    For a single output 0 is negative, 1 positive, and 2 where it is 0 in the whole region (up to its error bounds).
    """
    points = complex.witnesses
    if not np.isfinite(points).all():
        points = np.array([region.witness for region in complex])
    values, errors = complex.network.forward(points)
    if values.shape[1] > 1:
        return np.asarray(np.argmax(values, axis=1), dtype=np.int64)
    out = (values[:, 0] > 0).astype(np.int64)
    for k in np.flatnonzero(np.abs(values[:, 0]) <= errors[:, 0]):
        flat = complex[int(k)].affine_map
        out[k] = 2 if (np.abs(flat.W) <= flat.W_error[:, None]).all() else out[k]
    return out


def class_names(outputs: int) -> list[str]:
    """The names of the classes that :func:`classes_of` counts."""
    return ["output < 0", "output > 0", "output = 0"] if outputs == 1 else [f"class {k}" for k in range(outputs)]


def class_colors(outputs: int) -> list[str]:
    """One colour "#rrggbb" per class."""
    return [*CLASSES[:2], GREY] if outputs == 1 else palette(CLASSES, outputs)


def _by_class(complex: RegionComplex) -> Shading:
    found, outputs = classes_of(complex), complex.network.outputs
    words = class_colors(outputs)
    names = [(name, words[k]) for k, name in enumerate(class_names(outputs)) if (found == k).any()]
    return Shading(np.array([rgb(word) for word in words])[found], tuple(names))


# ---- patterns


def _by_pattern(complex: RegionComplex) -> Shading:
    structure = complex.structure
    order = _smallest_last(structure)
    neighbors = _neighbors(structure)
    # A graph whose every subgraph has a vertex of degree <= k needs at most k + 1 colours (planar graphs: six).
    wanted = [zlib.crc32(key.tobytes()) for key in complex.packed_patterns]
    chosen = np.full(len(complex), -1, dtype=np.int64)
    count = len(PASTELS)
    for region in order:
        taken = {int(chosen[k]) for k in neighbors[region]}
        free = [k for k in range(count) if k not in taken]
        if not free:
            free, count = [count], count + 1
        chosen[region] = free[wanted[region] % len(free)]
    words = palette(PASTELS, count)
    return Shading(np.array([rgb(word) for word in words])[chosen])


def _neighbors(structure: Structure) -> list[list[int]]:
    out: list[list[int]] = [[] for _ in range(structure.regions)]
    for a, b in structure.edges.tolist():
        out[a].append(b)
        out[b].append(a)
    return out


def _smallest_last(structure: Structure) -> list[int]:
    """The regions so ordered that each has few neighbors before it (Matula and Beck, 1983); ties by index."""
    neighbors = _neighbors(structure)
    degree = [len(own) for own in neighbors]
    heap = [(d, k) for k, d in enumerate(degree)]
    heapq.heapify(heap)
    removed: list[int] = []
    gone = [False] * len(degree)
    while heap:
        d, region = heapq.heappop(heap)
        if gone[region] or d != degree[region]:
            continue
        gone[region] = True
        removed.append(region)
        for other in neighbors[region]:
            if not gone[other]:
                degree[other] -= 1
                heapq.heappush(heap, (degree[other], other))
    return removed[::-1]
