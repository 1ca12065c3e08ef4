"""First-order questions at points, for networks of any size: no program is solved and no region is built."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from .arguments import check_tie, norm_code, real_array, whole_number, worker_count
from .errors import core_errors, translate
from .network import Network
from .packed_patterns import Patterns
from .values import Halfspaces, Labels, frozen

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class NearestRows:
    """The k rows of each point's region nearest to it, nearest first; made by :func:`nearest_rows`.

    Shapes (M, k), or (k,) for a single point: ``units`` are indices into a pattern, ``distances`` those to the rows'
    hyperplanes, within [``lower``, ``upper``], all infinite where a row is zero; ``labels`` (..., k, 3) hold stage,
    unit and the piece beyond. Only the nearest row is certainly a facet and its distance that to the region's boundary
    in R^d; the hyperplane of a further row may be met outside the region: a lower bound of the distance to that wall.
    """

    units: I64
    distances: F64
    lower: F64 = field(repr=False)
    upper: F64 = field(repr=False)
    labels: NDArray[np.int32] = field(repr=False)
    norm: object = 2

    @property
    def nearest(self) -> Any:
        """The distance (M,), or a float, to the boundary of the region in all of R^d."""
        if not self.distances.shape[-1]:  # no units: the region is everything
            return np.full(self.distances.shape[:-1], np.inf) if self.distances.ndim > 1 else float("inf")
        first = self.distances[..., 0]
        return first if first.ndim else float(first)

    def labels_of(self, point: int | None = None) -> Labels:
        """The labels of one point's rows, as a sequence of :class:`Label`."""
        if (point is None) != (self.labels.ndim == 2):
            raise ValueError("pass the index of a point" if point is None else "there is only one point: pass no index")
        return Labels(self.labels if point is None else self.labels[operator.index(point)])


def _points(network: Network, X: ArrayLike) -> tuple[F64, bool]:
    """Points as (M, d), and whether a single one was given."""
    if not isinstance(network, Network):
        raise TypeError(f"network must be a Network, got {type(network).__name__}")
    return network._points(X)


def _answer(found: Any, single: bool) -> Any:
    """What the core found, or the error of a point, which names the point where there are many."""
    if not isinstance(found, tuple):
        return found
    index, error = found[0], translate(found[1])
    if not single:
        error.args = (f"point {index}: {error}",)
    raise error


def nearest_rows(
    network: Network,
    X: ArrayLike,
    k: int = 10,
    *,
    norm: object = 2,
    tie: str = "raise",
    workers: int | None = None,
) -> NearestRows:
    """The k rows nearest to each point, among the rows of the point's own region in all of R^d, in exact order.

    The distance from x to the hyperplane of a unit's row a is |z(x)| / |a| in the dual norm. Rows are composed stage by
    stage and not kept; two distances that floats cannot tell apart are compared in integers.

    Parameters
    ----------
    network : Network
    X : array_like (M, d), or one point (d,); the network's input shape is allowed
    k : int
        Fewer come back if the network has fewer units. Equal distances come in the order of units.
    norm : 1, 2 or np.inf
    tie : "raise" or "any"
        As in :meth:`Network.region`; on a hyperplane the nearest distance is 0.
    workers : int, optional
        Threads; by default the CPUs that this process may use.

    Returns
    -------
    NearestRows

    Raises
    ------
    OnBoundaryError, ValueError
        As :meth:`Network.regions`.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1.0], [2.0]], [0.0, -3.0]), ([[1.0, 1.0]], [0.0])])
    >>> near = pr.nearest_rows(net, [0.5], k=2)
    >>> near.distances.tolist(), [str(label) for label in near.labels_of()]
    ([0.5, 1.0], ['unit 0 of stage 0 (to piece 0)', 'unit 1 of stage 0 (to piece 1)'])
    """
    check_tie(tie)
    count, code = whole_number(k, "k", 1), norm_code(norm)
    points, single = _points(network, X)
    count = min(count, network.units)
    with core_errors():
        found = _core.nearest_rows(network._core, points, count, code, tie == "any", worker_count(workers))
    raw = {key: frozen(value[0] if single else value) for key, value in _answer(found, single).items()}
    return NearestRows(**raw, norm=norm)


def rows_within(
    network: Network,
    X: ArrayLike,
    radius: float,
    *,
    norm: object = 2,
    tie: str = "raise",
    workers: int | None = None,
) -> Any:
    """How many rows of each point's own region have their hyperplane within ``radius`` of the point, exactly.

    A local complexity: the density of hyperplanes around x, as far as x's own region knows them (a hyperplane bends at
    every wall, so this is neither an upper nor a lower bound of the number of units that change within the ball).

    Parameters
    ----------
    network, X, norm, tie, workers
        As for :func:`nearest_rows`.
    radius : float
        Of the closed ball, at least 0.

    Returns
    -------
    int, or int64 array (M,) for many points

    Raises
    ------
    OnBoundaryError, ValueError
        As for :func:`nearest_rows`.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1.0], [2.0]], [0.0, -3.0]), ([[1.0, 1.0]], [0.0])])
    >>> pr.rows_within(net, [0.5], 0.5), pr.rows_within(net, [[0.5], [4.0]], 1.0).tolist()
    (1, [2, 0])
    """
    check_tie(tie)
    code, limit = norm_code(norm), _radius(radius)
    points, single = _points(network, X)
    with core_errors():
        found = _core.rows_within(network._core, points, limit, code, tie == "any", worker_count(workers))
    return _number(_answer(found, single), single)


