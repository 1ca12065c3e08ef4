"""Medium networks, up to 64 inputs, against scipy's HiGHS: one LP per row with that row relaxed by 1.

An LP is trusted beyond MARGIN only: HiGHS is feasible to 1e-7, and rows here have norms around 0.1 to 1, so an excess
or shortfall of 1e-5 in distance is far outside what its tolerances can produce. Few rows may fall inside the margin.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf

import numpy as np
import pytest
from scipy.optimize import linprog

import pyregions as pr

MARGIN = 1e-5


def layers_of(name, seed):
    """Uniform weights; "+few": few units of the first layer are live, as after training, though there are many."""
    rng = np.random.default_rng(seed)
    widths = [int(w) for w in name.removesuffix("+few").split("-")]
    layers = [(rng.uniform(-1, 1, (b, a)) / a**0.5, rng.uniform(-1, 1, b) / a**0.5) for a, b in pairwise(widths)]
    if name.endswith("+few"):
        layers[0] = layers[0][0], layers[0][1] - 0.3
    return layers


def rows_of(layers, x, domain):
    """Rows A x <= b composed here in NumPy, the network's first, then the box's as lower, upper per coordinate."""
    A, c = np.eye(len(x)), np.zeros(len(x))
    rows, offsets = [], []
    for W, b in layers[:-1]:
        A, c = W @ A, W @ c + b
        on = A @ x + c > 0
        rows.append(np.where(on, -1.0, 1.0)[:, None] * A)
        offsets.append(np.where(on, 1.0, -1.0) * c)
        A, c = on[:, None] * A, on * c
    if domain is not None:
        for k, axis in enumerate(np.eye(len(x))):
            rows.append(np.array([-axis, axis]))
            offsets.append(np.array([-domain.lower[k], domain.upper[k]]))
    W, b = layers[-1]
    return np.vstack(rows), np.concatenate(offsets), W @ A, W @ c + b


def optimum(c, A, b):
    """max c.x over A x <= b, inf when unbounded."""
    found = linprog(-c, A_ub=A, b_ub=b, bounds=(None, None), method="highs")
    if found.status in (3, 4) or (found.status == 2 and found.x is None):
        return inf  # the problems here have interior, so "infeasible or unbounded" is unbounded
    assert found.status == 0, found.message
    return -found.fun


def cases():
    for name in ("6-24-24-3", "16-32-32-32-4", "32-48-48-5", "64-64-64-10", "24-40-60-60-5+few"):
        for where in ("free", "box"):
            yield pytest.param((name, where), id=f"{name}-{where}")


@pytest.fixture(params=cases())
def problem(request):
    name, where = request.param
    layers = layers_of(name, seed=len(name))
    x = np.random.default_rng(1).normal(size=layers[0][0].shape[1])
    side = 0.3 if len(x) < 32 else 0.1
    domain = pr.Box(x - side, x + side) if where == "box" else None
    return layers, x, domain, pr.Network.from_arrays(layers).region(x, domain=domain)


def test_rows_and_affine_map(problem):
    layers, x, domain, region = problem
    A, b, W, c = rows_of(layers, x, domain)
    # Both sides round; a few hundred terms of size 1 lose less than 2^-40.
    assert np.abs(region.halfspaces.A - A).max() < 2.0**-40 and np.abs(region.halfspaces.b - b).max() < 2.0**-40
    assert np.abs(region.affine_map.W - W).max() < 2.0**-40 and np.abs(region.affine_map.c - c).max() < 2.0**-40


def test_facets(problem):
    layers, x, domain, region = problem
    A, b, _, _ = rows_of(layers, x, domain)
    ours = {row for f in region.facets for row in f.rows}
    close = 0
    for i in range(len(b)):
        relaxed = b.copy()
        relaxed[i] += 1.0
        distance = (optimum(A[i], A, relaxed) - b[i]) / np.linalg.norm(A[i])
        if abs(distance) <= MARGIN:
            close += 1
        else:
            assert (i in ours) == (distance > 0), f"row {i}: reaches {distance:.2e} beyond its hyperplane"
    assert close <= len(b) // 20


def test_redundant_within_the_live_units():
    """More units than inputs in the first layer: most redundant rows of later layers are so among themselves."""
    layers = layers_of("24-40-60-60-5+few", seed=17)
    x = np.random.default_rng(1).normal(size=24)
    region = pr.Network.from_arrays(layers).region(x)
    live = int(region.pattern[:40].sum())
    assert 0 < live < 24
    redundant = 160 - sum(len(f.rows) for f in region.facets)
    assert redundant > 20 and region.stats()["undecided"] == 0
    region.verify()


def test_chebyshev(problem):
    layers, x, domain, region = problem
    A, b, _, _ = rows_of(layers, x, domain)
    norms = np.linalg.norm(A, axis=1)
    program = np.column_stack([A, norms])
    cap = np.zeros(len(x) + 1)
    cap[-1] = 1.0
    radius = optimum(cap, program, b)
    low, high = region.chebyshev.radius_bounds
    assert low <= region.chebyshev.radius <= high
    if radius == inf:
        assert high == inf
    else:
        assert low <= radius * (1 + 1e-6) and radius <= high * (1 + 1e-6)
        assert low >= radius * (1 - 1e-6) and high <= radius * (1 + 1e-6)
        center = region.chebyshev.center
        assert (A @ center + low * norms <= b + 2.0**-40).all()


@pytest.mark.parametrize("seed", range(4))
def test_balls_of_nearly_dependent_rows(seed):
    """A first layer of rank 3 but for 1e-8, every other one with rows of sizes from 1e-6 to 1e6."""
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(150, 3)) @ rng.normal(size=(3, 140)) / 12 + 1e-8 * rng.normal(size=(150, 140))
    if seed % 2:
        W *= 10.0 ** rng.integers(-6, 7, (150, 1))
    second = rng.normal(size=(20, 150)) / 12, 0.3 * rng.normal(size=20)
    net = pr.Network.from_arrays([(W, 0.3 * rng.normal(size=150)), second, (np.ones((1, 20)), np.zeros(1))])
    region = net.region(rng.random(140), domain=pr.Box(0, 1))
    low, high = region.chebyshev.radius_bounds
    assert high - low <= 1e-6 * high
    assert region.verify().counts["chebyshev"] == 1
    norms = np.linalg.norm(region.halfspaces.A, axis=1)
    A, b = region.halfspaces.A / norms[:, None], region.halfspaces.b / norms
    radius = optimum(np.eye(141)[140], np.column_stack([A, np.ones(len(b))]), b)
    assert low - 1e-6 <= radius <= high + 1e-6


def test_maximize(problem):
    layers, x, domain, region = problem
    A, b, _, _ = rows_of(layers, x, domain)
    rng = np.random.default_rng(2)
    for _ in range(3):
        c = rng.normal(size=len(x))
        expected = optimum(c, A, b)
        found = region.maximize(c)
        if expected == inf:
            assert found.status == "unbounded"
        else:
            scale = 1 + abs(expected)
            assert found.status == "optimal" and abs(found.value - expected) < 1e-5 * scale
            assert found.bounds[0] <= found.value <= found.bounds[1]
            assert found.bounds[0] - 1e-6 * scale <= expected <= found.bounds[1] + 1e-6 * scale
            assert region.contains(found.point) or (A @ found.point <= b + 1e-6).all()


def test_crossing_classes(problem):
    layers, x, domain, region = problem
    A, b, W, c = rows_of(layers, x, domain)
    for pair in region.decision_boundaries():
        g, h = W[pair.i] - W[pair.j], c[pair.i] - c[pair.j]
        high, low = optimum(g, A, b) + h, -optimum(-g, A, b) + h
        if min(abs(high), abs(low)) > MARGIN:
            assert pair.crosses == (high > 0 > low)


def test_projection_onto_the_cell(problem):
    """The nearest point in the 2-norm: in the cell, and none nearer (the variational inequality, by an LP)."""
    layers, x, domain, region = problem
    A, b, _, _ = rows_of(layers, x, domain)
    y = x + np.random.default_rng(3).normal(size=len(x))
    found = region.project(y, 2)
    assert (A @ found.point <= b + 1e-7).all()
    assert abs(found.value - np.linalg.norm(y - found.point)) < 1e-6
    # p is the projection iff (y - p).z is maximal over the cell at z = p.
    reach = optimum(y - found.point, A, b)
    assert reach <= (y - found.point) @ found.point + 1e-5 * (1 + abs(reach))
    assert found.bounds[0] - 1e-9 <= found.value <= found.bounds[1] + 1e-9


def test_polyhedron_without_a_network():
    rng = np.random.default_rng(4)
    for dim, count in ((3, 20), (8, 60)):
        A = rng.normal(size=(count, dim))
        b = rng.uniform(0.5, 2.0, count)
        polyhedron = pr.Polyhedron(A, b)
        ours = {row for f in polyhedron.facets for row in f.rows}
        assert polyhedron.is_bounded and not polyhedron.is_empty
        for i in range(count):
            relaxed = b.copy()
            relaxed[i] += 1.0
            distance = optimum(A[i], A, relaxed) - b[i]
            assert abs(distance) <= MARGIN or (i in ours) == (distance > 0)
        low, high = polyhedron.bounding_box
        for k, axis in enumerate(np.eye(dim)):
            assert abs(high[k] - optimum(axis, A, b)) < 1e-6 and abs(low[k] + optimum(-axis, A, b)) < 1e-6
