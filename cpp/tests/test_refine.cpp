// The refining rung: error-free transformations, sums and passes in double-double against integers, a search for the
// worst case of their bounds, and which rung decides what.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "make_cells.h"

using namespace pyregions;
using namespace pyregions::testing;

namespace {

Dyadic exact_value(const DoubleDouble& x) { return Dyadic(x.hi) + Dyadic(x.lo); }
Dyadic magnitude(const Dyadic& x) { return x.sign() < 0 ? -x : x; }

bool same(const Dyadic& x, const Dyadic& y) { return x.compare(y) == 0; }

bool holds(const Refined& x, const Dyadic& exact) {
  if (x.value.hi != x.value.hi + x.value.lo) return false;  // normalised
  if (std::isinf(x.radius)) return x.value.hi == 0;
  return magnitude(exact_value(x.value) - exact).compare(Dyadic(x.radius)) <= 0;
}

// |error| / radius, at most 1 by the law; 0 when nothing is claimed.
double used(const Refined& x, const Dyadic& exact) {
  if (std::isinf(x.radius)) return 0;
  const Dyadic error = magnitude(exact_value(x.value) - exact);
  if (error.is_zero()) return 0;
  if (x.radius == 0) return std::numeric_limits<double>::infinity();
  Dyadic scaled_error = error;  // may lie outside the range of doubles
  const int e = std::ilogb(x.radius);
  scaled_error.exponent -= e;
  return scaled_error.to_double() / std::ldexp(x.radius, -e);
}

// A double of any size between 2^low and 2^high, sometimes with few bits.
double any_double(Generator& generator, int low, int high) {
  double digits = std::uniform_real_distribution<double>(0.5, 1.0)(generator);
  if (generator() % 3 == 0) digits = static_cast<double>(static_cast<float>(digits));
  if (generator() % 2) digits = -digits;
  return std::ldexp(digits, low + static_cast<int>(generator() % static_cast<unsigned>(high - low)));
}

Matrix with_parts(const Matrix& point, Index parts, Generator& generator) {
  Matrix result(parts, point.cols());
  for (Index p = 0; p < parts; ++p)
    for (Index k = 0; k < point.cols(); ++k)
      result(p, k) = p == 0 ? point(0, k) : result(p - 1, k) * 0x1p-52 * std::normal_distribution<double>()(generator);
  return result;
}

// Every value of a refined forward pass against the integers; the largest share of a radius that an error takes.
double worst_forward(const Network& net, const Pattern* held, const Matrix& parts, bool linear) {
  const Network::RefinedValues v = net.forward_refined(held, parts, linear);
  const Network::ExactValues exact = net.forward_exact(exact_point(parts), held, linear);
  double worst = 0;
  for (Index u = 0; u < net.units(); ++u) {
    const auto [stage, unit] = net.stage_of(u);
    worst = std::max(worst, used(v.pre[u], exact.pre[at(stage)][unit]));
  }
  for (Index o = 0; o < net.outputs(); ++o) worst = std::max(worst, used(v.out[o], exact.out[o]));
  return worst;
}

using ExactEntries = std::vector<std::pair<Index, Dyadic>>;

double worst_backward(const Network& net, const Pattern& p, const Network::RefinedEntries& units,
                      const Network::RefinedEntries& outputs, int root) {
  ExactEntries exact_units, exact_outputs;
  for (const auto& [i, value] : units) exact_units.emplace_back(i, exact_value(value));
  for (const auto& [i, value] : outputs) exact_outputs.emplace_back(i, exact_value(value));
  const Network::RefinedForm f = net.backward_refined(p, units, outputs, root);
  const Network::ExactForm exact = net.backward_exact(p, exact_units, exact_outputs, root);
  double worst = used(f.c, exact.c);
  for (Index k = 0; k < f.g.size(); ++k) worst = std::max(worst, used(f.g[k], exact.g[k]));
  return worst;
}

DoubleDouble random_pair(Generator& generator) {
  std::normal_distribution<double> normal;
  return two_sum(normal(generator), 0x1p-53 * normal(generator));
}

// Every weight and bias of a network scaled by 2^exponent.
Network scaled(const Network& net, int exponent) {
  Network result(net.inputs());
  const auto by = [&](double* values, Index n) {
    for (Index i = 0; i < n; ++i) values[i] = std::ldexp(values[i], exponent);
  };
  for (std::size_t n = 1; n < net.nodes().size(); ++n) {
    Network::Node node = net.nodes()[n];
    if (node.kind == Network::Kind::hinge) {
      result.add_hinge(node.source, node.low, node.high);
      continue;
    }
    for (Network::Term& term : node.terms) {
      by(term.map.dense.data(), term.map.dense.rows() * term.map.dense.cols());
      by(term.map.diagonal.data(), static_cast<Index>(term.map.diagonal.size()));
    }
    by(node.bias.data(), node.width);
    result.add_affine(node.terms, node.bias);
  }
  result.finish();
  return result;
}

}  // namespace

