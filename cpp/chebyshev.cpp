// Layer 3. The largest inscribed ball: the interior-point method proposes, where it runs out of digits the simplex method;
// forms prove.
#include "chebyshev.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "exact_rung.h"
#include "frame_ball.h"
#include "lp.h"
#include "slack_sums.h"

namespace pyregions {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
std::size_t at(Index i) { return static_cast<std::size_t>(i); }

}  // namespace

bool loose(const Ball& ball) {
  constexpr double kTight = 0x1p-20;  // 1e-6 as asked for; decides only whether another proposal is made, whose bounds are proven, too
  return std::isfinite(ball.lower) && !(ball.upper <= ball.lower * (1 + kTight));
}

Vector strict_recession(const RowSystem& rows, const Frame& frame, Vector* general, Vector* lower, Vector* upper) {
  // The same program for the recession cone, cut by |v_k| <= 1: r > 0 at the optimum gives a strict direction.
  BallProblem p = ball_problem(frame, rows.workers());
  std::fill(p.b.begin(), p.b.end(), 0.0);
  for (Index k = 0; k < frame.dim; ++k) {
    p.lower[at(k)] = std::isfinite(frame.lower[at(k)]) ? 0.0 : -1.0;
    p.upper[at(k)] = std::isfinite(frame.upper[at(k)]) ? 0.0 : 1.0;
  }
  p.radius_cap = 1;
  rows.tally().interior += 1;
  const BallResult ball = inscribed_ball(p);
  if (general) *general = ball.row_multipliers;
  if (lower) *lower = ball.lower_multipliers;
  if (upper) *upper = ball.upper_multipliers;
  if (!(ball.r > 0)) return {};
  Matrix u(1, rows.dim());
  if (frame.kind == Frame::Kind::first_stage) {
    gemv(true, 1.0, frame.lift, ball.x.data(), 0.0, u.data());
    for (std::size_t i = 0; i < frame.free_units.size(); ++i) {
      const Index unit = frame.free_units[i];
      const double step = -rows.side(unit) * rows.norm_upper()[at(unit)] * ball.r;
      axpy(step, frame.free_lift.row(static_cast<Index>(i)), u.data(), rows.dim());
    }
  } else {
    std::copy(ball.x.begin(), ball.x.end(), u.data());
  }
  const RowSystem::Slacks s = rows.slacks(u, true);
  for (Index j = 0; j < rows.size(); ++j)
    if (!rows.zero_rows()[at(j)] && !(s.value(0, j) > s.error(0, j))) return {};
  return Vector(u.data(), u.data() + u.cols());
}

