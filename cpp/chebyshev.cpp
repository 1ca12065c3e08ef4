// Layer 3. The largest inscribed ball and interior points: the interior-point method proposes, forms prove.
#include "chebyshev.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "exact_rung.h"
#include "interior.h"

namespace pyregions {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
std::size_t at(Index i) { return static_cast<std::size_t>(i); }

BallProblem ball_problem(const Frame& frame, int workers) {
  BallProblem p;
  p.workers = workers;
  p.A = &frame.G;
  p.norms.assign(at(frame.rows()), 1.0);
  p.b = frame.h;
  p.lower = frame.lower;
  p.upper = frame.upper;
  p.start.assign(at(frame.dim), 0.0);
  return p;
}

double reach(const Frame& frame) {
  double largest = 0;
  for (const double v : frame.h) largest = std::max(largest, std::fabs(v));
  for (const double v : frame.lower) largest = std::max(largest, std::isfinite(v) ? std::fabs(v) : 0.0);
  for (const double v : frame.upper) largest = std::max(largest, std::isfinite(v) ? std::fabs(v) : 0.0);
  return largest > 0 ? largest : 1.0;
}

// Back to x, with the free units of a product frame moved to at least `radius` (x-length) behind their walls.
Vector lift_point(const RowSystem& rows, const Frame& frame, const Vector& y, double radius) {
  Matrix one(1, frame.dim);
  std::copy(y.begin(), y.end(), one.data());
  const Matrix x = frame.to_x(one);
  Vector point(x.data(), x.data() + x.cols());
  if (frame.free_units.empty()) return point;
  const Matrix slack = rows.slacks(x).value;
  for (std::size_t i = 0; i < frame.free_units.size(); ++i) {
    const Index u = frame.free_units[i];
    const double want = std::max(radius, 0x1p-10) * rows.norm_upper()[at(u)] * 1.25;  // a quarter more than needed
    if (slack(0, u) < want)
      axpy(-rows.side(u) * (want - slack(0, u)), frame.free_lift.row(static_cast<Index>(i)), point.data(), rows.dim());
  }
  return point;
}

// Multipliers over entries of the frame -> rows of the cell: a unit-length entry is row / length.
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

SparseRow negated(SparseRow form) {
  for (auto& term : form) term.second = -term.second;
  return form;
}

// Sum of the slacks weighted by the multipliers is at most `sum` on the cell; `weight` = sum lambda |a|, bounded below.
struct SlackSum {
  bool proven = false;
  double sum = 0, weight = 0;
};

SlackSum weigh(const RowSystem& rows, const SparseRow& multipliers) {
  SlackSum w;
  for (const auto& [row, value] : multipliers) w.weight += value * rows.norm_lower()[at(row)];
  w.weight *= 1 - gamma(static_cast<Index>(multipliers.size()) + 4);
  return w;
}

SlackSum slack_sum_by_box(const RowSystem& rows, const SparseRow& multipliers, const Vector& lower,
                          const Vector& upper) {
  SlackSum w = weigh(rows, multipliers);
  w.sum = sup_over_box(rows.forms({negated(multipliers)}), lower, upper)[0];
  w.proven = true;
  return w;
}

// The implied multipliers of the stage's own rows are s_k mu_k; each must be proven nonnegative (or positive).
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

// d rows B and one more row t with -a_t = sum lambda_j a_j, lambda > 0 enclosed: then the sum of slacks is constant.
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

}  // namespace

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

