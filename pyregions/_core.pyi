# Types of the compiled core (layer 5 of cpp/). Arrays are C-contiguous NumPy arrays; nothing here checks user intent:
# pyregions/*.py validates arguments and words the errors.
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]

# (own, {row: multiplier}): own * a_i = sum multiplier * a_j in integers; own = 0 and no rows where there is none.
Combination = tuple[int, dict[int, int]]

class UndecidedError(Exception): ...  # .rows: tuple[int, ...], the rows it is about (may be empty)
class OnBoundaryError(Exception): ...  # .labels: list[tuple[int, int, int]]

highs_built_with: str  # the version of the headers
def highs_version() -> str: ...  # the version of the library that is loaded
def available_cpus() -> int: ...

# Round to nearest, subnormal numbers kept, in this thread until the context ends; the caller's setting comes back then.
class FloatEnvironment:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...

class Network:
    def __init__(self, inputs: int) -> None: ...
    # terms: (source node, dense out x in matrix or 1-D diagonal); returns the node index. Node 0 is the input.
    def add_affine(self, terms: Sequence[tuple[int, F64]], bias: F64) -> int: ...
    def add_hinge(self, source: int, low: F64, high: F64) -> int: ...
    def finish(self) -> None: ...
    inputs: int
    outputs: int
    units: int
    stage_widths: list[int]
    def forward(self, points: F64) -> tuple[F64, F64]: ...  # outputs (M, m), bounds
    def preactivations(self, points: F64) -> tuple[F64, F64]: ...  # (M, units), bounds
    # exact sign of every unit at one point, -1 0 1 (uses the ladder): int8[units]
    def signs(self, point: F64) -> NDArray[np.int8]: ...

class Domain:
    @staticmethod
    def all(dim: int) -> Domain: ...
    @staticmethod
    def box(lower: F64, upper: F64) -> Domain: ...  # +-inf allowed per side
    @staticmethod
    def general(lower: F64, upper: F64, A: F64, b: F64) -> Domain: ...  # box (maybe infinite) cut by rows A x <= b
    dim: int
    def halfspaces(self) -> HalfspacesDict: ...
    def contains(self, point: F64) -> bool: ...  # closed, exact

class HalfspacesDict(TypedDict):
    A: F64  # (N, d)
    b: F64  # (N,)
    A_error: F64  # (N,) bound on every coefficient of the row
    b_error: F64  # (N,)
    labels: I32  # (N, 3): stage, unit, piece; domain rows -1, k, side (0 lower, 1 upper, 2 general row)

class AffineDict(TypedDict):
    W: F64
    c: F64
    W_error: F64  # per row
    c_error: F64

class FacetsDict(TypedDict):
    # Facet f is the group of rows group_rows[group_ptr[f]:group_ptr[f+1]] (row indices into halfspaces(), ascending);
    # facets are ordered by their first row. witness[f] violates exactly the rows of group f; empty array (0, d) when
    # keep_certificates is False.
    group_ptr: I64
    group_rows: I32
    on_domain: NDArray[np.bool_]  # the group holds a domain row: no neighbor there
    witness: F64  # (F, d)
    zero_rows: I32  # rows whose coefficients are exactly 0 (constant units): never facets
    # Redundant groups r: rows red_rows[red_ptr[r]:red_ptr[r+1]]; claim: the first row of the group is implied by
    # others.
    red_ptr: I64
    red_rows: I32
    # 0 box, 1 stage, 2 bounded, 3 basis, 6 parallel (one tighter row in the same direction), 7 exact
    red_kind: U8
    red_stage: I32  # kind 1: the stage whose coordinates carry the relation
    mul_ptr: I64  # multipliers of redundant group r: mul_rows/mul_values[mul_ptr[r]:mul_ptr[r+1]]
    mul_rows: I32
    mul_values: F64
    exact: dict[int, Combination]  # per redundant group of kind 7
    fine: dict[int, F64]  # facet -> witness as a sum of doubles (parts, d), where one part is not enough
    undecided: I32  # first rows of groups that stayed open (facets() raises UndecidedError unless allow_undecided)

