"""The figures of a study. Each says in its caption which inputs and which domain it shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import store
from ..analysis import random_abs_cosine
from ..plot import INK, MUTED, PALETTE, new_figure, png, power_axis, strip, styled
from .config import KINDS, NAMES
from .data import Dataset
from .gallery import gallery
from .runner import StudyResult

COLOUR = dict(zip(KINDS, PALETTE, strict=True))
PLACE = {"all": "all of $\\mathbb{R}^d$", "box": "pixel box $[0,1]^d$"}
INPUTS = {"image": "test images", "random": "random inputs"}
WIDE = 10.0


@dataclass(frozen=True)
class Drawing:
    """A figure as PNG, with its title and caption; `key` is also its file name."""

    key: str
    title: str
    caption: str
    png: bytes


def draw_all(result: StudyResult, dataset: Dataset) -> list[Drawing]:
    """Draw every figure and write it to the folder `figures`."""
    draws = (accuracy, radius, distances, facets, directions, crossed, other_class, neighbors)
    with styled():
        drawings = [draw(result, dataset) for draw in draws]
        examples = gallery(result, dataset)
    if examples is not None:
        drawings.append(Drawing("gallery", *examples))
    for drawing in drawings:
        store.write_bytes(result.folder / "figures" / f"{drawing.key}.png", drawing.png)
    return drawings


def good_rows(result: StudyResult, **conditions: Any) -> Any:
    """Rows of the points measured without error and with these values."""
    rows = result.points
    rows = rows[rows["status"] == "ok"]
    for name, value in conditions.items():
        rows = rows[rows[name] == value]
    return rows


def by_kind_and_rate(axes: Any, result: StudyResult, values: Callable[[str, float], Any], size: float = 9) -> None:
    """One strip per kind and learning rate, the rates of one kind side by side; notes infinite values at the top."""
    for kind, rate, position, width in _places(result):
        infinite = strip(axes, position, values(kind, rate), COLOUR[kind], width * 0.9, size)
        if infinite:
            note(axes, position, f"{infinite} inf.", 8, top=True)
        note(axes, position, f"{rate:g}", 8)
    _name_kinds(axes, 17)


def _places(result: StudyResult) -> Iterator[tuple[str, float, float, float]]:
    rates = result.config.learning_rates
    width = 0.8 / len(rates)
    for k, kind in enumerate(KINDS):
        for r, rate in enumerate(rates):
            yield kind, rate, k + (r - (len(rates) - 1) / 2) * width, width


def _name_kinds(axes: Any, pad: float) -> None:
    axes.set_xticks(range(len(KINDS)), [NAMES[kind] for kind in KINDS])
    axes.tick_params(axis="x", length=0, pad=pad)
    axes.set_xlim(-0.6, len(KINDS) - 0.4)


def note(axes: Any, position: float, text: str, size: float, top: bool = False) -> None:
    """Small grey text below (or above) the axes at a horizontal position."""
    axes.annotate(
        text,
        (position, 1 if top else 0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 1 if top else -5),
        textcoords="offset points",
        ha="center",
        va="bottom" if top else "top",
        fontsize=size,
        color=MUTED,
    )


def legend_of_kinds(figure: Any) -> None:
    """One legend for the whole figure."""
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], marker="o", linestyle="", color=COLOUR[kind], label=NAMES[kind]) for kind in KINDS]
    figure.legend(handles=handles, loc="outside upper right", ncols=len(KINDS), handletextpad=0.1, columnspacing=1.2)


def accuracy(result: StudyResult, dataset: Dataset) -> Drawing:
    figure, grid = new_figure(1, 2, (WIDE * 0.8, 3.2), sharey=True)
    for axes, part, title in zip(grid[0], ("test", "train"), ("test images", "training images"), strict=True):
        found: dict[tuple[str, float], list[float]] = {}
        for record in result.summary["networks"]:
            key = (record["kind"], record["learning_rate"])
            found.setdefault(key, []).append(100 * record[f"{part}_accuracy"])
        by_kind_and_rate(axes, result, partial(_look_up, found), size=30)
        axes.set_title(f"accuracy, {title}")
    grid[0][0].set_ylabel("per cent correct")
    caption = (
        f"Accuracy on {len(dataset.test_y):,} test and {len(dataset.train_y):,} training images. One dot per network, "
        "a line at their median; the small numbers are learning rates."
    )
    return Drawing("accuracy", "Accuracy", caption, png(figure))


def radius(result: StudyResult, dataset: Dataset) -> Drawing:
    sorts = _sorts(result)
    figure, grid = new_figure(len(sorts), 2, (WIDE, 3.3 * len(sorts)), sharey=True)
    for i, inputs in enumerate(sorts):
        for axes, domain in zip(grid[i], ("all", "box"), strict=True):
            rows = good_rows(result, domain=domain, inputs=inputs)
            by_kind_and_rate(axes, result, partial(_column, rows, "log10_radius"))
            axes.set_title(f"{INPUTS[inputs]}, {PLACE[domain]}", pad=14)
    for row in grid:  # the rows share their axis
        power_axis(row[0], "insphere radius (log scale)")
    caption = (
        "Radius of the largest ball inside the region of an input, log scale: every dot a region, boxes show quartiles "
        "and median, whiskers the 5th and 95th percentile. Left the region in all of R^d, right its part in the pixel "
        'box. "inf." counts regions that hold balls of any size (proven).'
    )
    return Drawing("radius", "How large are the regions?", caption, png(figure))


def distances(result: StudyResult, dataset: Dataset) -> Drawing:
    figure, grid = new_figure(1, 3, (WIDE, 3.3), sharey=True)
    panels = (
        ("all", "wall_distance", "to the nearest wall"),
        ("all", "center_distance", "to the insphere's centre, $\\mathbb{R}^d$"),
        ("box", "center_distance", "to the insphere's centre, box"),
    )
    for axes, (domain, column, title) in zip(grid[0], panels, strict=True):
        by_kind_and_rate(axes, result, partial(_log_column, good_rows(result, domain=domain, inputs="image"), column))
        axes.set_title(title)
    power_axis(grid[0][0], "l2 distance (log scale)")
    caption = (
        "From a test image to the nearest hyperplane of a unit that bounds its region (the pixel box's own walls do "
        "not count: real images lie on them), and to the centre of the insphere in R^d and in the pixel box, where it "
        "is finite. An insphere's centre need not be unique."
    )
    return Drawing("distances", "Where in its region is an image?", caption, png(figure))


def facets(result: StudyResult, dataset: Dataset) -> Drawing:
    depth = result.config.depth
    figure, grid = new_figure(1, 2, (WIDE, 3.3), sharey=True)
    for axes, domain in zip(grid[0], ("all", "box"), strict=True):
        lines = good_rows(result, domain=domain, inputs="image")
        for kind, rate, position, width in _places(result):
            bottom = 0.0
            for layer in range(1, depth + 1):
                values = _column(lines, f"facets_layer{layer}", kind, rate)
                height = float(values.mean()) if len(values) else 0.0
                # Deeper layers are paler.
                shade = 1.0 - 0.7 * (layer - 1) / max(depth - 1, 1)
                axes.bar(
                    position,
                    height,
                    bottom=bottom,
                    width=width * 0.86,
                    color=COLOUR[kind],
                    alpha=shade,
                    edgecolor="white",
                    linewidth=0.8,
                )
                if height > 0:
                    ink = "white" if shade > 0.5 and kind != "batchnorm" else INK
                    middle = bottom + height / 2
                    axes.text(position, middle, f"{height:.0f}", ha="center", va="center", fontsize=8, color=ink)
                bottom += height
            note(axes, position, f"{rate:g}", 8)
        _name_kinds(axes, 17)
        axes.set_title(PLACE[domain])
    grid[0][0].set_ylabel("mean number of facets")
    caption = (
        "Mean number of facets of the regions of test images, by the layer whose unit makes them: layer 1 at the "
        f"bottom, paler upwards, of {result.config.width} units each. Facets on the pixel box's own walls are left "
        f"out. {_in_the_box(result)}"
    )
    return Drawing("facets", "How many facets, from which layer?", caption, png(figure))


def directions(result: StudyResult, dataset: Dataset) -> Drawing:
    depth = result.config.depth
    columns = [f"cosine_layer{k}" for k in range(1, depth + 1)] + ["cosine_within", "cosine_pooled"]
    titles = [f"layer {k}" for k in range(1, depth + 1)] + ["within\nlayers", "all\npooled"]
    figure, grid = new_figure(1, 2, (WIDE, 3.5), sharey=True)
    for axes, domain in zip(grid[0], ("all", "box"), strict=True):
        for c, column in enumerate(columns):
            _strips_of_kinds(axes, c, _lines(result, domain, "image"), column, 1.0)
        axes.axhline(random_abs_cosine(dataset.inputs), color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        axes.axvline(depth - 0.5, color=MUTED, linewidth=0.6)
        axes.set_xticks(range(len(columns)), titles)
        axes.set_title(PLACE[domain])
        axes.set_ylim(bottom=0)
    grid[0][0].set_ylabel("mean |cos| of facet normals")
    legend_of_kinds(figure)
    caption = (
        "Mean |cos| of the angle between the normals of two facets of a region: 0 is orthogonal, 1 parallel. One dot "
        'per network, the mean over its test images\' regions. "Within layers" takes pairs that share a layer, "all '
        f'pooled" all pairs. Dashed: independent random directions in dimension {dataset.inputs}. '
        f"{_in_the_box(result)}"
    )
    return Drawing("directions", "How are the walls oriented?", caption, png(figure))


def crossed(result: StudyResult, dataset: Dataset) -> Drawing:
    figure, grid = new_figure(1, 3, (WIDE * 1.05, 3.8), width_ratios=[1, 1.2, 1.2])
    axes = grid[0][0]
    places = [(inputs, domain) for inputs in _sorts(result) for domain in ("all", "box")]
    for c, (inputs, domain) in enumerate(places):
        _strips_of_kinds(axes, c, _lines(result, domain, inputs), "crossed", 100.0)
    names = {"image": "images", "random": "random", "all": "$\\mathbb{R}^d$", "box": "box"}
    axes.set_xticks(range(len(places)), [f"{names[inputs]}\n{names[domain]}" for inputs, domain in places])
    axes.set_ylim(-4, 104)
    axes.set_ylabel("per cent of regions")
    axes.set_title("share crossed")
    grid[0][2].sharey(grid[0][1])
    for panel, domain in zip(grid[0][1:], ("all", "box"), strict=True):
        for k, kind in enumerate(KINDS):
            rows = good_rows(result, domain=domain, kind=kind)
            for side, (value, name) in enumerate(((1.0, "crossed"), (0.0, "not"))):
                chosen = rows.loc[rows["crossed"] == value, "log10_radius"]
                at = k + (side - 0.5) * 0.46
                infinite = strip(panel, at, chosen, COLOUR[kind], 0.38)
                note(panel, at, f"{name}\n{len(chosen)}" + (f"\n{infinite} inf." if infinite else ""), 7)
        _name_kinds(panel, 36)
        panel.set_title(f"radius, {PLACE[domain]}")
    power_axis(grid[0][1], "insphere radius (log scale)")
    legend_of_kinds(figure)
    caption = (
        "Left: share of regions that a decision boundary crosses (a piece {f_i = f_j >= all others} of dimension d - 1 "
        "lies inside), one dot per network. Right: insphere radius of crossed and uncrossed regions, test images and "
        "random inputs together, with their number."
    )
    return Drawing("crossed", "Which regions does a decision boundary cross?", caption, png(figure))


def other_class(result: StudyResult, dataset: Dataset) -> Drawing:
    figure, grid = new_figure(1, 2, (WIDE * 0.9, 3.3))
    left, right = grid[0]
    by_kind_and_rate(left, result, partial(_shares, _lines(result, "box", "image")), size=30)
    left.set(ylabel="per cent of test images", ylim=(-4, 104))
    left.set_title("another class in the same region")
    rows = good_rows(result, domain="box", inputs="image")
    rows = rows[rows["label"] == rows["predicted"]]
    for kind in KINDS:
        values = rows.loc[rows["kind"] == kind, "other_class_distance"].to_numpy(dtype=np.float64)
        values = np.sort(values[~np.isnan(values)])
        finite = values[np.isfinite(values)]
        shares = 100 * np.arange(len(finite) + 1) / max(len(values), 1)
        right.step([0, *finite], shares, where="post", color=COLOUR[kind], linewidth=2, label=NAMES[kind])
    right.set(xlabel="l2 distance from the image", ylabel="per cent of test images", ylim=(-4, 104))
    right.set_xlim(left=0)
    right.set_title("... within this distance")
    right.legend(loc="best")
    caption = (
        "Correctly classified test images whose very region, cut by the pixel box, holds an input that the network "
        "puts into another class. Left: share, one dot per network. Right: share that has one within a distance (a "
        "curve ends below 100 where no other class is in the region)."
    )
    return Drawing("other-class", "Is there another class in the very same region?", caption, png(figure))


def neighbors(result: StudyResult, dataset: Dataset) -> Drawing:
    figure, grid = new_figure(1, 3, (WIDE, 3.6))
    rows = good_rows(result, domain="all", inputs="image")
    panels = (
        ("cosine", "1 - cosine, whole map", True),
        ("class_cosine", "1 - cosine, per class", True),
        ("change", "relative change of the map", False),
    )
    for axes, (name, title, complement) in zip(grid[0], panels, strict=True):
        for k, kind in enumerate(KINDS):
            of_kind = rows[rows["kind"] == kind]
            for side, pair in enumerate(("neighbor", "random")):
                column = f"{pair}_{name}"
                values = of_kind[column].to_numpy(dtype=np.float64) if column in of_kind else np.empty(0)
                at = k + (side - 0.5) * 0.44
                strip(axes, at, _log(1 - values if complement else values), COLOUR[kind], 0.36)
                note(axes, at, ("next\ndoor", "random\npair")[side], 7.5)
        _name_kinds(axes, 28)
        axes.set_title(title)
        power_axis(axes, "")
    grid[0][0].set_ylabel("log scale; lower is more similar")
    caption = (
        'Affine maps W x + c of a test image\'s region and of the regions across its facets in R^d ("next door"), '
        'against pairs of regions of different test images ("random pair"); one dot per region, the mean over its '
        "pairs. Since the cosines crowd at 1, the distance from 1 is shown. Right: Frobenius norm of the difference "
        "over that of the map."
    )
    return Drawing("neighbors", "How similar are the linear functions next door?", caption, png(figure))


def _in_the_box(result: StudyResult) -> str:
    """Which images have facets in the pixel box, where these are not all."""
    few, images = result.config.box_facets, result.config.images
    return "" if few == images else f"In the pixel box: {few} of the {images} images of each network."


def _sorts(result: StudyResult) -> list[str]:
    return ["image", "random"] if result.config.random else ["image"]


def _strips_of_kinds(axes: Any, position: float, lines: Any, column: str, factor: float) -> None:
    """Three strips around a position, one per kind, of a column of the networks' lines."""
    for k, kind in enumerate(KINDS):
        if column in lines:
            values = factor * lines.loc[lines["kind"] == kind, column]
            strip(axes, position + (k - 1) * 0.27, values, COLOUR[kind], 0.24, size=14)


def _lines(result: StudyResult, domain: str, inputs: str) -> Any:
    lines = result.networks
    return lines[(lines["domain"] == domain) & (lines["inputs"] == inputs)]


def _column(rows: Any, name: str, kind: str, rate: float) -> Any:
    return rows.loc[(rows["kind"] == kind) & (rows["learning_rate"] == rate), name]


def _log_column(rows: Any, name: str, kind: str, rate: float) -> Any:
    return _log(_column(rows, name, kind, rate))


def _shares(lines: Any, kind: str, rate: float) -> Any:
    return 100 * _column(lines, "adversarial_share", kind, rate) if "adversarial_share" in lines else []


def _look_up(found: dict[tuple[str, float], list[float]], kind: str, rate: float) -> list[float]:
    return found.get((kind, rate), [])


def _log(values: Any) -> Any:
    """log10 of what is positive, NaN for the rest."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.log10(np.where(numbers > 0, numbers, np.nan))
