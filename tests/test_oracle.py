"""The oracle against answers worked out by hand, against formulas, and against scipy on integer data."""

from fractions import Fraction
from itertools import combinations
from math import comb, inf

import numpy as np
import oracle
import pytest
from oracle import Cell, Net, box, cell_at, regions
from scipy.optimize import linprog

ONE_OUT = lambda width: ([[1] * width], [0])  # noqa: E731


def facet_labels(cell):
    return [f.labels for f in cell.facets()]


def test_quadrant_of_two_coordinate_neurons():
    # z = (x, y) at (1, 2): both on, rows -x <= 0 and -y <= 0, each a facet, taken over by piece 0.
    cell = cell_at(Net.from_arrays([([[1, 0], [0, 1]], [0, 0]), ONE_OUT(2)]), [1, 2])
    assert cell.pattern == [1, 1]
    assert [(a, b) for _, a, b in cell.rows] == [([-1, 0], 0), ([0, -1], 0)]
    assert facet_labels(cell) == [[(0, 0, 0)], [(0, 1, 0)]]
    assert not cell.bounded() and not cell.bounded_modulo_lineality() and cell.rank() == 2
    assert cell.inradius() == (inf, inf)
    assert [cell.across(f) for f in cell.facets()] == [[0, 1], [1, 0]]


def test_unit_square_in_a_box_and_a_row_that_only_touches_it():
    # x + y <= 2 touches [0, 1]^2 in the corner (1, 1): redundant although its maximum equals its offset.
    net = Net.from_arrays([([[1, 1]], [-2]), ONE_OUT(1)])
    cell = cell_at(net, [Fraction(1, 2), Fraction(1, 4)], box([0, 0], [1, 1]))
    assert cell.pattern == [0]
    assert facet_labels(cell) == [[(-1, 0, 0)], [(-1, 0, 1)], [(-1, 1, 0)], [(-1, 1, 1)]]
    assert cell.bounded() and cell.inradius() == (Fraction(1, 2), Fraction(1, 2))
    assert all(f.on_domain for f in cell.facets())


def test_inradius_of_the_triangle_is_bracketed():
    # x, y >= 0, x + y <= 1: r = 1 / (2 + sqrt 2).
    net = Net.from_arrays([([[1, 0], [0, 1], [1, 1]], [0, 0, -1]), ONE_OUT(3)])
    lower, upper = cell_at(net, [Fraction(1, 4), Fraction(1, 4)]).inradius()
    # (2 + sqrt 2) r = 1 <=> 2 r^2 = (1 - 2 r)^2, and the left side grows with r while the right one falls.
    assert 2 * lower**2 <= (1 - 2 * lower) ** 2 and 2 * upper**2 >= (1 - 2 * upper) ** 2
    assert 0 < upper - lower < Fraction(1, 10**20)


def test_absolute_value_keeps_the_piece_downstream():
    # u = x, z = relu(u) + relu(-u) = |x|: crossing x = 0 swaps the first two units; z has a row there and stays on.
    net = Net.from_arrays([([[1], [-1]], [0, 0]), ([[1, 1]], [0]), ONE_OUT(1)])
    cell = cell_at(net, [Fraction(1, 2)])
    assert cell.pattern == [1, 0, 1]
    (facet,) = cell.facets()
    assert facet.labels == [(0, 0, 0), (0, 1, 1), (1, 0, 0)]
    assert cell.across(facet) == [0, 1, 1]


def test_unit_without_a_row_switches_on():
    # z = 3 relu(u): where u < 0 it is identically zero (canonical piece 0, no row) and switches on across u = 0.
    net = Net.from_arrays([([[1]], [0]), ([[3]], [0]), ONE_OUT(1)])
    cell = cell_at(net, [-1])
    assert cell.pattern == [0, 0] and cell.zero_rows == [1]
    (facet,) = cell.facets()
    assert facet.labels == [(0, 0, 1)] and cell.across(facet) == [1, 1]
    negative = Net.from_arrays([([[1]], [0]), ([[-3]], [0]), ONE_OUT(1)])
    cell = cell_at(negative, [-1])
    assert cell.across(cell.facets()[0]) == [1, 0]  # -3 relu(u) goes negative: stays off


