// Layer 0. Products in blocks of rows, one after the other on whichever thread is free; see parallel_dense.h.
#include "parallel_dense.h"

#include <algorithm>
#include <stdexcept>

#include "pool.h"

namespace pyregions {

namespace {
// Rows per block: enough blocks for some threads, few enough that to repack the other matrix for each of them costs little.
// Blocks of a triangle differ in size.
constexpr Index kBlocks = 8, kTriangleBlocks = 16;
Index block_rows(Index rows, Index blocks = kBlocks) {
  constexpr Index kStep = 64, kLeast = 128, kMost = 512;
  return std::clamp((rows / blocks + kStep - 1) / kStep * kStep, kLeast, kMost);
}
constexpr Index kWorthThreads = Index{1} << 22;  // products of two numbers: less takes no longer than to start threads
}  // namespace

void gemm(int workers, bool transpose_a, bool transpose_b, double alpha, const Matrix& a, const Matrix& b, double beta, Matrix& c) {
  const Index m = transpose_a ? a.cols() : a.rows(), k = transpose_a ? a.rows() : a.cols(), n = transpose_b ? b.rows() : b.cols();
  if (c.rows() != m || c.cols() != n || k != (transpose_b ? b.cols() : b.rows()))
    throw std::invalid_argument("gemm: shapes do not fit");
  const Index size = block_rows(m);
  parallel_for((m + size - 1) / size, m * n * k < kWorthThreads ? 1 : workers, [&](Index block) {
    const Index first = block * size, count = std::min(size, m - first);
    gemm(transpose_a, transpose_b, count, n, k, alpha, transpose_a ? a.data() + first : a.row(first), a.cols(), b.data(),
         b.cols(), beta, c.row(first), n);
  });
}

void syrk(int workers, double alpha, const Matrix& a, double beta, Matrix& c) {
  const Index k = a.cols(), size = block_rows(k, kTriangleBlocks), blocks = (k + size - 1) / size;
  if (c.rows() != k || c.cols() != k) throw std::invalid_argument("syrk: shapes do not fit");
  parallel_for(blocks, a.rows() * k * k < 2 * kWorthThreads ? 1 : workers, [&](Index i) {
    const Index first = (blocks - 1 - i) * size, count = std::min(size, k - first);  // the longest first
    gemm(true, false, count, first + count, a.rows(), alpha, a.data() + first, k, a.data(), k, beta, c.row(first), k);
  });
}

void for_rows(int workers, Index rows, Index cols, const std::function<void(Index)>& each) {
  constexpr Index kRows = 64, kWorthReading = Index{1} << 18;
  parallel_for((rows + kRows - 1) / kRows, rows * cols < kWorthReading ? 1 : workers, [&](Index block) {
    for (Index i = block * kRows; i < std::min(rows, (block + 1) * kRows); ++i) each(i);
  });
}

Matrix gram(int workers, const Matrix& a) {
  const Index n = a.rows(), k = a.cols(), size = block_rows(n, kTriangleBlocks), blocks = (n + size - 1) / size;
  Matrix c = Matrix::unset(n, n);
  parallel_for(blocks, n * n * k < 2 * kWorthThreads ? 1 : workers, [&](Index i) {
    const Index first = (blocks - 1 - i) * size, count = std::min(size, n - first);  // the longest first
    gemm(false, true, count, first + count, k, 1.0, a.row(first), k, a.data(), k, 0.0, c.row(first), n);
    constexpr Index kTile = 32;  // of the mirror image, in the cache both ways
    for (Index tile = 0; tile < first; tile += kTile)
      for (Index r = first; r < first + count; ++r)
        for (Index j = tile; j < std::min(first, tile + kTile); ++j) c(j, r) = c(r, j);
  });
  return c;
}

void multiply_right(int workers, bool transpose, const Matrix& lower, Matrix& b) {
  const Index m = b.rows(), k = b.cols(), size = block_rows(m);
  if (lower.rows() != k || lower.cols() != k) throw std::invalid_argument("multiply_right: shapes do not fit");
  parallel_for((m + size - 1) / size, m * k * k < 2 * kWorthThreads ? 1 : workers, [&](Index block) {
    const Index first = block * size;
    multiply_right(transpose, std::min(size, m - first), lower, b.row(first));
  });
}

}  // namespace pyregions
