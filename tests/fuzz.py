"""Random small networks, every answer against the exact oracle: `python tests/fuzz.py FIRST_SEED COUNT --kind int`.

A seed and a kind give one network, a domain and a few questions, always the same ones. Exit status 1 when an answer was
wrong, left open, or ended in an error; the summary names the seeds.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction

import agree
import numpy as np
import oracle
from agree import assert_agrees, engine_net
from oracle import Cell, Net
from oracle_graph import Graph

import pyregions as pr

PLANS = ["keep"] * 6 + ["copy", "scale", "near", "sum", "common", "no bias", "dead", "constant", "prune"]
KINDS = ("int", "planted", "float", "zero-bias", "graph")
SLOPES = [0.0, 0.0, 1.0, 1.0, 0.25, -1.0, 0.1]
Layers = list[tuple[np.ndarray, np.ndarray]]
Drawn = tuple[pr.Network, Net]  # the same network, for the engine and for the oracle


@dataclass
class Question:
    """The region of a point; on a hyperplane with tie="any"."""

    engine: pr.Network
    net: Net
    bounds: tuple[np.ndarray, np.ndarray] | None
    point: np.ndarray


# ---- what is asked --------------------------------------------------------------------------------------------------


def shape(rng: np.random.Generator) -> list[int]:
    hidden = rng.integers(1, 9, size=rng.integers(1, 4))
    return [int(rng.integers(2, 5)), *map(int, hidden), int(rng.integers(1, 4))]


def integer_layers(rng: np.random.Generator) -> Layers:
    """Weights in -1..1 to -3..3, all of them or some pruned."""
    widths, limit, density = shape(rng), int(rng.integers(1, 4)), rng.choice([0.5, 0.8, 1.0])
    layers = []
    for a, b in zip(widths[:-1], widths[1:], strict=True):
        W = rng.integers(-limit, limit + 1, (b, a)) * (rng.random((b, a)) < density)
        layers.append((W.astype(float), rng.integers(-limit, limit + 1, b).astype(float)))
    return layers


def float_layers(rng: np.random.Generator) -> Layers:
    widths = shape(rng)
    return [(rng.normal(size=(b, a)), 0.5 * rng.normal(size=b)) for a, b in zip(widths[:-1], widths[1:], strict=True)]


def unbiased_layers(rng: np.random.Generator) -> Layers:
    layers = integer_layers(rng) if rng.random() < 0.5 else float_layers(rng)
    return [(W, 0 * b) for W, b in layers[:-1]] + layers[-1:]


def plant(rng: np.random.Generator, W: np.ndarray, b: np.ndarray, common: np.ndarray) -> None:
    """Makes about half of a layer's units repeat others, vanish, lose weights or pass through a common point."""
    for i in range(len(b)):
        j, k = rng.integers(0, len(b), 2)
        plan = rng.choice(PLANS)
        if plan == "copy":
            W[i], b[i] = W[j], b[j]
        elif plan == "scale":  # exactly
            factor = rng.choice([-1.0, 0.25, -2.0])
            W[i], b[i] = factor * W[j], factor * b[j]
        elif plan == "near":  # up to the rounding of each product: parallel and coincident in floats only
            factor = rng.choice([3.0, -0.1, 0.7])
            W[i], b[i] = factor * W[j], factor * b[j]
        elif plan == "sum":
            W[i], b[i] = W[j] + W[k], b[j] + b[k]
        elif plan == "common":  # few bits, so that the bias is exact
            W[i] = np.round(W[i] * 256) / 256
            b[i] = -W[i] @ common
        elif plan == "dead":
            W[i], b[i] = 0, 0
        elif plan == "constant":
            W[i] = 0
        elif plan == "no bias":
            b[i] = 0
        elif plan == "prune":
            W[i, rng.random(W.shape[1]) < 0.5] = 0


def planted_layers(rng: np.random.Generator) -> Layers:
    layers = float_layers(rng)
    if rng.random() < 0.3:  # quantised
        layers = [(np.round(W * 8) / 8, np.round(b * 8) / 8) for W, b in layers]
    for W, b in layers[:-1]:
        plant(rng, W, b, rng.integers(-2, 3, W.shape[1]) / 4)
    kind = rng.random()
    if kind < 0.08:  # layers scaled against each other
        scales = rng.choice([-40, 0, 40], len(layers))
    else:  # or all alike
        scales = np.full(len(layers), rng.choice([-40, 40]) if kind < 0.15 else 0)
    return [(np.ldexp(W, int(s)), np.ldexp(b, int(s))) for (W, b), s in zip(layers, scales, strict=True)]


