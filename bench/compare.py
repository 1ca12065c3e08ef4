"""Times pyregions and its peers side by side in one run, asserts that their answers agree, and prints the ratios.

    python bench/compare.py [--only NAME ...] [--repeat 3] [--budget 60] [--stop 120]

Every time of ours includes making the region, its rows and all certificates; the peers are given the finished rows.
"""

# ruff: noqa: E402 (the thread count must be set before NumPy is imported)

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "2")  # two threads on both sides, wherever a side has threads

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nets
import numpy as np
import peers
from nets import F64, Layers

import pyregions as pr

SIDE = 0.05  # the box [x - 0.05, x + 0.05]
REPEAT = 7  # calls per point where they are short, on either side


@dataclass
class Limits:
    budget: float  # seconds for one run of the paper's way, which is then sampled and scaled up
    stop: float  # seconds after which another peer is stopped


@dataclass
class Line:
    task: str
    domain: str
    rows: int
    facets: int | None
    ours: float
    peer: str
    theirs: float
    note: str = ""

    def text(self) -> str:
        size = "" if self.facets is None else str(self.facets)
        ratio = f"{self.theirs / self.ours:9.1f}x" if self.ours > 0 else ""
        return (
            f"{self.task:<24}{self.domain:<8}{self.rows:>6}{size:>7}{self.ours:>10.4f}  {self.peer:<16}"
            f"{self.theirs:>10.4f}{ratio}  {self.note}"
        )


HEADER = (
    f"{'task':<24}{'domain':<8}{'rows':>6}{'facets':>7}{'ours s':>10}  {'peer':<16}{'peer s':>10}{'ratio':>10}  note"
)


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    answer = call()
    return time.perf_counter() - start, answer


def points(dim: int, count: int) -> Iterator[F64]:
    rng = np.random.default_rng(0)
    return (rng.normal(size=dim) for _ in range(count))


def instances(name: str, count: int) -> Iterator[tuple[Layers, F64]]:
    """Random points of one network, or the origin of several known polytopes."""
    if name.startswith("known "):
        d, rows = map(int, name.removeprefix("known ").split("-"))
        yield from ((nets.known_polytope(d, rows, seed), np.zeros(d)) for seed in range(count))
    else:
        layers = nets.torch_layers(name)
        yield from ((layers, x) for x in points(len(layers[0][0][0]), count))


def our_facets(net: pr.Network, x: F64, domain: pr.Box | None) -> tuple[pr.Region, set[int]]:
    region = net.region(x, domain=domain)
    return region, {row for group in region.facets.groups for row in group}


def facet_line(name: str, peer: str, repeat: int, limits: Limits, box: bool) -> Line:
    """Facets of the region of a random normal point, medians over `repeat` points; both sides on the same point."""
    seconds: list[float] = []
    peer_seconds: list[float] = []
    notes: set[str] = set()
    counts: list[int] = []
    rows = 0
    for layers, x in instances(name, repeat):
        net = pr.Network.from_arrays(layers)
        domain = pr.Box(x - SIDE, x + SIDE) if box else None
        elapsed, (region, ours) = peers.median_seconds(REPEAT, our_facets, net, x, domain)
        A, b = np.array(region.halfspaces.A), np.array(region.halfspaces.b)
        seconds.append(elapsed)
        counts.append(len(region.facets))
        rows = len(b)
        spent, theirs, tested, note = run_peer(peer, layers, x, A, b, box, limits)
        peer_seconds.append(spent)
        notes.add("; ".join(part for part in (peers.settle(A, b, ours, theirs, tested), note) if part))
    domain_name = "box" if box else "R^d"
    return Line(
        f"facets {name}",
        domain_name,
        rows,
        statistics.median_low(counts),
        statistics.median(seconds),
        peer,
        statistics.median(peer_seconds),
        " | ".join(sorted(notes)),
    )


