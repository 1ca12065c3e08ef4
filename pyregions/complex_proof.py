"""Proof of completeness of a RegionComplex by facet pairing, with consistency checks beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .arguments import whole_number
from .errors import VerificationError
from .rounding import gamma

if TYPE_CHECKING:
    from .complex import RegionComplex


@dataclass(frozen=True)
class ComplexProof:
    """What :meth:`RegionComplex.verify` found.

    Proof: ``proven`` says that every region was examined: each has interior, its facets are certified, and each of them
    is on the domain's boundary or shared with exactly one other region of the complex. ``examined`` of ``regions``
    regions were, with ``shared_facets`` (each counted once) and ``domain_facets``.

    Checks, which prove nothing by themselves: ``volume`` and its error bound against ``domain_volume`` (None where the
    domain is no box or unbounded); ``euler``, the sum of (-1)^dim over all faces, and ``euler_expected``; the mean
    degree of the dual graph.
    """

    proven: bool
    regions: int
    examined: int
    shared_facets: int
    domain_facets: int
    volume: float
    volume_error: float
    domain_volume: float | None
    euler: int
    euler_expected: int | None
    mean_degree: float

    def __str__(self) -> str:
        proof = (
            f"complete: {self.regions} regions, proven by facet pairing ({self.shared_facets} shared facets, "
            f"{self.domain_facets} on the domain's boundary)"
            if self.proven
            else f"not proven: {self.examined} of {self.regions} regions examined, all of them consistent"
        )
        lines = [proof, "checks:"]
        if self.domain_volume is not None:
            volume = f"{self.volume:.12g} +- {self.volume_error:.1e}"
            lines.append(f"  volume {volume}, the domain's {self.domain_volume:.12g}")
        expected = "" if self.euler_expected is None else f", expected {self.euler_expected}"
        lines.append(f"  Euler sum over all faces {self.euler}{expected}")
        lines.append(f"  mean degree of the dual graph {self.mean_degree:.3f}")
        return "\n".join(lines)


def prove(complex: RegionComplex, sample: int | None, replay: bool, workers: int | None) -> ComplexProof:
    """See :meth:`RegionComplex.verify`."""
    if not complex.complete:
        raise VerificationError("completeness", f"{len(complex.open)} subtrees are still open; resume the enumeration")
    if sample is not None:
        sample = whole_number(sample, "sample", 1)
    count = len(complex)
    if len(complex._index) != count:
        raise VerificationError("regions", f"only {len(complex._index)} of {count} patterns are distinct")
    chosen = np.arange(count)
    if sample is not None and sample < count:
        chosen = np.unique(np.linspace(0, count - 1, sample).astype(np.int64))
    _pair_facets(complex, chosen, replay, workers)
    structure = complex.structure
    dim = complex.network.inputs
    f = complex.f_vector()
    euler = sum((-1) ** k * number for k, number in enumerate(f))
    rows = complex._rows
    box = not len(rows.b) and np.isfinite(rows.lower).all() and np.isfinite(rows.upper).all()
    nothing = not len(rows.b) and np.isinf(rows.lower).all() and np.isinf(rows.upper).all()
    volume, error = float(structure.volumes.sum()), float(structure.volume_errors.sum())
    with np.errstate(over="ignore"):
        domain_volume = float(np.prod(rows.upper - rows.lower)) if box else None
    # d differences and d - 1 products, and the sum of the volumes, are rounded.
    rounding = gamma(2 * dim + count)
    if domain_volume is not None and abs(volume - domain_volume) > error + rounding * (volume + domain_volume):
        raise VerificationError("volume", f"the regions' sum to {volume} +- {error}, the box has {domain_volume}")
    bounded = bool(complex.bounded.all())
    expected = 1 if bounded else ((-1) ** dim if nothing else None)
    if expected is not None and euler != expected:
        raise VerificationError("Euler sum", f"it is {euler}, not {expected}")
    shared = int((structure.facet_partner >= 0).sum()) // 2
    return ComplexProof(
        len(chosen) == count,
        count,
        len(chosen),
        shared,
        int((structure.facet_unit < 0).sum()),
        volume,
        error,
        domain_volume,
        euler,
        expected,
        2 * shared / count,
    )


def _pair_facets(complex: RegionComplex, chosen: np.ndarray, replay: bool, workers: int | None) -> None:
    """Certifies the facets of the chosen regions with the engine for single regions and follows the neighbor rule."""
    structure = complex.structure
    across: dict[int, set[int]] = {}
    step = 4096  # regions held at once
    for begin in range(0, len(chosen), step):
        part = chosen[begin : begin + step]
        for k, region in zip(part, complex._subset(part, ("facets", "neighbors"), workers), strict=True):
            k = int(k)
            if not np.array_equal(region.pattern, complex.pattern(k)):
                raise VerificationError(f"region {k}", "its witness lies in another region")
            if replay:
                region.verify()
            claimed = int(structure.facet_offsets[k + 1] - structure.facet_offsets[k])
            if claimed != len(region.facets):
                raise VerificationError(f"region {k}", f"it has {len(region.facets)} facets, not {claimed}")
            patterns = region.neighbors().patterns
            found = [complex.index_of(pattern) for pattern in patterns]
            if -1 in found:
                raise VerificationError(f"region {k}", "a region across one of its facets is missing")
            if len(set(found)) != len(found) or sorted(found) != sorted(structure.neighbors_of(k)):
                raise VerificationError(f"region {k}", "the regions across its facets are not those of the structure")
            across[k] = set(found)
    for k, neighbors in across.items():
        for other in neighbors:
            if other in across and k not in across[other]:
                raise VerificationError(f"region {k}", f"its facet to region {other} is not shared from there")
