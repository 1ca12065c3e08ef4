// Layer 2. The active rows of the projection. Directions are trusted only as far as their rounding errors allow.
#include "active_set.h"

#include <algorithm>
#include <cmath>

namespace pyregions {
namespace {

// Products of unit rows are known to about 100 u (K of them are summed, errors mostly cancel), that is 2^-46. A squared
// distance |z|^2 from the span of W that is not several times larger carries no information and means "dependent".
constexpr double kDependentGram = 0x1p-43;
// With an orthonormal basis |z| itself is known to about u |(r, 1)|_1 (each row is only good to u); the same margin:
constexpr double kDependentBasis = 0x1p7 * kUnit;
// 1 - g.G^-1 g is a quadratic form in (r, 1), so its error is about u |(r, 1)|_1^2. It is trusted while 2^14 times
// larger (four digits); below that, z is formed explicitly and r corrected.
constexpr double kTrusted = 0x1p14;
// A correction of r that leaves z with a component along some active row above this fraction of |z| has not converged.
constexpr double kConverged = 0x1p-10;

double largest_size(const Vector& values) {
  double largest = 0;
  for (double value : values) largest = std::max(largest, std::fabs(value));
  return largest;
}

}  // namespace

void ActiveSet::join(Index id, double multiplier) {
  if (on_basis_) {
    work_.basis.append(forward_, residual_, distance2_);
  } else {
    work_.gram.append(forward_.data(), distance2_);
  }
  rows_.push_back(id);
  multipliers_.push_back(multiplier);
  rhs_.push_back(unit_.rhs(id));
}

void ActiveSet::leave(Index position) {
  if (on_basis_) {
    work_.basis.remove(position);
  } else {
    work_.gram.remove(position);
  }
  rows_.erase(rows_.begin() + position);
  multipliers_.erase(multipliers_.begin() + position);
  rhs_.erase(rhs_.begin() + position);
}

void ActiveSet::combine(double sign, const Vector& coefficients, Vector& y) const {
  std::vector<const double*>& stored = work_.stored;
  Vector& factors = work_.factors;
  stored.clear();
  factors.clear();
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const double factor = sign * coefficients[i];
    if (const double* row = unit_.stored(rows_[i])) {
      stored.push_back(row);
      factors.push_back(factor * unit_.inverse_norm(rows_[i]));
    } else {
      unit_.add_multiple(factor, rows_[i], y.data());
    }
  }
  add_multiples(stored.data(), factors.data(), static_cast<Index>(stored.size()), y.data(), unit_.cols());
}

// residual_ = z = a_n + sum r_j a_j, added up from the rows themselves.
void ActiveSet::residual_of_direction(Index id) {
  residual_.assign(static_cast<std::size_t>(unit_.cols()), 0.0);
  unit_.add_multiple(1.0, id, residual_.data());
  combine(1.0, coefficients_, residual_);
}

// coefficients_ = r and distance2_ = |z|^2 (0 when dependent) for row `id` against W, forward_ as join() wants it.
bool ActiveSet::direction(Index id) { return on_basis_ ? direction_from_basis(id) : direction_from_gram(id); }

bool ActiveSet::direction_from_gram(Index id) {
  const Index w = work_.gram.size();
  unit_.products(id, rows_, forward_);
  work_.gram.forward(forward_.data());
  distance2_ = 1;
  for (Index i = 0; i < w; ++i) distance2_ -= forward_[i] * forward_[i] / work_.gram.pivot(i);
  coefficients_ = forward_;
  work_.gram.backward(coefficients_.data());
  double size1 = 1;
  for (double& value : coefficients_) {
    value = -value;
    size1 += std::fabs(value);
  }
  if (distance2_ >= kTrusted * kUnit * size1 * size1) return true;
  double along_active = 0;
  for (int round = 0;; ++round) {
    residual_of_direction(id);
    scratch_.resize(static_cast<std::size_t>(w));
    for (Index i = 0; i < w; ++i) scratch_[i] = unit_.along(rows_[i], residual_.data());
    along_active = largest_size(scratch_);
    if (round == 2) break;
    work_.gram.solve(scratch_.data());
    for (Index i = 0; i < w; ++i) coefficients_[i] -= scratch_[i];
  }
  distance2_ = dot(residual_.data(), residual_.data(), unit_.cols());
  // |z| bounds the distance from the span for any r, but multipliers worth having reach rounding level.
  const double rounding = gamma(w + 16) * size1;
  if (distance2_ <= rounding * rounding && distance2_ <= kDependentGram) {
    distance2_ = 0;
    return true;
  }
  if (distance2_ <= kDependentGram || along_active > kConverged * std::sqrt(distance2_)) return false;
  for (Index i = 0; i < w; ++i) forward_[i] = -coefficients_[i];
  work_.gram.unbackward(forward_.data());
  return true;
}

bool ActiveSet::direction_from_basis(Index id) {
  scratch_.assign(static_cast<std::size_t>(unit_.cols()), 0.0);
  unit_.add_multiple(1.0, id, scratch_.data());
  distance2_ = work_.basis.split(scratch_.data(), forward_, residual_);
  coefficients_ = forward_;
  work_.basis.solve_upper(coefficients_.data());
  double size1 = 1;
  for (double& value : coefficients_) {
    value = -value;
    size1 += std::fabs(value);
  }
  if (std::sqrt(distance2_) > kDependentBasis * size1) return true;
  distance2_ = 0;
  for (int round = 0; round < 2; ++round) {
    residual_of_direction(id);
    work_.basis.coefficients(residual_.data(), scratch_);
    work_.basis.solve_upper(scratch_.data());
    for (std::size_t i = 0; i < rows_.size(); ++i) coefficients_[i] -= scratch_[i];
  }
  return true;
}

// Changes from the Gram factor to an orthonormal basis, leaving out rows that turn out to be dependent.
void ActiveSet::use_basis() {
  const std::vector<Index> rows = rows_;
  const Vector multipliers = multipliers_;
  on_basis_ = true;
  work_.basis.reset(unit_.cols());
  rows_.clear();
  multipliers_.clear();
  rhs_.clear();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    direction(rows[i]);
    if (distance2_ > 0) join(rows[i], multipliers[i]);
  }
}

void ActiveSet::solve(Vector& x) const {
  if (on_basis_) {
    work_.basis.solve_lower(x.data());
    work_.basis.solve_upper(x.data());
  } else {
    work_.gram.solve(x.data());
  }
}

void ActiveSet::point(Vector products, Vector& y) const {
  if (on_basis_) {
    work_.basis.solve_lower(products.data());
    work_.basis.combine(products.data(), y.data());
  } else {
    work_.gram.solve(products.data());
    std::fill(y.begin(), y.end(), 0.0);
    combine(1.0, products, y);
  }
}

}  // namespace pyregions
