"""Equal affine maps joined, and decision boundaries, against the exact cells."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import cell_cases
import exact_complex
import numpy as np
import pytest
from agree import engine_net
from cell_cases import Case
from exact_lp import Point, dot, rank, solve
from oracle import Form

import pyregions as pr

Tile = frozenset[tuple[Fraction, ...]]  # a piece, by its exact vertices


def exact_cells(case: Case) -> list[exact_complex.Cell]:
    cells = exact_complex.cells(case.leaves, case.oracle, case.domain_rows)
    return [cells[tuple(map(int, row))] for row in case.complex.patterns]


# ---- equal maps -----------------------------------------------------------------------------------------------------


def parts(case: Case, cells: list[exact_complex.Cell], adjacent_only: bool) -> list[int]:
    """The part of every region by the definition: equal exact maps, joined across facets or anywhere."""
    maps = [tuple((*a, c) for a, c in cell.leaf.outputs) for cell in cells]
    if not adjacent_only:
        return [list(dict.fromkeys(maps)).index(m) for m in maps]
    labels, count = [-1] * len(cells), 0
    for k in range(len(cells)):
        if labels[k] >= 0:
            continue
        labels[k], todo = count, [k]
        for i in todo:
            for pattern in cells[i].across:
                j = -1 if pattern is None else case.complex.index_of(pattern)
                if j >= 0 and labels[j] < 0 and maps[j] == maps[k]:
                    labels[j] = count
                    todo.append(j)
        count += 1
    return labels


def hull_area(points: list[tuple[Fraction, ...]]) -> Fraction:
    """Of the convex hull of points in the plane, by the monotone chain."""

    def chain(ordered: list[tuple[Fraction, ...]]) -> list[tuple[Fraction, ...]]:
        out: list[tuple[Fraction, ...]] = []
        for p in ordered:
            while len(out) > 1 and cross(out[-2], out[-1], p) <= 0:
                out.pop()
            out.append(p)
        return out[:-1]

    def cross(o, p, q):
        return (p[0] - o[0]) * (q[1] - o[1]) - (p[1] - o[1]) * (q[0] - o[0])

    ordered = sorted(set(points))
    hull = chain(ordered) + chain(ordered[::-1])
    return abs(sum((p[0] * q[1] - p[1] * q[0] for p, q in zip(hull, hull[1:] + hull[:1])), Fraction(0))) / 2


@pytest.mark.parametrize("kind", ["integers", "pruned", "twins", "chained", "dead", "parallel", "leaky"])
def test_equal_maps(kind):
    """The parts, joined across facets or anywhere."""
    joined = 0
    for seed in range(100, 110):
        case = cell_cases.case(kind, seed, dim=1 + seed % 3)
        cells = exact_cells(case)
        for adjacent_only in (True, False):
            found = case.complex.merge_equal_maps(adjacent_only)
            assert found.labels.tolist() == parts(case, cells, adjacent_only)
            check_convexity(case, cells, found)
            joined += len(cells) - len(found)
    assert joined or kind == "leaky"  # slopes never vanish there


def check_convexity(case: Case, cells: list[exact_complex.Cell], found: pr.linear_regions.LinearRegions) -> None:
    """A part of a bounded domain in the plane is convex iff its hull has its own area."""
    assert found.sizes.tolist() == np.bincount(found.labels).tolist() and len(found) == len(found.sizes)
    assert found.convex[found.sizes == 1].all()
    if case.dim != 2 or not all(cell.bounded for cell in cells):
        return
    for label in range(len(found)):
        members = [cell for cell, other in zip(cells, found.labels) if other == label]
        area = hull_area([tuple(v) for cell in members for v in cell.vertices])
        assert found.convex[label] == (area == sum(cell.volume for cell in members))


def test_equal_maps_with_known_shapes():
    """f = relu(min(x, y)): zero on an L of regions, which is not convex, and x or y on one triangle each."""
    # min(x, y) = x - relu(x - y), in pieces: u = relu(x) - relu(-x) and so on.
    first = np.array([[1.0, 0], [-1, 0], [1, -1]])
    net = engine_net([(first, np.zeros(3)), ([[1.0, -1, -1]], [0.0]), ([[1.0]], [0.0])])
    for domain in (None, pr.Box(-1, 1)):
        found = pr.enumerate_regions(net, domain)
        merged = found.merge_equal_maps()
        assert len(merged) == 3 and sorted(merged.convex) == [False, True, True]
        zero = merged.labels[found.find([-0.5, 0.25])]
        assert not merged.convex[zero] and merged.sizes.sum() == len(found)
        assert merged.labels[found.find([0.5, -0.25])] == zero
        assert "1 not convex" in repr(merged)
    linear = engine_net([([[1.0], [-1.0], [2.0], [-2.0]], [0.0] * 4), ([[1.0, -1.0, 0.5, -0.5]], [0.0])])
    merged = pr.enumerate_regions(linear).merge_equal_maps()
    assert merged.sizes.tolist() == [2] and merged.convex.tolist() == [True]


def test_equal_maps_apart():
    """A hat is zero on both sides: two parts across facets, one in all, and that is not convex."""
    hat = engine_net([([[1.0], [1.0], [1.0]], [0.0, -1.0, -2.0]), ([[1.0, -2.0, 1.0]], [0.0])])
    found = pr.enumerate_regions(hat)
    assert len(found) == len(found.merge_equal_maps()) == 4 and found.merge_equal_maps().convex.all()
    merged = found.merge_equal_maps(adjacent_only=False)
    assert sorted(zip(merged.sizes, merged.convex)) == [(1, True), (1, True), (2, False)]


def test_maps_that_differ_by_rounding_only_are_not_equal():
    """0.1 + 0.2 and 0.3 are two slopes."""
    net = engine_net([([[1.0], [1.0]], [0.0, -1.0]), ([[0.1 + 0.2, 0.3 - (0.1 + 0.2)]], [0.0])])
    twice = engine_net([([[1.0], [1.0]], [0.0, -1.0]), ([[0.25, 0.0]], [0.0])])
    assert len(pr.enumerate_regions(net, pr.Box(0, 2)).merge_equal_maps()) == 2
    assert len(pr.enumerate_regions(twice, pr.Box(0, 2)).merge_equal_maps()) == 1


def test_affine_maps_of_all_regions():
    case = cell_cases.case("floats", 2, 2)
    W, c = case.complex.affine_maps()
    for k, row in enumerate(case.complex.patterns):
        outputs = case.oracle.compose(row)[2]
        assert W[k] == pytest.approx(np.array([[float(v) for v in a] for a, _ in outputs]), rel=1e-9, abs=1e-9)
        assert c[k] == pytest.approx(np.array([float(v) for _, v in outputs]), rel=1e-9, abs=1e-9)


# ---- decision boundaries --------------------------------------------------------------------------------------------


def tie(cell: exact_complex.Cell, forms: list[Form], i: int, j: int) -> Tile | None:
    """The vertices of the part of a bounded region where output i equals j and no other exceeds them; None if it is not
    of dimension d - 1 or lies on the domain's boundary."""
    a, c = [p - q for p, q in zip(forms[i][0], forms[j][0])], forms[i][1] - forms[j][1]
    if not any(a):
        return None
    rows = [([Fraction(v) for v in k[:-1]], Fraction(k[-1])) for k in cell.facets]
    others = [form for k, form in enumerate(forms) if k not in (i, j)]
    rows += [([p - q for p, q in zip(g, forms[i][0])], forms[i][1] - h) for g, h in others]
    found: dict[tuple[Fraction, ...], Point] = {}
    for chosen in combinations(range(len(rows)), cell.dim - 1):
        x = solve([a, *(rows[k][0] for k in chosen)], [-c, *(rows[k][1] for k in chosen)])
        if x is not None and all(dot(g, x) <= h for g, h in rows):
            found[tuple(x)] = x
    if not found or affine_rank(list(found)) < cell.dim - 1:
        return None
    edges = [k for k, across in zip(cell.facets, cell.across) if across is None]
    if any(all(dot(k[:-1], x) == k[-1] for x in found) for k in edges):
        return None
    return frozenset(found)


