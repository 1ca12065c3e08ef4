// Layer 2. The last rung: decisions about one cell by exact linear programs over its integer rows, composed straight from
// the weights. Every answer is a rational point or a combination of rows that holds as an equality of integers. Knows no
// solver; a proposed set of rows only makes it faster.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "exact_lp.h"
#include "exact_rounding.h"
#include "predicates.h"

namespace pyregions {

// Up to this dimension an exact program from scratch costs less than another proposal, or than a loose bound is worth
// (milliseconds; it grows like the fifth power of the dimension). It chooses a method, never an answer.
constexpr Index kFewInputs = 12;

class ExactRung {
 public:
  // extra: further rows a.x <= b, numbered from rows.size() on. Each public decision below has its own budget.
  explicit ExactRung(const RowSystem& rows, std::vector<IntegerRow> extra = {});

  // One group of coincident rows: a facet, with a point that violates exactly these rows, or redundant.
  struct Side {
    bool facet = false;
    Parts witness;
    Combination proof;  // own * a_i = sum terms a_j and sum terms b_j <= own * b_i
  };
  // support: rows that may imply the group; its own rows among them do not count. interior: strictly inside.
  Side side(const std::vector<Index>& group, const std::vector<Index>& support, const Parts& interior);
  // The same claim from the support alone, by one exact solve: nothing when the support does not imply the group.
  std::optional<Combination> implied(const std::vector<Index>& group, const std::vector<Index>& support);

  // a_row - sum share_j a_j with its slack at x, taken exactly, then rounded: size times a row of size 1 and its slack;
  // where it vanishes, no row, size 0 and the slack itself.
  struct ScaledRow {
    Vector a;
    double slack = 0, size = 0;
  };
  ScaledRow difference(Index row, const SparseRow& shares, const Parts& x) const;

  // Integers mu > 0 and lambda of any sign with sum lambda_j a_j = mu * target over independent rows; nothing if none.
  std::optional<std::pair<Integer, std::vector<Integer>>> solve(const std::vector<Index>& rows, const std::vector<Integer>& target);

  // From the support alone, by one exact solve: 0 = sum terms a_j with sum terms b_j <= 0, so that no point is strictly
  // inside (or inside, if it is below 0).
  std::optional<Combination> opposed(const std::vector<Index>& support);

  // A point strictly inside all nonzero rows (extra ones included), or 0 = sum terms a_j with sum terms b_j <= 0. reach:
  // slacks larger than this need not be sought.
  struct Interior {
    Parts point;  // no rows: there is none
    Combination proof;
  };
  Interior interior(double reach);

  // Integer u with A u <= 0 and A u != 0, or a combination with positive multipliers on all nonzero rows that vanishes.
  struct Recession {
    std::vector<Integer> direction;
    Combination combination;
  };
  Recession recession();
  // The two answers from proposals, by one exact solve; nothing when that fails. weights: positive, on rows that nearly
  // cancel; a few of them are changed so that 0 = sum terms a_j exactly, over the same rows. radius bounds that of every
  // ball in the cell. proposal: falls along all rows but the level ones, which are nearly level along it.
  struct Balance {
    Combination combination;
    double radius = 0;
  };
  std::optional<Balance> balance(const SparseRow& weights);
  std::vector<Integer> falling(const Vector& proposal, const std::vector<Index>& level);
  // Integer u != 0 with A u = 0; empty when the rows have full rank; nothing in the rare case that a prime hides it.
  std::optional<std::vector<Integer>> lineality();

  // Radius of the largest ball: the centre of a nearly largest one with bounds, or u with a_j.u < 0 for all nonzero rows.
  struct Ball {
    std::vector<Integer> direction;
    Parts center;
    double lower = 0, upper = 0;
    Combination combination;  // sum terms a_j = 0, sum terms b_j <= upper * sum terms |a_j|
  };
  Ball ball();

  // Supremum of c.x + constant, or distance of the cell from y: the rational optimum rounded outward and a point of the
  // closed cell as near to an optimal one as a sum of few doubles can be; or a direction along which the form grows, of
  // which `point` is a sum of doubles that does, too, where there is one.
  struct Optimum {
    std::vector<Integer> direction;
    Parts point;
    double lower = 0, upper = 0;
  };
  // interior: strictly inside.
  Optimum maximize(const DyadicVector& c, const Dyadic& constant, const Parts& interior);
  Optimum nearest(const DyadicVector& y, int norm, const Parts& interior);  // 1, 2, or 0 for the maximum norm

  // Exact signs of all slacks of the cell's rows, then of the extra ones, at a sum of doubles.
  std::vector<int> signs(const Parts& point) const;

 private:
  class Program;
  const IntegerRow& row(Index j);
  bool is_zero(Index j);
  Index count() const { return rows_.size() + static_cast<Index>(extra_.size()); }
  Integer norm(const IntegerRow& row, bool up) const;
  Combination original(const Integer& own, Index own_row, const std::vector<std::pair<Index, Integer>>& terms);
  struct Rational {
    std::vector<Integer> numerators;
    Integer denominator = 1;
  };
  Parts inside(const Rational& optimum, const Parts& interior) const;
  Rational nearest_by_program(const DyadicVector& y, int norm);
  Rational nearest_euclidean(const DyadicVector& y);
  bool take_in_violated(const Rational& x, std::vector<Index>& chosen);
  template <class Accept>
  Parts round(const std::vector<Integer>& numerators, const Integer& denominator, const Accept& accept) const;

  const RowSystem& rows_;
  std::vector<IntegerRow> extra_;
  std::vector<std::optional<IntegerRow>> cache_;
  std::vector<long> exponent_;  // the true row is 2^exponent times the integer one
};

}  // namespace pyregions
