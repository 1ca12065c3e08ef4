// Layer 0. Dense matrices, the few BLAS/LAPACK calls we need, rounding constants and the floating-point guard.
// dense.cpp is the only file that knows the dense linear algebra library.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "huge_memory.h"

// Before a hot loop: compiled once per kind of CPU, the best one chosen at load time.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#define PYREGIONS_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#define PYREGIONS_WIDE __attribute__((target("avx512f")))
#else
#define PYREGIONS_CLONES
#define PYREGIONS_WIDE
#endif
#define PYREGIONS_INLINE inline __attribute__((always_inline))

namespace pyregions {

// Doubles in a vector that the compiler is told the width of: kWideVector of them where has_wide(), in a function that is
// PYREGIONS_WIDE. A vector wider than the CPU's is taken apart in memory, and costs more than one that is too narrow.
constexpr int kNarrowVector = 4, kWideVector = 8;
bool has_wide();

using Index = std::ptrdiff_t;
using Vector = std::vector<double>;

// Unit roundoff of double, u = 2^-53.
constexpr double kUnit = std::numeric_limits<double>::epsilon() / 2;

// gamma(n) >= n u / (1 - n u), itself rounded up: bounds the relative error of n roundings in any order, fused or not.
// Requires: 0 <= n < 2^40.
inline double gamma(Index n) { return static_cast<double>(n) * kUnit * (1 + 1e-3); }

// Absolute error that n products or additions can lose to underflow: each at most half the smallest subnormal; we grant
// a whole smallest normal number each, which is far more and itself no subnormal.
inline double underflow(Index n) { return static_cast<double>(n) * std::numeric_limits<double>::min(); }

// An owning row-major matrix. Law: row(i)[j] is element (i, j); rows are contiguous, no padding.
class Matrix {
 public:
  Matrix() = default;
  Matrix(Index rows, Index cols, double fill = 0.0)
      : rows_(rows), cols_(cols), data_(static_cast<std::size_t>(rows * cols), fill) {}
  // Not set: for what is written in full, so that pages are fetched by the threads that write them. An ordinary number in builds with
  // the address sanitizer, which does not see what is read before it is written; NaN would be caught as if it had overflowed.
  static Matrix unset(Index rows, Index cols) {
    Matrix result;
    result.rows_ = rows;
    result.cols_ = cols;
    result.data_ = decltype(data_)(static_cast<std::size_t>(rows * cols));
#ifdef __SANITIZE_ADDRESS__
    std::fill(result.data_.begin(), result.data_.end(), 3.25);
#endif
    return result;
  }
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  bool empty() const { return data_.empty(); }
  double* data() { return data_.data(); }
  const double* data() const { return data_.data(); }
  double* row(Index i) { return data_.data() + i * cols_; }
  const double* row(Index i) const { return data_.data() + i * cols_; }
  double& operator()(Index i, Index j) { return data_[static_cast<std::size_t>(i * cols_ + j)]; }
  double operator()(Index i, Index j) const { return data_[static_cast<std::size_t>(i * cols_ + j)]; }

 private:
  Index rows_ = 0, cols_ = 0;
  std::vector<double, HugeAllocator<double>> data_;
};

// C = alpha op(A) op(B) + beta C, op = transpose when the flag is set. C must have the right shape.
void gemm(bool transpose_a, bool transpose_b, double alpha, const Matrix& a, const Matrix& b, double beta, Matrix& c);
// The same on raw row-major blocks with leading dimensions (m x k times k x n after op).
void gemm(bool transpose_a, bool transpose_b, Index m, Index n, Index k, double alpha, const double* a, Index lda,
          const double* b, Index ldb, double beta, double* c, Index ldc);
using Floats = std::vector<float>;
// C = op(A) op(B) in single precision, all rows contiguous: at twice the speed, for searches whose answers are proposals.
void gemm(bool transpose_a, bool transpose_b, Index m, Index n, Index k, const float* a, const float* b, float* c);
// y = alpha op(A) x + beta y.
void gemv(bool transpose, double alpha, const Matrix& a, const double* x, double beta, double* y);
void gemv(bool transpose, Index rows, Index cols, double alpha, const double* a, Index lda, const double* x,
          double beta, double* y);
// C (lower triangle) = alpha A^T A + beta C for A of shape n x k, C k x k.
void syrk(double alpha, const Matrix& a, double beta, Matrix& c);

double dot(const double* x, const double* y, Index n);
double norm2(const double* x, Index n);
void axpy(double alpha, const double* x, double* y, Index n);
// Products of y with rows that lie anywhere, each in one order on every CPU.
void dots(const double* const* x, Index count, const double* y, Index n, double* out);
// y += sum of factors[i] * x_i, in this order.
void add_multiples(const double* const* x, const double* factors, Index count, double* y, Index n);

// In-place Cholesky of the lower triangle; false when a pivot is not positive.
bool cholesky(Matrix& a);
// Solves L L^T x = b in place with the factor of cholesky().
void cholesky_solve(const Matrix& factor, double* b);
void cholesky_solve_rows(const Matrix& factor, Matrix& b);  // for every row of b
// In-place inverse of a lower triangle, zeros above it; false when a pivot is 0.
bool invert_lower(Matrix& lower);
// B = B op(L) in place for L lower triangular and m contiguous rows.
void multiply_right(bool transpose, Index m, const Matrix& lower, double* b);
// In-place LU inverse; false when singular to working precision.
bool invert(Matrix& a);

// Rows of a gathered in the given order.
Matrix gather_rows(const Matrix& a, const std::vector<Index>& rows);

// Saves the floating-point environment, sets round-to-nearest without flush-to-zero or denormals-are-zero and all
// exceptions masked, and restores on destruction. Every thread that computes bounds holds one.
class FloatEnvironment {
 public:
  FloatEnvironment();
  ~FloatEnvironment();
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  std::uint32_t mxcsr_ = 0;
  int rounding_ = 0;
};

}  // namespace pyregions
