// Layer 2. Which violated row the projection takes next: all rows are looked at seldom, those that were violated most in
// between.
#pragma once

#include "unit_rows.h"

namespace pyregions {

class Pricing {
 public:
  Pricing(const NearestPointProblem& problem, const UnitRows& unit, double tolerance);

  // A row that is violated much at y by more than `rounding`, or -1 when none is. stalled: the first one instead, which ends
  // cycles (Bland's rule).
  Index choose(const Vector& y, double rounding, bool stalled);
  double violation(Index id, const Vector& y) const { return unit_.along(id, y.data()) - unit_.rhs(id); }
  // Rows that are passed over.
  void ignore(Index id);
  void ignore_none();

 private:
  struct Violated {
    Index id = -1;
    double excess = 0;
  };

  bool counts(Index id, double excess, double rounding) const;
  Violated worst_bound(const Vector& y, double rounding) const;
  Violated worst_candidate(const Vector& y, double rounding) const;
  Violated price(const Vector& y, double rounding, bool stalled);
  Violated draw(const Vector& y, double rounding);
  Violated keep(std::vector<Violated>& violated);

  const NearestPointProblem& problem_;
  const UnitRows& unit_;
  double tolerance_;
  Vector rows_at_y_;                      // A y, as of the last time that all rows were looked at
  std::vector<Index> candidates_, pool_;  // the rows that were violated most then, few and many
  std::vector<std::uint8_t> ignored_;     // empty: none
  mutable Vector at_y_;
};

}  // namespace pyregions
