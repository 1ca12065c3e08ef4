// The float passes against the exact ones, on networks of every shape the engine accepts.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>

#include "network.h"
#include "random_networks.h"

using namespace pyregions;
using testing::Generator;

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// |value - exact| <= err, decided exactly.
bool within(double value, double err, const Dyadic& exact) {
  if (err == std::numeric_limits<double>::infinity()) return std::isfinite(value);
  Dyadic difference = exact - Dyadic(value);
  if (difference.sign() < 0) difference = -difference;
  return difference.compare(Dyadic(err)) <= 0;
}

DyadicVector row(const Matrix& points, Index m) { return DyadicVector(points.row(m), points.cols()); }

void check_values(const Network& net, const Network::Values& values, const Matrix& points, const Pattern* held,
                  bool linear) {
  for (Index m = 0; m < points.rows(); ++m) {
    const Network::ExactValues exact = net.forward_exact(row(points, m), held, linear);
    bool all = true;
    for (std::size_t s = 0; s < net.stages().size(); ++s) {
      const Network::Stage& stage = net.stages()[s];
      for (Index i = 0; i < stage.width; ++i) {
        const Index u = stage.offset + i;
        all = all && within(values.pre(m, u), values.pre_err(m, u), exact.pre[s][i]);
      }
    }
    for (Index i = 0; i < net.outputs(); ++i) all = all && within(values.out(m, i), values.out_err(m, i), exact.out[i]);
    CHECK(all);
  }
}

using Entries = std::vector<std::pair<Index, Dyadic>>;

void check_form(const Network::ExactForm& exact, const double* g, const double* g_err, double c, double c_err) {
  bool all = within(c, c_err, exact.c);
  for (Index j = 0; j < exact.g.size(); ++j) all = all && within(g[j], g_err[j], exact.g[j]);
  CHECK(all);
}

void check_rows(const Network& net, const Pattern& p, int root, int first_stage) {
  const Network::Affine rows = net.unit_rows(p, root, first_stage);
  const Index before = net.units() - rows.A.rows();
  for (Index i = 0; i < rows.A.rows(); ++i) {
    const Network::ExactForm exact = net.backward_exact(p, {{before + i, Dyadic(1.0)}}, {}, root);
    const Vector errors(at(rows.A.cols()), rows.A_err[at(i)]);
    check_form(exact, rows.A.row(i), errors.data(), rows.c[at(i)], rows.c_err[at(i)]);
  }
}

void check_output_map(const Network& net, const Pattern& p) {
  const Network::Affine map = net.affine_map(p);
  REQUIRE(map.A.rows() == net.outputs());
  for (Index i = 0; i < net.outputs(); ++i) {
    const Network::ExactForm exact = net.backward_exact(p, {}, {{i, Dyadic(1.0)}});
    const Vector errors(at(map.A.cols()), map.A_err[at(i)]);
    check_form(exact, map.A.row(i), errors.data(), map.c[at(i)], map.c_err[at(i)]);
  }
}

Entries entries(const double* values, Index n) {
  Entries result;
  for (Index i = 0; i < n; ++i) {
    if (values[i] != 0) result.emplace_back(i, Dyadic(values[i]));
  }
  return result;
}

void check_backward(const Network& net, const Pattern& p, const Matrix& units, const Matrix& outputs, int root) {
  const Network::Forms forms = net.backward(p, units, outputs, root);
  for (Index m = 0; m < forms.g.rows(); ++m) {
    const Network::ExactForm exact =
        net.backward_exact(p, units.empty() ? Entries{} : entries(units.row(m), units.cols()),
                           outputs.empty() ? Entries{} : entries(outputs.row(m), outputs.cols()), root);
    check_form(exact, forms.g.row(m), forms.g_err.row(m), forms.c[at(m)], forms.c_err[at(m)]);
  }
}

// lambda.z(x) + mu.f(x) == g.x + c exactly.
void check_duality(const Network& net, const Pattern& p, const double* lambda, const double* mu,
                   const DyadicVector& x) {
  const Network::ExactValues values = net.forward_exact(x, &p);
  Dyadic left;
  for (std::size_t s = 0; s < net.stages().size(); ++s) {
    const Network::Stage& stage = net.stages()[s];
    left = left + dot(DyadicVector(lambda + stage.offset, stage.width), values.pre[s]);
  }
  left = left + dot(DyadicVector(mu, net.outputs()), values.out);
  const Network::ExactForm form = net.backward_exact(p, entries(lambda, net.units()), entries(mu, net.outputs()));
  CHECK(left.compare(dot(form.g, x) + form.c) == 0);
}

void zero_before(const Network& net, Matrix& multipliers, int stage) {
  const Index offset = net.stages()[static_cast<std::size_t>(stage)].offset;
  for (Index m = 0; m < multipliers.rows(); ++m) std::fill_n(multipliers.row(m), offset, 0.0);
}

}  // namespace

