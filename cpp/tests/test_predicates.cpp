// The ladder: which rung decides what, every bound against exact rationals, certificates true and false.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "make_cells.h"

using namespace pyregions;
using namespace pyregions::testing;

namespace {

// |value - exact| <= error, exactly.
bool encloses(double value, double error, const Dyadic& exact) {
  if (std::isinf(error)) return true;
  const Dyadic difference = exact - Dyadic(value), bound(error);
  return difference.compare(bound) <= 0 && (-difference).compare(bound) <= 0;
}

// x -> s (x_1 + ... + x_d) as one unit with exact cancellation at the point (1, -1, 0, ...).
std::shared_ptr<const Network> sum_unit(Index dim, double bias) {
  Network net(dim);
  Matrix w(1, dim, 1.0);
  const int z = net.add_affine({{0, LinearMap::from_dense(w)}}, {bias});
  net.add_affine({{add_relu(net, z), LinearMap::from_dense(Matrix(1, 1, 1.0))}}, {0.0});
  net.finish();
  return share(std::move(net));
}

}  // namespace

TEST_CASE("triage decides what is clear, double-double near ties, integers exact zeros") {
  const RowSystem rows(sum_unit(3, 0.1), {1}, all_of(3));
  CHECK(rows.slack_signs(Vector{1, 2, 3}.data()) == std::vector<int>{1});
  CHECK(rows.tally().triage == 1);
  CHECK(rows.tally().exact == 0);
  CHECK(rows.slack_signs(Vector{0, 0, -0.1}.data()) == std::vector<int>{0});
  CHECK(rows.tally().exact == 1);
  // 2^-80 beside 1 - 1: below every bound of a float sum, yet not 0.
  CHECK(rows.slack_signs(Vector{1, -1.1, 0x1p-80}.data()) != std::vector<int>{0});
  CHECK(rows.tally().exact == 1);
  CHECK(rows.tally().refine == 1);
  CHECK(rows.tally().triage == 1);
}

TEST_CASE("elementwise bounds decide where norms are too coarse") {
  // A large weight meets a small coordinate: the product of the norms is far larger than any product.
  Network net(2);
  const int z = net.add_affine({{0, LinearMap::from_dense(matrix({{0x1p60, 1.0}}))}}, {0.0});
  net.add_affine({{add_relu(net, z), LinearMap::from_dense(Matrix(1, 1, 1.0))}}, {0.0});
  net.finish();
  const RowSystem rows(share(std::move(net)), {1}, all_of(2));
  CHECK(rows.slack_signs(Vector{0x1p-60, 4.0}.data()) == std::vector<int>{1});
  CHECK(rows.tally().triage == 0);
  CHECK(rows.tally().tight == 1);
  CHECK(rows.tally().exact == 0);
}

TEST_CASE("slacks of every kind of network lie within their bounds, points and directions") {
  Generator generator(3);
  for (const std::string& kind : kinds()) {
    CAPTURE(kind);
    const auto net = share(random_network(kind, generator));
    const RowSystem rows(net, random_pattern(*net, generator), cube(net->inputs(), 3));
    const Matrix points = random_matrix(3, net->inputs(), generator);
    for (const bool tight : {false, true})
      for (const bool linear : {false, true}) {
        const RowSystem::Slacks s = rows.slacks(points, linear, tight);
        for (Index i = 0; i < points.rows(); ++i)
          for (Index j = 0; j < rows.size(); ++j) {
            const ExactRow row = rows.exact_row(j);
            const Dyadic product = dot(row.a, DyadicVector(points.row(i), points.cols()));
            CHECK(encloses(s.value(i, j), s.error(i, j), linear ? -product : row.b - product));
          }
      }
    const std::vector<int> signs = rows.slack_signs(points.row(0));
    for (Index j = 0; j < rows.size(); ++j) CHECK(signs[at(j)] == exact_slack(rows, j, row_vector(points, 0)));
  }
}

