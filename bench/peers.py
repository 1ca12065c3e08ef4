"""The other ways to get the same answers: each function takes float rows or a network and returns plain arrays."""

from __future__ import annotations

import importlib.util
import multiprocessing
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from nets import F64, Layers
from scipy.optimize import linprog


def installed(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


SHORT = 2.0  # seconds: a call that takes longer is not repeated


def median_seconds(repeat: int, function: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    """(seconds, last answer): the median of so many calls, of the first alone if it is not short."""
    times: list[float] = []
    while not times or (len(times) < repeat and times[0] < SHORT):
        start = time.perf_counter()
        answer = function(*arguments)
        times.append(time.perf_counter() - start)
    return statistics.median(times), answer


def _send(connection: Any, repeat: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    connection.send(median_seconds(repeat, function, *arguments))


def within(limit: float, function: Callable[..., Any], *arguments: Any, repeat: int = 1) -> tuple[float, Any | None]:
    """(median seconds measured inside, answer) of calls in a process of their own; (limit, None) when it is stopped."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_send, args=(sender, repeat, function, arguments), daemon=True)
    child.start()
    sender.close()
    try:
        # The limit is on the call: a minute more covers the start of a process that imports torch and Gurobi.
        if not receiver.poll(limit + 60):
            return limit, None
        answer: tuple[float, Any] = receiver.recv()
        child.join(10)
        return answer
    finally:
        child.terminate()
        child.join()


# ---- the paper's own way: one LP per row, with that row relaxed by 1


def relaxed_row_is_facet(A: F64, b: F64, i: int, bounds: Any = (None, None)) -> tuple[bool, float]:
    """(row i can be violated when every other row holds, by how much relative to the row's norm)."""
    relaxed = b.copy()
    relaxed[i] += 1.0
    found = linprog(-A[i], A_ub=A, b_ub=relaxed, bounds=bounds, method="highs")
    if found.status != 0:
        raise RuntimeError(f"HiGHS on row {i}: {found.message}")
    excess = float(-found.fun - b[i]) / float(np.linalg.norm(A[i]))
    return excess > 1e-7, excess  # 1e-7 is HiGHS's own feasibility tolerance: nothing below it means anything


def settle(A: F64, b: F64, ours: set[int], theirs: set[int], tested: set[int]) -> str:
    """Rows on which the two sides differ go to an LP each; ours must be on its side, except within its tolerance."""
    differing = sorted((ours ^ theirs) & tested)
    wrong = 0
    for i in differing[:20]:
        is_facet, excess = relaxed_row_is_facet(A, b, i)
        assert abs(excess) <= 1e-6 or is_facet == (i in ours), f"row {i}: LP says {is_facet} by {excess:.1e}"
        wrong += abs(excess) > 1e-6
    if not tested:
        return ""
    if not differing:
        return "answers agree"
    return f"peer differs on {len(differing)} rows, LPs confirm ours on {wrong}, within 1e-6 on the rest"


def paper_facets(
    blocks: list[F64], offsets: list[F64], lower: F64 | None, upper: F64 | None, budget: float
) -> tuple[dict[int, bool], float, bool]:
    """Layer by layer: after each layer, every row kept so far and every new row gets one LP against all the others.

    Returns (decision per row tested against the final system, seconds, extrapolated). The box enters as bounds of the
    variables, which is in HiGHS's favour. When the budget runs out, the last layer's LPs are done on an even sample of
    rows, and the seconds are scaled up to all of them.
    """
    bounds = np.column_stack([lower, upper]) if lower is not None and upper is not None else (None, None)
    start = time.perf_counter()
    kept_rows: list[int] = []
    A, b = np.empty((0, blocks[0].shape[1])), np.empty(0)
    decisions: dict[int, bool] = {}
    extrapolated, extra, first = False, 0.0, 0
    for depth, (block, offset) in enumerate(zip(blocks, offsets, strict=True)):
        A, b = np.vstack([A, block]), np.concatenate([b, offset])
        rows = kept_rows + list(range(first, first + len(offset)))
        first += len(offset)
        last = depth == len(blocks) - 1
        order = np.random.default_rng(depth).permutation(len(rows))
        verdict = np.ones(len(rows), dtype=bool)
        begin = time.perf_counter()
        share = budget / len(blocks)
        for done, i in enumerate(order):
            elapsed = time.perf_counter() - begin
            if elapsed > share and done:
                extra += elapsed * (len(rows) / done - 1)
                extrapolated = True
                break
            verdict[i], _ = relaxed_row_is_facet(A, b, int(i), bounds)
            if last:
                decisions[rows[i]] = bool(verdict[i])
        kept_rows = [r for r, keep in zip(rows, verdict, strict=True) if keep]
        A, b = A[verdict], b[verdict]
    return decisions, time.perf_counter() - start + extra, extrapolated


# ---- packages


def daqp_facets(A: F64, b: F64) -> set[int]:
    import daqp

    return set(np.flatnonzero(np.asarray(daqp.minrep(np.ascontiguousarray(A), b.copy())) == 0).tolist())


def cdd_facets(A: F64, b: F64) -> set[int]:
    """cddlib's rows are b - A x >= 0."""
    import cdd

    matrix = cdd.matrix_from_array(np.column_stack([b, -A]).tolist(), rep_type=cdd.RepType.INEQUALITY)
    return set(range(len(b))) - set(cdd.redundant_rows(matrix))


def torch_model(layers: Layers) -> Any:
    """The network as torch modules in float64."""
    import torch

    modules: list[Any] = []
    for k, (W, b) in enumerate(layers):
        linear = torch.nn.Linear(W.shape[1], W.shape[0], dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(W))
            linear.bias.copy_(torch.from_numpy(b))
        modules += [linear, torch.nn.ReLU()] if k < len(layers) - 1 else [linear]
    return torch.nn.Sequential(*modules)


def relucent_facets(layers: Layers, x: F64) -> set[int]:
    """Indices of supporting hidden units, by its documented API only (it needs torch, and Gurobi in its free size)."""
    import relucent

    return {int(i) for i in relucent.Complex(torch_model(layers)).add_point(x).shis}


def relucent_regions(layers: Layers, cap: int | None) -> int:
    """Regions of all of R^d that its breadth-first search finds in one process, certified where it is not capped."""
    import relucent

    found = relucent.Complex(torch_model(layers))
    found.bfs(nworkers=1, verbose=0, max_polys=float("inf") if cap is None else cap)
    return len(found)


def affinitree_regions(layers: Layers) -> int:
    """Leaves of its decision tree over [-1, 1]^d."""
    import affinitree

    d = layers[0][0].shape[1]
    box = affinitree.Polytope.hyperrectangle(d, [(-1.0, 1.0)] * d)
    start = affinitree.AffTree.from_poly(box, affinitree.AffFunc.identity(d))
    modules = affinitree.extract_pytorch_architecture(d, torch_model(layers))
    return int(affinitree.builder.from_layers(modules, precondition=start).num_terminals())


def affinitree_center(A: F64, b: F64) -> F64:
    """Its centre of the largest ball in A x <= b: it returns the program, whose last variable is the radius."""
    import affinitree

    program, cost = affinitree.Polytope.from_mats(A, b).chebyshev_center()
    return np.asarray(program.solve(cost))


def scipy_ball(A: F64, b: F64, lower: F64 | None = None, upper: F64 | None = None) -> tuple[F64, float]:
    """Largest inscribed ball by HiGHS's interior point; the box's rows carry the radius like all others."""
    if lower is not None and upper is not None:
        d = len(lower)
        A, b = np.vstack([A, -np.eye(d), np.eye(d)]), np.concatenate([b, -lower, upper])
    norms = np.linalg.norm(A, axis=1)
    cost = np.zeros(A.shape[1] + 1)
    cost[-1] = -1.0
    found = linprog(cost, A_ub=np.column_stack([A, norms]), b_ub=b, bounds=(None, None), method="highs-ipm")
    if found.status != 0:
        raise RuntimeError(f"HiGHS on the inscribed ball: {found.message}")
    return found.x[:-1], float(found.x[-1])


def relucent_seconds_per_row(layers: Layers, x: F64) -> tuple[float, int]:
    """(seconds, rows) of its facets of one region, where it solves one certified LP per row."""
    import relucent  # noqa: F401 (its import is not part of the time)

    start = time.perf_counter()
    relucent_facets(layers, x)
    return time.perf_counter() - start, sum(W.shape[0] for W, _ in layers[:-1])