def test_leaky_units_have_rows_on_both_sides():
    net = Net.from_arrays([([[1]], [0]), ([[1]], [Fraction(1, 2)]), ONE_OUT(1)], slope=0.25)
    cell = cell_at(net, [-1])  # z2 = -1/4 + 1/2 > 0 while x > -2
    assert cell.pattern == [0, 1]
    assert facet_labels(cell) == [[(0, 0, 1)], [(1, 0, 0)]]
    assert cell.bounded() and cell.inradius() == (1, 1)


def test_ties_are_points_on_hyperplanes_but_not_dead_units():
    net = Net.from_arrays([([[1, -1], [0, 0]], [0, 0]), ONE_OUT(2)])
    assert net.ties([2, 2]) == [0] and net.ties([2, 1]) == []
    assert net.pattern([2, 1]) == [1, 0]


def test_cell_without_interior():
    net = Net.from_arrays([([[1], [1]], [0, -1]), ONE_OUT(2)])  # x >= 1 and x <= 0
    assert Cell(net, [0, 1]).interior is None
    flat = Net.from_arrays([([[1], [-1]], [0, 0]), ONE_OUT(2)])  # x >= 0 and -x >= 0: the point 0 only
    assert Cell(flat, [1, 1]).interior is None
    constant = Net.from_arrays([([[0], [1]], [-1, 0]), ONE_OUT(2)])
    assert Cell(constant, [1, 1]).interior is None and Cell(constant, [0, 1]).interior is not None


def test_canonical_pattern_of_a_dead_unit():
    net = Net.from_arrays([([[0, 0], [1, 0]], [0, 0]), ONE_OUT(2)])
    assert Cell(net, [1, 1]).pattern == [0, 1]


def test_slab_is_bounded_modulo_lineality_only():
    net = Net.from_arrays([([[1, 0], [1, 0]], [1, -1]), ONE_OUT(2)])
    cell = cell_at(net, [0, 5])
    assert not cell.bounded() and cell.bounded_modulo_lineality() and cell.rank() == 1
    assert cell.inradius() == (1, 1)


def test_half_strip_is_unbounded_with_finite_radius():
    net = Net.from_arrays([([[1, 0], [1, 0], [0, 1]], [1, -1, 0]), ONE_OUT(3)])
    cell = cell_at(net, [0, 5])
    assert not cell.bounded_modulo_lineality() and cell.rank() == 2 and cell.inradius() == (1, 1)


def test_three_classes_in_the_plane():
    # logits x, y, -1 on the region of a unit that is on for x + y > -10, in the box [-2, 2]^2.
    net = Net.from_arrays([([[1, 0], [0, 1]], [4, 4]), ([[1, 0], [0, 1], [0, 0]], [-4, -4, -1])])
    cell = cell_at(net, [0, 1], box([-2, -2], [2, 2]))
    assert cell.crosses(0, 1) and cell.crosses(0, 2) and cell.crosses(1, 2)
    assert cell.piece(0, 1) and cell.piece(0, 2) and cell.piece(1, 2)
    assert all(cell.has_class(i) for i in range(3))
    corner = Net(net.layers[:1] + [(net.layers[1][0], [-4, -4, Fraction(-9)])])
    cell = cell_at(corner, [0, 1], box([-2, -2], [2, 2]))  # third logit -9 never wins
    assert cell.piece(0, 1) and not cell.crosses(0, 2) and not cell.piece(1, 2) and not cell.has_class(2)


def test_boundary_hidden_behind_a_larger_class():
    # f = (x, -x, 5): f_0 = f_1 crosses but is nowhere the argmax piece.
    net = Net.from_arrays([([[1]], [9]), ([[1], [-1], [0]], [-9, 9, 5])])
    cell = cell_at(net, [0], box([-1], [1]))
    assert cell.crosses(0, 1) and not cell.piece(0, 1) and cell.has_class(2) and not cell.has_class(0)
    same = Net.from_arrays([([[1]], [9]), ([[1], [1]], [2, 2])])
    assert cell_at(same, [0]).identical(0, 1) and not cell_at(same, [0]).crosses(0, 1)


