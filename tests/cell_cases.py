"""Seeded random small networks and domains for the enumeration of all regions: every kind of coincidence on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import oracle
import splitter
from agree import engine_net
from exact_lp import dot
from oracle import Net

import pyregions as pr

Layers = list[tuple[np.ndarray, np.ndarray]]
SLOPES = (0.25, 0.01, -0.5, 2.0, -1.0)
WIDEST = {1: 6, 2: 6, 3: 5, 4: 4}  # units of a layer by inputs: the splitter is to take a few hundredths of a second


@dataclass
class Case:
    """A network and a domain: a box by (lower, upper), rows (A, b), both, or neither for all of R^d."""

    layers: Layers
    slope: float = 0.0
    bounds: tuple[np.ndarray, np.ndarray] | None = None
    rows: tuple[np.ndarray, np.ndarray] | None = None

    @cached_property
    def network(self) -> pr.Network:
        return engine_net(self.layers, self.slope)

    @property
    def dim(self) -> int:
        return self.layers[0][0].shape[1]

    @property
    def oracle(self) -> Net:
        return Net.from_arrays(self.layers, self.slope)

    @cached_property
    def domain(self) -> pr.Box | pr.Polyhedron | None:
        box = pr.Box(*self.bounds) if self.bounds else None
        return pr.Polyhedron(*self.rows, box=box) if self.rows else box

    @cached_property
    def domain_rows(self) -> oracle.Domain:
        box = oracle.box(*(side.tolist() for side in self.bounds)) if self.bounds else []
        return box + (oracle.polytope(*self.rows) if self.rows else [])

    @cached_property
    def complex(self) -> pr.RegionComplex:
        return pr.enumerate_regions(self.network, self.domain)

    @cached_property
    def leaves(self) -> list[splitter.Leaf]:
        return splitter.regions(self.layers, self.slope, self.domain_rows)


def shape(rng: np.random.Generator, dim: int) -> list[int]:
    hidden = rng.integers(1, WIDEST[dim] + 1, size=rng.integers(1, 4))
    return [dim, *map(int, hidden), int(rng.integers(1, 4))]


def draw(rng: np.random.Generator, widths: list[int], limit: int = 0) -> Layers:
    """Weights in -limit..limit, or normal ones."""
    layers = []
    for m, n in zip(widths, widths[1:]):
        if limit:
            layers.append([rng.integers(-limit, limit + 1, size).astype(float) for size in ((n, m), n)])
        else:
            layers.append([rng.normal(size=(n, m)), 0.5 * rng.normal(size=n)])
    return [(W, b) for W, b in layers]


def floats(rng: np.random.Generator, dim: int) -> Layers:
    return draw(rng, shape(rng, dim))


def integers(rng: np.random.Generator, dim: int) -> Layers:
    return draw(rng, shape(rng, dim), int(rng.integers(1, 4)))


def either(rng: np.random.Generator, dim: int) -> Layers:
    return integers(rng, dim) if rng.random() < 0.5 else floats(rng, dim)


def pruned(rng: np.random.Generator, dim: int) -> Layers:
    layers = either(rng, dim)
    for W, b in layers:
        W[rng.random(W.shape) < 0.5] = 0
        b[rng.random(b.shape) < 0.3] = 0
    return layers


def twins(rng: np.random.Generator, dim: int) -> Layers:
    """Units that repeat others: copies, negations, exact multiples and multiples up to rounding."""
    layers = either(rng, dim)
    for W, b in layers[:-1]:
        for i in range(len(b)):
            if rng.random() < 0.6:
                j, factor = rng.integers(len(b)), rng.choice([1.0, -1.0, 0.25, -2.0, 3.0, 0.7])
                W[i], b[i] = factor * W[j], factor * b[j]
    return layers


def unbiased(rng: np.random.Generator, dim: int) -> Layers:
    layers = either(rng, dim)
    return [(W, 0 * b) for W, b in layers[:-1]] + layers[-1:]


def concurrent(rng: np.random.Generator, dim: int) -> Layers:
    """First-layer hyperplanes through two common points (exactly: the weights have few bits)."""
    layers = either(rng, dim)
    W, b = layers[0]
    W[:] = np.round(W * 16) / 16
    points = rng.integers(-4, 5, (2, dim)) / 4
    b[:] = [-row @ points[rng.integers(2)] for row in W]
    return layers


def chained(rng: np.random.Generator, dim: int) -> Layers:
    """Deep units z = w relu(u) or w relu(u) + w' relu(u'), which vanish identically where their inputs are off."""
    layers = either(rng, dim)
    for W, b in layers[1:-1]:
        for i in range(len(b)):
            if rng.random() < 0.7:
                keep = rng.integers(W.shape[1], size=rng.integers(1, 3))
                mask = np.zeros(W.shape[1], dtype=bool)
                mask[keep] = True
                W[i, ~mask], b[i] = 0, 0
                W[i, mask] = np.where(W[i, mask] == 0, 1.0, W[i, mask])
    return layers


def dead(rng: np.random.Generator, dim: int) -> Layers:
    layers = either(rng, dim)
    for W, b in layers[:-1]:
        for i in range(len(b)):
            kind = rng.random()
            if kind < 0.4:
                W[i] = 0
            if kind < 0.2:
                b[i] = 0
    return layers


def parallel(rng: np.random.Generator, dim: int) -> Layers:
    """Hyperplanes 1e-15 apart, one ulp apart, and the same ones again a layer further down."""
    layers = either(rng, dim)
    W, b = layers[0]
    for i in range(1, len(b)):
        W[i], b[i] = W[0], b[0] + rng.choice([1e-15, -1e-15, 1e-9, 0.5])
        if rng.random() < 0.3:
            # Never below the normal numbers: a strip between subnormals has points, but no sum of doubles among them.
            b[i] = np.nextafter(b[0], np.inf) if b[0] else 2.0**-60
    return layers


def tiny(rng: np.random.Generator, dim: int) -> Layers:
    return [(np.ldexp(W, -40), np.ldexp(b, -40)) for W, b in either(rng, dim)]


def huge(rng: np.random.Generator, dim: int) -> Layers:
    return [(np.ldexp(W, 40), np.ldexp(b, 40)) for W, b in either(rng, dim)]


def mixed(rng: np.random.Generator, dim: int) -> Layers:
    """Layers scaled against each other."""
    return [(np.ldexp(W, k), np.ldexp(b, k)) for W, b in either(rng, dim) for k in [int(rng.choice([-40, 0, 40]))]]


KINDS: dict[str, Any] = {
    "floats": floats, "integers": integers, "pruned": pruned, "twins": twins, "unbiased": unbiased,
    "concurrent": concurrent, "chained": chained, "dead": dead, "parallel": parallel, "tiny": tiny, "huge": huge,
    "mixed": mixed, "leaky": either,
}  # fmt: skip
DOMAINS = ("all", "box", "half-open", "polytope", "cut box")


def draw_domain(rng: np.random.Generator, dim: int, kind: str) -> dict[str, Any]:
    if kind == "all":
        return {}
    lower, upper = -rng.integers(1, 4, dim).astype(float), rng.integers(1, 4, dim).astype(float)
    if kind == "half-open":
        lower[rng.random(dim) < 0.5] = -np.inf
        upper[rng.random(dim) < 0.5] = np.inf
    if kind in ("box", "half-open"):
        return {"bounds": (lower, upper)}
    # Rows with 0 strictly inside, bounded or not; some repeated, redundant or touching.
    A = rng.integers(-2, 3, (dim + 3, dim)).astype(float)
    A = A[A.any(axis=1)]
    b = rng.integers(1, 4, len(A)).astype(float)
    A, b = np.vstack([A, A[:1], 2 * A[:1], A[:1] + A[-1:]]), np.concatenate([b, b[:1], 2 * b[:1], b[:1] + b[-1:]])
    keep = A.any(axis=1)
    rows = {"rows": (A[keep], b[keep])}
    return rows if kind == "polytope" else {**rows, "bounds": (lower, upper)}


def case(kind: str, seed: int, dim: int | None = None, domain: str | None = None) -> Case:
    """Always the same for the same arguments; dimensions 1 to 4 and all domains take turns."""
    rng = np.random.default_rng([list(KINDS).index(kind), seed])
    dim = dim or 1 + seed % 4
    domain = domain or DOMAINS[seed // 4 % len(DOMAINS)]
    slope = float(rng.choice(SLOPES)) if kind == "leaky" or rng.random() < 0.15 else 0.0
    return Case(KINDS[kind](rng, dim), slope, **draw_domain(rng, dim, domain))


def net_of(widths: Any, seed: int = 0) -> pr.Network:
    """A network of normal weights."""
    return engine_net(draw(np.random.default_rng(seed), list(widths)))


def packed(found: pr.RegionComplex) -> set[bytes]:
    """The patterns of a complex, which are all different."""
    rows = [bytes(row) for row in found.packed_patterns]
    assert len(set(rows)) == len(rows)
    return set(rows)


def assert_same_regions(case: Case) -> None:
    """The engine's regions are the splitter's, each once, with a witness inside and the right boundedness."""
    found, leaves = case.complex, {leaf.pattern: leaf for leaf in case.leaves}
    patterns = [tuple(map(int, row)) for row in found.patterns]
    assert len(set(patterns)) == len(patterns) == len(found) and found.complete
    assert set(patterns) == set(leaves)
    for pattern, x in zip(patterns, found.witnesses):
        if np.isfinite(x).all():
            assert all(dot(k[:-1], list(map(splitter.Fraction, x.tolist()))) < k[-1] for k in leaves[pattern].keys)
