// Layer 2. Unit rows of a least-distance problem; bounds are unit vectors and never stored.
#include "unit_rows.h"

namespace pyregions {

UnitRows::UnitRows(const NearestPointProblem& problem, Store& store)
    : problem_(problem), store_(store), rows_(problem.A->rows()), cols_(problem.A->cols()) {
  inverse_norms_.resize(static_cast<std::size_t>(rows_));
  for (Index i = 0; i < rows_; ++i) {
    const double norm = problem.row_norms ? (*problem.row_norms)[i] : norm2(problem.A->row(i), cols_);
    inverse_norms_[i] = norm > 0 ? 1 / norm : 0;
  }
  if (problem.extra) {
    const double norm = norm2(problem.extra, cols_);
    extra_inverse_norm_ = norm > 0 ? 1 / norm : 0;
  }
  store_.slot_of.assign(static_cast<std::size_t>(extra_id() + 1), -1);
  store_.used = 0;
}

double UnitRows::inverse_norm(Index id) const {
  if (is_row(id)) return inverse_norms_[id];
  return id == extra_id() ? extra_inverse_norm_ : 1.0;
}

double UnitRows::rhs(Index id) const {
  if (is_row(id)) return problem_.b[id] * inverse_norms_[id];
  if (id == extra_id()) return problem_.extra_b * extra_inverse_norm_;
  return sign(id) < 0 ? -problem_.lower[coordinate(id)] : problem_.upper[coordinate(id)];
}

double UnitRows::along(Index id, const double* y) const {
  if (is_bound(id)) return sign(id) * y[coordinate(id)];
  return dot(coefficients(id), y, cols_) * inverse_norm(id);
}

void UnitRows::add_multiple(double factor, Index id, double* y) const {
  if (is_bound(id)) {
    y[coordinate(id)] += factor * sign(id);
  } else {
    axpy(factor * inverse_norm(id), coefficients(id), y, cols_);
  }
}

// One pass over A the first time a row is asked for, nothing later (or ever, for general rows, when a Gram matrix is
// given).
UnitRows::Product UnitRows::products_with(Index id) {
  const double scale = is_bound(id) ? sign(id) : inverse_norm(id);
  if (is_row(id) && problem_.gram) return {problem_.gram->row(id), scale};
  std::int32_t& slot = store_.slot_of[id];
  const bool fresh = slot < 0;
  if (fresh) {
    slot = static_cast<std::int32_t>(store_.used++);
    if (store_.products.size() < store_.used) store_.products.emplace_back();
  }
  Vector& values = store_.products[static_cast<std::size_t>(slot)];
  if (!fresh) return {values.data(), scale};
  values.resize(static_cast<std::size_t>(rows_));
  const Matrix& A = *problem_.A;
  if (is_bound(id)) {
    const Index k = coordinate(id);
    for (Index i = 0; i < rows_; ++i) values[i] = A(i, k);
  } else {
    gemv(false, 1.0, A, coefficients(id), 0.0, values.data());
  }
  return {values.data(), scale};
}

double UnitRows::product(Index id, Index other, const Product& products) const {
  if (is_row(id)) return products.values[id] * products.scale * inverse_norms_[id];
  if (!is_bound(id)) return along(other, problem_.extra) * extra_inverse_norm_;
  const Index k = coordinate(id);
  if (is_bound(other)) return coordinate(other) == k ? sign(id) * sign(other) : 0.0;
  return sign(id) * coefficients(other)[k] * inverse_norm(other);
}

Index UnitRows::contradiction() const {
  for (Index i = 0; i < rows_; ++i) {
    const bool skipped = problem_.skip && problem_.skip[i] != 0;
    if (!skipped && inverse_norms_[i] == 0 && problem_.b[i] < 0) return i;
  }
  return problem_.extra && extra_inverse_norm_ == 0 && problem_.extra_b < 0 ? extra_id() : -1;
}

}  // namespace pyregions
