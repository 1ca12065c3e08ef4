// Layer 3. What multipliers prove about a cell: an upper bound of the weighted sum of its rows' slacks, and of the radius of a ball.
#pragma once

#include "frame.h"
#include "predicates.h"

namespace pyregions {

// Multipliers over entries of the frame -> rows of the cell: a unit-length entry is row / length.
SparseRow to_rows(const Frame& frame, const Vector& general, const Vector& lower, const Vector& upper, bool with_bounds);

// Sum of the slacks weighted by the multipliers is at most `sum` on the cell; `weight` = sum lambda |a|, bounded below.
struct SlackSum {
  bool proven = false;
  double sum = 0, weight = 0;
};
SlackSum slack_sum_by_box(const RowSystem& rows, const SparseRow& multipliers, const Vector& lower, const Vector& upper);
// The same in double-double, straight from the weights: for rows whose rounding is beyond what the sum comes to.
SlackSum refined_slack_sum_by_box(const RowSystem& rows, const SparseRow& multipliers, const Vector& lower,
                                  const Vector& upper);
// The implied multipliers of the stage's own rows are s_k mu_k; each must be proven nonnegative (or positive).
SlackSum slack_sum_by_stage(const RowSystem& rows, const SparseRow& deep, int stage, bool strictly);
// d rows B and one more row t with -a_t = sum lambda_j a_j, lambda > 0 enclosed: then the sum of slacks is constant. The
// multipliers become the enclosed ones.
SlackSum slack_sum_by_basis(const RowSystem& rows, SparseRow& multipliers);

}  // namespace pyregions