def sign_changes(
    network: Network,
    X: ArrayLike,
    radius: float,
    *,
    directions: ArrayLike | None = None,
    workers: int | None = None,
) -> Any:
    """How many units take both strict signs on the vertices ``x +- radius * u`` of a cross-polytope around each point.

    A local complexity in the manner of Humayun, Balestriero and Baraniuk (2024, "Deep networks always grok and here is
    why"): each such unit vanishes somewhere inside, so this is a lower bound of the number of units that do. Signs are
    exact at the vertices as doubles.

    Parameters
    ----------
    network, X, workers
        As for :func:`nearest_rows`.
    radius : float
        At least 0.
    directions : array_like (P, d), optional
        The vectors u, one pair of vertices each; a vertex is ``x + (radius * u)`` with both operations rounded. By
        default the d unit vectors: then vertices are rounded towards x and lie in the ball of the 1-norm.

    Returns
    -------
    int, or int64 array (M,) for many points

    Raises
    ------
    ValueError
        If an argument is malformed or a vertex would overflow.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1.0], [2.0]], [0.0, -3.0]), ([[1.0, 1.0]], [0.0])])
    >>> pr.sign_changes(net, [0.5], 0.75), pr.sign_changes(net, [[0.5], [4.0]], 1.25).tolist()
    (1, [2, 0])
    """
    limit = _radius(radius)
    points, single = _points(network, X)
    axes = np.zeros((0, network.inputs))
    u = axes if directions is None else np.atleast_2d(real_array(directions, "directions"))
    if u.ndim != 2 or u.shape[1] != network.inputs or (directions is not None and not len(u)):
        raise ValueError(f"directions has shape {u.shape}, expected (P, {network.inputs}) with at least one row")
    reach = limit * float(np.abs(u).max(initial=1.0))
    if not math.isfinite(float(np.abs(points).max()) + reach):
        raise ValueError(f"a vertex at radius {radius} overflows float64; choose a smaller radius")
    with core_errors():
        found = _core.sign_changes(network._core, points, limit, u, worker_count(workers))
    return _number(_answer(found, single), single)


def patterns(network: Network, X: ArrayLike, *, tie: str = "raise", workers: int | None = None) -> Patterns:
    """The canonical patterns of many points as packed bits, exactly; one forward pass per point.

    Parameters
    ----------
    network, X, tie, workers
        As for :func:`nearest_rows`.

    Returns
    -------
    Patterns
        M of them, one for a single point, with Hamming distances and duplicates.

    Raises
    ------
    OnBoundaryError, ValueError
        As for :func:`nearest_rows`.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, 1.0]], [0.0])])
    >>> found = pr.patterns(net, [[-1.0], [0.5], [3.0], [4.0]])
    >>> len(found), found.unpack().tolist(), found.distinct
    (4, [[0, 0], [1, 0], [1, 1], [1, 1]], 3)
    >>> found.hamming()[0].tolist(), found.counts().tolist()
    ([0, 1, 2, 2], [1, 1, 2, 2])
    """
    check_tie(tie)
    points, single = _points(network, X)
    with core_errors():
        found = _core.packed_patterns(network._core, points, tie == "any", worker_count(workers))
    return Patterns(_answer(found, single), network.units)


def rows_of(network: Network, pattern: ArrayLike, units: Sequence[int] | I64) -> Halfspaces:
    """The rows ``A x <= b`` of chosen units in a pattern, one backward pass each: nothing else is composed.

    Parameters
    ----------
    network : Network
    pattern : array_like (units,)
    units : sequence of K int
        Indices into the pattern, such as ``nearest_rows(...).units``.

    Returns
    -------
    Halfspaces
        K rows with error bounds and labels.

    Raises
    ------
    ValueError
        If the pattern or an index is malformed.

    Examples
    --------
    >>> import pyregions as pr
    >>> net = pr.Network.from_arrays([([[1.0], [2.0]], [0.0, -3.0]), ([[1.0, 1.0]], [0.0])])
    >>> rows = pr.rows_of(net, net.pattern([0.5]), [1])
    >>> rows.A.tolist(), rows.b.tolist(), str(rows.labels[0])
    ([[2.0]], [3.0], 'unit 1 of stage 0 (to piece 1)')
    """
    chosen = np.asarray(units)
    if chosen.ndim != 1 or chosen.dtype.kind not in "iu" or not len(chosen):
        raise ValueError(f"units must be a sequence of at least one unit index, got {units!r}")
    wrong = chosen[(chosen < 0) | (chosen >= network.units)]
    if len(wrong):
        raise ValueError(f"unit {wrong[0]} does not exist: the network has {network.units} units, counted from 0")
    with core_errors():
        return Halfspaces.of(_core.rows_of(network._core, network._pattern_array(pattern), chosen.tolist()))


def _radius(radius: float) -> float:
    value = real_array(radius, "radius")
    if value.ndim or value < 0 or isinstance(radius, (bool, np.bool_)):
        raise ValueError(f"radius must be a number of at least 0, got {radius!r}")
    return float(value)


def _number(found: I64, single: bool) -> Any:
    return int(found[0]) if single else frozen(found)
