"""All regions against known counts, closed formulas, the exact splitter, and the search across facets."""

from __future__ import annotations

from math import comb

import cell_cases
import numpy as np
import oracle
import pytest
import splitter
from agree import engine_net
from cell_cases import Case, assert_same_regions
from corpus_cases import load
from oracle import Net

import pyregions as pr

nn = pytest.importorskip("torch.nn")
torch = pytest.importorskip("torch")

ALWAYS = 25  # random networks of each kind
CORPUS = [case for case in load() if not case.later and len(case.layers[0][0][0]) <= 8]


def torch_net(widths, single):
    """Linear layers as torch initialises them from seed 0, in single precision first or not."""
    torch.manual_seed(0)
    parts = []
    for m, n in zip(widths, widths[1:]):
        parts += [nn.Linear(m, n) if single else nn.Linear(m, n, dtype=torch.float64), nn.ReLU()]
    return pr.from_torch(nn.Sequential(*parts[:-1]).double(), input_shape=widths[0])


def arrangement(rng, count, dim, bias=True):
    return engine_net([(rng.normal(size=(count, dim)), bias * rng.normal(size=count)), (np.ones((1, count)), [0.0])])


# ---- known counts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("widths", "in_box", "in_space"),
    [
        ((2, 16, 16, 1), 127, 572),
        ((2, 32, 32, 1), 795, 2268),
        ((3, 16, 16, 1), 1276, 5028),
        ((4, 12, 12, 1), 1226, 10501),
    ],
)
def test_counts_of_single_precision_networks(widths, in_box, in_space):
    net = torch_net(widths, single=True)
    assert pr.count_regions(net, pr.Box(-1, 1)) == len(pr.enumerate_regions(net, pr.Box(-1, 1))) == in_box
    assert pr.count_regions(net) == in_space


@pytest.mark.parametrize(
    ("widths", "in_box"),
    [
        ((2, 64, 64, 64, 1), 4066),
        ((2, 256, 256, 256, 1), 95324),
        ((3, 32, 32, 1), 6752),
        ((3, 64, 64, 1), 62126),
        ((4, 24, 24, 1), 33295),
        ((5, 16, 16, 1), 32992),
        ((6, 12, 12, 1), 8920),
    ],
)
def test_counts_of_double_precision_networks(widths, in_box):
    assert pr.count_regions(torch_net(widths, single=False), pr.Box(-1, 1)) == in_box


@pytest.mark.parametrize("dim", range(1, 7))
def test_hyperplanes_in_general_position(dim):
    """Zaslavsky: n of them cut R^d into the sum over i <= d of C(n, i) regions, bounded ones C(n - 1, d)."""
    for count in (1, dim, dim + 1, 10):
        found = pr.enumerate_regions(arrangement(np.random.default_rng([dim, count]), count, dim))
        assert len(found) == sum(comb(count, i) for i in range(dim + 1))
        assert found.bounded.sum() == (comb(count - 1, dim) if count > dim else 0)


@pytest.mark.parametrize("dim", range(1, 7))
def test_hyperplanes_through_the_origin(dim):
    """2 sum over i < d of C(n - 1, i), none bounded; in a box around the origin as many, all of them bounded."""
    for count in (dim, dim + 1, 9):
        net = arrangement(np.random.default_rng([7, dim, count]), count, dim, bias=False)
        expected = 2 * sum(comb(count - 1, i) for i in range(dim))
        found, boxed = pr.enumerate_regions(net), pr.enumerate_regions(net, pr.Box(-1, 2))
        assert len(found) == len(boxed) == expected if dim > 1 or count == 1 else 2
        assert not found.bounded.any() and boxed.bounded.all()


def test_coordinate_grid():
    """k hyperplanes across each axis: (k + 1)^d boxes, on the way through all 8 inputs."""
    for dim, k in ((1, 50), (2, 9), (3, 5), (4, 3), (5, 2), (6, 1), (7, 1), (8, 1)):
        W = np.repeat(np.eye(dim), k, axis=0)
        b = -np.tile(np.arange(1.0, k + 1), dim)
        net = engine_net([(W, b), (np.ones((1, k * dim)), [0.0])])
        assert pr.count_regions(net) == pr.count_regions(net, pr.Box(0, k + 1)) == (k + 1) ** dim
        assert pr.count_regions(net, pr.Box(1, k)) == (k - 1) ** dim if k > 1 else True


