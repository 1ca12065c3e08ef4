// The exact rung's parts: programs and solves over the integers, whose answers are checked by what proves them.
#include <doctest/doctest.h>

#include <limits>
#include <random>

#include "make_cells.h"
#include "exact_rung.h"
#include "exact_solve.h"

using namespace pyregions;

namespace {

using Integers = std::vector<Integer>;

Integer sum_of_products(const Integers& a, const Integers& x) {
  Integer sum = 0;
  for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * x[k];
  return sum;
}

Integers random_integers(Index n, long limit, std::mt19937& random) {
  std::uniform_int_distribution<long> value(-limit, limit);
  Integers v;
  for (Index k = 0; k < n; ++k) v.emplace_back(value(random));
  return v;
}

// The multipliers, all positive, applied to normals and offsets.
std::pair<Integers, Integer> weighed(const ExactLp& lp, const std::vector<IntegerRow>& rows, std::size_t dim) {
  Integers sum(dim, 0);
  Integer bound = 0;
  for (const auto& [row, value] : lp.multipliers()) {
    CHECK(value > 0);
    const IntegerRow& used = rows[static_cast<std::size_t>(row)];
    for (std::size_t k = 0; k < dim; ++k) sum[k] += value * used.a[k];
    bound += value * used.b;
  }
  return {sum, bound};
}

// The optimum proves itself: a feasible point, nonnegative multipliers of the objective, equal values.
void check_optimum(const ExactLp& lp, const std::vector<IntegerRow>& rows, const Integers& c) {
  const Integer& d = lp.denominator();
  REQUIRE(d > 0);
  const Integers x = lp.numerators();
  for (const IntegerRow& row : rows) {
    CHECK(sum_of_products(row.a, x) <= d * row.b);
    CHECK(lp.slack(row) == d * row.b - sum_of_products(row.a, x));
  }
  const auto [sum, bound] = weighed(lp, rows, c.size());
  for (std::size_t k = 0; k < c.size(); ++k) CHECK(sum[k] == d * c[k]);
  CHECK(bound == lp.value());
}

void check_status(const ExactLp& lp, ExactLp::Status status, const std::vector<IntegerRow>& rows, const Integers& c) {
  if (status == ExactLp::Status::optimal) return check_optimum(lp, rows, c);
  if (status == ExactLp::Status::unbounded) {
    const Integers r = lp.ray();
    CHECK(sum_of_products(c, r) > 0);
    for (const IntegerRow& row : rows) CHECK(sum_of_products(row.a, r) <= 0);
    return;
  }
  const auto [sum, bound] = weighed(lp, rows, c.size());
  for (const Integer& v : sum) CHECK(v == 0);
  CHECK(bound < 0);
}

}  // namespace

TEST_CASE("integer programs prove their own answers, also when rows join later") {
  std::mt19937 random(1);
  const Deadline deadline(60);
  int optimal = 0, unbounded = 0, infeasible = 0;
  for (int round = 0; round < 2000; ++round) {
    const Index d = 1 + round % 5, n = 1 + static_cast<Index>(random() % 12);
    const long limit = round % 3 == 0 ? 1 : round % 3 == 1 ? 5 : 1L << 40;  // small integers tie all the time
    std::vector<IntegerRow> rows;
    const bool feasible = round % 4 != 0;
    for (Index j = 0; j < n; ++j) {
      Integer b = random_integers(1, limit, random)[0];
      rows.push_back({random_integers(d, limit, random), feasible ? Integer(abs(b)) : b});
    }
    const Integers c = random_integers(d, limit, random);
    ExactLp lp(d);
    lp.set_objective(c);
    const std::size_t early = random() % (rows.size() + 1);
    for (std::size_t j = 0; j < early; ++j) {
      lp.add(rows[j]);
      if (random() % 2) lp.enter(static_cast<Index>(j));
    }
    if (round % 2) check_status(lp, lp.solve(deadline), {rows.begin(), rows.begin() + static_cast<Index>(early)}, c);
    for (std::size_t j = early; j < rows.size(); ++j) lp.add(rows[j]);
    const ExactLp::Status status = lp.solve(deadline);
    check_status(lp, status, rows, c);
    optimal += status == ExactLp::Status::optimal;
    unbounded += status == ExactLp::Status::unbounded;
    infeasible += status == ExactLp::Status::infeasible;
  }
  CHECK(optimal > 300);
  CHECK(unbounded > 100);
  CHECK(infeasible > 30);
}

TEST_CASE("the budget ends a program that would take longer") {
  std::mt19937 random(2);
  ExactLp lp(40);
  lp.set_objective(random_integers(40, 1L << 50, random));
  for (int j = 0; j < 120; ++j) lp.add({random_integers(40, 1L << 50, random), Integer(1) << 50});
  CHECK_THROWS_AS(lp.solve(Deadline(1e-3)), OutOfBudget);
}

