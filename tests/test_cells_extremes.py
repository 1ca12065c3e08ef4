"""All regions where numbers overflow or underflow, facets are many, or hyperplanes stand in a row."""

from __future__ import annotations

from itertools import product

import cell_cases
import numpy as np
import pytest
from agree import engine_net
from cell_cases import Case, assert_same_regions

import pyregions as pr
from pyregions import _core
from pyregions.enumeration import domain_rows


def counted(layers, domain, slope=0.0):
    """The patterns of a network as lists, and that the count agrees for one and two workers."""
    net = pr.Network.from_arrays(layers, activation=("leaky_relu", slope) if slope else "relu")
    found = pr.enumerate_regions(net, domain)
    assert [pr.count_regions(net, domain, workers=w) for w in (1, 2)] == [len(found)] * 2
    return sorted(found.patterns.tolist())


def test_polygons_of_many_sides_in_two_stages():
    """80 lines tangent to a circle: the cell inside has 80 sides, more than one word of facets, and is found once."""
    angle = np.linspace(0, 2 * np.pi, 80, endpoint=False) + 0.1
    sign = np.random.default_rng(0).choice([-1.0, 1.0], 80)
    W, b = np.stack([np.cos(angle), np.sin(angle)], axis=1) * sign[:, None], -sign
    one = counted([(W, b), ([[1.0] * 80], [0.0])], pr.Box(-3, 3))
    two = counted([(W, b), ([[0.0] * 80], [1.0]), ([[1.0]], [0.0])], pr.Box(-3, 3))
    assert [row[:80] for row in two] == one and len({tuple(row) for row in one}) == len(one)


def test_a_value_that_overflows_is_no_sign():
    layers = [([[1e300, -0.83e300, -0.83e300]], [0.0]), ([[1.0]], [0.0])]
    assert counted(layers, pr.Box([1.7e8] * 3, [1.8e8] * 3)) == [[0]]


def test_bounds_that_underflow():
    """Numbers of 2^-1024 in one layer and 2^1013 in the next, which nearly cancel: 1 exactly."""
    a = np.array([[1068616135505.0], [619474253156.0], [1025172709508.0]]) * 2.0**-1074
    w = np.array([[4771402358359683.0, 6218437546713092.0, -8731172241673138.0]]) * 2.0**960
    assert counted([(a, np.zeros(3)), (w, [0.0]), ([[1.0]], [0.0])], pr.Box(1, 2)) == [[1, 1, 1, 1]]


@pytest.mark.parametrize("slope", [1e-10, 1e-20, 1e-310])
def test_slopes_that_lose_their_value(slope):
    layers = [([[1.0], [2.0**-60], [1.0]], None), ([[-1.0, -1.0, 1.0]], None), ([[-1.0]], None), ([[1.0]], None)]
    assert counted(layers, pr.Box(1, 2), slope) == [[1, 1, 1, 0, 1]]
    layers = [([[1e-170]], None), ([[-1e-170]], None), ([[-1.0]], None), ([[1.0]], None)]
    assert counted(layers, pr.Box(1, 2), slope) == [[1, 0, 1]]


def test_regions_of_one_input_ascend():
    layers = [
        ([[-1], [0], [2]], [3, -3, 3]), ([[0, -1, 1], [1, -2, -1], [2, 1, 0]], [-1, 2, -1]), ([[1, 1, 1]], [0])
    ]  # fmt: skip
    net = pr.Network.from_arrays(layers)
    assert (np.diff(pr.enumerate_regions(net, pr.Box(-9, 9)).witnesses[:, 0]) > 0).all()
    cut = pr.line(net, [0.0], [1.0], (-9, 9))
    assert cut.complex.verify().proven and cut.complex.f_vector() == (len(cut) + 1, len(cut))


def test_many_hyperplanes_in_a_row():
    n = 20_000
    net = pr.Network.from_arrays([(np.ones((n, 1)), -np.arange(1, n + 1) / n), (np.ones((1, n)), [0.0])])
    assert pr.count_regions(net, pr.Box(0, 1.5)) == n + 1


