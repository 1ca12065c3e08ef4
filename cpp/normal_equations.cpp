// Layer 2. C^T W C by its Cholesky factor, or, when every coordinate has a bound and few rows weigh much beside the bounds,
// by conjugate gradients, preconditioned by the diagonal plus low rank form of the bounds and those rows.
#include "normal_equations.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "parallel_dense.h"

namespace pyregions {
namespace {

// First multiple of the diagonal added before factoring: a few roundings, so that exactly dependent columns pass.
constexpr double kFirstRegularisation = 64 * kUnit;
// Given up when this much of the diagonal does not make the matrix positive definite.
constexpr double kLastRegularisation = 0x1p-8;
constexpr double kRegularisationGrowth = 0x1p8;
// The low-rank form keeps the rows whose leverage w a^T D^-1 a, D the diagonal that bounds alone give, is at least this. (In a
// pixel box 50 to 400 of 768 rows; a third of it takes a fifth fewer rounds and more time, three times of it half as many more.)
constexpr double kKeptLeverage = 0.3;
// It is worth its rounds when it keeps fewer rows than this ratio of the columns, and there are at least so many columns: with 32
// to 64 it takes 1 to 1.8 times the time of the factor, with 200 and more a third of it.
constexpr double kLowRankRatio = 0.7;
constexpr Index kLowRankColumns = 128;
// Rounds of conjugate gradients (1 to 10 do where all goes well), and the residual to end at, relative to the right-hand side. A
// Newton step leaves this share of the dual residual at best, so a few steps leave nothing of it; they are as many as with 2^-30.
constexpr int kRounds = 20;
constexpr double kSolved = 0x1p-20;
// Refinement: at most this many corrections; ends when the residual is this far below the right-hand side. What is left is
// part of the next Newton step.
constexpr int kRefinements = 3;
constexpr double kRefined = 0x1p-30;

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
  low_rank_works_ = bounded == cols_ && cols_ >= kLowRankColumns;
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
  low_rank_ = low_rank_works_ && factor_low_rank();
  factored_ = low_rank_;
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

// With the kept rows K alone, H = D + A_K^T W A_K = D^1/2 (I + B B^T) D^1/2, B = D^-1/2 A_K^T W^1/2, has the inverse
// D^-1/2 (I - B S^-1 B^T) D^-1/2 with S = I + B^T B; r is eliminated last.
bool NormalEquations::factor_low_rank() {
  inverse_root_.resize(static_cast<std::size_t>(cols_));
  for (Index j = 0; j < cols_; ++j) inverse_root_[j] = 1 / std::sqrt(diagonal_[j]);
  std::vector<std::uint8_t> kept(static_cast<std::size_t>(rows_));
  for_rows(workers_, rows_, cols_, [&](Index i) {
    const double* row = a_.row(i);
    double sum = 0;
    for (Index j = 0; j < cols_; ++j) sum += row[j] * inverse_root_[j] * row[j] * inverse_root_[j];
    kept[i] = !(weights_[i] * sum < kKeptLeverage);
  });
  kept_.clear();
  for (Index i = 0; i < rows_; ++i)
    if (kept[i]) kept_.push_back(i);
  const Index count = static_cast<Index>(kept_.size());
  if (static_cast<double>(count) > kLowRankRatio * static_cast<double>(cols_)) return false;
  scaled_ = Matrix::unset(cols_, count);
  for_rows(workers_, cols_, count, [&](Index j) {
    double* target = scaled_.row(j);
    for (Index c = 0; c < count; ++c) target[c] = a_(kept_[c], j) * inverse_root_[j] * root_weights_[kept_[c]];
  });
  column_ = border_;
  for (const Index i : kept_) axpy(weights_[i], a_.row(i), column_.data(), cols_);
  double corner = corner_;
  for (Index i = 0; i < rows_; ++i) corner += weights_[i];
  matrix_ = Matrix(count, count);
  syrk(workers_, 1.0, scaled_, 0.0, matrix_);
  for (Index i = 0; i < count; ++i) matrix_(i, i) += 1;
  if (!cholesky(matrix_)) return false;
  border_solved_ = column_;
  apply_low_rank(border_solved_.data());
  schur_ = corner - dot(column_.data(), border_solved_.data(), cols_);
  return schur_ > 0;
}

void NormalEquations::apply_low_rank(double* x) const {
  Vector inner(kept_.size());
  for (Index j = 0; j < cols_; ++j) x[j] *= inverse_root_[j];
  gemv(true, 1.0, scaled_, x, 0.0, inner.data());
  cholesky_solve(matrix_, inner.data());
  gemv(false, -1.0, scaled_, inner.data(), 1.0, x);
  for (Index j = 0; j < cols_; ++j) x[j] *= inverse_root_[j];
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

// (C^T W C + proximal I) z
void NormalEquations::apply(const Vector& z, Vector& out) const {
  Vector products;
  multiply(z, products);
  for (std::size_t i = 0; i < products.size(); ++i) products[i] *= weights_[i];
  multiply_transposed(products, out);
  for (Index j = 0; j < cols_; ++j) out[j] += proximal_ * z[j];
}

// Improves z while the residual falls.
void NormalEquations::refine(const Vector& right, Vector& z) const {
  const double size_right = largest_size(right);
  Vector residual, best = z;
  double least = std::numeric_limits<double>::infinity();
  for (int round = 0; round <= kRefinements; ++round) {
    apply(z, residual);
    for (std::size_t j = 0; j < z.size(); ++j) residual[j] = right[j] - residual[j];
    const double size = largest_size(residual);
    if (!(size < least)) break;
    least = size;
    best = z;
    if (size <= kRefined * size_right || round == kRefinements) break;
    apply_factor(residual);
    for (std::size_t j = 0; j < z.size(); ++j) z[j] += residual[j];
  }
  z = best;
}

// Conjugate gradients with the low-rank form as preconditioner; false when they do not get there.
bool NormalEquations::solve_low_rank(const Vector& right, Vector& z) const {
  const Index n = cols_ + 1;
  const double small = kSolved * largest_size(right);
  z.assign(right.size(), 0.0);
  Vector residual = right, direction = right, image;
  apply_factor(direction);
  double rho = dot(residual.data(), direction.data(), n);
  if (rho == 0) return true;
  for (int round = 0; round < kRounds; ++round) {
    apply(direction, image);
    const double step = rho / dot(direction.data(), image.data(), n);
    if (!(step > 0) || !std::isfinite(step)) return false;
    axpy(step, direction.data(), z.data(), n);
    axpy(-step, image.data(), residual.data(), n);
    if (largest_size(residual) <= small) {  // as far as it was carried along
      apply(z, image);
      for (Index j = 0; j < n; ++j) residual[j] = right[j] - image[j];
      return largest_size(residual) <= 2 * small;
    }
    Vector near = residual;
    apply_factor(near);
    const double next = dot(residual.data(), near.data(), n);
    for (Index j = 0; j < n; ++j) direction[j] = near[j] + next / rho * direction[j];
    rho = next;
  }
  return false;
}

// Where bounds weigh next to nothing the low-rank form cancels, and its products say little about the matrix; the full one then
// takes over for good.
void NormalEquations::solve(const Vector& right, Vector& z) {
  if (low_rank_) {
    if (solve_low_rank(right, z)) return;
    low_rank_works_ = false;
    const double proximal = proximal_;
    if (!factor(Vector(weights_), proximal)) return;
  }
  z = right;
  apply_factor(z);
  refine(right, z);
}

}  // namespace pyregions
