"""Benchmark networks (torch's default initialisation, seed 0, float64, layers created in order) and their rows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
Layers = list[tuple[F64, F64]]


def widths_of(name: str) -> list[int]:
    return [int(w) for w in name.split("-")]


def torch_layers(name: str, single: bool = False) -> Layers:
    """Weights of nn.Linear(..., dtype=float64) created in order after manual_seed(0), nothing else drawn.

    single: created in float32 and then taken as doubles, which are other numbers.
    """
    import torch

    torch.manual_seed(0)
    dtype = torch.float32 if single else torch.float64
    linears = [torch.nn.Linear(a, b, dtype=dtype).double() for a, b in pairwise(widths_of(name))]
    return [(m.weight.detach().numpy().copy(), m.bias.detach().numpy().copy()) for m in linears]


def numpy_layers(name: str, seed: int = 0) -> Layers:
    """The same distribution (uniform within 1 / sqrt(fan in)) without torch; other numbers."""
    rng = np.random.default_rng(seed)
    return [(rng.uniform(-1, 1, (b, a)) / a**0.5, rng.uniform(-1, 1, b) / a**0.5) for a, b in pairwise(widths_of(name))]


def float_rows(layers: Layers, x: F64) -> tuple[list[F64], list[F64]]:
    """Outward rows A x <= b of x's ReLU cell, one block per hidden layer, composed in plain floats."""
    A, c = np.eye(len(x)), np.zeros(len(x))
    blocks, offsets = [], []
    for W, b in layers[:-1]:
        A, c = W @ A, W @ c + b
        sign = np.where(A @ x + c > 0, -1.0, 1.0)
        blocks.append(sign[:, None] * A)
        offsets.append(-sign * c)
        A, c = np.where(sign < 0, 1.0, 0.0)[:, None] * A, np.where(sign < 0, c, 0.0)
    return blocks, offsets


def box_rows(lower: F64, upper: F64) -> tuple[F64, F64]:
    """Rows of a box, for each coordinate the lower then the upper bound: the order of Region.halfspaces."""
    d = len(lower)
    A = np.zeros((2 * d, d))
    A[0::2], A[1::2] = -np.eye(d), np.eye(d)
    b = np.empty(2 * d)
    b[0::2], b[1::2] = -lower, upper
    return A, b


def known_polytope(d: int, rows: int, seed: int) -> Layers:
    """One layer whose cell of the origin has so many rows, in random order: half are facets, tangent to the unit
    sphere, the others convex combinations of d of those, moved out by a tenth."""
    rng = np.random.default_rng([d, rows, seed])
    half = rows // 2
    tangent = rng.normal(size=(half, d))
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    shares = np.zeros((rows - half, half))
    for row in shares:
        row[rng.choice(half, size=d, replace=False)] = rng.dirichlet(np.ones(d))
    A = np.vstack([tangent, shares @ tangent])
    b = np.concatenate([np.ones(half), np.full(rows - half, 1.1)])
    order = rng.permutation(rows)
    return [(-A[order], b[order]), (np.ones((1, rows)), np.zeros(1))]
