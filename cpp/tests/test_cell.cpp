// Cells: from points and patterns, neighbors seen from both sides, classes, linear programs and projections.
#include <doctest/doctest.h>

#include <cmath>

#include "make_cells.h"

using namespace pyregions;
using namespace pyregions::testing;

namespace {

std::shared_ptr<Cell> cell_for(const std::shared_ptr<const Network>& net, const Pattern& p,
                               const std::shared_ptr<const Domain>& domain) {
  auto found = cell_of(net, p, domain);
  REQUIRE(std::holds_alternative<std::shared_ptr<Cell>>(found));
  return std::get<std::shared_ptr<Cell>>(found);
}

// Every neighbor has interior, and one of its neighbors across the same hyperplane is this cell.
std::size_t check_both_sides(Cell& cell, const std::shared_ptr<const Network>& net,
                             const std::shared_ptr<const Domain>& domain) {
  const Pattern here = cell.rows().pattern();
  const Cell::Neighbors near = cell.neighbors();
  const Matrix changes = cell.neighbor_changes();
  const Network::Affine map = net->affine_map(here);
  const Halfspaces& all = cell.rows().halfspaces();
  for (std::size_t i = 0; i < near.pattern.size(); ++i) {
    CHECK(near.pattern[i] != here);
    const auto there = cell_for(net, near.pattern[i], domain);
    CHECK(there->rows().pattern() == near.pattern[i]);  // canonical as it came
    const Cell::Neighbors back = there->neighbors();
    CHECK(std::count(back.pattern.begin(), back.pattern.end(), here) == 1);
    const Network::Affine other = net->affine_map(near.pattern[i]);
    const double* a = all.A.row(cell.facets(1).groups[at(near.facet[i])][0]);
    double scale = 1;
    for (Index k = 0; k < map.A.rows() * map.A.cols(); ++k)
      scale = std::max({scale, std::fabs(map.A.data()[k]), std::fabs(other.A.data()[k])});
    for (Index o = 0; o < net->outputs(); ++o)
      for (Index k = 0; k < net->inputs(); ++k)
        CHECK(std::fabs(other.A(o, k) - map.A(o, k) - changes(static_cast<Index>(i), o) * a[k]) < 1e-10 * scale);
  }
  return near.pattern.size();
}

// relu(x), relu(-x), relu(2 x), relu(y); on top relu(x), relu(0), relu(relu(y)) and relu(|x| - relu(y) + 3): the
// hyperplane x = 0 many times over, and no corner where a row only touches.
std::shared_ptr<const Network> degenerate() {
  Network net(2);
  const int z = net.add_affine({{0, LinearMap::from_dense(matrix({{1, 0}, {-1, 0}, {2, 0}, {0, 1}}))}}, constant(4, 0));
  const int h = add_relu(net, z);
  const Matrix second = matrix({{1, -1, 0, 0}, {2, 0, -1, 0}, {0, 0, 0, 1}, {1, 1, 0, -1}});
  const int w = net.add_affine({{h, LinearMap::from_dense(second)}}, {0, 0, 0, 3});
  net.add_affine({{add_relu(net, w), LinearMap::from_dense(matrix({{1, 1, 1, 1}, {1, -1, 2, 0}}))}}, {0, 0});
  net.finish();
  return share(std::move(net));
}

}  // namespace

TEST_CASE("crossing a facet and back, random networks of every kind") {
  Generator generator(31);
  std::size_t crossed = 0;
  for (const std::string kind : {"mlp", "wide", "leaky", "residual", "normalised"}) {
    CAPTURE(kind);
    const auto net = share(random_network(kind, generator));
    const auto domain = cube(net->inputs(), 2);
    const Matrix x = random_matrix(1, net->inputs(), generator, 0.4);
    const auto cell = cell_at(net, row_vector(x, 0), domain, false);
    crossed += check_both_sides(*cell, net, domain);
  }
  CHECK(crossed > 30);
}