TEST_CASE("composed rows, norms and forms enclose the exact ones; zero rows are exactly the zero rows") {
  Generator generator(5);
  for (const std::string& kind : kinds()) {
    CAPTURE(kind);
    const auto net = share(random_network(kind, generator));
    const RowSystem rows(net, random_pattern(*net, generator), cube(net->inputs(), 2));
    const Halfspaces& all = rows.halfspaces();
    SparseRow form;
    for (Index j = 0; j < rows.size(); ++j) {
      const ExactRow row = rows.exact_row(j);
      Dyadic square;
      for (Index k = 0; k < rows.dim(); ++k) {
        CHECK(encloses(all.A(j, k), all.A_err[at(j)], row.a[k]));
        square = square + row.a[k] * row.a[k];
      }
      CHECK(encloses(all.b[at(j)], all.b_err[at(j)], row.b));
      const Dyadic low(rows.norm_lower()[at(j)]);
      CHECK((low * low).compare(square) <= 0);
      if (std::isfinite(rows.norm_upper()[at(j)])) {
        const Dyadic high(rows.norm_upper()[at(j)]);
        CHECK((high * high).compare(square) >= 0);
      }
      CHECK((rows.zero_rows()[at(j)] != 0) == row.a.all_zero());
      if (j % 2 == 0) form.emplace_back(j, std::normal_distribution<double>()(generator));
    }
    const Network::Forms f = rows.forms({form});
    std::vector<Dyadic> g(at(rows.dim()));
    Dyadic c;
    for (const auto& [j, value] : form) {
      const ExactRow row = rows.exact_row(j);
      for (Index k = 0; k < rows.dim(); ++k) g[at(k)] = g[at(k)] + Dyadic(value) * row.a[k];
      c = c - Dyadic(value) * row.b;
    }
    for (Index k = 0; k < rows.dim(); ++k) CHECK(encloses(f.g(0, k), f.g_err(0, k), g[at(k)]));
    CHECK(encloses(f.c[0], f.c_err[0], c));
  }
}

TEST_CASE("the supremum over a box is an upper bound at every corner, and a close one") {
  Generator generator(7);
  for (int trial = 0; trial < 50; ++trial) {
    const Index d = 1 + trial % 6;
    Network::Forms f{random_matrix(1, d, generator), Matrix(1, d), random_vector(1, generator), {0.0}};
    for (Index k = 0; k < d; ++k) f.g_err(0, k) = trial % 2 ? 0x1p-40 : 0.0;
    const Vector lower = random_vector(d, generator), width = random_vector(d, generator);
    Vector upper = lower;
    for (Index k = 0; k < d; ++k) upper[at(k)] += std::fabs(width[at(k)]);
    const double sup = sup_over_box(f, lower, upper)[0];
    double best = -std::numeric_limits<double>::infinity();
    for (unsigned corner = 0; corner < (1u << d); ++corner) {
      Dyadic exact(f.c[0]);
      for (Index k = 0; k < d; ++k) {
        const double x = (corner >> k) & 1u ? upper[at(k)] : lower[at(k)];
        // The worst coefficient within the bound.
        exact = exact + (Dyadic(f.g(0, k)) + Dyadic(x > 0 ? f.g_err(0, k) : -f.g_err(0, k))) * Dyadic(x);
      }
      CHECK(Dyadic(sup).compare(exact) >= 0);
      best = std::max(best, exact.to_double());
    }
    CHECK(sup - best < 1e-9);  // 2^-40 times coordinates of size up to about 10, twice
  }
}

