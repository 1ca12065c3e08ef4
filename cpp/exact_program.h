// Layer 2, private to the exact rung: its programs over integer rows, and the roundings of what they find.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "exact_rung.h"

namespace pyregions {

inline std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Euclidean lengths of integer rows are known as integers times 2^-kNormBits.
inline constexpr long kNormBits = 64;
inline constexpr const char* kOutOfRange = "the point that decides lies outside the range of doubles";
inline constexpr Index kMostParts = 24;  // 24 * 53 bits: more than the whole range of doubles is needed nowhere

inline long bits(const Integer& v) { return v.is_zero() ? 0 : static_cast<long>(msb(abs(v))) + 1; }

inline Integer shifted(const Integer& v, long by) {
  return by >= 0 ? Integer(v << static_cast<unsigned long>(by)) : Integer(v >> static_cast<unsigned long>(-by));
}

inline long trailing(const Integer& v) { return static_cast<long>(lsb(abs(v))); }

inline Integer integer_dot(const std::vector<Integer>& a, const std::vector<Integer>& x) {
  Integer sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k)
    if (!a[k].is_zero() && !x[k].is_zero()) sum += a[k] * x[k];
  return sum;
}

inline bool all_zero(const std::vector<Integer>& v) {
  return std::all_of(v.begin(), v.end(), [](const Integer& x) { return x.is_zero(); });
}

// An exact program over the rows of the cell: maximise something of (x) or (x, t) with a_j.x + w_j t <= b_j (or 0).
class ExactRung::Program {
 public:
  // weights: w_j per row, empty without t.
  Program(ExactRung& rung, std::vector<Integer> weights, bool homogeneous, std::vector<std::uint8_t> left_out)
      : rung_(rung),
        weights_(std::move(weights)),
        homogeneous_(homogeneous),
        out_(std::move(left_out)),
        deadline_(rung.rows_.exact_budget()),
        lp_(rung.rows_.dim() + (weights_.empty() ? 0 : 1)) {
    for (Index j = 0; j < rung_.count(); ++j)
      if (rung_.is_zero(j)) out_[at(j)] = 1;
  }

  ExactLp& lp() { return lp_; }
  const Deadline& deadline() const { return deadline_; }
  void add_other(const IntegerRow& row) {
    lp_.add(row);
    cell_row_.push_back(-1);
  }
  Index add(Index j) {
    out_[at(j)] = 1;
    IntegerRow row = rung_.row(j);
    if (!weights_.empty()) row.a.push_back(weights_[at(j)]);
    if (homogeneous_) row.b = 0;
    cell_row_.push_back(j);
    return lp_.add(row);
  }
  // Solves with more and more of the rows until none of the others is violated.
  ExactLp::Status solve() {
    while (true) {
      const ExactLp::Status status = lp_.solve(deadline_);
      if (status == ExactLp::Status::infeasible || !take_in(status == ExactLp::Status::unbounded)) return status;
    }
  }
  std::vector<std::pair<Index, Integer>> multipliers() const {  // over rows of the cell
    std::vector<std::pair<Index, Integer>> terms;
    for (const auto& [row, value] : lp_.multipliers())
      if (cell_row_[at(row)] >= 0) terms.emplace_back(cell_row_[at(row)], value);
    std::sort(terms.begin(), terms.end(), [](const auto& p, const auto& q) { return p.first < q.first; });
    return terms;
  }

 private:
  // Adds the rows that are violated most at the current point (or along the ray); false when there are none.
  bool take_in(bool along_ray) {
    const std::vector<Integer> x = along_ray ? lp_.ray() : lp_.numerators();
    std::vector<std::pair<long, Index>> violated;
    for (Index j = 0; j < rung_.count(); ++j) {
      if (out_[at(j)]) continue;
      const IntegerRow& row = rung_.row(j);
      Integer slack = along_ray || homogeneous_ ? Integer(0) : Integer(lp_.denominator() * row.b);
      slack -= integer_dot(row.a, x);
      if (!weights_.empty()) slack -= weights_[at(j)] * x.back();
      if (slack.sign() >= 0) continue;
      long size = 0;
      for (const Integer& v : row.a) size = std::max(size, bits(v));
      violated.emplace_back(size - bits(slack), j);
    }
    if (violated.empty()) return false;
    deadline_.check();
    const std::size_t few = std::min(violated.size(), x.size());
    std::partial_sort(violated.begin(), violated.begin() + static_cast<Index>(few), violated.end());
    for (std::size_t i = 0; i < few; ++i) add(violated[i].second);
    return true;
  }

  ExactRung& rung_;
  std::vector<Integer> weights_;
  bool homogeneous_;
  std::vector<std::uint8_t> out_;  // rows that are in the program already, or must not be
  Deadline deadline_;
  ExactLp lp_;
  std::vector<Index> cell_row_;
};

// The first of 1, 2, ... parts that are accepted; empty when sums of doubles do not reach the point.
template <class Accept>
Parts ExactRung::round(const std::vector<Integer>& numerators, const Integer& denominator, const Accept& accept) const {
  for (Index parts = 1; parts <= kMostParts; ++parts) {
    Parts point = nearest_parts(numerators, denominator, parts);
    if (std::any_of(point.data(), point.data() + point.rows() * point.cols(), [](double v) { return !std::isfinite(v); })) break;
    if (accept(point)) return point;
  }
  return {};
}

}  // namespace pyregions
