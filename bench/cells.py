"""All regions: ours against one batched NumPy forward pass of the same network over one point per region, and peers.

    python bench/cells.py [--quick] [--large] [--no-peer]

The pass (float64, BLAS at one thread, median of 30) is the yardstick: nobody can know the regions for less. Ours hands
out packed patterns and witnesses as NumPy arrays; verify() is run on a sample in the same process.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

import nets
import numpy as np
import peers

import pyregions as pr

# name, regions in [-1, 1]^d, passes at most with 2 workers. The first four are made in float32, then taken exactly.
TABLE = (
    ("2-16-16-1", 127, None),
    ("2-32-32-1", 795, None),
    ("3-16-16-1", 1_276, None),
    ("4-12-12-1", 1_226, None),
    ("2-64-64-64-1", 4_066, 2),
    ("2-256-256-256-1", 95_324, 2),
    ("3-32-32-1", 6_752, 4),
    ("3-64-64-1", 62_126, 4),
    ("4-24-24-1", 33_295, 25),
    ("5-16-16-1", 32_992, 80),
    ("6-12-12-1", 8_920, 350),
)
SINGLE = {"2-16-16-1", "2-32-32-1", "3-16-16-1", "4-12-12-1"}
SAMPLE = 20


def layers_of(name: str) -> nets.Layers:
    return nets.torch_layers(name, single=name in SINGLE)


def median_seconds(function: Callable[[], Any], repeat: int) -> float:
    """Median over `repeat` calls after one that is not counted; of short ones over as many as the pass's, 30."""
    function()
    times: list[float] = []
    while len(times) < repeat or (len(times) < 30 and sum(times) < 1):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def forward_pass(layers: nets.Layers, X: nets.F64) -> nets.F64:
    for W, b in layers[:-1]:
        X = np.maximum(X @ W.T + b, 0)
    W, b = layers[-1]
    return X @ W.T + b


def pass_seconds(layers: nets.Layers, X: nets.F64, repeat: int = 30) -> float:
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        return median_seconds(lambda: forward_pass(layers, X), repeat)


def enumeration_line(name: str, expected: int, target: int | None, repeat: int) -> str:
    layers = layers_of(name)
    net, box = pr.Network.from_arrays(layers), pr.Box(-1, 1)
    found = pr.enumerate_regions(net, box)
    assert len(found) == expected, (name, len(found))
    found.verify(sample=SAMPLE)
    seconds = {w: median_seconds(lambda w=w: pr.enumerate_regions(net, box, workers=w), repeat) for w in (1, 2)}
    once = pass_seconds(layers, found.witnesses)
    goal = f"{target:>6}" if target else "     -"
    return (
        f"{name:<17}{len(found):>7}{once * 1e3:>10.3f}{seconds[1] * 1e3:>10.2f}{seconds[2] * 1e3:>10.2f}"
        f"{seconds[1] / once:>8.1f}{seconds[2] / once:>8.1f}{goal}{len(found) / seconds[2]:>12,.0f}"
    )


def peer_lines(quick: bool) -> list[str]:
    """Rates of certified enumeration beside relucent's, and time beside affinitree's."""
    lines = []
    for name, whole in (("2-32-32-1", 2_268), ("4-12-12-1", 10_501)):
        layers = layers_of(name)
        net = pr.Network.from_arrays(layers)
        count = len(pr.enumerate_regions(net))
        assert count == whole, (name, count)
        ours = count / median_seconds(lambda net=net: pr.enumerate_regions(net), 5)
        if peers.installed("relucent"):
            cap = 300 if quick or name[0] == "4" else None
            start = time.perf_counter()
            theirs = peers.relucent_regions(layers, cap)
            rate = theirs / (time.perf_counter() - start)
            part = f" of {count}" if theirs != count else ""
            lines.append(
                f"R^{name[0]} {name:<12} ours {ours:>10,.0f}/s ({count}), relucent {rate:>6.1f}/s ({theirs}{part}), "
                f"ratio {ours / rate:,.0f}"
            )
    name = "2-16-16-1" if quick else "2-64-64-64-1"
    layers = layers_of(name)
    net = pr.Network.from_arrays(layers)
    own = median_seconds(lambda: pr.enumerate_regions(net, pr.Box(-1, 1)), 9)
    if peers.installed("affinitree"):
        seconds, theirs = peers.within(300, peers.affinitree_regions, layers)
        if theirs is not None:
            lines.append(
                f"box {name:<12} ours {own * 1e3:.2f} ms ({len(pr.enumerate_regions(net, pr.Box(-1, 1)))}), "
                f"affinitree {seconds:.2f} s ({theirs}), ratio {seconds / own:,.0f}"
            )
    return lines