TEST_CASE("float passes stay within their bounds of the exact passes") {
  Generator generator(7);
  for (const std::string& kind : testing::kinds()) {
    CAPTURE(kind);
    for (int round = 0; round < 3; ++round) {
      const Network net = testing::random_network(kind, generator);
      for (const Index count : {Index{1}, Index{11}}) {  // below and above the batch size that drops dead columns
        const Matrix points = testing::random_matrix(count, net.inputs(), generator);
        check_values(net, net.forward(points), points, nullptr, false);
        for (int variant = 0; variant < 2; ++variant) {
          const Pattern p = variant ? testing::pattern_at(net, points) : testing::random_pattern(net, generator);
          check_values(net, net.forward_masked(p, points), points, &p, false);
          check_values(net, net.forward_masked(p, points, true), points, &p, true);
          check_values(net, net.forward_masked(p, points, false, true), points, &p, false);
        }
      }
    }
  }
}

TEST_CASE("rows and backward forms stay within their bounds, from every root") {
  Generator generator(8);
  for (const std::string& kind : testing::kinds()) {
    CAPTURE(kind);
    const Network net = testing::random_network(kind, generator);
    const Pattern p = testing::random_pattern(net, generator);
    check_rows(net, p, 0, 0);
    check_output_map(net, p);
    const Matrix outputs = testing::random_matrix(4, net.outputs(), generator);
    Matrix units = testing::random_matrix(4, net.units(), generator);
    check_backward(net, p, units, outputs, 0);
    check_backward(net, p, units, Matrix(), 0);
    check_backward(net, p, Matrix(), outputs, 0);
    for (std::size_t s = 0; s < net.stages().size(); ++s) {
      const int stage = static_cast<int>(s), pre = net.stages()[s].pre;
      if (!net.is_cut(pre, stage)) {
        CHECK_THROWS_AS(net.backward(p, Matrix(), outputs, pre), std::invalid_argument);
        continue;
      }
      check_rows(net, p, pre, stage);
      zero_before(net, units, stage);
      check_backward(net, p, units, outputs, pre);
    }
  }
}

TEST_CASE("backward, rows and held forward agree exactly") {
  Generator generator(9);
  for (const std::string& kind : testing::kinds()) {
    CAPTURE(kind);
    const Network net = testing::random_network(kind, generator);
    for (int round = 0; round < 5; ++round) {
      const Pattern p = testing::random_pattern(net, generator);
      const Matrix lambda = testing::random_matrix(1, net.units(), generator);
      const Matrix mu = testing::random_matrix(1, net.outputs(), generator);
      const Matrix x = testing::random_matrix(1, net.inputs(), generator);
      check_duality(net, p, lambda.data(), mu.data(), row(x, 0));
    }
  }
}

TEST_CASE("held at its own pattern a point has its own values") {
  Generator generator(10);
  for (const std::string& kind : testing::kinds()) {
    CAPTURE(kind);
    const Network net = testing::random_network(kind, generator);
    const Matrix x = testing::random_matrix(1, net.inputs(), generator);
    const Pattern p = testing::pattern_at(net, x);
    const Network::ExactValues own = net.forward_exact(row(x, 0)), held = net.forward_exact(row(x, 0), &p);
    for (Index i = 0; i < net.outputs(); ++i) CHECK(own.out[i].compare(held.out[i]) == 0);
  }
}

TEST_CASE("bounds of generic networks are useful") {
  Generator generator(11);
  const Network net = testing::mlp({30, 40, 40, 40, 5}, generator);
  const Matrix points = testing::random_matrix(50, 30, generator);
  const Pattern p = testing::pattern_at(net, points);
  const Matrix units = testing::random_matrix(20, net.units(), generator);
  const auto relative = [](const Matrix& v, const Matrix& e) {
    return norm2(e.data(), e.rows() * e.cols()) / norm2(v.data(), v.rows() * v.cols());
  };
  const Network::Values plain = net.forward(points), tight = net.forward_masked(p, points, false, true);
  const Network::Forms forms = net.backward(p, units, Matrix());
  // Close to the limit: 3e-12 to 1.1e-11 over 150 seeds. Norm bounds grow with width and depth: 1e-8 at
  // 784-256-256-256-10.
  CHECK(relative(plain.out, plain.out_err) < 1e-11);
  CHECK(relative(plain.pre, plain.pre_err) < 1e-11);
  CHECK(relative(tight.out, tight.out_err) < 2e-12);  // 0.5e-12 to 1.3e-12 over 150 seeds
  CHECK(relative(tight.out, tight.out_err) < relative(plain.out, plain.out_err));
  CHECK(relative(forms.g, forms.g_err) < 1e-11);
  const Network::Affine rows = net.unit_rows(p);
  for (Index i = 0; i < net.units(); ++i) CHECK(rows.A_err[at(i)] <= 1e-11 * (1e-3 + norm2(rows.A.row(i), 30)));
}

