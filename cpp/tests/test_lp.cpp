// Linear programs: optimality, Farkas multipliers, rays, bounds on the objective, and independence from history.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <thread>

#include "lp.h"

using namespace pyregions;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// HiGHS is asked for 1e-9; a few digits are lost in forming the residuals here.
constexpr double kTolerance = 1e-7;

struct Problem {
  Matrix A;
  Vector b, c, lower, upper;
};

Problem random_problem(std::mt19937_64& random, Index rows, Index cols, bool bounded, double slack) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0, 1);
  Problem p{Matrix(rows, cols), {}, {}, {}, {}};
  for (Index i = 0; i < rows; ++i) {
    const double size = std::ldexp(1.0, static_cast<int>(random() % 60) - 30);  // rows of very different lengths
    for (Index j = 0; j < cols; ++j) p.A(i, j) = size * normal(random);
    p.b.push_back(size * (slack + uniform(random)));
  }
  for (Index j = 0; j < cols; ++j) {
    p.c.push_back(normal(random));
    p.lower.push_back(bounded ? -uniform(random) - 0.1 : -kInfinity);
    p.upper.push_back(bounded ? uniform(random) + 0.1 : kInfinity);
  }
  return p;
}

LpResult solve(const Problem& p, const LpOptions& options = {}) {
  return maximize_lp(p.A, p.b, p.c, p.lower, p.upper, nullptr, options);
}

double row_size(const Problem& p, Index i) { return norm2(p.A.row(i), p.A.cols()); }

// Largest violation of a row or bound by x, rows at unit length.
double violation(const Problem& p, const Vector& x) {
  double worst = 0;
  for (Index i = 0; i < p.A.rows(); ++i) {
    worst = std::max(worst, (dot(p.A.row(i), x.data(), p.A.cols()) - p.b[i]) / row_size(p, i));
  }
  for (std::size_t j = 0; j < x.size(); ++j) worst = std::max({worst, p.lower[j] - x[j], x[j] - p.upper[j]});
  return worst;
}

// row_duals . b + the bounds' share: an upper bound of c.x, or of 0 for Farkas multipliers.
double dual_value(const Problem& p, const LpResult& r) {
  double value = dot(r.row_duals.data(), p.b.data(), p.A.rows());
  for (std::size_t j = 0; j < r.bound_duals.size(); ++j) {
    const double d = r.bound_duals[j];
    const double bound = d > 0 ? p.upper[j] : p.lower[j];
    if (std::isfinite(bound)) value += d * bound;
    else CHECK(std::fabs(d) < kTolerance);
  }
  return value;
}

}  // namespace

TEST_CASE("optimal points satisfy primal, dual and equal objectives") {
  std::mt19937_64 random(1);
  for (int trial = 0; trial < 40; ++trial) {
    const Index cols = 1 + static_cast<Index>(random() % 12);
    const Problem p = random_problem(random, 1 + static_cast<Index>(random() % 40), cols, true, 0.1);
    using Method = LpOptions::Method;
    for (Method method : {Method::simplex_dual, Method::simplex_primal, Method::interior}) {
      LpOptions options;
      options.method = method;
      const LpResult r = solve(p, options);
      REQUIRE(r.status == LpResult::Status::optimal);
      CHECK(violation(p, r.x) < kTolerance);
      CHECK(r.objective == doctest::Approx(dot(p.c.data(), r.x.data(), cols)));
      for (double dual : r.row_duals) CHECK(dual >= 0);
      CHECK(dual_value(p, r) == doctest::Approx(r.objective).epsilon(kTolerance));
      CHECK(r.basis_rows.size() + r.basis_bounds.size() == static_cast<std::size_t>(cols));
    }
  }
}

