"""Cells that are thin, flat or nearly degenerate in many dimensions: decided, and proven, all the same."""

from __future__ import annotations

import numpy as np
import pytest

import pyregions as pr


def flat_layers(dim, rank, open_sides, rng):
    """Units that face each other across slabs in `rank` directions, on the open sides only one of each two."""
    V = np.concatenate([rng.integers(-3, 4, (rank, dim - rank)), np.eye(rank)], axis=1)
    pairs = np.concatenate([V, -V[open_sides:]])
    extra = rng.integers(-1, 2, (max(8, dim + 8 - len(pairs)), rank - open_sides)) @ V[open_sides:]
    first = np.concatenate([pairs, extra]), np.concatenate([rng.integers(1, 5, len(pairs)), np.full(len(extra), 99.0)])
    second = rng.normal(size=(dim, len(first[0]))), rng.normal(size=dim)
    second[0][:, :open_sides] = 0  # so that no deeper unit closes the open sides
    return [first, second, (np.ones((2, dim)), np.zeros(2))]


@pytest.mark.parametrize("dim", [30, 64])
@pytest.mark.parametrize(("rank", "open_sides"), [(15, 0), (15, 1), (29, 0), (29, 1), (29, 3)])
def test_flat_recession_cones_are_decided_in_many_dimensions(dim, rank, open_sides):
    """Slabs and half-strips: the cone of directions has no interior, so that no float direction proves anything."""
    net = pr.Network.from_arrays(flat_layers(dim, rank, open_sides, np.random.default_rng(rank)))
    region = net.region(np.full(dim, 2.0**-10))
    assert region.is_bounded is False
    assert region.is_bounded_modulo_lineality is (open_sides == 0)
    lower, upper = region.chebyshev.radius_bounds
    assert 0 < lower <= upper <= lower * (1 + 2.0**-20)
    assert region.stats()["undecided"] == 0
    assert not region.verify().without_certificate


def test_bounded_in_the_quotient_by_a_combination_of_all_rows():
    """More random units than inputs, all of which see the input through fewer sums: many rows must cancel."""
    rng = np.random.default_rng(0)
    V = np.round(rng.normal(size=(20, 30)) * 2**20) / 2**20
    U = rng.integers(-3, 4, (80, 20))
    b = np.round(rng.normal(size=80) * 2**10) / 2**10
    net = pr.Network.from_arrays([(U @ V, b), (np.ones((1, 80)), np.zeros(1))])
    region = net.region(np.zeros(30))
    assert (region.is_bounded, region.is_bounded_modulo_lineality) == (False, True)
    lower, upper = region.chebyshev.radius_bounds
    assert 0 < lower <= upper <= lower * (1 + 2.0**-20)
    assert not region.verify().without_certificate


def near_ties(inputs, factors, sums, seed):
    """Twice as many units as inputs; some are multiples of the first, or sums of two, up to rounding."""
    rng = np.random.default_rng(seed)
    W, b = rng.normal(size=(2 * inputs, inputs)), 0.3 * rng.normal(size=2 * inputs)
    for i, factor in enumerate(factors, 1):
        W[i], b[i] = factor * W[0], factor * b[0]
    for i in range(sums):
        W[i + 8], b[i + 8] = 0.7 * W[i] + 0.3 * W[i + 1], 0.7 * b[i] + 0.3 * b[i + 1]
    net = pr.Network.from_arrays([(W, b), (rng.normal(size=(4, 2 * inputs)), np.zeros(4))])
    return net, rng.uniform(-0.5, 0.5, inputs)


@pytest.mark.parametrize("domain", [None, pr.Box(-1, 1)], ids=["space", "box"])
@pytest.mark.parametrize(
    ("factors", "sums"),
    [([0.7], 0), ([-0.7, 3.0], 0), ([0.7, 0.3, 1.1, -0.1], 0), ([], 6)],
    ids=["1", "2", "4", "sums"],
)
@pytest.mark.parametrize("inputs", [24, 48])
def test_units_that_depend_on_others_up_to_rounding_are_told_apart(inputs, factors, sums, domain):
    """Their hyperplanes meet at angles of 1e-16: floats cannot say which of them bound the cell, and where."""
    for seed in range(6):
        net, x = near_ties(inputs, factors, sums, seed)
        region = net.region(x, domain=domain)
        assert any(set(range(len(factors) + 1)) & set(f.rows) for f in region.facets)
        if inputs == 24:
            report = region.verify()
            assert report.counts["facets"] == len(region.facets) and not report.without_certificate


