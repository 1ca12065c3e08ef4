// Layer 3. Bounded or not, with proof: one positive combination and one left inverse, or a direction, or a dimension.
#include <algorithm>
#include <cmath>
#include <limits>

#include "chebyshev.h"
#include "exact_rung.h"
#include "lp.h"

namespace pyregions {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// A lower bound of the rank of the given rows: rows.size() when W C is proven regular, C the right inverse in floats.
bool independent(const RowSystem& rows, const std::vector<Index>& subset) {
  const Halfspaces& all = rows.halfspaces();
  const Index n = static_cast<Index>(subset.size()), d = rows.dim();
  if (n == 0) return true;
  if (n > d) return false;
  const Matrix w = gather_rows(all.A, subset);
  Matrix gram(n, n);
  gemm(false, true, 1.0, w, w, 0.0, gram);
  if (!cholesky(gram)) return false;
  Matrix c(d, n);  // row k = (W W^T)^-1 W e_k
  for (Index k = 0; k < d; ++k)
    for (Index i = 0; i < n; ++i) c(k, i) = w(i, k);
  cholesky_solve_rows(gram, c);
  Matrix product(n, n);
  gemm(false, false, 1.0, w, c, 0.0, product);
  Vector column(at(d), 0.0);  // |C| 1
  for (Index k = 0; k < d; ++k)
    for (Index i = 0; i < n; ++i) column[at(k)] += std::fabs(c(k, i));
  double total = 0;
  for (const double v : column) total += v;
  for (Index i = 0; i < n; ++i) {
    double sum = 0, size = 0;
    for (Index j = 0; j < n; ++j) sum += std::fabs((i == j ? 1.0 : 0.0) - product(i, j));
    for (Index k = 0; k < d; ++k) size += std::fabs(w(i, k)) * column[at(k)];
    sum += size * gamma(3 * d + 8) + all.A_err[at(subset[at(i)])] * total * (1 + gamma(2 * d)) + underflow(4 * d);
    if (!(sum * (1 + gamma(2 * d)) < 0.5)) return false;
  }
  return true;
}

// d rows with large multipliers that are far from dependent: Gram-Schmidt with pivoting on lambda_j |a_j's remainder|.
std::vector<Index> pivot_rows(const RowSystem& rows, const SparseRow& multipliers) {
  const Halfspaces& all = rows.halfspaces();
  const Index d = rows.dim(), n = static_cast<Index>(multipliers.size());
  std::vector<Index> chosen;
  if (n < d) return chosen;
  Matrix rest(n, d);
  for (Index i = 0; i < n; ++i) {
    const Index row = multipliers[at(i)].first;
    // The square root keeps a few huge multipliers from deciding alone; any choice is valid, this one well conditioned.
    const double weight = std::sqrt(multipliers[at(i)].second / rows.norm_upper()[at(row)]);
    for (Index k = 0; k < d; ++k) rest(i, k) = all.A(row, k) * weight;
  }
  for (Index step = 0; step < d; ++step) {
    Index best = -1;
    double largest = 0;
    for (Index i = 0; i < n; ++i) {
      const double size = dot(rest.row(i), rest.row(i), d);
      if (size > largest) largest = size, best = i;
    }
    if (best < 0) return {};
    chosen.push_back(multipliers[at(best)].first);
    Vector q(rest.row(best), rest.row(best) + d);
    const double norm = std::sqrt(largest);
    for (double& v : q) v /= norm;
    for (Index i = 0; i < n; ++i) axpy(-dot(rest.row(i), q.data(), d), q.data(), rest.row(i), d);
    std::fill(rest.row(best), rest.row(best) + d, 0.0);
  }
  return chosen;
}

// x = R (b_S - s_S) + E x with slacks 0 <= s_j <= (C + |G|_1 X) / lambda_j, X = |x|_inf, where the weighted slacks sum to
// G.x + C and E = I - R B. So X <= p + q (C + |G|_1 X) + eps X.
bool enclose(const RowSystem& rows, Boundedness& result) {
  const Halfspaces& all = rows.halfspaces();
  const Index d = rows.dim();
  result.basis = pivot_rows(rows, result.multipliers);
  if (static_cast<Index>(result.basis.size()) != d) return false;
  const Matrix b = gather_rows(all.A, result.basis);
  result.inverse = b;
  if (!invert(result.inverse)) return false;
  const Matrix& r = result.inverse;
  SparseRow negative = result.multipliers;
  for (auto& term : negative) term.second = -term.second;
  const Network::Forms f = rows.forms({negative});
  const double constant = std::max(0.0, f.c[0] + f.c_err[0]) * (1 + 4 * kUnit);
  double tilt = 0;
  for (Index k = 0; k < d; ++k) tilt += std::fabs(f.g(0, k)) + f.g_err(0, k);
  tilt *= 1 + gamma(d + 4);
  Vector lambda(at(d));
  for (Index i = 0; i < d; ++i)
    for (const auto& [row, value] : result.multipliers)
      if (row == result.basis[at(i)]) lambda[at(i)] = value;
  Matrix product(d, d);
  gemm(false, false, 1.0, r, b, 0.0, product);
  Vector base(at(d)), width(at(d)), spread(at(d));
  double epsilon = 0, p = 0, q = 0;
  for (Index k = 0; k < d; ++k) {
    double e = 0, size = 0, sum = 0, weight = 0, slop = 0;
    for (Index j = 0; j < d; ++j) {
      e += std::fabs((k == j ? 1.0 : 0.0) - product(k, j));
      double length = 0;
      for (Index i = 0; i < d; ++i) length += std::fabs(b(j, i));
      const double rkj = std::fabs(r(k, j)), bj = all.b[at(result.basis[at(j)])];
      e += rkj * (length * gamma(2 * d + 4) + static_cast<double>(d) * all.A_err[at(result.basis[at(j)])]);
      sum += r(k, j) * bj;
      size += rkj * std::fabs(bj);
      slop += rkj * all.b_err[at(result.basis[at(j)])];
      weight += rkj / lambda[at(j)];
    }
    e = e * (1 + gamma(4 * d)) + underflow(4 * d * d);
    // NaN included: std::max below would pass over it.
    if (!(e < 0.5) || !std::isfinite(sum + size + slop + weight)) return false;
    epsilon = std::max(epsilon, e);
    base[at(k)] = sum;
    width[at(k)] = (size * gamma(2 * d + 4) + slop) * (1 + gamma(2 * d)) + underflow(2 * d);
    spread[at(k)] = weight * (1 + gamma(2 * d + 4));
    p = std::max(p, std::fabs(sum) + width[at(k)]);
    q = std::max(q, spread[at(k)]);
  }
  const double lost = (q * tilt + epsilon) * (1 + 8 * kUnit);
  if (!(lost < 0.5) || !std::isfinite(constant)) return false;
  const double reach = (p + q * constant) / (1 - lost) * (1 + 16 * kUnit);
  if (!std::isfinite(reach)) return false;
  result.enclosure.lower.resize(at(d));
  result.enclosure.upper.resize(at(d));
  for (Index k = 0; k < d; ++k) {
    const double slop = width[at(k)] + spread[at(k)] * (constant + tilt * reach) + epsilon * reach;
    const double radius = slop * (1 + 8 * kUnit);
    const double slack = std::fabs(base[at(k)]) * (4 * kUnit);
    result.enclosure.lower[at(k)] = std::max(-reach, base[at(k)] - radius - slack);
    result.enclosure.upper[at(k)] = std::min(reach, base[at(k)] + radius + slack);
  }
  return true;
}

// Rows that span the row space: the domain's and the first stage's (deeper rows are combinations of those).
std::vector<Index> spanning_rows(const RowSystem& rows) {
  std::vector<Index> span;
  const Network* net = rows.network();
  const bool cut = net && !net->stages().empty() && net->is_cut(net->stages()[0].pre, 1);
  for (Index j = 0; j < rows.size(); ++j) {
    if (rows.zero_rows()[at(j)]) continue;
    if (j < rows.units() && cut && j >= net->stages()[0].width) continue;
    span.push_back(j);
  }
  return span;
}

// +-e_k with A u <= 0: the open sides of half-open boxes and strips along an axis, where no strict direction exists.
Vector axis_recession(const RowSystem& rows) {
  const Index d = rows.dim();
  Matrix axes(2 * d, d);
  for (Index k = 0; k < d; ++k) {
    axes(2 * k, k) = 1;
    axes(2 * k + 1, k) = -1;
  }
  const RowSystem::Slacks s = rows.slacks(axes, true);
  for (Index i = 0; i < 2 * d; ++i) {
    bool may = true;
    for (Index j = 0; j < rows.size() && may; ++j) may = s.value(i, j) >= -s.error(i, j);
    if (!may) continue;
    const std::vector<int> signs = rows.slack_signs(axes.row(i), true);
    if (std::none_of(signs.begin(), signs.end(), [](int v) { return v < 0; }))
      return Vector(axes.row(i), axes.row(i) + d);
  }
  return {};
}

// Directions among the rows, opposite ones counted once, as far as floats and exact comparison tell: a bound on the
// rank.
Index distinct_directions(const RowSystem& rows, const std::vector<Index>& span) {
  const Halfspaces& all = rows.halfspaces();
  const Index d = rows.dim();
  std::vector<Index> heads;
  for (const Index j : span) {
    bool known = false;
    for (const Index h : heads) {
      const double cosine = dot(all.A.row(j), all.A.row(h), d) / (rows.norm_upper()[at(j)] * rows.norm_upper()[at(h)]);
      // Only near multiples can be multiples; the exact test decides.
      if (std::fabs(cosine) < 1 - 0x1p-20 || parallel_sign(rows.exact_row(j).a, rows.exact_row(h).a) == 0) continue;
      known = true;
      break;
    }
    if (!known) heads.push_back(j);
    if (static_cast<Index>(heads.size()) >= d) return d;
  }
  return static_cast<Index>(heads.size());
}

void decide_first_stage(const RowSystem& rows, const Frame& frame, Boundedness& result) {
  // Product frame: z of the first stage is free (the rank was proven by the caller).
  if (!frame.free_units.empty()) {
    result.bounded = result.modulo_lineality = 0;
    result.proof = "free_unit";
    return;
  }
  Vector general;
  result.direction = strict_recession(rows, frame, &general);
  if (!result.direction.empty()) {
    result.bounded = result.modulo_lineality = 0;
    result.proof = "direction";
    return;
  }
  // Positive implied multipliers on every first-stage row: A u <= 0 forces z.u = 0.
  SparseRow deep;
  for (Index e = 0; e < frame.rows(); ++e)
    if (general[at(e)] > 0) deep.emplace_back(frame.row[at(e)], -general[at(e)] / frame.length[at(e)]);
  const Network::Stage& s = rows.network()->stages()[0];
  const Network::Forms f = rows.stage_forms({deep}, 0);
  for (Index k = 0; k < s.width; ++k)
    if (!(rows.side(k) * f.g(0, k) > f.g_err(0, k)) && !rows.zero_rows()[at(k)]) return;
  result.modulo_lineality = 1;
  for (auto& term : deep) term.second = -term.second;
  result.multipliers = deep;
  if (result.bounded < 0 && rows.dim() == result.rank_lower) {
    result.bounded = 1;
    result.proof = "stage";
  }
}

}  // namespace

