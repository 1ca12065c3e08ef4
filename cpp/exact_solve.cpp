// Layer 0. Elimination modulo a prime, lifting, rational reconstruction.
#include "exact_solve.h"

#include <algorithm>
#include <cmath>

namespace pyregions {

namespace {

std::size_t at(Index i) { return static_cast<std::size_t>(i); }

// Residues are kept symmetric, |v| <= p/2 < 2^20, so that sums of up to 2^13 products are exact in a double.
constexpr long kPrimes[] = {2097143, 2097133, 2097131};
constexpr Index kLargest = 1 << 13;

double reduced(double v, double p) { return v - p * std::nearbyint(v / p); }

double residue(const Integer& v, long p) { return reduced(static_cast<double>(static_cast<long>(v % p)), static_cast<double>(p)); }

double inverse_mod(double v, long p) {
  long a = static_cast<long>(v), b = p, x = 1, y = 0;
  while (b != 0) {
    const long q = a / b;
    a -= q * b;
    std::swap(a, b);
    x -= q * y;
    std::swap(x, y);
  }
  return reduced(static_cast<double>(a < 0 ? -x : x), static_cast<double>(p));
}

// Row echelon modulo p; pivots[c] is the row that column c was eliminated with, or -1.
struct Echelon {
  std::vector<Index> row_of_column;
  Index rank = 0;
};

// row -= factor * other, modulo p.
void eliminate(double* row, const double* other, double factor, Index n, double p) {
  constexpr double kRound = 0x1.8p52;  // adding and subtracting it rounds to an integer
  const double inverse = 1 / p;
  for (Index k = 0; k < n; ++k) {
    const double v = row[k] - factor * other[k];
    row[k] = v - p * ((v * inverse + kRound) - kRound);
  }
}

// Gauss-Jordan on m (changed), pivots among the first `columns` columns. nullopt-like: rank < columns when one has none.
Echelon gauss_jordan(Matrix& m, Index columns, long prime) {
  const double p = static_cast<double>(prime);
  Echelon e;
  e.row_of_column.assign(at(columns), -1);
  std::vector<std::uint8_t> used(at(m.rows()), 0);
  for (Index c = 0; c < columns; ++c) {
    Index pivot = -1;
    for (Index r = 0; r < m.rows() && pivot < 0; ++r)
      if (!used[at(r)] && m(r, c) != 0) pivot = r;
    if (pivot < 0) continue;
    used[at(pivot)] = 1;
    e.row_of_column[at(c)] = pivot;
    ++e.rank;
    const double factor = inverse_mod(m(pivot, c), prime);
    for (Index k = 0; k < m.cols(); ++k) m(pivot, k) = reduced(m(pivot, k) * factor, p);
    for (Index r = 0; r < m.rows(); ++r)
      if (r != pivot && m(r, c) != 0) eliminate(m.row(r), m.row(pivot), Vector(1, m(r, c))[0], m.cols(), p);
  }
  return e;
}

// An integer matrix as digits in base 2^20, one float matrix per digit (each entry's digits carry its sign).
class Digits {
 public:
  explicit Digits(const std::vector<std::vector<Integer>>& rows) : n_(static_cast<Index>(rows.size())) {
    unsigned bits = 1;
    for (const auto& row : rows)
      for (const Integer& v : row)
        if (!v.is_zero()) bits = std::max(bits, static_cast<unsigned>(msb(abs(v))) + 1);
    slices_.assign((bits + kBits - 1) / kBits, Matrix(n_, n_));
    for (Index i = 0; i < n_; ++i)
      for (Index j = 0; j < n_; ++j) {
        const Integer& v = rows[at(i)][at(j)];
        Integer rest = abs(v);
        for (std::size_t s = 0; !rest.is_zero(); ++s, rest >>= kBits) {
          const double digit = static_cast<double>(static_cast<long>(rest & ((1 << kBits) - 1)));
          slices_[s](i, j) = v.sign() < 0 ? -digit : digit;
        }
      }
  }
  // M y for |y_j| <= 2^20.
  std::vector<Integer> times(const Vector& y) const {
    std::vector<Integer> out(at(n_));
    Vector part(at(n_));
    for (std::size_t s = slices_.size(); s-- > 0;) {
      gemv(false, 1.0, slices_[s], y.data(), 0.0, part.data());
      for (Index i = 0; i < n_; ++i) {
        out[at(i)] <<= kBits;
        out[at(i)] += static_cast<long>(part[at(i)]);
      }
    }
    return out;
  }