def slice_lines(repeat: int) -> list[str]:
    """100 lines, and a plane through three points, of large networks against passes over their pieces."""
    rng = np.random.default_rng(0)
    layers = nets.torch_layers("784-256-256-256-10")
    net = pr.Network.from_arrays(layers)
    P, Q = rng.uniform(size=(2, 100, 784))
    found = pr.lines(net, P, Q)
    points = np.concatenate([line.point(line.breakpoints) for line in found])
    once = pass_seconds(layers, points, 5)
    seconds = median_seconds(lambda: pr.lines(net, P, Q), repeat)
    cost = f"{seconds:.3f} s, pass {once:.3f} s, {seconds / once:.2f}"
    out = [f"100 lines, 784-256-256-256-10: {len(points)} breakpoints, {cost}"]
    layers = nets.torch_layers("784-256-256-10")
    net = pr.Network.from_arrays(layers)
    a, b, c = rng.uniform(size=(3, 784))
    cut = pr.plane(net, a, b - a, c - a)
    once = pass_seconds(layers, cut.point(cut.complex.witnesses), 5)
    seconds = median_seconds(lambda: pr.plane(net, a, b - a, c - a), repeat)
    cost = f"{seconds:.3f} s, pass {once:.3f} s, {seconds / once:.2f}"
    out.append(f"a plane, 784-256-256-10: {len(cut)} polygons, {cost}")
    return out


def scaling_lines(repeat: int) -> list[str]:
    """Microseconds per region over three decades of regions: one network in growing boxes."""
    out = []
    for name, sides in (("2-256-256-256-1", (0.03, 0.1, 0.3, 1.0)), ("3-64-64-1", (0.05, 0.2, 0.5, 1.0))):
        net = pr.Network.from_arrays(layers_of(name))
        parts = []
        for side in sides:
            box = pr.Box(-side, side)
            count = len(pr.enumerate_regions(net, box))
            seconds = median_seconds(lambda n=net, b=box: pr.enumerate_regions(n, b), repeat)
            parts.append(f"{count} at {seconds / count * 1e6:.2f}")
        out.append(f"{name}: " + ", ".join(parts) + " us")
    return out


def large_lines() -> list[str]:
    """Counts whose time is minutes, and what memory they took."""
    out = []
    for name, domain in (("8-10-10-1", pr.Box(-1, 1)), ("5-16-16-16-16-1", None)):
        net = pr.Network.from_arrays(nets.torch_layers(name))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        count = pr.count_regions(net, domain)
        seconds = time.perf_counter() - start
        growth = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        where = "R^d" if domain is None else "[-1, 1]^d"
        out.append(f"{name} in {where}: {count:,} regions counted in {seconds:.1f} s, {growth:.0f} MB more memory")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few repetitions, small cases of the peers")
    parser.add_argument("--large", action="store_true", help="also the counts that take minutes")
    parser.add_argument("--no-peer", action="store_true", help="without relucent and affinitree")
    arguments = parser.parse_args()
    repeat = 3 if arguments.quick else 9
    print("all regions in [-1, 1]^d, ms; passes = our time / time of the pass")
    heads = f"{'network':<17}{'regions':>7}{'pass':>10}{'1 worker':>10}{'2 workers':>10}"
    print(f"{heads}{'passes':>8}{'passes':>8}{'goal':>6}{'regions/s':>12}")
    for name, expected, target in TABLE:
        print(enumeration_line(name, expected, target, repeat), flush=True)
    sections: list[tuple[str, Callable[[], list[str]]]] = [
        ("slices", lambda: slice_lines(repeat)),
        ("cost per region over three decades", lambda: scaling_lines(repeat)),
    ]
    if not arguments.no_peer:
        sections.append(("peers, certified on both sides where they certify", lambda: peer_lines(arguments.quick)))
    if arguments.large:
        sections.append(("large", large_lines))
    for title, make in sections:
        print(f"\n{title}", flush=True)
        for text in make():
            print(text, flush=True)


if __name__ == "__main__":
    main()
