// Layer 3. Float searches of the reduction: row maxima, least-distance solves, LPs. All proposals; judge()
// and prove() decide.
#include <algorithm>
#include <cmath>

#include "lp.h"
#include "parallel_dense.h"
#include "pool.h"
#include "projection.h"
#include "reducer.h"
#include "row_maximum.h"

namespace pyregions::detail {

namespace {
// A ray that leaves the cell through a row proves it a facet if the next wall is farther by more than the bounds of a forward
// pass; this much, relatively, nearly always is.
constexpr double kClearlyFirst = 0x1p-20;
// Of the first round of least-distance solves; see finish().
constexpr double kFirstOvershoot = 0x1p-12, kFirstTilt = 0x1p-24;
// The precision of a point against the distance that it is to lie beyond a row.
constexpr double kOfOvershoot = 0x1p-4;
// Fewer solves do not pay for the products of all rows with each other, where the rows are many.
constexpr Index kWorthProducts = 8, kFewRows = 512;
}  // namespace

// Marks entry e, if it is a row, and the rows that stand back for their group.
std::vector<std::uint8_t> Reducer::all_but(Index e) const {
  std::vector<std::uint8_t> skip(s(frame_.rows()), 0);
  for (Index j = 0; j < frame_.rows(); ++j) skip[s(j)] = group_of_[s(j)] < 0 || j == e ? 1 : 0;
  return skip;
}

bool Reducer::worth_products(std::size_t solves) const {
  return products_ || static_cast<Index>(solves) >= kWorthProducts || frame_.rows() <= kFewRows;
}

// In a box, row by row: a point beyond the row, or multipliers.
void Reducer::maximize_rows() {
  const Index R = frame_.rows(), K = frame_.dim;
  const std::vector<Index> open = open_entries();
  if (open.empty() || fine_ || !rows_.domain().is_box()) return;
  std::vector<RowMaximum> results(open.size());
  const Matrix none, &with_rows = worth_products(open.size()) ? products() : none;
  parallel_for(static_cast<Index>(open.size()), options_.workers, [&](Index i) {
    const Index e = open[s(i)];
    const std::vector<std::uint8_t> skip = all_but(e);
    const Vector row = unit_row(e);
    RowMaximumProblem problem;
    problem.A = &frame_.G;
    if (!with_rows.empty()) problem.products = &with_rows;
    problem.b = frame_.h.data();
    problem.skip = skip.data();
    problem.lower = frame_.lower.data();
    problem.upper = frame_.upper.data();
    problem.c = row.data();
    problem.bar = slack(e);
    problem.own = e < R ? -1 : (e - R) % K;
    problem.margin = kClearlyFirst;
    if (problem.bar > 0) results[s(i)] = row_maximum(problem);
  });
  rows_.tally().active_set += static_cast<long>(open.size());
  std::vector<const Vector*> found;
  std::vector<Claim> claims;
  for (std::size_t i = 0; i < open.size(); ++i) {
    if (results[i].status == RowMaximum::Status::above) found.push_back(&results[i].y);
    if (results[i].status == RowMaximum::Status::below) claims.emplace_back(open[i], std::move(results[i].multipliers));
  }
  harvest_points(found);
  prove(claims);
}

void Reducer::finish() {
  maximize_rows();
  // The claimed row is pushed out by `overshoot` of its slack, so that a solution gives a witness with a margin; `tilt`
  // makes the first stage's bounds carry a positive multiplier each, which absorbs the residual of the float solve. Both
  // only shape proposals: a large overshoot for a margin that bounds of deep networks leave room for, the smaller ones for
  // rows that are closer to redundancy.
  finish_once(kFirstOvershoot, kFirstTilt);
  finish_once(0x1p-20, 0x1p-24);
  finish_once(0x1p-36, 0x1p-34);
}

Reducer::Round Reducer::start_round(const Frame& frame, const Matrix& products, double overshoot, double tilt) const {
  return {frame, overshoot, tilt, kOfOvershoot * overshoot, first_stage_lean(rows_, frame), products};
}

// The point nearest to the centre beyond entry e (by the overshoot of its slack, tilted by the tilt of lean) that violates no
// row but those to skip; or multipliers that say that there is none.
NearestPoint Reducer::beyond(const Round& round, Index e, const std::vector<std::uint8_t>& skip) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const Frame& frame = round.frame;
  const Index R = frame.rows(), K = frame.dim;
  Vector lower = frame.lower, upper = frame.upper, extra(s(K), 0.0);
  double slack = 0;
  if (e < R) {
    for (Index k = 0; k < K; ++k) extra[s(k)] = -frame.G(e, k);
    slack = frame.h[s(e)];
  } else if (e < R + K) {
    extra[s(e - R)] = 1;
    slack = -lower[s(e - R)];
    lower[s(e - R)] = -kInf;
  } else {
    extra[s(e - R - K)] = -1;
    slack = upper[s(e - R - K)];
    upper[s(e - R - K)] = kInf;
  }
  axpy(-round.tilt, round.lean.data(), extra.data(), K);
  NearestPointProblem problem;
  problem.A = &frame.G;
  problem.b = frame.h.data();
  problem.skip = skip.data();
  problem.lower = lower.data();
  problem.upper = upper.data();
  problem.extra = extra.data();
  problem.extra_b = -slack * (1 + round.overshoot);
  problem.row_norms = &frame.scale;
  if (!round.products.empty()) problem.gram = &round.products;
  NearestPointOptions options;
  options.precision = std::max(options.precision, round.precision);
  return nearest_point(problem, options);
}

