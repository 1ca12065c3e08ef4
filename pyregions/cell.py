"""The questions that every cell answers, region or polyhedron, each with one call into the core."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _core
from .arguments import EXACT_BUDGET, norm_code, point_array, whole_number, worker_count
from .errors import UndecidedError, core_errors
from .exact import ExactNetwork
from .replay import Verification, verify, verify_no_interior
from .values import PROOFS, U8, Ball, BallAround, Boundedness, Extremum, Facets, Halfspaces, frozen, point_parts

if TYPE_CHECKING:
    from ._core import Cell, NoInteriorDict

F64 = NDArray[np.float64]


class DomainRows(NamedTuple):
    """A domain with its dimension settled: bounds (possibly infinite) and general rows ``A x <= b``."""

    lower: F64
    upper: F64
    A: F64
    b: F64

    @staticmethod
    def all(dim: int) -> DomainRows:
        """All of R^d."""
        return DomainRows(np.full(dim, -np.inf), np.full(dim, np.inf), np.zeros((0, dim)), np.zeros(0))

    @property
    def dim(self) -> int:
        return len(self.lower)

    def core(self) -> _core.Domain:
        """The domain as the core takes it."""
        if len(self.b):
            return _core.Domain.general(self.lower, self.upper, self.A, self.b)
        if np.isinf(self.lower).all() and np.isinf(self.upper).all():
            return _core.Domain.all(self.dim)
        return _core.Domain.box(self.lower, self.upper)

    def cut(self, A: F64, b: F64) -> DomainRows:
        """The same domain with further rows behind its own."""
        return DomainRows(self.lower, self.upper, np.vstack([self.A, A]), np.concatenate([self.b, b]))


class NoInterior:
    """The certified answer that a cell has no interior point; false in a condition.

    Attributes: ``proof`` ("box", "stage", "basis", "opposite" or "exact"), ``rows`` and ``multipliers``: nonnegative
    multipliers (integers where the proof is "exact") of rows that cannot all be strictly satisfied; ``stage`` for the
    proof "stage".
    """

    def __init__(self, network: ExactNetwork, pattern: U8, domain: DomainRows, raw: NoInteriorDict) -> None:
        self._network, self.pattern, self._rows, self._raw = network, pattern, domain, raw
        self.proof = PROOFS.get(3 if int(raw["kind"]) == 2 else int(raw["kind"]), "unproven")
        self.stage = int(raw["stage"])
        exact: dict[int, int] = raw["exact"][1]
        self.rows = tuple(exact) or tuple(map(int, raw["mul_rows"]))
        self.multipliers: tuple[float, ...] = tuple(exact.values()) or tuple(map(float, raw["mul_values"]))

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"NoInterior(proof={self.proof!r}, rows={self.rows})"

    def verify(self) -> Verification:
        """Replays the proof from the raw weights in exact integers.

        Raises
        ------
        VerificationError
            If the stored proof does not prove the claim.
        """
        return verify_no_interior(self._network, self.pattern, self._rows, self._raw)

    def certificate(self, path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
        """The proof as JSON of integers, to be replayed by ``python -m pyregions.verify``; see certificate.py.

        Parameters
        ----------
        path : path, optional
            Where to write it, too.
        """
        from .certificate import empty_claims, write

        found = empty_claims(self._network, self.pattern, self._rows, self._raw, EXACT_BUDGET)
        if path is not None:
            write(found, path)
        return found


class Geometry:
    """The geometry of one cell; base of :class:`Region` and :class:`Polyhedron`. Nothing here is computed twice."""

    @property
    def _cell(self) -> Cell:
        raise NotImplementedError

    @property
    def _exact(self) -> ExactNetwork:
        """The network, or one without nodes."""
        raise NotImplementedError

    @property
    def _rows(self) -> DomainRows:
        raise NotImplementedError

    @property
    def _shape(self) -> tuple[int, ...]:
        """A shape in which points may be given besides (d,)."""
        return ()

    @property
    def dim(self) -> int:
        """The dimension d of the space."""
        return self._rows.dim

    @cached_property
    def pattern(self) -> U8:
        """The piece of every unit (units,), stage after stage: 0 where z < 0, 1 where z > 0."""
        out: U8 = frozen(self._cell.pattern)
        return out

    @cached_property
    def _held(self) -> set[str]:
        """Names of the questions a batch has answered already."""
        return set()

    def _holds(self, part: str) -> bool:
        """Whether a question has been answered already, so that its certificates can be replayed."""
        return part in self._held or part in self.__dict__ or "_" + part in self.__dict__

    @cached_property
    def witness(self) -> F64:
        """A point (d,) strictly inside the cell and its domain, up to the rounding that ``witness_parts`` mends."""
        with core_errors():
            out: F64 = frozen(self._cell.witness())
            return out

    @cached_property
    def witness_parts(self) -> F64:
        """The same point as an exact sum of doubles (parts, d): one part, unless the cell is too thin for that."""
        with core_errors():
            out: F64 = frozen(self._cell.witness_parts())
            return out

    @cached_property
    def halfspaces(self) -> Halfspaces:
        """All rows ``A x <= b`` of the cell, the units' first and in pattern order, then the domain's."""
        with core_errors():
            return Halfspaces.of(self._cell.halfspaces())

    @cached_property
    def facets(self) -> Facets:
        """The facets: groups of coincident rows whose removal would enlarge the cell, each with its certificate.

        Returns
        -------
        Facets
            A sequence of :class:`Facet`, ordered by first row.

        Raises
        ------
        UndecidedError
            With the ``rows`` that could not be decided within the budget.
        """
        try:
            with core_errors():
                return Facets(self._cell.facets(), self.halfspaces)
        except UndecidedError as error:
            with core_errors():
                rows = map(int, self._cell.facets(allow_undecided=True)["undecided"])
            raise UndecidedError(str(error), list(rows)) from None

    @cached_property
    def chebyshev(self) -> Ball:
        """The largest inscribed ball, with rigorous bounds on its radius (possibly ``inf``, then proven so)."""
        with core_errors():
            return Ball.of(self._cell.chebyshev())

    @cached_property
    def boundedness(self) -> Boundedness:
        """Whether the cell is bounded, in itself and modulo its lineality space, with the proof."""
        with core_errors():
            return Boundedness.of(self._cell.boundedness())

    @property
    def is_bounded(self) -> bool:
        """True if the cell is bounded, False if it is not; both proven.

        Raises
        ------
        UndecidedError
            If neither could be proven within the budget.
        """
        if self.boundedness.bounded is None:
            raise UndecidedError("whether the cell is bounded could not be decided within the budget")
        return self.boundedness.bounded

    @property
    def is_bounded_modulo_lineality(self) -> bool:
        """True if the cell is bounded once the directions of its lineality space are divided out.

        Raises
        ------
        UndecidedError
            If neither could be proven within the budget.
        """
        if self.boundedness.modulo_lineality is None:
            raise UndecidedError("whether the cell is bounded modulo lineality could not be decided within the budget")
        return self.boundedness.modulo_lineality

    def contains(self, y: ArrayLike, interior: bool = False) -> bool:
        """Decides exactly whether a point lies in the closed cell (or strictly inside it).

        Parameters
        ----------
        y : array_like (d,), or of the network's input shape
        interior : bool
            Ask for the interior instead: every row that is not identically zero strictly satisfied.

        Raises
        ------
        ValueError
            If y has the wrong shape or is not finite.
        """
        point = point_array(y, self.dim, "y", self._shape)
        with core_errors():
            return self._cell.interior_contains(point) if interior else self._cell.contains(point)

    def maximize(self, c: ArrayLike) -> Extremum:
        """The largest value of ``c . x`` over the closed cell.

        Parameters
        ----------
        c : array_like (d,)

        Returns
        -------
        Extremum
            ``status`` "optimal" with a point of the cell and rigorous bounds, or "unbounded".
        """
        direction = point_array(c, self.dim, "c")
        with core_errors():
            return self._extremum(self._cell.maximize(direction))

    def project(self, y: ArrayLike, norm: object = 2) -> Extremum:
        """The point of the closed cell nearest to y in the 1-, 2- or maximum norm; the value is the distance.

        Parameters
        ----------
        y : array_like (d,)
        norm : 1, 2 or np.inf
        """
        point, code = point_array(y, self.dim, "y", self._shape), norm_code(norm)
        with core_errors():
            return self._extremum(self._cell.project(point, code))

    def ball_around(self, x: ArrayLike, norm: object = 2) -> BallAround:
        """The largest ball around a point of the cell that lies in the cell: no program is solved.

        Parameters
        ----------
        x : array_like (d,), or of the network's input shape
        norm : 1, 2 or np.inf

        Returns
        -------
        BallAround

        Raises
        ------
        ValueError
            If x is not in the closed cell.

        Examples
        --------
        >>> import pyregions as pr
        >>> ball = pr.Polyhedron([[1, 0], [-1, 0], [0, 1], [0, -1]], [1, 1, 1, 1]).ball_around([0.75, 0.0])
        >>> ball.radius, ball.row
        (0.25, 0)
        """
        code, point = norm_code(norm), point_array(x, self.dim, "x", self._shape)
        if not self.contains(point):
            raise ValueError("x is not in this cell; the ball around it would have no radius")
        with core_errors():
            found = _core.cell_distances(self._cell, point, code)
        row = found["nearest"]
        if row < 0:
            return BallAround(frozen(point.copy()), np.inf, (np.inf, np.inf), norm, None, None)
        # The exact minimum is below every upper bound, and above the least of the lower ones.
        bounds = (float(found["lower"].min()), float(found["upper"].min()))
        label = self.halfspaces.labels[row]
        return BallAround(frozen(point.copy()), float(found["value"][row]), bounds, norm, row, label)

    def sample(self, count: int, seed: int = 0, steps: int | None = None, workers: int | None = None) -> F64:
        """Points drawn uniformly from a bounded cell, each proven to lie strictly inside.

        Every point is the end of a random walk of its own, coordinate hit-and-run from the analytic centre in
        coordinates that make the cell round (Haraldsdottir et al., CHRR, 2017). The distribution is uniform in the
        limit of many steps; that the limit has been reached is not proven, and seconds per point are steps times rows
        (some 10 s at 784 inputs by default).

        Parameters
        ----------
        count : int
        seed : int
            At least 0. Point i depends on the seed and on i alone.
        steps : int, optional
            Of each walk; by default 4 d^2, at least 100. More for long and pointed cells.
        workers : int, optional
            Threads; by default the CPUs that this process may use.

        Returns
        -------
        float64 array (count, d)

        Raises
        ------
        ValueError
            If the cell is unbounded or an argument is malformed.
        UndecidedError
            If the cell is too thin for doubles.

        Examples
        --------
        >>> import pyregions as pr
        >>> triangle = pr.Polyhedron([[-1, 0], [0, -1], [1, 1]], [0, 0, 1])
        >>> points = triangle.sample(1000)
        >>> bool((points > 0).all()), bool(abs(points.mean() - 1 / 3) < 0.02)
        (True, True)
        """
        points, first = whole_number(count, "count", 1, 2**31), whole_number(seed, "seed", 0, 2**64 - 1)
        length = max(100, 4 * self.dim**2) if steps is None else whole_number(steps, "steps", 1)
        if not self.is_bounded:
            raise ValueError("the cell is unbounded: nothing is uniform on it; ask within a bounded domain")
        with core_errors():
            return self._cell.sample(points, length, first, worker_count(workers))

    @staticmethod
    def _extremum(raw: Any) -> Extremum:
        bounds = (float(raw["lower"]), float(raw["upper"]))
        point = frozen(raw["point"])
        return Extremum(str(raw["status"]), point, float(raw["value"]), bounds, point_parts(point, raw["fine"]))

    def stats(self) -> dict[str, Any]:
        """How many decisions each rung of the ladder took so far, and what was asked from the solvers.

        Returns
        -------
        dict
            ``triage``, ``tight``, ``basis``, ``refine``, ``exact`` and ``undecided`` count decisions by the rung that
            took them: floats with a normwise bound, with an elementwise bound, a verified basis, double-double,
            integers, none. ``active_set`` (rows with a search of their own), ``lps`` and ``interior``
            count what the solvers were asked to propose.
            ``seconds_*`` are the seconds of each stage of the facets. ``calls`` holds the same per question
            ("witness", "facets", ...), without the questions that it asked in turn; its ``seconds_all`` are the
            seconds of the question.

        Examples
        --------
        >>> import pyregions as pr
        >>> square = pr.Polyhedron([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1]], [1, 1, 1, 1, 2])
        >>> len(square.facets), square.stats()["exact"], square.stats()["undecided"]
        (4, 1, 0)
        >>> square.stats()["calls"]["facets"]["exact"]
        1
        """
        return dict(self._cell.stats())

    def certificate(self, path: str | os.PathLike[str] | None = None) -> dict[str, Any]:
        """Everything the cell claims as JSON of integers: facets, redundant rows, boundedness, radius, neighbors.

        ``python -m pyregions.verify network.npz certificate.json`` replays it from the file that :meth:`Network.save`
        writes (``-`` for a polyhedron), with the standard library alone; certificate.py states the claims.

        Parameters
        ----------
        path : path, optional
            Where to write it, too.

        Raises
        ------
        UndecidedError
            If a row stayed open within the budget.

        Examples
        --------
        >>> import pyregions as pr
        >>> square = pr.Polyhedron([[1, 0], [-1, 0], [0, 1], [0, -1], [1, 1]], [1, 1, 1, 1, 5])
        >>> claims = square.certificate()["claims"]
        >>> [facet["rows"] for facet in claims["facets"]], claims["redundant"]
        ([[0], [1], [2], [3]], [{'rows': [4], 'mu': 1, 'multipliers': [[0, 1], [2, 1]]}])
        """
        from .certificate import cell_claims, write

        found = cell_claims(self, self._cell.exact_budget)
        if path is not None:
            write(found, path)
        return found

    def verify(self, sample: int | None = None, seed: int = 0) -> Verification:
        """Replays the certificates held so far from the raw weights: pure Python integers, no solver, no core.

        The facets are computed first if they have not been asked for; the Chebyshev ball, boundedness, neighbors and
        decision boundaries are replayed if they have been.

        Parameters
        ----------
        sample : int, optional
            Replay only so many claims of each kind, drawn at random with ``seed``; the report records which.
        seed : int

        Returns
        -------
        Verification
            How many claims of each kind were replayed and how many carry no certificate.

        Raises
        ------
        VerificationError
            Naming the first claim whose certificate does not prove it.
        """
        return verify(self, sample, seed)
