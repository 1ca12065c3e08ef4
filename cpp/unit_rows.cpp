// Layer 2. Unit rows of a least-distance problem; bounds are unit vectors and never stored.
#include "unit_rows.h"

namespace pyregions {

UnitRows::UnitRows(const NearestPointProblem& problem)
    : problem_(problem), rows_(problem.A->rows()), cols_(problem.A->cols()) {
  inverse_norms_.resize(static_cast<std::size_t>(rows_));
  for (Index i = 0; i < rows_; ++i) {
    const double norm = problem.row_norms ? (*problem.row_norms)[i] : norm2(problem.A->row(i), cols_);
    inverse_norms_[i] = norm > 0 ? 1 / norm : 0;
  }
  if (problem.extra) {
    const double norm = norm2(problem.extra, cols_);
    extra_inverse_norm_ = norm > 0 ? 1 / norm : 0;
  }
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

void UnitRows::along(const std::vector<Index>& rows, const double* y, Vector& out) const {
  gathered_.clear();
  for (const Index id : rows) gathered_.push_back(problem_.A->row(id));
  out.resize(rows.size());
  dots(gathered_.data(), static_cast<Index>(rows.size()), y, cols_, out.data());
  for (std::size_t i = 0; i < rows.size(); ++i) out[i] *= inverse_norms_[rows[i]];
}

void UnitRows::add_multiple(double factor, Index id, double* y) const {
  if (is_bound(id)) {
    y[coordinate(id)] += factor * sign(id);
  } else {
    axpy(factor * inverse_norm(id), coefficients(id), y, cols_);
  }
}

double UnitRows::product(Index id, Index other) const {
  if (is_bound(id)) {
    if (!is_bound(other)) return along(id, coefficients(other)) * inverse_norm(other);
    return coordinate(other) == coordinate(id) ? sign(id) * sign(other) : 0.0;
  }
  if (is_row(id) && is_row(other) && problem_.gram) return (*problem_.gram)(id, other) * inverse_norm(id) * inverse_norm(other);
  return along(other, coefficients(id)) * inverse_norm(id);
}

void UnitRows::products(Index id, const std::vector<Index>& others, Vector& out) const {
  out.resize(others.size());
  if (!is_row(id) || !problem_.gram) {
    for (std::size_t i = 0; i < others.size(); ++i) out[i] = product(id, others[i]);
    return;
  }
  const double *gram = problem_.gram->row(id), *row = problem_.A->row(id), own = inverse_norm(id);
  for (std::size_t i = 0; i < others.size(); ++i) {
    const Index other = others[i];
    if (is_row(other)) out[i] = gram[other] * own * inverse_norms_[other];
    else if (is_bound(other)) out[i] = sign(other) * row[coordinate(other)] * own;
    else out[i] = product(id, other);
  }
}

Index UnitRows::contradiction() const {
  for (Index i = 0; i < rows_; ++i) {
    const bool skipped = problem_.skip && problem_.skip[i] != 0;
    if (!skipped && inverse_norms_[i] == 0 && problem_.b[i] < 0) return i;
  }
  return problem_.extra && extra_inverse_norm_ == 0 && problem_.extra_b < 0 ? extra_id() : -1;
}

}  // namespace pyregions
