"""Certificates as data: what a cell claims, as integers in JSON, for verify.py to replay from the network's file.

Every number is an integer, as a JSON number or, from 2^53 on, as a string of hexadecimal digits; a point or a radius
is ``{"exponent": e, "ints": [...]}`` for ints * 2^e. Row j stands for h_j(x) = a_j.x - b_j <= 0, scaled to coprime
integers: first the units (h_u = -z_u for piece 1, z_u for piece 0), then the domain's rows. The claims, with
lambda > 0 throughout:

* ``interior``: a point with h_j < 0 in every row that is not constant. ``zero_rows``: the constant ones.
* ``facets``: groups of coincident rows with a point that violates exactly these. As other groups are on other
  hyperplanes, the segment from the interior point to the witness leaves the cell through this facet alone.
* ``redundant``: groups with mu a_i = sum lambda_j a_j over rows j outside the group, and sum lambda_j b_j <= mu b_i,
  for the first row i. ``unproven``: groups for which neither is known.
* ``neighbors``: per facet without a row of the domain, the units that change their piece across it.
* ``bounded``: rows of full rank with sum lambda_j a_j = 0; or a direction u != 0 with a_j.u <= 0 for all j.
* ``modulo_lineality``: all rows that are not constant with sum lambda_j a_j = 0; or u with some a_j.u < 0 besides.
* ``radius``: a ball inside, and sum lambda_j a_j = 0 with sum lambda_j b_j <= upper sum lambda_j |a_j|; or a direction
  with a_j.u < 0 for every row that is not constant (balls of any size).
* ``no_interior``, instead of all that: sum lambda_j a_j = 0 and sum lambda_j b_j <= 0, not all on rows 0 <= 0.

``null`` is no claim. The digest binds the claims to the network's weights.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from fractions import Fraction
from hashlib import sha256
from math import gcd, isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import _core
from .equalities import Equalities, Equality, exactly, in_budget, proposed, whole
from .exact import Exact, ExactNetwork
from .network_file import contents
from .replay_exact import point_sum
from .replay_facets import claims_of
from .replay_rows import EXACT, Rows

if TYPE_CHECKING:
    from .cell import DomainRows, Geometry
    from .region import Region
    from .values import Ball, Boundedness

Json = dict[str, Any]


def encoded(value: int) -> int | str:
    """An integer that any reader of JSON takes exactly."""
    return int(value) if abs(value) < 2**53 else hex(value)


def dyadic(values: Exact) -> Json:
    """A vector of dyadic numbers with the largest exponent up to 0."""
    ints = [int(v) for v in values.at(min(values.exponent, 0)).reshape(-1)]
    exponent = min(values.exponent, 0)
    shift = min(-exponent, ((gcd(*ints) & -gcd(*ints)).bit_length() - 1) if any(ints) else -exponent)
    return {"exponent": exponent + shift, "ints": [encoded(v >> shift) for v in ints]}


def point(parts: NDArray[np.float64]) -> Json:
    """The exact sum of the rows of an array."""
    return dyadic(point_sum(parts[0], parts))


class Writer:
    """The claims of one cell in the terms of verify.py: rows scaled to coprime integers."""

    def __init__(self, rows: Rows, cell: _core.Cell | None, seconds: float) -> None:
        self.rows, self.cell = rows, cell
        self.equalities = Equalities(rows, cell, seconds)
        full = Exact.concatenate([self.equalities.normals, self.equalities.constants[:, None]], 1)
        self.factor: list[Fraction] = []  # h_j = factor * the coprime integers
        self.ints: list[list[int]] = []
        for row in full.ints:
            divisor = gcd(*map(int, row)) or 1
            self.factor.append(divisor * Fraction(2) ** full.exponent)
            self.ints.append([int(v) // divisor for v in row])
        self.nonzero = [j for j, row in enumerate(self.ints) if any(row[:-1])]

    def domain(self) -> Json:
        outer = self.ints[self.rows.units :]
        entries = [[[[k, encoded(v)] for k, v in enumerate(row[:-1]) if v], encoded(-row[-1])] for row in outer]
        return {"dimension": self.rows.domain.dim, "rows": entries}

    def combination(self, found: Equality, row: int = 0) -> tuple[int, list[list[Any]]]:
        """mu and the pairs (row, lambda) in coprime integers."""
        used = {j: v * self.factor[j] for j, v in sorted(found.terms.items()) if any(self.ints[j])}
        own, *values = whole([found.own * self.factor[row] if self.factor else found.own, *used.values()])
        return own, [[j, encoded(v)] for j, v in zip(used, values)]

    def slopes(self, direction: Sequence[int]) -> list[int]:
        return [sum(v * w for v, w in zip(row, direction)) for row in self.ints]

    # ---- claims

    def facets(self, cell: Geometry) -> Json:
        facets = cell.facets
        groups, implied = claims_of(facets)
        redundant, unproven = [], []
        for claim in implied:
            found = self.equalities.implied(claim)
            if found is None:
                unproven.append(claim.group)
                continue
            own, pairs = self.combination(found, claim.group[0])
            redundant.append({"rows": claim.group, "mu": encoded(own), "multipliers": pairs})
        return {
            "interior": point(cell.witness_parts),
            "zero_rows": sorted(map(int, facets.zero_rows)),
            "facets": [
                {"rows": group, "witness": point(facet.witness_parts)}
                for group, facet in zip(groups, facets, strict=True)
            ],
            "redundant": redundant,
            "unproven": unproven,
        }

    def bounded(self, answer: Boundedness, ball: Ball) -> Json:
        """The claims of boundedness, as it is and modulo lineality; the ball may know a direction, too."""
        raw = answer.certificate
        if answer.bounded:
            full = self.box() or self.equalities.spread(raw) or self.cancelled(raw)
            return {"bounded": self.multipliers(full), "modulo_lineality": None}
        away = ball.certificate
        found = [raw["recession"], raw["line"], away["exact_direction"]]
        found += [integers(answer.direction), integers(away["direction"])]
        steep = next((u for u in found if self.recedes(u, True)), None)
        if steep is None and answer.modulo_lineality is False and self.cell is not None:
            steep = (in_budget(_core.exact_recession, self.cell) or [None])[0]
        level = steep or next((u for u in found if self.recedes(u, False)), None)
        if level is None and answer.bounded is False and self.cell is not None:
            level = in_budget(_core.exact_lineality, self.cell)
        modulo = self.direction(steep)
        if answer.modulo_lineality:
            modulo = self.multipliers(self.cancelled(raw))
        return {"bounded": self.direction(level), "modulo_lineality": modulo}

    def recedes(self, u: Sequence[int], strictly: bool) -> bool:
        """A direction in which no row increases; strictly: and some row decreases."""
        slopes = self.slopes(u)
        return any(u) and max(slopes, default=0) <= 0 and (not strictly or any(slopes))

    def direction(self, u: Sequence[int] | None) -> Json | None:
        return {"direction": [encoded(v) for v in u]} if u else None

    def multipliers(self, found: Equality | None) -> Json | None:
        return None if found is None else {"multipliers": self.combination(found)[1]}

    def box(self) -> Equality | None:
        """Rows along all axes on both sides cancel."""
        along = self.equalities.along
        if len(along) < 2 * self.rows.domain.dim:
            return None
        return self.equalities.checked(Fraction(0), 0, {row: 1 / size for row, size in along.values()})

    def given(self, exact: tuple[int, dict[int, int]]) -> Equality | None:
        """A vanishing combination that the core holds in integers."""
        if not exact[1]:
            return None
        return self.equalities.checked(Fraction(0), 0, exactly(exact)[1])

    def cancelled(self, raw: Any) -> Equality | None:
        """A vanishing combination of all rows that are not constant, if need be by an exact program."""
        if not self.nonzero:
            return Equality(Fraction(0), {}, Fraction(0))
        found = self.given(raw["exact"]) or self.equalities.spread_by_stage(raw)
        if found is not None or self.cell is None:
            return found
        program = in_budget(_core.exact_recession, self.cell)
        return None if program is None else self.given(program[1])

    def radius(self, ball: Ball) -> Json | None:
        raw = ball.certificate
        if not math.isfinite(ball.radius_bounds[1]):
            u = raw["exact_direction"] or integers(raw["direction"])
            slopes = self.slopes(u)
            return self.direction(u) if all(slopes[j] < 0 for j in self.nonzero) else None
        lower, upper = ball.radius_bounds
        claim: Json = {"center": point(ball.center_parts), "lower": dyadic(Exact.of([max(lower, 0.0)]))}
        if int(raw["kind"]) == EXACT:
            equality = self.given(raw["exact"])
        else:
            equality = self.equalities.vanishing(proposed(raw), int(raw["kind"]), int(raw["stage"]))
        if equality is None and self.cell is not None:
            found = in_budget(_core.exact_ball, self.cell)
            equality = None if found is None else self.given(found[2])
        claim["upper"] = None if equality is None else self.radius_bound(equality, upper)
        return claim

    def radius_bound(self, found: Equality, upper: float) -> Json:
        """The bound that follows from a combination: the one stated, or the next double above it."""
        total = Fraction(0)
        for row, value in found.terms.items():
            square = sum(v * v for v in self.ints[row][:-1])
            total += value * self.factor[row] * Fraction(isqrt(square << 128), 1 << 64)
        bound = -found.gap / total
        if bound > Fraction(upper):
            upper = float(bound)
            upper = upper if Fraction(upper) >= bound else math.nextafter(upper, math.inf)
        return {"radius": dyadic(Exact.of([upper])), "multipliers": self.combination(found)[1]}


def integers(direction: NDArray[np.float64]) -> list[int]:
    """A direction of doubles in coprime integers."""
    return whole([Fraction(float(v)) for v in direction])


def cell_claims(cell: Geometry, seconds: float) -> Json:
    """The certificate of a cell with interior."""
    writer = Writer(Rows(cell._exact, cell.pattern, cell._rows), cell._cell, seconds)
    bounded = writer.bounded(cell.boundedness, cell.chebyshev)
    claims = {**writer.facets(cell), "neighbors": changes(cell), **bounded, "radius": writer.radius(cell.chebyshev)}
    return signed(cell._exact, cell.pattern, writer, claims)


def changes(cell: Geometry) -> list[list[int]]:
    """Per neighbor, the units whose piece changes."""
    if not cell._exact.units:
        return []
    region: Region = cell  # type: ignore[assignment]  # cells with units are regions
    return [list(neighbor.changed_units) for neighbor in region.neighbors()]


def empty_claims(network: ExactNetwork, pattern: Any, domain: DomainRows, raw: Any, seconds: float) -> Json:
    """The certificate of a pattern without interior."""
    writer = Writer(Rows(network, pattern, domain), None, seconds)
    found = writer.equalities.empty(raw)
    claims = {"no_interior": None if found is None else writer.multipliers(found)}
    return signed(network, pattern, writer, claims)


def signed(network: ExactNetwork, pattern: Any, writer: Writer, claims: Json) -> Json:
    """The certificate, bound to the weights by a digest of both."""
    content = {"pattern": [int(p) for p in pattern], "domain": writer.domain(), "claims": claims}
    kinds, arrays = contents(network)
    weights = repr([network.inputs, kinds, sorted((name, array.tolist()) for name, array in arrays.items())])
    body = weights + json.dumps(content, sort_keys=True)
    return {"digest": sha256(body.encode()).hexdigest(), **content}


def write(certificate: Json, path: str | os.PathLike[str]) -> None:
    """Writes a certificate as JSON."""
    with open(path, "w", encoding="ascii") as file:
        json.dump(certificate, file, separators=(",", ":"))
