"""Random small networks, generic and degenerate: the engine's every answer equals the exact oracle's."""

from __future__ import annotations

from fractions import Fraction

import agree
import numpy as np
import oracle
import pytest
from agree import assert_agrees, engine_net
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracle import Cell, Net

import pyregions as pr

INFINITY = float("inf")


@st.composite
def shapes(draw, inputs=4, width=7, depth=3):
    hidden = draw(st.lists(st.integers(1, width), min_size=1, max_size=depth))
    return [draw(st.integers(1, inputs)), *hidden, draw(st.integers(1, 3))]


@st.composite
def integer_layers(draw, **limits):
    """Weights in -2..2 with many zeros: dead, repeated, negated units and hyperplanes with common points abound."""
    widths = draw(shapes(**limits))
    entry = st.integers(-2, 2)
    layers = []
    for fan_in, width in zip(widths[:-1], widths[1:], strict=True):
        flat = draw(st.lists(entry, min_size=width * (fan_in + 1), max_size=width * (fan_in + 1)))
        block = np.array(flat, dtype=np.float64).reshape(width, fan_in + 1)
        layers.append((block[:, :-1].copy(), block[:, -1].copy()))
    return layers


@st.composite
def float_layers(draw, **limits):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    widths = draw(shapes(**limits))
    return [(rng.normal(size=(b, a)), 0.5 * rng.normal(size=b)) for a, b in zip(widths[:-1], widths[1:], strict=True)]


@st.composite
def tangled_layers(draw):
    """Float layers whose units repeat each other: copies, negations, exact powers of two, pruned and dead rows."""
    layers = draw(float_layers())
    for W, b in layers[:-1]:
        for i in range(len(b)):
            source = draw(st.integers(0, len(b) - 1))
            kind = draw(st.sampled_from(["keep", "keep", "copy", "negate", "scale", "dead", "no bias", "prune"]))
            if kind in ("copy", "negate", "scale"):
                factor = {"copy": 1.0, "negate": -1.0, "scale": 0.25}[kind]
                W[i], b[i] = factor * W[source], factor * b[source]
            elif kind == "dead":
                W[i], b[i] = 0.0, 0.0
            elif kind == "no bias":
                b[i] = 0.0
            elif kind == "prune":
                W[i, draw(st.integers(0, W.shape[1] - 1))] = 0.0
    return layers


@st.composite
def domains(draw, dim):
    """(engine domain, oracle rows): all of R^d, a box with some sides open, or a box cut by a general row."""
    kind = draw(st.sampled_from(["all", "box", "half-open", "polyhedron"]))
    if kind == "all":
        return None, []
    lower = [float(draw(st.integers(-3, -1))) for _ in range(dim)]
    upper = [float(draw(st.integers(1, 3))) for _ in range(dim)]
    if kind == "half-open":
        lower[draw(st.integers(0, dim - 1))] = -INFINITY
        upper[draw(st.integers(0, dim - 1))] = INFINITY
    if kind != "polyhedron":
        return pr.Box(lower, upper), oracle.box(lower, upper)
    eye = np.eye(dim)
    A = np.vstack([eye, -eye, np.ones((1, dim))])
    b = np.array([*upper, *(-v for v in lower), 1.0])
    return pr.Polyhedron(A, b), oracle.polytope(A, b)


def check(layers, domain, rows, rng, slope=0.0, grid=None):
    """Compares the region of a random point of the domain; a point on a hyperplane must be refused with its units."""
    net, exact_net = engine_net(layers, slope), Net.from_arrays(layers, slope)
    x = rng.uniform(-0.9, 0.9, exact_net.inputs)
    if grid:
        x = np.round(x * grid) / grid
    assume(all(oracle.dot(a, agree.point(x)) <= b for _, a, b in rows))
    ties = exact_net.ties(agree.point(x))
    if ties:
        with pytest.raises(pr.OnBoundaryError) as caught:
            net.region(x, domain=domain)
        # Downstream of a tie "the" row depends on the side taken, so the labels are compared where there is no doubt.
        stages = np.repeat(np.arange(len(exact_net.widths)), exact_net.widths)
        first = [u for u in ties if stages[u] == stages[ties[0]]]
        named = {(int(label[0]), int(label[1])) for label in caught.value.labels}
        assert {exact_net.label(u, 0)[:2] for u in first} <= named
        region = net.region(x, domain=domain, tie="any")
        cell = Cell(exact_net, [int(v) for v in region.pattern], rows)
        assert cell.interior is not None and cell.contains(agree.point(x))
        assert_agrees(region, cell)
        return
    assert_agrees(net.region(x, domain=domain), oracle.cell_at(exact_net, agree.point(x), rows))


