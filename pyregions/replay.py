"""Replay of everything a cell claims: pure Python integers, no solver, none of the core's arithmetic.

The claims are spelled out where they are checked: replay_facets.py, replay_values.py, replay_empty.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .arguments import plain_floats
from .replay_bounded import check_bounded
from .replay_empty import verify_no_interior
from .replay_exact import point_sum
from .replay_facets import check_facets, check_groups, check_implied, check_partition, check_pattern, claims_of
from .replay_rows import ENCLOSURE, Rows, Verification, require
from .replay_values import check_ball, check_boundaries, check_map, check_neighbors, check_rows

if TYPE_CHECKING:
    from .cell import Geometry

__all__ = ["Verification", "verify", "verify_no_interior"]


@plain_floats()
def verify(cell: Geometry, sample: int | None = None, seed: int = 0) -> Verification:
    """Replays the certificates a cell holds. See :meth:`Geometry.verify`."""
    if sample is not None and sample < 1:
        raise ValueError(f"sample must be at least 1, got {sample}")
    generator, chosen = np.random.default_rng(seed), {}

    def draw(kind: str, count: int) -> list[int]:
        if sample is None or sample >= count:
            return list(range(count))
        chosen[kind] = tuple(sorted(map(int, generator.choice(count, sample, replace=False))))
        return list(chosen[kind])

    rows = Rows(cell._exact, cell.pattern, cell._rows)
    counts: dict[str, int] = {"pattern": 1}
    missing: dict[str, int] = {}
    witness = point_sum(cell.witness, cell.witness_parts)
    check_pattern(rows, witness)
    facets = cell.facets
    groups, redundant = claims_of(facets)
    check_partition(rows, groups, [claim.group for claim in redundant], [*facets.zero_rows, *facets.undecided])
    zero = list(facets.zero_rows)
    require(rows.zero_normals(zero)[0].all(), "zero rows", "a row listed as zero is not")
    both = groups + [claim.group for claim in redundant]
    picked = draw("groups", len(both))
    check_groups(rows, both, picked, witness)
    picks = draw("facets", len(groups))
    check_facets(rows, groups, facets.witnesses, picks, facets.raw["fine"])
    mine = draw("redundant", len(redundant))
    box = None
    kinds = {redundant[k].kind for k in mine}
    if cell._holds("chebyshev"):
        kinds.add(int(cell.chebyshev.certificate["kind"]))
    if ENCLOSURE in kinds or cell._holds("boundedness"):
        box = check_bounded(rows, cell.boundedness, missing)
        counts["boundedness"] = 1 - missing.get("boundedness", 0)
    check_implied(rows, [redundant[k] for k in mine], box, [f"redundant group {k}" for k in mine])
    counts |= {"zero rows": len(zero), "groups": len(picked), "facets": len(picks), "redundant": len(mine)}
    counts["rows"] = check_rows(rows, cell.halfspaces, draw("rows", rows.count))
    if cell._holds("chebyshev"):
        counts["chebyshev"] = check_ball(rows, cell.chebyshev, box, missing)
    counts |= check_map(rows, cell)
    if cell._holds("neighbors"):
        counts["neighbors"] = check_neighbors(rows, cell, facets.zero_rows, draw)
    if cell._holds("decision_boundaries"):
        counts |= check_boundaries(rows, cell, draw, missing)
    return Verification({k: v for k, v in counts.items() if v}, missing, sample, seed, chosen)