namespace {

// A lower bound of the radius of the largest ball around a point, negative when the point is not proven inside.
double radius_at(const RowSystem& rows, const Vector& center) {
  Matrix one(1, rows.dim());
  std::copy(center.begin(), center.end(), one.data());
  const RowSystem::Slacks s = rows.slacks(one, false, true);
  double radius = kInf;
  for (Index j = 0; j < rows.size(); ++j) {
    if (rows.zero_rows()[at(j)]) continue;
    const double low = (s.value(0, j) - s.error(0, j)) / rows.norm_upper()[at(j)] * (1 - 4 * kUnit);
    if (!(low >= radius)) radius = low;  // NaN included
  }
  return std::isnan(radius) ? -1.0 : radius;
}

// The cap grows from the scale of the nearest wall to that of the farthest, and beyond, while it binds: the solver's
// accuracy is relative to the slacks it sees, so walls that are much farther away than the ball is large are left out.
BallResult propose_ball(const RowSystem& rows, const Frame& frame) {
  BallProblem p = ball_problem(frame, rows.workers());
  const double farthest = reach(frame);
  double nearest = farthest;
  for (const double v : frame.h) nearest = std::min(nearest, v);
  for (Index k = 0; k < frame.dim; ++k) nearest = std::min({nearest, -frame.lower[at(k)], frame.upper[at(k)]});
  BallResult best;
  const auto solve = [&](double cap) {
    rows.tally().interior += 1;
    p.radius_cap = cap;
    best = inscribed_ball(p);
    return best.r < cap / 2;
  };
  constexpr double kFar = 0x1p20, kNear = 0x1p6, kGrow = 0x1p8;
  if (nearest > 0 && nearest * kFar < farthest) {
    for (double cap = kNear * nearest; cap * kNear < farthest; cap *= kGrow) {
      std::vector<Index> kept;
      for (Index e = 0; e < frame.rows(); ++e)
        if (frame.h[at(e)] < cap * kFar) kept.push_back(e);
      const Matrix near = gather_rows(frame.G, kept);
      p = ball_problem(frame, rows.workers());
      p.A = &near;
      p.norms.assign(kept.size(), 1.0);
      p.b.clear();
      for (const Index e : kept) p.b.push_back(frame.h[at(e)]);
      for (double& v : p.lower) v = v > -cap * kFar ? v : -kInf;
      for (double& v : p.upper) v = v < cap * kFar ? v : kInf;
      const bool small = solve(cap);
      Vector all(at(frame.rows()), 0.0);
      for (std::size_t e = 0; e < kept.size(); ++e) all[at(kept[e])] = best.row_multipliers[e];
      best.row_multipliers = std::move(all);
      if (small && radius_at(rows, lift_point(rows, frame, best.x, best.r)) > best.r / 2) return best;
    }
    p = ball_problem(frame, rows.workers());
  }
  double cap = 16 * farthest;
  for (int attempt = 0; attempt < 4 && !solve(cap); ++attempt) cap *= 0x1p12;
  return best;
}

// The bound of multipliers made to cancel exactly. Those that an interior-point method leaves near 0 are left out, at
// first generously: the rows that remain must be dependent.
void bound_exactly(const RowSystem& rows, const SparseRow& multipliers, Ball& ball) {
  if (rows.dim() <= kFewInputs) return;  // the exact program over the cell answers
  double largest = 0;
  for (const auto& [row, value] : multipliers) largest = std::max(largest, value * rows.norm_upper()[at(row)]);
  try {
    ExactRung rung(rows);
    for (const double share : {0x1p-12, 0x1p-20, 0x1p-28, 0.0}) {
      SparseRow kept;
      for (const auto& term : multipliers)
        if (term.second * rows.norm_upper()[at(term.first)] > share * largest) kept.push_back(term);
      std::optional<ExactRung::Balance> found = rung.balance(kept);
      if (!found) continue;
      rows.tally().exact += 1;
      ball.upper = found->radius;
      ball.proof = Proof::exact;
      ball.stage = -1;
      ball.multipliers.clear();
      ball.exact = std::move(found->combination);
      return;
    }
  } catch (const OutOfBudget&) {
    rows.tally().undecided += 1;
  }
}

// What a proposal proves: a centre with a larger radius, multipliers with a smaller bound. spread: multipliers of a
// positive combination of the rows (stage frames only).
void take(const RowSystem& rows, const Frame& frame, const BallResult& proposal, const Vector& spread,
          const std::function<const Enclosure&()>& enclosure, Ball& ball) {
  Vector center = lift_point(rows, frame, proposal.x, proposal.r);
  if (const double lower = radius_at(rows, center); lower > ball.lower) {
    ball.radius = ball.lower = lower;
    ball.center = std::move(center);
  }
  const bool box = rows.domain().is_box(), stage = frame.kind == Frame::Kind::first_stage;
  SparseRow multipliers =
      to_rows(frame, proposal.row_multipliers, proposal.lower_multipliers, proposal.upper_multipliers, !stage);
  const SparseRow proposal_rows = multipliers;
  const auto offer = [&](const SlackSum& sum, Proof proof, long& rung) {
    const double quotient = sum.sum / sum.weight;
    if (!sum.proven || !(sum.weight > 0) || !std::isfinite(sum.weight) || std::isnan(quotient)) return false;
    const double upper = std::max(0.0, std::nextafter(quotient * (1 + 4 * kUnit), kInf));
    if (!(upper < ball.upper)) return true;
    ball.upper = upper;
    ball.proof = proof;
    ball.stage = proof == Proof::stage ? 0 : -1;
    ball.multipliers = multipliers;
    rung += 1;
    return true;
  };
  Tally& tally = rows.tally();
  if (box) {
    const Vector &low = rows.domain().lower, &high = rows.domain().upper;
    offer(slack_sum_by_box(rows, multipliers, low, high), Proof::box, tally.triage);
    if (ball.lower > 0 && loose(ball)) offer(refined_slack_sum_by_box(rows, multipliers, low, high), Proof::box, tally.refine);
  } else if (stage) {
    // Rounding can leave an implied multiplier below 0; a little of a combination that makes all of them positive mends
    // that, at a price proportional to it.
    bool done = offer(slack_sum_by_stage(rows, multipliers, 0, false), Proof::stage, tally.triage);
    for (double share = 0x1p-44; !done && share <= 0x1p-16; share *= 0x1p4) {
      Vector mixed = proposal.row_multipliers;
      for (std::size_t e = 0; e < mixed.size(); ++e)
        mixed[e] = std::max(0.0, mixed[e]) + (e < spread.size() ? share * std::max(0.0, spread[e]) : 0.0);
      multipliers = to_rows(frame, mixed, {}, {}, false);
      done = offer(slack_sum_by_stage(rows, multipliers, 0, false), Proof::stage, tally.triage);
    }
  } else {
    if (enclosure && enclosure().finite())
      offer(slack_sum_by_box(rows, multipliers, enclosure().lower, enclosure().upper), Proof::bounded, tally.triage);
    if (ball.proof == Proof::none) offer(slack_sum_by_basis(rows, multipliers), Proof::basis, tally.triage);
    if (ball.proof == Proof::none) bound_exactly(rows, proposal_rows, ball);
  }
}

// The program from the frame's centre on, in units of a radius, by the simplex method: vertices do not run out of digits as
// Newton steps do where rows nearly depend on each other. None of these decides anything.
BallResult propose_vertex(const Frame& frame, double unit, double largest) {
  constexpr double kFarthest = 0x1p30;  // units: walls beyond are moved here, so that HiGHS's absolute tolerances mean something
  constexpr double kSeconds = 20;       // of the time it may take; 784 inputs and 768 rows took up to 5
  const Index n = frame.rows(), k = frame.dim;
  Matrix A(n + 2 * k, k + 1);
  Vector b(at(n + 2 * k), kFarthest), c(at(k + 1), 0.0), lower(c.size(), -kInf), upper(c.size(), kInf);
  std::vector<std::uint8_t> skip(b.size(), 0);
  for (Index e = 0; e < n; ++e) std::copy(frame.G.row(e), frame.G.row(e) + k, A.row(e));
  for (Index e = 0; e < n; ++e) b[at(e)] = std::min(frame.h[at(e)] / unit, kFarthest);
  for (Index j = 0; j < 2 * k; ++j) {
    const double bound = j < k ? -frame.lower[at(j)] : frame.upper[at(j - k)];
    A(n + j, j % k) = j < k ? -1 : 1;
    skip[at(n + j)] = !std::isfinite(bound);
    b[at(n + j)] = std::min(bound / unit, kFarthest);
  }
  for (Index e = 0; e < A.rows(); ++e) A(e, k) = 1;
  c.back() = 1;
  upper.back() = largest / unit;
  LpOptions options;
  options.time_limit = kSeconds;
  const LpResult lp = maximize_lp(A, b, c, lower, upper, &skip, options);
  BallResult found;
  found.converged = lp.status == LpResult::Status::optimal;
  if (!found.converged) return found;
  const auto positive = [&](Index from, Index to) {
    Vector part(lp.row_duals.begin() + from, lp.row_duals.begin() + to);
    for (double& v : part) v = std::max(v, 0.0);
    return part;
  };
  found.x.assign(lp.x.begin(), lp.x.end() - 1);
  for (double& v : found.x) v *= unit;
  found.r = lp.x.back() * unit;
  found.row_multipliers = positive(0, n);
  found.lower_multipliers = positive(n, n + k);
  found.upper_multipliers = positive(n + k, n + 2 * k);
  return found;
}

}  // namespace

