// Layer 2. The rows of a least-distance problem - general rows, bounds and one extra row - seen as rows of unit length.
#pragma once

#include "projection.h"

namespace pyregions {

// Row indices are those of NearestPoint. Not for two threads: one belongs to one projection.
class UnitRows {
 public:
  explicit UnitRows(const NearestPointProblem& problem);
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  Index lower_id(Index k) const { return rows_ + k; }
  Index upper_id(Index k) const { return rows_ + cols_ + k; }
  Index extra_id() const { return rows_ + 2 * cols_; }
  bool live(Index row) const { return (!problem_.skip || problem_.skip[row] == 0) && inverse_norms_[row] > 0; }
  bool has_extra() const { return extra_inverse_norm_ > 0; }
  double inverse_norm(Index id) const;
  double rhs(Index id) const;                                     // of the unit row
  double along(Index id, const double* y) const;                  // unit row . y
  // The same for many general rows.
  void along(const std::vector<Index>& rows, const double* y, Vector& out) const;
  void add_multiple(double factor, Index id, double* y) const;    // y += factor * unit row
  // Products of one unit row with others.
  void products(Index id, const std::vector<Index>& others, Vector& out) const;
  // A row's coefficients, not of unit length; null for a bound.
  const double* stored(Index id) const { return is_bound(id) ? nullptr : coefficients(id); }
  // A row without coefficients that nothing satisfies, or -1.
  Index contradiction() const;

 private:
  bool is_row(Index id) const { return id < rows_; }
  bool is_bound(Index id) const { return id >= rows_ && id < extra_id(); }
  Index coordinate(Index id) const { return (id - rows_) % cols_; }
  double sign(Index id) const { return id < rows_ + cols_ ? -1.0 : 1.0; }
  const double* coefficients(Index id) const { return is_row(id) ? problem_.A->row(id) : problem_.extra; }

  double product(Index id, Index other) const;

  const NearestPointProblem& problem_;
  Index rows_, cols_;
  Vector inverse_norms_;
  double extra_inverse_norm_ = 0;
  mutable std::vector<const double*> gathered_;
};

}  // namespace pyregions
