"""What a run says about the claims of Zhang & Wu (ICLR 2020): one rule for all claims, fixed before any result.

An effect is one number per learning rate and seed, mostly a difference between two networks that share both. A measure
"holds" if all its effects have the claimed sign and, for every learning rate, the 95 % t interval of the mean over the
seeds excludes 0; it "does not hold" if the same is true of the opposite sign; everything else is "not resolved". A
claim takes the verdict that all its deciding measures share, else it is "not resolved". A quick study resolves nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

HOLDS, REFUTED, OPEN = "holds", "does not hold", "not resolved"
CONFIDENCE = 0.95
# Two accuracies count as similar when they differ by less than this: two points in a hundred.
ACCURACY_MARGIN = 0.02
# "Highly" correlated maps: cosine above this, on top of being above that of random pairs.
HIGH_COSINE = 0.9
# A median over fewer regions than this is no statement about a network.
LEAST_REGIONS = 3

# The rows of one network (and its accuracy) by column; what a formula reads.
Rows = Any
Formula = Callable[["Group"], float]


@dataclass(frozen=True)
class Group:
    """The three networks of one learning rate and seed: their point rows (DataFrames) and accuracies by kind."""

    rows: Mapping[str, Rows]
    accuracy: Mapping[str, float]

    def column(self, kind: str, name: str, domain: str, inputs: str | None) -> Any:
        """Values of a column over the points of one network that were measured without error, as an array."""
        rows = self.rows[kind]
        if name not in rows:
            return np.empty(0)
        chosen = (rows["domain"] == domain) & (rows["status"] == "ok")
        if inputs is not None:
            chosen &= rows["inputs"] == inputs
        return rows.loc[chosen, name].to_numpy(dtype=np.float64)


@dataclass(frozen=True)
class Measure:
    """One way to put a claim in a number; `expected` is the sign the claim predicts. Only deciding ones count."""

    name: str
    unit: str
    expected: int
    formula: Formula
    deciding: bool = True


@dataclass(frozen=True)
class Claim:
    """A claim and the measures that decide it."""

    key: str
    text: str
    how: str
    measures: Sequence[Measure]


@dataclass(frozen=True)
class Interval:
    """Mean over the seeds and its t interval, of one learning rate."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """A measure's values in this run: per learning rate, in the order of the seeds."""

    measure: Measure
    values: Mapping[float, Sequence[float]]
    intervals: Mapping[float, Interval]
    verdict: str


@dataclass(frozen=True)
class Finding:
    """A claim with its effects and verdict."""

    claim: Claim
    effects: Sequence[Effect]
    verdict: str
    notes: Sequence[str] = field(default_factory=tuple)


def t_interval(values: Sequence[float]) -> Interval:
    """Mean and two-sided 95 % t interval; infinitely wide for fewer than two values or any that is not finite."""
    numbers = np.asarray(values, dtype=np.float64)
    if len(numbers) == 0 or not np.all(np.isfinite(numbers)):
        return Interval(math.nan, -math.inf, math.inf)
    mean = float(numbers.mean())
    if len(numbers) < 2:
        return Interval(mean, -math.inf, math.inf)
    from scipy.stats import t

    half = float(t.ppf((1 + CONFIDENCE) / 2, len(numbers) - 1) * numbers.std(ddof=1) / math.sqrt(len(numbers)))
    return Interval(mean, mean - half, mean + half)


def judge(values: Mapping[float, Sequence[float]], expected: int, quick: bool = False) -> str:
    """The verdict on one measure: `values` holds the effects per learning rate, one per seed."""
    if quick or len(values) < 2 or any(len(effects) < 2 for effects in values.values()):
        return OPEN
    for sign, verdict in ((expected, HOLDS), (-expected, REFUTED)):
        one_sign = all(sign * effect > 0 for effects in values.values() for effect in effects)
        if one_sign and all(_clear_of_zero(t_interval(effects), sign) for effects in values.values()):
            return verdict
    return OPEN


def _clear_of_zero(interval: Interval, sign: int) -> bool:
    return interval.low > 0 if sign > 0 else interval.high < 0


def combine(verdicts: Sequence[str]) -> str:
    """The verdict on a claim: what all its deciding measures say, else "not resolved"."""
    return verdicts[0] if verdicts and all(verdict == verdicts[0] for verdict in verdicts) else OPEN


def evaluate(groups: Mapping[tuple[float, int], Group], quick: bool) -> list[Finding]:
    """All claims, on the networks of every (learning rate, seed)."""
    rates = sorted({rate for rate, _ in groups})
    seeds = sorted({seed for _, seed in groups})
    findings = []
    for claim in CLAIMS:
        effects = []
        for measure in claim.measures:
            values = {rate: [measure.formula(groups[rate, seed]) for seed in seeds] for rate in rates}
            intervals = {rate: t_interval(effects_of_rate) for rate, effects_of_rate in values.items()}
            effects.append(Effect(measure, values, intervals, judge(values, measure.expected, quick)))
        deciding = [effect for effect in effects if effect.measure.deciding]
        verdict = combine([effect.verdict for effect in deciding])
        findings.append(Finding(claim, effects, verdict, _notes(deciding, quick, len(seeds), len(rates))))
    return findings