TEST_CASE("infeasible problems come with Farkas multipliers") {
  std::mt19937_64 random(2);
  int seen = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const Index cols = 1 + static_cast<Index>(random() % 12);
    const Problem p = random_problem(random, 40, cols, trial % 2 == 0, -0.5);
    const LpResult r = solve(p);
    if (r.status != LpResult::Status::infeasible) continue;
    ++seen;
    REQUIRE(r.row_duals.size() == static_cast<std::size_t>(p.A.rows()));
    double size = 0;
    for (Index i = 0; i < p.A.rows(); ++i) {
      CHECK(r.row_duals[i] >= 0);
      size += r.row_duals[i] * row_size(p, i);
    }
    CHECK(size > 0);
    Problem unit = p;
    LpResult scaled = r;
    for (double& value : scaled.row_duals) value /= size;
    for (double& value : scaled.bound_duals) value /= size;
    CHECK(dual_value(unit, scaled) < 0);
  }
  CHECK(seen > 10);
}

TEST_CASE("an unbounded problem comes with a ray") {
  Problem p{Matrix(2, 2), {1, 1}, {1, 1}, {}, {}};
  p.A(0, 0) = 1;
  p.A(0, 1) = -1;
  p.A(1, 0) = -1;
  const LpResult r = solve(p);
  REQUIRE(r.status == LpResult::Status::unbounded);
  REQUIRE(r.x.size() == 2);
  CHECK(r.x[0] + r.x[1] > 0);
  CHECK(r.x[0] - r.x[1] <= kTolerance);
  CHECK(-r.x[0] <= kTolerance);
}

TEST_CASE("skipped rows do not count and rows without coefficients are understood") {
  Problem p{Matrix(3, 1), {1, 2, -1}, {1}, {}, {}};
  p.A(0, 0) = 1;
  p.A(1, 0) = 1;
  LpResult r = solve(p);
  REQUIRE(r.status == LpResult::Status::infeasible);
  CHECK(r.row_duals[2] > 0);
  const std::vector<std::uint8_t> skip = {1, 0, 1};
  r = maximize_lp(p.A, p.b, p.c, p.lower, p.upper, &skip);
  REQUIRE(r.status == LpResult::Status::optimal);
  CHECK(r.objective == doctest::Approx(2));
  CHECK(r.row_duals[0] == 0);
  CHECK(r.row_duals[1] == doctest::Approx(1));
}

TEST_CASE("the objective bound stops early and never lies") {
  std::mt19937_64 random(3);
  int stopped = 0;
  for (int trial = 0; trial < 20; ++trial) {
    const Problem p = random_problem(random, 60, 20, true, 0.1);
    const double best = solve(p).objective;
    for (double offset : {-1.0, -0.01, 0.01, 1.0}) {
      LpOptions options;
      options.use_objective_bound = true;
      options.objective_bound = best + offset;
      const LpResult r = solve(p, options);
      if (r.status == LpResult::Status::bound_reached) {
        ++stopped;
        CHECK(offset > 0);  // the optimum is below the bound, which is what the stop claims
      } else {
        REQUIRE(r.status == LpResult::Status::optimal);
        CHECK(r.objective == doctest::Approx(best));
      }
    }
  }
  CHECK(stopped > 20);
}

TEST_CASE("the answer does not depend on what was solved before, nor on the thread") {
  std::mt19937_64 random(4);
  const Problem p = random_problem(random, 80, 25, true, 0.1), other = random_problem(random, 30, 9, false, -0.5);
  const LpResult first = solve(p);
  const auto same = [&](const LpResult& r) {
    CHECK(r.x == first.x);
    CHECK(r.row_duals == first.row_duals);
    CHECK(r.basis_rows == first.basis_rows);
    CHECK(r.iterations == first.iterations);
  };
  for (auto method : {LpOptions::Method::interior, LpOptions::Method::simplex_primal}) {
    LpOptions options;
    options.method = method;
    options.crossover = false;
    options.use_objective_bound = true;
    options.objective_bound = 0.5;
    solve(other, options);
    solve(p, options);
    same(solve(p));
  }
  LpResult elsewhere;
  std::thread([&] { elsewhere = solve(p); }).join();
  same(elsewhere);
}