 private:
  static constexpr unsigned kBits = 20;
  Index n_;
  std::vector<Matrix> slices_;
};

// num / den = value modulo m with |num| <= bound and 0 < den <= bound, by the extended Euclidean algorithm.
bool reconstruct(const Integer& value, const Integer& m, const Integer& bound, Integer& num, Integer& den) {
  Integer a = m, b = value, x = 0, y = 1, q, r;
  while (abs(b) > bound) {
    divide_qr(a, b, q, r);
    a = std::move(b);
    b = std::move(r);
    Integer next = x - q * y;
    x = std::move(y);
    y = std::move(next);
  }
  if (y.is_zero() || abs(y) > bound) return false;
  num = y.sign() < 0 ? Integer(-b) : b;
  den = abs(y);
  return true;
}

Integer symmetric(Integer v, const Integer& m) {
  v %= m;
  if (v.sign() < 0) v += m;
  if (2 * v > m) v -= m;
  return v;
}

// All entries over one denominator, or nothing while m is too small for it.
std::optional<ExactSolution> reconstruct_all(const std::vector<Integer>& values, const Integer& m) {
  const Integer bound = sqrt(m / 2);
  ExactSolution s;
  Integer num, den;
  for (std::size_t round = 0; round < 2; ++round) {  // the second with the full denominator
    s.numerators.clear();
    for (const Integer& v : values) {
      Integer scaled = symmetric(v * s.denominator, m);
      if (abs(scaled) > bound) {
        if (scaled.sign() < 0) scaled += m;
        if (!reconstruct(scaled, m, bound, num, den)) return std::nullopt;
        s.denominator *= den;
        if (s.denominator > bound) return std::nullopt;
        scaled = num;
      }
      s.numerators.push_back(std::move(scaled));
    }
  }
  return s;
}

bool multiplies_out(const std::vector<std::vector<Integer>>& columns, const std::vector<Integer>& target, const ExactSolution& s) {
  for (std::size_t k = 0; k < target.size(); ++k) {
    Integer sum = -s.denominator * target[k];
    for (std::size_t j = 0; j < columns.size(); ++j)
      if (!columns[j][k].is_zero() && !s.numerators[j].is_zero()) sum += columns[j][k] * s.numerators[j];
    if (!sum.is_zero()) return false;
  }
  return true;
}

// Bits of Cramer's numerators and denominator, by Hadamard's inequality on columns.
std::size_t solution_bits(const std::vector<std::vector<Integer>>& columns, const std::vector<Integer>& target) {
  const auto bits = [](const std::vector<Integer>& v) {
    std::size_t largest = 1;
    for (const Integer& x : v)
      if (!x.is_zero()) largest = std::max<std::size_t>(largest, msb(abs(x)) + 1);
    return largest + 14;  // the square root of up to 2^26 entries, and rounding up
  };
  std::size_t sum = bits(target);
  for (const auto& c : columns) sum += bits(c);
  return sum;
}

// y with M_K y = t_K modulo ever higher powers of p.
class Lifting {
 public:
  Lifting(const std::vector<std::vector<Integer>>& square, std::vector<Integer> target, Matrix inverse, long prime)
      : digits_(square), rest_(std::move(target)), inverse_(std::move(inverse)), prime_(prime), values_(rest_.size()) {}

  void lift() {
    const std::size_t n = rest_.size();
    Vector r(n), y(n);
    for (std::size_t i = 0; i < n; ++i) r[i] = residue(rest_[i], prime_);
    gemv(false, 1.0, inverse_, r.data(), 0.0, y.data());
    for (double& v : y) v = reduced(v, static_cast<double>(prime_));
    const std::vector<Integer> product = digits_.times(y);
    for (std::size_t i = 0; i < n; ++i) {
      rest_[i] = (rest_[i] - product[i]) / prime_;  // exact
      block_[i] += static_cast<long>(y[i]) * block_modulus_;
    }
    block_modulus_ *= prime_;
    if (++in_block_ == kBlock) close_block();
  }
  void close_block() {
    for (std::size_t i = 0; i < values_.size(); ++i) {
      values_[i] += block_[i] * modulus_;
      block_[i] = 0;
    }
    modulus_ *= block_modulus_;
    block_modulus_ = 1;
    in_block_ = 0;
  }
  const std::vector<Integer>& values() const { return values_; }
  const Integer& modulus() const { return modulus_; }
  void start() { block_.assign(rest_.size(), 0); }

