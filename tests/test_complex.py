"""What a RegionComplex says of its regions: facets, neighbors, vertices, rays, faces and volumes, against Fractions."""

from __future__ import annotations

from fractions import Fraction

import cell_cases
import exact_complex
import numpy as np
import pytest
from cell_cases import Case
from exact_lp import Key, dot, primitive
from oracle import Cell, Net

SMALL = 18  # regions: the exact faces and volumes take up to a hundredth of a second for each


def small(kind: str, seeds: range, domain: str | None = None, dims: tuple[int, ...] = (1, 2, 3)) -> list[Case]:
    cases = [cell_cases.case(kind, seed, dims[seed % len(dims)], domain) for seed in seeds]
    return [case for case in cases if len(case.leaves) <= SMALL]


def exact(case: Case) -> list[exact_complex.Cell]:
    """The exact cells in the order of the complex."""
    cells = exact_complex.cells(case.leaves, case.oracle, case.domain_rows)
    return [cells[tuple(map(int, row))] for row in case.complex.patterns]


def fractions(x: np.ndarray) -> list[Fraction]:
    return [Fraction(v) for v in x.tolist()]


def facet_key(case: Case, region: int, facet: int) -> Key | None:
    """The row of a facet as the primitive key of a.x <= b, from the unit or the row of the domain that it names."""
    structure = case.complex.structure
    unit, row = int(structure.facet_unit[facet]), int(structure.facet_domain_row[facet])
    assert (unit < 0) != (row < 0)
    if unit < 0:
        _, a, b = case.domain_rows[row]
        return primitive(list(map(Fraction, a)), Fraction(b))
    pattern = case.complex.patterns[region]
    a, c = case.oracle.compose(pattern)[1][unit]
    sign = -1 if pattern[unit] else 1
    return primitive([sign * v for v in a], -sign * c)


def volume_of(structure: object, region: int) -> tuple[float, float]:
    return float(structure.volumes[region]), float(structure.volume_errors[region])


# ---- facets and neighbors -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", cell_cases.KINDS)
def test_facets_and_neighbors(kind):
    for case in small(kind, range(12), dims=(1, 2, 3, 4)):
        found, cells = case.complex, exact(case)
        structure = found.structure
        for k, cell in enumerate(cells):
            own = range(structure.facet_offsets[k], structure.facet_offsets[k + 1])
            assert (structure.facet_region[list(own)] == k).all()
            keys = [facet_key(case, k, facet) for facet in own]
            assert len(set(keys)) == len(keys) and set(keys) == set(cell.facets)
            across = dict(zip(cell.facets, cell.across))
            for facet, key in zip(own, keys):
                other, partner = int(structure.facet_neighbor[facet]), int(structure.facet_partner[facet])
                if across[key] is None:
                    assert other == partner == -1 and structure.facet_domain_row[facet] >= 0
                    continue
                assert found.index_of(across[key]) == other >= 0
                assert structure.facet_partner[partner] == facet and structure.facet_region[partner] == other
            assert found[k].neighbors == [found.index_of(p) for key in keys if (p := across[key]) is not None]


@pytest.mark.parametrize("kind", ["twins", "chained", "integers", "leaky"])
def test_labels_of_facets(kind):
    """All units that vanish on the facet but not on the region, as the engine for single regions names them."""
    for case in small(kind, range(20, 28)):
        structure = case.complex.structure
        for k, item in enumerate(case.complex):
            own = range(structure.facet_offsets[k], structure.facet_offsets[k + 1])
            inside = {frozenset(structure.labels_of(f)) for f in own if structure.facet_unit[f] >= 0}
            assert inside == {frozenset(f.labels) for f in item.facets if not f.on_domain}


def test_dual_graph_and_adjacency():
    case = cell_cases.case("floats", 2, 2, "box")
    found = case.complex
    graph, matrix = found.dual_graph(), found.adjacency()
    pairs = {tuple(map(int, pair)) for pair in found.structure.edges}
    assert len(pairs) == len(found.structure.edges) > 10 and all(a < b for a, b in pairs)
    assert {tuple(sorted(edge)) for edge in graph.edges} == pairs and set(graph.nodes) == set(range(len(found)))
    assert matrix.shape == (len(found), len(found)) and matrix.nnz == 2 * len(pairs)
    assert (matrix != matrix.T).nnz == 0 and all(matrix[a, b] for a, b in pairs)
    for a, b, labels in graph.edges(data="labels"):
        changed = {u for u in range(case.network.units) if found.pattern(a)[u] != found.pattern(b)[u]}
        starts = np.cumsum([0, *case.network.stage_widths])
        assert labels and {int(starts[label.stage]) + label.unit for label in labels} <= changed


# ---- vertices, rays, faces, volumes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", cell_cases.KINDS)
def test_vertices_and_rays(kind):
    for case in small(kind, range(30, 37)):
        found, structure = case.complex, case.complex.structure
        for k, cell in enumerate(exact(case)):
            own = slice(structure.vertex_offsets[k], structure.vertex_offsets[k + 1])
            points, far, errors = structure.vertices[own], structure.far[own], structure.vertex_errors[own]
            assert (found[k].vertices == points[~far]).all() and (found[k].rays == points[far]).all()
            assert bool(found.bounded[k]) == cell.bounded == (not far.any())
            assert cell.pointed or far.all()
            if cell.pointed:
                check_vertices(case, k, cell)
            check_rays(cell, points[far], errors[far])


