// Layer 2. Exact answers from float proposals by one exact solve each: combinations of rows that vanish, directions along
// which no row rises.
#include <numeric>

#include "exact_program.h"
#include "exact_solve.h"

namespace pyregions {

namespace {

constexpr int kDigits = 30;  // of a proposed float that are kept: its solver claims fewer

// The floats as integers times a common power of two, each with kDigits bits or as many as the smallest one needs.
std::vector<Integer> on_a_grid(const std::vector<Dyadic>& values, bool relative_to_smallest) {
  long reference = 0;
  bool any = false;
  for (const Dyadic& v : values) {
    if (v.is_zero()) continue;
    const long top = v.exponent + bits(v.mantissa);
    reference = !any ? top : relative_to_smallest ? std::min(reference, top) : std::max(reference, top);
    any = true;
  }
  std::vector<Integer> out;
  for (const Dyadic& v : values) out.push_back(shifted(v.mantissa, v.exponent - (reference - kDigits)));
  return out;
}

}  // namespace

std::optional<ExactRung::Balance> ExactRung::balance(const SparseRow& weights) {
  std::vector<Dyadic> scaled;  // multipliers of the integer rows
  std::vector<double> importance;
  for (const auto& [j, value] : weights) {
    if (!(value > 0) || !std::isfinite(value) || is_zero(j)) return std::nullopt;
    row(j);
    scaled.emplace_back(value);
    scaled.back().exponent += exponent_[at(j)];
    importance.push_back(value * rows_.norm_upper()[at(j)]);
  }
  std::vector<Integer> fixed = on_a_grid(scaled, true);
  std::vector<std::size_t> order(weights.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t p, std::size_t q) { return importance[p] > importance[q]; });
  std::vector<std::vector<Integer>> normals;
  for (const std::size_t i : order) normals.push_back(row(weights[i].first).a);
  const std::vector<Index> basis = independent_rows(normals);
  std::vector<std::uint8_t> solved_for(weights.size(), 0);
  std::vector<std::vector<Integer>> columns;
  for (const Index b : basis) solved_for[order[at(b)]] = 1, columns.push_back(normals[at(b)]);
  std::vector<Integer> target(at(rows_.dim()));
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (solved_for[i]) continue;
    const std::vector<Integer>& a = row(weights[i].first).a;
    for (std::size_t k = 0; k < target.size(); ++k) target[k] -= fixed[i] * a[k];
  }
  if (all_zero(target)) return std::nullopt;
  const std::optional<ExactSolution> s = exact_solve(columns, target, Deadline(rows_.exact_budget()));
  if (!s) return std::nullopt;
  for (std::size_t i = 0; i < weights.size(); ++i)
    if (!solved_for[i]) fixed[i] *= s->denominator;
  for (std::size_t b = 0; b < basis.size(); ++b) {
    if (s->numerators[b].sign() <= 0) return std::nullopt;
    fixed[order[at(basis[b])]] = s->numerators[b];
  }
  Balance result;
  std::vector<std::pair<Index, Integer>> terms;
  Integer offset = 0, length = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    const Index j = weights[i].first;
    terms.emplace_back(j, fixed[i]);
    offset += fixed[i] * row(j).b;
    length += fixed[i] * norm(row(j), false);
  }
  result.radius = rational_to_double(offset << static_cast<unsigned long>(kNormBits), length, 1);
  std::sort(terms.begin(), terms.end(), [](const auto& p, const auto& q) { return p.first < q.first; });
  result.combination = original(0, -1, terms);
  return result;
}

std::vector<Integer> ExactRung::falling(const Vector& proposal, const std::vector<Index>& level) {
  const Index d = rows_.dim();
  std::vector<Dyadic> values;
  for (const double v : proposal) {
    if (!std::isfinite(v)) return {};
    values.emplace_back(v);
  }
  std::vector<Integer> u = on_a_grid(values, false);
  std::vector<std::vector<Integer>> normals;
  for (const Index j : level) normals.push_back(row(j).a);
  const std::vector<Index> chosen = independent_rows(normals);
  if (!chosen.empty()) {
    // The other coordinates as proposed, those that the level rows determine solved for.
    std::vector<std::vector<Integer>> columns(at(d), std::vector<Integer>(chosen.size())), basis;
    for (std::size_t i = 0; i < chosen.size(); ++i)
      for (Index k = 0; k < d; ++k) columns[at(k)][i] = normals[at(chosen[i])][at(k)];
    const std::vector<Index> determined = independent_rows(columns);
    std::vector<std::uint8_t> bound(at(d), 0);
    for (const Index k : determined) basis.push_back(columns[at(k)]), bound[at(k)] = 1;
    std::vector<Integer> target(chosen.size());
    for (Index k = 0; k < d; ++k)
      for (std::size_t i = 0; !bound[at(k)] && i < target.size(); ++i) target[i] -= u[at(k)] * columns[at(k)][i];
    if (all_zero(target)) {
      for (const Index k : determined) u[at(k)] = 0;
    } else {
      const std::optional<ExactSolution> s = exact_solve(basis, target, Deadline(rows_.exact_budget()));
      if (!s) return {};
      for (Index k = 0; k < d; ++k)
        if (!bound[at(k)]) u[at(k)] *= s->denominator;
      for (std::size_t i = 0; i < determined.size(); ++i) u[at(determined[i])] = s->numerators[i];
    }
  }
  bool falls = false;
  for (Index j = 0; j < count(); ++j) {
    if (is_zero(j)) continue;
    const int sign = integer_dot(row(j).a, u).sign();
    if (sign > 0) return {};
    falls = falls || sign < 0;
  }
  return falls ? u : std::vector<Integer>{};
}

}  // namespace pyregions