 private:
  static constexpr int kBlock = 64;  // digits gathered in small numbers before they join the large ones
  Digits digits_;
  std::vector<Integer> rest_;
  Matrix inverse_;
  long prime_;
  std::vector<Integer> values_, block_;
  Integer modulus_ = 1, block_modulus_ = 1;
  int in_block_ = 0;
};

}  // namespace

std::vector<Index> independent_rows(const std::vector<std::vector<Integer>>& rows) {
  if (rows.empty()) return {};
  const Index n = static_cast<Index>(rows.size()), d = static_cast<Index>(rows[0].size());
  Matrix transposed(d, n);  // pivots by column are then the first independent rows
  for (Index i = 0; i < n; ++i)
    for (Index k = 0; k < d; ++k) transposed(k, i) = residue(rows[at(i)][at(k)], kPrimes[0]);
  const Echelon e = gauss_jordan(transposed, n, kPrimes[0]);
  std::vector<Index> chosen;
  for (Index i = 0; i < n; ++i)
    if (e.row_of_column[at(i)] >= 0) chosen.push_back(i);
  return chosen;
}

std::optional<ExactSolution> exact_solve(const std::vector<std::vector<Integer>>& columns, const std::vector<Integer>& target,
                                         const Deadline& deadline) {
  const Index n = static_cast<Index>(columns.size()), d = static_cast<Index>(target.size());
  if (n == 0) {
    if (std::all_of(target.begin(), target.end(), [](const Integer& v) { return v.is_zero(); })) return ExactSolution{};
    return std::nullopt;
  }
  if (n > d || n > kLargest) return std::nullopt;
  for (const long prime : kPrimes) {
    // The equations that are independent modulo p: n pivot rows of the d x n matrix.
    Matrix m(d, n);
    for (Index j = 0; j < n; ++j)
      for (Index k = 0; k < d; ++k) m(k, j) = residue(columns[at(j)][at(k)], prime);
    const Echelon shape = gauss_jordan(m, n, prime);
    if (shape.rank < n) continue;
    deadline.check();
    std::vector<std::vector<Integer>> square(at(n), std::vector<Integer>(at(n)));
    std::vector<Integer> right(at(n));
    Matrix both(n, 2 * n);
    for (Index i = 0; i < n; ++i) {
      const Index k = shape.row_of_column[at(i)];
      right[at(i)] = target[at(k)];
      for (Index j = 0; j < n; ++j) {
        square[at(i)][at(j)] = columns[at(j)][at(k)];
        both(i, j) = residue(columns[at(j)][at(k)], prime);
      }
      both(i, n + i) = 1;
    }
    const Echelon e = gauss_jordan(both, n, prime);
    Matrix inverse(n, n);
    for (Index c = 0; c < n; ++c)
      std::copy(both.row(e.row_of_column[at(c)]) + n, both.row(e.row_of_column[at(c)]) + 2 * n, inverse.row(c));
    Lifting lifting(square, right, std::move(inverse), prime);
    lifting.start();
    const std::size_t enough = 2 * solution_bits(columns, target) + 2;
    // A failed reconstruction costs one Euclidean algorithm, a quarter more digits than needed about as much at most.
    for (std::size_t digits = 4, done = 0;; digits += std::max<std::size_t>(4, digits / 4)) {
      for (; done < digits; ++done) {
        deadline.check();
        lifting.lift();
      }
      lifting.close_block();
      std::optional<ExactSolution> s = reconstruct_all(lifting.values(), lifting.modulus());
      if (s && multiplies_out(columns, target, *s)) return s;
      if (msb(lifting.modulus()) > enough) return std::nullopt;
    }
  }
  return std::nullopt;
}

}  // namespace pyregions
