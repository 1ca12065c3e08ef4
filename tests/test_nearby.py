"""First-order questions at points, against fractions: nearest rows, rows within a distance, sign changes, patterns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import agree
import fuzz
import numpy as np
import pytest
from oracle import Net

import pyregions as pr

NORMS = (1, 2, np.inf)


def small_net() -> pr.Network:
    rng = np.random.default_rng(5)
    sizes = [4, 9, 7, 3]
    return pr.Network.from_arrays([(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in zip(sizes, sizes[1:])])


def squared_distances(net: Net, pattern: list[int], x: list[Fraction], norm: object) -> list[Fraction | float]:
    """The square of the distance to every unit's hyperplane, exactly; inf where the row is zero."""
    found: list[Fraction | float] = []
    for a, c in net.compose(pattern)[1]:
        z = sum((w * v for w, v in zip(a, x, strict=True)), c)
        sizes = [abs(w) for w in a]
        length = sum(w * w for w in sizes) if norm == 2 else (max(sizes) if norm == 1 else sum(sizes)) ** 2
        found.append(z * z / length if length else float("inf"))
    return found


def cases(count: int) -> Iterator[tuple[str, fuzz.Question]]:
    """Networks of every kind of the fuzz target with one point each, half of them on a lattice; and their names."""
    for seed in range(count):
        for kind in fuzz.KINDS:
            yield f"{kind} {seed}", replace(fuzz.questions(kind, seed)[-1], bounds=None)


@pytest.mark.parametrize("norm", NORMS)
def test_nearest_rows_and_rows_within_are_exact(norm: object) -> None:
    ties = 0
    for name, question in cases(60):
        engine, point = question.engine, question.point
        exact = squared_distances(question.net, fuzz.tie_pattern(question), agree.point(point), norm)
        order = sorted(range(len(exact)), key=lambda u: (exact[u], u))
        near = pr.nearest_rows(engine, point, k=4, norm=norm, tie="any")
        assert near.units.tolist() == order[:4], name
        for unit, low, value, high in zip(near.units, near.lower, near.distances, near.upper, strict=True):
            if exact[unit] == float("inf"):
                assert low == value == high == np.inf
                continue
            assert low <= value <= high and high <= value * (1 + 1e-6) + 1e-9
            assert Fraction(low) ** 2 <= exact[unit] <= Fraction(high) ** 2
        ties += len(set(exact)) < len(exact)
        for radius in (0.0, 0.5, float(near.distances[0]) if np.isfinite(near.distances[0]) else 1.0):
            expected = sum(v != float("inf") and v <= Fraction(radius) ** 2 for v in exact)
            assert pr.rows_within(engine, point, radius, norm=norm, tie="any") == expected, (name, radius)
    assert ties > 30  # equal distances occur and are put in the order of units


def test_a_radius_that_is_exactly_a_distance_counts() -> None:
    biases = [-5.0, np.nextafter(-5, -6)]  # one exactly at distance 1, one just beyond
    net = pr.Network.from_arrays([(np.array([[3.0, 4.0], [3.0, 4.0]]), biases), (np.ones((1, 2)), [0.0])])
    assert pr.rows_within(net, [0.0, 0.0], 1.0) == 1
    assert pr.nearest_rows(net, [0.0, 0.0], k=2).units.tolist() == [0, 1]
    assert pr.rows_within(net, [0.0, 0.0], 0.0) == 0


def test_nearest_row_is_the_wall_of_the_region() -> None:
    net = small_net()
    for x in np.random.default_rng(0).normal(size=(20, 4)):
        region, near = net.region(x), pr.nearest_rows(net, x)
        assert near.nearest == pytest.approx(region.distances(x).nearest, rel=1e-12)
        walls = {unit for facet in region.facets for unit in facet.rows}
        assert int(near.units[0]) in walls
        assert near.labels_of()[0] == region.halfspaces.labels[int(near.units[0])]


