// Layer 2. The verified basis: exact multipliers over dim() rows enclosed in float64, then refined in double-double.
//
// E = I - R B for the exact rows B, |E| <= epsilon < 1 (largest row sum). For any lambda, the exact multipliers of a
// normal t are lambda + B^-T g with g = t - B^T lambda, and B^-T = R^T (I - E^T)^-1; column sums of E^T are row sums of
// E, so component j of the correction is at most max_k |R(k, j)| |g|_1 / (1 - epsilon).
#include <algorithm>
#include <cmath>
#include <limits>

#include "predicates.h"

namespace pyregions {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }
constexpr double kInf = std::numeric_limits<double>::infinity();

// Proposers may name a bound that the domain does not have as row -1.
bool names_rows(const RowSystem& rows, const std::vector<Index>& basis) {
  return static_cast<Index>(basis.size()) == rows.dim() &&
         std::all_of(basis.begin(), basis.end(), [&](Index j) { return j >= 0 && j < rows.size(); });
}

// Radii of the multipliers from a bound of |g|_1.
Vector correction_radius(const BasisInverse& inverse, double residual) {
  const Index d = inverse.R.rows();
  Vector radius(at(d), 0.0);
  for (Index k = 0; k < d; ++k)
    for (Index j = 0; j < d; ++j) radius[at(j)] = std::max(radius[at(j)], std::fabs(inverse.R(k, j)));
  const double scale = residual / (1 - inverse.epsilon) * (1 + 16 * kUnit);
  for (double& r : radius) r *= scale;
  for (double& r : radius) r += r > 0 ? underflow(1) : 0;
  return radius;
}

BasisEnclosure enclose(const RowSystem& rows, const std::vector<Index>& basis, const BasisInverse& inverse, const double* target,
                       double target_error) {
  BasisEnclosure result;
  if (!inverse.regular) return result;
  const Halfspaces& all = rows.halfspaces();
  const Index d = rows.dim();
  const Matrix b = gather_rows(all.A, basis);
  result.regular = true;
  result.lambda.assign(at(d), 0.0);
  gemv(true, 1.0, inverse.R, target, 0.0, result.lambda.data());
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
  result.radius = correction_radius(inverse, residual * (1 + gamma(2 * d + 4)));
  return result;
}

// 1 when every lambda_j > radius_j, -1 when some lambda_j < -radius_j, else 0.
int all_positive(const Vector& lambda, const Vector& radius) {
  int sign = 1;
  for (std::size_t j = 0; j < lambda.size(); ++j) {
    if (lambda[j] < -radius[j]) return -1;
    if (!(lambda[j] > radius[j])) sign = 0;
  }
  return sign;
}

// The float rung: the bound, provided that the multipliers are positive.
double float_bound(const RowSystem& rows, const std::vector<Index>& basis, const Network::Forms& form, const BasisEnclosure& e) {
  const Halfspaces& all = rows.halfspaces();
  const Index d = rows.dim();
  double sum = form.c[0], size = std::fabs(sum), error = form.c_err[0];
  for (std::size_t i = 0; i < basis.size(); ++i) {
    const double b = all.b[at(basis[i])], slop = all.b_err[at(basis[i])];
    sum += e.lambda[i] * b;
    size += std::fabs(e.lambda[i] * b);
    error += e.radius[i] * (std::fabs(b) + slop) + e.lambda[i] * slop;
  }
  // 2 d + 1 roundings on terms bounded by size, as many on the error sum, and the last additions.
  return sum + (error + size * gamma(2 * d + 8) + underflow(2 * d + 2)) * (1 + gamma(4 * d + 8));
}

double largest_error(const Network::Forms& form) {
  return *std::max_element(form.g_err.row(0), form.g_err.row(0) + form.g_err.cols());
}

RowSystem::RefinedRow as_refined(const SparseRow& row) {
  RowSystem::RefinedRow result;
  for (const auto& [j, value] : row) result.emplace_back(j, DoubleDouble{value, 0});
  return result;
}

