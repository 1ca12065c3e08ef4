"""Network: a piecewise-linear network whose stored weights are exact, and the questions it answers at points."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, Literal, cast, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from .arguments import (
    EXACT_BUDGET,
    activation_slope,
    budget_seconds,
    check_tie,
    counter,
    point_array,
    real_array,
    whole_number,
    worker_count,
)
from .cell import F64, DomainRows, NoInterior
from .errors import core_errors, translate
from .exact import AffineNode, ExactNetwork, HingeNode
from .network_file import read_network, write_network
from .polyhedron import Domain, outside, resolve_domain
from .region import Region
from .values import U8, frozen

Activation = Literal["relu"] | tuple[Literal["leaky_relu"], float]
Part = Literal["witness", "facets", "chebyshev", "boundedness", "neighbors", "decision_boundaries"]
PARTS = ("witness", "facets", "chebyshev", "boundedness", "neighbors", "decision_boundaries")


class Network:
    """A continuous piecewise-linear function f: R^d -> R^m, a DAG of affine nodes and hinge units.

    Make one with :meth:`from_arrays`, :func:`from_torch` or, for a general DAG, from nodes: node 0 is the input, node
    k the k-th entry of ``nodes``, an :class:`AffineNode` (terms of source and matrix, or diagonal, and a bias) or a
    :class:`HingeNode` (slope ``low`` below 0 and ``high`` above). The last node is the output and must be affine.

    Parameters
    ----------
    inputs : int
        d.
    nodes : sequence of AffineNode or HingeNode
    input_shape : tuple of int, optional
        Shape in which points may be given besides (d,).

    Raises
    ------
    ValueError
        On a shape mismatch, or a weight that is NaN, infinite or not exact in float64.
    """

    def __init__(
        self, inputs: int, nodes: Sequence[AffineNode | HingeNode], input_shape: tuple[int, ...] = ()
    ) -> None:
        if inputs < 1:
            raise ValueError(f"a network needs at least one input, got {inputs}")
        self._core = _core.Network(int(inputs))
        self.nodes: tuple[AffineNode | HingeNode, ...] = tuple(
            self._add(node, index) for index, node in enumerate(nodes, start=1)
        )
        if not self.nodes or not isinstance(self.nodes[-1], AffineNode):
            raise ValueError("the last node must be affine; append an identity (a diagonal of ones)")
        self._core.finish()
        self.input_shape: tuple[int, ...] = tuple(input_shape) or (int(inputs),)
        if int(np.prod(self.input_shape)) != inputs:
            raise ValueError(f"input_shape {self.input_shape} does not have {inputs} numbers")

    def _add(self, node: AffineNode | HingeNode, index: int) -> AffineNode | HingeNode:
        """Checks one node, gives it to the core, and returns it over read-only arrays."""
        if isinstance(node, HingeNode):
            low, high = (frozen(real_array(part, f"slopes of node {index}").copy()) for part in (node.low, node.high))
            self._core.add_hinge(node.source, low, high)
            return HingeNode(int(node.source), low, high)
        terms = tuple(
            (int(source), frozen(real_array(matrix, f"weight of node {index}").copy())) for source, matrix in node.terms
        )
        bias = frozen(real_array(node.bias, f"bias of node {index}").copy())
        self._core.add_affine(list(terms), bias)
        return AffineNode(terms, bias)

    @classmethod
    def from_arrays(
        cls, layers: Sequence[tuple[ArrayLike, ArrayLike | None]], activation: Activation = "relu"
    ) -> Network:
        """A fully connected network from its weights, with one activation between the layers.

        Parameters
        ----------
        layers : sequence of (W, b)
            W (out, in), b (out,) or None for zero; the numbers are taken exactly.
        activation : "relu" or ("leaky_relu", slope)
            Applied after every layer but the last.

        Raises
        ------
        ValueError
            If shapes do not fit, or a weight is NaN, infinite or not exact in float64.

        Examples
        --------
        >>> import pyregions as pr
        >>> net = pr.Network.from_arrays([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])  # f(x) = |x|
        >>> net([-2.0]), net.inputs, net.outputs, net.units
        (array([2.]), 1, 1, 2)
        """
        if not len(layers):
            raise ValueError("a network needs at least one layer (W, b)")
        slope = activation_slope(activation)
        nodes: list[AffineNode | HingeNode] = []
        width = None
        for k, (weight, offset) in enumerate(layers):
            W = real_array(weight, f"W of layer {k}")
            if W.ndim != 2 or 0 in W.shape:
                raise ValueError(f"W of layer {k} has shape {W.shape}, expected (out, in)")
            b = np.zeros(len(W)) if offset is None else real_array(offset, f"b of layer {k}")
            if b.shape != (len(W),):
                raise ValueError(f"b of layer {k} has shape {b.shape}, expected {(len(W),)} to go with W {W.shape}")
            if width is not None and W.shape[1] != width:
                raise ValueError(f"W of layer {k} has shape {W.shape}, but layer {k - 1} puts out {width} numbers")
            width = len(W)
            nodes.append(AffineNode(((len(nodes), W),), b))
            if k + 1 < len(layers):
                nodes.append(HingeNode(len(nodes), np.full(width, slope), np.ones(width)))
        return cls(np.asarray(layers[0][0]).shape[1], nodes)

    @cached_property
    def _exact(self) -> ExactNetwork:
        return ExactNetwork(self.inputs, list(self.nodes))

    @property
    def inputs(self) -> int:
        """d, the number of inputs."""
        return int(self._core.inputs)

    @property
    def outputs(self) -> int:
        """m, the number of outputs."""
        return int(self._core.outputs)

    @property
    def units(self) -> int:
        """The number of piecewise-linear units, the length of a pattern."""
        return int(self._core.units)

    @property
    def stage_widths(self) -> list[int]:
        """The number of units in each stage."""
        return [int(width) for width in self._core.stage_widths]

    def _points(self, X: ArrayLike) -> tuple[F64, bool]:
        """Points as (M, d), and whether a single one was given."""
        array = real_array(X, "X")
        single = array.shape in ((self.inputs,), self.input_shape)
        if single:
            return array.reshape(1, self.inputs), True
        if array.ndim >= 1 and array.shape[1:] in ((self.inputs,), self.input_shape):
            if not len(array):
                raise ValueError(f"X is empty (shape {array.shape}); pass at least one point")
            return array.reshape(len(array), self.inputs), False
        shapes = " or ".join(sorted({f"(M, {self.inputs})", f"(M, *{self.input_shape})"}))
        raise ValueError(f"X has shape {array.shape}, expected {shapes}")

    def forward(self, X: ArrayLike) -> tuple[F64, F64]:
        """Outputs with rigorous error bounds: two arrays (M, m), or (m,) for a single point."""
        points, single = self._points(X)
        values, errors = self._core.forward(points)
        return (values[0], errors[0]) if single else (values, errors)

    def __call__(self, X: ArrayLike) -> F64:
        """Outputs (M, m) at points (M, d), or (m,) at a single point; :meth:`forward` also gives error bounds."""
        return self.forward(X)[0]

    def signs(self, x: ArrayLike) -> NDArray[np.int8]:
        """The exact sign of every unit's pre-activation at one point: -1, 0 or 1, shape (units,).

        Examples
        --------
        >>> import pyregions as pr
        >>> net = pr.Network.from_arrays([([[1.0], [1.0]], [0.0, -0.3]), ([[1.0, 1.0]], [0.0])])
        >>> net.signs([0.3]).tolist(), net.signs([0.1 + 0.2]).tolist()
        ([1, 0], [1, 1])
        """
        point = point_array(x, self.inputs, "x", self.input_shape)
        with core_errors():
            return self._core.signs(point)

    def pattern(self, x: ArrayLike) -> U8:
        """The canonical pattern (units,) of the region of a point.

        Raises
        ------
        OnBoundaryError
            If the point lies on a hyperplane of the network.
        """
        signs = self.signs(x)
        if signs.all():
            return (signs > 0).astype(np.uint8)
        return np.array(self._region_at(x, None, "raise").pattern)

    @overload
    def region(
        self, x: ArrayLike, *, domain: Domain = None, tie: str = "raise", exact_budget: float = EXACT_BUDGET
    ) -> Region: ...
    @overload
    def region(
        self, x: None = None, *, pattern: ArrayLike, domain: Domain = None, exact_budget: float = EXACT_BUDGET
    ) -> Region | NoInterior: ...
    def region(
        self,
        x: ArrayLike | None = None,
        *,
        pattern: ArrayLike | None = None,
        domain: Domain = None,
        tie: str = "raise",
        exact_budget: float = EXACT_BUDGET,
    ) -> Region | NoInterior:
        """The region of a point, or of a pattern.

        Parameters
        ----------
        x : array_like (d,) or of the network's input shape
        pattern : array_like (units,) of 0 and 1, instead of x
        domain : None (all of R^d), Box or Polyhedron
        tie : "raise" or "any"
            What to do with a point exactly on a hyperplane: raise, or take the region of an infinitesimally moved
            point, the same one every time.
        exact_budget : float
            Seconds that one exact decision (of one row, or one question) may take before it raises UndecidedError;
            floats decide nearly everything, so this matters for true ties in high dimension only. Each decision has a
            budget of its own: a batch with many that stay open may take that many times as long.

        Returns
        -------
        Region
            For a pattern without interior :class:`NoInterior`, which is false and carries the proof.

        Raises
        ------
        OnBoundaryError
            With the labels of the rows that vanish at x.
        OutsideDomainError, EmptyDomainError, ValueError
            If x is outside the domain, the domain has no interior, or an argument is malformed.
        UndecidedError
            If a decision stayed open within the budget.

        Examples
        --------
        >>> import pyregions as pr
        >>> net = pr.Network.from_arrays([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, 1.0]], [0.0])])
        >>> net.region([0.5]).pattern.tolist(), bool(net.region(pattern=[0, 1]))
        ([1, 0], False)
        """
        if (x is None) == (pattern is None):
            raise ValueError("pass either a point x or a pattern")
        if pattern is not None:
            rows = resolve_domain(domain, self.inputs)
            return self._cell_of(self._pattern_array(pattern), rows, domain, budget_seconds(exact_budget))
        assert x is not None
        return self._region_at(x, domain, tie, exact_budget)

    def _region_at(self, x: ArrayLike, domain: Domain, tie: str, exact_budget: float = EXACT_BUDGET) -> Region:
        check_tie(tie)
        budget = budget_seconds(exact_budget)
        point = point_array(x, self.inputs, "x", self.input_shape)
        rows = resolve_domain(domain, self.inputs)
        core = rows.core()
        error = outside(rows, core, point)
        if error is not None:
            raise error
        with core_errors():
            cell = _core.cell_at(self._core, point, core, tie, budget)
        return Region(self, cell, rows, domain, frozen(point.copy()))

    def _cell_of(self, pattern: U8, rows: DomainRows, domain: Domain, budget: float) -> Region | NoInterior:
        with core_errors():
            found = _core.cell_of(self._core, pattern, rows.core(), budget)
        if isinstance(found, _core.Cell):
            return Region(self, found, rows, domain, None)
        return NoInterior(self._exact, pattern, rows, found)

    def _pattern_array(self, pattern: ArrayLike) -> U8:
        array = np.asarray(pattern)
        if array.shape != (self.units,):
            raise ValueError(f"pattern has shape {array.shape}, expected {(self.units,)}, one piece per unit")
        if array.dtype.kind not in "iub" or not np.isin(array, (0, 1)).all():
            raise ValueError("a pattern holds the integers 0 and 1, the piece of every unit")
        return np.ascontiguousarray(array, dtype=np.uint8)

    @overload
    def regions(
        self, X: ArrayLike, domain: Domain = None, tie: str = "raise", compute: Sequence[Part] = ("facets",),
        workers: int | None = None, progress: bool | Callable[[int], Any] = False, errors: Literal["raise"] = "raise",
        exact_budget: float = EXACT_BUDGET,
    ) -> list[Region]: ...  # fmt: skip
    @overload
    def regions(
        self, X: ArrayLike, domain: Domain = None, tie: str = "raise", compute: Sequence[Part] = ("facets",),
        workers: int | None = None, progress: bool | Callable[[int], Any] = False, *, errors: Literal["return"],
        exact_budget: float = EXACT_BUDGET,
    ) -> list[Region | Exception]: ...  # fmt: skip
    def regions(
        self,
        X: ArrayLike,
        domain: Domain = None,
        tie: str = "raise",
        compute: Sequence[Part] = ("facets",),
        workers: int | None = None,
        progress: bool | Callable[[int], Any] = False,
        errors: str = "raise",
        exact_budget: float = EXACT_BUDGET,
    ) -> list[Region] | list[Region | Exception]:
        """The regions of many points, in parallel; the same answers as one :meth:`region` call per point.

        Parameters
        ----------
        X : array_like (M, d) or (M, *input_shape)
        domain, tie
            As for :meth:`region`.
        compute : sequence of str
            Questions to answer at once, in parallel: "witness", "facets", "chebyshev", "boundedness", "neighbors",
            "decision_boundaries". The others are answered on demand.
        workers : int, optional
            Threads; by default the CPUs that this process may use.
        progress : bool or callable
            True shows a counter on standard error; a callable gets the number of finished points.
        errors : "raise" or "return"
            Raise the first point's error, or return errors in the place of regions.
        exact_budget
            As for :meth:`region`.

        Returns
        -------
        list of Region (or, with errors="return", of Region and Exception)

        Raises
        ------
        ValueError
            If X is empty or malformed; otherwise as :meth:`region`. KeyboardInterrupt stops the batch cleanly.

        Examples
        --------
        >>> import pyregions as pr
        >>> net = pr.Network.from_arrays([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, 1.0]], [0.0])])
        >>> [r.pattern.tolist() for r in net.regions([[-1.0], [0.5], [3.0]])]
        [[0, 0], [1, 0], [1, 1]]
        """
        check_tie(tie)
        unknown = [part for part in compute if part not in PARTS] if not isinstance(compute, str) else [compute]
        if unknown:
            raise ValueError(f"compute must be a sequence of names among {PARTS}, got {compute!r}")
        if errors not in ("raise", "return"):
            raise ValueError(f"errors must be 'raise' or 'return', got {errors!r}")
        count = worker_count(workers)
        budget = budget_seconds(exact_budget)
        points, single = self._points(X)
        if single and np.ndim(X) == 1:
            raise ValueError(f"X has shape {np.shape(X)}: regions takes many points (M, {self.inputs}); use region(x)")
        rows = resolve_domain(domain, self.inputs)
        core = rows.core()
        strays = [outside(rows, core, point) for point in points]
        inside = [k for k, stray in enumerate(strays) if stray is None]
        if errors == "raise" and len(inside) < len(points):
            first = next(k for k, stray in enumerate(strays) if stray is not None)
            raise type(strays[first])(f"point {first}: {strays[first]}")  # type: ignore[misc]
        report = counter(len(inside)) if progress is True else (progress or None)
        cells: list[_core.Cell | Exception] = []
        if inside:
            with core_errors():
                batch = np.ascontiguousarray(points[inside])
                cells = _core.cells_at(self._core, batch, core, tie, list(compute), count, report, budget)
            if report is not None:
                report(len(inside))  # the core reports only every so often
        out: list[Any] = list(strays)
        for k, found in zip(inside, cells, strict=True):
            if isinstance(found, _core.Cell):
                out[k] = Region(self, found, rows, domain, frozen(points[k].copy()))
                out[k]._held.update(compute)
            else:
                out[k] = translate(found)
                if errors == "raise":
                    out[k].args = (f"point {k}: {out[k]}",)
                    raise out[k]
        return out

    def iter_regions(
        self,
        X: ArrayLike,
        domain: Domain = None,
        tie: str = "raise",
        compute: Sequence[Part] = ("facets",),
        workers: int | None = None,
        batch: int = 64,
        exact_budget: float = EXACT_BUDGET,
    ) -> Iterator[Region]:
        """The regions of many points one after the other, ``batch`` of them computed in parallel at a time.

        For more points than regions fit into memory: a region holds its rows, N x d doubles.

        Parameters
        ----------
        X, domain, tie, compute, workers, exact_budget
            As for :meth:`regions`.
        batch : int
            Points per call of :meth:`regions`; at most so many regions exist here at a time.

        Returns
        -------
        iterator of Region, in the order of X

        Raises
        ------
        ValueError
            If X is malformed or batch below 1, at once; else as :meth:`regions`, when the region's turn comes.

        Examples
        --------
        >>> import pyregions as pr
        >>> net = pr.Network.from_arrays([([[1.0], [1.0]], [0.0, -1.0]), ([[1.0, 1.0]], [0.0])])
        >>> [r.pattern.tolist() for r in net.iter_regions([[-1.0], [0.5], [3.0]], batch=2)]
        [[0, 0], [1, 0], [1, 1]]
        """
        size = whole_number(batch, "batch", 1)
        points, single = self._points(X)
        if single and np.ndim(X) == 1:
            raise ValueError(f"X has shape {np.shape(X)}: iter_regions takes many points (M, {self.inputs})")

        def parts() -> Iterator[Region]:
            for first in range(0, len(points), size):
                part = points[first : first + size]
                found = self.regions(part, domain, tie, compute, workers, errors="return", exact_budget=exact_budget)
                found.reverse()
                while found:  # a region is let go when the caller lets it go
                    error = found[-1] if isinstance(found[-1], Exception) else None
                    if error is not None:
                        error.args = (f"point {first + len(part) - len(found)}: {error}",)
                        raise error
                    yield cast(Region, found.pop())

        return parts()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the network, weights exactly, to an .npz file (no pickle inside)."""
        write_network(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Network:
        """Reads a network that :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is not such a network.
        """
        return cls(*read_network(path))

    def __reduce__(self) -> tuple[Any, ...]:
        return Network, (self.inputs, self.nodes, self.input_shape)

    def __repr__(self) -> str:
        widths = ", ".join(map(str, self.stage_widths)) or "none"
        return f"Network({self.inputs} inputs, stages of units: {widths}; {self.outputs} outputs)"
