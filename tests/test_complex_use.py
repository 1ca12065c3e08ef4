"""A RegionComplex in use: its regions and points, domains of all kinds, wrong arguments, and what a proof refuses."""

from __future__ import annotations

from fractions import Fraction

import cell_cases
import numpy as np
import oracle
import pytest
import splitter
from agree import engine_net
from cell_cases import Case, net_of, packed

import pyregions as pr


@pytest.fixture(scope="module")
def net():
    return net_of((3, 12, 10, 2))


@pytest.fixture(scope="module")
def whole(net):
    return pr.enumerate_regions(net, pr.Box(-2, 2))


def assert_all_regions(case: Case) -> None:
    assert {tuple(map(int, row)) for row in case.complex.patterns} == {leaf.pattern for leaf in case.leaves}
    assert len(case.complex) == len(case.leaves)


# ---- one region, one point ------------------------------------------------------------------------------------------


def test_sequence(whole):
    assert [region.index for region in whole[:3]] == [0, 1, 2] and whole[-1].index == len(whole) - 1
    assert sum(1 for _ in whole) == len(whole) and (whole[5].pattern == whole.patterns[5]).all()
    assert (whole[5].witness == whole.witnesses[5]).all() and whole[5].is_bounded
    with pytest.raises(IndexError):
        whole[len(whole)]
    region = whole[7].region
    assert (region.pattern == whole[7].pattern).all() and len(whole[7].facets) == len(region.facets)
    assert repr(whole[7]) == f"ComplexRegion(7 of {len(whole)}, bounded)" and whole[7].chebyshev.radius > 0
    assert len(whole.regions(("facets",))) == len(whole) == len(whole.chebyshev_radii())


@pytest.mark.parametrize("kind", cell_cases.KINDS)
def test_find(kind):
    """Witnesses, and lattice points, which often lie on hyperplanes: decided exactly, by the same rule for ties."""
    on_boundary = 0
    for seed in range(20):
        case = cell_cases.case(kind, seed)
        found, net = case.complex, case.oracle
        finite = np.isfinite(found.witnesses).all(axis=1)
        assert (found.find(found.witnesses[finite]) == np.flatnonzero(finite)).all()
        rng = np.random.default_rng(seed)
        for x in [*(rng.integers(-2, 3, (6, case.dim)) / 2), *rng.normal(size=(3, case.dim))]:
            inside = all(oracle.dot(a, map(Fraction, x.tolist())) <= b for _, a, b in case.domain_rows)
            if not inside:
                with pytest.raises(pr.OutsideDomainError):
                    found.find(x)
                continue
            ties = net.ties([Fraction(v) for v in x.tolist()])
            if not ties:
                assert found.patterns[found.find(x)].tolist() == net.pattern(x.tolist())
                continue
            on_boundary += 1
            with pytest.raises(pr.OnBoundaryError):
                found.find(x)
            k = found.find(x, tie="any")
            leaf = next(leaf for leaf in case.leaves if list(leaf.pattern) == found.patterns[k].tolist())
            assert all(oracle.dot(key[:-1], map(Fraction, x.tolist())) <= key[-1] for key in leaf.keys)
            assert (case.network.region(x, domain=case.domain, tie="any").pattern == found.patterns[k]).all()
    assert on_boundary or kind in ("floats", "tiny", "huge", "mixed")


def test_find_in_an_incomplete_complex(net, whole):
    part = pr.enumerate_regions(net, pr.Box(-2, 2), max_regions=50)
    where = part.find(whole.witnesses)
    known = {bytes(row): k for k, row in enumerate(part.packed_patterns)}
    assert where.tolist() == [known.get(bytes(row), -1) for row in whole.packed_patterns]
    assert part.structure.regions == len(part) and (part.structure.facet_neighbor < len(part)).all()
    with pytest.raises(pr.VerificationError, match="open"):
        part.verify()
    with pytest.raises(ValueError, match="incomplete"):
        part.decision_boundary()


def test_index_of(whole):
    assert [whole.index_of(row) for row in whole.patterns[:20]] == list(range(20))
    assert whole.index_of(1 - whole.patterns[0]) in (-1, *range(len(whole)))
    with pytest.raises(ValueError, match="pattern has shape"):
        whole.index_of([0, 1])