TEST_CASE("structural zeros are exact zeros") {
  Generator generator(12);
  const Network net = testing::mlp({4, 6, 5, 2}, generator, /*bias=*/false);
  Pattern p(at(net.units()), 1);
  std::fill_n(p.begin(), 6, std::uint8_t{0});  // the whole first stage is off
  const Network::Affine rows = net.unit_rows(p);
  for (Index i = 0; i < net.units(); ++i) {
    CHECK(rows.A_err[at(i)] == 0.0);  // the first stage: stored weights; the second: nothing at all
    CHECK(rows.c_err[at(i)] == 0.0);
    if (i >= 6) CHECK(norm2(rows.A.row(i), 4) + std::fabs(rows.c[at(i)]) == 0.0);
  }
  for (Index i = 0; i < 6; ++i) {
    for (Index j = 0; j < 4; ++j) CHECK(rows.A(i, j) == net.nodes()[1].terms[0].map.dense(i, j));
  }
  for (const Index count : {Index{1}, Index{10}}) {
    const Matrix points = testing::random_matrix(count, 4, generator);
    for (const bool tight : {false, true}) {
      const Network::Values values = net.forward_masked(p, points, false, tight);
      for (Index u = 6; u < 11; ++u) CHECK(std::fabs(values.pre(0, u)) + values.pre_err(0, u) == 0.0);
      CHECK(std::fabs(values.out(0, 0)) + values.out_err(0, 0) == 0.0);
    }
  }
  // Multipliers on the second stage die in the first; at their own node they arrive unchanged.
  Matrix units(1, net.units());
  for (Index u = 6; u < 11; ++u) units(0, u) = 0.1 * static_cast<double>(u);
  const Network::Forms forms = net.backward(p, units, Matrix());
  CHECK(norm2(forms.g.data(), 4) + norm2(forms.g_err.data(), 4) + forms.c_err[0] == 0.0);
  const Network::Forms own = net.backward(p, units, Matrix(), net.stages()[1].pre);
  for (Index i = 0; i < 5; ++i) {
    CHECK(own.g(0, i) == units(0, 6 + i));
    CHECK(own.g_err(0, i) == 0.0);
  }
}

TEST_CASE("a unit proven off passes exactly nothing on") {
  Network net(1);
  Matrix w(1, 1, 0.1);
  const int pre = net.add_affine({{0, LinearMap::from_dense(w)}}, {-1.0});
  const int post = net.add_hinge(pre, {0.0}, {1.0});
  net.add_affine({{post, LinearMap::from_dense(w)}}, {0.25});
  net.finish();
  const Network::Values values = net.forward(Matrix(1, 1, 3.0));
  CHECK(values.pre_err(0, 0) > 0.0);
  CHECK(values.out(0, 0) == 0.25);
  CHECK(values.out_err(0, 0) == 0.0);
}

TEST_CASE("overflow and NaN claim nothing") {
  Network net(2);
  Matrix w(2, 2, 1e200);
  w(1, 0) = w(1, 1) = 1.0;
  int node = net.add_affine({{0, LinearMap::from_dense(w)}}, {0.0, 0.0});
  node = net.add_hinge(node, {0.0, 0.0}, {1.0, 1.0});
  node = net.add_affine({{node, LinearMap::from_dense(w)}}, {0.0, 0.0});
  node = net.add_hinge(node, {0.0, 0.0}, {1.0, 1.0});
  net.add_affine({{node, LinearMap::from_dense(w)}}, {0.0, 0.0});
  net.finish();
  const Pattern p(4, 1);
  Matrix points(2, 2, 1.0);
  points(1, 0) = std::nan("");
  const Network::Values values = net.forward_masked(p, points);
  CHECK(values.out_err(0, 0) == std::numeric_limits<double>::infinity());
  CHECK(values.out_err(1, 0) == std::numeric_limits<double>::infinity());
  CHECK(std::isfinite(values.out(0, 0)));
  check_rows(net, p, 0, 0);
  check_output_map(net, p);
  check_backward(net, p, Matrix(), Matrix(1, 2, 1.0), 0);
}

