"""What a user sees of a region and of a polyhedron: values, shapes, conventions, and clear errors for bad input."""

from __future__ import annotations

import gc
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

import pyregions as pr

# Units x, y and x + 2 y - 1; outputs are the three activations summed in two ways.
LAYERS = [([[1.0, 0.0], [0.0, 1.0], [1.0, 2.0]], [0.0, 0.0, -1.0]), ([[1.0, -1.0, 0.0], [0.0, 1.0, 1.0]], [0.0, 0.25])]
X = [0.25, 0.125]  # x, y > 0, third unit off


@pytest.fixture
def net():
    return pr.Network.from_arrays(LAYERS)


@pytest.fixture
def region(net):
    return net.region(X, domain=pr.Box(-2, 2))


def test_pattern_map_and_rows(region):
    assert region.pattern.tolist() == [1, 1, 0] and region.pattern.dtype == np.uint8
    assert region.affine_map.W.tolist() == [[1, -1], [0, 1]] and region.affine_map.c.tolist() == [0, 0.25]
    assert region.affine_map(X).tolist() == [0.125, 0.375]
    rows = region.halfspaces
    assert rows.A[:3].tolist() == [[-1, 0], [0, -1], [1, 2]] and rows.b[:3].tolist() == [0, 0, 1]  # outward
    assert list(rows.labels[:3]) == [pr.Label(0, 0, 0), pr.Label(0, 1, 0), pr.Label(0, 2, 1)]
    assert rows.labels[3] == pr.Label(-1, 0, 0) and not rows.labels[-1].is_unit and len(rows) == len(rows.labels) == 7
    assert region.witness.shape == (2,) and (rows.A @ region.witness < rows.b).all()
    assert repr(region) == "Region(3 units, 7 rows in 2 dimensions)"


def test_map_up_to_a_stage(region):
    before, after = region.affine_map_to(0), region.affine_map_to(0, after=True)
    assert before.W.tolist() == LAYERS[0][0] and before.c.tolist() == [0, 0, -1]
    assert after.W.tolist() == [[1, 0], [0, 1], [0, 0]] and after.c.tolist() == [0, 0, 0]
    assert (region.affine_map_to(-1).W == region.affine_map.W).all()
    with pytest.raises(ValueError, match="stage 1 does not exist: stages are 0 to 0"):
        region.affine_map_to(1)


def test_facets(region):
    facets = region.facets
    assert [f.rows for f in facets] == facets.groups == [(0,), (1,), (2,)]
    assert {tuple(f.labels) for f in facets} >= {(pr.Label(0, 2, 1),)}
    third = facets[2]
    assert third.normal.tolist() == [1, 2] and third.offset == 1 and not third.on_domain
    assert third.normal @ third.witness > third.offset
    assert facets[-1].index == len(facets) - 1 and [f.index for f in facets[:2]] == [0, 1]
    assert {row for r in facets.redundant for row in r.rows} | {row for f in facets for row in f.rows} == set(range(7))
    assert all(r.proof in ("box", "stage", "enclosure", "basis", "parallel") for r in facets.redundant)
    assert facets.normals.shape == facets.witnesses.shape == (len(facets), 2)


def test_chebyshev_and_boundedness(region):
    # Triangle (0, 0), (1, 0), (0, 1/2): radius = area / half the perimeter.
    radius = 0.25 / ((1.5 + np.sqrt(1.25)) / 2)
    low, high = region.chebyshev.radius_bounds
    assert low <= region.chebyshev.radius <= high and low - 1e-8 <= radius <= high + 1e-8 and high - low < 1e-8
    assert region.is_bounded and region.is_bounded_modulo_lineality and region.boundedness.rank == 2


def test_unbounded_regions(net):
    r = net.region([5.0, 5.0])
    assert not r.is_bounded and r.chebyshev.radius == np.inf and r.chebyshev.proof == "direction"
    assert r.boundedness.rank_bounds[1] == 2
    assert net.region(X).is_bounded  # a triangle without any domain