def affine_rank(points: list[tuple[Fraction, ...]]) -> int:
    return rank([p - q for p, q in zip(x, points[0])] for x in points[1:]) if points else -1


def exact_tiles(case: Case, classes: list[int]) -> dict[Tile, set[tuple[int, int]]]:
    """All pieces, each once, with the pairs of classes that tie there."""
    out: dict[Tile, set[tuple[int, int]]] = {}
    for cell in exact_cells(case):
        forms = [cell.leaf.outputs[k] for k in classes]
        if len(cell.leaf.outputs) == 1:
            forms.append(([Fraction(0)] * case.dim, Fraction(0)))
        for i, j in combinations(range(len(forms)), 2):
            tile = tie(cell, forms, i, j)
            if tile is not None:
                out.setdefault(tile, set()).add((0, 0) if len(classes) == 1 else (classes[i], classes[j]))
    return out


def match(found: pr.complex.BoundaryPieces, tiles: list[Tile]) -> list[int]:
    """For every stated piece the exact one with the same vertices, up to 2^-30 of their size."""
    out, corners = [], [np.array([list(map(float, x)) for x in tile]) for tile in tiles]
    for vertices in found.vertices:
        size = 2.0**-30 * (1 + np.abs(vertices).max())
        gaps = [np.abs(points[:, None] - vertices).max(axis=2) for points in corners]
        near = [
            k
            for k, gap in enumerate(gaps)
            if gap.shape[0] == gap.shape[1] and max(gap.min(axis=0).max(), gap.min(axis=1).max()) < size
        ]
        assert len(near) == 1
        out.append(near[0])
    return out


