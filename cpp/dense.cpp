// Layer 0. Thin wrappers around CBLAS and LAPACK: one thread, row-major, empty shapes allowed.
#include "dense.h"

#include <cblas.h>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <stdexcept>

#ifdef __SSE2__
#include <xmmintrin.h>
#endif

extern "C" {
void scipy_dpotrf_(const char* uplo, const int* n, double* a, const int* lda, int* info, std::size_t);
void scipy_dtrtri_(const char* uplo, const char* diag, const int* n, double* a, const int* lda, int* info, std::size_t, std::size_t);
void scipy_dgetrf_(const int* m, const int* n, double* a, const int* lda, int* pivots, int* info);
void scipy_dgetri_(const int* n, double* a, const int* lda, const int* pivots, double* work, const int* lwork,
                   int* info);
}

namespace pyregions {

namespace {

// Our parallelism is over jobs; a BLAS that starts threads of its own would oversubscribe the machine and change sums.
void one_thread() {
  static const bool done = (scipy_openblas_set_num_threads(1), true);
  static_cast<void>(done);
}

int to_blas(Index n) {
  if (n > std::numeric_limits<int>::max()) throw std::length_error("pyregions: a matrix dimension exceeds 2^31 - 1");
  return static_cast<int>(n);
}

// BLAS wants a leading dimension of at least 1 even for empty rows.
int leading(Index n) { return to_blas(std::max<Index>(n, 1)); }

CBLAS_TRANSPOSE flag(bool transpose) { return transpose ? CblasTrans : CblasNoTrans; }

void scale_block(Index m, Index n, double beta, double* c, Index ldc) {
  if (beta == 1) return;
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < n; ++j) c[i * ldc + j] = beta == 0 ? 0 : beta * c[i * ldc + j];
  }
}

// Largest column sum of absolute values.
double norm1(const Matrix& a) {
  Vector sums(static_cast<std::size_t>(a.cols()), 0.0);
  for (Index i = 0; i < a.rows(); ++i) {
    for (Index j = 0; j < a.cols(); ++j) sums[static_cast<std::size_t>(j)] += std::fabs(a(i, j));
  }
  return sums.empty() ? 0.0 : *std::max_element(sums.begin(), sums.end());
}

}  // namespace

void gemm(bool transpose_a, bool transpose_b, Index m, Index n, Index k, double alpha, const double* a, Index lda,
          const double* b, Index ldb, double beta, double* c, Index ldc) {
  if (m == 0 || n == 0) return;
  if (k == 0 || alpha == 0) {
    scale_block(m, n, beta, c, ldc);
    return;
  }
  // One row: a matrix-vector product reads B once, where gemm would first repack all of it.
  if (m == 1 && !transpose_a) {
    gemv(!transpose_b, transpose_b ? n : k, transpose_b ? k : n, alpha, b, ldb, a, beta, c);
    return;
  }
  one_thread();
  scipy_cblas_dgemm(CblasRowMajor, flag(transpose_a), flag(transpose_b), to_blas(m), to_blas(n), to_blas(k), alpha, a,
                    leading(lda), b, leading(ldb), beta, c, leading(ldc));
}

void gemm(bool transpose_a, bool transpose_b, double alpha, const Matrix& a, const Matrix& b, double beta, Matrix& c) {
  const Index m = transpose_a ? a.cols() : a.rows(), k = transpose_a ? a.rows() : a.cols();
  const Index n = transpose_b ? b.rows() : b.cols(), kb = transpose_b ? b.cols() : b.rows();
  if (k != kb || c.rows() != m || c.cols() != n) throw std::invalid_argument("gemm: shapes do not fit");
  gemm(transpose_a, transpose_b, m, n, k, alpha, a.data(), a.cols(), b.data(), b.cols(), beta, c.data(), c.cols());
}

void gemm(bool transpose_a, bool transpose_b, Index m, Index n, Index k, const float* a, const float* b, float* c) {
  if (m == 0 || n == 0 || k == 0) return void(std::fill(c, c + m * n, 0.0F));
  one_thread();
  scipy_cblas_sgemm(CblasRowMajor, flag(transpose_a), flag(transpose_b), to_blas(m), to_blas(n), to_blas(k), 1.0F, a,
                    leading(transpose_a ? m : k), b, leading(transpose_b ? k : n), 0.0F, c, leading(n));
}

void gemv(bool transpose, Index rows, Index cols, double alpha, const double* a, Index lda, const double* x,
          double beta, double* y) {
  const Index out = transpose ? cols : rows, in = transpose ? rows : cols;
  if (out == 0) return;
  if (in == 0 || alpha == 0) {
    scale_block(1, out, beta, y, out);
    return;
  }
  if (beta == 0) {  // y may not be set
    scale_block(1, out, 0, y, out);
    beta = 1;
  }
  one_thread();
  scipy_cblas_dgemv(CblasRowMajor, flag(transpose), to_blas(rows), to_blas(cols), alpha, a, leading(lda), x, 1, beta, y,
                    1);
}