Ball inscribed_ball(const RowSystem& rows, const Vector& interior, const std::function<const Enclosure&()>& enclosure) {
  Ball ball;
  ball.center = interior;
  const Frame frame = make_frame(rows, interior);
  Vector spread;
  if (!rows.domain().is_box()) {
    ball.direction = strict_recession(rows, frame, &spread);
    if (!ball.direction.empty()) {
      ball.radius = ball.lower = ball.upper = kInf;
      ball.proof = Proof::direction;
      return ball;
    }
  }
  ball.radius = ball.lower = std::max(0.0, radius_at(rows, interior));
  ball.upper = kInf;
  take(rows, frame, propose_ball(rows, frame), spread, enclosure, ball);
  if (!(ball.lower > 0) || !std::isfinite(ball.upper) || !loose(ball)) return ball;
  try {
    const Frame nearer = make_frame(rows, ball.center);
    rows.tally().lps += 1;
    const BallResult vertex = propose_vertex(nearer, ball.lower, 2 * ball.upper);
    if (vertex.converged) take(rows, nearer, vertex, spread, enclosure, ball);
  } catch (const UndecidedError&) {  // numbers beyond the range of doubles: what was proven stands
  }
  return ball;
}

Ball inscribed_ball_exactly(const RowSystem& rows) {
  constexpr double kLargest = std::numeric_limits<double>::max();
  try {
    ExactRung rung(rows);
    ExactRung::Ball exact = rung.ball();
    rows.tally().exact += 1;
    Ball ball;
    ball.proof = Proof::exact;
    if (!exact.direction.empty()) {
      ball.radius = ball.lower = ball.upper = kInf;
      ball.exact_direction = std::move(exact.direction);
      ball.direction = rounded_direction(ball.exact_direction);
      return ball;
    }
    ball.center.assign(exact.center.row(0), exact.center.row(0) + rows.dim());
    if (exact.center.rows() > 1) ball.fine = std::move(exact.center);
    ball.radius = ball.lower = std::min(exact.lower, kLargest);
    ball.upper = exact.upper;
    ball.exact = std::move(exact.combination);
    return ball;
  } catch (const OutOfBudget& spent) {
    throw UndecidedError(std::string("the largest inscribed ball: ") + spent.what());
  }
}

}  // namespace pyregions
