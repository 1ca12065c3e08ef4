// Layer 0. Exact dyadic arithmetic: integers with one shared exponent per vector. The only file that knows the
// big-number library.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <vector>

#include "dense.h"

namespace pyregions {

using Integer = boost::multiprecision::cpp_int;

// value = mantissa * 2^exponent.
struct Dyadic {
  Integer mantissa = 0;
  long exponent = 0;

  Dyadic() = default;
  explicit Dyadic(double value);  // exact; requires a finite value
  int sign() const { return mantissa.sign(); }
  bool is_zero() const { return mantissa.is_zero(); }
  Dyadic operator-() const;
  Dyadic operator+(const Dyadic& other) const;
  Dyadic operator-(const Dyadic& other) const;
  Dyadic operator*(const Dyadic& other) const;
  int compare(const Dyadic& other) const;  // sign of *this - other
  double to_double() const;                // nearest double, ties to even; error <= u |value| + underflow
};

// values[i] = mantissa[i] * 2^exponent.
struct DyadicVector {
  std::vector<Integer> mantissa;
  long exponent = 0;

  DyadicVector() = default;
  explicit DyadicVector(Index size) : mantissa(static_cast<std::size_t>(size)) {}
  DyadicVector(const double* values, Index size);  // exact; requires finite values
  Index size() const { return static_cast<Index>(mantissa.size()); }
  Dyadic operator[](Index i) const;
  bool all_zero() const;
  void add(const DyadicVector& other);  // aligns exponents
  Vector to_doubles() const;
};

// The exact sum of the rows of `parts`; requires finite values.
DyadicVector exact_point(const Matrix& parts);

Dyadic dot(const DyadicVector& x, const DyadicVector& y);

// 0 when x and y are not parallel (or one of them is zero), else the sign of the factor t in y = t x.
int parallel_sign(const DyadicVector& x, const DyadicVector& y);

// A float matrix held exactly as integers with one exponent, built once, for repeated exact products. The integers are
// kept as digits in base 2^20, one float matrix per digit: float products of digits are exact, so an exact product is a
// few float products and one carry per entry. Matrices of too wide an exponent range are kept as big integers instead.
class DyadicMatrix {
 public:
  DyadicMatrix() = default;
  explicit DyadicMatrix(const Matrix& a);  // requires finite values
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }
  DyadicVector times(const DyadicVector& x) const;             // A x
  DyadicVector transposed_times(const DyadicVector& x) const;  // A^T x; zero entries of x cost nothing

 private:
  Index rows_ = 0, cols_ = 0, slices_ = 0;  // slices_ = 0: big integers in mantissa_
  long exponent_ = 0;
  Matrix digits_;                  // slices_ blocks of rows_ x cols_, least significant first, each entry signed
  std::vector<Integer> mantissa_;  // row-major
};

}  // namespace pyregions
