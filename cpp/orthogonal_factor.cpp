// Layer 0. Gram-Schmidt with reorthogonalisation, and Givens rotations when a row leaves.
#include "orthogonal_factor.h"

#include <algorithm>
#include <cmath>

namespace pyregions {

void OrthogonalFactor::reset(Index dimension) {
  size_ = 0;
  dimension_ = dimension;
}

void OrthogonalFactor::coefficients(const double* y, Vector& c) const {
  c.resize(static_cast<std::size_t>(size_));
  gemv(false, size_, dimension_, 1.0, basis_.data(), dimension_, y, 0.0, c.data());
}

void OrthogonalFactor::combine(const double* x, double* y) const {
  std::fill(y, y + dimension_, 0.0);
  gemv(true, size_, dimension_, 1.0, basis_.data(), dimension_, x, 1.0, y);
}

double OrthogonalFactor::split(const double* a, Vector& c, Vector& z) const {
  z.assign(a, a + dimension_);
  c.assign(static_cast<std::size_t>(size_), 0.0);
  Vector part;
  for (int round = 0; round < 2; ++round) {
    coefficients(z.data(), part);
    gemv(true, size_, dimension_, -1.0, basis_.data(), dimension_, part.data(), 1.0, z.data());
    for (Index i = 0; i < size_; ++i) c[i] += part[i];
  }
  return dot(z.data(), z.data(), dimension_);
}

void OrthogonalFactor::append(const Vector& c, const Vector& z, double distance2) {
  const std::size_t basis_needed = static_cast<std::size_t>((size_ + 1) * dimension_);
  const std::size_t upper_needed = static_cast<std::size_t>((size_ + 1) * (size_ + 2) / 2);
  if (basis_.size() < basis_needed) basis_.resize(2 * basis_needed);
  if (upper_.size() < upper_needed) upper_.resize(2 * upper_needed);
  const double norm = std::sqrt(distance2);
  double* target = column(size_);
  std::copy(c.begin(), c.begin() + size_, target);
  target[size_] = norm;
  double* q = basis(size_);
  for (Index k = 0; k < dimension_; ++k) q[k] = z[k] / norm;
  ++size_;
}

// Without column p the later columns have one entry below the diagonal; a rotation of two neighbouring basis rows moves
// it onto the diagonal, and the last basis row is free to go.
void OrthogonalFactor::remove(Index p) {
  rotated_.resize(static_cast<std::size_t>(2 * size_));
  double* cosine = rotated_.data();
  double* sine = rotated_.data() + size_;
  for (Index m = p; m + 1 < size_; ++m) {
    double* x = column(m + 1);
    for (Index i = p; i < m; ++i) {
      const double above = x[i];
      x[i] = cosine[i] * above + sine[i] * x[i + 1];
      x[i + 1] = cosine[i] * x[i + 1] - sine[i] * above;
    }
    const double length = std::hypot(x[m], x[m + 1]);
    cosine[m] = x[m] / length;
    sine[m] = x[m + 1] / length;
    x[m] = length;
    std::copy(x, x + m + 1, column(m));
    double* q = basis(m);
    double* next = basis(m + 1);
    for (Index k = 0; k < dimension_; ++k) {
      const double above = q[k];
      q[k] = cosine[m] * above + sine[m] * next[k];
      next[k] = cosine[m] * next[k] - sine[m] * above;
    }
  }
  --size_;
}

void OrthogonalFactor::solve_upper(double* x) const {
  for (Index j = size_ - 1; j >= 0; --j) {
    x[j] /= column(j)[j];
    axpy(-x[j], column(j), x, j);
  }
}

void OrthogonalFactor::solve_lower(double* x) const {
  for (Index j = 0; j < size_; ++j) x[j] = (x[j] - dot(column(j), x, j)) / column(j)[j];
}

}  // namespace pyregions