class BallDict(TypedDict):
    center: F64
    radius: float  # may be inf
    lower: float  # rigorous: the ball of this radius at center lies in the cell
    upper: float  # rigorous: no ball in the cell has a larger radius (inf when proven infinite)
    # how upper is proven: 0 box residual, 1 stage signs, 2 bounded residual, 3 basis, 4 infinite (direction), 7 exact
    # (a vanishing combination, or an integer direction if infinite), -1 unproven
    kind: int
    stage: int
    direction: F64  # infinite: u with a_j.u < 0 for every nonzero row (kind 7: rounded); else empty
    mul_rows: I32
    mul_values: F64
    fine: F64  # the center as a sum of doubles (parts, d) where one part is not enough, else empty
    exact_direction: list[int]
    exact: Combination

class BoundednessDict(TypedDict):
    bounded: int  # 1 proven bounded, 0 proven unbounded, -1 undecided
    modulo_lineality: int  # the same for the quotient by the lineality space
    rank_lower: int  # proven bounds on the rank of the rows
    rank_upper: int
    # bounded by the domain's box: proof "box"; by a positive combination: "combination" with the fields below;
    # unbounded by a direction: "direction"; by a kernel (fewer spanning rows than inputs): "dimension"; by a first-
    # stage
    # unit of slope 0 when the first stage has full row rank: "free_unit"; bounded, first stage of rank d and every
    # implied
    # multiplier of it strictly positive: "stage" (multipliers on deeper rows); "undecided"
    proof: str
    direction: F64  # unbounded: u != 0 with A u <= 0 (empty when the proof is by dimension)
    mul_rows: I32  # bounded: positive multipliers lambda with sum lambda_j a_j ~ 0
    mul_values: F64
    basis_rows: I32  # bounded: d rows B among them, and
    inverse: F64  # an approximate inverse R of B
    lower: F64  # enclosing box of the cell that follows
    upper: F64
    exact: Combination  # vanishing, with a positive multiplier on every nonzero row: bounded modulo lineality
    line: list[int]  # a direction of the lineality space
    recession: list[int]  # a direction along which no row rises and some row falls

class PairsDict(TypedDict):
    # for each pair (i, j), i < j, of outputs in lexicographic order
    pairs: I32  # (P, 2)
    crosses: NDArray[np.int8]  # 1 both strict signs of f_i - f_j occur inside, 0 proven not, -1 undecided
    identical: NDArray[np.bool_]  # f_i - f_j is exactly 0 on the whole region
    constant_sign: NDArray[np.int8]  # sign of f_i - f_j at the interior witness (0 when identical)
    positive: F64  # (P, d) interior points with f_i > f_j (NaN rows when none)
    negative: F64
    # 1: {f_i = f_j >= all f_k} has dimension d-1 inside the region; 0 proven not; -1 undecided
    piece: NDArray[np.int8]
    # (P, d) points with f_i > f_j > the others, f_j > f_i > the others (outputs that tie with both wherever f_i =
    # f_j left
    # out): on the segment between them both stay above the others. NaN rows when piece != 1.
    piece_first: F64
    piece_second: F64
    # per output: 1 somewhere inside strictly above all outputs not identical to it, 0 proven nowhere, -1 undecided
    classes: NDArray[np.int8]
    class_witness: F64  # (m, d)
    fine: dict[tuple[str, int], F64]  # points that are sums of doubles (parts, d), by name and index

class ExtremumDict(TypedDict):
    status: str  # "optimal", "unbounded"
    point: F64
    fine: F64  # the point as a sum of doubles (parts, d) where one part is not enough, else empty
    value: float
    lower: float  # rigorous bounds on the supremum / the distance
    upper: float