def outputs_for(rng, kind, dim, count):
    """A small network of the kind with so many outputs."""
    layers = cell_cases.KINDS[kind](rng, dim)
    W, b = layers[-1]
    layers[-1] = rng.integers(-2, 3, (count, W.shape[1])).astype(float), rng.integers(-2, 3, count).astype(float)
    return layers


@pytest.mark.parametrize("kind", ["floats", "integers", "pruned", "twins", "unbiased", "chained", "leaky"])
@pytest.mark.parametrize("outputs", [1, 2, 3])
def test_decision_boundary(kind, outputs):
    """Every piece once, of the right classes, in a region that holds it, with the pieces beside it. Where outputs tie
    on a whole region, as they often do here, the facets around it are pieces, unless another output is larger."""
    total = 0
    for seed in range(8):
        rng = np.random.default_rng([outputs, seed])
        dim = (1, 2, 2, 3)[seed % 4]
        bounds = (np.full(dim, -2.0), np.full(dim, 3.0))
        case = Case(outputs_for(rng, kind, dim, outputs), 0.25 if kind == "leaky" else 0.0, bounds)
        if len(case.leaves) > 24:
            continue
        expected = exact_tiles(case, list(range(outputs)))
        check_pieces(case, case.complex.decision_boundary(), expected)
        total += len(expected)
    assert total


def check_pieces(case: Case, found: pr.complex.BoundaryPieces, expected: dict[Tile, set[tuple[int, int]]]) -> None:
    tiles = list(expected)
    assert len(found) == len(tiles)
    order = match(found, tiles)
    assert sorted(order) == list(range(len(tiles))) and not any(len(rays) for rays in found.rays)
    for k, region, pair in zip(order, found.regions, found.classes.tolist()):
        assert tuple(pair) in expected[tiles[k]]
        x = [sum(column) / len(tiles[k]) for column in zip(*tiles[k])]
        assert cell_holds(case, int(region), x)
    beside = {
        tuple(sorted((p, q)))
        for p, q in combinations(range(len(tiles)), 2)
        if case.dim > 1 and affine_rank(list(tiles[order[p]] & tiles[order[q]])) == case.dim - 2
    }
    assert {tuple(pair) for pair in found.adjacency.tolist()} == beside


