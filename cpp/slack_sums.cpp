// Layer 3. Sums of slacks over a box, by the signs of a stage, by a verified basis; see slack_sums.h.
#include "slack_sums.h"

#include <algorithm>
#include <cmath>

namespace pyregions {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

SparseRow negated(SparseRow form) {
  for (auto& term : form) term.second = -term.second;
  return form;
}

SlackSum weigh(const RowSystem& rows, const SparseRow& multipliers) {
  SlackSum w;
  for (const auto& [row, value] : multipliers) w.weight += value * rows.norm_lower()[at(row)];
  const Index terms = static_cast<Index>(multipliers.size());
  w.weight = std::max(0.0, w.weight * (1 - gamma(terms + 4)) - underflow(terms));
  return w;
}

}  // namespace

SparseRow to_rows(const Frame& frame, const Vector& general, const Vector& lower, const Vector& upper,
                  bool with_bounds) {
  SparseRow out;
  for (Index e = 0; e < frame.rows(); ++e)
    if (general[at(e)] > 0) out.emplace_back(frame.row[at(e)], general[at(e)] / frame.length[at(e)]);
  for (Index k = 0; with_bounds && k < frame.dim; ++k) {
    if (frame.lower_row[at(k)] >= 0 && lower[at(k)] > 0)
      out.emplace_back(frame.lower_row[at(k)], lower[at(k)] / frame.bound_length[at(k)]);
    if (frame.upper_row[at(k)] >= 0 && upper[at(k)] > 0)
      out.emplace_back(frame.upper_row[at(k)], upper[at(k)] / frame.bound_length[at(k)]);
  }
  std::sort(out.begin(), out.end());
  return out;
}

SlackSum slack_sum_by_box(const RowSystem& rows, const SparseRow& multipliers, const Vector& lower,
                          const Vector& upper) {
  SlackSum w = weigh(rows, multipliers);
  w.sum = sup_over_box(rows.forms({negated(multipliers)}), lower, upper)[0];
  w.proven = true;
  return w;
}

// The form's value at the corner where its gradient, as far as it is known, is largest; where the sign of a coordinate is open, its
// true value is at most |g| + radius, and the other side is worth no more than that times the width.
SlackSum refined_slack_sum_by_box(const RowSystem& rows, const SparseRow& multipliers, const Vector& lower,
                                  const Vector& upper) {
  SlackSum w = weigh(rows, multipliers);
  RowSystem::RefinedRow form;
  for (const auto& [row, value] : multipliers) form.emplace_back(row, DoubleDouble{-value, 0});
  const Network::RefinedForm f = rows.refined_form(form);
  const Index d = rows.dim();
  Vector corner(at(d));
  double unclear = 0;
  for (Index k = 0; k < d; ++k) {
    const Refined g = f.g[k];
    corner[at(k)] = g.value.hi > 0 ? upper[at(k)] : lower[at(k)];
    if (g.sign() == 0 && !g.exact_zero())
      unclear += (std::fabs(g.value.hi) + std::fabs(g.value.lo) + g.radius) * (upper[at(k)] - lower[at(k)]);
  }
  RefinedSums total(1, d + RefinedSums::kLanes + 1);
  RefinedVector constant(1);
  constant.set(0, f.c);
  total.add_dot(0, corner.data(), total.factors(f.g));
  total.add_product(0, 1.0, total.factors(constant), 0);
  const Refined sup = total.finish()[0];
  // d terms of three roundings each, and their sum; then hi + lo, rest and the last additions: five more, and as many underflows.
  const double rest = unclear * (1 + gamma(d + 4)) + sup.radius;
  w.sum = (sup.value.hi + sup.value.lo) + rest;
  w.sum += (std::fabs(w.sum) + rest) * (8 * kUnit) + underflow(d + 8);
  w.proven = true;
  return w;
}

SlackSum slack_sum_by_stage(const RowSystem& rows, const SparseRow& deep, int stage, bool strictly) {
  SlackSum w = weigh(rows, deep);
  const Network::Stage& s = rows.network()->stages()[at(stage)];
  const Network::Forms f = rows.stage_forms({negated(deep)}, stage);
  for (Index k = 0; k < s.width; ++k) {
    const double implied = rows.side(s.offset + k) * f.g(0, k), error = f.g_err(0, k);
    if (strictly ? !(implied > error) : !(implied >= error)) return w;
    w.weight += (implied - error) * rows.norm_lower()[at(s.offset + k)] * (1 - 4 * kUnit);
  }
  w.weight *= 1 - gamma(s.width + 4);
  w.sum = f.c[0] + f.c_err[0] + (std::fabs(f.c[0]) + f.c_err[0]) * (4 * kUnit);
  w.proven = true;
  return w;
}

SlackSum slack_sum_by_basis(const RowSystem& rows, SparseRow& multipliers) {
  SlackSum w;
  const Index d = rows.dim();
  if (static_cast<Index>(multipliers.size()) < d + 1) return w;
  const Vector& high = rows.norm_upper();
  std::sort(multipliers.begin(), multipliers.end(),
            [&](const auto& p, const auto& q) { return p.second * high[at(p.first)] > q.second * high[at(q.first)]; });
  const Index pivot = multipliers[0].first;
  std::vector<Index> basis;
  for (Index i = 1; i <= d; ++i) basis.push_back(multipliers[at(i)].first);
  const Halfspaces& all = rows.halfspaces();
  Vector target(at(d));
  for (Index k = 0; k < d; ++k) target[at(k)] = -all.A(pivot, k);
  const BasisEnclosure e = enclose_multipliers(rows, basis, target.data(), all.A_err[at(pivot)]);
  if (!e.regular) return w;
  double error = all.b_err[at(pivot)], size = std::fabs(all.b[at(pivot)]);
  w.sum = all.b[at(pivot)];
  w.weight = rows.norm_lower()[at(pivot)];
  multipliers = {{pivot, 1.0}};
  for (std::size_t i = 0; i < basis.size(); ++i) {
    if (!(e.lambda[i] > e.radius[i])) return w;
    const double b = all.b[at(basis[i])], width = all.b_err[at(basis[i])];
    w.sum += e.lambda[i] * b;
    size += std::fabs(e.lambda[i] * b);
    error += e.radius[i] * (std::fabs(b) + width) + e.lambda[i] * width;
    w.weight += (e.lambda[i] - e.radius[i]) * rows.norm_lower()[at(basis[i])];
    multipliers.emplace_back(basis[i], e.lambda[i]);
  }
  std::sort(multipliers.begin(), multipliers.end());
  w.sum += error * (1 + gamma(4 * d + 8)) + size * gamma(2 * d + 8) + underflow(2 * d + 2);
  w.weight *= 1 - gamma(4 * d + 8);
  w.proven = true;
  return w;
}

}  // namespace pyregions
