// Layer 3. The inscribed-ball program of a frame; see frame_ball.h.
#include "frame_ball.h"

#include <algorithm>
#include <cmath>

namespace pyregions {

namespace {
std::size_t at(Index i) { return static_cast<std::size_t>(i); }
}  // namespace

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

}  // namespace pyregions