void gemv(bool transpose, double alpha, const Matrix& a, const double* x, double beta, double* y) {
  gemv(transpose, a.rows(), a.cols(), alpha, a.data(), a.cols(), x, beta, y);
}

void syrk(double alpha, const Matrix& a, double beta, Matrix& c) {
  const Index k = a.cols();
  if (c.rows() != k || c.cols() != k) throw std::invalid_argument("syrk: shapes do not fit");
  if (k == 0) return;
  if (a.rows() == 0) {
    scale_block(k, k, beta, c.data(), k);
    return;
  }
  one_thread();
  scipy_cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, to_blas(k), to_blas(a.rows()), alpha, a.data(), leading(k),
                    beta, c.data(), leading(k));
}

double dot(const double* x, const double* y, Index n) {
  one_thread();
  return n == 0 ? 0.0 : scipy_cblas_ddot(to_blas(n), x, 1, y, 1);
}

double norm2(const double* x, Index n) {
  one_thread();
  return n == 0 ? 0.0 : scipy_cblas_dnrm2(to_blas(n), x, 1);
}

void axpy(double alpha, const double* x, double* y, Index n) {
  one_thread();
  if (n > 0) scipy_cblas_daxpy(to_blas(n), alpha, x, 1, y, 1);
}

namespace {

// Eight partial sums, added in the same order whether they lie in one vector or in two.
constexpr Index kSums = 8;
template <int W>
struct Doubles;
template <>
struct Doubles<kNarrowVector> {
  typedef double Part __attribute__((vector_size(sizeof(double) * kNarrowVector), aligned(alignof(double)), may_alias));
};
template <>
struct Doubles<kWideVector> {
  typedef double Part __attribute__((vector_size(sizeof(double) * kWideVector), aligned(alignof(double)), may_alias));
};
template <int W>
struct Sums {
  using Part = typename Doubles<W>::Part;
  Part part[kSums / W] = {};
  static PYREGIONS_INLINE const Part& of(const double* x) { return *reinterpret_cast<const Part*>(x); }
  PYREGIONS_INLINE void add(const double* x, const Part (&y)[kSums / W]) {
    for (Index p = 0; p < kSums / W; ++p) part[p] += of(x + p * W) * y[p];
  }
  PYREGIONS_INLINE double operator[](Index i) const { return part[i / W][i % W]; }
  PYREGIONS_INLINE double total() const {
    const Sums& s = *this;
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
  }
};

template <int W>
PYREGIONS_INLINE void dots_by(const double* const* x, Index count, const double* y, Index n, double* out) {
  using Part = typename Sums<W>::Part;
  Index i = 0;
  for (; i + 4 <= count; i += 4) {
    const double *a = x[i], *b = x[i + 1], *c = x[i + 2], *d = x[i + 3];
    Sums<W> sa, sb, sc, sd;
    Index j = 0;
    for (; j + kSums <= n; j += kSums) {
      Part part[kSums / W];
      for (Index p = 0; p < kSums / W; ++p) part[p] = Sums<W>::of(y + j + p * W);
      sa.add(a + j, part), sb.add(b + j, part), sc.add(c + j, part), sd.add(d + j, part);
    }
    out[i] = sa.total(), out[i + 1] = sb.total(), out[i + 2] = sc.total(), out[i + 3] = sd.total();
    for (; j < n; ++j)
      for (Index k = 0; k < 4; ++k) out[i + k] += x[i + k][j] * y[j];
  }
  for (; i < count; ++i) {
    Sums<W> sum;
    Index j = 0;
    for (; j + kSums <= n; j += kSums) {
      Part part[kSums / W];
      for (Index p = 0; p < kSums / W; ++p) part[p] = Sums<W>::of(y + j + p * W);
      sum.add(x[i] + j, part);
    }
    out[i] = sum.total();
    for (; j < n; ++j) out[i] += x[i][j] * y[j];
  }
}

PYREGIONS_WIDE void dots_wide(const double* const* x, Index count, const double* y, Index n, double* out) {
  dots_by<kWideVector>(x, count, y, n, out);
}
PYREGIONS_CLONES void dots_narrow(const double* const* x, Index count, const double* y, Index n, double* out) {
  dots_by<kNarrowVector>(x, count, y, n, out);
}

}  // namespace

bool has_wide() {
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
  static const bool wide = __builtin_cpu_supports("avx512f");
  return wide;
#else
  return false;
#endif
}

void dots(const double* const* x, Index count, const double* y, Index n, double* out) {
  if (has_wide()) dots_wide(x, count, y, n, out);
  else dots_narrow(x, count, y, n, out);
}

