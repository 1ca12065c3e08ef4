// Layer 4. See sampling.h.
#include "sampling.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <random>

#include "exact_lp.h"
#include "frame.h"
#include "pool.h"

namespace pyregions {
namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// The cell as G y < h around an interior point, bounds among the rows.
struct Body {
  Matrix G;
  Vector h;
};

Body body_of(const Frame& f) {
  std::vector<std::pair<Index, double>> bounds;  // (coordinate, signed bound)
  for (Index k = 0; k < f.dim && f.has_bounds(); ++k) {
    if (std::isfinite(f.lower[at(k)])) bounds.emplace_back(k, f.lower[at(k)]);
    if (std::isfinite(f.upper[at(k)])) bounds.emplace_back(k, f.upper[at(k)]);
  }
  Body body{Matrix(f.rows() + static_cast<Index>(bounds.size()), f.dim), f.h};
  std::copy(f.G.data(), f.G.data() + f.rows() * f.dim, body.G.data());
  for (const auto& [k, bound] : bounds) {  // the lower one is negative: the center lies between
    body.G(static_cast<Index>(body.h.size()), k) = bound < 0 ? -1.0 : 1.0;
    body.h.push_back(std::fabs(bound));
  }
  return body;
}

// Factor of the barrier's Hessian G^T diag(1/s^2) G; false when it is singular to working precision.
bool hessian(const Matrix& G, const Vector& slack, Matrix& factor) {
  Matrix scaled = G;
  for (Index i = 0; i < G.rows(); ++i)
    for (Index k = 0; k < G.cols(); ++k) scaled(i, k) /= slack[at(i)];
  factor = Matrix(G.cols(), G.cols());
  syrk(1.0, scaled, 0.0, factor);
  return cholesky(factor);
}

// The longest step t along which the slacks s - t v stay positive.
double reach(const Vector& slack, const Vector& v) {
  double most = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < slack.size(); ++i)
    if (v[i] > 0) most = std::min(most, slack[i] / v[i]);
  return most;
}

double barrier(const Vector& slack, const Vector& v, double t) {
  double sum = 0;
  for (std::size_t i = 0; i < slack.size(); ++i) sum -= std::log(slack[i] - t * v[i]);
  return sum;
}

// The minimiser of -sum log(h - G y) by Newton steps with backtracking (Boyd and Vandenberghe, Convex Optimization, 9.6), its
// slacks and the factor of the Hessian there.
struct Center {
  Vector y, slack;
  Matrix factor;
};

Center analytic_center(const Body& body) {
  constexpr int kSteps = 100;
  constexpr double kNear = 0.01;  // Newton decrement: any point this near serves as well
  const Index d = body.G.cols();
  Center c{Vector(at(d), 0.0), body.h, {}};
  for (int step = 0; step < kSteps; ++step) {
    if (!hessian(body.G, c.slack, c.factor)) throw UndecidedError("sample: the cell is too thin for floats");
    Vector weights(c.slack.size()), direction(at(d)), v(c.slack.size());
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = -1 / c.slack[i];
    gemv(true, 1.0, body.G, weights.data(), 0.0, direction.data());
    const Vector gradient = direction;  // minus the gradient
    cholesky_solve(c.factor, direction.data());
    const double decrement = dot(gradient.data(), direction.data(), d);
    if (!(decrement > kNear * kNear)) break;
    gemv(false, 1.0, body.G, direction.data(), 0.0, v.data());
    const double now = barrier(c.slack, v, 0);
    double t = std::min(1.0, 0.95 * reach(c.slack, v));
    for (int halvings = 0; halvings < 40 && !(barrier(c.slack, v, t) <= now - 0.1 * t * decrement); ++halvings) t /= 2;
    axpy(t, direction.data(), c.y.data(), d);
    axpy(-t, v.data(), c.slack.data(), static_cast<Index>(c.slack.size()));
  }
  return c;
}

// Largest and least a_i / s_i: one over the longest steps forward and backward.
struct Reach {
  double forward = 0, backward = 0;
};

PYREGIONS_CLONES Reach both_ways(const double* __restrict__ a, const double* __restrict__ s, Index n) {
  constexpr Index kLanes = 8;
  double most[kLanes] = {}, least[kLanes] = {};
  Index i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (Index j = 0; j < kLanes; ++j) {
      const double r = a[i + j] / s[i + j];
      most[j] = r > most[j] ? r : most[j];
      least[j] = r < least[j] ? r : least[j];
    }
  }
  Reach found;
  for (; i < n; ++i) {
    const double r = a[i] / s[i];
    most[0] = std::max(most[0], r);
    least[0] = std::min(least[0], r);
  }
  for (Index j = 0; j < kLanes; ++j) {
    found.forward = std::max(found.forward, most[j]);
    found.backward = std::min(found.backward, least[j]);
  }
  return found;
}

