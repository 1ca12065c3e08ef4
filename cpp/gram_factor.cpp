// Layer 0. The factor of a Gram matrix: loops over packed rows, which are too short for a library's calls. Rows are taken four
// at a time where that saves passes over x.
#include "gram_factor.h"

#include <algorithm>

namespace pyregions {
namespace {

constexpr Index kRows = 4;

// x -= sum of factor * row over four rows.
PYREGIONS_CLONES void subtract(const double* const* rows, const double* factors, Index n, double* x) {
  const double *r0 = rows[0], *r1 = rows[1], *r2 = rows[2], *r3 = rows[3];
  const double f0 = factors[0], f1 = factors[1], f2 = factors[2], f3 = factors[3];
  for (Index j = 0; j < n; ++j) x[j] -= (f0 * r0[j] + f1 * r1[j]) + (f2 * r2[j] + f3 * r3[j]);
}

PYREGIONS_CLONES void add(double factor, const double* row, Index n, double* x) {
  for (Index j = 0; j < n; ++j) x[j] += factor * row[j];
}

// One row of remove(): the carried vector is taken off entry by entry, w being what is left of it in this row.
struct Carry {
  const double* source;
  double* target;
  double w;
  void take(Index j, double v, double beta) {
    const double entry = source[j];
    w -= v * entry;
    target[j - 1] = entry + beta * w;
  }
};

// Four rows side by side, since each waits for its own w.
PYREGIONS_CLONES void carry_rows(Carry* rows, const double* v, const double* beta, Index from, Index to) {
  Carry a = rows[0], b = rows[1], c = rows[2], d = rows[3];
  for (Index j = from; j < to; ++j) {
    a.take(j, v[j], beta[j]);
    b.take(j, v[j], beta[j]);
    c.take(j, v[j], beta[j]);
    d.take(j, v[j], beta[j]);
  }
  rows[0] = a, rows[1] = b, rows[2] = c, rows[3] = d;
}

}  // namespace

void GramFactor::forward(double* x) const {
  Index i = 0;
  for (; i + kRows <= size_; i += kRows) {
    const double* rows[kRows] = {row(i), row(i + 1), row(i + 2), row(i + 3)};
    double sums[kRows];
    dots(rows, kRows, x, i, sums);
    for (Index k = 0; k < kRows; ++k) {
      double value = x[i + k] - sums[k];
      for (Index j = 0; j < k; ++j) value -= rows[k][i + j] * x[i + j];
      x[i + k] = value;
    }
  }
  for (; i < size_; ++i) {
    double value = x[i];
    for (Index j = 0; j < i; ++j) value -= row(i)[j] * x[j];
    x[i] = value;
  }
}

void GramFactor::backward(double* x) const {
  for (Index i = 0; i < size_; ++i) x[i] /= pivot(i);
  Index i = size_;
  for (; i % kRows != 0; --i) add(-x[i - 1], row(i - 1), i - 1, x);
  for (i -= kRows; i >= 0; i -= kRows) {
    const double* rows[kRows] = {row(i), row(i + 1), row(i + 2), row(i + 3)};
    for (Index k = kRows - 1; k > 0; --k)
      for (Index j = 0; j < k; ++j) x[i + j] -= rows[k][i + j] * x[i + k];
    subtract(rows, x + i, i, x);
  }
}

void GramFactor::unbackward(double* x) const {
  for (Index i = 1; i < size_; ++i) add(x[i], row(i), i, x);
  for (Index i = 0; i < size_; ++i) x[i] *= pivot(i);
}

void GramFactor::remove(Index p) {
  carry_.resize(static_cast<std::size_t>(2 * size_));
  double* v = carry_.data();             // the updated carried vector, entry per surviving column
  double* beta = carry_.data() + size_;  // the multiple of it which column j receives
  double alpha = pivot(p);
  for (Index first = p + 1; first < size_; first += kRows) {
    const Index count = std::min(kRows, size_ - first);
    Carry rows[kRows];
    for (Index k = 0; k < count; ++k) {
      const double* source = row(first + k);
      rows[k] = {source, rows_.data() + (first + k - 1) * (first + k - 2) / 2, source[p]};
    }
    for (Index k = 0; k < count; ++k)
      if (rows[k].target != rows[k].source) std::copy(rows[k].source, rows[k].source + p, rows[k].target);
    if (count == kRows) carry_rows(rows, v, beta, p + 1, first);
    for (Index k = 0; k < count; ++k) {
      const Index i = first + k;
      for (Index j = count == kRows ? first : p + 1; j < i; ++j) rows[k].take(j, v[j], beta[j]);
      const double w = rows[k].w, old_pivot = pivot(i), new_pivot = old_pivot + alpha * w * w;
      v[i] = w;
      beta[i] = alpha * w / new_pivot;
      alpha *= old_pivot / new_pivot;
      pivots_[static_cast<std::size_t>(i - 1)] = new_pivot;
    }
  }
  --size_;
}

}  // namespace pyregions
