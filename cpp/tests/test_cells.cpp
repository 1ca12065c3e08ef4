// The enumeration's parts against integers: the bounds of composed forms, of vertices and of signs, the volume of known
// polytopes, and counts that formulas give.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

#include "cells.h"
#include "exact_rung.h"
#include "face_lattice.h"
#include "random_networks.h"
#include "vertices.h"

using namespace pyregions;
using testing::Generator;

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

Dyadic absolute(const Dyadic& v) { return v.sign() < 0 ? -v : v; }

bool within(double value, double error, const Dyadic& exact) {
  return absolute(exact - Dyadic(value)).compare(Dyadic(error)) <= 0;
}

// Every form of every stage of a random pattern, composed one stage after the other, against backward passes in integers.
void check_forms(const Network& net, const Pattern& pattern) {
  const Subspace everything;
  const FormComposer composer(net, std::make_shared<const WeightSums>(net), everything);
  Words words(at(words_for(net.units())));
  for (Index u = 0; u < net.units(); ++u)
    if (pattern[at(u)]) set_bit(words.data(), u);
  std::shared_ptr<const StageForms> forms;
  const Index d = net.inputs();
  for (const Network::Stage& stage : net.stages()) {
    const std::vector<FormComposer::Parent> parents(2, {forms.get(), 0, words.data()});
    const std::shared_ptr<const StageForms> next = composer.next(parents);
    const NodeForms& pre = next->pre(net);
    bool all = true;
    for (Index j = 0; j < stage.width; ++j) {
      const Network::ExactForm exact = net.backward_exact(pattern, {{stage.offset + j, Dyadic(1.0)}}, {});
      for (Index cell = 0; cell < 2; ++cell) {
        for (Index k = 0; k < d; ++k) all = all && within(pre.values(cell * (d + 1) + k, j), pre.a_error(cell, j), exact.g[k]);
        all = all && within(pre.values(cell * (d + 1) + d, j), pre.c_error(cell, j), exact.c);
      }
    }
    CHECK(all);
    forms = next;
  }
}

// A vertex of random rows against the integers, and signs of random forms at it.
template <int D>
void check_vertex(std::mt19937_64& random, double spread) {
  std::normal_distribution<double> normal;
  Network net(D);
  Matrix weights(2 * D, D);
  Vector bias(at(2 * D));
  for (Index i = 0; i < 2 * D; ++i) {
    const double scale = std::exp2(std::clamp(spread * normal(random), -500.0, 500.0));
    for (Index k = 0; k < D; ++k) weights(i, k) = scale * normal(random);
    bias[at(i)] = scale * normal(random);
  }
  for (Index k = 0; k < D && spread > 0; ++k) weights(1 % (2 * D), k) = weights(0, k) * (1 + 0x1p-30 * static_cast<double>(k));
  net.add_affine({{0, LinearMap::from_dense(weights)}}, bias);
  net.add_hinge(1, Vector(at(2 * D), 0.0), Vector(at(2 * D), 1.0));
  net.add_affine({{2, LinearMap::from_dense(Matrix(1, 2 * D, 1.0))}}, {0.0});
  net.finish();
  const DomainFrame frame(Domain::all(D));
  ExactVertices exact(net, frame);
  exact.set_pattern(Pattern(at(2 * D), 1));
  VertexRow<D> rows[D];
  const VertexRow<D>* pointers[D];
  std::vector<RowId> ids;
  for (int i = 0; i < D; ++i) {
    for (int k = 0; k < D; ++k) rows[i].a[static_cast<std::size_t>(k)] = weights(i, k);
    rows[i].c = bias[at(i)];
    rows[i].id = i;
    pointers[i] = &rows[i];
    ids.push_back(i);
  }
  Vertex<D> v, several[11];
  std::uint8_t met = 0, met_too[11];
  meet<D>(pointers, 1, &v, &met);
  std::vector<const VertexRow<D>*> repeated;  // with another vertex, that of the rows in reverse, in every second place
  for (int i = 0; i < 11; ++i)
    for (int k = 0; k < D; ++k) repeated.push_back(pointers[i % 2 ? D - 1 - k : k]);
  meet<D>(repeated.data(), 11, several, met_too);
  for (int i = 0; i < 11; i += 2) {
    CHECK(met_too[i] == met);
    if (met) CHECK(several[i].x == v.x);
    if (met) CHECK(several[i].x_error == v.x_error);
  }
  if (!met) return;
  const ExactVertex truth = exact.meet(ids);
  for (int k = 0; k < D; ++k) {  // |x den - num| <= error den
    const Dyadic x(v.x[static_cast<std::size_t>(k)]);
    Dyadic num, den;
    num.mantissa = truth.x[static_cast<std::size_t>(k)];
    den.mantissa = truth.denominator;
    CHECK(absolute(x * den - num).compare(Dyadic(v.x_error) * den) <= 0);
  }
  Matrix block(D + 1, D);
  for (Index j = 0; j < D; ++j) {
    for (Index k = 0; k < D; ++k) block(k, j) = weights(D + j, k);
    block(D, j) = bias[at(D + j)];
  }
  Vector zero(at(D)), slope_x(at(D)), slope_error(at(D)), constant(at(D));
  form_thresholds(block.data(), D, D, D, zero.data(), zero.data(), slope_x.data(), slope_error.data(), constant.data());
  std::uint64_t above = 0, below = 0, open = 0, all = (1u << D) - 1;
  form_signs<D>({block.data(), D, D, slope_x.data(), slope_error.data(), constant.data()}, &all, &v, 1, &above, &below, &open);
  for (Index j = 0; j < D; ++j) {
    const int sign = exact.sign(static_cast<RowId>(D + j), truth);
    if (bit(&above, j)) CHECK(sign > 0);
    if (bit(&below, j)) CHECK(sign < 0);
    if (!bit(&above, j) && !bit(&below, j) && !bit(&open, j)) CHECK(sign == 0);
  }
}