def test_neighbors(region, net):
    neighbors = region.neighbors()
    assert region.neighbors().patterns is neighbors.patterns and len(neighbors) == 3
    assert [n.changed_units for n in neighbors] == [(0,), (1,), (2,)]
    third = neighbors[2]
    assert third.pattern.tolist() == [1, 1, 1] and third.facet.labels == (pr.Label(0, 2, 1),)
    other = third.region()
    assert other.pattern.tolist() == [1, 1, 1] and other.domain is region.domain
    W = region.affine_map.W + np.outer(neighbors.changes[2], third.facet.normal)
    assert np.allclose(W, third.affine_map.W) and np.allclose(other.affine_map.W, W)
    c = region.affine_map.c - neighbors.changes[2] * third.facet.offset
    assert np.allclose(c, third.affine_map.c)
    assert (neighbors.patterns[1] == neighbors[1].pattern).all() and len(neighbors[1:]) == 2


def test_similarity_of_neighbors(region):
    neighbors = region.neighbors()
    W = region.affine_map.W
    for k, n in enumerate(neighbors):
        V = n.affine_map.W
        whole = (W * V).sum() / np.linalg.norm(W) / np.linalg.norm(V)
        assert neighbors.cosines()[k] == pytest.approx(whole)
        assert neighbors.relative_changes()[k] == pytest.approx(np.linalg.norm(V - W) / np.linalg.norm(W))
        with np.errstate(invalid="ignore"):
            rows = (W * V).sum(1) / np.linalg.norm(W, axis=1) / np.linalg.norm(V, axis=1)
        assert neighbors.class_cosines()[k] == pytest.approx(rows, nan_ok=True)


def test_decision_boundaries(net):
    # f_0 - f_1 = x - 2 y - 1/4 on this region; it changes sign inside.
    found = net.region(X, domain=pr.Box(-1, 1)).decision_boundaries()
    assert len(found) == 1 and found.crossed and found.classes == (True, True)
    pair = found[0]
    assert (pair.i, pair.j, pair.crosses, pair.identical, pair.piece) == (0, 1, True, False, True)
    for point, sign in ((pair.positive, 1), (pair.negative, -1)):
        f = net(point)
        assert np.sign(f[0] - f[1]) == sign
    assert pair.piece_witness is not None and found.class_witnesses.shape == (2, 2)


def test_identical_outputs():
    net = pr.Network.from_arrays([(np.eye(2), [0, 0]), ([[1, 2], [1, 2], [0, 1]], [1, 1, 0])])
    found = net.region([1.0, 1.0], domain=pr.Box(-1, 3)).decision_boundaries()
    assert [pair.identical for pair in found] == [True, False, False]
    assert found[0].crosses is False and found[0].sign == 0 and found[0].positive is None
    one = pr.Network.from_arrays([(np.eye(2), [0, 0]), ([[1, 2]], [1])]).region([1.0, 1.0])
    assert len(one.decision_boundaries()) == 0 and not one.decision_boundaries().crossed


def test_distant_decision_boundaries_need_no_linear_program():
    """Outputs rise and fall together: where two of them meet is so far away that the tilt of proposals shows."""
    rng = np.random.default_rng(2)
    A, b = rng.normal(size=(160, 80)), rng.normal(size=160)
    C = rng.normal(size=(10, 160)) / 160**0.5
    net = pr.Network.from_arrays([(A, b), (C.mean(0) + 0.3 * (C - C.mean(0)), 3 * rng.normal(size=10))])
    region = net.region(0.1 * rng.normal(size=80))
    found = region.decision_boundaries()
    assert all(pair.crosses for pair in found)
    made = region.stats()["calls"]["decision_boundaries"]
    assert made["lps"] == made["exact"] == made["undecided"] == 0
    region.verify()


@pytest.mark.parametrize(("norm", "third"), [(2, 0.5 / np.sqrt(5)), (1, 0.25), (np.inf, 0.5 / 3), ("linf", 0.5 / 3)])
def test_distances(region, norm, third):
    d = region.distances(norm=norm)
    assert d.rows == pytest.approx([0.25, 0.125, third])
    assert (d.lower <= d.rows).all() and (d.rows <= d.upper).all() and (d.upper - d.lower < 1e-14).all()
    assert d.nearest == pytest.approx(0.125) and d.nearest_row == 1 and d.label == pr.Label(0, 1, 0)
    assert d.nearest_bounds[0] <= 0.125 <= d.nearest_bounds[1]
    assert d.domain == pytest.approx(1.75) and d.domain_bounds[0] <= 1.75 <= d.domain_bounds[1]


