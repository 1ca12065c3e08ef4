// The largest value of a row over a box and other rows: which side of a bar it lies on, against HiGHS, and what proves it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "lp.h"
#include "row_maximum.h"

using namespace pyregions;

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Unit rows, with `common` of one direction that all share, as trained networks have it.
struct Problem {
  Matrix a;
  Vector b, lower, upper, c;
  std::vector<std::uint8_t> skip;

  Problem(std::mt19937_64& random, Index rows, Index dim, double common) : a(rows, dim), skip(at(rows), 0) {
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> uniform(0.05, 1);
    Vector mean(at(dim));
    for (double& v : mean) v = normal(random);
    const auto unit = [&](double* row) {
      for (Index k = 0; k < dim; ++k) row[k] = normal(random) + common * mean[at(k)];
      const double length = norm2(row, dim);
      for (Index k = 0; k < dim; ++k) row[k] /= length;
    };
    for (Index j = 0; j < rows; ++j) {
      unit(a.row(j));
      b.push_back(uniform(random));
    }
    c.resize(at(dim));
    unit(c.data());
    for (Index k = 0; k < dim; ++k) {
      lower.push_back(-uniform(random));
      upper.push_back(uniform(random));
    }
    if (rows > 3) skip[at(rows / 2)] = 1;
  }

  RowMaximum ask(double bar, Index own, const Matrix* products) const {
    RowMaximumProblem problem;
    problem.A = &a;
    problem.products = products;
    problem.b = b.data();
    problem.skip = skip.data();
    problem.lower = lower.data();
    problem.upper = upper.data();
    problem.c = c.data();
    problem.bar = bar;
    problem.own = own;
    problem.margin = 1e-7;
    return row_maximum(problem);
  }

  // The ray to y reaches the bar before every other wall.
  bool leaves_first(const Vector& y, double bar, Index own) const {
    const double ratio = dot(c.data(), y.data(), a.cols()) / bar;
    for (Index j = 0; j < a.rows(); ++j)
      if (!skip[at(j)] && dot(a.row(j), y.data(), a.cols()) >= ratio * b[at(j)]) return false;
    for (Index k = 0; k < a.cols(); ++k)
      if (k != own && (y[at(k)] >= ratio * upper[at(k)] || y[at(k)] <= ratio * lower[at(k)])) return false;
    return ratio > 0;
  }

  double bound(const std::vector<std::pair<Index, double>>& multipliers) const {
    Vector rest = c;
    double value = 0;
    for (const auto& [j, l] : multipliers) {
      CHECK(l >= 0);
      CHECK(!skip[at(j)]);
      axpy(-l, a.row(j), rest.data(), a.cols());
      value += l * b[at(j)];
    }
    for (Index k = 0; k < a.cols(); ++k) value += rest[at(k)] * (rest[at(k)] > 0 ? upper[at(k)] : lower[at(k)]);
    return value;
  }

  void check(double bar, bool above, Index own = -1) const {
    Matrix products(a.rows(), a.rows());
    gemm(false, true, 1.0, a, a, 0.0, products);
    for (const Matrix* given : {static_cast<const Matrix*>(nullptr), static_cast<const Matrix*>(&products)}) {
      const RowMaximum found = ask(bar, own, given);
      CHECK(found.status == (above ? RowMaximum::Status::above : RowMaximum::Status::below));
      if (found.status == RowMaximum::Status::above) CHECK(leaves_first(found.y, bar, own));
      if (found.status == RowMaximum::Status::below) CHECK(bound(found.multipliers) < bar);
    }
  }
};

}  // namespace

TEST_CASE("the largest value of a row lies on the side of the bar that HiGHS says") {
  std::mt19937_64 random(3);
  for (const auto& [rows, dim] : {std::pair<Index, Index>{1, 1}, {5, 3}, {40, 10}, {60, 80}, {200, 60}}) {
    for (const double common : {0.0, 1.0, 4.0}) {
      const Problem p(random, rows, dim, common);
      const LpResult lp = maximize_lp(p.a, p.b, p.c, p.lower, p.upper, &p.skip);
      REQUIRE(lp.status == LpResult::Status::optimal);
      const double value = dot(p.c.data(), lp.x.data(), dim);
      for (const double relative : {1e-4, 1e-2, 0.3}) {
        CAPTURE(rows);
        CAPTURE(common);
        CAPTURE(relative);
        p.check(value * (1 - relative), true);
        p.check(value * (1 + relative), false);
      }
    }
  }
}

TEST_CASE("rows of which nearly nothing is left at the coordinates that are not clipped") {
  std::mt19937_64 random(5);
  for (const Index dim : {12, 60}) {
    for (const double rest : {1e-3, 1e-7, 0.0}) {
      Problem p(random, 50, dim, 0.0);
      for (Index j = 0; j < 50; ++j) {
        for (Index k = 0; k < dim; ++k) p.a(j, k) *= k == j % dim || k == (3 * j + 1) % dim ? 1 : rest;
        const double length = norm2(p.a.row(j), dim);
        for (Index k = 0; k < dim; ++k) p.a(j, k) /= length;
      }
      const LpResult lp = maximize_lp(p.a, p.b, p.c, p.lower, p.upper, &p.skip);
      REQUIRE(lp.status == LpResult::Status::optimal);
      const double value = dot(p.c.data(), lp.x.data(), dim);
      for (const double relative : {1e-4, 1e-2, 0.3}) {
        CAPTURE(rest);
        p.check(value * (1 - relative), true);
        p.check(value * (1 + relative), false);
      }
    }
  }
}

TEST_CASE("a bound that other rows may imply") {
  std::mt19937_64 random(4);
  for (int round = 0; round < 20; ++round) {
    Problem p(random, 30, 12, 1.0);
    const Index k = round % 12;
    std::fill(p.c.begin(), p.c.end(), 0.0);
    p.c[at(k)] = round % 2 ? 1 : -1;
    Problem relaxed = p;
    (round % 2 ? relaxed.upper : relaxed.lower)[at(k)] *= 100;
    const LpResult lp = maximize_lp(p.a, p.b, p.c, relaxed.lower, relaxed.upper, &p.skip);
    const double value = dot(p.c.data(), lp.x.data(), 12), bar = round % 2 ? p.upper[at(k)] : -p.lower[at(k)];
    if (std::fabs(value - bar) > 1e-4 * bar) p.check(bar, value > bar, k);
  }
}
