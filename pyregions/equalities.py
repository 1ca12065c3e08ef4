"""Proofs in floats turned into equalities of integers: combinations of rows that vanish or make a multiple of a row.

The core proves most claims with multipliers that are doubles and a residual which it bounds. Here further rows carry
the residual exactly - bounds of coordinates, the rows of a stage, a basis of the rows - and where none can, the exact
rung is asked for an equality of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from math import gcd, lcm
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from . import _core
from .replay_facets import Implied, ratio
from .replay_rows import BASIS, ENCLOSURE, EXACT, OPPOSITE, PARALLEL, STAGE, Rows, Sparse

if TYPE_CHECKING:
    from ._core import Cell

Vector = list[Fraction]


class Equality(NamedTuple):
    """``own * a_i = sum terms a_j`` (or the sum vanishes, with own = 0), and own b_i - sum terms b_j."""

    own: Fraction
    terms: Sparse
    gap: Fraction


def add(*parts: Sparse) -> Sparse:
    """The sum of sparse rows, without zeros."""
    out: Sparse = {}
    for part in parts:
        for row, value in part.items():
            out[row] = out.get(row, Fraction(0)) + value
    return {row: value for row, value in out.items() if value}


def times(factor: Fraction, row: Sparse) -> Sparse:
    return {j: factor * value for j, value in row.items()}


def whole(values: Sequence[Fraction]) -> list[int]:
    """Coprime integers proportional to the fractions, by a positive factor."""
    scale = lcm(*(value.denominator for value in values)) if values else 1
    ints = [int(value * scale) for value in values]
    divisor = gcd(*ints) or 1
    return [v // divisor for v in ints]


def exactly(combination: tuple[int, dict[int, int]]) -> tuple[Fraction, Sparse]:
    """A combination that the core holds in integers."""
    own, terms = combination
    return Fraction(own), {row: Fraction(value) for row, value in terms.items()}


def proposed(raw: Any) -> Sparse:
    """The multipliers in doubles of a raw answer of the core."""
    return {int(r): Fraction(float(v)) for r, v in zip(raw["mul_rows"], raw["mul_values"], strict=True) if v}


def in_budget(ask: Callable[..., Any], *arguments: Any) -> Any:
    """The answer of the exact rung, None when it is out of time."""
    try:
        return ask(*arguments)
    except (RuntimeError, _core.UndecidedError):
        return None


class Equalities:
    """Turns the proofs of one cell into equalities. Law: every Equality returned has been multiplied out.

    Parameters
    ----------
    rows : Rows
    cell : the core's cell, None where there is no interior
    """

    def __init__(self, rows: Rows, cell: Cell | None, seconds: float) -> None:
        self.rows, self.cell, self.seconds = rows, cell, seconds
        every = [{row: Fraction(1)} for row in range(rows.count)]
        self.normals, self.constants = rows.forms(every)
        self.along: dict[tuple[int, int], tuple[int, Fraction]] = {}  # (axis, side) -> row with only this coefficient
        for j in range(rows.units, rows.count):
            [*support] = map(int, np.flatnonzero(self.normals.ints[j] != 0))
            if len(support) == 1:
                value = self.normals.fraction(j, support[0])
                self.along.setdefault((support[0], 1 if value > 0 else -1), (j, abs(value)))
        self._positive: Sparse | None = None
        self.basis: list[int] = []

    # ---- multiplying out

    def normal(self, row: int) -> Vector:
        return [self.normals.fraction(row, k) for k in range(self.rows.domain.dim)]

    def form(self, terms: Sparse) -> tuple[Vector, Fraction]:
        """g and c of sum terms h_j = g.x + c."""
        scale = lcm(*(value.denominator for value in terms.values())) if terms else 1
        picked = list(terms)
        weights = np.array([int(terms[row] * scale) for row in picked], dtype=object)
        g = weights @ self.normals.ints[picked] if picked else np.zeros(self.rows.domain.dim, dtype=object)
        c = sum((terms[row] * self.constants.fraction(row) for row in picked), Fraction(0))
        unit = Fraction(2) ** self.normals.exponent / scale
        return [int(v) * unit for v in g], c

    def checked(self, own: Fraction, row: int, terms: Sparse, group: Sequence[int] = ()) -> Equality | None:
        """The equality if it is one, its multipliers are positive, and what the group gives to itself is less than all.

        A share t < 1 of the row on the right-hand side moves to the left: (own - t) a_i is what the others make.
        """
        terms = add(terms)
        for other in group:
            if other in terms:
                factor = ratio(self.rows, row, other)
                if factor is None:
                    return None
                own -= terms.pop(other) * factor
        if any(value < 0 for value in terms.values()) or own < 0 or (group and not own):
            return None
        g, c = self.form(add(terms, {row: -own} if own else {}))
        return None if any(g) else Equality(own, terms, c)

    # ---- carriers of a residual

    def by_bounds(self, g: Vector) -> Sparse | None:
        """Nonnegative multipliers of rows along single axes that make g."""
        out: Sparse = {}
        for k, value in enumerate(g):
            if value:
                found = self.along.get((k, 1 if value > 0 else -1))
                if found is None:
                    return None
                out[found[0]] = abs(value) / found[1]
        return out

    def by_stage(self, terms: Sparse, stage: int) -> Sparse | None:
        """The rows of a stage, with positive weights, that add up to minus the combined normals of `terms`."""
        mu, _ = self.rows.forms([terms], stage)
        units = self.rows.network.slices[stage]
        weights = -mu.ints[0] * self.rows.sides[units]
        if (weights < 0).any():
            return None
        unit = Fraction(2) ** mu.exponent
        return {units.start + int(k): int(weights[k]) * unit for k in np.flatnonzero(weights)}

    def solve(self, basis: Sequence[int], g: Vector) -> Sparse | None:
        """Multipliers of any sign on independent rows that make g."""
        columns = [[int(v) for v in self.normals.ints[row]] for row in basis]
        scale = lcm(*(value.denominator for value in g)) if g else 1
        found = in_budget(_core.exact_solve, columns, [int(value * scale) for value in g], self.seconds)
        if found is None:
            return None
        own, values = found
        unit = Fraction(1, own * scale) / Fraction(2) ** self.normals.exponent
        return {row: value * unit for row, value in zip(basis, values, strict=True) if value}

    def by_basis(self, g: Vector) -> Sparse | None:
        """The basis of a positive vanishing combination, and as much of that as makes all multipliers nonnegative."""
        if not self.basis or self._positive is None:
            return None
        found = self.solve(self.basis, g)
        if found is None:
            return None
        need = max([-value / self._positive[row] for row, value in found.items()] + [Fraction(0)])
        return add(found, times(need, self._positive))

    def vanishing(self, terms: Sparse, kind: int, stage: int) -> Equality | None:
        """Multipliers near a vanishing combination made one."""
        if kind == STAGE:
            extra = self.by_stage(terms, stage)
        elif kind == BASIS:
            return self.null_vector(terms)
        else:
            residual = [-value for value in self.form(terms)[0]]
            extra = self.by_bounds(residual)
            if extra is None:
                extra = self.by_basis(residual)
        return None if extra is None else self.checked(Fraction(0), 0, add(terms, extra))

    def null_vector(self, terms: Sparse) -> Equality | None:
        """The vanishing combination of d + 1 rows, the first multiplier held."""
        if not terms:
            return None
        fixed, *basis = sorted(terms, key=lambda row: -terms[row])
        found = self.solve(basis, [-value for value in self.normal(fixed)])
        return None if found is None else self.checked(Fraction(0), 0, add(found, {fixed: Fraction(1)}))

    # ---- claims

    def implied(self, claim: Implied) -> Equality | None:
        """own a_i = sum lambda_j a_j with sum lambda_j b_j <= own b_i, for the first row of a group; None if open."""
        row = claim.group[0]
        for own, terms in self.proposals(claim):
            found = self.checked(own, row, terms, claim.group)
            if found is not None and found.gap >= 0:
                return found
        return None

    def proposals(self, claim: Implied) -> Iterator[tuple[Fraction, Sparse]]:
        """Multipliers to be tried, the last ones by an exact program."""
        row, one = claim.group[0], Fraction(1)
        if claim.kind == EXACT and claim.exact is not None:
            yield exactly(claim.exact)
        elif claim.kind == PARALLEL:
            [other] = claim.multipliers
            k = self.axis(row)
            yield one, {other: self.normals.fraction(row, k) / self.normals.fraction(other, k)}
        elif claim.kind == BASIS:
            yield one, self.solve(list(claim.multipliers), self.normal(row)) or {}
        else:
            lack = {j: -v for j, v in claim.form().items()}  # lambda - e_i, whose normals should sum to 0
            if claim.kind == STAGE:
                yield one, add(claim.multipliers, self.by_stage(lack, claim.stage) or {})
            else:
                residual = [-value for value in self.form(lack)[0]]
                for carry in (self.by_bounds, self.by_basis):
                    yield one, add(claim.multipliers, carry(residual) or {})
        program = in_budget(self.cell.exact_redundancy, row) if self.cell is not None else None
        if program is not None:
            yield exactly(program)

    def axis(self, row: int) -> int:
        """The first coordinate that a row depends on."""
        return int(np.flatnonzero(self.normals.ints[row] != 0)[0])

    def spread(self, raw: Any) -> Equality | None:
        """The positive vanishing combination behind a proof that the cell is bounded; its basis is kept for others."""
        terms = proposed(raw)
        basis = [int(row) for row in raw["basis_rows"]]
        if not basis:
            return None
        lack = self.solve(basis, [-value for value in self.form(terms)[0]])
        found = None if lack is None else self.checked(Fraction(0), 0, add(terms, lack))
        if found is not None and all(row in found.terms for row in basis):
            self.basis, self._positive = basis, found.terms
        return found

    def spread_by_stage(self, raw: Any) -> Equality | None:
        """A vanishing combination of all rows that are not constant, behind a proof in first-stage coordinates.

        The first stage's weights are positive for the given multipliers; they stay so with a little of every other row.
        """
        terms, rows = proposed(raw), self.rows
        if not terms or len(raw["basis_rows"]) or rows.count != rows.units:
            return None
        first = rows.network.slices[0].stop
        moving = [j for j in range(rows.units) if (self.normals.ints[j] != 0).any()]
        for bits in range(8, 128, 8):
            share = max(terms.values()) / (1 << bits)
            deep = add({j: share for j in moving if j >= first and j not in terms}, terms)
            weights = self.by_stage(deep, 0)
            if weights is not None and all(j in weights for j in moving if j < first):
                return self.checked(Fraction(0), 0, add(deep, weights))
        return None

    def empty(self, raw: Any) -> Equality | None:
        """A vanishing combination with sum lambda_j b_j <= 0, for a cell without interior."""
        kind, terms = int(raw["kind"]), proposed(raw)
        if kind == EXACT:
            return self.checked(Fraction(0), 0, exactly(raw["exact"])[1])
        if kind == OPPOSITE:
            return self.opposite(sorted(terms))
        return self.vanishing(terms, BASIS if kind == ENCLOSURE else kind, int(raw["stage"]))

    def opposite(self, pair: list[int]) -> Equality | None:
        """Two opposite rows weighted so that they cancel, or a row that is a false constant."""
        first = pair[0]
        if len(pair) == 1:
            return self.checked(Fraction(0), 0, {first: Fraction(1)})
        k = self.axis(first)
        weights = [abs(self.normals.fraction(row, k)) for row in pair]
        return self.checked(Fraction(0), 0, dict(zip(pair, reversed(weights))))
