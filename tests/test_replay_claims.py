"""False and circular claims built by hand are refused by the replay, true ones accepted; its arithmetic is rigorous."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linprog

import pyregions as pr
from pyregions.exact import AffineNode, Exact, ExactNetwork, HingeNode
from pyregions.replay_bounded import check_bounded
from pyregions.replay_facets import Implied, check_facets, check_groups, check_implied
from pyregions.replay_rows import BASIS, BOX, ENCLOSURE, PARALLEL, STAGE, Rows, enclose, highest, root_bounds
from pyregions.replay_values import ball_by_basis, ball_by_box, ball_by_stage
from pyregions.values import Boundedness

PARTS = ("chebyshev", "boundedness", "affine_map", "facets")


# ---- false and circular claims, built by hand


def polyhedron_rows(p):
    return Rows(ExactNetwork(p.dim, []), np.zeros(0, dtype=np.uint8), p._rows)


def refuse(rows, claim, reason, box=None):
    with pytest.raises(pr.VerificationError, match=reason):
        check_implied(rows, [claim], box, ["claim"])


def test_a_bound_does_not_imply_itself():
    rows = polyhedron_rows(pr.Polyhedron([[1.0]], [5.0], box=pr.Box(0, 1)))
    check_implied(rows, [Implied([2], BOX, -1, {})], None, ["claim"])  # x <= 5 follows from the box
    refuse(rows, Implied([1], BOX, -1, {}), "equality only")  # x <= 1 does not follow from the box x <= 1


def test_an_enclosure_must_be_strict():
    rows = polyhedron_rows(pr.Polyhedron([[1.0], [-1.0]], [1.0, 0.0]))
    box = (np.array([0.0]), np.array([1.0]))
    refuse(rows, Implied([0], ENCLOSURE, -1, {}), "equality only", box)  # the box itself rests on this row
    refuse(rows, Implied([0], ENCLOSURE, -1, {}), "no proven box")
    refuse(rows, Implied([0], BOX, -1, {}), "not bounded on the box")


def test_coincident_groups_do_not_remove_each_other():
    p = pr.Polyhedron([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]], [1.0, 2.0, 0.0])
    rows = polyhedron_rows(p)
    check_implied(rows, [Implied([0], BOX, -1, {1: Fraction(1, 2)})], None, ["claim"])  # true by itself
    with pytest.raises(pr.VerificationError, match="coincide with those of group 0"):
        check_groups(rows, [[0], [1]], [0, 1], Exact.of([[0.5, 0.0]]))
    check_groups(rows, [[0, 1], [2]], [0, 1], Exact.of([[0.5, 0.0]]))
    with pytest.raises(pr.VerificationError, match="does not coincide"):
        check_groups(rows, [[0, 2]], [0], Exact.of([[0.5, 0.0]]))


def duplicates():
    """Stage 0: x, x, y. Stage 1: a unit that depends on them."""
    nodes = [
        AffineNode(((0, np.array([[1.0, 0], [1, 0], [0, 1]])),), np.zeros(3)),
        HingeNode(1, np.zeros(3), np.ones(3)),
        AffineNode(((2, np.array([[1.0, 1, 1]])),), np.array([1.0])),
        HingeNode(3, np.zeros(1), np.ones(1)),
    ]
    domain = pr.Box(-np.inf, np.inf).resolve(2)
    return Rows(ExactNetwork(2, nodes), np.ones(4, dtype=np.uint8), domain)


def test_stage_proofs():
    rows = duplicates()  # all on: -x <= 0 twice, -y <= 0, -(2 x + y + 1) <= 0
    check_implied(rows, [Implied([3], STAGE, 0, {})], None, ["claim"])  # the deep row follows from the first stage
    refuse(rows, Implied([0], STAGE, 0, {}), "used to imply itself")
    refuse(rows, Implied([0, 1], STAGE, 0, {}), "used to imply itself")
    refuse(rows, Implied([2], STAGE, 0, {3: Fraction(1)}), "wrong sign|constant")
    refuse(rows, Implied([0], STAGE, 1, {}), "other than through the root")
    refuse(rows, Implied([3], STAGE, 7, {}), "claim")
    refuse(rows, Implied([3], STAGE, 0, {0: Fraction(-1)}), "negative")
    refuse(rows, Implied([3], STAGE, 0, {9: Fraction(1)}), "on no row")
    flipped = duplicates()
    flipped.pattern[:2], flipped.sides[:2] = 0, 1  # x off: the deep unit no longer sees it
    check_implied(flipped, [Implied([3], STAGE, 0, {})], None, ["claim"])


def test_a_coincident_pair_is_not_implied_by_its_own_copies():
    # h_0 = h_1 in stage 0: with weights 0.6 on each of the two, no single one reaches 1, but together they do.
    nodes = [
        AffineNode(((0, np.array([[1.0], [1.0]])),), np.zeros(2)),
        HingeNode(1, np.zeros(2), np.ones(2)),
        AffineNode(((2, np.array([[0.5, -0.5]])),), np.zeros(1)),
        HingeNode(3, np.zeros(1), np.ones(1)),
    ]
    rows = Rows(ExactNetwork(1, nodes), np.array([1, 1, 1], dtype=np.uint8), pr.Box(-np.inf, np.inf).resolve(1))
    refuse(rows, Implied([0, 1], STAGE, 0, {2: Fraction(1)}), "used to imply itself")


def test_rows_around_the_stage_are_refused():
    nodes = [
        AffineNode(((0, np.eye(1)),), np.zeros(1)),
        HingeNode(1, np.zeros(1), np.ones(1)),
        AffineNode(((2, np.eye(1)), (0, np.eye(1))), np.zeros(1)),  # a bypass
        HingeNode(3, np.zeros(1), np.ones(1)),
    ]
    rows = Rows(ExactNetwork(1, nodes), np.ones(2, dtype=np.uint8), pr.Box(-np.inf, np.inf).resolve(1))
    refuse(rows, Implied([1], STAGE, 0, {}), "other than through the root")


def test_basis_proofs():
    p = pr.Polyhedron([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 1.0], [3.0, 1e-9]], [1.0, 1.0, 3.0, 2.0, 3.0])
    rows = polyhedron_rows(p)
    half = {0: Fraction(1), 1: Fraction(1)}
    check_implied(rows, [Implied([2], BASIS, -1, half)], None, ["claim"])
    refuse(rows, Implied([3], BASIS, -1, half), "not below")  # a tie: it touches the corner
    refuse(rows, Implied([2], BASIS, -1, {0: Fraction(1), 4: Fraction(1)}), "not proven positive|not below")
    refuse(rows, Implied([2], BASIS, -1, {0: Fraction(1)}), "1 rows in 2 dimensions")
    refuse(rows, Implied([0], BASIS, -1, {2: Fraction(1), 3: Fraction(1)}), "singular|regular")


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", [BOX, BASIS])
def test_the_best_multipliers_prove_what_is_true_and_nothing_more(seed, kind):
    """A row moved by 1e-9 of the optimum across the others' reach: implied on one side, a facet on the other."""
    rng = np.random.default_rng(seed)
    A, b = rng.normal(size=(12, 4)), np.ones(12)
    c = rng.uniform(size=12) @ A  # bounded above, also without a box
    box = pr.Box(-2, 2) if kind == BOX else None
    found = linprog(-c, A_ub=A, b_ub=b, bounds=(-2, 2) if kind == BOX else (None, None), method="highs")
    assert found.success
    multipliers = {k: Fraction(float(v)) for k, v in enumerate(-found.ineqlin.marginals) if v > 0}
    for gap, true in ((1e-9, True), (-1e-9, False)):
        p = pr.Polyhedron(np.vstack([A, c]), np.append(b, -found.fun * (1 + gap)), box=box)
        rows = polyhedron_rows(p)
        shift = rows.general  # the box's rows come first
        claim = Implied([shift + 12], kind, -1, {shift + k: v for k, v in multipliers.items()})
        if true:
            check_implied(rows, [claim], None, ["claim"])
        else:
            refuse(rows, claim, "may be positive|not below")
        assert any(shift + 12 in facet.rows for facet in p.facets) == (not true)


