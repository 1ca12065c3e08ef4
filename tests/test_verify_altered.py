"""Altered certificates: the replay rejects every alteration, and with a digest made anew every one that is false."""

from __future__ import annotations

import copy
import json
from fractions import Fraction
from hashlib import sha256
from math import isinf

import numpy as np
import oracle
import pytest
from test_verify import layers_of, number, replayed

import pyregions as pr
from pyregions import verify
from pyregions.network_file import contents


def written(value):
    return value if abs(value) < 2**53 else hex(value)


def small_case():
    """A cell with every kind of claim: coincident units, constant units, redundant rows."""
    W = [[1.0, 0.5], [2.0, 1.0], [-1.0, 0.25], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0]]
    first = (np.array(W), np.array([0.0, 0.0, 0.5, 0.0, 1.0, 4.0]))
    second = (np.array([[1.0, 0, 0.1, 1, 0, 0], [0, 0, 0.3, 0, 1, 1]]), np.array([-0.5, 0.25]))
    layers = [first, second, (np.ones((1, 2)), np.zeros(1))]
    return layers, [0.2, 0.1]


def cases():
    layers, x = small_case()
    net = pr.Network.from_arrays(layers)
    yield "everywhere", layers, net.region(x)
    yield "polytope", layers, net.region(x, domain=pr.Polyhedron([[1, 1], [-3, 1], [0, -1], [1, 3]], [1, 1, 1, 9]))
    yield "box", layers, net.region(x, domain=pr.Box(-1, 1))
    narrow = layers_of((2, 1, 2, 1), 3)
    yield "strip", narrow, pr.Network.from_arrays(narrow).region(x)
    yield "empty", layers, net.region(pattern=[1, 0, 0, 0, 0, 0, 1, 0], domain=pr.Box(-1, 1))


CASES = list(cases())


def alterations(value):
    """All copies of a JSON value with one change."""
    if isinstance(value, dict):
        for key in value:
            yield {k: v for k, v in value.items() if k != key}
            yield from ({**value, key: v} for v in alterations(value[key]))
        yield {**value, "more": 1}
    elif isinstance(value, list):
        for i in range(len(value)):
            yield value[:i] + value[i + 1 :]
            yield value[: i + 1] + value[i:]
            yield from (value[:i] + [v] + value[i + 1 :] for v in alterations(value[i]))
        yield from (value[:i] + [value[i + 1], value[i]] + value[i + 2 :] for i in range(len(value) - 1))
        yield [*value, 0]
    elif value is None:
        yield from ({}, 0, [])
    else:
        n = number(value)
        yield from (written(v) for v in {n + 1, n - 1, -n} - {n})
        yield from (None, [value], float(n) if abs(n) < 2**53 else [], str(n), n == 1)


def altered_bodies(certificate):
    """The certificate without its digest, changed in one place."""
    body = {key: value for key, value in certificate.items() if key != "digest"}
    same = json.dumps(body, sort_keys=True)
    return (altered for altered in alterations(body) if json.dumps(altered, sort_keys=True) != same)


def sealed(network, content):
    """A certificate with its digest computed anew."""
    kinds, arrays = contents(network)
    weights = repr([network.inputs, kinds, sorted((name, array.tolist()) for name, array in arrays.items())])
    body = {key: value for key, value in content.items() if key != "digest"}
    return {**content, "digest": sha256((weights + json.dumps(body, sort_keys=True)).encode()).hexdigest()}


def accepts(folder, certificate):
    (folder / "altered.json").write_text(json.dumps(certificate))
    try:
        verify.replay(str(folder / "network.npz"), str(folder / "altered.json"))
    except Exception:  # as the command does
        return False
    return True