def test_distances_of_other_points_and_constant_units(net):
    r = net.region(X)
    assert r.distances().domain == np.inf
    assert r.distances([0.0, 0.25]).nearest == 0.0
    with pytest.raises(ValueError, match="not in this region"):
        r.distances([3.0, 3.0])
    with pytest.raises(ValueError, match="norm must be 1, 2 or np.inf, got 3"):
        r.distances(norm=3)
    with pytest.raises(ValueError, match="not made from a point: pass x"):
        net.region(pattern=[1, 1, 0]).distances()
    dead = pr.Network.from_arrays([([[1.0], [0.0]], [0.0, 1.0]), ([[1.0, 1.0]], [0.0])]).region([0.5])
    assert dead.distances().rows.tolist() == [0.5, np.inf] and dead.distances().nearest == 0.5
    edge = net.region([0.25, 0.0625], domain=pr.Box(0.0625, 1), tie="any")
    assert edge.distances().domain == 0.0  # as for an image with a pixel at its bound


def test_maximize_project_and_image(region):
    best = region.maximize([1.0, 0.0])
    assert best.status == "optimal" and best.value == pytest.approx(1.0) and best.bounds[0] <= 1 <= best.bounds[1]
    assert region.contains(best.point)
    near = region.project([2.0, 2.0])
    assert near.value == pytest.approx(np.sqrt(5), rel=1e-6) and region.contains(near.point)
    image = region.image()
    assert len(image) == 2 and list(image)[0] == pytest.approx((-0.5, 1.0))
    assert list(image)[1] == pytest.approx((0.25, 0.75))
    assert (image.lower_bounds[:, 0] <= image.lower_bounds[:, 1]).all() and image.upper_bounds.shape == (2, 2)


def test_maximize_without_bound(net):
    assert net.region([5.0, 5.0]).maximize([1.0, 1.0]).status == "unbounded"
    assert net.region([5.0, 5.0]).image().upper.max() == np.inf


def test_contains_is_exact_and_closed(region):
    assert region.contains([0.0, 0.5]) and region.contains([1.0, 0.0])
    assert not region.contains([0.0, 0.5], interior=True)
    assert not region.contains([np.nextafter(1.0, 2.0), 0.0]) and not region.contains([0.5, -5e-324])
    with pytest.raises(ValueError, match=r"y has shape \(3,\)"):
        region.contains([0, 0, 0])


def test_intersect(region):
    part = region.intersect([[1.0, 0.0]], [0.5])
    assert isinstance(part, pr.Region) and not part.contains([0.75, 0.0]) and part.contains(X)
    assert part.point is not None and part.halfspaces.labels[-1] == pr.Label(-1, 0, 2)
    assert part.verify().counts["facets"] == len(part.facets)
    away = region.intersect([[-1.0, 0.0]], [-0.5])
    assert isinstance(away, pr.Region) and away.point is None
    twice = part.intersect([[0.0, 1.0]], [0.125])
    assert twice and twice.halfspaces.labels[-1] == pr.Label(-1, 1, 2)
    nothing = region.intersect([[-1.0, 0.0]], [-2.0])
    assert not nothing and isinstance(nothing, pr.NoInterior) and nothing.verify().counts == {"no interior": 1}
    with pytest.raises(ValueError, match="row 0 of A is zero"):
        region.intersect([[0.0, 0.0]], [1.0])
    with pytest.raises(ValueError, match=r"expected \(N, 2\)"):
        region.intersect([[1.0]], [1.0])


def test_patterns_without_interior(net):
    r = net.region(pattern=[1, 1, 0])
    assert r and r.point is None and r.contains(X)
    nothing = net.region(pattern=[0, 0, 1])  # x, y < 0 but x + 2 y > 1
    assert not nothing and nothing.verify().counts == {"no interior": 1}
    assert len(nothing.rows) == len(nothing.multipliers) and nothing.proof in repr(nothing)
    assert not net.region(pattern=[0, 1, 0], domain=pr.Box(0, 1))


