"""Box and Polyhedron: domains for a network's regions, and the same geometry without any network."""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import _core
from .arguments import EXACT_BUDGET, budget_seconds, plain_floats, point_array, row_arrays
from .cell import F64, DomainRows, Geometry, NoInterior
from .errors import EmptyDomainError, Label, OutsideDomainError, UndecidedError, core_errors
from .exact import ExactNetwork
from .values import frozen


class Box:
    """The box ``lower <= x <= upper``; numbers broadcast to the dimension of the network it is used with.

    Parameters
    ----------
    lower, upper : float or array_like (d,)
        Infinite values leave a side open.

    Raises
    ------
    ValueError
        If a bound is NaN or the shapes differ; EmptyDomainError (a ValueError) if lower >= upper somewhere.

    Examples
    --------
    >>> import pyregions as pr
    >>> pr.Box(0, 1).contains([0.0, 0.5]), pr.Box([0, 0], [1, 2]).dim
    (True, 2)
    """

    @plain_floats()
    def __init__(self, lower: ArrayLike, upper: ArrayLike) -> None:
        try:
            low, high = np.broadcast_arrays(np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise ValueError(f"lower and upper must be numbers or vectors of one length: {error}") from None
        if low.ndim > 1:
            raise ValueError(f"lower and upper have shape {low.shape}, expected numbers or vectors (d,)")
        if np.isnan(low).any() or np.isnan(high).any():
            raise ValueError("a bound of the box is NaN; use -inf or inf for no bound")
        flat = np.flatnonzero(~(low < high))
        if len(flat):
            k = int(flat[0])
            a, z = np.atleast_1d(low)[k], np.atleast_1d(high)[k]
            where = f" in coordinate {k}" if low.ndim else ""
            kind = f"flat{where}: both bounds are {a}" if a == z else f"empty{where}: {a} > {z}"
            raise EmptyDomainError(f"the box is {kind}; regions have interior, so it needs lower < upper")
        self.lower: F64 = frozen(low.copy())
        self.upper: F64 = frozen(high.copy())

    @property
    def dim(self) -> int | None:
        """The dimension, None while both bounds are plain numbers."""
        return len(self.lower) if self.lower.ndim else None

    @plain_floats()
    def contains(self, x: ArrayLike) -> bool:
        """True if every coordinate of x lies within its bounds (closed, exact)."""
        point = np.asarray(x, dtype=np.float64)
        return bool(((self.lower <= point) & (point <= self.upper)).all())

    def resolve(self, dim: int) -> DomainRows:
        """The box in d dimensions."""
        if self.dim not in (None, dim):
            raise ValueError(f"the box has {self.dim} coordinates, but points here have {dim}")
        low, high = (np.ascontiguousarray(np.broadcast_to(side, (dim,))) for side in (self.lower, self.upper))
        return DomainRows(low, high, np.zeros((0, dim)), np.zeros(0))

    def __repr__(self) -> str:
        if self.dim is None:
            return f"Box({self.lower}, {self.upper})"
        return f"Box({self.dim} coordinates)"


class Polyhedron(Geometry):
    """The polyhedron ``A x <= b``, its numbers taken exactly; optionally inside a box.

    Parameters
    ----------
    A : array_like (N, d)
        Outward rows, none of them zero.
    b : array_like (N,)
    box : Box, optional
    exact_budget : float
        Seconds that one exact decision may take before it raises UndecidedError.

    Raises
    ------
    ValueError
        On mismatched shapes, a zero row, or numbers that are not finite. Questions that need an interior raise
        EmptyDomainError (a ValueError) when there is none.

    Examples
    --------
    >>> import pyregions as pr
    >>> triangle = pr.Polyhedron([[-1, 0], [0, -1], [1, 1], [1, 1]], [0, 0, 1, 5])
    >>> [facet.rows for facet in triangle.facets]
    [(0,), (1,), (2,)]
    >>> triangle.contains([0.5, 0.5]), triangle.is_bounded, round(triangle.chebyshev.radius, 4)
    (True, True, 0.2929)
    """

    def __init__(
        self, A: ArrayLike, b: ArrayLike, box: Box | None = None, exact_budget: float = EXACT_BUDGET
    ) -> None:
        self._budget = budget_seconds(exact_budget)
        rows, offsets = row_arrays(A, b)
        base = box.resolve(rows.shape[1]) if box is not None else DomainRows.all(rows.shape[1])
        self._domain_rows = base.cut(rows, offsets)

    @classmethod
    def _of(cls, rows: DomainRows) -> Polyhedron:
        self = cls.__new__(cls)
        self._budget = EXACT_BUDGET
        self._domain_rows = rows
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (tuple(self._domain_rows), self._budget)

    @property
    def A(self) -> F64:
        """The general rows (N, d)."""
        return self._domain_rows.A

    @property
    def b(self) -> F64:
        """Their offsets (N,)."""
        return self._domain_rows.b

    @property
    def _rows(self) -> DomainRows:
        return self._domain_rows

    @cached_property
    def _exact(self) -> ExactNetwork:
        return ExactNetwork(self.dim, [])

    @cached_property
    def _answer(self) -> _core.Cell | NoInterior:
        with core_errors():
            found = _core.cell_of_domain(self._rows.core(), self._budget)
        if isinstance(found, _core.Cell):
            return found
        return NoInterior(self._exact, np.zeros(0, dtype=np.uint8), self._rows, found)

    @property
    def _cell(self) -> _core.Cell:
        found = self._answer
        if isinstance(found, NoInterior):
            what = "empty" if found.verify().strict else "empty or flat (it has no interior)"
            raise EmptyDomainError(
                f"the polyhedron is {what}: rows {list(found.rows)} cannot all be strict; relax one of them",
                found,
            )
        return found

    @property
    def has_interior(self) -> bool:
        """True if some point satisfies every row strictly; always decided, see ``no_interior``."""
        return not isinstance(self._answer, NoInterior)

    @property
    def no_interior(self) -> NoInterior | None:
        """The proof that there is no interior, None when there is one (then ``witness`` proves it)."""
        return self._answer if isinstance(self._answer, NoInterior) else None

    def certificate(self, path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
        """Everything the polyhedron claims, or that it has no interior, as JSON of integers; see Geometry."""
        found = self._answer
        return found.certificate(path) if isinstance(found, NoInterior) else super().certificate(path)

    @property
    def is_empty(self) -> bool:
        """True if no point satisfies all rows.

        Raises
        ------
        UndecidedError
            If there is no interior point and emptiness is not proven: the polyhedron may be flat.

        Examples
        --------
        >>> import pyregions as pr
        >>> pr.Polyhedron([[1.0], [-1.0]], [0.0, -1.0]).is_empty
        True
        """
        found = self._answer
        if not isinstance(found, NoInterior):
            return False
        if found.verify().strict:
            return True
        raise UndecidedError(f"the polyhedron has no interior, but may be flat instead of empty: see rows {found.rows}")

    def contains(self, y: ArrayLike, interior: bool = False) -> bool:
        """Decides exactly whether a point (d,) satisfies every row (strictly, with ``interior``)."""
        if interior:
            return super().contains(y, interior=True)
        return self._rows.core().contains(point_array(y, self.dim, "y"))

    @property
    def bounding_box(self) -> tuple[F64, F64]:
        """Bounds (lower, upper), each (d,), of a box that provably contains the polyhedron, tight up to rounding.

        Examples
        --------
        >>> import pyregions as pr
        >>> low, high = pr.Polyhedron([[-1, 0], [0, -1], [1, 1]], [0, 0, 1]).bounding_box
        >>> [round(float(v), 6) + 0 for v in (*low, *high)]
        [0.0, 0.0, 1.0, 1.0]
        """
        axes = np.eye(self.dim)
        high = np.array([self.maximize(axis).bounds[1] for axis in axes])
        low = np.array([-self.maximize(-axis).bounds[1] for axis in axes])
        return low, high

    def intersect(self, A: ArrayLike, b: ArrayLike) -> Polyhedron:
        """The part that satisfies the further rows ``A x <= b``; shapes (K, d) and (K,)."""
        return Polyhedron._of(self._rows.cut(*row_arrays(A, b, self.dim)))

    def resolve(self, dim: int) -> DomainRows:
        """Its rows, for use as a domain; requires an interior."""
        if self.dim != dim:
            raise ValueError(f"the polyhedron has {self.dim} coordinates, but points here have {dim}")
        _ = self._cell
        return self._rows

    def __repr__(self) -> str:
        return f"Polyhedron({len(self.b)} rows in {self.dim} dimensions)"


def _restored(rows: tuple[F64, F64, F64, F64], budget: float) -> Polyhedron:
    """A polyhedron from what pickling keeps of it."""
    found = Polyhedron._of(DomainRows(*rows))
    found._budget = budget
    return found


Domain = Box | Polyhedron | None


def resolve_domain(domain: Domain, dim: int) -> DomainRows:
    """The rows of a domain argument: None (all of R^d), a Box or a Polyhedron.

    Raises
    ------
    TypeError
        For anything else. ValueError if the dimension does not fit, EmptyDomainError without interior.
    """
    if domain is None:
        return DomainRows.all(dim)
    if isinstance(domain, (Box, Polyhedron)):
        return domain.resolve(dim)
    raise TypeError(f"domain must be None, a Box or a Polyhedron, got {type(domain).__name__}")


@plain_floats()
def outside(rows: DomainRows, core: _core.Domain, point: F64) -> OutsideDomainError | None:
    """The error that says which row of the domain a point violates, None if it violates none (exact)."""
    bad = np.flatnonzero((point < rows.lower) | (point > rows.upper))
    if len(bad):
        k = int(bad[0])
        return OutsideDomainError(
            f"the point is outside the domain: coordinate {k} is {point[k]}, the bounds are [{rows.lower[k]}, "
            f"{rows.upper[k]}] ({len(bad)} such coordinate(s)); is the input scaled as the domain expects?"
        )
    if not len(rows.b) or core.contains(point):
        return None
    k = int(np.argmax((rows.A @ point - rows.b) / np.linalg.norm(rows.A, axis=1)))
    return OutsideDomainError(f"the point is outside the domain: it violates {Label(-1, k, 2)}")
