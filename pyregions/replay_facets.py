"""Replay of a region's pattern and facets: its interior witness, the groups of rows, facets and redundant rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import VerificationError
from .exact import Exact
from .replay_exact import implied_exactly, points_with
from .replay_rows import BASIS, BOX, ENCLOSURE, EXACT, PARALLEL, STAGE, Rows, Sparse, blocks, enclose, highest, require

if TYPE_CHECKING:
    from .values import Facets


def check_interior(rows: Rows, points: Exact, claim: str) -> None:
    """Each point is strictly inside every row that is not exactly zero."""
    for block in blocks(range(len(points.ints))):
        values = rows.values(points[list(block)])
        signs = values.sign()
        require((signs <= 0).all(), claim, "a point that should be inside violates a row")
        touched = np.flatnonzero((signs == 0).any(axis=0))
        zero, _ = rows.zero_normals(touched)
        require(zero.all(), claim, f"a point that should be strictly inside lies on row {touched[~zero][:1]}")


def check_pattern(rows: Rows, point: Exact) -> None:
    """The witness runs through the network with this pattern, is strictly inside, and the pattern is canonical."""
    signs = rows.network.forward(point)[0].sign()[0]
    strict = signs != 0
    require((rows.pattern[strict] == (signs[strict] > 0)).all(), "pattern", "the witness has another pattern")
    still = np.flatnonzero(~strict)
    _, identical = rows.zero_normals(still)
    require(identical.all(), "pattern", f"unit {still[~identical][:1]} vanishes at the witness but not identically")
    require((rows.pattern[still] == 0).all(), "pattern", "a unit that is identically zero must hold piece 0")
    check_interior(rows, point, "pattern")


def check_partition(rows: Rows, groups: list[list[int]], redundant: list[list[int]], loose: Sequence[int]) -> None:
    """Every row is in exactly one group, or zero or undecided."""
    seen = Counter(row for group in groups + redundant for row in group)
    seen.update(loose)
    require(seen == Counter(range(rows.count)), "rows", "the groups do not hold every row exactly once")


def check_groups(rows: Rows, groups: list[list[int]], chosen: Sequence[int], witness: Exact) -> None:
    """Rows of one group coincide; rows of different groups do not.

    Coincident rows have h_i = t h_j with t > 0, so equal quotients h(p) / h(w) at any two points; two points chosen
    once tell nearly all groups apart, and the few with an equal quotient are compared exactly.
    """
    for k in chosen:
        for row in groups[k][1:]:
            same = ratio(rows, groups[k][0], row)
            require(same is not None, f"group {k}", f"row {row} does not coincide with the first")
    shift = Exact.of(np.random.default_rng(0).standard_normal(witness.shape))
    values = rows.values(Exact.concatenate([witness, witness + shift], 0))
    keys: dict[Fraction, list[int]] = {}
    for k, group in enumerate(groups):
        here, there = int(values.ints[0, group[0]]), int(values.ints[1, group[0]])
        require(here < 0, f"group {k}", "its first row is not strictly satisfied by the witness")
        for other in keys.setdefault(Fraction(there, here), []):
            same = ratio(rows, groups[other][0], group[0])
            require(same is None, f"group {k}", f"its rows coincide with those of group {other}")
        keys[Fraction(there, here)].append(k)


def ratio(rows: Rows, i: int, j: int) -> Fraction | None:
    """t > 0 with h_j = t h_i exactly, None if there is none (or row i is zero)."""
    g, c = rows.forms([{i: Fraction(1)}, {j: Fraction(1)}])
    both = Exact.concatenate([g, c[:, None]], 1).ints
    pivots = np.flatnonzero(g.ints[0] != 0)
    if not len(pivots):
        return None
    p, q = int(both[0, pivots[0]]), int(both[1, pivots[0]])
    if p * q <= 0 or (both[0] * q != both[1] * p).any():
        return None
    return Fraction(q, p)


def check_facets(
    rows: Rows, groups: list[list[int]], witness: NDArray[np.float64], chosen: Sequence[int], fine: Any = None
) -> None:
    """Each witness violates exactly the rows of its group; with an interior witness the group is a facet."""
    for block in blocks(chosen):
        signs = rows.values(points_with(witness, fine or {}, block)).sign()
        for k, found in zip(block, signs, strict=True):
            expected = np.zeros(rows.count, dtype=bool)
            expected[groups[k]] = True
            require((found[expected] > 0).all(), f"facet {k}", "its witness does not violate every row of the group")
            require((found[~expected] <= 0).all(), f"facet {k}", "its witness violates a row outside the group")


@dataclass(frozen=True)
class Implied:
    """The claim that the rows of ``group`` are implied by others."""

    group: list[int]
    kind: int
    stage: int
    multipliers: Sparse
    exact: tuple[int, dict[int, int]] | None = None

    def form(self) -> Sparse:
        """h_i - sum lambda_j h_j."""
        return {**{row: -value for row, value in self.multipliers.items()}, self.group[0]: Fraction(1)}


def claims_of(facets: Facets) -> tuple[list[list[int]], list[Implied]]:
    """The groups of rows that are claimed to be facets, and the claims that the others are implied."""
    raw, claims = facets.raw, []
    for r in range(len(raw["red_ptr"]) - 1):
        group = [int(row) for row in raw["red_rows"][raw["red_ptr"][r] : raw["red_ptr"][r + 1]]]
        mine = slice(int(raw["mul_ptr"][r]), int(raw["mul_ptr"][r + 1]))
        pairs = zip(raw["mul_rows"][mine], raw["mul_values"][mine], strict=True)
        multipliers = {int(row): Fraction(float(value)) for row, value in pairs if value != 0}
        kind, stage = int(raw["red_kind"][r]), int(raw["red_stage"][r])
        claims.append(Implied(group, kind, stage, multipliers, raw["exact"].get(r)))
    return [list(group) for group in facets.groups], claims


def check_implied(rows: Rows, claims: Sequence[Implied], box: tuple[Any, Any] | None, names: Sequence[str]) -> None:
    """Redundant groups, each by its own kind of proof."""
    order = sorted(range(len(claims)), key=lambda k: (claims[k].kind, claims[k].stage))
    for block in blocks(order):
        kinds = sorted({(claims[k].kind, claims[k].stage if claims[k].kind == STAGE else -1) for k in block})
        for kind, stage in kinds:
            mine = [k for k in block if claims[k].kind == kind and (kind != STAGE or claims[k].stage == stage)]
            for k in mine:
                check_multipliers(rows, claims[k], names[k])
            if kind == EXACT:
                for k in mine:
                    implied_exactly(rows, claims[k].group, claims[k].exact or (0, {}), names[k])
                continue
            if kind in (BASIS, PARALLEL):
                for k in mine:
                    (implied_by_basis if kind == BASIS else implied_by_parallel)(rows, claims[k], names[k])
                continue
            require(kind in (BOX, STAGE, ENCLOSURE), names[mine[0]], f"unknown kind of proof {kind}")
            try:
                g, c = rows.forms([claims[k].form() for k in mine], stage)
            except (ValueError, IndexError) as error:
                raise VerificationError(names[mine[0]], str(error)) from None
            for m, k in enumerate(mine):
                if kind == STAGE:
                    implied_by_stage(rows, claims[k], g[m], c.fraction(m), names[k])
                else:
                    implied_by_box(rows, claims[k], g, c.fraction(m), m, box, names[k])


def check_multipliers(rows: Rows, claim: Implied, name: str) -> None:
    """Multipliers are nonnegative and on rows outside the group."""
    require(all(value >= 0 for value in claim.multipliers.values()), name, "a multiplier is negative")
    require(all(0 <= row < rows.count for row in claim.multipliers), name, "a multiplier is on no row")
    require(not set(claim.multipliers) & set(claim.group), name, "a multiplier is on a row of the group itself")


def implied_by_box(rows: Rows, claim: Implied, g: Exact, c: Fraction, m: int, box: Any, name: str) -> None:
    """h_i = sum lambda_j h_j + (r.x + c) and r.x + c <= 0 on a box around the cell.

    Strictly below 0, row i is never reached on the cell, whatever proved the box. At exactly 0 either no bound of the
    box is used, or the box is the domain's own and none of the bounds used is in the group.
    """
    around = (rows.domain.lower, rows.domain.upper) if claim.kind == BOX else box
    require(around is not None, name, "there is no proven box around the cell")
    top = highest(g, m, *around)
    require(top is not None, name, "the residual is not bounded on the box")
    assert top is not None
    require(top + c <= 0, name, "the residual may be positive on the box")
    if top + c == 0 and (g.ints[m] != 0).any():
        mine = [row - rows.units for row in claim.group if rows.units <= row < rows.general]
        used = any(rows.sign[k] * g.ints[m, rows.axis[k]] > 0 for k in mine)
        require(claim.kind == BOX and not used, name, "the bound holds with equality only")


def implied_by_stage(rows: Rows, claim: Implied, mu: Exact, c: Fraction, name: str) -> None:
    """h_i - sum lambda_j h_j = mu.z + c in the pre-activations z of a stage, every term of it <= 0 on the cell."""
    units = rows.network.slices[claim.stage]
    weights = mu.ints * rows.sides[units]
    require((weights >= 0).all(), name, "a coefficient in the stage's coordinates has the wrong sign")
    require(c <= 0, name, "the constant term is positive")
    own = [row for row in claim.group if units.start <= row < units.stop]
    if c < 0 or not own:  # below 0 strictly, row i is never reached on the cell
        return
    total = Fraction(0)
    for row in own:
        factor = ratio(rows, claim.group[0], row)
        require(factor is not None, name, "the group's rows do not coincide")
        assert factor is not None
        total += Exact(np.array(weights[row - units.start], dtype=object), mu.exponent).fraction() * factor
    require(total < 1, name, "the row is used to imply itself")


def implied_by_parallel(rows: Rows, claim: Implied, name: str) -> None:
    """a_i = t a_j with t > 0, exactly, and b_i > t b_j for one other row j (the stored multiplier is t, rounded)."""
    require(len(claim.multipliers) == 1, name, "expected one other row")
    g, c = rows.forms([{row: Fraction(1)} for row in (claim.group[0], *claim.multipliers)])
    k = int(np.argmax(g.ints[1] != 0))
    p, q = int(g.ints[0, k]), int(g.ints[1, k])
    require(p * q > 0 and (g.ints[0] * q == g.ints[1] * p).all(), name, "the two rows are not parallel")
    # h_i = t h_j + (c_i - t c_j) with t = p / q, and the constant is negative.
    require(c.fraction(0) * abs(q) < c.fraction(1) * abs(p), name, "the other row is not the tighter one")


def implied_by_basis(rows: Rows, claim: Implied, name: str) -> None:
    """Exact multipliers B^-T a_i are positive and lambda.b < b_i."""
    basis = sorted(claim.multipliers)
    g, c = rows.forms([{row: Fraction(1)} for row in [*basis, claim.group[0]]])
    low, high = enclose(g[:-1], g[-1], [float(claim.multipliers[row]) for row in basis], name)
    require(all(value > 0 for value in low), name, "a multiplier is not proven positive")
    total = Fraction(0)  # upper bound of lambda.b, with b = -c
    for k in range(len(basis)):
        offset = -c.fraction(k)
        total += (high[k] if offset > 0 else low[k]) * offset
    require(total < -c.fraction(len(basis)), name, "the combined offset is not below the row's own")
