// Layer 1. Halfspaces A x <= b with labels and error bounds, and the domain a question is asked in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dense.h"

namespace pyregions {

// Where a row comes from: (stage, unit, piece), the piece that takes over beyond the row; or, for the domain,
// (-1, k, side) with side 0 = lower bound of coordinate k, 1 = upper bound of coordinate k, 2 = general row k.
struct Label {
  std::int32_t stage = -1, unit = 0, piece = 0;
  bool operator==(const Label& o) const { return stage == o.stage && unit == o.unit && piece == o.piece; }
};
std::string to_string(const Label& label);

// Rows A x <= b, outward normals. Law: the exact row i lies within A_err[i] of row i of A in every coefficient and its
// exact offset within b_err[i] of b[i].
struct Halfspaces {
  Matrix A;
  Vector b, A_err, b_err;
  std::vector<Label> labels;
  Index size() const { return A.rows(); }
  Index dim() const { return A.cols(); }
};

// All of R^d, a box, general rows, or a box cut by general rows; all numbers exact. Law: lower/upper have length dim,
// infinite where there is no bound; lower < upper everywhere (a flat box is refused by check()).
struct Domain {
  Index dim = 0;
  Vector lower, upper;  // length dim
  Matrix A;             // general rows (may have 0 rows; then cols == dim)
  Vector b;

  static Domain all(Index dim);
  static Domain box(Vector lower, Vector upper);
  static Domain polytope(Matrix A, Vector b);

  bool is_box() const;      // every bound finite: the sup of a linear form over the bounds is known in closed form
  bool is_all() const;      // no row at all
  Index bounds() const;     // number of finite bounds
  Index rows() const;       // bounds() + A.rows()
  // The rows in order: for k = 0..dim-1 the finite lower then the finite upper bound, then the general rows.
  Halfspaces halfspaces() const;
  std::vector<Label> labels() const;
  // Throws std::invalid_argument naming what is wrong (NaN, lower >= upper, zero general row, shape).
  void check() const;
};

}  // namespace pyregions
