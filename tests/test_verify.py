"""Exported certificates: the replay accepts every one of them, and nothing that is altered or false."""

from __future__ import annotations

import ast
import copy
import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from hashlib import sha256
from math import inf, isinf
from pathlib import Path

import corpus_cases
import numpy as np
import oracle
import pytest

import pyregions as pr
from pyregions import verify
from pyregions.network_file import contents

SOURCE = Path(verify.__file__)
SHAPE = ("bounded", "modulo_lineality", "radius")


def number(value):
    return int(value, 16) if isinstance(value, str) else value


def written(value):
    return value if abs(value) < 2**53 else hex(value)


def layers_of(sizes, seed, integer=False):
    rng = np.random.default_rng(seed)
    if integer:
        return [(rng.integers(-2, 3, (n, m)) * 1.0, rng.integers(-2, 3, n) * 1.0) for m, n in zip(sizes, sizes[1:])]
    return [(rng.normal(size=(n, m)), rng.normal(size=n)) for m, n in zip(sizes, sizes[1:])]


def domain_of(kind, dim, rng):
    if kind == "half":
        return pr.Box([-2.0] * dim, [2.0] * (dim - 1) + [inf])
    if kind == "polytope":
        A = np.vstack([np.eye(dim), -np.eye(dim), rng.normal(size=(2, dim))])
        return pr.Polyhedron(A, np.full(len(A), 2.5))
    if kind == "cone":
        return pr.Polyhedron(-np.eye(dim), np.full(dim, 2.5))
    return {"all": None, "box": pr.Box(-2, 2)}[kind]


def replayed(network, answer, folder):
    """The certificate, and what the replay counts as proven."""
    path, weights = folder / "certificate.json", "-"
    certificate = answer.certificate(path)
    if network is not None:
        weights = str(folder / "network.npz")
        network.save(weights)
    counts = verify.replay(weights, str(path))
    assert json.loads(path.read_text()) == certificate
    return certificate, counts


def assert_complete(region, certificate, counts):
    """Nothing that the engine decided is left out."""
    claims = certificate["claims"]
    assert counts.get("facets", 0) == len(region.facets) and claims["unproven"] == []
    assert counts.get("redundant", 0) == len(region.facets.redundant)
    assert counts.get("zero_rows", 0) == len(region.facets.zero_rows)
    bounded = region.is_bounded
    assert ("multipliers" in claims["bounded"]) == bounded
    if not bounded:
        assert ("multipliers" in claims["modulo_lineality"]) == region.is_bounded_modulo_lineality
    upper = region.chebyshev.radius_bounds[1]
    assert ("direction" in claims["radius"]) == isinf(upper)
    if not isinf(upper):
        stated = claims["radius"]["upper"]["radius"]
        # A multiplier that carries a residual may cost some of the bound, but never more than the residual's size.
        assert float(number(stated["ints"][0]) * Fraction(2) ** stated["exponent"]) <= upper * (1 + 2.0**-20) + 2.0**-40


# ---- what the engine claims is accepted


@pytest.mark.parametrize("kind", ["all", "box", "half", "polytope", "cone"])
@pytest.mark.parametrize("sizes", [(4, 10, 8, 3), (6, 4, 8, 8, 3), (2, 12, 3), (3, 2, 3, 2), (1, 6, 6, 2)])
def test_every_claim_of_random_networks(sizes, kind, tmp_path):
    for seed in range(3):
        rng = np.random.default_rng(seed)
        net = pr.Network.from_arrays(layers_of(sizes, seed), activation=("leaky_relu", [0.0, 0.25][seed % 2]))
        region = net.region(rng.normal(size=sizes[0]) * 0.25, domain=domain_of(kind, sizes[0], rng))
        certificate, counts = replayed(net, region, tmp_path)
        assert_complete(region, certificate, counts)
        assert counts.get("neighbors", 0) == len(region.neighbors())


@pytest.mark.parametrize("kind", ["all", "box", "half", "polytope"])
def test_every_claim_of_degenerate_networks(kind, tmp_path):
    empty = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sizes = [int(rng.integers(1, 4)), *rng.integers(1, 6, int(rng.integers(1, 4))).tolist(), 2]
        net = pr.Network.from_arrays(layers_of(sizes, seed, integer=True))
        domain = domain_of(kind, sizes[0], rng)
        region = net.region(rng.integers(-4, 5, sizes[0]) / 4, domain=domain, tie="any")
        certificate, counts = replayed(net, region, tmp_path)
        assert_complete(region, certificate, counts)
        nothing = net.region(pattern=rng.integers(0, 2, net.units), domain=domain)
        if not nothing:
            assert replayed(net, nothing, tmp_path)[1] == {"no_interior": 1}
            empty += 1
    assert empty > 10


