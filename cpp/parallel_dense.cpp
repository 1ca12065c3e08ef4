// Layer 0. Products in blocks of rows, one after the other on whichever thread is free; see parallel_dense.h.
#include "parallel_dense.h"

#include <algorithm>
#include <stdexcept>

#include "pool.h"

namespace pyregions {

namespace {
constexpr Index kBlock = 128;
constexpr Index kWorthThreads = Index{1} << 22;  // products of two numbers: less takes no longer than to start threads
}  // namespace

void gemm(int workers, bool transpose_a, bool transpose_b, double alpha, const Matrix& a, const Matrix& b, double beta, Matrix& c) {
  const Index m = transpose_a ? a.cols() : a.rows(), k = transpose_a ? a.rows() : a.cols(), n = transpose_b ? b.rows() : b.cols();
  if (c.rows() != m || c.cols() != n || k != (transpose_b ? b.cols() : b.rows()))
    throw std::invalid_argument("gemm: shapes do not fit");
  parallel_for((m + kBlock - 1) / kBlock, m * n * k < kWorthThreads ? 1 : workers, [&](Index block) {
    const Index first = block * kBlock, count = std::min(kBlock, m - first);
    gemm(transpose_a, transpose_b, count, n, k, alpha, transpose_a ? a.data() + first : a.row(first), a.cols(), b.data(),
         b.cols(), beta, c.row(first), n);
  });
}

void syrk(int workers, double alpha, const Matrix& a, double beta, Matrix& c) {
  const Index k = a.cols(), blocks = (k + kBlock - 1) / kBlock;
  if (c.rows() != k || c.cols() != k) throw std::invalid_argument("syrk: shapes do not fit");
  parallel_for(blocks, a.rows() * k * k < 2 * kWorthThreads ? 1 : workers, [&](Index i) {
    const Index first = (blocks - 1 - i) * kBlock, count = std::min(kBlock, k - first);  // the longest first
    gemm(true, false, count, first + count, a.rows(), alpha, a.data() + first, k, a.data(), k, beta, c.row(first), k);
  });
}

}  // namespace pyregions
