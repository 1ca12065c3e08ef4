// Layer 2. The choice of a violated row, by distance.
#include "pricing.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace pyregions {
namespace {

// Violated rows kept for the next steps, and those that are looked at for more before all are: a product with all rows of a
// large problem costs as much as dozens of steps.
constexpr std::size_t kCandidates = 32, kPool = 256;

// The largest x - y, eight at a time.
PYREGIONS_CLONES double largest_difference(const double* x, const double* y, Index n) {
  constexpr Index kLanes = 8;
  double lanes[kLanes];
  std::fill(lanes, lanes + kLanes, -std::numeric_limits<double>::infinity());
  Index i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (Index l = 0; l < kLanes; ++l) lanes[l] = x[i + l] - y[i + l] > lanes[l] ? x[i + l] - y[i + l] : lanes[l];
  for (; i < n; ++i) lanes[0] = std::max(lanes[0], x[i] - y[i]);
  return *std::max_element(lanes, lanes + kLanes);
}

}  // namespace

Pricing::Pricing(const NearestPointProblem& problem, const UnitRows& unit, double tolerance)
    : problem_(problem), unit_(unit), tolerance_(tolerance), rows_at_y_(static_cast<std::size_t>(unit.rows()), 0.0) {}

void Pricing::ignore(Index id) {
  ignored_.resize(static_cast<std::size_t>(unit_.extra_id() + 1), 0);
  ignored_[id] = 1;
}

void Pricing::ignore_none() { ignored_.clear(); }

bool Pricing::counts(Index id, double excess, double rounding) const {
  return excess > tolerance_ * std::max(1.0, std::fabs(unit_.rhs(id) / unit_.inverse_norm(id))) + rounding &&
         (ignored_.empty() || !ignored_[id]);
}

// The most violated bound, or the extra row.
Pricing::Violated Pricing::worst_bound(const Vector& y, double rounding) const {
  Violated worst;
  const auto offer = [&](Index id, double excess) {
    if (excess > worst.excess && counts(id, excess, rounding)) worst = {id, excess};
  };
  const Index K = unit_.cols();
  if (problem_.lower && largest_difference(problem_.lower, y.data(), K) > 0)
    for (Index k = 0; k < K; ++k) offer(unit_.lower_id(k), problem_.lower[k] - y[k]);
  if (problem_.upper && largest_difference(y.data(), problem_.upper, K) > 0)
    for (Index k = 0; k < K; ++k) offer(unit_.upper_id(k), y[k] - problem_.upper[k]);
  if (unit_.has_extra()) offer(unit_.extra_id(), violation(unit_.extra_id(), y));
  return worst;
}

Pricing::Violated Pricing::worst_candidate(const Vector& y, double rounding) const {
  Violated worst;
  unit_.along(candidates_, y.data(), at_y_);
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const Index id = candidates_[i];
    const double excess = at_y_[i] - unit_.rhs(id);
    if (excess > worst.excess && counts(id, excess, rounding)) worst = {id, excess};
  }
  return worst;
}

// Looks at all rows.
Pricing::Violated Pricing::price(const Vector& y, double rounding, bool stalled) {
  gemv(false, 1.0, *problem_.A, y.data(), 0.0, rows_at_y_.data());
  std::vector<Violated> violated;
  for (Index i = 0; i < unit_.rows(); ++i) {
    const double excess = (rows_at_y_[i] - problem_.b[i]) * unit_.inverse_norm(i);
    if (excess > 0 && unit_.live(i) && counts(i, excess, rounding)) violated.push_back({i, excess});
  }
  pool_.clear();
  candidates_.clear();
  if (violated.empty()) return {};
  return stalled ? violated.front() : keep(violated);
}

// Looks at the pool.
Pricing::Violated Pricing::draw(const Vector& y, double rounding) {
  std::vector<Violated> violated;
  unit_.along(pool_, y.data(), at_y_);
  for (std::size_t i = 0; i < pool_.size(); ++i) {
    const Index id = pool_[i];
    const double excess = at_y_[i] - unit_.rhs(id);
    if (excess > 0 && counts(id, excess, rounding)) violated.push_back({id, excess});
  }
  pool_.clear();
  candidates_.clear();
  return violated.empty() ? Violated{} : keep(violated);
}

// The most violated row; the pool and the candidates are those that come next.
Pricing::Violated Pricing::keep(std::vector<Violated>& violated) {
  const auto more = [](const Violated& a, const Violated& b) { return a.excess != b.excess ? a.excess > b.excess : a.id < b.id; };
  const std::size_t kept = std::min(violated.size(), kPool), few = std::min(kept, kCandidates);
  const auto begin = violated.begin(), end_of_kept = begin + static_cast<Index>(kept);
  if (kept < violated.size()) std::nth_element(begin, end_of_kept, violated.end(), more);
  std::partial_sort(begin, begin + static_cast<Index>(few), end_of_kept, more);
  for (std::size_t i = 1; i < kept; ++i) pool_.push_back(violated[i].id);
  candidates_.assign(pool_.begin(), pool_.begin() + static_cast<Index>(few - 1));
  return violated.front();
}

Index Pricing::choose(const Vector& y, double rounding, bool stalled) {
  const Violated bound = worst_bound(y, rounding);
  Violated row;
  if (!stalled) row = worst_candidate(y, rounding);
  if (!stalled && row.id < 0) row = draw(y, rounding);
  if (row.id < 0) row = price(y, rounding, stalled);
  if (bound.id < 0 || row.id < 0) return std::max(bound.id, row.id);
  return stalled ? std::min(bound.id, row.id) : bound.excess > row.excess ? bound.id : row.id;
}

}  // namespace pyregions