TEST_CASE("sums and products of doubles are taken apart without error") {
  Generator generator(1);
  for (int trial = 0; trial < 20000; ++trial) {
    const double a = any_double(generator, -400, 400), b = trial % 2 ? any_double(generator, -400, 400) : -a * 1.25;
    const DoubleDouble s = two_sum(a, b), p = two_product(a, b), h = split(a);
    REQUIRE(s.hi == a + b);
    REQUIRE(p.hi == a * b);
    REQUIRE(same(exact_value(s), Dyadic(a) + Dyadic(b)));
    REQUIRE(same(exact_value(p), Dyadic(a) * Dyadic(b)));
    REQUIRE(same(exact_value(h), Dyadic(a)));
    REQUIRE(h.hi * h.hi == static_cast<double>(static_cast<long double>(h.hi) * h.hi));  // 26 bits each
  }
  // Sums are exact down to the last subnormal; products lose at most 2^-1014.
  for (int trial = 0; trial < 20000; ++trial) {
    const double a = any_double(generator, -1074, -400), b = any_double(generator, -600, 20);
    REQUIRE(same(exact_value(two_sum(a, b)), Dyadic(a) + Dyadic(b)));
    const Dyadic lost = magnitude(exact_value(two_product(a, b)) - Dyadic(a) * Dyadic(b));
    REQUIRE(lost.compare(Dyadic(std::fabs(a * b) >= 0x1p-967 ? 0.0 : 0x1p-1014)) <= 0);
  }
  // What overflows does not look finite.
  CHECK_FALSE(std::isfinite(two_product(0x1p1000, 2.0).lo));
  CHECK_FALSE(std::isfinite(two_product(0x1p600, 0x1p600).hi));
}

TEST_CASE("compensated sums lie within their radius, whatever cancels and however long they are") {
  Generator generator(2);
  for (int trial = 0; trial < 400; ++trial) {
    const Index n = 1 + static_cast<Index>(generator() % 60);
    const int spread = trial % 4 == 0 ? 300 : trial % 4 == 1 ? 60 : 2;
    Vector w(at(n)), doubled(at(2 * n));
    RefinedVector x(n), both(2 * n);
    Dyadic exact, twice;
    for (Index j = 0; j < n; ++j) {
      w[at(j)] = any_double(generator, -spread, spread);
      const DoubleDouble pair = random_pair(generator);
      x.set(j, {pair, 0});
      exact = exact + Dyadic(w[at(j)]) * exact_value(pair);
      // The same item with both signs: all but a tiny remainder cancels.
      doubled[at(j)] = w[at(j)];
      doubled[at(n + j)] = -w[at(j)];
      both.set(j, {pair, 0});
      const double moved = pair.lo + 0x1p-80 * std::normal_distribution<double>()(generator);
      both.set(n + j, {two_sum(pair.hi, moved), 0});
      twice = twice + Dyadic(w[at(j)]) * (Dyadic(pair.lo) - Dyadic(moved));
    }
    RefinedSums sums(2, 2 * n + RefinedSums::kLanes);
    sums.add_dot(0, w.data(), sums.factors(x));
    sums.add_dot(1, doubled.data(), sums.factors(both));
    const RefinedVector result = sums.finish();
    CHECK(holds(result[0], exact));
    CHECK(holds(result[1], twice));
    // 2^-84 of the sum of magnitudes: (3 K + 1) (K + 3) u^2 with K = 128.
    Dyadic size;
    for (Index j = 0; j < n; ++j) size = size + Dyadic(std::fabs(w[at(j)] * x.hi[at(j)]));
    CHECK(Dyadic(result[0].radius).compare(Dyadic(0x1p-84) * size) <= 0);
    RefinedSums columns(n, 3);
    columns.add_scaled(w.data(), columns.factors(x), 0);
    columns.add_diagonal(w.data(), columns.factors(x));
    columns.add(0, -w[0]);
    for (Index j = 0; j < n; ++j) {
      const Dyadic sum = Dyadic(w[at(j)]) * (exact_value(x[0].value) + exact_value(x[j].value));
      CHECK(holds(columns.finish()[j], j == 0 ? sum - Dyadic(w[0]) : sum));
    }
  }
}