TEST_CASE("crossing where many units change at once") {
  const auto net = degenerate();
  for (const auto& domain : {cube(2, 1), all_of(2)})
    for (const Vector& x : {Vector{0.5, 0.25}, {-0.5, 0.25}, {0.5, -0.25}, {-0.25, -0.5}, {-0.25, 0.5}}) {
      CAPTURE(x[0]);
      CAPTURE(x[1]);
      const auto cell = cell_at(net, x, domain, false);
      CHECK(check_both_sides(*cell, net, domain) >= 2);
    }
  // From x > 0 across x = 0: units 0, 1, 2 and the first of stage 1 change, 2 relu(x) - relu(2 x) is 0 on both sides.
  const auto cell = cell_at(net, {0.5, 1}, cube(2, 2), false);
  CHECK(cell->rows().pattern() == Pattern{1, 0, 1, 1, 1, 0, 1, 1});
  const Cell::Neighbors near = cell->neighbors();
  CHECK(std::count(near.pattern.begin(), near.pattern.end(), Pattern{0, 1, 0, 1, 0, 0, 1, 1}) == 1);
}

TEST_CASE("a point on a hyperplane is refused by name, or placed on one side") {
  const auto net = degenerate();
  CHECK_THROWS_AS(cell_at(net, {0, 1}, all_of(2), false), OnBoundaryError);
  CHECK_THROWS_AS(cell_at(net, {3, 1}, cube(2, 2), false), OutsideDomainError);
  const auto domain = cube(2, 1);
  for (const Vector& x : {Vector{0, 0}, {0, 0.5}, {0.5, 0}, {1, 1}, {0, 1}, {-1, 0}}) {
    const auto cell = cell_at(net, x, domain, true);
    const auto same = cell_for(net, cell->rows().pattern(), domain);
    CHECK(same->rows().pattern() == cell->rows().pattern());
    CHECK(cell->contains(x.data(), false));
    CHECK(cell->rows().strictly_inside(cell->interior().data()));
  }
}

TEST_CASE("patterns are made canonical, a pattern of no region is proven to be none") {
  const auto net = degenerate();
  const auto domain = cube(2, 2);
  // Unit 5 is identically zero for x > 0: piece 0, whatever is asked for.
  CHECK(cell_for(net, {1, 0, 1, 1, 1, 1, 1, 1}, domain)->rows().pattern() == Pattern{1, 0, 1, 1, 1, 0, 1, 1});
  CHECK(std::holds_alternative<NoInterior>(cell_of(net, {1, 1, 1, 1, 1, 0, 1, 1}, domain)));
  CHECK(std::holds_alternative<NoInterior>(cell_of(net, {1, 0, 0, 1, 1, 0, 1, 1}, domain)));
}

TEST_CASE("a network without units has one region; one input and one unit have two") {
  Generator generator(37);
  const auto linear = share(mlp({3, 2}, generator));
  const auto whole = cell_at(linear, {1, 2, 3}, all_of(3), false);
  CHECK(whole->facets(1).groups.empty());
  CHECK(whole->neighbors().pattern.empty());
  CHECK(whole->bounds().bounded == 0);
  const auto boxed = cell_at(linear, {0, 0, 0}, cube(3, 1), false);
  CHECK(boxed->facets(1).groups.size() == 6);
  CHECK(boxed->neighbors().pattern.empty());
  const auto one = share(mlp({1, 1, 1}, generator));
  const auto cell = cell_at(one, {0.5}, all_of(1), false);
  CHECK(check_both_sides(*cell, one, all_of(1)) == 1);
}

