// Layer 2. The rows of a least-distance problem - general rows, bounds and one extra row - seen as rows of unit length.
#pragma once

#include "projection.h"

namespace pyregions {

// Row indices are those of NearestPoint. Products of A with unit rows are formed when first asked for and then kept.
class UnitRows {
 public:
  // Kept per thread: fresh pages would cost more than a small solve.
  struct Store {
    std::vector<Vector> products;
    std::vector<std::int32_t> slot_of;  // per row index: its entry in products, or -1
    std::size_t used = 0;
  };
  // A times the unit row is scale * values (N entries).
  struct Product {
    const double* values;
    double scale;
  };

  UnitRows(const NearestPointProblem& problem, Store& store);
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
  void add_multiple(double factor, Index id, double* y) const;    // y += factor * unit row
  Product products_with(Index id);
  // Unit row `id` times the unit row `other` whose products with A are given.
  double product(Index id, Index other, const Product& products) const;
  // A row without coefficients that nothing satisfies, or -1.
  Index contradiction() const;

 private:
  bool is_row(Index id) const { return id < rows_; }
  bool is_bound(Index id) const { return id >= rows_ && id < extra_id(); }
  Index coordinate(Index id) const { return (id - rows_) % cols_; }
  double sign(Index id) const { return id < rows_ + cols_ ? -1.0 : 1.0; }
  const double* coefficients(Index id) const { return is_row(id) ? problem_.A->row(id) : problem_.extra; }

  const NearestPointProblem& problem_;
  Store& store_;
  Index rows_, cols_;
  Vector inverse_norms_;
  double extra_inverse_norm_ = 0;
};

}  // namespace pyregions
