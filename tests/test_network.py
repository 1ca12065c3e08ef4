"""Network: exact weights in, outputs with bounds, signs, patterns; bad input says what is wrong; files; examples."""

from __future__ import annotations

import doctest
import importlib
import pickle
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

import pyregions as pr
from pyregions.exact import Exact, _limb_product, integer_product

ABS = [([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])]  # f(x) = |x|


def random_net(seed=0, sizes=(3, 8, 8, 4), **options):
    rng = np.random.default_rng(seed)
    layers = [(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in zip(sizes, sizes[1:])]
    return pr.Network.from_arrays(layers, **options), layers


def exact_output(layers, x, slope=0.0):
    """The network in Fractions, written a second time."""
    values = [Fraction(float(v)) for v in x]
    for k, (W, b) in enumerate(layers):
        rows = zip(np.asarray(W), np.asarray(b))
        values = [sum((Fraction(float(w)) * v for w, v in zip(row, values)), Fraction(float(c))) for row, c in rows]
        if k + 1 < len(layers):
            values = [v if v > 0 else Fraction(slope) * v for v in values]
    return values


@pytest.mark.parametrize("slope", [0.0, 0.01, -0.5, 2.0])
def test_outputs_are_within_their_bounds_of_the_exact_ones(slope):
    net, layers = random_net(activation=("leaky_relu", slope))
    X = np.random.default_rng(1).normal(size=(5, 3))
    values, bounds = net.forward(X)
    assert values.shape == bounds.shape == (5, 4) and (bounds < 1e-12).all()
    for x, value, bound in zip(X, values, bounds):
        for exact, v, e in zip(exact_output(layers, x, slope), value, bound):
            assert abs(exact - Fraction(v)) <= Fraction(e)
    assert (net(X) == values).all() and net(X[0]).shape == (4,)
    assert repr(net) == "Network(3 inputs, stages of units: 8, 8; 4 outputs)"


def test_exact_passes_agree_with_fractions():
    net, layers = random_net(2)
    x = np.array([0.1, -0.7, 3.0])
    pre, out, pieces = net._exact.forward(Exact.of(x[None]))
    assert [out.fraction(0, k) for k in range(4)] == exact_output(layers, x)
    g, c = net._exact.backward(pieces[0], Exact.of(np.eye(16)))
    again = (g @ Exact.of(x[:, None]))[:, 0] + c
    assert ((again - pre[0]).ints == 0).all()


@pytest.mark.parametrize("bits", [3, 15, 16, 17, 31, 64, 300])
def test_limb_products_are_exact(bits):
    rng = np.random.default_rng(bits)
    a, b = (np.array([[int(rng.integers(-(2**30), 2**30)) << bits >> 30 for _ in range(n)] for _ in range(m)], object)
            for m, n in ((6, 9), (9, 5)))  # fmt: skip
    edge = np.array([[-(2**15), 2**15, -(2**16), 2**16 - 1, -1, 0]], dtype=object)
    assert (_limb_product(a, b) == a @ b).all()
    assert (_limb_product(edge.T.copy(), edge) == edge.T @ edge).all()
    assert integer_product(a[:0], b).shape == (0, 5) and integer_product(a[:, :0], b[:0]).tolist() == [[0] * 5] * 6


def test_float32_weights_are_taken_exactly():
    W = np.array([[0.1], [0.3]], dtype=np.float32)
    net = pr.Network.from_arrays([(W, None), ([[1, 1]], [0])])
    assert net.region([1.0]).affine_map.W[0, 0] == float(W[0, 0]) + float(W[1, 0])
    assert net.nodes[0].terms[0][1].dtype == np.float64


def test_a_general_graph_with_a_residual_and_a_diagonal():
    nodes = [
        pr.AffineNode(((0, np.array([[1.0, 2.0], [0.5, -1.0]])),), np.array([0.25, 0.0])),
        pr.HingeNode(1, np.zeros(2), np.ones(2)),
        pr.AffineNode(((2, np.array([3.0, -1.0])), (0, np.eye(2))), np.zeros(2)),  # diagonal, and a bypass
        pr.HingeNode(3, np.array([0.5, 0.0]), np.ones(2)),
        pr.AffineNode(((4, np.array([[1.0, 1.0]])),), np.zeros(1)),
    ]
    net = pr.Network(2, nodes)

    def f(x):
        h = np.maximum(nodes[0].terms[0][1] @ x + nodes[0].bias, 0)
        z = np.array([3.0, -1.0]) * h + x
        return np.where(z > 0, z, np.array([0.5, 0.0]) * z).sum()

    for x in np.random.default_rng(0).normal(size=(6, 2)):
        assert net(x)[0] == pytest.approx(f(x))
        r = net.region(x, domain=pr.Box(-3, 3))
        assert r.affine_map(x)[0] == pytest.approx(f(x))
        r.neighbors(), r.chebyshev  # noqa: B018
        assert r.verify().counts["facets"] == len(r.facets)
    with pytest.raises(ValueError, match="last node must be affine"):
        pr.Network(2, nodes[:-1])
    with pytest.raises(ValueError, match="slopes of node 2 holds nan"):
        pr.Network(2, [nodes[0], pr.HingeNode(1, np.full(2, np.nan), np.ones(2)), *nodes[2:]])


def test_a_diagonal_map_after_units_without_slope():
    rng = np.random.default_rng(0)
    W, b, w = rng.normal(size=(8, 4)), rng.normal(size=8), rng.normal(size=(8, 8))
    nodes = [
        pr.AffineNode(((0, W),), b),
        pr.HingeNode(1, np.zeros(8), np.ones(8)),
        pr.AffineNode(((2, np.full(8, 2.0)),), np.ones(8)),  # batch normalisation after the hinge
        pr.AffineNode(((3, w),), np.zeros(8)),
        pr.HingeNode(4, np.zeros(8), np.ones(8)),
        pr.AffineNode(((5, np.ones((1, 8))),), np.zeros(1)),
    ]
    net = pr.Network(4, nodes)
    for x in rng.normal(size=(6, 4)):
        [np.full(n, 7.25) for n in (8, 16, 32, 64, 128)]  # let go: what is not written is no zero then
        r = net.region(x)
        live, side = (W @ x + b > 0).astype(float), np.where(r.pattern, -1.0, 1.0)
        rows = side[:, None] * np.vstack([W, w @ (2 * live[:, None] * W)])
        np.testing.assert_allclose(r.halfspaces.A, rows, atol=1e-13)
        assert r.affine_map(x)[0] == pytest.approx(net(x)[0])
        r.verify()


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([], "at least one layer"),
        ([(np.ones(3), np.ones(3))], r"W of layer 0 has shape \(3,\)"),
        ([(np.ones((2, 3)), np.ones(3))], r"b of layer 0 has shape \(3,\), expected \(2,\)"),
        ([(np.ones((2, 3)), np.ones(2)), (np.ones((1, 3)), np.ones(1))], "layer 0 puts out 2 numbers"),
        ([(np.array([[np.nan]]), np.ones(1))], r"W of layer 0 holds nan at index \(0, 0\)"),
        ([(np.ones((1, 1)), [np.inf])], "b of layer 0 holds inf"),
        ([(np.ones((1, 1)) * 1j, None)], "must be real numbers, got dtype complex128"),
        ([(np.array([[2**53 + 1]]), None)], r"integers above 2\*\*53"),
        ([([["a"]], None)], "must be real numbers"),
    ],
)
def test_bad_layers(layers, message):
    with pytest.raises(ValueError, match=message):
        pr.Network.from_arrays(layers)