@pytest.mark.parametrize(("dim", "units"), [(1, 4), (2, 4), (3, 4)])
def test_counts_of_one_layer_follow_the_formulas(dim, units):
    rng = np.random.default_rng(dim)
    weights = rng.normal(size=(units, dim))
    general = Net.from_arrays([(weights, rng.normal(size=units)), ONE_OUT(units)])
    assert len(regions(general)) == sum(comb(units, i) for i in range(dim + 1))
    central = Net.from_arrays([(weights, np.zeros(units)), ONE_OUT(units)])
    assert len(regions(central)) == 2 * sum(comb(units - 1, i) for i in range(dim))


def test_regions_close_under_crossing_facets_and_facets_pair():
    rng = np.random.default_rng(5)
    layers = [(rng.integers(-2, 3, (4, 2)), rng.integers(-1, 2, 4)) for _ in range(1)]
    layers += [(rng.integers(-2, 3, (4, 4)), rng.integers(-1, 2, 4)), ONE_OUT(4)]
    net = Net.from_arrays(layers)
    domain = box([-3, -3], [3, 3])
    all_regions = regions(net, domain)
    assert len(all_regions) > 10
    crossings = []
    for p in all_regions:
        for f in (cell := Cell(net, list(p), domain)).facets():
            if not f.on_domain:
                there = tuple(cell.across(f))
                assert there in all_regions and there != p
                normal = f.normal + [oracle.dot(f.normal, f.crossing)]
                crossings.append((p, there, tuple(normal)))
    twins = {(q, p, tuple(-v for v in n)) for p, q, n in crossings}
    assert len(set(crossings)) == len(crossings) and twins == set(crossings)


def test_crossing_agrees_with_real_steps_across():
    rng = np.random.default_rng(1)
    for _ in range(5):
        layers = [(rng.integers(-3, 4, (b, a)), rng.integers(-1, 2, b)) for a, b in ((3, 5), (5, 4), (4, 2))]
        net = Net.from_arrays(layers)
        cell = cell_at(net, [Fraction(int(v), 1009) for v in rng.integers(-999, 999, 3)])
        for f in cell.facets():
            step = Fraction(1, 2**60)
            beyond = [p + step * n for p, n in zip(f.crossing, f.normal, strict=True)]
            assert cell.across(f) == net.pattern(beyond)


def test_facets_agree_with_vertices_in_the_plane():
    # In the plane a row of a bounded cell is a facet iff two different vertices lie on it.
    rng = np.random.default_rng(3)
    for _ in range(20):
        net = Net.from_arrays([(rng.integers(-4, 5, (6, 2)), rng.integers(-6, 7, 6)), ONE_OUT(6)])
        point = [Fraction(int(v), 997) for v in rng.integers(-4000, 4000, 2)]
        cell = cell_at(net, point, box([-5, -5], [5, 5]))
        vertices = set()
        for (a, b, s), (c, d, t) in combinations(cell.keys, 2):
            if det := a * d - b * c:
                v = [Fraction(s * d - b * t, det), Fraction(a * t - s * c, det)]
                if cell.contains(v):
                    vertices.add(tuple(v))
        on = {k: sum(oracle.dot(k[:2], v) == k[2] for v in vertices) for k in cell.keys}
        assert [f.rows for f in cell.facets()] == [rows for k, rows in cell.groups.items() if on[k] >= 2]


def test_simplex_agrees_with_scipy():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        A, b, c = rng.integers(-3, 4, (6, 3)), rng.integers(0, 4, 6), rng.integers(-2, 3, 3)
        rows = [[*map(int, r), int(s)] for r, s in zip(A, b, strict=True)]
        status, value, point = oracle.simplex(rows, [int(v) for v in c], 3)
        reference = linprog(-c, A_ub=A, b_ub=b, bounds=(None, None), method="highs")
        seen.add(status)
        assert (status == "unbounded") == (reference.status != 0)
        if status == "optimal":
            assert abs(float(value) + reference.fun) < 1e-7
            assert oracle.dot(map(int, c), point) == value
            assert all(oracle.dot(r[:3], point) <= r[3] for r in rows)
    assert seen == {"optimal", "unbounded"}


def test_rank_and_primitive_keys():
    assert oracle.rank([[1, 2], [2, 4]]) == 1 and oracle.rank([[1, 2], [2, 5]]) == 2 and oracle.rank([[0, 0]]) == 0
    third = Fraction(1, 3)
    assert oracle.primitive([third, Fraction(0)], Fraction(2)) == (1, 0, 6)
    assert oracle.primitive([Fraction(0)], Fraction(1)) is None
