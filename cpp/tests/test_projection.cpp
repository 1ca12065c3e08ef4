// Nearest points: optimality and Farkas conditions spelled out, degenerate rows, thin cones, determinism.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <thread>

#include "projection.h"

using namespace pyregions;
using Status = NearestPoint::Status;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Ten times the violation that nearest_point() lets pass; a wrong answer is off by far more.
constexpr double kTolerance = 1e-9;

struct Problem {
  Matrix A;
  Vector b, lower, upper, extra;
  double extra_b = 0;

  Index rows() const { return A.rows() + 2 * A.cols() + 1; }
  // Outward row `id` and its right-hand side (infinite when there is no such row).
  double row(Index id, Vector& out) const {
    const Index n = A.rows(), k = A.cols();
    out.assign(static_cast<std::size_t>(k), 0.0);
    if (id < n) {
      std::copy(A.row(id), A.row(id) + k, out.begin());
      return b[id];
    }
    if (id == n + 2 * k) {
      if (extra.empty()) return kInfinity;
      out = extra;
      return extra_b;
    }
    const bool below = id < n + k;
    const Index j = (id - n) % k;
    out[j] = below ? -1 : 1;
    if (lower.empty()) return kInfinity;
    return below ? -lower[j] : upper[j];
  }
  NearestPoint solve(const Matrix* gram = nullptr, const std::uint8_t* skip = nullptr) const {
    NearestPointProblem p;
    p.A = &A;
    p.b = b.data();
    p.skip = skip;
    p.gram = gram;
    if (!lower.empty()) p.lower = lower.data();
    if (!upper.empty()) p.upper = upper.data();
    if (!extra.empty()) p.extra = extra.data();
    p.extra_b = extra_b;
    return nearest_point(p);
  }
};

double largest_size(const Vector& values) {
  double largest = 0;
  for (double value : values) largest = std::max(largest, std::fabs(value));
  return largest;
}

void check_optimal(const Problem& p, const NearestPoint& r) {
  const Index k = p.A.cols();
  REQUIRE(r.y.size() == static_cast<std::size_t>(k));
  const double size = std::max(1.0, largest_size(r.y));
  Vector row, sum = r.y;
  for (Index id = 0; id < p.rows(); ++id) {
    const double b = p.row(id, row), norm = norm2(row.data(), k);
    if (!std::isfinite(b) || norm == 0) continue;
    CHECK((dot(row.data(), r.y.data(), k) - b) / norm < kTolerance * std::max({1.0, std::fabs(b), size}));
  }
  for (const auto& [id, multiplier] : r.multipliers) {
    CHECK(multiplier > 0);
    const double b = p.row(id, row), norm = norm2(row.data(), k);
    axpy(multiplier, row.data(), sum.data(), k);
    CHECK(std::fabs(dot(row.data(), r.y.data(), k) - b) / norm < kTolerance * std::max(std::fabs(b) / norm, size));
  }
  CHECK(largest_size(sum) < 1e-7 * size);
}

void check_farkas(const Problem& p, const NearestPoint& r) {
  const Index k = p.A.cols();
  Vector row, sum(static_cast<std::size_t>(k), 0.0);
  double value = 0, size = 0, value_size = 0;
  for (const auto& [id, multiplier] : r.multipliers) {
    CHECK(multiplier > 0);
    const double b = p.row(id, row);
    axpy(multiplier, row.data(), sum.data(), k);
    value += multiplier * b;
    value_size += multiplier * std::fabs(b);
    size += multiplier * norm2(row.data(), k);
    if (id == p.rows() - 1) CHECK(multiplier == 1);
  }
  CHECK(largest_size(sum) < 1e-11 * size);
  CHECK(value < -1e-12 * value_size);
}

void check(const Problem& p, const NearestPoint& r) {
  REQUIRE(r.status != Status::limit);
  if (r.status == Status::optimal) check_optimal(p, r);
  else check_farkas(p, r);
}

