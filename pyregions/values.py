"""What the questions about a cell answer with: plain values over NumPy arrays, with their bounds and certificates."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import Label

if TYPE_CHECKING:
    from ._core import BallDict, BoundednessDict, FacetsDict, HalfspacesDict

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

# How a claim is proven, by the number that the core stores.
KINDS = ("box", "stage", "enclosure", "basis", "direction", "opposite", "parallel", "exact")
PROOFS = {-1: "unproven"} | dict(enumerate(KINDS))


def frozen(array: Any) -> Any:
    """The same array, read-only: values handed out are not a way to change a region."""
    array.setflags(write=False)
    return array


def point_parts(point: F64, fine: Any) -> F64:
    """A point as a sum of doubles (parts, d): its own parts where the core needed more than one, else itself."""
    parts: F64 = frozen(np.asarray(point)[None] if fine is None or not len(fine) else np.asarray(fine))
    return parts


class Labels(Sequence[Label]):
    """The labels of rows: a sequence of :class:`Label`, with all of them as an int32 array (N, 3) in ``array``."""

    def __init__(self, array: NDArray[np.int32]) -> None:
        self.array = frozen(np.asarray(array, dtype=np.int32).reshape(-1, 3))

    def __len__(self) -> int:
        return len(self.array)

    @overload
    def __getitem__(self, index: int) -> Label: ...
    @overload
    def __getitem__(self, index: slice) -> Labels: ...
    def __getitem__(self, index: int | slice) -> Label | Labels:
        if isinstance(index, slice):
            return Labels(self.array[index])
        stage, unit, piece = self.array[index]
        return Label(int(stage), int(unit), int(piece))

    def __repr__(self) -> str:
        return f"Labels({len(self)} rows)"


@dataclass(frozen=True)
class Halfspaces:
    """Rows ``A x <= b`` with outward normals; the exact row i is within ``A_error[i]`` of A[i] in every coefficient.

    Shapes: A (N, d), b (N,), A_error (N,), b_error (N,); ``labels`` has N entries.
    """

    A: F64
    b: F64
    A_error: F64
    b_error: F64
    labels: Labels

    @staticmethod
    def of(raw: HalfspacesDict) -> Halfspaces:
        A, b, A_error, b_error = (frozen(np.asarray(raw[key])) for key in ("A", "b", "A_error", "b_error"))
        return Halfspaces(A, b, A_error, b_error, Labels(raw["labels"]))

    def __len__(self) -> int:
        return len(self.b)


@dataclass(frozen=True)
class AffineMap:
    """``x -> W x + c`` on a region; row i of W and c[i] are within ``W_error[i]`` and ``c_error[i]`` of the exact ones.

    Shapes: W (m, d), c (m,), W_error (m,), c_error (m,).
    """

    W: F64
    c: F64
    W_error: F64
    c_error: F64

    def __call__(self, x: ArrayLike) -> F64:
        """The map at one point (d,) or at many (M, d), in float64 without an error bound."""
        return np.asarray(np.asarray(x, dtype=np.float64) @ self.W.T + self.c)


@dataclass(frozen=True)
class Facet:
    """One facet: the group of coincident rows ``rows``, on the hyperplane ``normal . x = offset`` (the first row's).

    ``witness`` violates exactly the rows of the group and so proves that they are not redundant; where no double per
    coordinate does, the sum of the rows of ``witness_parts`` (parts, d) does exactly and ``witness`` is its nearest
    double. ``on_domain`` tells that a row of the domain is among them, so there is no neighbor.
    """

    index: int
    rows: tuple[int, ...]
    labels: tuple[Label, ...]
    normal: F64 = field(repr=False)
    offset: float
    witness: F64 = field(repr=False)
    on_domain: bool
    witness_parts: F64 = field(repr=False)


@dataclass(frozen=True)
class Redundant:
    """A group of coincident rows which the other rows imply, with the multipliers that prove it (see replay.py).

    ``proof`` is "box" (a residual bounded over the domain's box), "stage" (signs in the coordinates of stage
    ``stage``), "enclosure" (a residual bounded over a proven box around the cell), "basis" (a verified basis),
    "parallel" (a multiple of one other row, with a looser offset) or "exact": then ``exact`` holds integers ``(mu,
    {row: lambda})`` with ``mu a_i = sum lambda_j a_j`` and ``sum lambda_j b_j <= mu b_i``.
    """

    rows: tuple[int, ...]
    proof: str
    stage: int
    multiplier_rows: tuple[int, ...] = field(repr=False)
    multipliers: tuple[float, ...] = field(repr=False)
    exact: tuple[int, dict[int, int]] | None = field(repr=False, default=None)


class Facets(Sequence[Facet]):
    """The facets of a cell, ordered by their first row, with everything that proves the list complete.

    ``groups`` (tuples of rows), ``normals`` (F, d), ``offsets`` (F,), ``witnesses`` (F, d) and ``on_domain`` (F,) hold
    all facets at once; ``redundant`` are the groups that are no facets; ``zero_rows`` have normal exactly 0 (constant
    units); ``undecided`` lists the first rows of groups that stayed open (always empty unless asked for otherwise).
    """

    def __init__(self, raw: FacetsDict, halfspaces: Halfspaces) -> None:
        self.raw = raw
        self._halfspaces = halfspaces
        pointer, rows = raw["group_ptr"].tolist(), raw["group_rows"].tolist()
        self.groups: list[tuple[int, ...]] = [tuple(rows[i:j]) for i, j in pairwise(pointer)]
        self.first_rows: I64 = frozen(np.array([group[0] for group in self.groups], dtype=np.int64))
        self.witnesses: F64 = raw["witness"]
        self.on_domain: NDArray[np.bool_] = np.asarray(raw["on_domain"], dtype=bool)
        self.zero_rows = tuple(map(int, raw["zero_rows"]))
        self.undecided = tuple(map(int, raw["undecided"]))

    @cached_property
    def normals(self) -> F64:
        """The normal of every facet's first row, (F, d)."""
        normals: F64 = frozen(self._halfspaces.A[self.first_rows])
        return normals

    @cached_property
    def offsets(self) -> F64:
        """The offset of every facet's first row, (F,)."""
        offsets: F64 = frozen(self._halfspaces.b[self.first_rows])
        return offsets

    def __len__(self) -> int:
        return len(self.groups)

    @overload
    def __getitem__(self, index: int) -> Facet: ...
    @overload
    def __getitem__(self, index: slice) -> list[Facet]: ...
    def __getitem__(self, index: int | slice) -> Facet | list[Facet]:
        if isinstance(index, slice):
            return [self[k] for k in range(*index.indices(len(self)))]
        index = range(len(self))[index]
        rows, labels = self.groups[index], self._halfspaces.labels
        return Facet(
            index,
            rows,
            tuple(labels[row] for row in rows),
            self.normals[index],
            float(self.offsets[index]),
            self.witnesses[index],
            bool(self.on_domain[index]),
            point_parts(self.witnesses[index], self.raw["fine"].get(index)),
        )

    @property
    def redundant(self) -> list[Redundant]:
        """The groups of rows that are not facets, each with its proof."""
        raw, out = self.raw, []
        for r in range(len(raw["red_ptr"]) - 1):
            mine = slice(int(raw["mul_ptr"][r]), int(raw["mul_ptr"][r + 1]))
            out.append(
                Redundant(
                    tuple(map(int, raw["red_rows"][raw["red_ptr"][r] : raw["red_ptr"][r + 1]])),
                    PROOFS.get(int(raw["red_kind"][r]), "unproven"),
                    int(raw["red_stage"][r]),
                    tuple(map(int, raw["mul_rows"][mine])),
                    tuple(map(float, raw["mul_values"][mine])),
                    raw["exact"].get(r),
                )
            )
        return out

    def __repr__(self) -> str:
        return f"Facets({len(self)} facets of {len(self._halfspaces)} rows)"


@dataclass(frozen=True)
class Ball:
    """The largest inscribed ball, with ``radius_bounds`` (lower, upper).

    The ball of the lower radius at ``center`` lies in the cell (around the exact sum of ``center_parts`` where a double
    per coordinate would be too coarse); no ball of a larger radius than the upper does. The radius may be ``inf``; then
    a direction in the certificate proves it.
    """

    center: F64
    radius: float
    radius_bounds: tuple[float, float]
    certificate: BallDict = field(repr=False)

    @staticmethod
    def of(raw: BallDict) -> Ball:
        return Ball(frozen(raw["center"]), float(raw["radius"]), (float(raw["lower"]), float(raw["upper"])), raw)

    @property
    def proof(self) -> str:
        """How the upper bound is proven: "box", "stage", "enclosure", "basis", "direction", "exact" or "unproven"."""
        return PROOFS.get(int(self.certificate["kind"]), "unproven")

    @property
    def center_parts(self) -> F64:
        """The center as a sum of doubles (parts, d), nearly always of one part."""
        return point_parts(self.center, self.certificate["fine"])


@dataclass(frozen=True, eq=False)
class BallAround:
    """The largest ball around a given point inside a cell: it touches the hyperplane of ``row``, with ``label``, first.

    ``radius`` is the distance to the boundary of the cell, the domain's included, in the norm ``norm``;
    ``radius_bounds`` enclose it. ``inf`` where the cell is the whole space; then there is no row.
    """

    center: F64 = field(repr=False)
    radius: float
    radius_bounds: tuple[float, float]
    norm: object
    row: int | None
    label: Label | None


@dataclass(frozen=True)
class Boundedness:
    """Whether a cell is bounded, and whether it is modulo its lineality space; None where that stayed open.

    ``rank_bounds`` enclose the rank of the rows; ``lower`` and ``upper`` are a box proven to contain a bounded cell
    (empty arrays otherwise); ``direction`` is a direction in which an unbounded cell recedes (may be empty when
    ``proof`` is "dimension": fewer rows in the first stage than inputs). ``proof`` "exact" rests on the integers of
    ``certificate``: a vanishing positive combination of all rows, a direction, or a line of the lineality space; then
    ``direction`` is rounded.
    """

    bounded: bool | None
    modulo_lineality: bool | None
    rank_bounds: tuple[int, int]
    proof: str
    direction: F64 = field(repr=False)
    lower: F64 = field(repr=False)
    upper: F64 = field(repr=False)
    certificate: BoundednessDict = field(repr=False)

    @staticmethod
    def of(raw: BoundednessDict) -> Boundedness:
        answer = {1: True, 0: False}
        return Boundedness(
            answer.get(int(raw["bounded"])),
            answer.get(int(raw["modulo_lineality"])),
            (int(raw["rank_lower"]), int(raw["rank_upper"])),
            str(raw["proof"]),
            frozen(raw["direction"]),
            frozen(raw["lower"]),
            frozen(raw["upper"]),
            raw,
        )

    @property
    def rank(self) -> int | None:
        """The rank of the rows, None where its two bounds differ."""
        return self.rank_bounds[0] if self.rank_bounds[0] == self.rank_bounds[1] else None


@dataclass(frozen=True)
class Extremum:
    """Answer of ``maximize`` and ``project``: a point of the cell, the value there, and rigorous bounds on the optimum.

    ``status`` is "optimal", or "unbounded" with values ``inf`` and, as the point, a direction of unlimited gain. The
    exact sum of ``point_parts`` (parts, d), nearly always one part, lies in the closed cell; ``point`` is it rounded.
    """

    status: str
    point: F64 = field(repr=False)
    value: float
    bounds: tuple[float, float]
    point_parts: F64 = field(repr=False)


@dataclass(frozen=True)
class Distances:
    """Distances from a point inside a region to its rows, each with bounds.

    ``rows`` (units,) is the distance to the hyperplane of every unit row, ``inf`` for constant units; ``nearest`` the
    smallest of them, reached at row ``nearest_row`` with label ``label`` (always a facet of the region in R^d);
    ``domain`` the distance to the domain's boundary, ``inf`` in R^d and often 0 for images. ``lower`` and ``upper``
    enclose the exact distances; ``nearest_bounds`` the exact smallest one.
    """

    rows: F64 = field(repr=False)
    lower: F64 = field(repr=False)
    upper: F64 = field(repr=False)
    nearest: float
    nearest_bounds: tuple[float, float]
    nearest_row: int
    label: Label | None
    domain: float
    domain_bounds: tuple[float, float]


@dataclass(frozen=True)
class Image:
    """The range of every output on a region: output k runs over [lower[k], upper[k]] (shape (m,), possibly infinite).

    ``lower_bounds`` and ``upper_bounds`` (m, 2) enclose the exact infimum and supremum.
    """

    lower: F64
    upper: F64
    lower_bounds: F64 = field(repr=False)
    upper_bounds: F64 = field(repr=False)

    def __len__(self) -> int:
        return len(self.lower)

    def __iter__(self) -> Iterator[tuple[float, float]]:
        return iter([(float(low), float(high)) for low, high in zip(self.lower, self.upper, strict=True)])


@dataclass(frozen=True)
class ClassPair:
    """What the boundary {f_i = f_j} does in a region; None where a question stayed open.

    ``crosses``: both strict signs of f_i - f_j occur inside, at ``positive`` and ``negative`` (then None if not).
    ``identical``: f_i = f_j on the whole region. ``sign``: the sign of f_i - f_j at the region's interior witness.
    ``piece``: {f_i = f_j >= all other f_k} has dimension d - 1 inside; on the segment between the two points of
    ``piece_witness`` it is crossed at a point where every other output is strictly smaller, or ties with them on all of
    {f_i = f_j}.
    """

    i: int
    j: int
    crosses: bool | None
    identical: bool
    sign: int
    positive: F64 | None = field(repr=False)
    negative: F64 | None = field(repr=False)
    piece: bool | None
    piece_witness: tuple[F64, F64] | None = field(repr=False)