def test_rows_of_is_the_region_s_rows() -> None:
    net = small_net()
    x = np.array([0.1, -0.2, 0.3, 0.4])
    rows, chosen = net.region(x).halfspaces, [15, 0, 9]
    found = pr.rows_of(net, net.pattern(x), chosen)
    error = found.A_error + rows.A_error[chosen]
    assert (np.abs(found.A - rows.A[chosen]).max(axis=1) <= error).all() and (found.A_error < 1e-12).all()
    assert (np.abs(found.b - rows.b[chosen]) <= found.b_error + rows.b_error[chosen]).all()
    assert list(found.labels) == [rows.labels[u] for u in chosen]


def test_sign_changes_are_exact_at_the_vertices() -> None:
    some = 0
    for name, question in cases(40):
        engine, net, point = question.engine, question.net, question.point
        for radius in (0.25, 1.0):
            vertices = []
            for k in range(len(point)):
                for r in (radius, -radius):
                    vertex = agree.point(point)
                    vertex[k] += Fraction(r)
                    far = Fraction(float(vertex[k]))  # the engine's vertex is a double, not beyond
                    if abs(far - Fraction(point[k])) > Fraction(radius):
                        far = Fraction(np.nextafter(float(vertex[k]), point[k]))
                    vertex[k] = far
                    vertices.append([z for stage in net.forward(vertex)[0] for z in stage])
            expected = sum(max(z) > 0 > min(z) for z in zip(*vertices, strict=True))
            assert pr.sign_changes(engine, point, radius) == expected, (name, radius)
            some += expected
    assert some > 100


def test_sign_changes_along_own_directions() -> None:
    net = pr.Network.from_arrays([(np.eye(2), [0.0, -2.0]), (np.ones((1, 2)), [0.0])])
    assert pr.sign_changes(net, [0.5, 0.5], 1.0) == 1
    assert pr.sign_changes(net, [0.5, 0.5], 2.0) == 2
    assert pr.sign_changes(net, [0.5, 0.5], 2.0, directions=[[0.0, 1.0]]) == 1
    assert pr.sign_changes(net, [0.5, 0.5], 0.0) == 0


def test_patterns_are_canonical_and_exact() -> None:
    for name, question in cases(60):
        found = pr.patterns(question.engine, np.array([question.point, question.point]), tie="any")
        canonical = question.net.compose(fuzz.tie_pattern(question))[0]
        assert found.unpack().tolist() == [canonical, canonical], name


@pytest.mark.parametrize("workers", [1, 2])
def test_patterns_of_a_batch(workers: int) -> None:
    net = small_net()
    X = np.random.default_rng(1).normal(size=(300, 4))
    found = pr.patterns(net, X, workers=workers)
    bits = np.array([net.pattern(x) for x in X])
    assert (found.unpack() == bits).all() and (found[7] == bits[7]).all() and found.packed.shape == (300, 2)
    assert (found.hamming() == (bits[:, None] != bits[None]).sum(axis=2)).all()
    assert (found[:5].hamming(found[5:9]) == (bits[:5, None] != bits[None, 5:9]).sum(axis=2)).all()
    first, inverse, counts = found.unique()
    assert (bits[first[inverse]] == bits).all() and counts.sum() == 300 and len(first) == found.distinct
    assert (np.diff(first) > 0).all() and (found.counts() == counts[inverse]).all()
    assert found.distinct == len({row.tobytes() for row in bits})


def test_batches_are_the_single_calls() -> None:
    net = small_net()
    X = np.random.default_rng(2).normal(size=(70, 4))
    for workers in (1, 2):
        near = pr.nearest_rows(net, X, k=3, workers=workers)
        within = pr.rows_within(net, X, 0.2, workers=workers)
        changes = pr.sign_changes(net, X, 0.2, workers=workers)
        for m, x in enumerate(X):
            one = pr.nearest_rows(net, x, k=3)
            assert (near.units[m] == one.units).all() and (near.distances[m] == one.distances).all()
            assert near.labels_of(m)[0] == one.labels_of()[0]
            assert within[m] == pr.rows_within(net, x, 0.2) and changes[m] == pr.sign_changes(net, x, 0.2)