// Kinds: 0 generic, 1 small integers, 2 rows of very different lengths, 3 repeated and negated rows, 4 rank deficient,
// 5 nearly repeated rows. Feasible when `feasible` (x0 is inside).
Problem random_problem(std::mt19937_64& random, int kind, Index n, Index k, bool bounded, bool with_extra,
                       bool feasible) {
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0, 1);
  Problem p{Matrix(n, k), {}, {}, {}, {}, 0};
  Vector x0;
  for (Index j = 0; j < k; ++j) x0.push_back(2 * normal(random));
  const Index rank = kind == 4 ? (k + 1) / 2 : k;
  const double nearly = std::pow(10.0, -3 - 12 * uniform(random));
  for (Index i = 0; i < n; ++i) {
    const Index copied = static_cast<Index>(random() % static_cast<std::size_t>(n / 3 + 1));
    const double scale = kind == 2 ? std::pow(10.0, 8 * uniform(random) - 4) : kind == 3 ? (random() % 2 ? 2 : -1) : 1;
    for (Index j = 0; j < k; ++j) {
      double value = j < rank ? normal(random) : p.A(i, j - rank);
      if (kind == 1) value = std::round(1.5 * value);
      if ((kind == 3 || kind == 5) && copied < i) value = p.A(copied, j) + (kind == 5 ? nearly * value : 0);
      p.A(i, j) = scale * value;
    }
    const double norm = norm2(p.A.row(i), k);
    const double room = random() % 3 == 0 ? 0.0 : uniform(random);
    const double cut = !feasible && random() % 8 == 0 ? -0.3 : 0.0;
    p.b.push_back(dot(p.A.row(i), x0.data(), k) + norm * (room + cut));
  }
  for (Index j = 0; bounded && j < k; ++j) {
    p.lower.push_back(random() % 4 == 0 ? -kInfinity : x0[j] - (random() % 3 == 0 ? 0 : uniform(random)));
    p.upper.push_back(random() % 4 == 0 ? kInfinity : x0[j] + uniform(random));
  }
  for (Index j = 0; with_extra && j < k; ++j) p.extra.push_back(normal(random));
  const double room = feasible ? uniform(random) : 1 - 4 * uniform(random);
  if (with_extra) p.extra_b = dot(p.extra.data(), x0.data(), k) + room;
  return p;
}

}  // namespace

TEST_CASE("a corner, a side and the inside of a square") {
  Problem p{Matrix(2, 2), {-1, -2}, {}, {}, {}, 0};
  p.A(0, 0) = -1;
  p.A(1, 1) = -1;  // x >= 1, y >= 2
  NearestPoint r = p.solve();
  REQUIRE(r.status == Status::optimal);
  CHECK(r.y == Vector{1, 2});
  CHECK(r.multipliers == std::vector<std::pair<Index, double>>{{0, 1.0}, {1, 2.0}});
  p.lower = {-5, -5};
  p.upper = {5, 1};
  r = p.solve();  // y >= 2 against y <= 1
  REQUIRE(r.status == Status::infeasible);
  CHECK(r.multipliers == std::vector<std::pair<Index, double>>{{1, 1.0}, {5, 1.0}});
  p.b = {1, 2};
  r = p.solve();
  REQUIRE(r.status == Status::optimal);
  CHECK(r.y == Vector{0, 0});
  CHECK(r.multipliers.empty());
}

TEST_CASE("rows without coefficients: void or a contradiction") {
  Problem p{Matrix(1, 2), {0}, {}, {}, {}, 0};
  CHECK(p.solve().status == Status::optimal);
  p.b = {-1};
  const NearestPoint r = p.solve();
  REQUIRE(r.status == Status::infeasible);
  CHECK(r.multipliers == std::vector<std::pair<Index, double>>{{0, 1.0}});
  const std::uint8_t skip = 1;
  CHECK(p.solve(nullptr, &skip).status == Status::optimal);
}

