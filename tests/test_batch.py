"""A batch answers byte for byte what one-by-one calls answer, for any number of workers, and stops on Ctrl-C."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest

import pyregions as pr

PARTS = ("facets", "chebyshev", "boundedness", "neighbors", "decision_boundaries")


def network(widths=(12, 24, 24, 4), seed=0):
    rng = np.random.default_rng(seed)
    return pr.Network.from_arrays(
        [(rng.normal(size=(b, a)) / a**0.5, 0.3 * rng.normal(size=b)) for a, b in pairwise(widths)]
    )


def fingerprint(region):
    """Every number the region hands out, as bytes."""
    rows, facets, ball, affine = region.halfspaces, region.facets, region.chebyshev, region.affine_map
    shape = region.boundedness
    parts = [region.pattern, region.witness, rows.A, rows.b, rows.A_error, rows.b_error, rows.labels.array]
    parts += [affine.W, affine.c, affine.W_error, affine.c_error]
    parts += [facets.witnesses, facets.normals, facets.offsets, facets.on_domain]
    parts += [facets.raw[key] for key in ("group_ptr", "group_rows", "red_rows", "mul_rows", "mul_values")]
    parts += [ball.center, np.array([ball.radius, *ball.radius_bounds]), shape.lower, shape.upper, shape.direction]
    neighbors = region.neighbors()
    parts += [n.pattern for n in neighbors] + [neighbors.changes, neighbors.cosines()]
    for pair in region.decision_boundaries():
        parts += [np.array([str(pair.crosses), str(pair.piece), str(pair.identical)])]
        parts += [v for v in (pair.positive, pair.negative) if v is not None]
    return b"".join(np.ascontiguousarray(p).tobytes() for p in parts)


@pytest.mark.parametrize("domain", [None, pr.Box(-2, 2)], ids=["free", "box"])
def test_batch_equals_one_by_one_for_any_number_of_workers(domain):
    net = network()
    X = np.random.default_rng(1).uniform(-1, 1, size=(7, 12))
    single = [fingerprint(net.region(x, domain=domain)) for x in X]
    assert len(set(single)) == len(X)
    for workers in (1, 2):
        found = net.regions(X, domain=domain, compute=PARTS, workers=workers)
        assert [fingerprint(r) for r in found] == single
    # The same points in another batch: other sizes, other order, parts computed late.
    late = net.regions(X[::-1][:3], domain=domain, compute=(), workers=2)
    assert [fingerprint(r) for r in late] == single[::-1][:3]


def test_wider_networks_too():
    net = network((40, 64, 64, 5), seed=3)
    X = np.random.default_rng(2).normal(size=(3, 40))
    single = [fingerprint(net.region(x)) for x in X]
    for workers in (1, 2):
        assert [fingerprint(r) for r in net.regions(X, compute=PARTS, workers=workers)] == single


def test_order_and_points_are_kept():
    net = network()
    X = np.random.default_rng(4).normal(size=(20, 12))
    found = net.regions(X, compute=(), workers=2)
    assert len(found) == 20
    for x, region in zip(X, found, strict=True):
        assert np.array_equal(region.point, x) and np.array_equal(region.pattern, net.pattern(x))


def test_bad_points_are_reported_in_place_or_raised():
    net = pr.Network.from_arrays([(np.eye(2), np.zeros(2)), (np.ones((1, 2)), np.zeros(1))])
    X = np.array([[1.0, 2.0], [0.0, 1.0], [3.0, -1.0]])
    with pytest.raises(pr.OnBoundaryError):
        net.regions(X)
    found = net.regions(X, errors="return", workers=2)
    assert [type(f).__name__ for f in found] == ["Region", "OnBoundaryError", "Region"]
    with pytest.raises(pr.OutsideDomainError):
        net.regions(X, domain=pr.Box(-5, 2.5))
    found = net.regions(X, domain=pr.Box(-5, 2.5), errors="return", tie="any")
    assert [type(f).__name__ for f in found] == ["Region", "Region", "OutsideDomainError"]
    with pytest.raises(ValueError, match="shape"):
        net.regions(np.zeros((2, 3)))
    with pytest.raises(ValueError):
        net.regions(np.zeros((0, 2)))
    with pytest.raises(ValueError):
        net.regions(np.array([[np.nan, 1.0]]))


INTERRUPTED = """
import signal
import sys
import numpy as np
import pyregions as pr

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background shell hands down an ignored SIGINT
rng = np.random.default_rng(0)
widths = [100, 200, 200, 200, 10]
pairs = zip(widths, widths[1:])
net = pr.Network.from_arrays([(rng.normal(size=(b, a)) / a**0.5, rng.normal(size=b)) for a, b in pairs])
X = rng.normal(size=(100000, 100))
print("ready", flush=True)
try:
    net.regions(X, compute=("facets", "chebyshev"), workers=2)
except KeyboardInterrupt:
    region = net.region(X[0])  # the engine is usable after the interruption
    print("stopped", region.contains(X[0]), flush=True)
    sys.exit(7)
print("finished", flush=True)
"""


def test_ctrl_c_stops_a_batch_cleanly(tmp_path):
    """The batch would take hours; SIGINT must end it as a KeyboardInterrupt, not kill the process or be ignored."""
    command = [sys.executable, "-c", INTERRUPTED]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert child.stdout.readline().strip() == "ready"
        time.sleep(1.0)  # into the batch
        assert child.poll() is None
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
    finally:
        if child.poll() is None:
            child.kill()
            child.communicate()
    assert (out.strip(), child.returncode) == ("stopped True", 7), err


EXACT_AND_LONG = """
import os, signal, threading, time
import numpy as np
import pyregions as pr
signal.signal(signal.SIGINT, signal.default_int_handler)
rng = np.random.default_rng(0)
A = rng.integers(-9, 10, (90, 40)).astype(float)
cell = pr.Polyhedron(A, np.abs(A).sum(1), exact_budget=600)._cell
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    cell.exact_facets()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_ends_a_long_exact_decision(tmp_path):
    out = subprocess.run(
        [sys.executable, "-c", EXACT_AND_LONG], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert out.stdout.strip() == "interrupted", out.stderr
