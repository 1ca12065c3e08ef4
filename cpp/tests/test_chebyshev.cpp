// Inscribed balls of known radius, interior points, proofs of emptiness, boundedness.
#include <doctest/doctest.h>

#include <cmath>

#include "make_cells.h"
#include "random_networks.h"
#include "slack_sums.h"

using namespace pyregions;
using namespace pyregions::testing;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

Ball ball_of(const RowSystem& rows, const Vector& interior) {
  const Boundedness bounds = boundedness(rows, interior);
  const Ball ball = inscribed_ball(rows, interior, [&]() -> const Enclosure& { return bounds.enclosure; });
  CHECK(ball.lower <= ball.radius);
  CHECK(ball.radius <= ball.upper);
  if (std::isinf(ball.lower)) return ball;
  // The ball of the lower bound is inside: slack >= 0 and slack^2 >= r^2 |a|^2, exactly.
  for (Index j = 0; j < rows.size(); ++j) {
    const ExactRow row = rows.exact_row(j);
    const Dyadic slack = row.b - dot(row.a, DyadicVector(ball.center.data(), rows.dim()));
    CHECK(slack.sign() >= 0);
    CHECK((slack * slack).compare(Dyadic(ball.lower) * Dyadic(ball.lower) * dot(row.a, row.a)) >= 0);
  }
  return ball;
}

void check_radius(const Ball& ball, double radius) {
  CHECK(ball.lower <= radius);
  CHECK(ball.upper >= radius);
  CHECK(ball.upper - ball.lower < 1e-6 * radius);  // the solver's relative gap is 1e-9
  CHECK(ball.proof != Proof::none);
}

}  // namespace

TEST_CASE("the balls of cubes, simplices and cross-polytopes") {
  for (Index d = 1; d <= 6; ++d) {
    CAPTURE(d);
    const double n = static_cast<double>(d);
    check_radius(ball_of(rows_of(cube(d, 3)), constant(d, 1)), 3);
    check_radius(ball_of(rows_of(simplex(d)), constant(d, 0.5 / n)), 1 / (n + std::sqrt(n)));
    check_radius(ball_of(rows_of(cross_polytope(d)), constant(d, 0.25 / n)), 1 / std::sqrt(n));
  }
}

TEST_CASE("the ball scales with the polytope, and far walls do not blur it") {
  for (const double scale : {0x1p-40, 0x1p40}) {
    const RowSystem rows = rows_of(polytope({{1, 0}, {-1, 0}, {0, 1}, {0, -1}}, constant(4, scale)));
    check_radius(ball_of(rows, {0.5 * scale, 0}), scale);
  }
  const auto box = std::make_shared<Domain>(Domain::box({-1, -1}, {1, 1}));
  box->A = matrix({{1, 2}, {-1, 1}});
  box->b = {0x1p40, 0x1p41};
  check_radius(ball_of(rows_of(box), {0.5, 0.5}), 1);
}

TEST_CASE("a long strip has a finite radius, a cone an infinite one") {
  const RowSystem strip = rows_of(polytope({{0, 1}, {0, -1}}, {1, 1}));
  const Ball finite = ball_of(strip, {7, 0.5});
  CHECK(finite.lower == doctest::Approx(1).epsilon(1e-6));
  const RowSystem cone = rows_of(polytope({{-1, 0}, {1, -1}}, {0, 0}));
  const Ball infinite = ball_of(cone, {1, 2});
  CHECK(infinite.lower == kInf);
  CHECK(infinite.upper == kInf);
  REQUIRE(infinite.direction.size() == 2);
  for (const int sign : cone.slack_signs(infinite.direction.data(), true)) CHECK(sign > 0);
  CHECK(ball_of(rows_of(all_of(2)), {0, 0}).lower == kInf);
}

TEST_CASE("an interior point is found from far outside") {
  for (const double far : {3.0, 1e6}) {
    const RowSystem rows = rows_of(simplex(4));
    const InteriorPoint p = interior_point(rows, constant(4, far));
    REQUIRE(p.found);
    CHECK(rows.strictly_inside(p.point.data()));
    CHECK(p.proof == Proof::none);
  }
}