def assert_true(layers, content):
    """What a certificate says is so, by exact code that has nothing in common with it."""
    dim, claims = content["domain"]["dimension"], content["claims"]
    rows = []
    for k, (normal, offset) in enumerate(content["domain"]["rows"]):
        full = [Fraction(number(dict(normal).get(i, 0))) for i in range(dim)]
        rows.append(((-1, k, 2), full, Fraction(number(offset))))
    cell = oracle.Cell(oracle.Net.from_arrays(layers), content["pattern"], rows)
    if "no_interior" in claims:
        assert cell.interior is None
        return
    assert cell.interior is not None and cell.pattern == content["pattern"] and cell.zero_rows == claims["zero_rows"]
    facets = {tuple(f.rows): f for f in cell.facets()}
    assert {tuple(f["rows"]) for f in claims["facets"]} <= set(facets)
    listed = [f["rows"] for f in claims["facets"]] + [r["rows"] for r in claims["redundant"]] + claims["unproven"]
    assert sorted(map(sorted, listed)) == sorted(cell.groups.values())
    assert not {tuple(sorted(r["rows"])) for r in claims["redundant"]} & set(facets)
    walls = [facets[tuple(f["rows"])] for f in claims["facets"] if not facets[tuple(f["rows"])].on_domain]
    for wall, changed in zip(walls, claims["neighbors"], strict=True):
        assert [u for u, p in enumerate(cell.across(wall)) if p != cell.pattern[u]] == changed
    for name, truth in (("bounded", cell.bounded), ("modulo_lineality", cell.bounded_modulo_lineality)):
        assert claims[name] is None or ("multipliers" in claims[name]) == truth()
    radius, (low, high) = claims["radius"], cell.inradius()
    if radius is not None and "direction" in radius:
        assert isinf(low)
    elif radius is not None:
        value = [Fraction(number(r["ints"][0])) * Fraction(2) ** r["exponent"] for r in (radius["lower"],)][0]
        assert value <= high
        if radius["upper"] is not None:
            bound = radius["upper"]["radius"]
            assert not isinf(low) and Fraction(number(bound["ints"][0])) * Fraction(2) ** bound["exponent"] >= low


@pytest.mark.parametrize("name, layers, answer", CASES[2:], ids=[case[0] for case in CASES[2:]])
def test_every_alteration_is_rejected(name, layers, answer, tmp_path):
    certificate, _ = replayed(pr.Network.from_arrays(layers), answer, tmp_path)
    tried = 0
    for altered in altered_bodies(certificate):
        assert not accepts(tmp_path, {"digest": certificate["digest"], **altered}), altered
        tried += 1
    assert tried > 50
    for k in range(64):
        digits = list(certificate["digest"])
        digits[k] = "0" if digits[k] != "0" else "1"
        assert not accepts(tmp_path, {**certificate, "digest": "".join(digits)})


@pytest.mark.parametrize("name, layers, answer", CASES, ids=[case[0] for case in CASES])
def test_a_false_claim_is_rejected_whatever_its_digest(name, layers, answer, tmp_path):
    net = pr.Network.from_arrays(layers)
    certificate, _ = replayed(net, answer, tmp_path)
    assert accepts(tmp_path, sealed(net, certificate)) and sealed(net, certificate) == certificate
    assert_true(layers, certificate)
    tried = accepted = 0
    for altered in altered_bodies(certificate):
        tried += 1
        if accepts(tmp_path, sealed(net, altered)):
            accepted += 1
            assert_true(layers, altered)
    assert 0 < accepted < tried / 3


