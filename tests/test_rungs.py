"""The rungs agree: the whole ladder against exact programs alone, row by row, and signs against fractions.

Systems are made to sit on the edge between the rungs: small integers (true ties everywhere), the same moved by an ulp
in one entry (near ties), rows that are sums of others in floats, and plain random floats.

The long run (`pytest -m long tests/test_rungs.py`): 3,000,000 decisions agreed, none undecided, about five minutes.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

import pyregions as pr
from pyregions import _core

F64 = NDArray[np.float64]
KINDS = ("integers", "an ulp away", "sums", "floats")


def system(rng: np.random.Generator, kind: str) -> tuple[F64, F64]:
    """Rows A x <= b in 1 to 4 dimensions; all but the floats' have a lattice point with slack 1 or more."""
    d, n = int(rng.integers(1, 5)), int(rng.integers(1, 13))
    if kind == "floats":
        A = rng.normal(size=(n, d))
        return A, np.abs(rng.normal(size=n)) + 0.1
    limit = int(rng.integers(1, 4))
    A = rng.integers(-limit, limit + 1, (n, d)).astype(float)
    A = A[A.any(axis=1)]
    center = rng.integers(-2, 3, d)
    b = A @ center + rng.integers(1, 4, len(A))
    if kind == "sums" and len(A) > 2:
        weights = rng.uniform(0.1, 2, 2)
        A = np.vstack([A, weights @ A[:2]])
        b = np.append(b, weights @ b[:2])
        keep = A.any(axis=1)
        A, b = A[keep], b[keep]
    if kind == "an ulp away" and len(A):
        i, up = int(rng.integers(len(A))), rng.choice([-np.inf, np.inf])
        if rng.random() < 0.5:
            # Never below the normal numbers: a cell between subnormals has points, but no sum of doubles among them.
            b[i] = np.nextafter(b[i], up) if b[i] else np.copysign(2.0**-60, up)
        else:
            k = int(np.flatnonzero(A[i])[0])
            A[i, k] = np.nextafter(A[i, k], up)
    return A, b


def cell_of(A: F64, b: F64) -> _core.Cell:
    d = A.shape[1]
    cell = _core.cell_of_domain(_core.Domain.general(np.full(d, -np.inf), np.full(d, np.inf), A, b), 60.0)
    assert isinstance(cell, _core.Cell)
    return cell


def compare_facets(cell: _core.Cell) -> int:
    """Both ways to the facets; returns the number of groups of rows."""
    ladder, exact = cell.facets(), cell.exact_facets()
    for key in ("group_ptr", "group_rows", "on_domain", "red_ptr", "red_rows", "zero_rows", "undecided"):
        assert np.array_equal(ladder[key], exact[key]), key  # type: ignore[literal-required]
    assert len(ladder["undecided"]) == 0
    return len(ladder["group_ptr"]) + len(ladder["red_ptr"]) - 2


def compare_signs(cell: _core.Cell, A: F64, b: F64, rng: np.random.Generator) -> int:
    """Membership of lattice points, of points beside them, and of points on the way to a witness; returns how many."""
    lattice = rng.integers(-4, 5, A.shape[1]).astype(float)
    on_wall = cell.witness() + rng.random() * (lattice - cell.witness())
    points = [lattice, np.nextafter(lattice, rng.choice([-np.inf, np.inf])), on_wall]
    for x in points:
        exact = [sum((Fraction(p) * Fraction(q) for p, q in zip(row, x)), Fraction(0)) for row in A]
        slack = [Fraction(offset) - value for offset, value in zip(b, exact)]
        assert cell.contains(x) == all(v >= 0 for v in slack)
        assert cell.interior_contains(x) == all(v > 0 for v in slack)
    return 2 * len(points)


def agree(cases: int, seed: int) -> dict[str, int]:
    """Systems of all kinds until so many decisions were compared; the decisions of the ladder per rung."""
    rng, compared = np.random.default_rng(seed), 0
    rungs = dict.fromkeys(("triage", "tight", "basis", "refine", "exact", "undecided"), 0)
    while compared < cases:
        A, b = system(rng, KINDS[compared % len(KINDS)])
        if not len(A):
            continue
        cell = cell_of(A, b)
        compared += compare_signs(cell, A, b, rng)
        for rung, count in cell.stats().items():
            if rung in rungs:
                rungs[rung] += int(count)
        compared += compare_facets(cell)
    return rungs


def test_rungs_agree_on_a_hundred_thousand_decisions():
    rungs = agree(100_000, seed=20261124)
    assert rungs["undecided"] == 0
    assert min(rungs["triage"], rungs["exact"]) > 1000 and rungs["basis"] + rungs["refine"] > 0


@pytest.mark.long
def test_rungs_agree_on_millions_of_decisions():
    assert agree(3_000_000, seed=1)["undecided"] == 0


def test_rungs_agree_on_regions_of_networks():
    """The same for cells of networks with small integers, whose deep rows are composed."""
    rng, rows = np.random.default_rng(7), 0
    while rows < 5_000:
        widths = [int(rng.integers(1, 5)), *map(int, rng.integers(1, 7, 2)), 1]
        layers = []
        for m, n in zip(widths[:-1], widths[1:]):
            scale = 2.0 ** int(rng.integers(-40, 41))
            W = rng.integers(-2, 3, (n, m)) * scale
            layers.append((W, rng.integers(-2, 3, n) * scale * (rng.random() < 0.7)))
        net = pr.Network.from_arrays(layers)
        domain = pr.Box(-2, 2) if rng.random() < 0.5 else None
        region = net.region(rng.uniform(-2, 2, widths[0]), domain=domain)
        rows += compare_facets(region._cell)
