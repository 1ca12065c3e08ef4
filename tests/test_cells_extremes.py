"""All regions where numbers overflow or underflow, facets are many, or hyperplanes stand in a row."""

from __future__ import annotations

import numpy as np
import pytest

import pyregions as pr


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