namespace {
// The multipliers against the extra row, relative to its own; empty where it takes no part.
std::vector<std::pair<Index, double>> against_extra(const NearestPoint& found, Index extra) {
  std::vector<std::pair<Index, double>> multipliers;
  double own = 0;
  for (const auto& [e, value] : found.multipliers) (e == extra ? own : multipliers.emplace_back(e, value).second) = value;
  if (!(own > 0)) return {};
  for (auto& entry : multipliers) entry.second /= own;
  return multipliers;
}
}  // namespace

// A first stage of more units than inputs has no product structure, but rows of later stages act through its live units
// alone, which are few after training: redundant among themselves is redundant in the cell. Not worth its solves where they are
// many.
void Reducer::prove_in_quotient() {
  Frame quotient;
  if (frame_.kind != Frame::Kind::ambient || fine_ || !make_quotient(rows_, frame_.center, frame_.dim / 2, quotient)) return;
  std::vector<Index> entry_of(s(rows_.size()), -1), tried;
  for (Index e = 0; e < frame_.rows(); ++e) entry_of[s(frame_.row[s(e)])] = e;
  std::vector<std::uint8_t> skip;
  for (Index i = 0; i < quotient.rows(); ++i) {
    const Index e = entry_of[s(quotient.row[s(i)])];
    skip.push_back(e < 0 || group_of_[s(e)] < 0 ? 1 : 0);
    if (e >= 0 && is_open(e)) tried.push_back(i);
  }
  if (tried.empty()) return;
  const Matrix with_rows = row_products(quotient);
  const Round round = start_round(quotient, with_rows, kFirstOvershoot, kFirstTilt);
  std::vector<NearestPoint> results(tried.size());
  parallel_for(static_cast<Index>(tried.size()), options_.workers, [&](Index i) {
    std::vector<std::uint8_t> others = skip;
    others[s(tried[s(i)])] = 1;
    results[s(i)] = beyond(round, tried[s(i)], others);
  });
  rows_.tally().active_set += static_cast<long>(tried.size());
  std::vector<Claim> claims;
  for (std::size_t i = 0; i < tried.size(); ++i) {
    if (results[i].status != NearestPoint::Status::infeasible) continue;
    const auto multipliers = against_extra(results[i], quotient.rows() + 2 * quotient.dim);
    if (multipliers.empty()) continue;
    claims.emplace_back(entry_of[s(quotient.row[s(tried[i])])], std::vector<std::pair<Index, double>>{});
    for (const auto& [j, value] : multipliers)  // the bounds of the live units are implied by the signs
      if (j < quotient.rows()) claims.back().second.emplace_back(entry_of[s(quotient.row[s(j)])], value);
  }
  prove_with(Proof::stage, claims);
}

