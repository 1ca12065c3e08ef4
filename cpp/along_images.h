// Layer 3. Slacks at points along the images of rows under a metric, with bounds, from products of images with each other.
#pragma once

#include <optional>
#include <vector>

#include "frame.h"

namespace pyregions {

// The rows of a frame in coordinates w, y = w to_y.
struct RowImages {
  Matrix to_y;  // K x K; empty: the identity
  Matrix rows;  // g to_y^T for each general row g of the frame, then others
};

// In an ambient frame without bounds, with U = to_y and w_j the image of the unit row g_j: at x = fl(c + fl(t y_i)), y_i = fl(w_i U),
// a_j = length_j g_j + e_j, p = fl(w_j.w_i), and d the rounding of x,
//   slack_j(x) = slack_j(c) - t (length_j p) - t (length_j (g_j.y_i - p) + e_j.y_i) - a_j.d.
// Whatever U is, w_j = g_j U^T + r_j and y_i = w_i U + q_i with |r_j| <= gamma(K) |g_j| |U|, |q_i| <= gamma(K) |w_i| |U| (Frobenius),
// in any order of summation, so that
//   g_j.y_i = (g_j U^T).w_i + g_j.q_i = w_j.w_i - r_j.w_i + g_j.q_i,
//   |g_j.y_i - p| <= gamma(K) |w_i| (2 |g_j| |U| + |w_j|) + underflow,
//   |e_j| <= sqrt(K) A_err_j + u |a_j| + length_j underflow(K)  (the composed row, and its division by length_j),
//   |d| <= u (|x| + t |y_i|) + underflow(K).
// |g| <= kLongest is checked. The sum of the first two terms takes three roundings, of which length_j p may underflow before it is
// multiplied by t. What is not finite claims nothing: value 0, error infinite.
class AlongImages {
 public:
  // Nothing where the frame has other coordinates or bounds, or rows are not of length 1. products: of images.rows with themselves.
  // center_slack: of all rows of the cell at the frame's centre. All but it must outlive what is made.
  static std::optional<AlongImages> of(const RowSystem& rows, const Frame& frame, const RowImages& images, const Matrix& products,
                                       RowSystem::Slacks center_slack);

  struct Step {
    Index entry;  // general row of the frame, whose image is the ray's direction
    double t;
  };
  // Slacks of all rows of the cell at the point x, way = t y, into the first row of out.
  void slacks(const Step& step, const double* way, const double* x, RowSystem::Slacks& out) const;

 private:
  AlongImages(const RowSystem& rows, const Frame& frame, const RowImages& images, const Matrix& products,
              RowSystem::Slacks center_slack);

  const RowSystem& rows_;
  const Frame& frame_;
  const Matrix& products_;
  RowSystem::Slacks center_slack_;
  // By general row: slack at the centre with its bound, length, upper bounds of |w| and |a|, and what the error of the slope grows
  // with |w_i| and with |y_i| by.
  Vector start_, start_error_, length_, image_, norm_, per_image_, per_way_;
  double underflow_ = 0;  // by a row's length and |t|
};

}  // namespace pyregions
