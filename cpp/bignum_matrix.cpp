// Layer 0. Exact products of a float matrix with a dyadic vector, carried out in float arithmetic on digits.
//
// Digits have kDigitBits = 20 bits, so a product of two is below 2^40 and a sum of up to kChunk = 2^13 products, in any
// order and with or without fused multiply-add, is an integer below 2^53: every partial sum is exact.
#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include "bignum.h"

namespace pyregions {
namespace {

constexpr int kDigitBits = 20;
constexpr std::int64_t kDigitMask = (std::int64_t{1} << kDigitBits) - 1;
constexpr Index kChunk = Index{1} << 13;
// A digit of the result collects at most kMaxSlices pairs of digits per chunk, each below 2^53; with at most 2^6 chunks
// the sum stays below 2^63.
constexpr Index kMaxSlices = 12;
constexpr Index kMaxSize = kChunk << 6;

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

Index digits_needed(const std::vector<Integer>& values) {
  std::size_t bits = 1;
  for (const Integer& v : values) {
    if (!v.is_zero()) bits = std::max(bits, static_cast<std::size_t>(msb(abs(v))) + 1);
  }
  return static_cast<Index>((bits + kDigitBits - 1) / kDigitBits);
}

// Writes `count` signed digits of value, least significant first, to out[0], out[stride], ...
void write_digits(const Integer& value, Index count, double* out, Index stride, std::vector<std::uint64_t>& limbs) {
  limbs.clear();
  // The bits of the magnitude: export_bits leaves the sign to us.
  export_bits(value, std::back_inserter(limbs), 64, false);
  limbs.push_back(0);
  const double sign = value.sign() < 0 ? -1.0 : 1.0;
  for (Index d = 0; d < count; ++d) {
    const auto bit = static_cast<std::size_t>(d) * kDigitBits;
    const std::size_t limb = bit / 64, shift = bit % 64;
    if (limb + 1 >= limbs.size()) break;
    std::uint64_t digit = limbs[limb] >> shift;
    if (shift > 64 - kDigitBits) digit |= limbs[limb + 1] << (64 - shift);
    out[d * stride] = sign * static_cast<double>(static_cast<std::int64_t>(digit) & kDigitMask);
  }
}

// Carries upwards in place so that digits lie in [0, 2^20); returns the carry out of the top,
// negative iff the value is.
std::int64_t carry_up(std::vector<std::int64_t>& digits) {
  std::int64_t carry = 0;
  for (std::int64_t& digit : digits) {
    const std::int64_t sum = digit + carry;
    digit = sum & kDigitMask;
    carry = sum >> kDigitBits;  // floor: arithmetic shift
  }
  return carry;
}

// sum digits[k] 2^(20 k) for any int64 digits that leave room for a carry.
Integer from_digits(std::vector<std::int64_t>& digits) {
  for (int k = 0; k < 4; ++k) digits.push_back(0);  // 80 bits more than the top digit can carry
  const bool negative = carry_up(digits) < 0;
  if (negative) {
    // Two's complement above the top digit: the magnitude is what the negated digits carry up to.
    digits.push_back(-1);
    for (std::int64_t& digit : digits) digit = -digit;
    carry_up(digits);
  }
  std::vector<std::uint64_t> limbs(digits.size() * kDigitBits / 64 + 2, 0);
  for (std::size_t d = 0; d < digits.size(); ++d) {
    const std::size_t bit = d * kDigitBits, limb = bit / 64, shift = bit % 64;
    const auto digit = static_cast<std::uint64_t>(digits[d]);
    limbs[limb] |= digit << shift;
    if (shift > 64 - kDigitBits) limbs[limb + 1] |= digit >> (64 - shift);
  }
  Integer result;
  import_bits(result, limbs.begin(), limbs.end(), 64, false);
  return negative ? Integer(-result) : result;
}

// Sums of digit products, one row of int64 per result.
class Accumulator {
 public:
  Accumulator(Index size, Index digits) : digits_(digits), sums_(at(size * digits), 0) {}
  void add(Index i, Index digit, double value) { sums_[at(i * digits_ + digit)] += static_cast<std::int64_t>(value); }
  DyadicVector result(long exponent) const {
    DyadicVector out(static_cast<Index>(sums_.size()) / digits_);
    std::vector<std::int64_t> row;
    for (Index i = 0; i < out.size(); ++i) {
      const auto begin = sums_.begin() + i * digits_;
      row.assign(begin, begin + digits_);
      const bool any = std::any_of(row.begin(), row.end(), [](std::int64_t digit) { return digit != 0; });
      if (any) out.mantissa[at(i)] = from_digits(row);
    }
    out.exponent = exponent;
    return out;
  }