def test_volumes_that_overflow_are_not_known():
    net = pr.Network.from_arrays([([[1.0, 0.0]], [0.0]), ([[1.0]], [0.0])])
    structure = pr.enumerate_regions(net, pr.Box(-1e200, 1e200)).structure
    assert np.isinf(structure.volume_errors).all() and not np.isnan(structure.volumes).any()


# ---- networks without units, thin strips and boxes, cells that the last units cut


def test_network_without_units():
    net = engine_net([([[1.0, 2.0], [0.0, 1.0]], [0.0, 1.0])])
    for domain in (None, pr.Box(0, 1), pr.Polyhedron([[1.0, 1.0]], [1.0])):
        found = pr.enumerate_regions(net, domain)
        assert len(found) == pr.count_regions(net, domain) == 1 and found.patterns.shape == (1, 0)
        assert found.find([0.25, 0.5]) == 0 and found.index_of(np.zeros(0, dtype=np.uint8)) == 0
        assert found.verify().proven and found[0].affine_map.W.tolist() == [[1, 2], [0, 1]]
        assert len(found.structure.edges) == 0 and len(found.merge_equal_maps()) == 1


def test_only_dead_and_constant_units():
    net = engine_net([(np.zeros((3, 2)), [0.0, 1.0, -1.0]), (np.zeros((2, 3)), [0.0, 2.0]), ([[1.0, 1.0]], [0.0])])
    found = pr.enumerate_regions(net)
    assert found.patterns.tolist() == [[0, 1, 0, 0, 1]] and not found[0].is_bounded and found.verify().proven


def test_more_units_than_a_word_holds():
    """130 units: the patterns take three words, the last of them partly."""
    net = engine_net([(np.ones((130, 1)), -np.arange(130.0)), (np.ones((1, 130)), [0.0])])
    found = pr.enumerate_regions(net)
    assert len(found) == 131 and sorted(found.patterns.sum(axis=1)) == list(range(131))
    expected = [found.index_of(np.arange(130) < k) for k in range(131)]
    assert found.find([[k - 0.5] for k in range(131)]).tolist() == expected and min(expected) == 0
    assert found.packed_patterns.shape == (131, 17)


def test_strip_between_subnormal_numbers():
    """No sum of doubles lies in the strip 0 < x + y < 5e-324, which is a region all the same."""
    net = engine_net([([[1.0, 1.0], [1.0, 1.0], [1.0, -1.0]], [0.0, -5e-324, 0.0]), (np.ones((1, 3)), [0.0])])
    found = pr.enumerate_regions(net, pr.Box(-1, 1))
    assert len(found) == 6 and len({bytes(row) for row in found.patterns}) == 6


@pytest.mark.parametrize("domain", [None, pr.Box(-1, 1)], ids=["all", "box"])
@pytest.mark.parametrize(
    ("W", "b", "expected"),
    [
        ([2.0**600, 2.0**600], [2.0**-600, 2.0**-600], 2),  # one point, at 2^-1200
        ([2.0**600, 2.0**600, 2.0**600], [2.0**-600, 2.0**-600, 2.0**-601], 3),
        ([2.0**600, -(2.0**600)], [2.0**-600, 2.0**-600], 3),
        ([-2.0, -2.0], [5e-324, 5e-324], 2),
        ([-2.0, -2.0], [5e-324, 0.0], 3),
        ([1.0, 1.0], [5e-324, 5e-324], 2),
        ([2.0**-600, 2.0**-600], [2.0**600, 2.0**600], 2),  # and at 2^1200, beyond the box
    ],
)
def test_vertices_outside_the_range_of_doubles(W, b, expected, domain):
    layers = [(np.array(W)[:, None], np.array(b)), (np.ones((1, len(b))), np.zeros(1))]
    case = Case(layers, bounds=None if domain is None else (np.array([-1.0]), np.array([1.0])))
    assert len(case.leaves) == (1 if domain is not None and b[0] > 1 else expected)
    assert_same_regions(case)


@pytest.mark.parametrize(("dim", "sides"), list(product((2, 3), (1e-15, 1e-3, 1.0, 1e9, 1e150))))
def test_boxes_of_all_sizes(dim, sides):
    rng = np.random.default_rng(dim)
    layers = cell_cases.draw(rng, [dim, 5, 4, 1], 2)
    case = Case(layers, bounds=(np.full(dim, -sides), np.full(dim, 2 * sides)))
    assert_same_regions(case)


