// Layer 2. Exact optima over one cell: linear programs, and nearest points in three norms. Bounds are the rational optimum
// rounded outward.
#include "exact_program.h"

namespace pyregions {

namespace {

// The integers of a dyadic vector times 2^-low.
std::vector<Integer> integers(const DyadicVector& v, long low) {
  std::vector<Integer> out;
  for (const Integer& m : v.mantissa) out.push_back(m.is_zero() ? Integer(0) : shifted(m, v.exponent - low));
  return out;
}

bool all_finite(const Parts& point) {
  const double* end = point.data() + point.rows() * point.cols();
  return std::all_of(point.data(), end, [](double v) { return std::isfinite(v); });
}

// A bound of the square root of num / den >= 0, downward or upward.
double root_of(const Integer& num, const Integer& den, int direction) {
  constexpr long kBits = 160;  // of the radicand: 80 of the root, far more than a double has
  const long shift = std::max(0L, kBits + bits(den) - bits(num)) / 2;
  const Integer scaled = shifted(num, 2 * shift);
  Integer root = sqrt(Integer(scaled / den));
  if (direction > 0 && root * root * den != scaled) ++root;
  return rational_to_double(root, Integer(1) << static_cast<unsigned long>(shift), direction);
}

// The linear complementarity problem w = q + M z, w >= 0, z >= 0, w.z = 0 for a positive semidefinite M, by integer
// pivots and the least-index criss-cross rule (den Hertog, Roos, Terlaky, The linear complementarity problem, sufficient
// matrices, and the criss-cross method, 1993).
class Complementarity {
 public:
  // table: row i is M_i1 ... M_in q_i.
  explicit Complementarity(std::vector<std::vector<Integer>> table) : table_(std::move(table)), exchanged_(table_.size(), 0) {}

  bool solve(const Deadline& deadline) {  // false: there is no solution
    const std::size_t n = table_.size();
    while (true) {
      deadline.check();
      std::size_t k = 0;
      while (k < n && table_[k][n].sign() >= 0) ++k;
      if (k == n) return true;
      if (!table_[k][k].is_zero()) {
        pivot(k, k);
        exchanged_[k] ^= 1;
        continue;
      }
      std::size_t j = 0;
      while (j < n && table_[k][j].sign() <= 0) ++j;
      if (j == n) return false;
      pivot(k, j);
      pivot(j, k);
      std::swap(table_[k], table_[j]);  // line i holds w_i or z_i again
      for (auto& line : table_) std::swap(line[k], line[j]);
      exchanged_[k] ^= 1;
      exchanged_[j] ^= 1;
    }
  }
  const Integer& denominator() const { return scale_; }
  Integer z(std::size_t i) const { return exchanged_[i] ? table_[i].back() : Integer(0); }

 private:
  // Law: scale * basic_i = table[i][n] + sum_k table[i][k] * nonbasic_k; the division by the old scale is exact.
  void pivot(std::size_t line, std::size_t column) {
    std::vector<Integer>& chosen = table_[line];
    const Integer p = chosen[column];
    for (std::size_t i = 0; i < table_.size(); ++i) {
      if (i == line) continue;
      const Integer factor = table_[i][column];
      for (std::size_t k = 0; k < chosen.size(); ++k)
        if (k != column) table_[i][k] = (table_[i][k] * p - factor * chosen[k]) / scale_;
    }
    for (std::size_t k = 0; k < chosen.size(); ++k) chosen[k] = k == column ? scale_ : Integer(-chosen[k]);
    scale_ = p;
    if (p.sign() > 0) return;
    scale_ = -scale_;
    for (auto& other : table_)
      for (Integer& v : other) v = -v;
  }

