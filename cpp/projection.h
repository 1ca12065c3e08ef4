// Layer 2. Least-distance programming by a dual active-set method on the Gram matrix of the active rows. Its answer is
// a proposal; callers check it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "dense.h"

namespace pyregions {

// Find the y nearest to 0 with A y <= b (rows with skip[j] != 0 left out), lower <= y <= upper (may be infinite; null
// = free) and, if `extra` is set, extra.y <= extra_b. Row indices in results: 0..N-1 rows of A, N + k the lower bound
// of coordinate k, N + K + k its upper bound, N + 2K the extra row (its Farkas multiplier is 1 when it takes part).
struct NearestPoint {
  enum class Status { optimal, infeasible, limit } status = Status::limit;
  Vector y;
  // optimal: y = -sum multiplier * outward row. infeasible: Farkas multipliers, >= 0, sum multiplier * row = 0 and
  // sum multiplier * rhs < 0 (up to rounding, improved by one step of refinement on the support).
  std::vector<std::pair<Index, double>> multipliers;
  int iterations = 0;
};
struct NearestPointProblem {
  const Matrix* A = nullptr;     // N x K
  const double* b = nullptr;     // N
  const std::uint8_t* skip = nullptr;
  const double* lower = nullptr;  // K or null
  const double* upper = nullptr;
  const double* extra = nullptr;  // K or null
  double extra_b = 0;
  const Vector* row_norms = nullptr;  // optional, N: violations are compared relative to them
  const Matrix* gram = nullptr;       // optional, A A^T in full (N x N): saves most work when problems share A
};
struct NearestPointOptions {
  int max_iterations = 0;   // 0: 20 * K + 200
  // Decides nothing about the geometry: answers are proposals. Six digits above the rounding of a product of unit rows, so
  // that a solve ends; a caller that asks for less than this may get a point that its own proof then refuses.
  double tolerance = 1e-10;  // a row counts as violated when a.y - b > tolerance * max(1, |b|) * norm
  // To which y is wanted, relatively: once rounding may be larger, a basis is formed, which costs as much as all steps before.
  double precision = 1.6e-9;
};
// Starts with the extra row active (if violated at 0). Deterministic; ties by lowest index. Falls back to Bland's rule
// when the dual objective stalls, so it ends.
NearestPoint nearest_point(const NearestPointProblem& problem, const NearestPointOptions& options = {});

}  // namespace pyregions