class NoInteriorDict(TypedDict):
    kind: int  # 0 box residual, 1 stage signs, 2 basis, 5 opposite rows (two rows, exact), 7 exact
    stage: int
    mul_rows: I32
    mul_values: F64
    exact: Combination

class Cell:
    # Interior point needed by everything below is found at construction or on demand.
    pattern: U8
    exact_budget: float
    def witness(self) -> F64: ...  # strictly inside the cell and the domain, up to rounding
    def witness_parts(self) -> F64: ...  # (parts, d): the exact point is their sum
    # mu > 0 and lambda with sum lambda_j a_j = mu * target over independent rows, or None
    def exact_solve(self, rows: list[int], target: list[int]) -> tuple[int, list[int]] | None: ...
    def exact_redundancy(self, row: int) -> Combination | None: ...  # by an exact program; None: the row is a facet's
    size: int  # number of rows
    unit_rows: int  # rows 0..unit_rows-1 are unit rows in Pattern order (row index = unit index); domain rows follow
    def halfspaces(self) -> HalfspacesDict: ...
    def affine_map(self, stage: int, after: bool) -> AffineDict: ...  # stage -1: outputs
    # workers 0: one per available CPU; the answer does not depend on it.
    def facets(self, allow_undecided: bool = False, workers: int = 0) -> FacetsDict: ...
    # For measuring and testing: as floats propose them, nothing proven; by exact programs alone.
    def proposed_facets(self, workers: int) -> FacetsDict: ...
    def exact_facets(self) -> FacetsDict: ...
    def chebyshev(self) -> BallDict: ...
    def boundedness(self) -> BoundednessDict: ...
    # For every facet that has a neighbor: its pattern. Returns (facet indices, patterns (K, units)).
    def neighbors(self) -> tuple[I64, U8]: ...
    def neighbor(self, k: int) -> Cell: ...  # the k-th of them as a cell
    # For every such facet the rank-one change of the affine map, W' = W + v n^T, c' = c - v * offset with n = A[row],
    # offset = b[row] of the facet's first row: v (K, m).
    def neighbor_changes(self) -> F64: ...
    def decision_boundaries(self) -> PairsDict: ...
    # The nearest point(s) with another class inside the region: (class, point, l2 distance lower, upper) rows; see
    # region.py
    def maximize(self, c: F64) -> ExtremumDict: ...
    def maximize_output(self, weights: F64) -> ExtremumDict: ...  # supremum of weights . f(x)
    def project(self, y: F64, norm: int) -> ExtremumDict: ...  # norm 1, 2 or 0 for linf; value = distance
    def sample(self, count: int, steps: int, seed: int, workers: int) -> F64: ...  # (count, d), strictly inside
    def contains(self, point: F64) -> bool: ...  # closed, exact
    def interior_contains(self, point: F64) -> bool: ...  # strictly inside all nonzero rows, exact
    def intersect(self, A: F64, b: F64) -> Cell | NoInteriorDict: ...
    def stats(self) -> dict[str, Any]: ...

# The exact rung by itself; each may raise UndecidedError's base RuntimeError when out of budget.
# mu > 0 and lambda with sum lambda_j column_j = mu * target over independent columns, or None.
def exact_solve(columns: list[list[int]], target: list[int], seconds: float) -> tuple[int, list[int]] | None: ...
# A direction along which no row rises and some row falls, or a vanishing combination of all nonzero rows.
def exact_recession(cell: Cell) -> tuple[list[int], Combination]: ...
def exact_lineality(cell: Cell) -> list[int] | None: ...  # [] when the rows have full rank
# A direction that all nonzero rows fall along strictly, or a bound of the radius and the combination that proves it.
def exact_ball(cell: Cell) -> tuple[list[int], float, Combination]: ...

