// Layer 0. Products of large matrices on several threads.
#pragma once

#include <functional>

#include "dense.h"

namespace pyregions {

// C = alpha op(A) op(B) + beta C, and the lower triangle of C = alpha A^T A + beta C, in blocks of rows of C whose size does
// not depend on the number of workers. What is above the triangle may be overwritten.
void gemm(int workers, bool transpose_a, bool transpose_b, double alpha, const Matrix& a, const Matrix& b, double beta, Matrix& c);
void syrk(int workers, double alpha, const Matrix& a, double beta, Matrix& c);
// each(i) for all rows of a matrix, in blocks.
void for_rows(int workers, Index rows, Index cols, const std::function<void(Index)>& each);
// All products of rows of A with each other.
Matrix gram(int workers, const Matrix& a);
// B = B op(L), L lower triangular.
void multiply_right(int workers, bool transpose, const Matrix& lower, Matrix& b);

}  // namespace pyregions