def test_scales_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    layers = [(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in ((3, 6), (6, 5), (5, 1))]
    x = rng.normal(size=3)
    plain = pr.nearest_rows(pr.Network.from_arrays(layers), x, k=11)
    for power in (-1000, 900):
        scaled = [(np.ldexp(layers[0][0], power), np.ldexp(layers[0][1], power)), *layers[1:]]
        scaled[1] = (scaled[1][0], np.ldexp(scaled[1][1], power))
        near = pr.nearest_rows(pr.Network.from_arrays(scaled), x, k=11)
        assert near.units.tolist() == plain.units.tolist()
        assert np.allclose(near.distances, plain.distances, rtol=1e-9) and (near.lower <= near.upper).all()


@pytest.mark.parametrize(
    "weights, biases, x, units, distances",
    [  # a zero row beside one whose pre-activation overflows; distances beyond doubles; lengths that overflow
        ([[0.0, 0.0], [1e308, 1e308]], [0.0, 1e308], [1.0, 1.0], [1, 0], [3 / 2**0.5, np.inf]),
        ([[0.0, 0.0], [1e300, 1e300]], [0.0, 0.0], [1e9, 1e9], [1, 0], [2**0.5 * 1e9, np.inf]),
        ([[0.0], [1e-300], [1e-200]], [1.0, 1e300, 1e300], [1.0], [2, 1, 0], [np.inf, np.inf, np.inf]),
        (np.eye(2) * 1.7e308, [1.0, 1.0], [1.0, 2.0], [0, 1], [1.0, 2.0]),
        ([[1e300, 1e300]], [0.0], [1e10, 1e10], [0], [2**0.5 * 1e10]),
        (np.eye(2) * 5e-324, [1.0, 5e-324], [0.0, 3.0], [1, 0], [4.0, np.inf]),
        # 5 / 5 against 1 / 1, off by roundings of the stored tenths: decided exactly
        ([[-0.1, 0.0], [-0.3, -0.4]], [0.1, 0.5], [0.0, 0.0], [1, 0], [1.0, 1.0]),
    ],
)
def test_extreme_rows_keep_their_order(weights, biases, x, units, distances) -> None:  # type: ignore[no-untyped-def]
    net = pr.Network.from_arrays([(weights, biases), (np.ones((1, len(biases))), [0.0])])
    near = pr.nearest_rows(net, x)
    assert near.units.tolist() == units and near.distances.tolist() == pytest.approx(distances, rel=1e-12)
    zero = ~np.any(np.asarray(weights)[units], axis=1)
    assert (np.isinf(near.lower) == zero).all() and (near.lower <= near.distances).all()
    region = net.region(x)
    assert region.distances(x).nearest_row == units[0]
    ball = region.ball_around(x)
    assert ball.row == units[0] and ball.radius_bounds[0] <= near.upper[0] and ball.radius_bounds[1] >= near.lower[0]


def test_rows_of_keeps_zero_rows_exact() -> None:
    layers = [
        ([[0.0, 0.0], [1.0, 2.0], [-1.0, -2.0]], [0.0, 1.0, -9.0]),
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [0.0, -1.0]),
        (np.ones((1, 2)), [0.0]),
    ]
    net = pr.Network.from_arrays(layers)
    found = pr.rows_of(net, net.pattern([0.5, 0.1]), [0, 3])
    assert not found.A.any() and not found.A_error.any() and not found.b_error.any()
    layers = [(np.eye(2) * 1e300, [0.0, 0.0]), (np.eye(2) * 1e-300, [0.5, 0.5]), ([[1.0, 1.0]], [0.0])]
    huge = pr.Network.from_arrays(layers)
    found = pr.rows_of(huge, [1, 1, 1, 1], [2])
    assert found.A[0].tolist() == pytest.approx([-1.0, 0.0]) and found.b.tolist() == [0.5]


def test_networks_without_units_have_no_rows() -> None:
    net = pr.Network.from_arrays([([[1.0, 2.0]], [0.0])])
    near = pr.nearest_rows(net, [[0.0, 1.0], [2.0, 3.0]])
    assert near.units.shape == (2, 0) and near.nearest.tolist() == [np.inf, np.inf]
    assert pr.nearest_rows(net, [0.0, 1.0]).nearest == np.inf and pr.rows_within(net, [0.0, 1.0], 1.0) == 0
    assert pr.patterns(net, [[0.0, 1.0], [2.0, 3.0]]).distinct == 1
    with pytest.raises(ValueError, match="the network has 0 units"):
        pr.rows_of(net, [], [0])