@pytest.mark.parametrize("case", corpus_cases.load(), ids=lambda case: case.name)
def test_every_case_of_the_corpus(case, tmp_path):
    net = pr.Network.from_arrays(case.layers, activation=("leaky_relu", case.slope))
    domain = pr.Box(*case.bounds) if case.bounds else None
    if case.at is not None:
        answer = net.region(case.at, domain=domain, tie="any")
    else:
        answer = net.region(pattern=case.given, domain=domain)
    certificate, counts = replayed(net, answer, tmp_path)
    if answer:
        assert_complete(answer, certificate, counts)
    else:
        assert counts == {"no_interior": 1}


def test_polyhedra_need_no_network(tmp_path):
    rng = np.random.default_rng(3)
    for dim in (2, 5):
        full = pr.Polyhedron(rng.normal(size=(6 * dim, dim)), np.ones(6 * dim))
        assert_complete(full, *replayed(None, full, tmp_path))
    flat = pr.Polyhedron([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0]], [1.0, -2.0, 0.0])
    away = pr.Polyhedron(np.vstack([rng.normal(size=(8, 3)), np.ones((1, 3)), -np.ones((1, 3))]), [1.0] * 8 + [-9, 8])
    for nothing in (flat, away):
        assert replayed(None, nothing, tmp_path)[1] == {"no_interior": 1}


def test_nodes_that_skip_and_scale(tmp_path):
    affine, hinge = pr.AffineNode, pr.HingeNode
    nodes = [
        affine(((0, np.array([[1.0, 2.0], [0.5, -1.0]])),), np.array([0.25, 0.0])),
        hinge(1, np.array([0.0, 0.1]), np.array([1.0, 3.0])),
        affine(((2, np.array([2.0, 0.3])), (0, np.array([1.0, -1.0]))), np.array([0.1, -0.1])),
        hinge(3, np.zeros(2), np.ones(2)),
        affine(((4, np.ones((1, 2))), (2, np.ones((1, 2)))), np.zeros(1)),
    ]
    net = pr.Network(2, nodes)
    for x in ([0.3, 0.2], [-0.7, 0.9], [0.1, -0.8]):
        region = net.region(x, domain=pr.Box(-1, 1))
        assert_complete(region, *replayed(net, region, tmp_path))


def test_weights_of_any_scale(tmp_path):
    for scale in (2.0**-40, 2.0**40, 2.0**-300):
        layers = [(W * scale, b * scale) for W, b in layers_of((2, 4, 3, 1), 5)]
        net = pr.Network.from_arrays(layers)
        region = net.region([0.25, -0.5], domain=pr.Box(-1, 1))
        assert_complete(region, *replayed(net, region, tmp_path))


# ---- the command


def test_the_command(tmp_path):
    net = pr.Network.from_arrays(layers_of((2, 5, 2), 1))
    net.region([0.1, 0.2], domain=pr.Box(-1, 1)).certificate(tmp_path / "c.json")
    net.save(tmp_path / "n.npz")
    shutil.copy(SOURCE, tmp_path / "alone.py")  # runs without the package
    for command in ([sys.executable, "-m", "pyregions.verify"], [sys.executable, "alone.py"]):
        where = {**os.environ, "PYTHONPATH": str(SOURCE.parent.parent)}
        run = subprocess.run([*command, "n.npz", "c.json"], cwd=tmp_path, capture_output=True, text=True, env=where)
        assert run.returncode == 0 and "proven" in run.stdout and not run.stderr
    text = (tmp_path / "c.json").read_text()
    damaged = {"cut.json": text[:-1], "other.json": text.replace('"digest":"', '"digest":"0'), "no.json": ""}
    for name, content in damaged.items():
        (tmp_path / name).write_text(content)
        run = subprocess.run([sys.executable, "alone.py", "n.npz", name], cwd=tmp_path, capture_output=True, text=True)
        assert run.returncode == 1 and run.stderr.startswith("rejected: ") and not run.stdout
    pr.Network.from_arrays(layers_of((2, 5, 2), 2)).save(tmp_path / "n2.npz")
    with pytest.raises(ValueError, match="digest"):
        verify.replay(str(tmp_path / "n2.npz"), str(tmp_path / "c.json"))


def test_the_checker_is_short_and_stands_alone():
    text = SOURCE.read_text()
    assert len(text.splitlines()) <= 200
    tree = ast.parse(text)
    imported = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    for node in imported:
        module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
        assert module in sys.stdlib_module_names or (module, [n.name for n in node.names]) == ("numpy", ["load"])
        assert not (isinstance(node, ast.ImportFrom) and node.level)
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
    assert not {n.func.id for n in calls} & {"__import__", "eval", "exec", "compile"}
    loads = [n for n in calls if n.func.id == "load"]
    assert loads and all([k.arg for k in n.keywords] == ["allow_pickle"] for n in loads)
    assert all(n.keywords[0].value.value is False for n in loads)


# ---- alterations


def small_case():
    """A cell with every kind of claim: coincident units, constant units, redundant rows, a half-open domain."""
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