// One hidden layer of small integers, all rows different.
Network one_layer(Index d, Index n, bool central, unsigned seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  Matrix weights(n, d);
  Vector bias(at(n));
  for (Index i = 0; i < n; ++i) {
    for (Index k = 0; k < d; ++k) weights(i, k) = normal(random);
    bias[at(i)] = central ? 0.0 : normal(random);
  }
  Network net(d);
  net.add_affine({{0, LinearMap::from_dense(weights)}}, bias);
  net.add_hinge(1, Vector(at(n), 0.0), Vector(at(n), 1.0));
  net.add_affine({{2, LinearMap::from_dense(Matrix(1, n, 1.0))}}, {0.0});
  net.finish();
  return net;
}

Index binomial(Index n, Index k) {
  Index value = 1;
  for (Index i = 0; i < k; ++i) value = value * (n - i) / (i + 1);
  return value;
}

Index count(const Network& net, const Domain& domain, int workers) {
  EnumerationOptions options;
  options.workers = workers;
  const std::vector<PartialPattern> all(1, PartialPattern(at(net.units()), -1));
  const Enumeration found = enumerate_cells(net, {}, domain, all, options);
  CHECK(found.open.empty());
  const Index words = words_for(net.units());
  std::set<Words> distinct;
  for (Index k = 0; k < found.regions.count; ++k)
    distinct.emplace(found.regions.patterns.begin() + k * words, found.regions.patterns.begin() + (k + 1) * words);
  CHECK(static_cast<Index>(distinct.size()) == found.regions.count);
  return found.regions.count;
}

}  // namespace

TEST_CASE("composed forms lie within their bounds") {
  Generator generator(7);
  for (const std::string& kind : testing::kinds()) {
    for (int i = 0; i < 8; ++i) {
      CAPTURE(kind);
      const Network net = testing::random_network(kind, generator);
      check_forms(net, testing::random_pattern(net, generator));
    }
  }
}

TEST_CASE("vertices and signs lie within their bounds") {
  std::mt19937_64 random(3);
  for (int i = 0; i < 300; ++i) {
    const double spread = i % 3 == 0 ? 0.0 : (i % 3 == 1 ? 20.0 : 300.0);
    check_vertex<1>(random, spread);
    check_vertex<2>(random, spread);
    check_vertex<4>(random, spread);
    check_vertex<6>(random, spread);
  }
}

TEST_CASE("volumes by triangulation") {
  const double square[] = {0, 0, 3, 0, 0, 2, 3, 2};
  const std::vector<FaceVertices> sides{{0, 1}, {0, 2}, {1, 3}, {2, 3}};
  const VolumeBound area = Triangulation<2>(square, 0.0, sides).volume({0, 1, 2, 3});
  CHECK(std::fabs(area.value - 6) <= area.error);
  CHECK(area.error < 1e-12);
  // An octahedron: eight facets, every vertex on four of them, volume 4/3.
  const double tips[] = {1, 0, 0, -1, 0, 0, 0, 1, 0, 0, -1, 0, 0, 0, 1, 0, 0, -1};
  std::vector<FaceVertices> facets;
  for (const int x : {0, 1})
    for (const int y : {2, 3})
      for (const int z : {4, 5}) facets.push_back({x, y, z});
  const VolumeBound volume = Triangulation<3>(tips, 0.0, facets).volume({0, 1, 2, 3, 4, 5});
  CHECK(std::fabs(volume.value - 4.0 / 3) <= volume.error + 1e-15);
  CHECK(facets_of({0, 1, 2, 3, 4, 5}, facets).size() == 8);
}

TEST_CASE("counts of one layer in all of space") {
  for (Index d = 1; d <= 5; ++d) {
    const Index n = d + 4;
    Index general = 0, central = 0;
    for (Index i = 0; i <= d; ++i) general += binomial(n, i);
    for (Index i = 0; i < d; ++i) central += 2 * binomial(n - 1, i);
    CHECK(count(one_layer(d, n, false, 1), Domain::all(d), 1) == general);
    CHECK(count(one_layer(d, n, false, 2), Domain::all(d), 2) == general);
    CHECK(count(one_layer(d, n, true, 3), Domain::all(d), 2) == central);
  }
}

TEST_CASE("a subtree that is empty is refused") {
  const Network net = one_layer(2, 3, false, 1);
  EnumerationOptions options;
  const Domain corner = Domain::box({100, 100}, {101, 101});
  const Enumeration one = enumerate_cells(net, {}, corner, {PartialPattern(3, -1)}, options);
  REQUIRE(one.regions.count == 1);
  PartialPattern wrong(3, -1);
  wrong[0] = static_cast<std::int8_t>(1 - static_cast<int>(one.regions.patterns[0] & 1));
  CHECK_THROWS_AS(enumerate_cells(net, {}, corner, {wrong}, options), std::invalid_argument);
  CHECK_THROWS_AS(enumerate_cells(net, {}, corner, {PartialPattern(2, -1)}, options), std::invalid_argument);
}