Boundedness boundedness(const RowSystem& rows, const Vector& interior) {
  Boundedness result;
  const Index d = rows.dim();
  if (rows.domain().is_box()) {
    result.bounded = result.modulo_lineality = 1;
    result.rank_lower = result.rank_upper = d;
    result.proof = "box";
    result.enclosure = {rows.domain().lower, rows.domain().upper};
    return result;
  }
  const std::vector<Index> span = spanning_rows(rows);
  result.rank_upper = distinct_directions(rows, span);
  const Index count = static_cast<Index>(span.size());
  if (count <= d && independent(rows, span)) result.rank_lower = count;
  if (result.rank_upper < d) {
    result.bounded = 0;
    result.proof = "dimension";
  }
  if (span.empty()) {
    result.modulo_lineality = 1;
    return result;
  }
  const Frame frame = make_frame(rows, interior);
  if (frame.kind == Frame::Kind::first_stage) {
    const std::string proof = result.proof;
    if (result.rank_lower == result.rank_upper) decide_first_stage(rows, frame, result);
    if (proof == "dimension") result.bounded = 0, result.proof = proof;
    return result;
  }
  Vector general, lower, upper;
  result.direction = strict_recession(rows, frame, &general, &lower, &upper);
  if (!result.direction.empty()) {
    result.bounded = 0;
    if (result.proof == "undecided") result.proof = "direction";
    result.modulo_lineality = 0;
    return result;
  }
  if (result.bounded == 0) return result;
  result.direction = axis_recession(rows);
  if (!result.direction.empty()) {
    result.bounded = 0;
    result.proof = "direction";
    return result;
  }
  for (Index e = 0; e < frame.rows(); ++e)
    if (general[at(e)] > 0) result.multipliers.emplace_back(frame.row[at(e)], general[at(e)] / frame.length[at(e)]);
  for (Index k = 0; k < d; ++k) {
    const Index below = frame.lower_row[at(k)], above = frame.upper_row[at(k)];
    if (below >= 0 && lower[at(k)] > 0) result.multipliers.emplace_back(below, lower[at(k)]);
    if (above >= 0 && upper[at(k)] > 0) result.multipliers.emplace_back(above, upper[at(k)]);
  }
  std::sort(result.multipliers.begin(), result.multipliers.end());
  if (enclose(rows, result)) {
    result.bounded = result.modulo_lineality = 1;
    result.rank_lower = d;
    result.proof = "combination";
  } else {
    result.multipliers.clear();
    result.basis.clear();
    result.inverse = Matrix();
  }
  return result;
}