// Multipliers in double-double, corrected by the float inverse. Every step shrinks the residual by about epsilon until
// the bounds of the residual itself stop it.
class BasisRefinement {
 public:
  BasisRefinement(const RowSystem& rows, const std::vector<Index>& basis, const BasisInverse& inverse, const LinearTarget& target,
                  const Vector& lambda)
      : rows_(rows), basis_(basis), inverse_(inverse), target_(target), outputs_(as_refined(target.outputs)) {
    for (const double value : lambda) lambda_.push_back({value, 0});
  }

  double run(double enough) {
    constexpr int kSteps = 4;  // each gains the digits of the float inverse; pairs have 106 bits
    double before = kInf;
    for (int step = 0; step < kSteps; ++step) {
      evaluate();
      if (!(residual_ < kInf)) return kInf;
      const Vector radius = correction_radius(inverse_, residual_);
      const int sign = signs(radius);
      if (sign < 0) return kInf;
      const Enclosed sup = sign > 0 ? enclosed(radius) : Enclosed{};
      if (sup.upper < enough || sup.lower >= enough || step + 1 == kSteps || !(residual_ < before / 2)) return sup.upper;
      before = residual_;
      correct();
    }
    return kInf;
  }
  Vector leading() const {
    Vector lambda;
    for (const DoubleDouble& value : lambda_) lambda.push_back(value.hi);
    return lambda;
  }

 private:
  // F = target - sum lambda_j h_j and a bound of |g|_1.
  void evaluate() {
    RowSystem::RefinedRow row = as_refined(target_.rows);
    for (std::size_t j = 0; j < basis_.size(); ++j) row.emplace_back(basis_[j], DoubleDouble{-lambda_[j].hi, -lambda_[j].lo});
    form_ = rows_.refined_form(row, outputs_, target_.direct);
    residual_ = 0;
    for (std::size_t k = 0; k < form_.g.hi.size(); ++k)
      residual_ += std::fabs(form_.g.hi[k]) + (std::fabs(form_.g.lo[k]) + form_.g.radius[k]);
    residual_ *= 1 + gamma(3 * rows_.dim() + 4);
  }
  // lambda += R^T g.
  void correct() {
    Vector step(lambda_.size(), 0.0);
    gemv(true, 1.0, inverse_.R, form_.g.hi.data(), 0.0, step.data());
    for (std::size_t j = 0; j < step.size(); ++j) lambda_[j] = add(lambda_[j], {step[j], 0});
  }
  int signs(const Vector& radius) const {
    int sign = 1;
    for (std::size_t j = 0; j < radius.size(); ++j) {
      const int own = Refined{lambda_[j], radius[j]}.sign();
      if (own < 0) return -1;
      if (own == 0) sign = 0;
    }
    return sign;
  }
  // F's constant is lambda.b plus the target's, so what is left is (lambda_exact - lambda).b.
  struct Enclosed {
    double lower = -kInf, upper = kInf;
  };
  Enclosed enclosed(const Vector& radius) const {
    const Halfspaces& all = rows_.halfspaces();
    double room = std::fabs(form_.c.value.lo) + form_.c.radius;
    for (std::size_t j = 0; j < basis_.size(); ++j) room += radius[j] * (std::fabs(all.b[at(basis_[j])]) + all.b_err[at(basis_[j])]);
    const Index d = rows_.dim();
    room = room * (1 + gamma(2 * d + 8)) + underflow(d);
    const double lower = form_.c.value.hi - room, upper = form_.c.value.hi + room;
    return {lower - std::fabs(lower) * (2 * kUnit), upper + std::fabs(upper) * (2 * kUnit)};
  }

  const RowSystem& rows_;
  const std::vector<Index>& basis_;
  const BasisInverse& inverse_;
  const LinearTarget& target_;
  RowSystem::RefinedRow outputs_;
  std::vector<DoubleDouble> lambda_;
  Network::RefinedForm form_;
  double residual_ = 0;
};

}  // namespace