@pytest.mark.parametrize("domain", [None, pr.Box(-1, 1)])
def test_regions_of_independent_networks_multiply(domain):
    rng = np.random.default_rng(5)
    for _ in range(3):
        parts = [cell_cases.draw(rng, [2, 5, 4, 1]) for _ in range(2)]
        both = [
            (np.block([[W, np.zeros((len(W), V.shape[1]))], [np.zeros((len(V), W.shape[1])), V]]), np.append(b, c))
            for (W, b), (V, c) in zip(*parts)
        ]
        counts = [pr.count_regions(engine_net(layers), domain) for layers in parts]
        assert pr.count_regions(engine_net(both), domain) == counts[0] * counts[1] > 100


def test_triangle_waves():
    """t(x) + t(y) + t(z) + 0.1, the wave t from -1/2 to 1/2 with kinks at the integers, cuts each of 8^3 cubes in two;
    the mean degree is above 2 d."""
    W, b = np.repeat(np.eye(3), 8, axis=0), -np.tile(np.arange(8.0), 3)
    slopes = np.array([1.0, -2, 2, -2, 2, -2, 2, -2])
    net = engine_net([(W, b), (np.tile(slopes, 3)[None], [-1.4]), ([[1.0]], [0.0])])
    found = pr.enumerate_regions(net, pr.Box(0, 8))
    assert len(found) == 1024 and len(found.structure.edges) == 3200
    assert found.verify().mean_degree == 6.25


# ---- the corpus -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CORPUS, ids=lambda c: c.name.replace(" ", "-"))
def test_corpus(case):
    expected = splitter.patterns(case.layers, case.slope, case.domain)
    found = pr.enumerate_regions(engine_net(case.layers, case.slope), pr.Box(*case.bounds) if case.bounds else None)
    assert {tuple(map(int, row)) for row in found.patterns} == expected and len(found) == len(expected)
    assert case.regions in (None, len(found))
    assert found.verify().proven


def test_degenerate_planar_networks():
    """Those on which published tools disagree, spelled out; the rest is in the corpus."""
    box = pr.Box(-1, 1)

    def count(W, b):
        return pr.count_regions(engine_net([(W, b), (np.ones((1, len(b))), [0.0])]), box)

    assert count([[1, 0], [0, 1], [1, 1], [1, -1]], [0, 0, 0, 0]) == 8
    assert count([[1, 0], [1, 0], [-1, 0], [2, 0], [0, 1], [0, -3]], [0] * 6) == 4
    assert count([[1, 1], [1, -1]], [0, 0]) == 4
    assert count([[0, 0], [0, 0], [1, 0], [1, 0], [0, 1]], [0, 1, 0, 0.5, 0]) == 6
    assert count([[1, 0], [1, 0], [0, 1]], [0, 1e-9, 0]) == 6


# ---- the splitter ---------------------------------------------------------------------------------------------------


def test_splitter_agrees_with_the_answers_by_hand():
    for case in load():
        if case.regions is not None:
            assert len(splitter.regions(case.layers, case.slope, case.domain)) == case.regions, case.name


def test_splitter_agrees_with_the_oracle():
    for kind in cell_cases.KINDS:
        case = cell_cases.case(kind, 1, dim=2)
        expected = oracle.regions(case.oracle, case.domain_rows)
        assert {leaf.pattern for leaf in case.leaves} == expected and len(case.leaves) == len(expected)
        for leaf in case.leaves:
            assert case.oracle.compose(leaf.pattern)[2] == leaf.outputs


@pytest.mark.parametrize("kind", cell_cases.KINDS)
def test_random_networks(kind):
    for seed in range(ALWAYS):
        assert_same_regions(cell_cases.case(kind, seed))


@pytest.mark.long
@pytest.mark.parametrize("kind", cell_cases.KINDS)
def test_two_thousand_networks_of_each_kind(kind):
    for seed in range(ALWAYS, ALWAYS + 2000):
        assert_same_regions(cell_cases.case(kind, seed))


def test_a_wrong_set_is_found():
    """An engine that cut the first layer elsewhere disagrees with the splitter."""
    case, other = cell_cases.case("floats", 5), cell_cases.case("floats", 5)
    other.layers[0][1][:] += 0.25
    case.__dict__["complex"] = other.complex
    with pytest.raises(AssertionError):
        assert_same_regions(case)


@pytest.mark.parametrize("kind", cell_cases.KINDS)
def test_bounded_regions(kind):
    for seed in range(8):
        case = cell_cases.case(kind, seed)
        found = case.complex
        for leaf in case.leaves:
            cell = oracle.Cell(case.oracle, list(leaf.pattern), case.domain_rows)
            assert bool(found.bounded[found.index_of(leaf.pattern)]) == cell.bounded()


