// Layer 0. The factor G = L D L^T of a Gram matrix whose rows come and go one at a time (active-set methods).
#pragma once

#include "dense.h"

namespace pyregions {

// Law: L is unit lower triangular and D positive; rows are stored packed (row i holds its i entries left of the
// diagonal). Storage only grows, so an object may be kept between problems; clear() forgets the contents.
class GramFactor {
 public:
  Index size() const { return size_; }
  void clear() { size_ = 0; }
  double pivot(Index i) const { return pivots_[static_cast<std::size_t>(i)]; }

  // x <- L^-1 x.
  void forward(double* x) const;
  // x <- L^-T D^-1 x, which after forward() completes the solution of G x = rhs.
  void backward(double* x) const;
  void solve(double* x) const {
    forward(x);
    backward(x);
  }
  // x <- D L^T x, the inverse of backward().
  void unbackward(double* x) const;

  // Adds a row. `solved` is L^-1 g for its products g with the rows present; `pivot` its squared distance from their
  // span. Requires: pivot > 0.
  void append(const double* solved, double pivot) {
    const std::size_t needed = static_cast<std::size_t>(size_ * (size_ + 1) / 2);
    if (rows_.size() < needed) rows_.resize(2 * needed);
    double* target = rows_.data() + size_ * (size_ - 1) / 2;
    for (Index i = 0; i < size_; ++i) target[i] = solved[i] / this->pivot(i);
    pivots_.resize(static_cast<std::size_t>(size_));
    pivots_.push_back(pivot);
    ++size_;
  }

  // Drops row p; later rows move up by one. The rows below p see the rank-one term d_p l l^T that p leaves behind,
  // which is folded into them from top to bottom (a positive update, hence stable).
  void remove(Index p);

 private:
  const double* row(Index i) const { return rows_.data() + i * (i - 1) / 2; }

  Index size_ = 0;
  std::vector<double> rows_, pivots_, carry_;
};

}  // namespace pyregions