@pytest.mark.parametrize("activation", ["tanh", ("leaky_relu",), ("leaky_relu", np.nan), None])
def test_bad_activations(activation):
    with pytest.raises(ValueError, match="activation must be|slope of leaky_relu"):
        pr.Network.from_arrays(ABS, activation=activation)


def test_signs_and_patterns_are_exact():
    net = pr.Network.from_arrays([([[1.0], [1.0], [0.0]], [-0.3, 0.0, 0.0]), ([[1.0, 1.0, 1.0]], [0.0])])
    assert net.signs([0.3]).tolist() == [0, 1, 0]
    assert net.signs([0.1 + 0.2]).tolist() == [1, 1, 0]  # 0.1 + 0.2 is the next double above 0.3
    assert net.pattern([0.1 + 0.2]).tolist() == [1, 1, 0]  # the unit that is identically zero holds piece 0
    with pytest.raises(pr.OnBoundaryError) as caught:
        net.pattern([0.3])
    assert caught.value.labels == [pr.Label(0, 0, 1)] or caught.value.labels[0][:2] == (0, 0)
    assert "unit 0 of stage 0" in str(caught.value) and "tie='any'" in str(caught.value)


def test_ties_are_broken_the_same_way_every_time():
    net = pr.Network.from_arrays(ABS)
    with pytest.raises(pr.OnBoundaryError):
        net.region([0.0])
    first = net.region([0.0], tie="any")
    assert first.contains([0.0]) and not first.contains([0.0], interior=True)
    assert all((net.region([0.0], tie="any").pattern == first.pattern).all() for _ in range(3))
    assert net.region([0.0], domain=pr.Box(-1, 0), tie="any").pattern.tolist() == [0, 1]


def test_batch_of_good_and_bad_points():
    net = pr.Network.from_arrays(ABS)
    X = [[0.5], [0.0], [7.0], [-0.5]]
    found = net.regions(X, domain=pr.Box(-1, 1), errors="return")
    assert [type(r) for r in found] == [pr.Region, pr.OnBoundaryError, pr.OutsideDomainError, pr.Region]
    with pytest.raises(pr.OutsideDomainError, match="point 2: .*coordinate 0 is 7"):
        net.regions(X, domain=pr.Box(-1, 1))
    with pytest.raises(pr.OnBoundaryError, match="point 1: ") as caught:
        net.regions(X[:2], domain=pr.Box(-1, 1))
    assert len(caught.value.labels) == 2
    only = net.regions([[9.0]], domain=pr.Box(-1, 1), errors="return")
    assert isinstance(only[0], pr.OutsideDomainError)


