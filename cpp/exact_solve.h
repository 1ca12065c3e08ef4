// Layer 0. Exact linear systems over the integers by p-adic lifting (Dixon, Exact solution of linear equations using
// p-adic expansions, 1982): float products modulo a small prime, so the cost follows the size of the solution.
#pragma once

#include <optional>
#include <vector>

#include "exact_lp.h"

namespace pyregions {

struct ExactSolution {
  Integer denominator = 1;  // > 0
  std::vector<Integer> numerators;
};

// sum_j numerators_j columns_j = denominator * target, proven by multiplying out. nullopt: the target is not in the span
// of the columns, or the columns are dependent. All columns have target.size() entries. Throws OutOfBudget.
std::optional<ExactSolution> exact_solve(const std::vector<std::vector<Integer>>& columns, const std::vector<Integer>& target,
                                         const Deadline& deadline);

// Rows that are independent and span the same space, in order of their first appearance; decided modulo a prime above
// 2^20, so it may miss rows (never the other way round).
std::vector<Index> independent_rows(const std::vector<std::vector<Integer>>& rows);

}  // namespace pyregions
