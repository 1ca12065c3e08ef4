"""What exactness costs: the ladder against the same computation without proofs, and exact decisions of planted ties.

    python bench/ladder.py [--repeat 9] [--no-peer]

Certified and uncertified runs alternate on the same regions in one process; medians. "exact" is the share of decisions
that reached integers. Ties are rows that others imply with equality, so that no interval can tell.
"""

from __future__ import annotations

import argparse
import statistics
import time

import nets
import numpy as np
import peers

import pyregions as pr
from pyregions import _core

RUNGS = ("triage", "tight", "basis", "refine", "exact", "undecided")
SIDE = 0.05
WIDE = 4
BITS = 20  # planted weights are multiples of 2^-20, so that sums of a few are stored exactly


def facets_of(net: pr.Network, x: nets.F64, box: bool, certify: bool) -> tuple[float, _core.Cell]:
    """Seconds from a point to its region, rows and facets, proven or as floats propose them."""
    start = time.perf_counter()
    cell = net.region(x, domain=pr.Box(x - SIDE, x + SIDE) if box else None)._cell
    if certify:
        cell.facets(allow_undecided=True, workers=2)
    else:
        cell.proposed_facets(2)
    return time.perf_counter() - start, cell


def ladder_line(name: str, box: bool, repeat: int) -> str:
    """Decisions per rung over `repeat` regions, and the cost of proving them."""
    layers = nets.torch_layers(name)
    net = pr.Network.from_arrays(layers)
    rng = np.random.default_rng(0)
    proven, proposed, ratios = [], [], []
    total = dict.fromkeys(RUNGS, 0)
    for _ in range(repeat):
        x = rng.normal(size=net.inputs)
        floats, _ = facets_of(net, x, box, certify=False)
        certified, cell = facets_of(net, x, box, certify=True)
        proposed.append(floats)
        proven.append(certified)
        ratios.append(certified / floats)
        for rung in RUNGS:
            total[rung] += int(cell.stats()[rung])
    decisions = sum(total.values())
    ratio = statistics.median(ratios)
    counts = " ".join(f"{rung} {count}" for rung, count in total.items() if count)
    return (
        f"{name:<18}{'box' if box else 'R^d':<5}{decisions:>9}{total['exact'] / decisions:>9.4%}"
        f"{statistics.median(proven) * 1e3:>11.2f}{statistics.median(proposed) * 1e3:>11.2f}{ratio:>7.2f}  {counts}"
    )


def planted(name: str, kind: str, x: np.ndarray) -> nets.Layers:
    """sum: unit 2 is unit 0 plus unit 1. point: the first layer's hyperplanes meet in one point, no later biases. Of
    more units than inputs, WIDE are such that in the region of x as many others as there are inputs imply them.
    """
    layers = [(W.copy(), b.copy()) for W, b in nets.numpy_layers(name)]
    W, b = layers[0]
    W[:], b[:] = np.round(W * 2**BITS) / 2**BITS, np.round(b * 2**BITS) / 2**BITS
    if kind == "sum":
        W[2], b[2] = W[0] + W[1], b[0] + b[1]
        return layers
    rng = np.random.default_rng(1)
    inputs = W.shape[1]
    common = rng.integers(-3, 4, inputs)
    if len(W) >= inputs + WIDE:
        sides = np.sign(W[:inputs] @ (x - common))
        for k in range(1, WIDE + 1):  # a sum of all, off by a few units of the grid: its multipliers are long fractions
            W[-k] = rng.integers(1, 4, inputs) * sides @ W[:inputs] + rng.integers(-1, 2, inputs) / 2**BITS
    b[:] = -W @ common
    for _, later in layers[1:]:
        later[:] = 0
    return layers


def tie_line(name: str, kind: str, seconds_per_lp: float) -> str:
    """Seconds per exact decision of a region with planted ties, as multiples of one LP of the peer."""
    rng = np.random.default_rng(0)
    while True:  # a region in which the tie shows: units 0 and 1 on one side
        x = rng.normal(size=nets.widths_of(name)[0])
        region = pr.Network.from_arrays(planted(name, kind, x)).region(x)
        if kind == "point" or region.pattern[0] == region.pattern[1]:
            break
    start = time.perf_counter()
    facets = region.facets
    spent = time.perf_counter() - start
    exact = [r for r in facets.redundant if r.proof == "exact"]
    stage = region.stats()["seconds_exact"]
    each = stage / len(exact) if exact else float("nan")
    against = f"{each / seconds_per_lp:8.2f} LPs of relucent" if seconds_per_lp else ""
    widest = max((len(r.exact[1]) for r in exact if r.exact), default=0)
    return (
        f"{name:<18}{kind:<7}{len(facets.redundant):>4} redundant, {len(exact):>3} by exact solves of <= {widest} rows:"
        f"{each * 1e3:>10.2f} ms each {against}   (all facets {spent:.2f} s, undecided {len(facets.undecided)})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=9, help="regions per line (default 9)")
    parser.add_argument("--no-peer", action="store_true", help="do not time relucent's LPs")
    options = parser.parse_args()
    print(f"{'net':<18}{'where':<5}{'decisions':>9}{'exact':>9}{'proven ms':>11}{'floats ms':>11}{'ratio':>7}  rungs")
    for name in ("64-64-64-10", "64-256-256-10", "784-256-256-10"):
        for box in (False, True):
            few = 3 if name.startswith("784") and box else options.repeat
            print(ladder_line(name, box, few), flush=True)
    per_lp = 0.0
    if not options.no_peer and peers.installed("relucent"):
        layers = nets.torch_layers("64-64-64-10")
        spent, rows = peers.relucent_seconds_per_row(layers, np.random.default_rng(0).normal(size=64))
        per_lp = spent / rows
        print(f"relucent, 64-64-64-10: {spent:.2f} s for {rows} rows, {per_lp * 1e3:.1f} ms per LP")
    for name in ("64-256-256-10", "784-256-256-10", "784-1024-10"):
        print(tie_line(name, "sum", per_lp), flush=True)
    for name in ("64-256-256-10", "784-1024-10"):  # more units than inputs: ties as wide as the space
        print(tie_line(name, "point", per_lp), flush=True)


if __name__ == "__main__":
    main()