# ---- other methods of the engine ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", cell_cases.KINDS)
def test_search_and_proof(kind):
    """Walking across certified facets finds the same regions, and the facets pair up."""
    for seed in range(20, 28):
        case = cell_cases.case(kind, seed)
        proof = case.complex.verify()
        assert proof.proven and proof.regions == proof.examined == len(case.leaves)
        searched = pr.search_regions(case.network, [0.0] * case.dim, case.domain)
        patterns = [tuple(map(int, region.pattern)) for region in searched]
        assert len(set(patterns)) == len(patterns)
        assert set(patterns) == {tuple(map(int, row)) for row in case.complex.patterns}


def test_network_with_a_skip_connection():
    """Second stage W relu(U x) + V x, integers, as a DAG; against the search, as the splitter knows only layers."""
    rng = np.random.default_rng(3)
    first, second, skip = (rng.integers(-2, 3, size).astype(float) for size in ((4, 2), (4, 4), (4, 2)))
    nodes = [
        pr.AffineNode(((0, first),), np.array([0.0, 1, -1, 0])),
        pr.HingeNode(1, np.zeros(4), np.ones(4)),
        pr.AffineNode(((2, second), (0, skip)), np.zeros(4)),
        pr.HingeNode(3, np.zeros(4), np.ones(4)),
        pr.AffineNode(((4, np.ones((1, 4))),), np.zeros(1)),
    ]
    net = pr.Network(2, nodes)
    for domain in (None, pr.Box(-3, 2)):
        found = pr.enumerate_regions(net, domain)
        searched = {tuple(region.pattern) for region in pr.search_regions(net, [0.1, 0.2], domain)}
        assert {tuple(row) for row in found.patterns} == searched and len(searched) > 8
        assert found.verify(replay=True).proven


# ---- trained networks -----------------------------------------------------------------------------------------------


def two_moons(rng, count=400):
    angle = rng.uniform(0, np.pi, count)
    label = np.arange(count) % 2
    x = np.where(label, 1 - np.cos(angle), np.cos(angle))
    y = np.where(label, 0.5 - np.sin(angle), np.sin(angle))
    return np.stack([x, y], axis=1) + rng.normal(scale=0.1, size=(count, 2)), label


def trained(widths, steps=200):
    """Layers of a classifier in single precision, trained with Adam on two moons."""
    points, label = two_moons(np.random.default_rng(0))
    torch.manual_seed(1)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # such small products wait for each other longer than they compute
    parts = []
    for m, n in zip(widths, widths[1:]):
        parts += [nn.Linear(m, n), nn.ReLU()]
    model = nn.Sequential(*parts[:-1])
    x, target = torch.tensor(points, dtype=torch.float32), torch.tensor(label)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), target)
        loss.backward()
        optimizer.step()
    torch.set_num_threads(threads)
    assert loss.item() < 0.3
    linear = [part for part in model if isinstance(part, nn.Linear)]
    return [(p.weight.detach().double().numpy(), p.bias.detach().double().numpy()) for p in linear]


@pytest.fixture(scope="module")
def moons():
    return trained((2, 16, 16, 2))


@pytest.mark.parametrize("change", ["as trained", "pruned", "rounded", "repeated"])
def test_trained_network(moons, change):
    layers = [(W.copy(), b.copy()) for W, b in moons]
    if change == "pruned":
        layers = [(np.where(np.abs(W) < np.median(np.abs(W)), 0, W), b) for W, b in layers]
    if change == "rounded":
        layers = [(np.round(W * 4) / 4, np.round(b * 4) / 4) for W, b in layers]
    if change == "repeated":  # every unit twice, the copy negated
        W, b = layers[0]
        layers[0] = np.vstack([W, -W]), np.append(b, -b)
        layers[1] = np.hstack([layers[1][0], layers[1][0]]), layers[1][1]
    for bounds in (None, (np.array([-1.5, -1.0]), np.array([2.5, 1.5]))):
        case = Case(layers, bounds=bounds)
        assert_same_regions(case)
        assert len(case.complex) > 30 and case.complex.verify().proven


def test_trained_network_with_three_hidden_layers():
    case = Case(trained((2, 10, 7, 5, 2), 150), bounds=(np.array([-1.5, -1.0]), np.array([2.5, 1.5])))
    assert_same_regions(case)
    searched = pr.search_regions(case.network, [0.5, 0.25], case.domain)
    assert {tuple(region.pattern) for region in searched} == {tuple(row) for row in case.complex.patterns}


def test_net_of_the_oracle_is_the_network():
    case = cell_cases.case("leaky", 2)
    assert isinstance(case.oracle, Net) and case.slope
    x = np.array([0.3, -0.2, 0.7][: case.dim])
    assert [float(v) for v in case.oracle.forward(x.tolist())[1]] == pytest.approx(case.network(x).tolist())