@settings(max_examples=120)
@given(st.data())
def test_generic_float_networks(data):
    layers = data.draw(float_layers())
    domain, rows = data.draw(domains(layers[0][0].shape[1]))
    check(layers, domain, rows, np.random.default_rng(data.draw(st.integers(0, 99))))


@settings(max_examples=80)
@given(st.data())
def test_leaky_networks(data):
    layers = data.draw(st.one_of(float_layers(), integer_layers()))
    domain, rows = data.draw(domains(layers[0][0].shape[1]))
    slope = data.draw(st.sampled_from([0.01, 0.125, 0.5]))
    check(layers, domain, rows, np.random.default_rng(data.draw(st.integers(0, 99))), slope=slope)


@settings(max_examples=250)
@given(st.data())
def test_integer_networks_at_generic_points(data):
    layers = data.draw(integer_layers())
    domain, rows = data.draw(domains(layers[0][0].shape[1]))
    check(layers, domain, rows, np.random.default_rng(data.draw(st.integers(0, 99))))


@settings(max_examples=120)
@given(st.data())
def test_integer_networks_at_grid_points(data):
    layers = data.draw(integer_layers())
    domain, rows = data.draw(domains(layers[0][0].shape[1]))
    check(layers, domain, rows, np.random.default_rng(data.draw(st.integers(0, 99))), grid=4)


@settings(max_examples=120)
@given(st.data())
def test_networks_that_repeat_their_units(data):
    layers = data.draw(tangled_layers())
    domain, rows = data.draw(domains(layers[0][0].shape[1]))
    check(layers, domain, rows, np.random.default_rng(data.draw(st.integers(0, 99))))


@settings(max_examples=150)
@given(st.data())
def test_region_of_any_pattern_or_proof_that_there_is_none(data):
    layers = data.draw(st.one_of(float_layers(width=4, depth=2), integer_layers(width=4, depth=2)))
    net, exact_net = engine_net(layers), Net.from_arrays(layers)
    domain, rows = data.draw(domains(exact_net.inputs))
    units = sum(exact_net.widths)
    pattern = np.array(data.draw(st.lists(st.integers(0, 1), min_size=units, max_size=units)), dtype=np.uint8)
    cell = Cell(exact_net, [int(v) for v in pattern], rows)
    region = agree.decided(lambda: net.region(pattern=pattern, domain=domain))
    if region is None:
        return
    assert bool(region) == (cell.interior is not None)
    if region:
        assert_agrees(region, cell)
    else:
        region.verify()


@settings(max_examples=80)
@given(st.data())
def test_intersecting_with_further_rows(data):
    layers = data.draw(float_layers(width=5, depth=2))
    net, exact_net = engine_net(layers), Net.from_arrays(layers)
    dim = exact_net.inputs
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, A, b = rng.normal(size=dim), rng.normal(size=(2, dim)), rng.normal(size=2)
    cut = agree.decided(lambda: net.region(x).intersect(A, b))
    cell = Cell(exact_net, exact_net.pattern(agree.point(x)), oracle.polytope(A, b))
    if cut is not None:
        assert bool(cut) == (cell.interior is not None)
        if cut:
            assert_agrees(cut, cell)


def walk(layers, domain):
    """(patterns reached across facets from one region, whether an open answer stopped the walk somewhere)."""
    dim = layers[0][0].shape[1]
    x = np.full(dim, 0.123) + np.arange(dim) * 0.0311
    seen, todo, gave_up = set(), [engine_net(layers).region(x, domain=domain, tie="any")], False
    while todo:
        region = todo.pop()
        key = tuple(map(int, region.pattern))
        if key not in seen:
            seen.add(key)
            neighbors = agree.decided(region.neighbors)
            gave_up = gave_up or neighbors is None
            todo += [n.region() for n in neighbors or [] if tuple(map(int, n.pattern)) not in seen]
    return seen, gave_up