def check_vertices(case: Case, region: int, cell: exact_complex.Cell) -> None:
    """The vertices, each known by the facets it is stated to lie on, within their errors of the exact ones."""
    structure = case.complex.structure
    start, end = structure.vertex_offsets[region : region + 2]
    on: list[set[Key | None]] = [set() for _ in range(start, end)]
    for facet in range(structure.facet_offsets[region], structure.facet_offsets[region + 1]):
        for k in structure.incidence[structure.incidence_offsets[facet] : structure.incidence_offsets[facet + 1]]:
            on[k].add(facet_key(case, region, facet))
    expected = {frozenset(key for key in cell.facets if cell.on(key, tuple(v))): v for v in cell.vertices}
    stated = {frozenset(keys): k for k, keys in enumerate(on, start) if not structure.far[k]}
    assert set(stated) == set(expected) and len(expected) == (~structure.far[start:end]).sum()
    for keys, k in stated.items():
        error, x = Fraction(float(structure.vertex_errors[k])), fractions(structure.vertices[k])
        assert all(abs(p - q) <= error for p, q in zip(x, expected[keys]))
        assert error <= Fraction(1, 2**20) * max(1, *map(abs, x))  # ill-conditioned ones lose half of the digits
        for key in cell.facets:  # so the rows hold up to the error
            assert key[-1] - dot(key[:-1], x) >= -error * sum(map(abs, key[:-1]))


def check_rays(cell: exact_complex.Cell, rays: np.ndarray, errors: np.ndarray) -> None:
    """Every direction recedes, up to its error, and the extreme ones are among them."""
    sizes = [max(map(abs, fractions(u))) for u in rays]
    for u, size, error in zip(rays, sizes, map(Fraction, errors.tolist())):
        assert size > 2 * error
        for key in cell.facets:
            assert dot(key[:-1], fractions(u)) <= error * sum(map(abs, key[:-1]))
    for extreme in cell.rays if cell.pointed else []:
        longest = max(map(abs, extreme))
        assert any(
            all(abs(p - q * size / longest) <= 2 * Fraction(float(error)) for p, q in zip(fractions(u), extreme))
            for u, size, error in zip(rays, sizes, errors)
        )


@pytest.mark.parametrize("kind", cell_cases.KINDS)
def test_faces_of_the_complex(kind):
    """Faces counted once each, by their vertices and rays, where every region has a vertex."""
    checked = 0
    for case in small(kind, range(50, 56)):
        cells = exact(case)
        f = case.complex.f_vector()
        assert len(f) == case.dim + 1 and f[-1] == len(cells)
        assert len(case.complex.structure.edges) + (case.complex.structure.facet_unit < 0).sum() == f[-2]
        if all(cell.pointed for cell in cells):
            faces = {face: dim for cell in cells for face, dim in cell.faces.items()}
            assert f == tuple(np.bincount(list(faces.values()), minlength=case.dim + 1))
            ids = case.complex.structure.vertex_id
            assert len(np.unique(ids[~case.complex.structure.far])) == f[0]
            checked += 1
    assert checked


def euler_of(case: Case) -> int:
    """The sum of (-1)^dim over open faces that make up a closed polyhedron R^l x Q, Q pointed: (-1)^l, or 0 where Q is
    unbounded."""
    whole = Cell(Net([([[Fraction(0)] * case.dim], [Fraction(0)])]), [], case.domain_rows)
    return (-1) ** (case.dim - whole.rank()) if whole.bounded_modulo_lineality() else 0


@pytest.mark.parametrize("kind", cell_cases.KINDS)
def test_euler_sums(kind):
    for seed in range(20):
        case = cell_cases.case(kind, seed)
        assert sum((-1) ** k * n for k, n in enumerate(case.complex.f_vector())) == euler_of(case)


def test_euler_sums_that_are_known():
    for kind in ("floats", "unbiased", "dead"):
        for dim in (1, 2, 3, 4):
            cases = [cell_cases.case(kind, 3, dim, domain) for domain in ("all", "box")]
            assert [euler_of(case) for case in cases] == [(-1) ** dim, 1]


@pytest.mark.parametrize("kind", cell_cases.KINDS)
def test_volumes(kind):
    for case in small(kind, range(60, 68)):
        structure = case.complex.structure
        for k, cell in enumerate(exact(case)):
            value, error = volume_of(structure, k)
            assert case.complex[k].volume == value == case.complex.volumes[k]
            if not cell.bounded:
                assert value == np.inf
                continue
            exact_volume = cell.volume
            assert abs(Fraction(value) - exact_volume) <= Fraction(error)
            # The bound means something: dozens of products of differences of rounded vertices.
            extent = max(abs(v) for x in cell.vertices for v in x) + 1
            assert Fraction(error) <= Fraction(1, 2**30) * extent**case.dim
