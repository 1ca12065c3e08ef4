"""Layer 4. Pictures of all regions to turn, zoom and point at in a browser, by plotly (imported inside)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .complex import RegionComplex
from .errors import PyregionsError
from .picture_colors import (
    GREY,
    RAMP,
    Color,
    Shading,
    class_names,
    classes_of,
    palette,
    ramp,
    rgb,
    shade,
    word_of,
)
from .picture_shapes import (
    View,
    around,
    check_complex,
    facet_outlines,
    grid_inside,
    intervals,
    region_polygons,
    view_of,
)
from .plot import INK, PALETTE

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

# Regions of a colour bar are drawn in so many groups of one colour: a trace per region would be slow.
LEVELS = 48
# Points per side of the grid that answers to the pointer in two dimensions.
GRID = 110
# How far regions move apart in three dimensions, as a part of their distance from the middle.
APART = 0.55


class MissingExtraError(PyregionsError, ImportError):
    """The library that draws is not installed."""


def plot_interactive(complex: RegionComplex, color: Color = "pattern", boundary: bool = True) -> Any:
    """The picture of :func:`plot_regions` to turn, zoom and point at; the pointer tells what it knows of a region.

    Parameters
    ----------
    complex, color, boundary
        As for :func:`plot_regions`; by class, a region has the colour of its witness throughout.

    Returns
    -------
    plotly.graph_objects.Figure
        Its ``write_html`` makes a file that needs no network. In three dimensions a button moves the regions apart.

    Raises
    ------
    ValueError
        As for :func:`plot_regions`. MissingExtraError (an ImportError) if plotly is not installed.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ([[1, 1, 1]], [-1])])
    >>> figure = plot_interactive(pr.enumerate_regions(net, pr.Box(-1, 2)))
    >>> figure.layout.title.text, sorted(set(figure.data[-1].text))[0].split("<br>")[:2]
    ('7 regions', ['<b>region 0</b>', 'pattern 000'])
    """
    check_complex(complex)
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise MissingExtraError('interactive pictures need plotly: pip install "pyregions[plot]"') from None
    shading = shade(complex, color)
    view = view_of(complex)
    texts = _texts(view)
    notes = view.notes()
    pieces: list[F64] = []
    if boundary and complex.complete:
        pieces = view.shown.decision_boundary().vertices
    elif boundary:
        notes.append("no decision boundary: it needs all regions")
    draw = (_curves, _polygons, _solids)[complex.network.inputs - 1]
    figure = go.Figure()
    draw(figure, view, shading, texts, pieces)
    _key(figure, shading, complex.network.inputs)
    _lay_out(figure, notes)
    return figure


def _lay_out(figure: Any, notes: list[str]) -> None:
    """Title, type and margins."""
    figure.update_layout(
        title={"text": "<br>".join(notes), "font": {"size": 15}, "x": 0.02, "xanchor": "left"},
        template="plotly_white",
        font={"color": INK},
        hovermode="closest",
        hoverlabel={"bgcolor": "white", "font": {"color": INK}, "align": "left"},
        margin={"l": 60, "r": 20, "t": 50 + 20 * len(notes), "b": 50},
        legend={"itemsizing": "constant"},
    )


def html(figure: Any) -> str:
    """The figure as one page that needs no network, its height that of the window."""
    options = {"div_id": "regions", "default_height": "100vh", "config": {"displaylogo": False}}
    page = str(figure.to_html(include_plotlyjs=True, **options))
    return page.replace("html, body {height: 100%;}", "html, body {height: 100%; margin: 0; overflow: hidden;}", 1)


def _texts(view: View) -> list[str]:
    """What the pointer says of each shown region: index, pattern, facets, volume, class."""
    whole, network = view.whole, view.whole.network
    facets, volumes = np.diff(whole.structure.facet_offsets), whole.structure.volumes
    names, found = class_names(network.outputs), classes_of(whole)
    measure = ("length", "area", "volume")[network.inputs - 1]
    out = []
    for k in map(int, view.index):
        size = f"{volumes[k]:.4g}" if np.isfinite(volumes[k]) else "unbounded"
        pattern = short_pattern(whole.pattern(k), network.stage_widths)
        out.append(
            f"<b>region {k}</b><br>pattern {pattern}<br>{facets[k]} facets<br>{measure} {size}<br>{names[found[k]]}"
        )
    return out


def short_pattern(pattern: NDArray[np.uint8], widths: list[int], most: int = 16) -> str:
    """A pattern as digits, a space between stages, the middle of long stages left out.

    Examples
    --------
    >>> short_pattern(np.array([1, 0, 0, 1, 1], dtype=np.uint8), [3, 2]), short_pattern(np.ones(40, np.uint8), [40], 9)
    ('100 11', '1111…1111')
    """
    words = []
    for begin, width in zip(np.cumsum([0, *widths]), widths):
        word = "".join(map(str, pattern[begin : begin + width]))
        words.append(word if width <= most else word[: most // 2] + "…" + word[width - most // 2 :])
    return " ".join(words)


def _groups(shading: Shading, index: I64) -> list[tuple[str, I64]]:
    """Regions by colour, the colours of a colour bar rounded to a few: (colour, positions in ``index``)."""
    colors = shading.colors[index]
    if shading.scale is not None and not shading.scale.whole:
        levels = ramp(np.linspace(0, 1, LEVELS))
        grey = (colors == rgb(GREY)).all(axis=1)
        nearest = np.argmin(np.abs(colors[:, None, :] - levels).sum(axis=2), axis=1)
        colors = np.where(grey[:, None], colors, levels[nearest])
    words = np.array([word_of(color) for color in colors])
    return [(str(word), np.flatnonzero(words == word)) for word in np.unique(words)]


def _joined(parts: list[F64]) -> F64:
    """Lines or outlines below each other, a row of NaN after each: one trace draws them all."""
    gap = np.full((1, parts[0].shape[1]), np.nan)
    return np.vstack([block for part in parts for block in (part, gap)])


def _closed(polygon: F64) -> F64:
    return np.vstack([polygon, polygon[:1]])


# ---- one input


def _curves(figure: Any, view: View, shading: Shading, texts: list[str], pieces: list[F64]) -> None:
    """A line with dots per output, and one point per region and output that answers to the pointer."""
    ends = intervals(view.shown.structure)
    x = np.unique(ends)
    values = view.whole.network(x[:, None])
    count = values.shape[1]
    for k, word in zip(range(count), [*PALETTE, *palette((), count)]):
        figure.add_scatter(x=x, y=values[:, k], mode="lines+markers", line={"color": word}, marker={"size": 5},
                           name=f"output {k}", showlegend=count > 1, hoverinfo="skip")  # fmt: skip
    for piece in np.unique(np.concatenate(pieces)) if pieces else ():
        figure.add_vline(x=float(piece), line={"color": INK, "width": 1, "dash": "dot"})
    middle = ends.mean(axis=1)
    at = view.whole.network(middle[:, None])
    figure.add_scatter(
        x=np.tile(middle, count), y=at.T.reshape(-1), mode="markers", hoveron="points", text=texts * count,
        marker={"size": 9, "color": [word_of(c) for c in shading.colors[view.index]] * count}, hoverinfo="text",
        showlegend=False,
    )  # fmt: skip
    figure.update_xaxes(title="input", range=[float(view.lower[0]), float(view.upper[0])])
    figure.update_yaxes(title="output")


# ---- two inputs


def _polygons(figure: Any, view: View, shading: Shading, texts: list[str], pieces: list[F64]) -> None:
    """One trace of filled polygons per colour, the boundary, and an invisible grid that answers to the pointer."""
    polygons = region_polygons(view.shown.structure)
    width = float(np.clip(12 / np.sqrt(len(polygons)), 0.2, 1.0))
    for word, members in _groups(shading, view.index):
        outline = _joined([_closed(polygons[k]) for k in members])
        figure.add_scatter(
            x=outline[:, 0], y=outline[:, 1], mode="lines", fill="toself", fillcolor=word, hoverinfo="skip",
            line={"color": "white", "width": width}, showlegend=False, meta=[len(members)],
        )  # fmt: skip
    if pieces:
        line = _joined(pieces)
        figure.add_scatter(x=line[:, 0], y=line[:, 1], mode="lines", line={"color": INK, "width": 2.5},
                           hoverinfo="skip", showlegend=False, name="decision boundary")  # fmt: skip
    step = (view.upper - view.lower) / GRID
    points = [grid_inside(polygon, view.lower + step / 2, step) for polygon in polygons]
    at = np.vstack(points)
    said = [text for text, own in zip(texts, points) for _ in range(len(own))]
    # Invisible: a mode without lines or markers makes no drawing at all, yet answers.
    figure.add_scatter(x=at[:, 0], y=at[:, 1], mode="none", hoveron="points", text=said, hoverinfo="text",
                       showlegend=False)  # fmt: skip
    side = view.upper - view.lower
    figure.update_xaxes(title="input 0", range=[float(view.lower[0]), float(view.upper[0])], showgrid=False,
                        zeroline=False, constrain="domain")  # fmt: skip
    figure.update_yaxes(title="input 1", range=[float(view.lower[1]), float(view.upper[1])], showgrid=False,
                        zeroline=False, constrain="domain")  # fmt: skip
    if side.max() <= 4 * side.min():
        figure.update_yaxes(scaleanchor="x")


# ---- three inputs


def _solids(figure: Any, view: View, shading: Shading, texts: list[str], pieces: list[F64]) -> None:
    """All regions as one mesh with its edges, the same moved apart, and the decision boundary."""
    structure = view.shown.structure
    outlines, region = facet_outlines(structure), structure.facet_region
    triangles, facet = _fans(outlines)
    of = region[facet]
    colors = np.array([word_of(color) for color in shading.colors[view.index]])[of]
    said = [texts[k] for k in of]  # per triangle: with colours per triangle, that is what the pointer finds
    starts, sizes = structure.vertex_offsets[:-1], np.diff(structure.vertex_offsets)
    centers = np.add.reduceat(structure.vertices, starts) / sizes[:, None]
    moves = np.repeat(APART * (centers - (view.lower + view.upper) / 2), sizes, axis=0)
    edges = _edges(outlines)
    for points, visible in ((structure.vertices, True), (structure.vertices + moves, False)):
        figure.add_mesh3d(
            **_xyz(points), **_ijk(triangles), facecolor=colors, flatshading=True, text=said,
            hoverinfo="text", visible=visible, showlegend=False,
            lighting={"ambient": 0.8, "diffuse": 0.4, "specular": 0.02},
        )  # fmt: skip
        line = _joined([points[edge] for edge in edges])
        figure.add_scatter3d(**_xyz(line), mode="lines", line={"color": INK, "width": 1.5}, hoverinfo="skip",
                             visible=visible, showlegend=False)  # fmt: skip
    if pieces:
        walls = [around(piece) for piece in pieces]
        ends = np.cumsum([0, *(len(wall) for wall in walls)])
        fan, _ = _fans([np.arange(a, b) for a, b in zip(ends, ends[1:])])
        figure.add_mesh3d(**_xyz(np.vstack(walls)), **_ijk(fan), color=PALETTE[2], flatshading=True, hoverinfo="skip",
                          name="decision boundary", visible=False, showlegend=True)  # fmt: skip
    _buttons(figure, bool(pieces), structure.regions)


def _fans(outlines: list[I64]) -> tuple[I64, I64]:
    """Polygons, given by the indices of their corners, as triangles (T, 3), and the polygon (T,) of each."""
    triangles = [np.stack([np.full(len(own) - 2, own[0]), own[1:-1], own[2:]], axis=1) for own in outlines]
    return np.vstack(triangles), np.repeat(np.arange(len(outlines)), [len(part) for part in triangles])


def _edges(outlines: list[I64]) -> I64:
    """The edges (E, 2) of facets that share vertices, each once."""
    pairs = np.vstack([np.stack([own, np.roll(own, -1)], axis=1) for own in outlines])
    return np.unique(np.sort(pairs, axis=1), axis=0)


def _xyz(points: F64) -> dict[str, Any]:
    """Coordinates as plotly takes them; single precision is enough for the eye and halves the file."""
    return dict(zip("xyz", points.T.astype(np.float32)))


def _ijk(triangles: I64) -> dict[str, Any]:
    return dict(zip("ijk", triangles.T.astype(np.int32)))


def _buttons(figure: Any, boundary: bool, regions: int) -> None:
    """Buttons that switch between the regions as they are, moved apart, and as glass (with the decision boundary)."""
    count = 5 if boundary else 4
    faint = min(0.35, 6 / regions**0.5)  # edges of many regions hide what lies behind

    def state(label: str, together: bool, opacity: float) -> dict[str, Any]:
        shown = [together, together, not together, not together, opacity < 1][:count]
        change = {"visible": shown, "opacity": [opacity, 1.0 if opacity == 1 else faint, 1.0, 1.0, 1.0][:count]}
        return {"label": label, "method": "restyle", "args": [change, list(range(count))]}

    states = [state("solid", True, 1.0), state("apart", False, 1.0), state("glass", True, 0.12)]
    figure.update_layout(
        updatemenus=[
            {"type": "buttons", "direction": "left", "buttons": states, "x": 0.02, "y": 1.0, "xanchor": "left",
             "yanchor": "top"}
        ],
        scene={f"{axis}axis": {"title": f"input {k}", "showbackground": False} for k, axis in enumerate("xyz")},
        scene_aspectmode="data",
        scene_camera_eye={"x": 1.5, "y": 1.5, "z": 1.1},
    )  # fmt: skip


# ---- keys


def _key(figure: Any, shading: Shading, dim: int) -> None:
    """Legend entries and the colour bar, each carried by a trace without points."""
    empty: dict[str, Any] = {"x": [None], "y": [None], "mode": "markers", "hoverinfo": "skip"}
    add = figure.add_scatter
    if dim == 3:
        empty["z"], add = [None], figure.add_scatter3d
    scale = shading.scale
    names = [*shading.names, *([(scale.grey, GREY)] if scale is not None and scale.grey else [])]
    for name, word in names:
        add(**empty, name=name, marker={"size": 12, "symbol": "square", "color": word}, showlegend=True)
    if scale is None:
        return
    ends = [np.log10(scale.low), np.log10(scale.high)] if scale.log else [scale.low, scale.high]
    bar: dict[str, Any] = {"title": {"text": scale.label}, "thickness": 14, "len": 0.8, "outlinewidth": 0}
    if scale.log:
        decades = [k for k in range(int(np.floor(ends[0])), int(np.ceil(ends[1])) + 1) if ends[0] <= k <= ends[1]]
        ticks = decades if len(decades) > 1 else [float(k) for k in np.linspace(ends[0], ends[1], 4)]
        bar.update(tickvals=ticks, ticktext=[f"{10.0**k:.3g}" for k in ticks])
    add(
        **empty, showlegend=False,
        marker={"color": [ends[0]], "cmin": ends[0], "cmax": ends[1], "showscale": True, "colorbar": bar,
                "colorscale": [[k / (len(RAMP) - 1), word] for k, word in enumerate(RAMP)]},
    )  # fmt: skip