TEST_CASE("random problems of every kind satisfy their conditions") {
  std::mt19937_64 random(1);
  int optimal = 0, infeasible = 0;
  for (int trial = 0; trial < 3000; ++trial) {
    const Index n = 1 + static_cast<Index>(random() % 60), k = 1 + static_cast<Index>(random() % 20);
    const bool feasible = trial % 2 == 0;
    const Problem p = random_problem(random, trial % 6, n, k, random() % 2 == 0, random() % 2 == 0, feasible);
    CAPTURE(trial);
    const NearestPoint r = p.solve();
    if (feasible) REQUIRE(r.status == Status::optimal);
    check(p, r);
    (r.status == Status::optimal ? optimal : infeasible) += 1;
    Matrix gram(n, n);
    gemm(false, true, 1.0, p.A, p.A, 0.0, gram);
    const NearestPoint with_gram = p.solve(&gram);
    CHECK(with_gram.status == r.status);
    for (std::size_t j = 0; j < r.y.size() && r.status == Status::optimal; ++j) {
      CHECK(std::fabs(with_gram.y[j] - r.y[j]) < 1e-6 * std::max(1.0, largest_size(r.y)));
    }
  }
  CHECK(optimal > 1500);
  CHECK(infeasible > 300);
}

TEST_CASE("skipped rows do not count") {
  std::mt19937_64 random(2);
  for (int trial = 0; trial < 50; ++trial) {
    const Problem p = random_problem(random, 0, 40, 8, trial % 2 == 0, true, false);
    std::vector<std::uint8_t> skip(40);
    std::vector<Index> kept;
    Problem without{Matrix(), {}, p.lower, p.upper, p.extra, p.extra_b};
    for (Index i = 0; i < 40; ++i) {
      skip[i] = random() % 2 == 0;
      if (skip[i]) continue;
      kept.push_back(i);
      without.b.push_back(p.b[i]);
    }
    without.A = gather_rows(p.A, kept);
    const NearestPoint r = p.solve(nullptr, skip.data()), expected = without.solve();
    REQUIRE(r.status == expected.status);
    for (std::size_t j = 0; j < r.y.size(); ++j) CHECK(r.y[j] == doctest::Approx(expected.y[j]));
  }
}

// Implied rows of random polytopes: the active rows end in a thin cone, where the Gram matrix is singular to working
// precision although the rows are not dependent.
TEST_CASE("thin cones are decided") {
  std::mt19937_64 random(3);
  const Index n = 1500, k = 80;
  Problem p = random_problem(random, 0, n, k, false, true, true);
  for (Index i = 0; i < n; ++i) p.b[i] = 9 * static_cast<double>(random() % 1000) / 1000;
  int infeasible = 0;
  for (Index i = 0; i < 12; ++i) {
    std::vector<std::uint8_t> skip(static_cast<std::size_t>(n));
    skip[i] = 1;
    for (Index j = 0; j < k; ++j) p.extra[j] = -p.A(i, j);
    p.extra_b = -p.b[i];
    const NearestPoint r = p.solve(nullptr, skip.data());
    REQUIRE(r.status != Status::limit);
    if (r.status == Status::optimal) continue;
    ++infeasible;
    check_farkas(p, r);
  }
  CHECK(infeasible > 2);
}

TEST_CASE("the answer does not depend on what was solved before, nor on the thread") {
  std::mt19937_64 random(4);
  const Problem p = random_problem(random, 0, 60, 12, true, true, true);
  const Problem other = random_problem(random, 3, 90, 20, false, true, false);
  const NearestPoint first = p.solve();
  other.solve();
  const NearestPoint again = p.solve();
  CHECK(again.y == first.y);
  CHECK(again.multipliers == first.multipliers);
  NearestPoint elsewhere;
  std::thread([&] { elsewhere = p.solve(); }).join();
  CHECK(elsewhere.y == first.y);
  CHECK(elsewhere.iterations == first.iterations);
}
