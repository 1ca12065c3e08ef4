// Layer 2. C^T W C directly, or, when there are more coordinates than rows and every coordinate has a bound, through
// its diagonal plus low rank form.
#include "normal_equations.h"

#include <algorithm>
#include <cmath>

#include "parallel_dense.h"

namespace pyregions {
namespace {

// First multiple of the diagonal added before factoring: a few roundings, so that exactly dependent columns pass.
constexpr double kFirstRegularisation = 64 * kUnit;
// Given up when this much of the diagonal does not make the matrix positive definite.
constexpr double kLastRegularisation = 0x1p-8;
constexpr double kRegularisationGrowth = 0x1p8;
// Below this ratio of rows to columns the N-square form is cheaper, the extra passes of its solves included.
constexpr double kLowRankRatio = 0.7;
// Refinement: at most this many corrections; ends when the residual is this far below the right-hand side. What is left is
// part of the next Newton step.
constexpr int kRefinements = 3;
constexpr double kRefined = 0x1p-30;
// The low-rank form is left when refinement stops above this: the dual equalities are wanted to better than that.
constexpr double kLowRankGoodEnough = 0x1p-40;

double largest_size(const Vector& values) {
  double largest = 0;
  for (double value : values) largest = std::max(largest, std::fabs(value));
  return largest;
}

}  // namespace

NormalEquations::NormalEquations(const BallProblem& problem)
    : workers_(problem.workers), rows_(problem.A->rows()), cols_(problem.A->cols()), a_(*problem.A) {
  for_rows(workers_, rows_, cols_, [&](Index i) {
    for (Index j = 0; j < cols_; ++j) a_(i, j) /= problem.norms[i];
  });
  for (Index i = 0; i < rows_; ++i) rhs_.push_back(problem.b[i] / problem.norms[i]);
  Index bounded = 0;
  for (Index j = 0; j < cols_ && !problem.lower.empty(); ++j) {
    const bool below = std::isfinite(problem.lower[j]), above = std::isfinite(problem.upper[j]);
    if (below) lower_.push_back(j);
    if (above) upper_.push_back(j);
    bounded += below || above ? 1 : 0;
  }
  for (Index j : lower_) rhs_.push_back(-problem.lower[j]);
  for (Index j : upper_) rhs_.push_back(problem.upper[j]);
  rhs_.push_back(problem.radius_cap);
  low_rank_ = bounded == cols_ && static_cast<double>(rows_) < kLowRankRatio * static_cast<double>(cols_);
  if (low_rank_) {
    transposed_ = Matrix(cols_, rows_);
    for (Index i = 0; i < rows_; ++i) {
      for (Index j = 0; j < cols_; ++j) transposed_(j, i) = a_(i, j);
    }
  }
}

void NormalEquations::multiply(const Vector& z, Vector& out) const {
  const double r = z.back();
  out.assign(rhs_.size(), r);
  gemv(false, 1.0, a_, z.data(), 1.0, out.data());
  std::size_t at = static_cast<std::size_t>(rows_);
  for (Index j : lower_) out[at++] -= z[j];
  for (Index j : upper_) out[at++] += z[j];
}

void NormalEquations::multiply_transposed(const Vector& l, Vector& out) const {
  out.assign(static_cast<std::size_t>(cols_ + 1), 0.0);
  gemv(true, 1.0, a_, l.data(), 1.0, out.data());
  std::size_t at = static_cast<std::size_t>(rows_);
  for (Index j : lower_) out[j] -= l[at++];
  for (Index j : upper_) out[j] += l[at++];
  double sum = 0;
  for (double value : l) sum += value;
  out[cols_] = sum;
}

void NormalEquations::diagonal_of_bounds() {
  diagonal_.assign(static_cast<std::size_t>(cols_), proximal_);
  border_.assign(static_cast<std::size_t>(cols_), 0.0);
  corner_ = weights_.back();
  std::size_t at = static_cast<std::size_t>(rows_);
  for (Index j : lower_) {
    diagonal_[j] += weights_[at];
    border_[j] -= weights_[at];
    corner_ += weights_[at++];
  }
  for (Index j : upper_) {
    diagonal_[j] += weights_[at];
    border_[j] += weights_[at];
    corner_ += weights_[at++];
  }
}

bool NormalEquations::factor(Vector weights, double proximal) {
  weights_ = std::move(weights);
  proximal_ = proximal;
  root_weights_.resize(static_cast<std::size_t>(rows_));
  for (Index i = 0; i < rows_; ++i) root_weights_[i] = std::sqrt(weights_[i]);
  diagonal_of_bounds();
  factored_ = low_rank_ && factor_low_rank(kFirstRegularisation);
  low_rank_ = factored_;
  for (double amount = kFirstRegularisation; !factored_ && amount <= kLastRegularisation;) {
    factored_ = factor_full(amount);
    amount *= kRegularisationGrowth;
  }
  return factored_;
}

bool NormalEquations::factor_full(double regularisation) {
  if (scaled_.rows() != rows_ || scaled_.cols() != cols_ + 1) scaled_ = Matrix(rows_, cols_ + 1);
  for_rows(workers_, rows_, cols_, [&](Index i) {
    double* target = scaled_.row(i);
    const double* source = a_.row(i);
    for (Index j = 0; j < cols_; ++j) target[j] = root_weights_[i] * source[j];
    target[cols_] = root_weights_[i];
  });
  if (matrix_.rows() != cols_ + 1) matrix_ = Matrix(cols_ + 1, cols_ + 1);
  syrk(workers_, 1.0, scaled_, 0.0, matrix_);
  double largest = 0;
  for (Index j = 0; j < cols_; ++j) {
    matrix_(j, j) += diagonal_[j];
    matrix_(cols_, j) += border_[j];
    largest = std::max(largest, matrix_(j, j));
  }
  matrix_(cols_, cols_) += corner_;
  // Relative to each diagonal entry, because entries differ by many orders near the optimum; columns that no constraint
  // touches get a share of the largest.
  for (Index j = 0; j <= cols_; ++j) {
    double& entry = matrix_(j, j);
    entry += regularisation * std::max(entry, kUnit * largest);
  }
  return cholesky(matrix_);
}

// H = D + A^T W A has the inverse D^-1 - D^-1 A^T V S^-1 V A D^-1 with V = W^1/2 and S = I + V A D^-1 A^T V; r is
// eliminated last.
bool NormalEquations::factor_low_rank(double regularisation) {
  if (scaled_.rows() != cols_ || scaled_.cols() != rows_) scaled_ = Matrix(cols_, rows_);
  for (Index j = 0; j < cols_; ++j) {
    const double root = 1 / std::sqrt(diagonal_[j]);
    const double* source = transposed_.row(j);
    double* target = scaled_.row(j);
    for (Index i = 0; i < rows_; ++i) target[i] = source[i] * root * root_weights_[i];
  }
  if (matrix_.rows() != rows_) matrix_ = Matrix(rows_, rows_);
  syrk(workers_, 1.0, scaled_, 0.0, matrix_);
  for (Index i = 0; i < rows_; ++i) matrix_(i, i) += 1 + regularisation * matrix_(i, i);
  if (!cholesky(matrix_)) return false;
  column_ = border_;
  gemv(true, 1.0, a_, weights_.data(), 1.0, column_.data());
  border_solved_ = column_;
  apply_low_rank(border_solved_.data());
  double corner = corner_;
  for (Index i = 0; i < rows_; ++i) corner += weights_[i];
  schur_ = corner - dot(column_.data(), border_solved_.data(), cols_);
  return schur_ > 0;
}

void NormalEquations::apply_low_rank(double* x) const {
  Vector inner(static_cast<std::size_t>(rows_));
  for (Index j = 0; j < cols_; ++j) x[j] /= diagonal_[j];
  gemv(false, 1.0, a_, x, 0.0, inner.data());
  for (Index i = 0; i < rows_; ++i) inner[i] *= root_weights_[i];
  cholesky_solve(matrix_, inner.data());
  for (Index i = 0; i < rows_; ++i) inner[i] *= root_weights_[i];
  Vector correction(static_cast<std::size_t>(cols_));
  gemv(true, 1.0, a_, inner.data(), 0.0, correction.data());
  for (Index j = 0; j < cols_; ++j) x[j] -= correction[j] / diagonal_[j];
}

void NormalEquations::apply_factor(Vector& z) const {
  if (!low_rank_) {
    cholesky_solve(matrix_, z.data());
    return;
  }
  apply_low_rank(z.data());
  const double r = (z[cols_] - dot(column_.data(), z.data(), cols_)) / schur_;
  axpy(-r, border_solved_.data(), z.data(), cols_);
  z[cols_] = r;
}

// Improves z while the residual falls; returns the residual that is left against the right-hand side.
double NormalEquations::refine(const Vector& right, Vector& z) const {
  const double size_right = largest_size(right);
  Vector products, residual, best = z;
  double least = std::numeric_limits<double>::infinity();
  for (int round = 0; round <= kRefinements; ++round) {
    multiply(z, products);
    for (std::size_t i = 0; i < products.size(); ++i) products[i] *= weights_[i];
    multiply_transposed(products, residual);
    for (Index j = 0; j < cols_; ++j) residual[j] = right[j] - residual[j] - proximal_ * z[j];
    residual[cols_] = right[cols_] - residual[cols_];
    const double size = largest_size(residual);
    if (!(size < least)) break;
    least = size;
    best = z;
    if (size <= kRefined * size_right || round == kRefinements) break;
    apply_factor(residual);
    for (std::size_t j = 0; j < z.size(); ++j) z[j] += residual[j];
  }
  z = best;
  return size_right > 0 ? least / size_right : 0.0;
}

// The low-rank form cancels when bounds weigh next to nothing; the full matrix then takes over for good.
void NormalEquations::solve(const Vector& right, Vector& z) {
  z = right;
  apply_factor(z);
  const double left = refine(right, z);
  if (!low_rank_ || left <= kLowRankGoodEnough) return;
  const double proximal = proximal_;
  low_rank_ = false;
  if (!factor(Vector(weights_), proximal)) return;
  z = right;
  apply_factor(z);
  refine(right, z);
}

}  // namespace pyregions
