// Layer 0. Linear programs over the integers, solved exactly: a condensed tableau that keeps every entry an integer
// (Edmonds, Systems of distinct representatives and linear algebra, 1967), pivoted by the least-index criss-cross rule
// (Terlaky 1985; it needs no feasible start and ends). Rows may join between solves, so that a few of many are enough.
#pragma once

#include <chrono>
#include <functional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bignum.h"

namespace pyregions {

// a.x <= b.
struct IntegerRow {
  std::vector<Integer> a;
  Integer b;
};

// While a scope lives, Deadline::check asks `stop` a few times a second, on the same thread; true ends the decision.
class Interrupted : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
class InterruptScope {
 public:
  explicit InterruptScope(std::function<bool()> stop);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;
};

// The time an exact decision may take; the exception says that it was not enough.
class OutOfBudget : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
class Deadline {
 public:
  explicit Deadline(double seconds);
  void check() const;    // throws OutOfBudget, or Interrupted
  bool is_over() const;  // throws Interrupted

 private:
  std::chrono::steady_clock::time_point end_;
};

class ExactLp {
 public:
  enum class Status { optimal, unbounded, infeasible };

  explicit ExactLp(Index dim);
  Index add(const IntegerRow& row);  // returns the row's number
  // Makes a row tight at the current point, in exchange for a free variable; false when it depends on the tight ones.
  bool enter(Index row);
  void set_objective(const std::vector<Integer>& c);  // to be maximised
  // Throws OutOfBudget. May be called again after more rows have joined.
  Status solve(const Deadline& deadline);

  // The current point is numerators / denominator, denominator > 0 (the optimum after Status::optimal).
  const Integer& denominator() const { return scale_; }
  std::vector<Integer> numerators() const;
  Integer value() const { return top_.back(); }   // of the objective, over the denominator
  Integer slack(const IntegerRow& row) const;     // denominator * (b - a.x) at the current point
  // optimal: denominator * c = sum lambda_j a_j; infeasible: sum lambda_j a_j = 0 and sum lambda_j b_j < 0. lambda > 0.
  std::vector<std::pair<Index, Integer>> multipliers() const;
  // unbounded: a_j.r <= 0 for all rows and c.r > 0.
  std::vector<Integer> ray() const;

 private:
  using Line = std::vector<Integer>;
  // Law, per line of table_ with variable v in basic_: scale * v + sum_k line[k] * nonbasic_[k] = line[last];
  // the objective is (top[last] - sum_k top[k] * nonbasic_[k]) / scale. Variables below dim_ are the free x, the others
  // are slacks of rows.
  bool is_free(Index variable) const { return variable < dim_; }
  void pivot(std::size_t line, std::size_t column);
  bool free_variables(const Deadline& deadline);  // false: the objective grows along a line

  Index dim_;
  Integer scale_ = 1;
  std::vector<Line> table_;
  Line top_;
  std::vector<Integer> objective_;
  std::vector<Index> basic_, nonbasic_;
  Index rows_ = 0;
  Status status_ = Status::optimal;
  std::size_t line_ = 0, column_ = 0;  // what showed infeasible (line) or unbounded (column, and its sense)
  int sense_ = 1;
};

}  // namespace pyregions
