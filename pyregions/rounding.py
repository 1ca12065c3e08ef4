"""The usual bounds of rounding errors in float64."""

from __future__ import annotations

# Unit roundoff of float64: the relative error of one rounding to nearest.
UNIT_ROUNDOFF = 2.0**-53


def gamma(n: int, unit: float = UNIT_ROUNDOFF) -> float:
    """The usual bound n u / (1 - n u) of the relative error of n roundings (Higham, Accuracy and Stability, ch. 3)."""
    return n * unit / (1 - n * unit)