TEST_CASE("a sum of nothing is exactly 0, a sum that underflows is not; what overflows claims nothing") {
  RefinedVector x(3);
  x.set(0, {{0x1p-900, 0}, 0});
  x.set(2, {{1, 0}, 0});
  RefinedSums sums(4, 3 + RefinedSums::kLanes);
  const RefinedSums::Factors f = sums.factors(x);
  sums.add_dot(0, Vector{0, 5, 0}.data(), f);
  sums.add_dot(1, Vector{0x1p-900, 5, 0}.data(), f);
  sums.add_dot(2, Vector{0, 0, 0x1p1023}.data(), f);
  sums.add_product(3, 0x1p-900, f, 0);
  const RefinedVector s = sums.finish();
  CHECK(s[0].exact_zero());
  CHECK(s[0].radius == 0);
  CHECK(s[1].radius > 0);
  CHECK(s[1].sign() == 0);
  CHECK(std::isinf(s[2].radius));
  CHECK(s[2].sign() == 0);
  CHECK_FALSE(s[2].exact_zero());
  CHECK(s[3].radius > 0);
}

TEST_CASE("a sum of parts is kept exactly or to the last bit of a pair") {
  Generator generator(4);
  for (int trial = 0; trial < 200; ++trial) {
    const Matrix parts = with_parts(random_matrix(1, 4, generator), 1 + trial % 4, generator);
    const RefinedVector x = refined_point(parts);
    const DyadicVector exact = exact_point(parts);
    for (Index k = 0; k < 4; ++k) {
      CHECK(holds(x[k], exact[k]));
      CHECK(x.radius[at(k)] <= 0x1p-104 * std::fabs(x.hi[at(k)]));
      if (parts.rows() <= 2) CHECK(x.radius[at(k)] == 0);
    }
  }
  CHECK(refined_point(matrix({{1, 1}, {-1, 0x1p-70}, {0x1p-200, 0}}))[0].value.hi == 0x1p-200);
}

TEST_CASE("refined passes enclose the exact ones for every kind of network and scale") {
  Generator generator(5);
  for (const std::string& kind : kinds())
    for (const int exponent : {0, -40, 40, -500, 300}) {
      CAPTURE(kind);
      CAPTURE(exponent);
      const Network net = scaled(random_network(kind, generator), exponent);
      const Pattern held = random_pattern(net, generator);
      for (const Index parts : {1, 2, 3}) {
        const Matrix x = with_parts(random_matrix(1, net.inputs(), generator, parts == 1 ? 100.0 : 1.0), parts, generator);
        for (const bool linear : {false, true}) {
          CHECK(worst_forward(net, &held, x, linear) <= 1);
          CHECK(worst_forward(net, nullptr, x, linear) <= 1);
        }
      }
      Network::RefinedEntries units, outputs;
      for (Index u = 0; u < net.units(); u += 2) units.emplace_back(u, random_pair(generator));
      for (Index o = 0; o < net.outputs(); ++o) outputs.emplace_back(o, random_pair(generator));
      CHECK(worst_backward(net, held, units, {}, 0) <= 1);
      CHECK(worst_backward(net, held, {}, outputs, 0) <= 1);
      units.insert(units.end(), units.begin(), units.begin() + static_cast<Index>(units.size() / 2));  // repeated units add up
      CHECK(worst_backward(net, held, units, outputs, 0) <= 1);
    }
}

TEST_CASE("refined values are sharp: 2^-80 of their size on ordinary networks") {
  Generator generator(6);
  const Network net = mlp({8, 32, 32, 4}, generator);
  const Matrix x = random_matrix(1, 8, generator);
  const Network::RefinedValues v = net.forward_refined(nullptr, x);
  const double size = *std::max_element(v.pre.hi.begin(), v.pre.hi.end());
  CHECK(*std::max_element(v.pre.radius.begin(), v.pre.radius.end()) < 0x1p-80 * size);
  CHECK(*std::max_element(v.out.radius.begin(), v.out.radius.end()) < 0x1p-80 * size);
}

