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


def evaluate(claims: Sequence[Claim], groups: Mapping[tuple[float, int], Group], quick: bool) -> list[Finding]:
    """The claims on the networks of every (learning rate, seed)."""
    rates = sorted({rate for rate, _ in groups})
    seeds = sorted({seed for _, seed in groups})
    findings = []
    for claim in claims:
        effects = []
        for measure in claim.measures:
            values = {rate: [measure.formula(groups[rate, seed]) for seed in seeds] for rate in rates}
            intervals = {rate: t_interval(effects_of_rate) for rate, effects_of_rate in values.items()}
            effects.append(Effect(measure, values, intervals, judge(values, measure.expected, quick)))
        deciding = [effect for effect in effects if effect.measure.deciding]
        verdict = combine([effect.verdict for effect in deciding])
        notes = _notes(deciding, quick, len(seeds), len(rates)) + _asides(effects, verdict)
        findings.append(Finding(claim, effects, verdict, notes))
    return findings


def _asides(effects: Sequence[Effect], verdict: str) -> list[str]:
    """What is shown for comparison only, yet says something definite that the claim's verdict does not."""
    others = [effect for effect in effects if not effect.measure.deciding and effect.verdict not in (OPEN, verdict)]
    return [f"For comparison, it {effect.verdict} for: {effect.measure.name}." for effect in others]


def _notes(deciding: Sequence[Effect], quick: bool, seeds: int, rates: int) -> list[str]:
    notes = []
    if quick:
        notes.append("A quick study resolves nothing.")
    elif seeds < 2 or rates < 2:
        notes.append("Fewer than two seeds or learning rates resolve nothing.")
    elif len({effect.verdict for effect in deciding}) > 1:
        notes.append("Its measures differ: the answer depends on which one is asked.")
    if any(not math.isfinite(value) for effect in deciding for values in effect.values.values() for value in values):
        notes.append("Some values could not be formed: too few regions on one side.")
    return notes