TEST_CASE("an enclosed multiplier vector holds the exact solution; a singular basis is refused") {
  // -a_0 = sum lambda_j a_j for the simplex: all multipliers are exactly 1.
  const RowSystem rows = rows_of(simplex(5));
  const Vector target = constant(5, -1.0);
  const BasisEnclosure e = enclose_multipliers(rows, {0, 1, 2, 3, 4}, target.data(), 0.0);
  REQUIRE(e.regular);
  for (std::size_t i = 0; i < 5; ++i) CHECK(encloses(e.lambda[i], e.radius[i], Dyadic(1.0)));
  CHECK_FALSE(enclose_multipliers(rows, {0, 1, 2, 3, 3}, target.data(), 0.0).regular);
  CHECK_FALSE(enclose_multipliers(rows, {0, 1, 2, 3}, target.data(), 0.0).regular);
  const RowSystem dependent = rows_of(polytope({{1, 1, 0}, {0.1, 0.1, 0}, {0, 0, 1}, {1, 2, 3}}, {1, 1, 1, 1}));
  CHECK_FALSE(enclose_multipliers(dependent, {0, 1, 2}, Vector{1, 2, 3}.data(), 0.0).regular);
  // The exact solution of a random system, by Cramer's rule in 2 x 2.
  Generator generator(11);
  for (int trial = 0; trial < 30; ++trial) {
    const Matrix a = random_matrix(2, 2, generator);
    const Vector t = random_vector(2, generator);
    const RowSystem pair = rows_of(std::make_shared<const Domain>(Domain::polytope(a, {1.0, 1.0})));
    const BasisEnclosure x = enclose_multipliers(pair, {0, 1}, t.data(), 0.0);
    REQUIRE(x.regular);
    const Dyadic det = Dyadic(a(0, 0)) * Dyadic(a(1, 1)) - Dyadic(a(0, 1)) * Dyadic(a(1, 0));
    const Dyadic first = Dyadic(t[0]) * Dyadic(a(1, 1)) - Dyadic(t[1]) * Dyadic(a(1, 0));
    // |first / det - lambda| <= radius, multiplied out.
    const Dyadic off = first - Dyadic(x.lambda[0]) * det, room = Dyadic(x.radius[0]) * (det.sign() < 0 ? -det : det);
    CHECK((off.sign() < 0 ? -off : off).compare(room) <= 0);
  }
}

TEST_CASE("rows that overflowed never prove a basis regular") {
  Network net(2);
  const int a = net.add_affine({{0, LinearMap::from_dense(matrix({{0x1p1000, 0}, {0, 1}}))}}, {0.0, 0.0});
  const int h = add_relu(net, a);
  const int b = net.add_affine({{h, LinearMap::from_dense(matrix({{0x1p1000, 0}, {0, 1}}))}}, {0.0, 0.0});
  net.add_affine({{add_relu(net, b), LinearMap::from_dense(Matrix(1, 2, 1.0))}}, {0.0});
  net.finish();
  const RowSystem rows(share(std::move(net)), {1, 1, 1, 1}, all_of(2));
  CHECK(std::isinf(rows.halfspaces().A_err[2]));
  CHECK_FALSE(enclose_multipliers(rows, {2, 3}, Vector{1, 1}.data(), 0.0).regular);
  CHECK(rows.norm_lower()[2] == 0.0);
  CHECK(rows.slack_signs(Vector{0x1p-1000, 1}.data()) == std::vector<int>{1, 1, 1, 1});
}

TEST_CASE("redundancy by a basis: a strict row is proven, a tie and a facet are not") {
  // The square |x| <= 1 as rows 0..3; x + y <= 2.5 is redundant, <= 2 touches a corner, <= 1.5 is a facet.
  const RowSystem rows =
      rows_of(polytope({{1, 0}, {0, 1}, {-1, 0}, {0, -1}, {1, 1}, {1, 1}, {1, 1}}, {1, 1, 1, 1, 2.5, 2, 1.5}));
  SparseRow multipliers;
  CHECK(check_by_basis(rows, 4, {0, 1}, multipliers));
  CHECK(multipliers.size() == 2);
  CHECK_FALSE(check_by_basis(rows, 5, {0, 1}, multipliers));
  CHECK_FALSE(check_by_basis(rows, 6, {0, 1}, multipliers));
  CHECK_FALSE(check_by_basis(rows, 4, {0, 3}, multipliers));  // a multiplier of the wrong sign
}

TEST_CASE("redundancy in a box and through the first stage") {
  const RowSystem rows = rows_of(polytope({{1, 1}, {1, 1}}, {2.5, 1.5}));
  const Vector lower{-1, -1}, upper{1, 1};
  CHECK(check_by_box(rows, {{{0, 1.0}}, {{1, 1.0}}}, lower, upper) == std::vector<std::uint8_t>{1, 0});
  // z = (x, y, relu(x) + relu(y) + 1): the third is positive wherever the first two are.
  Network net(2);
  const int first = net.add_affine({{0, LinearMap::from_dense(matrix({{1, 0}, {0, 1}}))}}, {0.0, 0.0});
  const int h = add_relu(net, first);
  const int second = net.add_affine({{h, LinearMap::from_dense(matrix({{1, 1}, {1, -1}}))}}, {1.0, 0.0});
  net.add_affine({{add_relu(net, second), LinearMap::from_dense(Matrix(1, 2, 1.0))}}, {0.0});
  net.finish();
  const RowSystem deep(share(std::move(net)), {1, 1, 1, 1}, all_of(2));
  const std::vector<SparseRow> forms{{{2, 1.0}}, {{3, 1.0}}, {{0, 1.0}}};
  CHECK(check_by_stage(deep, forms, 0, {{2}, {3}, {0}}) == std::vector<std::uint8_t>{1, 0, 0});
}