void Reducer::finish_once(double overshoot, double tilt) {
  const std::vector<Index> open = open_entries();
  if (open.empty()) return;
  const Matrix none;
  const Round round = start_round(frame_, worth_products(open.size()) ? products() : none, overshoot, tilt);
  std::vector<NearestPoint> results(open.size());
  parallel_for(static_cast<Index>(open.size()), options_.workers,
               [&](Index i) { results[s(i)] = beyond(round, open[s(i)], all_but(open[s(i)])); });
  rows_.tally().active_set += static_cast<long>(open.size());
  std::vector<const Vector*> found;
  std::vector<Claim> claims;
  for (std::size_t i = 0; i < open.size(); ++i) {
    if (results[i].status == NearestPoint::Status::optimal) found.push_back(&results[i].y);
    if (results[i].status != NearestPoint::Status::infeasible) continue;
    claims.emplace_back(open[i], against_extra(results[i], frame_.rows() + 2 * frame_.dim));
    if (claims.back().second.empty()) claims.pop_back();
  }
  harvest_points(found);
  prove(claims);
}

std::vector<std::pair<Index, double>> Reducer::settle_with_lp(Index e) {
  const Index R = frame_.rows(), K = frame_.dim;
  std::vector<std::uint8_t> skip(s(R), 0);
  for (Index j = 0; j < R; ++j) skip[s(j)] = group_of_[s(j)] < 0 ? 1 : 0;
  Vector lower = frame_.lower, upper = frame_.upper, c(s(K), 0.0);
  if (e < R) {
    skip[s(e)] = 1;
    c.assign(frame_.G.row(e), frame_.G.row(e) + K);
  } else if (e < R + K) {
    c[s(e - R)] = -1;
    lower[s(e - R)] = -std::numeric_limits<double>::infinity();
  } else {
    c[s(e - R - K)] = 1;
    upper[s(e - R - K)] = std::numeric_limits<double>::infinity();
  }
  rows_.tally().lps += 1;
  const LpResult lp = maximize_lp(frame_.G, frame_.h, c, lower, upper, &skip);
  if (lp.x.size() == s(K)) {
    Matrix y(1, K), ratios(1, R);
    std::copy(lp.x.begin(), lp.x.end(), y.data());
    gemm(false, true, 1.0, y, polar_, 0.0, ratios);
    harvest(y, first_hits(y, ratios));
  }
  std::vector<std::pair<Index, double>> multipliers;
  if (!is_open(e) || lp.status != LpResult::Status::optimal) return multipliers;
  for (Index j = 0; j < R; ++j)
    if (lp.row_duals[s(j)] > 0) multipliers.emplace_back(j, lp.row_duals[s(j)]);
  for (Index k = 0; k < K; ++k) {  // not of the bound in question, whose dual is the rounding of the others
    const double dual = lp.bound_duals[s(k)];
    if (dual < 0 && frame_.lower_row[s(k)] >= 0 && e != R + k) multipliers.emplace_back(R + k, -dual);
    if (dual > 0 && frame_.upper_row[s(k)] >= 0 && e != R + K + k) multipliers.emplace_back(R + K + k, dual);
  }
  prove({{e, multipliers}});
  if (!is_open(e) || frame_.kind != Frame::Kind::ambient) return multipliers;
  std::vector<std::pair<Index, double>> basis;
  for (const int j : lp.basis_rows) basis.emplace_back(j, 1.0);
  for (const int k : lp.basis_bounds) {
    const bool upper = e != R + K + k && (frame_.lower_row[s(k)] < 0 || (frame_.upper_row[s(k)] >= 0 && lp.bound_duals[s(k)] > 0));
    basis.emplace_back(upper ? R + K + k : R + k, 1.0);
  }
  prove_by_basis(e, basis);
  return multipliers;
}

}  // namespace pyregions::detail