 private:
  Index digits_;
  std::vector<std::int64_t> sums_;
};

std::vector<Index> nonzeros(const DyadicVector& x) {
  std::vector<Index> result;
  for (Index i = 0; i < x.size(); ++i) {
    if (!x.mantissa[at(i)].is_zero()) result.push_back(i);
  }
  return result;
}

}  // namespace

DyadicMatrix::DyadicMatrix(const Matrix& a) : rows_(a.rows()), cols_(a.cols()) {
  DyadicVector values(a.data(), rows_ * cols_);
  exponent_ = values.exponent;
  const Index slices = digits_needed(values.mantissa);
  if (slices > kMaxSlices || std::max(rows_, cols_) > kMaxSize) {
    mantissa_ = std::move(values.mantissa);
    return;
  }
  slices_ = slices;
  digits_ = Matrix(slices_ * rows_, cols_);
  std::vector<std::uint64_t> limbs;
  for (Index i = 0; i < rows_ * cols_; ++i) {
    write_digits(values.mantissa[at(i)], slices_, digits_.data() + i, rows_ * cols_, limbs);
  }
}

DyadicVector DyadicMatrix::times(const DyadicVector& x) const {
  if (x.size() != cols_) throw std::invalid_argument("DyadicMatrix::times: lengths differ");
  const long exponent = exponent_ + x.exponent;
  if (slices_ == 0) {
    DyadicVector result(rows_);
    result.exponent = exponent;
    for (Index j : nonzeros(x)) {
      for (Index i = 0; i < rows_; ++i) {
        const Integer& m = mantissa_[at(i * cols_ + j)];
        if (!m.is_zero()) result.mantissa[at(i)] += m * x.mantissa[at(j)];
      }
    }
    return result;
  }
  const Index x_digits = digits_needed(x.mantissa);
  Matrix xs(x_digits, cols_), products(slices_ * rows_, x_digits);
  std::vector<std::uint64_t> limbs;
  for (Index j = 0; j < cols_; ++j) write_digits(x.mantissa[at(j)], x_digits, xs.data() + j, cols_, limbs);
  Accumulator sums(rows_, slices_ + x_digits - 1);
  for (Index first = 0; first < cols_; first += kChunk) {
    const Index n = std::min(kChunk, cols_ - first);
    gemm(false, true, slices_ * rows_, x_digits, n, 1.0, digits_.data() + first, cols_, xs.data() + first, cols_, 0.0,
         products.data(), x_digits);
    for (Index r = 0; r < slices_ * rows_; ++r) {
      for (Index q = 0; q < x_digits; ++q) sums.add(r % rows_, r / rows_ + q, products(r, q));
    }
  }
  return sums.result(exponent);
}

DyadicVector DyadicMatrix::transposed_times(const DyadicVector& x) const {
  if (x.size() != rows_) throw std::invalid_argument("DyadicMatrix::transposed_times: lengths differ");
  const long exponent = exponent_ + x.exponent;
  const std::vector<Index> support = nonzeros(x);
  if (slices_ == 0) {
    DyadicVector result(cols_);
    result.exponent = exponent;
    for (Index i : support) {
      for (Index j = 0; j < cols_; ++j) {
        const Integer& m = mantissa_[at(i * cols_ + j)];
        if (!m.is_zero()) result.mantissa[at(j)] += m * x.mantissa[at(i)];
      }
    }
    return result;
  }
  const Index x_digits = digits_needed(x.mantissa), n_support = static_cast<Index>(support.size());
  Accumulator sums(cols_, slices_ + x_digits - 1);
  std::vector<std::uint64_t> limbs;
  for (Index first = 0; first < n_support; first += kChunk) {
    const Index n = std::min(kChunk, n_support - first);
    Matrix xs(x_digits, n), products(x_digits, cols_), rows(n, cols_);
    for (Index r = 0; r < n; ++r) {
      write_digits(x.mantissa[at(support[at(first + r)])], x_digits, xs.data() + r, n, limbs);
    }
    for (Index p = 0; p < slices_; ++p) {
      for (Index r = 0; r < n; ++r) std::copy_n(digits_.row(p * rows_ + support[at(first + r)]), cols_, rows.row(r));
      gemm(false, false, 1.0, xs, rows, 0.0, products);
      for (Index q = 0; q < x_digits; ++q) {
        for (Index j = 0; j < cols_; ++j) sums.add(j, p + q, products(q, j));
      }
    }
  }
  return sums.result(exponent);
}

}  // namespace pyregions
