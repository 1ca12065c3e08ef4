"""Polyhedra without a network: facets, emptiness, boxes around them, and clear errors for bad input."""

from __future__ import annotations

import numpy as np
import pytest

import pyregions as pr


def test_polyhedron():
    p = pr.Polyhedron([[-1, 0], [0, -1], [1, 1], [2, 2], [1, 1]], [0, 0, 1, 2, 3])
    assert [f.rows for f in p.facets] == [(0,), (1,), (2, 3)]  # coincident rows are one facet
    assert [r.rows for r in p.facets.redundant] == [(4,)]
    assert p.has_interior and not p.is_empty and p.no_interior is None and p.is_bounded and p.dim == 2
    assert p.chebyshev.radius == pytest.approx(1 / (2 + np.sqrt(2)), rel=1e-8)
    assert p.contains([0.5, 0.5]) and not p.contains([0.5, 0.5], interior=True)
    assert p.pattern.shape == (0,) and p.facets[0].labels == (pr.Label(-1, 0, 2),)
    report = p.verify()
    assert report.counts["facets"] == 3 and report.counts["redundant"] == 1 and report.counts["chebyshev"] == 1
    assert not p.intersect([[1.0, 0.0]], [0.25]).contains([0.5, 0.25])
    assert repr(p) == "Polyhedron(5 rows in 2 dimensions)"


def test_polyhedron_in_a_box():
    p = pr.Polyhedron([[1.0, 1.0]], [1.5], box=pr.Box(0, 1))
    assert len(p.halfspaces) == 5 and p.halfspaces.labels[4] == pr.Label(-1, 0, 2)
    assert len(p.facets) == 5 and p.verify().counts["facets"] == 5


def test_bounding_box():
    low, high = pr.Polyhedron([[-1, 0], [0, -1], [1, 2]], [0, 0, 1]).bounding_box
    assert low == pytest.approx([0, 0], abs=1e-9) and high == pytest.approx([1, 0.5])
    assert (low <= 0).all() and (high >= [1, 0.5]).all()


def test_empty_and_flat_polyhedra():
    empty = pr.Polyhedron([[1.0], [-1.0]], [0.0, -1.0])
    assert empty.is_empty and not empty.has_interior and empty.no_interior.verify().strict
    assert not empty.contains([0.5])
    with pytest.raises(pr.EmptyDomainError, match="is empty"):
        empty.facets  # noqa: B018
    flat = pr.Polyhedron([[1.0], [-1.0]], [0.0, 0.0])
    assert not flat.has_interior and flat.contains([0.0]) and not flat.no_interior.verify().strict
    with pytest.raises(pr.UndecidedError, match="may be flat"):
        flat.is_empty  # noqa: B018
    with pytest.raises(pr.EmptyDomainError):
        flat.contains([0.0], interior=True)


def test_unbounded_polyhedra():
    cone = pr.Polyhedron([[-1.0, 0.0], [0.0, -1.0]], [0.0, 0.0])
    assert not cone.is_bounded and cone.chebyshev.radius == np.inf
    assert not pr.Polyhedron([[-1.0, 0.0]], [0.0]).is_bounded
    strip = pr.Polyhedron([[-1.0, 0.0], [1.0, 0.0]], [0.0, 3.0])
    assert strip.boundedness.bounded is not True and strip.chebyshev.radius == pytest.approx(1.5)
    for p in (cone, pr.Polyhedron([[-1.0, 0.0]], [0.0])):
        p.chebyshev, p.boundedness  # noqa: B018
        assert p.verify().counts["boundedness"] == 1


@pytest.mark.parametrize(
    ("A", "b", "message"),
    [
        ([[1.0, 0.0], [0.0, 0.0]], [1.0, 1.0], "row 1 of A is zero"),
        ([[1.0, 0.0]], [1.0, 2.0], r"A has shape \(1, 2\) and b \(2,\)"),
        ([[np.nan]], [1.0], r"A holds nan at index \(0, 0\)"),
        ([[1.0]], [np.inf], "b holds inf"),
        ([[1j]], [1.0], "must be real numbers"),
        (np.ones((2, 2, 2)), [1.0, 1.0], "expected"),
    ],
)
def test_bad_polyhedra(A, b, message):
    with pytest.raises(ValueError, match=message):
        pr.Polyhedron(A, b)
