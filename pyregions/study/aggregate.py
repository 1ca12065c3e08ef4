"""From rows of points to one line per network, domain and sort of inputs, and the counts of what stayed undecided."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .claims import adversarial_share

# Columns whose mean over the points goes into the summary under the same name.
MEANS = (
    "wall_distance",
    "center_distance",
    "bounded",
    "bounded_modulo_lineality",
    "crossed",
    "classes_inside",
    "facets",
    "facets_on_domain",
    "cosine_pooled",
    "cosine_within",
    "neighbors",
    "neighbor_cosine",
    "neighbor_class_cosine",
    "neighbor_change",
    "random_cosine",
    "random_class_cosine",
    "random_change",
)
KEY = ["kind", "learning_rate", "seed", "domain", "inputs"]


def network_lines(points: Any) -> Any:
    """One line per network, domain and sort of inputs (a DataFrame), from the rows of all points (a DataFrame)."""
    import pandas

    lines = []
    for key, rows in points.groupby(KEY, sort=False):
        lines.append({**dict(zip(KEY, key, strict=True)), **_line(rows)})
    return pandas.DataFrame(lines)


def _line(rows: Any) -> dict[str, Any]:
    good = rows[rows["status"] == "ok"]
    line: dict[str, Any] = {
        "points": len(rows),
        "failed": len(rows) - len(good),
        "distinct_regions": int(good["pattern"].nunique()) if len(good) else 0,
    }
    if not len(good):
        return line
    radius, crossed = good["log10_radius"], good["crossed"]
    line["median_log10_radius"] = median(radius)
    line["share_infinite_radius"] = float(np.isinf(radius).mean())
    line["median_log10_radius_crossed"] = median(radius[crossed == 1])
    line["median_log10_radius_uncrossed"] = median(radius[crossed == 0])
    line["rank_least"], line["rank_most"] = int(good["rank_lower"].min()), int(good["rank_upper"].max())
    layered = [name for name in good.columns if name.startswith(("facets_layer", "cosine_layer"))]
    for name in (*MEANS, *layered):
        if name in good:
            line[name] = mean(good[name])
    if rows["inputs"].iloc[0] == "image" and rows["domain"].iloc[0] == "box":
        distances = good["other_class_distance"]
        line["adversarial_share"] = adversarial_share(rows)
        line["median_other_class_distance"] = median(distances[np.isfinite(distances)])
    return line


def mean(values: Any) -> float:
    """Mean of what is known and finite; NaN for nothing."""
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[np.isfinite(numbers)]
    return float(numbers.mean()) if len(numbers) else math.nan


def median(values: Any) -> float:
    """Median of what is known (infinities count); NaN for nothing."""
    numbers = np.asarray(values, dtype=np.float64)
    numbers = numbers[~np.isnan(numbers)]
    return float(np.median(numbers)) if len(numbers) else math.nan


def undecided_counts(points: Any) -> dict[str, Any]:
    """How often the engine could not decide (facet rows, other claims, whole regions) and how it decided the rest."""
    good = points[points["status"] == "ok"]
    rows, open_rows = int(good["rows"].sum()), int(good["undecided_rows"].sum())
    return {
        "rows": rows,
        "undecided_rows": open_rows,
        "share_of_rows": open_rows / rows if rows else 0.0,
        "undecided_rows_by_domain": {
            domain: int(good.loc[good["domain"] == domain, "undecided_rows"].sum()) for domain in ("all", "box")
        },
        "undecided_claims": int(good["undecided_claims"].sum()),
        "engine": {
            name.removeprefix("engine_"): int(good[name].sum()) for name in good.columns if name.startswith("engine_")
        },
        "regions": len(points),
        "failed_regions": len(points) - len(good),
        "failures": sorted(points.loc[points["status"] != "ok", "status"].unique().tolist())[:20],
    }
