// Cells of known shape and exact answers about them, for tests of layers 2 to 4.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "cell.h"
#include "random_networks.h"

namespace pyregions::testing {

inline std::size_t at(Index i) { return static_cast<std::size_t>(i); }

inline Matrix matrix(const std::vector<Vector>& rows) {
  Matrix a(static_cast<Index>(rows.size()), rows.empty() ? 0 : static_cast<Index>(rows[0].size()));
  for (std::size_t i = 0; i < rows.size(); ++i) std::copy(rows[i].begin(), rows[i].end(), a.row(static_cast<Index>(i)));
  return a;
}

inline std::shared_ptr<const Domain> all_of(Index dim) { return std::make_shared<const Domain>(Domain::all(dim)); }
inline std::shared_ptr<const Domain> cube(Index dim, double half) {
  return std::make_shared<const Domain>(Domain::box(constant(dim, -half), constant(dim, half)));
}
inline std::shared_ptr<const Domain> polytope(const std::vector<Vector>& rows, Vector b) {
  return std::make_shared<const Domain>(Domain::polytope(matrix(rows), std::move(b)));
}
inline RowSystem rows_of(std::shared_ptr<const Domain> domain) { return RowSystem(nullptr, {}, std::move(domain)); }

// {|x_1| + ... + |x_d| <= 1}, 2^d facets.
inline std::shared_ptr<const Domain> cross_polytope(Index dim) {
  std::vector<Vector> rows;
  for (unsigned mask = 0; mask < (1u << dim); ++mask) {
    rows.emplace_back();
    for (Index k = 0; k < dim; ++k) rows.back().push_back((mask >> k) & 1u ? -1.0 : 1.0);
  }
  return polytope(rows, constant(static_cast<Index>(rows.size()), 1.0));
}

// {x >= 0, x_1 + ... + x_d <= 1}, inradius 1 / (d + sqrt(d)).
inline std::shared_ptr<const Domain> simplex(Index dim) {
  std::vector<Vector> rows;
  for (Index k = 0; k < dim; ++k) rows.push_back(constant(dim, 0.0)), rows.back()[at(k)] = -1.0;
  rows.push_back(constant(dim, 1.0));
  Vector b = constant(dim + 1, 0.0);
  b.back() = 1;
  return polytope(rows, b);
}

inline std::shared_ptr<const Network> share(Network&& net) { return std::make_shared<const Network>(std::move(net)); }

// The exact sign of a row's slack at a point, from its exact row alone.
inline int exact_slack(const RowSystem& rows, Index j, const Vector& x) {
  const ExactRow row = rows.exact_row(j);
  return row.b.compare(dot(row.a, DyadicVector(x.data(), static_cast<Index>(x.size()))));
}

// Row i of slacks is within its bounds of the exact slacks at x, which are small against what x and a way of length `way` to it bring
// about, unless way < 0.
inline void check_slacks(const RowSystem& rows, const double* x, const RowSystem::Slacks& slacks, Index i, double way) {
  for (Index j = 0; j < rows.size(); ++j) {
    const double value = slacks.value(i, j), error = slacks.error(i, j), length = norm2(x, rows.dim());
    REQUIRE(std::isfinite(value));
    REQUIRE_FALSE(std::isnan(error));
    if (!std::isfinite(error)) CHECK(value == 0);  // claims nothing
    if (!std::isfinite(error) || !std::isfinite(length)) continue;
    const ExactRow row = rows.exact_row(j);
    const Dyadic off = row.b - dot(row.a, DyadicVector(x, rows.dim())) - Dyadic(value);
    CHECK((off.sign() < 0 ? -off : off).compare(Dyadic(error)) <= 0);
    if (way >= 0) CHECK(error <= 1e-10 * (std::fabs(value) + rows.norm_upper()[at(j)] * (length + way)));
  }
}

inline Vector row_vector(const Matrix& m, Index i) { return Vector(m.row(i), m.row(i) + m.cols()); }

}  // namespace pyregions::testing