TEST_CASE("a root of the backward pass, bad arguments") {
  Generator generator(7);
  const Network net = mlp({3, 6, 5, 2}, generator);
  const Pattern p = random_pattern(net, generator);
  const int root = net.stages()[0].pre;
  CHECK(worst_backward(net, p, {{7, {1.5, 0}}}, {{1, {-0.75, 0}}}, root) <= 1);
  CHECK_THROWS_AS(net.backward_refined(p, {{0, {1, 0}}}, {}, net.stages()[1].pre), std::invalid_argument);
  CHECK_THROWS_AS(net.backward_refined(p, {{11, {1, 0}}}, {}), std::invalid_argument);
  CHECK_THROWS_AS(net.backward_refined(p, {}, {{2, {1, 0}}}), std::invalid_argument);
  CHECK_THROWS_AS(net.forward_refined(nullptr, Matrix(1, 2)), std::invalid_argument);
  CHECK_THROWS_AS(net.forward_refined(nullptr, Matrix(0, 3)), std::invalid_argument);
}

TEST_CASE("climbing towards the worst case never passes the bound") {
  // Weights and points are perturbed at random and kept when the error takes a larger share of the radius.
  Generator generator(8);
  std::normal_distribution<double> normal;
  double worst = 0;
  for (int start = 0; start < 6; ++start) {
    const std::vector<Index> widths = start % 3 == 0 ? std::vector<Index>{1, 1} : start % 3 == 1 ? std::vector<Index>{3, 1} : std::vector<Index>{2, 3, 1};
    std::vector<Matrix> weights;
    for (std::size_t l = 1; l < widths.size(); ++l) weights.push_back(random_matrix(widths[l], widths[l - 1], generator));
    Matrix x = with_parts(random_matrix(1, widths[0], generator), 2, generator);
    const auto share = [&](const std::vector<Matrix>& ws, const Matrix& point) {
      Network net(widths[0]);
      int node = 0;
      for (std::size_t l = 0; l < ws.size(); ++l) {
        if (l > 0) node = add_relu(net, node);
        node = net.add_affine({{node, LinearMap::from_dense(ws[l])}}, constant(ws[l].rows(), 0.0));
      }
      net.finish();
      const Pattern on(static_cast<std::size_t>(net.units()), 1);
      return std::max({worst_forward(net, nullptr, point, false), worst_forward(net, &on, point, false),
                       worst_backward(net, on, {}, {{0, {point(0, 0), point(1, 0)}}}, 0)});
    };
    double best = share(weights, x);
    for (int step = 0; step < 500; ++step) {
      std::vector<Matrix> ws = weights;
      Matrix point = x;
      Matrix& changed = step % 3 == 0 ? point : ws[generator() % ws.size()];
      double& entry = changed.data()[generator() % static_cast<unsigned>(changed.rows() * changed.cols())];
      entry = step % 2 ? entry * (1 + normal(generator) * 0x1p-20) : std::ldexp(entry, static_cast<int>(generator() % 5) - 2);
      const double reached = share(ws, point);
      if (reached < best) continue;
      best = reached;
      weights = std::move(ws);
      x = point;
    }
    CHECK(best <= 1);
    worst = std::max(worst, best);
  }
  CHECK(worst > 1e-3);  // the search does find errors, so the assertion above can fail
}

TEST_CASE("the rung of near ties: double-double decides what elementwise float bounds leave open") {
  Network net(3);
  const int z = net.add_affine({{0, LinearMap::from_dense(Matrix(1, 3, 1.0))}}, {0.1});
  net.add_affine({{add_relu(net, z), LinearMap::from_dense(Matrix(1, 1, 1.0))}}, {0.0});
  net.finish();
  const auto shared_net = share(std::move(net));
  const RowSystem rows(shared_net, {1}, all_of(3));
  CHECK(rows.slack_signs(Vector{1, -1.1, 0x1p-80}.data()) == std::vector<int>{-1});  // 1 + 0.1 - 1.1 < 0 in doubles
  CHECK(rows.tally().refine == 1);
  CHECK(rows.tally().exact == 0);
  CHECK(unit_signs(*shared_net, Vector{1, -1.1, 0x1p-80}.data()) == std::vector<int>{-1});
  // Below double-double, and true ties: integers.
  CHECK(rows.slack_signs(Vector{-0.1, 0x1p60, -0x1p60}.data()) == std::vector<int>{0});
  CHECK(rows.slack_signs(matrix({{-0.1, 0x1p60, -0x1p60}, {0x1p-200, 0, 0}})) == std::vector<int>{1});
  CHECK(rows.slack_signs(matrix({{-0.1, 0, 0}, {0, 0x1p-70, -0x1p-70}})) == std::vector<int>{0});
  CHECK(rows.tally().exact == 3);
  CHECK(rows.tally().refine == 1);
  CHECK(rows.tally().triage + rows.tally().tight == 0);
  CHECK(unit_signs(*shared_net, Vector{-0.1, 0x1p60, -0x1p60}.data()) == std::vector<int>{0});
  // One part is a point like any other.
  CHECK(rows.slack_signs(matrix({{1, 2, 3}})) == std::vector<int>{1});
  CHECK(rows.tally().triage == 1);
}

