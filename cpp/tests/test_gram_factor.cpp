// The factor of a Gram matrix under rows that come and go, against products with the matrix itself.
#include <doctest/doctest.h>

#include <cmath>
#include <random>

#include "gram_factor.h"

using namespace pyregions;

TEST_CASE("factor of a Gram matrix: rows join and leave, solves stay solutions") {
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal;
  constexpr Index kMost = 43, kCols = 60;
  Matrix a(kMost, kCols);
  for (Index i = 0; i < kMost; ++i)
    for (Index k = 0; k < kCols; ++k) a(i, k) = normal(random) / std::sqrt(static_cast<double>(kCols));
  const auto gram = [&](Index i, Index j) { return dot(a.row(i), a.row(j), kCols); };
  GramFactor factor;
  std::vector<Index> rows;
  const auto join = [&](Index r) {
    Vector x;
    for (const Index i : rows) x.push_back(gram(r, i));
    factor.forward(x.data());
    double pivot = gram(r, r);
    for (std::size_t i = 0; i < x.size(); ++i) pivot -= x[i] * x[i] / factor.pivot(static_cast<Index>(i));
    factor.append(x.data(), pivot);
    rows.push_back(r);
  };
  const auto check = [&] {
    CAPTURE(rows.size());
    Vector b(rows.size());
    for (double& value : b) value = normal(random);
    Vector x = b, forward = b, back;
    factor.solve(x.data());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      double product = 0;
      for (std::size_t j = 0; j < rows.size(); ++j) product += gram(rows[i], rows[j]) * x[j];
      CHECK(product == doctest::Approx(b[i]).epsilon(1e-9));
    }
    back = x;
    factor.unbackward(back.data());
    factor.forward(forward.data());
    for (std::size_t i = 0; i < rows.size(); ++i) CHECK(back[i] == doctest::Approx(forward[i]).epsilon(1e-9));
  };
  for (Index r = 0; r < kMost; ++r) {  // all sizes: blocks of four and what is left beside them
    join(r);
    check();
  }
  while (rows.size() > 1) {  // first, last, and in between
    const Index p = std::uniform_int_distribution<Index>(0, static_cast<Index>(rows.size()) - 1)(random);
    const Index gone = rows[static_cast<std::size_t>(p)];
    factor.remove(p);
    rows.erase(rows.begin() + p);
    check();
    if (rows.size() % 7 != 0) continue;
    join(gone);  // and back, as the last
    check();
    factor.remove(static_cast<Index>(rows.size()) - 1);
    rows.pop_back();
  }
}