TEST_CASE("p-adic solves: solutions of any size, dependent columns, targets outside the span") {
  std::mt19937 random(3);
  const Deadline deadline(60);
  for (int round = 0; round < 300; ++round) {
    const Index n = 1 + round % 9, d = n + round % 4;
    const long limit = round % 2 ? 3 : 1L << 52;
    std::vector<Integers> columns;
    for (Index j = 0; j < n; ++j) columns.push_back(random_integers(d, limit, random));
    Integers target(static_cast<std::size_t>(d), 0);
    const Integers weight = random_integers(n, 7, random);
    const Integer divisor = 1 + static_cast<long>(random() % 6);
    for (Index j = 0; j < n; ++j)
      for (Index k = 0; k < d; ++k) target[static_cast<std::size_t>(k)] += weight[static_cast<std::size_t>(j)] * columns[static_cast<std::size_t>(j)][static_cast<std::size_t>(k)];
    for (Integer& v : target) v *= divisor;
    const bool independent = static_cast<Index>(independent_rows(columns).size()) == n;
    const auto solved = exact_solve(columns, target, deadline);
    REQUIRE(solved.has_value() == independent);
    if (!solved) continue;
    for (Index j = 0; j < n; ++j)
      CHECK(solved->numerators[static_cast<std::size_t>(j)] == weight[static_cast<std::size_t>(j)] * divisor * solved->denominator);
    if (d > n) {
      ++target[0];
      const auto moved = exact_solve(columns, target, deadline);
      if (moved) {  // the target may still lie in the span
        Integers sum(static_cast<std::size_t>(d), 0);
        for (Index j = 0; j < n; ++j)
          for (Index k = 0; k < d; ++k) sum[static_cast<std::size_t>(k)] += moved->numerators[static_cast<std::size_t>(j)] * columns[static_cast<std::size_t>(j)][static_cast<std::size_t>(k)];
        for (Index k = 0; k < d; ++k) CHECK(sum[static_cast<std::size_t>(k)] == moved->denominator * target[static_cast<std::size_t>(k)]);
      }
    }
  }
}

TEST_CASE("a dense system with solutions of thousands of bits is solved and multiplied out") {
  std::mt19937 random(4);
  std::vector<Integers> columns;
  for (int j = 0; j < 60; ++j) columns.push_back(random_integers(60, 1L << 52, random));
  const Integers target = random_integers(60, 1L << 52, random);
  const auto solved = exact_solve(columns, target, Deadline(60));
  REQUIRE(solved);
  CHECK(msb(solved->denominator) > 2000);
  for (std::size_t k = 0; k < 60; ++k) {
    Integer sum = 0;
    for (std::size_t j = 0; j < 60; ++j) sum += solved->numerators[j] * columns[j][k];
    CHECK(sum == solved->denominator * target[k]);
  }
}

TEST_CASE("rationals round to the nearest double, outward where asked, and parts add up to all bits") {
  constexpr double kMin = std::numeric_limits<double>::denorm_min();
  CHECK(rational_to_double(1, 3) == 1.0 / 3);
  CHECK(rational_to_double(1, 3, 1) == std::nextafter(1.0 / 3, 1.0));
  CHECK(rational_to_double(-1, 3, 1) == -1.0 / 3);
  CHECK(rational_to_double(-1, 3, -1) == std::nextafter(-1.0 / 3, -1.0));
  CHECK(rational_to_double((Integer(1) << 53) + 1, 1) == 0x1p53);           // a tie goes to even
  CHECK(rational_to_double((Integer(1) << 54) + 3, 2) == 0x1p53 + 2);
  CHECK(rational_to_double(3, Integer(1) << 1075) == 2 * kMin);             // 1.5 units of the smallest subnormal
  CHECK(rational_to_double(1, Integer(1) << 2000, 1) == kMin);
  CHECK(rational_to_double(1, Integer(1) << 2000, -1) == 0);
  const Parts third = nearest_parts({1, -2}, 3, 3);
  for (Index k = 0; k < 2; ++k) {
    const Dyadic sum = Dyadic(third(0, k)) + Dyadic(third(1, k)) + Dyadic(third(2, k));
    const Dyadic gap = sum * Dyadic(3.0) - Dyadic(k == 0 ? 1.0 : -2.0);
    CHECK(std::fabs(gap.to_double()) < 0x1p-150);
  }
}

TEST_CASE("a slab thinner than any double is entered by a sum of doubles") {
  // 3 x <= 1 + 2^-120 and 3 x >= 1: rows of a domain, scaled so that the offsets are doubles.
  auto domain = std::make_shared<Domain>(Domain::polytope(Matrix(2, 2), {1.0, -1.0}));
  domain->A(0, 0) = 3, domain->A(0, 1) = -0x1p-60;
  domain->A(1, 0) = -3, domain->A(1, 1) = -0x1p-60;
  domain->lower = {-std::numeric_limits<double>::infinity(), 0};
  domain->upper = {std::numeric_limits<double>::infinity(), 0x1p-60};
  const RowSystem rows(nullptr, {}, domain);
  ExactRung rung(rows);
  const ExactRung::Interior found = rung.interior(1);
  REQUIRE(found.point.rows() > 1);
  CHECK(rows.strictly_inside(found.point));
  for (const std::vector<Index>& group : group_rows(rows).groups) {
    const ExactRung::Side side = rung.side(group, {}, found.point);
    if (!side.facet) continue;
    const std::vector<int> signs = rows.slack_signs(side.witness);
    for (Index j = 0; j < rows.size(); ++j) CHECK((signs[static_cast<std::size_t>(j)] < 0) == (j == group[0]));
  }
}