# region of a point. tie: "raise" or "any". Raises OnBoundaryError, ValueError (outside the domain).
# exact_budget: seconds that one exact decision may take.
def cell_at(network: Network, point: F64, domain: Domain, tie: str, exact_budget: float) -> Cell: ...
# cell of a pattern (canonicalised), or proof that it has no interior.
def cell_of(network: Network, pattern: U8, domain: Domain, exact_budget: float) -> Cell | NoInteriorDict: ...
# no network: the cell is the domain itself.
def cell_of_domain(domain: Domain, exact_budget: float) -> Cell | NoInteriorDict: ...
# Runs cell_at and then the named computations ("facets", "chebyshev", "boundedness", "neighbors",
# "decision_boundaries",
# "witness") for many points on `workers` threads with the GIL released. on_boundary/undecided points give the
# exception
# object in place of the Cell. progress(done) is called about every 50 ms and signals are honoured
# (KeyboardInterrupt).
def cells_at(
    network: Network,
    points: F64,
    domain: Domain,
    tie: str,
    compute: Sequence[str],
    workers: int,
    progress: Callable[[int], Any] | None,
    exact_budget: float,
) -> list[Cell | Exception]: ...

# ---- all regions. Rows are numbered as in exact_vertex.h: units, then -1 - k for the k-th of the d + 1 walls of the
# simplex at infinity followed by the domain's rows.

most_inputs: int

# subtrees: int8 (K, units), -1 undecided. detail: "count", "regions", "structure" or "faces". max_regions, time_limit:
# -1 for none. tick(found, estimated part of all) -> go on. Returns count, open, tally, interrupted; patterns (words),
# witnesses, bounded; structure (see CellStructure in cells.h).
def enumerate(
    network: Network,
    domain: Domain,
    subtrees: NDArray[np.int8],
    detail: str,
    workers: int,
    max_regions: int,
    time_limit: float,
    tick: Callable[[int, float], bool] | None,
) -> dict[str, Any]: ...

# p, q (M, d); per line x = p + t (q - p), low <= t <= high, the same with structure, in ascending order.
def lines(network: Network, p: F64, q: F64, low: float, high: float, workers: int) -> list[dict[str, Any]]: ...

class ExactVertices:
    def __init__(self, network: Network, domain: Domain, pattern: U8) -> None: ...
    # (x + M u) / denominator
    def meet(self, rows: Sequence[int]) -> tuple[list[int], list[int], int]: ...
    # a.x + c up to a positive factor; the frame's rows are >= 0 inside
    def form(self, row: int) -> tuple[list[int], int]: ...

# ---- questions at points that need no program; (index, error) in place of the answer where a point fails -------------

class NearestRowsDict(TypedDict):
    units: I64  # (M, k)
    labels: I32  # (M, k, 3)
    distances: F64  # (M, k), with lower and upper bounds
    lower: F64
    upper: F64

# norm: 1, 2 or 0 for the maximum norm. any: as tie="any".
def nearest_rows(
    network: Network, points: F64, k: int, norm: int, any: bool, workers: int
) -> NearestRowsDict | tuple[int, Exception]: ...
def rows_within(
    network: Network, points: F64, radius: float, norm: int, any: bool, workers: int
) -> I64 | tuple[int, Exception]: ...
# directions: (P, d), or (0, d) for the unit vectors
def sign_changes(
    network: Network, points: F64, radius: float, directions: F64, workers: int
) -> I64 | tuple[int, Exception]: ...
def packed_patterns(network: Network, points: F64, any: bool, workers: int) -> U8 | tuple[int, Exception]: ...
def rows_of(network: Network, pattern: U8, units: Sequence[int]) -> HalfspacesDict: ...

class CellDistancesDict(TypedDict):
    value: F64  # (N,), with lower and upper bounds
    lower: F64
    upper: F64
    nearest_unit: int  # the nearest unit row, exactly; -1 where all are zero
    nearest: int  # the same of all rows

def cell_distances(cell: Cell, point: F64, norm: int) -> CellDistancesDict: ...