InteriorPoint interior_by_floats(const RowSystem& rows, const Vector& start) {
  InteriorPoint result;
  const std::vector<std::uint8_t>& zero = rows.zero_rows();
  for (Index j = 0; j < rows.size(); ++j)
    if (zero[at(j)] && rows.exact_row(j).b.sign() < 0) {  // 0.x <= b < 0
      result.proof = rows.domain().is_box() ? Proof::box : Proof::opposite;
      result.multipliers = {{j, 1.0}};
      return result;
    }
  Frame frame = make_frame(rows, start);
  BallProblem p = ball_problem(frame, rows.workers());
  p.radius_cap = reach(frame);
  // The quick try keeps to a window of the scale of the slacks around the start, so that the point of an unbounded cell
  // does not run away; the full one has the whole space, as proofs of emptiness need.
  constexpr double kWindow = 0.25;    // measured: rays from the middle of a smaller window find more facets
  constexpr double kCentred = 0x1p-3;  // a middle need not be the middle to many digits
  BallProblem windowed = p;
  for (double& v : windowed.lower) v = std::max(v, -kWindow * p.radius_cap);
  for (double& v : windowed.upper) v = std::min(v, kWindow * p.radius_cap);
  for (const bool quick : {true, false}) {
    BallOptions options;
    if (quick) options.gap = kCentred;
    rows.tally().interior += 1;
    const BallResult ball = inscribed_ball(quick ? windowed : p, options);
    if (ball.r > 0) {
      result.point = lift_point(rows, frame, ball.x, ball.r);
      result.found = rows.strictly_inside(result.point.data());
      if (result.found) return result;
    }
    if (quick) continue;
    result.point.clear();
    const bool box = rows.domain().is_box();
    const bool stage = frame.kind == Frame::Kind::first_stage;
    SparseRow multipliers =
        to_rows(frame, ball.row_multipliers, ball.lower_multipliers, ball.upper_multipliers, !stage);
    SlackSum sum;
    if (box)
      sum = slack_sum_by_box(rows, multipliers, rows.domain().lower, rows.domain().upper);
    else if (stage)
      sum = slack_sum_by_stage(rows, multipliers, 0, false);
    else
      sum = slack_sum_by_basis(rows, multipliers);
    if (sum.proven && sum.weight > 0 && sum.sum <= 0) {
      result.proof = box ? Proof::box : stage ? Proof::stage : Proof::basis;
      result.stage = stage ? 0 : -1;
      result.multipliers = multipliers;
      rows.tally().triage += 1;
    }
  }
  if (result.proof != Proof::none) return result;
  // Two rows on one hyperplane facing each other: a flat cell, exactly.
  const Halfspaces& all = rows.halfspaces();
  for (Index i = 0; i < rows.size(); ++i)
    for (Index j = i + 1; j < rows.size(); ++j) {
      if (zero[at(i)] || zero[at(j)]) continue;
      const double cosine = dot(all.A.row(i), all.A.row(j), rows.dim());
      if (cosine > -0.999 * rows.norm_lower()[at(i)] * rows.norm_lower()[at(j)]) continue;
      const ExactRow p1 = rows.exact_row(i), p2 = rows.exact_row(j);
      rows.tally().exact += 1;
      if (parallel_sign(p1.a, p2.a) >= 0) continue;
      for (Index k = 0; k < rows.dim(); ++k) {
        if (p1.a[k].is_zero()) continue;
        // b_i |a_j| + b_j |a_i| <= 0 in coordinate k.
        const Dyadic a1 = p1.a[k].sign() < 0 ? -p1.a[k] : p1.a[k], a2 = p2.a[k].sign() < 0 ? -p2.a[k] : p2.a[k];
        const Dyadic gap = p1.b * a2 + p2.b * a1;
        if (gap.sign() > 0) break;
        result.proof = Proof::opposite;
        result.multipliers = {{i, 1.0}, {j, 1.0}};
        return result;
      }
    }
  return result;
}

// The size of the cell as far as floats see it: the largest distance from the start to a hyperplane.
double farthest_row(const RowSystem& rows, const Vector& start) {
  Matrix one(1, rows.dim());
  std::copy(start.begin(), start.end(), one.data());
  const RowSystem::Slacks slack = rows.slacks(one);
  double largest = 1;
  for (Index j = 0; j < rows.size(); ++j) {
    const double distance = std::fabs(slack.value(0, j)) / rows.norm_upper()[at(j)];
    if (std::isfinite(distance)) largest = std::max(largest, distance);
  }
  return largest;
}