TEST_CASE("classes: where outputs change order, ties of three, identical outputs") {
  // f = (x, -x, 0, y, y) on the square, no units at all.
  Network net(2);
  const Matrix outputs = matrix({{1, 0}, {-1, 0}, {0, 0}, {0, 1}, {0, 1}});
  net.add_affine({{0, LinearMap::from_dense(outputs)}}, {0, 0, 0, -1.5, -1.5});
  net.finish();
  const auto cell = cell_at(share(std::move(net)), {0.5, 0.25}, cube(2, 1), false);
  const DecisionBoundaries& d = cell->decision_boundaries();
  const auto pair = [&](Index i, Index j) -> const ClassPair& {
    for (const ClassPair& p : d.pairs)
      if (p.i == i && p.j == j) return p;
    throw std::logic_error("no such pair");
  };
  CHECK(pair(0, 1).crosses == 1);
  CHECK(pair(0, 1).sign == 1);
  CHECK(pair(0, 1).piece == 1);  // output 2 ties with both there, which does not take the boundary away
  CHECK(pair(0, 2).piece == 1);  // on x = 0 all three are the largest
  CHECK(pair(3, 4).identical);
  CHECK(pair(3, 4).crosses == 0);
  CHECK(pair(0, 3).crosses == 1);  // x = y - 1.5 meets the square ...
  CHECK(pair(0, 3).piece == 0);    // ... but where x < 0, and there -x is larger
  CHECK(d.classes[0] == 1);
  CHECK(d.classes[1] == 1);
  CHECK(d.classes[2] != 1);  // the largest on x = 0 only, and never alone
  CHECK(d.classes[3] == 0);
  CHECK(d.classes[4] == 0);
  for (const ClassPair& p : d.pairs) {
    if (p.crosses != 1) continue;
    CHECK(cell->contains(p.positive.data(), true));
    CHECK(cell->contains(p.negative.data(), true));
  }
}

TEST_CASE("maximize encloses known suprema") {
  Generator generator(41);
  for (Index d = 1; d <= 4; ++d) {
    Network identity(d);
    identity.add_affine({{0, LinearMap::from_diagonal(constant(d, 1))}}, constant(d, 0));
    identity.finish();
    const auto cell = cell_at(share(std::move(identity)), constant(d, 0), cube(d, 2), false);
    const Vector c = random_vector(d, generator);
    double best = 0;
    for (const double v : c) best += 2 * std::fabs(v);
    const Extremum direct = cell->maximize(c, {}), through = cell->maximize({}, c);
    for (const Extremum& e : {direct, through}) {
      CHECK(e.lower <= best * (1 + 1e-14));
      CHECK(e.upper >= best * (1 - 1e-14));
      CHECK(e.upper - e.lower < 1e-9 * best);
      CHECK(cell->contains(e.point.data(), false));
    }
    CHECK(cell->maximize(constant(d, 0), {}).upper == 0);
  }
  Network net(2);
  net.add_affine({{0, LinearMap::from_dense(matrix({{1, 1}}))}}, {0.0});
  net.finish();
  const auto cone = cell_at(share(std::move(net)), {0, 1}, polytope({{-1, 0}, {0, -1}}, {0, 0}), true);
  CHECK(cone->maximize({1, 1}, {}).status == Extremum::Status::unbounded);
  const Extremum corner = cone->maximize({-1, -2}, {});
  CHECK(corner.lower <= 0);
  CHECK(corner.upper >= 0);
}

TEST_CASE("project encloses known distances in three norms") {
  Network identity(2);
  identity.add_affine({{0, LinearMap::from_diagonal(constant(2, 1))}}, constant(2, 0));
  identity.finish();
  const auto cell = cell_at(share(std::move(identity)), {0, 0}, cube(2, 1), false);
  const Vector y{4, 5};  // (3, 4) away from the corner (1, 1)
  const std::pair<int, double> expected[] = {{1, 7}, {2, 5}, {0, 4}};
  for (const auto& [norm, distance] : expected) {
    CAPTURE(norm);
    const Extremum e = cell->project(y, norm);
    CHECK(e.lower <= distance);
    CHECK(e.upper >= distance);
    CHECK(e.upper - e.lower < 1e-9);
    CHECK(cell->contains(e.point.data(), false));
  }
  const Extremum inside = cell->project({0.5, -0.5}, 2);
  CHECK(inside.upper == 0);
  CHECK(inside.point == Vector{0.5, -0.5});
}
