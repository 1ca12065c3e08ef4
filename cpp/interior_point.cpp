// Layer 3. Interior points: the interior-point method proposes, forms prove, then steps in twice the digits and exact programs.
#include "interior_point.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "exact_rung.h"
#include "frame_ball.h"
#include "slack_sums.h"

namespace pyregions {

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
std::size_t at(Index i) { return static_cast<std::size_t>(i); }

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

// Whether the start is as good as a middle: searches work in coordinates that make up for where it is as long as no wall is
// closer by very much than most (not in a box, whose own coordinates they keep).
bool well_inside(const RowSystem& rows, const Vector& start) {
  // Of the median distance: of 768 and 3,072 rows around images the nearest is at 2^-10 to 2^-12 of it, and rays from there find as
  // many facets as from the middle. Times its bound, so that rays start with some digits.
  constexpr double kClose = 0x1p-16, kCertain = 0x1p6;
  if (rows.domain().is_box()) return false;
  Matrix one(1, rows.dim());
  std::copy(start.begin(), start.end(), one.data());
  const RowSystem::Slacks slack = rows.slacks(one);
  Vector distance;
  for (Index j = 0; j < rows.size(); ++j) {
    if (rows.zero_rows()[at(j)]) continue;
    if (!(slack.value(0, j) > kCertain * slack.error(0, j))) return false;
    distance.push_back(slack.value(0, j) / rows.norm_upper()[at(j)]);
  }
  if (distance.empty()) return true;
  const auto middle = distance.begin() + static_cast<Index>(distance.size() / 2);
  std::nth_element(distance.begin(), middle, distance.end());
  return *std::min_element(distance.begin(), distance.end()) > kClose * *middle;
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
  if (start_is_inside && well_inside(rows, start)) {
    result.found = true;
    result.point = start;
    return result;
  }
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

}  // namespace pyregions