// Four at a time: one pass over y instead of four.
PYREGIONS_CLONES void add_multiples(const double* const* x, const double* factors, Index count, double* y, Index n) {
  Index i = 0;
  for (; i + 4 <= count; i += 4) {
    const double *a = x[i], *b = x[i + 1], *c = x[i + 2], *d = x[i + 3];
    const double fa = factors[i], fb = factors[i + 1], fc = factors[i + 2], fd = factors[i + 3];
    for (Index j = 0; j < n; ++j) y[j] = (((y[j] + fa * a[j]) + fb * b[j]) + fc * c[j]) + fd * d[j];
  }
  for (; i < count; ++i)
    for (Index j = 0; j < n; ++j) y[j] += factors[i] * x[i][j];
}

// LAPACK is column-major: our lower triangle is its upper one, and its U is our L transposed, in the same memory.
bool cholesky(Matrix& a) {
  if (a.rows() != a.cols()) throw std::invalid_argument("cholesky: the matrix is not square");
  if (a.rows() == 0) return true;
  one_thread();
  const int n = to_blas(a.rows());
  int info = 0;
  scipy_dpotrf_("U", &n, a.data(), &n, &info, 1);
  return info == 0;
}

void cholesky_solve(const Matrix& factor, double* b) {
  if (factor.rows() == 0) return;
  one_thread();
  const int n = to_blas(factor.rows());
  for (const CBLAS_TRANSPOSE transpose : {CblasNoTrans, CblasTrans})
    scipy_cblas_dtrsv(CblasRowMajor, CblasLower, transpose, CblasNonUnit, n, factor.data(), n, b, 1);
}

void cholesky_solve_rows(const Matrix& factor, Matrix& b) {
  if (b.cols() != factor.rows()) throw std::invalid_argument("cholesky_solve_rows: rows are not as long as the factor");
  if (b.empty()) return;
  one_thread();
  const int n = to_blas(factor.rows());
  for (const CBLAS_TRANSPOSE transpose : {CblasTrans, CblasNoTrans})
    scipy_cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, transpose, CblasNonUnit, to_blas(b.rows()), n, 1.0, factor.data(),
                      n, b.data(), n);
}

bool invert_lower(Matrix& lower) {
  if (lower.rows() != lower.cols()) throw std::invalid_argument("invert_lower: the matrix is not square");
  if (lower.rows() == 0) return true;
  one_thread();
  const int n = to_blas(lower.rows());
  int info = 0;
  scipy_dtrtri_("U", "N", &n, lower.data(), &n, &info, 1, 1);
  for (Index i = 0; i < lower.rows(); ++i) std::fill(lower.row(i) + i + 1, lower.row(i) + lower.cols(), 0.0);
  return info == 0;
}

void multiply_right(bool transpose, Index m, const Matrix& lower, double* b) {
  if (m == 0 || lower.rows() == 0) return;
  one_thread();
  scipy_cblas_dtrmm(CblasRowMajor, CblasRight, CblasLower, flag(transpose), CblasNonUnit, to_blas(m), to_blas(lower.rows()), 1.0,
                    lower.data(), leading(lower.cols()), b, leading(lower.cols()));
}

bool invert(Matrix& a) {
  if (a.rows() != a.cols()) throw std::invalid_argument("invert: the matrix is not square");
  if (a.rows() == 0) return true;
  one_thread();
  const double norm = norm1(a);
  const int n = to_blas(a.rows());
  int info = 0;
  std::vector<int> pivots(static_cast<std::size_t>(n));
  scipy_dgetrf_(&n, &n, a.data(), &n, pivots.data(), &info);
  if (info != 0) return false;
  const int block = 64;  // LAPACK's usual panel width
  const int work_size = n <= std::numeric_limits<int>::max() / block ? n * block : n;
  Vector work(static_cast<std::size_t>(work_size));
  scipy_dgetri_(&n, a.data(), &n, pivots.data(), work.data(), &work_size, &info);
  // A condition number of 1/u or more: no digit of the inverse is meaningful. (NaN fails the comparison as well.)
  return info == 0 && norm * norm1(a) * kUnit < 1;
}

Matrix gather_rows(const Matrix& a, const std::vector<Index>& rows) {
  Matrix result = Matrix::unset(static_cast<Index>(rows.size()), a.cols());
  for (std::size_t r = 0; r < rows.size(); ++r) {
    std::copy_n(a.row(rows[r]), a.cols(), result.row(static_cast<Index>(r)));
  }
  return result;
}

// Outside x86 only the rounding direction is under our control; flush-to-zero is off by default there.
FloatEnvironment::FloatEnvironment() : rounding_(std::fegetround()) {
#ifdef __SSE2__
  mxcsr_ = _mm_getcsr();
#endif
  std::fesetround(FE_TONEAREST);
#ifdef __SSE2__
  // All exceptions masked (0x1f80), round to nearest, neither flush-to-zero nor denormals-are-zero.
  _mm_setcsr(0x1f80);
#endif
}

FloatEnvironment::~FloatEnvironment() {
  std::fesetround(rounding_);
#ifdef __SSE2__
  _mm_setcsr(mxcsr_);
#endif
}

}  // namespace pyregions
