"""Pictures of regions: one polygon per region, colours that tell regions apart, boundaries on the level set, errors."""

from __future__ import annotations

import doctest
import importlib
import io
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("plotly")

import pyregions as pr
from pyregions import picture_colors as colors
from pyregions import picture_shapes as shapes
from pyregions.picture_interactive import MissingExtraError, html
from pyregions.plot import new_figure, png


def random_net(sizes: list[int], seed: int = 0) -> pr.Network:
    rng = np.random.default_rng(seed)
    return pr.Network.from_arrays([(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in zip(sizes, sizes[1:])])


@pytest.fixture(scope="module")
def flat() -> pr.RegionComplex:
    return pr.enumerate_regions(random_net([2, 8, 8, 1], 2), pr.Box(-3, 3))


@pytest.fixture(scope="module")
def solid() -> pr.RegionComplex:
    return pr.enumerate_regions(random_net([3, 5, 5, 1], 1), pr.Box(-2, 2))


def titled(figure) -> str:
    return figure.axes[0].get_title(loc="left")


def area(polygon: np.ndarray) -> float:
    x, y = polygon.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2


def outlines(trace) -> list[np.ndarray]:
    """The closed polygons of a plotly trace, without the repeated first corner."""
    points = np.stack([np.array(trace.x, dtype=float), np.array(trace.y, dtype=float)], axis=1)
    parts = np.split(points, np.flatnonzero(np.isnan(points[:, 0])))
    return [part[~np.isnan(part[:, 0])][:-1] for part in parts if len(part) > 1]


@pytest.mark.parametrize("name", ["picture", "picture_colors", "picture_interactive", "picture_shapes"])
def test_examples_in_the_docstrings_run(name):
    result = doctest.testmod(importlib.import_module(f"pyregions.{name}"))
    assert result.failed == 0 and result.attempted


# ---- two inputs


def test_a_polygon_per_region_of_its_volume(flat):
    figure = pr.plot_regions(flat)
    polygons = [path.vertices[:-1] for path in figure.axes[0].collections[0].get_paths()]
    assert len(polygons) == len(flat) and titled(figure) == f"{len(flat)} regions"
    assert np.allclose([area(polygon) for polygon in polygons], flat.volumes)
    assert png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("domain", [pr.Box(-3, 3), None])
def test_by_pattern_neighbors_differ_and_colors_are_stable(domain):
    regions = pr.enumerate_regions(random_net([2, 8, 8, 1]), domain)
    found = colors.shade(regions, "pattern").colors
    a, b = regions.structure.edges.T
    assert len(a) and (found[a] != found[b]).any(axis=1).all()
    again = pr.enumerate_regions(random_net([2, 8, 8, 1]), domain, workers=1)
    assert (found == colors.shade(again, "pattern").colors).all()
    assert 3 <= len(np.unique(found, axis=0)) <= len(colors.PASTELS)


def test_more_colors_where_the_palette_does_not_suffice(monkeypatch, flat):
    monkeypatch.setattr(colors, "PASTELS", colors.PASTELS[:1])
    found = colors.shade(flat, "pattern").colors
    a, b = flat.structure.edges.T
    assert (found[a] != found[b]).any(axis=1).all()


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_boundary_lies_on_the_level_set(outputs):
    regions = pr.enumerate_regions(random_net([2, 8, 8, outputs], 2), pr.Box(-3, 3))
    axes = pr.plot_regions(regions, "class").axes[0]
    lines = np.vstack(axes.collections[-1].get_segments())
    assert len(lines) == 2 * len(regions.decision_boundary())
    top = np.sort(shapes.scores(regions.network(lines)), axis=1)
    assert np.abs(top[:, -1] - top[:, -2]).max() < 1e-9
    without = pr.plot_regions(regions, "class", boundary=False).axes[0]
    assert len(without.collections) == len(axes.collections) - 1


@pytest.mark.parametrize("outputs", [1, 3])
def test_by_class_every_part_has_one_class(outputs):
    regions = pr.enumerate_regions(random_net([2, 8, 8, outputs], 2), pr.Box(-3, 3))
    total = 0.0
    for k, polygon in enumerate(shapes.region_polygons(regions.structure)):
        parts = shapes.class_parts(polygon, regions.network(polygon))
        for winner, part in parts:
            total += area(part)
            if area(part) > 1e-9:
                assert shapes.scores(regions.network(part.mean(axis=0)[None])).argmax() == winner
        if len(parts) == 1:
            assert parts[0][0] == colors.classes_of(regions)[k]
    assert total == pytest.approx(36)


def test_classes_of_a_single_output():
    net = pr.Network.from_arrays([([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [0])])  # 0 where both inputs are negative
    regions = pr.enumerate_regions(net, pr.Box(-1, 1))
    found = colors.classes_of(regions)
    assert sorted(found) == [1, 1, 1, 2] and found[regions.find([-0.5, -0.5])] == 2
    legend = pr.plot_regions(regions, "class").axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["output > 0", "output = 0"]


def test_scales(flat):
    facets = colors.shade(flat, "facets")
    counts = np.diff(flat.structure.facet_offsets)
    assert (facets.scale.low, facets.scale.high) == (counts.min(), counts.max())
    for count in np.unique(counts):
        assert len(np.unique(facets.colors[counts == count], axis=0)) == 1
    radii = flat.chebyshev_radii()
    shading = colors.shade(flat, "inradius")
    assert shading.scale.log and shading.scale.high == radii.max()
    lightness = shading.colors.sum(axis=1)[np.argsort(radii)]
    assert (np.diff(lightness) >= -1e-12).all()  # larger is paler
    figure = pr.plot_regions(flat, "inradius")
    assert len(figure.axes) == 2 and figure.axes[1].get_ylabel() == "inradius"
    assert len(pr.plot_regions(flat, "facets").axes) == 2


def test_values_of_ones_own(flat):
    values = np.arange(len(flat), dtype=float)
    values[:2] = np.nan, np.inf
    shading = colors.shade(flat, values)
    assert (shading.colors[:2] == colors.rgb(colors.GREY)).all() and shading.scale.grey == "not finite"
    assert (shading.scale.low, shading.scale.high) == (2, len(flat) - 1)
    assert len(pr.plot_regions(flat, values.tolist()).axes) == 2
    assert colors.shade(flat, np.zeros(len(flat), dtype=bool)).scale.high == 0
    assert len(pr.plot_regions(flat, np.full(len(flat), np.nan)).axes) == 1
    png(pr.plot_regions(flat, np.ones(len(flat))))


def test_an_unbounded_domain_is_clipped_and_the_title_says_so():
    net = random_net([2, 8, 8, 1])
    regions = pr.enumerate_regions(net)
    view = shapes.view_of(regions)
    figure = pr.plot_regions(regions, "inradius")
    assert len(figure.axes[0].collections[0].get_paths()) == len(view.index) > 0.7 * len(regions)
    assert titled(figure).startswith(f"{len(regions)} regions\nunbounded domain, clipped to [")
    assert (regions.patterns[view.index] == view.shown.patterns).all()
    assert view.shown.bounded.all() and len(np.unique(view.index)) == len(view.index)
    grey = (colors.shade(regions, "inradius").colors == colors.rgb(colors.GREY)).all(axis=1)
    assert (grey == np.isinf(regions.chebyshev_radii())).all()


@pytest.mark.parametrize(
    ("rows", "domain", "count"),
    [
        ([[1.0, 0.0], [2.0, 0.0]], None, 3),  # parallel lines: no vertex anywhere
        ([[1.0, 0.0]], pr.Box([-np.inf, 0], np.inf), 2),
        ([[1.0, 1.0]], pr.Polyhedron([[1.0, 0.0]], [3.0]), 2),
        ([[0.0, 0.0]], None, 1),  # no hyperplane at all
    ],
)
def test_domains_with_few_vertices(rows, domain, count):
    net = pr.Network.from_arrays([(rows, [0.0, 1.0][: len(rows)]), ([[1.0] * len(rows)], [-1.0])])
    regions = pr.enumerate_regions(net, domain)
    figure = pr.plot_regions(regions)
    paths = figure.axes[0].collections[0].get_paths()
    assert len(paths) == len(regions) == count and "unbounded" in titled(figure)
    if domain is not None:
        rows = shapes.view_of(regions).shown._rows
        for path in paths:
            assert (path.vertices >= rows.lower - 1e-9).all() and (path.vertices @ rows.A.T <= rows.b + 1e-9).all()


@pytest.mark.parametrize("domain", [pr.Box(-3, 3), None])
@pytest.mark.parametrize("inputs", [2, 3])
def test_an_incomplete_complex_shows_what_is_there(domain, inputs):
    net = random_net([inputs, 24, 24, 1])
    regions = pr.enumerate_regions(net, domain, max_regions=30, workers=1)
    assert not regions.complete
    figure = pr.plot_regions(regions)
    title = titled(figure)
    assert title.startswith(f"the first {len(regions):,} regions (incomplete)")
    assert "no decision boundary" in title
    assert "no decision boundary" not in titled(pr.plot_regions(regions, "facets", boundary=False))
    view = shapes.view_of(regions)
    assert (regions.patterns[view.index] == view.shown.patterns).all() and view.shown.bounded.all()
    assert "incomplete" in pr.plot_interactive(regions).layout.title.text


def test_drawing_on_given_axes(flat, solid):
    figure, axes = new_figure(1, 2, (6, 3))
    assert pr.plot_regions(flat, axes=axes[0, 1]) is figure
    assert not axes[0, 0].collections and len(axes[0, 1].collections[0].get_paths()) == len(flat)
    with pytest.raises(ValueError, match="3 inputs needs axes in three dimensions"):
        pr.plot_regions(solid, axes=axes[0, 0])
    _, deep = new_figure(1, 1, (3, 3), subplot_kw={"projection": "3d"})
    with pytest.raises(ValueError, match="2 inputs needs axes in two dimensions"):
        pr.plot_regions(flat, axes=deep[0, 0])


def test_the_users_settings_are_left_alone(flat):
    import matplotlib

    before = dict(matplotlib.rcParams)
    pr.plot_regions(flat)
    assert dict(matplotlib.rcParams) == before


# ---- one input and three


def test_one_input_is_drawn_as_curves():
    regions = pr.enumerate_regions(random_net([1, 6, 6, 2], 3))
    figure = pr.plot_regions(regions)
    axes = figure.axes[0]
    assert len(axes.collections[0].get_paths()) == len(regions) and len(axes.lines) == 2
    x, y = axes.lines[1].get_data()
    assert len(x) == len(regions) + 1 and np.array_equal(y, regions.network(x[:, None])[:, 1])
    assert len(axes.collections[1].get_offsets()) == len(regions) - 1  # a dot at every breakpoint
    boundary = axes.collections[-1].get_segments()
    for segment in boundary:
        values = regions.network(segment[:1, :1])[0]
        assert abs(values[0] - values[1]) < 1e-9
    assert len(boundary) == len(regions.decision_boundary())
    data = pr.plot_interactive(regions).data
    assert len(data[-1].x) == 2 * len(regions)


def test_three_inputs_are_drawn_as_facets(solid):
    axes = pr.plot_regions(solid, "inradius").axes[0]
    structure = solid.structure
    shared, outer = len(structure.edges), int((structure.facet_unit < 0).sum())
    png(axes.figure)
    assert axes.collections[0].get_facecolor().shape == (shared + outer, 4)
    assert 0 < axes.collections[0].get_facecolor()[:, 3].max() < 1
    assert len(axes.collections[1].get_facecolor()) == len(solid.decision_boundary()) > 0


def test_facets_close_up_to_the_volume(solid):
    structure = solid.structure
    fan, facet = shapes_fan(structure)
    corners = structure.vertices[fan]
    centers = np.array([solid[k].vertices.mean(axis=0) for k in range(len(solid))])[structure.facet_region[facet]]
    pieces = np.abs(np.linalg.det(corners - centers[:, None])) / 6
    assert np.allclose(np.bincount(structure.facet_region[facet], pieces), solid.volumes)


def shapes_fan(structure):
    from pyregions.picture_interactive import _fans

    return _fans(shapes.facet_outlines(structure))


# ---- interactive pictures


@pytest.mark.parametrize("color", colors.COLORS)
def test_interactive_polygons_cover_the_box(flat, color):
    figure = pr.plot_interactive(flat, color)
    filled = [trace for trace in figure.data if trace.fill == "toself"]
    found = [polygon for trace in filled for polygon in outlines(trace)]
    assert len(found) == len(flat) == sum(trace.meta[0] for trace in filled)
    assert len(filled) <= 48
    assert sum(map(area, found)) == pytest.approx(36)


def test_the_pointer_finds_the_region(flat):
    figure = pr.plot_interactive(flat, "facets")
    hover = next(trace for trace in figure.data if trace.mode == "none")
    points = np.stack([hover.x, hover.y], axis=1)
    said = [int(text.split("<br>")[0][len("<b>region ") : -len("</b>")]) for text in hover.text]
    assert set(said) == set(range(len(flat)))
    assert flat.find(points, tie="any").tolist() == said
    k = said[0]
    facets = int(np.diff(flat.structure.facet_offsets)[k])
    assert hover.text[0].split("<br>")[2:4] == [f"{facets} facets", f"area {flat.volumes[k]:.4g}"]


def test_interactive_boundary_lies_on_the_level_set(flat):
    figure = pr.plot_interactive(flat)
    line = next(trace for trace in figure.data if trace.name == "decision boundary")
    points = np.stack([np.array(line.x, float), np.array(line.y, float)], axis=1)
    points = points[np.isfinite(points[:, 0])]
    assert len(points) == 2 * len(flat.decision_boundary()) and np.abs(flat.network(points)).max() < 1e-9
    assert not [t for t in pr.plot_interactive(flat, boundary=False).data if t.name == "decision boundary"]


def test_interactive_solids(solid):
    figure = pr.plot_interactive(solid, "class")
    whole, _, apart, _, boundary = figure.data[:5]
    structure = solid.structure
    assert len(whole.x) == len(apart.x) == len(structure.vertices)
    assert len(whole.text) == len(whole.facecolor) == len(whole.i) and len(set(whole.text)) == len(solid)
    for corner, text in zip(whole.i, whole.text):
        k = int(np.searchsorted(structure.vertex_offsets, corner, side="right") - 1)
        assert text.startswith(f"<b>region {k}</b>")
    assert boundary.name == "decision boundary" and not boundary.visible
    assert np.abs(solid.network(np.stack([boundary.x, boundary.y, boundary.z], axis=1).astype(float))).max() < 1e-5
    buttons = figure.layout.updatemenus[0].buttons
    assert [button.label for button in buttons] == ["solid", "apart", "glass"]
    assert all(len(button.args[1]) == 5 for button in buttons)


def test_a_page_is_whole(flat):
    page = html(pr.plot_interactive(flat, "inradius"))
    assert page.lower().startswith("<!doctype html>") and "region 0" in page and 'src="http' not in page
    assert page == html(pr.plot_interactive(flat, "inradius"))  # nothing random in it


def test_thousands_of_regions_stay_in_few_traces():
    regions = pr.enumerate_regions(random_net([2, 40, 40, 1]), pr.Box(-3, 3))
    assert len(regions) > 2000
    figure = pr.plot_interactive(regions, "inradius")
    assert len(figure.data) < 60
    assert sum(trace.meta[0] for trace in figure.data if trace.meta) == len(regions)


# ---- errors


@pytest.mark.parametrize("draw", [pr.plot_regions, pr.plot_interactive])
@pytest.mark.parametrize(
    ("color", "message"),
    [
        ("rainbow", "pattern, class, inradius, facets or one number per region, got 'rainbow'"),
        ([1.0, 2.0], r"shape \(2,\)"),
        (np.zeros((4, 1)), r"shape \(4, 1\)"),
        (["a"] * 4, "one real number per region"),
        (None, "one real number per region"),
        (np.zeros(4, dtype=complex), "complex"),
    ],
)
def test_wrong_colors(draw, color, message):
    net = pr.Network.from_arrays([([[1, 0], [0, 1]], [0, 0]), ([[1, 1]], [-1])])
    with pytest.raises(ValueError, match=message):
        draw(pr.enumerate_regions(net, pr.Box(-1, 1)), color)


@pytest.mark.parametrize("draw", [pr.plot_regions, pr.plot_interactive])
def test_more_than_three_inputs(draw):
    with pytest.raises(ValueError, match="4 inputs; regions are drawn for 1, 2 or 3"):
        draw(pr.enumerate_regions(random_net([4, 3, 1]), pr.Box(-1, 1)))


def test_an_empty_complex(flat):
    empty = pr.RegionComplex(
        flat.network, flat.domain, flat._words[:0], flat.witnesses[:0], flat.bounded[:0], flat.patterns[:1] * 0 - 1
    )
    with pytest.raises(ValueError, match="no region yet"):
        shapes.view_of(empty)
    for draw in (pr.plot_regions, pr.plot_interactive):
        with pytest.raises(ValueError, match="no region yet"):
            draw(empty)


def test_without_plotly(flat, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(MissingExtraError, match=r'pip install "pyregions\[plot\]"'):
        pr.plot_interactive(flat)


def test_figures_save_as_vector_graphics(flat):
    out = io.BytesIO()
    pr.plot_regions(flat, "class").savefig(out, format="svg")
    assert b"<svg" in out.getvalue()


def test_a_class_that_wins_inside_only() -> None:
    """Outputs x, -x and 0.1: the third wins around 0, at no corner."""
    square = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    values = np.stack([square[:, 0], -square[:, 0], np.full(4, 0.1)], axis=1)
    parts = dict(shapes.class_parts(square, values))
    assert sorted(parts) == [0, 1, 2]
    assert np.ptp(parts[2], axis=0) == pytest.approx([0.2, 2.0])
