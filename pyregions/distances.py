"""Distances from a point to the hyperplanes of a cell's rows, with bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .cell import Geometry

F64 = NDArray[np.float64]

# Unit roundoff of float64: the relative error of one rounding to nearest.
UNIT_ROUNDOFF = 2.0**-53


def gamma(n: int, unit: float = UNIT_ROUNDOFF) -> float:
    """The usual bound n u / (1 - n u) of the relative error of n roundings (Higham, Accuracy and Stability, ch. 3)."""
    return n * unit / (1 - n * unit)


def row_distances(cell: Geometry, point: F64, code: int) -> tuple[F64, F64, F64]:
    """Distance to every row's hyperplane with lower and upper bounds.

    With the exact row within A_error, b_error of the stored one: the slack b - a.x is off by at most b_error +
    A_error |x|_1 plus gamma(d + 2) (|b| + |a|.|x|) of rounding, and the dual norm by A_error times the norm of the
    all-one vector plus gamma(d + 3) relative. One division and two products of the bounds: 4 u more.
    """
    h, d = cell.halfspaces, cell.dim
    size = np.abs(point)
    slack = h.b - h.A @ point
    slack_error = h.b_error + h.A_error * size.sum() * (1 + gamma(d + 2))
    slack_error += gamma(d + 4) * (np.abs(h.b) + np.abs(h.A) @ size) + (d + 2) * np.finfo(np.float64).tiny
    order, ones = {0: (1, float(d)), 1: (np.inf, 1.0), 2: (2, float(np.sqrt(d)))}[code]
    length = np.linalg.norm(h.A, ord=order, axis=1)
    length_error = (h.A_error * ones + gamma(d + 3) * length) * (1 + gamma(8))
    vague = (length > 0) & (length <= length_error)  # perhaps zero: only exact knowledge tells
    zero = length == 0
    if vague.any():
        zero[list(cell.facets.zero_rows)] = True
    slack = np.maximum(slack, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = slack / length
        lower = np.maximum(slack - slack_error, 0) / (length + length_error) * (1 - 8 * UNIT_ROUNDOFF)
        upper = (slack + slack_error) / np.maximum(length - length_error, 0) * (1 + 8 * UNIT_ROUNDOFF)
    for array in (value, lower, upper):
        array[zero] = np.inf
    return value, lower, upper
