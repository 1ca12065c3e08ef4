// Layer 2. The refining rung: slacks and forms of a cell's rows in double-double, points that are sums of doubles.
#include <cmath>
#include <numeric>

#include "predicates.h"

namespace pyregions {

namespace {
std::size_t at(Index i) { return static_cast<std::size_t>(i); }
}  // namespace

std::vector<int> RowSystem::slack_signs(const Matrix& parts, bool linear) const {
  if (parts.rows() == 1) return slack_signs(parts.row(0), linear);
  std::vector<int> signs(at(size()), 0);
  std::vector<Index> open(at(size()));
  std::iota(open.begin(), open.end(), Index{0});
  decide_refined(parts, linear, open, signs);
  decide_exactly(parts, linear, open, signs);
  return signs;
}

void RowSystem::decide_refined(const Matrix& parts, bool linear, std::vector<Index>& open, std::vector<int>& signs) const {
  const RefinedVector slack = refined_slacks(parts, linear);
  std::vector<Index> left;
  for (const Index j : open) {
    const Refined s = slack[j];
    signs[at(j)] = s.sign();
    if (signs[at(j)] == 0 && !s.exact_zero()) left.push_back(j);
  }
  tally_.refine += static_cast<long>(open.size() - left.size());
  open = std::move(left);
}

bool RowSystem::nonzero_refined(Index row) const {
  const RefinedVector g = refined_form({{row, {1, 0}}}).g;
  for (Index k = 0; k < dim(); ++k)
    if (g[k].sign() != 0) return true;
  return false;
}

RefinedVector RowSystem::refined_slacks(const Matrix& parts, bool linear) const {
  RefinedVector slack(size());
  if (units_ > 0) {
    const RefinedVector z = network_->forward_refined(&pattern_, parts, linear).pre;
    for (Index u = 0; u < units_; ++u) {
      const double s = -side(u);
      slack.set(u, {{s * z.hi[at(u)], s * z.lo[at(u)]}, z.radius[at(u)]});
    }
  }
  const RefinedVector x = refined_point(parts);
  for (Index row = units_; row < size(); ++row) slack.set(row, refined_domain_slack(row, x, linear));
  return slack;
}

Refined RowSystem::refined_domain_slack(Index row, const RefinedVector& x, bool linear) const {
  const Label& label = domain_labels_[at(row - units_)];
  const Index k = label.unit;
  if (label.piece == 2) {
    RefinedSums h(1, dim() + RefinedSums::kLanes + 2);
    h.add_dot(0, domain_->A.row(k), h.factors(x));
    if (!linear) h.add(0, -domain_->b[at(k)]);
    const Refined value = h.finish()[0];
    return {{-value.value.hi, -value.value.lo}, value.radius};
  }
  // A bound: three doubles, whose sum is exact but for what does not fit into a pair.
  const double s = label.piece == 0 ? 1.0 : -1.0;
  const double bound = linear ? 0.0 : label.piece == 0 ? domain_->lower[at(k)] : domain_->upper[at(k)];
  const DoubleDouble high = two_sum(s * x.hi[at(k)], -s * bound), low = two_sum(s * x.lo[at(k)], high.lo);
  return {two_sum(high.hi, low.hi), (x.radius[at(k)] + std::fabs(low.lo)) * (1 + 2 * kUnit)};
}

Network::RefinedForm RowSystem::refined_form(const RefinedRow& multipliers, const RefinedRow& outputs,
                                             const Vector& direct) const {
  Network::RefinedForm f{RefinedVector(dim()), {}};
  Network::RefinedEntries units;
  for (const auto& [row, value] : multipliers)
    if (row < units_) units.emplace_back(row, DoubleDouble{side(row) * value.hi, side(row) * value.lo});
  if (!units.empty() || !outputs.empty()) f = network_->backward_refined(pattern_, units, outputs, 0);
  if (units.size() == multipliers.size() && direct.empty()) return f;
  const Index items = static_cast<Index>(multipliers.size()) + 2;
  RefinedSums g(dim(), items), c(1, items);
  const Vector ones(at(dim()), 1.0);
  g.add_diagonal(ones.data(), g.factors(f.g));
  RefinedVector constant(1);
  constant.set(0, f.c);
  c.add_product(0, 1.0, c.factors(constant), 0);
  for (const auto& [row, value] : multipliers) {
    if (row < units_) continue;
    const Label& label = domain_labels_[at(row - units_)];
    const Index k = label.unit;
    const RefinedSums::Factors x = g.factors(value);
    if (label.piece == 2) {
      g.add_scaled(domain_->A.row(k), x, 0);
      c.add_product(0, -domain_->b[at(k)], x, 0);
    } else {
      g.add_product(k, label.piece == 0 ? -1.0 : 1.0, x, 0);
      c.add_product(0, label.piece == 0 ? domain_->lower[at(k)] : -domain_->upper[at(k)], x, 0);
    }
  }
  for (std::size_t k = 0; k < direct.size(); ++k) g.add(static_cast<Index>(k), direct[k]);
  f.g = g.finish();
  f.c = c.finish()[0];
  return f;
}

Network::RefinedForm RowSystem::stage_form_refined(const SparseRow& multipliers, int stage) const {
  Network::RefinedEntries units;
  for (const auto& [row, value] : multipliers) units.emplace_back(row, DoubleDouble{side(row) * value, 0});
  return network_->backward_refined(pattern_, units, {}, network_->stages()[at(stage)].pre);
}

}  // namespace pyregions
