"""The claims of Zhang & Wu (ICLR 2020) as numbers: for each the measures that decide it, and some for comparison."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .config import NAMES
from .verdicts import Claim, Formula, Group, Measure, Rows

# Two accuracies count as similar when they differ by less than this: two points in a hundred.
ACCURACY_MARGIN = 0.02
# "Highly" correlated maps: cosine above this, on top of being above that of random pairs.
HIGH_COSINE = 0.9
# A median over fewer regions than this is no statement about a network.
LEAST_REGIONS = 3

# Formulas: one number per learning rate and seed.


def _mean(values: Any) -> float:
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if len(known) else math.nan


def _similar_accuracy(kind: str) -> Formula:
    return lambda group: ACCURACY_MARGIN - abs(group.accuracy[kind] - group.accuracy["plain"])


def _radius(kind: str, domain: str, inputs: str) -> Formula:
    def formula(group: Group) -> float:
        here, plain = (group.column(name, "log10_radius", domain, inputs) for name in (kind, "plain"))
        return _compare(here, plain, domain)

    return formula


def _compare(here: Any, there: Any, domain: str) -> float:
    """How much larger the radii `here` are than those `there`.

    In the pixel box: the difference of the medians of log10 of the radius. In R^d, where radii may be infinite: Cliff's
    delta, the share of pairs with the larger radius here minus the share with the larger one there.
    """
    here, there = here[~np.isnan(here)], there[~np.isnan(there)]
    if min(len(here), len(there)) < LEAST_REGIONS:
        return math.nan
    if domain == "box":
        return float(np.median(here) - np.median(there))
    return float(np.mean((here[:, None] > there[None, :]).astype(float) - (here[:, None] < there[None, :])))


def _cosine(kind: str, column: str, domain: str, inputs: str) -> Formula:
    return lambda group: (
        _mean(group.column(kind, column, domain, inputs)) - _mean(group.column("plain", column, domain, inputs))
    )


def _radii(group: Group, kind: str, domain: str, crossed: bool) -> Any:
    radius = group.column(kind, "log10_radius", domain, None)
    return radius[group.column(kind, "crossed", domain, None) == float(crossed)]


def _crossed_gap(domain: str) -> Formula:
    def gap(group: Group, kind: str) -> float:
        return _compare(_radii(group, kind, domain, True), _radii(group, kind, domain, False), domain)

    return lambda group: gap(group, "dropout") - gap(group, "plain")


def _crossed_radius(domain: str) -> Formula:
    return lambda group: _compare(_radii(group, "dropout", domain, True), _radii(group, "plain", domain, True), domain)


def _above_random(kind: str, name: str, domain: str) -> Formula:
    return lambda group: (
        _mean(group.column(kind, f"neighbor_{name}", domain, "image"))
        - _mean(group.column(kind, f"random_{name}", domain, "image"))
    )


def _above_high(kind: str, domain: str) -> Formula:
    return lambda group: _mean(group.column(kind, "neighbor_cosine", domain, "image")) - HIGH_COSINE


def adversarial_share(rows: Rows) -> float:
    """Share of the correctly classified test images with an input of another class in their region in the pixel box."""
    chosen = (rows["domain"] == "box") & (rows["status"] == "ok") & (rows["inputs"] == "image")
    chosen &= rows["label"] == rows["predicted"]
    distances = rows.loc[chosen, "other_class_distance"].to_numpy(dtype=np.float64)
    known = distances[~np.isnan(distances)]
    return float(np.mean(np.isfinite(known))) if len(known) else math.nan


def _adversarial(kind: str) -> Formula:
    return lambda group: adversarial_share(group.rows[kind])


_WHERE = (("all", "R^d"), ("box", "pixel box"))
_UNIT = {"all": "Cliff's delta of radii", "box": "difference of median log10 radius"}
_HOW = (
    " In the pixel box the difference of the medians of log10 of the insphere radius; in R^d, where radii may be "
    "infinite, Cliff's delta: the share of pairs of regions with the larger radius on the first side minus the share "
    "with the larger one on the second."
)


def _direction_measures(kind: str, expected: int, depth: int) -> list[Measure]:
    return [
        Measure(f"{title}, {place}", "difference of mean |cos|", expected, _cosine(kind, column, domain, "image"))
        for column, title in (("cosine_pooled", "all layers pooled"), ("cosine_within", "within layers"))
        for domain, place in _WHERE
    ] + [
        Measure(name, "difference of mean |cos|", expected, _cosine(kind, column, "all", inputs), deciding=False)
        for name, column, inputs in (
            *((f"layer {k} alone, R^d", f"cosine_layer{k}", "image") for k in range(1, depth + 1)),
            ("all layers pooled, R^d, random inputs", "cosine_pooled", "random"),
        )
    ]


def claims(depth: int) -> list[Claim]:
    """The claims, for networks of `depth` hidden layers."""
    return [
        Claim(
            "accuracy",
            "The three ways of training reach similar accuracy.",
            f"{ACCURACY_MARGIN:g} minus the absolute difference of test accuracy to the plain network.",
            [
                Measure(f"{NAMES[kind]} against plain", "margin left", 1, _similar_accuracy(kind))
                for kind in ("batchnorm", "dropout")
            ],
        ),
        Claim(
            "batchnorm-radius",
            "Batch normalisation gives smaller regions.",
            "Radii of batch norm against plain." + _HOW,
            [
                Measure(f"test images, {place}", _UNIT[domain], -1, _radius("batchnorm", domain, "image"))
                for domain, place in _WHERE
            ]
            + [
                Measure(
                    f"random inputs, {place}",
                    _UNIT[domain],
                    -1,
                    _radius("batchnorm", domain, "random"),
                    deciding=False,
                )
                for domain, place in _WHERE
            ],
        ),
        Claim(
            "batchnorm-directions",
            "Batch normalisation gives more orthogonal normals.",
            "Mean |cos| between the facet normals of a region (test images), batch norm minus plain: below 0 is more "
            "orthogonal.",
            _direction_measures("batchnorm", -1, depth),
        ),
        Claim(
            "dropout-directions",
            "Dropout gives less orthogonal normals.",
            "Mean |cos| between the facet normals of a region (test images), dropout minus plain: above 0 is less "
            "orthogonal.",
            _direction_measures("dropout", 1, depth),
        ),
        Claim(
            "dropout-boundary",
            "Dropout gives a finer partition near the decision boundaries.",
            "Test images and random inputs together. Gap: radii of crossed against uncrossed regions, dropout's gap "
            "minus "
            "plain's. Crossed: radii of dropout's crossed regions against plain's." + _HOW,
            [
                Measure(f"gap, {place}", f"difference of {_UNIT[domain]}", -1, _crossed_gap(domain))
                for domain, place in _WHERE
            ]
            + [Measure(f"crossed, {place}", _UNIT[domain], -1, _crossed_radius(domain)) for domain, place in _WHERE],
        ),
        Claim(
            "neighbors",
            "The linear maps of adjacent regions are highly correlated.",
            "Cosine between a region's map and those across its facets (test images): above that of random pairs of "
            f"regions, and above {HIGH_COSINE:g}.",
            [
                Measure(
                    f"{NAMES[kind]}, minus random pairs, {place}",
                    "difference of mean cosine",
                    1,
                    _above_random(kind, "cosine", domain),
                )
                for kind in NAMES
                for domain, place in _WHERE
            ]
            + [
                Measure(
                    f"{NAMES[kind]}, minus {HIGH_COSINE:g}, R^d",
                    "mean cosine above the mark",
                    1,
                    _above_high(kind, "all"),
                )
                for kind in NAMES
            ]
            + [
                Measure(
                    f"{NAMES[kind]}, per class, minus random pairs, R^d",
                    "difference of mean cosine",
                    1,
                    _above_random(kind, "class_cosine", "all"),
                    deciding=False,
                )
                for kind in NAMES
            ],
        ),
        Claim(
            "adversarial",
            "Adversarial inputs exist inside the same region.",
            "Share of correctly classified test images whose region, cut by the pixel box, holds an input of another "
            "class.",
            [Measure(NAMES[kind], "share of test images", 1, _adversarial(kind)) for kind in NAMES],
        ),
    ]