def test_parallel_proofs():
    rows = polyhedron_rows(pr.Polyhedron([[1.0, 2.0], [3.0, 6.0], [2.0, 4.0], [-1.0, -2.0], [1.0, 2.5]], np.ones(5)))
    check_implied(rows, [Implied([0], PARALLEL, -1, {1: Fraction(1, 3)})], None, ["claim"])  # the true t is not stored
    refuse(rows, Implied([1], PARALLEL, -1, {0: Fraction(3)}), "not the tighter one")
    refuse(rows, Implied([0], PARALLEL, -1, {3: Fraction(1)}), "not parallel")
    refuse(rows, Implied([0], PARALLEL, -1, {4: Fraction(1)}), "not parallel")
    refuse(rows, Implied([0], PARALLEL, -1, {0: Fraction(1)}), "a row of the group itself")
    refuse(rows, Implied([0], PARALLEL, -1, {}), "expected one other row")
    same = polyhedron_rows(pr.Polyhedron([[1.0, 2.0], [2.0, 4.0]], [1.0, 2.0]))
    refuse(same, Implied([0], PARALLEL, -1, {1: Fraction(1, 2)}), "not the tighter one")  # coincident: one group


def test_facet_claims_need_every_row_of_the_group():
    rows = polyhedron_rows(pr.Polyhedron([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], [1.0, 2.0, 1.0]))
    check_facets(rows, [[0, 1]], np.array([[2.0, 0.0]]), [0])
    for group, point in (([0], [2.0, 0.0]), ([0, 1], [1.0, 0.0]), ([0, 1], [2.0, 2.0])):
        with pytest.raises(pr.VerificationError, match="facet 0"):
            check_facets(rows, [group], np.array([point]), [0])


