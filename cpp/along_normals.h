// Layer 3. Slacks at points along the normals of rows, with bounds, from products of rows with each other.
#pragma once

#include <optional>
#include <vector>

#include "frame.h"

namespace pyregions {

// In an ambient frame without bounds, at x = fl(c + fl(t g_i)): c the centre, g_i a unit row of the frame. With a_j = length_j g_j +
// e_j, p the product of g_j and g_i as it was computed, and d the rounding of x,
//   slack_j(x) = slack_j(c) - t (length_j p) - t (length_j (g_j.g_i - p) + e_j.g_i) - a_j.d,
//   |g_j.g_i - p| <= gamma(K) |g_j| |g_i| + underflow(K), in any order of summation,
//   |e_j|_2 <= sqrt(K) A_err_j + u |a_j| + length_j underflow(K)  (the composed row, and its division by length_j),
//   |d|_2 <= u (|x| + t |g_i|) + underflow(K),
// and |g| <= kLongest, which is checked. The sum of the first two terms takes three roundings.
class AlongNormals {
 public:
  // Nothing where the frame has other coordinates or bounds, or rows are not of length 1. products: of frame.G with itself.
  // center_slack: of all rows of the cell at the frame's centre. Both and the frame must outlive what is made.
  static std::optional<AlongNormals> of(const RowSystem& rows, const Frame& frame, const Matrix& products, RowSystem::Slacks center_slack);

  struct Step {
    Index entry;  // general row of the frame, the ray's direction
    double t;
  };
  // Slacks of all rows of the cell at the points, one per step.
  RowSystem::Slacks slacks(const std::vector<Step>& steps, const Matrix& points) const;

 private:
  AlongNormals(const RowSystem& rows, const Frame& frame, const Matrix& products, RowSystem::Slacks center_slack);

  const RowSystem& rows_;
  const Frame& frame_;
  const Matrix& products_;
  RowSystem::Slacks center_slack_;
  std::vector<Index> entry_;  // by row of the cell; -1: all its coefficients are 0
  Vector slope_error_;
};

}  // namespace pyregions
