// The elementwise loops one by one: each bound against exact arithmetic, with no slack from other steps to hide behind.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <random>

#include "bignum.h"
#include "network_kernels.h"
#include "random_networks.h"

using namespace pyregions;

namespace {

constexpr Index kSize = 203;  // no multiple of any vector length

Dyadic magnitude(const Dyadic& x) { return x.sign() < 0 ? -x : x; }

// |value - exact| <= err, exactly.
bool within(double value, double err, const Dyadic& exact) {
  return magnitude(exact - Dyadic(value)).compare(Dyadic(err)) <= 0;
}

// Values with exact bounds 0, and corners of the range of doubles among them.
Vector awkward(testing::Generator& generator) {
  Vector x = testing::random_vector(kSize, generator);
  x[0] = 0;
  x[1] = 1e-300;
  x[2] = -std::numeric_limits<double>::denorm_min();
  x[3] = 1e150;
  x[4] = -0.0;
  return x;
}

Slopes slopes(const Vector& values) {
  Slopes result;
  for (double s : values) result.push_back(s);
  return result;
}

}  // namespace

TEST_CASE("upper bounds of norms") {
  testing::Generator generator(1);
  for (const double scale : {1.0, 0x1p-600, 0x1p600, 0x1p-1070}) {
    for (const Index n : {Index{1}, Index{7}, Index{8}, kSize}) {
      Vector x = testing::random_vector(n, generator);
      for (double& v : x) v *= scale;
      const DyadicVector exact(x.data(), n);
      const double up = norm_up(x.data(), n);
      CHECK(dot(exact, exact).compare(Dyadic(up) * Dyadic(up)) <= 0);
      if (scale >= 0x1p-600) CHECK(up <= (1 + 1e-12) * norm2(x.data(), n));
      double largest = 0;
      for (double v : x) largest = std::fmax(largest, std::fabs(v));
      CHECK(max_abs(x.data(), n) == largest);
    }
  }
  Vector zeros(9, 0.0);
  CHECK(norm_up(zeros.data(), 9) == 0.0);
  zeros[3] = kInfinity;
  CHECK(norm_up(zeros.data(), 9) == kInfinity);
  zeros[3] = std::nan("");
  CHECK(norm_up(zeros.data(), 9) == kInfinity);
  CHECK(max_abs(zeros.data(), 9) == kInfinity);
}

TEST_CASE("one piece held: the rounding of a slope is in the bound") {
  testing::Generator generator(2);
  const Vector z = awkward(generator), s = testing::random_vector(kSize, generator), none(kSize, 0.0);
  Vector v(kSize), e(kSize);
  held(z.data(), none.data(), slopes(s), v.data(), e.data(), kSize);
  for (std::size_t j = 0; j < v.size(); ++j) CHECK(within(v[j], e[j], Dyadic(z[j]) * Dyadic(s[j])));
  CHECK(e[0] == 0.0);
  for (const double exact : {0.0, 1.0, -1.0}) {
    held(z.data(), none.data(), slopes(Vector(kSize, exact)), v.data(), e.data(), kSize);
    for (std::size_t j = 0; j < v.size(); ++j) CHECK(e[j] == 0.0);
  }
  const Vector unknown(kSize, kInfinity);
  held(z.data(), unknown.data(), slopes(Vector(kSize, 0.0)), v.data(), e.data(), kSize);
  CHECK(e[7] == 0.0);  // a dead unit is 0 whatever came in
  held(z.data(), unknown.data(), slopes(Vector(kSize, 0.5)), v.data(), e.data(), kSize);
  CHECK(e[7] == kInfinity);
}

TEST_CASE("a hinge: every exact value in the interval stays within the bound") {
  testing::Generator generator(3);
  const Vector low = testing::random_vector(kSize, generator), high = testing::random_vector(kSize, generator);
  Vector z = awkward(generator), d(kSize), v(kSize), e(kSize);
  for (std::size_t j = 0; j < d.size(); ++j) d[j] = j % 3 == 0 ? 0.0 : std::fabs(z[j]) * (j % 3 == 1 ? 0.25 : 4.0);
  hinge(z.data(), d.data(), slopes(low), slopes(high), v.data(), e.data(), kSize);
  for (std::size_t j = 0; j < v.size(); ++j) {
    for (const double step : {-1.0, -0.5, 0.0, 0.5, 1.0}) {
      const Dyadic x = Dyadic(z[j]) + Dyadic(step) * Dyadic(d[j]);
      CHECK(within(v[j], e[j], x * Dyadic(x.sign() < 0 ? low[j] : high[j])));
    }
  }
  CHECK(e[0] == 0.0);
  const Slopes off = slopes(Vector(kSize, 0.0)), on = slopes(Vector(kSize, 1.0));
  hinge(z.data(), d.data(), off, on, v.data(), e.data(), kSize);
  for (std::size_t j = 0; j < v.size(); ++j) {
    const bool certain = std::fabs(z[j]) > d[j];
    CHECK(v[j] == std::fmax(z[j], 0.0));
    if (certain) CHECK(e[j] == (z[j] < 0 ? 0.0 : doctest::Approx(d[j])));
  }
  d.assign(kSize, kInfinity);
  hinge(z.data(), d.data(), off, on, v.data(), e.data(), kSize);
  CHECK(e[9] == kInfinity);
}

TEST_CASE("sums of two: rounded unless one is an exact zero") {
  testing::Generator generator(4);
  const Vector x = awkward(generator), none(kSize, 0.0);
  Vector v = testing::random_vector(kSize, generator, 1e-3);
  v[7] = 0;
  const Vector before = v;
  Vector e(kSize, 0.0);
  merge(x.data(), none.data(), v.data(), e.data(), kSize);
  for (std::size_t j = 0; j < v.size(); ++j) CHECK(within(v[j], e[j], Dyadic(before[j]) + Dyadic(x[j])));
  CHECK(e[0] == 0.0);
  CHECK(e[7] == 0.0);
  CHECK(e[8] > 0.0);
}

TEST_CASE("diagonal and tight terms") {
  testing::Generator generator(5);
  const Vector x = awkward(generator), w = testing::random_vector(kSize, generator), none(kSize, 0.0);
  const Vector omega = omegas(w.data(), kSize);
  Vector z(kSize), e(kSize), rho(kSize);
  add_diagonal(w.data(), omega.data(), x.data(), none.data(), pyregions::gamma(1), inflate(8), true, z.data(), e.data(),
               kSize);
  tight_rho(x.data(), none.data(), pyregions::gamma(3), inflate(8), rho.data(), kSize);
  for (std::size_t j = 0; j < z.size(); ++j) {
    CHECK(within(z[j], e[j], Dyadic(w[j]) * Dyadic(x[j])));
    CHECK(Dyadic(rho[j]).compare(Dyadic(3 * kUnit) * magnitude(Dyadic(x[j]))) >= 0);
    CHECK((rho[j] == 0) == (x[j] == 0));
  }
  const double weighted = weighted_rho(omega.data(), x.data(), none.data(), pyregions::gamma(3), inflate(kSize), kSize);
  Dyadic sum;
  for (std::size_t j = 0; j < z.size(); ++j) sum = sum + Dyadic(3 * kUnit) * magnitude(Dyadic(w[j]) * Dyadic(x[j]));
  CHECK(Dyadic(weighted).compare(sum) >= 0);
  CHECK(weighted_rho(omega.data(), none.data(), none.data(), pyregions::gamma(3), inflate(kSize), kSize) == 0.0);
}