TEST_CASE("signs of the first stage that rounding hides from floats are seen in double-double, and no others") {
  // z3 = z4 + e (relu(x) + relu(y)) + 1/2: positive where the others are, whatever e >= 0.
  for (const double e : {0x1p-30, 0x1p-52, -0x1p-52}) {
    CAPTURE(e);
    Network net(2);
    const int first = net.add_affine({{0, LinearMap::from_dense(matrix({{1, 0}, {0, 1}}))}}, {0.0, 0.0});
    const int h = add_relu(net, first);
    const int second = net.add_affine({{h, LinearMap::from_dense(matrix({{1 + e, 1 + e}, {1, 1}}))}}, {1.0, 0.5});
    net.add_affine({{add_relu(net, second), LinearMap::from_dense(Matrix(1, 2, 1.0))}}, {0.0});
    net.finish();
    const RowSystem deep(share(std::move(net)), {1, 1, 1, 1}, all_of(2));
    const std::uint8_t expected = e < 0 ? 0 : e > 0x1p-40 ? 1 : 2;
    CHECK(check_by_stage(deep, {{{2, 1.0}, {3, -1.0}}}, 0, {{2}}) == std::vector<std::uint8_t>{expected});
  }
}

TEST_CASE("parallel rows and their offsets are compared exactly") {
  const double third = 1.0 / 3;
  const Vector tilted{1, std::nextafter(third, 1.0)};
  const RowSystem rows = rows_of(polytope({{1, third}, {3, 3 * third}, {0.5, third / 2}, {-1, -third}, tilted},
                                          {1, 3, std::nextafter(0.5, 1.0), 1, 1}));
  CHECK(rows.parallel(0, 2));
  CHECK_FALSE(rows.parallel(0, 3));
  CHECK_FALSE(rows.parallel(0, 4));
  CHECK(rows.parallel(0, 1) == (Dyadic(3 * third).compare(Dyadic(3.0) * Dyadic(third)) == 0));
  CHECK(rows.compare_offsets(0, 2) < 0);
  CHECK(rows.compare_offsets(2, 0) > 0);
  CHECK(rows.compare_offsets(0, 0) == 0);
}

TEST_CASE("points that are not numbers are inside nothing") {
  const RowSystem rows = rows_of(cube(2, 1));
  CHECK(rows.strictly_inside(Vector{0, 0.5}.data()));
  CHECK_FALSE(rows.strictly_inside(Vector{0, 1}.data()));
  CHECK_FALSE(rows.strictly_inside(Vector{0, std::nan("")}.data()));
  CHECK_FALSE(rows.strictly_inside(Vector{0, -std::numeric_limits<double>::infinity()}.data()));
}

TEST_CASE("a row that floats cannot tell from zero: refined when it is not, integers when it is") {
  // The second unit reads a - (1 + tiny) a' of two equal units; the third reads a - a'.
  Network net(2);
  const int z = net.add_affine({{0, LinearMap::from_dense(matrix({{0.1, 0.3}, {0.1, 0.3}}))}}, {0.0, 0.0});
  const int second = net.add_affine({{add_relu(net, z), LinearMap::from_dense(matrix({{1, -1 - 0x1p-52}, {1, -1}}))}}, {1.0, 1.0});
  net.add_affine({{add_relu(net, second), LinearMap::from_dense(Matrix(1, 2, 1.0))}}, {0.0});
  net.finish();
  const RowSystem rows(share(std::move(net)), {1, 1, 1, 1}, all_of(2));
  CHECK(rows.zero_rows() == std::vector<std::uint8_t>{0, 0, 0, 1});
  CHECK(rows.tally().refine == 1);
  CHECK(rows.tally().exact == 1);
}
