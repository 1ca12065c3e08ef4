"""Layer 4. Pictures of all regions of a network with 1, 2 or 3 inputs, by matplotlib (imported inside)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .complex import RegionComplex
from .picture_colors import (
    GREY,
    RAMP,
    Color,
    Scale,
    Shading,
    class_colors,
    class_names,
    classes_of,
    palette,
    ramp,
    rgb,
    shade,
    word_of,
)
from .picture_interactive import plot_interactive
from .picture_shapes import (
    View,
    around,
    check_complex,
    class_parts,
    facet_outlines,
    intervals,
    region_polygons,
    view_of,
)
from .plot import INK, MUTED, PALETTE, new_figure, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_interactive", "plot_regions"]

F64 = NDArray[np.float64]

# A picture longer than this, in units of its narrow side, is stretched instead of drawn to scale.
LONGEST = 4.0


def plot_regions(
    complex: RegionComplex, color: Color = "pattern", boundary: bool = True, axes: Any = None
) -> Figure:
    """Draws the regions of a network: an interval each (1 input), a polygon each (2), or their facets (3).

    A complex that is not bounded is clipped to a box around its vertices (few that lie very far out aside). The title
    says so, and whether the complex is incomplete: then what is there is drawn, without a decision boundary.

    Parameters
    ----------
    complex : RegionComplex
        Of a network with 1, 2 or 3 inputs; for more, ``plane(...).complex``.
    color : "pattern", "class", "inradius", "facets", or array_like (n,)
        "pattern": a few colours, different across every facet. "class": the largest output (the sign of a single one)
        at the witness; in two dimensions a region is cut where the class changes inside. "inradius": the radius of the
        largest ball inside. "facets": their number. Or one number per region.
    boundary : bool
        Draw the decision boundary, where two outputs tie for the largest or a single one is 0.
    axes : matplotlib Axes, optional
        Draw there, three-dimensional ones for 3 inputs; by default on a new figure.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the network has more than 3 inputs, the complex is empty, or ``color`` is neither one of these words nor one
        number per region.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [-1])])
    >>> figure = plot_regions(pr.enumerate_regions(net, pr.Box(-1, 2)))
    >>> len(figure.axes[0].collections[0].get_paths()), figure.axes[0].get_title(loc="left")
    (7, '7 regions')
    """
    check_complex(complex)
    shading = shade(complex, color)
    view = view_of(complex)
    with styled():
        axes = _axes_for(complex.network.inputs, axes)
        shown = _draw(axes, view, shading.colors[view.index], isinstance(color, str) and color == "class")
        notes = view.notes()
        if boundary and complex.complete:
            _draw_boundary(axes, view)
        elif boundary:
            notes.append("no decision boundary: it needs all regions")
        further = tuple(name for name in sorted(shown) if name not in shading.names)
        _draw_key(axes, replace(shading, names=shading.names + further))
        axes.set_title("\n".join(notes), loc="left")
    return axes.figure  # type: ignore[no-any-return]


def _axes_for(dim: int, axes: Any) -> Any:
    """The given axes, if they fit so many inputs, or those of a new figure."""
    if axes is None:
        options = {"subplot_kw": {"projection": "3d"}} if dim == 3 else {}
        return new_figure(1, 1, (8.0, 4.5) if dim == 1 else (7.0, 6.0), **options)[1][0, 0]
    if (getattr(axes, "name", "") == "3d") != (dim == 3):
        raise ValueError(f"a network with {dim} inputs needs axes in {'three' if dim == 3 else 'two'} dimensions")
    return axes


def _draw(axes: Any, view: View, colors: F64, by_class: bool) -> set[tuple[str, str]]:
    """The regions in their colours (K, 3); returns names and colours of classes that win in parts of regions only."""
    dim = view.whole.network.inputs
    if dim == 2:
        return _draw_polygons(axes, view, colors, by_class)
    if dim == 1:
        _draw_curves(axes, view, colors)
    else:
        _draw_facets(axes, view, colors)
    return set()


def _width(count: int) -> float:
    """Width of the lines between so many regions, in points."""
    return float(np.clip(10 / np.sqrt(count), 0.15, 0.8))


# ---- one input


def _draw_curves(axes: Any, view: View, colors: F64) -> None:
    """The outputs over the line with a dot at every breakpoint, above a ribbon of the regions."""
    from matplotlib.collections import PolyCollection

    ends = intervals(view.shown.structure)
    ribbon = [[(a, 0.0), (a, 0.035), (b, 0.035), (b, 0.0)] for a, b in ends]
    axes.add_collection(
        PolyCollection(
            ribbon, facecolors=colors, edgecolors="white", linewidths=_width(len(ends)),
            transform=axes.get_xaxis_transform(), zorder=1,
        ),
        autolim=False,
    )  # fmt: skip
    x = np.unique(ends)
    values = view.whole.network(x[:, None])
    inner = slice(1, -1)  # the first and the last are the ends of the picture
    words = [*PALETTE, *palette((), values.shape[1])]
    for k in range(values.shape[1]):
        word = words[k]
        axes.plot(x, values[:, k], color=word, linewidth=1.8, zorder=3, label=f"output {k}")
        size = float(np.clip(60 / np.sqrt(len(x)), 3, 18))
        axes.scatter(x[inner], values[inner, k], s=size, color=word, edgecolors="white", linewidths=0.6, zorder=4)
    if values.shape[1] > 1:
        axes.add_artist(axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0.0))
    low, high = float(values.min()), float(values.max())
    room = 0.08 * (high - low or 1.0)
    axes.set_xlim(view.lower[0], view.upper[0])
    axes.set_ylim(low - 1.8 * room, high + room)
    axes.set_xlabel("input")
    axes.set_ylabel("output" if values.shape[1] == 1 else "outputs")


# ---- two inputs


def _draw_polygons(axes: Any, view: View, colors: F64, by_class: bool) -> set[tuple[str, str]]:
    """One polygon per region; by class a further one for every part of another class, whose names come back."""
    from matplotlib.collections import PolyCollection

    polygons = region_polygons(view.shown.structure)
    line: dict[str, Any] = {"edgecolors": "white", "linewidths": _width(len(polygons))}
    axes.add_collection(PolyCollection(polygons, facecolors=colors, zorder=1, **line), autolim=False)
    parts, named = _other_parts(view, polygons) if by_class else ([], [])
    if parts:
        words = [word for _, word in named]
        axes.add_collection(PolyCollection(parts, facecolors=words, zorder=1.5, **line), autolim=False)
    axes.set_xlim(view.lower[0], view.upper[0])
    axes.set_ylim(view.lower[1], view.upper[1])
    side = view.upper - view.lower
    axes.set_aspect("equal" if side.max() <= LONGEST * side.min() else "auto")
    axes.grid(False)
    for edge in axes.spines.values():
        edge.set_visible(False)
    axes.set_xlabel("input 0")
    axes.set_ylabel("input 1")
    return set(named)


def _other_parts(view: View, polygons: list[F64]) -> tuple[list[F64], list[tuple[str, str]]]:
    """Parts of regions in which another class wins than at the witness, with its name and colour."""
    outputs = view.whole.network.outputs
    names = class_names(outputs)
    words, found = class_colors(outputs), classes_of(view.whole)[view.index]
    values = view.whole.network(np.vstack(polygons))
    parts, out = [], []
    starts = np.cumsum([0, *(len(polygon) for polygon in polygons)])
    for k, polygon in enumerate(polygons):
        if outputs == 1 and found[k] == 2:
            continue
        for winner, part in class_parts(polygon, values[starts[k] : starts[k + 1]]):
            if winner != found[k]:
                parts.append(part)
                out.append((names[winner], words[winner]))
    return parts, out


# ---- three inputs


def _draw_facets(axes: Any, view: View, colors: F64) -> None:
    """The facets, those between two regions once and in the mean of their colours, all of them transparent."""
    from mpl_toolkits.mplot3d.art3d import Poly3DCollection

    structure = view.shown.structure
    outlines, partner = facet_outlines(structure), structure.facet_partner
    once = np.flatnonzero((partner < 0) | (partner > np.arange(len(partner))))
    other = np.where(structure.facet_neighbor >= 0, structure.facet_neighbor, structure.facet_region)
    mixed = (colors[structure.facet_region] + colors[other]) / 2
    inside = partner[once] >= 0
    # Walls inside are fainter: what lies behind the outer ones is seen through them.
    alpha = np.where(inside, 0.12, 0.55)
    axes.add_collection(
        Poly3DCollection(
            [structure.vertices[outlines[k]] for k in once],
            facecolors=np.column_stack([mixed[once], alpha]),
            edgecolors=np.column_stack([np.tile(rgb(INK), (len(once), 1)), np.where(inside, 0.10, 0.55)]),
            linewidths=_width(structure.regions),
        ),
        autolim=False,
    )
    side = view.upper - view.lower
    axes.set(xlim=(view.lower[0], view.upper[0]), ylim=(view.lower[1], view.upper[1]))
    axes.set_zlim(view.lower[2], view.upper[2])
    axes.set_box_aspect(side if side.max() <= LONGEST * side.min() else (1, 1, 1))
    axes.set(xlabel="input 0", ylabel="input 1", zlabel="input 2")
    axes.grid(False)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.set_pane_color((1, 1, 1, 0))


# ---- decision boundary and keys


def _draw_boundary(axes: Any, view: View) -> None:
    """The decision boundary: dotted lines (1 input), dark lines (2) or opaque polygons (3)."""
    from matplotlib.collections import LineCollection
    from matplotlib.patheffects import Normal, Stroke

    pieces = view.shown.decision_boundary().vertices
    dim = view.whole.network.inputs
    if not pieces:
        return
    if dim == 1:
        axes.vlines(np.unique(np.concatenate(pieces)), 0, 1, transform=axes.get_xaxis_transform(), color=INK,
                    linewidth=1.2, linestyle=":", zorder=2)  # fmt: skip
    elif dim == 2:
        lines = LineCollection(pieces, colors=INK, linewidths=1.8, capstyle="round", zorder=3)
        lines.set_path_effects([Stroke(linewidth=3.4, foreground="white"), Normal()])
        axes.add_collection(lines, autolim=False)
    else:
        from mpl_toolkits.mplot3d.art3d import Poly3DCollection

        walls = [around(piece) for piece in pieces]
        axes.add_collection(
            Poly3DCollection(walls, facecolors=PALETTE[2], edgecolors=INK, linewidths=0.5, alpha=0.75), autolim=False
        )


def _draw_key(axes: Any, shading: Shading) -> None:
    """The legend of named colours, or the colour bar."""
    from matplotlib.patches import Patch

    grey = [(shading.scale.grey, GREY)] if shading.scale is not None and shading.scale.grey else []
    names = [*shading.names, *grey]
    if shading.scale is not None:
        _draw_bar(axes, shading.scale)
    if names:
        handles = [Patch(facecolor=word, label=name) for name, word in names]
        axes.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.0, -0.1), ncols=min(len(names), 5),
                    borderaxespad=0.0, handlelength=1.2, handleheight=1.0)  # fmt: skip


def _draw_bar(axes: Any, scale: Scale) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm, LinearSegmentedColormap, ListedColormap, LogNorm, Normalize

    low, high = scale.low, scale.high
    norm: Any
    colors: Any
    if scale.whole:
        count = round(high - low) + 1
        colors = ListedColormap([word_of(c) for c in ramp(np.linspace(0, 1, count) if count > 1 else np.zeros(1))])
        norm = BoundaryNorm(np.arange(low - 0.5, high + 1), count)
    else:
        colors = LinearSegmentedColormap.from_list("regions", RAMP)
        if low == high:
            low, high = (low / 2, high * 2) if scale.log else (low - 0.5, high + 0.5)
        norm = LogNorm(low, high) if scale.log else Normalize(low, high)
    options: dict[str, Any] = {"pad": 0.12} if getattr(axes, "name", "") == "3d" else {}
    if scale.below:
        options["extend"] = "min"
    bar = axes.figure.colorbar(ScalarMappable(norm, colors), ax=axes, shrink=0.8, aspect=28, **options)
    bar.outline.set_visible(False)
    bar.set_label(scale.label)
    if scale.whole:
        step = max(1, -(-count // 10))
        bar.set_ticks(np.arange(low, high + 1, step), labels=[f"{k:.0f}" for k in np.arange(low, high + 1, step)])
        bar.ax.tick_params(length=0)
        bar.ax.minorticks_off()
    bar.ax.yaxis.label.set_color(INK)
    bar.ax.tick_params(color=MUTED)
