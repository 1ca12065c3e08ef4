// Layer 0. An orthonormal basis of rows that come and go one at a time: the careful sister of GramFactor. It costs
// dimension x size per change instead of size^2, and loses accuracy with the condition of the rows, not its square.
#pragma once

#include "dense.h"

namespace pyregions {

// Law: row j of the set is sum_{i <= j} R(i, j) q_i, the q_i orthonormal up to rounding, R(j, j) > 0. Storage only
// grows, so an object may be kept between problems; reset() forgets the contents.
class OrthogonalFactor {
 public:
  Index size() const { return size_; }
  void reset(Index dimension);

  // Splits a = sum c_i q_i + z with z orthogonal to every q_i (two rounds of Gram-Schmidt); returns |z|^2.
  double split(const double* a, Vector& c, Vector& z) const;
  // Adds the row that split() took apart. Requires: distance2 = |z|^2 > 0.
  void append(const Vector& c, const Vector& z, double distance2);
  // Drops row p; later rows move up by one.
  void remove(Index p);

  void solve_upper(double* x) const;                   // x <- R^-1 x: coefficients in the rows from those in the basis
  void solve_lower(double* x) const;                   // x <- R^-T x: basis coefficients of the point with products x
  void coefficients(const double* y, Vector& c) const;  // c_i = q_i . y
  void combine(const double* x, double* y) const;      // y = sum x_i q_i

 private:
  const double* column(Index j) const { return upper_.data() + j * (j + 1) / 2; }
  double* column(Index j) { return upper_.data() + j * (j + 1) / 2; }
  double* basis(Index i) { return basis_.data() + i * dimension_; }

  Index size_ = 0, dimension_ = 0;
  Vector basis_;     // size x dimension
  Vector upper_;     // columns of R, packed
  Vector rotated_;   // scratch of remove()
};

}  // namespace pyregions
