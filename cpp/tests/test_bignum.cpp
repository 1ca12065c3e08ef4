// Exact arithmetic against rational numbers.
#include <doctest/doctest.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <chrono>
#include <cmath>
#include <random>
#include <vector>

#include "bignum.h"

using namespace pyregions;
using Rational = boost::multiprecision::cpp_rational;

namespace {

Rational rational(double value) { return Rational(value); }

Rational rational(const Dyadic& value) {
  const Rational two(2);
  Rational scale = 1;
  for (long e = 0; e < std::labs(value.exponent); ++e) scale *= two;
  return value.exponent >= 0 ? Rational(value.mantissa) * scale : Rational(value.mantissa) / scale;
}

// Full 53-bit values; with_zeros mixes in zeros, spread is the range of binary exponents.
Matrix random_matrix(Index rows, Index cols, int spread, std::mt19937& generator, bool with_zeros = true) {
  std::normal_distribution<double> normal;
  std::uniform_int_distribution<int> exponent(-spread, spread);
  Matrix a(rows, cols);
  for (Index i = 0; i < rows * cols; ++i) {
    a.data()[i] = with_zeros && generator() % 5 == 0 ? 0.0 : std::ldexp(normal(generator), exponent(generator));
  }
  return a;
}

Vector random_vector(Index n, int spread, std::mt19937& generator) {
  const Matrix a = random_matrix(1, n, spread, generator);
  return Vector(a.data(), a.data() + n);
}

void check_products(Index rows, Index cols, int matrix_spread, int vector_spread, std::mt19937& generator) {
  const Matrix a = random_matrix(rows, cols, matrix_spread, generator);
  const Vector x = random_vector(cols, vector_spread, generator), y = random_vector(rows, vector_spread, generator);
  const DyadicMatrix exact(a);
  const DyadicVector ax = exact.times(DyadicVector(x.data(), cols));
  const DyadicVector aty = exact.transposed_times(DyadicVector(y.data(), rows));
  REQUIRE(ax.size() == rows);
  REQUIRE(aty.size() == cols);
  for (Index i = 0; i < rows; ++i) {
    Rational sum = 0;
    for (Index j = 0; j < cols; ++j) sum += rational(a(i, j)) * rational(x[static_cast<std::size_t>(j)]);
    CHECK(rational(ax[i]) == sum);
  }
  for (Index j = 0; j < cols; ++j) {
    Rational sum = 0;
    for (Index i = 0; i < rows; ++i) sum += rational(a(i, j)) * rational(y[static_cast<std::size_t>(i)]);
    CHECK(rational(aty[j]) == sum);
  }
}

}  // namespace

TEST_CASE("dyadic numbers agree with rationals") {
  std::mt19937 generator(1);
  const Vector values = random_vector(40, 60, generator);
  for (double p : values) {
    for (double q : values) {
      const Dyadic x(p), y(q);
      CHECK(rational(x + y) == rational(p) + rational(q));
      CHECK(rational(x - y) == rational(p) - rational(q));
      CHECK(rational(x * y) == rational(p) * rational(q));
      CHECK(x.compare(y) == (p > q) - (p < q));
      CHECK((x * y).to_double() == p * q);  // IEEE multiplication is the nearest double
      CHECK((x + y).to_double() == p + q);
    }
    CHECK(Dyadic(p).to_double() == p);
    CHECK((-Dyadic(p)).to_double() == -p);
  }
  CHECK(Dyadic(1.0).compare(Dyadic(0.0)) == 1);
  CHECK(Dyadic(-1e-300).compare(Dyadic(0.0)) == -1);
  CHECK_THROWS_AS(Dyadic(std::nan("")), std::invalid_argument);
}

TEST_CASE("rounding to double: ties, subnormals, overflow") {
  const double tiny = std::numeric_limits<double>::denorm_min(), big = std::numeric_limits<double>::max();
  CHECK(Dyadic(tiny).to_double() == tiny);
  CHECK((Dyadic(tiny) * Dyadic(0.5)).to_double() == 0.0);   // tie to even
  CHECK((Dyadic(tiny) * Dyadic(0.75)).to_double() == tiny);
  CHECK((Dyadic(tiny) * Dyadic(1.5)).to_double() == 2 * tiny);  // tie to even
  CHECK((Dyadic(tiny) * Dyadic(1e-300)).to_double() == 0.0);
  CHECK((Dyadic(big) + Dyadic(big)).to_double() == std::numeric_limits<double>::infinity());
  CHECK((-Dyadic(big) * Dyadic(big)).to_double() == -std::numeric_limits<double>::infinity());
  CHECK((Dyadic(1.0) + Dyadic(kUnit)).to_double() == 1.0);  // tie to even
  CHECK((Dyadic(1.0) + Dyadic(kUnit) + Dyadic(1e-200)).to_double() == 1.0 + 2 * kUnit);
  CHECK((Dyadic(1.0) + Dyadic(3 * kUnit)).to_double() == 1.0 + 4 * kUnit);  // tie to even
}