# ---- boundedness and balls, claims built by hand


def answer(bounded=None, modulo=None, proof="", direction=(), multipliers=None):
    rows, values = list(multipliers or {}), list((multipliers or {}).values())
    raw = {"mul_rows": np.array(rows, dtype=np.int32), "mul_values": np.array(values, dtype=float)}
    raw |= {"exact": (0, {}), "line": [], "recession": []}
    nothing = np.zeros(0)
    return Boundedness(bounded, modulo, (0, 9), proof, np.array(direction, dtype=float), nothing, nothing, raw)


def one_layer(W, pattern, deep=None):
    W = np.asarray(W, dtype=float)
    nodes = [AffineNode(((0, W),), np.zeros(len(W))), HingeNode(1, np.zeros(len(W)), np.ones(len(W)))]
    if deep is not None:
        nodes += [AffineNode(((2, np.asarray(deep, dtype=float)),), np.ones(len(deep)))]
        nodes += [HingeNode(3, np.zeros(len(deep)), np.ones(len(deep)))]
    network = ExactNetwork(W.shape[1], nodes)
    return Rows(network, np.array(pattern, dtype=np.uint8), pr.Box(-np.inf, np.inf).resolve(W.shape[1]))


def test_unbounded_by_rank_or_by_a_unit_that_nothing_depends_on():
    missing = {}
    assert check_bounded(one_layer([[1.0, 1.0, 0]], [1]), answer(False, proof="dimension"), missing) is None
    with pytest.raises(pr.VerificationError, match="as many directions"):
        check_bounded(one_layer(np.eye(2), [1, 1]), answer(False, proof="dimension"), missing)
    slab = polyhedron_rows(pr.Polyhedron([[1.0, 2.0], [-3.0, -6.0], [0.5, 1.0]], np.ones(3)))
    check_bounded(slab, answer(False, proof="dimension"), missing)  # three rows, one direction
    free = answer(False, False, "free_unit")
    check_bounded(one_layer(np.eye(2), [1, 0, 1], [[1, 1]]), free, missing)
    check_bounded(one_layer([[1, 0], [0, 1], [0, 0]], [1, 0, 0, 1], [[1, 1, 1]]), free, missing)  # a constant unit
    with pytest.raises(pr.VerificationError, match="depend on every unit"):
        check_bounded(one_layer([[1, 0], [0, 0]], [1, 0, 1], [[1, 1]]), free, missing)
    with pytest.raises(pr.VerificationError, match="depend on every unit"):
        check_bounded(one_layer(np.eye(2), [1, 1, 1], [[1, 1]]), free, missing)
    with pytest.raises(pr.VerificationError, match="rank of the rows is not proven"):
        check_bounded(one_layer([[1, 2], [2, 4]], [1, 0, 1], [[1, 1]]), free, missing)
    along = answer(False, False, "direction", [0.0, 1.0])
    with pytest.raises(pr.VerificationError, match="lies in the lineality space"):
        check_bounded(one_layer([[1.0, 0.0]], [1]), along, missing)