BasisInverse invert_basis(const RowSystem& rows, const std::vector<Index>& basis) {
  BasisInverse result;
  const Halfspaces& all = rows.halfspaces();
  const Index d = rows.dim();
  if (!names_rows(rows, basis)) return result;
  const Matrix b = gather_rows(all.A, basis);
  Matrix& r = result.R = b;
  if (!invert(r)) return result;
  // E = I - R B for the exact B within A_err of b. Row sums of |E|, one by one, with the roundings of the product
  // (gamma(d + 2) |R||b|) and the width of B (|R| (d A_err)).
  Matrix product(d, d);
  gemm(false, false, 1.0, r, b, 0.0, product);
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
    result.epsilon = std::max(result.epsilon, sum);
  }
  result.regular = true;
  return result;
}

BasisEnclosure enclose_multipliers(const RowSystem& rows, const std::vector<Index>& basis, const double* target,
                                   double target_error) {
  return enclose(rows, basis, invert_basis(rows, basis), target, target_error);
}

BasisBound bound_by_basis(const RowSystem& rows, const std::vector<Index>& basis, const Network::Forms& form,
                          const LinearTarget& target, double enough) {
  BasisBound result;
  const BasisInverse inverse = invert_basis(rows, basis);
  const BasisEnclosure e = enclose(rows, basis, inverse, form.g.row(0), largest_error(form));
  if (!e.regular) return result;
  const int sign = all_positive(e.lambda, e.radius);
  if (sign < 0) return result;
  result.lambda = e.lambda;
  if (sign > 0) result.sup = float_bound(rows, basis, form, e);
  if (result.sup < enough) return result;
  BasisRefinement refinement(rows, basis, inverse, target, e.lambda);
  const double refined = refinement.run(enough);
  if (!(refined < result.sup)) return result;
  return {refined, true, refinement.leading()};
}

bool check_by_basis(const RowSystem& rows, Index row, const std::vector<Index>& basis, SparseRow& multipliers) {
  const Halfspaces& all = rows.halfspaces();
  Network::Forms form{Matrix(1, rows.dim()), Matrix(1, rows.dim(), all.A_err[at(row)]), {-all.b[at(row)]}, {all.b_err[at(row)]}};
  std::copy(all.A.row(row), all.A.row(row) + rows.dim(), form.g.data());
  const BasisBound bound = bound_by_basis(rows, basis, form, {{{row, 1.0}}, {}, {}}, 0);
  if (!(bound.sup < 0)) return false;
  ++(bound.refined ? rows.tally().refine : rows.tally().basis);
  multipliers.clear();
  for (std::size_t i = 0; i < basis.size(); ++i) multipliers.emplace_back(basis[i], bound.lambda[i]);
  std::sort(multipliers.begin(), multipliers.end());
  return true;
}

Matrix refine_vertex(const RowSystem& rows, const std::vector<Index>& basis, const Vector& x, const Matrix* inverse) {
  const Index d = rows.dim();
  Matrix best(2, d), own;
  std::copy(x.begin(), x.end(), best.row(0));
  if (!names_rows(rows, basis)) return best;
  if (!inverse) {
    own = gather_rows(rows.halfspaces().A, basis);
    if (!invert(own)) return best;
    inverse = &own;
  }
  constexpr int kSteps = 4;
  Matrix parts = best;
  double least = kInf;
  for (int step = 0; step <= kSteps; ++step) {
    const RefinedVector slack = rows.refined_slacks(parts);
    Vector residual, move(at(d), 0.0);
    double largest = 0;
    for (const Index j : basis) {
      residual.push_back(slack.hi[at(j)]);
      largest = std::max({largest, std::fabs(slack.hi[at(j)]), slack.radius[at(j)]});
    }
    if (!(largest < least)) break;  // no step gains more than the residual can tell
    best = parts;
    least = largest;
    gemv(false, 1.0, *inverse, residual.data(), 0.0, move.data());
    for (Index k = 0; k < d; ++k) {
      const DoubleDouble moved = add({parts(0, k), parts(1, k)}, {move[at(k)], 0});
      parts(0, k) = moved.hi;
      parts(1, k) = moved.lo;
    }
  }
  return best;
}

}  // namespace pyregions
