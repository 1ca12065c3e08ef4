// Layer 2. Roundings of exact values.
#include "exact_rounding.h"

#include "exact_program.h"

namespace pyregions {

IntegerRow integer_row(const ExactRow& exact, long& exponent) {
  constexpr long kNone = std::numeric_limits<long>::max();
  long least = kNone;
  for (const Integer& m : exact.a.mantissa)
    if (!m.is_zero()) least = std::min(least, trailing(m) + exact.a.exponent);
  if (!exact.b.is_zero()) least = std::min(least, trailing(exact.b.mantissa) + exact.b.exponent);
  exponent = least == kNone ? 0 : least;
  IntegerRow row;
  for (const Integer& m : exact.a.mantissa) row.a.push_back(m.is_zero() ? Integer(0) : shifted(m, exact.a.exponent - exponent));
  row.b = exact.b.is_zero() ? Integer(0) : shifted(exact.b.mantissa, exact.b.exponent - exponent);
  return row;
}

double rational_to_double(const Integer& num, const Integer& den, int direction) {
  if (num.is_zero()) return 0;
  // 66 or more bits of the quotient and a sticky bit round like the quotient itself.
  const long shift = std::max(0L, 66 + bits(den) - bits(num));
  Integer q, r;
  divide_qr(Integer(abs(num) << static_cast<unsigned long>(shift)), den, q, r);
  Dyadic value;
  value.mantissa = 2 * q + (r.is_zero() ? 0 : 1);
  if (num.sign() < 0) value.mantissa = -value.mantissa;
  value.exponent = -shift - 1;
  const double near = value.to_double();
  if (direction == 0) return near;
  constexpr double kLargest = std::numeric_limits<double>::max();
  if (!std::isfinite(near)) return near * direction > 0 ? near : std::copysign(kLargest, near);
  const int order = Dyadic(near).compare(value);
  if (order * direction >= 0) return near;
  return std::nextafter(near, direction * std::numeric_limits<double>::infinity());
}

Parts nearest_parts(const std::vector<Integer>& numerators, const Integer& denominator, Index parts) {
  const Index d = static_cast<Index>(numerators.size());
  Parts point(parts, d);
  for (Index k = 0; k < d; ++k) {
    Integer num = numerators[at(k)], den = denominator;
    for (Index p = 0; p < parts && !num.is_zero(); ++p) {
      const double v = rational_to_double(num, den);
      point(p, k) = v;
      if (!std::isfinite(v)) break;
      const Dyadic taken(v);
      if (taken.exponent >= 0) {
        num -= shifted(taken.mantissa, taken.exponent) * den;
      } else {
        num = shifted(num, -taken.exponent) - taken.mantissa * den;
        den = shifted(den, -taken.exponent);
      }
    }
  }
  return point;
}

Parts nearest_parts(const DyadicVector& point, Index parts) {
  const long up = std::max(0L, point.exponent), down = std::max(0L, -point.exponent);
  std::vector<Integer> numerators;
  for (const Integer& m : point.mantissa) numerators.push_back(shifted(m, up));
  return nearest_parts(numerators, shifted(Integer(1), down), parts);
}

Vector rounded_direction(const std::vector<Integer>& direction) {
  Integer largest = 1;
  for (const Integer& v : direction) largest = std::max(largest, Integer(abs(v)));
  Vector u;
  for (const Integer& v : direction) u.push_back(rational_to_double(v, largest));
  return u;
}

}  // namespace pyregions