def test_regions_one_after_the_other():
    net, _ = random_net()
    X = np.random.default_rng(0).normal(size=(7, 3))
    one_by_one = list(net.iter_regions(X, pr.Box(-5, 5), batch=3))
    assert [r.pattern.tolist() for r in one_by_one] == [r.pattern.tolist() for r in net.regions(X, pr.Box(-5, 5))]
    X[5] = 9
    found = net.iter_regions(X, pr.Box(-5, 5), batch=2)
    assert [(next(found).point == x).all() for x in X[:4]] == [True] * 4
    with pytest.raises(pr.OutsideDomainError, match="point 5: .*coordinate 0 is 9"):
        list(found)
    with pytest.raises(ValueError, match="batch must be"):
        net.iter_regions(X, batch=0)


def test_batch_parts_and_progress(capsys):
    net, _ = random_net()
    X = np.random.default_rng(0).normal(size=(4, 3))
    seen = []
    regions = net.regions(X, domain=pr.Box(-5, 5), compute=("facets", "chebyshev"), workers=2, progress=seen.append)
    assert seen == sorted(seen) and seen[-1] == 4
    assert regions[0].verify(sample=2).counts["chebyshev"] == 1  # what the batch computed is replayed
    assert (regions[2].point == X[2]).all()
    net.regions(X, compute=(), progress=True)
    assert "4/4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net: net.region([1.0, 2.0]), r"x has shape \(2,\), expected \(3,\)"),
        (lambda net: net.region(np.ones((4, 3))), "use regions"),
        (lambda net: net.region([1.0, np.nan, 0.0]), r"x holds nan at index \(1,\)"),
        (lambda net: net.region([1.0, 2.0, 3j]), "must be real numbers"),
        (lambda net: net.region(["1", "2", "3"]), "must be real numbers"),
        (lambda net: net.region(), "either a point x or a pattern"),
        (lambda net: net.region([0, 0, 0], pattern=[0] * 16), "either a point x or a pattern"),
        (lambda net: net.region([0, 0, 0], tie="left"), "tie must be"),
        (lambda net: net.region(pattern=[0] * 5), r"pattern has shape \(5,\), expected \(16,\)"),
        (lambda net: net.region(pattern=[2] * 16), "integers 0 and 1"),
        (lambda net: net.region(pattern=[0.5] * 16), "integers 0 and 1"),
        (lambda net: net.regions(np.ones((0, 3))), "X is empty"),
        (lambda net: net.regions(np.ones(3)), "takes many points"),
        (lambda net: net.regions(np.ones((2, 4))), r"X has shape \(2, 4\)"),
        (lambda net: net.regions(np.ones((2, 3)), compute=("facet",)), "compute must be"),
        (lambda net: net.regions(np.ones((2, 3)), compute="facets"), "compute must be"),
        (lambda net: net.regions(np.ones((2, 3)), workers=0), "workers must be a whole number of at least 1"),
        (lambda net: net.regions(np.ones((2, 3)), errors="ignore"), "errors must be"),
        (lambda net: net(np.ones((2, 2))), r"X has shape \(2, 2\)"),
        (lambda net: net.region([0, 0, 0], domain=pr.Box([0, 0], [1, 1])), "box has 2 coordinates"),
    ],
)
def test_bad_calls(call, message):
    with pytest.raises(ValueError, match=message):
        call(random_net()[0])


def test_a_domain_of_another_type():
    with pytest.raises(TypeError, match="domain must be None, a Box or a Polyhedron, got tuple"):
        random_net()[0].region([0, 0, 0], domain=(0, 1))


def test_files_keep_the_weights_and_hold_no_pickle(tmp_path):
    net, _ = random_net(activation=("leaky_relu", 0.1))
    path = tmp_path / "net.npz"
    net.save(path)
    for again in (pr.Network.load(path), pickle.loads(pickle.dumps(net))):
        assert (again(np.ones((2, 3))) == net(np.ones((2, 3)))).all()
        assert [type(node) for node in again.nodes] == [type(node) for node in net.nodes]
        assert (again.nodes[0].terms[0][1] == net.nodes[0].terms[0][1]).all()
    np.savez(tmp_path / "other.npz", a=np.ones(2))
    with pytest.raises(ValueError, match="does not hold a pyregions network"):
        pr.Network.load(tmp_path / "other.npz")


def test_weights_cannot_be_changed_behind_the_core():
    net, _ = random_net()
    with pytest.raises(ValueError, match="read-only"):
        net.nodes[0].bias[0] = 5.0


MODULES = ("", ".errors", ".exact", ".values", ".cell", ".polyhedron", ".network", ".region", ".from_torch", ".replay")


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_the_docstrings_run(name):
    module = importlib.import_module("pyregions" + name)
    assert doctest.testmod(module).failed == 0


def test_import_brings_in_nothing_optional(tmp_path):
    code = "import sys, pyregions; print([m for m in ('torch', 'scipy', 'matplotlib', 'pandas') if m in sys.modules])"
    # From another folder: the source tree must not stand in for the installed package.
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout == "[]\n"


def test_every_public_name_is_there_and_documented():
    for name in pr.__all__:
        assert getattr(pr, name).__doc__
