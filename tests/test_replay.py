"""The replay accepts every certificate of the engine and rejects altered ones."""

from __future__ import annotations

import numpy as np
import pytest

import pyregions as pr

PARTS = ("chebyshev", "boundedness", "affine_map", "facets")


def make(sizes=(4, 10, 8, 3), seed=0, domain="box", slope=0.0):
    rng = np.random.default_rng(seed)
    layers = [(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in zip(sizes, sizes[1:])]
    net = pr.Network.from_arrays(layers, activation=("leaky_relu", slope))
    A = rng.normal(size=(10, sizes[0]))
    domains = {"all": None, "box": pr.Box(-4, 4), "rows": pr.Polyhedron(A, np.full(10, 9.0))}
    region = net.region(rng.normal(size=sizes[0]) * 0.25, domain=domains[domain])
    for part in PARTS:
        getattr(region, part)
    region.neighbors(), region.decision_boundaries()  # noqa: B018
    return region


def rejected(region, claim):
    with pytest.raises(pr.VerificationError, match=claim) as caught:
        region.verify()
    assert caught.value.claim and isinstance(caught.value, pr.PyregionsError)


def writable(holder, key):
    """A fresh array in the place of one that was handed out."""
    copy = np.array(holder[key] if isinstance(holder, dict) else getattr(holder, key))
    if isinstance(holder, dict):
        holder[key] = copy
    elif key in holder.__dict__:  # also a cached property
        holder.__dict__[key] = copy
    else:
        object.__setattr__(holder, key, copy)
    return copy


# ---- honest certificates


@pytest.mark.parametrize("domain", ["all", "box", "rows"])
@pytest.mark.parametrize("slope", [0.0, 0.25])
@pytest.mark.parametrize("sizes", [(4, 10, 8, 3), (6, 4, 8, 8, 3), (2, 12, 3)])
def test_everything_the_engine_claims_replays(sizes, domain, slope):
    for seed in range(3):
        region = make(sizes, seed, domain, slope)
        report = region.verify()
        assert report and report.counts["pattern"] == 1 and report.counts["facets"] == len(region.facets)
        assert report.counts["groups"] == len(region.facets) + len(region.facets.redundant)
        assert report.counts.get("neighbors", 0) == len(region.neighbors())
        assert report.counts["rows"] == len(region.halfspaces) and report.counts["affine map"] == 3
        assert report.counts["boundedness"] == 1 and report.counts["chebyshev"] == 1
        assert report.total == sum(report.counts.values())


def test_degenerate_units_replay():
    W = np.array([[1.0, 0], [2, 0], [-1, 0], [0, 0], [0, 0], [1, 1]])
    b = np.array([0.0, 0, 0, 0, 1, 0])
    net = pr.Network.from_arrays([(W, b), (np.array([[1.0, -0.5, 0, 1, 0, 0], [0, 0, 0, 0, 1, 1]]), [0.0, 0.5])])
    region = net.region([0.5, 0.25], domain=pr.Box(-1, 1.5))
    assert region.pattern.tolist() == [1, 1, 0, 0, 1, 1]
    assert [f.rows for f in region.facets][:1] == [(0, 1, 2)] and region.facets.zero_rows == (3, 4)
    assert region.neighbors()[0].changed_units == (0, 1, 2)
    assert region.verify().counts["zero rows"] == 2


def test_a_sample_is_recorded_and_repeatable():
    region = make()
    first, again, other = (region.verify(sample=3, seed=s) for s in (5, 5, 6))
    assert first.counts["facets"] == 3 and first.sample == 3 and first.seed == 5
    assert first.chosen == again.chosen != other.chosen and len(first.chosen["facets"]) == 3
    assert region.verify().chosen == {}
    with pytest.raises(ValueError, match="sample must be at least 1"):
        region.verify(sample=0)


def test_only_what_was_asked_for_is_replayed():
    net = pr.Network.from_arrays([(np.eye(2), [0, 0]), (np.ones((1, 2)), [0])])
    region = net.region([1.0, 2.0], domain=pr.Box(-3, 3))
    assert "chebyshev" not in region.verify().counts and "neighbors" not in region.verify().counts
    region.chebyshev  # noqa: B018
    assert region.verify().counts["chebyshev"] == 1


# ---- altered certificates


def test_another_pattern():
    region = make()
    writable(region, "pattern")[0] ^= 1
    rejected(region, "pattern")


def test_a_witness_elsewhere():
    region = make()
    writable(region, "witness")[:] = region.facets.witnesses[0]
    rejected(region, "pattern")


def test_a_witness_on_a_wall():
    net = pr.Network.from_arrays([(np.eye(2), [0, 0]), (np.ones((1, 2)), [0])])
    region = net.region([1.0, 2.0], domain=pr.Box(-3, 3))
    region.facets, region.witness  # noqa: B018
    region.__dict__["witness"] = np.array([0.0, 1.0])
    rejected(region, "vanishes at the witness but not identically")


@pytest.mark.parametrize("facet", [0, -1])
def test_a_facet_witness_moved_inside(facet):
    region = make()
    writable(region.facets, "witnesses")[facet] = region.witness
    rejected(region, "facet")


def test_facet_witnesses_swapped():
    region = make()
    witnesses = writable(region.facets, "witnesses")
    witnesses[[0, 1]] = witnesses[[1, 0]]
    rejected(region, "facet 0")


def test_a_facet_declared_redundant():
    region = make()
    raw = region.facets.raw
    first = region.facets.groups.pop(0)
    region.facets.witnesses = region.facets.witnesses[1:]
    raw["red_rows"] = np.append(raw["red_rows"], np.array(first, dtype=np.int32))
    raw["red_ptr"] = np.append(raw["red_ptr"], raw["red_ptr"][-1] + len(first))
    raw["red_kind"] = np.append(raw["red_kind"], np.uint8(0))
    raw["red_stage"] = np.append(raw["red_stage"], np.int32(-1))
    raw["mul_ptr"] = np.append(raw["mul_ptr"], raw["mul_ptr"][-1])
    rejected(region, "redundant group")


def test_a_row_that_is_forgotten_or_listed_twice():
    region = make()
    region.facets.groups.pop()
    rejected(region, "rows")
    region = make()
    region.facets.groups.append(region.facets.groups[0])
    rejected(region, "rows")
    region = make()
    region.facets.zero_rows = (*region.facets.zero_rows, region.facets.groups.pop()[0])
    rejected(region, "zero rows")


def test_two_facets_merged_into_one_group():
    region = make()
    groups = region.facets.groups
    groups[0] = tuple(sorted(groups[0] + groups.pop(1)))
    region.facets.witnesses = np.delete(region.facets.witnesses, 1, axis=0)
    rejected(region, "does not coincide")


@pytest.mark.parametrize("domain", ["box", "rows", "all"])
@pytest.mark.parametrize("change", ["none", "negative", "scaled", "own row"])
def test_multipliers_of_redundant_rows(domain, change):
    region = next(r for r in (make(seed=s, domain=domain) for s in range(20)) if has_multipliers(r))
    raw = region.facets.raw
    values, rows = writable(raw, "mul_values"), writable(raw, "mul_rows")
    k = next(k for k in range(len(raw["mul_ptr"]) - 1) if raw["mul_ptr"][k + 1] > raw["mul_ptr"][k])
    mine = slice(raw["mul_ptr"][k], raw["mul_ptr"][k + 1])
    if change == "none":
        values[mine] = 0.0
    elif change == "negative":
        values[raw["mul_ptr"][k]] *= -1
    elif change == "scaled":
        values[mine] *= 1000.0
    else:
        rows[raw["mul_ptr"][k]] = raw["red_rows"][raw["red_ptr"][k]]
    rejected(region, f"redundant group {k}")


def has_multipliers(region):
    return len(region.facets.raw["mul_values"]) > 0


@pytest.mark.parametrize("kind", [7, 1])
def test_another_kind_of_proof(kind):
    region = make()
    assert region.facets.redundant
    writable(region.facets.raw, "red_kind")[0] = kind
    writable(region.facets.raw, "red_stage")[0] = 1
    rejected(region, "redundant group 0")


@pytest.mark.parametrize("domain", ["box", "rows"])
def test_the_radius_is_bounded_tightly_from_both_sides(domain):
    for key, factor in (("lower", 1 + 1e-6), ("upper", 1 - 1e-6)):
        region = make(domain=domain)
        region.chebyshev.certificate[key] *= factor
        rejected(region, "chebyshev")
    region = make(domain=domain)
    writable(region.chebyshev.certificate, "center")[0] += 10
    rejected(region, "the center is not in the cell")
    region = make(domain=domain)
    writable(region.chebyshev.certificate, "mul_values")[:] = 0
    rejected(region, "the upper bound does not follow")
    region = make(domain=domain)
    writable(region.chebyshev.certificate, "mul_values")[0] *= -1
    rejected(region, "a multiplier is negative")


def unbounded():
    rng = np.random.default_rng(1)
    net = pr.Network.from_arrays([(rng.normal(size=(8, 3)), rng.normal(size=8)), (np.ones((1, 8)), [0])])
    region = net.region([30.0, 20.0, -10.0])
    assert region.chebyshev.radius == np.inf and not region.is_bounded
    return region


def test_infinite_radius_and_unboundedness():
    assert unbounded().verify().counts["boundedness"] == 1
    region = unbounded()
    writable(region.chebyshev.certificate, "direction")[:] *= -1
    rejected(region, "the direction leaves the cell")
    region = unbounded()
    direction = -region.boundedness.direction
    object.__setattr__(region.boundedness, "direction", direction)
    rejected(region, "boundedness")
    object.__setattr__(region.boundedness, "direction", 0 * direction)
    rejected(region, "without a direction")


def test_a_direction_along_a_wall_proves_no_infinite_radius():
    strip = pr.Polyhedron([[-1.0, 0.0], [1.0, 0.0]], [0.0, 3.0])
    raw = strip.chebyshev.certificate
    raw["kind"], raw["direction"] = 4, np.array([0.0, 1.0])
    rejected(strip, "same distance from a row")


@pytest.mark.parametrize("change", ["box", "multipliers", "inverse", "basis"])
def test_boundedness_by_a_combination(change):
    region = make(domain="rows")
    raw = region.boundedness.certificate
    assert region.boundedness.proof == "combination" and region.verify().counts["boundedness"] == 1
    if change == "box":
        upper = writable(raw, "upper")
        upper[0] = region.witness[0]
    elif change == "multipliers":
        writable(raw, "mul_values")[0] *= 100
    elif change == "inverse":
        writable(raw, "inverse")[...] = 0
    else:
        writable(raw, "basis_rows")[0] = raw["basis_rows"][1]
    rejected(region, "boundedness")


def test_a_claim_of_boundedness_without_ground():
    region = unbounded()
    for proof in ("box", "combination", "stage", "because"):
        object.__setattr__(region.boundedness, "bounded", True)
        object.__setattr__(region.boundedness, "proof", proof)
        rejected(region, "boundedness")


def test_numbers_beyond_their_bounds():
    for name in ("A", "b"):
        region = make()
        writable(region.halfspaces, name).flat[0] += 1e-6
        rejected(region, "halfspaces")
    for name in ("W", "c"):
        region = make()
        writable(region.affine_map, name).flat[-1] += 1e-6
        rejected(region, "affine map")


def test_neighbor_patterns():
    region = make()
    facets, patterns = region._neighbors
    changed = patterns.copy()
    changed[1, 3] ^= 1
    region.__dict__["_neighbors"] = facets, changed
    rejected(region, "neighbor 1")
    region = make()
    region.__dict__["_neighbors"] = facets[:-1], patterns
    rejected(region, "neighbors")


def crossed():
    return next(r for r in (make(seed=s) for s in range(30)) if (r.decision_boundaries().raw["piece"] == 1).any())


def test_decision_boundaries():
    raw = crossed().decision_boundaries().raw
    p = int(np.flatnonzero(raw["piece"] == 1)[0])
    for one, two in (("positive", "negative"), ("piece_first", "piece_second")):
        region = crossed()
        changed = region.decision_boundaries().raw
        changed[one], changed[two] = changed[two].copy(), changed[one].copy()
        rejected(region, "outputs")
    region = crossed()
    writable(region.decision_boundaries().raw, "positive")[p] += 100
    rejected(region, "violates a row")
    region = crossed()
    writable(region.decision_boundaries().raw, "identical")[p] = True
    rejected(region, "not identical")
    region = crossed()
    found = region.decision_boundaries()
    k = found.classes.index(True)
    other = next(j for j in range(3) if j != k)
    found.class_witnesses = np.array(found.class_witnesses)
    found.class_witnesses[other] = found.class_witnesses[k]
    found.classes = tuple(True if j == other else None for j in range(3))
    rejected(region, f"class {other}")


def test_outputs_that_tie_or_are_the_same():
    # Outputs x, 1 - x, the first again, and 1/2, which ties with the others wherever those two meet; the last is below.
    W = [[1.0, 0], [-1, 0], [1, 0], [0, 0], [0, 0]]
    net = pr.Network.from_arrays([(np.eye(2), [2, 2]), (W, [-2, 3, -2, 0.5, -9])])
    region = net.region([0.25, 0.0], domain=pr.Box(-1, 1))
    found = region.decision_boundaries()
    assert found[1].identical and found[0].piece
    assert found.classes[:3] == (True, True, True) and not any(found.classes[3:])
    assert region.verify().counts["argmax pieces"] >= 1
    found.classes = (True, True, True, True, False)
    found.class_witnesses = np.array(found.class_witnesses)
    found.class_witnesses[3] = found.class_witnesses[0]
    rejected(region, "class 3: it is not the largest")


# ---- cells without interior


def none_of(kind):
    """A pattern without interior, proven in the way asked for."""
    cases = {
        "box": lambda: pr.Network.from_arrays([([[1.0, 1.0]], [-5.0]), ([[1.0]], [0.0])]).region(
            pattern=[1], domain=pr.Box(0, 1)
        ),
        "opposite": lambda: pr.Polyhedron([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0]], [1.0, -2.0, 0.0]).no_interior,
        "any": lambda: pr.Polyhedron([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], [0.0, 0.0, -1.0]).no_interior,
    }
    return cases[kind]()


@pytest.mark.parametrize("kind", ["box", "opposite", "any"])
def test_no_interior(kind):
    nothing = none_of(kind)
    assert nothing.verify().strict == (kind != "opposite")
    assert kind == "any" or nothing.proof == kind
    for change in ("rows", "values", "none", "missing"):
        raw = dict(nothing._raw)
        if change == "rows":
            raw["mul_rows"] = np.array([0] * len(raw["mul_rows"]), dtype=np.int32)
        elif change == "values":
            raw["mul_values"] = -np.asarray(raw["mul_values"])
            if kind == "opposite":  # its two rows speak for themselves
                continue
        elif change == "none":
            raw["mul_rows"], raw["mul_values"] = np.zeros(0, dtype=np.int32), np.zeros(0)
        else:
            raw["mul_rows"] = np.asarray(raw["mul_rows"]) + 1000
        altered = pr.NoInterior(nothing._network, nothing.pattern, nothing._rows, raw)
        if change == "rows" and kind == "box":
            continue  # it rests on one row
        with pytest.raises(pr.VerificationError, match="no interior"):
            altered.verify()