def test_patterns_are_a_value() -> None:
    found = pr.patterns(small_net(), np.random.default_rng(1).normal(size=(3, 4)))
    for index in ([0, 1], np.array([True, False, True]), (0, 0), None, "0"):
        with pytest.raises(TypeError):
            found[index]  # type: ignore[index]
    with pytest.raises(ValueError, match="read-only"):
        found.unique()[2][0] = 9
    with pytest.raises(ValueError, match="packed must be a uint8 array"):
        pr.Patterns(np.zeros((2, 1), np.uint8), 100)
    with pytest.raises(TypeError, match="other must be Patterns"):
        found.hamming(5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="network must be a Network"):
        pr.patterns("net", [[0.0]])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda net: pr.nearest_rows(net, [1.0, 2.0]), r"X has shape \(2,\), expected"),
        (lambda net: pr.nearest_rows(net, np.zeros(4), k=0), "k must be a whole number of at least 1"),
        (lambda net: pr.nearest_rows(net, np.zeros(4), norm=3), "norm must be 1, 2 or np.inf"),
        (lambda net: pr.nearest_rows(net, np.zeros(4), norm=True), "norm must be 1, 2 or np.inf"),
        (lambda net: pr.nearest_rows(net, np.zeros(4), k=2**63), "k must be at most"),
        (lambda net: pr.nearest_rows(net, np.zeros(4), workers=2**31), "workers must be at most"),
        (lambda net: pr.rows_within(net, np.zeros(4), True), "radius must be a number"),
        (lambda net: pr.nearest_rows(net, np.zeros(4), tie="maybe"), "tie must be"),
        (lambda net: pr.nearest_rows(net, np.zeros(4), workers=0), "workers must be a whole number of at least 1"),
        (lambda net: pr.rows_within(net, np.zeros(4), -1.0), "radius must be a number of at least 0"),
        (lambda net: pr.rows_within(net, np.zeros(4), [1.0, 2.0]), "radius must be a number"),
        (lambda net: pr.sign_changes(net, np.zeros(4), np.inf), "every number must be finite"),
        (lambda net: pr.sign_changes(net, np.full(4, 1e308), 1e308), "overflows"),
        (lambda net: pr.sign_changes(net, np.zeros(4), 1.0, directions=np.eye(3)), r"directions has shape \(3, 3\)"),
        (lambda net: pr.rows_of(net, np.zeros(16, int), [16]), "unit 16 does not exist: the network has 16 units"),
        (lambda net: pr.rows_of(net, np.zeros(3, int), [1]), "pattern has shape"),
        (lambda net: pr.rows_of(net, np.zeros(16, int), []), "at least one unit"),
        (lambda net: pr.patterns(net, np.zeros((0, 4))), "X is empty"),
        (lambda net: pr.patterns(net, np.zeros(4)).hamming(pr.Patterns(np.zeros((1, 1), np.uint8), 8)), "16 units"),
    ],
)
def test_bad_arguments_are_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(small_net())  # type: ignore[operator]


def test_a_point_on_a_hyperplane_is_named() -> None:
    net = pr.Network.from_arrays([(np.eye(2), [0.0, -1.0]), (np.ones((1, 2)), [0.0])])
    X = [[3.0, 2.0], [0.0, 2.0]]
    for ask in (pr.nearest_rows, pr.patterns, lambda n, x: pr.rows_within(n, x, 1.0)):
        with pytest.raises(pr.OnBoundaryError, match="point 1: .*exactly on 1 hyperplane") as caught:
            ask(net, X)
        assert caught.value.labels == [pr.Label(0, 0, 1)]
    near = pr.nearest_rows(net, X, tie="any", k=1)
    assert near.distances[:, 0].tolist() == [1.0, 0.0]
    with pytest.raises(ValueError, match="pass the index of a point"):
        near.labels_of()