# ---- domains --------------------------------------------------------------------------------------------------------


def polygon(sides):
    """Tangents of the unit circle, rounded: rows A x <= 1."""
    angle = 2 * np.pi * np.arange(sides) / sides
    return np.stack([np.cos(angle), np.sin(angle)], axis=1), np.ones(sides)


@pytest.mark.parametrize("sides", [3, 63, 64, 65, 200])
def test_polygons_with_many_sides(sides):
    """More facets than bits in a word, and a network inside."""
    case = Case(cell_cases.draw(np.random.default_rng(1), [2, 5, 3, 1]), rows=polygon(sides))
    found = case.complex
    assert_all_regions(case)
    rows = found.structure.facet_domain_row
    assert set(rows[rows >= 0]) == set(range(sides)) and found.bounded.all()
    area = sides * np.tan(np.pi / sides)
    assert found.volumes.sum() == pytest.approx(area, rel=1e-9)
    f = found.f_vector()
    assert f[0] - f[1] + f[2] == 1 and found.verify().proven


def test_polytope_with_many_facets_in_space():
    """120 tangent planes of the unit sphere."""
    A = np.random.default_rng(2).normal(size=(120, 3))
    A /= np.linalg.norm(A, axis=1, keepdims=True)
    case = Case(cell_cases.draw(np.random.default_rng(3), [3, 4, 3, 1]), rows=(A, np.ones(120)))
    assert_all_regions(case)
    assert case.complex.verify().proven and case.complex.f_vector()[3] == len(case.leaves)


def test_redundant_and_touching_rows():
    """Rows that are copies, multiples, weaker, or meet the domain in a vertex or an edge only, are no facets."""
    A = np.array([[-1.0, 0], [0, -1], [1, 1], [1, 1], [2, 2], [1, 0], [0, 1], [1, -1], [-1, -1], [1, 2]])
    b = np.array([0.0, 0, 1, 5, 2, 1, 1, 1, 0, 7])
    first = np.array([[1.0, -1.0], [2.0, 0.0], [1.0, 1.0]]), np.array([0.0, -1.0, -1.0])
    case = Case([first, (np.ones((1, 3)), np.zeros(1))], rows=(A, b))
    found, plain = case.complex, pr.enumerate_regions(case.network, pr.Polyhedron(A[:3], b[:3]))
    assert_all_regions(case)
    assert packed(found) == packed(plain) and found.f_vector() == plain.f_vector()
    assert found.volumes.sum() == pytest.approx(0.5, rel=1e-14) and found.verify().proven
    rows = set(found.structure.facet_domain_row) - {-1}
    assert {0, 1} <= rows <= {0, 1, 2, 4} and len(rows) == 3


def test_cut_box_and_open_sides():
    layers = cell_cases.draw(np.random.default_rng(8), [3, 5, 4, 1], 2)
    lower, upper = np.array([-np.inf, -1.0, 0.0]), np.array([2.0, np.inf, 1.0])
    case = Case(layers, bounds=(lower, upper), rows=(np.array([[1.0, 1.0, 1.0]]), np.array([1.5])))
    assert_all_regions(case)
    assert case.complex.verify().proven and not case.complex.bounded.all()


def test_regions_of_a_needle():
    """A domain 2^-60 wide, and one without vertices: a slab."""
    layers = cell_cases.draw(np.random.default_rng(9), [2, 6, 4, 1])
    needle = Case(layers, rows=(np.array([[1.0, 1], [-1, -1], [1, -1], [-1, 1]]), np.array([2.0**-60, 0, 3, 3])))
    slab = Case(layers, rows=(np.array([[1.0, 1], [-1, -1]]), np.array([1.0, 0])))
    for case in (needle, slab):
        assert_all_regions(case)
        assert case.complex.verify().proven and len(case.complex) > 5