namespace {

// maximise sum t_j subject to a_j.u + t_j <= 0, 0 <= t_j <= 1, rows of length 1. At the optimum t_j = 1 where some
// recession direction leaves row j behind, else 0; the multipliers are at least 1 on the latter and cancel.
ExactRung::Recession propose_recession(const RowSystem& rows, ExactRung& rung) {
  const Halfspaces& all = rows.halfspaces();
  const Index d = rows.dim();
  std::vector<Index> kept;
  for (Index j = 0; j < rows.size(); ++j)
    if (!rows.zero_rows()[at(j)]) kept.push_back(j);
  const Index n = static_cast<Index>(kept.size());
  Matrix a(n, d + n);
  Vector goal(at(d + n), 0.0), lower(at(d + n), -std::numeric_limits<double>::infinity()), upper(at(d + n), -lower[0]);
  for (Index e = 0; e < n; ++e) {
    const Index j = kept[at(e)];
    for (Index k = 0; k < d; ++k) a(e, k) = all.A(j, k) / rows.norm_upper()[at(j)];
    a(e, d + e) = goal[at(d + e)] = upper[at(d + e)] = 1;
    lower[at(d + e)] = 0;
  }
  rows.tally().lps += 1;
  const LpResult lp = maximize_lp(a, Vector(at(n), 0.0), goal, lower, upper);
  ExactRung::Recession result;
  if (lp.status != LpResult::Status::optimal) return result;
  std::vector<Index> level;
  SparseRow weights;
  for (Index e = 0; e < n; ++e) {
    const Index j = kept[at(e)];
    if (lp.x[at(d + e)] < 0.5) level.push_back(j);
    if (lp.row_duals[at(e)] > 0.5) weights.emplace_back(j, lp.row_duals[at(e)] / rows.norm_upper()[at(j)]);
  }
  if (static_cast<Index>(level.size()) < n) {
    result.direction = rung.falling(Vector(lp.x.begin(), lp.x.begin() + d), level);
  } else if (static_cast<Index>(weights.size()) == n) {
    if (std::optional<ExactRung::Balance> found = rung.balance(weights)) result.combination = std::move(found->combination);
  }
  return result;
}

ExactRung::Recession exact_recession(const RowSystem& rows, ExactRung& rung) {
  if (rows.dim() > kFewInputs) {
    try {
      ExactRung::Recession proposed = propose_recession(rows, rung);
      if (!proposed.direction.empty() || !proposed.combination.terms.empty()) return proposed;
    } catch (const OutOfBudget&) {
    }
  }
  return rung.recession();
}

}  // namespace

