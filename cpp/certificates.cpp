// Layer 2. Checkers of proposed multipliers, in batches, with every rounding accounted for.
#include <algorithm>
#include <cmath>

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

namespace {

// h_j(x) = a_j.x - b_j from the rows as composed.
Network::Forms composed_row(const RowSystem& rows, Index j) {
  const Halfspaces& all = rows.halfspaces();
  Network::Forms form{Matrix(1, rows.dim()), Matrix(1, rows.dim(), all.A_err[at(j)]), {-all.b[at(j)]}, {all.b_err[at(j)]}};
  std::copy(all.A.row(j), all.A.row(j) + rows.dim(), form.g.data());
  return form;
}

}  // namespace

std::vector<std::uint8_t> check_by_box(const RowSystem& rows, const std::vector<SparseRow>& forms, const Vector& lower,
                                       const Vector& upper) {
  std::vector<std::uint8_t> proven(forms.size(), 0);
  std::vector<std::size_t> open;
  for (std::size_t i = 0; i < forms.size(); ++i) {
    // A row by itself: the composed row with its bounds is a form already, and mostly enough.
    const bool alone = forms[i].size() == 1 && forms[i][0].second == 1;
    if (alone && sup_over_box(composed_row(rows, forms[i][0].first), lower, upper)[0] <= 0)
      proven[i] = 1;
    else
      open.push_back(i);
  }
  for (std::size_t first = 0; first < open.size(); first += kFormBlock) {
    const std::size_t last = std::min(open.size(), first + kFormBlock);
    std::vector<SparseRow> block;
    for (std::size_t i = first; i < last; ++i) block.push_back(forms[open[i]]);
    const Vector sup = sup_over_box(rows.forms(block), lower, upper);
    for (std::size_t i = 0; i < sup.size(); ++i) proven[open[first + i]] = sup[i] <= 0 ? 1 : 0;
  }
  return proven;
}

namespace {

// Form i is at most 0 wherever the stage's units have their signs, also without what the claimed row (own[0]) and rows coincident
// with it give to themselves, as a multiple of the claimed row.
bool implied_by_signs(const RowSystem& rows, const Network::Stage& s, const Network::Forms& f, Index i, const std::vector<Index>& own) {
  if (!(f.c[at(i)] + f.c_err[at(i)] * (1 + 2 * kUnit) <= 0)) return false;
  for (Index k = 0; k < s.width; ++k)
    if (!(rows.side(s.offset + k) * f.g(i, k) >= f.g_err(i, k))) return false;
  double itself = 0;
  for (const Index u : own)
    if (u >= s.offset && u < s.offset + s.width)
      itself += (std::fabs(f.g(i, u - s.offset)) + f.g_err(i, u - s.offset)) * (rows.norm_upper()[at(u)] / rows.norm_lower()[at(own[0])]);
  return itself * (1 + gamma(8 + 2 * s.width)) < 1;
}

// Fewer errors may still show that it is.
bool may_be_implied(const RowSystem& rows, const Network::Stage& s, const Network::Forms& f, Index i) {
  bool may = f.c[at(i)] <= f.c_err[at(i)];
  for (Index k = 0; k < s.width && may; ++k) may = rows.side(s.offset + k) * f.g(i, k) >= -f.g_err(i, k);
  return may;
}

Network::Forms one_form(const Network::RefinedForm& form) {
  const auto off = [](const Refined& x) { return (std::fabs(x.value.lo) + x.radius) * (1 + 4 * kUnit); };
  Network::Forms f{Matrix(1, form.g.size()), Matrix(1, form.g.size()), {form.c.value.hi}, {off(form.c)}};
  for (Index k = 0; k < form.g.size(); ++k) f.g(0, k) = form.g[k].value.hi, f.g_err(0, k) = off(form.g[k]);
  return f;
}

}  // namespace

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
      if (implied_by_signs(rows, s, f, r, own[first + i]))
        proven[first + i] = 1;
      else if (may_be_implied(rows, s, f, r) &&
               implied_by_signs(rows, s, one_form(rows.stage_form_refined(block[i], stage)), 0, own[first + i]))
        proven[first + i] = 2;
    }
  }
  return proven;
}

}  // namespace pyregions
