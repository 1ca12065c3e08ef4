"""Layer 4. Statistics of regions: orientation of the facets, insphere, the maps next door, other classes inside.

Everything here is a summary in floats of exact decisions that the region already made; nothing decides geometry.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .cell import NoInterior
from .errors import UndecidedError

if TYPE_CHECKING:
    from .region import Region
    from .values import Facets

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


def layers_of_rows(stage_widths: Sequence[int], rows: NDArray[np.integer]) -> I64:
    """Layer (1, 2, ...) of every row index of a region's halfspaces; 0 for rows of the domain.

    Unit rows come first and in pattern order, so the widths of the layers alone tell them apart.

    Examples
    --------
    >>> layers_of_rows([4, 2], np.array([0, 3, 4, 6])).tolist()
    [1, 1, 2, 0]
    """
    ends = np.cumsum(np.asarray(stage_widths, dtype=np.int64))
    layers = np.searchsorted(ends, rows, side="right") + 1
    return np.where(layers > len(ends), 0, layers).astype(np.int64)


def facet_layers(region: Region, facets: Facets | None = None) -> I64:
    """Layer of every facet: that of its first row, and 0 for every facet on the domain's boundary.

    `facets` stands in for `region.facets`, for instance a list that was allowed to leave rows undecided.
    """
    facets = region.facets if facets is None else facets
    return np.where(facets.on_domain, 0, layers_of_rows(region.network.stage_widths, facets.first_rows))


def mean_abs_cosine(normals: F64) -> float:
    """Mean of |cos| of the angle over all pairs of rows: 0 when all are orthogonal, 1 when all are parallel.

    NaN for fewer than two rows. For directions drawn at random in dimension d it is about sqrt(2 / (pi d)).

    Examples
    --------
    >>> mean_abs_cosine(np.eye(3)), mean_abs_cosine(np.array([[1.0, 0.0], [-2.0, 0.0]]))
    (0.0, 1.0)
    """
    count = len(normals)
    if count < 2:
        return math.nan
    units = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    cosines = np.abs(units @ units.T)
    return float((cosines.sum() - np.trace(cosines)) / (count * (count - 1)))


def random_abs_cosine(dimension: int) -> float:
    """Expected |cos| of the angle of two independent uniform directions: Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2))."""
    return math.exp(math.lgamma(dimension / 2) - math.lgamma((dimension + 1) / 2)) / math.sqrt(math.pi)


def direction_cosines(region: Region, facets: Facets | None = None) -> dict[str, float]:
    """Mean |cos| of the angles between the unit facets' normals: "layer1", "layer2", ..., "within" and "pooled".

    "within" is the mean over the pairs that share a layer, "pooled" over all pairs. Facets on the domain's boundary are
    left out: their directions are the box's, not the network's.
    """
    facets = region.facets if facets is None else facets
    layers, normals = facet_layers(region, facets), facets.normals
    result: dict[str, float] = {}
    total, pairs = 0.0, 0
    for layer in range(1, len(region.network.stage_widths) + 1):
        chosen = normals[layers == layer]
        result[f"layer{layer}"] = mean_abs_cosine(chosen)
        if len(chosen) > 1:
            here = len(chosen) * (len(chosen) - 1)
            total, pairs = total + here * result[f"layer{layer}"], pairs + here
    result["within"] = total / pairs if pairs else math.nan
    result["pooled"] = mean_abs_cosine(normals[layers > 0])
    return result


def whole_cosines(maps: F64) -> F64:
    """Cosine (Frobenius) between every two of the matrices `maps` (M, m, d): an (M, M) matrix."""
    flat = maps.reshape(len(maps), -1)
    return _cosines(flat @ flat.T)


def class_cosines(maps: F64) -> F64:
    """Mean over the outputs of the cosine between equal rows of every two of the matrices (M, m, d): (M, M)."""
    products = np.einsum("akd,bkd->kab", maps, maps, optimize=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.mean([_cosines(product) for product in products], axis=0))


def relative_changes(maps: F64) -> F64:
    """||W_a - W_b|| / ||W_a|| (Frobenius) for every two of the matrices (M, m, d): (M, M)."""
    flat = maps.reshape(len(maps), -1)
    product = flat @ flat.T
    squares = np.diag(product)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * product, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(distances / np.sqrt(squares)[:, None])


def _cosines(product: F64) -> F64:
    norms = np.sqrt(np.diag(product))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.clip(product / np.outer(norms, norms), -1, 1))


def pattern_key(pattern: NDArray[np.integer]) -> str:
    """A short name of a pattern, equal for equal patterns (128 bits of BLAKE2)."""
    return hashlib.blake2b(np.ascontiguousarray(pattern).tobytes(), digest_size=16).hexdigest()


@dataclass(frozen=True)
class OtherClass:
    """The nearest input of another class inside one region; `distance` (l2) is infinite when there is none."""

    label: int
    distance: float
    point: F64 | None

    def __bool__(self) -> bool:
        return self.point is not None


def nearest_other_class(region: Region, x: F64) -> OtherClass:
    """The nearest point of the region's closure where some output reaches that of x's own class i.

    On a region the outputs are affine, so the points of another class are the union over j of the region cut by
    f_j - f_i >= 0, and the distance is the smallest of the projections onto these cuts. Only classes j with
    f_j > f_i strictly somewhere inside are tried (decided exactly by `decision_boundaries`), nearest hyperplane first,
    and one whose hyperplane is farther than the best point found is not tried.

    Parameters
    ----------
    region
        A region that holds x.
    x : (d,)

    Raises
    ------
    UndecidedError
        If whether a class is reached stayed open.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1.0]], [1.0]), ([[1.0], [-1.0]], [-1.0, 1.0])])   # f(x) = (x, -x) for x > -1
    >>> x = np.array([0.5])
    >>> other = nearest_other_class(net.region(x, domain=pr.Box(-0.5, 1)), x)
    >>> other.label, round(other.distance, 6)
    (1, 0.5)
    >>> bool(nearest_other_class(net.region(x, domain=pr.Box(0.25, 1)), x))
    False
    """
    weights = np.asarray(region.affine_map.W, dtype=np.float64)
    outputs = weights @ x + region.affine_map.c
    own = int(np.argmax(outputs))
    best = OtherClass(-1, math.inf, None)
    differences = weights - weights[own]
    gaps = outputs[own] - outputs
    norms = np.linalg.norm(differences, axis=1)
    reachable = classes_reached(region, own)
    bounds = [(gaps[j] / norms[j] if norms[j] > 0 else math.inf, j) for j in reachable]
    for bound, j in sorted(bounds):
        if bound >= best.distance:
            break
        # f_j - f_i >= 0 as a row of A x <= b.
        cut = region.intersect(-differences[j][None, :], np.array([region.affine_map.c[j] - region.affine_map.c[own]]))
        if isinstance(cut, NoInterior):
            continue
        nearest = cut.project(x, norm=2)
        if nearest.value < best.distance:
            best = OtherClass(int(j), float(nearest.value), np.asarray(nearest.point))
    return best


def classes_reached(region: Region, own: int) -> list[int]:
    """Classes j for which f_j > f_own strictly somewhere inside the region."""
    reached = []
    for pair in region.decision_boundaries():
        if own not in (pair.i, pair.j):
            continue
        if pair.crosses is None:
            raise UndecidedError(f"whether classes {pair.i} and {pair.j} both lead inside the region stayed open")
        larger = pair.positive if pair.j == own else pair.negative
        if larger is not None:
            reached.append(pair.i if pair.j == own else pair.j)
    return sorted(reached)