// The program around x, its slacks known to twice the digits, with the rows of `beyond` turned round.
BallProblem turned_problem(const Frame& frame, const std::vector<Index>& beyond, int workers, Matrix& turned) {
  const auto is_beyond = [&](Index row) { return row >= 0 && std::find(beyond.begin(), beyond.end(), row) != beyond.end(); };
  BallProblem p = ball_problem(frame, workers);
  turned = frame.G;
  p.A = &turned;
  for (Index e = 0; e < frame.rows(); ++e) {
    if (!is_beyond(frame.row[at(e)])) continue;
    p.b[at(e)] = -p.b[at(e)];
    for (Index k = 0; k < frame.dim; ++k) turned(e, k) = -turned(e, k);
  }
  for (std::size_t k = 0; k < p.lower.size(); ++k) {
    const bool below = is_beyond(frame.lower_row[k]), above = is_beyond(frame.upper_row[k]);
    if (below) p.upper[k] = p.lower[k], p.lower[k] = -kInf;
    if (above) p.lower[k] = p.upper[k], p.upper[k] = kInf;
  }
  return p;
}

// The rows of a program as they change along directions, which have no bounds.
Matrix along(const Matrix& rows, const Matrix& directions, BallProblem& p) {
  Matrix changes(rows.rows(), directions.rows());
  gemm(false, true, 1.0, rows, directions, 0.0, changes);
  p.lower.clear();
  p.upper.clear();
  p.start.assign(at(directions.rows()), 0.0);
  return changes;
}

}  // namespace

// Around the best point so far the slacks are known to twice the digits, so the same program for a step from there, in
// units of what is violated, gives the next digits.
Parts refined_interior(const RowSystem& rows, const Vector& start, const std::vector<Index>& beyond, const Matrix* directions) {
  constexpr int kSteps = 5;
  constexpr double kWindow = 0x1p20;  // a step may be this many units long; farther rows do not matter
  const auto accepted = [&](const Parts& point) {
    const std::vector<int> signs = rows.slack_signs(point);
    for (Index j = 0; j < rows.size(); ++j) {
      const bool turned = std::find(beyond.begin(), beyond.end(), j) != beyond.end();
      if (turned ? signs[at(j)] >= 0 : signs[at(j)] < 0 || (signs[at(j)] == 0 && !rows.zero_rows()[at(j)])) return false;
    }
    return true;
  };
  if (!std::all_of(start.begin(), start.end(), [](double v) { return std::isfinite(v); })) return {};
  Parts x(1, rows.dim());
  std::copy(start.begin(), start.end(), x.data());
  for (int step = 0; step < kSteps; ++step) {
    const Frame frame = make_fine_frame(rows, x);
    Matrix turned;
    BallProblem p = turned_problem(frame, beyond, rows.workers(), turned);
    double least = kInf, size = 0;
    for (const double v : p.b) least = std::min(least, v);
    for (std::size_t k = 0; k < p.lower.size(); ++k) least = std::min({least, -p.lower[k], p.upper[k]});
    for (Index k = 0; k < rows.dim(); ++k) size = std::max(size, std::fabs(x(0, k)));
    if (directions) turned = along(turned, *directions, p);
    const double unit = least < 0 ? -8 * least : std::max(size, 1.0) * 0x1p-58;
    if (!std::isfinite(unit)) return {};
    for (double& v : p.b) v = std::min(v / unit, kWindow);
    for (double& v : p.lower) v = std::max(v / unit, -kWindow);
    for (double& v : p.upper) v = std::min(v / unit, kWindow);
    p.radius_cap = kWindow;
    rows.tally().interior += 1;
    const BallResult ball = inscribed_ball(p);
    Parts next(x.rows() + 1, rows.dim());
    std::copy(x.data(), x.data() + x.rows() * x.cols(), next.data());
    if (directions) gemv(true, unit, *directions, ball.x.data(), 0.0, next.row(x.rows()));
    else for (Index k = 0; k < rows.dim(); ++k) next(x.rows(), k) = ball.x[at(k)] * unit;
    if (!std::all_of(next.row(x.rows()), next.row(x.rows()) + rows.dim(), [](double v) { return std::isfinite(v); })) return {};
    if (ball.r > 0 && accepted(next)) {
      const DyadicVector sum = exact_point(next);
      for (Index parts = 1; parts < next.rows(); ++parts) {  // as few parts as will do
        Parts fewer = nearest_parts(sum, parts);
        if (accepted(fewer)) return fewer;
      }
      return next;
    }
    x = std::move(next);
  }
  return {};
}