def beside_bounds(inputs, seed):
    """Some units are coordinates minus 1, up to rounding: their hyperplanes nearly are the box's."""
    rng = np.random.default_rng(seed)
    W, b = rng.normal(size=(2 * inputs, inputs)), 0.3 * rng.normal(size=2 * inputs)
    for i in range(4):
        factor = rng.choice([1.0, 0.7, 3.0])
        rounding = 2.0**-52 * rng.integers(-2, 3, size=inputs) * (rng.random(inputs) < 0.5)
        W[i] = factor * (rng.choice([-1.0, 1.0]) * np.eye(inputs)[i // 2] + rounding)
        b[i] = -factor * (1 + 2.0**-52 * rng.integers(-1, 2))
    net = pr.Network.from_arrays([(W, b), (rng.normal(size=(4, 2 * inputs)), np.zeros(4))])
    return net, rng.uniform(-0.5, 0.5, inputs)


@pytest.mark.parametrize(("seed", "facets"), [(1, 52), (2, 50), (5, 45), (6, 48), (7, 48), (8, 49)])
def test_a_bound_does_not_imply_itself(seed, facets):
    """The float dual of a bound that was lifted is rounding of the others' duals; no proof may rest on it."""
    net, x = beside_bounds(13, seed)
    region = net.region(x, domain=pr.Box(-1, 1))
    assert len(region.facets) == facets
    report = region.verify()
    assert report.counts["facets"] == facets and not report.without_certificate


@pytest.mark.parametrize("inputs", [24, 48])
def test_units_beside_the_bounds_of_a_box_are_told_apart(inputs):
    for seed in range(4):
        net, x = beside_bounds(inputs, seed)
        region = net.region(x, domain=pr.Box(-1, 1), exact_budget=2)
        assert region.verify().counts["facets"] == len(region.facets)


@pytest.mark.parametrize(("seed", "domain"), [(1, None), (1, pr.Box(-1, 1)), (4, None), (9, pr.Box(-1, 1))], ids=str)
def test_chains_of_sums_meet_on_a_face_without_interior(seed, domain):
    """Units 8 to 13 lie between neighbours among units 0 to 6 up to rounding: one tie shares walls with the next."""
    rng = np.random.default_rng(seed)
    W, b = rng.normal(size=(48, 24)), 0.3 * rng.normal(size=48)
    V, c = rng.normal(size=(24, 48)), 0.3 * rng.normal(size=24)
    for i in range(6):
        W[i + 8], b[i + 8] = 0.7 * W[i] + 0.3 * W[i + 1], 0.7 * b[i] + 0.3 * b[i + 1]
    out = rng.normal(size=(4, 48))[:, :24] if seed == 4 else rng.normal(size=(4, 24))
    net = pr.Network.from_arrays([(W, b), (V, c), (out, np.zeros(4))])
    region = net.region(rng.uniform(-0.5, 0.5, 24), domain=domain, exact_budget=2)
    assert region.verify().counts["facets"] == len(region.facets)


@pytest.mark.parametrize("seed", [115, 166])
def test_an_optimum_without_good_duals_is_a_proposal_too(seed):
    """Units of sizes 2^-40 to 2^40, half of them -0.7 times the first, up to rounding, and a second layer."""
    rng = np.random.default_rng(seed)
    W, b = rng.normal(size=(28, 14)), 0.3 * rng.normal(size=28)
    W[14:], b[14:] = -0.7 * W[0], -0.7 * b[0]
    size = 2.0 ** rng.integers(-40, 41, 28)
    V, c = rng.normal(size=(14, 28)), 0.3 * rng.normal(size=14)
    net = pr.Network.from_arrays([(W * size[:, None], b * size), (V, c), (rng.normal(size=(3, 14)), np.zeros(3))])
    region = net.region(rng.uniform(0.05, 0.5, 14), domain=pr.Box(0, 1))
    assert region.verify().counts["facets"] == len(region.facets)