TEST_CASE("products with a matrix: digits, wide ranges, empty shapes") {
  std::mt19937 generator(2);
  check_products(7, 11, 3, 3, generator);       // digits
  check_products(5, 4, 60, 200, generator);     // long vectors of digits
  check_products(6, 5, 300, 20, generator);     // too wide for digits
  check_products(1, 1, 0, 0, generator);
  check_products(0, 3, 1, 1, generator);
  check_products(3, 0, 1, 1, generator);
  // Integer-valued, negative and cancelling sums.
  Matrix a(1, 3);
  a(0, 0) = -1, a(0, 1) = 1, a(0, 2) = -3;
  const double x[] = {1048576.0, 1048576.0, 0.0};
  CHECK(DyadicMatrix(a).times(DyadicVector(x, 3)).all_zero());
}

TEST_CASE("more columns than one chunk of exact sums") {
  std::mt19937 generator(3);
  const Index n = 20000;
  Matrix a(1, n, std::ldexp(1.0, 60) - 4096);  // digits at their maximum, all of one sign
  for (Index j = 0; j < n; j += 3) a(0, j) = 1 - kUnit;
  const Vector x(static_cast<std::size_t>(n), 1 - kUnit);
  const DyadicVector exact_x(x.data(), n), row(a.data(), n);
  CHECK(DyadicMatrix(a).times(exact_x)[0].compare(dot(row, exact_x)) == 0);
  Matrix column(n, 1);
  std::copy_n(a.data(), n, column.data());
  CHECK(DyadicMatrix(column).transposed_times(exact_x)[0].compare(dot(row, exact_x)) == 0);
}

TEST_CASE("vectors: addition, dot, parallelism") {
  std::mt19937 generator(4);
  const Index n = 9;
  const Vector x = random_vector(n, 20, generator), y = random_vector(n, 50, generator);
  const DyadicVector ex(x.data(), n), ey(y.data(), n);
  DyadicVector sum = ex;
  sum.add(ey);
  Rational product = 0;
  for (Index i = 0; i < n; ++i) {
    const auto k = static_cast<std::size_t>(i);
    CHECK(rational(sum[i]) == rational(x[k]) + rational(y[k]));
    product += rational(x[k]) * rational(y[k]);
  }
  CHECK(rational(dot(ex, ey)) == product);

  Vector scaled = x, nearly = x;
  for (double& v : scaled) v *= -0x1p-30;
  CHECK(parallel_sign(ex, ex) == 1);
  CHECK(parallel_sign(ex, DyadicVector(scaled.data(), n)) == -1);
  for (double& v : nearly) {
    if (v != 0) {
      v = std::nextafter(v, 1e300);
      break;
    }
  }
  CHECK(parallel_sign(ex, DyadicVector(nearly.data(), n)) == 0);
  CHECK(parallel_sign(ex, DyadicVector(n)) == 0);
  CHECK(parallel_sign(DyadicVector(n), DyadicVector(n)) == 0);
  const double third[] = {1, 3, 0}, third3[] = {3, 9, 0}, mixed[] = {3, -9, 0}, zero[] = {1, 0, 0};
  CHECK(parallel_sign(DyadicVector(third, 3), DyadicVector(third3, 3)) == 1);
  CHECK(parallel_sign(DyadicVector(third, 3), DyadicVector(mixed, 3)) == 0);
  CHECK(parallel_sign(DyadicVector(third, 3), DyadicVector(zero, 3)) == 0);
}

TEST_CASE("cost of an exact product of MNIST size") {
  std::mt19937 generator(5);
  const Matrix a = random_matrix(256, 784, 6, generator, false);
  const Vector x = random_vector(784, 6, generator);
  const DyadicMatrix exact(a);
  const auto start = std::chrono::steady_clock::now();
  const DyadicVector y = exact.times(DyadicVector(x.data(), 784));
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  MESSAGE("784 x 256 exact product: " << 1e3 * seconds << " ms");
  CHECK(seconds < 0.1);  // the promise of the exact rung; about 50 times what it takes
  CHECK(y.size() == 256);
}
