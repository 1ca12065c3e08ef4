// The verified basis: what float64 encloses, what refinement adds, and both against Cramer's rule in integers.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "make_cells.h"

using namespace pyregions;
using namespace pyregions::testing;

namespace {

Dyadic magnitude(const Dyadic& x) { return x.sign() < 0 ? -x : x; }
Dyadic determinant(const DyadicVector& p, const DyadicVector& q) { return p[0] * q[1] - p[1] * q[0]; }

// Row i against rows p and q of a cell in the plane: a_i = lambda a_p + mu a_q, all times det = |a_p a_q| > 0.
struct Cramer {
  Dyadic lambda, mu, sup, det;
  Cramer(const RowSystem& rows, Index i, Index p, Index q) {
    const ExactRow target = rows.exact_row(i), first = rows.exact_row(p), second = rows.exact_row(q);
    det = determinant(first.a, second.a);
    lambda = determinant(target.a, second.a);
    mu = determinant(first.a, target.a);
    if (det.sign() < 0) {
      det = -det;
      lambda = -lambda;
      mu = -mu;
    }
    sup = lambda * first.b + mu * second.b - target.b * det;
  }
  bool implied() const { return det.sign() > 0 && lambda.sign() > 0 && mu.sign() > 0 && sup.sign() < 0; }
  // Decided with 2^-85 of the other terms to spare: far below what float64 sees.
  bool clear() const {
    Dyadic room = det * Dyadic(0x1p-85);
    return implied() && lambda.compare(room) > 0 && mu.compare(room) > 0 && magnitude(sup).compare(room) > 0;
  }
};

// A network in the plane whose last unit's row passes, up to `offset`, through the crossing of the rows of units 0 and 1.
std::shared_ptr<const Network> nearly_touching(Generator& generator, double offset, bool deep, double scale) {
  const Matrix w0 = random_matrix(4, 2, generator, scale), w1 = random_matrix(1, 4, generator, scale);
  const Vector b0 = random_vector(4, generator, scale);
  double bias = 0;
  for (int round = 0; round < 2; ++round) {
    Network net(2);
    const int first = net.add_affine({{0, LinearMap::from_dense(w0)}}, b0);
    const int h = add_relu(net, first);
    const int second = deep ? net.add_affine({{h, LinearMap::from_dense(w1)}}, {bias})
                            : net.add_affine({{0, LinearMap::from_dense(matrix({{w1(0, 0), w1(0, 1)}}))}}, {bias});
    net.add_affine({{add_relu(net, second), LinearMap::from_dense(Matrix(1, 1, 1.0))}}, {0.0});
    net.finish();
    auto shared_net = share(std::move(net));
    if (round == 1) return shared_net;
    const RowSystem rows(shared_net, {1, 1, 1, 0, 1}, all_of(2));
    const Cramer c(rows, 4, 0, 1);
    bias = c.sup.to_double() / c.det.to_double();  // minus the pre-activation there
    bias += bias * offset;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("a slack or a multiplier below the resolution of floats is proven by refinement; a tie is not") {
  const double near = 2 + 0x1p-51;
  const RowSystem rows = rows_of(polytope({{1, 0}, {0, 1}, {1, 1}, {1, 1}, {1, 0x1p-60}, {1, -0x1p-60}, {1, 1}},
                                          {1, 1, near, 2, 1.5, 1.5, 2.5}));
  SparseRow multipliers;
  CHECK(check_by_basis(rows, 2, {0, 1}, multipliers));
  CHECK(multipliers == SparseRow{{0, 1.0}, {1, 1.0}});
  CHECK(rows.tally().refine == 1);
  CHECK(rows.tally().basis == 0);
  CHECK_FALSE(check_by_basis(rows, 3, {0, 1}, multipliers));  // x + y <= 2 touches the corner
  CHECK(check_by_basis(rows, 4, {0, 1}, multipliers));
  CHECK(multipliers == SparseRow{{0, 1.0}, {1, 0x1p-60}});
  CHECK_FALSE(check_by_basis(rows, 5, {0, 1}, multipliers));
  CHECK(rows.tally().refine == 2);
  CHECK(check_by_basis(rows, 6, {0, 1}, multipliers));
  CHECK(rows.tally().refine == 2);
  CHECK(rows.tally().basis == 1);
  CHECK(rows.tally().exact == 0);
  // No basis: too few rows, and what is no row.
  CHECK_FALSE(check_by_basis(rows, 6, {0}, multipliers));
  CHECK_FALSE(check_by_basis(rows, 6, {0, -1}, multipliers));
  CHECK_FALSE(check_by_basis(rows, 6, {0, 7}, multipliers));
  CHECK(refine_vertex(rows, {0, -1}, {0.5, 0.5})(0, 0) == 0.5);
}

TEST_CASE("ties with multipliers that no double-double holds are never proven") {
  // (p, 1) x <= p + 1 and (1, q) x <= q + 1 cross at (1, 1), where (1, 1) x <= 2 touches; the multipliers are fractions.
  for (int p = 3; p < 40; p += 2)
    for (int q = 3; q < 40; q += 2) {
      const RowSystem rows = rows_of(polytope({{double(p), 1}, {1, double(q)}, {1, 1}, {1, 1}}, {p + 1.0, q + 1.0, 2, 2 + 0x1p-51}));
      SparseRow multipliers;
      CHECK_FALSE(check_by_basis(rows, 2, {0, 1}, multipliers));
      CHECK(check_by_basis(rows, 3, {0, 1}, multipliers));
      CHECK(rows.tally().refine == 1);
    }
}

TEST_CASE("what a basis proves is so, and what is clear in double-double is proven: random near ties") {
  Generator generator(21);
  int proven_by_refinement = 0, clear = 0;
  for (int trial = 0; trial < 600; ++trial) {
    const double offset = std::ldexp(trial % 2 ? 1.0 : -1.0, -46 - trial % 8), scale = trial % 3 == 0 ? 0x1p-40 : trial % 3 == 1 ? 0x1p40 : 1;
    const auto net = nearly_touching(generator, offset, trial % 4 != 0, scale);
    for (unsigned sides = 0; sides < 8; ++sides) {
      const auto piece = [&](unsigned bit) { return static_cast<std::uint8_t>((sides >> bit) & 1u); };
      const RowSystem rows(net, {piece(0), piece(1), 1, 0, piece(2)}, cube(2, 100));
      const Cramer exact(rows, 4, 0, 1);
      SparseRow multipliers;
      const bool proven = check_by_basis(rows, 4, {0, 1}, multipliers);
      CHECK((!proven || exact.implied()));
      if (exact.clear() && scale == 1) {
        ++clear;
        CHECK(proven);
      }
      proven_by_refinement += static_cast<int>(rows.tally().refine);
      CHECK(rows.tally().exact == 0);
    }
  }
  CHECK(clear > 50);
  CHECK(proven_by_refinement > 50);
}

TEST_CASE("a bound by refinement is an upper bound, with outputs and a direct part") {
  Generator generator(22);
  for (int trial = 0; trial < 60; ++trial) {
    const auto net = share(mlp({2, 5, 4, 2}, generator));
    const RowSystem rows(net, random_pattern(*net, generator), cube(2, 2));
    LinearTarget target;
    target.rows = {{0, 0.5}, {rows.size() - 1, -0.25}};
    target.outputs = {{0, 1.0}, {1, -1.0}};
    target.direct = random_vector(2, generator);
    Network::Forms form = rows.forms({target.rows});
    const Network::Forms out = net->backward(rows.pattern(), Matrix(1, net->units()), matrix({{1, -1}}), 0);
    for (Index k = 0; k < 2; ++k) {
      form.g(0, k) += out.g(0, k) + target.direct[at(k)];
      form.g_err(0, k) = 1e-9;
    }
    form.c[0] += out.c[0];
    form.c_err[0] = 1e-9;
    const std::vector<Index> basis{trial % 2 ? 1 : 9, trial % 4 < 2 ? 11 : 12};
    const BasisBound rough = bound_by_basis(rows, basis, form, target, std::numeric_limits<double>::infinity());
    const BasisBound sharp = bound_by_basis(rows, basis, form, target, -std::numeric_limits<double>::infinity());
    if (std::isinf(sharp.sup)) continue;
    CHECK(sharp.refined);
    CHECK(sharp.sup <= rough.sup);
    // The bound is reached at the crossing of the two rows.
    const Vector corner{0, 0};
    const Matrix vertex = refine_vertex(rows, basis, corner);
    const DyadicVector x = exact_point(vertex);
    const Network::ExactValues values = net->forward_exact(x, &rows.pattern());
    Dyadic reached = values.out[0] - values.out[1];
    for (const auto& [j, mu] : target.rows) {
      const ExactRow row = rows.exact_row(j);
      reached = reached + Dyadic(mu) * (dot(row.a, x) - row.b);
    }
    for (Index k = 0; k < 2; ++k) reached = reached + Dyadic(target.direct[at(k)]) * x[k];
    CHECK((Dyadic(sharp.sup) - reached).to_double() > -1e-25);
    CHECK(std::fabs((Dyadic(sharp.sup) - reached).to_double()) < 1e-12);
  }
}

TEST_CASE("a vertex as a sum of two doubles solves its rows to double-double") {
  Generator generator(23);
  for (const Index d : {2, 5, 12}) {
    const auto net = share(mlp({d, 2 * d, d, 2}, generator));
    const RowSystem rows(net, Pattern(static_cast<std::size_t>(net->units()), 1), cube(d, 3));
    std::vector<Index> basis;
    for (Index k = 0; k + 1 < d; ++k) basis.push_back(2 * d + k);  // deep rows and one of the domain
    basis.push_back(rows.units() + 2 * d - 1);
    const Matrix vertex = refine_vertex(rows, basis, constant(d, 0.0));
    REQUIRE(vertex.rows() == 2);
    Matrix first(1, d);
    std::copy(vertex.row(0), vertex.row(0) + d, first.data());
    double size = 1;
    for (Index k = 0; k < d; ++k) size = std::max(size, std::fabs(first(0, k)));
    double alone = 0, both = 0;
    for (const Index j : basis) {
      const ExactRow row = rows.exact_row(j);
      alone = std::max(alone, std::fabs((row.b - dot(row.a, exact_point(first))).to_double()));
      both = std::max(both, std::fabs((row.b - dot(row.a, exact_point(vertex))).to_double()));
    }
    CHECK(both < 0x1p-90 * size);
    CHECK(alone > 0x1p-75 * size);
    // With an inverse at hand, and what has none.
    const BasisInverse inverse = invert_basis(rows, basis);
    REQUIRE(inverse.regular);
    const Matrix again = refine_vertex(rows, basis, constant(d, 0.0), &inverse.R);
    CHECK(std::equal(again.row(0), again.row(0) + d, vertex.row(0)));
    basis[0] = basis[1];
    CHECK(refine_vertex(rows, basis, constant(d, 0.5))(0, 0) == 0.5);
  }
}
