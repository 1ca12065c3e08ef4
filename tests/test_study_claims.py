"""Verdicts of the study on synthetic effects: intervals, claims, what they need and what they leave open."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas
import pytest

from pyregions.study import verdicts
from pyregions.study.claims import claims
from pyregions.study.verdicts import HOLDS, OPEN, REFUTED, judge, t_interval

STEADY = [1.0, 1.1, 0.9, 1.05, 0.95]


def test_t_interval_against_a_table() -> None:
    # Four degrees of freedom: t = 2.776445. Mean 3, standard deviation sqrt(2.5), n = 5.
    found = t_interval([1, 2, 3, 4, 5])
    half = 2.776445 * math.sqrt(2.5) / math.sqrt(5)
    assert found.mean == 3
    assert found.low == pytest.approx(3 - half, rel=1e-6) and found.high == pytest.approx(3 + half, rel=1e-6)


def test_t_interval_knows_nothing_from_one_value_or_nan() -> None:
    assert t_interval([2.0]).low == -math.inf
    assert t_interval([1.0, math.nan]).high == math.inf
    assert t_interval([1.0, math.inf]).high == math.inf


@pytest.mark.parametrize(
    ("effects", "verdict"),
    [
        ({1: STEADY, 2: STEADY}, HOLDS),
        ({1: [-v for v in STEADY], 2: [-v for v in STEADY]}, REFUTED),
        # One seed of one learning rate has the other sign.
        ({1: STEADY, 2: [1.0, 1.1, -0.01, 1.05, 0.95]}, OPEN),
        # The learning rates disagree.
        ({1: STEADY, 2: [-v for v in STEADY]}, OPEN),
        # One sign, but the interval of one rate contains 0.
        ({1: STEADY, 2: [0.01, 0.01, 0.01, 0.01, 5.0]}, OPEN),
        # An effect of exactly 0 has no sign.
        ({1: STEADY, 2: [1.0, 1.1, 0.0, 1.05, 0.95]}, OPEN),
        ({1: STEADY, 2: [1.0, math.nan, 1.0, 1.0, 1.0]}, OPEN),
        ({1: STEADY}, OPEN),
        ({1: [1.0], 2: [1.0]}, OPEN),
        ({}, OPEN),
    ],
)
def test_judge(effects: dict[float, list[float]], verdict: str) -> None:
    opposite = {HOLDS: REFUTED, REFUTED: HOLDS, OPEN: OPEN}
    assert judge(effects, 1) == verdict
    assert judge(effects, -1) == opposite[verdict]
    assert judge(effects, 1, quick=True) == OPEN


def test_a_claim_needs_all_its_measures() -> None:
    assert verdicts.combine([HOLDS, HOLDS]) == HOLDS
    assert verdicts.combine([REFUTED, REFUTED]) == REFUTED
    assert verdicts.combine([HOLDS, REFUTED]) == verdicts.combine([HOLDS, OPEN]) == verdicts.combine([]) == OPEN


def synthetic_rows(log_radius: float, cosine: float, seed: int) -> Any:
    generator = np.random.default_rng(seed)
    rows = []
    for domain in ("all", "box"):
        for k in range(12):
            crossed = float(k % 2)
            rows.append(
                {
                    "domain": domain, "inputs": "image" if k < 8 else "random", "status": "ok",
                    "label": 1, "predicted": 1,
                    "log10_radius": log_radius + 0.01 * generator.normal(), "crossed": crossed,
                    "cosine_pooled": cosine + 0.01 * generator.normal(),
                    "cosine_within": cosine + 0.01 * generator.normal(),
                    "neighbor_cosine": 0.98, "random_cosine": 0.3 + 0.01 * generator.normal(),
                    "neighbor_class_cosine": 0.98, "random_class_cosine": 0.3,
                    "other_class_distance": 1.0 if crossed else math.inf,
                }
            )  # fmt: skip
    return pandas.DataFrame(rows)


def synthetic_groups(shift: float) -> dict[tuple[float, int], verdicts.Group]:
    return {
        (rate, seed): verdicts.Group(
            {
                "plain": synthetic_rows(-1.0, 0.3, seed),
                "batchnorm": synthetic_rows(-1.0 - shift, 0.3 - shift, 100 + seed),
                "dropout": synthetic_rows(-1.0, 0.3 + shift, 200 + seed),
            },
            {"plain": 0.97, "batchnorm": 0.968 + 0.001 * seed, "dropout": 0.9},
        )
        for rate in (1e-3, 3e-3)
        for seed in range(5)
    }


def found_verdicts(shift: float, quick: bool = False) -> dict[str, str]:
    return {
        finding.claim.key: finding.verdict for finding in verdicts.evaluate(claims(3), synthetic_groups(shift), quick)
    }


def test_claims_on_planted_effects() -> None:
    found = found_verdicts(0.2)
    for key in ("batchnorm-radius", "batchnorm-directions", "dropout-directions", "neighbors", "adversarial"):
        assert found[key] == HOLDS
    # Batch norm is within the margin, dropout far outside: the measures differ. No gap was planted.
    assert found["accuracy"] == found["dropout-boundary"] == OPEN


def test_claims_on_opposite_effects() -> None:
    found = found_verdicts(-0.2)
    for key in ("batchnorm-radius", "batchnorm-directions", "dropout-directions"):
        assert found[key] == REFUTED


def test_quick_resolves_nothing() -> None:
    assert set(found_verdicts(0.2, quick=True).values()) == {OPEN}


def test_infinite_radii_are_compared_by_rank() -> None:
    groups = synthetic_groups(0.2)
    for group in groups.values():
        rows = group.rows["plain"]
        rows.loc[rows["domain"] == "all", "log10_radius"] = math.inf
        group.rows["dropout"].loc[group.rows["dropout"]["crossed"] == 1, "crossed"] = math.nan
    found = {f.claim.key: f for f in verdicts.evaluate(claims(3), groups, False)}
    free = found["batchnorm-radius"].effects[0]
    assert free.verdict == HOLDS and set(free.values[1e-3]) == {-1.0}
    # Without crossed regions there is nothing to compare, and that is said.
    boundary = found["dropout-boundary"]
    assert boundary.verdict == OPEN and any("could not be formed" in text for text in boundary.notes)