def cell_holds(case: Case, region: int, x: Point) -> bool:
    pattern = tuple(map(int, case.complex.patterns[region]))
    leaf = next(leaf for leaf in case.leaves if leaf.pattern == pattern)
    return all(dot(k[:-1], x) <= k[-1] for k in leaf.keys)


@pytest.mark.parametrize("classes", [[0, 1], [3, 1], [0, 2, 3], None])
def test_decision_boundary_of_some_classes(classes):
    """Of four; with all four the pieces may be cut further, so that only their length is compared."""
    total = 0.0
    for seed in range(6):
        rng = np.random.default_rng(seed)
        case = Case(cell_cases.draw(rng, [2, 4, 3, 4]), bounds=(np.full(2, -2.0), np.full(2, 3.0)))
        expected = exact_tiles(case, sorted(classes or range(4)))
        found = case.complex.decision_boundary(classes)
        if classes is not None:
            check_pieces(case, found, expected)
        length = sum(float(np.linalg.norm(piece[1] - piece[0])) for piece in found.vertices)
        tiles = [np.array([list(map(float, x)) for x in tile]) for tile in expected]
        assert length == pytest.approx(sum(float(np.linalg.norm(tile[1] - tile[0])) for tile in tiles), rel=1e-9)
        total += length
    assert total > 1


def test_decision_boundary_in_the_plane():
    """|x| + |y| = 1 in all of R^2: a square of four pieces in a ring; |x| - |y| = 0: four half-lines that meet in 0."""
    fold = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])
    diamond = pr.enumerate_regions(engine_net([(fold, np.zeros(4)), ([[1.0] * 4], [-1.0])])).decision_boundary()
    assert len(diamond) == 4 and sorted(diamond.adjacency.ravel()) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert {tuple(x) for piece in diamond.vertices for x in piece.tolist()} == {(1, 0), (-1, 0), (0, 1), (0, -1)}
    assert diamond.classes.tolist() == [[0, 0]] * 4 and "4 pieces" in repr(diamond)
    cross = pr.enumerate_regions(engine_net([(fold, np.zeros(4)), ([[1.0, 1, -1, -1]], [0.0])])).decision_boundary()
    assert len(cross) == 4 and len(cross.adjacency) == 6  # all four meet in the origin
    assert all(piece.tolist() == [[0, 0]] for piece in cross.vertices)
    assert {tuple(np.sign(ray)) for rays in cross.rays for ray in rays.tolist()} == {(1, 1), (1, -1), (-1, 1), (-1, -1)}


def test_decision_boundary_along_facets():
    """Outputs relu(x) - relu(-x) and 0 tie on the hyperplane of the units itself."""
    net = engine_net([([[1.0, 0], [-1, 0], [0, 1]], [0.0, 0, 0]), ([[1.0, -1, 0], [0.0, 0, 0]], [0.0, 0])])
    found = pr.enumerate_regions(net, pr.Box(-1, 1)).decision_boundary()
    assert len(found) == 2 and found.classes.tolist() == [[0, 1]] * 2 and found.adjacency.tolist() == [[0, 1]]
    assert all((piece[:, 0] == 0).all() for piece in found.vertices)


def test_decision_boundary_beside_a_region_of_ties():
    """relu(x) and min(x, 0) are 0 on one side of x = 0 and not on the other: one piece, whichever side comes first."""
    relu = engine_net([([[1.0]], [0.0]), ([[1.0]], [0.0])])
    least = engine_net([([[1.0], [1.0]], [10.0, 0.0]), ([[1.0, -1.0]], [-10.0])])
    found = [pr.enumerate_regions(net, pr.Box(-5, 5)).decision_boundary() for net in (relu, least)]
    assert [len(pieces) for pieces in found] == [1, 1]


def test_wrong_classes():
    found = pr.enumerate_regions(engine_net([(np.eye(2), [0.0, 0]), (np.eye(2), [0.0, 0])]))
    for classes in ([0], [0, 0], [0, 2], [-1, 0], []):
        with pytest.raises(ValueError, match="classes must be at least two distinct outputs among 0 to 1"):
            found.decision_boundary(classes)