TEST_CASE("empty and flat polyhedra are never given an interior point") {
  struct Case {
    std::shared_ptr<const Domain> domain;
    bool certain;  // else a true tie of several rows, which may stay open
  };
  const std::vector<Case> cases{
      {polytope({{1, 0}, {-1, 0}}, {-1, 0}), true},                      // x <= -1, x >= 0
      {polytope({{1, 0}, {-1, 0}}, {0, 0}), true},                       // x = 0
      {polytope({{2, 4}, {-1, -2}}, {2, -1}), true},                     // a flat strip at another scale
      {polytope({{-1, 0}, {0, -1}, {1, 1}}, {0, 0, -1}), true},          // an inside-out simplex
      {polytope({{-1, 0}, {0, -1}, {1, 1}}, {0, 0, 0}), false},          // a simplex shrunk to a point
      {polytope({{-1, 0}, {0, -1}, {1, 1}, {0, 1}}, {0, 0, 1, 0}), true}  // its edge
  };
  for (std::size_t i = 0; i < cases.size(); ++i) {
    CAPTURE(i);
    const RowSystem rows = rows_of(cases[i].domain);
    const InteriorPoint p = interior_point(rows, {0.3, 0.4});
    CHECK_FALSE(p.found);
    if (cases[i].certain) CHECK(p.proof != Proof::none);
    for (const auto& term : p.multipliers) CHECK(term.second > 0);
  }
  // Thin, but with interior: never called empty.
  const InteriorPoint thin = interior_point(rows_of(polytope({{1, 0}, {-1, 0}}, {0x1p-45, 0})), {0, 0});
  CHECK(thin.proof == Proof::none);
}

TEST_CASE("units of constant sign make a pattern empty when they hold the wrong piece") {
  Network net(2);
  const int z = net.add_affine({{0, LinearMap::from_dense(matrix({{0, 0}, {1, 0}}))}}, {1.0, 0.0});
  net.add_affine({{add_relu(net, z), LinearMap::from_dense(Matrix(1, 2, 1.0))}}, {0.0});
  net.finish();
  const auto shared = share(std::move(net));
  for (const auto& domain : {all_of(2), cube(2, 1)}) {
    CHECK(std::holds_alternative<NoInterior>(cell_of(shared, {0, 1}, domain)));
    CHECK(std::holds_alternative<std::shared_ptr<Cell>>(cell_of(shared, {1, 1}, domain)));
  }
}

TEST_CASE("boundedness: boxes, simplices, cones, strips, subspaces") {
  for (Index d = 1; d <= 5; ++d) {
    CAPTURE(d);
    CHECK(boundedness(rows_of(cube(d, 2)), constant(d, 0)).bounded == 1);
    const double n = static_cast<double>(d);
    const Boundedness b = boundedness(rows_of(simplex(d)), constant(d, 0.5 / n));
    CHECK(b.bounded == 1);
    CHECK(b.proof == "combination");
    REQUIRE(b.enclosure.finite());
    for (Index k = 0; k < d; ++k) {  // the simplex spans [0, 1] in every coordinate
      CHECK(b.enclosure.lower[at(k)] <= 0);
      CHECK(b.enclosure.upper[at(k)] >= 1);
    }
  }
  const Boundedness cone = boundedness(rows_of(polytope({{-1, 0}, {0, -1}}, {0, 0})), {1, 1});
  CHECK(cone.bounded == 0);
  CHECK(cone.modulo_lineality == 0);
  CHECK(boundedness(rows_of(polytope({{1, 0, 0}, {0, 1, 0}}, {1, 1})), {0, 0, 0}).bounded == 0);
  CHECK(boundedness(rows_of(polytope({{0, 1}, {0, -1}}, {1, 1})), {0, 0}).bounded != 1);
  CHECK(boundedness(rows_of(polytope({{1, 1}, {-1, 1}, {0, -1}, {0, 1}}, {9, 9, 1, 5})), {0, 0}).bounded == 1);
  CHECK(boundedness(rows_of(all_of(2)), {0, 0}).bounded == 0);
  CHECK(boundedness(rows_of(all_of(2)), {0, 0}).modulo_lineality == 1);
}

