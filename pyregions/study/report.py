"""report.html: one file that needs nothing else, findings first, methods last."""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass
from pathlib import Path

from .. import store
from ..plot import PALETTE
from . import aggregate, claims, verdicts
from .config import KINDS, NAMES
from .data import Dataset
from .figures import Drawing
from .runner import StudyResult
from .terminal import QUANTITIES, one

TEMPLATE = Path(__file__).with_name("report.html.j2")
# Size of a plot of dots in pixels, and the part of the width that the values may use.
WIDTH, ROW, MARGIN = 300, 17, 0.06


def write(result: StudyResult, dataset: Dataset, drawings: list[Drawing]) -> None:
    """Write the report of a study into its folder."""
    import jinja2
    import markupsafe

    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(
        dots=lambda effect: markupsafe.Markup(dots(effect, result.config.seeds)),
        interval=interval,
        value=lambda value: "-" if math.isnan(value) else f"{value:+.4f}",
        raised=lambda text: markupsafe.Markup(raised(str(markupsafe.escape(text)))),
    )
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    text = template.render(
        result=result,
        config=result.config,
        summary=result.summary,
        dataset=dataset,
        findings=result.findings,
        drawings={drawing.key: drawing for drawing in drawings},
        images={drawing.key: base64.b64encode(drawing.png).decode("ascii") for drawing in drawings},
        headlines=headlines(result),
        quantities=quantities(result),
        distinct=distinct(result),
        kinds=KINDS,
        names=NAMES,
        palette=dict(zip(KINDS, PALETTE, strict=True)),
        marks={verdicts.HOLDS: "holds", verdicts.REFUTED: "refuted", verdicts.OPEN: "open"},
        margin=claims.ACCURACY_MARGIN,
        high=claims.HIGH_COSINE,
        settings=settings(result),
    )
    store.write_text(result.folder / "report.html", text)


@dataclass(frozen=True)
class Card:
    """One finding of a run: what it is about, and lines of one value per kind of network."""

    title: str
    text: str
    lines: list[tuple[str, list[str]]]


def headlines(result: StudyResult) -> list[Card]:
    """The findings of this run: medians over the networks of a kind."""

    def line(name: str, column: str, domain: str, form: str) -> tuple[str, list[str]]:
        lines = result.networks
        lines = lines[(lines["domain"] == domain) & (lines["inputs"] == "image")]
        values = [lines.loc[lines["kind"] == kind, column] if column in lines else [] for kind in KINDS]
        return name, [one(aggregate.median(of_kind), form) for of_kind in values]

    records = result.summary["networks"]
    tested = [aggregate.median([r["test_accuracy"] for r in records if r["kind"] == kind]) for kind in KINDS]
    return [
        Card("Accuracy", "Share of test images classified correctly.", [("", [one(v, "share") for v in tested])]),
        Card(
            "Size",
            "Radius of the largest ball in the region of a test image.",
            [
                line("R^d", "median_log10_radius", "all", "power"),
                line("box", "median_log10_radius", "box", "power"),
            ],
        ),
        Card(
            "Walls",
            "Facets of a region, and mean |cos| between their normals, in R^d.",
            [line("number", "facets", "all", "number"), line("|cos|", "cosine_pooled", "all", "number")],
        ),
        Card(
            "Decision boundaries",
            "Share of the regions of test images that one crosses.",
            [line("R^d", "crossed", "all", "share"), line("box", "crossed", "box", "share")],
        ),
        Card(
            "Adversarial inputs",
            "Share of test images with another class in their very region within the pixel box; l2 distance to it.",
            [
                line("share", "adversarial_share", "box", "share"),
                line("distance", "median_other_class_distance", "box", "number"),
            ],
        ),
        Card(
            "Next door",
            "Cosine between the linear maps of adjacent regions, and of random pairs of regions.",
            [line("next door", "neighbor_cosine", "all", "number"), line("random", "random_cosine", "all", "number")],
        ),
    ]