def test_claims_that_are_false_in_a_clever_way(tmp_path):
    layers, x = small_case()
    net = pr.Network.from_arrays(layers)
    certificate, _ = replayed(net, net.region(x, domain=pr.Box(-1, 1)), tmp_path)

    def rejected(change):
        other = copy.deepcopy(certificate)
        change(other["claims"])
        return other != certificate and not accepts(tmp_path, sealed(net, other))

    first = certificate["claims"]["facets"][0]
    assert len(first["rows"]) == 2  # two rows on one hyperplane could imply each other, and the facet be lost
    a, b = first["rows"]

    def each_other(claims):
        claims["facets"].pop(0)
        claims["neighbors"].pop(0)
        claims["redundant"] += [{"rows": [i], "mu": 1, "multipliers": [[j, 1]]} for i, j in ((a, b), (b, a))]

    assert rejected(each_other)
    assert rejected(lambda c: c["redundant"].append({"rows": [a, b], "mu": 0, "multipliers": []}))
    assert rejected(lambda c: c.update(bounded={"multipliers": []}))
    assert rejected(lambda c: c.update(bounded={"direction": [0, 0]}))
    assert rejected(lambda c: c.update(modulo_lineality={"direction": [0, 0]}))
    assert rejected(lambda c: c.update(radius={"direction": [0, 0]}))
    assert rejected(lambda c: c["radius"].update(lower={"exponent": 0, "ints": [-5]}))
    assert rejected(lambda c: c["radius"]["upper"].update(multipliers=[]))
    assert rejected(lambda c: c["facets"].append(copy.deepcopy(first)))
    assert rejected(lambda c: c["neighbors"].pop())
    nothing = {"no_interior": {"multipliers": []}}
    assert not accepts(tmp_path, sealed(net, {**certificate, "claims": nothing}))
    zero = certificate["claims"]["zero_rows"][0]
    nothing = {"no_interior": {"multipliers": [[zero, 1]]}}
    assert not accepts(tmp_path, sealed(net, {**certificate, "claims": nothing}))


def test_text_that_is_no_certificate(tmp_path):
    layers, x = small_case()
    net = pr.Network.from_arrays(layers)
    certificate, _ = replayed(net, net.region(x, domain=pr.Box(-1, 1)), tmp_path)
    text = json.dumps(certificate)
    path = tmp_path / "altered.json"

    def fails(content):
        path.write_text(content)
        with pytest.raises(Exception):  # noqa: B017  # whatever the command would report
            verify.replay(str(tmp_path / "network.npz"), str(path))
        return content != text

    path.write_text(json.dumps(certificate, indent=3, sort_keys=True))
    assert verify.replay(str(tmp_path / "network.npz"), str(path))  # layout and order of keys mean nothing
    pattern = str(certificate["pattern"])
    assert fails(text.replace(f'"pattern": {pattern}', f'"pattern": {pattern}, "pattern": {pattern}'))  # a key twice
    for two in ("2.0", '"0x2"', "0 2", "NaN", "2e0", "02", "true"):
        assert fails(text.replace('"dimension": 2', f'"dimension": {two}'))
    nothing = json.dumps({**certificate, "claims": {}})
    for content in ("", "[]", "{}", "null", "1", text + "}", "\ufeff" + text, nothing):
        assert fails(content)
    for value in (2**53, -(2**53), "0x1f", "31", "-0x1f", True, 1.0):
        assert not accepts(tmp_path, sealed(net, {**certificate, "pattern": [*certificate["pattern"][:-1], value]}))
    with pytest.raises(ValueError, match="no integer"):
        verify.decode([2**53])
    assert verify.decode([hex(2**53), hex(-(2**60)), -1, None]) == [2**53, -(2**60), -1, None]


def test_groups_of_two_hyperplanes_are_not_balanced_by_empty_ones(tmp_path):
    """A wall hidden in the group of a redundant row, with an empty group to keep the count."""
    W, b = [[1.0, 0.0], [-1, 0], [0, 1], [0, -1], [1, 0]], [-1.0, -1, -1, -1, -5]
    net = pr.Network.from_arrays([(W, b), (np.ones((1, 5)), [0.0])])
    certificate = net.region([0.0, 0.0]).certificate()
    net.save(tmp_path / "network.npz")
    assert accepts(tmp_path, sealed(net, certificate))
    claims = certificate["claims"]
    claims["facets"] = [claim for claim in claims["facets"] if claim["rows"] != [2]]
    empty = {"rows": [], "mu": 1, "multipliers": []}
    claims["redundant"] = [{"rows": [4, 2], "mu": 1, "multipliers": [[0, 1]]}, empty]
    claims["neighbors"] = [changed for k, changed in enumerate(claims["neighbors"]) if k != 2]
    assert not accepts(tmp_path, sealed(net, certificate))
