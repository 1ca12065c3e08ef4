"""Exported certificates: the replay accepts every one of them, and nothing that is altered or false."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from math import inf, isinf
from pathlib import Path

import corpus_cases
import numpy as np
import pytest

import pyregions as pr
from pyregions import _core, verify

SOURCE = Path(verify.__file__)
SHAPE = ("bounded", "modulo_lineality", "radius")


def number(value):
    return int(value, 16) if isinstance(value, str) else value


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


def test_proofs_in_floats_become_equalities_without_exact_programs(tmp_path, monkeypatch):
    for name in ("exact_recession", "exact_ball"):
        monkeypatch.setattr(_core, name, lambda cell, name=name: pytest.fail(name))
    kinds = set()
    for sizes in ((4, 10, 8, 3), (4, 4, 12, 2), (6, 4, 12, 2), (3, 3, 8, 8, 2)):
        for kind in ("all", "box", "half"):
            for seed in range(4):
                net = pr.Network.from_arrays(layers_of(sizes, seed), activation=("leaky_relu", 0.25))
                region = net.region(np.full(sizes[0], 0.125), domain=domain_of(kind, sizes[0], None))
                assert_complete(region, *replayed(net, region, tmp_path))
                kinds |= {region.boundedness.proof, region.chebyshev.proof, *(r.proof for r in region.facets.redundant)}
    assert kinds >= {"box", "stage", "combination", "direction", "enclosure"}


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
