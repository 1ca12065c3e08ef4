// Layer 0. Double-double arithmetic: error-free transformations, and sums of products that carry a rigorous radius.
//
// Error-free transformations. s + e = a + b and p + e = a b hold exactly for the pairs returned here (Knuth, Dekker),
// the product unless it underflows or something overflows. No fused multiply-add is assumed and none may be
// contracted into these lines.
//   Overflow: what overflows on the way (factors above 2^996 already in split()) leaves infinity or NaN in the low part
//   and so in the result; finish() turns it into "claims nothing".
//   Underflow: a factor of 53 bits is an integer times 2^e. If |a b| >= 2^-968, the exponents of both factors sum to
//   more than -1074 (|a b| < 2^(106 + e_a + e_b)), every partial product is a multiple of 2^-1074, and nothing is lost. Else
//   all nine intermediate results lie below 2^-965 and each loses at most 2^-1018 + 2^-1075, together less than
//   2^-1014 = 2^8 times the smallest normal number.
#pragma once

#include <cfloat>
#include <cmath>

#include "dense.h"

namespace pyregions {

static_assert(FLT_EVAL_METHOD == 0, "double-double arithmetic needs every operation rounded to double");

// hi + lo, unevaluated. Normalised: hi is hi + lo rounded, so |lo| <= u |hi|, and hi = 0 only when the sum is 0.
struct DoubleDouble {
  double hi = 0, lo = 0;
};

inline DoubleDouble two_sum(double a, double b) {
  const double s = a + b, z = s - a;
  return {s, (a - (s - z)) + (b - z)};
}

// a = hi + lo with at most 26 bits in each (Veltkamp).
inline DoubleDouble split(double a) {
  const double c = 0x1.0000002p27 * a, high = c - (c - a);
  return {high, a - high};
}

// The rounding error of p = fl(a b), a and b given with their halves.
inline double product_error(double p, const DoubleDouble& a, const DoubleDouble& b) {
  return (((a.hi * b.hi - p) + a.hi * b.lo) + a.lo * b.hi) + a.lo * b.lo;
}

inline DoubleDouble two_product(double a, double b) {
  const double p = a * b;
  return {p, product_error(p, split(a), split(b))};
}

// x + y for proposals: relative error of a few u^2.
inline DoubleDouble add(const DoubleDouble& x, const DoubleDouble& y) {
  const DoubleDouble high = two_sum(x.hi, y.hi);
  return two_sum(high.hi, high.lo + (x.lo + y.lo));
}

// Law: |hi + lo - exact| <= radius, pairs normalised. radius 0: exact. What overflowed is 0 with radius infinity.
struct Refined {
  DoubleDouble value;
  double radius = 0;
  // -1, 1, or 0 when it cannot tell or `exact_zero` holds.
  int sign() const {
    const double room = (std::fabs(value.lo) + radius) * (1 + 4 * kUnit);
    return value.hi > room || (radius == 0 && value.hi > 0) ? 1 : value.hi < -room || (radius == 0 && value.hi < 0) ? -1 : 0;
  }
  bool exact_zero() const { return radius == 0 && value.hi == 0; }
};

// The same law for each of many.
struct RefinedVector {
  Vector hi, lo, radius;
  RefinedVector() = default;
  explicit RefinedVector(Index n) : hi(static_cast<std::size_t>(n)), lo(hi), radius(hi) {}
  Index size() const { return static_cast<Index>(hi.size()); }
  Refined operator[](Index i) const {
    const auto k = static_cast<std::size_t>(i);
    return {{hi[k], lo[k]}, radius[k]};
  }
  void set(Index i, const Refined& x);  // what is not finite claims nothing
};

// The sum of the rows of `parts`, an unevaluated sum of vectors of doubles. Two parts that do not overlap are kept
// exactly; what does not fit goes into the radius. Requires: at least one row.
RefinedVector refined_point(const Matrix& parts);

// Sums of products w_j x_j of doubles w_j with refined x_j, as many sums at once as one likes, each compensated.
//
// The bound. Write S = sum |w_j| |hi_j| over the items of one sum, K their number. The products hi_j w_j = p_j + e_j
// and the K additions s + p_j = s' + t_j are exact transformations, so the exact sum is s + sum (e_j + t_j + w_j lo_j),
// apart from what the x_j are off themselves (sum |w_j| radius_j). The last sum, of 3 K items whatever their order,
// is rounded: products w_j lo_j included, it is off by at most gamma(3 K + 1) times the sum of its magnitudes, and
//   |e_j| <= u |w_j hi_j|,  |w_j lo_j| <= u |w_j hi_j|,  |t_j| <= u |s'| <= u (1 + gamma(K)) S for each j,
// together at most u (K + 3) S. So the radius is sum |w_j| (radius_j + beta |hi_j|) with
//   beta = gamma(3 K + 1) u (K + 3) (1 + gamma(K))  <  (3 K + 1) (K + 3) u^2 (1 + 1e-2),
// raised by the roundings of the radius itself, plus 2^9 smallest normal numbers per item for underflow (above).
// Radii of exactly 0 mean sums without an item that is not 0.
class RefinedSums {
 public:
  // items: an upper bound of the number of items of one sum; add_dot counts kLanes items more than the length.
  RefinedSums(Index sums, Index items);
  static constexpr Index kLanes = 8;

  // The x of products, prepared: what depends on x alone.
  struct Factors {
    Vector hi, lo, high, low, rho;  // high + low = hi
  };
  Factors factors(const RefinedVector& x) const;
  Factors factors(const DoubleDouble& x) const;

  void add_dot(Index i, const double* w, const Factors& x);        // sum i += w . x
  void add_scaled(const double* w, const Factors& x, Index j);     // sum k += w_k x_j for all k
  void add_diagonal(const double* w, const Factors& x);            // sum k += w_k x_k for all k
  void add_product(Index i, double w, const Factors& x, Index j);  // sum i += w x_j
  void add(Index i, double value);                                 // sum i += value
  RefinedVector finish() const;

 private:
  Refined total(Index i) const;
  double rho(double hi, double radius) const;
  double beta_, inflation_, tiny_;
  Vector s_, c_, r_;
};

}  // namespace pyregions