TEST_CASE("sums of doubles against exact slacks, domain rows included") {
  Generator generator(9);
  for (const std::string& kind : kinds()) {
    CAPTURE(kind);
    const auto net = share(random_network(kind, generator));
    for (const bool boxed : {true, false}) {
      const Index d = net->inputs();
      const auto domain = boxed ? cube(d, 1)
                                : std::make_shared<const Domain>(Domain::polytope(random_matrix(d + 2, d, generator), random_vector(d + 2, generator)));
      const RowSystem rows(net, random_pattern(*net, generator), domain);
      Matrix parts = with_parts(random_matrix(1, d, generator), 3, generator);
      parts(0, 0) = 1;  // on a wall of the cube but for the second part
      const RefinedVector slack = rows.refined_slacks(parts), along = rows.refined_slacks(parts, true);
      const std::vector<int> signs = rows.slack_signs(parts), directions = rows.slack_signs(parts, true);
      const DyadicVector x = exact_point(parts);
      for (Index j = 0; j < rows.size(); ++j) {
        const ExactRow row = rows.exact_row(j);
        const Dyadic product = dot(row.a, x);
        CHECK(holds(slack[j], row.b - product));
        CHECK(holds(along[j], -product));
        CHECK(signs[at(j)] == row.b.compare(product));
        CHECK(directions[at(j)] == -product.sign());
      }
    }
  }
}

TEST_CASE("a point inside by less than a double: strictly inside as a sum, not as its first part") {
  const RowSystem rows = rows_of(cube(2, 1));
  CHECK_FALSE(rows.strictly_inside(matrix({{1, 0}})));
  CHECK(rows.strictly_inside(matrix({{1, 0}, {-0x1p-200, 0}})));
  CHECK_FALSE(rows.strictly_inside(matrix({{1, 0}, {0x1p-200, 0}})));
  CHECK_FALSE(rows.strictly_inside(matrix({{1, 0}, {0, 0x1p-200}})));
  CHECK(rows.strictly_inside(matrix({{1, 0}, {0x1p-200, 0}, {-0x1p-199, 0}})));
  CHECK_FALSE(rows.strictly_inside(matrix({{0, 0}, {std::nan(""), 0}})));
  CHECK(rows.tally().exact == 0);
  CHECK(rows.tally().refine > 0);
}

TEST_CASE("forms in double-double enclose the exact combination of rows") {
  Generator generator(10);
  for (const std::string& kind : kinds()) {
    CAPTURE(kind);
    const auto net = share(random_network(kind, generator));
    for (const bool boxed : {true, false}) {
      const Index d = net->inputs();
      const auto domain = boxed ? cube(d, 3)
                                : std::make_shared<const Domain>(Domain::polytope(random_matrix(d + 2, d, generator), random_vector(d + 2, generator)));
      const RowSystem rows(net, random_pattern(*net, generator), domain);
      for (const Index step : {1, 3}) {
        RowSystem::RefinedRow form;
        std::vector<Dyadic> g(at(d));
        Dyadic c;
        for (Index j = step == 3 ? rows.units() : 0; j < rows.size(); j += step) {
          form.emplace_back(j, random_pair(generator));
          const ExactRow row = rows.exact_row(j);
          const Dyadic value = exact_value(form.back().second);
          for (Index k = 0; k < d; ++k) g[at(k)] = g[at(k)] + value * row.a[k];
          c = c - value * row.b;
        }
        const Network::RefinedForm f = rows.refined_form(form);
        for (Index k = 0; k < d; ++k) CHECK(holds(f.g[k], g[at(k)]));
        CHECK(holds(f.c, c));
      }
    }
  }
}