def test_bounded_by_the_first_stage():
    # x, y >= 0 and x + y <= 1: -h_2 is 1 - x - y, so h_2 with weight 1 needs x and y with weight 1 each.
    rows = one_layer(np.eye(2), [1, 1, 0], [[1.0, 1.0]])
    claim = answer(True, True, "stage", multipliers={2: 1.0})
    check_bounded(rows, claim, {})
    check_bounded(rows, answer(None, True, multipliers={2: 1.0}), {})
    with pytest.raises(pr.VerificationError, match="no positive weight"):
        check_bounded(rows, answer(True, True, "stage"), {})
    with pytest.raises(pr.VerificationError, match="negative"):
        check_bounded(rows, answer(True, True, "stage", multipliers={2: -1.0}), {})
    with pytest.raises(pr.VerificationError, match="no positive weight"):
        check_bounded(one_layer(np.eye(2), [1, 1, 0], [[1.0, 0.0]]), claim, {})
    wide = one_layer(np.eye(2, 3), [1, 1, 0], [[1.0, 1.0]])
    check_bounded(wide, answer(None, True, multipliers={2: 1.0}), {})  # bounded modulo lineality
    with pytest.raises(pr.VerificationError, match="rank"):
        check_bounded(wide, claim, {})
    open_question = {}
    check_bounded(wide, answer(), open_question)
    assert open_question == {"boundedness": 1, "boundedness modulo lineality": 1}


@pytest.mark.parametrize("kind", ["stage", "basis", "box"])
def test_upper_bounds_of_the_radius(kind):
    """Of the triangle x, y >= 0, x + y <= 1."""
    if kind == "stage":
        rows = one_layer(np.eye(2), [1, 1, 0], [[1.0, 1.0]])
        rows.network.nodes[2] = AffineNode(rows.network.nodes[2].terms, np.array([-1.0]))
        total, weight = ball_by_stage(rows, {2: Fraction(1)}, 0, "ball")
        with pytest.raises(pr.VerificationError, match="wrong sign"):
            ball_by_stage(rows, {2: Fraction(-1)}, 0, "ball")
    else:
        p = pr.Polyhedron([[-1.0, 0.0], [0.0, -1.0], [1.0, 1.0]], [0.0, 0.0, 1.0])
        weights = {0: Fraction(1), 1: Fraction(1), 2: Fraction(1)}
        if kind == "basis":
            total, weight = ball_by_basis(polyhedron_rows(p), weights, "ball")
        else:
            total, weight = ball_by_box(polyhedron_rows(p), weights, BOX, None, "ball")  # the residual is exactly 0
            with pytest.raises(pr.VerificationError, match="not bounded on the box"):
                ball_by_box(polyhedron_rows(p), {0: Fraction(1)}, BOX, None, "ball")
    radius = 1 / (2 + np.sqrt(2))
    assert radius * (1 - 1e-14) <= total / weight <= radius * (1 + 1e-12)


# ---- the arithmetic underneath


def test_square_roots_and_suprema_are_rigorous():
    for square in (Fraction(2), Fraction(1, 3), Fraction(9, 4), Fraction(0), Fraction(10**40 + 1), Fraction(1, 2**300)):
        low, high = root_bounds(square)
        assert low**2 <= square <= high**2 and high - low <= Fraction(1, 2**60) * max(high, Fraction(1, 2**200))
    rows = polyhedron_rows(pr.Polyhedron([[1.0, -2.0]], [0.0]))
    g, _ = rows.forms([{0: Fraction(1, 4)}])
    assert highest(g, 0, np.array([-1.0, -3.0]), np.array([2.0, 5.0])) == Fraction(2)
    assert highest(g, 0, np.array([-1.0, -np.inf]), np.array([2.0, 5.0])) is None


def test_enclosures_contain_the_exact_solution():
    rng = np.random.default_rng(0)
    for n in (1, 3, 12):
        rows = polyhedron_rows(pr.Polyhedron(rng.integers(-9, 10, size=(n, n)) + 20 * np.eye(n), np.ones(n)))
        B, _ = rows.forms([{k: Fraction(1)} for k in range(n)])
        exact = [Fraction(int(v), 7) for v in rng.integers(-20, 20, n)]
        target, _ = rows.forms([{k: Fraction(int(7 * v)) for k, v in enumerate(exact)}])  # 7 times lambda B
        low, high = enclose(B, target[0], [float(7 * v) + 1e-9 for v in exact], "basis")
        assert all(a <= 7 * v <= z and z - a < Fraction(1, 10**5) for a, v, z in zip(low, exact, high))