def _notes(deciding: Sequence[Effect], quick: bool, seeds: int, rates: int) -> list[str]:
    notes = []
    if quick:
        notes.append("A quick study resolves nothing.")
    elif seeds < 2 or rates < 2:
        notes.append("Fewer than two seeds or learning rates resolve nothing.")
    elif len({effect.verdict for effect in deciding}) > 1:
        notes.append("Its measures differ: the answer depends on which one is asked.")
    if any(not math.isfinite(value) for effect in deciding for values in effect.values.values() for value in values):
        notes.append("Some values could not be formed (too few regions on one side, or an infinite median).")
    return notes


# Formulas. A median is used where radii may be infinite; it is NaN below LEAST_REGIONS.


def _median(values: Any) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) >= LEAST_REGIONS else math.nan


def _mean(values: Any) -> float:
    known = values[~np.isnan(values)]
    return float(np.mean(known)) if len(known) else math.nan


def _finite(value: float) -> float:
    return value if math.isfinite(value) else math.nan


def _similar_accuracy(kind: str) -> Formula:
    return lambda group: ACCURACY_MARGIN - abs(group.accuracy[kind] - group.accuracy["plain"])


def _radius(kind: str, domain: str, inputs: str) -> Formula:
    def formula(group: Group) -> float:
        here, plain = (_median(group.column(name, "log10_radius", domain, inputs)) for name in (kind, "plain"))
        return _finite(here - plain) if math.isfinite(here) and math.isfinite(plain) else math.nan

    return formula


def _cosine(kind: str, column: str, domain: str, inputs: str) -> Formula:
    return lambda group: (
        _mean(group.column(kind, column, domain, inputs)) - _mean(group.column("plain", column, domain, inputs))
    )


def _median_if_crossed(group: Group, kind: str, domain: str, crossed: bool) -> float:
    radius = group.column(kind, "log10_radius", domain, None)
    return _median(radius[group.column(kind, "crossed", domain, None) == float(crossed)])


def _crossed_gap(domain: str) -> Formula:
    def gap(group: Group, kind: str) -> float:
        inside, outside = (_median_if_crossed(group, kind, domain, crossed) for crossed in (True, False))
        return inside - outside if math.isfinite(inside) and math.isfinite(outside) else math.nan

    return lambda group: gap(group, "dropout") - gap(group, "plain")


def _crossed_radius(domain: str) -> Formula:
    def formula(group: Group) -> float:
        here, plain = (_median_if_crossed(group, kind, domain, True) for kind in ("dropout", "plain"))
        return here - plain if math.isfinite(here) and math.isfinite(plain) else math.nan

    return formula


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


NAMES = {"plain": "plain", "batchnorm": "batch norm", "dropout": "dropout"}
_WHERE = (("all", "R^d"), ("box", "pixel box"))


def _direction_measures(kind: str, expected: int) -> list[Measure]:
    return [
        Measure(f"{title}, {place}", "difference of mean |cos|", expected, _cosine(kind, column, domain, "image"))
        for column, title in (("cosine_pooled", "all layers pooled"), ("cosine_within", "within layers"))
        for domain, place in _WHERE
    ] + [
        Measure(
            f"all layers pooled, {place}, random inputs",
            "difference of mean |cos|",
            expected,
            _cosine(kind, "cosine_pooled", domain, "random"),
            deciding=False,
        )
        for domain, place in _WHERE
    ]


CLAIMS: tuple[Claim, ...] = (
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
        "Median log10 insphere radius of batch norm minus that of plain.",
        [
            Measure(
                f"test images, {place}", "difference of median log10 radius", -1, _radius("batchnorm", domain, "image")
            )
            for domain, place in _WHERE
        ]
        + [
            Measure(
                f"random inputs, {place}",
                "difference of median log10 radius",
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
        _direction_measures("batchnorm", -1),
    ),
    Claim(
        "dropout-directions",
        "Dropout gives less orthogonal normals.",
        "Mean |cos| between the facet normals of a region (test images), dropout minus plain: above 0 is less "
        "orthogonal.",
        _direction_measures("dropout", 1),
    ),
    Claim(
        "dropout-boundary",
        "Dropout gives a finer partition near the decision boundaries.",
        "Median log10 insphere radius over test images and random inputs together. Gap: crossed minus uncrossed "
        "regions, dropout's gap minus plain's. Crossed: radius of crossed regions, dropout minus plain.",
        [
            Measure(f"gap, {place}", "difference of differences of median log10 radius", -1, _crossed_gap(domain))
            for domain, place in _WHERE
        ]
        + [
            Measure(f"crossed, {place}", "difference of median log10 radius", -1, _crossed_radius(domain))
            for domain, place in _WHERE
        ],
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
                f"{NAMES[kind]}, minus {HIGH_COSINE:g}, R^d", "mean cosine above the mark", 1, _above_high(kind, "all")
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
)