# ---- wrong arguments ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [pr.enumerate_regions, pr.count_regions])
def test_wrong_arguments(call):
    net = net_of((2, 3, 1))
    for workers in (0, -1):
        with pytest.raises(ValueError, match="workers must be a whole number of at least 1"):
            call(net, workers=workers)
    with pytest.raises(TypeError, match="domain must be None, a Box or a Polyhedron"):
        call(net, (0, 1))
    with pytest.raises(ValueError, match="the box has 3 coordinates"):
        call(net, pr.Box([0, 0, 0], [1, 1, 1]))
    with pytest.raises(ValueError, match="the polyhedron has 1 coordinates"):
        call(net, pr.Polyhedron([[1.0]], [1.0]))
    with pytest.raises(pr.EmptyDomainError):
        call(net, pr.Polyhedron([[1.0, 0], [-1.0, 0]], [0.0, 0.0]))
    with pytest.raises(ValueError, match="9 inputs; all regions are enumerated for at most 8"):
        call(net_of((9, 3, 1)))


def test_wrong_limits(net, whole):
    for limit in (0, -3):
        with pytest.raises(ValueError, match="max_regions must be a whole number of at least 1"):
            pr.enumerate_regions(net, max_regions=limit)
        with pytest.raises(ValueError, match="max_regions must be a whole number of at least 1"):
            pr.search_regions(net, np.zeros(3), max_regions=limit)
    for seconds in (0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="time_limit must be a positive number of seconds"):
            pr.enumerate_regions(net, time_limit=seconds)
    with pytest.raises(ValueError, match="sample must be a whole number of at least 1"):
        whole.verify(sample=0)


def test_wrong_points(whole):
    with pytest.raises(ValueError, match="tie must be 'raise' or 'any'"):
        whole.find([0.1, 0.2, 0.3], tie="some")
    with pytest.raises(ValueError):
        whole.find([0.1, 0.2])
    with pytest.raises(ValueError):
        whole.find([0.1, 0.2, np.nan])
    with pytest.raises(pr.OutsideDomainError, match="point 1"):
        whole.find([[0.1, 0.2, 0.3], [9, 9, 9]])


def test_most_inputs_that_are_allowed():
    """Eight, by enumeration and by the splitter."""
    layers = cell_cases.draw(np.random.default_rng(0), [8, 5, 2, 1])
    found = pr.enumerate_regions(engine_net(layers), pr.Box(-1, 1))
    expected = splitter.patterns(layers, 0, oracle.box([-1.0] * 8, [1.0] * 8))
    assert {tuple(map(int, row)) for row in found.patterns} == expected


# ---- the proof ------------------------------------------------------------------------------------------------------


def test_proof(whole):
    proof = whole.verify()
    assert proof.proven and proof.regions == proof.examined == len(whole) and proof.euler == proof.euler_expected == 1
    assert abs(proof.volume - 64) <= proof.volume_error + 1e-9 and proof.domain_volume == 64
    assert proof.shared_facets == len(whole.structure.edges) and "proven by facet pairing" in str(proof)
    sampled = whole.verify(sample=10)
    assert not sampled.proven and sampled.examined == 10 and "not proven: 10 of" in str(sampled)


@pytest.mark.parametrize("missing", [0, 17, -1])
def test_proof_finds_a_missing_region(whole, missing):
    """Claimed complete with one region left out."""
    keep = np.delete(np.arange(len(whole)), missing)
    less = pr.RegionComplex(
        whole.network, whole.domain, whole._words[keep], whole.witnesses[keep], whole.bounded[keep], whole.open
    )
    with pytest.raises((pr.VerificationError, RuntimeError)):
        less.verify()


def test_proof_finds_a_region_twice_and_a_wrong_witness(whole):
    twice = np.append(np.arange(len(whole)), 3)
    swapped = np.arange(len(whole))
    swapped[[2, 3]] = 3, 2
    parts = (whole._words, whole.witnesses, whole.bounded)
    with pytest.raises(pr.VerificationError, match="distinct"):
        pr.RegionComplex(whole.network, whole.domain, *(a[twice] for a in parts), whole.open).verify()
    wrong = pr.RegionComplex(whole.network, whole.domain, parts[0], parts[1][swapped], parts[2], whole.open)
    with pytest.raises(pr.VerificationError, match="another region"):
        wrong.verify()