def graph(rng: np.random.Generator) -> Drawn:
    """Stages of one width with what chains of layers have not: diagonal maps before and after hinges, hinges on the
    input and two on one node, slopes of any sign, any earlier node added again."""
    inputs, width = int(rng.integers(2, 5)), int(rng.integers(1, 6))
    nodes: list[pr.AffineNode | pr.HingeNode] = []
    widths, whole = [inputs], rng.random() < 0.5

    def numbers(*size: int) -> np.ndarray:
        return rng.integers(-2, 3, size).astype(float) if whole else rng.normal(size=size)

    def affine(*terms: tuple[int, np.ndarray]) -> int:
        widths.append(len(terms[0][1]))
        nodes.append(pr.AffineNode(terms, 0.5 * numbers(widths[-1])))
        return len(nodes)

    def hinge(source: int) -> int:
        k = widths[source]
        plain = rng.random() < 0.6
        low, high = (np.zeros(k), np.ones(k)) if plain else rng.choice(SLOPES, (2, k))
        nodes.append(pr.HingeNode(source, low, high))
        widths.append(k)
        return len(nodes)

    def into(source: int) -> np.ndarray:
        """A diagonal where there can be one, or a matrix."""
        diagonal = widths[source] == width and rng.random() < 0.4
        return numbers(width) if diagonal else numbers(width, widths[source])

    last = affine((0, numbers(inputs))) if rng.random() < 0.3 else 0  # the input normalised
    if rng.random() < 0.15:
        last = hinge(last or affine((0, np.ones(inputs))))  # of the input itself
    last = affine((last, numbers(width, inputs)))
    for _ in range(int(rng.integers(1, 4))):
        sources = [hinge(last)] + ([hinge(last)] if rng.random() < 0.2 else [])
        if rng.random() < 0.4:
            sources[0] = affine((sources[0], numbers(width)))
        if rng.random() < 0.4:
            sources.append(int(rng.integers(0, len(nodes))))
        last = affine(*((source, into(source)) for source in sources))
    affine((last, numbers(int(rng.integers(1, 4)), width)))
    return pr.Network(inputs, nodes), Graph.from_nodes(inputs, nodes)


DRAW = {"int": integer_layers, "planted": planted_layers, "float": float_layers, "zero-bias": unbiased_layers}


def network(kind: str, rng: np.random.Generator) -> Drawn:
    if kind == "graph":
        return graph(rng)
    layers = DRAW[kind](rng)
    return engine_net(layers), Net.from_arrays(layers)


def draw_bounds(rng: np.random.Generator, dim: int) -> tuple[np.ndarray, np.ndarray] | None:
    """All of R^d, a box, or a box with open sides."""
    kind = rng.choice(["all", "box", "half-open"], p=[0.4, 0.4, 0.2])
    if kind == "all":
        return None
    lower, upper = -rng.integers(1, 4, dim).astype(float), rng.integers(1, 4, dim).astype(float)
    if kind == "half-open":
        lower[rng.random(dim) < 0.4] = -np.inf
        upper[rng.random(dim) < 0.4] = np.inf
    return lower, upper