@settings(max_examples=60)
@given(integer_layers(inputs=2, width=5, depth=2))
def test_walking_across_facets_stays_among_the_regions(layers):
    """Every facet leads to a region of the oracle's own list (split layer by layer), and the walk finds them all."""
    dim = layers[0][0].shape[1]
    expected = oracle.regions(Net.from_arrays(layers), oracle.box([-2] * dim, [2] * dim))
    seen, gave_up = walk(layers, pr.Box([-2.0] * dim, [2.0] * dim))
    assert seen <= expected and (gave_up or seen == expected)


@pytest.mark.parametrize("widths", [(2, 8, 8, 1), (3, 5, 5, 1), (1, 12, 12, 1)], ids=str)
def test_walking_a_generic_network_finds_every_region(widths):
    rng = np.random.default_rng(11)
    pairs = zip(widths[:-1], widths[1:], strict=True)
    layers = [(rng.normal(size=(b, a)), 0.5 * rng.normal(size=b)) for a, b in pairs]
    expected = oracle.regions(Net.from_arrays(layers), oracle.box([-1] * widths[0], [1] * widths[0]))
    assert walk(layers, pr.Box(-1, 1)) == (expected, False) and len(expected) >= 15


def test_walking_a_network_without_biases():
    """All hyperplanes of the first layer meet in the origin, where every cell of the fan has a true tie."""
    rng = np.random.default_rng(5)
    layers = [(rng.normal(size=(6, 2)), np.zeros(6)), (rng.normal(size=(6, 6)), np.zeros(6)), (np.ones((1, 6)), [0.0])]
    expected = oracle.regions(Net.from_arrays(layers), oracle.box([-1, -1], [1, 1]))
    seen, gave_up = walk(layers, pr.Box(-1, 1))
    assert seen <= expected and (gave_up or seen == expected)


def test_open_answers_are_rare_on_generic_networks():
    """In R^d and in a box: at most one row in 1,000 undecided or in need of integers, one other answer in 100 open."""
    rng = np.random.default_rng(7)
    rows = undecided = exact = asked = unanswered = 0
    for trial in range(60):
        widths = [int(rng.integers(2, 13)), 16, 16, 16, 3]
        pairs = zip(widths[:-1], widths[1:], strict=True)
        layers = [(rng.normal(size=(b, a)) / a**0.5, 0.3 * rng.normal(size=b)) for a, b in pairs]
        domain = None if trial % 2 else pr.Box([-1.0] * widths[0], [1.0] * widths[0])
        region = engine_net(layers).region(rng.uniform(-1, 1, widths[0]), domain=domain)
        rows += len(region.halfspaces)
        try:
            facets = region.facets
        except pr.UndecidedError as error:
            undecided += len(error.rows)
            continue
        exact += region.stats()["exact"]
        assert len(region.neighbors()) == sum(not f.on_domain for f in facets)
        assert region.chebyshev.radius_bounds[0] > 0
        answers = [region.boundedness.bounded, region.boundedness.modulo_lineality]
        answers += [answer for p in region.decision_boundaries() for answer in (p.crosses, p.piece)]
        asked, unanswered = asked + len(answers), unanswered + answers.count(None)
    assert rows > 3000 and asked > 400
    assert undecided * 1000 <= rows and exact * 1000 <= rows
    assert unanswered * 100 <= asked, f"{unanswered} of {asked}"


def test_a_row_that_touches_without_cutting():
    """x + y <= 2 touches [0, 1]^2 in a corner: a true tie, decided rightly or left open, never made a facet."""
    layers = [([[1.0, 1.0]], [-2.0]), ([[1.0]], [0.0])]
    region = engine_net(layers).region([0.5, 0.25], domain=pr.Box([0.0, 0.0], [1.0, 1.0]))
    cell = oracle.cell_at(Net.from_arrays(layers), [Fraction(1, 2), Fraction(1, 4)], oracle.box([0, 0], [1, 1]))
    assert agree.is_tie(cell, (1, 1, 2)) and not agree.is_tie(cell, (-1, 0, 0))
    assert_agrees(region, cell)