def run_peer(
    peer: str, layers: Layers, x: F64, A: F64, b: F64, box: bool, limits: Limits
) -> tuple[float, set[int], set[int], str]:
    """(seconds, rows it calls facets, rows it decided, note)."""
    if peer == "paper (N LPs)":
        blocks, offsets = nets.float_rows(layers, x)
        sides = (x - SIDE, x + SIDE) if box else (None, None)
        decisions, spent, extrapolated = peers.paper_facets(blocks, offsets, *sides, limits.budget)
        note = f"{len(decisions)} rows tested, time scaled up" if extrapolated else ""
        return spent, {i for i, facet in decisions.items() if facet}, set(decisions), note
    if peer == "relucent":
        spent, theirs = peers.within(limits.stop, peers.relucent_facets, layers, x)
    else:
        facets = {"daqp": peers.daqp_facets, "cddlib": peers.cdd_facets}[peer]
        spent, theirs = peers.within(limits.stop, facets, A, b, repeat=REPEAT)
    if theirs is None:
        return spent, set(), set(), f"stopped after {limits.stop:.0f} s: the ratio is larger"
    return spent, theirs, set(range(len(b))), ""


def ball_line(name: str, peer: str, repeat: int, limits: Limits, box: bool) -> Line:
    """The largest ball of a region in [0, 1]^d; the two radii must agree to 1e-6 and ours be proven to 1e-6."""
    del limits, box
    layers = nets.torch_layers(name)
    net = pr.Network.from_arrays(layers)
    dim = len(layers[0][0][0])
    rng = np.random.default_rng(0)
    seconds, peer_seconds, rows = [], [], 0
    for _ in range(repeat):
        x = rng.uniform(size=dim)
        elapsed, (region, ball) = timed(lambda x=x: with_ball(net.region(x, domain=pr.Box(0, 1))))
        seconds.append(elapsed)
        units = np.array([label.is_unit for label in region.halfspaces.labels])
        rows = len(units)
        A, b = np.array(region.halfspaces.A[units]), np.array(region.halfspaces.b[units])
        if peer == "affinitree":
            box_A, box_b = nets.box_rows(np.zeros(dim), np.ones(dim))
            both = np.vstack([A, box_A]), np.concatenate([b, box_b])
            spent, solution = timed(lambda both=both: peers.affinitree_center(*both))
            radius = float(solution[-1])
        else:
            spent, (_, radius) = timed(lambda A=A, b=b: peers.scipy_ball(A, b, np.zeros(dim), np.ones(dim)))
        peer_seconds.append(spent)
        low, high = ball.radius_bounds
        assert low * (1 - 1e-6) <= radius <= high * (1 + 1e-6), (low, radius, high)
        assert high - low <= 1e-6 * high, f"radius only known within [{low}, {high}]"
    return Line(
        f"ball {name}",
        "[0,1]^d",
        rows,
        None,
        statistics.median(seconds),
        peer,
        statistics.median(peer_seconds),
        "radii agree, bounds within 1e-6",
    )


def with_ball(region: pr.Region) -> tuple[pr.Region, pr.Ball]:
    return region, region.chebyshev


# name -> (function, network, peer, box). In R^d relucent's answer is the whole cell; it knows no other domain.
TASKS: dict[str, tuple[Callable[..., Line], str, str, bool]] = {}
for _net in ("64-64-64-10", "64-256-256-10", "784-256-256-10"):
    for _box in (False, True):
        _where = "box" if _box else "free"
        TASKS[f"daqp-{_net}-{_where}"] = (facet_line, _net, "daqp", _box)
        TASKS[f"paper-{_net}-{_where}"] = (facet_line, _net, "paper (N LPs)", _box)
for _known in ("5-100", "10-200", "20-500", "50-500"):
    TASKS[f"daqp-known-{_known}"] = (facet_line, f"known {_known}", "daqp", False)
TASKS["relucent-64-64-64-10"] = (facet_line, "64-64-64-10", "relucent", False)
TASKS["cddlib-8-32-32-3-free"] = (facet_line, "8-32-32-3", "cddlib", False)
TASKS["cddlib-8-32-32-3-box"] = (facet_line, "8-32-32-3", "cddlib", True)
TASKS["ball-784-256-256-10"] = (ball_line, "784-256-256-10", "scipy highs-ipm", True)
TASKS["ball-affinitree-8-32-32-3"] = (ball_line, "8-32-32-3", "affinitree", True)
PACKAGES = {"daqp": "daqp", "relucent": "relucent", "cddlib": "cdd", "affinitree": "affinitree"}