def questions(kind: str, seed: int) -> list[Question]:
    """A random point, and in half of the cases a point of a lattice, which often lies on hyperplanes or on the box."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    engine, net = network(kind, rng)
    dim = net.inputs
    bounds = draw_bounds(rng, dim)
    points = [rng.uniform(-1, 1, dim)]
    if rng.random() < 0.5:
        points.append(rng.integers(-2, 3, dim) / rng.choice([1.0, 2.0, 4.0]))
    low, high = bounds or (-np.inf, np.inf)
    return [Question(engine, net, bounds, np.clip(p, low, high)) for p in points]


# ---- how it is checked ----------------------------------------------------------------------------------------------


def inner_point(bounds: tuple[np.ndarray, np.ndarray]) -> list[Fraction]:
    """The point of a box towards which tie="any" looks: its middle, one step from the only side, or 0."""
    ends = [(Fraction(v) if np.isfinite(v) else None for v in side) for side in bounds]
    found = []
    for low, high in zip(*ends, strict=True):
        if low is None:
            found.append(Fraction(0) if high is None else high - 1)
        else:
            found.append(low + 1 if high is None else (low + high) / 2)
    return found


def tie_pattern(q: Question) -> list[int]:
    """Signs at x + e (c - x) + e^2 e_1 + ... + e^(d+1) e_d; in all of R^d the first step is left out."""
    x = agree.point(q.point)
    steps = [[Fraction(i == k) for i in range(q.net.inputs)] for k in range(q.net.inputs)]
    if q.bounds and np.isfinite(q.bounds).any():
        steps.insert(0, [c - v for c, v in zip(inner_point(q.bounds), x, strict=True)])
    return [int(s > 0) for s in q.net.signs_along(x, steps)]


def region_of(q: Question) -> tuple[pr.Region, list[int]]:
    """The engine's region, and the oracle's pattern of it."""
    engine, net = q.engine, q.net
    domain = pr.Box(*q.bounds) if q.bounds else None
    x = agree.point(q.point)
    ties = net.ties(x)
    if not ties:
        return engine.region(q.point, domain=domain), net.pattern(x)
    try:
        engine.region(q.point, domain=domain)
    except pr.OnBoundaryError as error:
        named = {tuple(map(int, label[:2])) for label in error.labels}
        # Which units further down are tied depends on the side taken; the first stage with a tie has no doubt.
        first = [net.label(u, 0)[:2] for u in ties]
        assert {label for label in first if label[0] == first[0][0]} <= named
    else:
        raise AssertionError("a point on a hyperplane was given a region")
    return engine.region(q.point, domain=domain, tie="any"), tie_pattern(q)


def ask(q: Question, rng: np.random.Generator, allow_open: bool) -> None:
    """The region of the point, and the region across one of its facets: everything they say against the oracle."""
    rows = oracle.box(*q.bounds) if q.bounds else []
    region, pattern = region_of(q)
    cell = Cell(q.net, pattern, rows)
    assert_agrees(region, cell, allow_open)
    neighbors = agree.decided(region.neighbors, allow_open)
    if neighbors:
        across = neighbors[int(rng.integers(len(neighbors)))]
        assert_agrees(across.region(), Cell(q.net, [int(v) for v in across.pattern], rows), allow_open)


def run_seed(kind: str, seed: int) -> str:
    """The verdict: "ok", "undecided", "raised ..." or "WRONG"; what was wrong goes to the standard error stream."""
    verdict = "ok"
    for q in questions(kind, seed):
        try:
            try:
                ask(q, np.random.default_rng(seed), allow_open=False)
            except (pr.UndecidedError, agree.OpenError):
                verdict = "undecided"  # the answers that are given are compared all the same
                ask(q, np.random.default_rng(seed), allow_open=True)
        except pr.UndecidedError:
            continue
        except AssertionError as error:
            print(f"{kind} {seed}: WRONG: {str(error) or trace_line(error)}", file=sys.stderr)
            return "WRONG"
        except Exception as error:  # noqa: BLE001 - any error is a finding
            print(f"{kind} {seed}: {type(error).__name__}: {error}", file=sys.stderr)
            return f"raised {type(error).__name__}"
    return verdict


def trace_line(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace else "?"


def run(kind: str, seeds: range) -> dict[str, list[int]]:
    """Verdict -> the seeds that got it."""
    found: dict[str, list[int]] = {}
    for seed in seeds:
        found.setdefault(run_seed(kind, seed), []).append(seed)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("first", type=int)
    parser.add_argument("count", type=int)
    parser.add_argument("--kind", choices=[*KINDS, "all"], default="all")
    options = parser.parse_args()
    total: Counter[str] = Counter()
    for kind in KINDS if options.kind == "all" else [options.kind]:
        began = time.perf_counter()
        found = run(kind, range(options.first, options.first + options.count))
        seconds = time.perf_counter() - began
        summary = ", ".join(f"{len(seeds)} {verdict}" for verdict, seeds in sorted(found.items()))
        print(f"{kind}: {options.count} networks in {seconds:.1f} s: {summary}", flush=True)
        for verdict, seeds in sorted(found.items()):
            if verdict != "ok":
                print(f"  {verdict}: {' '.join(map(str, seeds[:100]))}{' ...' if len(seeds) > 100 else ''}")
        total.update({verdict: len(seeds) for verdict, seeds in found.items()})
    return int(set(total) != {"ok"})


if __name__ == "__main__":
    sys.exit(main())