@pytest.mark.parametrize("dim", [2, 3, 4])
@pytest.mark.parametrize("height", [0.2, 1e-3, 2.0**-52, 2.0**-60, 5e-324])
@pytest.mark.parametrize("slope", [-3.0, 0.5])
def test_two_hyperplanes_that_meet_at_a_wall(dim, height, slope):
    """x = 1/2 and y = height + slope (x - 1/2) in the unit cube: four regions if they meet above its floor, else 3."""
    for sign, expected in ((1, 4), (0, 3), (-1, 3)):
        W = np.zeros((2, dim))
        W[0, 0], W[1, 0], W[1, 1] = 1, -slope, 1
        net = engine_net([(W, [-0.5, slope / 2 - sign * height]), (np.ones((1, 2)), [0.0])])
        if slope / 2 - sign * height == slope / 2:  # too little for the bias: they meet at the floor
            expected = 3
        found = pr.enumerate_regions(net, pr.Box(0, 1))
        assert len(found) == pr.count_regions(net, pr.Box(0, 1)) == expected
        known = np.isfinite(found.witnesses).all(axis=1)
        assert known.all() or height <= 2.0**-52
        assert np.array_equal(pr.patterns(net, found.witnesses[known]).unpack(), found.patterns[known])
        assert np.all((found.witnesses[known] > 0) & (found.witnesses[known] < 1))
        found.verify()


@pytest.mark.parametrize("dim", [1, 2, 3, 4, 5])
def test_last_cuts_find_what_divisions_find(dim):
    """Regions are handed out before their cell is divided to the end, structure is not: both are the same regions."""
    net = cell_cases.net_of([1, 80, 80, 1] if dim == 1 else [dim, 9, 7, 1], seed=dim)
    every = np.full((1, net.units), -1, dtype=np.int8)
    for domain in (pr.Box(-1, 1), None):
        rows = domain_rows(net, domain).core()
        found = {
            what: _core.enumerate(net._core, rows, every, what, 2, -1, -1.0, None)
            for what in ("regions", "structure", "count")
        }
        assert found["regions"]["count"] == found["structure"]["count"] == found["count"]["count"] > 10
        assert np.array_equal(found["regions"]["patterns"], found["structure"]["patterns"])
        assert found["structure"]["tally"]["last_cuts"] == 0 < found["regions"]["tally"]["last_cuts"]


@pytest.mark.parametrize("dim", [6, 7, 8])
def test_last_cuts_in_many_dimensions(dim):
    """A further stage of one unit that is always on has every cell divided, and the same regions in the same order."""
    layers = cell_cases.draw(np.random.default_rng(dim), [dim, 6, 4, 1])
    longer = [*layers[:-1], (np.zeros((1, 4)), [1.0]), (np.zeros((1, 1)), [0.0])]
    found = []
    for net in (engine_net(layers), engine_net(longer)):
        rows, every = domain_rows(net, pr.Box(-1, 1)).core(), np.full((1, net.units), -1, dtype=np.int8)
        found.append(_core.enumerate(net._core, rows, every, "regions", 2, -1, -1.0, None))
    short, long = (np.unpackbits(f["patterns"].view(np.uint8), axis=1, bitorder="little") for f in found)
    units = sum(len(b) for _, b in layers[:-1])
    assert np.array_equal(short[:, :units], long[:, :units])
    assert found[0]["tally"]["last_cuts"] > 0 == found[1]["tally"]["last_cuts"]