def quantities(result: StudyResult) -> list[tuple[str, list[tuple[str, str]]]]:
    """Rows of the table of quantities: title, and per kind the median over networks and their range."""
    rows = []
    records = result.summary["networks"]
    accuracies = [[r["test_accuracy"] for r in records if r["kind"] == kind] for kind in KINDS]
    rows.append(("test accuracy", [_median_and_range(values, "share") for values in accuracies]))
    for title, column, domain, inputs, form in QUANTITIES:
        lines = result.networks
        lines = lines[(lines["domain"] == domain) & (lines["inputs"] == inputs)]
        if column in lines and len(lines):
            values = [lines.loc[lines["kind"] == kind, column].tolist() for kind in KINDS]
            rows.append((title, [_median_and_range(of_kind, form) for of_kind in values]))
    return rows


def _median_and_range(values: list[float], form: str) -> tuple[str, str]:
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return "-", ""
    least, most = one(min(known), form), one(max(known), form)
    return one(aggregate.median(known), form), f"{least} to {most}" if least != most else "in all networks"


def distinct(result: StudyResult) -> list[tuple[str, str]]:
    """How many different regions the points of a network met, per sort of inputs: (sort, sentence)."""
    found = []
    for inputs, name in (("image", "test images"), ("random", "random inputs")):
        lines = result.networks
        lines = lines[(lines["inputs"] == inputs) & (lines["domain"] == "all")]
        if len(lines):
            counts, points = lines["distinct_regions"], int(lines["points"].max())
            range_ = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
            found.append((name, f"{range_} distinct regions among {points} {name} per network"))
    return found


def settings(result: StudyResult) -> list[tuple[str, str]]:
    """The configuration as text."""
    config = result.summary["config"]
    return [
        (name, ", ".join(map(str, value)) if isinstance(value, list) else str(value))
        for name, value in config.items()
        if value is not None
    ]


def raised(escaped: str) -> str:
    """R^d and f_i of a plain text that is escaped already, as HTML."""
    return re.sub(r"f_([ijk])\b", r"f<sub>\1</sub>", escaped.replace("R^d", "R<sup>d</sup>"))


def interval(effect: verdicts.Effect, rate: float) -> str:
    """Mean and interval as text."""
    found = effect.intervals[rate]
    if math.isnan(found.mean):
        return "not formed"
    ends = "" if math.isinf(found.low) else f" [{found.low:+.3f}, {found.high:+.3f}]"
    return f"{found.mean:+.3f}{ends}".replace("-", "\u2212")


def dots(effect: verdicts.Effect, seeds: tuple[int, ...]) -> str:
    """A measure as inline SVG: a line per learning rate, a dot per seed, the t interval; the claimed side is shaded."""
    numbers = [value for values in effect.values.values() for value in values if math.isfinite(value)]
    ends = [end for found in effect.intervals.values() for end in (found.low, found.high) if math.isfinite(end)]
    low, high = min([0.0, *numbers, *ends]), max([0.0, *numbers, *ends])
    # Nothing to show gets a scale of its own; otherwise a margin keeps the dots off the edges.
    margin = MARGIN * (high - low) or 1.0
    low, high = low - margin, high + margin

    def place(value: float) -> float:
        return WIDTH * (value - low) / (high - low)

    height = ROW * len(effect.values) + 4
    zero = place(0.0)
    left, width = (zero, WIDTH - zero) if effect.measure.expected > 0 else (0.0, zero)
    parts = [
        f'<svg class="dots" viewBox="0 0 {WIDTH + 48} {height}" width="{WIDTH + 48}" height="{height}" role="img">',
        f'<rect class="claimed" x="{left:.1f}" y="0" width="{width:.1f}" height="{height}"/>',
        f'<line class="zero" x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{height}"/>',
    ]
    for k, (rate, values) in enumerate(effect.values.items()):
        y, found = ROW * k + ROW / 2 + 2, effect.intervals[rate]
        if math.isfinite(found.low):
            parts.append(
                f'<line class="interval" x1="{place(found.low):.1f}" x2="{place(found.high):.1f}" y1="{y}" y2="{y}"/>'
            )
        if math.isfinite(found.mean):
            x = place(found.mean)
            parts.append(f'<line class="mean" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 6}" y2="{y + 6}"/>')
        for seed, value in zip(seeds, values, strict=True):
            if math.isfinite(value):
                parts.append(
                    f'<circle cx="{place(value):.1f}" cy="{y}" r="3.4"><title>seed {seed}, learning rate {rate:g}: '
                    f"{value:+.4g}</title></circle>"
                )
        parts.append(f'<text x="{WIDTH + 6}" y="{y + 3.5}">{rate:g}</text>')
    return "".join([*parts, "</svg>"])
