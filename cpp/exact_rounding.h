// Layer 2. Between exact values and doubles: rows as integers, rationals to the nearest double or outward, points as sums of doubles.
#pragma once

#include <vector>

#include "exact_lp.h"
#include "predicates.h"

namespace pyregions {

// Integers with the common power of two taken out: the row times 2^-exponent.
IntegerRow integer_row(const ExactRow& row, long& exponent);
// The nearest doubles of numerators / denominator, then of what is left, and so on.
Parts nearest_parts(const std::vector<Integer>& numerators, const Integer& denominator, Index parts);
Parts nearest_parts(const DyadicVector& point, Index parts);
// An integer vector scaled to size 1 and rounded.
Vector rounded_direction(const std::vector<Integer>& direction);
// num / den rounded to a double, to nearest, or outward when direction is -1 or 1.
double rational_to_double(const Integer& num, const Integer& den, int direction = 0);

}  // namespace pyregions