MEMORY_CHILD = """
import sys
import numpy as np
import pyregions as pr

def status(key):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024

data = np.load(sys.argv[1])
net = pr.Network.from_arrays([(data[f"W{k}"], data[f"b{k}"]) for k in range(len(data.files) // 2)])
x = np.random.default_rng(0).normal(size=net.inputs)
net.signs(x)
before = status("VmRSS")
region = net.region(x)
len(region.halfspaces)
rows = status("VmHWM") - before
facets = region.facets if "facets" in sys.argv[2] else ()
print(rows, status("VmHWM") - before, len(facets))
"""


def memory_lines(name: str) -> None:
    """Growth of the peak resident memory in a fresh process (VmHWM: a child's getrusage peak starts at ours)."""
    arrays = {}
    for k, (W, b) in enumerate(nets.torch_layers(name)):
        arrays[f"W{k}"], arrays[f"b{k}"] = W, b
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.npz"
        np.savez(path, **arrays)  # type: ignore[arg-type]
        child = [sys.executable, "-c", MEMORY_CHILD, str(path), "facets"]
        spent, out = timed(lambda: subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    rows, peak, facets = (float(v) for v in out.split())
    print(f"memory {name}: +{rows:.0f} MB for the region and its rows, +{peak:.0f} MB with {facets:.0f} facets")
    print(f"  ({spent:.1f} s with start-up)")
    assert peak < 500, "peak memory grew by 500 MB or more"


def undecided_line(name: str, regions: int) -> None:
    """How many rows stay open, over regions in R^d and in the box."""
    layers = nets.torch_layers(name)
    net = pr.Network.from_arrays(layers)
    rows = undecided = 0
    for x in points(len(layers[0][0][0]), regions):
        for domain in (None, pr.Box(x - SIDE, x + SIDE)):
            region = net.region(x, domain=domain)
            rows += len(region.halfspaces)
            try:
                len(region.facets)
            except pr.UndecidedError as error:
                undecided += len(error.rows)
    print(f"undecided {name}: {undecided} of {rows} rows over {2 * regions} regions")
    assert undecided * 1000 <= rows


def floor_line(rows: int, dim: int) -> None:
    A = np.random.default_rng(0).normal(size=(rows, dim))
    spent = min(timed(lambda: A @ (A.T @ A))[0] for _ in range(5))
    print(f"floor: A (A'A) with A {rows} x {dim} takes {spent:.4f} s here (NumPy, two threads)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    extra = ["memory", "undecided", "floor"]
    parser.add_argument("--only", nargs="+", metavar="NAME", help=f"of {', '.join([*TASKS, *extra])} (prefixes count)")
    parser.add_argument("--repeat", type=int, default=3, help="points per line; medians are printed (default 3)")
    parser.add_argument("--budget", type=float, default=60.0, help="seconds per run of the paper's way (default 60)")
    parser.add_argument("--stop", type=float, default=120.0, help="seconds after which a peer is stopped (default 120)")
    options = parser.parse_args()
    limits = Limits(options.budget, options.stop)

    def wanted(task: str) -> bool:
        return not options.only or any(task.startswith(prefix) for prefix in options.only)

    if wanted("floor"):
        floor_line(512, 784)
    print(HEADER)
    for task, (function, name, peer, box) in TASKS.items():
        if not wanted(task):
            continue
        if peer in PACKAGES and not peers.installed(PACKAGES[peer]):
            print(f"{task}: {peer} is not installed")
            continue
        try:
            print(function(name, peer, options.repeat, limits, box).text(), flush=True)
        except pr.UndecidedError as error:
            print(f"{task}: undecided rows {error.rows}", flush=True)
    if wanted("undecided"):
        for name, count in (("64-64-64-10", 20), ("64-256-256-10", 5), ("784-256-256-10", 2)):
            undecided_line(name, count)
    if wanted("memory"):
        memory_lines("784-1024-1024-1024-10")


if __name__ == "__main__":
    main()