void settle_boundedness(const RowSystem& rows, Boundedness& answer) {
  if (answer.bounded >= 0 && answer.modulo_lineality >= 0) return;
  try {
    ExactRung rung(rows);
    if (answer.modulo_lineality < 0) {
      ExactRung::Recession cone = exact_recession(rows, rung);
      rows.tally().exact += 1;
      answer.modulo_lineality = cone.direction.empty() ? 1 : 0;
      answer.recession = std::move(cone.direction);
      answer.exact = std::move(cone.combination);
    }
    if (answer.bounded >= 0) return;
    answer.proof = "exact";
    if (!answer.recession.empty()) {
      answer.bounded = 0;
      answer.direction = rounded_direction(answer.recession);
      return;
    }
    // Bounded in the quotient: bounded when there is nothing to divide out.
    std::optional<std::vector<Integer>> line = rung.lineality();
    rows.tally().exact += 1;
    if (!line) return void(answer.proof = "undecided");
    answer.bounded = line->empty() ? 1 : 0;
    if (line->empty()) {
      answer.rank_lower = answer.rank_upper = rows.dim();
    } else {
      answer.line = std::move(*line);
      answer.direction = rounded_direction(answer.line);
    }
  } catch (const OutOfBudget&) {
    rows.tally().undecided += 1;
  }
}

}  // namespace pyregions