class Walk {
 public:
  explicit Walk(const Frame& frame) : frame_(frame) {
    const Body body = body_of(frame);
    Center center = analytic_center(body);
    inverse_ = Matrix(frame.dim, frame.dim);
    for (Index i = 0; i < frame.dim; ++i) std::copy_n(center.factor.row(i), i + 1, inverse_.row(i));
    if (!invert(inverse_)) throw UndecidedError("sample: the cell is too thin for floats");
    columns_ = Matrix(frame.dim, body.G.rows());
    gemm(false, true, 1.0, inverse_, body.G, 0.0, columns_);
    center_ = std::move(center.y);
    slack_ = std::move(center.slack);
  }

  // The end of a walk; the same random numbers for any number of steps.
  void run(Index steps, std::uint64_t seed, Index walk, const std::atomic<bool>& stop, double* out) const {
    std::seed_seq words{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32), static_cast<std::uint32_t>(walk)};
    std::mt19937_64 random(words);
    Vector w(at(frame_.dim), 0.0), slack = slack_;
    for (Index step = 0; step < steps && !stop; ++step) move(random, w, slack);
    Matrix y(1, frame_.dim);
    std::copy(center_.begin(), center_.end(), y.data());
    gemv(true, 1.0, inverse_, w.data(), 1.0, y.data());
    const Matrix x = frame_.to_x(y);
    std::copy(x.data(), x.data() + x.cols(), out);
  }

 private:
  // One step along a random coordinate, uniform on the chord.
  void move(std::mt19937_64& random, Vector& w, Vector& slack) const {
    const Index k = static_cast<Index>((random() >> 32) * static_cast<std::uint64_t>(frame_.dim) >> 32);
    const double u = static_cast<double>(random() >> 11) * 0x1p-53;
    const double* a = columns_.row(k);
    const Index n = columns_.cols();
    const Reach ends = both_ways(a, slack.data(), n);
    if (!(ends.forward > 0 && ends.backward < 0)) return;  // the chord has no end among doubles
    const double low = 1 / ends.backward, high = 1 / ends.forward, t = low + u * (high - low);
    if (!std::isfinite(t)) return;
    w[at(k)] += t;
    for (Index i = 0; i < n; ++i) slack[at(i)] = std::max(slack[at(i)] - t * a[i], std::numeric_limits<double>::min());
  }

  const Frame& frame_;
  Matrix inverse_, columns_;  // of the Hessian's factor C: C^-1; rows of G in the coordinates w = C^T y, one per line
  Vector center_, slack_;
};

}  // namespace

Matrix sample(Cell& cell, Index count, Index steps, std::uint64_t seed, int workers) {
  if (cell.fine().rows() > 1) throw UndecidedError("sample: no double is known inside the cell");
  const Frame frame = make_frame(cell.rows(), cell.interior(), false);
  const Walk walk(frame);
  Matrix points(count, frame.dim);
  std::vector<Index> open(at(count));
  std::iota(open.begin(), open.end(), Index{0});
  constexpr int kTries = 100;
  for (int attempt = 0; attempt < kTries; ++attempt) {
    std::atomic<bool> stop{false};
    const Deadline never(std::numeric_limits<double>::infinity());
    const auto go_on = [&](Index) {
      try {
        return !never.is_over();
      } catch (const Interrupted&) {
        return false;
      }
    };
    const auto job = [&](Index i) {
      const FloatEnvironment environment;
      const Index point = open[at(i)];
      walk.run(steps + attempt * frame.dim, seed, point, stop, points.row(point));
    };
    parallel_for(static_cast<Index>(open.size()), workers, job, &stop, go_on, true);
    if (stop) throw Interrupted("sample");
    const auto inside = [&](Index i) { return cell.rows().strictly_inside(points.row(i)); };
    open.erase(std::remove_if(open.begin(), open.end(), inside), open.end());
    if (open.empty()) return points;
  }
  throw UndecidedError("sample: no double was found inside at the end of a walk; the cell is too thin for floats");
}

}  // namespace pyregions
