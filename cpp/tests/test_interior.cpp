// Inscribed balls: strong duality spelled out, agreement with linear programs, hard shapes, early centres.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "interior.h"
#include "lp.h"
#include "normal_equations.h"

using namespace pyregions;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Instance {
  Matrix A;
  BallProblem ball;
};

Instance random_instance(std::mt19937_64& random, int kind, Index n, Index k, bool bounded) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0, 1);
  Instance p{Matrix(n, k), {}};
  Vector x0;
  for (Index j = 0; j < k; ++j) x0.push_back(normal(random));
  for (Index i = 0; i < n; ++i) {
    const Index copied = static_cast<Index>(random() % static_cast<std::size_t>(n / 3 + 1));
    const double scale = kind == 1 ? std::pow(10.0, 12 * uniform(random) - 6) : 1;
    for (Index j = 0; j < k; ++j) {
      p.A(i, j) = scale * (kind == 2 && copied < i ? p.A(copied, j) : normal(random));
    }
    const double norm = norm2(p.A.row(i), k);
    p.ball.norms.push_back(norm);
    const double room = kind == 3 ? uniform(random) - 0.5 : uniform(random);  // 3: mostly without interior
    p.ball.b.push_back(dot(p.A.row(i), x0.data(), k) + norm * room);
  }
  for (Index j = 0; bounded && j < k; ++j) {
    p.ball.lower.push_back(kind == 4 && random() % 2 ? -kInfinity : x0[j] - uniform(random));
    p.ball.upper.push_back(kind == 4 && random() % 2 ? kInfinity : x0[j] + uniform(random));
  }
  p.ball.radius_cap = 100;
  return p;
}

BallResult solve(Instance& p, const BallOptions& options = {}) {
  p.ball.A = &p.A;
  return inscribed_ball(p.ball, options);
}

// Feasibility of (x, r), dual feasibility to rounding, and equality of the objectives.
void check(const Instance& p, const BallResult& r) {
  const BallProblem& q = p.ball;
  const Index n = p.A.rows(), k = p.A.cols();
  REQUIRE(r.converged);
  for (Index i = 0; i < n; ++i) {
    const double slack = (q.b[i] - dot(p.A.row(i), r.x.data(), k)) / q.norms[i];
    CHECK(slack - r.r >= -1e-12 * (1 + std::fabs(q.b[i] / q.norms[i])));
    CHECK(r.row_multipliers[i] >= 0);
  }
  Vector sum(static_cast<std::size_t>(k), 0.0);
  gemv(true, 1.0, p.A, r.row_multipliers.data(), 0.0, sum.data());
  double total = r.cap_multiplier + dot(q.norms.data(), r.row_multipliers.data(), n);
  double value = q.radius_cap * r.cap_multiplier + dot(q.b.data(), r.row_multipliers.data(), n);
  for (Index j = 0; j < k; ++j) {
    const double below = r.lower_multipliers[j], above = r.upper_multipliers[j];
    CHECK(below >= 0);
    CHECK(above >= 0);
    total += below + above;
    CHECK(std::fabs(sum[j] + above - below) < 1e-12);
    if (below > 0) value -= below * q.lower[j];
    if (above > 0) value += above * q.upper[j];
  }
  CHECK(total == doctest::Approx(1).epsilon(1e-12));
  CHECK(std::fabs(value - r.r) < 1e-7 * std::max(1.0, std::fabs(r.r)));
}

// The same program through HiGHS, r being the last column.
double radius_by_lp(const Instance& p) {
  const BallProblem& q = p.ball;
  const Index n = p.A.rows(), k = p.A.cols(), bounds = static_cast<Index>(q.lower.size());
  Matrix A(n + 2 * bounds, k + 1);
  Vector b = q.b, c(static_cast<std::size_t>(k + 1), 0.0);
  Vector lower(c.size(), -kInfinity), upper(c.size(), kInfinity);
  for (Index i = 0; i < n; ++i) {
    std::copy(p.A.row(i), p.A.row(i) + k, A.row(i));
    A(i, k) = q.norms[i];
  }
  std::vector<std::uint8_t> skip(static_cast<std::size_t>(n), 0);
  for (Index j = 0; j < 2 * bounds; ++j) {
    const double bound = j < bounds ? -q.lower[j] : q.upper[j - bounds];
    A(n + j, j % bounds) = j < bounds ? -1 : 1;
    A(n + j, k) = 1;
    b.push_back(bound);
    skip.push_back(!std::isfinite(bound));
  }
  c.back() = 1;
  upper.back() = q.radius_cap;
  const LpResult r = maximize_lp(A, b, c, lower, upper, &skip);
  REQUIRE(r.status == LpResult::Status::optimal);
  return r.objective;
}

}  // namespace

TEST_CASE("random polytopes: duality and the radius of the linear program") {
  std::mt19937_64 random(1);
  for (int trial = 0; trial < 250; ++trial) {
    const Index n = 1 + static_cast<Index>(random() % 80), k = 1 + static_cast<Index>(random() % 25);
    Instance p = random_instance(random, trial % 5, n, k, random() % 3 != 0);
    CAPTURE(trial);
    const BallResult r = solve(p);
    check(p, r);
    const double expected = radius_by_lp(p);
    CHECK(std::fabs(r.r - expected) < 1e-7 * std::max(1.0, std::fabs(expected)));
  }
}