def test_answers_cannot_be_changed(region):
    for array in (region.pattern, region.witness, region.halfspaces.A, region.affine_map.W, region.chebyshev.center):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_stats_count_the_decisions(region):
    region.facets  # noqa: B018
    stats = region.stats()
    assert stats["undecided"] == 0 and sum(stats[k] for k in ("triage", "tight", "basis", "exact")) > 0


# ---- domains


def test_a_point_outside_the_domain(net):
    message = r"coordinate 1 is 7.0, the bounds are \[0.0, 1.0\].*scaled"
    with pytest.raises(pr.OutsideDomainError, match=message) as caught:
        net.region([0.5, 7.0], domain=pr.Box(0, 1))
    assert isinstance(caught.value, ValueError)
    with pytest.raises(pr.OutsideDomainError, match="violates domain row 1"):
        net.region([3.0, 3.0], domain=pr.Polyhedron([[1.0, 0.0], [0.0, 1.0]], [4.0, 1.0]))
    assert net.region([1.0, 0.25], domain=pr.Box(0, 1)).pattern.tolist() == [1, 1, 1]  # the boundary belongs to it


@pytest.mark.parametrize(
    ("lower", "upper", "message"),
    [
        (0, 0, "flat: both bounds are 0"),
        ([0, 1], [1, 1], "flat in coordinate 1: both bounds are 1"),
        (1, 0, "empty: 1.0 > 0.0"),
        ([0, 2], [1, 1], "empty in coordinate 1: 2.0 > 1.0"),
        (np.nan, 1, "NaN"),
        ([0, 0, 0], [1, 1], "one length"),
        (np.zeros((2, 2)), 1, r"shape \(2, 2\)"),
        ("a", 1, "numbers or vectors"),
    ],
)
def test_bad_boxes(lower, upper, message):
    with pytest.raises(ValueError, match=message):
        pr.Box(lower, upper)


def test_boxes():
    assert pr.Box(0, 1).dim is None and pr.Box([0, 0], 1).dim == 2
    assert pr.Box(-np.inf, [1, 2]).contains([-1e300, 2]) and not pr.Box(0, 1).contains([0.5, 1.5])
    assert repr(pr.Box(0, 1)) == "Box(0.0, 1.0)" and repr(pr.Box([0, 0], 1)) == "Box(2 coordinates)"


def test_half_open_boxes(net):
    r = net.region(X, domain=pr.Box([0.125, -np.inf], [np.inf, 0.5]))
    assert [tuple(label) for label in r.halfspaces.labels[3:]] == [(-1, 0, 0), (-1, 1, 1)]
    r.chebyshev  # noqa: B018
    assert r.verify().total > 0


def test_an_infeasible_polyhedron_as_domain(net):
    empty = pr.Polyhedron([[1.0, 0.0], [-1.0, 0.0]], [0.0, -1.0])
    with pytest.raises(pr.EmptyDomainError, match="the polyhedron is empty: rows .*relax one of them") as caught:
        net.region(X, domain=empty)
    assert isinstance(caught.value.certificate, pr.NoInterior) and isinstance(caught.value, ValueError)
    flat = pr.Polyhedron([[1.0, 0.0], [-1.0, 0.0]], [0.25, -0.25])
    with pytest.raises(pr.EmptyDomainError, match="empty or flat"):
        net.region(X, domain=flat)
    with pytest.raises(ValueError, match="polyhedron has 1 coordinates"):
        net.region(X, domain=pr.Polyhedron([[1.0]], [1.0]))


def test_labels_read_well():
    texts = [str(pr.Label(-1, 2, side)) for side in range(3)]
    assert texts == ["lower bound of coordinate 2", "upper bound of coordinate 2", "domain row 2"]
    labels = pr.Network.from_arrays(LAYERS).region(X).halfspaces.labels
    assert repr(labels) == "Labels(3 rows)" and isinstance(labels[0], pr.Label) and len(list(labels)) == 3


def test_a_budget_that_is_spent_names_the_rows():
    """Sums and differences of integer units through one point meet in ties, and no time is left for exact solves."""
    rng = np.random.default_rng(0)
    W = rng.integers(-2, 3, size=(8, 16)).astype(float)
    W[2], W[3] = W[0] + W[1], W[0] - W[1]
    net = pr.Network.from_arrays([(W, np.zeros(8)), (np.ones((1, 8)), np.zeros(1))])
    region = net.region(rng.uniform(-0.5, 0.5, 16), domain=pr.Box(-1, 1), exact_budget=1e-9)
    with pytest.raises(pr.UndecidedError) as caught:
        len(region.facets)
    assert caught.value.rows and set(caught.value.rows) <= set(range(4))