  std::vector<std::vector<Integer>> table_;
  Integer scale_ = 1;
  std::vector<std::uint8_t> exchanged_;
};

}  // namespace

Parts ExactRung::inside(const Rational& optimum, const Parts& interior) const {
  const DyadicVector c = exact_point(interior);
  const long low = std::min(0L, c.exponent);
  const std::vector<Integer> center = integers(c, low);
  // As it is, or (1 - 2^-k) x + 2^-k c: k from the precision of the parts down to a move of at most 2^-24 of |x|.
  Integer size = 0, way = 0;
  for (std::size_t v = 0; v < center.size(); ++v) {
    const Integer there = shifted(optimum.numerators[v], -low);
    size = std::max(size, Integer(abs(there)));
    way = std::max(way, Integer(abs(there - optimum.denominator * center[v])));
  }
  constexpr long kDigits = 53, kNear = 24, kStep = 4;
  const long far = std::max(0L, bits(way) - bits(size) + 1);  // |x - c| < 2^far |x|; of no use for x = 0, which is a double
  for (Index parts = 1; parts <= kMostParts; ++parts) {
    const long finest = static_cast<long>(parts) * kDigits - 2 + far;
    for (long k = 0; k == 0 || k >= kNear + far; k = k ? k - kStep : finest) {
      std::vector<Integer> x = optimum.numerators;
      Integer over = optimum.denominator;
      if (k > 0) {
        for (std::size_t v = 0; v < x.size(); ++v) x[v] = shifted(shifted(x[v], k) - x[v], -low) + center[v] * over;
        over = shifted(over, k - low);
      }
      Parts point = nearest_parts(x, over, parts);
      if (!all_finite(point)) break;
      const std::vector<int> s = signs(point);
      if (std::none_of(s.begin(), s.end(), [](int sign) { return sign < 0; })) return point;
    }
  }
  throw UndecidedError("no sum of doubles near the optimum was found in the cell");
}

ExactRung::Optimum ExactRung::maximize(const DyadicVector& c, const Dyadic& constant, const Parts& interior) {
  Optimum result;
  Rational x;
  Integer value = 0;  // of c.mantissa at x, over its denominator
  if (c.all_zero()) {
    result.point = interior;
  } else {
    Program program(*this, {}, false, std::vector<std::uint8_t>(at(count()), 0));
    program.lp().set_objective(c.mantissa);
    const ExactLp::Status status = program.solve();
    if (status == ExactLp::Status::infeasible) throw UndecidedError("the cell lost its interior point");
    if (status == ExactLp::Status::unbounded) {
      result.direction = program.lp().ray();
      Integer largest = 1;
      for (const Integer& v : result.direction) largest = std::max(largest, Integer(abs(v)));
      const Integer unit = Integer(1) << static_cast<unsigned long>(bits(largest) - 1);
      for (Index parts = 1; parts <= kMostParts; ++parts) {
        Parts point = nearest_parts(result.direction, unit, parts);
        if (parts == 1) result.point = point;
        const std::vector<int> s = rows_.slack_signs(point, true);
        if (std::any_of(s.begin(), s.end(), [](int sign) { return sign < 0; }) || dot(c, exact_point(point)).sign() <= 0) continue;
        result.point = std::move(point);
        break;
      }
      return result;
    }
    x = {program.lp().numerators(), program.lp().denominator()};
    value = program.lp().value();
    result.point = inside(x, interior);
  }
  // value 2^e / den + m 2^f over one denominator.
  const long low = std::min({0L, c.exponent, constant.exponent});
  Integer sum = shifted(value, c.exponent - low);
  if (!constant.is_zero()) sum += shifted(constant.mantissa, constant.exponent - low) * x.denominator;
  const Integer over = shifted(x.denominator, -low);
  result.lower = rational_to_double(sum, over, -1);
  result.upper = rational_to_double(sum, over, 1);
  return result;
}

// max norm: |x_k - y_k| <= t, sum norm: s.(x - y) <= t for all vectors s of signs, each taken in when it is violated.
ExactRung::Rational ExactRung::nearest_by_program(const DyadicVector& y, int norm) {
  const std::size_t d = at(rows_.dim());
  const long low = std::min(0L, y.exponent);
  const std::vector<Integer> goal = integers(y, low);
  Program program(*this, std::vector<Integer>(at(count())), false, std::vector<std::uint8_t>(at(count()), 0));
  IntegerRow positive{std::vector<Integer>(d + 1), 0};
  positive.a.back() = -1;
  program.add_other(positive);
  program.lp().set_objective(positive.a);
  while (true) {
    if (program.solve() != ExactLp::Status::optimal) throw UndecidedError("the cell lost its interior point");
    std::vector<Integer> x = program.lp().numerators();
    const Integer scale = program.lp().denominator();
    std::vector<Integer> gap(d);
    Integer distance = 0, largest = -1;
    std::size_t farthest = 0;
    for (std::size_t k = 0; k < d; ++k) {
      gap[k] = shifted(x[k], -low) - scale * goal[k];
      const Integer size = abs(gap[k]);
      if (size > largest) largest = size, farthest = k;
      distance += size;
    }
    if ((norm == 1 ? distance : largest) <= shifted(x.back(), -low)) {
      x.pop_back();
      return {std::move(x), scale};
    }
    IntegerRow cut{std::vector<Integer>(d + 1), 0};
    for (std::size_t k = 0; k < d; ++k) {
      if (norm != 1 && k != farthest) continue;
      const int sign = gap[k].sign() < 0 ? -1 : 1;
      cut.a[k] = sign * shifted(1, -low);
      cut.b += sign * goal[k];
    }
    cut.a.back() = -shifted(1, -low);
    program.add_other(cut);
    program.deadline().check();
  }
}

// The rows that are violated most at x join the chosen ones; false when there are none.
bool ExactRung::take_in_violated(const Rational& x, std::vector<Index>& chosen) {
  std::vector<std::pair<long, Index>> violated;
  for (Index j = 0; j < count(); ++j) {
    if (is_zero(j)) continue;
    const Integer slack = x.denominator * row(j).b - integer_dot(row(j).a, x.numerators);
    if (slack.sign() >= 0) continue;
    long size = 0;
    for (const Integer& v : row(j).a) size = std::max(size, bits(v));
    violated.emplace_back(size - bits(slack), j);
  }
  const std::size_t few = std::min(violated.size(), x.numerators.size());
  std::partial_sort(violated.begin(), violated.begin() + static_cast<Index>(few), violated.end());
  for (std::size_t i = 0; i < few; ++i) chosen.push_back(violated[i].second);
  return few > 0;
}

// x = y - sum z_j a_j with slacks w = b - A x: z and w complementary, over more and more of the rows.
ExactRung::Rational ExactRung::nearest_euclidean(const DyadicVector& y) {
  const Deadline deadline(rows_.exact_budget());
  const long low = std::min(0L, y.exponent);
  const std::vector<Integer> goal = integers(y, low);
  Rational x{goal, shifted(1, -low)};
  std::vector<Index> chosen;
  while (take_in_violated(x, chosen)) {
    const std::size_t n = chosen.size();
    std::vector<std::vector<Integer>> table(n, std::vector<Integer>(n + 1));
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) table[i][j] = integer_dot(row(chosen[i]).a, row(chosen[j]).a);
      table[i][n] = shifted(row(chosen[i]).b, -low) - integer_dot(row(chosen[i]).a, goal);
    }
    Complementarity problem(std::move(table));
    if (!problem.solve(deadline)) throw UndecidedError("the cell lost its interior point");
    for (std::size_t k = 0; k < goal.size(); ++k) x.numerators[k] = problem.denominator() * goal[k];
    for (std::size_t i = 0; i < n; ++i) {
      const Integer z = problem.z(i);
      if (z.is_zero()) continue;
      for (std::size_t k = 0; k < goal.size(); ++k) x.numerators[k] -= z * row(chosen[i]).a[k];
    }
    x.denominator = shifted(problem.denominator(), -low);
  }
  return x;
}

ExactRung::Optimum ExactRung::nearest(const DyadicVector& y, int norm, const Parts& interior) {
  const Rational x = norm == 2 ? nearest_euclidean(y) : nearest_by_program(y, norm);
  const long low = std::min(0L, y.exponent);
  const std::vector<Integer> goal = integers(y, low);
  const Integer over = shifted(x.denominator, -low);
  Integer sum = 0, largest = 0, square = 0;
  for (std::size_t k = 0; k < goal.size(); ++k) {
    const Integer gap = abs(shifted(x.numerators[k], -low) - x.denominator * goal[k]);
    sum += gap;
    square += gap * gap;
    largest = std::max(largest, gap);
  }
  Optimum result;
  for (const int side : {-1, 1}) {
    const double bound = norm == 2 ? root_of(square, over * over, side) : rational_to_double(norm == 1 ? sum : largest, over, side);
    (side < 0 ? result.lower : result.upper) = bound;
  }
  result.point = inside(x, interior);
  return result;
}

}  // namespace pyregions