TEST_CASE("an affine composition through diagonals keeps what is exact") {
  Network net(3);
  const int scaled = net.add_affine({{0, LinearMap::from_diagonal({1.0, -1.0, 0.5})}}, {0.1, 0.2, 0.3});
  Matrix w(1, 3, 0.7);
  const int pre = net.add_affine({{scaled, LinearMap::from_dense(w)}}, {0.0});
  net.add_hinge(pre, {0.0}, {1.0});
  net.add_affine({{pre, LinearMap::from_dense(Matrix(1, 1, 1.0))}}, {0.0});
  net.finish();
  const Network::Affine rows = net.unit_rows(Pattern(1, 1));
  CHECK(rows.A(0, 0) == 0.7);
  CHECK(rows.A(0, 1) == -0.7);
  CHECK(rows.c_err[0] > 0.0);
  check_rows(net, Pattern(1, 1), 0, 0);
  const Network::Affine from_scaled = net.unit_rows(Pattern(1, 1), scaled);
  CHECK(from_scaled.A_err[0] == 0.0);
  CHECK(from_scaled.c_err[0] == 0.0);
}

TEST_CASE("rows of two exact terms carry the rounding of their sum and nothing else") {
  Generator generator(14);
  Network net(20);
  const LinearMap one = testing::random_dense(30, 20, generator), two = testing::random_dense(30, 20, generator);
  const int pre = net.add_affine({{0, one}, {0, two}}, testing::random_vector(30, generator));
  const int post = testing::add_relu(net, pre);
  net.add_affine({{post, LinearMap::from_diagonal(Vector(30, 1.0))}}, Vector(30, 0.0));
  net.finish();
  const Pattern p(30, 1);
  check_rows(net, p, 0, 0);
  const Network::Affine rows = net.unit_rows(p);
  for (Index i = 0; i < 30; ++i) {
    CHECK(rows.A_err[at(i)] > 0.0);
    CHECK(rows.A_err[at(i)] < 1e-14);
    CHECK(rows.c_err[at(i)] == 0.0);
  }
}

TEST_CASE("what is malformed is refused with its name") {
  Network net(2);
  const Matrix w(3, 2, 1.0);
  CHECK_THROWS_WITH(net.add_affine({{0, LinearMap::from_dense(Matrix(3, 4, 1.0))}}, Vector(3, 0.0)),
                    doctest::Contains("shape (3, 4)"));
  CHECK_THROWS_WITH(net.add_affine({{0, LinearMap::from_dense(w)}}, Vector(3, std::nan(""))),
                    doctest::Contains("bias"));
  CHECK_THROWS_WITH(net.add_affine({{0, LinearMap::from_dense(Matrix(3, 2, HUGE_VAL))}}, Vector(3, 0.0)),
                    doctest::Contains("NaN or infinite"));
  CHECK_THROWS_AS(net.add_affine({{5, LinearMap::from_dense(w)}}, Vector(3, 0.0)), std::invalid_argument);
  CHECK_THROWS_AS(net.add_affine({}, Vector(3, 0.0)), std::invalid_argument);
  CHECK_THROWS_WITH(net.add_hinge(0, {0.0, 0.0}, {1.0, 1.0}), doctest::Contains("not affine"));
  const int pre = net.add_affine({{0, LinearMap::from_dense(w)}}, Vector(3, 0.0));
  CHECK_THROWS_AS(net.add_hinge(pre, Vector(2, 0.0), Vector(3, 1.0)), std::invalid_argument);
  const int post = net.add_hinge(pre, Vector(3, 0.0), Vector(3, 1.0));
  CHECK_THROWS_WITH(net.finish(), doctest::Contains("must be affine"));
  CHECK_THROWS_AS(net.forward(Matrix(1, 2)), std::invalid_argument);  // not finished
  net.add_affine({{post, LinearMap::from_diagonal(Vector(3, 1.0))}}, Vector(3, 0.0));
  net.finish();
  CHECK_THROWS_AS(net.forward(Matrix(1, 3)), std::invalid_argument);
  CHECK_THROWS_AS(net.forward_masked(Pattern(2, 0), Matrix(1, 2)), std::invalid_argument);
  CHECK_THROWS_AS(net.forward_masked(Pattern(3, 2), Matrix(1, 2)), std::invalid_argument);
  CHECK(net.stage_of(2) == std::pair<int, Index>(0, 2));
  CHECK_THROWS_AS(net.stage_of(3), std::invalid_argument);
}

TEST_CASE("multipliers before the root are refused") {
  Generator generator(13);
  const Network net = testing::mlp({3, 4, 4, 2}, generator);
  const Pattern p(at(net.units()), 1);
  CHECK_THROWS_AS(net.backward(p, Matrix(1, net.units(), 1.0), Matrix(), net.stages()[1].pre), std::invalid_argument);
  CHECK_THROWS_AS(net.backward_exact(p, {{0, Dyadic(1.0)}}, {}, net.stages()[1].pre), std::invalid_argument);
  CHECK_THROWS_AS(net.unit_rows(p, net.stages()[1].pre, 0), std::invalid_argument);
}
