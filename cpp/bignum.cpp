// Layer 0. Dyadic numbers and vectors: alignment of exponents, rounding to double, parallelism.
#include "bignum.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace pyregions {
namespace {

// value = mantissa * 2^exponent with an odd mantissa (0 for zero), |mantissa| < 2^53.
struct Parts {
  std::int64_t mantissa = 0;
  int exponent = 0;
};

Parts split(double value) {
  if (!std::isfinite(value)) throw std::invalid_argument("an exact number was asked of NaN or infinity");
  if (value == 0) return {};
  int exponent = 0;
  auto mantissa = static_cast<std::int64_t>(std::ldexp(std::frexp(value, &exponent), 53));
  exponent -= 53;
  while ((mantissa & 1) == 0) {
    mantissa /= 2;
    ++exponent;
  }
  return {mantissa, exponent};
}

Integer shifted(const Integer& x, long bits) { return Integer(x << static_cast<unsigned long>(bits)); }

}  // namespace

Dyadic::Dyadic(double value) {
  const Parts parts = split(value);
  mantissa = parts.mantissa;
  exponent = parts.exponent;
}

Dyadic Dyadic::operator-() const {
  Dyadic result = *this;
  result.mantissa = -result.mantissa;
  return result;
}

Dyadic Dyadic::operator+(const Dyadic& other) const {
  if (is_zero()) return other;
  if (other.is_zero()) return *this;
  const Dyadic &low = exponent <= other.exponent ? *this : other, &high = exponent <= other.exponent ? other : *this;
  Dyadic result = low;
  result.mantissa += shifted(high.mantissa, high.exponent - low.exponent);
  return result;
}

Dyadic Dyadic::operator-(const Dyadic& other) const { return *this + (-other); }

Dyadic Dyadic::operator*(const Dyadic& other) const {
  Dyadic result;
  result.mantissa = mantissa * other.mantissa;
  result.exponent = result.is_zero() ? 0 : exponent + other.exponent;
  return result;
}

int Dyadic::compare(const Dyadic& other) const {
  if (sign() != other.sign()) return sign() < other.sign() ? -1 : 1;
  return (*this - other).sign();
}

double Dyadic::to_double() const {
  if (is_zero()) return 0.0;
  const Integer magnitude = abs(mantissa);
  const long top = static_cast<long>(msb(magnitude)) + exponent;  // 2^top <= |value| < 2^(top+1)
  if (top > 1024) return sign() < 0 ? -HUGE_VAL : HUGE_VAL;
  if (top < -1076) return sign() < 0 ? -0.0 : 0.0;  // below half the smallest subnormal
  // The last place kept: 53 bits, or that of the subnormals.
  const long last = std::max(top - 52, -1074L), drop = last - exponent;
  if (drop <= 0) return std::ldexp(mantissa.convert_to<double>(), static_cast<int>(exponent));
  const auto cut = static_cast<unsigned long>(drop);
  Integer kept = magnitude >> cut;
  const bool half = bit_test(magnitude, static_cast<unsigned>(cut - 1)), beyond = lsb(magnitude) + 1 < cut;
  if (half && (beyond || bit_test(kept, 0))) ++kept;
  const double rounded = std::ldexp(kept.convert_to<double>(), static_cast<int>(last));
  return sign() < 0 ? -rounded : rounded;
}

DyadicVector::DyadicVector(const double* values, Index size) : DyadicVector(size) {
  std::vector<Parts> parts(mantissa.size());
  int least = std::numeric_limits<int>::max();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i] = split(values[i]);
    if (parts[i].mantissa != 0) least = std::min(least, parts[i].exponent);
  }
  if (least == std::numeric_limits<int>::max()) return;
  exponent = least;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].mantissa != 0) mantissa[i] = shifted(Integer(parts[i].mantissa), parts[i].exponent - least);
  }
}

Dyadic DyadicVector::operator[](Index i) const {
  Dyadic result;
  result.mantissa = mantissa[static_cast<std::size_t>(i)];
  result.exponent = result.is_zero() ? 0 : exponent;
  return result;
}

bool DyadicVector::all_zero() const {
  return std::all_of(mantissa.begin(), mantissa.end(), [](const Integer& m) { return m.is_zero(); });
}

void DyadicVector::add(const DyadicVector& other) {
  if (other.size() != size()) throw std::invalid_argument("DyadicVector::add: lengths differ");
  if (other.all_zero()) return;
  if (all_zero()) {
    *this = other;
    return;
  }
  const long least = std::min(exponent, other.exponent);
  for (std::size_t i = 0; i < mantissa.size(); ++i) {
    if (exponent > least && !mantissa[i].is_zero()) mantissa[i] <<= static_cast<unsigned long>(exponent - least);
    if (!other.mantissa[i].is_zero()) mantissa[i] += shifted(other.mantissa[i], other.exponent - least);
  }
  exponent = least;
}

Vector DyadicVector::to_doubles() const {
  Vector result(mantissa.size());
  for (std::size_t i = 0; i < result.size(); ++i) result[i] = (*this)[static_cast<Index>(i)].to_double();
  return result;
}

DyadicVector exact_point(const Matrix& parts) {
  DyadicVector sum(parts.cols());
  for (Index p = 0; p < parts.rows(); ++p) sum.add(DyadicVector(parts.row(p), parts.cols()));
  return sum;
}

Dyadic dot(const DyadicVector& x, const DyadicVector& y) {
  if (x.size() != y.size()) throw std::invalid_argument("dot: lengths differ");
  Dyadic result;
  result.exponent = x.exponent + y.exponent;
  for (std::size_t i = 0; i < x.mantissa.size(); ++i) {
    if (!x.mantissa[i].is_zero() && !y.mantissa[i].is_zero()) result.mantissa += x.mantissa[i] * y.mantissa[i];
  }
  if (result.is_zero()) result.exponent = 0;
  return result;
}

int parallel_sign(const DyadicVector& x, const DyadicVector& y) {
  if (x.size() != y.size()) return 0;
  const std::size_t n = x.mantissa.size();
  std::size_t pivot = n;
  for (std::size_t i = 0; i < n; ++i) {
    if (x.mantissa[i].is_zero() != y.mantissa[i].is_zero()) return 0;
    if (pivot == n && !x.mantissa[i].is_zero()) pivot = i;
  }
  if (pivot == n) return 0;
  const int sign = x.mantissa[pivot].sign() * y.mantissa[pivot].sign();
  // A sign that disagrees settles most pairs before any product is formed.
  for (std::size_t i = pivot + 1; i < n; ++i) {
    if (x.mantissa[i].sign() * sign != y.mantissa[i].sign()) return 0;
  }
  for (std::size_t i = pivot + 1; i < n; ++i) {
    if (x.mantissa[i].is_zero()) continue;
    if (x.mantissa[i] * y.mantissa[pivot] != y.mantissa[i] * x.mantissa[pivot]) return 0;
  }
  return sign;
}

}  // namespace pyregions
