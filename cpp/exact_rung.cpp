// Layer 2. Exact decisions about one cell: programs that take in rows only as they are violated, and roundings that are
// checked until they hold.
#include "exact_program.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "exact_solve.h"

namespace pyregions {

namespace {
bool contains(const std::vector<Index>& group, Index j) { return std::find(group.begin(), group.end(), j) != group.end(); }
}  // namespace

ExactRung::ExactRung(const RowSystem& rows, std::vector<IntegerRow> extra)
    : rows_(rows), extra_(std::move(extra)), cache_(at(rows.size())), exponent_(at(count()), 0) {}

const IntegerRow& ExactRung::row(Index j) {
  if (j >= rows_.size()) return extra_[at(j - rows_.size())];
  std::optional<IntegerRow>& known = cache_[at(j)];
  if (!known) known = integer_row(rows_.exact_row(j), exponent_[at(j)]);
  return *known;
}

bool ExactRung::is_zero(Index j) {
  return j < rows_.size() ? rows_.zero_rows()[at(j)] != 0 : all_zero(extra_[at(j - rows_.size())].a);
}

Integer ExactRung::norm(const IntegerRow& row, bool up) const {
  Integer square = 0;
  for (const Integer& v : row.a) square += v * v;
  square <<= 2 * kNormBits;
  Integer root = sqrt(square);
  if (up && root * root != square) ++root;
  return root;  // of 2^kNormBits times the row
}

Combination ExactRung::original(const Integer& own, Index own_row, const std::vector<std::pair<Index, Integer>>& terms) {
  // An integer row is 2^-e times the true one: its multiplier is 2^-e times as large for the true one.
  long lift = own_row >= 0 ? exponent_[at(own_row)] : std::numeric_limits<long>::min();
  for (const auto& [j, value] : terms) lift = std::max(lift, exponent_[at(j)]);
  Combination c;
  if (own_row >= 0) c.own = shifted(own, lift - exponent_[at(own_row)]);
  Integer common = c.own;
  for (const auto& [j, value] : terms) {
    c.terms.emplace_back(j, shifted(value, lift - exponent_[at(j)]));
    common = gcd(common, c.terms.back().second);
  }
  if (common > 1) {
    c.own /= common;
    for (auto& term : c.terms) term.second /= common;
  }
  return c;
}

std::vector<int> ExactRung::signs(const Parts& point) const {
  std::vector<int> result = rows_.slack_signs(point);
  if (extra_.empty()) return result;
  const DyadicVector x = exact_point(point);
  for (const IntegerRow& row : extra_) {
    DyadicVector a(static_cast<Index>(row.a.size()));
    a.mantissa = row.a;
    Dyadic b;
    b.mantissa = row.b;
    result.push_back(b.compare(dot(a, x)));
  }
  return result;
}

std::optional<Combination> ExactRung::implied(const std::vector<Index>& group, const std::vector<Index>& proposed) {
  const Index i = group[0];
  std::vector<Index> support;
  std::copy_if(proposed.begin(), proposed.end(), std::back_inserter(support), [&](Index j) { return !contains(group, j); });
  std::vector<std::vector<Integer>> normals;
  for (const Index j : support) normals.push_back(row(j).a);
  const Deadline deadline(rows_.exact_budget());
  const std::optional<ExactSolution> solved = exact_solve(normals, row(i).a, deadline);
  if (!solved) return std::nullopt;
  Integer gap = solved->denominator * row(i).b;
  std::vector<std::pair<Index, Integer>> terms;
  for (std::size_t k = 0; k < support.size(); ++k) {
    const Integer& value = solved->numerators[k];
    if (value.sign() < 0) return std::nullopt;
    if (value.is_zero()) continue;
    gap -= value * row(support[k]).b;
    terms.emplace_back(support[k], value);
  }
  if (gap.sign() < 0) return std::nullopt;
  std::sort(terms.begin(), terms.end(), [](const auto& p, const auto& q) { return p.first < q.first; });
  return original(solved->denominator, i, terms);
}

ExactRung::ScaledRow ExactRung::difference(Index i, const SparseRow& shares, const Parts& x) const {
  ExactRow own = rows_.exact_row(i);
  for (const auto& [j, share] : shares) {
    ExactRow other = rows_.exact_row(j);
    const Dyadic factor(-share);
    if (factor.is_zero()) continue;
    for (Integer& m : other.a.mantissa) m *= factor.mantissa;
    other.a.exponent += factor.exponent;
    own.a.add(other.a);
    own.b = own.b + factor * other.b;
  }
  const Dyadic slack = own.b - dot(own.a, exact_point(x));
  if (all_zero(own.a.mantissa)) return {{}, slack.to_double(), 0};
  Dyadic largest;
  for (const Integer& m : own.a.mantissa) largest.mantissa = std::max(largest.mantissa, Integer(abs(m)));
  largest.exponent = own.a.exponent;
  const long up = slack.exponent - own.a.exponent;
  return {rounded_direction(own.a.mantissa),
          rational_to_double(shifted(slack.mantissa, std::max(0L, up)), shifted(largest.mantissa, std::max(0L, -up))),
          largest.to_double()};
}

std::optional<Combination> ExactRung::opposed(const std::vector<Index>& support) {
  if (support.size() < 2) return std::nullopt;
  const Index pivot = support.back();
  std::vector<std::vector<Integer>> normals;
  for (std::size_t k = 0; k + 1 < support.size(); ++k) normals.push_back(row(support[k]).a);
  std::vector<Integer> target = row(pivot).a;
  if (all_zero(target)) return std::nullopt;
  for (Integer& v : target) v = -v;
  const std::optional<ExactSolution> solved = exact_solve(normals, target, Deadline(rows_.exact_budget()));
  if (!solved) return std::nullopt;
  Integer sum = solved->denominator * row(pivot).b;
  std::vector<std::pair<Index, Integer>> terms{{pivot, solved->denominator}};
  for (std::size_t k = 0; k < normals.size(); ++k) {
    const Integer& value = solved->numerators[k];
    if (value.sign() < 0) return std::nullopt;
    if (value.is_zero()) continue;
    sum += value * row(support[k]).b;
    terms.emplace_back(support[k], value);
  }
  if (sum.sign() > 0) return std::nullopt;
  std::sort(terms.begin(), terms.end(), [](const auto& p, const auto& q) { return p.first < q.first; });
  return original(0, -1, terms);
}

std::optional<std::pair<Integer, std::vector<Integer>>> ExactRung::solve(const std::vector<Index>& rows,
                                                                          const std::vector<Integer>& target) {
  std::vector<std::vector<Integer>> normals;
  long lowest = 0;
  for (const Index j : rows) {
    normals.push_back(row(j).a);
    lowest = std::max(lowest, exponent_[at(j)]);
  }
  std::optional<ExactSolution> solved = exact_solve(normals, target, Deadline(rows_.exact_budget()));
  if (!solved) return std::nullopt;
  // Integer rows are 2^-e times the true ones.
  for (std::size_t k = 0; k < rows.size(); ++k) solved->numerators[k] = shifted(solved->numerators[k], lowest - exponent_[at(rows[k])]);
  return std::make_pair(shifted(solved->denominator, lowest), std::move(solved->numerators));
}

ExactRung::Side ExactRung::side(const std::vector<Index>& group, const std::vector<Index>& support, const Parts& interior) {
  Side result;
  const Index i = group[0];
  const IntegerRow own = row(i);
  // Redundant rows stay in: a row that this group implies may be violated together with it.
  std::vector<std::uint8_t> out(at(count()), 0);
  for (const Index j : group) out[at(j)] = 1;
  Program program(*this, {}, false, std::move(out));
  Integer beyond = abs(own.b) + 1;  // how far beyond the row to look
  for (const Integer& v : own.a) beyond = std::max(beyond, Integer(abs(v)));
  program.lp().set_objective(own.a);
  program.add_other({own.a, own.b + beyond});
  for (const Index j : support)
    if (!contains(group, j)) program.lp().enter(program.add(j));
  if (program.solve() != ExactLp::Status::optimal) throw UndecidedError("the cell lost its interior point", {i});
  const Integer& scale = program.lp().denominator();
  const Integer excess = program.lp().value() - scale * own.b;  // h_i at the optimum, over scale
  if (excess.sign() <= 0) {
    result.proof = original(scale, i, program.multipliers());
    return result;
  }
  // From the optimum x a little towards the interior point c: (1 - 2^-k) x + 2^-k c still violates the row.
  result.facet = true;
  const DyadicVector c = exact_point(interior);
  const long low = std::min(0L, c.exponent);
  std::vector<Integer> center;  // times 2^-low
  for (const Integer& m : c.mantissa) center.push_back(shifted(m, c.exponent - low));
  const Integer inside = shifted(own.b, -low) - integer_dot(own.a, center);  // slack at c, times 2^-low
  const Integer there = shifted(excess, -low), here = inside * scale;
  const long k = std::max(1L, bits(there + here) - bits(there) + 1);
  const std::vector<Integer> optimum = program.lp().numerators();
  std::vector<Integer> x = optimum;
  for (std::size_t v = 0; v < x.size(); ++v) x[v] = shifted(shifted(x[v], k) - x[v], -low) + center[v] * scale;
  const auto proves = [&](const Parts& point) {
    const std::vector<int> s = signs(point);
    for (Index j = 0; j < count(); ++j) {
      if (contains(group, j) ? s[at(j)] >= 0 : s[at(j)] < 0) return false;
    }
    return true;
  };
  result.witness = round(x, shifted(scale, k - low), proves);
  if (result.witness.empty()) result.witness = round(optimum, scale, proves);  // between subnormals there is nothing else
  if (result.witness.empty()) throw UndecidedError(kOutOfRange, {i});
  return result;
}

ExactRung::Interior ExactRung::interior(double reach) {
  Interior result;
  for (Index j = 0; j < count(); ++j)
    if (is_zero(j) && (j < rows_.size() ? row(j).b.sign() < 0 : row(j).b.sign() <= 0)) {  // 0.x <= b < 0
      result.proof = original(0, -1, {{j, Integer(1)}});
      return result;
    }
  // a_j.x + |a_j| t <= b_j, t <= reach: lengths rounded down, to the integers of a row scaled up.
  std::vector<Integer> lengths(at(count()));
  for (Index j = 0; j < count(); ++j)
    if (!is_zero(j)) lengths[at(j)] = std::max(Integer(1), Integer(norm(row(j), false) >> kNormBits));
  Program program(*this, lengths, false, std::vector<std::uint8_t>(at(count()), 0));
  const Index d = rows_.dim();
  std::vector<Integer> t(at(d) + 1, 0);
  t.back() = 1;
  program.lp().set_objective(t);
  int exponent = 0;
  std::frexp(reach, &exponent);
  IntegerRow cap{t, 1};
  if (std::isfinite(reach) && exponent > 0) cap.b <<= exponent;
  program.add_other(cap);
  if (program.solve() != ExactLp::Status::optimal) throw UndecidedError("an exact program over the cell had no optimum");
  if (program.lp().value().sign() <= 0) {
    result.proof = original(0, -1, program.multipliers());
    return result;
  }
  std::vector<Integer> x = program.lp().numerators();
  x.pop_back();
  result.point = round(x, program.lp().denominator(), [&](const Parts& point) {
    const std::vector<int> s = signs(point);
    for (Index j = 0; j < count(); ++j)
      if (s[at(j)] < 0 || (s[at(j)] == 0 && !is_zero(j))) return false;
    return true;
  });
  if (result.point.empty()) throw UndecidedError(kOutOfRange);
  return result;
}

ExactRung::Recession ExactRung::recession() {
  Recession result;
  Program program(*this, {}, true, std::vector<std::uint8_t>(at(count()), 0));
  std::vector<Integer> c(at(rows_.dim()), 0);
  for (Index j = 0; j < count(); ++j)
    if (!is_zero(j))
      for (std::size_t k = 0; k < c.size(); ++k) c[k] -= row(j).a[k];
  program.lp().set_objective(c);
  program.add_other({c, 1});
  if (program.solve() != ExactLp::Status::optimal) throw UndecidedError("an exact program over the recession cone had no optimum");
  if (program.lp().value().sign() > 0) {
    result.direction = program.lp().numerators();
    return result;
  }
  // scale * c = sum lambda a, so sum (scale + lambda_j) a_j = 0 over all nonzero rows.
  std::vector<Integer> weight(at(count()), program.lp().denominator());
  for (const auto& [j, value] : program.multipliers()) weight[at(j)] += value;
  std::vector<std::pair<Index, Integer>> terms;
  for (Index j = 0; j < count(); ++j)
    if (!is_zero(j)) terms.emplace_back(j, weight[at(j)]);
  if (!terms.empty()) result.combination = original(0, -1, terms);
  return result;
}

std::optional<std::vector<Integer>> ExactRung::lineality() {
  const Index d = rows_.dim();
  std::vector<std::vector<Integer>> normals;
  for (Index j = 0; j < count(); ++j)
    if (!is_zero(j)) normals.push_back(row(j).a);
  const std::vector<Index> chosen = independent_rows(normals);
  if (static_cast<Index>(chosen.size()) == d) return std::vector<Integer>{};
  // Coordinates that the chosen rows determine, and one more: u with that coordinate 1 and the chosen rows zero.
  std::vector<std::vector<Integer>> columns(at(d), std::vector<Integer>(chosen.size()));
  for (std::size_t i = 0; i < chosen.size(); ++i)
    for (Index k = 0; k < d; ++k) columns[at(k)][i] = normals[at(chosen[i])][at(k)];
  const std::vector<Index> determined = independent_rows(columns);
  std::vector<std::vector<Integer>> basis;
  std::vector<std::uint8_t> bound(at(d), 0);
  for (const Index k : determined) basis.push_back(columns[at(k)]), bound[at(k)] = 1;
  const Index open = std::find(bound.begin(), bound.end(), 0) - bound.begin();
  std::vector<Integer> u(at(d), 0);
  const std::optional<ExactSolution> s = exact_solve(basis, columns[at(open)], Deadline(rows_.exact_budget()));
  if (!s) return std::nullopt;
  u[at(open)] = -s->denominator;
  for (std::size_t i = 0; i < determined.size(); ++i) u[at(determined[i])] = s->numerators[i];
  for (const std::vector<Integer>& a : normals)
    if (!integer_dot(a, u).is_zero()) return std::nullopt;  // the prime has hidden a row
  return u;
}

ExactRung::Ball ExactRung::ball() {
  Ball result;
  // Every row scaled by 2^kNormBits, so that rounding its length down to an integer costs 2^-60 of it.
  std::vector<Integer> lengths(at(count()));
  for (Index j = 0; j < count(); ++j) {
    if (is_zero(j)) continue;
    lengths[at(j)] = norm(row(j), false);
    IntegerRow& own = *cache_[at(j)];
    for (Integer& v : own.a) v <<= kNormBits;
    own.b <<= kNormBits;
    exponent_[at(j)] -= kNormBits;
  }
  Program program(*this, lengths, false, std::vector<std::uint8_t>(at(count()), 0));
  std::vector<Integer> radius(at(rows_.dim()) + 1, 0);
  radius.back() = 1;
  program.lp().set_objective(radius);
  const ExactLp::Status status = program.solve();
  if (status == ExactLp::Status::infeasible) throw UndecidedError("the cell lost its interior point");
  std::vector<Integer> x = status == ExactLp::Status::unbounded ? program.lp().ray() : program.lp().numerators();
  x.pop_back();
  if (status == ExactLp::Status::unbounded) {
    result.direction = std::move(x);
    return result;
  }
  const Integer &value = program.lp().value(), &scale = program.lp().denominator();
  result.upper = rational_to_double(value, scale, 1);
  result.combination = original(0, -1, program.multipliers());
  const auto slack_at = [&](const Parts& point, Index j) {  // over 2^-low
    const DyadicVector p = exact_point(point);
    DyadicVector a(rows_.dim());
    a.mantissa = row(j).a;
    Dyadic b;
    b.mantissa = row(j).b;
    return b - dot(a, p);
  };
  double lower = 0;
  result.center = round(x, scale, [&](const Parts& point) {
    lower = std::numeric_limits<double>::infinity();
    for (Index j = 0; j < count() && lower > 0; ++j) {
      if (is_zero(j)) continue;
      const Dyadic slack = slack_at(point, j);
      if (slack.sign() <= 0) return false;
      const Integer length = norm(row(j), true);  // of 2^kNormBits times the scaled row
      const Integer num = shifted(slack.mantissa, kNormBits + std::max(0L, slack.exponent));
      lower = std::min(lower, rational_to_double(num, shifted(length, std::max(0L, -slack.exponent)), -1));
    }
    return lower >= result.upper * (1 - 0x1p-30);
  });
  if (result.center.empty()) throw UndecidedError(kOutOfRange);
  result.lower = lower;
  return result;
}

}  // namespace pyregions