def test_regions_and_polyhedra_survive_pickling():
    rng = np.random.default_rng(3)
    layers = [(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in ((3, 7), (7, 6), (6, 2))]
    net = pr.Network.from_arrays(layers)
    region = net.region([0.1, 0.2, 0.3], domain=pr.Box(-1, 1), exact_budget=7.0)
    beside = region.neighbors()[0].region()
    cut = region.intersect([[1.0, 0.0, 0.0]], [0.5])
    for kept in (region, beside, cut, net.region([0.1, 0.2, 0.3])):
        found = pickle.loads(pickle.dumps(kept))
        assert (found.pattern == kept.pattern).all() and found.facets.groups == kept.facets.groups
        assert found._cell.exact_budget == kept._cell.exact_budget
    assert (pickle.loads(pickle.dumps(region)).facets.witnesses == region.facets.witnesses).all()
    triangle = pr.Polyhedron([[-1, 0], [0, -1], [1, 1]], [0, 0, 1], exact_budget=3.0)
    assert triangle.is_bounded
    found = pickle.loads(pickle.dumps(triangle))
    assert found.facets.groups == triangle.facets.groups and found._cell.exact_budget == 3.0


def test_a_region_is_let_go_with_its_last_reference(region):
    """Regions hold megabytes in the core, which the cycle collector does not see."""
    region = region.network.region(region.point, domain=region.domain)
    region.neighbors().cosines(), region.decision_boundaries().crossed, region.chebyshev, region.boundedness
    assert region.verify().counts["facets"] == len(region.facets) and len(region.certificate()["claims"]["facets"])
    kept = weakref.ref(region)
    gc.disable()
    try:
        del region
        assert kept() is None
    finally:
        gc.enable()


def test_changes_across_single_units_beside_a_residual_block():
    """What a skip connection carries past a unit does not change with it."""
    rng = np.random.default_rng(3)
    A, B, C = (rng.normal(size=size) for size in ((12, 9), (12, 12), (12, 12)))
    nodes = [
        pr.AffineNode([(0, A)], rng.normal(size=12)),
        pr.HingeNode(1, np.zeros(12), np.ones(12)),
        pr.AffineNode([(2, B)], rng.normal(size=12)),
        pr.HingeNode(3, np.full(12, 0.25), np.ones(12)),
        pr.AffineNode([(4, C), (2, np.eye(12))], np.zeros(12)),
        pr.HingeNode(5, np.zeros(12), np.ones(12)),
        pr.AffineNode([(6, rng.normal(size=(3, 12))), (4, rng.normal(size=(3, 12)))], np.zeros(3)),
    ]
    region = pr.Network(9, nodes).region(rng.normal(size=9))
    near = region.neighbors()
    stages = {n.facet.labels[0].stage for n in near}
    assert stages == {0, 1, 2} and all(len(n.changed_units) == 1 for n in near)
    here = region.affine_map
    for neighbor, change in zip(near, near.changes, strict=True):
        there = neighbor.affine_map
        facet = neighbor.facet
        assert np.allclose(there.W, here.W + np.outer(change, facet.normal), atol=1e-9)
        assert np.allclose(there.c, here.c - change * facet.offset, atol=1e-9)


def test_threads_may_ask_for_the_map_of_one_region_at_once():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(20, 3000)), rng.normal(size=(3000, 20))  # large, so that what one composes another copies
    net, x = pr.Network.from_arrays([(A, np.ones(20)), (B, np.zeros(3000))]), rng.normal(size=3000)
    expected = B[:, A @ x + 1 > 0] @ A[A @ x + 1 > 0]
    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            region, together = net.region(x), Barrier(3)
            asked = [pool.submit(lambda r, t: (t.wait(), r.affine_map_to(-1))[1], region, together) for _ in range(3)]
            assert all(np.allclose(map_.result().W, expected) for map_ in asked)
