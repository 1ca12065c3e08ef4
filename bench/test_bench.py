"""pytest-benchmark for the Python calls: `pytest -n 0 bench/test_bench.py`. Answers are asserted, times never."""

from __future__ import annotations

import numpy as np
import pytest
from nets import numpy_layers

import pyregions as pr

pytest.importorskip("pytest_benchmark")

NETS = ["64-64-64-10", "64-256-256-10"]


@pytest.fixture(params=NETS, scope="module")
def network(request):
    return pr.Network.from_arrays(numpy_layers(request.param))


@pytest.fixture(params=["free", "box"])
def domain(request, point):
    return None if request.param == "free" else pr.Box(point - 0.05, point + 0.05)


@pytest.fixture
def point(network):
    return np.random.default_rng(1).normal(size=network.inputs)


def test_region(benchmark, network, point, domain):
    region = benchmark(lambda: network.region(point, domain=domain))
    assert region.contains(point) and len(region.pattern) == network.units


def test_facets(benchmark, network, point, domain):
    facets = benchmark(lambda: network.region(point, domain=domain).facets)
    assert len(facets) + sum(len(r.rows) > 0 for r in facets.redundant) + len(facets.zero_rows) > 0
    region = network.region(point, domain=domain)
    rows = region.halfspaces
    for f in facets[:5]:
        over = np.flatnonzero(rows.A @ f.witness - rows.b > rows.A_error * np.abs(f.witness).sum() + rows.b_error)
        assert set(over) <= set(f.rows)


def test_chebyshev(benchmark, network, point, domain):
    ball = benchmark(lambda: network.region(point, domain=domain).chebyshev)
    low, high = ball.radius_bounds
    assert 0 < low <= ball.radius <= high


def test_neighbors(benchmark, network, point):
    def neighbors():
        region = network.region(point)
        return region, region.neighbors()

    region, found = benchmark(neighbors)
    assert len(found) == len(region.facets)
    assert all(len(n.changed_units) >= 1 for n in found)


def test_decision_boundaries(benchmark, network, point, domain):
    pairs = benchmark(lambda: network.region(point, domain=domain).decision_boundaries())
    assert len(pairs) == network.outputs * (network.outputs - 1) // 2


@pytest.mark.parametrize("workers", [1, 2])
def test_batch_of_regions(benchmark, network, workers):
    X = np.random.default_rng(2).normal(size=(8, network.inputs))
    found = benchmark(lambda: network.regions(X, compute=("facets",), workers=workers))
    assert [bool(r.contains(x)) for r, x in zip(found, X, strict=True)] == [True] * len(X)