TEST_CASE("a skip connection around the first units keeps an inactive one in play") {
  // z = (x, y) feeds relu and, around it, a second stage that bounds x from below: with relu(x) off, x is not free.
  Network net(2);
  const int z = net.add_affine({{0, LinearMap::from_dense(matrix({{1, 0}, {0, 1}}))}}, {0.0, 0.0});
  const int h = add_relu(net, z);
  const int w = net.add_affine({{h, LinearMap::from_dense(Matrix(4, 2, 0.0))},
                                {z, LinearMap::from_dense(matrix({{1, 0}, {0, 1}, {-1, 0}, {0, -1}}))}},
                               constant(4, 1.0));
  net.add_affine({{add_relu(net, w), LinearMap::from_dense(Matrix(1, 4, 1.0))}}, {0.0});
  net.finish();
  const auto cell = cell_at(share(std::move(net)), {-0.25, -0.5}, all_of(2), false);
  CHECK(cell->rows().pattern() == Pattern{0, 0, 1, 1, 1, 1});
  CHECK(cell->bounds().bounded != 0);  // the square -1 <= x, y <= 0
  CHECK(cell->facets(1).groups == std::vector<std::vector<Index>>{{0}, {1}, {2}, {3}});
  CHECK(cell->ball().upper >= 0.5);
  CHECK(cell->ball().lower <= 0.5);
}

namespace {

// The supremum of sum lambda_j slack_j over the box, exactly.
Dyadic exact_slack_sum(const RowSystem& rows, const SparseRow& multipliers) {
  std::vector<Dyadic> slope(at(rows.dim()));
  Dyadic sum;
  for (const auto& [row, value] : multipliers) {
    const ExactRow r = rows.exact_row(row);
    sum = sum + Dyadic(value) * r.b;
    for (Index k = 0; k < rows.dim(); ++k) slope[at(k)] = slope[at(k)] - Dyadic(value) * r.a[k];
  }
  for (Index k = 0; k < rows.dim(); ++k) {
    const Dyadic& g = slope[at(k)];
    const Domain& box = rows.domain();
    sum = sum + g * Dyadic(g.sign() > 0 ? box.upper[at(k)] : box.lower[at(k)]);
  }
  return sum;
}

}  // namespace

TEST_CASE("sums of slacks over a box are no less than the exact ones, and in double-double hardly more") {
  Generator generator(9);
  std::uniform_real_distribution<double> uniform(0, 1);
  int nearer = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const auto net = share(mlp({4, 9, 7, 2}, generator, true, std::ldexp(1.0, trial % 3 * 20)));
    const double side = std::ldexp(1.0, -(trial % 5) * 8);
    const Vector x = random_vector(4, generator);
    Vector lower = x, upper = x;
    for (double& v : lower) v -= side * uniform(generator);
    for (double& v : upper) v += side * uniform(generator);
    const auto cell = cell_at(net, x, std::make_shared<const Domain>(Domain::box(lower, upper)), true);
    const RowSystem& rows = cell->rows();
    SparseRow multipliers;
    for (Index j = 0; j < rows.size(); ++j)
      if (generator() % 2) multipliers.emplace_back(j, uniform(generator) * std::pow(10.0, 8 * uniform(generator)));
    if (trial % 2) {  // what units leave of the gradient goes to the bounds, so that the sum nearly cancels
      const Halfspaces& all = rows.halfspaces();
      Vector g(4, 0.0);
      while (!multipliers.empty() && multipliers.back().first >= rows.units()) multipliers.pop_back();
      for (const auto& [row, value] : multipliers) axpy(value, all.A.row(row), g.data(), 4);
      for (Index k = 0; k < 4; ++k)
        multipliers.emplace_back(rows.units() + 2 * k + (g[at(k)] > 0 ? 0 : 1), std::fabs(g[at(k)]));
    }
    const Dyadic exact = exact_slack_sum(rows, multipliers);
    const SlackSum plain = slack_sum_by_box(rows, multipliers, lower, upper);
    const SlackSum fine = refined_slack_sum_by_box(rows, multipliers, lower, upper);
    CAPTURE(trial);
    CHECK(Dyadic(plain.sum).compare(exact) >= 0);
    CHECK(Dyadic(fine.sum).compare(exact) >= 0);
    CHECK((Dyadic(fine.sum) - exact).to_double() <= 0x1p-40 * std::fabs(exact.to_double()));
    nearer += (Dyadic(plain.sum) - exact).to_double() > 8 * (Dyadic(fine.sum) - exact).to_double();
  }
  CHECK(nearer > 50);
}