TEST_CASE("rows beside many bounds agree as well") {
  std::mt19937_64 random(2);
  for (int trial = 0; trial < 24; ++trial) {
    const Index n = 1 + static_cast<Index>(random() % 160), k = 128 + static_cast<Index>(random() % 20);
    Instance p = random_instance(random, trial % 4, n, k, true);
    CAPTURE(trial);
    const BallResult r = solve(p);
    check(p, r);
    CHECK(std::fabs(r.r - radius_by_lp(p)) < 1e-7);
  }
}

TEST_CASE("the normal equations are solved whatever the weights") {
  std::mt19937_64 random(3);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(-1, 1);
  int factored = 0, found_by_gradients = 0;
  for (int trial = 0; trial < 60; ++trial) {
    const Index n = 1 + static_cast<Index>(random() % 200), k = trial % 3 ? 130 : 10;
    Instance p = random_instance(random, trial % 4, n, k, true);
    for (Index i = n / 2; trial % 2 && i < n; ++i) {  // nearly dependent
      for (Index j = 0; j < k; ++j) p.A(i, j) = p.A(i - n / 2, j) + 1e-6 * normal(random);
      p.ball.norms[i] = norm2(p.A.row(i), k);
    }
    p.ball.A = &p.A;
    NormalEquations system(p.ball);
    const double span = trial % 5 * 2;  // weights of up to 10^+-8
    Vector weights, wanted, image, right, found, back;
    for (std::size_t i = 0; i < system.rhs().size(); ++i) weights.push_back(std::pow(10.0, span * uniform(random)));
    for (Index j = 0; j <= k; ++j) wanted.push_back(normal(random));
    const auto apply = [&](const Vector& z, Vector& out) {
      system.multiply(z, image);
      for (std::size_t i = 0; i < image.size(); ++i) image[i] *= weights[i];
      system.multiply_transposed(image, out);
    };
    apply(wanted, right);
    REQUIRE(system.factor(weights, 0.0));
    system.solve(right, found);
    (system.low_rank() ? found_by_gradients : factored) += 1;
    apply(found, back);
    double left = 0, size = 0;
    for (Index j = 0; j <= k; ++j) {
      left = std::max(left, std::fabs(back[j] - right[j]));
      size = std::max(size, std::fabs(right[j]));
    }
    CAPTURE(trial);
    CHECK(left <= 0x1p-19 * size);
  }
  CHECK(factored > 10);
  CHECK(found_by_gradients > 10);
}

TEST_CASE("the square, a slab, an empty interior and a single point") {
  Instance p{Matrix(0, 2), {}};
  p.ball.lower = {0, 0};
  p.ball.upper = {2, 2};
  p.ball.radius_cap = 10;
  BallResult r = solve(p);
  check(p, r);
  CHECK(r.r == doctest::Approx(1));
  CHECK(r.x[0] == doctest::Approx(1));
  p.ball.upper = {2, kInfinity};
  r = solve(p);
  check(p, r);
  CHECK(r.r == doctest::Approx(1));
  p.ball.upper = {-2, kInfinity};  // 0 <= x <= -2
  r = solve(p);
  check(p, r);
  CHECK(r.r == doctest::Approx(-1));
  p.ball.upper = {0, 0};
  r = solve(p);
  check(p, r);
  CHECK(std::fabs(r.r) < 1e-9);
}

TEST_CASE("an unbounded polyhedron gets the cap, with the cap's multiplier alone") {
  Instance p{Matrix(1, 3), {}};
  p.A(0, 1) = 5;
  p.ball.norms = {5};
  p.ball.b = {1};
  for (double cap : {1.0, 1e3, 1e6}) {
    p.ball.radius_cap = cap;
    const BallResult r = solve(p);
    REQUIRE(r.converged);
    CHECK(r.r == doctest::Approx(cap));
    CHECK(r.cap_multiplier == 1);
    CHECK(r.row_multipliers[0] == 0);
  }
}

TEST_CASE("until_positive stops early inside") {
  std::mt19937_64 random(3);
  for (int trial = 0; trial < 20; ++trial) {
    Instance p = random_instance(random, 0, 100, 30, true);
    const BallResult best = solve(p);
    BallOptions options;
    options.until_positive = true;
    const BallResult r = solve(p, options);
    if (best.r <= 0) continue;
    CHECK(r.converged);
    CHECK(r.r > 0);
    CHECK(r.r > 0.25 * best.r);
    CHECK(r.iterations < best.iterations);
  }
}

TEST_CASE("the same call gives the same doubles") {
  std::mt19937_64 random(4);
  Instance p = random_instance(random, 0, 70, 20, true);
  const BallResult a = solve(p), b = solve(p);
  CHECK(a.x == b.x);
  CHECK(a.row_multipliers == b.row_multipliers);
}

TEST_CASE("numbers at the end of the range of doubles propose nothing, and do no harm") {
  Matrix a(1, 4);
  for (Index k = 0; k < 3; ++k) a(0, k) = -1 / std::sqrt(3.0);
  BallProblem problem;
  problem.A = &a;
  problem.norms = {1.0};
  problem.b = {-std::numeric_limits<double>::denorm_min()};
  problem.lower = problem.upper = Vector(4, 0.0);
  problem.radius_cap = std::numeric_limits<double>::denorm_min();
  const BallResult ball = inscribed_ball(problem);
  CHECK(!(ball.r > 0));
  CHECK(ball.x.size() == 4);
  CHECK(ball.row_multipliers.size() == 1);
}
