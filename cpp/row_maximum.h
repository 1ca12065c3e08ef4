// Layer 2. The largest value of one row over a box cut by others, as far as it takes to tell on which side of a number it
// lies. Its answer is a proposal; callers check it.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "dense.h"

namespace pyregions {

// maximise c.y with A y <= b (rows with skip[j] != 0 left out), lower <= y <= upper. Requires: unit rows; b > 0 on those that
// are not left out, lower < 0 < upper, finite; bar > 0.
struct RowMaximumProblem {
  const Matrix* A = nullptr;  // N x K
  const Matrix* products = nullptr;  // A A^T, or null
  const double* b = nullptr;
  const std::uint8_t* skip = nullptr;
  const double* lower = nullptr;  // K
  const double* upper = nullptr;
  const double* c = nullptr;  // K
  double bar = 0;             // below: multipliers are enough; above: a point
  Index own = -1;             // k: the bound of coordinate k in the direction of c is not there (c is +-e_k)
  double margin = 0;          // the ray to the point leaves the row's bar so much, relatively, before all others
};
struct RowMaximum {
  // above: the ray from 0 through y reaches the bar before any other wall, with the margin asked for. below: multipliers >= 0
  // of A with multipliers.b + max over the box of (c - A' multipliers).y < bar, by 1e-7 of it. limit: neither was found, as
  // where the maximum is nearly the bar.
  enum class Status { above, below, limit } status = Status::limit;
  Vector y;
  std::vector<std::pair<Index, double>> multipliers;
};
RowMaximum row_maximum(const RowMaximumProblem& problem);

}  // namespace pyregions
