// Layer 2. Checkers of proposed multipliers, in batches, with every rounding accounted for.
#include <algorithm>
#include <cmath>
#include <limits>

#include "predicates.h"

namespace pyregions {

namespace {
std::size_t at(Index i) { return static_cast<std::size_t>(i); }
constexpr Index kFormBlock = 128;  // forms checked at once: bounds the size of the adjoint matrices
}  // namespace

Vector sup_over_box(const Network::Forms& forms, const Vector& lower, const Vector& upper) {
  const Index m = forms.g.rows(), d = forms.g.cols();
  Vector sup(at(m));
  for (Index i = 0; i < m; ++i) {
    double sum = forms.c[at(i)], error = forms.c_err[at(i)], size = std::fabs(sum);
    for (Index k = 0; k < d; ++k) {
      const double g = forms.g(i, k), e = forms.g_err(i, k);
      const double reach = std::max(std::fabs(lower[at(k)]), std::fabs(upper[at(k)]));
      sum += g > 0 ? g * upper[at(k)] : g * lower[at(k)];
      error += e * reach;
      size += std::fabs(g) * reach;
    }
    // 2 (d + 1) roundings on terms bounded by size, and as many on the error sum itself.
    sup[at(i)] = (sum + error * (1 + gamma(2 * d + 4)) + size * gamma(2 * d + 4) + underflow(4 * d + 4));
    sup[at(i)] += std::fabs(sup[at(i)]) * (4 * kUnit);
  }
  return sup;
}

std::vector<std::uint8_t> check_by_box(const RowSystem& rows, const std::vector<SparseRow>& forms, const Vector& lower,
                                       const Vector& upper) {
  std::vector<std::uint8_t> proven(forms.size(), 0);
  for (std::size_t first = 0; first < forms.size(); first += kFormBlock) {
    const std::size_t last = std::min(forms.size(), first + kFormBlock);
    const std::vector<SparseRow> block(forms.begin() + static_cast<Index>(first), forms.begin() + static_cast<Index>(last));
    const Vector sup = sup_over_box(rows.forms(block), lower, upper);
    for (std::size_t i = 0; i < sup.size(); ++i) proven[first + i] = sup[i] <= 0 ? 1 : 0;
  }
  return proven;
}

std::vector<std::uint8_t> check_by_stage(const RowSystem& rows, const std::vector<SparseRow>& forms, int stage,
                                         const std::vector<std::vector<Index>>& own) {
  std::vector<std::uint8_t> proven(forms.size(), 0);
  const Network::Stage& s = rows.network()->stages()[at(stage)];
  for (std::size_t first = 0; first < forms.size(); first += kFormBlock) {
    const std::size_t last = std::min(forms.size(), first + kFormBlock);
    const std::vector<SparseRow> block(forms.begin() + static_cast<Index>(first), forms.begin() + static_cast<Index>(last));
    const Network::Forms f = rows.stage_forms(block, stage);
    for (std::size_t i = 0; i < block.size(); ++i) {
      const Index r = static_cast<Index>(i);
      bool good = f.c[i] + f.c_err[i] * (1 + 2 * kUnit) <= 0;
      for (Index k = 0; k < s.width && good; ++k) good = rows.side(s.offset + k) * f.g(r, k) >= f.g_err(r, k);
      // What the claimed row (own[m][0]) and rows coincident with it give to themselves, as a multiple of the claimed row.
      double itself = 0;
      for (const Index u : own[first + i])
        if (u >= s.offset && u < s.offset + s.width)
          itself += (std::fabs(f.g(r, u - s.offset)) + f.g_err(r, u - s.offset)) * rows.norm_upper()[at(u)] /
                    rows.norm_lower()[at(own[first + i][0])];
      good = good && itself * (1 + gamma(8 + 2 * s.width)) < 1;
      proven[first + i] = good ? 1 : 0;
    }
  }
  return proven;
}

BasisEnclosure enclose_multipliers(const RowSystem& rows, const std::vector<Index>& basis, const double* target,
                                   double target_error) {
  BasisEnclosure result;
  const Halfspaces& all = rows.halfspaces();
  const Index d = rows.dim();
  if (static_cast<Index>(basis.size()) != d) return result;
  const Matrix b = gather_rows(all.A, basis);
  Matrix r = b;
  if (!invert(r)) return result;
  // E = I - R B for the exact B within A_err of b. Row sums of |E|, one by one, with the roundings of the product
  // (gamma(d + 2) |R||b|) and the width of B (|R| (d A_err)).
  Matrix product(d, d);
  gemm(false, false, 1.0, r, b, 0.0, product);
  double epsilon = 0;
  Vector row_size(at(d)), row_width(at(d));
  for (Index i = 0; i < d; ++i) {
    double size = 0;
    for (Index k = 0; k < d; ++k) size += std::fabs(b(i, k));
    row_size[at(i)] = size;
    row_width[at(i)] = static_cast<double>(d) * all.A_err[at(basis[at(i)])];
  }
  for (Index i = 0; i < d; ++i) {
    double sum = 0;
    for (Index k = 0; k < d; ++k) {
      sum += std::fabs((i == k ? 1.0 : 0.0) - product(i, k));
      sum += std::fabs(r(i, k)) * (row_size[at(k)] * gamma(2 * d + 4) + row_width[at(k)]);
    }
    sum = sum * (1 + gamma(2 * d + 8)) + underflow(4 * d * d);
    if (!(sum < 0.5)) return result;  // NaN included
    epsilon = std::max(epsilon, sum);
  }
  result.regular = true;
  // lambda = R^T target, then the exact correction B^-T residual = R^T (I - E^T)^-1 residual.
  result.lambda.assign(at(d), 0.0);
  gemv(true, 1.0, r, target, 0.0, result.lambda.data());
  double residual = 0;
  for (Index k = 0; k < d; ++k) {
    double sum = target[k], size = std::fabs(sum), width = target_error;
    for (Index i = 0; i < d; ++i) {
      sum -= b(i, k) * result.lambda[at(i)];
      size += std::fabs(b(i, k) * result.lambda[at(i)]);
      width += all.A_err[at(basis[at(i)])] * std::fabs(result.lambda[at(i)]);
    }
    residual += std::fabs(sum) + size * gamma(2 * d + 4) + width * (1 + gamma(2 * d + 4)) + underflow(4 * d);
  }
  residual *= (1 + gamma(2 * d + 4)) / (1 - epsilon) * (1 + 8 * kUnit);
  result.radius.assign(at(d), 0.0);
  for (Index i = 0; i < d; ++i) {
    double largest = 0;
    for (Index k = 0; k < d; ++k) largest = std::max(largest, std::fabs(r(k, i)));
    result.radius[at(i)] = largest * residual * (1 + 4 * kUnit);
  }
  return result;
}

double sup_by_basis(const RowSystem& rows, const std::vector<Index>& basis, const Network::Forms& form, Vector* lambda) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const Index d = rows.dim();
  double width = 0;
  for (Index k = 0; k < d; ++k) width = std::max(width, form.g_err(0, k));
  const BasisEnclosure e = enclose_multipliers(rows, basis, form.g.row(0), width);
  if (!e.regular) return kInf;
  const Halfspaces& all = rows.halfspaces();
  double sum = form.c[0], size = std::fabs(sum), error = form.c_err[0];
  for (std::size_t i = 0; i < basis.size(); ++i) {
    if (!(e.lambda[i] > e.radius[i])) return kInf;
    const double b = all.b[at(basis[i])], slop = all.b_err[at(basis[i])];
    sum += e.lambda[i] * b;
    size += std::fabs(e.lambda[i] * b);
    error += e.radius[i] * (std::fabs(b) + slop) + e.lambda[i] * slop;
  }
  if (lambda) *lambda = e.lambda;
  // 2 d + 1 roundings on terms bounded by size, as many on the error sum, and the last additions.
  return sum + (error + size * gamma(2 * d + 8) + underflow(2 * d + 2)) * (1 + gamma(4 * d + 8));
}

bool check_by_basis(const RowSystem& rows, Index row, const std::vector<Index>& basis, SparseRow& multipliers) {
  const Halfspaces& all = rows.halfspaces();
  Network::Forms form{Matrix(1, rows.dim()), Matrix(1, rows.dim(), all.A_err[at(row)]), {-all.b[at(row)]}, {all.b_err[at(row)]}};
  std::copy(all.A.row(row), all.A.row(row) + rows.dim(), form.g.data());
  Vector lambda;
  if (!(sup_by_basis(rows, basis, form, &lambda) < 0)) return false;
  multipliers.clear();
  for (std::size_t i = 0; i < basis.size(); ++i) multipliers.emplace_back(basis[i], lambda[i]);
  std::sort(multipliers.begin(), multipliers.end());
  return true;
}

}  // namespace pyregions