# Planes a.x = b of R^3 that cut [-1, 1]^3: (a, b) each.
ARRANGEMENTS = {
    "one beside another": [((1, 0, 0), -0.5), ((1, 0, 0), 0.25), ((1, 0.1, 0), 0.625), ((1, -0.1, 0), -0.75)],
    "two that one crosses": [((1, 0, 0), -0.5), ((1, 0, 0), 0.5), ((0, 1, 0.1), 0.25)],
    "a prism that no edge of the cell touches": [((0, 1, 0), -0.25), ((1, -1, 0), -0.25), ((-1, -1, 0), -0.25)],
    "a column that no edge of the cell touches": [
        ((1, 0, 0), -0.25),
        ((1, 0, 0), 0.25),
        ((0, 1, 0), -0.25),
        ((0, 1, 0), 0.25),
    ],
    "a corner in the cell": [((1, 0.1, 0.2), 0.125), ((0.2, 1, 0.1), 0.25), ((0.1, 0.2, 1), 0.0625)],
    "through one line": [((1, 0, 0), 0.125), ((0, 1, 0), 0.125), ((1, 1, 0), 0.25), ((1, -1, 0), 0)],
    "through one point": [((1, 0, 0), 0.125), ((0, 1, 0), 0.125), ((0, 0, 1), 0.125), ((1, 1, 1), 0.375)],
    "a simplex amidst": [((1, 0, 0), -0.125), ((0, 1, 0), -0.125), ((0, 0, 1), -0.125), ((1, 1, 1), 0.25)],
    "one twice": [((1, 0.5, 0), 0.125), ((2, 1, 0), 0.25), ((0, 1, 0.5), 0)],
    "through vertices": [((1, 1, 0), 0), ((1, 0, 1), 0), ((1, -1, 0), 0.5)],
    "nearly through one line": [((1, 0, 0), 0.125), ((0, 1, 0), 0.125), ((1, 1, 0), 0.25 + 2**-50)],
}


UNDIVIDED = ("one beside another", "two that one crosses", "a corner in the cell")


@pytest.mark.parametrize("scale", [1.0, 2.0**-400, 2.0**-600])
@pytest.mark.parametrize("name", ARRANGEMENTS)
def test_last_cuts_that_meet(name, scale):
    """Up to four units of the last stage cut a cell: what its edges do not show is found by divisions."""
    planes = ARRANGEMENTS[name]
    steps = np.linspace(-0.95, -0.9, 63)  # cells of the first stage, a job each: thin slabs, and nearly all of the cube
    first = [np.vstack([np.eye(3), np.tile([0, 0, 1.0], (len(steps), 1))]), np.concatenate([np.full(3, 2.0), -steps])]
    A, b = np.array([a for a, _ in planes], dtype=float), np.array([b for _, b in planes])
    second = [scale * np.hstack([A, np.zeros((len(A), len(steps)))]), -scale * (b + 2 * A.sum(axis=1))]
    net = engine_net([first, second, (np.ones((1, len(A))), [0.0])])
    rows, every = domain_rows(net, pr.Box(-1, 1)).core(), np.full((1, net.units), -1, dtype=np.int8)
    regions = _core.enumerate(net._core, rows, every, "regions", 1, -1, -1.0, None)
    structure = _core.enumerate(net._core, rows, every, "structure", 1, -1, -1.0, None)
    assert np.array_equal(regions["patterns"], structure["patterns"])
    # Products of values underflow at the smallest scale: then all cells are divided.
    assert (regions["tally"]["last_cuts"] > 0) == (scale > 2.0**-600)
    divided = regions["tally"]["vertices"] > 4 * len(steps)  # those of the first stage
    assert scale == 2.0**-600 or divided == (name not in UNDIVIDED)
    found = np.unpackbits(regions["patterns"].view(np.uint8), axis=1, count=net.units, bitorder="little")[:, -len(A) :]
    sampled = np.random.default_rng(0).uniform(-1, 1, (20_000, 3)) @ A.T > b
    assert {bytes(row) for row in sampled.astype(np.uint8)} <= {bytes(row) for row in found}
    pr.enumerate_regions(net, pr.Box(-1, 1)).verify()


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_a_box_is_the_same_as_its_halfspaces(dim):
    """Corners from bounds, and by clipping in integers where there is a row more."""
    net, low, high = cell_cases.net_of([dim, 8, 6, 1], seed=dim), np.arange(dim) - 1.5, np.arange(dim) + 0.25
    A, b = np.vstack([np.eye(dim), -np.eye(dim), np.ones(dim)]), np.concatenate([high, -low, [1e3]])
    box, clipped = pr.enumerate_regions(net, pr.Box(low, high)), pr.enumerate_regions(net, pr.Polyhedron(A, b))
    assert cell_cases.packed(box) == cell_cases.packed(clipped)
    assert box.volumes.sum() == pytest.approx(1.75**dim) == clipped.volumes.sum()
    assert len(box) > 5
    box.verify()