InteriorPoint interior_point(const RowSystem& rows, const Vector& start, bool start_is_inside) {
  InteriorPoint result;
  try {
    result = interior_by_floats(rows, start);
  } catch (const UndecidedError&) {  // rows outside the range of doubles
  }
  if (result.found || (result.proof != Proof::none && !start_is_inside)) return result;
  if (start_is_inside) {
    result = InteriorPoint{};
    result.found = true;
    result.point = start;
    return result;
  }
  const auto take = [&](Parts point) {
    result.found = true;
    result.point.assign(point.row(0), point.row(0) + rows.dim());
    if (point.rows() > 1) result.fine = std::move(point);
    return result;
  };
  try {
    Parts refined = refined_interior(rows, start);
    if (!refined.empty()) return take(std::move(refined));
  } catch (const UndecidedError&) {  // rows outside the range of doubles
  }
  try {
    ExactRung rung(rows);
    ExactRung::Interior exact = rung.interior(farthest_row(rows, start));
    rows.tally().exact += 1;
    if (exact.point.empty()) {
      result.proof = Proof::exact;
      result.exact = std::move(exact.proof);
      return result;
    }
    return take(std::move(exact.point));
  } catch (const OutOfBudget&) {
    rows.tally().undecided += 1;
  } catch (const UndecidedError&) {
    rows.tally().undecided += 1;
  }
  return result;
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
  const auto offer = [&](const SlackSum& sum, Proof proof) {
    if (!sum.proven || !(sum.weight > 0)) return false;
    const double upper = std::max(0.0, sum.sum / sum.weight * (1 + 4 * kUnit));
    if (!(upper < ball.upper)) return true;
    ball.upper = upper;
    ball.proof = proof;
    ball.stage = proof == Proof::stage ? 0 : -1;
    ball.multipliers = multipliers;
    rows.tally().triage += 1;
    return true;
  };
  if (box) {
    offer(slack_sum_by_box(rows, multipliers, rows.domain().lower, rows.domain().upper), Proof::box);
  } else if (stage) {
    // Rounding can leave an implied multiplier below 0; a little of a combination that makes all of them positive mends
    // that, at a price proportional to it.
    bool done = offer(slack_sum_by_stage(rows, multipliers, 0, false), Proof::stage);
    for (double share = 0x1p-44; !done && share <= 0x1p-16; share *= 0x1p4) {
      Vector mixed = proposal.row_multipliers;
      for (std::size_t e = 0; e < mixed.size(); ++e)
        mixed[e] = std::max(0.0, mixed[e]) + share * std::max(0.0, spread[e]);
      multipliers = to_rows(frame, mixed, {}, {}, false);
      done = offer(slack_sum_by_stage(rows, multipliers, 0, false), Proof::stage);
    }
  } else {
    if (enclosure && enclosure().finite())
      offer(slack_sum_by_box(rows, multipliers, enclosure().lower, enclosure().upper), Proof::bounded);
    if (ball.proof == Proof::none) offer(slack_sum_by_basis(rows, multipliers), Proof::basis);
    if (ball.proof == Proof::none) bound_exactly(rows, proposal_rows, ball);
  }
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
